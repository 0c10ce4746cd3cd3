"""Tabular MDPs: J by the value recursion, and every episode by enumeration."""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from ...distributions import Categorical
from ...errors import check_between, check_fields, check_whole, InputError
from ...models import AbstractActionValues, AbstractActorCritic, AbstractPolicy
from ...spaces.kinds import Discrete, Space
from ...trajectory import Trajectory
from .base import AbstractProblem, AbstractValues, lay_out, Streams, WithValues
from .episode_tree import every_episode

JUNK = 3.0  # the critic's value of what follows a termination: nothing may look at it
LIMITS = ("terminates", "truncates", "rollout")


class TabularPolicy(AbstractPolicy):
    """A softmax policy with a row of logits for each observation. It sees no time."""

    logits: Float[Array, "observations actions"]
    observation: Int[Array, " codes"]  # of each code that the trajectory holds

    def initial_memory(self) -> tuple[()]:
        return ()

    def __call__(self, obs: Int[Array, ""], memory: tuple[()]) -> tuple[Categorical, tuple[()]]:
        return Categorical(self.logits[self.observation[obs]]), memory


class ActionTable(AbstractActionValues):
    """A value of each action for each state at each step, by each critic."""

    table: Float[Array, "critics codes actions"]

    def __call__(self, obs: Int[Array, ""], action: Int[Array, ""], key: Any = None) -> Float[Array, " critics"]:
        return self.table[:, obs, action]


class Table(AbstractValues):
    """A value for each state at each step."""

    table: Float[Array, " codes"]

    def __call__(self, obs: Int[Array, ""]) -> Float[Array, ""]:
        return self.table[obs]


def _floats(x: Any) -> np.ndarray:
    return np.asarray(x, np.float64)


