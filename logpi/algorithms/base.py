"""What every algorithm is: settings in the object, all that it remembers in one state.

An algorithm is a product of parts, each with a room of its own, and only puts them together:

    experience   x  credit      x  advantages    x  surrogate     x  step
    (experience)    (credit)       (advantages)     (surrogates)     (learners)

The loop around it is somebody else's: it collects a trajectory with `acting(state)`, adds it to the experience, and
hands what that shows to `update`. So an algorithm never asks whether environments are compiled, what kind of action
there is, or whether a model remembers; and whoever writes one writes no loop.
"""

import abc
import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from ..advantages import AbstractAdvantages
from ..batch import explained_variance, prepare, Segments, with_advantages
from ..credit import AbstractCredit
from ..errors import check_between, check_fields, check_part, check_whole
from ..experience import AbstractExperience, Latest
from ..learners import AbstractOptimiser, accumulated_step, Adam, init_learner, Learner, SGD
from ..measurements import Measurement
from ..models import (
    AbstractActorCritic,
    AbstractPolicy,
    as_actor_critic,
    entropies,
    log_probs,
    make_actor_critic,
    Network,
    observe,
    unroll,
)
from ..spaces.kinds import Space
from ..surrogates import approximate_kl, Number, score, squared_error
from ..trajectory import Trajectory

MOST = 1e6  # of a coefficient: finite, and far more than anything is trained with

Shown = dict[str, Float[Array, ""]]  # what an update showed: a number for each measurement, by name
Record = dict[str, Float[Array, "..."]]  # what an objective says of each row, by the name of a measurement

ENTROPY = Measurement(
    "entropy", "nats", "How much chance is left in an action.", "Entropy of the policy", "entropy", watch="collapses",
    tags=(("losses/entropy", 1.0), ("train/entropy_loss", -1.0)),
)  # fmt: skip
KL = Measurement(
    "kl", "nats", "From the policy that acted to the one after the update.", "KL of an update", "KL",
    tags=(("losses/approx_kl", 1.0), ("train/approx_kl", 1.0)),
)  # fmt: skip
SURROGATE = Measurement(
    "surrogate", "advantage", "What is climbed for the policy: only its gradient means anything.",
    tags=(("losses/policy_loss", -1.0), ("train/policy_gradient_loss", -1.0)),
)  # fmt: skip
VALUE_ERROR = Measurement(
    "value_error", "squared units of return",
    "Half the squared error, over the rows; of a critic of quantiles, their own error.",
    "Error of the critic",
    tags=(("losses/value_loss", 1.0), ("train/value_loss", 2.0)),
)  # fmt: skip
EXPLAINED_VARIANCE = Measurement(
    "explained_variance", "share",
    "Of the value targets, before the update. 1 is all of it; at 0 their mean would do as well.",
    "Explained variance of the critic", "expl. var.", level=0.0, level_meaning="no better than a constant",
    tags=(("losses/explained_variance", 1.0), ("train/explained_variance", 1.0)),
)  # fmt: skip
GRADIENT_NORM = Measurement(
    "gradient_norm", "norm", "Of the mean gradient of a rollout.", "Norm of the gradient", "grad. norm",
    log=True, watch="explodes",
)  # fmt: skip
SIGNAL_TO_NOISE = Measurement(
    "signal_to_noise", "ratio",
    "|G|² over the variance of a rollout's gradient. Above 1 two rollouts mostly agree (McCandlish et al. 2018).",
    "Signal-to-noise of the gradient", "signal/noise", level=1.0, level_meaning="as much noise as signal", log=True,
)  # fmt: skip
ON_POLICY = (ENTROPY, KL, SURROGATE, VALUE_ERROR, EXPLAINED_VARIANCE, GRADIENT_NORM, SIGNAL_TO_NOISE)


