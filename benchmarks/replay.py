"""`python -m benchmarks.replay`: what it costs to keep a million rows of experience, in alternation with keeping none.

CartPole-v1, 8 environments, rollouts of 4 and one step of A2C: so short an iteration that every copy of a ring would
show. Contenders take turns in one process, a tenth of a second each: what else the machine does meets them alike
then. A ratio is of two in one round.
"""

import argparse
import dataclasses
import datetime
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

import logpi
from logpi.algorithms.base import ON_POLICY
from logpi.envs import resolve
from logpi.experience import AbstractExperience, Latest, Replay, Replayed
from logpi.measurements import Measurement
from logpi.models import make_actor_critic
from logpi.rollout import CompiledRollout
from logpi.runs.checkpoints import Kept, Segment, SEGMENTS, STATE, write_checkpoint
from logpi.runs.folder import versions
from logpi.training.loop import BUFFER, CompiledLoop, Trainer, TrainingState, with_traced_numbers

from .speed.measure import hardware

RESULTS = Path(__file__).parent / "speed" / "replay.md"
ENVS, LENGTH, ROWS, EVERY = 8, 4, 1_000_000, 2
MOST = 1.05  # times the time of a training that keeps nothing


class Unread(logpi.A2C):
    """A2C that learns from the latest trajectory alone, whatever else is kept."""

    experience: AbstractExperience = Latest()

    def update(self, state: Any, view: Any, key: jax.Array) -> Any:
        return super().update(state, view.trajectory if isinstance(view, Replayed) else view, key)


class Sampled(logpi.A2C):
    """The same, and the sum of all that is in a batch from the replay."""

    measurements: ClassVar[tuple[Measurement, ...]] = (
        *ON_POLICY,
        Measurement("replayed", "reward", "Mean of a batch."),
    )
    experience: AbstractExperience = Replay(ROWS)

    def update(self, state: Any, view: Replayed, key: jax.Array) -> Any:
        rows = view.sample(key)
        total = sum(jnp.sum(x * 1.0) for x in jax.tree.leaves(rows))  # all of it, so that nothing of it is left out
        state, shown = super().update(state, view.trajectory, key)
        return state, shown | {"replayed": total}


CONTENDERS = {
    "nothing kept": Unread(),
    "1,000 rows kept": Unread(experience=Replay(1_024)),
    "1,000,000 rows kept": Unread(experience=Replay(ROWS)),
    "1,000 rows kept, 256 sampled": Sampled(experience=Replay(1_024)),
    "1,000,000 rows kept, 256 sampled": Sampled(),
}

SAMPLING = [(f"{rows} rows kept, 256 sampled", f"{rows} rows kept") for rows in ("1,000", "1,000,000")]


@dataclasses.dataclass
class Contender:
    """A training under way."""

    trainer: Trainer
    loop: CompiledLoop
    state: TrainingState

    def run(self, calls: int) -> dict[str, float]:
        """Steps a second of so many calls of the compiled loop, by the clock and by processor time."""
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(calls):
            self.state = self.loop.advance(self.state, BUFFER * EVERY).state
        steps = calls * BUFFER * EVERY * ENVS * LENGTH
        return {"wall": steps / (time.perf_counter() - wall), "cpu": steps / (time.process_time() - cpu)}


def contender(algorithm: logpi.A2C) -> Contender:
    """A training with this algorithm, compiled."""
    env = resolve("CartPole-v1").env
    trainer = with_traced_numbers(Trainer(algorithm, CompiledRollout(env, ENVS, LENGTH), every=EVERY))
    model = make_actor_critic(env.obs_space, env.action_space, key=jax.random.key(0))
    state = jax.jit(lambda: trainer.init(model, 10**6, jax.random.key(1)))()
    return Contender(trainer, CompiledLoop(trainer, state), state)


