"""The same seed gives the same run, bit for bit: again, among other seeds, and however the iterations are grouped."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logpi import Adam, Network, PPO, RewardScaling, Settings, train
from logpi.models import make_actor_critic
from logpi.rollout import CompiledRollout
from logpi.training.loop import Trainer, with_traced_numbers
from logpi.training.placement import make_loop
from tests.exactness.worlds import Luck

# Everything that draws or remembers: minibatches, a stop, schedules, both kinds of statistics, memory.
SETTINGS = Settings(
    PPO(Adam(3e-3, anneal=1.0), num_epochs=2, num_minibatches=2, target_kl=0.01, entropy_coef=0.01, segment_length=8),
    steps=4 * 16 * 6,
    num_envs=4,
    rollout_length=16,
    network=Network(memory="gru", width=4, normalize_observations=True),
    reward_scaling=RewardScaling(),
)


def run(**seeds):
    """The parameters of each seed's policy, and its metrics."""
    done = train(Luck(), settings=SETTINGS, **seeds)
    rows = {seed: [row for row in done.history if row["seed"] == seed] for seed in done.seeds}
    models = dict(zip(done.seeds, (eqx.filter(model, eqx.is_array) for model in done.models), strict=True))
    return models, rows


def equal(first, second) -> bool:
    """Whether all arrays of two trees are the same to the last bit."""
    pairs = zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True)
    return all(np.array_equal(_bytes(a), _bytes(b)) for a, b in pairs)


def _bytes(x) -> np.ndarray:
    plain = jax.random.key_data(x) if jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key) else x
    return np.frombuffer(np.asarray(plain).tobytes(), np.uint8)


@pytest.fixture(scope="module")
def runs():
    """Seed 3 alone, and again among others."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOGPI_CACHE", "")  # no compiled program is shared between the two
        return run(seed=3), run(seeds=[2, 3])


def test_a_seed_gives_the_same_run_again_and_among_others(runs):
    (alone, alone_rows), (among, among_rows) = runs
    assert len(alone_rows[3]) == 6
    assert alone_rows[3] == among_rows[3]
    assert equal(alone[3], among[3])


def test_another_seed_gives_another_run(runs):
    _, (models, rows) = runs
    assert not equal(models[2], models[3])
    assert rows[2][0]["entropy"] != rows[3][0]["entropy"]


def test_learning_happened(runs):
    """Else equality shows little: parameters moved, statistics grew, and the passes over a rollout were cut short."""
    (models, rows), _ = runs
    assert models[3].normalizer.count > 100
    assert all(row["gradient_norm"] > 0 for row in rows[3])
    assert len({row["kl"] for row in rows[3]}) == 6


def test_the_grouping_of_iterations_changes_nothing():
    trainer = with_traced_numbers(
        Trainer(SETTINGS.algorithm, CompiledRollout(Luck(), 4, 16), SETTINGS.reward_transform)
    )
    space, action_space = Luck().obs_space, Luck().action_space
    model = make_actor_critic(space, action_space, SETTINGS.network, key=jax.random.key(0))
    start = trainer.init(model, 6, jax.random.key(1))
    loop = make_loop(trainer, start)
    at_once, all_metrics, *_ = loop.advance(jax.tree.map(jnp.copy, start), 6)  # a state can be gone on from once
    state, parts = jax.tree.map(jnp.copy, start), []
    for count in (1, 3, 2):
        state, metrics, *_ = loop.advance(state, count)
        parts.append(metrics)
    assert equal(at_once, state)
    assert equal(all_metrics, jax.tree.map(lambda *columns: np.concatenate(columns), *parts))
    assert not equal(at_once, start)
