"""A warm start climbs the mean score of somebody's actions, and any algorithm goes on from there."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import equinox as eqx
import gymnasium as gym
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import logpi
from logpi import InputError, PPO, REINFORCE, spaces, WarmStart
from logpi.algorithms import Spec
from logpi.cli.main import main
from logpi.distributions import Categorical
from logpi.learners import Adam, gradient, SGD
from logpi.models import AbstractPolicy, Network, WithoutCritic
from logpi.progress.console import warm_start_line
from logpi.progress.events import Event, WarmStarted
from logpi.rollout.make import make_rollout
from logpi.runs.checkpoints import listed
from logpi.runs.folder import write_config
from logpi.runs.run import read_config
from logpi.spaces.actions import ACTION_MAPS, as_drawn
from logpi.spaces.membership import corners, draw
from logpi.training.warm_start import (
    cloned,
    cloning_objective,
    DemonstratedRows,
    MARGIN,
    warm_starting,
    WarmStarting,
)
from tests.training.test_resume import files, Recorder, rewound

SMALL = {"num_envs": 2, "rollout_length": 8, "steps": 64, "width": 8, "depth": 1}  # four updates
CARTPOLE = spaces.Box((4,)), spaces.Discrete(2)


def ruled(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Random states of a cart and its pole, and a rule that balances it."""
    obs = np.random.default_rng(seed).normal(0, (0.5, 0.5, 0.05, 0.5), (count, 4)).astype(np.float32)
    return obs, (obs[:, 2] + 0.5 * obs[:, 3] > 0).astype(np.int64)


@pytest.fixture(scope="module")
def demos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("demos") / "demos.npz"
    obs, action = ruled(400)
    np.savez(path, observations=obs, actions=action)
    return path


class Table(AbstractPolicy):
    """A row of logits for each state."""

    logits: Any

    def initial_memory(self) -> Any:
        return ()

    def __call__(self, obs: Any, memory: Any) -> tuple[Categorical, Any]:
        return Categorical(self.logits[obs]), memory


def counted(counts: np.ndarray, dtype: Any = jnp.float32) -> DemonstratedRows:
    """Rows that hold each action (column) of each state (row) so many times."""
    state, action = (np.repeat(index.reshape(-1), counts.reshape(-1)) for index in np.indices(counts.shape))
    weight = jnp.ones(state.size, dtype)
    return DemonstratedRows(jnp.asarray(state, jnp.int32), jnp.asarray(action, jnp.int32), weight)


COUNTS = np.array([[5, 3, 2], [1, 1, 8]])


def test_the_gradient_is_that_of_the_mean_log_probability() -> None:
    """To 64 bits: of JAX, of the log-softmax itself; and by hand, the counts less what the policy expects of them."""
    with jax.enable_x64(True):
        logits, rows = jnp.asarray(np.random.default_rng(0).normal(size=(2, 3))), counted(COUNTS, jnp.float64)
        found, _ = gradient(
            lambda table, batch: cloning_objective(lambda table: table, table, batch), Table(logits), rows
        )

        def mean(logits):
            return jnp.mean(jax.nn.log_softmax(logits)[rows.obs, rows.action])

        expected = (COUNTS - COUNTS.sum(1, keepdims=True) * np.asarray(jax.nn.softmax(logits))) / COUNTS.sum()
        for right in (jax.grad(mean)(logits), expected):
            np.testing.assert_allclose(found.logits, right, rtol=0, atol=1e-12)


def test_a_table_becomes_the_frequencies() -> None:
    """The cross-entropy is least there: in whole batches, the last of which is filled up, they are reached."""
    found = cloned(
        REINFORCE(), WithoutCritic(Table(jnp.zeros((2, 3)))), counted(COUNTS), SGD(0.5, anneal=0.5), num_epochs=400,
        batch_size=20, num_held_out=0, key=jax.random.key(0),
    )  # fmt: skip
    np.testing.assert_allclose(
        jax.nn.softmax(found.networks.policy.logits), COUNTS / COUNTS.sum(1, keepdims=True), atol=1e-3
    )
    assert found.impossible == -1 and found.after.size == 0


