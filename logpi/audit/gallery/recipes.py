"""The list of the gallery, and its table: what each loss claims, next to what an exact expectation finds."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax

from ..losses.auditor import audited
from ..losses.direction_checks import end_logits, first_token_right, pass_rates, RATES
from ..losses.kl_checks import kl_alone, known_kl
from ..losses.sequences import draw, Sequences
from . import kl, losses

GROUP_SIZE = 4
LENGTH = 3


@dataclasses.dataclass(frozen=True)
class Recipe:
    """A loss, and what is claimed of its expected gradient on policy."""

    name: str
    loss: Callable[..., Any]
    exact: bool  # right direction for every reward and any number of prompts
    scale: str  # the multiple of the gradient, as a formula; "" where it depends on the problem
    bias: str  # in words; "" where there is none


def _of(name: str, loss: Callable[..., Any], scale: str = "", bias: str = "") -> Recipe:
    return Recipe(name, loss, not bias, scale, bias)


RECIPES = (
    _of("REINFORCE", losses.reinforce, "1"),
    _of("REINFORCE, group mean", losses.group_mean, "(G - 1) / G"),
    _of("A2C", losses.a2c, "1"),
    _of("PPO", losses.ppo, "1"),
    _of("PPO, whitened, token mean", losses.ppo_whitened, bias="whitening, and a count of tokens as divisor"),
    _of("RLOO", losses.rloo, "1"),
    _of("RLOO, sequence ratio clipped", losses.rloo_sequence_ratio, "1"),
    _of("RLOO, sequence ratio", losses.sequence_weighted, "1"),
    _of("RLOO, row mean", losses.rloo_row_mean, bias="length"),
    _of("RLOO, token mean", losses.rloo_token_mean, bias="a count of tokens as divisor"),
    _of("GRPO", losses.grpo, bias="length, and the deviation of the group"),
    _of("Dr. GRPO", losses.dr_grpo, "(G - 1) / (G Lmax)"),
    _of("DAPO", losses.dapo, bias="a count of tokens as divisor, and the deviation of the group"),
    _of("REINFORCE++", losses.reinforce_plus_plus, bias="whitening, and a count of tokens as divisor"),
    _of(
        "REINFORCE++ baseline", losses.reinforce_plus_plus_baseline, bias="whitening, and a count of tokens as divisor"
    ),
    _of("GSPO", losses.gspo, bias="length, and the deviation of the group"),
    _of("CISPO", losses.cispo, bias="a count of tokens as divisor, and the deviation of the group"),
    _of("MaxRL", losses.max_rl, bias="another objective: hard prompts weigh more"),
)
KL_RECIPES = (
    _of("k1 in the loss", kl.k1_in_loss, bias="no expected gradient"),
    _of("k1 in the loss, row mean", kl.k1_in_loss_row_mean, bias="E[1/length], whatever the reference is"),
    _of("k2 in the loss", kl.k2_in_loss, bias="the reverse KL of tokens with frozen prefixes"),
    _of("k2 of sequences", kl.k2_of_sequences, "1"),
    _of("k3 in the loss", kl.k3_in_loss, bias="the forward KL of tokens with frozen prefixes"),
    _of("k3 times ratio", kl.k3_with_ratio, bias="the reverse KL of tokens with frozen prefixes"),
    _of("k3 in the reward", kl.k3_in_reward, bias="the part of k3's own derivative is left out"),
    _of("k3 in loss and reward", kl.k3_in_both, "1"),
    _of("k1 in the reward", kl.k1_in_reward, "1"),
    _of("k1 to go", kl.k1_to_go, "1"),
)
SCALES = {
    "1": 1.0,
    "(G - 1) / G": (GROUP_SIZE - 1) / GROUP_SIZE,
    "(G - 1) / (G Lmax)": (GROUP_SIZE - 1) / GROUP_SIZE / LENGTH,
}


def problem(seed: int = 0) -> Sequences:
    """The random problem of the table: 15 sequences, half of them right."""
    return draw(jax.random.key(seed), "binary", name="right or wrong", length=LENGTH)


def table(seed: int = 0) -> list[dict[str, Any]]:
    """A row of plain numbers for each policy loss, by enumeration of all groups of four.

    `scale`, `cosine` and `direction_error` are those on `problem(seed)`, `claimed_scale` is what the formula says (None
    where there is none). `end_after_right` and `end_after_wrong` are the ascent on the logit of the end after a right
    and a wrong first token where the first token alone is rewarded, so that 0 is right. `difficulty` is the direction
    error for one-token prompts that are right with chances .05 and .5.
    """
    main, rows = problem(seed), []
    for recipe in RECIPES:
        auditor = audited(recipe.loss, main, GROUP_SIZE)
        found, ends = auditor.align(main, ""), auditor.update(first_token_right())
        right, wrong = (float(ends[place[0]]) for place in end_logits(first_token_right()))
        rows.append(
            _row(recipe, found)
            | {"end_after_right": right, "end_after_wrong": wrong}
            | {"difficulty": auditor.align(pass_rates(*RATES), "").direction_error}
        )
    return rows


def kl_table(seed: int = 0) -> list[dict[str, Any]]:
    """A row for each KL term, alone (rewards of 0): its scale over beta, and its direction next to the KL's gradient.

    `really` is what it is found to be the gradient of, in words; "" where it is right or nothing that is known.
    """
    main, rows = problem(seed), []
    for recipe in KL_RECIPES:
        found, alone = kl_alone(audited(recipe.loss, main, GROUP_SIZE), main)
        scaled = dataclasses.replace(alone, scale=alone.scale / kl.BETA)
        rows.append(_row(recipe, scaled) | {"really": known_kl(found, main, alone)})
    return rows


def _row(recipe: Recipe, found: Any) -> dict[str, Any]:
    return {
        "name": recipe.name,
        "scale": found.scale,
        "claimed_scale": SCALES.get(recipe.scale),
        "formula": recipe.scale,
        "cosine": found.cosine,
        "direction_error": found.direction_error,
        "bias": recipe.bias,
        "source": " ".join((recipe.loss.__doc__ or "").split()),
    }