class TabularMDP(AbstractProblem):
    r"""A finite MDP with terminations, a time limit, discounting and observations that may hide the state.

    - `first` (states,): probabilities of the first state.
    - `reward` (states, actions): paid for an action in a state.
    - `end` (states, actions): probability that the action terminates the episode.
    - `follow` (states, actions, states): probabilities of the next state where it does not.
    - `logits` (observations, actions): of the softmax policy; `observation` (states,) says which of them a state shows.
    - `gamma`: the discount. `horizon`: the time limit, in steps.
    - `limit`: what the time limit means. `"terminates"`: it is part of the task, $J$ counts what comes before it, and
      the critic sees the time. `"truncates"`: it is an artefact, $J$ is of the MDP without it, and what follows is
      bootstrapped. `"rollout"`: the same, but the rows end there and no flag is set.

    A trajectory's `obs` is `state * (horizon + 1) + step`. An artefact cuts one long episode in pieces: the weights
    `Streams.exact` start the pieces in $\rho = \sum_k \gamma^{kH} P(s_{kH} = \cdot)$, so that no state is left out.
    Raises `InputError` for arrays that are no MDP, for one too large to enumerate, and for a return that is infinite.
    """

    first: Float[np.ndarray, " states"] = eqx.field(converter=_floats)
    reward: Float[np.ndarray, "states actions"] = eqx.field(converter=_floats)
    end: Float[np.ndarray, "states actions"] = eqx.field(converter=_floats)
    follow: Float[np.ndarray, "states actions states"] = eqx.field(converter=_floats)
    logits: Float[np.ndarray, "observations actions"] = eqx.field(converter=_floats)
    gamma: float = 1.0
    horizon: int = eqx.field(static=True, default=4)
    limit: str = eqx.field(static=True, default="terminates")
    observation: tuple[int, ...] | None = eqx.field(static=True, default=None)
    name: str = eqx.field(static=True, default="tabular")

    def __check_init__(self):
        check_fields(self, check_between, "gamma", low=0, high=1)
        check_fields(self, check_whole, "horizon", low=1)
        if self.limit not in LIMITS:
            raise InputError(f"limit is {self.limit!r}, but it must be one of {', '.join(LIMITS)}.")
        _check_arrays(self)
        if self.limit != "terminates":
            growth = float(np.max(np.abs(np.linalg.eigvals(self.gamma * self._policy_chain(_softmax(self))[0]))))
            if growth > 1 - 1e-9:
                raise InputError(
                    f"without its time limit the MDP has no finite return (it grows by {growth:.3g} a step): give "
                    "gamma < 1, a probability to end, or limit='terminates'."
                )

    @property
    def obs_space(self) -> Space:
        return Discrete((len(self.first) + 1) * (self.horizon + 1))

    @property
    def action_space(self) -> Space:
        return Discrete(self.logits.shape[1])

    @property
    def check(self) -> str:
        return "truncation" if self.limit == "truncates" else "policy_gradient"

    @property
    def cure(self) -> str:
        if self.limit == "truncates":
            return (
                "where truncated, add gamma times the value of the true next observation, and stop the sum there; only "
                "where terminated does nothing follow"
            )
        return (
            "weigh the log-probability of each action by all rewards of its episode from then on, the last one too, "
            "less a baseline that does not depend on the action; maximise"
        )

    @property
    def codes(self) -> Int[np.ndarray, " codes"]:
        """The observation behind each code of a trajectory; behind those after a termination, the first one."""
        observation = np.arange(len(self.first)) if self.observation is None else np.asarray(self.observation)
        return np.repeat(np.append(observation, 0), self.horizon + 1)

    def policy(self) -> TabularPolicy:
        return TabularPolicy(jnp.asarray(self.logits), jnp.asarray(self.codes))

    def before(self) -> "TabularMDP":
        """With a policy that prefers nothing."""
        return dataclasses.replace(self, logits=np.zeros_like(self.logits))

    def objective(self, policy: Any, temperature: Any = 0.0) -> Float[Array, ""]:
        """J by the value recursion: backward over the steps where the limit is part of the task, else a linear solve.

        Bellman's equation for a fixed policy (Sutton & Barto 2018, eq. 3.14).
        """
        chosen = jax.nn.softmax(policy.logits)[self.codes.reshape(-1, self.horizon + 1)[:-1, 0]]
        return jnp.asarray(self.first) @ self._values(chosen, jnp, temperature)[0]

    def critics(self) -> dict[str, AbstractActorCritic]:
        """Exact, wrong by about the spread of the values, and, where states share an observation, one for each."""
        policy = self.policy()
        exact = self._values(_softmax(self), np)  # (steps, states)
        bump = np.random.default_rng(0).normal(size=exact.shape) * max(float(exact[:-1].std()), 0.1)
        tables = {"exact": exact, "wrong": exact + bump}
        if self.observation is not None:
            tables["of the observation"] = self._averaged(exact)
        after = np.full((self.horizon + 1, 1), JUNK)
        return {
            name: WithValues(policy, Table(jnp.asarray(np.concatenate([table, after], axis=1).T.reshape(-1))))
            for name, table in tables.items()
        }

    def action_values(self, temperature: float, deterministic: bool) -> dict[str, AbstractActionValues]:
        """By the values of what follows, of which the entropy is a part (Haarnoja et al. 2018, eq. 2)."""
        if deterministic:
            return {}
        value = self._values(_softmax(self), np, temperature)
        following = np.concatenate([value[1:], value[-1:]])  # of each step; nothing asks for what follows the last
        onward = (1 - self.end)[:, :, None] * self.follow
        exact = self.reward + self.gamma * np.einsum("sat,kt->ksa", onward, following)
        bump = np.random.default_rng(0).normal(size=exact.shape) * max(float(exact.std()), 0.1)
        after = np.full((self.horizon + 1, 1, exact.shape[2]), JUNK)

        def table(values):
            values = np.concatenate([values, after], axis=1).swapaxes(0, 1)
            return ActionTable(jnp.asarray(values.reshape(1, -1, exact.shape[2])))

        return {"exact": table(exact), "wrong": table(exact + bump), "above": table(exact + np.abs(bump))}

    def streams(self) -> Streams:
        tree = every_episode(self.end, self.follow, self.horizon, self.limit == "terminates")
        steps = np.arange(self.horizon + 1)
        code = tree.states * (self.horizon + 1) + steps
        probabilities = _softmax(self)
        log_prob = np.log(probabilities[np.minimum(tree.states[:, :-1], len(self.first) - 1), tree.actions])
        alive = steps[:-1] < tree.length[:, None]
        chance = tree.chance * np.exp(np.sum(np.where(alive, log_prob, 0.0), axis=1))
        begin = tree.states[:, 0]
        reward = np.where(alive, self.reward[np.minimum(tree.states[:, :-1], len(self.first) - 1), tree.actions], 0.0)
        cut = ~tree.terminated & (self.limit == "truncates")
        last = self.limit == "rollout"
        columns = (code, tree.actions, log_prob, reward, tree.length)
        trajectory = lay_out(*columns, terminated=tree.terminated, truncated=cut, last=last)
        discount = np.pad(alive * self.gamma ** steps[:-1], ((0, 0), (2, 0) if last else (0, 2)))
        exact = (self._start()[begin] * chance)[:, None] * discount
        return Streams(trajectory, exact, self.first[begin] * chance)

    def draw(self, rng: np.random.Generator, num_streams: int) -> Trajectory:
        streams = self.streams()
        drawn = rng.choice(len(streams.chance), num_streams, p=streams.chance / streams.chance.sum())
        return jax.tree.map(lambda x: jnp.asarray(np.asarray(x)[drawn]), streams.trajectory)

    def _policy_chain(self, chosen: Any) -> tuple[Any, Any]:
        """Probabilities to go on to each state, and rewards, under a policy; of NumPy's kind or JAX's, as it is."""
        onward = (1 - self.end)[:, :, None] * self.follow
        return (chosen[:, :, None] * onward).sum(1), (chosen * self.reward).sum(1)

    def _values(self, chosen: Any, xp: Any, temperature: Any = 0.0) -> Any:
        """Of each state at each step, the one after the limit too: (steps + 1, states), by NumPy or JAX."""
        onward, reward = self._policy_chain(chosen)
        reward = reward - temperature * (chosen * xp.log(chosen)).sum(1)
        if self.limit != "terminates":
            value = xp.linalg.solve(xp.eye(len(self.first)) - self.gamma * onward, reward)
            return xp.broadcast_to(value, (self.horizon + 1, len(self.first)))
        values = [xp.zeros(len(self.first))]
        for _ in range(self.horizon):
            values.insert(0, reward + self.gamma * onward @ values[0])
        return xp.stack(values)

    def _start(self) -> Float[np.ndarray, " states"]:
        """What each state counts as the first of a stream."""
        if self.limit == "terminates":
            return self.first
        many = np.linalg.matrix_power(self.gamma * self._policy_chain(_softmax(self))[0], self.horizon)
        return np.linalg.solve((np.eye(len(self.first)) - many).T, self.first)

    def _averaged(self, exact: Float[np.ndarray, "steps states"]) -> Float[np.ndarray, "steps states"]:
        """The mean of the values over the states that show the same, by how often they are met at each step."""
        onward, there = self._policy_chain(_softmax(self))[0], self.first
        seen = self.codes.reshape(-1, self.horizon + 1)[:-1, 0]
        same = seen[:, None] == seen[None, :]
        rows = []
        for value in exact:
            weight = there + 1e-12
            rows.append(same @ (weight * value) / (same @ weight))
            there = there @ onward
        return np.stack(rows)


