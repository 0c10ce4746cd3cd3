"""What every algorithm keeps to, ours and those of the page on one's own: add yours to the table."""

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import equinox as eqx
import jax
import pytest

import logpi
from logpi import A2C, ARS, DDPG, ES, IMPALA, NPG, PGPE, PPO, REINFORCE, SAC, TD3, TRPO
from logpi.algorithms import AbstractAlgorithm, Spec
from logpi.envs import resolve
from logpi.envs.probes import Blocked
from logpi.experience import Replay
from logpi.jaxprs.compilation import as_in_a_new_process
from logpi.measurements import Measurement
from logpi.rollout import CompiledRollout
from logpi.spaces import Box, Dict, MultiDiscrete
from tests.algorithms import own_page
from tests.training.test_resume import files, rewound

# The replay wraps around, and learning begins in the second of ten updates.
REPLAYED: dict[str, Any] = {"experience": Replay(4 * 16 * 4, batch_size=16), "warmup": 100, "updates_per_step": 1 / 8}
ALGORITHMS: dict[str, AbstractAlgorithm] = {
    "REINFORCE": REINFORCE(),
    "A2C": A2C(),
    "PPO": PPO(num_epochs=2, num_minibatches=2),
    "TRPO": TRPO(num_epochs=2),
    "NPG": NPG(num_epochs=2),
    "IMPALA": IMPALA(),
    "SAC": SAC(**REPLAYED),
    "TD3": TD3(**REPLAYED),
    "DDPG": DDPG(**REPLAYED),
    "PGPE": PGPE(),
    "ES": ES(),
    "ARS": ARS(),
    "OwnTRPO": own_page.load("OwnTRPO").OwnTRPO(num_epochs=2),
    "Skeleton": own_page.load("Skeleton").Skeleton(),
}
SMALL = {"num_envs": 4, "rollout_length": 16, "steps": 640}  # ten updates
NETWORK = logpi.Network(depth=1, width=8, normalize_observations=True)


def renamed(kind: type) -> Iterator[str]:
    """The methods whose arguments are called otherwise than those of the abstract class."""
    for name, method in inspect.getmembers(AbstractAlgorithm, inspect.isfunction):
        wanted, found = (list(inspect.signature(f).parameters) for f in (method, getattr(kind, name)))
        if not name.startswith("_") and wanted != found:
            yield f"{name}({', '.join(found)}), where it must be {name}({', '.join(wanted)})"


def unclear(kind: type) -> Iterator[str]:
    """What is wrong with the measurements that are declared."""
    names = [m.name for m in kind.measurements]
    yield from (f"{m.name} has no unit or no meaning" for m in kind.measurements if not (m.unit and m.meaning))
    yield from (f"{name} is declared twice" for name in set(names) if names.count(name) > 1)


def env_of(algorithm: AbstractAlgorithm) -> str:
    """One that it can act in."""
    return "Pendulum-v1" if algorithm.action_distribution == "deterministic" else "CartPole-v1"


def inner(tree: Any) -> Any:
    """A tree with the shape and type of each array, and the rest as it is."""
    return jax.tree.map(lambda x: (x.shape, x.dtype) if hasattr(x, "shape") else x, tree)


def changed(algorithm: AbstractAlgorithm) -> Iterator[str]:
    """What an update makes otherwise than it was given, or shows otherwise than it is declared; nothing is computed."""
    rollout, key = CompiledRollout(resolve(env_of(algorithm)).env, num_envs=4, length=16), jax.random.key(0)
    spec = Spec.of(rollout)

    def one_iteration():
        networks = algorithm.build(spec, NETWORK, key)
        state = algorithm.init(networks, spec, 10, key)
        trajectory, _ = rollout.collect(algorithm.acting(state), rollout.init(algorithm.acting(state), key), key)
        _, view = algorithm.experience.add(algorithm.experience.init(trajectory), trajectory)
        after, shown = algorithm.update(state, view, key)
        climbed = algorithm.objectives(state, view, key).values()
        rows = [(one.function(one.model, one.rows)[0], one.rows.weight) for one in climbed]
        return networks, algorithm.networks(state), algorithm.networks(after), state, after, shown, rows

    networks, before, now, state, after, shown, rows = eqx.filter_eval_shape(one_iteration)
    if any(values.shape != weight.shape for values, weight in rows):
        yield f"objectives of rows are {rows}"
    if jax.tree.structure(state) != jax.tree.structure(after) or inner(state) != inner(after):
        yield f"the state {inner(state)} becomes {inner(after)}"
    if not inner(networks) == inner(before) == inner(now):
        yield f"the networks {inner(networks)} are {inner(before)} in a state and {inner(now)} in the next"
    if {name: (x.shape, x.dtype.kind) for name, x in shown.items()} != {
        m.name: ((), "f") for m in algorithm.measurements
    }:
        yield f"update shows {shown}, where {[m.name for m in algorithm.measurements]} are declared"


