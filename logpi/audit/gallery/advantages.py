r"""Advantages of groups and of tokens, as arrays. None of them carries a gradient: all are constants in a loss.

$B$ rows, $T$ tokens; `group` holds the id of each row's prompt. Groups may have any size; a group of one gets 0.
"""

import jax
import jax.numpy as jnp
from jax.lax import stop_gradient
from jaxtyping import Array, Bool, Float, Int

from ...statistics.leave_one_out import less_others_of_group

Row = Float[Array, " rows"]
Token = Float[Array, "rows length"]
Mask = Bool[Array, "rows length"]
Group = Int[Array, " rows"]


def group_sums(x: Row, group: Group) -> tuple[Row, Row]:
    """The sum of `x` over each row's group, and the group's size."""
    same = group[:, None] == group[None, :]
    return jnp.sum(jnp.where(same, x[None, :], 0), axis=1), jnp.sum(same, axis=1).astype(x.dtype)


def centred(reward: Row, group: Group) -> Row:
    r"""$r_i - \bar r$, the row's own reward in the mean. In expectation $(G - 1) / G$ times the advantage."""
    total, size = group_sums(reward, group)
    return stop_gradient(reward - total / size)


def leave_one_out(reward: Row, group: Group) -> Row:
    r"""$r_i - \frac{1}{G-1} \sum_{j \ne i} r_j$: exact, for the baseline does not know the row."""
    return stop_gradient(less_others_of_group(reward, group))


def standardised(reward: Row, group: Group, small: float = 1e-4) -> Row:
    r"""$(r_i - \bar r) / (s + \epsilon)$, $s$ with $G - 1$ below. GRPO: Shao et al. 2024 (arXiv:2402.03300).

    $s$ knows the row's own reward and differs between prompts: both bend the direction (`difficulty_scale`).
    """
    total, size = group_sums(reward, group)
    centre = reward - total / size
    square, _ = group_sums(centre**2, group)
    return stop_gradient(centre / (_root(square / jnp.maximum(size - 1, 1)) + small))


def relative_to_mean(reward: Row, group: Group) -> Row:
    r"""$(r_i - \bar r) / \bar r$, and 0 where the mean is not positive: MaxRL's weight of hard prompts."""
    total, size = group_sums(reward, group)
    mean = total / size
    return stop_gradient(jnp.where(mean > 0, (reward - mean) / jnp.where(mean > 0, mean, 1.0), 0.0))


def whitened(advantage: Token, mask: Mask, small: float = 1e-8) -> Token:
    """Less the mean, over the deviation, of all tokens of the batch: a long row counts more often in both."""
    number = jnp.maximum(jnp.sum(mask), 1)
    mean = jnp.sum(jnp.where(mask, advantage, 0)) / number
    square = jnp.sum(jnp.where(mask, (advantage - mean) ** 2, 0)) / jnp.maximum(number - 1, 1)
    return stop_gradient(jnp.where(mask, (advantage - mean) / (_root(square) + small), 0.0))


def reward_to_go(reward: Row, mask: Mask, discount: float = 1.0) -> Token:
    """A reward at the last token, as each earlier token's discounted return; 0 outside of the mask."""
    left = jnp.sum(mask, axis=1, keepdims=True) - jnp.cumsum(mask, axis=1)
    return stop_gradient(jnp.where(mask, reward[:, None] * discount**left, 0.0))


def generalised(value: Token, reward: Row, mask: Mask, trace: float = 1.0, discount: float = 1.0) -> Token:
    r"""GAE, $\sum_k (\gamma \lambda)^k \delta_{t+k}$ with $\delta_t = r_t + \gamma V_{t+1} - V_t$, reward at the last
    token and no value after it.

    Schulman et al. 2016 (arXiv:1506.02438), eq. 16. Exact with $\lambda = 1$ or an exact critic, if $\gamma = 1$.
    """
    after = jnp.concatenate([jnp.where(mask, value, 0)[:, 1:], jnp.zeros_like(value[:, :1])], axis=1)
    last = mask & ~jnp.concatenate([mask[:, 1:], jnp.zeros_like(mask[:, :1])], axis=1)
    delta = jnp.where(mask, jnp.where(last, reward[:, None], 0) + discount * after - value, 0.0)

    def back(follows: Row, now: Row) -> tuple[Row, Row]:
        found = now + discount * trace * follows
        return found, found

    _, found = jax.lax.scan(back, jnp.zeros_like(reward), delta.T, reverse=True)
    return stop_gradient(jnp.where(mask, found.T, 0.0))


def difficulty_scale(rate: float, group_size: int) -> float:
    r"""What a division by the group's deviation multiplies the gradient of a prompt with pass rate `rate` by.

    $c_G(p) = \sum_k \binom{G}{k} p^k (1-p)^{G-k} \frac1G [k (1 - k/G) / p + (G - k) (k/G) / (1 - p)] / s_k$, with
    $s_k^2 = k (G - k) / (G (G - 1))$: the expectation of `standardised` times the score, for rewards of 0 and 1. At
    $G = 2$ and 3 it does not depend on $p$; for large $G$ it is $1 / \sqrt{p (1 - p)}$.
    """
    from scipy.stats import binom

    total = 0.0
    for k in range(1, group_size):
        deviation = (k * (group_size - k) / (group_size * (group_size - 1))) ** 0.5
        share = k * (1 - k / group_size) / rate + (group_size - k) * (k / group_size) / (1 - rate)
        total += float(binom.pmf(k, group_size, rate)) * share / group_size / deviation
    return total


def _root(square: Float[Array, "*n"]) -> Float[Array, "*n"]:
    """A square root whose derivative at 0 is 0, and not NaN."""
    return jnp.where(square > 0, jnp.sqrt(jnp.where(square > 0, square, 1.0)), 0.0)
