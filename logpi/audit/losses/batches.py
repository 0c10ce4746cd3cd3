"""The arrays that a loss sees: groups of sequences, by role."""

import numpy as np
from jaxtyping import Float, Int

from .sequences import groups, Sequences

ROLES = (
    "log_prob", "behaviour_log_prob", "reference_log_prob", "advantage", "reward", "value", "mask", "group",
)  # fmt: skip
Batches = dict[str, np.ndarray]


def all_groups(problem: Sequences, group_size: int, *, ordered: bool, rows: bool) -> Batches:
    """Every group of every prompt, one after the other: the first axis counts prompts times groups."""
    index, _ = groups(len(problem.tree.tokens), group_size, ordered)
    ids = np.zeros(index.shape, np.int64)
    parts = [arrays(problem, prompt, index, ids, rows=rows) for prompt in range(len(problem.logits))]
    return {name: np.concatenate([part[name] for part in parts]) for name in ROLES}


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
    """By role: (n, rows, length) for what each token has, (n, rows) for `reward` and `group`.

    With `rows`, for problems of one token, the axis of the length is left out everywhere.
    """
    mask = problem.tree.mask[index]
    reward = problem.reward[prompt][index]
    advantage = np.repeat(leave_one_out(reward, ids)[..., None], problem.length, axis=-1)
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


def leave_one_out(reward: Float[np.ndarray, "n rows"], ids: Int[np.ndarray, "n rows"]) -> Float[np.ndarray, "n rows"]:
    """Reward less the mean of the others of its group (Kool et al. 2019); 0 in a group of one."""
    same = ids[:, :, None] == ids[:, None, :]
    size, total = same.sum(-1), (same * reward[:, None, :]).sum(-1)
    return np.where(size > 1, reward - (total - reward) / np.maximum(size - 1, 1), 0.0)
