r"""Functions of log-probabilities whose gradient is a policy gradient: arrays in, a number for each row out.

No surrogate takes a mean: what averages them takes the weights, and what asks for the gradient of each row takes none.
They are to be maximised. $\hat A$, the advantage, is a constant in each: where gradients stop is part of the formula.
"""

import jax.numpy as jnp
from jax.lax import stop_gradient
from jaxtyping import Array, Float

Number = float | Float[Array, ""]  # an array, where one compiled program serves all values


def score(log_prob: Float[Array, "*n"], advantage: Float[Array, "*n"]) -> Float[Array, "*n"]:
    r"""$\log \pi_\theta(a \mid s) \, \hat A$, whose gradient is $\hat A \, \partial \log \pi_\theta(a \mid s)$.

    Its value means nothing; its gradient is the policy gradient. REINFORCE, of Williams 1992, by single
    actions; Sutton et al. 2000, eq. 2.
    """
    return log_prob * stop_gradient(advantage)


def ratio(
    log_prob: Float[Array, "*n"], behaviour_log_prob: Float[Array, "*n"], advantage: Float[Array, "*n"]
) -> Float[Array, "*n"]:
    r"""$r \hat A$ with $r = \pi_\theta / \pi_b$: the advantage under another policy, where the one that acted was.

    Schulman et al. 2015 (arXiv:1502.05477), eq. 14. At $\pi_\theta = \pi_b$ its gradient is that of `score`.
    """
    return jnp.exp(log_prob - stop_gradient(behaviour_log_prob)) * stop_gradient(advantage)


def clipped_ratio(
    log_prob: Float[Array, "*n"], behaviour_log_prob: Float[Array, "*n"], advantage: Float[Array, "*n"], clip: Number
) -> Float[Array, "*n"]:
    r"""$\min(r \hat A, \mathrm{clip}(r, 1 - c, 1 + c) \hat A)$ with $r = \pi_\theta / \pi_b$.

    Schulman et al. 2017 (arXiv:1707.06347), eq. 7. At $\pi_\theta = \pi_b$ its gradient is that of `score`.
    """
    ratio = jnp.exp(log_prob - stop_gradient(behaviour_log_prob))
    advantage = stop_gradient(advantage)
    return jnp.minimum(ratio * advantage, jnp.clip(ratio, 1 - clip, 1 + clip) * advantage)


def squared_error(value: Float[Array, "*n"], target: Float[Array, "*n"]) -> Float[Array, "*n"]:
    r"""$\tfrac12 (v_\theta - \hat v)^2$, the error of a critic; $\hat v$ is a constant."""
    return 0.5 * (value - stop_gradient(target)) ** 2


def quantile_error(quantiles: Float[Array, "*n quantiles"], target: Float[Array, "*n atoms"]) -> Float[Array, "*n"]:
    r"""The quantile Huber error of a critic whose outputs are the middle quantiles of equal parts of the return.

    Of quantile $m$ of $M$ at $\tau = (2m - 1) / 2M$, and a target's atom $y$, it is $|\tau - 1(u < 0)| H(u)$ of
    $u = y - \theta_m$, with Huber's $H$ at 1; the mean over both. Dabney et al. 2018 (arXiv:1710.10044), Kuznetsov et
    al. 2020 (arXiv:2005.04269).
    """
    number = quantiles.shape[-1]
    level = (jnp.arange(number) + 0.5) / number
    away = stop_gradient(target)[..., None, :] - quantiles[..., :, None]
    size = jnp.abs(away)
    huber = jnp.where(size <= 1, 0.5 * away**2, size - 0.5)
    weight = jnp.abs(jnp.broadcast_to(level[:, None], away.shape) - (away < 0))
    return jnp.mean(weight * huber, (-2, -1))


def clipped_squared_error(
    value: Float[Array, "*n"], behaviour_value: Float[Array, "*n"], target: Float[Array, "*n"], clip: Number
) -> Float[Array, "*n"]:
    """The larger of the squared errors of the value, and of the value kept within `clip` of what it was.

    Not in the paper but in its authors' code (`baselines/ppo2`). With `clip` infinite it is `squared_error`.
    """
    near = behaviour_value + jnp.clip(value - behaviour_value, -clip, clip)
    return jnp.maximum(squared_error(value, target), squared_error(near, target))


def approximate_kl(log_prob: Float[Array, "*n"], behaviour_log_prob: Float[Array, "*n"]) -> Float[Array, "*n"]:
    r"""$r - 1 - \log r$: unbiased for $KL(\pi_b \| \pi_\theta)$ as a value, and never negative.

    For reading, not for climbing: its gradient is not that of the divergence. Schulman 2020, "Approximating KL
    divergence" (k3).
    """
    log_ratio = log_prob - behaviour_log_prob
    return jnp.expm1(log_ratio) - log_ratio


def weighted_mean(x: Float[Array, "*n"], weight: Float[Array, "*n"]) -> Float[Array, ""]:
    """The mean of the rows, each counted `weight` times; 0 where nothing is counted."""
    return jnp.sum(x * weight) / jnp.maximum(jnp.sum(weight), 1e-8)


def standardise(x: Float[Array, "*n"], weight: Float[Array, "*n"]) -> Float[Array, "*n"]:
    """Mean 0 and standard deviation 1 over the rows that count. A batch of one row, or of equal rows, becomes 0."""
    most = jnp.max(jnp.where(weight > 0, x, -jnp.inf))
    x = x - jnp.where(most > -jnp.inf, most, 0.0)  # equal rows are then 0, and not what rounding leaves of them
    mean = weighted_mean(x, weight)
    variance = weighted_mean((x - mean) ** 2, weight)
    return (x - mean) / (jnp.sqrt(variance) + 1e-8)
