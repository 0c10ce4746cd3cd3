"""Any distribution of NumPyro, as one of ours."""

import contextlib
import copy
import sys
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from ...errors import InputError, said
from ..base import AbstractDistribution
from ..threefry import fast_key


class FromNumpyro(AbstractDistribution):
    """A NumPyro distribution over one event (its batch axes count as parts of the event, as `to_event` does).

    Sampling stops no gradient: whether a sampler is differentiable is told by NumPyro's `reparametrized_params`.
    """

    distribution: Any

    def sample(self, key: PRNGKeyArray, shape: tuple[int, ...] = ()) -> Array:
        with jax.numpy_rank_promotion("allow"):  # NumPyro's samplers broadcast
            # A distribution of a user's own may do with its key whatever it likes.
            own = all(own_name(part) for part in parts_of(self.distribution))
            try:
                return self.distribution.sample(fast_key(key) if own else key, shape)
            except (NotImplementedError, ImportError) as error:
                # JAX draws Poisson's numbers with keys of its own generator alone.
                if isinstance(error, NotImplementedError) and str(jax.random.key_impl(key)) != "threefry2x32":
                    raise InputError(f"{error}: give a key of it, as jax.random.key(0).") from None
            try:
                return self.distribution.sample(key, shape)
            except (NotImplementedError, ImportError) as error:
                raise InputError(
                    f"{type(self.distribution).__name__} cannot be drawn from ({said(error, 160)}): give a "
                    "distribution that NumPyro has a sampler for."
                ) from None

    def sample_and_log_prob(self, key: PRNGKeyArray) -> tuple[Array, Float[Array, ""]]:
        """A draw and its log-density, summed over batch axes."""
        event = self.sample(key)
        return event, self.log_prob(event)

    def log_prob(self, event: Array) -> Float[Array, ""]:
        """The logarithm of the density, summed over batch axes."""
        with jax.numpy_rank_promotion("allow"):
            return jnp.sum(corrected(self.distribution).log_prob(event))

    def entropy(self) -> Float[Array, ""]:
        """In nats, where NumPyro has a closed form; it raises `NotImplementedError` otherwise."""
        return jnp.sum(corrected(self.distribution).entropy())

    def kl(self, other: Any) -> Float[Array, ""]:
        """In nats, where NumPyro has a closed form; it raises `NotImplementedError` otherwise."""
        from numpyro.distributions import kl_divergence

        return jnp.sum(kl_divergence(corrected(self.distribution), corrected(other.distribution)))

    def mode(self) -> Array:
        """The mean for a continuous distribution, the most probable value for one with a finite support.

        It raises `NotImplementedError` for counts without an end.
        """
        if not self.distribution.is_discrete:
            return jnp.asarray(self.distribution.mean)
        # Each entry for itself: NumPyro lists the support of several coins as all zeros and all ones.
        entries = entries_of(self.distribution)
        with jax.numpy_rank_promotion("allow"):
            support = entries.enumerate_support()
            best = jnp.argmax(entries.log_prob(support), axis=0)
        chosen = jnp.take_along_axis(support, best.reshape(1, *best.shape, *(1,) * entries.event_dim), axis=0)[0]
        return jnp.broadcast_to(chosen, shape_of(self.distribution))


def own_name(distribution: Any) -> str:
    """The name of a class that is NumPyro's own; empty for any other, which may be called the same and differ."""
    import numpyro.distributions

    kind = type(distribution)
    return kind.__name__ if getattr(numpyro.distributions, kind.__name__, None) is kind else ""


def adapted(thing: Any) -> FromNumpyro | None:
    """A distribution of NumPyro as one of ours; `None` for anything else.

    Raises `InputError` for one whose log-probability is not that of what it draws.
    """
    numpyro = sys.modules.get("numpyro.distributions")  # what has not been imported cannot have made it
    if numpyro is None or not isinstance(thing, numpyro.Distribution):
        return None
    _check_draws(thing)
    return FromNumpyro(thing)


def unvalidated() -> contextlib.AbstractContextManager[None]:
    """NumPyro's own validation off: it would speak first, and not in a sentence of ours."""
    numpyro = sys.modules.get("numpyro.distributions")
    return numpyro.distribution.validation_enabled(False) if numpyro is not None else contextlib.nullcontext()


