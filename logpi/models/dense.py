"""Linear layers and networks of them, with weights that multiply from the right."""

import itertools
from collections.abc import Callable

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float


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
    """Hidden layers of so many units, each behind the activation, and a linear one."""

    layers: tuple[Dense, ...]
    activation: Callable[[Array], Array] = eqx.field(static=True)

    def __init__(self, inputs: int, outputs: int, hidden: tuple[int, ...], activation: Callable[[Array], Array]):
        self.layers = tuple(Dense(*pair) for pair in itertools.pairwise((inputs, *hidden, outputs)))
        self.activation = activation

    def __call__(self, features: Float[Array, " inputs"]) -> Float[Array, " outputs"]:
        """The network of one vector of features."""
        for layer in self.layers[:-1]:
            features = self.activation(layer(features))
        return self.layers[-1](features)
