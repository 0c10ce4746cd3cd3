"""Evolution: the score of parameters in place of that of actions. PGPE, OpenAI-ES, ARS."""

import abc
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from ..distributions import Normal
from ..errors import check_between, check_fields, check_part, InputError
from ..experience import Latest
from ..learners import gradient_step, init_learner, Learner
from ..learners.optimisers import AbstractOptimiser, Adam, SGD
from ..measurements import Measurement
from ..models import as_actor_critic, Deterministic, make_actor_critic, Network, observe, Population
from ..models.heads import DETERMINISTIC
from ..parameters import trainable
from ..statistics.leave_one_out import mean_of_others
from ..surrogates import score
from ..trajectory import Trajectory
from .base import AbstractAlgorithm, Climbed, GRADIENT_NORM, MOST, Record, Shown, Spec, SURROGATE

RETURN = Measurement("member_return", "return", "Mean of the members' episodes.", "Return of the members")
SPREAD = Measurement("member_spread", "return", "Standard deviation between members, noise of the episodes included.")
DEVIATION = Measurement(
    "deviation", "parameter", "Of members from their centre: the geometric mean over the parameters.",
    "Deviation of the members", log=True,
)  # fmt: skip


class EvolutionState(eqx.Module):
    """What evolution remembers."""

    learner: Learner  # of where members are drawn
    networks: PyTree  # at the centre
    key: PRNGKeyArray  # of the next members
    members: int = eqx.field(static=True)


class Generation(eqx.Module):
    """Members as rows to learn from."""

    member: Float[Array, "members parameters"]
    advantage: Float[Array, " members"]
    weight: Float[Array, " members"]


