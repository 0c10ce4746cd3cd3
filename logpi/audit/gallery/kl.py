r"""Ways to keep a policy near a reference, $\beta = 0.1$, each on top of RLOO, and what their expected gradients are.

With $d = \log \pi - \log \pi_\text{ref}$ of a token, the estimators $k_1 = d$, $k_2 = d^2 / 2$ and
$k_3 = e^{-d} - 1 + d$ (Schulman 2020, "Approximating KL divergence") have the right value, or near it. Differentiated
in a loss they are something else, for the draw depends on the policy as well: Tang and Munos 2025 (arXiv:2506.09477).
"""

import jax.numpy as jnp
from jax.lax import stop_gradient

from .advantages import Group, leave_one_out, Mask, Row, Token
from .losses import Loss, rloo, row_mean, token_sum

BETA = 0.1


def difference(log_prob: Token, reference_log_prob: Token, mask: Mask) -> Token:
    """$d$, 0 outside of the mask."""
    return jnp.where(mask, log_prob - stop_gradient(reference_log_prob), 0.0)


def k3(d: Token) -> Token:
    """$e^{-d} - 1 + d$."""
    return jnp.expm1(-d) + d


def k1_in_loss(log_prob: Token, reference_log_prob: Token, reward: Row, mask: Mask, group: Group) -> Loss:
    r"""$\beta d$ in the loss. Its expected gradient is zero: $E[\nabla \log \pi] = 0$. Noise, nothing else."""
    d = difference(log_prob, reference_log_prob, mask)
    return rloo(log_prob, reward, mask, group) + BETA * token_sum(d, mask)


def k1_in_loss_row_mean(log_prob: Token, reference_log_prob: Token, reward: Row, mask: Mask, group: Group) -> Loss:
    r"""$\beta d$ in the loss, over each row's length. Its gradient is $\beta \nabla E[1 / L]$: no reference in it."""
    d = difference(log_prob, reference_log_prob, mask)
    return rloo(log_prob, reward, mask, group) + BETA * row_mean(d, mask)


def k2_in_loss(log_prob: Token, reference_log_prob: Token, reward: Row, mask: Mask, group: Group) -> Loss:
    r"""$\beta d^2 / 2$ in the loss: the gradient of the reverse KL with the prefixes' distribution frozen."""
    d = difference(log_prob, reference_log_prob, mask)
    return rloo(log_prob, reward, mask, group) + BETA * token_sum(0.5 * d**2, mask)


def k3_in_loss(log_prob: Token, reference_log_prob: Token, reward: Row, mask: Mask, group: Group) -> Loss:
    r"""$\beta k_3$ in the loss, as in GRPO (arXiv:2402.03300, eq. 4): the gradient of the *forward* KL with the
    prefixes' distribution frozen."""
    d = difference(log_prob, reference_log_prob, mask)
    return rloo(log_prob, reward, mask, group) + BETA * token_sum(k3(d), mask)


def k3_with_ratio(
    log_prob: Token, behaviour_log_prob: Token, reference_log_prob: Token, reward: Row, mask: Mask, group: Group
) -> Loss:
    r"""$\beta w k_3$ in the loss, $w = \pi / \pi_b$ differentiated too (DeepSeek-V3.2): as `k2_in_loss`."""
    d = difference(log_prob, reference_log_prob, mask)
    weight = jnp.exp(jnp.where(mask, log_prob - stop_gradient(behaviour_log_prob), 0.0))
    return rloo(log_prob, reward, mask, group) + BETA * token_sum(weight * k3(d), mask)


def k1_in_reward(log_prob: Token, reference_log_prob: Token, reward: Row, mask: Mask, group: Group) -> Loss:
    r"""$r - \beta \sum_t d_t$ as the reward, before the baseline is taken off. Exact."""
    d = stop_gradient(difference(log_prob, reference_log_prob, mask))
    return rloo(log_prob, reward - BETA * jnp.sum(d, axis=1), mask, group)


def k1_to_go(log_prob: Token, reference_log_prob: Token, reward: Row, mask: Mask, group: Group) -> Loss:
    r"""$-\beta \sum_{u \ge t} d_u$ as each token's reward to go. Exact: a token has no part in what came before."""
    d = stop_gradient(difference(log_prob, reference_log_prob, mask))
    to_go = jnp.cumsum(d[:, ::-1], axis=1)[:, ::-1]
    return token_sum(-(leave_one_out(reward, group)[:, None] - BETA * to_go) * log_prob, mask)


def k3_in_reward(log_prob: Token, reference_log_prob: Token, reward: Row, mask: Mask, group: Group) -> Loss:
    r"""$r - \beta \sum_t k_3$ as the reward. Biased: $k_3$ depends on $\pi$ itself, and that part is left out."""
    d = stop_gradient(difference(log_prob, reference_log_prob, mask))
    return rloo(log_prob, reward - BETA * jnp.sum(k3(d), axis=1), mask, group)


def k2_of_sequences(log_prob: Token, reference_log_prob: Token, reward: Row, mask: Mask, group: Group) -> Loss:
    r"""$\frac\beta2 (\sum_t d_t)^2$ in the loss. Exact: its gradient is $\beta \sum_t d_t \nabla \log \pi(y)$."""
    d = jnp.sum(difference(log_prob, reference_log_prob, mask), axis=1)
    return rloo(log_prob, reward, mask, group) + BETA * jnp.mean(0.5 * d**2)


def k3_in_both(log_prob: Token, reference_log_prob: Token, reward: Row, mask: Mask, group: Group) -> Loss:
    r"""$k_3$ in the reward, and differentiated in the loss as well. Exact: both parts of $\nabla E[k_3]$ are there."""
    d = difference(log_prob, reference_log_prob, mask)
    return k3_in_reward(log_prob, reference_log_prob, reward, mask, group) + BETA * token_sum(k3(d), mask)
