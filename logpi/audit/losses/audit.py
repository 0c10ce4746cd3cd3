"""Does the gradient of a loss from elsewhere climb the expected reward?"""

import dataclasses
from typing import Any

import jax
import numpy as np
from jaxtyping import PRNGKeyArray

from ...errors import check_between, check_flag, check_kind, check_whole, InputError
from ...parameters import check_key
from ..reports import Report
from .auditor import audited
from .direction_checks import direction_checks, first_checks, off_policy_checks
from .invariance_checks import invariance_checks
from .kl_checks import kl_checks
from .mark_checks import every_token, log_prob_alone
from .sequences import draw, Sequences


def loss(
    subject: Any,
    key: PRNGKeyArray | None = None,
    *,
    problem: Sequences | None = None,
    group_size: int = 4,
    rows: bool = False,
    minimise: bool = True,
    beta: float | None = None,
    framework: str = "auto",
    tolerance: float = 1e-6,
) -> Report:
    r"""Audits a loss, a function of arrays that returns one number, in JAX, PyTorch or NumPy.

    Only d loss / d log_prob is asked for; the expectation over all groups of `group_size` sequences is exact. The
    arguments are found by name. Each token has `log_prob`, `behaviour_log_prob` (of what drew the sequences),
    `reference_log_prob`, `mask` (true where there is a token), `value` (an exact critic, before the token) and
    `advantage` (reward less the mean reward of the others of the group, the same for all tokens): [B, T]. Each
    sequence has a `reward` and the id of its `group`: [B]. With `rows`, for losses over flat rows such as PPO's over
    steps, sequences have one token and every array is [B].

    Looks at: the direction on sequences; with one token and real rewards; with prompts of two pass rates; with a
    reward for the first token alone; at the KL term (with rewards of 0), if `reference_log_prob` is asked for, and at
    its weight, if that should be `beta`; off policy, if `behaviour_log_prob` is; and at masks, row order, split
    batches and groups of one; for tokens without a gradient, a loss that is not finite, and terms in `log_prob`
    alone. A scale is no mistake. `problem` takes the place of the random one, which `key` draws.
    For `framework`, see `frameworks.evaluation_of`. Raises `InputError` for what is no function, or cannot be called.
    """
    rows, minimise = check_flag("rows", rows), check_flag("minimise", minimise)
    beta = check_between("beta", beta, -1e6, 1e6, optional=True)
    tolerance = check_between("tolerance", tolerance, 0.0)
    group_size = check_whole("group_size", group_size, 1)
    check_kind("problem", problem, Sequences, "logpi.audit.Sequences(...)", optional=True)
    key = check_key(jax.random.key(0) if key is None else key)
    main = _main(problem, key, rows)
    auditor = audited(subject, main, group_size, rows=rows, minimise=minimise, framework=framework)
    checks, notes = invariance_checks(auditor, main)
    if any(check.key == "row_order" and not check.passed for check in checks):
        auditor = dataclasses.replace(auditor, ordered=True)
    own = dataclasses.replace(main, reference=main.logits)  # where KL terms have a gradient of 0
    whole = auditor.align(own, f"groups of {group_size}, on policy, by enumeration")
    first = first_checks(whole)
    if not all(check.passed for check in first):
        notes.append("the direction and its reasons: mend what is found first")
        return Report(auditor.name, (*first, *checks), tuple(notes), (whole,))
    tokens = [] if rows else [every_token(auditor, main)]
    rest, others = direction_checks(auditor, key, whole, tolerance, tokens)
    if "reference_log_prob" in auditor.roles:
        more, alignments, unknown = kl_checks(auditor, main, whole.scale, beta, tolerance)
        rest, others, notes = rest + more, others + alignments, notes + unknown
    if all(check.passed for check in rest if check.key == "kl"):
        rest = [*rest, log_prob_alone(auditor, own)]
    if "behaviour_log_prob" in auditor.roles:
        more, alignments = off_policy_checks(auditor, own)
        rest, others = rest + more, others + alignments
    return Report(auditor.name, (*first, *rest, *checks), tuple(notes), (whole, *others))


def _main(problem: Sequences | None, key: PRNGKeyArray, rows: bool) -> Sequences:
    """The problem given, or a random one."""
    shape = {"vocabulary": 4, "length": 1} if rows else {"vocabulary": 3, "length": 3}
    main = draw(key, "binary", name="right or wrong", **shape) if problem is None else problem
    if rows and main.length > 1:
        raise InputError(f"rows=True is for problems of one token, not of {main.length}: leave it out.")
    if not np.linalg.norm(main.reward_gradient()) > 0:
        raise InputError("the problem's true gradient is zero, so there is no direction: give other rewards.")
    return main
