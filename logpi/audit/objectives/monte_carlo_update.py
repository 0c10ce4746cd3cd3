"""What an algorithm's whole update does in expectation, from many updates on drawn episodes, with errors."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from ...algorithms.base import KL, Spec
from ...batch import prepare
from ...jaxprs.compilation import bounded_jit
from ...learners.optimisers import AbstractOptimiser
from ...models import AbstractActorCritic
from ...parameters import trainable
from ...statistics.jackknife import standard_error
from ...trajectory import Trajectory
from ..alignment import align, Alignment
from .exact_update import RowObjective, weighted_gradient

BLOCKS = 40  # of the jackknife


class RecordedGradients(eqx.Module):
    """An optimiser's state, and the gradients it has been given."""

    inner: PyTree
    total: PyTree
    count: Float[Array, ""]


class RecordingOptimiser(AbstractOptimiser):
    """An optimiser that remembers the sum of the gradients it is given; its step is `factor` times the inner one's."""

    inner: AbstractOptimiser
    factor: Float[Array, ""]

    def init(self, params: PyTree) -> RecordedGradients:
        return RecordedGradients(self.inner.init(params), jax.tree.map(jnp.zeros_like, params), jnp.zeros(()))

    def update(
        self, gradient: PyTree, state: RecordedGradients, params: PyTree, progress: Float[Array, ""]
    ) -> tuple[PyTree, RecordedGradients]:
        """The inner optimiser's step, longer or shorter."""
        change, inner = self.inner.update(gradient, state.inner, params, progress)
        change = jax.tree.map(lambda c: self.factor * c, change)
        return change, RecordedGradients(inner, jax.tree.map(jnp.add, state.total, gradient), state.count + 1)


class MonteCarloUpdates(eqx.Module):
    """Many updates, each from its own episodes; every array is (updates, ...)."""

    update: Float[Array, "*updates parameters"]  # mean gradient given to the optimiser, times rows per episode; or 0
    step: Float[Array, "*updates parameters"]  # what the policy's parameters changed by
    rows: Float[Array, "*updates parameters"]  # sum over the rows of the objective's gradient, per episode: no coupling
    kl: Float[Array, "*updates"]  # as the algorithm records it, in nats; NaN where it does not


@bounded_jit
def monte_carlo_updates(
    algorithm: Any,
    objective: RowObjective,
    model: AbstractActorCritic,
    trajectories: Trajectory,
    spec: Spec,
    keys: Array,
) -> MonteCarloUpdates:
    """The algorithm's own `update` on each of many rollouts; its optimiser should be a `RecordingOptimiser`."""

    def one(trajectory: Trajectory, key: PRNGKeyArray) -> MonteCarloUpdates:
        state = algorithm.init(model, spec, 1, key)
        after, info = algorithm.update(state, trajectory, key)
        policies = (algorithm.networks(x).policy for x in (after, state))
        now, before = (ravel_pytree(eqx.filter(policy, trainable(policy)))[0] for policy in policies)
        given = _given(after, jnp.zeros_like(before))
        weight, episodes = trajectory.valid * 1.0, trajectory.valid.shape[0]
        single = (
            weighted_gradient(objective, model, prepare(model, trajectory, algorithm.credit, None), weight) / episodes
        )
        return MonteCarloUpdates(given * jnp.sum(weight) / episodes, now - before, single, info.get(KL.name, jnp.nan))

    return jax.vmap(one)(trajectories, keys)


def _given(state: PyTree, nothing: Float[Array, " parameters"]) -> Float[Array, " parameters"]:
    """The mean gradient of the policy that the optimiser in a state was given; 0 where there is none in it."""

    def is_record(node: Any) -> bool:
        return isinstance(node, RecordedGradients)

    records = [x for x in jax.tree.leaves(state, is_leaf=is_record) if is_record(x)]
    return sum((ravel_pytree(x.total.policy)[0] / jnp.maximum(x.count, 1) for x in records), nothing)


def align_monte_carlo(
    name: str,
    found: Float[np.ndarray, "updates parameters"],
    rows: Float[np.ndarray, "updates parameters"],
    mean_of_rows: Float[np.ndarray, " parameters"],
    truth: Float[np.ndarray, " parameters"],
    meaning: str,
) -> tuple[Alignment, float]:
    """The mean of drawn updates against the true gradient, and the standard error of its cosine.

    `rows`, whose mean is known, is a control variate: most of what the draws do to an update, they do to it too. The
    noise that is left is taken off the squared rest; the error is a jackknife over 40 blocks of updates.
    """
    found, rows = np.asarray(found, np.float64), np.asarray(rows, np.float64)
    off = rows - rows.mean(axis=0)
    along = float(np.sum(off * (found - found.mean(axis=0))) / max(np.sum(off**2), 1e-300))
    better = found - along * (rows - mean_of_rows)
    whole = _without_noise(name, better, truth, meaning)
    blocks = np.array_split(better, BLOCKS)
    parts = [
        _without_noise(name, np.concatenate([b for j, b in enumerate(blocks) if j != i]), truth, meaning)
        for i in range(BLOCKS)
    ]
    error, uncertain = (
        standard_error(np.array([getattr(p, what) for p in parts])) for what in ("direction_error", "cosine")
    )
    return Alignment(whole.name, whole.scale, whole.cosine, whole.direction_error, error, meaning), uncertain


def _without_noise(
    name: str, drawn: Float[np.ndarray, "updates parameters"], truth: Float[np.ndarray, " parameters"], meaning: str
) -> Alignment:
    """The alignment of a mean, less what its noise adds to the rest in expectation."""
    mean = align(name, drawn.mean(axis=0), truth, meaning=meaning)
    if not np.any(truth):  # there is no direction to look along
        return mean
    unit = truth / np.linalg.norm(truth)
    off = drawn - np.outer(drawn @ unit, unit)
    noise = float(np.sum(off.var(axis=0, ddof=1))) / len(drawn)
    reach = abs(mean.scale) * float(np.linalg.norm(truth))
    rest = np.sqrt(max((mean.direction_error * reach) ** 2 - noise, 0.0)) if reach else float("inf")
    ratio = rest / reach if reach else float("inf")
    return Alignment(name, mean.scale, float(np.sign(mean.scale) / np.sqrt(1 + ratio**2)), ratio, 0.0, meaning)
