"""Run folders with bytes changed at random, through every function that reads them: each is loaded or cleanly refused.

    python -m benchmarks.reliability.fuzz --inputs 1000000

A clean refusal is an `InputError` of one line (or, of a checkpoint, a few words). Anything else is a failure, whose
input is kept under `--keep`. The exit status is 1 if there was any.
"""

import argparse
import dataclasses
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

TOKENS = (
    b"null", b"true", b"-1", b"0", b"1e999", b"NaN", b"Infinity", b"99999999999999999999", b"1.5", b'""', b'"inf"',
    b"[]", b"{}", b"[" * 40, b'{"kind": "Box"}', b'{"kind": "GAE"}', b'{"custom": 1}', b'"\\ud800"', b"\xff\xfe",
    b"\x00", b'"../../x"', b"]", b"}", b",", b":", b'"', b"\\", b"\n", b"\xf0\x9f\x92\xa9", b"1" * 30, b"-" * 3,
)  # fmt: skip
VALUES = (
    None, True, False, 0, -1, 1, 2, 3, 7.5, -0.0, 10**6, 10**9, 2**31, 2**53, 10**17, 1e308, "", "inf", "nan", "x", "5",
    "../../x", "Box", "\x1b[2J", "\ud800", [], [0], [1, 2], [[]], {}, {"kind": "GAE"}, {"kind": "os.system"},
    {"custom": "x"}, {"kind": "Discrete", "n": 10**12}, {"kind": "Box", "shape": [10**6, 10**6]},
    {"kind": "Tuple", "parts": []}, [0] * 100, "x" * 1000,
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Target:
    """A file of a run folder: where it is, what it holds, and what reads it."""

    name: str
    path: Path
    original: bytes
    read: Callable[[], Any]
    mutate: Callable[[random.Random, bytes], bytes]


def real_folder(folder: Path) -> tuple[Path, Any]:
    """A run folder with a checkpoint, as logpi writes them, and the shapes of its arrays.

    Nothing was learned, and the policy is a dictionary of three arrays: what the files say is of no matter here.
    """
    import jax
    import jax.numpy as jnp

    import logpi
    from logpi import spaces
    from logpi.runs.arrays import save_arrays
    from logpi.runs.checkpoints import write_checkpoint
    from logpi.runs.folder import policy_file, versions, write_config
    from logpi.runs.metrics import real_columns, rewrite_rows
    from logpi.runs.run import Run

    obs, act = spaces.Box((3,), (-1.0, -1.0, 0.0), float("inf")), spaces.Discrete(2)
    network = logpi.Network(width=4, depth=1)
    model: Any = {"weight": jnp.zeros((4, 3)), "bias": jnp.zeros(4), "count": jnp.zeros((), jnp.int32)}
    settings = logpi.Settings(logpi.PPO(), network=network, reward_scaling=logpi.RewardScaling())
    numbers = dict.fromkeys([m.name for m in real_columns(logpi.PPO.measurements)], 0.6931471805599453) | {
        "return_mean": 0.25,
        "return_squares": None,
        "dropped": True,
    }
    rows = [{"seed": 0, "iteration": i, "steps": 8 * i, "episodes": 2, **numbers} for i in (1, 2)]
    run = Run("CartPole-v1", settings, (0,), (), obs, act, rows, {"steps": 16, "signal": None}, versions())
    folder.mkdir()
    write_config(folder, run.config())
    rewrite_rows(folder, rows)
    save_arrays(folder / policy_file(0), model)
    write_checkpoint(folder / "checkpoints", model, 2)
    return folder, jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), model)


def targets(folder: Path, skeleton: Any) -> list[Target]:
    """Every file of a folder with the function that reads it."""
    from logpi.runs.arrays import load_arrays
    from logpi.runs.checkpoints import load_newest
    from logpi.runs.files import read_json
    from logpi.runs.metrics import read_rows
    from logpi.runs.run import read_config
    from logpi.runs.schema import from_json

    said: list[str] = []

    def checkpoint() -> list[str]:
        said.clear()
        load_newest(folder, skeleton, said.append)
        return said

    def policy() -> None:
        load_arrays(weights, skeleton)

    inside = folder / "checkpoints" / "00000002"
    noise, weights = folder / "noise.json", folder / "policy-seed0.safetensors"
    noise.write_bytes(b"{}")
    files = [
        ("config.json", folder / "config.json", lambda: read_config(folder), _changed_json),
        ("metrics.jsonl", folder / "metrics.jsonl", lambda: read_rows(folder), _changed_lines),
        ("random JSON", noise, lambda: from_json(read_json(noise)), _random_json),
        ("policy", weights, policy, _changed_arrays),
        ("manifest.json", inside / "manifest.json", checkpoint, _changed_json),
        ("checkpoint", inside / "state.safetensors", checkpoint, _changed_arrays),
    ]
    return [Target(name, path, path.read_bytes(), read, mutate) for name, path, read, mutate in files]


