"""From what a user calls an environment to the environment: a name, a function, or an object."""

import dataclasses
from collections.abc import Callable
from typing import Any

from ..errors import check_whole, InputError, missing, nearest, said, shown
from .adapters.functional import phys2d, TWINS
from .base import AbstractEnv
from .known import brought_by, envpool_ids, EXTRAS, is_installed
from .named import named, named_as, suite_of
from .probes import KINDS, PROBES
from .sources import (
    ALEMaker,
    CompiledSource,
    EnvPoolMaker,
    EnvSource,
    FunctionMaker,
    GivenVector,
    GymnasiumMaker,
    HostSource,
    in_processes,
    looked_at,
    processes_of,
    quiet,
)
from .told_masks import vector_tells_masks

# EnvPool has these too, with other spaces than Gymnasium's of the same name.
_OTHER_SPACES = ("Blackjack-v1", "tabular/CliffWalking-v0")


def resolve(env: Any, /, *, processes: bool | int = False, **options: Any) -> EnvSource:
    """The environment that a user means.

    - A name: `CartPole-v1` and `Pendulum-v1` mean the twins in JAX that Gymnasium brings; any other id means EnvPool's
      environment where EnvPool is installed and has it, else Gymnasium's, whoever registered it (`module:Env-v0`
      imports the module first). `ALE/Pong-v5` and the like are Atari games in ale-py's threads, prepared for learning.
      A prefix chooses: `gymnasium:`, `envpool:`, `ale:`, `gymnax:`, `phys2d:` (the twins), `probe:` (`probe:recall`,
      `probe:recall-box`).
    - A function without arguments that makes a Gymnasium environment; a Gymnasium vector environment; an `AbstractEnv`.

    `options` go to the environment. `processes` is how many processes share Gymnasium's environments, each as many as
    the others; True is one for each.

    Raises `InputError` for a name that there is not, with the nearest ones, for one that needs an extra, and for
    processes of environments that are not stepped one by one.
    """
    processes = processes if isinstance(processes, bool) else check_whole("processes", processes, 1)
    given = isinstance(env, CompiledSource | HostSource)
    source = in_processes(env if given else _resolved(env, options, apart=bool(processes)), processes)
    if processes and not processes_of(source):
        raise InputError(
            f"processes is {processes}, but {source.name} has none: it is compiled, has threads, or is a vector "
            "environment already; leave it out."
        )
    return source


def _resolved(env: Any, options: dict[str, Any], *, apart: bool) -> EnvSource:
    """The environment; where it is to be `apart`, in a process, a name means Gymnasium's original."""
    if isinstance(env, str):
        suite = suite_of(env)
        if suite and (id := env.removeprefix(f"{suite}:")):
            return _in_suite(suite, env, id, options)
        return _by_bare_name(env, options, apart)
    if options:
        raise InputError(
            f"{', '.join(options)}: options go with a name; give a function that makes the environment so."
        )
    if isinstance(env, AbstractEnv):
        return CompiledSource(type(env).__name__, env)
    return _given(env)


def _given(env: Any) -> HostSource:
    """A source from what a user made with Gymnasium."""
    import gymnasium
    from gymnasium.vector import VectorEnv

    if isinstance(env, VectorEnv):
        make = GivenVector(env, masked=vector_tells_masks(env))
        vector = make(env.num_envs, None)
        return HostSource(vector.name, vector.obs_space, vector.action_space, make)
    if isinstance(env, gymnasium.Env):
        raise InputError(f"{shown(env)} is one environment, but several are needed: give the function that makes it.")
    if not callable(env):
        raise InputError(
            f"{shown(env)} is no environment: give a name, a function that makes a Gymnasium environment, or an "
            "AbstractEnv."
        )
    label = getattr(env, "__qualname__", type(env).__name__)
    try:
        made = env()
    except Exception as error:
        raise InputError(f"The function {label} raised {type(error).__name__} ({said(error)}): mend it.") from error
    if not isinstance(made, gymnasium.Env):
        raise InputError(f"The function {label} made {shown(made)}, but it must make a gymnasium.Env.")
    name = made.spec.id if made.spec else label
    with quiet():
        again = named_as(made)  # before it is looked at: that may reset it
        with looked_at(made) as looks:
            maker = FunctionMaker(env, name, shared=looks.shared, masked=looks.masked)
            return HostSource(name, looks.obs_space, looks.action_space, maker, named=again)


