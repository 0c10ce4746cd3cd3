"""Trainings in processes of their own, killed and resumed, and what they leave."""

import dataclasses
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import logpi
from logpi.errors import InputError
from logpi.runs.checkpoints import damage, listed
from logpi.runs.metrics import read_rows

CODE = "import sys; from logpi.cli.main import main; sys.exit(main())"


@dataclasses.dataclass(frozen=True)
class Training:
    """A command line, but for its folder."""

    env: str = "CartPole-v1"
    flags: tuple[str, ...] = ()

    def start(self, folder: Path) -> subprocess.Popen:
        """From the beginning."""
        return _run("train", self.env, "--out", str(folder), "--overwrite", "--evaluate-episodes", "0", *self.flags)

    def resume(self, folder: Path, every: str) -> subprocess.Popen:
        """From the newest checkpoint."""
        return _run("resume", str(folder), "--evaluate-episodes", "0", "--checkpoint-every", every)


def _run(*arguments: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", CODE, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


def kill_after(process: subprocess.Popen, folder: Path, seconds: float, how: int = signal.SIGKILL) -> bool:
    """Kills a process that many seconds after it has first done something new; False if it ended before."""
    least, limit = _written(folder), time.monotonic() + 300
    while process.poll() is None and (now := _written(folder)) <= least and time.monotonic() < limit:
        least = now  # what is resumed first takes back rows that no checkpoint holds
        time.sleep(0.005)
    try:
        process.wait(seconds)
        return False
    except subprocess.TimeoutExpired:
        process.send_signal(how)
        process.communicate()
        return True


def _written(folder: Path) -> int:
    """Bytes of metrics."""
    try:
        return (folder / "metrics.jsonl").stat().st_size
    except FileNotFoundError:
        return 0


def faults_of(folder: Path) -> list[str]:
    """What is wrong with a run folder that a process left; nothing, if all promises are kept."""
    found = [f"{path.name}: {damage(path)}" for path in listed(folder / "checkpoints") if damage(path)]
    try:
        read_rows(folder)
        if list(folder.glob("policy-*")):
            logpi.load(folder)
    except InputError as error:
        found.append(str(error))
    return found


def newest(folder: Path) -> int:
    """The updates in the newest checkpoint; 0 without any."""
    paths = listed(folder / "checkpoints")
    return int(paths[0].name) if paths else 0


def same_files(first: Path, second: Path) -> list[str]:
    """Which of the policies and metrics of two runs differ. Times are of the clock: they always do."""
    found = {path.name for folder in (first, second) for path in folder.iterdir()}
    names = {name for name in found if name == "metrics.jsonl" or name.endswith(".safetensors")}

    def content(folder: Path, name: str) -> bytes | None:
        return (folder / name).read_bytes() if (folder / name).exists() else None

    return sorted(name for name in names if content(first, name) != content(second, name))


def resident_bytes() -> int:
    """The memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
