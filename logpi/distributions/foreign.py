"""Distributions of other libraries and of users: whatever has a `log_prob`, a `sample`, or both."""

import inspect
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from ..derivatives import doubt
from ..errors import InputError
from ..parameters import apart, floats_as_arrays
from .base import AbstractDistribution
from .numpyro.adapter import adapted, FromNumpyro
from .numpyro.twins import is_alike, twin_of
from .threefry import split
from .traits import Traits, traits


class Foreign(AbstractDistribution):
    """An object with `log_prob(event)`, and with `sample(key)`, `sample(key, shape)` or `sample(seed=, shape=)`.

    The shape may be called `sample_shape` too.

    One of the two is enough for what asks for no more: `logpi.score` for the first, a difference of values for the
    second. Make it a pytree (an `equinox.Module`, say) if it is the parameters themselves.
    """

    distribution: Any

    def sample(self, key: PRNGKeyArray, shape: tuple[int, ...] = ()) -> PyTree[Array]:
        """By the object's own `sample`, under the arguments that it has.

        Raises `InputError` if there is none, and where it makes no use of the key or does not keep to the shape.
        """
        draw = _sampler(self.distribution)
        event = draw(key, shape)
        _check_drawn(type(self.distribution).__name__, draw, key, shape, event)
        return event

    def sample_and_log_prob(self, key: PRNGKeyArray) -> tuple[PyTree[Array], Float[Array, ""]]:
        event = self.sample(key)
        return event, self.log_prob(event)

    def log_prob(self, event: PyTree[Array]) -> Float[Array, ""]:
        """The object's. Raises `InputError` if it has none, and unless that is one number."""
        log_prob = getattr(self.distribution, "log_prob", None)
        if log_prob is None:
            raise InputError(
                f"{type(self.distribution).__name__} has no method log_prob, which says how probable an event is: add "
                "log_prob(event), or use EvolutionStrategies(), which needs nothing but samples."
            )
        value = jnp.asarray(log_prob(event))
        if value.shape != ():
            raise InputError(
                f"log_prob of {type(self.distribution).__name__} returned shape {value.shape} for one event, but it "
                "must return one number: sum over the entries of the event (`Independent` does it in other libraries)."
            )
        return value

    def entropy(self) -> Float[Array, ""]:
        return self._own("entropy")()

    def kl(self, other: Any) -> Float[Array, ""]:
        """None: it raises `NotImplementedError`."""
        raise NotImplementedError(f"no closed form of KL is known for {type(self.distribution).__name__}")

    def mode(self) -> PyTree[Array]:
        return self._own("mode")()

    def _own(self, name: str) -> Any:
        method = getattr(self.distribution, name, None)
        if method is None:
            raise NotImplementedError(f"{type(self.distribution).__name__} has no method {name}")
        return method


@traits.register
def _(dist: Foreign) -> Traits:
    own = dist.distribution
    twin = twin_of(own) if callable(getattr(own, "log_prob", None)) else None
    if twin is None or not _draws_alike(dist, twin):
        return Traits(
            type(own).__name__,
            has_log_prob=callable(getattr(own, "log_prob", None)),
            not_reparametrised=lambda: _not_reparametrised(dist),
        )
    return Traits(
        type(own).__name__,
        holds=lambda: is_alike(own, twin),
        shape=traits(twin).shape,
        values=lambda: traits(_proven(dist, twin)).values(),
        pmf=lambda event: traits(_proven(dist, twin)).pmf(event),
        families=lambda: traits(_proven(dist, twin)).families(),
        bernoulli_logits=lambda: traits(_proven(dist, twin)).bernoulli_logits(),
        categorical_logits=lambda: traits(_proven(dist, twin)).categorical_logits(),
        quantiles=lambda: traits(_proven(dist, twin)).quantiles(),
        not_reparametrised=lambda: _not_reparametrised(dist),
    )


def _proven(dist: Foreign, twin: FromNumpyro) -> FromNumpyro:
    """The twin, whose parameters are NaN where it is none; and the derivative is measured."""
    doubt(type(dist.distribution).__name__)
    nothing = jnp.where(is_alike(dist.distribution, twin), 0.0, jnp.nan)
    floats, rest = apart(floats_as_arrays(twin), eqx.is_inexact_array)
    return rest.filled([x + nothing.astype(x.dtype) for x in floats])