def _in_suite(suite: str, name: str, id: str, options: dict[str, Any], note: str = "") -> EnvSource:
    source = _SUITES[suite](name, id, options)
    return dataclasses.replace(source, note=note, named=named(suite, id, options))


def _by_bare_name(name: str, options: dict[str, Any], apart: bool) -> EnvSource:
    if name in TWINS and not options and not apart and is_installed("flax"):
        note = f"{name} runs compiled (Gymnasium's own JAX twin); gymnasium:{name} is the original."
        return _in_suite("phys2d", name, name, options, note)
    if name.startswith("ALE/"):
        return _in_suite("ale", name, name, options)
    if ":" in name:
        return _in_suite("gymnasium", name, name, options)
    import gymnasium

    spec = gymnasium.registry.get(name)
    gymnasiums_own = spec is not None and str(spec.entry_point).startswith("gymnasium.")
    if not apart and (spec is None or gymnasiums_own) and name not in _OTHER_SPACES and _in_envpool(name, options):
        note = f"{name} runs in EnvPool; gymnasium:{name} is the original." if gymnasiums_own else ""
        return _in_suite("envpool", name, name, options, note)
    if spec is None:
        raise _unknown(name, name, _all_names())
    return _in_suite("gymnasium", name, name, options)


def _gymnasium(name: str, id: str, options: dict[str, Any]) -> HostSource:
    import gymnasium

    if ":" not in id and id not in gymnasium.registry:
        raise _unknown(name, id, {known: f"gymnasium:{known}" for known in gymnasium.registry})
    maker = GymnasiumMaker(id, options)
    try:
        with looked_at(maker.one()) as looks:
            maker = dataclasses.replace(maker, shared=looks.shared, masked=looks.masked)
            return HostSource(name, looks.obs_space, looks.action_space, maker)
    except InputError:
        raise
    except Exception as error:
        raise _gymnasium_failed(id, options, error) from None


def _gymnasium_failed(id: str, options: dict[str, Any], error: Exception) -> InputError:
    """What stands in the way, in one sentence."""
    import gymnasium

    spec = gymnasium.registry.get(id)
    for part, (package, _) in EXTRAS.items():
        if isinstance(error, gymnasium.error.DependencyNotInstalled) and spec and part in str(spec.entry_point):
            return missing(id, package, part)
    if isinstance(error, ImportError) and (brought := brought_by(id.rpartition(":")[2])):
        return InputError(f"There is no environment {id!r} here; {brought}.")
    if isinstance(error, gymnasium.error.UnregisteredEnv) or (isinstance(error, ImportError) and ":" in id):
        return InputError(f"{id} is not there ({said(error)}): name a module that registers it, as in module:Env-v0.")
    given = f" with {options}" if options else ""
    return InputError(f"Gymnasium cannot make {id}{given} ({type(error).__name__}: {said(error)}): choose another.")


def _envpool(name: str, id: str, options: dict[str, Any]) -> HostSource:
    if not is_installed("envpool"):
        raise missing(name, "EnvPool", "envpool")
    from .adapters.envpool import option_names, spaces

    if id not in envpool_ids():
        raise _unknown(name, id, {known: f"envpool:{known}" for known in envpool_ids()})
    unknown = [option for option in options if option not in option_names(id)]
    if unknown:
        known = ", ".join(sorted(option_names(id)))
        raise InputError(f"{unknown[0]} is no option of EnvPool's {id}; its options are {known}.")
    with quiet():
        obs_space, action_space, *_ = spaces(id, options)
    return HostSource(name, obs_space, action_space, EnvPoolMaker(id, options))


