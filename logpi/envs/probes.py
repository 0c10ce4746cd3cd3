"""Small environments whose answers are known exactly, for every kind of action: what to try an algorithm on first.

Every action is scored the same way, whatever its kind: `agreement` is 1 where it is right, and a policy that cannot
know what is right expects at most the number that the docstring states.
"""

import functools
import math
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, PyTree

from ..errors import InputError
from ..spaces.actions import bounds
from ..spaces.encoding import encode, encoded_size
from ..spaces.kinds import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Space, Tuple
from ..spaces.masks import groups, MASK, num_flags, OBSERVATION, with_mask
from ..spaces.membership import flattened, mapped, Range, shape_of
from .base import AbstractEnv, first_timestep, Timestep

KINDS: dict[str, Space] = {
    "discrete": Discrete(2),
    "multidiscrete": MultiDiscrete((2, 3)),
    "multibinary": MultiBinary((2,)),
    "box": Box((2,), -1.0, 1.0),
    "mixed": Dict((("amount", Box((1,), -1.0, 1.0)), ("choice", Discrete(2)))),
}


class Identity(AbstractEnv):
    """The observation names the right action; an episode is one step, and pays the agreement with it.

    The right action is uniform over the space. Seeing pays 1. Acting blindly pays at most 2/n - 1 on average for
    Discrete(n), the mean of that over the entries of a MultiDiscrete, 0 for MultiBinary, and 2/3 for a Box.
    """

    action_space: Space = eqx.field(static=True, default=KINDS["discrete"])

    def __check_init__(self):
        _check(self.action_space)

    @property
    def obs_space(self) -> Space:
        """The right action as one vector."""
        return Box((encoded_size(self.action_space),))

    def reset(self, key: PRNGKeyArray) -> tuple[PyTree[Array], Timestep]:
        right = _uniform(self.action_space, key)
        return right, first_timestep(encode(self.action_space, right))

    def step(self, key: PRNGKeyArray, state: PyTree[Array], action: PyTree[Array]) -> tuple[PyTree[Array], Timestep]:
        """Pays and ends."""
        reward = agreement(self.action_space, action, state)
        return state, Timestep(encode(self.action_space, state), reward, jnp.ones((), bool), jnp.zeros((), bool))


class Recall(AbstractEnv):
    """A cue, 1 or -1, is shown at the first step, then 0; each of `length` steps pays for an action that recalls it.

    The right action has every entry at its second value (for a Box: its upper bound) after the cue 1, at its first
    (lower bound) after -1. With memory, an episode pays `length`. Without, it pays at most 1: all of the first step,
    and 0 on average in each of the others.
    """

    action_space: Space = eqx.field(static=True, default=KINDS["discrete"])
    length: int = eqx.field(static=True, default=8)
    obs_space: Space = eqx.field(static=True, default=Box((1,), -1.0, 1.0))

    def __check_init__(self):
        _check(self.action_space, self.length)

    def reset(self, key: PRNGKeyArray) -> tuple[tuple[Bool[Array, ""], Int[Array, ""]], Timestep]:
        cue = jax.random.bernoulli(key)
        return (cue, jnp.zeros((), jnp.int32)), first_timestep(jnp.where(cue, 1.0, -1.0)[None])

    def step(
        self, key: PRNGKeyArray, state: tuple[Bool[Array, ""], Int[Array, ""]], action: PyTree[Array]
    ) -> tuple[tuple[Bool[Array, ""], Int[Array, ""]], Timestep]:
        """Pays for the cue; ends after `length` steps."""
        cue, steps = state
        first, second = (_extreme(self.action_space, is_second) for is_second in (False, True))
        right = jax.tree.map(functools.partial(jnp.where, cue), second, first)
        reward, steps = agreement(self.action_space, action, right), steps + 1
        return (cue, steps), Timestep(jnp.zeros(1), reward, steps >= self.length, jnp.zeros((), bool))


class TwoStep(AbstractEnv):
    """Two steps: the first action decides what the second step pays, and the choice that pays at once is the worse one.

    With f the share of the first action that is at its second value (for a Box: how far it is up between its bounds),
    the first step pays (1 - f) / 4 and the second pays f, whatever the second action. So with discount g,
    Q(first, f) = (1 - f) / 4 + g f and V(second, f) = f; for g > 1/4 the optimum is f = 1, worth g, and a learner that
    does not carry credit back in time chooses f = 0, worth 1/4.
    """

    action_space: Space = eqx.field(static=True, default=KINDS["discrete"])
    obs_space: Space = eqx.field(static=True, default=Box((2,), 0.0, 1.0))

    def __check_init__(self):
        _check(self.action_space)

    def reset(self, key: PRNGKeyArray) -> tuple[tuple[Float[Array, ""], Bool[Array, ""]], Timestep]:
        return (jnp.zeros(()), jnp.zeros((), bool)), first_timestep(jnp.zeros(2))

    def step(
        self, key: PRNGKeyArray, state: tuple[Float[Array, ""], Bool[Array, ""]], action: PyTree[Array]
    ) -> tuple[tuple[Float[Array, ""], Bool[Array, ""]], Timestep]:
        """The observation of the second step is (1, f)."""
        share, second = state
        chosen = _share(self.action_space, action)
        reward = jnp.where(second, share, (1 - chosen) / 4)
        obs = jnp.stack([jnp.ones(()), jnp.where(second, share, chosen)])
        return (obs[1], jnp.ones((), bool)), Timestep(obs, reward, second, jnp.zeros((), bool))


