r"""What the KL term of a loss really is, next to $\nabla KL(\pi_\theta \| \pi_\text{ref})$ and what it may be."""

import dataclasses

import numpy as np
from jaxtyping import Float

from ..alignment import align, Alignment
from ..reports import Check
from .auditor import Auditor
from .sequences import Sequences

SAME = 1e-6  # direction error
ZERO = 1e-9  # of the norm of the KL's gradient; central differences leave some 1e-10


def kl_checks(
    auditor: Auditor, main: Sequences, reward_scale: float, beta: float | None, tolerance: float
) -> tuple[list[Check], list[Alignment], list[str]]:
    """The update with rewards of 0, where the KL term is left alone, and, with `beta`, of reward less KL.

    `reward_scale` is what the update multiplies the gradient of the reward by. Returns notes on what it cannot tell.
    """
    if not np.linalg.norm(main.kl_gradient()) > 0:
        return [], [], ["the KL term: the problem's reference is its policy"]
    found, term = kl_alone(auditor, main)
    what = known_kl(found, main, term)
    size = term.direction_error if term.scale > 0 else float("inf")
    cure = "put log_prob - reference_log_prob into the reward, detached, or use half its squared sum over a sequence"
    meaning = f"direction error of the KL term{what and ': ' + what}"
    checks, rows = [Check("kl", size, 0.0, tolerance, meaning, cure, "KL")], [term]
    if beta is None:
        return checks, rows, ["the weight of the KL term: give beta=, what it should be"]
    weight = term.scale / reward_scale - beta
    checks.append(
        Check(
            "kl_weight", weight, 0.0, max(tolerance, SAME) * max(abs(beta), 1.0),
            f"weight of the KL next to the reward, less beta = {beta:g}",
            "sum the KL over tokens as the log-probabilities are summed, and scale both alike", "KL weight",
        )
    )  # fmt: skip
    truth = main.reward_gradient() - beta * main.kl_gradient()
    meaning = f"next to the gradient of reward - {beta:g} KL"
    return checks, [*rows, align("reward less KL", auditor.update(main), truth, meaning=meaning)], []


def kl_alone(auditor: Auditor, main: Sequences) -> tuple[Float[np.ndarray, " parameters"], Alignment]:
    """The expected update on a problem with rewards of 0, and how it lies to minus the gradient of the KL."""
    silent = dataclasses.replace(main, name="KL alone", reward=np.zeros_like(main.reward))
    found = auditor.update(silent)
    meaning = "rewards of 0; next to minus the gradient of KL(policy || reference)"
    length = float(np.linalg.norm(silent.kl_gradient()))
    if float(np.linalg.norm(found)) <= ZERO * length:
        found = np.zeros_like(found)  # rounding of what cancels
    return found, align(silent.name, found, -silent.kl_gradient(), meaning=meaning)


def known_kl(found: Float[np.ndarray, " n"], problem: Sequences, term: Alignment) -> str:
    """What a wrong KL term is, in words for a message; nothing where it is right or unknown."""
    if term.direction_error <= SAME:
        return "" if term.scale > 0 else "it pushes away from the reference"
    if np.isnan(term.cosine):
        return "it has no expected gradient at all"
    for name, gradient in known_gradients(problem).items():
        other = align(name, found, -gradient)
        if other.direction_error <= SAME and other.scale > 0:
            return f"it is the gradient of {name}"
    return ""


def known_gradients(problem: Sequences) -> dict[str, Float[np.ndarray, " parameters"]]:
    """Gradients, all to be minimised, that KL terms in a loss turn out to have."""
    policy, reference = problem.log_prob(problem.logits), problem.log_prob(problem.reference)
    chance = problem.probability(problem.logits)[..., None]
    shorter = np.broadcast_to(1.0 / problem.tree.mask.sum(1)[None, :, None], policy.shape)
    return {
        "the reverse KL of tokens with frozen prefixes": problem.gradient(chance * (policy - reference)),
        "the forward KL of tokens with frozen prefixes": problem.gradient(-chance * np.exp(reference - policy)),
        "E[1/length], whatever the reference is": problem.gradient(chance * shorter),
    }
