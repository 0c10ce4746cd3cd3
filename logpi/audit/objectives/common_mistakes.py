"""Common mistakes of objectives, each found by a mark of its own."""

import dataclasses
import itertools
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ...batch import Segments
from ...credit import AbstractCredit, Credit, GAE
from ...errors import InputError
from ...jaxprs.compilation import bounded_jit
from ...models import AbstractActorCritic, entropies, log_probs, unroll
from ...parameters import trainable
from ..alignment import align, Alignment
from ..problems import bandit, TabularMDP
from ..reports import Check
from .exact_update import batch_of, ExactUpdate, RowObjective, weighted_gradient

SAME = 1e-6  # of an update's norm: no difference
OFF = 0.01  # of a logit: how far the policy that acted is from the present one
IN_BATCH = 2  # episodes of a batch, where every batch is listed


class _Entropies:
    """An objective: the entropy of each row."""

    def __call__(self, model: AbstractActorCritic, batch: Segments) -> Float[Array, "segments time"]:
        output, _ = unroll(model, batch.obs, batch.start, batch.memory)
        return entropies(output.policy)


class _Weighted(eqx.Module):
    """The score surrogate with a power of the importance weight."""

    power: Float[Array, ""]

    def __call__(self, model: AbstractActorCritic, batch: Segments) -> Float[Array, "segments time"]:
        output, _ = unroll(model, batch.obs, batch.start, batch.memory)
        log_prob = log_probs(output.policy, batch.action)
        weight = jnp.exp(self.power * (log_prob - batch.log_prob))
        return log_prob * jax.lax.stop_gradient(weight * batch.advantage)


class _NoAdvantage(AbstractCredit):
    """No row is better than another."""

    def __call__(self, reward, terminated, truncated, value):
        return Credit(jnp.zeros_like(reward), value[:-1])


_ENTROPIES = RowObjective(_Entropies())


def every_parameter(cases: list[ExactUpdate], bases: list[np.ndarray]) -> Check:
    """Parts of the policy that get no gradient where the true one is not zero."""
    still = {}
    for case, found in zip(cases, bases, strict=True):
        policy = case.problem.policy()
        leaves = jax.tree_util.tree_leaves_with_path(eqx.filter(policy, trainable(policy)))
        ends = np.cumsum([leaf.size for _, leaf in leaves])[:-1]
        parts = zip(leaves, np.split(found, ends), np.split(case.truth, ends), strict=True)
        for (path, _), mine, right in parts:
            if np.abs(mine).max() <= 1e-12 and np.linalg.norm(right) > SAME * np.linalg.norm(case.truth):
                still[f"{jax.tree_util.keystr(path)} on {case.problem.name}"] = None
    meaning = "parts of the policy without a gradient" + (f": {', '.join(still)}" if still else "")
    cure = "let all of the policy's parameters reach the log-probability, and none of them stop_gradient"
    return Check("every_parameter", float(len(still)), 0.0, 0.0, meaning, cure)


def next_episode(cases: list[ExactUpdate], bases: list[np.ndarray]) -> Check:
    """Whether rewards of rows that belong to other episodes change anything."""
    worst, where = 0.0, ""
    for case, found in zip(cases, bases, strict=True):
        t = case.streams.trajectory
        other = dataclasses.replace(t, reward=jnp.where(t.valid, t.reward, t.reward + 1.0))
        change = np.nan_to_num(_share(case.expected(trajectory=other) - found, found, case.truth), nan=np.inf)
        if change > worst:
            worst, where = change, f" ({case.problem.name})"
    return Check(
        "next_episode", worst, 0.0, SAME, f"change of the update, when other episodes pay 1 more{where}",
        "stop every sum over time where an episode ends, terminated or truncated; rows of weight 0 count nowhere",
    )  # fmt: skip


def _share(change: np.ndarray, whole: np.ndarray, truth: np.ndarray) -> float:
    """A change over the update's norm, or over the true gradient's, where the update is next to nothing."""
    return float(np.linalg.norm(change) / max(np.linalg.norm(whole), 1e-3 * np.linalg.norm(truth)))


def importance_weight(cases: list[ExactUpdate]) -> tuple[Check, str]:
    """Which power of the importance weight an objective has: on a bandit whose actions come from another policy."""
    case = _on_bandit(cases)
    present: Any = case.problem
    behaviour = dataclasses.replace(present, logits=present.logits + OFF * np.array([[1.0, -1.0, 0.5]]))
    streams, model = behaviour.streams(), case.critics["exact"]
    batch, weight = batch_of(model, streams.trajectory, case.credit), jnp.asarray(streams.exact)
    found = np.asarray(weighted_gradient(case.objective, model, batch, weight))
    policy = unroll(model, streams.trajectory.obs, streams.trajectory.start, streams.trajectory.memory)[0].policy
    own = eqx.tree_at(lambda t: t.log_prob, streams.trajectory, log_probs(policy, streams.trajectory.action))
    # Credit may weigh by the ratio too: what it is measured by has none.
    batch = eqx.tree_at(lambda b: b.advantage, batch, batch_of(model, own, case.credit).advantage)
    cure = "weigh each row by the ratio of probabilities once: either in the surrogate or outside of it"
    rests = {}
    for power in range(4):
        known = weighted_gradient(RowObjective(_Weighted(jnp.asarray(float(power)))), model, batch, weight)
        rests[power] = align("", found, np.asarray(known)).direction_error
    power = min(rests, key=lambda k: rests[k])
    if not rests[power] <= SAME:
        check = Check("importance_weight", 0.0, 0.0, 0.0, "times too many (it is no power of the ratio)", cure)
        return check, "off-policy rows: the update is no power of the ratio of probabilities"
    note = "off-policy rows: there is no importance weight, so every rollout serves one step" if power == 0 else ""
    check = Check("importance_weight", float(max(power - 1, 0)), 0.0, 0.0, "times too many", cure)
    return check, note


