"""`logpi audit`: whether a gradient, a policy, an environment or a run is what it says. Status 1 where it is not."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ..errors import check_between, did_you_mean, InputError
from .arguments import choose, Flag, parse
from .objects import environment_of, is_object, load_module, load_object, named
from .terminal import transient

HELP = """\
usage: logpi audit KIND TARGET ...

Whether something is what it says: each thing looked at with its size, its error and its cure. Status 1 where
something is wrong.

kinds:
  policy FILE.py:NAME|RUN        a distribution or policy: normalised, scores of mean 0, draws that follow the density
  program FILE.py:NAME           a program (params, key) -> scalar: unbiased value and gradient, errors that cover
  objective ALGORITHM|FILE.py:NAME  the expected update of ppo, a2c, trpo, sac, td3, ..., or of your own
  loss NAME|FILE.py:NAME         a loss of arrays (log_prob, reward, mask, ...): grpo, rloo, ... or your own
  env NAME|FILE.py:NAME          an environment: spaces, seeds, ends, time limits
  run RUN                        a run: the noise of its gradients, its critic, whether the update goes up

Naming a file runs it. logpi audit KIND --help lists the flags of a kind.
"""
_COMMON = [
    Flag("seed", int, "seed of the draws", 0, metavar="S"),
    Flag("json", bool, "one JSON object on stdout, in place of the table", False),
]
_ENV = Flag("env", str | None, "a run's environment, where no name tells it", None, metavar="FILE.py:NAME")
_TARGETS = {
    "policy": ("FILE.py:NAME or a run folder", "Whether a distribution is one, and draws what it says."),
    "program": ("FILE.py:NAME, a function of (params, key)", "Whether value and gradient of a program are unbiased."),
    "objective": (
        "ppo, a2c, reinforce, trpo, npg, impala, sac, td3, ddpg, FILE.py:NAME",
        "How an expected update lies to the true gradient.",
    ),
    "loss": ("a loss of the gallery, or FILE.py:NAME", "How the gradient of a loss lies to the true gradient."),
    "env": ("an environment as logpi train takes it, or FILE.py:NAME", "Whether an environment keeps its promises."),
    "run": ("folder of a run, as logpi train makes", "What a run's gradient and critic are worth where it stands."),
}
KINDS = list(_TARGETS)
_FLAGS = {
    "policy": [Flag("samples", int, "draws to look at", 20_000), _ENV],
    "program": [
        Flag("params", str, "the name in the same file of the parameters to stand at", "params", metavar="NAME"),
        Flag("exact", str | None, "the name there of the gradient, or of a function that is J", None, metavar="NAME"),
        Flag("replicates", int, "runs of the program", 4000),
    ],
    "objective": [
        Flag("credit", str | None, "a credit in place of the usual one, for advantages", None, metavar="FILE.py:NAME"),
        Flag("entropy_coef", float, "the entropy bonus that an objective of your own means to have", 0.0),
    ],
    "loss": [
        Flag("group_size", int, "sequences in a group", 4),
        Flag("rows", bool, "every array is flat: a loss over steps, not over sequences", False),
        Flag("maximise", bool, "it is maximised, not minimised", False),
        Flag("beta", float | None, "what the weight of the KL term should be", None),
    ],
    "env": [
        Flag("steps", int, "steps to take", 1000),
        Flag("timeout", float, "seconds that a step may take", 10.0),
        Flag("time_limit", int | None, "steps after which it cuts, if it does not announce that", None),
    ],
    "run": [
        Flag("batches", int | None, "rollouts whose gradients are compared; 32, on the host 8", None),
        Flag("updates", int | None, "updates that are tried; 4, on the host 2", None),
        Flag("episodes", int | None, "episodes before and after each of them; 256, on the host 32", None),
        _ENV,
    ],
}


def usage(kind: str) -> tuple[str, list[Flag]]:
    """What a kind of audit is for, and its flags."""
    target, description = _TARGETS[kind]
    return description, [Flag("target", str, target, metavar="TARGET", positional=True), *_FLAGS[kind], *_COMMON]


def audit_command(arguments: Sequence[str]) -> int:
    """Audits, prints the report, and returns 0 where all is well, 1 where something is wrong."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(HELP, end="")
        return 0 if arguments else 2
    kind, *rest = arguments
    kind = choose("the kind of audit", kind, KINDS)
    description, flags = usage(kind)
    values = parse(flags, rest, f"logpi audit {kind}", description)
    check_between("--seed", values["seed"], 0, 2**31 - 1)
    with transient("starting JAX ..."):
        import jax

        from .. import audit as audits
        from ..training.cache import compilation_cache

    compilation_cache()
    with transient(f"auditing {values['target']} ..."):
        report = _AUDITS[kind](audits, values, jax.random.key(values["seed"]))
    print(report.to_json() if values["json"] else report)
    return 0 if report.passed else 1