def _ale(name: str, id: str, options: dict[str, Any]) -> HostSource:
    if not is_installed("ale_py"):
        raise missing(name, "ale-py", "atari")
    from .adapters.ale import ale_ids, option_names, PREFIX

    id = id.removeprefix(PREFIX)
    if id not in (known := ale_ids()):
        raise _unknown(name, id, {each: PREFIX + each for each in known})
    if unknown := [option for option in options if option not in option_names()]:
        known = ", ".join(sorted(option_names()))
        raise InputError(f"{unknown[0]} is no option of ale-py's {id}; its options are {known}.")
    maker = ALEMaker(id, options)
    vector = maker(1, None)
    vector.close()
    return HostSource(name, vector.obs_space, vector.action_space, maker)


def _gymnax(name: str, id: str, options: dict[str, Any]) -> CompiledSource:
    if not is_installed("gymnax"):
        raise missing(name, "gymnax", "gymnax")
    from .adapters.gymnax import gymnax_env, gymnax_ids

    if id not in gymnax_ids():
        raise _unknown(name, id, {known: f"gymnax:{known}" for known in gymnax_ids()})
    return CompiledSource(name, gymnax_env(id, **options))


def _phys2d(name: str, id: str, options: dict[str, Any]) -> CompiledSource:
    if id not in TWINS:
        raise _unknown(name, id, {known: f"phys2d:{known}" for known in TWINS})
    return CompiledSource(name, phys2d(id, **options))


def _probe(name: str, id: str, options: dict[str, Any]) -> CompiledSource:
    probe, _, kind = id.rpartition("-")
    if kind not in KINDS:
        probe, kind = id, "discrete"
    if probe not in PROBES:
        raise _unknown(name, id, _probe_names())
    try:
        return CompiledSource(name, PROBES[probe](**{"action_space": KINDS[kind], **options}))
    except TypeError as error:
        raise InputError(f"{name} does not take these options ({said(error)}).") from None


_SUITES: dict[str, Callable[[str, str, dict[str, Any]], EnvSource]] = {
    "gymnasium": _gymnasium,
    "envpool": _envpool,
    "ale": _ale,
    "gymnax": _gymnax,
    "phys2d": _phys2d,
    "probe": _probe,
}


def _in_envpool(id: str, options: dict[str, Any]) -> bool:
    if id not in envpool_ids():
        return False
    from .adapters.envpool import option_names

    return set(options) <= option_names(id)


def _probe_names() -> dict[str, str]:
    return {f"{probe}-{kind}": f"probe:{probe}-{kind}" for probe in PROBES for kind in KINDS} | {
        probe: f"probe:{probe}" for probe in PROBES
    }


def _all_names() -> dict[str, str]:
    """Every known id, and how to name it."""
    import gymnasium

    names = _probe_names()
    if is_installed("gymnax"):
        from .adapters.gymnax import gymnax_ids

        names |= {id: f"gymnax:{id}" for id in gymnax_ids()}
    return names | {id: id for id in (*envpool_ids(), *gymnasium.registry)}


def _unknown(name: str, id: str, known: dict[str, str]) -> InputError:
    """The sentence for a name that there is not. `known` has what was meant, and how to name it."""
    if name in (id, f"gymnasium:{id}") and (brought := brought_by(id)):
        return InputError(f"There is no environment {name!r} here; {brought}.")
    lower = {candidate.lower(): candidate for candidate in known}
    near = nearest(id.lower(), lower, 3)
    if near:
        cure = f"the nearest: {', '.join(known[lower[match]] for match in near)}"
    else:
        cure = "Gymnasium's, EnvPool's, gymnax:..., phys2d:... and probe:... are known"
    missing = [extra for extra in ("envpool", "gymnax") if not is_installed(extra)]
    more = "".join(f'; more come with pip install "logpi[{extra}]"' for extra in missing) if name == id else ""
    return InputError(f"There is no environment {name!r}; {cure}{more}.")