def own_sample(cases: list[ExactUpdate]) -> list[Check]:
    """Whether an update depends on how many episodes share a batch, over all batches of 2 on a bandit."""
    case = _on_bandit(cases)
    batch, model, chance = case.batch(), case.critics["exact"], case.streams.chance
    rows = np.flatnonzero(np.asarray(batch.weight).reshape(-1))
    drawn = np.array(list(itertools.product(range(len(rows)), repeat=IN_BATCH)))
    batches = jax.tree.map(lambda x: x[rows[drawn]], batch)
    each = np.asarray(_each(case.objective, model, batches)) / IN_BATCH
    with np.errstate(invalid="ignore"):  # a batch of equal rows may have no finite update, and then the check fails
        small, whole = np.prod(chance[drawn], axis=1) @ each, case.expected()
        change = _share(small - whole, whole, case.truth)
        row = align("", small, whole)
    seen = f"{row.scale:.3g} times, direction error {row.direction_error:.2g}"
    return [
        Check(
            "own_sample", change, 0.0, SAME,
            f"change of the update in batches of {IN_BATCH}: {seen}",
            "a baseline must not hold the row's own return: take the mean of the others; leave a deviation out, or "
            "know that it is a bias",
        )
    ]  # fmt: skip


@bounded_jit
def _each(objective: RowObjective, model: Any, batches: Segments) -> Float[Array, "batches parameters"]:
    return jax.vmap(lambda batch: weighted_gradient(objective, model, batch, jnp.ones_like(batch.weight)))(batches)


def _on_bandit(cases: list[ExactUpdate]) -> ExactUpdate:
    """The objective on the default bandit, with the case of it where there is one."""
    for case in cases:
        if isinstance(case.problem, TabularMDP) and case.problem.name == "bandit" and case.problem.logits.size == 3:
            return case
    credit = cases[0].credit
    return ExactUpdate(bandit(), cases[0].objective, GAE(1.0) if isinstance(credit, AbstractCredit) else credit)


def another_discount(case: ExactUpdate, exact: float) -> str:
    """What to say where the update is that of a problem with another discount: the one that the credit has."""
    gamma = _discount_of(case.credit)
    if gamma is None or abs(gamma - case.problem.gamma) <= SAME:
        return ""
    problem: Any = case.problem
    try:
        other = ExactUpdate(dataclasses.replace(problem, gamma=gamma), case.objective, case.credit)
        is_other = align("", other.expected(), other.truth).direction_error <= exact
    except InputError:  # a problem that has no such discount, or no gradient then
        return ""
    if not is_other:
        return ""
    return (
        f"the credit's gamma is {gamma:.6g} and the problem's is {problem.gamma:.6g}, so this climbs the return of "
        "another discount: give both the same"
    )


def _discount_of(credit: Any) -> float | None:
    """What a value one step ahead counts; of a credit that asks no values, what a reward does."""
    no = np.zeros(1, bool)
    streams = (np.zeros(1), no, no, np.array([0.0, 1.0])), (
        np.array([0.0, 1.0]), np.array([False, True]), np.zeros(2, bool), np.zeros(3),
    )  # fmt: skip
    for stream in streams:
        try:
            arrays: Any = map(jnp.asarray, stream) if isinstance(credit, AbstractCredit) else stream
            given = credit(*arrays)
            advantage = given.advantage if isinstance(given, Credit) else given[0]
            gamma = float(np.asarray(advantage)[0])
        except Exception:  # of a function of anybody's
            return None
        if gamma:
            return gamma if 0 < gamma <= 1 else None
    return None


def entropy_bonus(case: ExactUpdate, coefficient: float) -> tuple[list[Check], float]:
    """The entropy bonus that an update really has, as a share of its policy gradient; nothing where there is no such.

    The bonus is what is left of the update where every advantage is 0, the policy gradient what this takes away. Both
    are taken with an exact credit, so that a faulty one is not blamed on the entropy.
    """
    case = dataclasses.replace(case, credit=GAE(case.problem.gamma))
    direction, bonus = case.expected(_ENTROPIES), case.expected(credit=_NoAdvantage())
    scale = align("", case.expected() - bonus, case.truth).scale
    wanted = coefficient * scale * direction
    if not np.linalg.norm(wanted) > 1e-9 * np.linalg.norm(case.truth):  # nor where it is NaN, as of equal rows over 0
        return [], 0.0
    found = align("", bonus, wanted)
    ratio = found.scale * coefficient
    across = float(np.linalg.norm(bonus - found.scale * wanted) / np.linalg.norm(wanted))
    check = Check(
        "entropy", max(found.scale - 1, across, key=abs), 0.0, SAME,
        f"relative error of the entropy bonus, which is {ratio:.4g}",
        "take entropy() in closed form: the mean of -log_prob over samples has gradient 0",
    )  # fmt: skip
    return [check], ratio


def without_bonus(case: ExactUpdate, ratio: float) -> Alignment:
    """The update of a case against the gradient of J plus so much entropy bonus."""
    truth = case.truth + ratio * case.expected(_ENTROPIES)
    return align(
        f"{case.problem.name}: exact", case.expected(), truth, meaning=f"of J plus {ratio:.3g} times the entropy"
    )
