"""Does an objective climb the gradient it should? On problems where that gradient is known exactly."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from ...algorithms import AbstractAlgorithm
from ...credit import AbstractCredit, GAE
from ...errors import check_between, InputError, shown
from ...parameters import check_key
from ..alignment import Alignment
from ..problems import AbstractProblem, default_problems, replayed_problems, TabularMDP
from ..reports import Check, Report, z_limit
from .bias_sources import (
    entropy_of,
    exact_sources,
    exact_update_of,
    has_credit,
    monte_carlo_sources,
    name_of,
    settings_of,
    with_settings,
)
from .common_mistakes import (
    another_discount,
    entropy_bonus,
    every_parameter,
    importance_weight,
    next_episode,
    own_sample,
    without_bonus,
)
from .exact_update import ExactUpdate, RowObjective, values_of
from .replayed_audit import replayed

EXACT = 1e-6  # of a direction: far above the rounding of float64, and of float32 where an objective goes through it


def objective(
    subject: Any,
    problem: AbstractProblem | Sequence[AbstractProblem] | None = None,
    *,
    key: PRNGKeyArray | None = None,
    credit: Any = None,
    entropy_coef: float = 0.0,
) -> Report:
    r"""Audits an algorithm or an objective: writes its expected update as a multiple of $\nabla J$ and a rest.

    `subject` is an algorithm of logpi, or a function `(model, batch) -> value per row`, or `-> (value per row,
    anything)`, to be maximised; `batch` is a `logpi.batch.Segments`. `problem` is one problem or several
    (`logpi.audit.problems`); without it, the default ones, whose discount the credit is given. `credit` is any
    `AbstractCredit`, or a function `(reward, terminated, truncated, value) -> (advantage, target)` of one stream, in
    NumPy or JAX, where `value` has one entry more than there are rows. `entropy_coef` says what entropy bonus a
    function means to have; an algorithm says it itself.

    The check `policy gradient` and its kin fail where the update is no multiple of the gradient although the critic is
    exact and the states are discounted (the policy gradient theorem, Sutton et al. 2000). Known sources of bias are
    rows of the report, not failures. What is drawn has its standard error; a correct algorithm fails in one audit of a
    million. An algorithm that learns from a replay by critics of actions is looked at in each of its objectives: the
    actor's with exact critics, the critics' with targets by exact ones, the temperature's. Raises `InputError` for what
    is neither an algorithm nor a function.
    """
    key = check_key(jax.random.key(0) if key is None else key)
    key = key if jnp.issubdtype(key.dtype, jax.dtypes.prng_key) else jax.random.wrap_key_data(key)
    entropy_coef = check_between("entropy_coef", entropy_coef, 0, 1e6)
    if credit is not None and (not callable(credit) or isinstance(credit, type)):
        raise InputError(
            f"credit is {shown(credit)}, but it must be an AbstractCredit, as logpi.GAE(), or a function "
            "(reward, terminated, truncated, value) -> (advantage, target)."
        )
    with jax.enable_x64(True), jax.numpy_rank_promotion("allow"):
        if isinstance(subject, AbstractAlgorithm) and not has_credit(subject):
            if subject.begins_anew:
                raise InputError(
                    f"the subject is {type(subject).__name__}, which learns from policies, each a row, and the "
                    "problems here know the gradient in actions: audit a run of it (logpi audit run)."
                )
            if credit is not None:
                raise InputError(f"credit is {shown(credit)}, but {type(subject).__name__} takes none: leave it out.")
            given = problem if isinstance(problem, Sequence) else [problem]
            return replayed(subject, replayed_problems() if problem is None else _checked(given), key)
        problems = _problems(problem)
        if isinstance(subject, AbstractAlgorithm):
            return _algorithm(subject, problems, credit, problem is not None, key)
        if not callable(subject):
            raise InputError(
                f"the subject is {type(subject).__name__}, but it must be an algorithm, as logpi.PPO(), or a function "
                "(model, batch) -> value per row."
            )
        function: Callable[..., Any] = subject
        cases = [ExactUpdate(p, RowObjective(function), _credit_on(p, credit, problem is not None)) for p in problems]
        return _function(function, cases, float(entropy_coef))


def _credit_on(problem: AbstractProblem, credit: Any, given: bool) -> Any:
    """The credit of a function on a problem; where no problem was given, with the discount of each."""
    if credit is None:
        return GAE(problem.gamma)
    known = not given and isinstance(credit, AbstractCredit) and "gamma" in settings_of(credit)
    return with_settings(credit, gamma=problem.gamma) if known else credit


def _problems(problem: Any) -> list[AbstractProblem]:
    """Those given; one that truncates brings its like whose rows only end, to tell what is wrong."""
    if problem is None:
        return list(default_problems())
    found = []
    for p in _checked(problem if isinstance(problem, Sequence) else [problem]):
        found.append(p)
        if isinstance(p, TabularMDP) and p.limit == "truncates":
            found.append(dataclasses.replace(p, limit="rollout", name=f"{p.name}, end of the rollout"))
    return found


def _checked(problems: Sequence[Any]) -> Sequence[AbstractProblem]:
    """Raises `InputError` for what is no problem, and for none."""
    for p in problems:
        if not isinstance(p, AbstractProblem):
            raise InputError(f"a problem is {type(p).__name__}, but it must be one of logpi.audit.problems.")
    if not problems:
        raise InputError("there is no problem in the list: give one or more of logpi.audit.problems, or none at all.")
    return problems


def _algorithm(subject: Any, problems: list[AbstractProblem], credit: Any, given: bool, key: PRNGKeyArray) -> Report:
    notes, entropy = [], entropy_of(subject)
    if isinstance(credit, AbstractCredit):
        subject = with_settings(subject, credit=credit)
    cases = [exact_update_of(subject, p) for p in problems]
    if credit is not None and not isinstance(credit, AbstractCredit):
        cases = [dataclasses.replace(case, credit=credit) for case in cases]
    rows, checks = [], []
    for case in cases:
        bonus = exact_update_of(subject, case.problem, entropy_coef=entropy).objective if entropy else None
        rows.append(exact_sources(case, bonus=bonus, entropy=entropy, own=_own(subject, case, given)))
    bases = [case.expected() for case in cases]
    checks += _gradients(cases, [r[0] for r in rows])
    checks += _common_mistakes(cases, bases, notes)
    if entropy:
        whole = dataclasses.replace(
            cases[0], objective=exact_update_of(subject, problems[0], entropy_coef=entropy).objective
        )
        checks += entropy_bonus(whole, entropy)[0]
    flat = [row for r in rows for row in r]
    if isinstance(cases[0].credit, AbstractCredit):
        drawn, uphill = monte_carlo_sources(subject, problems[0], key, _own(subject, cases[0], given))
        flat += drawn
        checks += [_uphill(check, row, error) for check, (row, error) in uphill.items()]
        if "uphill" not in uphill:
            notes.append("gradients as they are: the optimiser is given none of the policy, whose step is looked at")
    else:
        notes.append("whole updates: they need a credit of JAX, and this one is a plain function")
    return Report(type(subject).__name__, tuple(checks), tuple(notes), tuple(flat))


def _own(subject: Any, case: ExactUpdate, given: bool) -> Any:
    """The algorithm's credit, where its discount is not that of a problem that was given."""
    credit = subject.credit
    differs = given and "gamma" in settings_of(credit) and credit.gamma != case.problem.gamma
    return credit if differs and isinstance(case.credit, AbstractCredit) else None


