"""A linear system with a quadratic cost and a linear Gaussian policy."""

import itertools
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ...distributions import Normal
from ...errors import check_between, check_fields, check_whole, InputError
from ...models import AbstractActorCritic, AbstractPolicy
from ...spaces.kinds import Box, Space
from ...trajectory import Trajectory
from .base import AbstractProblem, AbstractValues, lay_out, normal_log_prob, Streams, WithValues

NODES, WEIGHTS = (0.0, 3**0.5, -(3**0.5)), (2 / 3, 1 / 6, 1 / 6)  # Gauss-Hermite: exact for powers up to 5
MOST_NODES = 100_000
JUNK = 3.0  # the critic's value of what follows the end: nothing may look at it


class LinearGaussian(AbstractPolicy):
    """Means linear in the state, a standard deviation for each action. The observation is the state and the step."""

    gain: Float[Array, "actions states"]
    log_std: Float[Array, " actions"]

    def initial_memory(self) -> tuple[()]:
        return ()

    def __call__(self, obs: Float[Array, " seen"], memory: tuple[()]) -> tuple[Normal, tuple[()]]:
        return Normal(self.gain @ obs[:-1], self.log_std), memory


class Quadratic(AbstractValues):
    """A quadratic value for each step: minus (s' P s + c)."""

    matrix: Float[Array, "steps states states"]
    constant: Float[Array, " steps"]

    def __call__(self, obs: Float[Array, " seen"]) -> Float[Array, ""]:
        state, step = obs[:-1], jnp.round(obs[-1]).astype(int)
        return -(state @ self.matrix[step] @ state + self.constant[step])


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
    roots of the covariances of w and of the first state, whose mean is `start`. The limit is part of the task.

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
    name: str = eqx.field(static=True, default="LQR")

    def __check_init__(self):
        check_fields(self, check_between, "gamma", low=0, high=1)
        check_fields(self, check_whole, "horizon", low=1)
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
        return "continuous_actions"

    @property
    def cure(self) -> str:
        return "sum the log-density over the entries of an action, and let the standard deviation learn too"

    @property
    def _sizes(self) -> tuple[int, int, int]:
        """How many noise variables the first state, the actions and the transitions have."""
        steps = self.horizon
        return self.spread.shape[1], steps * self.control.shape[1], (steps - 1) * self.noise.shape[1]

    def policy(self) -> LinearGaussian:
        return LinearGaussian(jnp.asarray(self.gain), jnp.asarray(self.log_std))

    def objective(self, policy: Any) -> Float[Array, ""]:
        r"""J by the recursion of second moments, $M' = (A + BK) M (A + BK)^T + B \Sigma B^T + W$ (Lyapunov)."""
        variance = jnp.diag(jnp.exp(2 * policy.log_std))
        closed = self.transition + self.control @ policy.gain
        start = jnp.asarray(self.start)
        moment = jnp.outer(start, start) + self.spread @ self.spread.T
        total = jnp.zeros(())
        for step in range(self.horizon):
            acted = policy.gain @ moment @ policy.gain.T + variance
            total -= self.gamma**step * (jnp.sum(self.state_cost * moment) + jnp.sum(self.action_cost * acted))
            moment = closed @ moment @ closed.T + self.control @ variance @ self.control.T + self.noise @ self.noise.T
        return total

    def critics(self) -> dict[str, AbstractActorCritic]:
        r"""Exact, by $P = Q + K^T R K + \gamma (A + BK)^T P' (A + BK)$, and one whose P is too small by a third."""
        closed, variance = self.transition + self.control @ self.gain, np.diag(np.exp(2 * self.log_std))
        jolt = self.control @ variance @ self.control.T + self.noise @ self.noise.T
        matrix, constant, own = [np.zeros_like(closed)], [0.0], np.sum(self.action_cost * variance)
        for _ in range(self.horizon):
            constant.insert(0, float(own + self.gamma * (np.sum(matrix[0] * jolt) + constant[0])))
            kept = self.state_cost + self.gain.T @ self.action_cost @ self.gain
            matrix.insert(0, kept + self.gamma * closed.T @ matrix[0] @ closed)
        constant[-1] = JUNK
        p, c, policy = jnp.asarray(np.stack(matrix)), jnp.asarray(constant), self.policy()
        exact, wrong = WithValues(policy, Quadratic(p, c)), WithValues(policy, Quadratic(p / 1.5, c))
        return {"exact": exact, "wrong": wrong}

    def streams(self) -> Streams:
        """The nodes of the cubature."""
        size = sum(self._sizes)
        chance = np.prod(np.array(list(itertools.product(WEIGHTS, repeat=size))), axis=1)
        trajectory = self._trajectory(np.array(list(itertools.product(NODES, repeat=size))))
        discount = np.append(self.gamma ** np.arange(self.horizon), [0.0, 0.0])
        return Streams(trajectory, chance[:, None] * discount, chance)

    def draw(self, rng: np.random.Generator, num_streams: int) -> Trajectory:
        return self._trajectory(rng.normal(size=(num_streams, sum(self._sizes))))

    def _trajectory(self, z: Float[np.ndarray, "n variables"]) -> Trajectory:
        n, (first, acts, _) = len(z), self._sizes
        for_action = z[:, first : first + acts].reshape(n, self.horizon, -1)
        for_state = np.pad(z[:, first + acts :], ((0, 0), (0, self.noise.shape[1])))  # nothing after the last step
        for_state = for_state.reshape(n, self.horizon, self.noise.shape[1])
        state, rows = self.start + z[:, :first] @ self.spread.T, []
        for step in range(self.horizon):
            off = np.exp(self.log_std) * for_action[:, step]
            action = state @ self.gain.T + off
            cost = np.sum(state @ self.state_cost * state, 1) + np.sum(action @ self.action_cost * action, 1)
            rows.append((_with_step(state, step), action, normal_log_prob(off, self.log_std), -cost))
            state = state @ self.transition.T + action @ self.control.T + for_state[:, step] @ self.noise.T
        seen, action, log_prob, reward = (np.stack(column, axis=1) for column in zip(*rows, strict=True))
        obs = np.concatenate([seen, _with_step(state, self.horizon)[:, None]], axis=1)
        length, ends = np.full(n, self.horizon), np.ones(n, bool)
        return lay_out(obs, action, log_prob, reward, length, terminated=ends, truncated=~ends)


def _with_step(state: Float[np.ndarray, "n states"], step: int) -> Float[np.ndarray, "n seen"]:
    """What is observed: the state, and the step."""
    return np.concatenate([state, np.full((len(state), 1), float(step))], axis=1)