def trained(algorithm: AbstractAlgorithm, folder: Path, patch: pytest.MonkeyPatch) -> Iterator[str]:
    """What is wrong with a training, and with going on after it was stopped."""
    kind, traced = type(algorithm), []
    as_in_a_new_process()
    update = kind.update

    def counted(self, state, view, key):
        traced.append(key)
        return update(self, state, view, key)

    with patch.context() as context:
        context.setattr(kind, "update", counted)
        run = logpi.train(env_of(algorithm), algorithm, network=NETWORK, **SMALL, out=folder, checkpoint_every=7)
    if len(traced) not in (1, 2):
        yield f"update is traced {len(traced)} times"
    whole = files(folder)
    as_in_a_new_process()
    logpi.resume(rewound(folder, 7), settings=run.settings)
    if files(folder) != whole:
        yield "a training that was stopped goes on otherwise"


def breaches(algorithm: AbstractAlgorithm, folder: Path, patch: pytest.MonkeyPatch) -> list[str]:
    """All that an algorithm does not keep to; a training is only tried where nothing else is wrong."""
    found = [*renamed(type(algorithm)), *unclear(type(algorithm)), *changed(algorithm)]
    return found or list(trained(algorithm, folder, patch))


@pytest.mark.usefixtures("as_users_have_it")
@pytest.mark.parametrize("name", ALGORITHMS)
def test_an_algorithm_conforms(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert breaches(ALGORITHMS[name], tmp_path / "run", monkeypatch) == []


@pytest.mark.parametrize("name", [name for name in ALGORITHMS if env_of(ALGORITHMS[name]) == "CartPole-v1"])
def test_an_algorithm_never_does_what_a_mask_forbids(name: str) -> None:
    """In `Blocked`, whatever is forbidden ends the episode."""
    env = Blocked(Dict((("amount", Box((1,), -1.0, 1.0)), ("choices", MultiDiscrete((3, 4))))))
    run = logpi.train(env, ALGORITHMS[name], network=logpi.Network(depth=1, width=8), **SMALL, progress=False)
    assert [row["length_mean"] for row in run.history] == [8.0] * 10


Skeleton = own_page.load("Skeleton").Skeleton


class Renamed(Skeleton):
    """An argument that callers would not find."""

    def acting(self, learner):
        return learner.model


class Undeclared(Skeleton):
    """Shows more than it declares."""

    def update(self, state, view, key):
        state, shown = super().update(state, view, key)
        return state, shown | {"luck": shown["entropy"]}


class Growing(Skeleton):
    """Counts in another type than it began with."""

    def update(self, state, view, key):
        state, shown = super().update(state, view, key)
        return eqx.tree_at(lambda s: s.updates, state, state.updates * 1.0), shown


class Forgetful(Skeleton):
    """Remembers outside of its state how often it was traced."""

    calls: ClassVar = []

    def update(self, state, view, key):
        self.calls.append(key)
        state, shown = super().update(state, view, key)
        return state, {name: value + len(self.calls) for name, value in shown.items()}


class Unclear(Skeleton):
    """Declares a number that nobody can read."""

    measurements: ClassVar = (*Skeleton.measurements, Measurement("luck", "", "How it went."))


PLANTED = {
    Renamed: "acting(self, learner), where it must be",
    Undeclared: "update shows",
    Growing: "the state",
    Forgetful: "goes on otherwise",
    Unclear: "luck has no unit",
}


@pytest.mark.usefixtures("as_users_have_it")
@pytest.mark.parametrize("kind", PLANTED)
def test_the_check_can_fail(kind: type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert PLANTED[kind] in breaches(kind(), tmp_path / "run", monkeypatch)[0]