def _check_draws(distribution: Any) -> None:
    """Raises `InputError` for a distribution of NumPyro whose log-probability is not that of what it draws."""
    from numpyro import distributions as d

    kinds = (
        d.MaskedDistribution,
        d.LeftCensoredDistribution,
        d.RightCensoredDistribution,
        d.IntervalCensoredDistribution,
    )
    for part in parts_of(distribution):
        if isinstance(part, kinds):
            raise InputError(
                f"the log-probability of a {type(part).__name__} is not that of the events it draws, so a gradient "
                "would be wrong: give the distribution itself, without mask() or censoring, and weigh in f what "
                "is to count."
            )
        if _is_behind(part):
            raise InputError(
                f"the parameters of {type(part).__name__} have more axes than its batch_shape {part.batch_shape}, so "
                "that its draws would share their noise (jax.vmap around a distribution of NumPyro leaves its shape "
                "behind): make it of whole arrays, as Normal(locs, scales).to_event(1)."
            )


def _is_behind(distribution: Any) -> bool:
    """Whether a parameter has an axis that is of neither its own kind nor the shape of a NumPyro distribution."""
    if not own_name(distribution):
        return False
    fields, shape = vars(distribution), distribution.batch_shape
    for name, constraint in distribution.arg_constraints.items():
        try:
            own = max(constraint.event_dim, len(distribution.event_shape))
        except NotImplementedError:  # a constraint that depends on others
            continue
        if jnp.ndim(fields.get(name, 0)) > len(shape) + own:
            return True
    return False


def entries_of(distribution: Any) -> Any:
    """The distribution of the single entries, inside of what NumPyro wraps around it (`to_event`, `expand`)."""
    while own_name(distribution) in ("Independent", "ExpandedDistribution"):
        distribution = distribution.base_dist
    return distribution


def shape_of(distribution: Any) -> tuple[int, ...]:
    """The shape of one event, NumPyro's batch axes among its own."""
    return distribution.batch_shape + distribution.event_shape


def of_entries(constraint: Any) -> Any:
    """What NumPyro's constraint asks of each entry, inside of its `independent`; `None` stays so."""
    from numpyro.distributions import constraints

    while isinstance(constraint, constraints.independent):
        constraint = constraint.base_constraint
    return constraint


def parts_of(distribution: Any) -> Iterator[Any]:
    """A NumPyro distribution, and those it is made of."""
    from numpyro.distributions import Distribution

    def is_part(node):
        return isinstance(node, Distribution)

    yield distribution
    for part in jax.tree.leaves(list(vars(distribution).values()), is_leaf=is_part):
        if is_part(part):
            yield from parts_of(part)


def corrected(distribution: Any) -> Any:
    """The same distribution, with parameters at which NumPyro's log-probability has the derivative that it should.

    Logits of exactly 0 move to the smallest number there is: NumPyro's Bernoulli and binomial have a formula in
    |logits|, whose derivative at 0 comes out as 0 or 1 in place of -1/2 or 1/2; and 0 is where logits begin.
    Probabilities of choices are divided by their sum: NumPyro draws in proportion to them, but takes the logarithm of
    the number given, so that the derivative in a single one would be that of no distribution. A hurdle draws 0, which
    the support of what comes after the hurdle need not hold: NumPyro's validation would give it no probability.
    """

    def is_wrong(node):
        return own_name(node) in CORRECTIONS

    if not any(is_wrong(part) for part in parts_of(distribution)):
        return distribution
    return jax.tree.map(lambda x: _corrected_part(x) if is_wrong(x) else x, distribution, is_leaf=is_wrong)


def shares_of(probs: Array) -> Array:
    """Numbers divided by their sum along the last axis."""
    return probs / jnp.sum(probs, axis=-1, keepdims=True)


def _off_zero(logits: Any) -> Array:
    logits = jnp.asarray(logits, float) if isinstance(logits, int | float) else logits
    return logits + jnp.where(logits == 0, jnp.finfo(logits.dtype).tiny, 0).astype(logits.dtype)


def _seen_shares(probs: Any) -> Array:
    # An event without probability is never drawn: a score would see half of the derivative in its entry, and be wrong.
    probs = jnp.asarray(probs)
    return shares_of(jnp.where(probs > 0, probs, jax.lax.stop_gradient(probs)))


HURDLES = ("HurdleProbs", "HurdleLogits", "HurdleGamma", "HurdleLogNormal")
CORRECTIONS = {
    **dict.fromkeys(HURDLES, ("_validate_args", lambda _: False)),
    "BernoulliLogits": ("logits", _off_zero),
    "BinomialLogits": ("logits", _off_zero),
    "CategoricalProbs": ("probs", _seen_shares),
    "MultinomialProbs": ("probs", _seen_shares),
}


def _corrected_part(part: Any) -> Any:
    name, correct = CORRECTIONS[own_name(part)]
    twin = copy.copy(part)
    for stored in ("logits", "probs"):  # NumPyro keeps the one that it made of the other
        vars(twin).pop(stored, None)
    setattr(twin, name, correct(getattr(part, name)))
    return twin
