r"""Sequence policies so small that every sequence can be listed with its probability.

A sequence is drawn token by token until token 0, the end, or until `length` tokens. The policy is a table of logits for
each prefix. With 3 tokens and a length of 3 there are 15 sequences, 7 prefixes and 21 parameters. Everything here is
NumPy in float64.
"""

import dataclasses
import functools
import itertools
import math

import jax
import numpy as np
from jaxtyping import Bool, Float, Int, PRNGKeyArray

from ...errors import check_fields, check_kind, check_whole, choice, InputError, shown
from ...parameters import check_numbers

MOST_SEQUENCES = 2**20  # that are listed
TEMPERATURE = 0.7  # standard deviation of the logits of problems drawn at random


@dataclasses.dataclass(frozen=True)
class TokenTree:
    """All sequences: their tokens, the prefix that each token follows, and where there is a token."""

    tokens: Int[np.ndarray, "sequences length"]
    prefix: Int[np.ndarray, "sequences length"]
    mask: Bool[np.ndarray, "sequences length"]
    prefixes: int


@functools.lru_cache(maxsize=16)
def token_tree(vocabulary: int, length: int) -> TokenTree:
    """Lists the sequences of up to `length` tokens, the end (token 0) included; shorter ones come first."""
    words = range(1, vocabulary)
    found = [(*start, 0) for n in range(1, length) for start in itertools.product(words, repeat=n - 1)]
    found += [(*start, last) for start in itertools.product(words, repeat=length - 1) for last in range(vocabulary)]
    starts = [start for n in range(length) for start in itertools.product(words, repeat=n)]
    number = {start: i for i, start in enumerate(starts)}
    tokens, prefix = np.zeros((2, len(found), length), np.int64)
    for i, sequence in enumerate(found):
        tokens[i, : len(sequence)] = sequence
        prefix[i, : len(sequence)] = [number[sequence[:t]] for t in range(len(sequence))]
    lengths = np.array([len(sequence) for sequence in found])
    return TokenTree(tokens, prefix, np.arange(length) < lengths[:, None], len(starts))


@dataclasses.dataclass(frozen=True)
class Sequences:
    r"""Prompts with a policy, a sampler, a reference policy and a reward each, where every expectation is exact.

    $J(\theta)$ is the mean over prompts of $\sum_y \pi_\theta(y) r(y)$; less `beta` times the mean
    $KL(\pi_\theta \| \pi_\text{ref})$ where a loss has such a term. Rows of `reward` are in the order of `tree`.
    """

    name: str
    length: int
    logits: Float[np.ndarray, "prompts prefixes vocabulary"]
    behaviour: Float[np.ndarray, "prompts prefixes vocabulary"]  # logits of what drew the sequences
    reference: Float[np.ndarray, "prompts prefixes vocabulary"]
    reward: Float[np.ndarray, "prompts sequences"]

    def __post_init__(self):
        check_fields(self, check_kind, "name", kind=str, like="'my problem'")
        check_fields(self, check_whole, "length", low=1)
        check_fields(self, check_numbers, "logits", "behaviour", "reference", axes=3)
        check_fields(self, check_numbers, "reward", axes=2)
        _check_listed(self.logits.shape[-1], self.length)
        prompts, shape = len(self.logits), token_tree(self.logits.shape[-1], self.length)
        table = (prompts, shape.prefixes, self.logits.shape[-1])
        for name in ("logits", "behaviour", "reference"):
            _check_shape(name, getattr(self, name), table, "prompts, prefixes, tokens")
        _check_shape("reward", self.reward, (prompts, len(shape.tokens)), "prompts, sequences")

    @property
    def tree(self) -> TokenTree:
        """All sequences."""
        return token_tree(self.logits.shape[-1], self.length)

    def log_prob(self, logits: Float[np.ndarray, "p n v"]) -> Float[np.ndarray, "p sequences length"]:
        """Of each token under a table of logits; 0 after the end of a sequence."""
        every = _log_softmax(logits)[:, self.tree.prefix, self.tree.tokens]
        return np.where(self.tree.mask, every, 0.0)

    def probability(self, logits: Float[np.ndarray, "p n v"]) -> Float[np.ndarray, "p sequences"]:
        """Of each sequence."""
        return np.exp(self.log_prob(logits).sum(-1))

    def value(self) -> Float[np.ndarray, "p sequences length"]:
        """The expected reward of the policy after each token's prefix: an exact critic. 0 after the end."""
        chance, found = self.probability(self.logits), np.zeros((*self.reward.shape, self.length))
        for prefix in range(self.tree.prefixes):
            through = (self.tree.prefix == prefix) & self.tree.mask
            some = through.any(axis=1)
            mean = (chance * self.reward)[:, some].sum(1) / chance[:, some].sum(1)
            found = np.where(through, mean[:, None, None], found)
        return found

    def gradient(self, coefficient: Float[np.ndarray, "p sequences length"]) -> Float[np.ndarray, " parameters"]:
        r"""The mean over prompts of $\sum_{y,t} c_{yt} \, \partial \log \pi_\theta(y_t \mid y_{<t})$, flat."""
        size, words = self.logits.shape[0], self.logits.shape[-1]
        chance, found = np.exp(_log_softmax(self.logits)), np.zeros(self.logits.shape)
        weight = np.where(self.tree.mask, coefficient, 0.0)
        score = np.eye(words)[self.tree.tokens] - chance[:, self.tree.prefix]  # (p, sequences, length, vocabulary)
        for prompt in range(size):
            np.add.at(found[prompt], self.tree.prefix, weight[prompt, :, :, None] * score[prompt])
        return (found / size).reshape(-1)

    def reward_gradient(self) -> Float[np.ndarray, " parameters"]:
        r"""$\nabla J$ of the reward: $\sum_y \pi(y) r(y) \nabla \log \pi(y)$ (Williams 1992)."""
        return self.gradient(self._each(self.probability(self.logits) * self.reward))

    def kl_gradient(self) -> Float[np.ndarray, " parameters"]:
        r"""$\nabla KL(\pi_\theta \| \pi_\text{ref})$ of whole sequences.

        $E[(\log \pi - \log \pi_\text{ref}) \nabla \log \pi]$, for $E[\nabla \log \pi] = 0$.
        """
        ratio = (self.log_prob(self.logits) - self.log_prob(self.reference)).sum(-1)
        return self.gradient(self._each(self.probability(self.logits) * ratio))

    def _each(self, row: Float[np.ndarray, "p sequences"]) -> Float[np.ndarray, "p sequences length"]:
        return np.broadcast_to(row[..., None], (*row.shape, self.length))


