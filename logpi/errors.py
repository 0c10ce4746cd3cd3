"""The one exception that means "you can mend this": a sentence with the value, the limit and the cure."""

import math
import numbers
import os
import re
from collections.abc import Callable, Iterable
from typing import Any, TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

OTHERS_NAMES = {  # what has another name here, or needs something else first
    "algo": "algorithm", "total_timesteps": "steps", "timesteps": "steps", "max_steps": "steps", "n_envs": "num_envs",
    "envs": "num_envs", "n_steps": "rollout_length", "num_steps": "rollout_length", "unroll_length": "rollout_length",
    "lr": "learning_rate", "adam_epsilon": "epsilon", "discount": "gamma", "gae_lambda": "lam", "lambda_": "lam",
    "n_epochs": "num_epochs", "update_epochs": "num_epochs", "minibatches": "num_minibatches",
    "n_minibatches": "num_minibatches", "nminibatches": "num_minibatches", "clip_range": "clip", "clip_coef": "clip",
    "clip_eps": "clip", "clip_range_vf": "value_clip", "ent_coef": "entropy_coef", "vf_coef": "value_coef",
    "log_std_init": "initial_log_std", "policy_kwargs": "network", "policy": "model", "n_seeds": "seeds",
    "num_seeds": "seeds", "optimizer": "optimiser", "env_kwargs": "env_options", "hidden_size": "width",
    "hidden_sizes": "width", "net_arch": "width", "squash_output": "action_distribution",
    "callback": "callbacks", "listener": "callbacks", "verbose": "progress", "limit": "reward_scaling",
    "clip_rewards": "reward_clipping", "reward_clip": "reward_clipping", "clip_reward": "reward_clipping",
}  # fmt: skip


class InputError(ValueError):
    """A mistake in what a person gave, told in one sentence that names the value, the limit and the cure.

    The command line prints the sentence and exits with status 2, without a traceback. Names in it are printable.
    """

    def __str__(self) -> str:
        return printable(ValueError.__str__(self))


def check_between(
    name: str, value: Any, low: float, high: float = math.inf, *, optional: bool = False, whole: bool = False
) -> Any:
    """The value as Python's own number. Raises `InputError` unless it is a number and `low <= value <= high`.

    An array is a number where it has no axis: one of NumPy's becomes Python's; one of JAX's is checked and stays an
    array, so that programs need not be compiled anew for each value. What a traced one holds is not known. `None`
    passes where it is `optional`. With `whole`, it must be a whole number, and no truth; one that JAX cannot take
    for a float passes only so.
    """
    if value is None and optional:
        return None
    kind = "a whole number" if whole else "a number"
    limit = f"between {low} and {high}" if high < 2**31 - 1 else f"{low} or more"
    number: Any = _number(value)
    if number is None or (whole and not isinstance(number, int)):
        raise InputError(f"{name} is {shown(value)}, but it must be {kind}, {limit}: give one in that range.")
    if number is value and _is_array(value):
        return value
    if not low <= number <= high:  # not as floats: a whole number may be too large for one
        limit = f"between {low} and {high}" if number > high else limit
        raise InputError(f"{name} is {shown(value)}, but it must be {limit}: give a value in that range.")
    if not whole and isinstance(number, int) and not -(2**31) <= int(number) < 2**31:
        raise InputError(
            f"{name} is {shown(value)}, but a whole number must be less than 2^31: give a float, as 1e10, or math.inf."
        )
    return value if hasattr(value, "aval") else number  # an array of JAX's


def check_whole(name: str, value: Any, low: int, high: float = 2**31 - 1, *, optional: bool = False) -> Any:
    """The value as Python's own whole number. Raises `InputError` unless it is one, no truth, and within the limits."""
    number = check_between(name, value, low, high, optional=optional, whole=True)
    return number if number is None else int(number)


