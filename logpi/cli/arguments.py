"""Flags, their help, and one clear sentence for each way to get them wrong. Tyro parses and writes the help."""

import contextlib
import dataclasses
import functools
import io
import math
import operator
import re
import types
import typing
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal

import tyro
from tyro.constructors import PrimitiveConstructorSpec

from ..errors import did_you_mean, InputError


class _Required:
    """In place of a default: there is none."""


REQUIRED: Any = _Required()
_ONE_OR_SEVERAL = int | tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Flag:
    """One thing to be said on a command line."""

    name: str  # as Python has it
    # int, float, str, bool or Literal[...], or one of them `| None`; `int | tuple[int, ...]` is one number or several
    # with commas, and tuple[str, ...] may be there repeatedly
    kind: Any
    help: str
    default: Any = REQUIRED
    spellings: tuple[str, ...] = ()  # the first is the one in the help; by default the name, with hyphens
    metavar: str = ""
    group: str = ""  # a headline in the help
    positional: bool = False
    on_and_off: bool = False  # of a bool: --no-name is there too

    @property
    def spelled(self) -> tuple[str, ...]:
        """As it is typed, or for a positional one, as the help calls it."""
        if self.positional:
            return (self.metavar or self.name.upper(),)
        return self.spellings or ("--" + self.name.replace("_", "-"),)

    @property
    def takes_value(self) -> bool:
        """Whether a value follows it."""
        return self.kind is not bool

    @property
    def every_spelling(self) -> tuple[str, ...]:
        """Those of the opposite too."""
        return self.spelled + tuple("--no-" + s[2:] for s in self.spelled if self.on_and_off)

    def written(self, value: Any) -> str:
        """As one types it, to give it this value."""
        if self.kind is bool:
            return self.spelled[0] if value else self.every_spelling[-1]
        return f"{self.spelled[0]} {_shown(value)}"


class _Wrong(Exception):
    """A value that a flag does not take; no ValueError, because Tyro would catch that."""


def parse(flags: Sequence[Flag], arguments: Sequence[str], command: str, description: str) -> dict[str, Any]:
    """The value of every flag by its name. `--help` prints the help and exits.

    Raises `InputError` for what cannot be understood.
    """
    arguments = [_hyphens(argument) for argument in arguments]
    if {"-h", "--help"} & set(arguments):
        arguments = ["--help"]  # Tyro would leave out what it has already read
    else:
        _check(flags, arguments, command)
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            made, rest = tyro.cli(
                _options(flags),
                args=arguments,
                prog=command,
                description=description,
                config=(tyro.conf.OmitArgPrefixes, tyro.conf.HelptextFromCommentsOff),
                return_unknown_args=True,
            )
    except _Wrong as wrong:
        raise InputError(str(wrong)) from None
    except SystemExit as stop:
        if not stop.code:
            raise
        raise InputError(f"{_unboxed(said.getvalue())} See {command} --help.") from None
    if rest:
        raise InputError(f"{rest[0]!r} is one word too many: {command} takes one, and flags. See {command} --help.")
    parts = [made, *(getattr(made, _group_field(group)) for group in dict.fromkeys(f.group for f in flags) if group)]
    values = {name: value for part in parts for name, value in vars(part).items()}
    return {flag.name: values[flag.name] for flag in flags}


def first_word(flags: Sequence[Flag], arguments: Sequence[str]) -> str | None:
    """The first argument that is neither a flag nor the value of one, before anything is parsed."""
    switches = {spelling for flag in flags if not flag.takes_value for spelling in flag.every_spelling}
    rest = iter(arguments)
    for argument in rest:
        if not argument.startswith("-"):
            return argument
        if "=" not in argument and _hyphens(argument) not in switches | {"-h", "--help"}:
            next(rest, None)
    return None


def value_of(spelling: str, arguments: Sequence[str]) -> str | None:
    """What follows a flag, the last time it is there, before anything is parsed."""
    found = None
    for i, argument in enumerate(arguments):
        if argument == spelling and i + 1 < len(arguments):
            found = arguments[i + 1]
        elif argument.startswith(spelling + "="):
            found = argument.partition("=")[2]
    return found


def choose(spelling: str, text: str, choices: Sequence[str]) -> str:
    """`text`, if it is one of the choices, whatever its case. Raises `InputError` if not."""
    if text.lower() in choices:
        return text.lower()
    cure = did_you_mean(text.lower(), choices, "give one of them.")
    raise InputError(f"{spelling} is {text!r}, but it must be one of {', '.join(choices)}: {cure}")


def _hyphens(argument: str) -> str:
    """`--num_envs=4` is `--num-envs=4`."""
    name, equals, value = argument.partition("=")
    return name.replace("_", "-") + equals + value if name.startswith("--") else argument


def _check(flags: Sequence[Flag], arguments: Sequence[str], command: str) -> None:
    """Raises `InputError` for an unknown flag, a value that is missing, or one that is too much."""
    known = {spelling: flag for flag in flags if not flag.positional for spelling in flag.every_spelling}
    following = [*arguments, "--"][1:]
    for argument, after in zip(arguments, following, strict=True):
        name, equals, _ = argument.partition("=")
        if not re.match(r"--?[a-zA-Z]|--$", name) or name.lower() in ("-inf", "-nan"):
            continue
        flag = known.get(name)
        if flag is None:
            cure = did_you_mean(name, known, f"{command} --help lists them.", cutoff=0.7)
            raise InputError(f"{name} is no flag of `{command}`: {cure}")
        if equals and not flag.takes_value:
            raise InputError(f"{name} takes no value: write {name} alone.")
        if flag.takes_value and not equals and re.match(r"--|-[a-zA-Z](?!nf$|an$)", after):
            raise InputError(f"{name} needs a value: write {name} {_metavar(flag)}.")
    words = [flag for flag in flags if flag.positional and flag.default is REQUIRED]
    if words and first_word(flags, arguments) is None:
        raise InputError(f"{words[0].spelled[0]} is missing ({words[0].help}): write {command} {words[0].spelled[0]}.")


