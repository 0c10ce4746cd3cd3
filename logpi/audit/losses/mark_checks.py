"""Mistakes of losses that leave a mark of their own: tokens without a gradient, and terms in `log_prob` alone."""

import dataclasses

import numpy as np
from jaxtyping import Float

from ..reports import Check
from .auditor import arrays, Auditor, some_groups
from .sequences import Sequences

NUMBER = 64  # of random groups
NOTHING = 1e-8  # of the largest derivative; rounding, and the error of central differences


def every_token(auditor: Auditor, problem: Sequences) -> Check:
    """Whether the first or the last token of every sequence is left out, where others of the sequence are not."""
    index, ids = some_groups(problem, NUMBER, (auditor.group_size,))
    found = np.abs(auditor.evaluate(arrays(problem, 0, index, ids)).derivative)
    mask = problem.tree.mask[index]
    is_live = mask & (found > NOTHING * found.max(initial=0.0))
    length = mask.sum(axis=-1)
    places = np.arange(problem.length)
    missing = []
    for name, place in (("last", length[..., None] - 1), ("first", np.zeros_like(length)[..., None])):
        here = (places == place) & (is_live.any(axis=-1) & (length > 1))[..., None]
        if here.any() and not is_live[here].any():
            missing.append(name)
    which = " and the ".join(missing)
    return Check(
        "every_token", float(bool(missing)), 0.0, 0.0,
        "1: some token gets no gradient" + (f", the {which} one of every sequence" if missing else ""),
        f"the mask is off by one, and leaves out the {which or 'last'} token of every sequence: its end is "
        "an action that was chosen, as all before it were",
    )  # fmt: skip


def log_prob_alone(auditor: Auditor, problem: Sequences) -> Check:
    r"""Whether what earns nothing still gets a push, and always the same: a weighted sum of log-probabilities.

    $E[\nabla \log \pi] = 0$, so that it is no bonus of any kind. It may be a constant baseline of the rewards: then
    the loss changes with a number that is added to all rewards.
    """
    silent = dataclasses.replace(problem, reward=np.zeros_like(problem.reward))
    logits = problem.logits + np.random.default_rng(3).standard_normal(problem.logits.shape)
    others = dataclasses.replace(silent, logits=logits, behaviour=logits, reference=logits)
    raised = dataclasses.replace(problem, reward=problem.reward + 1.0)
    base, quiet, elsewhere, high = (_slopes(auditor, p) for p in (problem, silent, others, raised))
    size = float(np.abs(base).max(initial=0.0))
    share = float(np.abs(quiet).max(initial=0.0)) / max(size, 1e-30)
    limit = NOTHING * size
    is_alone = np.abs(elsewhere - quiet).max(initial=0.0) <= limit and np.abs(high - base).max(initial=0.0) <= limit
    return Check(
        "log_prob_alone", share if is_alone and share > NOTHING else 0.0, 0.0, NOTHING,
        "size of a term in log_prob alone, next to the loss's derivative: its expected gradient is 0",
        "the mean of -log_prob over samples is the entropy in value, but not in gradient: take the entropy in closed "
        "form, or log_prob times its own detached value",
    )  # fmt: skip


def _slopes(auditor: Auditor, problem: Sequences) -> Float[np.ndarray, "groups *rows"]:
    index, ids = some_groups(problem, NUMBER, (auditor.group_size,))
    with np.errstate(all="ignore"):
        return auditor.evaluate(arrays(problem, 0, index, ids, rows=auditor.rows)).derivative