def check_flag(name: str, value: object) -> bool:
    """The value as Python's own truth. Raises `InputError` for anything else: a text or a number is none."""
    if isinstance(value, bool):
        return value
    if str(getattr(value, "dtype", "")) == "bool" and getattr(value, "ndim", None) == 0:
        return bool(value)
    raise InputError(f"{name} is {shown(value)}, but it must be True or False: give one of them.")


def check_fields(owner: object, check: Callable[..., Any], *names: str, **limits: Any) -> None:
    """Checks fields of an object that is being made, and keeps what the check returns in place of what was given."""
    for name in names:
        object.__setattr__(owner, name, check(name, getattr(owner, name), **limits))


def takes(function: Callable[..., Any], count: int) -> bool:
    """Whether a function can be called with so many arguments. Some built-in functions do not tell; these may."""
    import inspect  # takes as long as all else that `logpi --help` imports

    try:
        inspect.signature(function).bind(*[None] * count)
    except (TypeError, ValueError) as error:
        return isinstance(error, ValueError)
    return True


def check_kind(name: str, value: object, kind: type | tuple[type, ...], like: str, *, optional: bool = False) -> Any:
    """The value. Raises `InputError` unless it is an object of this kind. `like` is an example of one."""
    if isinstance(value, kind) or (value is None and optional):
        return value
    raise InputError(f"{name} is {shown(value)}, but it must be an object such as {like}: give one.")


def check_several(name: str, value: Any, like: str) -> list[Any]:
    """The value as a list. Raises `InputError` unless it is a sequence of several things. `like` is an example."""
    if isinstance(value, Iterable) and not isinstance(value, str | bytes | dict | set) and getattr(value, "ndim", 1):
        return list(value)
    raise InputError(f"{name} is {shown(value)}, but it must be several: give a list, as {like}.")


def check_part(name: str, value: object, like: str, *, function: bool = False) -> None:
    """Raises `InputError` for what can be no part of an algorithm: no object of a dataclass, as all modules are.

    A function is one where it says `function`. `like` is an example of what can.
    """
    is_part = hasattr(value, "__dataclass_fields__")  # an object of anybody's
    is_part = is_part or (function and callable(value))
    if isinstance(value, type) or not is_part:
        raise InputError(f"{name} is {shown(value)}, but it must be an object such as {like}: give {like}.")


def check_path(name: str, value: object) -> "Path":
    """The value as a path. Raises `InputError` unless it is a text or a path that can name a file."""
    if not isinstance(value, str | os.PathLike) or not str(value) or "\0" in str(value):
        raise InputError(f"{name} is {shown(value)}, but it must be a path: give one, as 'runs/mine'.")
    from pathlib import Path

    return Path(os.fsdecode(value))


def choice(name: str, value: object, choices: tuple[str, ...]) -> str:
    """The value, if it is one of the choices. Raises `InputError` if not."""
    if isinstance(value, str) and value in choices:
        return value
    raise InputError(f"{name} is {shown(value)}, but it must be {' or '.join(choices)}: give one of them.")


def missing(what: str, package: str, extra: str) -> InputError:
    """That something needs a package which comes with an extra of logpi's."""
    return InputError(f'{what} needs {package}, which is not installed: pip install "logpi[{extra}]".')


def did_you_mean(name: str, known: Iterable[str], otherwise: str, cutoff: float = 0.6) -> str:
    """A question: did you mean what is called `name` elsewhere, or the nearest of those known? Or else `otherwise`.

    Flags are names with hyphens.
    """
    known = list(known)
    meant = OTHERS_NAMES.get(_plain(name))
    near = [each for each in known if _plain(each) == meant] or nearest(name, known, 1, cutoff)
    return f"did you mean {near[0]}?" if near else otherwise


