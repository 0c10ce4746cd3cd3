"""A hook of MkDocs: the pages of the site that are made from the code, and what it shares with `logpi explain`.

The command reference comes from the flags that the commands parse, the Python reference from the docstrings.
"""

import importlib
import inspect
import re
from pathlib import Path
from typing import Any

import logpi
from logpi.cli.arguments import Flag, REQUIRED

ROOT = Path(__file__).parents[1]
KATEX = ROOT / "logpi" / "explain" / "assets" / "vendor" / "katex"
REPOSITORY_LINK = re.compile(r"\[([^\]]+)\]\((?:\.\./)+(?:examples|tests|benchmarks)/[^)]*\)")
MODULES = (
    "algorithms", "audit", "batch", "credit", "demonstrations", "distributions", "envs", "errors", "estimation",
    "estimators", "evaluation.evaluate", "explain", "learners", "models", "models.heads", "progress.events", "report",
    "rollout", "runs.run", "runs.settings", "spaces", "surrogates", "training.train", "trajectory", "transforms",
)  # fmt: skip


def on_files(files: Any, config: Any) -> Any:
    """Adds what is made from the code."""
    from mkdocs.structure.files import File

    from logpi.explain import page

    made = {
        "reference/commands.md": commands(),
        "reference/python.md": python(),
        "changelog.md": (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"),
        "explain.html": page(),
    }
    for uri, text in made.items():
        files.append(File.generated(config, uri, content=text))
    for path in sorted(KATEX.rglob("*.*")):
        uri = f"assets/katex/{path.relative_to(KATEX).as_posix()}"
        files.append(File.generated(config, uri, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Links to files of the repository that the site does not hold become plain words."""
    return REPOSITORY_LINK.sub(r"\1", markdown)


def commands() -> str:
    """The command reference, in Markdown."""
    parts = [
        "# Commands\n\nWhat `logpi COMMAND --help` says, of every command. A wrong word, number or folder gets one "
        "sentence with the cure, and exit status 2; a training that NaN stopped ends with 3, an audit that found "
        "something with 1."
    ]
    for command, description, flags in _commands():
        words = [flag.metavar or flag.name.upper() for flag in flags if flag.positional]
        parts.append(f"## {' '.join([command, *words])}\n\n{description}\n\n{_table(flags)}")
    return "\n\n".join(parts) + "\n"


def python() -> str:
    """The Python reference: every public name of every public module, for mkdocstrings to fill in."""
    parts = ["# Python\n\nWhat the modules offer; the names in bold are those of `import logpi` too."]
    for name in MODULES:
        module = importlib.import_module(f"logpi.{name}")
        parts.append(f"## logpi.{name}\n\n{(module.__doc__ or '').splitlines()[0]}")
        for public, place in _offered(module):
            short = f"**logpi.{public}**" if public in logpi.__all__ else f"{name}.{public}"
            parts.append(f"### {short}\n\n::: {place}")
    return "\n\n".join(parts) + "\n"


def _offered(module: Any) -> list[tuple[str, str]]:
    """The public classes and functions of a module, or of the modules below it, and where each is defined."""
    names = getattr(module, "__all__", vars(module))  # names that are looked up when first used are in the first alone
    named = [(name, getattr(module, name)) for name in names if not name.startswith("_")]
    made = [(name, thing) for name, thing in named if inspect.isclass(thing) or inspect.isfunction(thing)]
    mine = [(name, thing) for name, thing in made if thing.__module__.startswith(module.__name__)]
    return [(name, f"{thing.__module__}.{thing.__name__}") for name, thing in mine]


def _commands() -> list[tuple[str, str, list[Flag]]]:
    """Each command with its description and its flags."""
    from logpi.cli import audit, evaluate, explain, report, resume, show, train, watch
    from logpi.cli import list as listing
    from logpi.cli.fields import settings_flags
    from logpi.runs.presets import GENERAL

    found = [(train.COMMAND, train.DESCRIPTION, train.FLAGS)]
    for name, general in GENERAL.items():
        found.append((f"{train.COMMAND} --algorithm {name}", "", settings_flags(general)))
    found += [(c.COMMAND, c.DESCRIPTION, c.FLAGS) for c in (resume, evaluate, watch, listing, show, report, explain)]
    return found + [(f"logpi audit {kind}", *audit.usage(kind)) for kind in audit.KINDS]


def _table(flags: list[Flag]) -> str:
    """Flags, defaults and meanings."""
    rows = ["| | default | |", "|---|---|---|"]
    for flag in flags:
        spelled = " ".join(filter(None, (flag.spelled[0], flag.metavar if not flag.positional else "")))
        rows.append(f"| `{spelled}` | {_default(flag)} | {flag.help.replace('|', chr(92) + '|')} |")
    return "\n".join(rows)


def _default(flag: Flag) -> str:
    nothing = any(flag.default is none for none in (REQUIRED, None, False))  # 0 equals False, and is a default
    return "" if nothing else f"`{flag.default}`"
