"""The gradient of a loss in expectation: over all groups of sequences, each counted with its probability.

Of 15 sequences there are 3060 groups of 4 that differ by more than the order of their rows.
"""

import dataclasses
import functools
import itertools
import math
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from ...errors import check_whole, InputError
from ...statistics.leave_one_out import less_others_of_group
from ..alignment import align, Alignment
from .frameworks import Batches, Evaluate, evaluation_of
from .sequences import Sequences

GROUPS = 200_000  # the most groups that are listed
ZERO = 1e-9  # of the norm of the true gradient; central differences leave some 1e-10


@dataclasses.dataclass(frozen=True)
class Auditor:
    """A loss with what is needed to find its expected gradient on any problem."""

    name: str
    evaluate: Evaluate
    roles: tuple[str, ...]  # the arrays that it asks for
    framework: str  # what differentiates
    group_size: int
    rows: bool
    sign: float  # -1: the loss is minimised
    ordered: bool = False  # whether the order of a group's rows makes a difference

    def update(self, problem: Sequences) -> Float[np.ndarray, " parameters"]:
        """The expected gradient of what is maximised, by enumeration of all groups; NaN where some group has it."""
        batches = all_groups(problem, self.group_size, ordered=self.ordered, rows=self.rows)
        found = self.sign * self.evaluate(batches).derivative
        derivative = found.reshape(len(problem.logits), -1, self.group_size, problem.length)
        return expected(problem, derivative, self.group_size, self.ordered)

    def align(self, problem: Sequences, meaning: str) -> Alignment:
        """The expected update next to the gradient of the expected reward."""
        found, truth = self.update(problem), problem.reward_gradient()
        if np.linalg.norm(found) <= ZERO * np.linalg.norm(truth):
            found = np.zeros_like(found)  # rounding of what cancels
        return align(problem.name, found, truth, meaning=meaning)


def audited(
    subject: Any,
    problem: Sequences,
    group_size: int,
    *,
    rows: bool = False,
    minimise: bool = True,
    framework: str = "auto",
) -> Auditor:
    """A loss made ready for `Auditor.update`, tried on `problem`. Raises `InputError` if it cannot be called."""
    trial = arrays(problem, 0, *some_groups(problem, 2, (group_size,)), rows=rows)
    evaluate, roles, used = evaluation_of(subject, framework, trial)
    name = getattr(subject, "__name__", type(subject).__name__)
    return Auditor(name, evaluate, roles, used, group_size, rows, -1.0 if minimise else 1.0)


def all_groups(problem: Sequences, group_size: int, *, ordered: bool, rows: bool) -> Batches:
    """Every group of every prompt, one after the other: the first axis counts prompts times groups."""
    index, _ = groups(len(problem.tree.tokens), group_size, ordered)
    ids = np.zeros(index.shape, np.int64)
    parts = [arrays(problem, prompt, index, ids, rows=rows) for prompt in range(len(problem.logits))]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


@functools.lru_cache(maxsize=16)
def groups(
    sequences: int, group_size: int, ordered: bool = False
) -> tuple[Int[np.ndarray, "groups rows"], Float[np.ndarray, " groups"]]:
    """All groups as rows of sequence numbers, and in how many orders each can be drawn.

    With `ordered`, every order is listed on its own. Raises `InputError` where that is more than `GROUPS`.
    """
    group_size = check_whole("group_size", group_size, 1)
    number = sequences**group_size if ordered else math.comb(sequences + group_size - 1, group_size)
    if number > GROUPS:
        raise InputError(f"there are {number} groups of {group_size}, the limit is {GROUPS}: give smaller groups.")
    if ordered:
        every = np.array(list(itertools.product(range(sequences), repeat=group_size)))
        return every, np.ones(len(every))
    every = np.array(list(itertools.combinations_with_replacement(range(sequences), group_size)))
    factorial = np.array([math.factorial(n) for n in range(group_size + 1)], np.float64)
    times = np.stack([(every == s).sum(1) for s in range(sequences)], 1)
    return every, factorial[group_size] / factorial[times].prod(1)


def expected(
    problem: Sequences,
    derivative: Float[np.ndarray, "prompts groups rows length"],
    group_size: int,
    ordered: bool = False,
) -> Float[np.ndarray, " parameters"]:
    r"""The expectation of $\sum_{b,t} d_{bt} \nabla \log \pi(y_{bt})$ over all groups drawn by the sampler."""
    index, count = groups(len(problem.tree.tokens), group_size, ordered)
    chance = problem.probability(problem.behaviour)
    found = np.zeros((*chance.shape, problem.length))
    for prompt in range(len(chance)):
        weight = count * chance[prompt][index].prod(axis=1)
        np.add.at(found[prompt], index, weight[:, None, None] * derivative[prompt])
    return problem.gradient(found)


def some_groups(
    problem: Sequences, number: int, sizes: tuple[int, ...], seed: int = 0
) -> tuple[Int[np.ndarray, "number rows"], Int[np.ndarray, "number rows"]]:
    """Batches of groups of these sizes, sequences drawn evenly: sequence numbers and group ids."""
    rng = np.random.default_rng(seed)
    index = rng.integers(len(problem.tree.tokens), size=(number, sum(sizes)))
    return index, np.tile(np.repeat(np.arange(len(sizes)), sizes), (number, 1))


def arrays(
    problem: Sequences,
    prompt: int,
    index: Int[np.ndarray, "n rows"],
    ids: Int[np.ndarray, "n rows"],
    *,
    rows: bool = False,
) -> Batches:
    """What a loss may ask for, by role: (n, rows, length) of each token, (n, rows) for `reward` and `group`.

    With `rows`, for problems of one token, the axis of the length is left out everywhere.
    """
    mask = problem.tree.mask[index]
    reward = problem.reward[prompt][index]
    advantage = np.repeat(less_others_of_group(reward, ids)[..., None], problem.length, axis=-1)
    found = {
        "log_prob": problem.log_prob(problem.logits)[prompt][index],
        "behaviour_log_prob": problem.log_prob(problem.behaviour)[prompt][index],
        "reference_log_prob": problem.log_prob(problem.reference)[prompt][index],
        "advantage": advantage,
        "reward": reward,
        "value": problem.value()[prompt][index],
        "mask": mask,
        "group": ids,
    }
    return {name: x[..., 0] if rows and x.ndim == 3 else x for name, x in found.items()}
