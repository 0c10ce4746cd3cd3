"""J: the expectation of a function, as an object that can be held, called and differentiated."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.core import Tracer
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from ..derivatives import when_differentiated
from ..distributions.guards import another_of_its_name, broken_boundary, broken_constraint
from ..errors import check_flag, check_whole, InputError, shown, takes
from ..estimators.base import AbstractEstimator, check_estimator
from ..estimators.baselines import AbstractBaseline
from ..estimators.pathwise import Pathwise
from ..estimators.problem import check_function, is_function, Problem
from ..estimators.score_function import Score
from ..jaxprs.discontinuities import proven
from ..parameters import as_parameters, check_key
from .derivative_check import check_derivative, unchecked
from .programs import Facts, facts, MOST_SAMPLES, Pieces, Program, STILL


class Expectation(eqx.Module):
    r"""$J(\theta) = E_{x \sim \pi_\theta}[f(x)]$, estimated without bias by each call, and so are its derivatives.

    A plain function of `(params, key)` under `jax.grad`, `jax.jit`, `jax.vmap` and, where the estimator says so,
    `jax.hessian`. Make one with `logpi.expectation`.
    """

    problem: Problem
    estimator: AbstractEstimator
    samples: int = eqx.field(static=True)

    # `jax.jit(J)` looks functions up by their hash, and arrays, which baselines may hold, have none.
    __hash__ = object.__hash__
    __eq__ = object.__eq__

    def __call__(self, params: PyTree, key: PRNGKeyArray) -> Float[Array, ""]:
        """One estimate of J from `samples` events: in its value unbiased for J, in its derivatives for J's.

        Raises `InputError` for parameters without a float, a key that is none, an f that does not return one number, or
        a distribution that the estimator cannot be right for.
        """
        (floats, rest), key = as_parameters(params), check_key(key)
        params = rest.filled(floats)

        def check(floats):
            checked_facts(self, Pieces.of(self, rest.filled(floats)), key)

        with proven():
            value = self.estimator(self.problem, params, key, self.samples)
        return value + when_differentiated(floats, check)

    def fault(self, params: PyTree) -> str | None:
        """What is wrong with the distribution where a value or a derivative is not finite, and its numbers are known.

        A parameter outside of its range; or a probability of exactly 0 or 1, or a distribution that is not what its
        name says, where the estimator has no number even for an f of 0.
        """
        floats, rest = as_parameters(params)
        of = self.problem.distribution
        limit = broken_constraint(lambda: of(params))
        if limit is not None:
            return limit
        edge = another_of_its_name(of(params)) or broken_boundary(of, rest.filled(floats))
        if edge is None:
            return None
        flat = Problem(lambda x: jnp.zeros(()), self.problem.of, self.problem.draw)
        nothing = Expectation(flat, self.estimator, self.samples)
        with unchecked():
            found = jax.jit(jax.value_and_grad(lambda floats: nothing(rest.filled(floats), jax.random.key(0))))(floats)
        return edge if not all(jnp.all(jnp.isfinite(x)) for x in jax.tree.leaves(found)) else None

    def updated(self, value: Float[Array, ""]) -> "Expectation":
        """The same expectation after `value` was seen: its baselines that learn have learned from it."""

        def is_baseline(node):
            return isinstance(node, AbstractBaseline)

        learned = jax.tree.map(lambda x: x.updated(value) if is_baseline(x) else x, self.estimator, is_leaf=is_baseline)
        return Expectation(self.problem, learned, self.samples)


def _is_settled(J: Program) -> bool:
    """Whether its derivative is known not to be that of its value, or said to be."""
    if not isinstance(J, Expectation):
        return False
    parts = jax.tree.leaves(J.estimator, is_leaf=lambda node: isinstance(node, Pathwise))
    said = any(part.continuous for part in parts if isinstance(part, Pathwise))
    return said or J.problem.continuous or type(J.estimator).__name__.startswith("Biased")


def raise_broken_limit(J: Program, params: PyTree) -> None:
    """Raises `InputError` where a parameter of an expectation's distribution is out of its range, or at its edge."""
    said = J.fault(params) if isinstance(J, Expectation) else None
    if said is not None:
        raise InputError(f"{said}.") from None


def checked_facts(J: Program, pieces: Pieces, key: PRNGKeyArray) -> Facts:
    """What a program tells of itself. Raises `InputError` where its derivative was measured to be wrong."""
    known = facts(pieces, key)
    if known.faults and isinstance(J, Expectation):
        # Somebody stopped the parameters on purpose.
        known = known._replace(faults=tuple(name for name in known.faults if name != STILL))
    if known.is_doubtful and not _is_settled(J):
        try:
            check_derivative(pieces, key, known, J.samples if isinstance(J, Expectation) else 1)
        except InputError:
            if not any(isinstance(x, Tracer) for x in pieces.floats + pieces.arrays):
                raise_broken_limit(*pieces.together())
            raise
    return known


def expectation(
    f: Callable[..., Any],
    of: Callable[[PyTree], Any] | None = None,
    samples: int = 64,
    estimator: AbstractEstimator | None = None,
    *,
    continuous: bool = False,
) -> Expectation:
    r"""The objective $J(\theta) = E_{x \sim \pi_\theta}[f(x)]$, with gradient $E[f(x) \, \partial \log \pi_\theta(x)]$.

    `f(x)` or `f(x, params)` returns one number for one event; it may be any JAX code, or anything at all as
    `logpi.host(f)`. `of(params)` is the distribution: logpi's, NumPyro's, or an object with `log_prob` and `sample`;
    without it, the parameters are a distribution themselves. `samples` events are drawn in each call. The estimator is
    `Score()` unless given: right for any f of x. An f(x, params) that may jump where the parameters say is refused when
    a derivative is taken, unless `continuous` says that nothing jumps. Raises `InputError` for what cannot be an
    expectation.

        J = logpi.expectation(lambda x: x**2, of=lambda p: numpyro.distributions.Normal(p["mean"], 1.0))
        jax.grad(J)({"mean": 0.5}, jax.random.key(0))
    """
    check_function("f", f)
    if of is not None and not is_function(of):
        raise InputError(
            f"of is {shown(of)}, but it must be a function of the parameters: give lambda params: "
            "distribution, or leave it out and pass the distribution as the parameters."
        )
    if of is not None and not takes(of, 1):
        raise InputError("of cannot be called as of(params): give a function of the parameters, in one pytree.")
    samples = check_whole("samples", samples, 1, MOST_SAMPLES)
    estimator = Score() if estimator is None else estimator
    check_estimator("estimator", estimator)
    return Expectation(Problem(f, of, continuous=check_flag("continuous", continuous)), estimator, samples)
