r"""What libraries minimise for sequence policies, as functions of arrays; each says its multiple of $-\nabla J$.

$c$ is the scale: the expected gradient on policy is $-c \nabla J$ and, where there is a bias, something else. $N$ rows
in groups of $G$; $L$ a row's number of tokens, $L_{max}$ the longest possible one, which is the width of the arrays.
Formulas are those of the papers, with the constants that the libraries named use by default.
"""

import jax.numpy as jnp
from jax.lax import stop_gradient
from jaxtyping import Array, Float

from .advantages import (
    centred,
    generalised,
    Group,
    leave_one_out,
    Mask,
    relative_to_mean,
    reward_to_go,
    Row,
    standardised,
    Token,
    whitened,
)

Loss = Float[Array, ""]
Wide = Float[Array, "rows #length"]  # one number for each token, or one for all tokens of a row


def token_sum(x: Token, mask: Mask) -> Loss:
    """The sum over tokens, the mean over rows: the only one of the three that is exact."""
    return jnp.sum(jnp.where(mask, x, 0)) / x.shape[0]


def row_mean(x: Token, mask: Mask) -> Loss:
    """The mean over a row's tokens, then over rows: a token of a long row weighs less."""
    return jnp.mean(jnp.sum(jnp.where(mask, x, 0), axis=1) / jnp.maximum(jnp.sum(mask, axis=1), 1))


def token_mean(x: Token, mask: Mask) -> Loss:
    """The mean over all tokens of the batch: what it is divided by knows each row's length."""
    return jnp.sum(jnp.where(mask, x, 0)) / jnp.maximum(jnp.sum(mask), 1)


def ratio(log_prob: Token, behaviour_log_prob: Token, mask: Mask) -> Token:
    """Of the two policies, token by token; 1 outside of the mask."""
    return jnp.exp(jnp.where(mask, log_prob - stop_gradient(behaviour_log_prob), 0.0))


def clipped(weight: Wide, advantage: Wide, low: float, high: float) -> Float[Array, "rows _"]:
    r"""$-\min(w A, \mathrm{clip}(w, 1 - low, 1 + high) A)$. Schulman et al. 2017 (arXiv:1707.06347), eq. 7."""
    return -jnp.minimum(weight * advantage, jnp.clip(weight, 1 - low, 1 + high) * advantage)


def reinforce(log_prob: Token, reward: Row, mask: Mask) -> Loss:
    """No baseline. Williams 1992. $c = 1$, exact."""
    return token_sum(-stop_gradient(reward)[:, None] * log_prob, mask)


def group_mean(log_prob: Token, reward: Row, mask: Mask, group: Group) -> Loss:
    """REINFORCE less the group's mean, the row itself in it. $c = (G - 1) / G$, exact."""
    return token_sum(-centred(reward, group)[:, None] * log_prob, mask)


def a2c(log_prob: Token, value: Token, reward: Row, mask: Mask) -> Loss:
    """Return less the critic's value before each token. Mnih et al. 2016 (arXiv:1602.01783), alg. S3. $c = 1$, exact
    with any critic."""
    return token_sum(-generalised(value, reward, mask) * log_prob, mask)


def ppo(log_prob: Token, behaviour_log_prob: Token, value: Token, reward: Row, mask: Mask) -> Loss:
    """Clip .2, GAE with trace .95. Schulman et al. 2017, eq. 7 and 11. $c = 1$, exact with an exact critic alone."""
    advantage = generalised(value, reward, mask, trace=0.95)
    return token_sum(clipped(ratio(log_prob, behaviour_log_prob, mask), advantage, 0.2, 0.2), mask)


def ppo_whitened(log_prob: Token, behaviour_log_prob: Token, value: Token, reward: Row, mask: Mask) -> Loss:
    """PPO as verl has it for tokens: advantages whitened over the batch, then the mean over tokens. Biased by both."""
    advantage = whitened(generalised(value, reward, mask), mask)
    return token_mean(clipped(ratio(log_prob, behaviour_log_prob, mask), advantage, 0.2, 0.2), mask)


def grpo(log_prob: Token, behaviour_log_prob: Token, reward: Row, mask: Mask, group: Group) -> Loss:
    """Standardised rewards, clip .2, a mean over each row's tokens. Shao et al. 2024 (arXiv:2402.03300), eq. 3, without
    the KL. Biased: right answers are made shorter, wrong ones longer, easy and hard prompts heavier."""
    advantage = standardised(reward, group)[:, None]
    return row_mean(clipped(ratio(log_prob, behaviour_log_prob, mask), advantage, 0.2, 0.2), mask)


def dr_grpo(log_prob: Token, behaviour_log_prob: Token, reward: Row, mask: Mask, group: Group) -> Loss:
    r"""No deviation, a constant for the length. Liu et al. 2025 (arXiv:2503.20783), sec. 3.2. Exact, with
    $c = (G - 1) / (G L_{max})$."""
    advantage = centred(reward, group)[:, None]
    each = clipped(ratio(log_prob, behaviour_log_prob, mask), advantage, 0.2, 0.2)
    return token_sum(each, mask) / log_prob.shape[1]


