"""Orthogonal weights, as the reference implementations use."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree


def _is_layer(node) -> bool:
    return isinstance(node, eqx.nn.Linear)


def orthogonal(net: PyTree, key: PRNGKeyArray, *, gain: float = 2**0.5, last_gain: float | None = None) -> PyTree:
    """Every linear layer of `net` with orthogonal weights times `gain`, and biases of zero.

    The last layer gets `last_gain` instead, where given. Saxe et al. 2014 (arXiv:1312.6120); gains as in
    `baselines/ppo2`: sqrt(2) inside, 0.01 for a policy's last layer, 1 for a critic's.
    """
    nodes, structure = jax.tree.flatten(net, is_leaf=_is_layer)
    layers = [i for i, node in enumerate(nodes) if _is_layer(node)]
    # One draw for all layers: XLA compiles a generator for each draw, which takes longer than all the rest.
    noise = jax.random.normal(key, (sum(nodes[i].weight.size for i in layers),))
    for i in layers:
        chosen = last_gain if i == layers[-1] and last_gain is not None else gain
        size = nodes[i].weight.size
        nodes[i] = _initialized(nodes[i], chosen, noise[:size])
        noise = noise[size:]
    return jax.tree.unflatten(structure, nodes)


def _initialized(layer, gain: float, noise: Float[Array, " size"]):
    rows = layer.weight.shape[0]
    square = noise.reshape(rows, -1)
    wide = square.shape[0] < square.shape[1]
    q, r = jnp.linalg.qr(square.T if wide else square)
    q = q * jnp.sign(jnp.diagonal(r))[None]  # without it, not every orthogonal matrix is as likely
    weight = gain * (q.T if wide else q).reshape(layer.weight.shape)
    layer = eqx.tree_at(lambda x: x.weight, layer, weight)
    return layer if layer.bias is None else eqx.tree_at(lambda x: x.bias, layer, jnp.zeros_like(layer.bias))
