"""The tests are as strict as they say: shapes and types are checked, broadcasting is an error, and so is a warning."""

import warnings

import jax.numpy as jnp
import pytest
from jaxtyping import TypeCheckError

from logpi.errors import check_between
from logpi.surrogates import score


def test_types_are_checked() -> None:
    check_between("an int is a float", 1, 0)
    with pytest.raises(TypeCheckError):
        check_between(1, 1, 0)  # a name that is no string


def test_shapes_are_checked() -> None:
    with pytest.raises(TypeCheckError):
        score(jnp.zeros(3), jnp.zeros((3, 1)))


def test_a_change_of_rank_is_an_error() -> None:
    with pytest.raises(ValueError, match="rank"):
        jnp.zeros((3, 1)) + jnp.zeros(3)


def test_a_warning_is_an_error() -> None:
    with pytest.raises(UserWarning):
        warnings.warn("as any library might", UserWarning, stacklevel=1)
