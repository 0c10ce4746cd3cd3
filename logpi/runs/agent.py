"""A policy outside of any loop: an observation in, an action out, one after the other."""

import functools
import math
import operator
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray, PyTree

from .. import spaces
from ..errors import check_flag, check_whole, InputError
from ..jaxprs.hoisting import hoist_keys
from ..models import AbstractPolicy
from ..rollout.base import compute_inline
from ..spaces.actions import ACTION_MAPS, typed_for
from ..spaces.masks import mask_space, read_mask, split_mask, with_mask
from ..spaces.membership import caster, mapped, reader, shape_of

BLOCK = 256  # actions whose random numbers are drawn at a time
SMALL = 2**20  # bytes of parameters that are written into the program itself: to hand over each array takes time


class Agent:
    """A policy outside of any loop: an observation in, an action for the environment out.

    A policy with memory remembers from call to call; `reset` starts a new episode. It plays one episode at a time: for
    several side by side, make one for each; of a policy without memory, `batch` takes many observations at once.
    """

    def __init__(
        self,
        policy: AbstractPolicy,
        obs_space: spaces.Space,
        action_space: spaces.Space,
        actions: str = "auto",
        seed: int = 0,
    ):
        compute_inline()
        self.model = policy
        self._obs_space, self._action_space = obs_space, action_space
        self._read, self._cast, self._typed = reader(obs_space), caster(obs_space), typed_for(action_space)
        self._as_one = _as_one(action_space)
        self._to_env = functools.partial(ACTION_MAPS[actions], action_space)
        self._programs: _AgentPrograms | None = None  # they depend on what is seen
        self.reset(seed)

    def reset(self, seed: int | None = None) -> None:
        """Forgets the episode so far; with `seed`, draws the same actions again."""
        if seed is not None:
            self._key, self._count, self._block = jax.random.key(check_whole("seed", seed, 0)), 0, -1
        self._memory = self.model.initial_memory()

    def __call__(
        self, obs: PyTree[Any], deterministic: bool = False, action_mask: Any = None
    ) -> PyTree[np.ndarray | np.generic]:
        """An action for one observation (no batch axis): what the environment got for it in training.

        It is a member of the action space, of its type, in an array of its own. Drawn from the policy, or its mode
        where `deterministic`. `action_mask` goes beside an observation without one: `info["action_mask"]`, or what
        `env.action_masks()` gives. Raises `InputError` for an observation that training would not have taken: none of
        the space's, or of numbers that are not finite; and for a mask of another size.
        """
        if action_mask is not None:
            obs = with_mask(obs, self._mask(action_mask))
        try:
            seen = self._cast(self._read(obs))
        except ValueError as error:
            raise InputError(f"The policy was given an observation {error}: {self._cure}.") from None
        _check_finite(seen)
        programs = self._programs or self._made(seen)
        if check_flag("deterministic", deterministic):
            action, self._memory = programs.mode(seen, self._memory)
        else:
            action, self._memory = programs.draw(self._next_noise(programs), seen, self._memory)
        return self._as_one(self._typed(action))

    def batch(self, obs: PyTree[Any], deterministic: bool = False, action_mask: Any = None) -> PyTree[np.ndarray]:
        """Actions (n, ...) for n observations side by side (n, ...): those that n calls in turn would give.

        `action_mask` has n masks beside observations without them.

        Each n compiles once. Raises `InputError` for a policy with memory, which plays one episode at a time, and where
        a call would.
        """
        if jax.tree.leaves(self._memory):
            raise InputError("The policy remembers, so it plays one episode at a time: make an Agent for each.")
        if action_mask is not None:
            obs = with_mask(obs, jax.tree.map(lambda *rows: np.stack(rows), *map(self._mask, action_mask)))
        parts = jax.tree.leaves(obs, is_leaf=lambda part: isinstance(part, list))
        try:
            seen = self._cast(reader(self._obs_space, np.shape(next(iter(parts), 0))[:1] or (1,))(obs))
        except ValueError as error:
            raise InputError(f"The policy was given observations {error}: {self._cure}.") from None
        _check_finite(seen)
        likeliest = check_flag("deterministic", deterministic)
        action = self._side_by_side(self.model, self._key, np.uint32(self._count), seen, likeliest)
        self._count += 0 if likeliest else len(jax.tree.leaves(action)[0])
        return self._typed(action)

    @property
    def _cure(self) -> str:
        has_mask = split_mask(self._obs_space, self._action_space)[1]
        return f"give what it was trained on{', or the mask beside it as action_mask=' if has_mask else ''}"

    def _mask(self, given: Any) -> Any:
        if not split_mask(self._obs_space, self._action_space)[1]:
            raise InputError("The policy was trained without masks of actions: leave action_mask out.")
        part = mask_space(self._obs_space)
        if part is None or isinstance(part, spaces.Dict | spaces.Tuple):
            return given  # as it lies in the observation
        try:
            return read_mask(self._action_space, given).reshape(shape_of(part))
        except ValueError as error:
            raise InputError(f"The policy was given {error}: give a flag for each choice.") from None

    @functools.cached_property
    def _side_by_side(self) -> Callable[..., Any]:
        return eqx.filter_jit(functools.partial(_acts, self._to_env))

    def _next_noise(self, programs: "_AgentPrograms") -> list[Any]:
        """The random numbers of the next action: a row of a block, which is drawn when its first row is needed."""
        block, row = divmod(self._count, BLOCK)
        if block != self._block:
            drawn = programs.noise(self._key, np.uint32(block * BLOCK))
            self._noise = [n if jnp.issubdtype(n.dtype, jax.dtypes.prng_key) else np.asarray(n) for n in drawn]
            self._block = block
        self._count += 1
        return [numbers[row] for numbers in self._noise]

    def _made(self, seen: PyTree[np.ndarray]) -> "_AgentPrograms":
        """The programs for observations like this one, each compiled when it is first called."""
        arrays, static = eqx.partition(self.model, eqx.is_array)
        leaves, structure = jax.tree.flatten(jax.device_put(arrays))

        def policy(leaves: list[Any]) -> Any:
            return eqx.combine(jax.tree.unflatten(structure, leaves), static)

        def drawn(key, leaves, seen, memory):
            distribution, memory = policy(leaves)(seen, memory)
            return self._to_env(distribution.sample_and_log_prob(key)[0]), memory

        def likeliest(leaves, seen, memory):
            distribution, memory = policy(leaves)(seen, memory)
            return self._to_env(distribution.mode()), memory

        draw, rest = hoist_keys(drawn, self._key, leaves, seen, self._memory)
        bound = _written_in if sum(leaf.nbytes for leaf in leaves) <= SMALL else _handed_over

        def noise(key, first):
            keys = jax.vmap(functools.partial(jax.random.fold_in, key))(first + np.arange(BLOCK, dtype=np.uint32))
            return jax.vmap(draw)(keys)

        mode = bound(likeliest, leaves)
        act = bound(lambda leaves, noise, seen, memory: rest(noise, leaves, seen, memory), leaves)
        self._programs = _AgentPrograms(jax.jit(noise), act, mode)
        return self._programs


