"""The updates of an algorithm with critics of actions in expectation: every row of every episode, none drawn."""

import dataclasses
import functools
import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PyTree

from ...algorithms import Spec
from ...algorithms.off_policy import Networks
from ...errors import InputError
from ...jaxprs.compilation import bounded_jit
from ...learners import reached_by
from ...models import AbstractActionValues, Deterministic, entropies, unroll, WithoutCritic
from ...parameters import trainable
from ...spaces.kinds import Box
from ...trajectory import Trajectory
from ..problems import AbstractProblem, Streams
from .bias_sources import settings_of, with_settings
from .exact_update import traced

TEMPERATURE = math.exp(-1)  # where it is to be seen; its logarithm is exact in 32 bits too
AIMED = 0.25  # nats that the temperature is steered to
SHARE = 0.5  # of what followers are behind, that they make up in a step
DETERMINISTIC = "deterministic"

Updates = dict[str, Float[np.ndarray, " parameters"]]  # of each objective


class _Squared(eqx.Module):
    """What critics are to climb: less half the squared distance of each to what actions are worth."""

    exact: AbstractActionValues

    def __call__(self, critics: AbstractActionValues, obs: Array, action: Array) -> Float[Array, ""]:
        return -0.5 * jnp.sum((critics(obs, action) - self.exact(obs, action)[0]) ** 2)


@dataclasses.dataclass(frozen=True)
class ReplayedUpdate:
    """An algorithm on a problem, of whose episodes every row is in its replay. Make and use it under 64 bits."""

    problem: AbstractProblem
    subject: Any  # the algorithm as it was given

    @functools.cached_property
    def streams(self) -> Streams:
        """Every episode."""
        return self.problem.streams()

    @property
    def soft(self) -> bool:
        """Whether the entropy counts."""
        return "initial_temperature" in settings_of(self.subject)

    @property
    def temperature(self) -> float:
        """What a nat of entropy is worth."""
        return TEMPERATURE if self.soft else 0.0

    def ready(self, **values: Any) -> Any:
        """The algorithm with what is exact, and one step an update on all rows; its numbers traced."""
        size = self.streams.trajectory.reward.size
        experience = with_settings(self.subject.experience, capacity=2 * size, batch_size=None)
        exact = {
            "experience": experience, "gamma": float(self.problem.gamma), "tau": SHARE, "critics": self.number,
            "subset": None, "quantiles": 1, "quantiles_dropped": None, "smoothing": 0.0, "warmup": 0,
            "updates_per_step": 1 / size, "target_entropy": AIMED,
            "initial_temperature": self.temperature,
        }  # fmt: skip
        return traced(with_settings(self.subject, **(exact | values)))

    @functools.cached_property
    def spec(self) -> Spec:
        """Of the replay's rows."""
        num_envs, length = self.streams.trajectory.reward.shape
        return Spec(self.problem.obs_space, self.problem.action_space, num_envs, length)

    @functools.cached_property
    def values(self) -> dict[str, AbstractActionValues]:
        """Critics of actions by name."""
        return self.problem.action_values(self.temperature, self.subject.action_distribution == DETERMINISTIC)

    @functools.cached_property
    def actor(self) -> WithoutCritic:
        """The policy, or the one that takes its modes."""
        policy = self.problem.policy()
        return WithoutCritic(Deterministic(policy) if self.subject.action_distribution == DETERMINISTIC else policy)

    def check(self) -> None:
        """Raises `InputError` for an algorithm without critics of actions, or for another kind of actions."""
        build, key = self.subject.build, jax.random.key(0)
        if not isinstance(eqx.filter_eval_shape(build, self.spec, self.actor, key), Networks):
            raise InputError(
                f"{type(self.subject).__name__} has neither a credit nor critics of actions that could be looked at: "
                "audit its objective, a function (model, batch) -> value per row."
            )

    @property
    def within_bounds(self) -> bool:
        """Whether the actor's actions are between -1 and 1, where it has no chance: there its targets clip none."""
        if self.subject.action_distribution != DETERMINISTIC or not isinstance(self.problem.action_space, Box):
            return True
        t = self.streams.trajectory
        obs = jnp.concatenate([t.obs, t.last_obs[:, None]], axis=1)
        modes = jax.vmap(jax.vmap(lambda obs: self.actor(obs, ())[0].mode()))(obs)
        return bool(np.abs(modes).max() <= 1)

    def as_given(self) -> Any:
        """The same, with noise on the actions that follow."""
        given = {"smoothing": self.subject.smoothing} if "smoothing" in settings_of(self.subject) else {}
        return self.ready(**given)

    @property
    def number(self) -> int:
        """Of critics, of which two do."""
        return min(2, self.subject.critics)

    def critics(self, *names: str) -> AbstractActionValues:
        """Critics side by side, as many as the algorithm has."""
        chosen = [self.values[name] for name in (names * 2)[: self.number]]
        return jax.tree.map(lambda *x: jnp.concatenate(x), *chosen)

    def networks(self, *names: str, ready: Any = None) -> Networks:
        """The actor with critics of these names."""
        beside = (self.ready() if ready is None else ready).beside
        return Networks(self.actor, self.critics(*names), jax.tree.map(lambda x: x.astype(float), beside))

    def view(self, trajectory: Trajectory | None = None) -> Any:
        """What the algorithm sees of the episodes, by its own experience."""
        trajectory = self.streams.trajectory if trajectory is None else trajectory
        experience = self.ready().experience
        return experience.add(experience.init(trajectory), trajectory)[1]

    def updates(
        self,
        *critics: str,
        temperature: float | None = None,
        plain: bool = False,
        trajectory: Trajectory | None = None,
        weight: Float[np.ndarray, "streams time"] | None = None,
    ) -> Updates:
        """The gradient of each objective in expectation, an episode's rows together, with critics of these names.

        That of the critics is at the wrong ones, with targets by those named. `plain` drops the discount of the states.
        """
        ready = self.ready() if temperature is None else self.ready(initial_temperature=temperature)
        state = ready.init(self.networks(*critics, ready=ready), self.spec, 1, jax.random.key(0))
        weight = (self.streams.plain if plain else self.streams.exact) if weight is None else weight
        return self.of_state(ready, state, self.view(trajectory), weight)

    def of_state(
        self, ready: Any, state: PyTree, view: Any, weight: Float[np.ndarray, "streams time"], key: Any = None
    ) -> Updates:
        """The same of a state; `key` is for what is drawn after all."""
        key = jax.random.key(0) if key is None else key
        found = _updates(ready, state, view, jnp.asarray(weight), self.critics("wrong"), key)
        return {name: np.asarray(x, np.float64) for name, x in found.items()}

    def truth(self) -> Updates:
        """What each update should be with exact critics. Raises `InputError` where nothing is to be gained."""
        actor = self.problem.true_gradient(self.temperature)
        if self.subject.action_distribution == DETERMINISTIC:  # of what the modes do not depend on, there is none
            obs = self.streams.trajectory.obs[0, 0]
            reached = reached_by(lambda policy: policy(obs, policy.initial_memory())[0].mode(), self.problem.policy())
            actor = jax.tree.map(lambda g, r: g * 0 if r is None else g, actor, reached, is_leaf=lambda x: x is None)
        trajectory, weight = self.streams.trajectory, jnp.asarray(self.streams.exact)
        critics, entropy = _truths(
            _Squared(self.values["exact"]), self.critics("wrong"), self.actor, trajectory, weight
        )
        missing = AIMED * float(np.sum(weight)) - float(entropy)
        found = {"actor": ravel_pytree(actor)[0], "critics": critics, "temperature": np.array([missing])}
        if not np.linalg.norm(found["actor"]) > 1e-9:
            raise InputError(
                f"the gradient on the problem {self.problem.name} is zero or not finite, so an update has no direction "
                "to compare: give rewards that depend on the actions, and a policy that still chooses."
            )
        return {name: np.asarray(x, np.float64) for name, x in found.items()}

    def entropy_parts(self) -> Updates:
        """What the entropy should add to the updates of actor and critics, for each unit of the temperature."""
        trajectory, weight = self.streams.trajectory, jnp.asarray(self.streams.exact)
        actor, critics = _entropy_parts(self.actor, self.critics("wrong"), trajectory, weight)
        return {"actor": np.asarray(actor, np.float64), "critics": self.problem.gamma * np.asarray(critics, np.float64)}


