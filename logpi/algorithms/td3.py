"""Deterministic policy gradients: DDPG and TD3."""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key, PRNGKeyArray, PyTree

from ..errors import check_between, check_fields, check_part, check_whole
from ..experience import Replay, Replayed, Transitions
from ..learners import gradient_step, init_learner, Learner, towards
from ..learners.optimisers import AbstractOptimiser, Adam
from ..measurements import Measurement
from ..models import AbstractActionValues, AbstractActorCritic, innermost_obs, Noisy
from ..models.heads import DETERMINISTIC
from .base import Climbed, GRADIENT_NORM, MOST, Record, Shown, VALUE_ERROR
from .off_policy import AbstractOffPolicy, ACTION_VALUE, Batch, critics_objective, Networks, norm


class TD3Learning(eqx.Module):
    """The learners of a deterministic policy gradient, and the networks that follow them."""

    actor: Learner
    critics: Learner
    targets: Networks
    steps: Int[Array, ""]  # gradient steps so far, over all updates: a delay keeps its rhythm

    @property
    def networks(self) -> Networks:
        """As they stand."""
        return Networks(self.actor.model, self.critics.model)


class AbstractDeterministicGradient(AbstractOffPolicy):
    r"""Climbs $Q(s, \mu_\theta(s))$ over the states in a replay, for a policy without chance: see TD3 for the fields.

    Silver et al. 2014 (PMLR 32:387), theorem 1, with the states of the replay in place of the policy's own.
    """

    measurements: ClassVar[tuple[Measurement, ...]] = (ACTION_VALUE, VALUE_ERROR, GRADIENT_NORM)
    action_distribution: ClassVar[str] = DETERMINISTIC
    actor_optimiser: eqx.AbstractVar[AbstractOptimiser]
    critic_optimiser: eqx.AbstractVar[AbstractOptimiser]
    noise: eqx.AbstractVar[float]
    smoothing: eqx.AbstractVar[float]
    smoothing_clip: eqx.AbstractVar[float]
    delay: eqx.AbstractVar[int]

    def __check_init__(self):
        for name in ("actor_optimiser", "critic_optimiser"):
            check_part(name, getattr(self, name), "Adam(3e-4)")
        check_fields(self, check_between, "noise", low=1e-6, high=MOST)
        check_fields(self, check_between, "smoothing", "smoothing_clip", low=0, high=MOST)
        check_fields(self, check_whole, "delay", low=1)

    @property
    def beside(self) -> None:
        """Nothing."""
        return None

    @property
    def critics_with(self) -> dict[str, Any]:
        """Nothing more."""
        return {}

    def learning(self, networks: Networks, num_updates: int | Int[Array, ""]) -> TD3Learning:
        """A learner each for actor and critics; the networks that follow begin as copies."""
        return TD3Learning(
            init_learner(networks.actor, self.actor_optimiser, num_updates),
            init_learner(networks.critics, self.critic_optimiser, num_updates),
            targets=jax.tree.map(lambda x: x + 0 if eqx.is_array(x) else x, networks),
            steps=jnp.zeros((), jnp.int32),
        )

    def exploring(self, learning: TD3Learning) -> Noisy:
        """The actor, with noise."""
        return Noisy(learning.actor.model, jnp.asarray(self.noise, jnp.float32))

    def step(self, learning: TD3Learning, view: Replayed, key: PRNGKeyArray) -> tuple[TD3Learning, Shown]:
        """A step of the critics to the targets' values, and in every `delay`-th the actor's up the first critic."""
        batch = self.batch(learning, view, key)
        error = self.climbed(learning, batch)["critics"].function
        critics, _, fitted = gradient_step(error, learning.critics, batch, self.critic_optimiser)
        value = self.climbed(eqx.tree_at(lambda parts: parts.critics, learning, critics), batch)["actor"].function
        dynamic, static = eqx.partition((learning.actor, learning.targets), eqx.is_array)

        def improve(dynamic):
            actor, targets = eqx.combine(dynamic, static)
            actor, uphill, _ = gradient_step(value, actor, batch, self.actor_optimiser)
            targets = towards(targets, Networks(actor.model, critics.model), self.tau)
            # The mean over all steps is then that over those in which the actor moves.
            return eqx.filter((actor, targets), eqx.is_array), norm(uphill) * self.delay

        due = learning.steps % self.delay == 0
        dynamic, climbed = jax.lax.cond(due, improve, lambda dynamic: (dynamic, jnp.zeros(())), dynamic)
        actor, targets = eqx.combine(dynamic, static)
        return TD3Learning(actor, critics, targets, learning.steps + 1), fitted | {GRADIENT_NORM.name: climbed}

    def batch(self, learning: TD3Learning, view: Replayed, key: PRNGKeyArray) -> Batch:
        """Rows, with the values that the critics are fitted to."""
        sample_key, noise_key = jax.random.split(key)
        rows = view.sample(sample_key)
        keys = jax.random.split(noise_key, rows.reward.size)
        return Batch(rows, self.target(learning.targets, rows, keys), keys)

    def climbed(self, learning: TD3Learning, batch: Batch) -> dict[str, Climbed]:
        """Of the actor, of the critics."""
        actor, critics = learning.actor.model, learning.critics.model

        def value(actor, batch):
            return actor_objective(actor, critics, batch)

        def error(critics, batch):
            return critics_objective(actor, critics, batch)

        return {"actor": Climbed(value, actor, batch), "critics": Climbed(error, critics, batch)}

    def target(self, targets: Networks, rows: Transitions, keys: Key[Array, " rows"]) -> Float[Array, " rows"]:
        """What the critics are fitted to: the reward, and what the least of those that follow says of what follows.

        At an action near to that of the actor that follows: Fujimoto et al. 2018, eq. 14 and 15.
        """

        def following(obs, key):
            modes, structure = jax.tree.flatten(_action(targets.actor, obs))
            pairs = zip(jax.random.split(key, len(modes)), modes, strict=True)
            noises = [self.smoothing * jax.random.normal(one, mode.shape, mode.dtype) for one, mode in pairs]
            limit = self.smoothing_clip
            near = [jnp.clip(m + jnp.clip(n, -limit, limit), -1, 1) for m, n in zip(modes, noises, strict=True)]
            return jnp.min(targets.critics(innermost_obs(targets.actor, obs), structure.unflatten(near)))

        values = jax.vmap(following)(rows.next_obs, keys)
        return rows.reward + self.gamma * jnp.where(rows.terminated, 0.0, values)


