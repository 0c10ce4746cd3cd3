"""Orthogonal weights, as the reference implementations use."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from ..errors import InputError, shown
from .dense import Dense


def _is_layer(node) -> bool:
    return isinstance(node, Dense)


def orthogonal(net: PyTree, key: PRNGKeyArray, *, gain: float = 2**0.5, last_gain: float | None = None) -> PyTree:
    """Every dense layer of `net` with orthogonal weights times `gain`, and biases of zero.

    The last layer gets `last_gain` instead, where given. Saxe et al. 2014 (arXiv:1312.6120); gains as in
    `baselines/ppo2`: sqrt(2) inside, 0.01 for a policy's last layer, 1 for a critic's. Raises `InputError` where there
    is no `Dense`.
    """
    nodes, structure = jax.tree.flatten(net, is_leaf=_is_layer)
    layers = [i for i, node in enumerate(nodes) if _is_layer(node)]
    if not layers:
        raise InputError(
            f"orthogonal finds no logpi.models.dense.Dense in {shown(net)}, and other layers it does not know: make it "
            "of Dense, or initialise it yourself."
        )
    # One draw for all layers: XLA compiles a generator for each draw, which takes longer than all the rest.
    noise = jax.random.normal(key, (sum(nodes[i].weight.size for i in layers),))
    for i in layers:
        chosen = last_gain if i == layers[-1] and last_gain is not None else gain
        size = nodes[i].weight.size
        nodes[i] = _initialized(nodes[i], chosen, noise[:size])
        noise = noise[size:]
    return jax.tree.unflatten(structure, nodes)


def _initialized(layer: Dense, gain: float, noise: Float[Array, " size"]) -> Dense:
    inputs, outputs = layer.weight.shape
    rows = noise.reshape(outputs, inputs)
    wide = outputs < inputs
    q, r = jnp.linalg.qr(rows.T if wide else rows)
    q = q * jnp.sign(jnp.diagonal(r))[None]  # without it, not every orthogonal matrix is as likely
    return eqx.tree_at(lambda x: (x.weight, x.bias), layer, (gain * (q if wide else q.T), jnp.zeros_like(layer.bias)))
