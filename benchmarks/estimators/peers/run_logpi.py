"""logpi, and what is written by hand around it: one contender a process.

`estimate` is the public call; `compiled` is the compiled run inside of it, without the Python before and after.
"""

import functools

import jax
import jax.numpy as jnp
import network
from protocol import Ready, serve
from settings import CENTRE, LEVEL, LOG_STD, LOGITS, MEAN, SAMPLES, WEIGHTS

from logpi.distributions import Bernoulli, Normal
from logpi.estimation import estimate, expectation
from logpi.estimation.programs import facts, Pieces
from logpi.estimation.replicates import run

REPLICATES = 64  # errors known to 9 %
_compiled = [0]
jax.monitoring.register_event_duration_secs_listener(
    lambda event, seconds, **_: _compiled.__setitem__(0, _compiled[0] + (event == COMPILING))
)
COMPILING = "/jax/core/compile/backend_compile_duration"


def problem(task: str):
    """Expectation, parameters and replicates of a task."""
    if task == "network":
        return expectation(network.cost, network.Policy, network.EACH), network.parameters(), network.REPLICATES
    if task == "coins":
        weights = jnp.array(WEIGHTS)
        J = expectation(lambda b: (b @ weights - LEVEL) ** 2, Bernoulli, -(-SAMPLES // REPLICATES))
        return J, jnp.array(LOGITS), REPLICATES
    samples = 250 if task == "memory" else -(-SAMPLES // REPLICATES)
    J = expectation(lambda x: (x - CENTRE) ** 2, lambda p: Normal(p[0], p[1]), samples)
    return J, jnp.array([MEAN, LOG_STD]), REPLICATES


def keys():
    """A fresh key for each call."""
    return iter(jax.random.split(jax.random.key(0), 10_000))


def public(task: str) -> Ready:
    """`logpi.estimate`."""
    J, params, replicates = problem(task)
    stream = keys()
    first = estimate(J, params, next(stream), replicates=replicates)
    gradient = [] if task == "network" else jax.device_get(first.gradient).tolist()
    return Ready(lambda: jax.block_until_ready(estimate(J, params, next(stream), replicates=replicates)), gradient)


def compiled(task: str) -> Ready:
    """The compiled run alone: sums of values, gradients and their squared deviations."""
    J, params, replicates = problem(task)
    stream, pieces = keys(), Pieces.of(J, params)
    known = facts(pieces, next(stream))

    def call():
        return run(pieces, next(stream), replicates, known)

    return Ready(call, [] if task == "network" else jax.device_get(call().mean)[1:].tolist())


def one_batch(task: str) -> Ready:
    """`jax.jit(jax.value_and_grad(J))` of as many samples in one batch: what the peers give, so no errors."""
    J, params, _ = problem(task)
    whole = expectation(J.problem.f, J.problem.of, SAMPLES)
    function, stream = jax.jit(jax.value_and_grad(whole)), keys()
    _, gradient = function(params, next(stream))
    return Ready(lambda: jax.block_until_ready(function(params, next(stream))), gradient.tolist())


def by_hand(function, *arguments) -> Ready:
    """A jitted function of arguments and a key."""
    stream = keys()
    jax.block_until_ready(function(*arguments, next(stream)))
    return Ready(lambda: jax.block_until_ready(function(*arguments, next(stream))))


def draw(task: str) -> Ready:
    """Nothing but the normal numbers."""
    return by_hand(jax.jit(lambda key: jax.random.normal(key, (SAMPLES,))))


def many(samples: int, task: str) -> Ready:
    """`logpi.estimate` of so many samples, after one of fewer, and how often anything was compiled in between."""
    J, params, _ = problem("memory")
    stream = keys()
    estimate(J, params, next(stream), samples=32 * J.samples)
    before = _compiled[0]
    if not before:
        raise RuntimeError("JAX told of no compilation, so none could be counted.")
    return Ready(
        lambda: jax.block_until_ready(estimate(J, params, next(stream), samples=samples)),
        facts=lambda: {"compilations_again": _compiled[0] - before, "seconds_for": samples},
    )


if __name__ == "__main__":
    written = {name: getattr(network, name) for name in ("plain", "vmap_grad", "vmap_grad_chunked")}
    serve(
        {"estimate": public, "compiled": compiled, "one_batch": one_batch, "draw": draw}
        | {name: functools.partial(lambda f, task: by_hand(f, network.parameters()), f) for name, f in written.items()}
        | {f"{n:,}": functools.partial(many, n) for n in (10**4, 10**6, 10**7, 10**8)},
        ["logpi", "jax", "equinox"],
    )