def fuzz(folder: Path, skeleton: Any, inputs: int, seed: int, keep: Path | None = None) -> dict[str, Counter[str]]:
    """How many inputs of each file were refused, loaded, or failed; each is `inputs` divided among the files."""
    rng, listed = random.Random(seed), targets(folder, skeleton)
    counts = {target.name: Counter(refused=0, loaded=0, failed=0) for target in listed}
    for i in range(inputs):
        target = listed[i % len(listed)]
        data = target.mutate(rng, target.original)
        target.path.write_bytes(data)
        outcome = _outcome(target)
        if target.name == "checkpoint" and outcome == "loaded" and data != target.original:
            outcome = "failed: a checkpoint that was changed is taken for whole"
        counts[target.name][outcome.partition(":")[0]] += 1
        if outcome.startswith("failed"):
            _keep(keep, target, data, outcome)
        if i % len(listed) == len(listed) - 1 or target.name in ("manifest.json", "checkpoint"):
            target.path.write_bytes(target.original)
    return counts


def _outcome(target: Target) -> str:
    from logpi import InputError

    try:
        found = target.read()
    except InputError as error:
        return _clean(str(error))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a panic of the Rust below is none of Exception
        return f"failed: {type(error).__name__}: {error}"
    # Of a checkpoint the list of what is wrong comes back.
    return _clean(found[0]) if target.path.parent.name.isdigit() and found else "loaded"


def _clean(sentence: str) -> str:
    good = "\n" not in sentence and len(sentence) < 1500 and "Traceback" not in sentence
    return "refused" if good else f"failed: this is no clear sentence: {sentence[:300]!r}"


def _keep(keep: Path | None, target: Target, data: bytes, outcome: str) -> None:
    print(f"{target.name}: {outcome[:300]}", file=sys.stderr)
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        (keep / f"{len(list(keep.iterdir())):04d}-{target.path.name}").write_bytes(data)


def _changed_bytes(rng: random.Random, data: bytes) -> bytes:
    """One to four of: a bit, a byte, a cut, a piece twice, a token, a piece gone."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        if not changed:
            break
        at, kind, length = rng.randrange(len(changed)), rng.randrange(6), rng.choice((1, 2, 4, 8, 64))
        if kind == 0:
            changed[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            changed[at] = rng.randrange(256)
        elif kind == 2:
            del changed[at:]
        elif kind == 3:
            changed[at:at] = changed[at : at + length]
        elif kind == 4:
            token = rng.choice(TOKENS)
            changed[at : at + rng.choice((0, len(token)))] = token
        else:
            del changed[at : at + length]
    return bytes(changed)


def _changed_json(rng: random.Random, data: bytes) -> bytes:
    """Half of the time some bytes; else a value in place of another, or one gone, or one under another name."""
    return (
        _changed_bytes(rng, data) if rng.random() < 0.4 else json.dumps(_changed_value(rng, json.loads(data))).encode()
    )


def _changed_value(rng: random.Random, value: Any) -> Any:
    if isinstance(value, (dict, list)) and value and rng.random() < 0.85:
        key = rng.choice(list(value)) if isinstance(value, dict) else rng.randrange(len(value))
        kind = rng.random()
        if kind < 0.07:
            del value[key]
        elif kind < 0.12 and isinstance(value, dict):
            value[rng.choice(("kind", "custom", "env", "n", "shape", "../x"))] = value.pop(key)
        elif kind < 0.15 and isinstance(value, list):
            value *= rng.choice((2, 50))
        else:
            value[key] = _changed_value(rng, value[key])
        return value
    return rng.choice(VALUES)


def _changed_lines(rng: random.Random, data: bytes) -> bytes:
    if rng.random() < 0.5:
        return _changed_bytes(rng, data)
    first, newline, rest = data.partition(b"\n")
    return _changed_json(rng, first) + newline + rest


def _random_json(rng: random.Random, data: bytes) -> bytes:
    value: Any = rng.choice(VALUES)
    for _ in range(rng.choice((1, 2, 4, 8, 40))):
        kinds = ("PPO", "Box", "Dict", "Tuple", "Settings", "Network", "Adam", "MultiDiscrete", "Nothing")
        fields = ("parts", "shape", "low", "credit", "optimiser", "n", "sizes", "clip", "network", "x")
        others = {name: rng.choice(VALUES) for name in rng.sample(fields, 2)}
        named = {"kind": rng.choice(kinds), **others, rng.choice(fields): value}
        value = rng.choice(([value, rng.choice(VALUES)], named))
    text = json.dumps(value).encode()[:20_000]
    return _changed_bytes(rng, text) if rng.random() < 0.3 else text


def _changed_arrays(rng: random.Random, data: bytes) -> bytes:
    """Bytes anywhere, or the header as JSON, or its length."""
    size = int.from_bytes(data[:8], "little")
    kind = rng.random()
    if kind < 0.4:
        return _changed_bytes(rng, data)
    if kind < 0.5:
        return rng.choice((0, size - 1, size + 1, 2**63, 2**64 - 1, 10**12, 7)).to_bytes(8, "little") + data[8:]
    header = _changed_json(rng, data[8 : 8 + size])
    length = len(header) if rng.random() < 0.9 else size
    return length.to_bytes(8, "little") + header + data[8 + size :]


def main() -> int:
    """Makes a run, changes it, and prints what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--inputs", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, default=None, help="folder for the inputs that fail")
    options = parser.parse_args()
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as temporary:
        folder, skeleton = real_folder(Path(temporary) / "run")
        started = time.perf_counter()
        counts = fuzz(folder, skeleton, options.inputs, options.seed, options.keep)
        seconds = time.perf_counter() - started
    report = {"inputs": options.inputs, "seed": options.seed, "seconds": round(seconds, 1), "counts": counts}
    print(json.dumps(report, indent=2))
    return int(any(count["failed"] for count in counts.values()))


if __name__ == "__main__":
    sys.exit(main())