@dataclasses.dataclass(frozen=True)
class Spec:
    """What an algorithm may know of the interaction that it learns from."""

    obs_space: Space
    action_space: Space
    num_envs: int
    rollout_length: int

    @classmethod
    def of(cls, rollout: Any) -> "Spec":
        """Of a rollout."""
        return cls(rollout.obs_space, rollout.action_space, rollout.num_envs, rollout.length)


class Climbed(eqx.Module):
    """One of the objectives that an algorithm climbs: a function, the model that moves, and rows that it is a mean of.

    What of other models is in the function is held still.
    """

    function: Callable[[PyTree, PyTree], tuple[Array, Record]]  # (model, rows) -> value per row, record per row
    model: PyTree
    rows: PyTree  # with a `weight`, 0 for rows that count for nothing


class AbstractAlgorithm(eqx.Module):
    """A state, and a function from experience to the next state. The state is what a checkpoint is."""

    measurements: eqx.AbstractClassVar[tuple[Measurement, ...]]  # of every update
    action_distribution: ClassVar[str] = "normal"  # of continuous actions, where a network does not say
    begins_anew: ClassVar[bool] = False  # every rollout is of new episodes
    lag: ClassVar[int] = 0  # updates by which the policy that acted may be older than the one that learns

    @property
    @abc.abstractmethod
    def experience(self) -> AbstractExperience:
        """What it learns from: a property, or a field with a default."""

    @abc.abstractmethod
    def build(self, spec: Spec, network: Any, key: PRNGKeyArray) -> PyTree:
        """The networks, untrained. `network` is a `Network`, or the user's own model or function that makes one."""

    @abc.abstractmethod
    def init(self, networks: PyTree, spec: Spec, num_updates: int | Int[Array, ""], key: PRNGKeyArray) -> Any:
        """The state before the first of `num_updates` updates (schedules run over them)."""

    @abc.abstractmethod
    def networks(self, state: Any) -> PyTree:
        """The networks as they stand, in the structure of `build`: what a run saves."""

    @abc.abstractmethod
    def policy(self, networks: PyTree) -> AbstractPolicy:
        """Who acts when it counts: what is evaluated, watched and exported."""

    @abc.abstractmethod
    def acting(self, state: Any) -> AbstractPolicy:
        """Who collects the next trajectory: with noise or warm-up, where the algorithm explores by these."""

    @abc.abstractmethod
    def update(self, state: Any, view: Any, key: PRNGKeyArray) -> tuple[Any, Shown]:
        """The state after learning from what the experience shows, and a number for each measurement.

        `view` is what `experience.add` gave: the trajectory that `acting(state)` collected, or what can be drawn from.
        """

    @abc.abstractmethod
    def objectives(self, state: Any, view: Any, key: PRNGKeyArray) -> dict[str, Climbed]:
        """What an update climbs as it begins, by name, each over one batch of its rows: what audits take apart.

        The name of the only one is empty. What climbs no mean over rows gives none.
        """


