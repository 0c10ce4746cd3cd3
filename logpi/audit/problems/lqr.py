"""A linear system with a quadratic cost and a linear Gaussian policy."""

import dataclasses
import itertools
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from ...distributions import AbstractDistribution, Normal
from ...distributions.traits import Branches, Traits, traits
from ...errors import check_between, check_fields, check_whole, InputError
from ...models import AbstractActionValues, AbstractActorCritic, AbstractPolicy
from ...spaces.kinds import Box, Space
from ...trajectory import Trajectory
from .base import AbstractProblem, AbstractValues, lay_out, normal_log_prob, Streams, WithValues

NODES, WEIGHTS = (0.0, 3**0.5, -(3**0.5)), (2 / 3, 1 / 6, 1 / 6)  # Gauss-Hermite: exact for powers up to 5
MOST_NODES = 100_000
ENTROPY = 0.5 * np.log(2 * np.pi * np.e)  # of a standard Gaussian, nats
JUNK = 3.0  # the critic's value of what follows the end: nothing may look at it


class NormalByNodes(AbstractDistribution):
    """A Gaussian whose expectations are sums over three nodes for each number: exact for powers up to 5."""

    mean: Float[Array, " actions"]
    log_std: Float[Array, " actions"]

    @property
    def normal(self) -> Normal:
        """As any other."""
        return Normal(self.mean, self.log_std)

    def sample(self, key: PRNGKeyArray, shape: tuple[int, ...] = ()) -> Float[Array, "*batch_and_shape"]:
        return self.normal.sample(key, shape)

    def sample_and_log_prob(self, key: PRNGKeyArray) -> tuple[Float[Array, " actions"], Float[Array, ""]]:
        return self.normal.sample_and_log_prob(key)

    def log_prob(self, event: Float[Array, " actions"]) -> Float[Array, ""]:
        return self.normal.log_prob(event)

    def entropy(self) -> Float[Array, ""]:
        return self.normal.entropy()

    def kl(self, other: Any) -> Float[Array, ""]:
        return self.normal.kl(other)

    def mode(self) -> Float[Array, " actions"]:
        return self.mean


@traits.register
def _(dist: NormalByNodes) -> Traits:
    def branches(_):
        size = dist.mean.size
        off = jnp.asarray(list(itertools.product(NODES, repeat=size)), dist.mean.dtype)
        events = dist.mean + jnp.exp(dist.log_std) * off
        weights = jnp.prod(jnp.asarray(list(itertools.product(WEIGHTS, repeat=size)), dist.mean.dtype), axis=1)
        return Branches(events, jax.vmap(dist.log_prob)(events), weights)

    return Traits("NormalByNodes", shape=jnp.shape(dist.mean), branches=branches, not_reparametrised=list)


class LinearGaussian(AbstractPolicy):
    """Means linear in the state, a standard deviation for each action. The observation is the state and the step."""

    gain: Float[Array, "actions states"]
    log_std: Float[Array, " actions"]

    def initial_memory(self) -> tuple[()]:
        return ()

    def __call__(self, obs: Float[Array, " seen"], memory: tuple[()]) -> tuple["NormalByNodes", tuple[()]]:
        return NormalByNodes(self.gain @ obs[:-1], self.log_std), memory


class Quadratic(AbstractValues):
    """A quadratic value for each step: minus (s' P s + c)."""

    matrix: Float[Array, "steps states states"]
    constant: Float[Array, " steps"]

    def __call__(self, obs: Float[Array, " seen"]) -> Float[Array, ""]:
        state, step = obs[:-1], jnp.round(obs[-1]).astype(int)
        return -(state @ self.matrix[step] @ state + self.constant[step])


class ActionQuadratic(AbstractActionValues):
    """A quadratic value for each step by each critic: minus (z' M z + c), where z is the state and the action."""

    matrix: Float[Array, "critics steps entries entries"]
    constant: Float[Array, "critics steps"]

    def __call__(
        self, obs: Float[Array, " seen"], action: Float[Array, " actions"], key: Any = None
    ) -> Float[Array, " critics"]:
        both, step = jnp.concatenate([obs[:-1], action]), jnp.round(obs[-1]).astype(int)
        return -(jnp.einsum("cij,i,j->c", self.matrix[:, step], both, both) + self.constant[:, step])


def _floats(x: Any) -> np.ndarray:
    return np.asarray(x, np.float64)


def _check_shapes(problem: Any) -> None:
    """Raises `InputError` where the arrays are not of one number of states and one of actions."""
    states, actions = problem.start.size, problem.log_std.size
    wanted = {
        "start": (states,), "log_std": (actions,), "transition": (states, states), "control": (states, actions),
        "state_cost": (states, states), "action_cost": (actions, actions), "gain": (actions, states),
        "spread": (states, None), "noise": (states, None),
    }  # fmt: skip
    for name, shape in wanted.items():
        given = getattr(problem, name).shape
        if len(given) != len(shape) or any(w not in (None, g) for w, g in zip(shape, given, strict=True)):
            raise InputError(
                f"{name} has the shape {given}, but with {states} states (start) and {actions} actions (log_std) it "
                f"must be ({', '.join('any' if w is None else str(w) for w in shape)}): give such an array."
            )


