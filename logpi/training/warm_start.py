"""Warm starts: a policy is cloned from data before its first update, by the score with an advantage of 1.

Supervised learning is the policy gradient in which every row's advantage is 1: the cross-entropy to somebody's actions
has for its gradient the mean of their scores. So nothing is differentiated here that is not differentiated elsewhere.
"""

import dataclasses
import functools
import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from ..algorithms import AbstractAlgorithm
from ..demonstrations import Demonstrations, fitting, WarmStart
from ..errors import InputError
from ..learners import epochs, gradient_step, init_learner, Learner, random_order
from ..learners.optimisers import AbstractOptimiser
from ..models import AbstractPolicy, observe, with_chance
from ..models.heads import BOUNDED, DETERMINISTIC
from ..rollout import AbstractRollout
from ..runs.settings import Settings
from ..spaces.actions import as_drawn, boxes
from ..spaces.kinds import Space
from ..spaces.membership import caster, mapped
from ..surrogates import score
from ..trajectory import PORTION

MARGIN = 1e-3  # that numbers keep from -1 and 1, to which tanh leads from infinity alone


class DemonstratedRows(eqx.Module):
    """Rows to clone, as a policy sees and draws them."""

    obs: PyTree[Array]  # (rows, ...)
    action: PyTree[Array]  # (rows, ...)
    weight: Float[Array, " rows"]  # 0 for those that only fill a batch


def likelihood(policy: AbstractPolicy, rows: DemonstratedRows) -> Float[Array, " rows"]:
    """The log-probability of each row's action under a policy without memory."""

    def one(obs, action):
        return policy(obs, policy.initial_memory())[0].log_prob(action)

    return jax.vmap(one)(rows.obs, rows.action)


def cloning_objective(
    policy: Callable[[PyTree], AbstractPolicy], networks: PyTree, rows: DemonstratedRows
) -> tuple[Float[Array, " rows"], dict[str, Array]]:
    """Of each row: the score surrogate with an advantage of 1, of the `policy` in these networks."""
    log_prob = likelihood(policy(networks), rows)
    return score(log_prob, jnp.ones_like(log_prob)), {}


class Cloned(eqx.Module):
    """Networks after a warm start, and what it showed."""

    networks: PyTree
    before: Float[Array, " held_out"]  # the log-probability of each row that was held out
    after: Float[Array, " held_out"]
    impossible: Int[Array, ""]  # the first row to which the policy gave no probability at first; none is -1


