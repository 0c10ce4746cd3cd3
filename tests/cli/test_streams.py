"""What stands around a command: streams that are closed or full, names that terminals would obey, system errors."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

import logpi
from logpi.cli import main as main_module
from logpi.cli.main import main
from logpi.cli.terminal import says, Unfailing
from logpi.errors import InputError
from logpi.progress.console import LineWriter, plan_lines
from logpi.progress.events import Planned
from logpi.training.cache import tidy
from logpi.training.signals import catch_signals, signal_handler

ROOT = Path(__file__).parents[2]
CODE = "import sys; from logpi.cli.main import main; sys.exit(main())"
OUT = "import os, sys\n{}\nfrom logpi.cli.main import main\nsys.exit(main(['--version']))"


def outcome(code: str, **kwargs: object) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run([sys.executable, "-c", code], text=True, timeout=120, **{"env": env, **kwargs})


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (1, 2), (0, 1, 2)])
def test_closed_streams_are_no_failure(closed: tuple[int, ...], tmp_path: Path) -> None:
    """And what is opened next takes none of their places, where words would be written into it."""
    code = OUT.format(
        f"import logpi.cli.main as m\nreal = m._dispatch\n"
        f"def opening(arguments):\n"
        f"    handle = os.open({str(tmp_path / 'file')!r}, os.O_CREAT | os.O_WRONLY)\n"
        f"    os.write(handle, b'mine')\n    assert handle > 2\n"
        f"    print('words', file=sys.stderr)\n    return real(arguments)\nm._dispatch = opening"
    )
    shell = " ".join(f"{handle}{'<' if handle == 0 else '>'}&-" for handle in closed)
    command = ["/bin/sh", "-c", f'exec "$0" -c "$1" {shell}', sys.executable, code]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, timeout=120)
    assert done.returncode == 0 and b"Traceback" not in done.stderr
    assert (tmp_path / "file").read_bytes() == b"mine"
    assert (b"logpi" in done.stdout) == (1 not in closed)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a full disk as Linux has one")
def test_words_that_find_no_room_are_dropped() -> None:
    with open("/dev/full", "w") as full, open("/dev/null") as nothing:
        assert subprocess.run([sys.executable, "-c", CODE, "no such thing"], stderr=full, stdin=nothing).returncode == 2
        done = subprocess.run([sys.executable, "-c", CODE, "--help"], stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 2 and "No space left on device" in done.stderr and "Traceback" not in done.stderr


class Failing:
    """A stream that takes nothing for a while."""

    encoding = "ascii"

    def __init__(self, error: Exception):
        self.error: Exception | None = error
        self.text = ""

    def write(self, text: str) -> None:
        if self.error is not None:
            raise self.error
        self.text += text

    def flush(self) -> None:
        self.write("")


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "full"), OSError(errno.EIO, "gone"), BrokenPipeError(), ValueError("closed")]
)
def test_a_stream_that_fails_stops_nothing(error: Exception) -> None:
    failing = Failing(error)
    stream = Unfailing(failing)
    assert stream.write("lost") == 4 and stream.encoding == "ascii"
    stream.flush()
    failing.error = None
    print("found", file=stream, flush=True)
    assert failing.text == "found\n"


def test_progress_outlives_a_full_disk() -> None:
    failing = Failing(OSError(errno.ENOSPC, "full"))
    writer = LineWriter(failing)
    writer.say("lost")
    failing.error = None
    writer.say("found")
    assert failing.text == "found\n"


ODD = ["runs/\x1b]0;title\x07a", "a\x9b2Jb", "\u202egnp.exe", "caf\udce9"]


@pytest.mark.parametrize("name", ODD)
def test_a_terminal_obeys_no_name(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(tmp_path / name)]) == 2
    says(f"saved in {name}")
    said = capsys.readouterr().err
    assert all(line.isprintable() for line in said.splitlines()) and repr(name[-3:])[1:-1] in said
    for function in (logpi.load, logpi.resume):
        with pytest.raises(InputError) as caught:
            function(tmp_path / name)
        assert str(caught.value).isprintable() and repr(name[-3:])[1:-1] in str(caught.value)
    plan = Planned(name, "", "PPO", (0,), 8, 1, 8, "", "cpu", name)
    assert all(map(str.isprintable, plan_lines(plan)))


@pytest.mark.parametrize("number", [errno.ESTALE, errno.EIO, errno.ENOSPC, errno.ETIMEDOUT, errno.EMFILE, errno.ELOOP])
def test_whatever_the_system_refuses_is_a_sentence(
    number: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(arguments: list[str]) -> int:
        raise OSError(number, os.strerror(number), "some/file")

    monkeypatch.setattr(main_module, "_dispatch", refused)
    assert main([]) == 2
    assert f"logpi: The system says: {os.strerror(number)} (some/file): " in capsys.readouterr().err


def test_a_fault_of_ours_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(arguments: list[str]) -> int:
        raise OSError("no word of the system's")

    monkeypatch.setattr(main_module, "_dispatch", wrong)
    with pytest.raises(OSError, match="no word"):
        main([])


@pytest.mark.parametrize(
    ("variable", "value"),
    [("JAX_PLATFORMS", "nonsense"), ("JAX_DEFAULT_PRNG_IMPL", "nonsense"), ("JAX_ENABLE_X64", "maybe"),
     ("JAX_NUMPY_DTYPE_PROMOTION", "lax")],
)  # fmt: skip
def test_jax_set_as_it_cannot_be_is_a_sentence(variable: str, value: str) -> None:
    code = CODE.replace("main()", "main(['train', 'probe:identity', '--steps', '8'])")
    done = outcome(code, env={**os.environ, "PYTHONPATH": str(ROOT), variable: value}, capture_output=True)
    assert done.returncode == 2 and "JAX says: " in done.stderr and value in done.stderr
    assert "Traceback" not in done.stderr


def test_types_that_jax_must_not_mix_are_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def strict(arguments: list[str]) -> int:
        with jax.numpy_dtype_promotion("strict"):
            return int(jnp.ones(2, jnp.float32) @ jnp.ones(2, jnp.int32))

    monkeypatch.setattr(main_module, "_dispatch", strict)
    assert main([]) == 2
    assert "set JAX_NUMPY_DTYPE_PROMOTION=standard" in capsys.readouterr().err


def test_a_closed_terminal_ends_a_training_as_sigterm_does(monkeypatch: pytest.MonkeyPatch) -> None:
    with catch_signals() as event:
        signal.raise_signal(signal.SIGHUP)
        assert event.is_set() and event.signal == signal.SIGHUP

    def command(arguments: list[str]) -> int:
        signal.raise_signal(signal.SIGHUP)
        time.sleep(5)
        return 0

    monkeypatch.setattr(main_module, "_dispatch", command)
    assert main([]) == 128 + signal.SIGHUP


def test_what_nohup_started_outlives_its_terminal() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with catch_signals() as event, signal_handler((signal.SIGHUP,), lambda number, frame: event.set()):
            signal.raise_signal(signal.SIGHUP)
            assert not event.is_set()
    finally:
        signal.signal(signal.SIGHUP, before)


NOBODY = """
import pathlib
def home():
    raise RuntimeError("Could not determine home directory.")