def test_rows_that_fill_a_batch_count_for_nothing() -> None:
    """Three rows in batches of two: one of two steps is by a row alone, whatever fills its batch."""
    start, how = WithoutCritic(Table(jnp.zeros((1, 2)))), {"batch_size": 2, "num_epochs": 1, "num_held_out": 0}

    def moved(key: int) -> np.ndarray:
        found = cloned(REINFORCE(), start, counted(np.array([[1, 2]])), SGD(0.25), key=jax.random.key(key), **how)
        return np.asarray(found.networks.policy.logits)[0]

    def by_hand(*batches: tuple[int, ...]) -> np.ndarray:
        logits = np.zeros(2)
        for batch in batches:
            chances = np.exp(logits) / np.exp(logits).sum()
            logits = logits + 0.25 * np.mean([np.eye(2)[action] - chances for action in batch], 0)
        return logits

    orders = [by_hand((0, 1), (1,)), by_hand((1, 1), (0,)), by_hand((1,), (0, 1)), by_hand((0,), (1, 1))]
    away = np.array([[np.abs(moved(key) - order).max() for order in orders] for key in range(8)])
    assert away.min(1).max() < 1e-6 and len(set(away.argmin(1))) > 1


def test_cartpole_is_balanced_before_any_training(tmp_path: Path) -> None:
    """By 2,000 rows of a rule. The policy of no data earns about 20."""
    heard: list[Event] = []
    run = logpi.train(
        "CartPole-v1", warm_start=ruled(2000), steps=16, num_envs=1, rollout_length=16,
        evaluate_every=logpi.EvaluationPlan(1, episodes=8), callbacks=heard.append, num_minibatches=1, num_epochs=1,
    )  # fmt: skip
    first = run.evaluations[0]
    assert first["iteration"] == 0 and first["return_mean"] > 150
    (row,) = run.warm_started
    assert row["rows"] == 1800 and row["held_out"] == 200 and row["epochs"] == 20
    assert row["before"] == pytest.approx(-np.log(2), abs=0.05)
    assert row["after"] - 4 * row["error"] > row["before"] and row["after"] < 0
    (told,) = [event for event in heard if isinstance(event, WarmStarted)]
    assert told.rows == [row] and told.seconds > 0