class Truncation(AbstractEnv):
    """Every step pays 1, and after `length` steps a time limit cuts the episode; the task itself never ends.

    So with discount g every state is worth 1 / (1 - g), whatever the action: a critic says so only if what follows a
    truncation is bootstrapped. The observation is the share of the time that has passed.
    """

    action_space: Space = eqx.field(static=True, default=KINDS["discrete"])
    length: int = eqx.field(static=True, default=10)
    obs_space: Space = eqx.field(static=True, default=Box((1,), 0.0, 1.0))

    def __check_init__(self):
        _check(self.action_space, self.length)

    def reset(self, key: PRNGKeyArray) -> tuple[Int[Array, ""], Timestep]:
        return jnp.zeros((), jnp.int32), first_timestep(jnp.zeros(1))

    def step(self, key: PRNGKeyArray, state: Int[Array, ""], action: PyTree[Array]) -> tuple[Int[Array, ""], Timestep]:
        steps, obs, over = _clock(state, self.length)
        return steps, Timestep(obs, jnp.ones(()), jnp.zeros((), bool), over)


class Termination(AbstractEnv):
    """The sibling of `Truncation`: every step pays 1, and after `length` steps the task is over.

    So with discount g the state after t steps is worth (1 - g^(length - t)) / (1 - g).
    """

    action_space: Space = eqx.field(static=True, default=KINDS["discrete"])
    length: int = eqx.field(static=True, default=10)
    obs_space: Space = eqx.field(static=True, default=Box((1,), 0.0, 1.0))

    def __check_init__(self):
        _check(self.action_space, self.length)

    def reset(self, key: PRNGKeyArray) -> tuple[Int[Array, ""], Timestep]:
        return jnp.zeros((), jnp.int32), first_timestep(jnp.zeros(1))

    def step(self, key: PRNGKeyArray, state: Int[Array, ""], action: PyTree[Array]) -> tuple[Int[Array, ""], Timestep]:
        steps, obs, over = _clock(state, self.length)
        return steps, Timestep(obs, jnp.ones(()), over, jnp.zeros((), bool))


class Blocked(AbstractEnv):
    """Half of the values of each choice are blocked, anew in every step, and `action_mask` says which.

    A step pays the mean over the entries of their values, from 0 for the first to 1 for the last (of a Box, which has
    none to block: from its lower to its upper bound); a blocked one costs 1 and ends the episode of `length` steps. Of
    n values k = n - floor(n / 2) are left, so the best pay (k (n + 1) / (k + 1) - 1) / (n - 1) a step on average.
    """

    action_space: Space = eqx.field(static=True, default=KINDS["discrete"])
    length: int = eqx.field(static=True, default=8)

    def __check_init__(self):
        _check(self.action_space, self.length)

    @property
    def obs_space(self) -> Space:
        """The mask, and how much of the time has passed."""
        mask = MultiBinary((num_flags(self.action_space),))
        return Dict(((MASK, mask), (OBSERVATION, Box((1,), 0.0, 1.0))))

    def reset(self, key: PRNGKeyArray) -> tuple[tuple[Array, Int[Array, ""]], Timestep]:
        allowed, steps = _halves(self.action_space, key), jnp.zeros((), jnp.int32)
        return (allowed, steps), first_timestep(with_mask(jnp.zeros(1), allowed))

    def step(
        self, key: PRNGKeyArray, state: tuple[Array, Int[Array, ""]], action: PyTree[Array]
    ) -> tuple[tuple[Array, Int[Array, ""]], Timestep]:
        """Pays for the values; ends where one was blocked, and after `length` steps."""
        allowed, steps = state
        wrong = jnp.any((_flags_of(self.action_space, action) > 0) & (allowed == 0))
        reward = jnp.where(wrong, -1.0, _height(self.action_space, action))
        steps, clock, over = _clock(steps, self.length)
        allowed = _halves(self.action_space, key)
        return (allowed, steps), Timestep(with_mask(clock, allowed), reward, wrong | over, jnp.zeros((), bool))


PROBES: dict[str, type[AbstractEnv]] = {
    "blocked": Blocked,
    "identity": Identity,
    "recall": Recall,
    "two-step": TwoStep,
    "truncation": Truncation,
    "termination": Termination,
}


