"""What would be silently wrong is refused, in the moment it is differentiated, with a sentence that names the cure."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from jax.lax import stop_gradient

import logpi as le
from logpi import InputError
from logpi.distributions import Bernoulli, Categorical, FromNumpyro, Joint
from logpi.estimation.programs import facts, Pieces

T = jnp.asarray(1.4)
KEY = jax.random.key(0)


def traced(of, estimator=None, f=jnp.sum, params=T):
    """The trace of the gradient: a refusal needs no run."""
    return jax.make_jaxpr(jax.grad(le.expectation(f, of, 4, estimator)))(params, KEY)


transforms, affine = dist.transforms, dist.transforms.AffineTransform


def moved(base, *by):
    return dist.TransformedDistribution(base, list(by))


MOVING = {
    "uniform": lambda t: dist.Uniform(0.0, t),
    "low end": lambda t: dist.Uniform(t, 3.0),
    "independent uniforms": lambda t: dist.Uniform(0.0, jnp.stack([t, 2 * t])).to_event(1),
    "expanded": lambda t: dist.Uniform(0.0, t).expand((2,)),
    "scale of Pareto": lambda t: dist.Pareto(t, 2.0),
    "log-uniform": lambda t: dist.LogUniform(0.5, t),
    "truncated normal": lambda t: dist.TruncatedNormal(0.0, 1.0, low=t - 1),
    "affine": lambda t: dist.TransformedDistribution(dist.Uniform(0.0, 1.0), dist.transforms.AffineTransform(0.0, t)),
    "shifted": lambda t: dist.TransformedDistribution(dist.HalfNormal(1.0), dist.transforms.AffineTransform(t, 1.0)),
    "affine of moving": lambda t: dist.TransformedDistribution(
        dist.Uniform(0.0, t), dist.transforms.AffineTransform(0.0, 2.0)
    ),
    "part of a joint": lambda t: Joint((FromNumpyro(dist.Normal(t, 1.0)), FromNumpyro(dist.Uniform(0.0, t)))),
    "part of a mixture": lambda t: dist.MixtureGeneral(
        dist.Categorical(probs=jnp.asarray([0.3, 0.7])), [dist.Uniform(0.0, t), dist.Uniform(0.0, 1.0)]
    ),
    "behind a first affine": lambda t: moved(dist.Uniform(0.0, 1.0), affine(0.0, 2.0), affine(t, 1.0)),
    "behind an affine at 0": lambda t: moved(dist.HalfNormal(1.0), affine(0.0, 2.0), affine(t, 1.0)),
    "behind an exponential": lambda t: moved(dist.Uniform(0.0, 1.0), transforms.ExpTransform(), affine(0.0, t)),
    "away from 0": lambda t: moved(dist.HalfNormal(1.0), transforms.ExpTransform(), affine(0.0, t)),
    "behind to_event": lambda t: moved(
        moved(dist.Uniform(jnp.zeros(2), 1.0), affine(1.0, 2.0)).to_event(1), affine(t, 1)
    ),
    "composed": lambda t: moved(
        dist.Uniform(0.0, 1.0), transforms.ComposeTransform([affine(0.0, 2.0), affine(0.0, t)])
    ),
    "a power": lambda t: moved(dist.Uniform(0.0, 2.0), transforms.PowerTransform(t)),
    "a simplex": lambda t: moved(dist.Dirichlet(jnp.ones(2)), affine(0.0, t)),
}


@pytest.mark.parametrize("name", MOVING)
def test_the_score_of_a_moving_support(name):
    with pytest.raises(InputError, match=r"support of \w+ moves with its parameters.*use MeasureValued\(\)"):
        traced(MOVING[name])


def test_other_ways_to_the_score_of_a_moving_support():
    for estimator in (le.Score(le.NoBaseline()), le.LAX(jnp.sin), le.Antithetic(le.Score())):
        with pytest.raises(InputError, match="support of Uniform moves"):
            traced(MOVING["uniform"], estimator)

    def program(t, key):
        return le.cost(*le.sample(dist.Uniform(0.0, t), key))

    with pytest.raises(InputError, match="support of Uniform moves"):
        jax.make_jaxpr(jax.grad(program))(T, KEY)
    with pytest.raises(InputError, match="support of Uniform moves"):
        le.score(T, jnp.asarray(0.3), of=MOVING["uniform"])


def test_what_moves_with_nothing_that_is_differentiated_is_let_through():
    """The cures: a constant bound, the measure-valued estimator, pathwise; and the other parameters of a Pareto."""
    traced(lambda t: dist.Uniform(0.0, stop_gradient(t)), f=lambda x: x)
    traced(lambda t: dist.Pareto(2.0, t))
    traced(lambda t: dist.Pareto(stop_gradient(t), t))
    traced(lambda t: dist.TransformedDistribution(dist.HalfNormal(1.0), dist.transforms.AffineTransform(0.0, t)))
    traced(lambda t: dist.TransformedDistribution(dist.Normal(t, t), dist.transforms.AffineTransform(t, t)))
    traced(lambda t: dist.LogNormal(t, t))
    traced(lambda t: moved(dist.Gamma(t, t), affine(0.0, t), transforms.PowerTransform(t), affine(0.0, t)))
    traced(lambda t: moved(dist.Normal(t, t), affine(t, t), transforms.SigmoidTransform(), affine(-1.0, 2.0)))
    J = le.expectation(lambda x: x**2, MOVING["uniform"], 16)
    for estimator in (le.MeasureValued(), le.Pathwise()):
        e = le.estimate(le.Expectation(J.problem, estimator, 16), T, KEY, replicates=1000)
        assert abs(e.gradient - 2 * T / 3) < 4.5 * e.gradient_error < 0.1  # E x^2 = t^2 / 3
    jax.make_jaxpr(J)(T, KEY)  # its value alone is right


DISCRETE = {
    "categorical": lambda t: Categorical(jnp.stack([t, 0.0 * t])),
    "coins": lambda t: Bernoulli(t[None]),
    "NumPyro's coins": lambda t: dist.Bernoulli(logits=t),
    "counts": lambda t: dist.Poisson(t),
    "geometric": lambda t: dist.Geometric(t / 2),
    "part of a joint": lambda t: Joint((FromNumpyro(dist.Normal(t, 1.0)), FromNumpyro(dist.Poisson(t)))),
}


@pytest.mark.parametrize("name", DISCRETE)
def test_pathwise_through_discrete_events(name):
    with pytest.raises(InputError, match=r"not known to be reparametrised.*use Score\(\)"):
        traced(DISCRETE[name], le.Pathwise())
    with pytest.raises(InputError, match="not known to be reparametrised"):
        le.sample(DISCRETE[name](T), KEY, by="pathwise")


MIXED = jnp.asarray([0.3, -0.4])
NOT_LISTED = {
    "von Mises concentration": (lambda t: dist.VonMises(0.0, t), T),
    "mixture weights": (lambda w: dist.MixtureSameFamily(dist.Categorical(logits=w), dist.Normal(MIXED, 1.0)), MIXED),
    "weights of a general mixture": (
        lambda w: dist.MixtureGeneral(dist.Categorical(logits=w), [dist.Normal(0.0, 1.0), dist.Normal(2.0, 1.0)]),
        MIXED,
    ),
    "one array in two places": (lambda t: dist.VonMises(t, t), T),
    "weights that are means": (
        lambda w: dist.MixtureSameFamily(dist.Categorical(logits=w), dist.Normal(w, 1.0)),
        MIXED,
    ),
}


@pytest.mark.parametrize("name", NOT_LISTED)
def test_pathwise_in_parameters_that_are_not_reparametrised(name):
    """Refused, and allowed where no derivative is taken."""
    of, params = NOT_LISTED[name]
    for estimator in (le.Pathwise(), le.LAX(jnp.sin)):
        with pytest.raises(InputError, match=r"not reparametrised.*use Score\(\), or take jax.lax.stop_gradient"):
            traced(of, estimator, f=jnp.sin, params=params)
    traced(lambda p: of(stop_gradient(p)), le.Pathwise(), f=jnp.sin, params=params)


def test_the_parameters_of_a_transform_have_a_path():
    """x = t + t z^t for a half-normal z: E x = t + t E[z^t], where E z^t = 2^(t/2) Gamma((t + 1) / 2) / sqrt(pi)."""
    J = le.expectation(
        lambda x: x,
        lambda t: moved(dist.HalfNormal(1.0), transforms.PowerTransform(t), affine(t, t)),
        16,
        le.Pathwise(),
    )
    e = le.estimate(J, T, KEY, replicates=2000)
    right = jax.grad(lambda t: t + t * 2 ** (t / 2) * jnp.exp(jax.lax.lgamma((t + 1) / 2)) / jnp.sqrt(jnp.pi))(T)
    assert abs(e.gradient - right) < 4.5 * e.gradient_error < 0.1


def test_the_means_of_a_mixture_are_reparametrised():
    """E sin x = sum of w_i sin(m_i) exp(-1/2)."""
    weights = jnp.asarray([0.3, 0.7])
    J = le.expectation(
        jnp.sin,
        lambda m: dist.MixtureSameFamily(dist.Categorical(probs=weights), dist.Normal(m, 1.0)),
        estimator=le.Pathwise(),
    )
    e = le.estimate(J, MIXED, KEY, replicates=1000)
    exact = weights * jnp.cos(MIXED) * jnp.exp(-0.5)
    assert np.all(np.abs(e.gradient - exact) < 4.5 * e.gradient_error) and np.all(e.gradient_error < 0.01)


JUMPS = {
    "where": (lambda x: jnp.where(x > 1.7, 1.0, 0.0), "gt"),
    "floor": (lambda x: jnp.floor(x), "floor"),
    "round": (lambda x: jnp.round(x) * x, "round"),
    "sign": (jnp.sign, "sign"),
    "trunc": (jnp.trunc, "floor"),
    "remainder": (lambda x: jnp.mod(x, 2.0), "rem"),
    "a cast": (lambda x: x * x.astype(int), "a cast to integers"),
    "an index": (lambda x: jnp.arange(3.0)[x.astype(int)], "a cast to integers"),
    "argmax": (lambda x: 1.0 * jnp.argmax(jnp.stack([x, 1 - x])), "argmax"),
    "argsort": (lambda x: 1.0 * jnp.argsort(jnp.stack([x, 1 - x]))[0], "sort"),
    "top_k": (lambda x: 1.0 * jax.lax.top_k(jnp.stack([x, 1 - x]), 1)[1][0], "top_k"),
    "searchsorted": (lambda x: 1.0 * jnp.searchsorted(jnp.arange(3.0), x), "."),
    "digitize": (lambda x: 1.0 * jnp.digitize(x, jnp.arange(3.0)), "."),
    "cond": (lambda x: jax.lax.cond(x > 0, jnp.sin, jnp.cos, x), "gt"),
    "inside scan": (lambda x: jax.lax.scan(lambda c, _: (c + (x > c), None), x, None, length=3)[0], "gt"),
    "inside jit": (jax.jit(lambda x: jnp.heaviside(x, 0.5)), "."),
    "under vmap": (lambda x: jnp.sum(jax.vmap(jnp.floor)(jnp.stack([x, 2 * x]))), "floor"),
    "of a part": (lambda x: {"a": x}["a"] * jnp.equal(x, 0.3), "eq"),
}
CONTINUOUS = {
    "abs": jnp.abs,
    "relu": jax.nn.relu,
    "maximum": lambda x: jnp.maximum(x, 0.3),
    "clip": lambda x: jnp.clip(x, -1, 1),
    "softplus": jax.nn.softplus,
    "sort": lambda x: jnp.sort(jnp.stack([x, 1 - x]))[0],
    "top value": lambda x: jax.lax.top_k(jnp.stack([x, 1 - x]), 1)[0][0],
    "max": lambda x: jnp.max(jnp.stack([x, 1 - x])),
    "logsumexp": lambda x: jax.nn.logsumexp(jnp.stack([x, 1 - x])),
    "softmax": lambda x: jax.nn.softmax(jnp.stack([x, 1 - x]))[0],
    "norm": lambda x: jnp.linalg.norm(jnp.stack([x, 1 - x])),
    "interp": lambda x: jnp.interp(x, jnp.arange(3.0), jnp.arange(3.0) ** 2),
    "gelu": jax.nn.gelu,
    "sinc": jnp.sinc,
    "a constant jump": lambda x: jnp.where(jnp.asarray(2.0) > 1, x, 0.0),
    "where nothing flows": lambda x: x + (stop_gradient(x) > 1),
    "inside scan": lambda x: jax.lax.scan(lambda c, i: (c + jnp.where(i > 1, x, 0.0), None), x, jnp.arange(3))[0],
}


def suspected(f):
    """The operations that may jump, read off the trace: what is to be measured."""
    J = le.expectation(f, lambda t: dist.Normal(t, 1.0), 4, le.Pathwise())
    return facts(Pieces.of(J, T), KEY).jumps


@pytest.mark.parametrize("name", JUMPS)
def test_pathwise_through_a_jump_is_suspected(name):
    f, operation = JUMPS[name]
    assert re.search(operation, " ".join(suspected(f)))


@pytest.mark.parametrize("name", ["where", "argmax", "searchsorted"])
def test_pathwise_through_a_jump_is_refused(name):
    with pytest.raises(InputError, match=r"f may jump: it uses .*use Score\(\), or Pathwise\(continuous=True\)"):
        traced(lambda t: dist.Normal(t, 1.0), le.Pathwise(), f=JUMPS[name][0])
    traced(lambda t: dist.Normal(t, 1.0), le.Pathwise(continuous=True), f=JUMPS[name][0])


@pytest.mark.parametrize("name", sorted(set(CONTINUOUS) - {"logsumexp", "softmax"}))
def test_a_kink_is_not_suspected(name):
    assert suspected(CONTINUOUS[name]) == ()


def test_why_jumps_are_refused():
    """The derivative of a step along a path is 0, wherever it is taken: that of its expectation is not."""
    J = le.expectation(JUMPS["where"][0], lambda t: dist.Normal(t, 1.5), 16, le.Pathwise(continuous=True))
    e = le.estimate(J, jnp.asarray(1.0), KEY, replicates=100)
    assert e.gradient == 0 and e.gradient_error == np.inf and not e.converged
    e = le.estimate(le.Expectation(J.problem, le.Score(), 16), jnp.asarray(1.0), KEY, replicates=10_000)
    assert abs(e.gradient - 0.23852) < 4.5 * e.gradient_error < 0.02


def test_measure_valued_refuses_what_is_not_in_its_table():
    with pytest.raises(InputError, match=r"StudentT is not in the table .*use Score\(\)"):
        traced(lambda t: dist.StudentT(3.0, t), le.MeasureValued())
    with pytest.raises(InputError, match=r"Gamma has no measure-valued derivative .*\(concentration\).*stop_gradient"):
        traced(lambda t: dist.Gamma(t, 1.0), le.MeasureValued())
    traced(lambda t: dist.Gamma(stop_gradient(t), t), le.MeasureValued())


def test_events_on_the_rim_of_an_open_support(monkeypatch):
    """A draw of an exponential may round to 0, where NumPyro's density is 0: its score is that of the next number."""

    def zero(self, key, sample_shape=()):
        return jnp.zeros(sample_shape + self.batch_shape)

    monkeypatch.setattr(dist.Exponential, "sample", zero)
    J = le.expectation(lambda x: x + 1.0, dist.Exponential, 4, le.Score(le.NoBaseline()))
    value, gradient = jax.value_and_grad(J)(T, KEY)
    np.testing.assert_allclose([value, gradient], [1.0, 1 / T], rtol=1e-6)

    def program(t, key):
        return le.cost(1.0, le.sample(dist.Exponential(t), key)[1])

    np.testing.assert_allclose(jax.grad(program)(T, KEY), 1 / T, rtol=1e-6)