class AbstractEvolution(AbstractAlgorithm):
    r"""Climbs $E_{\theta \sim N(\mu, \sigma)}[J(\theta)]$, as REINFORCE does, with parameters in place of actions.

    Each environment has a member of its own, which acts by its modes, and an episode of it counts: the first in its
    rollout, as far as that sees it. Members come in mirrored pairs, $\mu \pm \sigma \epsilon$, the first half and the
    second.
    """

    measurements: ClassVar[tuple[Measurement, ...]] = (RETURN, SPREAD, DEVIATION, GRADIENT_NORM)
    action_distribution: ClassVar[str] = DETERMINISTIC
    begins_anew: ClassVar[bool] = True
    optimiser: eqx.AbstractVar[AbstractOptimiser]
    std: eqx.AbstractVar[float]

    def __check_init__(self):
        check_part("optimiser", self.optimiser, "Adam(0.05)")
        check_fields(self, check_between, "std", low=1e-6, high=MOST)

    @abc.abstractmethod
    def search(self, model: Normal) -> Normal:
        """Where members are drawn, differentiable in what is to be learned of it."""

    @abc.abstractmethod
    def advantage(self, returns: Float[Array, "2 pairs"]) -> Float[Array, "2 pairs"]:
        """What each member's score is weighed by, given the returns of all."""

    @property
    def experience(self) -> Latest:
        """One episode of each member."""
        return Latest()

    def build(self, spec: Spec, network: Any, key: PRNGKeyArray) -> PyTree:
        """A policy without a critic. Raises `InputError` for fewer than two pairs of environments."""
        if spec.num_envs % 2 or spec.num_envs < 4:
            raise InputError(
                f"num_envs is {spec.num_envs}, but each environment has a member, which come in two pairs or more: "
                "give an even number, of 4 or more."
            )
        spaces, kind = (spec.obs_space, spec.action_space), self.action_distribution
        if isinstance(network, Network):
            return make_actor_critic(*spaces, network, action_distribution=kind, critic=False, key=key)
        return as_actor_critic(network, *spaces, key, action_distribution=kind)

    def init(
        self, networks: PyTree, spec: Spec, num_updates: int | Int[Array, ""], key: PRNGKeyArray
    ) -> EvolutionState:
        """The centre at the networks as they were made."""
        centre = ravel_pytree(eqx.filter(networks, trainable(networks)))[0]
        model = Normal(centre, jnp.full_like(centre, jnp.log(self.std)))
        return EvolutionState(init_learner(model, self.optimiser, num_updates), networks, key, spec.num_envs)

    def networks(self, state: EvolutionState) -> PyTree:
        """Those at the centre."""
        return state.networks

    def policy(self, networks: PyTree) -> Deterministic:
        """The centre, by its modes."""
        return Deterministic(networks)

    def acting(self, state: EvolutionState) -> Population:
        """A member for each environment, half of them mirrored."""
        params, rest = eqx.partition(state.networks, trainable(state.networks))
        members = jax.vmap(ravel_pytree(params)[1])(self._members(state))
        return Population(Deterministic(members), Deterministic(rest))

    def update(self, state: EvolutionState, view: Trajectory, key: PRNGKeyArray) -> tuple[EvolutionState, Shown]:
        """A step of the centre, up the mean score of the members."""
        returns = first_returns(view)
        batch = self._generation(state, returns)
        learner, uphill, _ = gradient_step(self.objective, state.learner, batch, self.optimiser)
        learner = learner.after_update(learner.model)
        params, rest = eqx.partition(state.networks, trainable(state.networks))
        search = self.search(learner.model)
        networks = observe(eqx.combine(ravel_pytree(params)[1](search.mean), rest), view.obs, view.valid)
        return EvolutionState(learner, networks, key, state.members), {
            RETURN.name: jnp.mean(returns),
            SPREAD.name: jnp.std(returns),
            DEVIATION.name: jnp.exp(jnp.mean(search.log_std)),
            GRADIENT_NORM.name: jnp.linalg.norm(ravel_pytree(uphill)[0]),
        }

    def objectives(self, state: EvolutionState, view: Trajectory, key: PRNGKeyArray) -> dict[str, Climbed]:
        """One, over the members."""
        return {"": Climbed(self.objective, state.learner.model, self._generation(state, first_returns(view)))}

    def objective(self, model: Normal, batch: Generation) -> tuple[Float[Array, " members"], Record]:
        """Of each member: the score surrogate of its parameters."""
        surrogate = score(jax.vmap(self.search(model).log_prob)(batch.member), batch.advantage)
        return surrogate, {SURROGATE.name: surrogate}

    def _generation(self, state: EvolutionState, returns: Float[Array, " members"]) -> Generation:
        advantage = self.advantage(returns.reshape(2, -1)).reshape(-1)
        return Generation(self._members(state), advantage, jnp.ones_like(advantage))

    def _members(self, state: EvolutionState) -> Float[Array, "members parameters"]:
        search = self.search(state.learner.model)
        noise = jax.random.normal(state.key, (state.members // 2, search.mean.size)) * jnp.exp(search.log_std)[None]
        return search.mean[None] + jnp.concatenate([noise, -noise])


def first_returns(trajectory: Trajectory) -> Float[Array, " streams"]:
    """The sum of the rewards of each stream's first episode, as far as the rows see it."""
    ended = trajectory.terminated | trajectory.truncated
    first = jnp.cumsum(ended, axis=1) - ended == 0
    return jnp.sum(jnp.where(first & trajectory.valid, trajectory.reward, 0.0), axis=1)


class PGPE(AbstractEvolution):
    """Policy gradients with parameter-based exploration: centre and deviations are learned, with a baseline.

    Sehnke et al. 2010 (Neural Networks 23:551), with symmetric members.

    - `optimiser`: what climbs, in the centre and in the logarithms of the deviations.
    - `std`: how far members are from their centre at first, in each parameter.
    """

    optimiser: AbstractOptimiser = Adam(0.05, max_grad_norm=float("inf"), epsilon=1e-8)
    std: float = 0.1

    def search(self, model: Normal) -> Normal:
        """Both."""
        return model

    def advantage(self, returns: Float[Array, "2 pairs"]) -> Float[Array, "2 pairs"]:
        """Less the mean of the other pairs: what a pair has in common counts for the deviations alone."""
        return returns - mean_of_others(jnp.mean(returns, axis=0))[None]


class ES(AbstractEvolution):
    """Evolution strategies as OpenAI's: the centre alone is learned, from the ranks of the members.

    Salimans et al. 2017 (arXiv:1703.03864), section 2: mirrored members, and ranks in place of returns.

    - `optimiser`: what climbs.
    - `std`: how far members are from their centre, in each parameter.
    """

    optimiser: AbstractOptimiser = Adam(0.02, max_grad_norm=float("inf"), epsilon=1e-8)
    std: float = 0.1

    def search(self, model: Normal) -> Normal:
        """The centre alone."""
        return Normal(model.mean, jax.lax.stop_gradient(model.log_std))

    def advantage(self, returns: Float[Array, "2 pairs"]) -> Float[Array, "2 pairs"]:
        """Ranks from -1/2 to 1/2; equals share theirs, so that where all are equal nothing is learned."""
        flat = returns.reshape(-1)
        lower, upper = (jnp.searchsorted(jnp.sort(flat), flat, side=side) for side in ("left", "right"))
        middle = (lower + upper - 1).astype(flat.dtype) / 2
        return (middle / (flat.size - 1) - 0.5).reshape(returns.shape)


class ARS(AbstractEvolution):
    """Augmented random search: the best pairs alone, their differences over the spread of their returns.

    Mania et al. 2018 (arXiv:1803.07055), algorithm 2: V1-t, and V2-t with `Network(normalize_observations=True)`.

    - `optimiser`: what climbs.
    - `std`: how far members are from their centre, in each parameter (the paper's nu).
    - `top`: the share of the pairs that is learned from: those with the greatest return of either member.
    """

    optimiser: AbstractOptimiser = SGD(0.02)
    std: float = 0.03
    top: float = eqx.field(static=True, default=0.5)

    def __check_init__(self):
        check_fields(self, check_between, "top", low=1e-6, high=1)

    def search(self, model: Normal) -> Normal:
        """The centre alone."""
        return Normal(model.mean, jax.lax.stop_gradient(model.log_std))

    def advantage(self, returns: Float[Array, "2 pairs"]) -> Float[Array, "2 pairs"]:
        r"""So that the mean score is $\frac{1}{b \sigma_R} \sum_i (r_i^+ - r_i^-) \delta_i$ over the best $b$ pairs."""
        pairs = returns.shape[1]
        best = jax.lax.top_k(jnp.max(returns, axis=0), count := max(1, round(self.top * pairs)))[1]
        chosen = returns[:, best]
        scale = 2 * self.std * pairs / count / jnp.maximum(jnp.std(chosen), 1e-8)
        return jnp.zeros_like(returns).at[:, best].set((chosen - jnp.mean(chosen)) * scale)
