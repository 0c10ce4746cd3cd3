"""Programs with several random sites: each gives an event and its log-probability, a cost takes those before it."""

from typing import Any, Literal

import jax
import jax.numpy as jnp
from jax.lax import stop_gradient
from jaxtyping import Array, Float, PRNGKeyArray, PyTree, Real

from ..derivatives import doubt_shared
from ..distributions import as_distribution
from ..distributions.guards import check_reparametrised, off_boundary, still_support, within_constraints
from ..distributions.probabilities import log_prob_of_draw
from ..distributions.support import as_event
from ..errors import choice, InputError, shown
from ..jaxprs.discontinuities import ACCOUNT, LEVEL, proven
from ..parameters import as_parameters, as_real_array, check_key, frozen
from .problem import check_function


def sample(
    dist: Any, key: PRNGKeyArray, by: Literal["score", "pathwise"] = "score"
) -> tuple[PyTree[Array], Float[Array, ""]]:
    """One event of a site, and the log-probability by which the costs after it account for it.

    By score, the event is a constant, and the sum of the log-probabilities of the sites before a cost goes to `cost`.
    Pathwise, the event itself has a derivative and the log-probability is 0; `InputError` where that would be wrong.
    Inside `jax.lax.scan` the sum is carried like any other state. A parameter outside of its range makes both NaN; in a
    probability (`probs`) of exactly 0 or 1, the derivative by score is, for no draw shows it.
    """
    choice("by", by, ("score", "pathwise"))
    doubt_shared(key)
    dist, key = as_distribution(dist), check_key(key)
    with proven():
        within = within_constraints(dist)
        if by == "pathwise":
            event = dist.sample(key)
            zero = check_reparametrised(dist) + within
            return jax.tree.map(lambda x: x + zero, event), within
        # The parameters are frozen before the draw: a sampler without a derivative is then never asked for one.
        event = frozen(frozen(dist).sample(key))
        log_prob = log_prob_of_draw(dist, event) + still_support(dist) + off_boundary(dist)
        with jax.named_scope(ACCOUNT):
            return event, log_prob + within


def cost(
    value: Real[Array, "*n"] | float, log_prob: Float[Array, "*n"] | float, baseline: Real[Array, "..."] | float = 0.0
) -> Float[Array, "*n"]:
    r"""$e^{\ell - \bar\ell} (c - \bar b) + \bar b$, with $\ell$ the log-probability of all that came before a cost.

    Its value is the cost, and its derivatives of every order are unbiased for those of the expectation. A bar is a
    constant. The baseline must not depend on any event that `log_prob` accounts for: where the log-probability is
    summed along a trajectory, that leaves out a value of the present state. Raises `InputError` for shapes that differ
    (single numbers fit to any). Foerster et al. 2018
    (DiCE, arXiv:1802.05098), eq. 5; with a baseline, Mao et al. 2019 (arXiv:1910.00482).
    """
    value, log_prob = _real("value", value), _real("log_prob", log_prob)
    log_prob = log_prob if jnp.issubdtype(log_prob.dtype, jnp.floating) else log_prob.astype(float)
    with jax.named_scope(LEVEL):
        baseline = stop_gradient(_real("baseline", baseline))
    shapes = [jnp.shape(x) for x in (value, log_prob, baseline)]
    whole = max(shapes[:2], key=len)
    if shapes[0] not in ((), whole) or shapes[1] not in ((), whole) or not _fits(shapes[2], whole):
        raise InputError(
            f"value, log_prob and baseline have the shapes {shapes[0]}, {shapes[1]} and {shapes[2]}, which would be "
            "combined crosswise: give one shape, or single numbers."
        )
    return jnp.exp(log_prob - stop_gradient(log_prob)) * (value - baseline) + baseline


def _real(name: str, value: Any) -> Real[Array, "..."]:
    """The value as an array of real numbers."""
    array = as_real_array(value)
    if array is None:
        raise InputError(f"{name} is {shown(value)}, but it must be real numbers: give a float, or an array of them.")
    return array


def _fits(shape: tuple[int, ...], whole: tuple[int, ...]) -> bool:
    """Whether an array of this shape can be taken along without making the other one larger."""
    try:
        return jnp.broadcast_shapes(shape, whole) == whole
    except ValueError:
        return False


def score(policy: PyTree, event: PyTree, of: Any = None) -> PyTree:
    r"""$\nabla_\theta \log \pi_\theta(x)$: how each parameter would have to move to make an event more probable.

    `policy` is a distribution, anything with a `log_prob`, or parameters that `of` turns into one. The result has its
    structure: one number for each parameter, `None` where a leaf is not a float. A density need not be normalised here.
    Raises `InputError` for an event that the distribution cannot give.
    """
    floats, rest = as_parameters(policy)
    if of is not None:
        check_function("of", of)

    def log_prob(floats):
        whole = rest.filled(floats)
        dist = as_distribution(whole if of is None else of(whole))
        return dist.log_prob(as_event(dist, event)) + still_support(dist)

    return rest.shaped(jax.grad(log_prob)(floats))
