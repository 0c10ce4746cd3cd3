"""The fields of `Settings` as flags, and back: the algorithm's, its parts', the network's."""

import ast
import dataclasses
import functools
import inspect
import itertools
import re
import textwrap
import typing
from collections.abc import Iterable
from typing import Any

from ..credit import GAE, MonteCarlo, NStep, VTrace
from ..errors import InputError
from ..runs.presets import algorithm_name, GENERAL, preset
from ..runs.settings import Settings
from ..transforms import RewardScaling
from .arguments import choose, Flag

CREDITS = {"gae": GAE, "n-step": NStep, "monte-carlo": MonteCarlo, "v-trace": VTrace}
_SPELLINGS = {
    "num_envs": ("--envs", "--num-envs"),
    "learning_rate": ("--learning-rate", "--lr"),
    "lam": ("--lam", "--gae-lambda"),
    "n": ("--n", "--n-steps"),
    "limit": ("--reward-limit",),
}
# Where a class has no line for a field, or one that says too much for a command line.
_TEXTS = {
    "steps": "agent steps of each seed, over all its environments; rounded up to whole rollouts",
    "value_clip": "how far a value may move likewise, in units of return",
    "value_coef": "how much the error of the critic counts beside the surrogate",
    "entropy_coef": "how much the entropy counts beside the surrogate",
    "num_epochs": "passes over each rollout",
    "num_minibatches": "steps in each pass",
    "segment_length": "steps that backpropagation goes back in a model with memory; none: the whole rollout",
    "memory": "what the policy remembers with",
    "activation": "of the hidden layers",
    "learning_rate": "step size of Adam",
    "anneal": "share of the learning rate that is gone at the end, linearly",
    "max_grad_norm": "the norm that a gradient is cut to",
    "epsilon": "what Adam adds to the denominator",
    "gamma": "discount of rewards to come, and of the sums that rewards are scaled by",
    "lam": "0 is the one-step advantage, 1 Monte Carlo",
    "rho": "where the ratio of probabilities is cut, which says what is valued",
    "c": "where it is cut in the traces, which says how far they reach",
    "n": "rewards before the critic's value stands for the rest",
    "limit": "where scaled rewards are clipped",
    "actions": "how a continuous action comes to its environment: clipped to the bounds, or -1 and 1 put on them",
}


def settings_for(env: str, algorithm: str | None, credit: str | None) -> Settings:
    """The preset for an environment and an algorithm, with another kind of credit if one is named.

    Raises `InputError` for names that there are not.
    """
    return with_credit(preset(env, choose("--algorithm", algorithm, tuple(GENERAL)) if algorithm else "ppo"), credit)


def settings_again(settings: Settings, algorithm: str | None, credit: str | None) -> Settings:
    """The settings of a run, with another kind of credit if one is named.

    Raises `InputError` for another algorithm: its fields are others.
    """
    name = algorithm_name(settings.algorithm)
    if algorithm is not None and choose("--algorithm", algorithm, tuple(GENERAL)) != name:
        raise InputError(
            f"--algorithm is {algorithm!r}, but the run of --from is one of {name}: leave out one of them."
        )
    return with_credit(settings, credit)


def with_credit(settings: Settings, credit: str | None) -> Settings:
    """Settings with another kind of credit, if one is named. Raises `InputError` for a name that there is not."""
    if credit is None:
        return settings
    kind = CREDITS[choose("--credit", credit, tuple(CREDITS))]
    before: Any = settings.algorithm
    if "credit" not in _parts(before):
        raise InputError(
            f"--credit is {credit}, but {type(before).__name__} has none, for it has no advantages of actions in a "
            "rollout: leave it out."
        )
    if type(before.credit) is kind:
        return settings
    try:
        algorithm_with: Any = dataclasses.replace(before, credit=kind(gamma=before.credit.gamma))
    except InputError as error:  # the algorithm takes another kind
        raise InputError(in_flags(str(error), ("credit",))) from None
    return dataclasses.replace(settings, algorithm=algorithm_with)


def settings_flags(settings: Settings, *, texts: bool = True) -> list[Flag]:
    """A flag for every number and choice in settings, with their values as defaults; one for what parts share.

    Without `texts` they have no help: finding that takes longer than all the rest.
    """
    algorithm: Any = settings.algorithm
    flags = _fields(settings, ("steps", "num_envs", "rollout_length", "overlap", "actions"), "", texts)
    parts = _parts(algorithm)
    for part in (algorithm, *parts.values()):
        taken = parts.keys() | {flag.name for flag in flags}
        names = [f.name for f in dataclasses.fields(part) if f.name not in taken]
        flags += _fields(part, names, type(part).__name__, texts)
    flags += _fields(settings.network, [f.name for f in dataclasses.fields(settings.network)], "network", texts)
    text, warm = "data that the policy is cloned from first: an .npz file, or minari:NAME", settings.warm_start
    flags.append(Flag("warm_start", str | None, text, None if warm is None else warm.data, metavar="DATA"))
    text = "divide rewards by the standard deviation of their running discounted sum"
    scaling = settings.reward_scaling
    flags += _fields(settings, ("reward_clipping",), "rewards", texts)
    flags.append(Flag("reward_scaling", bool, text, scaling is not None, on_and_off=True, group="rewards"))
    flags += _fields(scaling or RewardScaling(), ("limit",), "rewards", texts)
    return flags


def changed(settings: Settings, values: dict[str, Any]) -> Settings:
    """Settings with other values for some flags.

    Raises `InputError`, in the words of the command line, for a value that is out of range.
    """
    try:
        return dataclasses.replace(settings.with_(**values), source=settings.source)
    except InputError as error:
        raise InputError(in_flags(str(error), values)) from None


def _parts(algorithm: Any) -> dict[str, Any]:
    """The fields of an algorithm that are objects with fields of their own."""
    values = {f.name: getattr(algorithm, f.name) for f in dataclasses.fields(algorithm)}
    return {name: value for name, value in values.items() if dataclasses.is_dataclass(value)}


def in_flags(sentence: str, names: Iterable[str]) -> str:
    """A sentence that begins with one of these fields, beginning with its flag."""
    name, space, rest = sentence.partition(" ")
    if name not in names:
        return sentence
    return _SPELLINGS.get(name, ("--" + name.replace("_", "-"),))[0] + space + rest


def _fields(part: Any, names: Iterable[str], group: str, texts: bool) -> list[Flag]:
    kinds, known = typing.get_type_hints(type(part)), _class_texts(type(part)) | _TEXTS if texts else {}
    return [
        Flag(name, kinds[name], _lower(known.get(name, "")), getattr(part, name), _SPELLINGS.get(name, ()), "",
             group, on_and_off=kinds[name] is bool)
        for name in names
    ]  # fmt: skip


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


@functools.lru_cache(maxsize=256)
def _class_texts(kind: type) -> dict[str, str]:
    """What a class says of its fields: in a list in its docstring ("- `name`: ..."), or in a string behind each."""
    found = {}
    for names, text in re.findall(r"^ *- (`.+?`): (.+(?:\n  +[^\s-].*)*)", inspect.getdoc(kind) or "", re.MULTILINE):
        found |= {name: " ".join(text.split()).rstrip(".") for name in re.findall(r"`(\w+)`", names)}
    body = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0]
    statements = body.body if isinstance(body, ast.ClassDef) else []
    for field, text in itertools.pairwise(statements):
        match field, text:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(words))):
                found[name] = " ".join(words.split()).rstrip(".")
            case _:
                pass
    return found
