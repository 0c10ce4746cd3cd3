"""What is given to JSON."""

import json
import math

import jax.numpy as jnp
import numpy as np

from logpi.runs.files import as_json, spelled
from logpi.runs.schema import from_json, to_json


def test_only_finite_numbers_are_numbers() -> None:
    value = {"a": [1, 2.5, math.nan, None, True], 3: (math.inf, "x", np.float64(-math.inf))}
    assert as_json(value) == {"a": [1, 2.5, None, None, True], "3": [None, "x", None]}
    named = as_json(value, spelled)
    assert named == {"a": [1, 2.5, "nan", None, True], "3": ["inf", "x", "-inf"]}
    assert json.loads(json.dumps(named, allow_nan=False)) == named


def test_what_json_does_not_know_is_described() -> None:
    assert as_json({"a": np.array([1.0, math.nan])}, other=np.ndarray.tolist) == {"a": [1.0, None]}


def test_an_array_of_a_configuration_may_hold_what_is_not_finite() -> None:
    """It was written as NaN, which no reader of JSON takes, logpi's own among them."""
    for array in (np.array([1.0, math.inf]), jnp.array([1.0, jnp.inf])):
        assert from_json(json.loads(json.dumps(to_json(array), allow_nan=False))) == (1.0, math.inf)
