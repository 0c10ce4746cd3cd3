"""What the code computes, as numbers and text that can be compared bit for bit before and after it is rearranged.

Everything goes through public names, so that this file stays as it is while the modules behind them move. Each frozen
thing is `{"bits": ..., "near": ...}`: digests, hexadecimal floats and text, which are the same to the last bit on the
same machine with the same versions, and what any machine gives within rounding. To freeze anew, with the Makefile's
QUICKLY, as for `make test`:

    JAX_PLATFORMS=cpu JAX_DISABLE_MOST_OPTIMIZATIONS=1 XLA_FLAGS=... python -m tests.frozen.measure --write
"""

import argparse
import dataclasses
import functools
import hashlib
import json
import os
import platform
import re
import shutil
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist

import logpi
from logpi import audit
from tools import audit_tables

NUMBERS = Path(__file__).with_name("numbers.json")
PACKAGES = ("jax", "jaxlib", "numpy", "equinox", "optax", "numpyro", "gymnasium")
UPDATES = 20
SMALL = {"num_envs": 4, "rollout_length": 32, "steps": UPDATES * 4 * 32}
WORLDS = {
    "CartPole-v1": {},
    "probe:recall-box": {"network": logpi.Network("gru", 16, 1, normalize_observations=True)},  # all that remembers
    "gymnasium:CartPole-v1": {},  # on the host
}
TRAININGS = {
    **{f"{name} in {env}": (env, name, more) for env, more in WORLDS.items() for name in ("reinforce", "a2c", "ppo")},
    "ppo in CartPole-v1, two seeds": ("CartPole-v1", "ppo", {"seeds": 2}),
}


def fingerprint() -> dict[str, Any]:
    """What bits rest on: versions, the processor, and how programs are compiled."""
    return {
        **{name: version(name) for name in PACKAGES},
        "machine": f"{platform.system()} {platform.machine()}",
        "processor": processor(),
        "device": jax.default_backend(),
        "JAX_DISABLE_MOST_OPTIMIZATIONS": bool(jax.config.values["jax_disable_most_optimizations"]),
        "XLA_FLAGS": os.environ.get("XLA_FLAGS", ""),
    }


def processor() -> str:
    """Its name, and a digest of what it can do, as clouds give many processors one name and programs use all of it."""
    info = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    name, can = (re.search(rf"^{key}\s*: (.*)", info, re.MULTILINE) for key in ("model name", "(?:flags|Features)"))
    return f"{name[1] if name else platform.processor()}, {digest(can[1].encode())[:16] if can else 'features unknown'}"


# Of a row, in the order in which they were frozen; what an algorithm did not measure was written as 0.
COLUMNS = (
    "seed", "iteration", "steps", "episodes", "return_mean", "return_squares", "length_mean", "entropy", "kl",
    "clipped", "surrogate", "value_error", "explained_variance", "gradient_norm", "signal_to_noise", "reward",
)  # fmt: skip


def digest(*parts: bytes) -> str:
    """The SHA-256 of some bytes."""
    return hashlib.sha256(b"".join(parts)).hexdigest()


def of_run(run: logpi.Run) -> dict[str, Any]:
    """Every policy's parameters and every row; the first row of each seed to read."""
    leaves = [np.asarray(x) for x in jax.tree.leaves(run.models) if isinstance(x, jax.Array | np.ndarray)]
    policies = digest(*(f"{x.dtype}{x.shape}".encode() + x.tobytes() for x in leaves))
    rows = [{name: row.get(name, 0.0) for name in COLUMNS} for row in run.history]
    history = digest(json.dumps(rows).encode())  # a float is written with all its digits
    return {"bits": {"policies": policies, "history": history}, "near": rows[: len(run.seeds)]}


@functools.cache
def trained(name: str) -> logpi.Run:
    """One of the trainings."""
    env, algorithm, more = TRAININGS[name]
    return logpi.train(env, algorithm, **SMALL, **more)


def training(name: str) -> dict[str, Any]:
    """What one of the trainings came to."""
    return of_run(trained(name))