def test_it_is_resumed_bit_for_bit_and_needs_the_data_no_more(demos: Path, tmp_path: Path) -> None:
    data, folder = Path(shutil.copy(demos, tmp_path / "mine.npz")), tmp_path / "run"
    changes = {"normalize_observations": True, "seeds": 2, "checkpoint_every": 2} | SMALL
    run = logpi.train("CartPole-v1", warm_start=data, out=folder, **changes)
    whole, told = files(folder), run.warm_started
    assert [row["seed"] for row in told] == [0, 1] and told[0]["after"] != told[1]["after"]

    # Killed before the first checkpoint it begins anew, from the data; just after it, from the checkpoint alone.
    shutil.rmtree(folder / "checkpoints")
    rewound(folder, -1)
    logpi.resume(folder)
    assert files(folder) == whole and len(whole) == 3 and [int(p.name) for p in listed(folder / "checkpoints")][-1] == 0
    data.unlink()
    again = logpi.resume(rewound(folder, 0))
    assert files(folder) == whole and again.warm_started == logpi.load(folder).warm_started == told

    # Without a checkpoint it needs them, and knows others by their checksum.
    shutil.rmtree(folder / "checkpoints")
    with pytest.raises(InputError, match=r"warm_start is .*mine.npz, which is no file"):
        logpi.resume(rewound(folder, -1))
    obs, action = ruled(400)
    np.savez(data, observations=obs, actions=1 - action)
    with pytest.raises(InputError, match=r"its rows are others than those that the run began from \(SHA-256"):
        logpi.resume(folder)

    # A seed alone is what it is beside others.
    np.savez(data, observations=obs, actions=action)
    alone = logpi.train("CartPole-v1", warm_start=data, seed=1, **changes | {"seeds": None})
    for mine, theirs in zip(jax.tree.leaves(alone.models[0]), jax.tree.leaves(run.models[1]), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_arrays_are_known_by_their_checksum(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    run = logpi.train("gymnasium:CartPole-v1", warm_start=WarmStart(ruled(100), epochs=1), out=folder, **SMALL)
    kept = json.loads((folder / "config.json").read_text())["settings"]["warm_start"]
    assert kept["data"] == "arrays" and kept["sha256"] == WarmStart(ruled(100)).sha256 != WarmStart(ruled(99)).sha256
    assert logpi.load(folder).settings == run.settings and "rows" not in kept
    logpi.resume(rewound(folder, 0))  # on the host too
    given = run.settings.with_(warm_start=WarmStart(ruled(100), epochs=1))
    shutil.rmtree(folder / "checkpoints")
    with pytest.raises(InputError, match="given as arrays, of which a run keeps the checksum alone"):
        logpi.resume(rewound(folder, -1))
    recorder = Recorder()
    logpi.resume(folder, settings=given, callbacks=recorder)
    assert any("begins anew" in sentence for sentence in recorder.warnings)


def clone(algorithm: Any, obs_space: Any, action_space: Any, rows: DemonstratedRows, **network: Any) -> tuple[Any, Any]:
    """Networks as an algorithm builds them, before and after a warm start."""
    spec = Spec(obs_space, action_space, 4, 8)
    made = algorithm.build(spec, Network(width=8, depth=1, **network), jax.random.key(0))
    how = {"num_epochs": 3, "batch_size": 16, "num_held_out": 10, "key": jax.random.key(1)}
    return made, cloned(algorithm, made, rows, Adam(0.01), **how).networks


def in_rows(obs: Any, action: Any) -> DemonstratedRows:
    return DemonstratedRows(jnp.asarray(obs), jnp.asarray(action, jnp.int32), jnp.ones(len(action)))


@pytest.mark.parametrize(
    ("algorithm", "still"),
    [
        (PPO(), lambda networks: networks.model.critic),
        (logpi.SAC(), lambda networks: (networks.critics, networks.beside)),
        (logpi.PGPE(), lambda networks: ()),
    ],
    ids=["ppo", "sac", "pgpe"],
)
def test_the_policy_moves_and_critics_stay(algorithm: Any, still: Callable[[Any], Any]) -> None:
    """And the normaliser has seen what was learned from, and nothing else."""
    obs, action = ruled(60)
    before, after = clone(algorithm, *CARTPOLE, in_rows(obs * 3 + 1, action), normalize_observations=True)
    for mine, theirs in zip(*(jax.tree.leaves(still(networks)) for networks in (before, after)), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    actor = logpi.models.with_chance(algorithm.policy(after))
    assert actor.normalizer.count == 50
    assert np.abs(np.asarray(actor.normalizer.mean) - np.mean(obs * 3 + 1, 0)).max() < 0.5
    moved = eqx.filter((before, after), eqx.is_inexact_array)
    assert any(not np.array_equal(a, b) for a, b in zip(*map(jax.tree.leaves, moved), strict=True))


NESTED = spaces.Dict(
    (
        ("choice", spaces.Discrete(3, start=5)),
        ("coins", spaces.MultiBinary((2, 2))),
        ("far", spaces.Box((2,), (0.0, -50.0), (100.0, 50.0))),
        ("near", spaces.Box((2,), -1.0, 1.0)),
        ("several", spaces.Tuple((spaces.MultiDiscrete((2, 3), starts=(1, 0), shape=(2, 1)), spaces.Discrete(2)))),
        ("whole", spaces.Box((2,), 0, 9, "int32")),
    )
)


@pytest.mark.parametrize("actions", ACTION_MAPS)
def test_the_way_back_of_an_action(actions: str) -> None:
    """What it leads to leads to the action again, for every kind of space, along any axes."""
    rng = np.random.default_rng(0)
    drawn = [draw(NESTED, rng) for _ in range(20)] + corners(NESTED)
    rows = jax.tree.map(lambda *x: np.stack(x), *drawn)
    back = as_drawn(NESTED, actions, rows)
    again = ACTION_MAPS[actions](NESTED, back)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5), again, rows)
    assert back["choice"].min() == 0 and back["several"][0].shape == (len(drawn), 2)
    if actions != "clip":
        assert np.abs(back["far"]).max() == 1


def warmed(env: str, data: Any, algorithm: str = "ppo", **changes: Any) -> tuple[Any, WarmStarting]:
    """Networks after a warm start, and what it showed, without the training that would follow."""
    settings = logpi.preset(env, algorithm).with_(**SMALL | {"num_envs": 4} | changes, warm_start=data)
    rollout = make_rollout(logpi.envs.resolve(env), 4, 8, ACTION_MAPS[settings.way_of_actions])
    warming = warm_starting(settings, settings.warm_start, rollout, own=False)
    networks = settings.algorithm.build(Spec.of(rollout), settings.network, jax.random.key(0))
    return warming(networks, jax.random.key(1)), warming


@pytest.mark.parametrize("distribution", ["normal", "tanh_normal"])
def test_every_kind_of_action_at_once(distribution: str) -> None:
    """Actions of several parts, at the very bounds, where a tanh-normal has no density: they become likelier."""
    rng, env = np.random.default_rng(0), "probe:identity-mixed"
    source = logpi.envs.resolve(env)
    obs = [draw(source.obs_space, rng) for _ in range(300)]
    action = [corners(source.action_space)[i % 3] for i in range(300)]
    data = tuple(jax.tree.map(lambda *x: np.stack(x), *each) for each in (obs, action))
    _, warming = warmed(env, data, action_distribution=distribution)
    (row,) = warming.shown
    assert np.isfinite(row["after"]) and row["after"] > row["before"]
    numbers = [x for x in jax.tree.leaves(warming.rows.action) if x.dtype == jnp.float32]
    bounds = {float(jnp.max(jnp.abs(x))) for x in numbers}
    assert numbers and bounds == ({np.float32(1 - MARGIN)} if distribution == "tanh_normal" else bounds)


def bad(**changes: Any) -> dict[str, Any]:
    obs, action = ruled(20)
    return {"observations": obs, "actions": action} | changes


def with_entry(array: np.ndarray, at: Any, value: Any) -> np.ndarray:
    array = array.copy()
    array[at] = value
    return array


OBS, ACTION = ruled(20)
REFUSED: dict[str, tuple[Any, str]] = {
    "a number": (3, r"warm_start is 3, but it must be an .npz file, minari:NAME, or arrays"),
    "observations alone": ({"observations": OBS}, r"give \(observations, actions\)"),
    "pickled objects": (bad(actions=np.array([None] * 20)), "actions that are no array of numbers"),
    "rows of several lengths": (([[1.0], [1.0, 2.0]], [0, 1]), "observations that are no array of numbers"),
    "an action less": (bad(actions=ACTION[:19]), r"has 20 observations and 19 actions"),
    "no rows": ((OBS[:0], ACTION[:0]), "has no rows"),
    "two rows": ((OBS[:2], ACTION[:2]), r"has 2 rows, of which 2 are to be held out"),
    "rows of another environment": (
        bad(observations=OBS[:, :3]),
        r"row 0 has an observation of shape \(3,\), but .* \(4,\)",
    ),
    "an axis too many": (bad(actions=ACTION[:, None]), r"row 0 has an action of shape \(1,\), but its space has \(\)"),
    "a choice that there is not": (
        bad(actions=with_entry(ACTION, 7, 2)),
        r"row 7 has an action of 2, which is not in Discrete\(2\)",
    ),
    "half a choice": (bad(actions=with_entry(ACTION * 1.0, 3, 0.5)), r"row 3 has an action of 0.5, which is not in"),
    "an observation of NaN": (
        bad(observations=with_entry(OBS, (4, 1), np.nan)),
        r"row 4 has an observation with nan in it",
    ),
    "parts that there are not": (bad(observations={"a": OBS}), r"row 0 has an observation of .*no array of numbers"),
    "no file": (Path("nowhere.npz"), r"nowhere.npz, which is no file: give an .npz file"),
    "a name of two lines": ("a\nb.npz", "must be on one line"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_begun_from_is_refused(case: str, tmp_path: Path) -> None:
    data, sentence = REFUSED[case]
    with pytest.raises(InputError, match=sentence) as caught:
        logpi.train("CartPole-v1", warm_start=data, out=tmp_path / "run", **SMALL)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 700 and str(caught.value).endswith(".")
    assert not (tmp_path / "run" / "config.json").exists()


def test_an_action_beyond_the_bounds_is_refused() -> None:
    data = np.zeros((9, 3)), with_entry(np.zeros((9, 1)), 5, 2.5)
    with pytest.raises(InputError, match=r"row 5 has an action of which entry 0 of it is 2.5, outside of -2 to 2"):
        logpi.train("Pendulum-v1", warm_start=data, **SMALL)


def one_array(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, OBS)


FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "no numbers": (lambda path: path.write_bytes(b"PK\x03\x04 no file"), "not readable as an .npz file"),
    "a text": (lambda path: path.write_text("obs,action\n"), "not readable as an .npz file"),
    "pickled": (lambda path: np.savez(path, observations=np.array([{}]), actions=ACTION), "not readable as an .npz"),
    "one array": (one_array, "which has no names"),
    "other names": (lambda path: np.savez(path, obs=OBS, acts=ACTION), "which has 'acts, obs', but it must have"),
}  # fmt: skip


@pytest.mark.parametrize("case", FILES)
def test_files_that_hold_no_rows_are_refused(case: str, tmp_path: Path) -> None:
    write, sentence = FILES[case]
    write(tmp_path / "demos.npz")
    with pytest.raises(InputError, match=sentence):
        WarmStart(tmp_path / "demos.npz").read()


def test_a_file_may_hold_parts_in_parts(tmp_path: Path) -> None:
    arrays = {"observations/a/x": OBS, "observations/a/y": OBS, "actions/1": ACTION, "actions/0": OBS[:, 0]}
    np.savez(tmp_path / "demos.npz", **arrays, terminations=ACTION)
    obs, action = WarmStart(tmp_path / "demos.npz").read().rows
    assert obs["a"].keys() == {"x", "y"} and len(action) == 2
    np.testing.assert_array_equal(action[1], ACTION)


@pytest.mark.parametrize(
    ("env", "changes", "sentence"),
    [
        ("Pendulum-v1", {"algorithm": "td3"}, "policy of TD3 is without chance and has none"),
        ("Pendulum-v1", {"algorithm": "es"}, "policy of ES is without chance and has none"),
        (
            "CartPole-v1",
            {"memory": "gru"},
            r"the policy remembers those before: leave its memory out \(--memory none\)",
        ),
    ],
)
def test_policies_that_cannot_be_cloned_are_refused(env: str, changes: dict[str, Any], sentence: str) -> None:
    data = ruled(20) if env == "CartPole-v1" else (np.zeros((20, 3)), np.zeros((20, 1)))
    with pytest.raises(InputError, match=sentence):
        logpi.train(env, warm_start=data, **SMALL | {"num_envs": 4} | changes)


def test_what_a_mask_forbids_is_refused() -> None:
    """By its row; the others are cloned."""
    action = np.arange(12) % 2
    mask = np.stack([action == 0, action == 1], axis=1).astype(np.int8)
    obs = {"action_mask": mask, "observation": np.zeros((12, 1), np.float32)}
    assert warmed("probe:blocked", (obs, action))[1].shown[0]["after"] == 0
    with pytest.raises(InputError, match="to whose row 8 the policy gives no probability"):
        warmed("probe:blocked", (obs | {"action_mask": with_entry(mask, 8, [0, 1])}, action))


def test_numbers_that_explode_are_refused() -> None:
    how = WarmStart((np.full((20, 3), 1e3), np.full((20, 1), 2.0)), epochs=9, optimiser=SGD(1e6))
    with pytest.raises(InputError, match="led to NaN or infinity: give its optimiser a smaller learning rate"):
        warmed("Pendulum-v1", how)


def test_what_is_learned_by_heart_is_told() -> None:
    """Actions that no rule made: of rows that were not seen they become less likely. Of a rule's, nothing is told."""
    rng = np.random.default_rng(0)
    data = rng.normal(size=(60, 3)).astype(np.float32), rng.uniform(-2, 2, (60, 1)).astype(np.float32)
    how = WarmStart(data, epochs=200, optimiser=Adam(0.01), holdout=0.5)
    _, warming = warmed("Pendulum-v1", how, action_distribution="state_dependent_normal")
    assert "made actions that it has not seen less likely" in warming.concern
    assert warmed("CartPole-v1", ruled(400))[1].concern == ""


def test_nothing_need_be_held_out() -> None:
    _, warming = warmed("CartPole-v1", WarmStart(ruled(50), holdout=0, epochs=2))
    (row,) = warming.of_seeds([3])
    assert row == {"seed": 3, "rows": 50, "epochs": 2, "held_out": 0, "before": None, "after": None, "error": None}
    assert warm_start_line([row]) == "warm start: 50 rows, 2 epochs" and warming.concern == ""


def test_several_seeds_have_one_line() -> None:
    """With an interval over them: Student's, of two, is 12.7 standard errors wide."""
    both = [{"rows": 9, "epochs": 1, "before": -1.0, "after": after, "error": 1.0} for after in (-0.5, -0.7)]
    assert warm_start_line(both).endswith("held-out log-probability of 2 seeds -1 -> -0.6 ± 1.3")


@pytest.mark.parametrize("wrong", [[3], [{"seed": 0}], [{}], 3])
def test_a_damaged_folder_is_known(wrong: Any, tmp_path: Path) -> None:
    write_config(tmp_path, logpi.Run("CartPole-v1", logpi.Settings(), (0,), (), *CARTPOLE, (), {}, {}).config())
    path = tmp_path / "config.json"
    assert read_config(tmp_path).warm_started == ()
    path.write_text(json.dumps(json.loads(path.read_text()) | {"warm_started": wrong}))
    with pytest.raises(InputError, match="for warm_started: the run folder is damaged"):
        read_config(tmp_path)


def test_its_numbers_are_its_own() -> None:
    """The learning rate of an algorithm is not that of its warm start."""
    settings = logpi.Settings(PPO()).with_(warm_start=(OBS, ACTION), learning_rate=0.1)
    assert settings.warm_start.optimiser.learning_rate == 1e-3 and settings.algorithm.optimiser.learning_rate == 0.1
    with pytest.raises(InputError, match=r"holdout is 2, but it must be between 0 and 0\.9"):
        WarmStart("demos.npz", holdout=2)


def test_the_command(demos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    quick = ["--steps", "64", "--envs", "2", "--rollout-length", "32", "--num-minibatches", "1", "--num-epochs", "1"]
    quick += ["--width", "8", "--evaluate-episodes", "0"]
    arguments = ["train", "CartPole-v1", "--warm-start", str(demos), *quick, "--out", str(tmp_path / "run")]
    assert main(arguments) == 0
    said = capsys.readouterr().err
    assert "warm start: 360 rows, 20 epochs" in said and "held-out log-probability -0.69" in said and " ± " in said
    assert f"--warm-start {demos}" in said
    assert main(["show", str(tmp_path / "run")]) == 0
    assert "warm start: 360 rows, 20 epochs; held-out log-probability -0.69" in capsys.readouterr().out
    again = ["train", "--from", str(tmp_path / "run"), "--evaluate-episodes", "0", "--out", str(tmp_path / "again")]
    assert main(again) == 0
    assert files(tmp_path / "again") == files(tmp_path / "run")
    capsys.readouterr()
    assert main(["train", "CartPole-v1", "--warm-start", str(tmp_path / "none.npz"), "--out", str(tmp_path / "x")]) == 2
    assert "logpi: --warm-start is " in capsys.readouterr().err


def test_data_of_minari(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A data set that is made here, read back: all its steps, without what follows the last of an episode."""
    minari = pytest.importorskip("minari")
    collector = pytest.importorskip("minari.data_collector")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    lengths, env = (5, 9, 30), gym.make("CartPole-v1")
    episodes = [(np.vstack([obs, obs[:1]]), action) for obs, action in map(ruled, lengths, range(3))]
    buffers = [
        collector.EpisodeBuffer(
            id=i, observations=list(obs), actions=list(action), rewards=[1.0] * len(action),
            terminations=[False] * len(action), truncations=[False] * (len(action) - 1) + [True],
        )
        for i, (obs, action) in enumerate(episodes)
    ]  # fmt: skip
    minari.create_dataset_from_buffers(
        "cartpole/rule-v0", buffers, env=env, eval_env=env, description="A rule.", algorithm_name="a rule",
        author="logpi", author_email="nobody", code_permalink="none",
    )  # fmt: skip
    env.close()
    found = WarmStart("minari:cartpole/rule-v0").read()
    np.testing.assert_array_equal(found.rows.obs, np.concatenate([obs[:-1] for obs, _ in episodes]))
    np.testing.assert_array_equal(found.rows.action, np.concatenate([action for _, action in episodes]))
    run = logpi.train("CartPole-v1", warm_start="minari:cartpole/rule-v0", **SMALL)
    assert run.settings.warm_start == WarmStart("minari:cartpole/rule-v0", sha256=found.sha256)
    with pytest.raises(InputError, match="minari:no/data-v0, which Minari cannot read"):
        WarmStart("minari:no/data-v0").read()
    with pytest.raises(InputError, match="row 0 has an observation of shape"):
        logpi.train("Acrobot-v1", warm_start="minari:cartpole/rule-v0", **SMALL)


def test_minari_is_asked_for_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "minari", None)
    with pytest.raises(InputError, match=r'needs Minari, which is not installed: pip install "logpi\[minari\]"'):
        WarmStart("minari:some/data-v0").read()
