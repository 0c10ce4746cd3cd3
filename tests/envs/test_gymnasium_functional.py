"""Gymnasium's twins in JAX against its originals, over many random steps from the same states."""

import dataclasses

import equinox as eqx
import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logpi.envs import resolve
from logpi.envs.adapters.functional import GymnasiumFunctional, phys2d, TWINS
from logpi.envs.sources import quiet
from logpi.errors import InputError

TRACES = []


@eqx.filter_jit
def traced_reset(env, key):
    """A reset that notes that it has been traced."""
    TRACES.append(env)
    return env.reset(key)


@pytest.mark.parametrize("id", TWINS)
def test_twins_agree_step_for_step(id: str) -> None:
    twin = phys2d(id)
    with quiet():  # version 0 is out of date
        original = gymnasium.make(id)
    step = jax.jit(twin.step)
    rng = np.random.default_rng(0)
    for episode in range(8):
        original.reset(seed=episode)
        for time in range(100):
            state = jnp.asarray(original.unwrapped.state, jnp.float32), jnp.asarray(time, jnp.int32)
            action = rng.integers(2) if id.startswith("C") else rng.uniform(-3, 3, 1).astype(np.float32)
            _, mine = step(jax.random.key(0), state, jnp.asarray(action))
            obs, reward, terminated, truncated, _ = original.step(action)
            np.testing.assert_allclose(mine.obs, obs, atol=1e-5)
            np.testing.assert_allclose(mine.reward, reward, atol=1e-4)
            assert bool(mine.terminated) == terminated and bool(mine.truncated) == truncated
            if terminated or truncated:
                break
    original.close()


@pytest.mark.parametrize("id", TWINS)
def test_the_time_limit_is_the_registered_one(id: str) -> None:
    twin, limit = phys2d(id), gymnasium.spec(id).max_episode_steps
    (state, _), _ = twin.reset(jax.random.key(0))
    step = jax.jit(twin.step)
    action = jnp.zeros(twin.action_space.shape) if id.startswith("P") else jnp.asarray(1)
    for before, expected in ((limit - 2, False), (limit - 1, True)):
        _, timestep = step(jax.random.key(0), (state, jnp.asarray(before)), action)
        assert bool(timestep.truncated) == expected and timestep.reward.dtype == jnp.float32
        assert timestep.terminated.dtype == timestep.truncated.dtype == jnp.bool_


def test_the_start_is_distributed_as_in_the_original() -> None:
    obs = jax.jit(jax.vmap(lambda key: phys2d("Pendulum-v1").reset(key)[1].obs))(
        jax.random.split(jax.random.key(0), 2000)
    )
    np.testing.assert_allclose(obs[:, 2].std(), 1 / np.sqrt(3), atol=0.03)
    np.testing.assert_allclose(obs[:, 0].mean(), 0, atol=0.06)
    obs = jax.jit(jax.vmap(lambda key: phys2d("CartPole-v1").reset(key)[1].obs))(
        jax.random.split(jax.random.key(0), 2000)
    )
    assert (jnp.abs(obs) <= 0.05).all() and (jnp.abs(obs).max(0) > 0.049).all()


def test_the_same_name_is_the_same_program() -> None:
    first, again = phys2d("CartPole-v1"), phys2d("CartPole-v1")
    assert first == again and hash(first) == hash(again)
    del TRACES[:]
    for env in (first, again, resolve("CartPole-v1").env, resolve("phys2d:CartPole-v1").env):
        traced_reset(env, jax.random.key(0))
    assert len(TRACES) == 1
    assert phys2d("CartPole-v0") != first and phys2d("CartPole-v1", gravity=1.0) != first


def test_options_are_the_twins_parameters() -> None:
    assert phys2d("Pendulum-v1", g=9.81).params.g == 9.81
    pole = phys2d("CartPole-v1", masspole=0.2, length=1.0).params
    assert (pole.polemass_length, round(pole.total_mass, 6)) == (0.2, 1.2)
    with pytest.raises(InputError, match=r"gravitty is no option .* its options are gravity"):
        phys2d("CartPole-v1", gravitty=1.0)


def test_a_function_environment_of_the_users_own() -> None:
    from gymnasium.experimental.functional import FuncEnv

    @dataclasses.dataclass(frozen=True)
    class Params:
        limit: int = 3

    class Count(FuncEnv):
        observation_space = gymnasium.spaces.Box(0, 10, (1,))
        action_space = gymnasium.spaces.Discrete(2)

        def initial(self, rng, params):
            return jnp.zeros(1)

        def transition(self, state, action, rng, params):
            return state + 1.0

        def observation(self, state, rng, params):
            return state

        def reward(self, state, action, next_state, rng, params):
            return next_state[0] - 10 * state[0]

        def terminal(self, state, rng, params):
            return state[0] >= params.limit

    env = GymnasiumFunctional(Count(), Params())
    state, _ = env.reset(jax.random.key(0))
    rewards, ends = [], []
    for _ in range(3):
        state, timestep = env.step(jax.random.key(0), state, jnp.asarray(1))
        rewards.append(timestep.reward.item())
        ends.append(timestep.terminated.item())
    assert rewards == [1.0, -8.0, -17.0] and ends == [False, False, True] and not timestep.truncated
    with pytest.raises(InputError, match="params of Count cannot be hashed"):
        GymnasiumFunctional(Count(), {"limit": 3})
