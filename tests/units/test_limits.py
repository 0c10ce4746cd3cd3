"""Numbers that no training can use are refused where the object is built: too large, infinite, not a number."""

import math

import pytest

from logpi import A2C, Adam, InputError, Network, PPO, REINFORCE

WRONG = (math.nan, math.inf, -math.inf)


@pytest.mark.parametrize("value", WRONG)
@pytest.mark.parametrize("kind", [PPO, A2C, REINFORCE])
def test_coefficients_are_finite(kind, value: float) -> None:
    for name in {"value_coef", "entropy_coef"} & set(kind.__dataclass_fields__):
        with pytest.raises(InputError, match=f"{name} is {value}, but it must be between 0 and .*: give a value"):
            kind(**{name: value})


@pytest.mark.parametrize("value", [*WRONG, 1e9])
def test_a_spread_that_cannot_be_is_refused(value: float) -> None:
    with pytest.raises(InputError, match=r"initial_log_std is .*, but it must be between -20 and 20: give a value"):
        Network(initial_log_std=value)


@pytest.mark.parametrize("name", ["width", "depth"])
@pytest.mark.parametrize("value", [-1, 10**9])
def test_layers_have_limits(name: str, value: int) -> None:
    with pytest.raises(InputError, match=rf"{name} is {value}, but it must be between \d and \d+: give a value"):
        Network(**{name: value})


@pytest.mark.parametrize("name", ["width", "depth"])
def test_layers_are_counted(name: str) -> None:
    with pytest.raises(InputError, match=f"{name} is True, but it must be a whole number, between"):
        Network(**{name: True})


@pytest.mark.parametrize("value", WRONG)
def test_a_learning_rate_is_finite(value: float) -> None:
    with pytest.raises(InputError, match=f"learning_rate is {value}, but it must be between 0 and .*: give a value"):
        Adam(value)