def _draws_alike(dist: Foreign, twin: FromNumpyro) -> bool:
    """Whether the draws of both have one shape, as far as the object has a sampler."""
    if not callable(getattr(dist.distribution, "sample", None)):
        return True
    one, other = (jax.eval_shape(lambda d=d: d.sample(jax.random.key(0))) for d in (dist, twin))
    return isinstance(one, jax.ShapeDtypeStruct) and one.shape == other.shape


def _not_reparametrised(dist: Foreign) -> list[Array] | None:
    """None of its arrays, if its events are floats: then the derivative of its sampler is measured."""
    event = jax.eval_shape(lambda: dist.sample(jax.random.key(0)))
    return [] if all(jnp.issubdtype(x.dtype, jnp.inexact) for x in jax.tree.leaves(event)) else None


def _sampler(distribution: Any) -> Callable[[PRNGKeyArray, tuple[int, ...]], PyTree[Array]]:
    """An object's `sample` as a function of key and shape."""
    sample = getattr(distribution, "sample", None)
    if sample is None:
        raise InputError(
            f"{type(distribution).__name__} has no method sample, so nothing can be drawn from it: add "
            "sample(key), or give a distribution of NumPyro or of logpi.distributions."
        )
    names = list(inspect.signature(sample).parameters)
    shaped = [name for name in ("sample_shape", "shape") if name in names]
    # By name after the key: distrax and TensorFlow Probability call it seed, and have it last.
    if shaped and "seed" in names:
        return lambda key, shape: sample(**{"seed": key, shaped[0]: shape})
    if shaped:
        return lambda key, shape: sample(key, **{shaped[0]: shape})

    def draw(key, shape):
        one = (lambda key: sample(seed=key)) if "seed" in names else sample
        for _ in shape:
            one = jax.vmap(one)
        return one(split(key, shape) if shape else key)

    return draw


def _check_drawn(
    name: str, draw: Callable[..., Any], key: PRNGKeyArray, shape: tuple[int, ...], event: PyTree[Array]
) -> None:
    """Raises `InputError` if a sampler makes no use of its key, or if what it drew has not the shape asked for.

    One that JAX cannot follow is let through: where it is called for numbers, it gives them.
    """
    try:
        traced, one = jax.make_jaxpr(lambda key: draw(key, ()), return_shape=True)(key)
    except jax.errors.JAXTypeError:
        return
    if not any(var is traced.jaxpr.invars[0] for eqn in traced.jaxpr.eqns for var in eqn.invars):
        raise InputError(
            f"sample of {name} makes no use of its key (does it call np.random, or make a key of its own?), so that "
            "all draws would be the same: draw by jax.random with the key that is given."
        )
    wanted, found = [shape + leaf.shape for leaf in jax.tree.leaves(one)], list(map(jnp.shape, jax.tree.leaves(event)))
    if found != wanted:
        raise InputError(
            f"sample of {name} gave the shapes {found} for {shape} draws, but {wanted} is the shape asked for before "
            "that of one event: put it first, or write sample(key) for one event and leave the rest to logpi."
        )


def as_distribution(thing: Any) -> AbstractDistribution:
    """One of ours from what a user has: a distribution of logpi or NumPyro, or an object with `log_prob` or `sample`.

    Raises `InputError` for anything else.
    """
    if isinstance(thing, AbstractDistribution):
        return thing
    if (dist := adapted(thing)) is not None:
        return dist
    if isinstance(thing, type):
        raise InputError(
            f"{thing.__name__} is a class, but a distribution must be an object: call it with its parameters, as "
            f"{thing.__name__}(...)."
        )
    if any(callable(getattr(thing, name, None)) for name in ("log_prob", "sample")):
        return Foreign(thing)
    raise InputError(
        f"a {type(thing).__name__} is no distribution: it has no method log_prob. Give one of NumPyro or "
        "logpi.distributions, or of=lambda params: ... that makes one of the parameters."
    )
