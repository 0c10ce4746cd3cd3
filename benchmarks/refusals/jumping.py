"""Programs with a jump that moves with the parameters: each of them should be refused."""

import jax
import jax.numpy as jnp
import numpyro.distributions as dist

import logpi

from .right import HALF, pathwise


def one(p):
    """A number around p."""
    return dist.Normal(p, 1.0)


class Moving:
    """A uniform distribution of one's own, that says nothing of its support."""

    def __init__(self, high):
        self.high = high

    def sample(self, key):
        """One number."""
        return self.high * jax.random.uniform(key)

    def log_prob(self, x):
        """Its log-density."""
        return -jnp.log(self.high) + 0.0 * x


class Masked(Moving):
    """What it draws has another scale than its density says."""

    def sample(self, key):
        """One number."""
        return self.high + jax.random.normal(key)

    def log_prob(self, x):
        """Half of its log-density."""
        return -0.25 * (x - self.high) ** 2


FUNCTIONS = {
    "where": lambda x: jnp.where(x[0] > 0.7, 1.0, 0.0),
    "where and a square": lambda x: jnp.where(x[0] > 0.7, 1.0, 0.0) + x[1] ** 2,
    "between": lambda x: ((x[0] > 0) & (x[0] < 2)) * 1.0,
    "floor": lambda x: jnp.sum(jnp.floor(x)),
    "ceil": lambda x: jnp.sum(jnp.ceil(x)),
    "round": lambda x: jnp.sum(jnp.round(x)),
    "trunc": lambda x: jnp.sum(jnp.trunc(x)),
    "mod": lambda x: jnp.mod(x[0], 1.0) + x[1],
    "sign": lambda x: jnp.sum(jnp.sign(x)),
    "heaviside": lambda x: jnp.sum(jnp.heaviside(x, 0.5)),
    "x / |x|": lambda x: jnp.sum(x / jnp.abs(x)),
    "|x| / x": lambda x: jnp.sum(jnp.abs(x) / x),
    "x / sqrt(x^2)": lambda x: jnp.sum(x / jnp.sqrt(x**2)),
    "x rsqrt(x^2)": lambda x: jnp.sum(x * jax.lax.rsqrt(x**2)),
    "x exp(-log(x^2) / 2)": lambda x: jnp.sum(x * jnp.exp(-0.5 * jnp.log(x**2))),
    "arctan(1 / x)": lambda x: jnp.sum(jnp.arctan(1 / x)),
    "tanh(1 / x)": lambda x: jnp.sum(jnp.tanh(1 / x)),
    "arctan of tan": lambda x: jnp.sum(jnp.arctan(jnp.tan(x))),
    "a branch of arctan2": lambda x: jnp.arctan2(x[0], x[1] - 1.0),
    "a cast": lambda x: jnp.sum(x.astype(int) * 1.0),
    "an index": lambda x: jnp.arange(8.0)[jnp.clip(x[0] + 3, 0, 7).astype(int)],
    "argmax": lambda x: 1.0 * jnp.argmax(x * jnp.asarray([1.0, 2.0, 3.0])),
    "argsort": lambda x: 1.0 * jnp.argsort(x * jnp.asarray([1.0, 2.0, 3.0]))[0],
    "largest index": lambda x: 1.0 * jax.lax.top_k(x * jnp.asarray([1.0, 2.0, 3.0]), 1)[1][0],
    "searchsorted": lambda x: 1.0 * jnp.searchsorted(jnp.arange(3.0), x[0]),
    "digitize": lambda x: 1.0 * jnp.digitize(x[0], jnp.arange(3.0)),
    "count": lambda x: 1.0 * jnp.sum(x > 0.5),
    "any": lambda x: jnp.any(x > 1.0) * 1.0,
    "all": lambda x: jnp.all(x > 0.0) * 1.0,
    "a branch": lambda x: jax.lax.cond(x[0] > 0, lambda: 1.0, lambda: 3.0),
    "how often": lambda x: jax.lax.while_loop(lambda c: c < 3, lambda c: c + 1, x[0]),
    "in a loop": lambda x: jax.lax.scan(lambda c, y: (c + (y > 0.5), None), 0.0, x)[0],
    "NaN of a root": lambda x: jnp.where(jnp.isnan(jnp.sqrt(x[0])), 0, 1) + x[0] ** 2,
    "x != x": lambda x: jnp.where(jnp.log(x[0]) != jnp.log(x[0]), 0.0, 1.0),
    "finite": lambda x: 5 * jnp.isfinite(jnp.log(x[0])) + x[0] ** 2,
    "infinite": lambda x: jnp.isposinf(1e38 * 10 ** x[0]) * 1.0,
    "slope of a kink": lambda x: jax.grad(lambda y: jnp.sum(jnp.abs(y)))(x)[0],
    "slope of a norm": lambda x: jax.grad(lambda y: jnp.linalg.norm(y))(x[:1])[0],
    "sign of a determinant": lambda x: jnp.linalg.slogdet(x[0] * jnp.eye(3))[0],
    "copysign": lambda x: jnp.sum(jnp.copysign(1.0, x)),
}


def _closure(t, key):
    return logpi.expectation(lambda x: (x > 2 * t) * 1.0 + 0.1 * x, one)(t, key)


def _costs(t, key):
    x, log_prob = logpi.sample(one(t), key)
    return logpi.cost((x > 2 * t) * 1.0, log_prob)


def _paths(t, key):
    return (logpi.sample(one(t), key, by="pathwise")[0] > 1.0) * 1.0


BOTH = {
    "x > 2p": lambda x, p: (x > 2 * p) * 1.0,
    "a pole": lambda x, p: (x - 2 * p) / jnp.abs(x - 2 * p) + 0.1 * x,
    "a root's pole": lambda x, p: (x - 2 * p) / jnp.sqrt((x - 2 * p) ** 2),
    "NaN": lambda x, p: jnp.where(jnp.isnan(jnp.sqrt(x - 2 * p)), 0.0, 1.0),
    "arctan of a pole": lambda x, p: jnp.arctan(1 / (x - 2 * p)),
}
JUMPING = {
    **{f"f: {name}": (pathwise(f), HALF) for name, f in FUNCTIONS.items()},
    **{f"f(x, p): {name}": (logpi.expectation(f, one, 16), HALF) for name, f in BOTH.items()},
    "closure": (_closure, HALF),
    "cost in a program": (_costs, HALF),
    "a path in a program": (_paths, HALF),
    "a surrogate": (logpi.expectation(jnp.sin, one, 16, logpi.LAX(jnp.round)), HALF),
    "a foreign support that moves": (logpi.expectation(jnp.square, Moving, 16), HALF),
    "a foreign density of other draws": (logpi.expectation(jnp.square, Masked, 16), HALF),
}