@eqx.filter_jit
def cloned(
    algorithm: AbstractAlgorithm,
    networks: PyTree,
    rows: DemonstratedRows,
    optimiser: AbstractOptimiser,
    *,
    num_epochs: int,
    batch_size: int,
    num_held_out: int,
    key: PRNGKeyArray,
) -> Cloned:
    """`num_epochs` shuffled passes over all rows but those that are held out, which are drawn.

    A normaliser of observations sees those first that are learned from. What the policy does not depend on, as critics
    that share nothing with it, stays as it is.
    """

    def policy(networks: PyTree) -> Any:
        return with_chance(algorithm.policy(networks))

    split_key, epochs_key = jax.random.split(key)
    order = random_order(split_key, rows.weight.size)
    held_out, learned = (jax.tree.map(lambda x, i=i: x[i], rows) for i in jnp.split(order, [num_held_out]))
    seen = observe(policy(networks), *jax.tree.map(lambda x: x[None], (learned.obs, learned.weight)))
    if seen is not policy(networks):
        networks = eqx.tree_at(policy, networks, seen)
    likelihoods = _in_turn(policy(networks), rows)
    possible = jnp.isfinite(likelihoods)
    impossible = jnp.where(jnp.all(possible), -1, jnp.argmin(possible))

    count = learned.weight.size
    num_minibatches = -(-count // batch_size)
    filled = jnp.arange(-(-count // num_minibatches) * num_minibatches)
    batch = jax.tree.map(lambda x: x[filled % count], learned)
    batch = eqx.tree_at(lambda b: b.weight, batch, jnp.where(filled < count, batch.weight, 0))
    objective = functools.partial(cloning_objective, policy)

    def step(learner: Learner, minibatch: DemonstratedRows):
        learner, uphill, record = gradient_step(objective, learner, minibatch, optimiser)
        return learner.after_update(learner.model), uphill, record

    learner = init_learner(networks, optimiser, num_epochs * num_minibatches)
    learner, _ = epochs(step, learner, batch, num_epochs=num_epochs, num_minibatches=num_minibatches, key=epochs_key)
    after = _in_turn(policy(learner.model), held_out)
    return Cloned(learner.model, likelihoods[order[:num_held_out]], after, impossible)


def _in_turn(policy: AbstractPolicy, rows: DemonstratedRows) -> Float[Array, " rows"]:
    """`likelihood`, of some rows after the others: all at once may be more than there is memory for."""
    numbers = sum(math.prod(x.shape[1:]) for x in jax.tree.leaves(rows))

    def one(row: DemonstratedRows) -> Float[Array, ""]:
        return likelihood(policy, jax.tree.map(lambda x: x[None], row))[0]

    return jax.lax.map(one, rows, batch_size=max(1, PORTION // (64 * numbers)))


@dataclasses.dataclass
class WarmStarting:
    """The warm start of a training: what it does to the networks of each seed, and what that showed."""

    algorithm: AbstractAlgorithm
    how: WarmStart
    rows: DemonstratedRows
    shown: list[dict[str, Any]] = dataclasses.field(default_factory=list)  # of each seed, in their order
    seconds: float = 0.0

    def __call__(self, networks: PyTree, key: PRNGKeyArray) -> PyTree:
        """The networks, cloned. Raises `InputError` where that cannot be, or leads to numbers that are not finite."""
        started, count = time.perf_counter(), self.rows.weight.size
        _check_memory(bool(jax.tree.leaves(self.algorithm.policy(networks).initial_memory())))
        found = cloned(
            self.algorithm, networks, self.rows, self.how.optimiser, num_epochs=self.how.epochs,
            batch_size=self.how.batch_size, num_held_out=num_held_out(self.how, count), key=key,
        )  # fmt: skip
        self._check(found)
        self.shown.append(
            {"rows": count - found.after.size, "epochs": self.how.epochs, "held_out": found.after.size} | _seen(found)
        )
        self.seconds += time.perf_counter() - started
        return found.networks

    def of_seeds(self, seeds: Sequence[int]) -> tuple[dict[str, Any], ...]:
        """What it showed, as rows of `WarmStarted`."""
        return tuple({"seed": seed, **showed} for seed, showed in zip(seeds, self.shown, strict=True))

    @property
    def concern(self) -> str:
        """What was learned that does not hold for other rows, in a sentence; or nothing."""
        fell = [row for row in self.shown if row["after"] is not None and row["after"] < row["before"]]
        if not fell:
            return ""
        return (
            f"the warm start made actions that it has not seen less likely (log-probability {fell[0]['before']:.3g} "
            f"before, {fell[0]['after']:.3g} after): take fewer epochs, or more rows."
        )

    def _check(self, found: Cloned) -> None:
        name, row = self.how.data, int(found.impossible)
        if row >= 0:
            raise InputError(
                f"warm_start is {name}, to whose row {row:,} the policy gives no probability: leave out what its mask "
                "forbids and what is too large for 32 bits, and take an algorithm that draws its actions, as ppo."
            )
        networks = jax.tree.leaves(eqx.filter((found.networks, found.after), eqx.is_inexact_array))
        if not all(bool(jnp.isfinite(x).all()) for x in networks):
            raise InputError(
                f"warm_start is {name}, from which learning led to NaN or infinity: give its optimiser a smaller "
                "learning rate, as logpi.WarmStart(data, optimiser=Adam(1e-4))."
            )


def _seen(found: Cloned) -> dict[str, float | None]:
    """Of the rows that were held out: their mean log-probability before and after, and the error of the latter."""
    if not found.after.size:
        return dict.fromkeys(("before", "after", "error"))
    before, after = (np.asarray(x, np.float64) for x in (found.before, found.after))
    error = after.std(ddof=1) / math.sqrt(after.size)
    return {"before": float(before.mean()), "after": float(after.mean()), "error": float(error)}


def _check_memory(remembers: bool) -> None:
    if remembers:
        raise InputError(
            "warm_start takes rows one by one, but the policy remembers those before: leave its memory out (--memory "
            "none), or the warm start."
        )


def num_held_out(how: WarmStart, count: int) -> int:
    """How many rows are not learned from: none, or two and more, of which a standard error can be had."""
    return max(2, round(how.holdout * count)) if how.holdout else 0


def warm_starting(settings: Settings, how: WarmStart, rollout: AbstractRollout, own: bool) -> WarmStarting:
    """The warm start of a training with these settings; `own` is whether its model is the user's own.

    Raises `InputError` for data that cannot be read, or are of another environment, and for policies that give no
    action of theirs a density.
    """
    if not own and settings.action_distribution == DETERMINISTIC and boxes(rollout.action_space):
        raise InputError(
            f"warm_start climbs the density of actions, but the policy of {type(settings.algorithm).__name__} is "
            "without chance and has none: take an algorithm that draws its actions, as ppo or sac."
        )
    _check_memory(settings.network.remembers and not own)
    how = how.read()
    given = fitting(how.rows, how.data, rollout.obs_space, rollout.action_space)
    if given.num_rows <= num_held_out(how, given.num_rows):
        raise InputError(
            f"warm_start is {how.data}, which has {given.num_rows} rows, of which 2 are to be held out: give more, or "
            "logpi.WarmStart(data, holdout=0)."
        )
    rows = as_rows(given, settings, rollout.obs_space, rollout.action_space)
    return WarmStarting(settings.algorithm, dataclasses.replace(how, rows=None), rows)


def as_rows(given: Demonstrations, settings: Settings, obs_space: Space, action_space: Space) -> DemonstratedRows:
    """Members of the two spaces as a policy sees and draws them.

    Numbers of which the policy's distribution is bounded stay a thousandth within -1 and 1.
    """
    drawn = as_drawn(action_space, settings.way_of_actions, given.action)
    if settings.action_distribution in BOUNDED:
        most = 1 - MARGIN
        drawn = mapped(action_space, lambda part, x: x.clip(-most, most) if boxes(part) else x, drawn)
    drawn = jax.tree.map(lambda x: x if x.dtype == np.float32 else x.astype(np.int32), drawn)
    obs = jax.tree.map(jnp.asarray, caster(obs_space)(given.obs))
    return DemonstratedRows(obs, jax.tree.map(jnp.asarray, drawn), jnp.ones(given.num_rows))
