"""A program that is estimated, its parameters, and what tracing tells of both before it runs."""

import contextlib
import functools
import math
from collections.abc import Callable, Generator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from ..derivatives import doubts
from ..errors import InputError, said, shown, takes
from ..estimators.problem import followed
from ..jaxprs.compilation import KEPT
from ..jaxprs.discontinuities import common_jumps, COMPARED, LEFT_OUT
from ..jaxprs.interpreter import calls_host
from ..jaxprs.usage import kept, reaches, room
from ..parameters import flatten, Frame, split_leaves, typed

Program = Callable[[PyTree, PRNGKeyArray], Float[Array, ""]]
FEWEST = 32  # replicates: with 32, an error is itself known to 13 %
MOST_SAMPLES = 2**26  # that are held in memory at once: of one number each, a quarter of a gigabyte
ENOUGH = 128  # replicates whose mean is close enough to normal for an interval, however skewed each of them is
# Elements of the largest operation, over all replicates that run side by side. Operations of so many are shared among
# the cores of a CPU, and still fit its cache. As many as FEWEST replicates need are quicker in one go too, up to where
# they take megabytes.
FEW_ELEMENTS, MOST_ELEMENTS = 2**17, 2**19
MOST_KEPT = 2**25  # elements of one operation that the loops of all of them keep for their derivatives: 128 MiB

SHARED = "one key in two calls of logpi.sample"
STILL = "no derivative in any parameter, although they move the value"


class Pieces(NamedTuple):
    """A program and its parameters, as `jax.jit` takes them: arrays, and what compiled programs are found again by.

    `equinox.filter_jit` does the same, in ten times the time: most of what a small estimate would take.
    """

    floats: list[Any]  # of the parameters, to be differentiated in; arrays of JAX or NumPy
    arrays: list[Any]  # all others
    rest: tuple[Any, ...]  # structures, and leaves that are no arrays: it has a hash

    @classmethod
    def of(cls, program: Program, params: PyTree) -> "Pieces":
        """Raises `InputError` for parameters without a float, and for what is neither an array nor has a hash."""
        leaves, params_structure = flatten("params", params)
        floats, is_float, of_params = split_leaves(leaves)
        leaves, structure = flatten("J", program)
        leaves += of_params
        others = tuple(None if _is_array(x) else x for x in leaves)
        check_hashable(others)
        arrays = [x for x, other in zip(leaves, others, strict=True) if other is None]
        rest = params_structure, is_float, structure, others, tuple(map(type, others))  # 1, 1.0 and True are equal
        return cls(floats, arrays, rest)

    def call(self, key: PRNGKeyArray) -> Any:
        """What the program gives. To be traced: there, it costs nothing that each float has a type."""
        program, params = self.together()
        check_program(program)
        return followed(program, "J")(params, key)

    def together(self) -> tuple[Program, PyTree]:
        """The program and the parameters."""
        params_structure, is_float, structure, others, _ = self.rest
        arrays = iter(self.arrays)
        leaves = iter([next(arrays) if x is None else x for x in others])
        program = structure.unflatten([next(leaves) for _ in range(structure.num_leaves)])
        return program, Frame(params_structure, is_float, tuple(leaves)).filled(map(typed, self.floats))

    def shaped(self, numbers: list[Any]) -> PyTree:
        """Numbers of the floats in the structure of the parameters, as by `Frame.shaped`."""
        params_structure, is_float, *_ = self.rest
        return Frame(params_structure, is_float, ()).shaped(numbers)


def _is_array(leaf: Any) -> bool:
    # Text and objects are arrays for NumPy alone.
    return isinstance(leaf, jax.Array) or (isinstance(leaf, np.ndarray | np.generic) and leaf.dtype.kind not in "OSUMm")


def check_hashable(leaves: Any) -> None:
    """Raises `InputError` for what is neither an array nor has a hash, by which compiled programs are found again."""
    for leaf in leaves:
        try:
            _ = None if _is_array(leaf) else hash(leaf)
        except TypeError:
            raise InputError(
                f"{shown(leaf)} has no hash, by which its compiled program could be found again: give what has one, as "
                "a dataclass made with eq=False, or a tuple in place of a set."
            ) from None


def check_program(program: Any) -> None:
    """Raises `InputError` for what cannot be called as `(params, key)`."""
    if not callable(program) or isinstance(program, type):
        raise InputError(
            f"J is {shown(program)}, but it must be a logpi.expectation or a program (params, key) -> scalar: give one."
        )
    if not takes(program, 2):
        raise InputError("J cannot be called as J(params, key): give a program of these two.")