def rloo(log_prob: Token, reward: Row, mask: Mask, group: Group) -> Loss:
    """Less the mean of the others. Kool et al. 2019; Ahmadian et al. 2024 (arXiv:2402.14740). $c = 1$, exact."""
    return token_sum(-leave_one_out(reward, group)[:, None] * log_prob, mask)


def rloo_sequence_ratio(log_prob: Token, behaviour_log_prob: Token, reward: Row, mask: Mask, group: Group) -> Loss:
    """RLOO with the ratio of whole sequences, clip .2, as in TRL's `RLOOTrainer`. $c = 1$, exact on policy."""
    whole = jnp.exp(jnp.sum(jnp.where(mask, log_prob - stop_gradient(behaviour_log_prob), 0), axis=1))
    return jnp.mean(clipped(whole[:, None], leave_one_out(reward, group)[:, None], 0.2, 0.2))


def sequence_weighted(log_prob: Token, behaviour_log_prob: Token, reward: Row, mask: Mask, group: Group) -> Loss:
    """RLOO times the ratio of whole sequences, not clipped: the one form that is exact off policy too. $c = 1$."""
    whole = jnp.exp(jnp.sum(jnp.where(mask, log_prob - stop_gradient(behaviour_log_prob), 0), axis=1))
    return -jnp.mean(whole * leave_one_out(reward, group))


def rloo_row_mean(log_prob: Token, reward: Row, mask: Mask, group: Group) -> Loss:
    """RLOO over each row's length: the length bias alone."""
    return row_mean(-leave_one_out(reward, group)[:, None] * log_prob, mask)


def rloo_token_mean(log_prob: Token, reward: Row, mask: Mask, group: Group) -> Loss:
    """RLOO over the batch's number of tokens: the bias of a ratio of random numbers; less in large batches."""
    return token_mean(-leave_one_out(reward, group)[:, None] * log_prob, mask)


def dapo(log_prob: Token, behaviour_log_prob: Token, reward: Row, mask: Mask, group: Group) -> Loss:
    """GRPO with clips .2 and .28 and the mean over all tokens. Yu et al. 2025 (arXiv:2503.14476), eq. 8, without its
    resampling of groups. Biased as GRPO, less by length."""
    advantage = standardised(reward, group)[:, None]
    return token_mean(clipped(ratio(log_prob, behaviour_log_prob, mask), advantage, 0.2, 0.28), mask)


def reinforce_plus_plus(log_prob: Token, behaviour_log_prob: Token, reward: Row, mask: Mask) -> Loss:
    """Returns whitened over all tokens of the batch. Hu 2025 (arXiv:2501.03262), without the KL. Biased: the mean over
    tokens holds the row's own reward as often as it has tokens."""
    advantage = whitened(reward_to_go(reward, mask), mask)
    return token_mean(clipped(ratio(log_prob, behaviour_log_prob, mask), advantage, 0.2, 0.2), mask)


def reinforce_plus_plus_baseline(
    log_prob: Token, behaviour_log_prob: Token, reward: Row, mask: Mask, group: Group
) -> Loss:
    """REINFORCE++ with the group's mean taken off before the whitening. Biased by the whitening."""
    advantage = whitened(jnp.where(mask, centred(reward, group)[:, None], 0.0), mask)
    return token_mean(clipped(ratio(log_prob, behaviour_log_prob, mask), advantage, 0.2, 0.2), mask)


def gspo(log_prob: Token, behaviour_log_prob: Token, reward: Row, mask: Mask, group: Group) -> Loss:
    r"""The ratio of sequences to the power $1 / L$. Zheng et al. 2025 (arXiv:2507.18071), eq. 5 and 7, clips 3e-4 and
    4e-4. On policy it is GRPO, bias and all."""
    change = jnp.where(mask, log_prob - stop_gradient(behaviour_log_prob), 0)
    weight = jnp.exp(jnp.sum(change, axis=1) / jnp.maximum(jnp.sum(mask, axis=1), 1))
    return jnp.mean(clipped(weight[:, None], standardised(reward, group)[:, None], 3e-4, 4e-4))


def cispo(log_prob: Token, behaviour_log_prob: Token, reward: Row, mask: Mask, group: Group) -> Loss:
    """The ratio, cut off at 5 and detached, as a weight of log_prob. MiniMax 2025 (arXiv:2506.13585), eq. 4 and 5; the
    cut is TRL's, absolute and from above alone. Biased as DAPO on policy."""
    weight = stop_gradient(jnp.minimum(ratio(log_prob, behaviour_log_prob, mask), 5.0))
    return token_mean(-weight * standardised(reward, group)[:, None] * log_prob, mask)


def max_rl(log_prob: Token, reward: Row, mask: Mask, group: Group) -> Loss:
    """The group's mean taken off and divided by, as prime-rl has it. The right direction for one prompt; another
    objective for several: hard prompts weigh more, on purpose."""
    return token_sum(-relative_to_mean(reward, group)[:, None] * log_prob, mask)