def _policy(audits: Any, values: dict[str, Any], key: Any) -> Any:
    target = values["target"]
    if is_object(target):
        return audits.policy(_made(load_object(target)), key, samples=values["samples"])
    from ..runs.run import load

    run = load(target, environment=environment_of(values["env"]))
    return audits.policy(run.policy.model, key, obs=_first_obs(run, values["seed"]), samples=values["samples"])


def _made(thing: Any) -> Any:
    """A distribution itself, or what a function without arguments makes of it."""
    return thing() if callable(thing) and not hasattr(thing, "log_prob") else thing  # the user's own object


def _first_obs(run: Any, seed: int) -> Any:
    """What the policy of a run sees first in its environment."""
    import jax

    from ..rollout import close_or_warn

    source = run.source()
    rollout = run.rollout(source, source.envs(1), 1)
    key = jax.random.key(seed)
    trajectory, state = rollout.collect(run.policy.model, rollout.init(run.policy.model, key), key)
    close_or_warn(rollout, state)
    return jax.tree.map(lambda x: x[0, 0], trajectory.obs)


def _program(audits: Any, values: dict[str, Any], key: Any) -> Any:
    path, _, name = values["target"].rpartition(":")
    if not is_object(values["target"]):
        raise InputError(f"{values['target']!r} names no program: give FILE.py:NAME, a function of (params, key).")
    module = load_module(Path(path))
    exact = None if values["exact"] is None else named(module, values["exact"])
    params = named(module, values["params"])
    return audits.program(named(module, name), params, key, exact, replicates=values["replicates"])


def _objective(audits: Any, values: dict[str, Any], key: Any) -> Any:
    from ..runs.presets import GENERAL

    target, credit = values["target"], None
    if values["credit"] is not None:
        if not is_object(values["credit"]):
            raise InputError(f"--credit is {values['credit']!r}, but it must be FILE.py:NAME, a credit or a function.")
        credit = load_object(values["credit"])
    if is_object(target):
        subject = load_object(target)
    else:
        subject = GENERAL[choose("the algorithm", target, list(GENERAL))].algorithm
    return audits.objective(subject, key=key, credit=credit, entropy_coef=values["entropy_coef"])


def _loss(audits: Any, values: dict[str, Any], key: Any) -> Any:
    target, gallery = values["target"], audits.gallery
    how = {"group_size": values["group_size"], "rows": values["rows"], "minimise": not values["maximise"]}
    if is_object(target):
        return audits.loss(load_object(target), key, beta=values["beta"], **how)
    terms = {_typed(recipe.name): recipe.loss for recipe in gallery.KL_RECIPES}
    known = {_typed(recipe.name): recipe.loss for recipe in gallery.RECIPES} | terms
    name = _typed(target)
    if name not in known:
        cure = did_you_mean(name, known, f"the gallery has {', '.join(known)};")
        raise InputError(f"{target!r} is no loss of the gallery: {cure} For one of your own give FILE.py:NAME.")
    beta = gallery.kl.BETA if name in terms and values["beta"] is None else values["beta"]
    return audits.loss(known[name], key, beta=beta, **how)


def _typed(name: str) -> str:
    """A name of the gallery as one types it: "Dr. GRPO" is dr-grpo."""
    return "-".join(name.lower().replace(".", "").replace(",", "").replace("_", " ").split())


def _env(audits: Any, values: dict[str, Any], _key: Any) -> Any:
    target = load_object(values["target"]) if is_object(values["target"]) else values["target"]
    how = {name: values[name] for name in ("seed", "steps", "timeout", "time_limit")}
    return audits.env(target, **how)


def _run(audits: Any, values: dict[str, Any], key: Any) -> Any:
    sizes = {name: values[name] for name in ("batches", "updates", "episodes")}
    return audits.run(values["target"], key=key, env=environment_of(values["env"]), **sizes)


_AUDITS: dict[str, Callable[[Any, dict[str, Any], Any], Any]] = {
    "policy": _policy, "program": _program, "objective": _objective, "loss": _loss, "env": _env, "run": _run,
}  # fmt: skip
