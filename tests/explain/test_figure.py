"""The figure of anybody's own expectation: what is drawn are the numbers of the library."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

import logpi
from logpi.distributions import Bernoulli, Categorical
from logpi.errors import InputError
from logpi.explain import figure

KEY = jax.random.key(0)
COST = jnp.array([0.0, 1.0, 2.0, -1.0])


def diamonds(drawn: Any) -> np.ndarray:
    """The heights of the exact gradient's marks."""
    (marks,) = [line for line in drawn.axes[1].lines if line.get_marker() == "D"]
    return np.asarray(marks.get_ydata())


def pushes(J: Any, params: Any) -> tuple[float, float, float]:
    """The mean of what the samples add and its standard error, as they are drawn, and the mark beside it."""
    drawn = figure(J, params, KEY, steps=1)
    (bars,) = drawn.axes[1].containers
    (low, high), mean = bars.lines[2][0].get_segments()[0][:, 1], bars.lines[0].get_ydata()[0]
    return float(mean), float(high - low) / 2, float(diamonds(drawn)[0])


def titles(drawn: Any) -> list[str]:
    return [axes.get_title(loc="left") for axes in drawn.axes[:4]]


def test_a_choice_among_four() -> None:
    """The exact gradient is p (f - E f) by logit, and the climb ends higher than it began."""
    J = logpi.expectation(lambda a: COST[a], of=lambda p: Categorical(p["logits"]))
    logits = jnp.array([0.3, -0.2, 0.1, 0.0])
    drawn = figure(J, {"logits": logits}, KEY, steps=50)
    drawn.canvas.draw()
    p = jax.nn.softmax(logits)
    np.testing.assert_allclose(diamonds(drawn), p * (COST - p @ COST), atol=1e-6)
    heights = np.asarray(drawn.axes[3].lines[0].get_ydata())
    np.testing.assert_allclose(heights[0], p @ COST, atol=1e-6)
    assert heights[-1] > heights[0] + 0.2
    assert [text.get_text() for text in drawn.axes[1].get_xticklabels()] == [f"logits[{i}]" for i in range(4)]


def test_a_gaussian_has_its_hill_drawn() -> None:
    """E[-(x - 3)²] has the gradient -2 (mean - 3) in the mean, and -2 std² in the log of the deviation."""
    J = logpi.expectation(
        lambda x: -((x - 3.0) ** 2), of=lambda p: dist.Normal(p["mean"], jnp.exp(p["log_std"])), samples=64
    )
    drawn = figure(J, {"mean": 1.0, "log_std": 0.0}, KEY, steps=20)
    drawn.canvas.draw()
    log_std, mean = diamonds(drawn)
    assert abs(mean - 4.0) < 0.3 and abs(log_std + 2.0) < 0.3  # of 20,000 samples: five standard errors
    assert "climb" in titles(drawn)[2] and drawn.axes[2].get_ylabel() == "mean"


@pytest.mark.parametrize("of", [lambda p: dist.Poisson(p), lambda p: Bernoulli(jnp.log(p))], ids=["counts", "a coin"])
def test_one_parameter_is_a_curve(of: Any) -> None:
    J = logpi.expectation(lambda x: 1.0 * x, of=of, samples=32)
    drawn = figure(J, 2.0, KEY, steps=5)
    drawn.canvas.draw()
    assert drawn.axes[2].get_ylabel() == "J = E[f(x)]"


def test_what_cannot_be_drawn_is_said() -> None:
    J = logpi.expectation(lambda x: x.sum(), of=lambda p: dist.Normal(jnp.zeros(3) + p, 1.0).to_event(1))
    with pytest.raises(InputError, match="events have the shapes"):
        figure(J, 1.0, KEY)
    with pytest.raises(InputError, match=r"make it with logpi\.expectation"):
        figure(jnp.sin, 1.0, KEY)  # type: ignore[arg-type]


def test_what_samples_add_has_the_derivative_of_f() -> None:
    """E[(x - m)² + m] = 1 + m: its gradient, 1, is all in f's derivative. Within 4.5 standard errors of 200 samples."""
    J = logpi.expectation(lambda x, m: (x - m) ** 2 + m, of=lambda m: dist.Normal(m, 1.0), samples=16)
    mean, error, beside = pushes(J, 0.5)
    assert abs(mean - 1.0) < 4.5 * error < 1.0 and abs(beside - 1.0) < 0.2


@pytest.mark.parametrize(
    ("of", "estimator", "sentence"),
    [
        (lambda t: dist.Uniform(0.0, t), logpi.MeasureValued(), "shows the score of each sample.*support of Uniform"),
        (lambda t: dist.Bernoulli(probs=t - 2.0), logpi.Enumerate(), "probs of BernoulliProbs is 0"),
        (lambda t: dist.Exponential(t - 3.0), logpi.Score(), "rate of Exponential is -1"),
    ],
    ids=["a support that moves", "a coin at the edge", "out of range"],
)
def test_what_no_score_shows_is_refused(of: Any, estimator: Any, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        figure(logpi.expectation(lambda x: x**2.0, of, 16, estimator), 2.0, KEY, steps=1)