def _unboxed(text: str) -> str:
    """The first paragraph of what Tyro draws in a box, in a line."""
    lines = [line.strip("│╭╮╰╯─ \t") for line in text.splitlines()[1:]]
    paragraph = lines[: lines.index("")] if "" in lines else lines
    return " ".join(paragraph).strip() or "The arguments are not understood."


def _options(flags: Sequence[Flag]) -> type:
    """A dataclass of these flags for Tyro: one field for each, and a dataclass for each group."""
    fields = [_field(flag) for flag in flags if not flag.group]
    for group in dict.fromkeys(flag.group for flag in flags if flag.group):
        part = dataclasses.make_dataclass(_group_field(group), [_field(flag) for flag in flags if flag.group == group])
        part.__doc__ = ""
        named = Annotated[part, tyro.conf.arg(name=group)]
        fields.append((_group_field(group), named, dataclasses.field(default_factory=part)))
    options = dataclasses.make_dataclass("Options", fields)
    options.__doc__ = ""
    return options


def _group_field(group: str) -> str:
    return re.sub(r"\W", "_", group.lower())


def _field(flag: Flag) -> tuple[str, Any, Any]:
    *aliases, name = flag.spelled  # Tyro shows the name behind its aliases
    names: dict[str, Any] = {} if flag.positional else {"name": name[2:], "aliases": aliases}
    if flag.default is None or (flag.default is False and not flag.on_and_off):
        names["help_behavior_hint"] = ""  # the text says what happens without it
    if flag.kind == tuple[str, ...]:
        names["metavar"] = flag.metavar
    words = tyro.conf.arg(help=flag.help, prefix_name=False, **names)
    if flag.kind is bool:
        annotation = Annotated[bool if flag.on_and_off else tyro.conf.FlagCreatePairsOff[bool], words]
    elif flag.kind == tuple[str, ...]:
        annotation = Annotated[tyro.conf.UseAppendAction[flag.kind], words]
    else:
        annotation = Annotated[Any, _constructor(flag), words]  # which knows its kind; a default may be of another
    if flag.positional:
        annotation = tyro.conf.Positional[annotation]
    field = dataclasses.field() if flag.default is REQUIRED else dataclasses.field(default=flag.default)
    return flag.name, annotation, field


def _constructor(flag: Flag) -> PrimitiveConstructorSpec[Any]:
    kind, optional = _without_none(flag.kind)
    convert = _converter(kind)

    def from_text(texts: list[str]) -> Any:
        if optional and texts[0].lower() == "none":
            return None
        return convert(flag.spelled[0], texts[0])

    return PrimitiveConstructorSpec(
        nargs=1,
        metavar=_metavar(flag),
        instance_from_str=from_text,
        is_instance=lambda value: True,
        str_from_instance=lambda value: [_shown(value)],
    )


def _without_none(kind: Any) -> tuple[Any, bool]:
    is_union = typing.get_origin(kind) in (types.UnionType, typing.Union)  # pyright: ignore[reportDeprecated]
    parts = typing.get_args(kind) if is_union else (kind,)
    kinds = [part for part in parts if part is not type(None)]
    return functools.reduce(operator.or_, kinds), len(kinds) < len(parts)


def _metavar(flag: Flag) -> str:
    kind, optional = _without_none(flag.kind)
    if typing.get_origin(kind) is Literal:
        name = "|".join(typing.get_args(kind))
    else:
        name = flag.metavar or {int: "N", float: "X", _ONE_OR_SEVERAL: "N[,N...]"}.get(kind, "TEXT")
    return f"{name}|none" if optional and flag.default is not None else name


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(map(_shown, value))
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _converter(kind: Any) -> Callable[[str, str], Any]:
    """From a flag's spelling and the text after it to its value."""
    if typing.get_origin(kind) is Literal:
        return lambda spelling, text: _rethrown(choose, spelling, text, typing.get_args(kind))
    return {int: _whole, float: _number, str: lambda spelling, text: text, _ONE_OR_SEVERAL: _wholes}[kind]


def _rethrown(function: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return function(*arguments)
    except InputError as error:
        raise _Wrong(str(error)) from None


def _whole(spelling: str, text: str) -> int:
    """`100000`, `100_000`, `100,000` and `1e5` are the same."""
    plain = text.replace("_", "").replace(",", "")
    with contextlib.suppress(ValueError):
        return int(plain)
    with contextlib.suppress(ValueError):
        if float(plain).is_integer():
            return int(float(plain))
    raise _Wrong(f"{spelling} is {text!r}, but it must be a whole number, such as 8 or 1e6.")


def _wholes(spelling: str, text: str) -> int | tuple[int, ...]:
    """`256` is one number, `256,128` are two."""
    parts = text.strip("()[] ").split(",")
    if len(parts) == 1:
        return _whole(spelling, text)
    return tuple(_whole(spelling, part.strip()) for part in parts if part.strip())


def _number(spelling: str, text: str) -> float:
    with contextlib.suppress(ValueError):
        if not math.isnan(value := float(text)):
            return value
    raise _Wrong(f"{spelling} is {text!r}, but it must be a number, such as 0.1 or 3e-4.")