def padded(weight: Float[Array, "streams time"], rows: int) -> Float[Array, " rows"]:
    """The weights of a replay's rows, stream by stream; 0 for slots that hold none."""
    streams, time = weight.shape
    return jnp.pad(weight, ((0, 0), (0, rows // streams - time))).reshape(-1)


@bounded_jit
def _updates(
    algorithm: Any, state: PyTree, view: Any, weight: Float[Array, "streams time"], critics: PyTree, key: Array
) -> dict[str, Float[Array, " parameters"]]:
    found = {}
    for name, climbed in algorithm.objectives(state, view, key).items():
        counted = padded(weight, climbed.rows.weight.size) * climbed.rows.weight
        model = critics if name == "critics" else climbed.model
        found[name] = _of_sum(lambda m, c=climbed, w=counted: jnp.sum(w * c.function(m, c.rows)[0]), model)
    return found


def _of_sum(function: Any, model: PyTree) -> Float[Array, " parameters"]:
    params, static = eqx.partition(model, trainable(model))
    return ravel_pytree(jax.grad(lambda params: function(eqx.combine(params, static)))(params))[0]


@bounded_jit
def _truths(
    squared: _Squared, critics: PyTree, actor: Any, trajectory: Trajectory, weight: Float[Array, "streams time"]
) -> tuple[Float[Array, " parameters"], Float[Array, ""]]:
    """The gradient of the critics' true error, and the sum of the entropies."""
    obs, action = trajectory.obs, trajectory.action

    def total(critics):
        each = jax.vmap(jax.vmap(lambda obs, action: squared(critics, obs, action)))(obs, action)
        return jnp.sum(weight * each)

    entropy = jnp.sum(weight * entropies(unroll(actor, obs, trajectory.start, ())[0].policy))
    return _of_sum(total, critics), entropy


@bounded_jit
def _entropy_parts(
    actor: Any, critics: PyTree, trajectory: Trajectory, weight: Float[Array, "streams time"]
) -> tuple[Float[Array, " of_actor"], Float[Array, " of_critics"]]:
    """Of the actor, for the sum of the entropies; of the critics, if targets were the entropies of what follows."""
    obs = trajectory.obs
    following = jax.tree.map(
        lambda x, last: jnp.concatenate([x[:, 1:], last[:, None]], axis=1), obs, trajectory.last_obs
    )

    def entropy(actor, obs):
        return entropies(unroll(actor, obs, trajectory.start, ())[0].policy)

    after = jnp.where(trajectory.terminated, 0.0, entropy(actor, following))

    def pulled(critics):
        said = jax.vmap(jax.vmap(critics))(obs, trajectory.action)
        return jnp.sum(weight * after * jnp.sum(said, -1))

    return _of_sum(lambda actor: jnp.sum(weight * entropy(actor, obs)), actor), _of_sum(pulled, critics)
