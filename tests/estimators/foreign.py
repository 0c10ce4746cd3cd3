"""Distributions as other libraries write them: pytrees that are rebuilt in their own ways."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.scipy.stats import gamma, norm
from jax.tree_util import register_pytree_node_class


@register_pytree_node_class
class Switched:
    """As distrax has it: what is no array when it is flattened becomes a part of its structure."""

    def __init__(self, loc, scale):
        self.loc, self.scale = jnp.asarray(loc), jnp.asarray(scale)

    def sample(self, *, seed, sample_shape=()):
        return self.loc + self.scale * jax.random.normal(seed, (*sample_shape, *self.loc.shape))

    def log_prob(self, x):
        return norm.logpdf(x, self.loc, self.scale)

    def tree_flatten(self):
        leaves, structure = jax.tree.flatten(vars(self))
        marks = tuple(isinstance(x, jax.Array) or type(x) is object for x in leaves)
        rest = tuple(None if mark else x for x, mark in zip(leaves, marks, strict=True))
        return [x if mark else None for x, mark in zip(leaves, marks, strict=True)], (rest, marks, structure)

    @classmethod
    def tree_unflatten(cls, aux, children):
        rest, marks, structure = aux
        made = object.__new__(cls)
        leaves = [child if mark else x for child, x, mark in zip(children, rest, marks, strict=True)]
        vars(made).update(jax.tree.unflatten(structure, leaves))
        return made


class Constructed:
    """As TensorFlow Probability has it: rebuilt by its constructor, which looks at what it is given."""

    names: tuple[str, ...] = ()

    def tree_flatten(self):
        return [getattr(self, name) for name in self.names], None

    @classmethod
    def tree_unflatten(cls, _, children):
        return cls(**dict(zip(cls.names, children, strict=True)))


@register_pytree_node_class
class OneOfTwo(Constructed):
    """A Gamma by its rate or by the rate's logarithm, and by one of them only."""

    names = ("concentration", "rate", "log_rate")

    def __init__(self, concentration, rate=None, log_rate=None):
        if (rate is None) == (log_rate is None):
            raise ValueError("Exactly one of rate or log_rate must be given")
        self.concentration, self.rate, self.log_rate = concentration, rate, log_rate

    def _rate(self):
        return self.rate if self.log_rate is None else jnp.exp(self.log_rate)

    def sample(self, sample_shape=(), seed=None):
        return jax.random.gamma(seed, self.concentration, sample_shape) / self._rate()

    def log_prob(self, x):
        return gamma.logpdf(x * self._rate(), self.concentration) + jnp.log(self._rate())


@register_pytree_node_class
class Validated(Constructed):
    """It takes a scale above 0 alone, where it can see that."""

    names = ("loc", "scale")

    def __init__(self, loc, scale):
        self.loc, self.scale = jnp.asarray(loc), jnp.asarray(scale)
        if not isinstance(self.scale, jax.core.Tracer) and not jnp.all(self.scale > 0):
            raise ValueError(f"scale must be positive, but it is {scale}")

    def sample(self, key, shape=()):
        return self.loc + self.scale * jax.random.normal(key, (*shape, *self.loc.shape))

    def log_prob(self, x):
        return norm.logpdf(x, self.loc, self.scale)


@register_pytree_node_class
class Normalised(Constructed):
    """A choice whose constructor takes the log-sum off its logits."""

    names = ("logits",)

    def __init__(self, logits):
        self.logits = jax.nn.log_softmax(logits)

    def sample(self, key, shape=()):
        return jax.random.categorical(key, self.logits, shape=shape)

    def log_prob(self, x):
        return self.logits[x]


@register_pytree_node_class
class Counted(Constructed):
    """A sum of as many normal numbers as it says: one of its leaves is no float."""

    names = ("loc", "count")

    def __init__(self, loc, count):
        if count is None:
            raise ValueError("count is missing")
        self.loc, self.count = loc, count

    def sample(self, key, shape=()):
        return self.count * self.loc + jnp.sqrt(1.0 * self.count) * jax.random.normal(key, shape)

    def log_prob(self, x):
        return norm.logpdf(x, self.count * self.loc, jnp.sqrt(1.0 * self.count))


def square(x: Any) -> Any:
    """What is expected."""
    return (x - 1.0) ** 2


# E (x - 1)^2, and its gradient in the floats as they are flattened.
CASES = {
    "switched": (Switched(0.5, 1.2), 1.69, [-1.0, 2.4]),
    "one of two": (OneOfTwo(2.0, 1.6), 0.84375, [0.703125, -1.3671875]),
    "the other of two": (OneOfTwo(2.0, log_rate=jnp.log(1.6)), 0.84375, [0.703125, -2.1875]),
    "validated": (Validated(2.0, 0.5), 1.25, [2.0, 1.0]),
    "validated, downwards": (Validated(-1.0, 0.5), 4.25, [-4.0, 1.0]),
    "counted": (Counted(0.5, 3), 3.25, [3.0]),
}
