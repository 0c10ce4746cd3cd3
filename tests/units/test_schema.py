"""What run folders may hold of the user's own, and what is refused before a training begins."""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import logpi
from logpi import InputError
from logpi.measurements import Measurement, OF_EPISODES, REWARD
from logpi.runs.arrays import arrays_limit
from logpi.runs.metrics import check_measurements, WHOLE
from logpi.runs.schema import differences, from_json, KNOWN, PARTS, register, to_json


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch):
    """Lets a class be registered for one test."""
    monkeypatch.setattr("logpi.runs.schema.PARTS", list(PARTS))
    monkeypatch.setattr("logpi.runs.schema.KNOWN", dict(KNOWN))
    return register


@dataclasses.dataclass(frozen=True)
class Part:
    """A part with fields of every kind that there may be."""

    sizes: tuple[int, ...] = (3, 4)
    pair: tuple[str, float] = ("a", 0.5)
    anything: Any = 7
    optimiser: logpi.Adam | None = None
    own: logpi.Optax | None = None


def test_fields_of_every_kind_come_back(own) -> None:
    own(Part)
    assert from_json(to_json(Part(optimiser=logpi.Adam(0.5)))) == Part(optimiser=logpi.Adam(0.5))
    back = from_json(to_json(Part(own=logpi.Optax(optax.sgd(1.0)))))
    assert "Optax" in back.own.text and back.sizes == (3, 4)  # as far as a folder knows it


@pytest.mark.parametrize("wrong", [{"sizes": [1, "x"]}, {"sizes": 3}, {"pair": ["a"]}, {"pair": ["a", 1.0, 2.0]}])
def test_items_of_another_kind_are_refused(own, wrong: dict[str, Any]) -> None:
    own(Part)
    with pytest.raises(InputError):
        from_json(to_json(Part()) | wrong)


def test_a_difference_far_into_a_text_is_seen() -> None:
    one, other = ({"custom": "Mine(" + "x" * 200 + f", clip={clip})"} for clip in (0.1, 0.2))
    ((_, before, now),) = differences(one, other)
    assert "clip=0.1)" in before and "clip=0.2)" in now and len(before) < 80
    assert not list(differences(one, dict(one)))


@pytest.mark.parametrize("name", [*WHOLE, *(m.name for m in OF_EPISODES), REWARD.name, "dropped", "twice"])
def test_names_of_measurements_that_are_taken_are_refused(name: str) -> None:
    mine = [Measurement(name, "share", "Mine.")] * (1 + (name == "twice"))
    with pytest.raises(InputError, match=f"'{name}' is the name of"):
        check_measurements(mine)
    check_measurements([Measurement("once", "share", "Mine."), *logpi.PPO.measurements])


class Scaled(eqx.Module):
    """A model with a plain number among its leaves."""

    weight: jax.Array
    scale: float = 2.0


def test_the_size_of_a_file_is_known_from_shapes() -> None:
    model = Scaled(jnp.zeros((1000, 100)))
    assert arrays_limit(model) == arrays_limit(eqx.filter_eval_shape(lambda: model)) > 400_000
    assert np.isscalar(model.scale)
