"""The sources of bias of an algorithm, each switched on alone: what the expected update then is."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ...algorithms import Spec
from ...errors import InputError
from ...trajectory import Trajectory
from ..alignment import align, Alignment
from ..problems import AbstractProblem
from .exact_update import ExactUpdate, RowObjective, traced
from .monte_carlo_update import align_monte_carlo, monte_carlo_updates, MonteCarloUpdates, RecordingOptimiser

NUM_UPDATES = 1000
SWITCHED = {"num_epochs", "num_minibatches", "clip"}  # settings whose bias is asked for one after the other
MOVED = 0.01  # nats that an update of several epochs moves the policy by, where its bias is asked for


def settings_of(thing: Any) -> set[str]:
    """The names of an algorithm's or a credit's settings."""
    return {field.name for field in dataclasses.fields(thing)}


def with_settings(thing: Any, **values: Any) -> Any:
    """The same with other settings, as far as it has them."""
    return dataclasses.replace(thing, **{k: v for k, v in values.items() if k in settings_of(thing)})


def exact_update_of(algorithm: Any, problem: AbstractProblem, **values: Any) -> ExactUpdate:
    """The algorithm's objective on a problem with settings that are exact, but for those given."""
    exact = with_settings(algorithm, **({"entropy_coef": 0.0} | values))
    credit = with_settings(algorithm.credit, gamma=problem.gamma)
    return ExactUpdate(problem, RowObjective(traced(exact).objective), credit)


def exact_sources(
    case: ExactUpdate, *, bonus: RowObjective | None = None, entropy: float = 0.0, own: Any = None
) -> list[Alignment]:
    """What needs no draws: the exact update, and the sources that act row by row.

    `bonus` is the objective with its entropy bonus, of size `entropy`; `own` is a credit with another discount.
    """
    found = []

    def add(source: str, meaning: str, **how: Any) -> None:
        update = case.expected(**how)
        found.append(align(f"{case.problem.name}: {source}", update, case.truth, meaning=meaning))

    steps = np.asarray(case.streams.trajectory.valid).sum(axis=1).max()
    add("exact", "exact critic, discounted states, nothing else")
    if steps > 1 and case.problem.gamma < 1:
        add("states not discounted", "each row counts 1, not gamma^t", plain=True)
    if steps > 1:
        add("wrong critic", f"with {name_of(case.credit)}", critic="wrong")
    if "of the observation" in case.critics:
        add("critic of the observation", "the mean value of the states that look alike", critic="of the observation")
    if case.problem.check == "truncation":
        add("truncation as termination", "a mistake, to compare", trajectory=_as_terminated(case))
    if own is not None:
        add("own discount", f"{own.gamma}, where the task has {case.problem.gamma}", credit=own)
    if bonus is not None:
        add("entropy bonus", f"{entropy} times the entropy of each state's policy", objective=bonus)
    return found


def name_of(thing: Any) -> str:
    """What to call an object: a function's name, or a class's with all of its settings."""
    if not dataclasses.is_dataclass(thing):
        return str(getattr(thing, "__name__", type(thing).__name__))
    values = ", ".join(f"{field.name}={getattr(thing, field.name)}" for field in dataclasses.fields(thing))
    return f"{type(thing).__name__}({values})"


def entropy_of(algorithm: Any) -> float:
    """The coefficient of its entropy bonus; 0 where it has none."""
    return float(algorithm.entropy_coef) if "entropy_coef" in settings_of(algorithm) else 0.0


def _as_terminated(case: ExactUpdate) -> Trajectory:
    t = case.streams.trajectory
    return dataclasses.replace(t, terminated=t.terminated | t.truncated, truncated=jnp.zeros_like(t.truncated))


