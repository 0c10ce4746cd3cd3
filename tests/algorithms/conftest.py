"""Fixtures of tests on algorithms of one's own."""

from collections.abc import Iterator

import jaxtyping
import pytest


@pytest.fixture
def as_users_have_it() -> Iterator[None]:
    """Without the run-time type checks of the tests: what stands for an object of one's own is of no declared type."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
