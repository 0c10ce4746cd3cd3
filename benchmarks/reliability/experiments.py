"""The experiments: each does something to trainings and returns plain numbers; 0 under `lost` is what is promised."""

import contextlib
import itertools
import os
import random
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import logpi
from logpi.progress.events import Advanced, Event
from logpi.runs.checkpoints import listed
from logpi.runs.run import read_config

from .fuzz import fuzz, real_folder
from .operations import operations
from .processes import faults_of, kill_after, mixed, newest, resident_bytes, same_files, Training

SMALL = Training(flags=("--steps", "600000", "--envs", "8", "--rollout-length", "32", "--seeds", "2"))
QUICK = Training(flags=("--steps", "8192", "--envs", "8", "--rollout-length", "32"))


def kills(folder: Path, count: int = 100, seed: int = 0) -> dict[str, Any]:
    """SIGKILL at random moments, with a checkpoint after every update: one in a few hits while it is written."""
    dice, lost, done, runs, half = random.Random(seed), [], 0, 0, 0
    every = ("--checkpoint-every", "1")
    SMALL.start(folder / "whole").communicate()
    while done < count:
        run, runs = folder / f"run{runs}", runs + 1
        process, before = Training(SMALL.env, (*SMALL.flags, *every)).start(run), 0
        while done < count and kill_after(process, run, dice.uniform(0, 2.0)):
            done += 1
            half += bool(list((run / "checkpoints").glob(".*"))) if (run / "checkpoints").exists() else 0
            lost += faults_of(run)
            lost += [f"went back from update {before} to {newest(run)}"] if newest(run) < before else []
            before = newest(run)
            process = SMALL.resume(run, "1" if done < count else "30s")
        process.communicate()
        lost += [f"{name} differs" for name in same_files(folder / "whole", run)]
        lost += [] if process.returncode == 0 else [f"status {process.returncode}"]
        shutil.rmtree(run)
    return {"kills": done, "while writing": half, "trainings": runs, "lost": lost}


def soak(folder: Path, minutes: float = 60.0, seed: int = 0) -> dict[str, Any]:
    """Kill and resume for an hour, beside a training that nobody stops until it is further; then both to one update."""
    dice, killed, flags = random.Random(seed), 0, ("--steps", "2e9", "--envs", "16", "--rollout-length", "64")
    whole = Training(flags=(*flags, "--checkpoint-every", "1000")).start(folder / "whole")
    reader = threading.Thread(target=whole.communicate, daemon=True)  # a full pipe would stop it
    reader.start()
    process = Training(flags=(*flags, "--checkpoint-every", "10s")).start(folder / "run")
    deadline = time.monotonic() + 60 * minutes
    while (left := deadline - time.monotonic()) > 0:
        killed += kill_after(process, folder / "run", min(dice.uniform(5, 90), left))
        process = Training().resume(folder / "run", "10s")
    kill_after(process, folder / "run", 15.0, signal.SIGTERM)
    while (last := newest(folder / "run")) >= newest(folder / "whole") and whole.poll() is None:
        time.sleep(0.2)
    whole.send_signal(signal.SIGTERM)
    reader.join()
    end = newest(folder / "whole")
    process = Training().resume(folder / "run", str(end - last))
    while process.poll() is None and newest(folder / "run") < end:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=0.2)
    process.kill()
    process.communicate()
    states = [folder / name / f"checkpoints/{end:08d}/state.safetensors" for name in ("run", "whole")]
    lost = faults_of(folder / "run") + ([] if states[0].read_bytes() == states[1].read_bytes() else ["the bits differ"])
    return {"minutes": minutes, "kills": killed, "updates": end, "lost": lost}


def signals(folder: Path) -> dict[str, Any]:
    """SIGINT and SIGTERM: the exit status, what is saved, and that it goes on."""
    lost = []
    SMALL.start(folder / "whole").communicate()
    for number in (signal.SIGINT, signal.SIGTERM):
        run = folder / signal.Signals(number).name
        process = SMALL.start(run)
        kill_after(process, run, 0.5, number)
        lost += [] if process.returncode == 128 + number else [f"{number}: status {process.returncode}"]
        lost += faults_of(run) + ([] if list(run.glob("policy-*")) else [f"{number}: no policies"])
        SMALL.resume(run, "30s").communicate()
        lost += [f"{name} differs" for name in same_files(folder / "whole", run)]
    return {"signals": 2, "lost": lost}


