"""One batch of a run: which actions its gradient pushes up and down, through which parameters, and what a step does."""

import dataclasses
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from ..algorithms.base import Spec
from ..audit.runs.samples import layers, Sampler, surrogate_of
from ..batch import Segments
from ..errors import InputError
from ..learners.steps import gradient
from ..models import AbstractActorCritic, log_probs, unroll
from ..parameters import check_key, trainable
from ..runs.run import load, Run
from ..surrogates import score, weighted_mean
from ..training.loop import with_traced_numbers
from .batch_rows import BatchRows

KL = 0.01  # nats: how far the one step moves the policy on average, about as far as an update of PPO does
TRIES = 12  # to find how long a step that is
SHOWN = 6  # rows each way, those with the largest pushes
MOST_STEPS = 2**19  # that a model with memory is unrolled for the scores of rows: some seconds for a small one
AT_ONCE = 16  # rows whose scores are held at one time: each is as large as the model


@dataclasses.dataclass(frozen=True)
class Look:
    """A batch of a run, its gradient, and what one plain step up along it does."""

    title: str
    rows: BatchRows
    surrogate: Float[np.ndarray, " parameters"]  # the gradient of what the algorithm climbs for its policy
    twin: Float[np.ndarray, " parameters"]  # the mean of advantage times score
    layers: list[tuple[str, tuple[int, ...], slice]]  # names, shapes and places in a gradient
    rate: float  # of the step; 0 where there is no gradient
    kl: float  # nats, of the step
    standardised: bool  # whether the advantages have mean 0 and standard deviation 1
    algorithm: Any


def look(
    subject: Run | str | Path, key: PRNGKeyArray | None = None, *, seed: int | None = None, env: Any = None
) -> Look:
    r"""Draws one rollout of a run's own size with its last policy, and takes a step $\theta' = \theta + \eta \nabla J$.

    The step is so long that the policy changes by 0.01 nats of KL on average. `seed` says which of the run's policies,
    the first if not given; `env` is its environment, where that is more than a name. Raises `InputError` where there is
    no run, policy or environment, or an algorithm of one's own.
    """
    trained = subject if isinstance(subject, Run) else load(subject, environment=env)
    source = trained.source(env)
    (seed, model), settings = trained.model_of(seed), trained.settings
    if not np.isfinite(np.asarray(ravel_pytree(eqx.filter(model, trainable(model)))[0])).all():
        raise InputError(f"The policy of seed {seed} has parameters that are not finite: give a run that went well.")
    rollout = trained.rollout(source)
    key = jax.random.key(0) if key is None else check_key(key)
    algorithm = with_traced_numbers(settings.algorithm)
    sampler = Sampler(algorithm, model, rollout, settings.reward_transform, key)
    state = algorithm.init(model, Spec.of(rollout), 1, key)
    try:
        view, _ = sampler.view(state)
    finally:
        sampler.close()
    _check_update(algorithm, state, view)
    batch, surrogate, twin = _gradients(algorithm, state, view)
    title = f"{type(settings.algorithm).__name__} on {trained.env}, seed {seed}"
    return _stepped(title, settings.algorithm, model, batch, (surrogate, twin))


def _check_update(algorithm: Any, state: PyTree, view: Any) -> None:
    """Raises `InputError` where the algorithm cannot learn from such a view; nothing is computed for it.

    Likewise where it climbs nothing but what rows of a rollout are worth.
    """
    eqx.filter_eval_shape(algorithm.update, state, view, jax.random.key(0))
    found = eqx.filter_eval_shape(algorithm.objectives, state, view, jax.random.key(0)).values()
    if [isinstance(climbed.rows, Segments) for climbed in found] != [True]:
        raise InputError(
            f"The run's algorithm is {type(algorithm).__name__}, but the page is on advantages of the actions in a "
            "rollout, and how they pull at a policy: give a run of an algorithm that climbs these, as PPO, and for "
            "this one take logpi audit run."
        )