def actor_objective(
    actor: AbstractActorCritic, critics: AbstractActionValues, batch: Batch
) -> tuple[Float[Array, " rows"], Record]:
    """Of each row: what the first critic says of the actor's action."""

    def row(obs):
        return critics(innermost_obs(actor, obs), _action(actor, obs))[0]

    return jax.vmap(row)(batch.rows.obs), {}


def _action(actor: AbstractActorCritic, obs: PyTree[Array]) -> PyTree[Array]:
    return actor(obs, actor.initial_memory())[0].mode()


class TD3(AbstractDeterministicGradient):
    """Twin delayed deterministic policy gradients, Fujimoto et al. 2018 (arXiv:1802.09477).

    - `actor_optimiser`, `critic_optimiser`: what climbs.
    - `experience`: what is kept, and how many rows a gradient step is on.
    - `gamma`: discount of a step.
    - `tau`: share of what they are behind that the networks that follow make up, in steps in which the actor moves.
    - `noise`: standard deviation of what is added to actions while exploring; the bounds are -1 and 1.
    - `smoothing`, `smoothing_clip`: standard deviation and limit of what is added to actions in targets.
    - `critics`: how many, of which the least makes the target.
    - `delay`: gradient steps of the critics for each of the actor.
    - `updates_per_step`: gradient steps for each row that is collected.
    - `warmup`: rows that are collected before anything is learned, by actions spread about evenly.
    """

    actor_optimiser: AbstractOptimiser = Adam(3e-4, max_grad_norm=float("inf"), epsilon=1e-8)
    critic_optimiser: AbstractOptimiser = Adam(3e-4, max_grad_norm=float("inf"), epsilon=1e-8)
    experience: Replay = Replay()
    gamma: float = 0.99
    tau: float = 0.005
    noise: float = 0.1
    smoothing: float = 0.2
    smoothing_clip: float = 0.5
    critics: int = eqx.field(static=True, default=2)
    delay: int = eqx.field(static=True, default=2)
    updates_per_step: float = eqx.field(static=True, default=1.0)
    warmup: int = eqx.field(static=True, default=1_000)


class DDPG(AbstractDeterministicGradient):
    """Deep deterministic policy gradient, Lillicrap et al. 2016 (arXiv:1509.02971): one critic, which is climbed.

    As TD3 with one critic, no delay and no smoothing, and with Gaussian noise, which does as well as the published one.

    - `actor_optimiser`, `critic_optimiser`: what climbs.
    - `experience`: what is kept, and how many rows a gradient step is on.
    - `gamma`: discount of a step.
    - `tau`: share of what they are behind that the networks that follow make up in a step.
    - `noise`: standard deviation of what is added to actions while exploring; the bounds are -1 and 1.
    - `updates_per_step`: gradient steps for each row that is collected.
    - `warmup`: rows that are collected before anything is learned, by actions spread about evenly.
    """

    critics: ClassVar[int] = 1
    delay: ClassVar[int] = 1
    smoothing: ClassVar[float] = 0.0
    smoothing_clip: ClassVar[float] = 0.0
    actor_optimiser: AbstractOptimiser = Adam(3e-4, max_grad_norm=float("inf"), epsilon=1e-8)
    critic_optimiser: AbstractOptimiser = Adam(3e-4, max_grad_norm=float("inf"), epsilon=1e-8)
    experience: Replay = Replay()
    gamma: float = 0.99
    tau: float = 0.005
    noise: float = 0.1
    updates_per_step: float = eqx.field(static=True, default=1.0)
    warmup: int = eqx.field(static=True, default=1_000)