def resumed() -> dict[str, Any]:
    """A training whose process died after half of its updates, resumed to the end."""
    with tempfile.TemporaryDirectory() as folder:
        logpi.train("CartPole-v1", "ppo", **SMALL, out=folder, checkpoint_every=UPDATES // 2)
        shutil.rmtree(Path(folder, "checkpoints", f"{UPDATES:08d}"))
        Path(folder, "policy-seed0.safetensors").unlink()
        logpi.resume(folder)
        return of_run(logpi.load(folder))


def walk(theta, key):
    """Ten steps, each a coin of this logit; every step costs the square of where it leads."""

    def step(carry, key):
        place, log_prob = carry
        coin, its_log_prob = logpi.sample(dist.Bernoulli(logits=theta), key)
        place, log_prob = place + 2 * coin - 1, log_prob + its_log_prob
        return (place, log_prob), logpi.cost(place**2, log_prob)

    start = (jnp.zeros((), int), jnp.zeros(()))
    return jnp.sum(jax.lax.scan(step, start, jax.random.split(key, 10))[1])


def normal(p):
    return dist.Normal(p["loc"], jnp.exp(p["log_scale"]))


def poisson(p):
    return dist.Poisson(jnp.exp(p))


def coins(p):
    return logpi.distributions.Bernoulli(p)


def choice(p):
    return logpi.distributions.Categorical(p)


def pair(p):
    return logpi.distributions.Joint((choice(p[0]), choice(p[1])))


def square(x):
    return jnp.sum((x - 0.45) ** 2)


def weighed(x):
    return (x @ jnp.array([0.5, -0.3, 0.8]) - 0.45) ** 2


def log_weight(x, p):
    return dist.Normal(1.0, 2.0).log_prob(x) - normal(p).log_prob(x)


BELL, THREE = {"loc": 1.0, "log_scale": 0.4}, np.array([0.3, -0.5, 0.9], np.float32)
PAIR = np.array([[0.3, -0.5, 0.9], [0.1, 0.2, -0.7]], np.float32)
EXPECTATIONS = {  # function, distribution, estimator, parameters
    "score, leave one out": (square, normal, logpi.Score(), BELL),
    "score, no baseline, Poisson": (square, poisson, logpi.Score(logpi.NoBaseline()), 0.7),
    "antithetic": (square, normal, logpi.Antithetic(logpi.Score()), BELL),
    "pathwise": (jnp.sin, normal, logpi.Pathwise(), BELL),
    "measure valued": (square, poisson, logpi.MeasureValued(), 0.7),
    "evolution strategies": (square, normal, logpi.EvolutionStrategies(), BELL),
    "VIMCO": (log_weight, normal, logpi.VIMCO(), BELL),
    "enumerate": (square, choice, logpi.Enumerate(), THREE),
    "joint": (square, pair, logpi.Score(), PAIR),
    "REBAR": (weighed, coins, logpi.REBAR(), THREE),
    "DisARM": (weighed, coins, logpi.DisARM(), THREE),
}


def estimated(name: str) -> dict[str, Any]:
    """Value and gradient of an expectation, or of the program of ten sites, with their errors."""
    if name == "ten sites":
        found = logpi.estimate(walk, jnp.array(0.3), jax.random.key(0))
    else:
        f, of, estimator, params = EXPECTATIONS[name]
        objective = logpi.expectation(f, of, 16, estimator)
        precision = {"rtol": 0.05} if name == "measure valued" else {}  # one by way of pilots
        found = logpi.estimate(objective, params, jax.random.key(0), **precision)
    parts = {part: getattr(found, part) for part in ("value", "value_error", "gradient", "gradient_error")}
    near = {
        part: [float(x) for leaf in jax.tree.leaves(tree) for x in np.ravel(leaf)] for part, tree in parts.items()
    } | {"samples": found.samples}
    return {"bits": {part: [x.hex() for x in near[part]] for part in parts}, "near": near}


def loss_tables() -> dict[str, Any]:
    """The audit's tables of losses and KL terms."""
    return text(audit_tables.loss_tables())


def objective_tables() -> dict[str, Any]:
    """The audit's table of PPO, on the quickest of its problems only: all take a minute."""
    return text(audit_tables.objective_tables([audit.objective(logpi.PPO(), audit.problems.bandit())]))


def text(words: str) -> dict[str, Any]:
    """The text itself; its numbers have so few digits that they are not compared elsewhere."""
    return {"bits": words.splitlines(), "near": re.sub(r"\d[\d.]*(e-?\d+)?", "#", words).splitlines()}


def page() -> dict[str, Any]:
    """The report of a run, with fresh episodes and audit, but without how long it took and on which machine."""
    run = trained("ppo in CartPole-v1, two seeds")
    kept = ("steps", "updates", "interrupted", "signal", "restarts")
    still = dataclasses.replace(run, versions={}, summary={name: run.summary[name] for name in kept})
    html = logpi.report.page(still, episodes=8)
    data = re.search(r"<script type=application/json id=data>(.*?)</script>", html, re.DOTALL)
    parts = {"page": html, "data": data.group(1) if data else ""}
    bits = {name: {"length": len(part), "digest": digest(part.encode())} for name, part in parts.items()}
    return {"bits": bits, "near": re.findall(r"<h[12].*?>(.*?)</h", html)}


FROZEN: dict[str, Callable[[], dict[str, Any]]] = {
    **{name: functools.partial(training, name) for name in TRAININGS},
    "resumed": resumed,
    **{f"estimate: {name}": functools.partial(estimated, name) for name in (*EXPECTATIONS, "ten sites")},
    "audit: losses": loss_tables,
    "audit: PPO": objective_tables,
    "report page": page,
}


def main() -> None:
    """Freezes everything."""
    parser = argparse.ArgumentParser(description="Writes what the code computes now to tests/frozen/numbers.json.")
    parser.add_argument("--write", action="store_true", required=True, help="replace what was frozen before")
    parser.add_argument("--out", type=Path, default=NUMBERS, help="another file, to compare two")
    out = parser.parse_args().out
    numbers = {name: function() for name, function in FROZEN.items()}
    out.write_text(json.dumps({"fingerprint": fingerprint(), "numbers": numbers}, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