@contextlib.contextmanager
def differentiated() -> Generator[None]:
    """Raises `InputError` where JAX finds that a program which it could follow has no derivative."""
    try:
        yield
    except InputError:
        raise
    except (NotImplementedError, ValueError) as error:
        raise InputError(
            f"J has no derivative ({said(error, 160)}): write a loop that draws as jax.lax.scan over as many steps as "
            "there can be, with a mask of those that count."
        ) from None


class Facts(NamedTuple):
    """What a program tells of itself before it runs."""

    side_by_side: int  # how many replicates run at once
    uses: tuple[bool, ...]  # for each leaf of the parameters, whether it matters
    draws: bool  # whether the key matters
    on_host: bool  # whether Python is called, which may draw by itself
    # What leaves a doubt about the derivative: operations that may jump where parameters and draws say, and
    # distributions of which nobody knows that their log-probability is that of their draws.
    jumps: tuple[str, ...]
    strangers: tuple[str, ...]
    faults: tuple[str, ...]  # what sites and costs do

    @property
    def is_doubtful(self) -> bool:
        """Whether the derivative may not be that of the value, so that it has to be measured."""
        return self.draws and bool(self.jumps or self.strangers or self.faults)


def facts(pieces: Pieces, key: PRNGKeyArray) -> Facts:
    """Traces a program, once for each kind of arguments.

    Raises `InputError` for one that cannot be called, or does not give one real number.
    """
    kinds = (tuple((x.shape, x.dtype, getattr(x, "weak_type", False)) for x in some) for some in pieces[:2])
    return _facts(*kinds, (key.shape, key.dtype, False), pieces.rest)


@functools.lru_cache(maxsize=KEPT)
def _facts(floats, arrays, key, rest) -> Facts:
    floats, arrays, key = (
        [jax.ShapeDtypeStruct(shape, dtype, weak_type=weak) for shape, dtype, weak in kinds]
        for kinds in (floats, arrays, [key])
    )

    call = jax.make_jaxpr(lambda floats, arrays, key: Pieces(floats, arrays, rest).call(key))
    with doubts() as found:
        traced = call(floats, arrays, *key)
    check_scalar(traced)
    is_float = [i < len(floats) for i in range(len(traced.jaxpr.invars))]
    is_key = [*[False] * (len(is_float) - 1), True]
    uses = tuple(reaches(traced.jaxpr, i) for i in range(len(floats)))
    suspected = common_jumps(traced.jaxpr, is_float, is_key)
    moves = any(reaches(traced.jaxpr, i, stopped=True) for i in range(len(floats)))
    faults = {name: name in suspected for name in (LEFT_OUT, COMPARED)}
    faults |= {SHARED: bool(found.shared), STILL: moves and not any(uses) and not faults[LEFT_OUT]}
    return Facts(
        _width(traced, sum(math.prod(x.shape) for x in floats)),
        uses,
        reaches(traced.jaxpr, -1, stopped=True),
        calls_host(traced.jaxpr),
        tuple(name for name in suspected if name not in faults),
        tuple(found.strangers),
        tuple(name for name, is_so in faults.items() if is_so),
    )


def _width(traced: ClosedJaxpr, parameters: int) -> int:
    """How many replicates run side by side: a power of two, by the room one takes; 1 if it calls the host.

    The last group may run for nothing in part, which a host function, with its own cost, must not.
    """
    if calls_host(traced.jaxpr):
        return 1
    size = max(room(traced.jaxpr), 1 + parameters)
    # No more than an estimate has unless it is asked for more, so that none runs for nothing.
    width = min(ENOUGH, max(FEW_ELEMENTS // size, min(FEWEST, MOST_ELEMENTS // size)))
    width = min(width, MOST_KEPT // kept(traced.jaxpr))
    return 2 ** max(0, width.bit_length() - 1)


def check_scalar(traced: ClosedJaxpr) -> None:
    """Raises `InputError` unless a traced program gives one real number."""
    shapes = [aval.shape for aval in traced.out_avals]
    if shapes != [()] or not jnp.issubdtype(traced.out_avals[0].dtype, jnp.floating):
        raise InputError(
            f"the program returned shapes {shapes}, but it must return one floating-point number: take a mean."
        )
