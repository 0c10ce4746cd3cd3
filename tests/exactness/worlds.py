"""Small environments: one whose episodes end by luck, for every kind of action, and an MDP of three states."""

import equinox as eqx
import jax
import jax.numpy as jnp

from logpi import spaces
from logpi.audit.problems.defaults import END, FIRST, FOLLOW, REWARD
from logpi.envs import AbstractEnv, first_timestep, Timestep

ACTION_SPACES = {
    "Discrete": spaces.Discrete(3),
    "MultiDiscrete": spaces.MultiDiscrete((2, 3)),
    "MultiBinary": spaces.MultiBinary((2,)),
    "Box": spaces.Box((2,), -1.0, 1.0),
}


class Luck(AbstractEnv):
    """Noise that remembers the actions. An episode ends with probability 1/5: terminated, truncated, or both.

    The noise is made with a sine and a few bits of the key, because XLA takes long to compile its own generator.
    """

    obs_space: spaces.Space = eqx.field(static=True, default=spaces.Box((3,)))
    action_space: spaces.Space = eqx.field(static=True, default=spaces.Discrete(3))

    def reset(self, key):
        obs = 3 + 2 * _noise(jax.random.key_data(key)[0] / 2.0**32)
        return obs, first_timestep(obs)

    def step(self, key, state, action):
        reached = jnp.mean(jnp.asarray(action, jnp.float32))
        noise = _noise(state[0] + jax.random.key_data(key)[0] / 2.0**32)
        obs = 0.5 * state + reached + 4 * noise
        luck = noise[0] * 64 % 1
        return obs, Timestep(obs, reached + obs[0], luck < 0.12, (luck > 0.08) & (luck < 0.2))


def _noise(seed):
    """Three numbers from 0 to 1 that look random."""
    return jnp.sin((seed + 1) * jnp.asarray([12.9898, 78.233, 39.425])) * 4375.85 % 1


HORIZON = 4  # steps after which the MDP terminates at the latest


class ThreeStates(AbstractEnv):
    """The MDP of `audit.problems.three_states`, as an environment.

    An observation is `state * HORIZON + step`: a critic may look at the step, the policy does not.
    """

    obs_space: spaces.Space = eqx.field(static=True, default=spaces.Discrete(3 * HORIZON))
    action_space: spaces.Space = eqx.field(static=True, default=spaces.Discrete(2))

    def reset(self, key):
        state = jax.random.choice(key, 3, p=jnp.asarray(FIRST, jnp.float32)), jnp.zeros((), jnp.int32)
        return state, first_timestep(_observed(state))

    def step(self, key, state, action):
        place, time = state
        next_key, end_key = jax.random.split(key)
        following = jax.random.choice(next_key, 3, p=jnp.asarray(FOLLOW, jnp.float32)[place, action])
        ended = jax.random.uniform(end_key) < jnp.asarray(END, jnp.float32)[place, action]
        state = following, jnp.minimum(time + 1, HORIZON - 1)
        reward = jnp.asarray(REWARD, jnp.float32)[place, action]
        return state, Timestep(_observed(state), reward, ended | (time + 1 >= HORIZON), jnp.zeros((), bool))


def _observed(state):
    place, time = state
    return (place * HORIZON + time).astype(jnp.int32)
