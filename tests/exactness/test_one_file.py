"""examples/ppo_in_one_file.py gives the library's update, in Gymnasium's CartPole, and learns."""

import ast
from pathlib import Path

import equinox as eqx
import gymnasium
import jax
import jax.numpy as jnp
import numpy as np

from examples import ppo_in_one_file as one_file
from logpi import Adam, GAE, PPO, spaces
from logpi.algorithms import Spec
from logpi.learners.steps import random_order
from logpi.models import make_actor_critic
from logpi.trajectory import Trajectory
from tests.weights import filled

STREAMS, TIME, UPDATES = 4, 24, 5
SPEC = Spec(spaces.Box((4,)), spaces.Discrete(2), STREAMS, TIME)
NAMES = ("reward", "terminated", "truncated", "valid")


def test_it_imports_nothing_but_jax():
    tree = ast.parse(Path(one_file.__file__).read_text(encoding="utf-8"))
    nodes = [node for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))]
    names = {a.name for node in nodes if isinstance(node, ast.Import) for a in node.names}
    assert names == {"jax", "jax.numpy"} and not any(isinstance(node, ast.ImportFrom) for node in nodes)


def any_rows() -> dict[str, np.ndarray]:
    """Rows of random numbers with every kind of end, whose stored log-probabilities are not the model's own."""
    random = np.random.default_rng(0)
    kind = random.choice(4, (STREAMS, TIME), p=[0.7, 0.12, 0.12, 0.06])
    for time in range(1, TIME):
        kind[:, time] *= kind[:, time - 1] == 0  # the row after an end only resets
    kind[:, -1] = [0, 1, 2, 0]
    kind[:, -2] = 0
    over = np.pad(kind > 0, ((0, 0), (1, 0)))[:, :-1]
    return {
        "obs": random.normal(size=(STREAMS, TIME, 4)).astype(np.float32),
        "last_obs": random.normal(size=(STREAMS, 4)).astype(np.float32),
        "action": random.integers(0, 2, (STREAMS, TIME)).astype(np.int32),
        "log_prob": np.log(random.uniform(0.3, 0.8, (STREAMS, TIME))).astype(np.float32),
        "reward": np.where(over, 0, random.normal(1, 1, (STREAMS, TIME))).astype(np.float32),
        "terminated": kind % 2 == 1,
        "truncated": kind >= 2,
        "valid": ~over,
    }


def as_trajectory(rows: dict) -> Trajectory:
    start = jnp.roll(~rows["valid"], 1, axis=1).at[:, 0].set(True)
    nowhere = jnp.zeros(STREAMS, bool)
    named = {name: rows[name] for name in ("obs", "action", "log_prob", "last_obs", *NAMES)}
    return Trajectory(**named, start=start, last_start=nowhere, memory=())


def as_params(model) -> dict:
    return {name: [(layer.weight, layer.bias) for layer in getattr(model, name).layers] for name in ("actor", "critic")}


def test_its_update_is_the_librarys():
    """Two updates of 16 steps each, the second at a lower rate, from the same rows in the same order."""
    algorithm = PPO(
        Adam(one_file.LEARNING_RATE, anneal=1.0, max_grad_norm=one_file.MAX_GRAD_NORM),
        GAE(one_file.GAMMA, one_file.LAM),
        clip=one_file.CLIP,
        value_coef=one_file.VALUE_COEF,
        entropy_coef=one_file.ENTROPY_COEF,
        num_epochs=one_file.EPOCHS,
        num_minibatches=one_file.MINIBATCHES,
    )
    rows = {name: jnp.asarray(x) for name, x in any_rows().items()}
    model = filled(make_actor_critic, spaces.Box((4,)), spaces.Discrete(2))
    state, params, adam_state = algorithm.init(model, SPEC, UPDATES, jax.random.key(0)), as_params(model), None
    library_update, its_update = eqx.filter_jit(algorithm.update), jax.jit(one_file.update)
    adam_state = one_file.init_adam(params)
    for i in range(2):
        key = jax.random.key(i)
        state, info = library_update(state, as_trajectory(rows), key)
        assert 0.05 < info["clipped"] < 0.95  # both sides of the clip are tried
        orders = jnp.stack([random_order(k, STREAMS * TIME) for k in jax.random.split(key, one_file.EPOCHS)])
        rate = one_file.LEARNING_RATE * (1 - i / UPDATES)
        params, adam_state = its_update(params, adam_state, rows, orders, rate)
        for mine, right in zip(jax.tree.leaves(params), jax.tree.leaves(as_params(state.model)), strict=True):
            np.testing.assert_allclose(mine, right, atol=1e-5)
    moved = jax.tree.map(lambda a, b: float(jnp.abs(a - b).max()), params, as_params(model))
    assert min(jax.tree.leaves(moved)) > 1e-2


def test_its_environment_is_gymnasiums():
    theirs = gymnasium.make("CartPole-v1").unwrapped
    theirs.reset(seed=0)
    step, key = jax.jit(one_file.step), jax.random.key(0)
    state = jnp.asarray(theirs.state, jnp.float32), jnp.asarray(0), jnp.asarray(False)
    for time in range(1, 200):
        action = int(theirs.state[2] + theirs.state[3] > 0) if time < 100 else 1
        obs, reward, terminated, _, _ = theirs.step(action)
        state, row = step(state, jnp.asarray(action), key)
        np.testing.assert_allclose(state[0], obs, rtol=1e-3, atol=1e-4)
        assert (float(row["reward"]), bool(row["terminated"]), int(row["time"])) == (reward, terminated, time)
        if terminated:
            break
    assert terminated and time > 100


def test_its_interaction_resets_in_a_row_of_its_own():
    params, key = jax.jit(one_file.init)(jax.random.key(0)), jax.random.key(1)
    first = one_file.reset(jax.random.key(2))
    near_the_limit = first[0], jnp.asarray(497), first[2]
    state, rows = jax.jit(one_file.collect)(params, near_the_limit, key)
    rows = {name: np.asarray(x) for name, x in rows.items()}
    ended = rows["terminated"] | rows["truncated"]
    assert list(np.flatnonzero(rows["truncated"])) == [2]  # the 500th step
    assert not rows["terminated"][2] and ended.sum() > 2  # later episodes fall
    np.testing.assert_array_equal(rows["valid"][1:], ~ended[:-1])
    assert (rows["reward"] == rows["valid"]).all()
    first_rows = np.flatnonzero(~rows["valid"]) + 1  # after a reset: a new episode, near the middle, at time 1
    first_rows = first_rows[first_rows < len(ended)]
    assert (np.abs(rows["obs"][first_rows]) <= 0.05).all() and (rows["time"][first_rows] == 1).all()
    fallen = np.flatnonzero(rows["terminated"]) + 1
    fallen = fallen[fallen < len(ended)]
    limits = [2.4, 12 * np.pi / 180]
    assert (np.abs(rows["obs"][fallen][:, [0, 2]]) > limits).any(1).all()  # what the last action led to
    right, _ = jax.jit(jax.vmap(one_file.model, (None, 0)))(params, rows["obs"])
    np.testing.assert_allclose(rows["log_prob"], np.take_along_axis(right, rows["action"][:, None], 1)[:, 0], rtol=1e-5)
    np.testing.assert_array_equal(rows["last_obs"], state[0])


def test_it_learns(capsys):
    """A few updates; `python examples/ppo_in_one_file.py` makes 75 and reaches 500."""
    _, mean_return = one_file.train(updates=15)
    assert float(mean_return) > 100  # from 22 by chance
    assert len(capsys.readouterr().out.splitlines()) == 3
