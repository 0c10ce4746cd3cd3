"""Wrong arguments for every public function: one at a time, each replaced by each of a list, and what came of it.

    python -m benchmarks.reliability.arguments --only estimate --out calls.jsonl

The calls and their order are fixed. A call is *refused* (an `InputError` of one line, or what the caller's own function
raised), *accepted*, or *raw*: anything else, out of the depths of a library. The exit status is 1 if any was raw. Calls
run one after the other; one that takes long is named, with its seconds.
"""

import argparse
import contextlib
import dataclasses
import datetime
import decimal
import fractions
import io
import json
import math
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import logpi
from logpi import audit, distributions, explain, report
from logpi.errors import InputError
from logpi.models import log_probs, unroll

KEY = jax.random.key(0)
MEAN, LOGITS = {"mean": jnp.asarray(0.5)}, {"logits": jnp.asarray([0.1, 0.2, -0.3])}
OWN = "of the caller's own"


class Unprintable:
    """An object whose text cannot be had."""

    def __repr__(self) -> str:
        raise RuntimeError("it cannot be printed")


def raising(*_: Any, **__: Any) -> Any:
    raise KeyError(OWN)


def nothing(*_: Any, **__: Any) -> None:
    """Returns None, whatever it is given."""


WRONG: dict[str, Callable[[], Any]] = {
    "None": lambda: None, "True": lambda: True, "text": lambda: "abc", "no text": lambda: "",
    "an escape code": lambda: "\x1b[2J\n", "0": lambda: 0, "-1": lambda: -1, "a half": lambda: 0.5,
    "2^31": lambda: 2**31, "10^30": lambda: 10**30, "1e300": lambda: 1e300, "NaN": lambda: math.nan,
    "infinity": lambda: math.inf, "-infinity": lambda: -math.inf, "complex": lambda: 1 + 2j, "bytes": lambda: b"ab",
    "an empty list": list, "a mixed list": lambda: [1, "a", None], "a dictionary": dict,
    "keys without an order": lambda: {"a": 1, 2: None}, "a set": lambda: {1},
    "a date": lambda: datetime.date(2026, 1, 1),
    "a decimal": lambda: decimal.Decimal("0.5"), "a fraction": lambda: fractions.Fraction(1, 3), "a class": lambda: int,
    "a function of nothing": lambda: nothing, "a function that raises": lambda: raising, "an object": object,
    "what cannot be printed": Unprintable, "a module": lambda: math, "an array of none": lambda: np.zeros(0),
    "an array of 5 axes": lambda: np.ones((1, 2, 1, 2, 1)), "an array of objects": lambda: np.array([object()], object),
    "an array of dates": lambda: np.array(["2026-01-01"], "datetime64[D]"), "an array of text": lambda: np.array(["a"]),
    "an array of NaN": lambda: np.array(math.nan), "NumPy's int": lambda: np.int64(3),
    "a complex array": lambda: np.array(1j), "an array of JAX's": lambda: jnp.ones((2, 3)),
    "a truth of JAX's": lambda: jnp.array(True), "NaN of JAX's": lambda: jnp.array(math.nan),
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Target:
    """A call that works, and those of its arguments that are replaced."""

    call: Callable[..., Any]
    good: dict[str, Any]


def square(x: Any) -> Any:
    """A cost of a number."""
    return x**2


def total(x: Any) -> Any:
    """A cost of coins or of a choice."""
    return 1.0 * jnp.sum(x)


def normal(p: Any) -> Any:
    """A Gaussian."""
    return distributions.Normal(p["mean"], jnp.zeros(()))


def coins(p: Any) -> Any:
    """Three coins."""
    return distributions.Bernoulli(p["logits"])


def choice(p: Any) -> Any:
    """One of three."""
    return distributions.Categorical(p["logits"])


def program(params: Any, key: Any) -> Any:
    """A program without a score."""
    return (params["mean"] + jax.random.normal(key)) ** 2


def mean_loss(log_prob: Any, advantage: Any, mask: Any) -> Any:
    """A loss that is right."""
    return -(log_prob * advantage * mask).sum() / mask.shape[0]


def objective(model: Any, batch: Any) -> Any:
    """An objective that is right."""
    output, _ = unroll(model, batch.obs, batch.start, batch.memory)
    return log_probs(output.policy, batch.action) * batch.advantage


def _estimated(J: Any, params: Any = MEAN) -> Any:
    return logpi.estimate(J, params, KEY, replicates=32)


def _by(kind: Any, f: Any = square, of: Any = normal, params: Any = MEAN, samples: int = 8) -> Callable[..., Any]:
    return lambda **fields: _estimated(logpi.expectation(f, of, samples, kind(**fields)), params)


def _with_baseline(kind: Any) -> Callable[..., Any]:
    def use(**fields: Any) -> Any:
        J = logpi.expectation(square, normal, 4, logpi.Score(kind(**fields)))
        return _estimated(J), J.updated(jnp.asarray(1.0))

    return use


def of_expectations() -> dict[str, Target]:
    """Expectations, and what is done with them."""
    J, score = logpi.expectation(square, normal, 4), logpi.Score()
    return {
        "expectation": Target(
            lambda **k: jax.grad(logpi.expectation(**k))(MEAN, KEY),
            {"f": square, "of": normal, "samples": 4, "estimator": score, "continuous": False},
        ),
        "expectation's call": Target(lambda **k: J(**k), {"params": MEAN, "key": KEY}),
        "estimate": Target(
            logpi.estimate, {"J": J, "params": MEAN, "key": KEY, "replicates": 32, "max_samples": 2000}
        ),
        "estimate, to a precision": Target(
            lambda **k: logpi.estimate(J, MEAN, KEY, max_samples=2000, **k), {"rtol": 0.5, "atol": 0.5}
        ),
        "estimate's parameters": Target(lambda leaf: _estimated(J, {"mean": leaf}), {"leaf": 0.5}),
        "intervals": Target(lambda **k: _estimated(J).value_interval(**k), {"confidence": 0.9}),
        "maximize": Target(
            logpi.maximize,
            {
                "J": J, "params": MEAN, "key": KEY, "optimiser": optax.adam(0.1), "steps": 2, "replicates": 2,
                "progress": False, "stop_in_noise": True,
            },
        ),
        "compare": Target(
            logpi.compare,
            {
                "f": square, "params": MEAN, "key": KEY, "estimators": [score], "of": normal, "samples": 4,
                "replicates": 32, "exact": {"mean": 1.0}, "continuous": False,
            },
        ),
    }  # fmt: skip


def of_programs() -> dict[str, Target]:
    """Programs of several sites, and what fits a control variate."""
    relaxed = logpi.expectation(total, coins, 4, logpi.REBAR(relaxed=total))
    return {
        "tune": Target(
            logpi.tune,
            {"J": relaxed, "params": LOGITS, "key": KEY, "optimiser": optax.adam(0.01), "steps": 2, "replicates": 2},
        ),
        "host": Target(
            lambda **k: _estimated(logpi.expectation(logpi.host(**k), normal, 2)),
            {"f": lambda x: float(x) ** 2, "vectorized": False, "workers": 0},
        ),
        "cost": Target(logpi.cost, {"value": 1.0, "log_prob": 0.5, "baseline": 0.0}),
        "sample": Target(logpi.sample, {"dist": normal(MEAN), "key": KEY, "by": "score"}),
        "score": Target(logpi.score, {"policy": MEAN, "event": 0.3, "of": normal}),
    }  # fmt: skip


def of_estimators() -> dict[str, Target]:
    """Estimators and baselines."""
    score = logpi.Score()
    return {
        "Score": Target(_by(logpi.Score), {"baseline": logpi.LeaveOneOut()}),
        "Pathwise": Target(_by(logpi.Pathwise), {"continuous": True}),
        "Antithetic": Target(_by(logpi.Antithetic), {"estimator": score}),
        "Stratified": Target(_by(logpi.Stratified), {"estimator": score, "sets": 2}),
        "EvolutionStrategies": Target(_by(logpi.EvolutionStrategies), {"std": 0.1}),
        "FiniteDifferences": Target(_by(logpi.FiniteDifferences), {"step": 0.01}),
        "REBAR": Target(
            _by(logpi.REBAR, total, coins, LOGITS), {"temperature": 0.5, "scale": 1.0, "relaxed": total}
        ),
        "RaoBlackwell": Target(
            _by(logpi.RaoBlackwell, total, coins, LOGITS), {"entries": (0,), "baseline": logpi.LeaveOneOut()}
        ),
        "SumAndSample": Target(_by(logpi.SumAndSample, total, choice, LOGITS), {"top": 1}),
        "UnorderedSet": Target(_by(logpi.UnorderedSet, total, choice, LOGITS), {"size": 2}),
        "VIMCO": Target(_by(logpi.VIMCO), {"particles": 4}),
        "Constant": Target(_with_baseline(logpi.Constant), {"value": 1.0}),
        "MovingAverage": Target(
            _with_baseline(logpi.MovingAverage), {"decay": 0.9, "total": jnp.zeros(()), "weight": jnp.zeros(())}
        ),
        "Optimal": Target(_with_baseline(logpi.Optimal), {"pilot": 4}),
    }  # fmt: skip


def of_trainings() -> dict[str, Target]:
    """What a training is made of."""
    return {
        "PPO": Target(
            logpi.PPO,
            {
                "optimiser": logpi.Adam(), "credit": logpi.GAE(), "clip": 0.2, "value_clip": 1.0, "value_coef": 0.5,
                "entropy_coef": 0.0, "target_kl": 1.0, "num_epochs": 1, "num_minibatches": 1, "segment_length": None,
            },
        ),
        "Adam": Target(logpi.Adam, {"learning_rate": 1e-3, "anneal": 0.0, "max_grad_norm": 0.5, "epsilon": 1e-5}),
        "Optax": Target(logpi.Optax, {"transformation": optax.sgd(1e-3)}),
        "GAE": Target(logpi.GAE, {"gamma": 0.99, "lam": 0.95}),
        "NStep": Target(logpi.NStep, {"n": 2, "gamma": 0.99}),
        "RewardScaling": Target(logpi.RewardScaling, {"gamma": 0.99, "limit": 10.0}),
        "Network": Target(
            logpi.Network,
            {
                "memory": "none", "width": 4, "depth": 1, "activation": "tanh", "action_distribution": None,
                "initial_log_std": 0.0, "normalize_observations": False,
            },
        ),
        "Settings": Target(
            logpi.Settings,
            {
                "algorithm": logpi.PPO(), "steps": 16, "num_envs": 2, "rollout_length": 8, "network": logpi.Network(),
                "actions": "clip", "reward_scaling": None, "source": "here",
            },
        ),
    }  # fmt: skip


def of_audits() -> dict[str, Target]:
    """Audits, a folder and a figure."""
    J, table = logpi.expectation(square, normal, 4), np.zeros((1, 3, 3))
    return {
        "load": Target(logpi.load, {"folder": "nowhere"}),
        "audit.align": Target(audit.align, {"name": "a", "found": np.ones(3), "truth": np.ones(3), "error": 0.0}),
        "audit.loss": Target(
            audit.loss,
            {
                "subject": mean_loss, "key": KEY, "problem": None, "group_size": 2, "rows": False, "minimise": True,
                "beta": None, "framework": "auto", "tolerance": 1e-6,
            },
        ),
        "audit.policy": Target(
            audit.policy, {"subject": normal(MEAN), "key": KEY, "obs": None, "support": None, "samples": 200}
        ),
        "audit.program": Target(
            audit.program,
            {"program": program, "params": MEAN, "key": KEY, "exact": None, "replicates": 100, "intervals": 20},
        ),
        "audit.Sequences": Target(
            audit.Sequences,
            {
                "name": "s", "length": 2, "logits": table, "behaviour": table, "reference": table,
                "reward": np.arange(7.0)[None],
            },
        ),
        "explain.figure": Target(
            explain.figure, {"J": J, "params": MEAN, "key": KEY, "steps": 2, "learning_rate": 0.05}
        ),
    }  # fmt: skip


def quick_targets() -> dict[str, Target]:
    """What needs no training."""
    return of_expectations() | of_programs() | of_estimators() | of_trainings() | of_audits()


def slow_targets(folder: Path) -> dict[str, Target]:
    """What trains, or needs a run that was trained."""
    settings = logpi.Settings(
        logpi.PPO(num_epochs=1, num_minibatches=1), steps=16, num_envs=2, rollout_length=8,
        network=logpi.Network(width=4, depth=1),
    )  # fmt: skip
    run = logpi.train("probe:identity", settings=settings, out=folder / "run")
    obs = np.zeros(run.obs_space.shape, np.float32)
    return {
        "train": Target(
            logpi.train,
            {
                "env": "probe:identity", "settings": settings, "seed": 0, "seeds": None, "out": folder / "other",
                "overwrite": True, "checkpoint_every": 1, "on_nan": "stop", "on_env_error": "stop",
                "step_timeout": 10.0,
                "callbacks": (), "model": None,
            },
        ),
        "resume": Target(logpi.resume, {"folder": folder / "run", "model": None, "environment": None}),
        "load": Target(logpi.load, {"folder": folder / "run", "model": None, "environment": None, "settings": None}),
        "Run.evaluate": Target(run.evaluate, {"episodes": 4, "deterministic": False, "env": None, "seed": 0}),
        "Run.agent": Target(run.agent, {"index": 0}),
        "Run.policy": Target(run.policy, {"obs": obs, "deterministic": False}),
        "Run.save": Target(run.save, {"folder": folder / "saved", "overwrite": True}),
        "audit.env": Target(
            audit.env, {"subject": "probe:identity", "seed": 0, "steps": 20, "timeout": 5.0, "time_limit": None}
        ),
        "audit.objective": Target(audit.objective, {"subject": objective, "key": KEY, "entropy_coef": 0.0}),
        "audit.run": Target(
            audit.run,
            {
                "subject": run, "key": KEY, "seed": None, "batches": 4, "updates": 1, "episodes": 2, "progress": 0.5,
                "env": None,
            },
        ),
        "report.page": Target(
            report.page,
            {"runs": [folder / "run"], "fresh": False, "episodes": None, "env": None, "films": (), "refresh": None},
        ),
        "explain.run_page": Target(explain.run_page, {"subject": run, "key": KEY, "seed": None, "env": None}),
    }  # fmt: skip


def calls(targets: dict[str, Target], only: str = "") -> Iterator[tuple[str, str, str]]:
    """The target, the argument and the wrong value of every call, in a fixed order."""
    for name, target in targets.items():
        if only in name:
            yield from ((name, argument, wrong) for argument in target.good for wrong in WRONG)


def outcome(target: Target, argument: str = "", wrong: str = "") -> tuple[str, str]:
    """What came of a call: `refused`, `accepted` or `raw`, and what it said."""
    given = target.good | ({argument: WRONG[wrong]()} if argument else {})
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            target.call(**given)
    except InputError as error:
        said = str(error)
        return ("refused" if "\n" not in said and len(said) < 1500 else "raw"), said
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        library = f"{Path(logpi.__file__).parent}/"
        inside = [i for i, frame in enumerate(frames) if frame.filename.startswith(library)]
        # In a function of the caller's, as one that looks up a name in what is no dictionary; or before logpi.
        own = any(frame.filename == __file__ for frame in frames[inside[-1] :]) if inside else True
        said = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        return ("refused" if own or OWN in said else "raw"), said
    return "accepted", ""


def main() -> int:
    """Runs the calls, and prints how many of them came to what."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", default="", help="targets with this in their name")
    parser.add_argument("--out", type=Path, help="a line of JSON for each call")
    options = parser.parse_args()
    counts: Counter[str] = Counter()
    out = options.out.open("w", 1) if options.out else io.StringIO()  # line by line: a call that hangs is the next one
    with out, tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):  # some arguments are taken for a place
        targets = quick_targets() | slow_targets(Path(folder))
        for name, target in targets.items():
            if (found := outcome(target))[0] != "accepted":  # of what fails as it is, no wrong argument would be seen
                raise RuntimeError(f"{name} does not work as it is: {found[1]}")
        for name, argument, wrong in calls(targets, options.only):
            started = time.perf_counter()
            came, said = outcome(targets[name], argument, wrong)
            seconds = round(time.perf_counter() - started, 2)
            counts[came] += 1
            line = {"target": name, "argument": argument, "wrong": wrong, "came": came, "said": said, "s": seconds}
            out.write(json.dumps(line) + "\n")
            if came == "raw" or seconds > 10:
                print(f"{name}({argument}={wrong}): {came}, {seconds} s. {said}", file=sys.stderr, flush=True)
    print(json.dumps({"calls": counts.total(), **counts}))
    return 1 if counts["raw"] else 0


if __name__ == "__main__":
    sys.exit(main())
