"""The problems with closed-form answers, and which estimator admits which of them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jax.flatten_util import ravel_pytree
from jaxtyping import Array

import logpi as le

CASES = {case["name"]: case for case in json.loads(Path(__file__).with_name("closed_form.json").read_text())}
RARE = "N rare step 1{x>mu+4sigma}"


class Pick(eqx.Module):
    """One of several functions, by an array index: problems that share a distribution share a compiled program."""

    index: Array
    functions: tuple[Callable, ...] = eqx.field(static=True)

    def __call__(self, x):
        return jax.lax.switch(self.index, self.functions, x)


class Family(eqx.Module):
    """From parameters to NumPyro's distribution; those that are not differentiated stay as they are."""

    name: str = eqx.field(static=True)
    fixed: tuple = eqx.field(static=True)

    def __call__(self, params) -> Any:
        fixed = {name: jnp.asarray(value) for name, value in self.fixed}
        kind, _, event = self.name.partition(", ")
        made = getattr(dist, kind)(**fixed, **params)
        return made.to_event(1) if event else made


def _as_tuple(value):
    return tuple(_as_tuple(v) for v in value) if isinstance(value, list) else value


def _function(expression: str) -> Callable:
    return eval(f"lambda x: {expression}", {**vars(jnp)})  # an expression of our own file


FUNCTIONS = {name: _function(case["f"]) for name, case in CASES.items()}


def params_of(name: str) -> dict[str, Array]:
    """The parameters that are differentiated."""
    return {wrt: jnp.asarray(CASES[name]["params"][wrt]) for wrt in CASES[name]["wrt"]}


def family_of(name: str) -> Family:
    """The distribution as a function of these parameters."""
    case = CASES[name]
    fixed = tuple((key, _as_tuple(value)) for key, value in case["params"].items() if key not in case["wrt"])
    return Family(case["distribution"], fixed)


def shared(name: str) -> list[str]:
    """The cases with the same distribution at the same parameters, in order."""
    key = ("distribution", "params", "wrt")
    return [other for other, case in CASES.items() if all(case[k] == CASES[name][k] for k in key)]


def expectation_of(name: str, estimator, samples: int) -> le.Expectation:
    """The objective of a case."""
    group = shared(name)
    f = Pick(jnp.asarray(group.index(name)), tuple(FUNCTIONS[other] for other in group))
    return le.expectation(f, family_of(name), samples, estimator)


def truth(name: str) -> tuple[float, np.ndarray]:
    """Value and flat gradient, in the order of `params_of` flattened."""
    case = CASES[name]
    flat, start = {}, 0
    for wrt in case["wrt"]:
        size = np.size(case["params"][wrt])
        flat[wrt] = np.asarray(case["gradient"][start : start + size])
        start += size
    return case["value"], np.concatenate([flat[wrt] for wrt in sorted(flat)])  # as JAX sorts the keys of a dict


def score_variance(name: str) -> np.ndarray:
    """The exact variance of one plain score sample, in the order of the flat gradient."""
    case = CASES[name]
    assert len(case["wrt"]) == len(case["score_variance"]) or len(case["wrt"]) == 1
    if len(case["wrt"]) == 1:
        return np.asarray(case["score_variance"])
    return np.asarray([v for _, v in sorted(zip(case["wrt"], case["score_variance"], strict=True))])


def flat(tree) -> np.ndarray:
    """A pytree as one vector of float64."""
    return np.asarray(ravel_pytree(tree)[0], np.float64)


def deviations(e: le.Estimate, value: float, gradient: np.ndarray) -> np.ndarray:
    """Distances from the truth in standard errors; infinite for what did not vary and is not right to rounding."""
    found = np.concatenate([[float(e.value)], flat(e.gradient)])
    right = np.concatenate([[value], gradient])
    error = np.concatenate([[float(e.value_error)], flat(e.gradient_error)])
    rounding = 2e-5 * max(1.0, np.abs(right).max())
    still = ~np.isfinite(error) | (error < rounding / 10)
    off = np.abs(found - right)
    return np.where(still, np.where(off <= rounding, 0.0, np.inf), off / np.where(still, 1.0, error))
