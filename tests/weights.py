"""Models with random weights: no initialiser has to be compiled, and a fresh one's last layer is nearly 0."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np


def filled(make: Callable[..., Any], *arguments: Any, seed: int = 0, scale: float = 1.0) -> Any:
    """What `make(*arguments, key=...)` makes, its matrices drawn by NumPy (larger ones smaller), all else 0."""
    random = np.random.default_rng(seed)

    def fill(leaf: Any) -> Any:
        if not isinstance(leaf, jax.ShapeDtypeStruct):
            return leaf
        matrix = leaf.ndim >= 2
        drawn = random.normal(size=leaf.shape) * scale / np.sqrt(leaf.shape[0]) if matrix else np.zeros(leaf.shape)
        return jnp.asarray(drawn, leaf.dtype)

    return jax.tree.map(fill, eqx.filter_eval_shape(make, *arguments, key=jax.random.key(0)))