def speeds(contenders: dict[str, Contender], rounds: int, calls: int) -> dict[str, list[dict[str, float]]]:
    """What each ran at in each round, after a round that does not count."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in contenders}
    for number in range(-1, rounds):
        for name in list(contenders)[:: 1 if number % 2 else -1]:  # each comes after each as often as before it
            speed = contenders[name].run(calls)
            if number >= 0:
                found[name].append(speed)
    return found


def checkpoints(contenders: dict[str, Contender], times: int) -> list[tuple[str, float, float]]:
    """Of each kind of checkpoint: bytes, and milliseconds of processor time in the median."""
    rows = []
    for name, whole in (("nothing kept", False), ("1,000,000 rows kept", False), ("1,000,000 rows kept", True)):
        at = contenders[name]
        experience, buffer = at.trainer.algorithm.experience, at.state.buffer
        # As many steps as fill it: how often it was added to here depends on the number of rounds.
        buffers = []
        if buffer is not None:
            buffers.append(eqx.tree_at(lambda ring: ring.added, buffer, jnp.full((), buffer.slots, jnp.int32)))
        taken, size = [], 0.0
        for i in range(times):
            with tempfile.TemporaryDirectory() as folder:
                stored, started = at.trainer.stored(at.state), time.process_time()
                # On the way, all but the last 30,000 rows are in an earlier segment.
                before = 0 if whole or not buffers else experience.added(buffers[0]) - 30_000 // ENVS
                earlier = Segment(f"0-0-{before}-{'0' * 12}.safetensors", 0, before, 0, "0" * 64)
                kept = Kept(experience, [[earlier]] if before > 0 else ())
                path = write_checkpoint(Path(folder) / "c", (stored,), i, kept=kept, buffers=buffers)
                taken.append(1e3 * (time.process_time() - started))
                size = sum(file.stat().st_size for file in (path / STATE, *(path.parent / SEGMENTS).glob("*")))
        new = "" if not buffers else ", all of them new" if whole else ", 30,000 of them new"
        rows.append((name + new, size, statistics.median(taken)))
    return rows


def ratios(found: dict[str, list[dict[str, float]]], name: str, base: str, clock: str) -> list[float]:
    """How much longer the one takes than the other, round by round, in order of size."""
    return sorted(b[clock] / a[clock] for a, b in zip(found[name], found[base], strict=True))


def report(found: dict[str, list[dict[str, float]]], written: list[tuple[str, float, float]]) -> str:
    """The tables, in Markdown."""
    rounds, machine = len(next(iter(found.values()))), hardware()
    lines = [
        "# What a replay costs", "", "Written by `python -m benchmarks.replay --write`.", "",
        f"CartPole-v1, compiled, {ENVS} environments x {LENGTH} steps, one step of A2C. Time beside a training that "
        f"keeps nothing (median of {rounds} pairs in alternation, and their quartiles); wanted where rows are kept: "
        f"{MOST}.", "",
        "| contender | steps/s | time, by the clock | processor time |", "|---|---|---|---|",
    ]  # fmt: skip
    base = next(iter(found))
    for name, runs in found.items():
        cells = []
        for clock in ("wall", "cpu"):
            every = ratios(found, name, base, clock)
            low, middle, high = statistics.quantiles(every)
            cells.append(f"{middle:.3f} [{low:.2f}, {high:.2f}]" if name != base else "1")
        lines.append(f"| {name} | {statistics.median(run['wall'] for run in runs):,.0f} | {' | '.join(cells)} |")
    cost = []
    for x, y in SAMPLING:
        seconds = statistics.median(1 / a["cpu"] - 1 / b["cpu"] for a, b in zip(found[x], found[y], strict=True))
        cost.append(1e6 * ENVS * LENGTH * seconds)
    lines += [
        "",
        f"A batch of 256 takes {cost[0]:.0f} µs of processor time from a thousand rows, which a cache holds, and "
        f"{cost[1]:.0f} µs from a million.",
        "", "| checkpoint | bytes | processor time, ms |", "|---|---|---|",
    ]  # fmt: skip
    lines += [f"| {name} | {size:,.0f} | {milliseconds:.1f} |" for name, size, milliseconds in written]
    today = datetime.datetime.now(datetime.UTC).date()
    used = ", ".join(f"{name} {version}" for name, version in versions().items())
    lines += ["", f"{today}; {machine['cores']} cores, CPU, {machine['system']}, load before {machine['load_before']}; "
              f"{used}."]  # fmt: skip
    return "\n".join(lines) + "\n"


def main() -> int:
    """Status 1 where a million rows cost more than is wanted."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.replay", description=__doc__)
    parser.add_argument("--rounds", type=int, default=120, help="how often each contender runs (120)")
    parser.add_argument("--calls", type=int, default=1, help="calls of the compiled loop in a turn (1)")
    parser.add_argument("--write", action="store_true", help=f"keep the tables in {RESULTS.name}")
    args = parser.parse_args()
    contenders = {name: contender(algorithm) for name, algorithm in CONTENDERS.items()}
    found = speeds(contenders, args.rounds, args.calls)
    text = report(found, checkpoints(contenders, 7))
    print(text)
    if args.write:
        RESULTS.write_text(text)
    return int(statistics.median(ratios(found, "1,000,000 rows kept", "nothing kept", "cpu")) > MOST)


if __name__ == "__main__":
    sys.exit(main())
