"""Work that needs a random key and nothing else, taken out of a loop: done once for all steps, not once in each."""

from collections.abc import Callable
from typing import Any

import jax
from jax.extend import core
from jaxtyping import Array, PRNGKeyArray, PyTree

Noise = list[Array]


def hoist_keys(
    function: Callable[..., PyTree[Array]], keys: Any, *others: PyTree[Any]
) -> tuple[Callable[[PRNGKeyArray], Noise], Callable[..., PyTree[Array]]]:
    """`function(keys, *others)` in two parts: `noise(keys)`, and `rest(noise, *others)` that gives its value.

    `noise` holds every operation of the function that depends on the keys alone: drawing random numbers, mostly. It
    can be mapped over the keys of many steps at once, which costs a fraction of drawing them step by step. The
    arguments are examples, or their `jax.ShapeDtypeStruct`s; `keys` is one array. An operation inside a `jax.jit` of
    the function's own is hoisted only if all of that `jit` can be.
    """
    closed, shapes = jax.make_jaxpr(function, return_shape=True)(keys, *others)
    jaxpr, out_tree = closed.jaxpr, jax.tree.structure(shapes)
    from_keys = {jaxpr.invars[0]}
    early, late = [], []
    for equation in jaxpr.eqns:
        inputs = _variables(equation.invars)
        if inputs and from_keys.issuperset(inputs) and not equation.effects:
            from_keys.update(equation.outvars)
            early.append(equation)
        else:
            late.append(equation)
    wanted = {v for equation in late for v in _variables(equation.invars)} | set(_variables(jaxpr.outvars))
    made = [jaxpr.invars[0], *(v for equation in early for v in equation.outvars)]
    passed = [v for v in made if v in wanted]
    first = jaxpr.replace(invars=jaxpr.invars[:1], outvars=passed, eqns=early)
    second = jaxpr.replace(invars=[*passed, *jaxpr.invars[1:]], eqns=late)

    def rest(noise: Noise, *others: PyTree[Array]) -> PyTree[Array]:
        run = core.jaxpr_as_fun(core.ClosedJaxpr(second, closed.consts))
        return jax.tree.unflatten(out_tree, run(*noise, *jax.tree.leaves(others)))

    return core.jaxpr_as_fun(core.ClosedJaxpr(first, closed.consts)), rest


def _variables(atoms: Any) -> list[core.Var]:
    return [atom for atom in atoms if not isinstance(atom, core.Literal)]
