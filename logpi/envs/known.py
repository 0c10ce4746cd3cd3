"""Which environments there are by name, which of them can be made here, and what would bring the others."""

import fnmatch
import functools
import importlib.util
import sys
from collections.abc import Iterator
from typing import Any

from .adapters.functional import TWINS
from .probes import KINDS, PROBES

# Of Gymnasium's own environments, by a part of their entry point, which is the extra too: the package, as it is called
# and as it is imported.
EXTRAS = {"mujoco": ("MuJoCo", "mujoco"), "box2d": ("Box2D", "Box2D")}
# Names that other packages register with Gymnasium once they are imported: what to install, and what to import.
ELSEWHERE = {
    "*NoFrameskip-v4": ("ale-py", "ale_py"),
    "MiniGrid-*": ("minigrid", "minigrid"),
    "BabyAI-*": ("minigrid", "minigrid"),
    "Fetch*": ("gymnasium-robotics", "gymnasium_robotics"),
    "HandManipulate*": ("gymnasium-robotics", "gymnasium_robotics"),
    "AdroitHand*": ("gymnasium-robotics", "gymnasium_robotics"),
    "AntMaze*": ("gymnasium-robotics", "gymnasium_robotics"),
    "PointMaze*": ("gymnasium-robotics", "gymnasium_robotics"),
    "FrankaKitchen-*": ("gymnasium-robotics", "gymnasium_robotics"),
    "dm_control/*": ("shimmy[dm-control]", "shimmy"),
    "highway-*": ("highway-env", "highway_env"),
    "miniwob/*": ("miniwob", "miniwob"),
}


def is_installed(package: str) -> bool:
    """Whether a package can be imported."""
    return importlib.util.find_spec(package) is not None


@functools.cache
def envpool_ids() -> frozenset[str]:
    """The ids that EnvPool has; none where it is not installed. Importing it takes about a second."""
    if not is_installed("envpool"):
        return frozenset()
    import envpool

    return frozenset(envpool.list_all_envs())


@functools.cache
def _atari_ids() -> frozenset[str]:
    """Those of them that are Atari games."""
    if not is_installed("envpool"):
        return frozenset()
    from envpool.registration import registry

    return frozenset(id for id, (module, *_) in registry.specs.items() if module == "envpool.atari")


def is_atari(name: str) -> bool:
    """Whether a name means an Atari game, of ale-py's or EnvPool's."""
    if "ALE/" in name or name.startswith("ale:"):
        return True
    id = name.removeprefix("envpool:")
    return id.endswith("-v5") and id in _atari_ids()


def brought_by(name: str) -> str:
    """What brings a name that another package registers, as the end of a sentence.

    Empty where none is known to, or where that package has been imported: then the name is a slip.
    """
    found = next((value for pattern, value in ELSEWHERE.items() if fnmatch.fnmatchcase(name, pattern)), None)
    if found is None or found[1] in sys.modules:
        return ""
    package, module = found
    install = "" if is_installed(module) else f"pip install {_quoted(package)}, and "
    prepared = f"; ALE/{name.replace('NoFrameskip-v4', '-v5')} is prepared for learning" if module == "ale_py" else ""
    return f"{package} brings it: {install}name it {module}:{name}{prepared}"


def _quoted(package: str) -> str:
    return f'"{package}"' if "[" in package else package


def known_environments() -> Iterator[dict[str, Any]]:
    """A row for each environment that a name stands for: the name, its suite, how it runs, and what it needs.

    `needs` is empty where it can be made here. Of a suite that is not installed there is one row.
    """
    import gymnasium

    for id, spec in gymnasium.registry.items():
        if id.startswith("ALE/"):  # by ale-py, below
            continue
        extra = next((extra for extra in EXTRAS if extra in str(spec.entry_point)), "")
        lacks = bool(extra) and not is_installed(EXTRAS[extra][1])
        compiled = id in TWINS and is_installed("flax")
        yield _row(id, "gymnasium", "compiled" if compiled else "on the host", extra if lacks else "")
    for probe in PROBES:
        for kind in KINDS:
            yield _row(f"probe:{probe}-{kind}", "probe", "compiled", "")
    if is_installed("gymnax"):
        from .adapters.gymnax import gymnax_ids

        yield from (_row(f"gymnax:{id}", "gymnax", "compiled", "") for id in gymnax_ids())
    else:
        yield _row("gymnax:*", "gymnax", "compiled", "gymnax")
    yield from (_row(f"envpool:{id}", "envpool", "on the host, in threads", "") for id in sorted(envpool_ids()))
    if not is_installed("envpool"):
        yield _row("envpool:*", "envpool", "on the host, in threads", "envpool")
    if is_installed("ale_py"):
        from .adapters.ale import ale_ids, PREFIX

        yield from (_row(PREFIX + id, "ale", "on the host, in threads", "") for id in ale_ids())
    else:
        yield _row("ALE/*", "ale", "on the host, in threads", "atari")
    registered = set(gymnasium.registry)
    for pattern, (package, module) in ELSEWHERE.items():
        if not fnmatch.filter(registered, pattern):
            row = _row(f"{module}:{pattern}", package, "on the host", "")
            yield row if is_installed(module) else row | {"needs": f"pip install {_quoted(package)}"}


def _row(name: str, suite: str, runs: str, extra: str) -> dict[str, Any]:
    return {"name": name, "suite": suite, "runs": runs, "needs": f'pip install "logpi[{extra}]"' if extra else ""}
