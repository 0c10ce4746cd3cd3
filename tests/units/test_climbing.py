"""Going up and down an expectation: it arrives, it stops in noise, and nothing is lost when something fails."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import optax
import pytest

import logpi
from logpi.estimation.climbing import PATIENCE

KEY = jax.random.key(0)


def hill(estimator=None):
    """-(x - 3)^2 under N(m, 1): the top is at m = 3, where it is -1."""
    return logpi.expectation(lambda x: -((x - 3.0) ** 2), of=lambda p: dist.Normal(p["m"], 1.0), estimator=estimator)


@pytest.mark.parametrize("baseline", [logpi.LeaveOneOut(), logpi.MovingAverage(), logpi.NoBaseline()])
def test_it_arrives_at_the_top(baseline):
    params, history = logpi.maximize(
        hill(logpi.Score(baseline)), {"m": 1.0}, KEY, optimiser=optax.adam(0.05), steps=400, stop_in_noise=False
    )
    assert float(params["m"]) == pytest.approx(3.0, abs=0.15)
    assert len(history) == 400 and history.stopped == "all 400 steps taken"
    assert abs(history.value[-1] + 1) < 4.5 * history.value_error[-1] + 0.03


def test_down_is_up_of_the_negative():
    down, _ = logpi.minimize(
        logpi.expectation(lambda x: (x - 3.0) ** 2, of=lambda p: dist.Normal(p["m"], 1.0)), {"m": 1.0}, KEY, steps=20
    )
    up, _ = logpi.maximize(hill(), {"m": 1.0}, KEY, steps=20)
    assert float(down["m"]) == pytest.approx(float(up["m"]), abs=1e-6)


def test_the_first_step_is_that_of_the_mean_gradient():
    params, history = logpi.maximize(hill(), {"m": 1.0}, KEY, optimiser=optax.sgd(0.1), steps=1, replicates=4)
    keys = jax.random.split(jax.random.fold_in(KEY, 0), 4)
    gradients = np.asarray([float(jax.grad(hill())({"m": jnp.array(1.0)}, key)["m"]) for key in keys])
    assert float(params["m"]) == pytest.approx(1 + 0.1 * gradients.mean(), rel=1e-5)
    assert history.gradient_norm[0] == pytest.approx(abs(gradients.mean()), rel=1e-5)


def test_it_stops_where_there_is_nothing_but_noise():
    """f does not depend on x through its mean: the gradient is noise from the first step on."""
    noise = logpi.expectation(
        lambda x: jnp.sin(40 * x), of=lambda p: dist.Normal(p["m"], 1.0), estimator=logpi.Score(logpi.NoBaseline())
    )
    _, history = logpi.maximize(noise, {"m": 0.0}, KEY, steps=5000)
    assert "lost in noise" in history.stopped
    assert PATIENCE <= len(history) < 5000
    assert history.signal_to_noise[-1] < 2


def test_it_does_not_stop_on_the_way():
    _, history = logpi.maximize(hill(), {"m": -20.0}, KEY, optimiser=optax.sgd(1e-3), steps=600)
    assert len(history) == 600


def test_baselines_learn_on_the_way():
    """With an offset of 1000, a moving average brings the error down to that of no offset."""
    far = logpi.expectation(
        lambda x: x + 1000.0, of=lambda p: dist.Normal(p["m"], 1.0), estimator=logpi.Score(logpi.MovingAverage())
    )
    _, history = logpi.maximize(far, {"m": 0.0}, KEY, optimiser=optax.sgd(0.0), steps=100, stop_in_noise=False)
    assert np.mean(history.gradient_norm[:2]) > 10 * np.mean(history.gradient_norm[-20:])


def test_a_failure_on_the_way_keeps_what_was_climbed():
    calls = []

    def f(x):
        calls.append(float(x))
        if len(calls) > 5000:
            raise RuntimeError("licence expired")
        return -((float(x) - 3) ** 2)

    J = logpi.expectation(logpi.host(f), of=lambda p: dist.Normal(p["m"], 1.0), samples=16)
    with pytest.warns(UserWarning, match=r"last finite value: f failed on sample .*licence expired"):
        params, history = logpi.maximize(J, {"m": 1.0}, KEY, optimiser=optax.adam(0.05), steps=100)
    assert 30 <= len(history) < 40
    assert 1.5 < float(params["m"]) < 3.5
    with pytest.raises(logpi.InputError, match=r"first step failed: f failed on sample 0 .*licence expired"):
        logpi.maximize(J, {"m": 1.0}, KEY)


def test_numbers_that_are_not_finite_stop_it():
    J = logpi.expectation(lambda x: jnp.log(x), of=lambda p: dist.Normal(p["m"], 0.01))
    with pytest.warns(UserWarning, match="not finite"):
        params, _ = logpi.minimize(J, {"m": 0.5}, KEY, optimiser=optax.sgd(0.02), steps=500, stop_in_noise=False)
    assert np.isfinite(params["m"])
    with pytest.raises(logpi.InputError, match="not finite"):
        logpi.maximize(J, {"m": -1.0}, KEY)


def test_progress_is_one_line(capsys):
    logpi.maximize(hill(), {"m": 1.0}, KEY, steps=15, progress=True)
    shown = capsys.readouterr().err
    assert shown.count("\n") == 1 and "15 / 15  value" in shown and "±" in shown
    logpi.maximize(hill(), {"m": 1.0}, KEY, steps=15)
    assert capsys.readouterr().err == ""  # no terminal here


@pytest.mark.parametrize("bad", [{"steps": -1}, {"replicates": 1}])
def test_bad_numbers_are_refused(bad):
    with pytest.raises(logpi.InputError, match=f"{next(iter(bad))} is"):
        logpi.maximize(hill(), {"m": 1.0}, KEY, **bad)


def test_no_steps_leave_the_parameters_alone():
    params, history = logpi.maximize(hill(), {"m": 1.0}, KEY, steps=0)
    assert float(params["m"]) == 1.0 and len(history) == 0 and "no steps" in str(history)


def test_any_program_can_be_climbed():
    def program(theta, key):
        x, log_prob = logpi.sample(dist.Normal(theta, 1.0), key)
        return logpi.cost(-((x - 2) ** 2), log_prob)

    theta, _ = logpi.maximize(program, jnp.array(0.0), KEY, optimiser=optax.adam(0.05), steps=300, replicates=32)
    assert float(theta) == pytest.approx(2.0, abs=0.3)


def test_a_norm_beyond_its_numbers_stops_it():
    """Its square is infinite, by which Adam divided: nothing moved, and all steps were said to be taken."""
    J = logpi.expectation(lambda x: -1e20 * (x - 3) ** 2, of=lambda p: dist.Normal(p, 1.0))
    with pytest.raises(logpi.InputError, match=r"first step failed: the gradient's norm was too large .*divide f by"):
        logpi.maximize(J, 1.0, KEY, steps=50)


def test_a_parameter_that_leaves_its_range_stops_it():
    """Of a rate below 0, NumPyro's Poisson draws -1."""
    J = logpi.expectation(lambda x: 1.0 * x**2, of=dist.Poisson, estimator=logpi.MeasureValued())
    with pytest.warns(
        UserWarning, match=r"rate of Poisson is -0.0.*above 0.0: make it of a free parameter, as jnp.exp"
    ):
        _, history = logpi.minimize(J, 0.1, KEY, steps=100)
    assert len(history) < 40 and history.stopped.startswith("rate of Poisson")


