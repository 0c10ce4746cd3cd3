"""A NumPyro distribution as a function of its own parameters: what its constructor takes, and not what that makes.

A half-normal holds a normal, whose mean of 0 is no parameter of it, and a scale that both of them have.
"""

import inspect
from collections.abc import Callable
from typing import Any

import jax
from jaxtyping import PyTree


def own_parameters(distribution: Any) -> tuple[PyTree, Callable[[PyTree], Any]]:
    """The parameters, and a function that makes the distribution of them again.

    One that its constructor does not make again, of what it keeps under the names of its arguments, has the parameters
    of its parts.
    """
    inside, make = _arguments(distribution) or _parts(distribution)
    leaves, structure = jax.tree.flatten(inside, is_leaf=_is_distribution)
    found = [own_parameters(x) if _is_distribution(x) else (x, _itself) for x in leaves]
    makers = [made for _, made in found]

    def remade(parameters: list[PyTree]) -> Any:
        return make(structure.unflatten([made(x) for made, x in zip(makers, parameters, strict=True)]))

    return [parameters for parameters, _ in found], remade


def _itself(x: Any) -> Any:
    return x


def _is_distribution(node: Any) -> bool:
    from numpyro.distributions import Distribution

    return isinstance(node, Distribution)


def _parts(distribution: Any) -> tuple[list[Any], Callable[[list[Any]], Any]]:
    parts, structure = jax.tree.flatten(distribution, is_leaf=lambda node: node is not distribution)
    return parts, structure.unflatten


def _arguments(distribution: Any) -> tuple[dict[str, Any], Callable[[dict[str, Any]], Any]] | None:
    """The arguments of a constructor that makes the same distribution of them, as far as its structure shows."""
    kind, given = type(distribution), {}
    for name in inspect.signature(kind).parameters:
        kept = next((form for form in (name, f"_{name}") if form in vars(distribution)), None)
        if kept is None:  # NumPyro keeps one of two forms, and makes the other where it is asked for
            continue
        given[name] = vars(distribution)[kept]

    def make(changed: dict[str, Any]) -> Any:
        return kind(**given | changed)

    moving = {name: value for name, value in given.items() if jax.tree.leaves(value) and name != "validate_args"}
    try:
        again = make(moving)
    except Exception:  # whatever a constructor of anybody's raises
        return None
    alike = jax.tree.structure(again) == jax.tree.structure(distribution) and [
        jax.numpy.shape(x) for x in jax.tree.leaves(again)
    ] == [jax.numpy.shape(x) for x in jax.tree.leaves(distribution)]
    return (moving, make) if alike else None