def nearest(name: str, known: Iterable[str], most: int, cutoff: float = 0.6) -> list[str]:
    """Those of the known that somebody may have meant by `name`, the likeliest first; none that only looks alike.

    That is a slip or two, one within the other, or a word in common: "sac" is no slip for "a2c".
    """
    import difflib  # here, for it takes as long to import as all that a right name needs

    close = difflib.get_close_matches(name, list(known), most, cutoff)
    return [other for other in close if _may_be_meant(name.lstrip("-"), other.lstrip("-"))]


def _may_be_meant(name: str, other: str) -> bool:
    shorter, longer = sorted((name, other), key=len)
    if len(shorter) > 3 and shorter in longer:
        return True
    words, others = (set(filter(lambda word: len(word) > 3, re.split(r"[^a-zA-Z]+", n))) for n in (name, other))
    return bool(words & others) or _slips(name, other) <= max(1, len(longer) // 4)


def _slips(one: str, other: str) -> int:
    """The fewest letters to put in, leave out, change, or swap with their neighbour."""
    rows = [list(range(len(other) + 1))]
    for i, letter in enumerate(one):
        rows.append([i + 1])
        for j, its in enumerate(other):
            swapped = i > 0 and j > 0 and one[i - 1] == its and other[j - 1] == letter
            swap = rows[i - 1][j - 1] + 1 if swapped else len(one) + len(other)
            rows[-1].append(min(rows[i][j + 1] + 1, rows[-1][j] + 1, rows[i][j] + (letter != its), swap))
    return rows[-1][-1]


def _plain(name: str) -> str:
    return name.lstrip("-").replace("-", "_")


def said(error: BaseException, most: int = 1000) -> str:
    """What an exception says, to stand in a sentence: on one line, without its full stop, cut where it is long.

    Its kind, where it says nothing. What cannot be printed is written as Python does: it may come from a file.
    """
    line = " ".join(str(error).split()).rstrip(".") or type(error).__name__
    return _cut(printable(line), most)


def printable(text: str) -> str:
    """A text with what cannot be printed as Python writes it: names may hold what a terminal would obey."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def shown(value: object, most: int = 60) -> str:
    """A value as Python writes it, on one line, cut where it is long."""
    try:
        text = " ".join(str(value).split()) if _is_array(value) else " ".join(repr(value).split())
    except Exception as error:  # an object of the user's, or a whole number of too many digits
        text = f"a {type(value).__name__} that cannot be printed ({type(error).__name__})"
    return _cut(text, most)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 4] + " ..."


def _number(value: Any) -> Any:
    """The real number that a value is, as Python's own; a traced one as it is; `None` for what is no number."""
    dtype = getattr(value, "dtype", None)
    if dtype is None:
        if isinstance(value, bool) or not isinstance(value, numbers.Real):
            return None
        return int(value) if isinstance(value, numbers.Integral) else float(value)
    is_real = "float" in str(dtype) or getattr(dtype, "kind", "") in ("i", "u")
    if not is_real or getattr(value, "ndim", None) != 0:
        return None
    try:
        return value.item()
    except TypeError:  # JAX's, of what is traced
        return value


def _is_array(value: object) -> bool:
    """Whether it is an array of any library, and no number."""
    return not isinstance(value, numbers.Number) and getattr(value, "dtype", None) is not None


class TrainingFault(InputError):
    """NaN or infinity came up in a training, which stopped there; what was good before it is saved, and in `run`."""

    run: Any = None


class EnvironmentFault(InputError):
    """An environment broke down or does not answer; what was learned is saved, and in `run`."""

    run: Any = None


def interruption(sentence: str, run: Any, signal: int) -> KeyboardInterrupt:
    """What a training raises that Ctrl-C, SIGTERM or SIGHUP ended: with the `run` that was learned, and which it was.

    It is of no class of ours: only of a plain `KeyboardInterrupt` that nobody catches Python dies as of Ctrl-C, so that
    a loop of the shell ends too.
    """
    stop: Any = KeyboardInterrupt(sentence)
    stop.run, stop.signal = run, signal
    return stop
