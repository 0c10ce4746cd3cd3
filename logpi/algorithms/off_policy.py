"""What is common to algorithms that learn from a replay: when they learn, how often, and who acts meanwhile."""

import abc
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key, PRNGKeyArray, PyTree

from ..errors import check_between, check_fields, check_part, check_whole, InputError, shown
from ..experience import Replay, Replayed, Transitions
from ..jaxprs.hoisting import hoist_keys
from ..learners import Learner
from ..measurements import Measurement
from ..models import (
    AbstractActionValues,
    AbstractActorCritic,
    AbstractPolicy,
    as_actor_critic,
    innermost_obs,
    make_actor_critic,
    make_ensemble,
    Network,
    observe,
    WarmingUp,
)
from ..models.heads import DETERMINISTIC
from ..spaces.actions import num_combinations
from ..spaces.masks import split_mask
from ..surrogates import quantile_error, squared_error
from .base import AbstractAlgorithm, Climbed, GRADIENT_NORM, MOST, Record, Shown, Spec, VALUE_ERROR

ACTION_VALUE = Measurement(
    "action_value", "return", "What the critics say of the actions in the replay, on average over rows and critics.",
    "Value of actions", "Q",
)  # fmt: skip


LEFT_OUT = 0x2D7  # no number of a part of an action, which has a key of its own by it


class Networks(eqx.Module):
    """An actor, critics that say what its actions are worth, and what else is learned."""

    actor: AbstractActorCritic  # without a critic of states
    critics: AbstractActionValues
    beside: PyTree = None  # a temperature, or nothing


class Batch(eqx.Module):
    """Rows of the replay with what the critics are held against, and a key for each row to draw an action by."""

    rows: Transitions
    target: Float[Array, "rows *atoms"]
    key: Key[Array, " rows"]

    @property
    def weight(self) -> Float[Array, " rows"]:
        """0 for rows that only reset."""
        return self.rows.weight


class OffPolicyState(eqx.Module):
    """What an off-policy algorithm remembers, beside its experience."""

    learning: PyTree  # its learners and what follows them
    rows_per_update: int = eqx.field(static=True)