def agreement(space: Space, action: PyTree[Array], right: PyTree[Array]) -> Float[Array, ""]:
    """How right an action is: 1 if it is.

    For integers, the mean over the entries of 1 where it is right and -1 where it is not. For a Box, 1 minus the mean
    squared distance, in units of half the range: 0 in the middle if `right` is at a bound. For several parts, the mean
    of theirs.
    """
    if isinstance(space, Dict | Tuple):
        return _mean(agreement, space, action, right)
    if isinstance(space, Box):
        low, high = bounds(space)
        return 1 - jnp.mean(((action - right) / ((high - low) / 2)) ** 2)
    return 2 * jnp.mean((jnp.ravel(action) == jnp.ravel(right)).astype(jnp.float32)) - 1


def _mean(of_part: Callable[..., Array], space: Space, *members: PyTree[Array]) -> Float[Array, ""]:
    """The mean over the parts of what each comes to."""
    return jnp.mean(jnp.stack([of_part(*part) for part in flattened(space, *members)]))


def _clock(steps: Int[Array, ""], length: int) -> tuple[Int[Array, ""], Float[Array, " 1"], Bool[Array, ""]]:
    steps = steps + 1
    return steps, (steps / length)[None], steps >= length


def _check(space: Space, length: int = 1) -> None:
    if length < 1:
        raise InputError(f"length is {length}, but an episode has at least 1 step.")
    match space:
        case Discrete(n) if n >= 2:
            return
        case MultiDiscrete(sizes) if sizes and min(sizes) >= 2:
            return
        case MultiBinary(shape) if math.prod(shape):
            return
        case Dict() | Tuple() if space.parts:
            for (part,) in flattened(space):
                _check(part)
        case Box(shape) if math.prod(shape) and all(math.isfinite(b.sum()) for b in bounds(space)):
            return
        case _:
            raise InputError(
                f"A probe cannot act in {space}: it takes Discrete and MultiDiscrete with 2 values or more, "
                "MultiBinary, Box with finite bounds, and Dict and Tuple of these."
            )


def _first(space: Space) -> Array:
    """The least member of whole numbers, as the environment counts."""
    return jnp.asarray(Range(space).low, jnp.int32)


def _extreme(space: Space, second: bool) -> PyTree[Array]:
    """Every entry at its second value (of a Box: the upper bound), or at its first (the lower)."""
    if isinstance(space, Dict | Tuple):
        return mapped(space, lambda part: _extreme(part, second))
    if isinstance(space, Box):
        return jnp.asarray(bounds(space)[int(second)])
    return _first(space) + int(second)


def _uniform(space: Space, key: PRNGKeyArray) -> PyTree[Array]:
    """Any member, with equal probability."""
    match space:
        case Dict() | Tuple():
            keys = iter(jax.random.split(key, len(flattened(space))))
            return mapped(space, lambda part: _uniform(part, next(keys)))
        case Box():
            low, high = bounds(space)
            return jax.random.uniform(key, space.shape, minval=low, maxval=high)
        case MultiDiscrete(sizes):
            above = jnp.asarray(sizes, jnp.int32).reshape(shape_of(space))
            return _first(space) + jax.random.randint(key, shape_of(space), 0, above)
        case _:
            above = space.n if isinstance(space, Discrete) else 2
            return _first(space) + jax.random.randint(key, shape_of(space), 0, above)


def _share(space: Space, action: PyTree[Array]) -> Float[Array, ""]:
    """How much of an action is at its second value; of a Box: how far up it is between the bounds."""
    if isinstance(space, Dict | Tuple):
        return _mean(_share, space, action)
    if isinstance(space, Box):
        low, high = bounds(space)
        return jnp.mean((action - low) / (high - low))
    return (1 + agreement(space, action, _extreme(space, True))) / 2


def _halves(space: Space, key: PRNGKeyArray) -> Int[Array, " flags"]:
    """A mask that leaves any half of the values of each entry, of an odd number the larger half."""
    keys = jax.random.split(key, max(1, len(groups(space))))
    pieces = [jax.random.permutation(one, jnp.arange(n)) >= n // 2 for one, n in zip(keys, groups(space), strict=False)]
    return jnp.concatenate([jnp.zeros(0, bool), *pieces]).astype(jnp.int32)


def _flags_of(space: Space, action: PyTree[Array]) -> Float[Array, " flags"]:
    """Which values an action has: one in each entry."""
    match space:
        case Dict() | Tuple():
            return jnp.concatenate([_flags_of(*part) for part in flattened(space, action)])
        case Box():
            return jnp.zeros(0)
        case MultiBinary():
            return jax.nn.one_hot(jnp.ravel(action), 2).reshape(-1)
        case _:
            return encode(space, action)


def _height(space: Space, action: PyTree[Array]) -> Float[Array, ""]:
    """How far up the entries of an action are on average, from 0 to 1."""
    if isinstance(space, Dict | Tuple):
        return _mean(_height, space, action)
    if isinstance(space, Box):
        return _share(space, action)
    return jnp.mean(jnp.ravel(action - _first(space)) / (jnp.asarray(groups(space)) - 1))