@contextlib.contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A file system of its own, of a few bytes. Needs the right to mount."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def full_disk(folder: Path) -> dict[str, Any]:
    """A disk that fills up under a training, is given room, and a training that is resumed there."""
    lost = []
    SMALL.start(folder / "whole").communicate()
    with small_disk(folder / "disk", "1m") as disk:
        filler = disk / "filler"
        process = Training(SMALL.env, (*SMALL.flags, "--checkpoint-every", "1")).start(disk / "run")
        while newest(disk / "run") < 3 and process.poll() is None:
            time.sleep(0.01)
        with contextlib.suppress(OSError), filler.open("wb") as file:
            while True:
                file.write(bytes(4096))
                file.flush()
        said = process.communicate()[1]
        lost += [] if "No space left" in said and "Traceback" not in said else [f"it said: {said[-200:]}"]
        lost += faults_of(disk / "run")
        filler.unlink()
        subprocess.run(["mount", "-o", "remount,size=64m", disk], check=True)
        SMALL.resume(disk / "run", "30s").communicate()
        lost += [f"{name} differs" for name in same_files(folder / "whole", disk / "run")]
    return {"disks filled": 1, "status": process.returncode, "lost": lost}


def read_only(folder: Path) -> dict[str, Any]:
    """A folder that cannot be written, with an unfinished run in it: a sentence, before anything is trained."""
    with small_disk(folder / "disk", "8m") as disk:
        process = Training(SMALL.env, (*SMALL.flags, "--checkpoint-every", "1")).start(disk / "run")
        while newest(disk / "run") < 1 and process.poll() is None:
            time.sleep(0.01)
        process.kill()
        process.communicate()
        before = {path.name: path.stat().st_mtime_ns for path in (disk / "run").iterdir()}
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        lost = []
        for process in (SMALL.start(disk / "other"), SMALL.start(disk / "run"), SMALL.resume(disk / "run", "30s")):
            said = process.communicate()[1]
            refused = process.returncode == 2 and "Read-only" in said and "Traceback" not in said
            lost += [] if refused else [f"status {process.returncode}: {said[-200:]}"]
        lost += [] if before == {p.name: p.stat().st_mtime_ns for p in (disk / "run").iterdir()} else ["it changed"]
    return {"attempts": 3, "lost": lost}


def two_processes(folder: Path) -> dict[str, Any]:
    """A second training, and a resume, in the folder of one that runs."""
    lost = []
    SMALL.start(folder / "whole").communicate()
    first = SMALL.start(folder / "run")
    while not (folder / "run/metrics.jsonl").exists() or not (folder / "run/metrics.jsonl").stat().st_size:
        time.sleep(0.01)
    for second in (SMALL.start(folder / "run"), SMALL.resume(folder / "run", "30s")):
        os.kill(first.pid, signal.SIGSTOP)  # or it might be done before the others have started
        said = second.communicate()[1]
        refused = second.returncode == 2 and "Another process" in said
        lost += [] if refused else [f"status {second.returncode}: {said[-200:]}"]
    os.kill(first.pid, signal.SIGCONT)
    first.communicate()
    lost += [f"{name} differs" for name in same_files(folder / "whole", folder / "run")]
    return {"attempts": 2, "lost": lost}


def together(folder: Path, rounds: int = 10) -> dict[str, Any]:
    """Three trainings that one shell starts together: each is a whole run of its own, or is refused in a sentence."""
    lost, whole, refused = [], 0, 0
    for i, out in itertools.product(range(rounds), (None, "run")):
        place = folder / f"{i}-{out}"
        place.mkdir()
        processes = [QUICK.beside(place, out, seed) for seed in range(3)]
        said = [process.communicate()[1] for process in processes]
        done = [process.returncode == 0 for process in processes]
        runs = [place / out] if out else sorted((place / "runs").iterdir())
        lost += [fault for run in runs for fault in faults_of(run) + mixed(run)]
        seeds = sorted(seed for run in runs for seed in read_config(run).seeds)
        lost += [] if seeds == [seed for seed in range(3) if done[seed]] else [f"{place.name}: runs of {seeds}, {done}"]
        lost += [] if any(done) and (out or all(done)) else [f"{place.name}: {done}"]
        words = ("Another process is training", "already holds a run")
        lost += [s[-200:] for s, well in zip(said, done, strict=True) if not well and not any(w in s for w in words)]
        whole, refused = whole + sum(done), refused + 3 - sum(done)
    return {"trainings": 6 * rounds, "whole": whole, "refused": refused, "lost": lost}


