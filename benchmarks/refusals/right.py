"""Programs whose derivative is right: none of them should be refused."""

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jax.scipy import linalg, special, stats

import logpi

ONES = jnp.ones(3)


def three(p):
    """Three independent numbers around p."""
    return dist.Normal(p * ONES, 1.0).to_event(1)


def pathwise(f, of=three):
    """E f(x), through the sampler."""
    return logpi.expectation(f, of, 16, logpi.Pathwise())


def newton(y):
    """The root of z + z^3 = y."""
    return jax.lax.fori_loop(0, 20, lambda _, z: z - (z + z**3 - y) / (1 + 3 * z**2), jnp.zeros(()))


def spring(x):
    """Five steps of an oscillator."""

    def step(state, _):
        place, speed = state
        return (place + 0.1 * speed, speed - 0.1 * place), None

    return jax.lax.scan(step, (x[0], x[1]), None, 5)[0][0]


def matrix(x):
    """A matrix that is never singular."""
    return jnp.eye(3) + jnp.outer(x, x)


FUNCTIONS = {
    "abs": lambda x: jnp.sum(jnp.abs(x)),
    "relu": lambda x: jnp.sum(jax.nn.relu(x)),
    "relu by where": lambda x: jnp.sum(jnp.where(x > 0, x, 0.0)),
    "leaky relu by where": lambda x: jnp.sum(jnp.where(x > 0, x, 0.1 * x)),
    "elu": lambda x: jnp.sum(jax.nn.elu(x)),
    "gelu": lambda x: jnp.sum(jax.nn.gelu(x)),
    "softplus": lambda x: jnp.sum(jax.nn.softplus(x)),
    "huber": lambda x: jnp.sum(jnp.where(jnp.abs(x) < 1, 0.5 * x**2, jnp.abs(x) - 0.5)),
    "call option by where": lambda x: jnp.where(x[0] > 1.0, x[0] - 1.0, 0.0),
    "put option": lambda x: jnp.maximum(1.0 - x[0], 0.0),
    "a spread by branches": lambda x: jax.lax.cond(x[0] > x[1], lambda: x[0] - x[1], lambda: 0.0),
    "hinge": lambda x: jnp.maximum(0.0, 1 - x @ jnp.arange(3.0)),
    "clip": lambda x: jnp.sum(jnp.clip(x, -1, 1)),
    "soft threshold": lambda x: jnp.sum(jnp.where(x > 0.5, x - 0.5, jnp.where(x < -0.5, x + 0.5, 0.0))),
    "triangle": lambda x: jnp.sum(jnp.abs(x - jnp.round(x))),
    "sinc by where": lambda x: jnp.sum(jnp.where(x == 0, 1.0, jnp.sin(x) / jnp.where(x == 0, 1.0, x))),
    "sinc": lambda x: jnp.sum(jnp.sinc(x)),
    "norm": jnp.linalg.norm,
    "norm by sqrt": lambda x: jnp.sqrt(jnp.sum(x**2)),
    "direction": lambda x: (x / jnp.linalg.norm(x))[0],
    "cosine similarity": lambda x: x @ ONES / (jnp.linalg.norm(x) * jnp.sqrt(3.0)),
    "hypot": lambda x: jnp.hypot(x[0], x[1]),
    "cos of an angle": lambda x: jnp.cos(jnp.arctan2(x[1], x[0])),
    "normal cdf": lambda x: jnp.sum(stats.norm.cdf(x)),
    "normal log-cdf": lambda x: jnp.sum(stats.norm.logcdf(x)),
    "entr": lambda x: jnp.sum(special.entr(jax.nn.sigmoid(x))),
    "kl_div": lambda x: jnp.sum(special.kl_div(jax.nn.sigmoid(x), 0.3)),
    "rel_entr": lambda x: jnp.sum(special.rel_entr(jax.nn.sigmoid(x), 0.3)),
    "xlogy": lambda x: jnp.sum(special.xlogy(jax.nn.sigmoid(x), jax.nn.sigmoid(x))),
    "beta density": lambda x: jnp.sum(stats.beta.logpdf(jax.nn.sigmoid(x), 2.0, 3.0)),
    "gamma density": lambda x: jnp.sum(stats.gamma.logpdf(jnp.exp(x), 2.0)),
    "t density": lambda x: jnp.sum(stats.t.logpdf(x, 4.0)),
    "cauchy density": lambda x: jnp.sum(stats.cauchy.logpdf(x)),
    "laplace density": lambda x: jnp.sum(stats.laplace.logpdf(x)),
    "logistic density": lambda x: jnp.sum(stats.logistic.logpdf(x)),
    "solve": lambda x: jnp.linalg.solve(matrix(x), ONES)[0],
    "inverse": lambda x: jnp.trace(jnp.linalg.inv(matrix(x))),
    "cholesky": lambda x: jnp.sum(jnp.linalg.cholesky(matrix(x))),
    "cholesky solve": lambda x: linalg.cho_solve((jnp.linalg.cholesky(matrix(x)), True), ONES)[1],
    "determinant": lambda x: jnp.linalg.det(matrix(x)),
    "log-determinant": lambda x: jnp.linalg.slogdet(matrix(x))[1],
    "eigenvalues": lambda x: jnp.linalg.eigvalsh(matrix(x))[0],
    "singular values": lambda x: jnp.sum(jnp.linalg.svd(matrix(x), compute_uv=False)),
    "expm": lambda x: jnp.trace(linalg.expm(0.3 * jnp.outer(x, ONES))),
    "a root by Newton": lambda x: newton(x[0]),
    "sorted": lambda x: jnp.sort(x) @ jnp.arange(3.0),
    "median": jnp.median,
    "largest": jnp.max,
    "range": lambda x: jnp.max(x) - jnp.min(x),
    "top two": lambda x: jnp.sum(jax.lax.top_k(x, 2)[0]),
    "logsumexp": jax.nn.logsumexp,
    "softmax": lambda x: jax.nn.softmax(x)[0],
    "sparsemax of two": lambda x: jnp.clip(0.5 * (x[0] - x[1] + 1), 0.0, 1.0),
    "sparse plus": lambda x: jnp.sum(jax.nn.sparse_plus(x)),
    "layer norm": lambda x: ((x - jnp.mean(x)) / jnp.sqrt(jnp.var(x) + 1e-5))[0],
    "Hill": lambda x: jnp.sum(jnp.exp(x) ** 2 / (1 + jnp.exp(x) ** 2)),
    "rational": lambda x: jnp.sum(x / (1 + x**2)),
    "logistic by exp": lambda x: jnp.sum(1 / (1 + jnp.exp(-x))),
    "stable logistic": lambda x: jnp.sum(
        jnp.where(x > 0, 1 / (1 + jnp.exp(-jnp.abs(x))), jnp.exp(-jnp.abs(x)) / (1 + jnp.exp(-jnp.abs(x))))
    ),
    "log(1 + e^x) by where": lambda x: jnp.sum(jnp.where(x > 20, x, jnp.log1p(jnp.exp(jnp.where(x > 20, 0.0, x))))),
    "NaN guarded": lambda x: jnp.sum(jnp.where(jnp.isnan(x), 0.0, x**2)),
    "infinity guarded": lambda x: jnp.sum(jnp.nan_to_num(jnp.sin(x))),
    "interpolated": lambda x: jnp.sum(jnp.interp(x, jnp.arange(-3.0, 4.0), jnp.arange(7.0) ** 2)),
    "piecewise linear by index": lambda x: jnp.sum(x - jnp.floor(x) + jnp.floor(x)),
    "spring": lambda x: jax.lax.scan(
        lambda c, _: ((c[0] + 0.1 * c[1], c[1] - 0.1 * c[0]), None), (x[0], x[1]), None, 5
    )[0][0],
    "bouncing": lambda x: jax.lax.fori_loop(0, 5, lambda _, h: jnp.abs(h - 0.3), x[0]),
    "gradient inside": lambda x: jnp.sum(jax.grad(lambda y: jnp.sum(jnp.tanh(y) ** 2))(x)),
    "quantile loss": lambda x: jnp.sum(jnp.where(x > 0.2, 0.9 * (x - 0.2), -0.1 * (x - 0.2))),
    "logit of a sigmoid": lambda x: jnp.sum(special.logit(jnp.clip(jax.nn.sigmoid(x), 1e-6, 1 - 1e-6))),
    "smoothstep": lambda x: jnp.sum(jnp.where(x < 0, 0.0, jnp.where(x > 1, 1.0, x * x * (3 - 2 * x)))),
}
FAMILIES = {
    "Normal": dist.Normal,
    "LogNormal": dist.LogNormal,
    "Gamma": dist.Gamma,
    "InverseGamma": lambda a, b: dist.InverseGamma(a + 2, b),
    "Beta": lambda a, b: dist.Beta(a + 1, b + 1),
    "HalfNormal": lambda a, b: dist.HalfNormal(a),
    "HalfCauchy": lambda a, b: dist.HalfCauchy(a),
    "Exponential": lambda a, b: dist.Exponential(a),
    "Kumaraswamy": lambda a, b: dist.Kumaraswamy(a + 1, b + 1),
    "Weibull": lambda a, b: dist.Weibull(a, b + 1),
    "TruncatedNormal": lambda a, b: dist.TruncatedNormal(a, b, low=0.0),
    "Laplace": dist.Laplace,
    "Logistic": dist.Logistic,
    "Gumbel": dist.Gumbel,
    "StudentT": lambda a, b: dist.StudentT(5.0, a, b),
    "Cauchy": dist.Cauchy,
    "AsymmetricLaplace": lambda a, b: dist.AsymmetricLaplace(a, b, 0.7),
    "SoftLaplace": dist.SoftLaplace,
    "Gompertz": lambda a, b: dist.Gompertz(a, b),
    "Folded": lambda a, b: dist.FoldedDistribution(dist.Normal(a, b)),
    "Dirichlet": lambda a, b: dist.Dirichlet(jnp.stack([a + 1, b + 1, a + b])),
    "MultivariateNormal": lambda a, b: dist.MultivariateNormal(a * ONES, b * jnp.eye(3)),
    "tanh of Normal": lambda a, b: dist.TransformedDistribution(dist.Normal(a, b), dist.transforms.SigmoidTransform()),
}
MORE = {
    "Chi2": lambda a, b: dist.Chi2(a + 2),
    "BetaProportion": lambda a, b: dist.BetaProportion(a / 3, b + 3),
    "RelaxedBernoulli": lambda a, b: dist.RelaxedBernoulliLogits(b, a),
    "MultivariateStudentT": lambda a, b: dist.MultivariateStudentT(5.0, a * ONES, b * jnp.eye(3)),
    "LowRank": lambda a, b: dist.LowRankMultivariateNormal(a * ONES, b * jnp.ones((3, 1)), ONES),
    "Wishart": lambda a, b: dist.Wishart(5.0, scale_matrix=a * jnp.eye(2)),
    "Uniform": lambda a, b: dist.Uniform(-a, b),
    "LKJCholesky": lambda a, b: dist.LKJCholesky(3, a + 1),
    "Pareto": lambda a, b: dist.Pareto(a, b + 4),
}
LIKELIHOODS = {
    "Bernoulli": lambda x: dist.Bernoulli(logits=x[0]).log_prob(1),
    "Bernoulli by probs": lambda x: dist.Bernoulli(probs=jax.nn.sigmoid(x[0])).log_prob(0),
    "Categorical": lambda x: dist.Categorical(logits=x).log_prob(1),
    "Binomial": lambda x: dist.Binomial(5, logits=x[0]).log_prob(2),
    "Poisson": lambda x: dist.Poisson(jnp.exp(x[0])).log_prob(3),
    "negative binomial": lambda x: dist.NegativeBinomial2(jnp.exp(x[0]), 2.0).log_prob(3),
    "OrderedLogistic": lambda x: dist.OrderedLogistic(x[0], jnp.asarray([-1.0, 1.0])).log_prob(1),
    "BetaBinomial": lambda x: dist.BetaBinomial(jnp.exp(x[0]), jnp.exp(x[1]), 5).log_prob(2),
    "Normal": lambda x: dist.Normal(x[0], jnp.exp(x[1])).log_prob(0.3),
    "StudentT": lambda x: dist.StudentT(4.0, x[0], jnp.exp(x[1])).log_prob(0.3),
    "zero-inflated": lambda x: dist.ZeroInflatedPoisson(jax.nn.sigmoid(x[0]), rate=jnp.exp(x[1])).log_prob(0),
    "mixture": lambda x: dist.MixtureSameFamily(dist.Categorical(logits=x), dist.Normal(x, 1.0)).log_prob(0.2),
    "Gamma": lambda x: dist.Gamma(jnp.exp(x[0]), jnp.exp(x[1])).log_prob(0.7),
    "Beta": lambda x: dist.Beta(2.0, 3.0).log_prob(jax.nn.sigmoid(x[0])),
    "Multinomial": lambda x: dist.Multinomial(4, logits=x).log_prob(jnp.asarray([1, 2, 1])),
}


