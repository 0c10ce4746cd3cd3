"""A model of pictures with hidden coins, trained with three estimators of the same gradient.

Each picture is 4 by 4: a few bars, lying or standing, and some noise (Foldiak 1990). Eight hidden coins z explain it,
p(z) p(x | z), and a second model q(z | x) guesses them. The bound E_q[log p(x, z) - log q(z | x)] is an expectation
under coins: nothing can be differentiated through a coin, and the function inside depends on the parameters as well.
With eight coins all 256 cases can be summed, so that the true bound is known.

    python examples/discrete_latent.py [--quick] [--plot FILE.png]
"""

import argparse

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Int, PRNGKeyArray

import logpi
from logpi.distributions import Bernoulli

SIDE, COINS, BATCH = 4, 8, 32
ESTIMATORS = {
    "score, leave-one-out": logpi.Score(logpi.LeaveOneOut()),
    "DisARM": logpi.DisARM(),
    "unordered set of 4": logpi.UnorderedSet(4),
}


class Model(eqx.Module):
    """Coins with a prior, pictures given the coins, and a guess at the coins given a picture."""

    prior: Float[Array, " coins"]
    decoder: eqx.nn.MLP
    encoder: eqx.nn.MLP

    def __init__(self, key: PRNGKeyArray):
        decoder_key, encoder_key = jax.random.split(key)
        self.prior = jnp.zeros(COINS)
        self.decoder = eqx.nn.MLP(COINS, SIDE**2, 32, 1, jnp.tanh, key=decoder_key)
        self.encoder = eqx.nn.MLP(SIDE**2, COINS, 32, 1, jnp.tanh, key=encoder_key)

    def bound(self, picture: Int[Array, " pixels"], estimator: logpi.AbstractEstimator, samples: int):
        """The evidence lower bound of one picture, as an expectation: Jordan et al. 1999, eq. 21."""

        def log_weight(coins, model):
            joint = Bernoulli(model.prior).log_prob(coins) + Bernoulli(model.decoder(2.0 * coins - 1)).log_prob(picture)
            return joint - Bernoulli(model.encoder(2.0 * picture - 1)).log_prob(coins)

        return logpi.expectation(
            log_weight, lambda model: Bernoulli(model.encoder(2.0 * picture - 1)), samples, estimator
        )


def bars(key: PRNGKeyArray, count: int) -> Int[Array, "count pixels"]:
    """Pictures: each of the eight bars with probability 1/4, one pixel in a hundred wrong."""
    bar_key, noise_key = jax.random.split(key)
    lying, standing = jnp.split(jax.random.bernoulli(bar_key, 0.25, (count, 2 * SIDE)), 2, axis=1)
    pictures = (lying[:, :, None] | standing[:, None, :]).reshape(count, -1)
    return (pictures ^ jax.random.bernoulli(noise_key, 0.01, pictures.shape)).astype(jnp.int32)


class MeanBound(eqx.Module):
    """The program `(model, key) -> scalar` that is unbiased for the mean bound of some pictures."""

    pictures: Int[Array, "count pixels"]
    estimator: logpi.AbstractEstimator
    samples: int = eqx.field(static=True, default=4)

    def __call__(self, model: Model, key: PRNGKeyArray) -> Float[Array, ""]:
        """The mean over the pictures of an estimate of each one's bound."""
        keys = jax.random.split(key, self.pictures.shape[0])
        bounds = jax.vmap(lambda x, key: model.bound(x, self.estimator, self.samples)(model, key))
        return jnp.mean(bounds(self.pictures, keys))


def train(estimator, pictures, steps: int, every: int) -> tuple[Model, list[float], list[float]]:
    """A model after `steps` steps of Adam; the exact bound, and the variance of the gradient, every now and then."""
    model, optimiser = Model(jax.random.key(0)), optax.adam(3e-3)
    exact = eqx.filter_jit(MeanBound(pictures[:256], logpi.Enumerate()))

    @eqx.filter_jit
    def step(model, state, estimator, key):
        rows_key, key = jax.random.split(key)
        rows = pictures[jax.random.randint(rows_key, (BATCH,), 0, len(pictures))]
        gradient = eqx.filter_grad(lambda model: -MeanBound(rows, estimator)(model, key))(model)
        change, state = optimiser.update(gradient, state)
        return eqx.apply_updates(model, change), state

    state, bounds, variances = optimiser.init(eqx.filter(model, eqx.is_inexact_array)), [], []
    for i in range(steps):
        if i % every == 0:
            bounds.append(float(exact(model, jax.random.key(0))))
            program = MeanBound(pictures[:BATCH], estimator)
            errors = logpi.estimate(program, model, jax.random.key(1), replicates=64).gradient_error
            spread = np.asarray(ravel_pytree(errors)[0])
            variances.append(64 * float(np.sum(spread[np.isfinite(spread)] ** 2)))
        model, state = step(model, state, estimator, jax.random.fold_in(jax.random.key(2), i))
    return model, [*bounds, float(exact(model, jax.random.key(0)))], variances


def main() -> None:
    """Trains with each estimator, and prints the bounds and the variances of the gradients."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a few steps only")
    parser.add_argument("--plot", metavar="FILE.png", help="draw the bounds and the variances")
    arguments = parser.parse_args()
    steps, every = (20, 10) if arguments.quick else (3000, 300)
    pictures = bars(jax.random.key(3), 2000)
    results = {}
    for name, estimator in ESTIMATORS.items():
        _, bounds, variances = results[name] = train(estimator, pictures, steps, every)
        print(
            f"{name:<22} exact bound {bounds[0]:.3f} -> {bounds[-1]:.3f}   variance of the gradient {variances[-1]:.3g}"
        )
    if arguments.plot:
        draw(results, every, arguments.plot)


def draw(results, every: int, file: str) -> None:
    """The bound and the variance over the steps, one line for each estimator."""
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
    for name, (_, bounds, variances) in results.items():
        left.plot(every * np.arange(len(bounds)), bounds, label=name)
        right.semilogy(every * np.arange(len(variances)), variances)
    left.set(xlabel="step", ylabel="exact bound (nats)")
    right.set(xlabel="step", ylabel="variance of the gradient")
    left.legend()
    figure.savefig(file, dpi=120)


if __name__ == "__main__":
    main()