def monte_carlo_sources(
    algorithm: Any, problem: AbstractProblem, key: Any, own: Any = None
) -> tuple[list[Alignment], dict[str, tuple[Alignment, float]]]:
    """What couples the rows of a batch, or comes after the first step.

    Returns the alignments and, of the update as it is, those that must go uphill by the key of their check, each with
    the standard error of its cosine: `uphill`, which is there only if the optimiser is given the policy's gradient, and
    `uphill_step`. Where each source adds to those before it, gamma is 1, so that states that are not discounted are no
    source.
    """
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key)).tolist())
    found, uphill = [], {}

    def add(
        drawn: tuple[MonteCarloUpdates, np.ndarray, np.ndarray], source: str, meaning: str, step: bool = False
    ) -> tuple[Alignment, float]:
        each, mean, truth = drawn
        update = each.step if step else each.update
        rows = np.asarray(each.rows)
        row, error = align_monte_carlo(f"{problem.name}: {source}", np.asarray(update), rows, mean, truth, meaning)
        found.append(row)
        return row, error

    if settings_of(algorithm) >= SWITCHED:
        for source, meaning, drawn in _steps_to_the_whole(algorithm, _undiscounted(problem), rng, key):
            add(drawn, source, meaning)
    size = episodes_of(algorithm)
    whole = _monte_carlo(algorithm, problem, rng, key, critic="wrong", credit=own)
    if np.any(whole[0].update) or not np.any(whole[0].step):
        uphill["uphill"] = add(whole, "as it is", f"gradients of updates on {size} episodes, wrong critic")
        source, by = "optimiser's step", type(algorithm.optimiser).__name__
    else:  # the policy moves by other means
        source, by = "whole step", f"{type(algorithm).__name__} on {size} episodes, wrong critic"
    uphill["uphill_step"] = add(whole, f"as it is, {source}", f"the change of the parameters by {by}", True)
    return found, uphill


def _undiscounted(problem: AbstractProblem) -> AbstractProblem:
    """The problem without its discount, where its returns are finite without."""
    try:
        return with_settings(problem, gamma=1.0)
    except InputError:
        return problem


def _steps_to_the_whole(algorithm: Any, problem: AbstractProblem, rng: np.random.Generator, key: Any):
    """The update with standardised advantages; then with later epochs; then with the clip. One program serves all."""
    open_ended = with_settings(algorithm, entropy_coef=0.0, target_kl=float("inf"), clip=float("inf"))
    size, epochs = episodes_of(algorithm), algorithm.num_epochs
    meaning = f"in {algorithm.num_minibatches} minibatches of {size} episodes, gamma {problem.gamma:g}"
    yield "standardised", meaning, _monte_carlo(open_ended, problem, rng, key, factor=0.0)
    trial = _monte_carlo(open_ended, problem, rng, key)[0]
    factor = float(np.sqrt(MOVED / max(float(np.mean(trial.kl)), 1e-12)))
    meaning = f"the same, steps that move it by {MOVED} nats"
    yield f"and {epochs} epochs", meaning, _monte_carlo(open_ended, problem, rng, key, factor=factor)
    clipped = with_settings(open_ended, clip=algorithm.clip)
    yield "and clipped", f"the same, clip {algorithm.clip}", _monte_carlo(clipped, problem, rng, key, factor=factor)


def episodes_of(algorithm: Any) -> int:
    """How many episodes an update is drawn from: 16, or what splits into the minibatches."""
    parts = algorithm.num_minibatches if "num_minibatches" in settings_of(algorithm) else 1
    return parts * -(-16 // parts)


def _monte_carlo(
    algorithm: Any,
    problem: AbstractProblem,
    rng: np.random.Generator,
    key: Any,
    *,
    critic: str = "exact",
    factor: float = 1.0,
    credit: Any = None,
) -> tuple[MonteCarloUpdates, np.ndarray, np.ndarray]:
    """Many updates, the exact mean of their rows, and the true gradient."""
    entropy = entropy_of(algorithm)
    case = exact_update_of(algorithm, problem, entropy_coef=entropy)
    case = case if credit is None else dataclasses.replace(case, credit=credit)
    model, size = case.critics[critic], episodes_of(algorithm)
    flat = problem.draw(rng, NUM_UPDATES * size)
    trajectories = jax.tree.map(lambda x: x.reshape(NUM_UPDATES, size, *x.shape[1:]), flat)
    spec = Spec(problem.obs_space, problem.action_space, size, flat.reward.shape[1])
    ready = with_settings(algorithm, credit=case.credit)
    if "optimiser" in settings_of(algorithm):
        ready = with_settings(ready, optimiser=RecordingOptimiser(algorithm.optimiser, jnp.asarray(factor, float)))
    ready = traced(ready)
    drawn = monte_carlo_updates(ready, case.objective, model, trajectories, spec, jax.random.split(key, NUM_UPDATES))
    return jax.tree.map(np.asarray, drawn), case.expected(critic=critic, plain=True), case.truth


def has_credit(algorithm: Any) -> bool:
    """Whether an algorithm makes advantages of rewards by a part that can be replaced, for an objective over rows."""
    return "credit" in settings_of(algorithm) and callable(getattr(algorithm, "objective", None))  # anybody's
