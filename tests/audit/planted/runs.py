"""A small run that has begun to learn, and the same with one thing wrong."""

import dataclasses
import functools

import equinox as eqx
import jax
import jax.numpy as jnp

import logpi
from logpi.audit.runs.samples import Sampler
from logpi.envs import AbstractEnv, first_timestep, resolve, Timestep
from logpi.learners.optimisers import Adam
from logpi.models import make_actor_critic, Network
from logpi.rollout.make import make_rollout
from logpi.runs.settings import Settings
from logpi.spaces.actions import clip_to
from logpi.spaces.kinds import Box, Discrete
from logpi.training.loop import with_traced_numbers
from logpi.transforms import RewardTransform

SIZES = {"batches": 16, "updates": 2, "episodes": 128}


class Arms(AbstractEnv):
    """Six steps; action 1 pays 1 more than action 0 if `pays`, on top of a share of the observation and of noise."""

    pays: jax.Array
    obs_space: Box = eqx.field(static=True, default=Box((1,), -1.0, 1.0))
    action_space: Discrete = eqx.field(static=True, default=Discrete(2))

    def reset(self, key):
        level = jax.random.uniform(key, minval=-1.0, maxval=1.0)
        return (level, jnp.zeros((), jnp.int32)), first_timestep(level[None])

    def step(self, key, state, action):
        level, steps = state[0], state[1] + 1
        reward = self.pays * action + 2 * level + 0.5 * jax.random.normal(key)
        return (level, steps), Timestep(level[None], reward, steps >= 6, jnp.zeros((), bool))


@functools.cache
def trained() -> logpi.Run:
    """A run that has begun to learn: the critic is right in part, and there is still something to gain."""
    key = jax.random.key(1)
    ppo = logpi.PPO(Adam(3e-3), num_epochs=4, num_minibatches=2)
    settings = Settings(ppo, 20_000, num_envs=16, rollout_length=32, network=Network(width=8, depth=1))
    env = Arms(jnp.ones(()))
    model = make_actor_critic(env.obs_space, env.action_space, settings.network, key=key)
    # By the parts of the audit: so nothing is compiled twice.
    rollout = make_rollout(resolve(env), 16, 32, clip_to)
    sampler = Sampler(with_traced_numbers(ppo), model, rollout, RewardTransform(), key)
    learner = sampler.state(settings.num_updates, 0.0, 0)
    for _ in range(16):
        learner, _ = sampler.updated(learner)
        sampler.model = learner.model
    return logpi.Run(
        "Arms", settings, (0,), (learner.model,), env.obs_space, env.action_space, [], {}, {}, environment=env
    )


def with_algorithm(run, algorithm):
    """Another algorithm in its settings."""
    return dataclasses.replace(run, settings=dataclasses.replace(run.settings, algorithm=algorithm))


def wrong_critic():
    """A critic whose last layer says twice the contrary."""
    wrong = eqx.tree_at(lambda m: m.critic.layers[-1].weight, trained().models[0], replace_fn=lambda w: -2 * w)
    return dataclasses.replace(trained(), models=(wrong,))


def lottery():
    """What the actions do changes nothing."""
    return dataclasses.replace(trained(), environment=Arms(jnp.zeros(())))


def not_finite():
    """NaN in a bias."""
    broken = eqx.tree_at(lambda m: m.actor.layers[0].bias, trained().models[0], replace_fn=lambda b: b * jnp.nan)
    return dataclasses.replace(trained(), models=(broken,))


def stepping(rate):
    """A policy without a preference, and a learning rate; below 0, it walks down."""
    flat = jax.tree.map(lambda x: x * 0 if eqx.is_inexact_array(x) else x, trained().models[0].actor)
    model = eqx.tree_at(lambda m: m.actor, trained().models[0], flat)
    # Not by the constructor, which refuses to go down.
    ppo = eqx.tree_at(lambda a: a.optimiser.learning_rate, trained().settings.algorithm, rate)
    return dataclasses.replace(with_algorithm(trained(), ppo), models=(model,))