def _as_one(space: spaces.Space) -> Callable[[Any], Any]:
    """A function that makes a choice in an action a number, in place of an array without axes."""
    if isinstance(space, spaces.Dict | spaces.Tuple):
        functions = mapped(space, _as_one)
        return lambda action: mapped(space, lambda _, function, one: function(one), functions, action)
    return operator.itemgetter(()) if isinstance(space, spaces.Discrete) else lambda action: action


def _acts(
    to_env: Callable[..., Any],
    policy: AbstractPolicy,
    key: PRNGKeyArray,
    first: Any,
    seen: PyTree[Array],
    likeliest: bool,
) -> PyTree[Array]:
    """Actions for observations (n, ...), the first with the random numbers of the `first` call of an agent."""

    def one(seen: PyTree[Array], number: Any) -> PyTree[Array]:
        distribution, _ = policy(seen, policy.initial_memory())
        own = jax.random.fold_in(key, number)
        return to_env(distribution.mode() if likeliest else distribution.sample_and_log_prob(own)[0])

    count = len(jax.tree.leaves(seen)[0])
    return jax.vmap(one)(seen, first + jnp.arange(count, dtype=np.uint32))


class _AgentPrograms(NamedTuple):
    """What is compiled for an agent.

    `noise(key, first)` draws what is random in the actions from the `first` on, a block of them. With a row of it,
    `draw(noise, seen, memory)` gives an action as the environment gets it, and the next memory; `mode(seen, memory)`
    needs none.
    """

    noise: Callable[..., Any]
    draw: Callable[..., Any]
    mode: Callable[..., Any]


def _written_in(function: Callable[..., Any], leaves: list[Any]) -> Callable[..., Any]:
    return jax.jit(functools.partial(function, leaves))


def _handed_over(function: Callable[..., Any], leaves: list[Any]) -> Callable[..., Any]:
    return functools.partial(jax.jit(function), leaves)


def _check_finite(seen: PyTree[np.ndarray]) -> None:
    for part in (seen,) if type(seen) is np.ndarray else jax.tree.leaves(seen):
        # The product with itself is the quickest look; it may be too large where no number is.
        if part.dtype == np.float32 and not math.isfinite(np.vdot(part, part)) and not np.isfinite(part).all():
            raise InputError("The policy was given an observation with NaN or infinity: mend where it comes from.")