def _softmax(mdp: TabularMDP) -> Float[np.ndarray, "states actions"]:
    """The policy's probabilities in each state."""
    logits = mdp.logits if mdp.observation is None else mdp.logits[list(mdp.observation)]
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


def _check_arrays(mdp: TabularMDP) -> None:
    """Raises `InputError` for arrays that are no MDP."""
    states, actions = mdp.reward.shape
    shapes = {"first": (states,), "end": (states, actions), "follow": (states, actions, states)}
    for name, shape in shapes.items():
        if getattr(mdp, name).shape != shape:
            raise InputError(
                f"{name} has the shape {getattr(mdp, name).shape}, but reward has {mdp.reward.shape}, so {name} must "
                f"have {shape}: give states first, then actions."
            )
    observation = tuple(range(states)) if mdp.observation is None else mdp.observation
    if len(observation) != states or not all(0 <= o < len(mdp.logits) for o in observation):
        raise InputError(
            f"observation is {observation} for {states} states and {len(mdp.logits)} rows of logits: give each state "
            "the number of a row."
        )
    if mdp.logits.shape[1] != actions:
        raise InputError(f"logits has {mdp.logits.shape[1]} columns, but there are {actions} actions: give one each.")
    if not all(np.isfinite(getattr(mdp, name)).all() for name in ("reward", "logits", *shapes)):
        raise InputError("an array of the MDP holds a number that is not finite: give finite ones.")
    for name in ("first", "follow"):
        p = getattr(mdp, name)
        if (p < 0).any() or np.abs(p.sum(-1) - 1).max() > 1e-9:
            raise InputError(f"{name} must hold probabilities that sum to 1 over its last axis: divide by their sum.")
    if (mdp.end < 0).any() or (mdp.end > 1).any():
        raise InputError("end must hold probabilities, from 0 to 1.")