def bit_flips(folder: Path, count: int = 200, seed: int = 0) -> dict[str, Any]:
    """A bit flipped, or the end cut off, in the newest checkpoint: it is passed over for the one before it."""
    dice, lost = random.Random(seed), []
    logpi.train("CartPole-v1", out=folder / "run", steps=8192, checkpoint_every=2)
    newest_one = listed(folder / "run/checkpoints")[0]
    kept = {path.name: path.read_bytes() for path in newest_one.iterdir()}
    for i in range(count):
        name = dice.choice(sorted(kept))
        data = bytearray(kept[name])
        at = dice.randrange(len(data))
        if i % 2:
            data[at] ^= 1 << dice.randrange(8)
        else:
            del data[at:]
        (newest_one / name).write_bytes(data)
        faults = faults_of(folder / "run")
        # The manifest's own score and version may change unseen: they decide nothing about the state.
        harmless = name == "manifest.json" and not faults
        lost += [] if faults or harmless else [f"{name} at {at} was not seen"]
        (newest_one / name).write_bytes(kept[name])
    return {"damages": count, "lost": lost}


def changed_bytes(folder: Path, inputs: int = 1_000_000, seed: int = 0) -> dict[str, Any]:
    """Files of a run folder with bytes changed at random: loaded, or refused in one clear sentence."""
    counts = fuzz(*real_folder(folder / "run"), inputs, seed)
    sums = {outcome: sum(count[outcome] for count in counts.values()) for outcome in ("refused", "loaded")}
    lost = [f"{count['failed']} of {name}" for name, count in counts.items() if count["failed"]]
    return {"inputs": inputs, **sums, "lost": lost}


class MemoryProbe:
    """A listener that notes the memory of the process at some updates."""

    def __init__(self, at: tuple[int, ...]):
        self.at, self.found, self.rows = at, {}, 0

    def __call__(self, event: Event) -> None:
        if isinstance(event, Advanced):
            self.rows += len(event.rows)
            for update in self.at:
                if self.rows >= update and update not in self.found:
                    self.found[update] = resident_bytes()


def memory(folder: Path, updates: int = 10_000) -> dict[str, Any]:
    """Memory at a tenth and at the end of ten thousand updates; the history that a run returns is part of it."""
    found = {}
    for env in ("CartPole-v1", "gymnasium:CartPole-v1"):
        listener = MemoryProbe((updates // 10, updates))
        size = {"num_envs": 2, "rollout_length": 8}
        algorithm = logpi.PPO(num_epochs=1, num_minibatches=1)
        logpi.train(env, algorithm, steps=updates * 16, out=folder / env.replace(":", "-"), callbacks=listener, **size)
        early, late = (listener.found[update] for update in listener.at)
        found[env] = {"early MB": round(early / 1e6, 1), "late MB": round(late / 1e6, 1)}
    grown = {env: numbers["late MB"] - numbers["early MB"] for env, numbers in found.items()}
    # A row of the history takes about 1.5 kB of Python objects.
    limit = 2e-3 * 0.9 * updates + 10
    return {"updates": updates, **found, "lost": [f"{e} grew by {g:.0f} MB" for e, g in grown.items() if g > limit]}


def cost(folder: Path, seconds: float = 125.0) -> dict[str, Any]:
    """The share of training time that checkpoints take at the default interval of 30 s: three of them, and the last.

    `seconds` is about how long each training takes. It may be a fifth less, as a short pilot runs more slowly.
    """
    found = {}
    for name, env, changes in (
        ("CartPole-v1", "CartPole-v1", {}),
        ("CartPole-v1, 8 seeds", "CartPole-v1", {"seeds": 8}),
        ("CartPole-v1, LSTM of 256", "CartPole-v1", {"network": logpi.Network(memory="lstm", width=256)}),
    ):
        pilot = logpi.train(env, steps=65_536, **changes).summary["steps_per_second"]
        steps = int(seconds * pilot / changes.get("seeds", 1))
        summary = logpi.train(env, steps=steps, out=folder / name.replace(" ", "-"), **changes).summary
        share = summary["checkpoint_seconds"] / summary["train_seconds"]
        found[name] = {"train s": summary["train_seconds"], "share %": round(100 * share, 3)}
    return {**found, "lost": [name for name, numbers in found.items() if numbers["share %"] > 2]}


EXPERIMENTS = {
    "kills": kills, "file operations": operations, "signals": signals, "full disk": full_disk,
    "read-only folder": read_only, "two processes": two_processes, "together": together, "bit flips": bit_flips,
    "changed bytes": changed_bytes, "cost": cost, "memory": memory, "soak": soak,
}  # fmt: skip


def run(name: str, **changes: Any) -> dict[str, Any]:
    """One experiment in a folder that is removed after it."""
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="logpi-reliability-") as folder:
        found = EXPERIMENTS[name](Path(folder), **changes)
    return {**found, "seconds": round(time.perf_counter() - started, 1)}
