"""SAC and TD3 with one line wrong each, by switches that are numbers: so that one compiled program serves all."""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from logpi.algorithms import SAC, TD3
from logpi.algorithms.off_policy import Batch, Networks
from logpi.experience import Replay
from logpi.models import AbstractActionValues


class WrongReplay(Replay):
    """Switches: 0 is right, 1 is wrong."""

    ended: float = 0.0  # a time limit is taken for an end
    unended: float = 0.0  # nothing is an end
    thrown: float = 0.0  # rows at a time limit count for nothing
    packed: float = 0.0  # rows that only reset are left out, so that the next episode follows

    def add(self, buffer, trajectory):
        if self.unended:
            trajectory = dataclasses.replace(trajectory, terminated=trajectory.terminated & False)
        if self.thrown:
            trajectory = dataclasses.replace(trajectory, valid=trajectory.valid & ~trajectory.truncated)
        if self.ended:
            ends = trajectory.terminated | trajectory.truncated
            trajectory = dataclasses.replace(trajectory, terminated=ends)
        if self.packed:
            resets = ~trajectory.valid[:, :-1]
            obs = trajectory.obs
            mask = resets.reshape(*resets.shape, *(1,) * (obs.ndim - 2))
            trajectory = dataclasses.replace(
                trajectory, obs=obs.at[:, :-1].set(jnp.where(mask, obs[:, 1:], obs[:, :-1]))
            )
        return Replay.add(self, buffer, trajectory)


class Between(AbstractActionValues):
    """Critics of which the least is partly their mean, or which stand where they were at first, with an actor there."""

    now: AbstractActionValues
    first: AbstractActionValues
    actor: Any
    mean: Any
    still: Any

    def __call__(self, obs, action, key=None):
        values = jnp.where(self.still > 0, self.first(obs, action), self.now(obs, action))
        return values + self.mean * (jnp.mean(values) - values)


def between(a, b, share):
    """The first tree, or the second."""
    return jax.tree.map(lambda x, y: jnp.where(share > 0, y, x) if eqx.is_inexact_array(x) else x, a, b)


class WrongSAC(SAC):
    """Switches: 0 is right, 1 is wrong."""

    mean: float = 0.0  # of the critics, in place of the least
    sign_of_actor: float = 0.0
    sign_of_target: float = 0.0
    sign_of_temperature: float = 0.0
    density: float = 0.0  # nats that the log-density of what follows is too low
    still: float = 0.0  # the target critics never move
    old: float = 0.0  # the policy of the targets is the first
    straight: float = 0.0  # the temperature itself is stepped, by steps that shrink with it

    def learning(self, networks, num_updates):
        made = SAC.learning(self, networks, num_updates)
        first = jax.tree.map(lambda x: x, networks)
        targets = Between(made.targets, first.critics, first.actor, jnp.asarray(self.mean), jnp.asarray(self.still))
        return eqx.tree_at(lambda parts: parts.targets, made, targets)

    def step(self, learning, view, key):
        wrong = learning.targets
        after, shown = SAC.step(self, eqx.tree_at(lambda parts: parts.targets, learning, wrong.now), view, key)
        targets = eqx.tree_at(lambda t: t.now, wrong, after.targets)
        return eqx.tree_at(lambda parts: parts.targets, after, targets), shown

    def target(self, actor, critics, temperature, rows, subset_key, key):
        if isinstance(critics, Between):
            actor = between(actor, critics.actor, self.old)
        signed = temperature * (1 - 2 * self.sign_of_target)
        found = SAC.target(self, actor, critics, signed, rows, subset_key, key)
        return found + self.density * self.gamma * temperature * (1 - rows.terminated)

    def actor_objective(self, actor, critics, temperature, batch):
        critics = Between(critics, critics, (), jnp.asarray(self.mean), jnp.zeros(()))
        return SAC.actor_objective(self, actor, critics, temperature * (1 - 2 * self.sign_of_actor), batch)

    def climbed(self, learning, batch):
        found = SAC.climbed(self, learning, batch)
        right = found["temperature"].function

        def wrong(model, rows):
            values, record = right(model, rows)
            shrunk = jnp.where(self.straight > 0, jnp.exp(jax.lax.stop_gradient(model.log)), 1.0)
            return values * shrunk * (1 - 2 * self.sign_of_temperature), record

        return found | {"temperature": dataclasses.replace(found["temperature"], function=wrong)}


class WrongTD3(TD3):
    """The same of TD3."""

    mean: float = 0.0
    still: float = 0.0
    present: float = 0.0  # the policy of the targets does not follow the actor: it is the actor
    unclipped: float = 0.0  # noise is added to what has been clipped
    anew: float = 0.0  # the steps that the actor waits for are counted anew in each update

    def update(self, state, view, key):
        steps = jnp.where(self.anew > 0, 0, state.learning.steps)
        return TD3.update(self, eqx.tree_at(lambda s: s.learning.steps, state, steps), view, key)

    def batch(self, learning, view, key):
        found = TD3.batch(self, learning, view, key)
        targets = learning.targets
        actor = between(targets.actor, learning.actor.model, self.present)
        zero = jnp.zeros(())
        critics = Between(targets.critics, targets.critics, (), jnp.asarray(self.mean), zero)
        rows = found.rows
        target = self.target(Networks(actor, critics), rows, found.key)

        def following(obs, key):
            mode = actor(obs, ())[0].mode()
            noise = jnp.clip(self.smoothing * jax.random.normal(key, mode.shape, mode.dtype), -0.5, 0.5)
            return jnp.min(critics(obs, jnp.clip(mode, -1, 1) + noise))

        values = jax.vmap(following)(rows.next_obs, found.key)
        beyond = rows.reward + self.gamma * jnp.where(rows.terminated, 0.0, values)
        return Batch(rows, jnp.where(self.unclipped > 0, beyond, target), found.key)

    def step(self, learning, view, key):
        after, shown = TD3.step(self, learning, view, key)
        targets = between(after.targets, learning.targets, self.still)
        return eqx.tree_at(lambda parts: parts.targets, after, targets), shown