def _function(function: Any, cases: list[ExactUpdate], entropy: float) -> Report:
    name, notes = name_of(function), []
    shape = _one_value_per_row(function, cases[0])
    if not shape.passed:
        return Report(name, (shape,), ("the gradient: it needs one value per row",))
    checks, ratio = [shape], 0.0
    if entropy:
        bonus, ratio = entropy_bonus(cases[0], entropy)
        checks += bonus
    kept, rows = [], []
    for case in cases:
        try:
            case.expected()
        except Exception as reason:  # a function of the user's, which knows perhaps no more than one kind of action
            if case is cases[0]:
                raise
            notes.append(f"{case.problem.name}: {_told(reason)}")
            continue
        kept.append(case)
        rows.append(exact_sources(case) if not ratio else [without_bonus(case, ratio)])
    bases = [case.expected() for case in kept]
    finite = float(sum(not np.isfinite(b).all() for b in bases))
    checks.append(
        Check("finite", finite, 0.0, 0.0, "problems with a NaN", "guard 0/0, log(0) and the deviation of equal rows")
    )
    checks += _gradients(kept, [r[0] for r in rows])
    if not finite:
        checks += _common_mistakes(kept, bases, notes)
    return Report(name, tuple(checks), tuple(notes), tuple(row for r in rows for row in r))