def draw(
    key: PRNGKeyArray,
    reward: Float[np.ndarray, "prompts sequences"] | str = "binary",
    *,
    name: str = "",
    vocabulary: int = 3,
    length: int = 3,
    off_policy: float = 0.0,
) -> Sequences:
    """One prompt with random logits. `reward`: its values, or "binary" (half of the sequences are right) or "real".

    `off_policy` is the standard deviation of what the sampler's logits have more than the policy's; 0: the same.
    """
    vocabulary = check_whole("vocabulary", vocabulary, 2)
    length = check_whole("length", length, 1)
    _check_listed(vocabulary, length)
    if isinstance(reward, str):
        choice("reward", reward, ("binary", "real"))
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key)))
    shape = token_tree(vocabulary, length)
    logits, reference, noise = rng.standard_normal((3, 1, shape.prefixes, vocabulary))
    number = len(shape.tokens)
    if isinstance(reward, str):
        binary = rng.permutation((np.arange(number) % 2).astype(float))
        real = rng.standard_normal(number)
        reward = (binary if reward == "binary" else real)[None]
    logits = TEMPERATURE * logits
    return Sequences(
        name, length, logits, logits + off_policy * noise, logits + TEMPERATURE * reference, np.asarray(reward, float)
    )


def _check_listed(vocabulary: int, length: int) -> None:
    """Raises `InputError` where there are too many sequences to list."""
    if length * math.log(max(vocabulary, 2)) > math.log(MOST_SEQUENCES):
        raise InputError(
            f"{vocabulary} tokens in sequences of up to {shown(length)} are more than {MOST_SEQUENCES:,} sequences: "
            "give shorter ones."
        )


def _check_shape(name: str, found: np.ndarray, wanted: tuple[int, ...], axes: str) -> None:
    if found.shape != wanted:
        raise InputError(f"{name} has the shape {found.shape}, but {wanted} is needed ({axes}): give as many.")
    if not np.isfinite(found).all():
        raise InputError(f"{name} has entries that are not finite: give finite numbers only.")


def _log_softmax(logits: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
    top = logits.max(axis=-1, keepdims=True)
    return logits - top - np.log(np.exp(logits - top).sum(axis=-1, keepdims=True))