pathlib.Path.home = home
import os, jax
os.environ.pop("XDG_CACHE_HOME", None)
os.environ.pop("LOGPI_CACHE", None)
from logpi.training.cache import compilation_cache
compilation_cache()
assert not jax.config.values["jax_compilation_cache_dir"]
os.environ["LOGPI_CACHE"] = {place!r}
compilation_cache()
assert jax.config.values["jax_compilation_cache_dir"] == {place!r}
"""


def test_nobody_needs_a_home(tmp_path: Path) -> None:
    env = {k: v for k, v in os.environ.items() if not k.startswith("JAX_COMPILATION")} | {"PYTHONPATH": str(ROOT)}
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "jit_f-cache").write_bytes(b"cut off")
    os.utime(tmp_path / "cache" / "jit_f-cache", (1, 1))
    done = outcome(NOBODY.format(place=str(tmp_path / "cache")), env=env, capture_output=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert not list((tmp_path / "cache").glob("jit_*"))


def test_entries_of_the_cache_that_were_cut_off_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import zlib

    whole, old = zlib.compress(os.urandom(5000)), time.time() - 100
    contents = {"a": whole, "b": whole[:2000], "c": b"", "d": b"no entry", "e": whole[:-1], "new": whole[:10]}
    for name, data in contents.items():
        (tmp_path / f"jit_{name}-cache").write_bytes(data)
        if name != "new":  # it may still be written
            os.utime(tmp_path / f"jit_{name}-cache", (old, old))
    tidy(tmp_path)
    assert sorted(path.name for path in tmp_path.glob("*-cache")) == ["jit_a-cache", "jit_new-cache"]
    (tmp_path / "jit_f-cache").write_bytes(whole)
    os.utime(tmp_path / "jit_f-cache", (old + 1, old + 1))
    monkeypatch.setattr("logpi.training.cache.LARGEST", 6000)
    tidy(tmp_path)  # of too many, the oldest goes
    assert sorted(path.name for path in tmp_path.glob("*-cache")) == ["jit_f-cache", "jit_new-cache"]
    tidy(tmp_path / "nothing")


@pytest.mark.parametrize("name", ["optax", "etils", "numpy", "jax", "logging", "json"])
def test_nothing_of_the_folder_that_one_is_in_is_run(name: str, tmp_path: Path) -> None:
    """`python -m logpi` in a stranger's run folder."""
    (tmp_path / f"{name}.py").write_text("raise SystemExit('a stranger was let in')")
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "logpi", "evaluate", "."]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2 and "config.json does not exist" in done.stderr and "stranger" not in done.stderr
