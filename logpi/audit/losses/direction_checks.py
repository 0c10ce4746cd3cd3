"""Whether a loss climbs the expected reward, and on problems with one possible reason each, why it does not."""

import dataclasses
import math

import jax
import numpy as np
from jaxtyping import Int, PRNGKeyArray

from ...errors import check_between
from ..alignment import Alignment
from ..reports import Check
from .auditor import Auditor
from .sequences import draw, Sequences, token_tree

RATES = (0.05, 0.5)  # of the problem with two prompts
MISMATCH = (0.1, 0.5)  # standard deviations of what the sampler's logits have more


def first_checks(whole: Alignment) -> list[Check]:
    """What must hold before there is a direction to look at."""
    finite = np.isfinite(whole.scale)
    gone, wrong = finite and whole.scale == 0.0 and np.isnan(whole.cosine), finite and whole.scale < 0
    return [
        Check(
            "finite_gradient", float(not finite), 0.0, 0.0, "1: some group gives NaN or infinity",
            "add a small number to what is divided by; take exp and log of what the mask keeps only",
        ),
        Check(
            "zero_gradient", float(gone), 0.0, 0.0, "1: the expected gradient is zero",
            "log_prob must reach the loss undetached, weighted by rewards: the mean of log_prob alone has none",
        ),
        Check(
            "sign", float(wrong), 0.0, 0.0, "1: a step makes the expected reward smaller",
            "what is minimised is minus advantage times log_prob; say minimise=False where it is maximised",
        ),
    ]  # fmt: skip


def direction_checks(
    auditor: Auditor, key: PRNGKeyArray, whole: Alignment, tolerance: float, tokens: list[Check]
) -> tuple[list[Check], list[Alignment]]:
    """Whether it is the gradient's direction, and on problems with one possible reason each.

    Where `tokens` are left out, that would show on all of these, as if it were their reason.
    """
    if left_out := [check.cure for check in tokens if not check.passed]:
        return [_bent("direction", whole, tolerance, whole.name, left_out[0]), *tokens], []
    shape = {"vocabulary": 4 if auditor.rows else 3, "length": 1}
    one = draw(jax.random.fold_in(key, 1), "real", name="one token, real rewards", **shape)
    real = auditor.align(dataclasses.replace(one, reference=one.logits), "no lengths to divide by")
    rates = auditor.align(pass_rates(*RATES), f"one token, right with probability {RATES[0]} and {RATES[1]}")
    reasons = []
    checks = [
        _bent(
            "deviation", real, tolerance, "one token with real rewards",
            "divide no reward by a deviation that it is part of, or by that of all prompts over a long time",
        ),
        _bent(
            "difficulty", rates, tolerance, "prompts of two pass rates",
            "a division by the group's deviation gives hard and easy prompts more weight: leave it out",
        ),
    ]  # fmt: skip
    reasons += ["a division by a deviation"] if not all(check.passed for check in checks) else []
    found = [real, rates]
    if not auditor.rows:
        length = _length(auditor, tolerance)
        reasons += ["a division by lengths"] if not length.passed else []
        checks.append(length)
    why = f"found: {' and '.join(reasons)}, see below" if reasons else (
        "weigh every token of a sequence by the same number, reward less a baseline without the sequence's own reward"
    )  # fmt: skip
    return [_bent("direction", whole, tolerance, whole.name, why), *checks, *tokens], found


def _bent(key: str, found: Alignment, tolerance: float, meaning: str, cure: str) -> Check:
    size = found.direction_error if found.scale > 0 else float("inf")
    return Check(key, size, 0.0, tolerance, f"direction error, {meaning}", cure)


def _length(auditor: Auditor, tolerance: float) -> Check:
    """The logits of the end after the first token, which a reward for the first token leaves alone."""
    problem = first_token_right()
    found = auditor.update(problem)
    right, wrong = (float(found[place[0]]) for place in end_logits(problem))
    whole = max(float(np.linalg.norm(found)), 1e-30)
    size = max(abs(right), abs(wrong)) / whole
    return Check(
        "length", size, 0.0, tolerance,
        f"of the gradient's norm: the end's logit, which earns nothing ({right:+.3g} after a right token, {wrong:+.3g} "
        "after a wrong one)",
        "divide the sum over tokens by a constant, such as the longest length, not by lengths or by a count of tokens",
    )  # fmt: skip


def off_policy_checks(auditor: Auditor, main: Sequences) -> tuple[list[Check], list[Alignment]]:
    """Sequences drawn by another policy. Most losses are not exact then: a table, and a check of the sense alone."""
    noise, found = np.random.default_rng(7).standard_normal(main.logits.shape), []
    for size in MISMATCH:
        other = dataclasses.replace(main, name=f"off policy {size}", behaviour=main.logits + size * noise)
        found.append(auditor.align(other, f"the sampler's logits are {size} times N(0, 1) off"))
    check = Check(
        "off_policy", max(0.0, 1.0 - found[0].cosine), 0.0, 0.5, f"1 - cosine, {found[0].name}",
        "weigh by the ratio exp(log_prob - behaviour_log_prob), not by its inverse",
    )  # fmt: skip
    return [check], found


def first_token_right(right: float = 1 / 3, length: int = 3) -> Sequences:
    """Reward 1 if the first token is 1, whatever follows: the true gradient leaves every later logit alone.

    `right` is the probability of that; the two other tokens, the end and a wrong one, share the rest. All later tokens
    are equally likely.
    """
    right = check_between("right", right, 1e-6, 1 - 1e-6)
    shape = token_tree(3, length)
    logits = np.zeros((1, shape.prefixes, 3))
    logits[0, 0, 1] = math.log(2 * right / (1 - right))
    reward = (shape.tokens[None, :, 0] == 1).astype(float)
    return Sequences("first token right", length, logits, logits, logits, reward)


def pass_rates(*rates: float) -> Sequences:
    """Prompts of one token that is right with these probabilities: what a division by the deviation distorts."""
    odds = [(1 - p) / p for p in (check_between("rates", rate, 1e-6, 1 - 1e-6) for rate in rates)]
    logits = np.array([[[math.log(against), 0.0]] for against in odds])
    reward = np.tile([0.0, 1.0], (len(rates), 1))
    return Sequences("two pass rates", 1, logits, logits, logits, reward)


def end_logits(problem: Sequences) -> tuple[Int[np.ndarray, " n"], Int[np.ndarray, " m"]]:
    """Where the logits of the end after a right and after a wrong first token lie, for `first_token_right`."""
    place = np.arange(problem.logits.size).reshape(problem.logits.shape)
    return place[:, 1, 0], place[:, 2, 0]
