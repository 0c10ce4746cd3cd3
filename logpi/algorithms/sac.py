"""Soft actor-critic, Haarnoja et al. 2018 (arXiv:1812.05905), for actions that are numbers, choices, or both."""

import math
from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from ..distributions import AbstractDistribution, expected, nearest_uniform
from ..distributions.traits import traits
from ..errors import check_between, check_fields, check_flag, check_part, check_whole, InputError
from ..experience import Replay, Replayed, Transitions
from ..learners import apply_gradient, gradient_step, init_learner, Learner, towards
from ..learners.optimisers import AbstractOptimiser, Adam
from ..measurements import Measurement
from ..models import AbstractActionValues, AbstractActorCritic, innermost_obs
from .base import Climbed, ENTROPY, GRADIENT_NORM, MOST, Record, Shown, VALUE_ERROR
from .off_policy import AbstractOffPolicy, ACTION_VALUE, Batch, critics_objective, Networks, norm, while_learning

TEMPERATURE = Measurement(
    "temperature", "return per nat", "What a nat of entropy is worth.", "Temperature", "temp.", log=True,
    tags=(("losses/alpha", 1.0), ("train/ent_coef", 1.0)),
)  # fmt: skip
AIMED = "aimed_entropy"  # in the record of the actor, which the temperature alone reads
PER_NUMBER = -1.0  # nats that are aimed at, of each number between -1 and 1, of which an even spread has log 2
USUALLY_DROPPED, USUAL_QUANTILES = 2, 25  # of each critic, as Kuznetsov et al. 2020 have them
PER_CHOICE = 0.5  # of the entropy of an even choice; 0.98, as published, is out of reach of few choices


class Temperature(eqx.Module):
    """What a nat of entropy is worth, by its logarithm: so it stays above 0, and steps do not shrink with it."""

    log: Float[Array, ""]


class SACLearning(eqx.Module):
    """The learners of SAC, and the critics that follow."""

    actor: Learner
    critics: Learner
    temperature: Learner
    targets: AbstractActionValues

    @property
    def networks(self) -> Networks:
        """As they stand."""
        return Networks(self.actor.model, self.critics.model, self.temperature.model)