def _one_value_per_row(function: Any, case: ExactUpdate) -> Check:
    batch = case.batch()
    model, rows = case.critics["exact"], batch.weight.size
    try:
        shape = eqx.filter_eval_shape(values_of, function, model, batch).shape
    except Exception as reason:
        raise InputError(
            f"the objective breaks down on the problem {case.problem.name} ({_told(reason)}): it must take "
            "(model, batch), and JAX must be able to trace it."
        ) from reason
    size = float(abs(int(np.prod(shape)) - rows))
    return Check(
        "one_value_per_row", size, 0.0, 0.0, f"values more or less than {rows} rows: the shape is {shape}",
        "return one value per row and no mean; (n,) beside (n, 1) makes (n, n): give both the same shape",
    )  # fmt: skip


def _gradients(cases: list[ExactUpdate], rows: list[Alignment]) -> list[Check]:
    """For each kind of problem, the worst direction; and whether any update goes down."""
    checks = []
    for key in dict.fromkeys(case.problem.check for case in cases):
        group = [(row, case) for row, case in zip(rows, cases, strict=True) if case.problem.check == key]
        row, case = max(group, key=lambda pair: np.nan_to_num(pair[0].direction_error, nan=np.inf))
        checks.append(
            Check(
                key, row.direction_error, 0.0, EXACT, f"part of the update across the gradient ({case.problem.name})",
                (row.direction_error > EXACT and another_discount(case, EXACT)) or case.problem.cure,
            )
        )  # fmt: skip
    down = [row.name.split(":")[0] for row in rows if not row.scale > 0]
    meaning = "problems whose update does not go up" + (f" ({', '.join(down)})" if down else "")
    cure = "the objective is maximised: return what should grow, not a loss"
    scales = np.array([row.scale for row in rows if row.direction_error <= EXACT])
    spread = float(np.max(np.abs(scales / scales[0] - 1))) if len(scales) else 0.0
    same = "divide by nothing that depends on the episode or the batch, as its length or the deviation of its returns"
    return [
        *checks,
        Check("scale", spread, 0.0, EXACT, "relative difference of the scale between problems", same),
        Check("sign", float(len(down)), 0.0, 0.0, meaning, cure),
    ]


def _common_mistakes(cases: list[ExactUpdate], bases: list[np.ndarray], notes: list[str]) -> list[Check]:
    """What is looked for by its own marks."""
    checks = [every_parameter(cases, bases), next_episode(cases, bases)]
    try:
        weight, note = importance_weight(cases)
        checks += [weight, *own_sample(cases)]
    except Exception as reason:  # both look at a bandit of choices, which a function of the user's may not know
        if isinstance(cases[0].problem, TabularMDP):
            raise
        note = f"importance weight, own sample: on a bandit of choices {_told(reason)}"
    notes += [note] if note else []
    return checks


def _told(reason: Exception) -> str:
    """What went wrong, in a line."""
    return f"{type(reason).__name__}: {str(reason).partition(chr(10))[0]}"


def _uphill(key: str, row: Alignment, error: float) -> Check:
    """Whether an update surely goes up; one that goes nowhere does not."""
    lack = max(z_limit(1) * error - row.cosine, 0.0) if row.cosine > 0 else 1.0
    return Check(
        key, lack, error, 0.0, f"what the cosine of {row.name.partition(': ')[2]}, {row.cosine:.3f}, lacks to be > 0",
        "look at the rows above for the source that turns it round, and at the sign of the optimiser's step",
    )  # fmt: skip
