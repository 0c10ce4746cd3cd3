"""Trainings in processes of their own, killed and resumed, and what they leave."""

import dataclasses
import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

import logpi
from logpi.errors import InputError
from logpi.runs.checkpoints import damage, listed, mark_of, STATE
from logpi.runs.folder import policy_file
from logpi.runs.metrics import read_rows
from logpi.runs.run import read_config

ROOT = Path(__file__).parents[2]
CODE = "import sys; from logpi.cli.main import main; sys.exit(main())"


@dataclasses.dataclass(frozen=True)
class Training:
    """A command line, but for its folder."""

    env: str = "CartPole-v1"
    flags: tuple[str, ...] = ()

    def start(self, folder: Path) -> subprocess.Popen:
        """From the beginning."""
        return _run("train", self.env, "--out", str(folder), "--overwrite", "--evaluate-episodes", "0", *self.flags)

    def beside(self, place: Path, out: str | None, seed: int) -> subprocess.Popen:
        """From the beginning in a folder, as a person types it: with a name for the run, or without."""
        named = [] if out is None else ["--out", out]
        return _run(
            "train", self.env, "--seed", str(seed), "--evaluate-episodes", "0", *named, *self.flags, place=place
        )

    def resume(self, folder: Path, every: str) -> subprocess.Popen:
        """From the newest checkpoint."""
        return _run("resume", str(folder), "--evaluate-episodes", "0", "--checkpoint-every", every)


def _run(*arguments: str, place: Path | None = None) -> subprocess.Popen:
    command = [sys.executable, "-c", CODE, *arguments]
    paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd=place,
        env={**os.environ, "PYTHONPATH": paths},
    )  # fmt: skip


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


def mixed(folder: Path) -> list[str]:
    """What of a complete run folder is another run's: checkpoints, rows, or policies that no checkpoint holds."""
    from safetensors.numpy import load_file

    run = read_config(folder)
    found = [f"{path.name}: {damage(path, run_id=run.run_id)}" for path in listed(folder / "checkpoints")
             if damage(path, run_id=run.run_id)]  # fmt: skip
    found += [f"{folder.name}: rows of another seed" for row in read_rows(folder) if row["seed"] not in run.seeds]
    (newest_one, *_) = listed(folder / "checkpoints")
    mark = mark_of(newest_one)
    lines = (folder / "metrics.jsonl").read_bytes()
    if mark is None or hashlib.sha256(lines[: mark.bytes]).hexdigest() != mark.sha256:
        found.append(f"{folder.name}: other rows than the checkpoint knows")
    state = load_file(newest_one / STATE)
    for i, seed in enumerate(run.seeds):
        for name, array in load_file(folder / policy_file(seed)).items():
            there = [value for place, value in state.items() if place.startswith(f"[{i}]") and place.endswith(name)]
            if not any(np.array_equal(array, value) for value in there):
                found.append(f"{folder.name}: {name} of seed {seed} is in no checkpoint")
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
