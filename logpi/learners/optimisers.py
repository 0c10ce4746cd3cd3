"""Optimisers: from a gradient to go up along to a change of the parameters."""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PyTree

from ..errors import check_between, check_fields, InputError, shown


class AbstractOptimiser(eqx.Module):
    """Turns gradients to go up along into changes of the parameters."""

    @abc.abstractmethod
    def init(self, params: PyTree) -> PyTree:
        """The state for these parameters."""

    @abc.abstractmethod
    def update(
        self, gradient: PyTree, state: PyTree, params: PyTree, progress: Float[Array, ""]
    ) -> tuple[PyTree, PyTree]:
        """What to add to the parameters, and the next state. `progress` runs from 0 to 1 over the training."""


class Adam(AbstractOptimiser):
    """Adam (Kingma & Ba 2015, arXiv:1412.6980, algorithm 1) on a gradient whose norm is cut at `max_grad_norm`.

    `anneal` is the share of the learning rate that is gone at the end of training, linearly: 1 goes to zero.
    """

    learning_rate: float = 3e-4
    anneal: float = 0.0
    max_grad_norm: float = 0.5
    epsilon: float = 1e-5

    def __check_init__(self):
        if callable(self.learning_rate):
            raise InputError(
                f"learning_rate is {shown(self.learning_rate)}, but Adam takes a number, which `anneal` makes smaller, "
                "linearly: give another schedule of steps as optimiser=Optax(optax.adam(schedule))."
            )
        check_fields(self, check_between, "learning_rate", low=0, high=1e6)
        check_fields(self, check_between, "anneal", low=0, high=1)
        check_fields(self, check_between, "max_grad_norm", "epsilon", low=0)

    def init(self, params: PyTree) -> PyTree:
        """Zero moments."""
        return optax.scale_by_adam().init(ravel_pytree(params)[0])

    def update(
        self, gradient: PyTree, state: PyTree, params: PyTree, progress: Float[Array, ""]
    ) -> tuple[PyTree, PyTree]:
        # On one vector: a dozen small arrays would be a hundred small operations, which cost more than the gradient.
        flat, unravel = ravel_pytree(gradient)
        flat = flat * jnp.minimum(1.0, self.max_grad_norm / jnp.maximum(jnp.linalg.norm(flat), 1e-12))
        direction, state = optax.scale_by_adam(eps=self.epsilon).update(flat, state)
        direction = jnp.asarray(direction)
        return unravel(self.rate(progress) * direction), state

    def rate(self, progress: Float[Array, ""] | float) -> Float[Array, ""] | float:
        """The learning rate where so much of the training is done."""
        return self.learning_rate * (1 - self.anneal * progress)


class SGD(AbstractOptimiser):
    """Steps along the gradient, `learning_rate` times it: Robbins & Monro 1951.

    `anneal` is the share of the learning rate that is gone at the end of training, linearly: 1 goes to zero.
    """

    learning_rate: float = 0.02
    anneal: float = 0.0

    def __check_init__(self):
        check_fields(self, check_between, "learning_rate", low=0, high=1e6)
        check_fields(self, check_between, "anneal", low=0, high=1)

    def init(self, params: PyTree) -> tuple[()]:
        """None."""
        return ()

    def update(
        self, gradient: PyTree, state: tuple[()], params: PyTree, progress: Float[Array, ""]
    ) -> tuple[PyTree, tuple[()]]:
        return jax.tree.map(lambda g: self.rate(progress) * g, gradient), state

    def rate(self, progress: Float[Array, ""] | float) -> Float[Array, ""] | float:
        """The learning rate where so much of the training is done."""
        return self.learning_rate * (1 - self.anneal * progress)


class Optax(AbstractOptimiser):
    """Any gradient transformation of Optax. Each new one compiles its own program; `Adam` does not."""

    transformation: optax.GradientTransformation = eqx.field(static=True)

    def __check_init__(self):
        if not all(callable(getattr(self.transformation, name, None)) for name in ("init", "update")):
            raise InputError(
                f"transformation is {shown(self.transformation)}, but it must be one of Optax's: give optax.adam(3e-4)."
            )

    def init(self, params: PyTree) -> PyTree:
        return self.transformation.init(params)

    def update(
        self, gradient: PyTree, state: PyTree, params: PyTree, progress: Float[Array, ""]
    ) -> tuple[PyTree, PyTree]:
        """The transformation's; schedules of Optax count its steps, not `progress`."""
        downhill = jax.tree.map(jnp.negative, gradient)  # Optax goes down: the only minus sign of the library
        return self.transformation.update(downhill, state, params)
