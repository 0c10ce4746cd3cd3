"""The run-time type checker that tests/conftest.py puts on every function of logpi."""

import dataclasses
import functools
from collections.abc import Callable
from inspect import isasyncgenfunction, isclass, iscoroutinefunction, isfunction, isgeneratorfunction
from typing import Any, ForwardRef, get_args

import jaxtyping
from beartype import beartype, BeartypeConf

# An int is a float, as in type checkers.
typechecker = beartype(conf=BeartypeConf(is_pep484_tower=True, violation_type=jaxtyping.TypeCheckError))
in_full = jaxtyping.jaxtyped  # what its import hook decorates functions and classes with
SIZES = in_full("context")  # in which names of sizes stand for one number each


def checked(**options: Any) -> Callable[[Any], Any]:
    """`jaxtyping.jaxtyped` by beartype alone, which finds the same in far less time.

    Its own makes two functions for each and checks arguments by both. A function within another is decorated whenever
    the outer one runs, ten thousand times in some files of tests, and most of those say no types.
    """
    decorate = in_full(**options)

    def decorated(it: Any) -> Any:
        if isclass(it):
            if dataclasses.is_dataclass(it) and isfunction(it.__init__) and it.__init__.__globals__ is not globals():
                it.__init__ = decorated(it.__init__)
            return it
        if isfunction(it) and not it.__annotations__:
            return it
        if not isfunction(it) or later(it) or any(map(in_words, it.__annotations__.values())):
            return decorate(it)  # a name that is not defined yet is any type to jaxtyping, and an error to beartype
        return once(it)

    return decorated


def in_words(said: Any) -> bool:
    """Whether a type, or one that it is made of, is a string."""
    return isinstance(said, str | ForwardRef) or any(map(in_words, said if isinstance(said, list) else get_args(said)))


def later(function: Any) -> bool:
    """Whether it runs after the call."""
    return isgeneratorfunction(function) or iscoroutinefunction(function) or isasyncgenfunction(function)


def once(function: Any) -> Any:
    """The function with its arguments and its result checked, by one program."""
    program = typechecker(function)

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        if jaxtyping.config.jaxtyping_disable:
            return function(*args, **kwargs)
        with SIZES:
            return program(*args, **kwargs)

    return call
