"""The one exception that means "you can mend this": a sentence with the value, the limit and the cure."""

import math
import numbers
from typing import Any


class InputError(ValueError):
    """A mistake in what a person gave, told in one sentence that names the value, the limit and the cure.

    The command line prints the sentence and exits with status 2, without a traceback.
    """


def check_between(name: str, value: object, low: float, high: float = math.inf, *, optional: bool = False) -> None:
    """Raises `InputError` unless `value` is a number and `low <= value <= high`.

    Arrays pass, traced ones among them: what they hold is not known. `None` passes where it is `optional`. A whole
    number that JAX cannot take for a float does not.
    """
    if (value is None and optional) or _is_array(value):
        return
    limit = f"between {low} and {high}" if high < math.inf else f"{low} or more"
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        raise InputError(f"{name} is {shown(value)}, but it must be a number {limit}: give a value in that range.")
    _check_range(name, value, low, high, limit)
    if isinstance(value, numbers.Integral) and not -(2**31) <= int(value) < 2**31:
        raise InputError(
            f"{name} is {shown(value)}, but a whole number must be less than 2^31: give a float, as 1e10, or math.inf."
        )


def check_whole(name: str, value: object, low: int, high: float = math.inf, *, optional: bool = False) -> None:
    """Raises `InputError` unless `value` is a whole number, no truth, and `low <= value <= high`."""
    if value is None and optional:
        return
    if not isinstance(value, numbers.Integral) or isinstance(value, bool):
        raise InputError(f"{name} is {shown(value)}, but it must be a whole number: give one of {low} or more.")
    _check_range(name, value, low, high, f"between {low} and {high}" if high < math.inf else f"{low} or more")


def _check_range(name: str, value: Any, low: float, high: float, limit: str) -> None:
    """Not as floats: a whole number may be too large for one."""
    if not low <= value <= high:
        raise InputError(f"{name} is {shown(value)}, but it must be {limit}: give a value in that range.")


def check_part(name: str, value: object, like: str) -> None:
    """Raises `InputError` for what can be no part of an algorithm: a plain value, or a class in place of an object.

    `like` is an example of what can.
    """
    if isinstance(value, (bool, int, float, complex, str, bytes, list, tuple, dict, set, type(None), type)):
        raise InputError(f"{name} is {shown(value)}, but it must be an object such as {like}: give {like}.")


def choice(name: str, value: object, choices: tuple[str, ...]) -> str:
    """The value, if it is one of the choices. Raises `InputError` if not."""
    if isinstance(value, str) and value in choices:
        return value
    raise InputError(f"{name} is {shown(value)}, but it must be {' or '.join(choices)}: give one of them.")


def missing(what: str, package: str, extra: str) -> InputError:
    """That something needs a package which comes with an extra of logpi's."""
    return InputError(f'{what} needs {package}, which is not installed: pip install "logpi[{extra}]".')


def said(error: BaseException, most: int = 1000) -> str:
    """What an exception says, to stand in a sentence: on one line, without its full stop, cut where it is long.

    Its kind, where it says nothing. What cannot be printed is written as Python does: it may come from a file.
    """
    line = " ".join(str(error).split()).rstrip(".") or type(error).__name__
    return _cut("".join(c if c.isprintable() else repr(c)[1:-1] for c in line), most)


def shown(value: object, most: int = 60) -> str:
    """A value as Python writes it, on one line, cut where it is long."""
    try:
        text = " ".join(str(value).split()) if _is_array(value) else " ".join(repr(value).split())
    except Exception as error:  # an object of the user's, or a whole number of too many digits
        text = f"a {type(value).__name__} that cannot be printed ({type(error).__name__})"
    return _cut(text, most)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 4] + " ..."


def _is_array(value: object) -> bool:
    """Whether it is an array of any library, and no number."""
    return not isinstance(value, numbers.Number) and getattr(value, "dtype", None) is not None


class TrainingFault(InputError):
    """NaN or infinity came up in a training, which stopped there; what was good before it is saved."""


class EnvironmentFault(InputError):
    """An environment broke down or does not answer; what was learned is saved."""
