"""What a traced program makes use of: its arguments, and room in memory."""

import math
from typing import Any

from .discontinuities import follow
from .interpreter import equations, inner_of


def room(jaxpr: Any) -> int:
    """The largest number of elements that one operation gives."""
    shapes = ([getattr(var.aval, "shape", ()) for var in eqn.outvars] for eqn in equations(jaxpr))
    sizes = (sum(math.prod(shape) for shape in group) for group in shapes)
    return max(sizes, default=1)


def elements(jaxpr: Any, name: str) -> int:
    """How many numbers the operations of this name give in all."""
    found = (eqn for eqn in equations(jaxpr) if eqn.primitive.name == name)
    return sum(math.prod(eqn.outvars[0].aval.shape) for eqn in found)


def kept(jaxpr: Any) -> int:
    """The largest number of elements that a loop keeps for its derivative, of one operation in every round."""
    loops = [eqn for eqn in equations(jaxpr) if eqn.primitive.name == "scan"]
    sizes = (loop.params["length"] * max(room(body), kept(body)) for loop in loops for body in inner_of(loop))
    return max(sizes, default=1)


def reaches(jaxpr: Any, argument: int, stopped: bool = False) -> bool:
    """Whether the result of a traced function depends on one of its arguments; if `stopped`, by `stop_gradient` too."""
    marks = [False] * len(jaxpr.invars)
    marks[argument] = True
    return any(follow(jaxpr, marks, {}, stopped))
