"""Linear layers and networks of them, with weights that multiply from the right."""

import itertools
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray


class Dense(eqx.Module):
    """`features @ weight + bias`. All zeros until something initialises it: see `initializers.orthogonal`.

    A weight of (inputs, outputs) is what a batch of rows is multiplied by, and its gradient is the product of features
    and errors as they lie in memory. With the weight transposed, as `equinox.nn.Linear` has it, XLA packs it anew in
    every step of a rollout (twice as long for four rows of 64), and the gradient of a first layer of four inputs takes
    3 times as long for 128 rows and 6 times as long for 2,048.
    """

    weight: Float[Array, "inputs outputs"]
    bias: Float[Array, " outputs"]

    def __init__(self, inputs: int, outputs: int):
        self.weight, self.bias = jnp.zeros((inputs, outputs)), jnp.zeros(outputs)

    def __call__(self, features: Float[Array, " inputs"]) -> Float[Array, " outputs"]:
        """The layer of one vector of features."""
        return features @ self.weight + self.bias


class MLP(eqx.Module):
    """Hidden layers of so many units, each behind the activation, and a linear one.

    With `dropout`, that share of the units of a hidden layer is left out at random where there is a key; with
    `layer_norm`, what is left is brought to mean 0 and variance 1. Both stand between the layer and its activation,
    in this order, as in Hiraoka et al. 2022 (arXiv:2110.02034).
    """

    layers: tuple[Dense, ...]
    norms: tuple[eqx.nn.LayerNorm | None, ...]  # of each hidden layer
    activation: Callable[[Array], Array] = eqx.field(static=True)
    dropout: float = eqx.field(static=True)

    def __init__(
        self,
        inputs: int,
        outputs: int,
        hidden: tuple[int, ...],
        activation: Callable[[Array], Array],
        *,
        layer_norm: bool = False,
        dropout: float = 0.0,
    ):
        self.layers = tuple(Dense(*pair) for pair in itertools.pairwise((inputs, *hidden, outputs)))
        self.norms = tuple(eqx.nn.LayerNorm(size) if layer_norm else None for size in hidden)
        self.activation, self.dropout = activation, dropout

    def __call__(self, features: Float[Array, " inputs"], key: PRNGKeyArray | None = None) -> Float[Array, " outputs"]:
        """The network of one vector of features."""
        for i, (layer, norm) in enumerate(zip(self.layers[:-1], self.norms, strict=True)):
            features = layer(features)
            if self.dropout and key is not None:
                features = _dropped(features, self.dropout, jax.random.fold_in(key, i))
            features = self.activation(features if norm is None else norm(features))
        return self.layers[-1](features)


def _dropped(features: Float[Array, " units"], share: float, key: PRNGKeyArray) -> Float[Array, " units"]:
    """Features of which a share is 0 at random, the others the larger for it."""
    # With the features as an input, it is not drawn for all steps of an update at once, which would take gigabytes.
    features, bits = jax.lax.optimization_barrier((features, jax.random.key_data(key)))
    kept = jax.random.bernoulli(jax.random.wrap_key_data(bits), 1 - share, features.shape)
    return jnp.where(kept, features / (1 - share), 0.0)