@pytest.mark.parametrize("rate", [0.001, 1e-5])
def test_it_goes_back_to_where_a_value_was_measured(rate):
    """The last step had led out of the range, and its parameters were said to be good; a step may be one of many."""
    J = logpi.expectation(lambda x: x, of=dist.Exponential)
    with pytest.warns(UserWarning, match="at the parameters of the last finite value: rate of Exponential is -0.*"):
        params, history = logpi.maximize(J, 0.05, KEY, steps=50, optimiser=optax.sgd(rate), stop_in_noise=False)
    before, _ = logpi.maximize(J, 0.05, KEY, steps=len(history) - 1, optimiser=optax.sgd(rate), stop_in_noise=False)
    assert len(history) == {0.001: 1, 1e-5: 6}[rate] and float(params) == float(before) > 0
    assert np.all(np.isfinite(history.value)) and history.stopped.startswith("rate of Exponential is -0.")


def test_a_step_to_no_number_is_not_taken():
    """The parameters were infinite, and were said to be the last good ones."""
    J = logpi.expectation(lambda x: x, of=lambda p: dist.Normal(p["m"], 1.0), estimator=logpi.Pathwise())
    rates = optax.piecewise_constant_schedule(1.0, {5: 1e38})
    with pytest.warns(
        UserWarning, match="after 5 steps, at the parameters of the last .*led to parameters that are not finite"
    ):
        params, history = logpi.maximize(J, {"m": 0.0}, KEY, optimiser=optax.chain(optax.sgd(rates), optax.scale(10.0)))
    assert len(history) == 5 and float(params["m"]) == 50.0


def test_a_history_is_shown_in_one_line():
    _, history = logpi.maximize(hill(), {"m": 1.0}, KEY, steps=15)
    assert repr(history).startswith("History(15 steps, value") and "array" not in repr(history)


def test_an_infinite_slope_is_not_called_a_large_one():
    def root(p, key):
        return jnp.sqrt(p) + 0.0 * jax.random.normal(key)

    with pytest.raises(logpi.InputError, match="first step failed: the value or the gradient was not finite"):
        logpi.maximize(root, 0.0, KEY)


def test_values_of_16_bits_are_averaged_in_32():
    def program(p, key):
        return p + jax.random.normal(key, (), jnp.bfloat16)

    _, history = logpi.minimize(program, jnp.asarray(1.0, jnp.bfloat16), jax.random.key(0), steps=4, replicates=64)
    values = np.asarray(history.value, np.float32)
    assert (values != values.astype(jnp.bfloat16).astype(np.float32)).any()
