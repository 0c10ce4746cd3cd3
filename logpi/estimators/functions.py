"""The functions that an estimator is given beside f: surrogates, models of the cost."""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from ..errors import InputError, shown


def check_function(name: str, value: object) -> None:
    """Raises `InputError` for what cannot be called."""
    if not callable(value):
        raise InputError(f"{name} is {shown(value)}, but it must be a function: give one, for example jnp.sum.")


def as_scalar(value: Any, name: str) -> Float[Array, ""]:
    """What the function of this name returned; `InputError` if it is not one number."""
    try:
        array = jnp.asarray(value)
    except (TypeError, ValueError):
        raise InputError(
            f"{name} returned {shown(value)}, but it must return one number: is a return missing?"
        ) from None
    if array.size != 1:
        raise InputError(f"{name} returned shape {array.shape}, but it must return one number: sum it.")
    return array.reshape(())