class AbstractOffPolicy(AbstractAlgorithm):
    """Gradient steps on batches of a replay, so many for each row that was collected; what a step is is left open."""

    lag: ClassVar[int] = 1  # who acted makes no difference
    experience: eqx.AbstractVar[Replay]  # pyright: ignore[reportIncompatibleMethodOverride]
    gamma: eqx.AbstractVar[float]
    tau: eqx.AbstractVar[float]
    critics: eqx.AbstractVar[int]
    updates_per_step: eqx.AbstractVar[float]
    warmup: eqx.AbstractVar[int]

    def __check_init__(self):
        check_part("experience", self.experience, "Replay()")
        check_fields(self, check_between, "gamma", "tau", low=0, high=1)
        check_fields(self, check_between, "updates_per_step", low=0, high=MOST)
        check_fields(self, check_whole, "critics", low=1, high=100)
        check_fields(self, check_whole, "warmup", low=0, high=2**30)

    @property
    @abc.abstractmethod
    def beside(self) -> PyTree:
        """What is learned beside actor and critics, at the start."""

    @property
    @abc.abstractmethod
    def critics_with(self) -> dict[str, Any]:
        """What its critics have beside their number, as `make_ensemble` takes it."""

    @abc.abstractmethod
    def learning(self, networks: Networks, num_updates: int | Int[Array, ""]) -> PyTree:
        """Learners and what follows them before the first step; they are called `actor` and `critics`.

        Its `networks` are the networks as they stand.
        """

    @abc.abstractmethod
    def step(self, learning: PyTree, view: Replayed, key: PRNGKeyArray) -> tuple[PyTree, Shown]:
        """One gradient step of each learner, on a batch of its own."""

    @abc.abstractmethod
    def batch(self, learning: PyTree, view: Replayed, key: PRNGKeyArray) -> Batch:
        """What a step is on."""

    @abc.abstractmethod
    def climbed(self, learning: PyTree, batch: Batch) -> dict[str, Climbed]:
        """What each learner climbs in a step, while the others stand where they are."""

    @abc.abstractmethod
    def exploring(self, learning: PyTree) -> AbstractPolicy:
        """Who collects once it is warm."""

    def build(self, spec: Spec, network: Any, key: PRNGKeyArray) -> Networks:
        """An actor, and critics of their own networks beside a model of the user's too.

        Raises `InputError` for a memory, for choices of too many combinations, and where the gradient steps of a
        rollout are no whole number.
        """
        self._check(spec, network)
        actor_key, critics_key = jax.random.split(key)
        if isinstance(network, Network):
            actor = make_actor_critic(
                spec.obs_space, spec.action_space, network, action_distribution=self.action_distribution, critic=False,
                key=actor_key,
            )  # fmt: skip
        else:
            actor = as_actor_critic(
                network, spec.obs_space, spec.action_space, actor_key, action_distribution=self.action_distribution
            )
            self._check_memory("that of your model", bool(jax.tree.leaves(actor.initial_memory())))
            network = Network(width=256, activation="relu")
        seen, _ = split_mask(spec.obs_space, spec.action_space)
        critics = make_ensemble(seen, spec.action_space, network, self.critics, key=critics_key, **self.critics_with)
        return Networks(actor, critics, self.beside)

    def _check(self, spec: Spec, network: Any) -> None:
        if isinstance(network, Network):
            self._check_memory(network.memory, network.remembers)
        if self.action_distribution == DETERMINISTIC:
            self._check_deterministic(spec, network)
        rows = spec.num_envs * spec.rollout_length
        steps = self.updates_per_step * rows
        if round(steps) < 1 or abs(steps - round(steps)) > 1e-9 * steps:
            raise InputError(
                f"updates_per_step is {self.updates_per_step:g} and a rollout has {rows:,} rows, but the gradient "
                "steps after a rollout must be a whole number, 1 or more: give another, or longer rollouts."
            )
        for name, wanted in (("warmup", self.warmup), ("batch_size", self.experience.batch_size)):
            if wanted is not None and wanted > self.experience.capacity:
                raise InputError(
                    f"{name} is {wanted:,}, but the replay keeps {self.experience.capacity:,} rows: give a smaller "
                    f"{name}, or a larger capacity."
                )

    def _check_memory(self, memory: str, remembers: bool) -> None:
        if remembers:
            raise InputError(
                f"memory is {memory}, but {type(self).__name__} learns from single steps of a replay, in which no "
                "memory is: leave it out, or take algorithm='ppo' (--algorithm ppo)."
            )

    def _check_deterministic(self, spec: Spec, network: Any) -> None:
        if num_combinations(spec.action_space) > 1:
            raise InputError(
                f"{type(self).__name__} climbs the slope of a value along an action, but "
                f"{shown(spec.action_space, 200)} has choices: take algorithm='sac' (--algorithm sac)."
            )
        if isinstance(network, Network) and network.action_distribution is not None:
            raise InputError(
                f"action_distribution is {network.action_distribution}, but {type(self).__name__} has a policy without "
                "chance: leave it out, or take algorithm='sac' (--algorithm sac)."
            )

    def init(
        self, networks: Networks, spec: Spec, num_updates: int | Int[Array, ""], key: PRNGKeyArray
    ) -> OffPolicyState:
        """The networks with fresh optimisers."""
        return OffPolicyState(self.learning(networks, num_updates), spec.num_envs * spec.rollout_length)

    def networks(self, state: OffPolicyState) -> Networks:
        """Actor and critics, and a temperature where there is one."""
        return state.learning.networks

    def policy(self, networks: Networks) -> AbstractPolicy:
        """The actor."""
        return networks.actor

    def acting(self, state: OffPolicyState) -> AbstractPolicy:
        """The actor, as it explores; before that, what is nearest to uniform, for `warmup` rows."""
        updates = -(-self.warmup // state.rows_per_update)
        return WarmingUp(self.exploring(state.learning), state.learning.actor.updates < updates)

    def objectives(self, state: OffPolicyState, view: Replayed, key: PRNGKeyArray) -> dict[str, Climbed]:
        """Those of the first gradient step; each later one is on a batch of its own."""
        return self.climbed(state.learning, self.batch(state.learning, view, key))

    def update(self, state: OffPolicyState, view: Replayed, key: PRNGKeyArray) -> tuple[OffPolicyState, Shown]:
        """`updates_per_step` gradient steps for each row of the rollout, once there are `warmup` rows to draw from."""
        new = view.trajectory.reward.size
        dynamic, static = eqx.partition(state.learning, eqx.is_array)
        keys = jax.random.split(key, round(float(self.updates_per_step) * new))

        def step(key, dynamic):
            learning, record = self.step(eqx.combine(dynamic, static), view, key)
            return eqx.filter(learning, eqx.is_array), record

        def learn(dynamic):
            # What is random of all steps at once: drawn step by step it takes as long as the steps themselves.
            draw, rest = hoist_keys(step, keys[0], dynamic)
            dynamic, record = jax.lax.scan(lambda dynamic, noise: rest(noise, dynamic), dynamic, jax.vmap(draw)(keys))
            return dynamic, jax.tree.map(jnp.mean, record)

        none = jax.tree.map(lambda s: jnp.full(s.shape, jnp.nan, s.dtype), jax.eval_shape(learn, dynamic)[1])
        none |= {GRADIENT_NORM.name: jnp.zeros(())}
        ring = view.ring  # whose rows are counted anew where a resumed training begins with an empty one
        ready = ring.count * ring.streams >= min(self.warmup, (ring.slots - 1) * ring.streams)
        dynamic, record = jax.lax.cond(ready, learn, lambda dynamic: (dynamic, none), dynamic)
        learning = _after_update(eqx.combine(dynamic, static))
        seen = observe(learning.actor.model, view.trajectory.obs, view.trajectory.valid)
        learning = eqx.tree_at(lambda parts: parts.actor.model, learning, seen)
        return OffPolicyState(learning, state.rows_per_update), record


def _after_update(learning: PyTree) -> PyTree:
    """The learners one update further, as schedules count them."""

    def further(part):
        return part.after_update(part.model) if isinstance(part, Learner) else part

    return jax.tree.map(further, learning, is_leaf=lambda part: isinstance(part, Learner))


def critics_objective(
    actor: AbstractActorCritic, critics: AbstractActionValues, batch: Batch
) -> tuple[Float[Array, " rows"], Record]:
    """Of each row: less the error of each critic, half its square; of quantiles, theirs.

    The actor says what critics see of an observation.
    """
    rows = batch.rows

    def row(obs, action, key):
        return critics(innermost_obs(actor, obs), action, while_learning(key))

    values = jax.vmap(row)(rows.obs, rows.action, batch.key)
    error_of = squared_error if values.ndim == 2 else quantile_error
    error = error_of(values, jnp.broadcast_to(batch.target[:, None], (*values.shape[:2], *batch.target.shape[1:])))
    value = jnp.mean(values.reshape(values.shape[0], -1), 1)
    return -jnp.sum(error, 1), {VALUE_ERROR.name: jnp.mean(error, 1), ACTION_VALUE.name: value}


def while_learning(key: PRNGKeyArray) -> PRNGKeyArray:
    """Of the key by which an action is drawn, another: for what critics leave out at random."""
    return jax.random.fold_in(key, LEFT_OUT)


def norm(gradient: PyTree) -> Float[Array, ""]:
    """Of all its numbers together."""
    return jnp.sqrt(sum(jnp.sum(g**2) for g in jax.tree.leaves(gradient)))
