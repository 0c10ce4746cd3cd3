"""The tests are as strict as they say: shapes and types are checked, broadcasting is an error, and so is a warning."""

import dataclasses
import warnings
from collections.abc import Callable, Iterator

import jax.numpy as jnp
import jaxtyping
import pytest
from jaxtyping import Array, Float, TypeCheckError

from logpi.errors import check_between
from logpi.surrogates import score
from tests import typechecker

DECORATORS = {"ours": jaxtyping.jaxtyped, "jaxtyping's": typechecker.in_full}
LONG, SHORT = jnp.zeros(3), jnp.zeros(2)


def test_types_are_checked() -> None:
    check_between("an int is a float", 1, 0)
    with pytest.raises(TypeCheckError):
        check_between(1, 1, 0)  # a name that is no string


def test_shapes_are_checked() -> None:
    with pytest.raises(TypeCheckError):
        score(jnp.zeros(3), jnp.zeros((3, 1)))


def faults(decorate: Callable) -> dict[str, Callable]:
    """Calls, each with one fault, of functions and classes that are decorated as those of logpi are."""

    @decorate
    def added(first: Float[Array, " n"], second: Float[Array, " n"], scale: float = 1.0) -> Float[Array, " n"]:
        return (first[:2] if scale == 2 else first) + scale

    @decorate
    def outer(first):
        @decorate
        def inner(x: Float[Array, " n"], y: Float[Array, " n"]) -> None: ...

        return inner(first, LONG)

    @decorate
    def each(first: Float[Array, " n"], second: Float[Array, " n"]) -> Iterator[Array]:
        yield first

    @decorate
    @dataclasses.dataclass
    class Pair:
        first: Float[Array, " n"]
        second: Float[Array, " n"]

        @property
        @decorate
        def name(self) -> str:
            return self.first  # pyright: ignore[reportReturnType]

        @classmethod
        @decorate
        def of(cls, size: "int") -> int:
            return size

    assert added(LONG, LONG).shape == (3,) and outer(LONG) is None and list(each(LONG, LONG))
    assert Pair(LONG, LONG).of(3) == 3 and added(LONG, second=LONG, scale=1).shape == (3,)
    return {
        "an argument's type": lambda: added(LONG, 3),
        "an argument's sizes": lambda: added(LONG, second=SHORT),
        "a default's type": lambda: added(LONG, LONG, "1"),
        "a result's sizes": lambda: added(LONG, LONG, 2.0),
        "within a function": lambda: outer(SHORT),
        "a generator's arguments": lambda: each(LONG, SHORT),
        "a field's sizes": lambda: Pair(LONG, SHORT),
        "a property": lambda: Pair(LONG, LONG).name,
        "a type in a string": lambda: Pair.of("3"),  # pyright: ignore[reportArgumentType]
    }


@pytest.mark.parametrize("whose", DECORATORS)
def test_a_fault_is_found_wherever_a_type_is_said(whose: str) -> None:
    for name, fault in faults(DECORATORS[whose](typechecker=typechecker.typechecker)).items():
        with pytest.raises(TypeCheckError):
            pytest.fail(f"{name}: {fault()} was let through")


def test_logpi_is_checked_by_ours() -> None:
    """And not by jaxtyping's own, should it ask for its decorator by another name one day."""
    assert score.__globals__ is vars(typechecker)


def test_a_change_of_rank_is_an_error() -> None:
    with pytest.raises(ValueError, match="rank"):
        jnp.zeros((3, 1)) + jnp.zeros(3)


def test_a_warning_is_an_error() -> None:
    with pytest.raises(UserWarning):
        warnings.warn("as any library might", UserWarning, stacklevel=1)
