"""A process that steps an environment imports no JAX: the guard, and all that it imports, are NumPy's alone."""

from __future__ import annotations

from tests.architecture.test_lazy import heavy_after


def test_the_guard_of_an_environment_imports_numpy_alone() -> None:
    assert heavy_after("import logpi.envs.guard") == []