class SAC(AbstractOffPolicy):
    r"""Climbs $E[Q(s, a) - \alpha \log \pi(a | s)]$ over the states in a replay, with critics that learn soft values.

    The expectation over actions is exact over choices, and by one reparametrised draw over numbers: so the same lines
    are the discrete SAC of Christodoulou 2019 (arXiv:1910.07207), and one for actions that are both.

    - `actor_optimiser`, `critic_optimiser`, `temperature_optimiser`: what climbs.
    - `experience`: what is kept, and how many rows a gradient step is on.
    - `gamma`: discount of a step.
    - `tau`: share of what they are behind that the target critics make up in a step.
    - `target_entropy`: nats that the temperature is steered by; usually -1 for each number (in units of which the
      bounds are -1 and 1), and half of the entropy of an even choice among those allowed.
    - `initial_temperature`: at the start.
    - `critics`: how many, of which the least counts.
    - `subset`: so many of them, drawn anew in each step, make the target, and the mean of all is what the actor climbs:
      REDQ (Chen et al. 2021, arXiv:2101.05982), but that the actor moves in every step. Usually all, and the least
      for both.
    - `dropout`, `layer_norm`: which share of the critics' hidden units is left out at random wherever they are asked
      for a value, and whether the units of a layer are brought to mean 0 and variance 1: with 0.01, True, `subset=2`
      and `updates_per_step=20` it is DroQ (Hiraoka et al. 2022, arXiv:2110.02034).
    - `quantiles`: of the return, by each critic, in place of its mean alone: with 25 it is TQC (Kuznetsov et al. 2020,
      arXiv:2005.04269). The actor climbs the mean of all. Over choices, quantiles are averaged by their
      rank, which keeps the mean and is no quantile of the mixture.
    - `quantiles_dropped`: so many for each critic are left out of the target, the greatest of all together; usually 2
      of 25, and at least 1.
    - `updates_per_step`: gradient steps for each row that is collected.
    - `warmup`: rows that are collected before anything is learned, by actions spread about evenly.
    """

    measurements: ClassVar[tuple[Measurement, ...]] = (ENTROPY, ACTION_VALUE, VALUE_ERROR, TEMPERATURE, GRADIENT_NORM)
    action_distribution: ClassVar[str] = "tanh_normal"
    actor_optimiser: AbstractOptimiser = Adam(3e-4, max_grad_norm=float("inf"), epsilon=1e-8)
    critic_optimiser: AbstractOptimiser = Adam(3e-4, max_grad_norm=float("inf"), epsilon=1e-8)
    temperature_optimiser: AbstractOptimiser = Adam(3e-4, max_grad_norm=float("inf"), epsilon=1e-8)
    experience: Replay = Replay()
    gamma: float = 0.99
    tau: float = 0.005
    target_entropy: float | None = None
    initial_temperature: float = 1.0
    critics: int = eqx.field(static=True, default=2)
    subset: int | None = eqx.field(static=True, default=None)
    dropout: float = eqx.field(static=True, default=0.0)
    layer_norm: bool = eqx.field(static=True, default=False)
    quantiles: int = eqx.field(static=True, default=1)
    quantiles_dropped: int | None = eqx.field(static=True, default=None)
    updates_per_step: float = eqx.field(static=True, default=1.0)
    warmup: int = eqx.field(static=True, default=1_000)

    def __check_init__(self):
        for name in ("actor_optimiser", "critic_optimiser", "temperature_optimiser"):
            check_part(name, getattr(self, name), "Adam(3e-4)")
        check_fields(self, check_between, "target_entropy", low=-MOST, high=MOST, optional=True)
        check_fields(self, check_between, "initial_temperature", low=1e-6, high=MOST)
        check_fields(self, check_whole, "subset", low=1, high=self.critics, optional=True)
        check_fields(self, check_between, "dropout", low=0, high=0.99)
        check_fields(self, check_flag, "layer_norm")
        check_fields(self, check_whole, "quantiles", low=1, high=1_000)
        check_fields(self, check_whole, "quantiles_dropped", low=0, high=1_000, optional=True)
        if (self.quantiles_dropped or 0) >= self.quantiles:
            raise InputError(
                f"quantiles_dropped is {self.quantiles_dropped}, but each of the critics says {self.quantiles} "
                f"quantile{'s' * (self.quantiles > 1)}: drop fewer, or have more (quantiles=25)."
            )

    @property
    def beside(self) -> Temperature:
        """The temperature."""
        return Temperature(jnp.log(jnp.asarray(self.initial_temperature, jnp.float32)))

    @property
    def critics_with(self) -> dict[str, Any]:
        """Quantiles, dropout, layer norm."""
        return {"quantiles": self.quantiles, "dropout": float(self.dropout), "layer_norm": self.layer_norm}

    def learning(self, networks: Networks, num_updates: int | Int[Array, ""]) -> SACLearning:
        """A learner each for actor, critics and temperature; the critics that follow begin as copies."""
        return SACLearning(
            init_learner(networks.actor, self.actor_optimiser, num_updates),
            init_learner(networks.critics, self.critic_optimiser, num_updates),
            init_learner(networks.beside, self.temperature_optimiser, num_updates),
            targets=jax.tree.map(lambda x: x + 0, networks.critics),
        )

    def exploring(self, learning: SACLearning) -> AbstractActorCritic:
        """The actor itself, which draws its actions."""
        return learning.actor.model

    def step(self, learning: SACLearning, view: Replayed, key: PRNGKeyArray) -> tuple[SACLearning, Shown]:
        """A step of the critics to soft values, of the actor up the critics, of the temperature to the entropy."""
        batch = self.batch(learning, view, key)
        error = self.climbed(learning, batch)["critics"].function
        critics, _, fitted = gradient_step(error, learning.critics, batch, self.critic_optimiser)
        value = self.climbed(eqx.tree_at(lambda parts: parts.critics, learning, critics), batch)["actor"].function
        climbed, uphill, acted = gradient_step(value, learning.actor, batch, self.actor_optimiser)
        temperature = learning.temperature.model
        # The gradient of its objective, which the actor's record has the numbers of.
        missing = Temperature((acted[AIMED] - acted[ENTROPY.name]).astype(temperature.log.dtype))
        temperatures = apply_gradient(learning.temperature, missing, self.temperature_optimiser)
        targets = towards(learning.targets, critics.model, self.tau)
        shown = {ENTROPY.name: acted[ENTROPY.name], TEMPERATURE.name: jnp.exp(temperature.log)}
        shown |= {GRADIENT_NORM.name: norm(uphill)}
        return SACLearning(climbed, critics, temperatures, targets), fitted | shown

    def batch(self, learning: SACLearning, view: Replayed, key: PRNGKeyArray) -> Batch:
        """Rows, with the soft values that the critics are fitted to."""
        sample_key, subset_key, next_key, actor_key = jax.random.split(key, 4)
        rows, temperature = view.sample(sample_key), jnp.exp(learning.temperature.model.log)
        target = self.target(learning.actor.model, learning.targets, temperature, rows, subset_key, next_key)
        return Batch(rows, target, jax.random.split(actor_key, rows.reward.size))

    def climbed(self, learning: SACLearning, batch: Batch) -> dict[str, Climbed]:
        """Of the actor, of the critics, of the temperature."""
        actor, critics, temperature = learning.actor.model, learning.critics.model, learning.temperature.model

        def value(actor, batch):
            return self.actor_objective(actor, critics, jnp.exp(temperature.log), batch)

        def error(critics, batch):
            return critics_objective(actor, critics, batch)

        def missing(temperature, batch):
            record = value(actor, batch)[1]
            return temperature.log * jax.lax.stop_gradient(record[AIMED] - record[ENTROPY.name]), record

        return {
            "actor": Climbed(value, actor, batch),
            "critics": Climbed(error, critics, batch),
            "temperature": Climbed(missing, temperature, batch),
        }

    def target(
        self,
        actor: AbstractActorCritic,
        critics: AbstractActionValues,
        temperature: Float[Array, ""],
        rows: Transitions,
        subset_key: PRNGKeyArray,
        key: PRNGKeyArray,
    ) -> Float[Array, "rows *atoms"]:
        """What the critics are fitted to: the reward, and the soft value of what follows, by the least of critics.

        Haarnoja et al. 2018, eq. 3 and 5. A time limit ends no value. Of quantiles, each is an atom of the target, but
        for the greatest.
        """
        chosen = jax.random.permutation(subset_key, self.critics)[: self.subset or self.critics]

        def following(obs, key):
            return soft_value(actor, critics, temperature, obs, key, lambda values: self.lower(values[chosen]))[0]

        def discounted(reward, terminated, value):
            return reward + self.gamma * jnp.where(terminated, 0.0, value)

        values = jax.vmap(following)(rows.next_obs, jax.random.split(key, rows.reward.size))
        return jax.vmap(discounted)(rows.reward, rows.terminated, values)

    def lower(self, values: Float[Array, "critics *quantiles"]) -> Float[Array, "*atoms"]:
        """What is believed of critics that each say a little too much: the least; of quantiles all but the greatest."""
        if values.ndim == 1:
            return jnp.min(values)
        usual = max(1, USUALLY_DROPPED * self.quantiles // USUAL_QUANTILES)
        dropped = usual if self.quantiles_dropped is None else self.quantiles_dropped
        return -jax.lax.top_k(-values.ravel(), (self.quantiles - dropped) * values.shape[0])[0]

    def actor_objective(
        self, actor: AbstractActorCritic, critics: AbstractActionValues, temperature: Float[Array, ""], batch: Batch
    ) -> tuple[Float[Array, " rows"], Record]:
        """Of each row: what actions of the actor are worth, plus the temperature times its entropy (eq. 7)."""
        of = jnp.min if self.subset is None and self.quantiles == 1 else jnp.mean

        def row(obs, key):
            value, entropy = soft_value(actor, critics, temperature, obs, key, of)
            policy, _ = actor(obs, actor.initial_memory())
            aim = usual_entropy(policy) if self.target_entropy is None else jnp.asarray(self.target_entropy)
            return value, {ENTROPY.name: entropy, AIMED: aim}

        return jax.vmap(row)(batch.rows.obs, batch.key)


def soft_value(
    actor: AbstractActorCritic,
    critics: AbstractActionValues,
    temperature: Float[Array, ""],
    obs: PyTree[Array],
    key: PRNGKeyArray,
    of: Callable[[Float[Array, "critics *quantiles"]], Float[Array, "*atoms"]],
) -> tuple[Float[Array, "*atoms"], Float[Array, ""]]:
    """What a state is worth with the entropy of the action in it, `E[Q - temperature log pi]`; and that entropy.

    `of` makes of what the critics say what counts.
    """
    seen = innermost_obs(actor, obs)
    policy, _ = actor(obs, actor.initial_memory())

    def value(action, log_prob):
        return of(critics(seen, action, while_learning(key))) - temperature * log_prob, -log_prob

    return expected(policy, value, key)


def usual_entropy(policy: AbstractDistribution) -> Float[Array, ""]:
    """What the entropy of a policy is steered to: of its numbers and its choices each."""
    known = traits(policy)
    if parts := known.parts():
        return sum(map(usual_entropy, parts), jnp.zeros(()))
    if known.values() is not None:
        return PER_CHOICE * nearest_uniform(policy).entropy()
    return jnp.asarray(PER_NUMBER * math.prod(known.shape or ()))