class LQR(AbstractProblem):
    r"""$s' = A s + B a + w$ with reward $-(s^T Q s + a^T R a)$ and $a \sim N(K s, \mathrm{diag}\,\sigma^2)$.

    `transition` is A (states, states), `control` B (states, actions), `state_cost` Q, `action_cost` R, `gain` K
    (actions, states), `log_std` the logarithm of sigma. The columns of `noise` (states, k) and `spread` (states, j) are
    roots of the covariances of w and of the first state, whose mean is `start`. The `horizon`, in steps, is part of the
    task. With a `cut`, the rows end by a time limit after so many steps, and J is of the policy before it: what follows
    is under the policy as it is.

    Per noise variable, score times return is a polynomial of degree 4 at most, so sums over three Gauss-Hermite nodes
    for each give expectations of on-policy updates exactly. Raises `InputError` where that needs more than 100,000.
    """

    transition: Float[np.ndarray, "states states"] = eqx.field(converter=_floats)
    control: Float[np.ndarray, "states actions"] = eqx.field(converter=_floats)
    state_cost: Float[np.ndarray, "states states"] = eqx.field(converter=_floats)
    action_cost: Float[np.ndarray, "actions actions"] = eqx.field(converter=_floats)
    gain: Float[np.ndarray, "actions states"] = eqx.field(converter=_floats)
    log_std: Float[np.ndarray, " actions"] = eqx.field(converter=_floats)
    start: Float[np.ndarray, " states"] = eqx.field(converter=_floats)
    spread: Float[np.ndarray, "states j"] = eqx.field(converter=_floats)
    noise: Float[np.ndarray, "states k"] = eqx.field(converter=_floats)
    gamma: float = 1.0
    horizon: int = eqx.field(static=True, default=3)
    cut: int | None = eqx.field(static=True, default=None)
    name: str = eqx.field(static=True, default="LQR")

    def __check_init__(self):
        check_fields(self, check_between, "gamma", low=0, high=1)
        check_fields(self, check_whole, "horizon", low=1)
        check_fields(self, check_whole, "cut", low=1, high=self.horizon - 1, optional=True)
        _check_shapes(self)
        if 3.0 ** sum(self._sizes) > MOST_NODES:
            raise InputError(
                f"the noise has {sum(self._sizes)} variables, and {MOST_NODES} nodes do for 10: give a smaller horizon "
                "or fewer columns of noise."
            )

    @property
    def obs_space(self) -> Space:
        return Box((self.start.size + 1,))

    @property
    def action_space(self) -> Space:
        return Box((self.log_std.size,))

    @property
    def check(self) -> str:
        return "continuous_actions" if self.cut is None else "truncation"

    @property
    def cure(self) -> str:
        if self.cut is not None:
            return "where truncated, add gamma times the value of the true next observation"
        return "sum the log-density over the entries of an action, and let the standard deviation learn too"

    @property
    def _sizes(self) -> tuple[int, int, int]:
        """How many noise variables the first state, the actions and the transitions have."""
        led = self.steps - (self.cut is None)  # what the last action leads to counts after a time limit alone
        return self.spread.shape[1], self.steps * self.control.shape[1], led * self.noise.shape[1]

    @property
    def steps(self) -> int:
        """That there are rows of."""
        return self.horizon if self.cut is None else self.cut

    def policy(self) -> LinearGaussian:
        return LinearGaussian(jnp.asarray(self.gain), jnp.asarray(self.log_std))

    def before(self) -> "LQR":
        """With actions around 0."""
        return dataclasses.replace(self, gain=np.zeros_like(self.gain))

    def objective(self, policy: Any, temperature: Any = 0.0) -> Float[Array, ""]:
        r"""J by the recursion of second moments, $M' = (A + BK) M (A + BK)^T + B \Sigma B^T + W$ (Lyapunov)."""
        variance = jnp.diag(jnp.exp(2 * policy.log_std))
        closed = self.transition + self.control @ policy.gain
        start = jnp.asarray(self.start)
        moment = jnp.outer(start, start) + self.spread @ self.spread.T
        total = jnp.zeros(())
        for step in range(self.steps):
            acted = policy.gain @ moment @ policy.gain.T + variance
            cost = jnp.sum(self.state_cost * moment) + jnp.sum(self.action_cost * acted)
            total += self.gamma**step * (temperature * jnp.sum(policy.log_std + ENTROPY) - cost)
            moment = closed @ moment @ closed.T + self.control @ variance @ self.control.T + self.noise @ self.noise.T
        left, constant = (x[self.steps] for x in self._costs(jnp.exp(self.log_std), xp=jnp))
        total -= self.gamma**self.steps * (jnp.sum(left * moment) + constant)
        nats = temperature * jnp.sum(self.log_std + ENTROPY)
        return total + nats * sum(self.gamma**step for step in range(self.steps, self.horizon))

    def critics(self) -> dict[str, AbstractActorCritic]:
        r"""Exact, by $P = Q + K^T R K + \gamma (A + BK)^T P' (A + BK)$, and one whose P is too small by a third."""
        matrix, constant = self._costs(np.exp(self.log_std))
        constant[-1] = JUNK
        p, c, policy = jnp.asarray(matrix), jnp.asarray(constant), self.policy()
        exact, wrong = WithValues(policy, Quadratic(p, c)), WithValues(policy, Quadratic(p / 1.5, c))
        return {"exact": exact, "wrong": wrong}

    def action_values(self, temperature: float, deterministic: bool) -> dict[str, AbstractActionValues]:
        """By the values of the states that follow, and of their entropies: of both the noise adds constants."""
        std = np.zeros_like(self.log_std) if deterministic else np.exp(self.log_std)
        matrix, constant = self._costs(std, temperature * float(np.sum(self.log_std + ENTROPY)))
        moved = np.concatenate([self.transition, self.control], axis=1)
        states = len(self.start)
        m, c = np.zeros((self.horizon + 1, moved.shape[1], moved.shape[1])), np.full(self.horizon + 1, JUNK)
        for step in range(self.horizon):
            m[step] = self.gamma * moved.T @ matrix[step + 1] @ moved
            m[step, :states, :states] += self.state_cost
            m[step, states:, states:] += self.action_cost
            c[step] = self.gamma * (np.sum(matrix[step + 1] * (self.noise @ self.noise.T)) + constant[step + 1])
        higher, wrong = m - 0.3 * np.eye(m.shape[1]), m / 1.5
        wrong[:, states:, states:] += 0.2 * self.action_cost  # else its slopes would have the right direction
        tables = {"exact": (m, c), "wrong": (wrong, c), "above": (higher, c - 0.5)}
        return {name: ActionQuadratic(jnp.asarray(x)[None], jnp.asarray(y)[None]) for name, (x, y) in tables.items()}

    def _costs(self, std: Any, bonus: float = 0.0, xp: Any = np) -> tuple[Any, Any]:
        """P and c of the costs to go, s' P s + c, at each step and after the last; less a `bonus` for each step.

        (steps + 1, states, states) and (steps + 1,), by NumPy or JAX.
        """
        closed, variance = self.transition + self.control @ self.gain, xp.diag(std**2)
        jolt = self.control @ variance @ self.control.T + self.noise @ self.noise.T
        matrix, constant = [xp.zeros_like(closed)], [xp.zeros(())]
        own = xp.sum(self.action_cost * variance) - bonus
        kept = self.state_cost + self.gain.T @ self.action_cost @ self.gain
        for _ in range(self.horizon):
            constant.insert(0, own + self.gamma * (xp.sum(matrix[0] * jolt) + constant[0]))
            matrix.insert(0, kept + self.gamma * closed.T @ matrix[0] @ closed)
        return xp.stack(matrix), xp.stack(constant)

    def streams(self) -> Streams:
        """The nodes of the cubature."""
        size = sum(self._sizes)
        chance = np.prod(np.array(list(itertools.product(WEIGHTS, repeat=size))), axis=1)
        trajectory = self._trajectory(np.array(list(itertools.product(NODES, repeat=size))))
        discount = np.append(self.gamma ** np.arange(self.steps), [0.0, 0.0])
        return Streams(trajectory, chance[:, None] * discount, chance)

    def draw(self, rng: np.random.Generator, num_streams: int) -> Trajectory:
        return self._trajectory(rng.normal(size=(num_streams, sum(self._sizes))))

    def _trajectory(self, z: Float[np.ndarray, "n variables"]) -> Trajectory:
        n, (first, acts, _) = len(z), self._sizes
        for_action = z[:, first : first + acts].reshape(n, self.steps, -1)
        missing = self.steps * self.noise.shape[1] - z[:, first + acts :].shape[1]  # of what nothing looks at
        for_state = np.pad(z[:, first + acts :], ((0, 0), (0, missing)))
        for_state = for_state.reshape(n, self.steps, self.noise.shape[1])
        state, rows = self.start + z[:, :first] @ self.spread.T, []
        for step in range(self.steps):
            off = np.exp(self.log_std) * for_action[:, step]
            action = state @ self.gain.T + off
            cost = np.sum(state @ self.state_cost * state, 1) + np.sum(action @ self.action_cost * action, 1)
            rows.append((_with_step(state, step), action, normal_log_prob(off, self.log_std), -cost))
            state = state @ self.transition.T + action @ self.control.T + for_state[:, step] @ self.noise.T
        seen, action, log_prob, reward = (np.stack(column, axis=1) for column in zip(*rows, strict=True))
        obs = np.concatenate([seen, _with_step(state, self.steps)[:, None]], axis=1)
        length, ends = np.full(n, self.steps), np.full(n, self.cut is None)
        return lay_out(obs, action, log_prob, reward, length, terminated=ends, truncated=~ends)


def _with_step(state: Float[np.ndarray, "n states"], step: int) -> Float[np.ndarray, "n seen"]:
    """What is observed: the state, and the step."""
    return np.concatenate([state, np.full((len(state), 1), float(step))], axis=1)
