"""NumPyro's distribution of the name and the parameters that an object of another library has.

A name is no proof: what is made of a twin is NaN unless both give the same log-probability to what the twin draws.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool

from .adapter import FromNumpyro, shape_of

# What is known of these is more than of any object: weak derivatives, quantiles, or all of their events.
NAMES = frozenset({
    "Bernoulli", "Beta", "Binomial", "Categorical", "Cauchy", "Exponential", "Gamma", "Geometric", "Gumbel", "Laplace",
    "Logistic", "LogNormal", "NegativeBinomial", "Normal", "Pareto", "Poisson", "Uniform", "Weibull",
})  # fmt: skip
POINTS = 4
SAME = 1e-3  # of log-probabilities


def twin_of(thing: Any) -> FromNumpyro | None:
    """The twin, whose events have the shape of those of the object; `None` where there is none."""
    inner, axes = thing, 0
    while type(inner).__name__ == "Independent" and (entries := getattr(inner, "distribution", None)) is not None:
        axes += getattr(inner, "reinterpreted_batch_ndims", None) or 0
        inner = entries
    found = _by_name(inner) if type(inner).__name__ in NAMES else None
    if found is None or len(found.batch_shape) != axes:
        return None
    twin = FromNumpyro(found.to_event(axes) if axes else found)
    try:
        event, log_prob = jax.eval_shape(lambda: (event := twin.sample(jax.random.key(0)), thing.log_prob(event)))
    except Exception:  # of an object of anybody's
        return None
    return twin if log_prob.shape == () and event.shape == shape_of(twin.distribution) else None


def _by_name(thing: Any) -> Any:
    import numpyro.distributions as d

    # Two forms of one family: other libraries have an object for both, with one of them empty.
    for form in ("", "Logits", "Probs"):
        kind = getattr(d, type(thing).__name__ + form, None)
        if not isinstance(kind, type) or not issubclass(kind, d.Distribution) or not kind.arg_constraints:
            continue
        given = {name: getattr(thing, name, None) for name in kind.arg_constraints}
        if all(isinstance(x, jax.Array | np.ndarray | np.generic | float | int) for x in given.values()):
            try:
                return kind(**given, validate_args=False)
            except Exception:  # parameters of another meaning
                return None
    return None


def is_alike(thing: Any, twin: FromNumpyro) -> Bool[Array, ""]:
    """Whether both give the same log-probabilities to draws of the twin."""
    still = jax.tree.map(jax.lax.stop_gradient, twin)
    events = still.sample(jax.random.key(0), (POINTS,))
    theirs, ours = (jax.lax.stop_gradient(jax.vmap(one.log_prob)(events)) for one in (thing, still))
    return jnp.all(jnp.abs(theirs - ours) <= SAME * (1 + jnp.abs(ours)))