def _of(make):
    return lambda p: make(p["a"], p["b"])


def _bound(make):
    of = _of(make)
    return pathwise(lambda x, p: jnp.sum(jnp.tanh(x)) - of(p).log_prob(x), of)


def _ratio(make):
    of = _of(make)
    return logpi.expectation(lambda x, p: jnp.sum(jnp.tanh(x)) - of(p).log_prob(x), of, 16)


def _program(t, key):
    first, second = jax.random.split(key)
    x, log_prob = logpi.sample(dist.Normal(t, 1.0), first)
    y, its_log_prob = logpi.sample(dist.Bernoulli(logits=x), second)
    return logpi.cost((x > 0.3) * 1.0 + y, log_prob + its_log_prob)


def _paths(t, key):
    x, _ = logpi.sample(dist.Gamma(2.0, t), key, by="pathwise")
    return jnp.where(x > 1.0, x - 1.0, 0.0) + jnp.log(x)


class Own:
    """A Normal of one's own."""

    def __init__(self, loc):
        self.loc = loc

    def sample(self, key):
        """One number."""
        return self.loc + jax.random.normal(key)

    def log_prob(self, x):
        """Its log-density, but for a constant."""
        return -0.5 * (x - self.loc) ** 2


HALF, PAIR = jnp.asarray(0.5), {"a": 1.3, "b": 0.7}
PROGRAMS = {
    "program with a jump in x": _program,
    "paths of a Gamma": _paths,
    "closure": lambda t, key: logpi.expectation(lambda x: (x > 1.0) * 1.0 + t * x, lambda t: dist.Normal(t, 1.0))(
        t, key
    ),
    "own Normal by score": logpi.expectation(lambda x: (x > 0) * 1.0, Own, 16),
    "own Normal by path": logpi.expectation(jnp.sin, Own, 16, logpi.Pathwise()),
    "REBAR with log-probabilities": logpi.expectation(
        lambda b: dist.Bernoulli(probs=0.3, validate_args=False).log_prob(b),
        logpi.distributions.Bernoulli,
        16,
        logpi.REBAR(),
    ),
    "LAX": logpi.expectation(lambda x: (x > 0) * 1.0, lambda p: dist.Normal(p, 1.0), 16, logpi.LAX(jnp.tanh)),
    "a kink of both": logpi.expectation(lambda x, p: jnp.where(x > p, x - p, 0.0), lambda p: dist.Normal(p, 1.0), 16),
    "counts beside a threshold": logpi.expectation(lambda x, p: (x > p) * p, lambda p: dist.Poisson(1 + p), 16),
    "hurdle": logpi.expectation(lambda x: x, lambda p: dist.HurdleDistribution(dist.Gamma(1.5, 1.0), gate=p), 16),
    "Weibull of a small concentration": logpi.expectation(lambda x: x, lambda p: dist.Weibull(1.2, 0.3 + p), 16),
}
RIGHT = {
    **{f"f: {name}": (pathwise(f), HALF) for name, f in FUNCTIONS.items()},
    **{f"bound: {name}": (_bound(make), PAIR) for name, make in FAMILIES.items()},
    **{f"score of its density: {name}": (_ratio(make), PAIR) for name, make in FAMILIES.items()},
    **{f"path: {name}": (pathwise(jnp.sum, _of(make)), PAIR) for name, make in {**FAMILIES, **MORE}.items()},
    **{f"likelihood: {name}": (pathwise(f), HALF) for name, f in LIKELIHOODS.items()},
    **{f"program: {name}": (J, HALF) for name, J in PROGRAMS.items()},
}