class AbstractOnPolicy(AbstractAlgorithm):
    """A model and an optimiser that learn from what the model itself has just done; how is left open."""

    optimiser: eqx.AbstractVar[AbstractOptimiser]
    credit: eqx.AbstractVar[AbstractCredit]
    advantages: eqx.AbstractVar[AbstractAdvantages]
    segment_length: eqx.AbstractVar[int | None]

    def __check_init__(self):
        check_part("optimiser", self.optimiser, "Adam() or Optax(optax.adam(3e-4))")
        check_part("credit", self.credit, "GAE()", function=True)
        check_part("advantages", self.advantages, "Standardised()", function=True)
        check_fields(self, check_whole, "segment_length", low=1, optional=True)

    @property
    def experience(self) -> Latest:
        """The trajectory itself: what an older policy did is not looked at."""
        return Latest()

    def build(self, spec: Spec, network: Any, key: PRNGKeyArray) -> AbstractActorCritic:
        """An actor-critic; a model of the user's own without a critic gets one that is 0."""
        if isinstance(network, Network):
            return make_actor_critic(spec.obs_space, spec.action_space, network, key=key)
        return as_actor_critic(network, spec.obs_space, spec.action_space, key)

    def init(
        self, networks: AbstractActorCritic, spec: Spec, num_updates: int | Int[Array, ""], key: PRNGKeyArray
    ) -> Learner:
        """The model with a fresh optimiser."""
        return init_learner(networks, self.optimiser, num_updates)

    def networks(self, state: Learner) -> AbstractActorCritic:
        """The model."""
        return state.model

    def policy(self, networks: AbstractActorCritic) -> AbstractActorCritic:
        """The model itself."""
        return networks

    def acting(self, state: Learner) -> AbstractActorCritic:
        """The model, which draws its actions."""
        return state.model

    def batch(self, model: AbstractActorCritic, trajectory: Trajectory) -> Segments:
        """The rows of a trajectory as the objective sees them, were they one batch: credit, and advantages as taken."""
        return with_advantages(prepare(model, trajectory, self.credit, self.segment_length), self.advantages)

    def objectives(self, state: Any, view: Trajectory, key: PRNGKeyArray) -> dict[str, Climbed]:
        """One, over the whole trajectory; whatever else a state of one's own may hold."""
        model = self.networks(state)
        return {"": Climbed(self.objective, model, self.batch(model, view))}

    @abc.abstractmethod
    def objective(self, model: AbstractActorCritic, batch: Segments) -> tuple[Float[Array, "segments time"], Record]:
        """Of each row: what a step climbs, and what it says of itself."""


class AbstractSingleStep(AbstractOnPolicy):
    """One step up the gradient of an `objective` for each rollout; what is to be climbed is left open."""

    measurements: ClassVar[tuple[Measurement, ...]] = ON_POLICY
    value_coef: eqx.AbstractVar[float]

    def __check_init__(self):
        check_fields(self, check_between, "value_coef", low=0, high=MOST)

    def update(self, state: Learner, view: Trajectory, key: PRNGKeyArray) -> tuple[Learner, Shown]:
        """Credit, and one step up the gradient over the whole rollout."""
        batch = self.batch(state.model, view)
        state, record, noise = accumulated_step(self.objective, state, batch, self.optimiser)
        state = state.after_update(observe(state.model, view.obs, view.valid))
        return state, shown(record, batch, noise.norm(), noise.signal_to_noise())


def learning_rate(algorithm: AbstractAlgorithm, progress: float) -> float | None:
    """Where so much of a training is done; `None` where nobody but the algorithm, or its optimiser, knows it."""
    if not isinstance(algorithm, AbstractOnPolicy) or not isinstance(algorithm.optimiser, Adam | SGD):
        return None
    return float(algorithm.optimiser.rate(progress))


def shown(record: Shown, batch: Segments, gradient_norm: Float[Array, ""], signal_to_noise: Float[Array, ""]) -> Shown:
    """What an update showed: the means of its objective's record, its critic before it, and its gradient."""
    return record | {
        EXPLAINED_VARIANCE.name: explained_variance(batch),
        GRADIENT_NORM.name: gradient_norm,
        SIGNAL_TO_NOISE.name: signal_to_noise,
    }


def score_objective(
    model: AbstractActorCritic, batch: Segments, *, value_coef: Number, entropy_coef: Number
) -> tuple[Float[Array, "segments time"], Record]:
    """Of each row: the score surrogate, less the error of the critic, plus the entropy.

    The gradient of the first is the policy gradient: Sutton et al. 2000, theorem 1, without the discount of the states.
    """
    output, _ = unroll(model, batch.obs, batch.start, batch.memory)
    log_prob, entropy = log_probs(output.policy, batch.action), entropies(output.policy)
    surrogate = score(log_prob, batch.advantage)
    value_error = squared_error(output.value, batch.target)
    kl = approximate_kl(log_prob, batch.log_prob)
    record = {ENTROPY.name: entropy, KL.name: kl, SURROGATE.name: surrogate, VALUE_ERROR.name: value_error}
    return surrogate - value_coef * value_error + entropy_coef * entropy, record