def _stepped(
    title: str, algorithm: Any, model: AbstractActorCritic, batch: Segments, both: tuple[PyTree, PyTree]
) -> Look:
    surrogate, twin = (np.asarray(ravel_pytree(uphill)[0], np.float64) for uphill in both)
    rate, after = _step(model, both[0], batch, float(np.linalg.norm(surrogate)))
    places = [
        (name, leaf.shape, place)
        for (name, place), leaf in zip(layers(model), jax.tree.leaves(both[0]), strict=True)
    ]  # fmt: skip
    before, policy = _seen(model, batch)
    later, policy_later = _seen(after, batch)
    valid = np.asarray(batch.weight) > 0
    rows = BatchRows(
        np.asarray(batch.advantage), np.asarray(before), np.asarray(later), valid,
        _score_norms(model, batch),
        jax.tree.map(np.asarray, batch.obs), jax.tree.map(np.asarray, batch.action), policy, policy_later,
    )  # fmt: skip
    kl = float(_divergence(policy, policy_later, batch.weight))
    return Look(title, rows, surrogate, twin, places, rate, kl, algorithm.advantages.standardised, algorithm)


def _step(model: AbstractActorCritic, uphill: PyTree, batch: Segments, norm: float) -> tuple[float, Any]:
    """How long a step moves the policy by `KL`, and the model after it. A divergence grows as the square of a step."""
    if norm <= 1e-12:
        return 0.0, model
    _, before = _seen(model, batch)
    rate = 0.1 / norm
    for _ in range(TRIES):
        after = _moved(model, uphill, jnp.asarray(rate, jnp.float32))
        found = float(_divergence(before, _seen(after, batch)[1], batch.weight))
        if not np.isfinite(found):
            rate /= 10
        elif abs(found / KL - 1) < 0.03:
            return rate, after
        else:
            rate *= float(np.clip(np.sqrt(KL / max(found, 1e-12)), 0.1, 10))
    return rate, _moved(model, uphill, jnp.asarray(rate, jnp.float32))


@eqx.filter_jit
def _gradients(algorithm, state, view):
    """The batch as the algorithm sees it, the gradient of its surrogate, and the mean of advantage times score."""
    (climbed,) = algorithm.objectives(state, view, jax.random.key(0)).values()
    batch = climbed.rows

    def twin(model, batch):
        output, _ = unroll(model, batch.obs, batch.start, batch.memory)
        return score(log_probs(output.policy, batch.action), batch.advantage), ()

    surrogate, model = surrogate_of(climbed), climbed.model
    return batch, gradient(surrogate, model, batch)[0], gradient(twin, model, batch)[0]


@eqx.filter_jit
def _moved(model, uphill, rate):
    params, static = eqx.partition(model, trainable(model))
    return eqx.combine(jax.tree.map(lambda p, g: p + rate * g, params, uphill), static)


@eqx.filter_jit
def _seen(model, batch):
    output, _ = unroll(model, batch.obs, batch.start, batch.memory)
    return log_probs(output.policy, batch.action), output.policy


@eqx.filter_jit
def _divergence(before, after, weight) -> Float[Array, ""]:
    each = jax.vmap(jax.vmap(lambda p, q: p.kl(q)))(before, after)
    return weighted_mean(each, weight)


def _score_norms(model: AbstractActorCritic, batch: Segments) -> Float[np.ndarray, "segments time"]:
    """The length of the score of each row; of a model with memory, of evenly spaced ones where they are many.

    The score of one row unrolls its whole segment. What is not computed is NaN.
    """
    shape = batch.start.shape
    rows, most = shape[0] * shape[1], max(1, MOST_STEPS // shape[1])
    few = shape[1] > 1 and rows > most
    places = np.linspace(0, rows - 1, most).round().astype(np.int32) if few else np.arange(rows, dtype=np.int32)
    norms = np.full(rows, np.nan)
    norms[places] = _score_norms_at(model, batch, jnp.stack(jnp.unravel_index(places, shape), axis=-1))
    return norms.reshape(shape)


@eqx.filter_jit
def _score_norms_at(model, batch, places) -> Float[Array, " rows"]:
    """The lengths at some places, few at a time: a score has as many entries as the model."""
    params, static = eqx.partition(model, trainable(model))

    def norm(place):
        segment = jax.tree.map(lambda x: x[place[0]][None], batch)

        def log_prob(params):
            output, _ = unroll(eqx.combine(params, static), segment.obs, segment.start, segment.memory)
            return log_probs(output.policy, segment.action)[0, place[1]]

        return jnp.linalg.norm(ravel_pytree(jax.grad(log_prob)(params))[0])

    return jax.lax.map(norm, places, batch_size=AT_ONCE)
