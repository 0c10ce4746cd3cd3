"""Results show themselves where a cell of a notebook, or a line of a terminal, ends with them."""

import dataclasses
from xml.etree import ElementTree

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

import logpi
from logpi.estimation import Estimate
from logpi.evaluation.evaluate import Evaluation
from logpi.explain import figure
from logpi.runs.plot import plot_curves
from logpi.statistics.intervals import Interval, iqm_interval, mean_interval
from tests.reliability.folders import run as blank_run

PNG = b"\x89PNG\r\n"
ROWS = [
    {"seed": 0, "iteration": i, "steps": 64 * i, "episodes": 2, "return_mean": float(i), "return_squares": 2.0 * i * i}
    for i in range(1, 9)
]


def evaluation(*returns: list[float]) -> Evaluation:
    made = np.asarray(returns)
    return Evaluation("Env-v0", False, tuple(range(len(returns))), made, np.ones_like(made))


def test_a_plot_is_a_picture() -> None:
    pytest.importorskip("matplotlib")
    drawn = plot_curves("A title", (0,), ROWS)
    assert drawn._repr_png_().startswith(PNG)
    drawn.axes[0].set_title("Another")  # a figure as any, drawn when it is shown
    assert drawn._repr_png_().startswith(PNG)


def test_a_run_is_its_words_and_a_small_curve() -> None:
    """The numbers are those of the figure; whatever a folder says is text."""
    seeds = (0, 1)
    rows = [row | {"seed": seed, "return_mean": row["return_mean"] + seed} for seed in seeds for row in ROWS]
    shown = dataclasses.replace(blank_run(), seeds=seeds, history=rows, env="<b>")._repr_html_()
    root = ElementTree.fromstring(f"<all>{shown}</all>")
    assert "<Run of PPO on <b>, 2 seeds, from 0: 8 steps>" in (text := "".join(root.itertext()))
    assert "interquartile mean of 2 seeds: 8.5 [8.0, 9.0] (95 %)" in text and "512 steps" in text
    assert len(root.findall(".//polyline")) == 1 and root.find(".//b") is None
    bare = ElementTree.fromstring(f"<all>{dataclasses.replace(blank_run(), history=[])._repr_html_()}</all>")
    assert "PPO(" in "".join(bare.itertext()) and bare.find(".//svg") is None


def test_so_are_the_figures_of_pages() -> None:
    pytest.importorskip("matplotlib")
    J = logpi.expectation(lambda x: x, of=lambda theta: dist.Bernoulli(logits=theta), estimator=logpi.Score())
    assert figure(J, 0.5, jax.random.key(0))._repr_png_().startswith(PNG)


@pytest.mark.parametrize("values", [[1.0], [3.5]])
@pytest.mark.parametrize("interval", [mean_interval, iqm_interval])
def test_one_value_has_no_interval(interval, values: list[float]) -> None:
    found = interval(np.asarray(values))
    assert not found.known and str(found) == f"{values[0]:.1f}"


def test_two_values_have_one() -> None:
    assert str(Interval(1.0, 0.5, 1.5)) == "1.0 [0.5, 1.5]" and mean_interval(np.asarray([1.0, 2.0])).known


@pytest.mark.parametrize(
    ("returns", "text"),
    [
        ([[500.0]], "Env-v0, stochastic policy, 1 episode: return 500.0"),
        ([[1.0, 1.0]], "Env-v0, stochastic policy, 2 episodes: return 1.0 [1.0, 1.0] (95 %)"),
        (
            [[1.0], [1.0]],
            "Env-v0, stochastic policy, 1 episode a seed: return 1.0 [1.0, 1.0] (95 %, Student's t ",
        ),
        ([[2.0], [2.0]], "  seed 1: 2.0"),
    ],
)
def test_an_evaluation_is_words_without_nan(returns: list[list[float]], text: str) -> None:
    found = evaluation(*returns)
    assert text in repr(found) and repr(found) == str(found) and "nan" not in repr(found)


@pytest.mark.parametrize("size", [1, 3, 40])
def test_an_estimate_is_numbers(size: int) -> None:
    gradient = {"a": jnp.arange(1.0, size + 1), "b": None}
    made = Estimate(jnp.asarray(2.5), jnp.asarray(0.1), gradient, gradient, 80, 40, True)
    assert repr(made) == str(made) and repr(made).startswith("value     2.5 ± 0.1\ngradient  1 ± 1")
    assert "80 samples in 40 replicates, converged" in repr(made) and "f32" not in repr(made)


def test_an_estimate_of_traced_numbers_says_what_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    @jax.jit
    def traced(value):
        seen.append(repr(Estimate(value, value, [value], [value], 8, 4, True)))
        return value

    traced(jnp.asarray(1.0))
    several = jnp.ones(3)
    with monkeypatch.context() as unchecked:  # as `vmap` and `scan` make them, without the checks of the tests
        unchecked.setattr(Estimate, "__init__", lambda self, **fields: vars(self).update(fields))
        fields = {"value": several, "value_error": several, "gradient": [several], "gradient_error": [several]}
        seen.append(repr(Estimate(**fields, samples=8, replicates=4, converged=True, reason="")))
    assert all(text.startswith("Estimate(") for text in seen)
