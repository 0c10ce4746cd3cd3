"""What the page shows, of anybody's own expectation: a figure for Python and notebooks."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from ..distributions.support import all_events, choices
from ..errors import check_between, check_whole, InputError, missing
from ..estimation import Expectation
from ..estimation.expectations import raise_broken_limit
from ..estimators import Enumerate, Score
from ..estimators.problem import Problem, takes_parameters
from ..parameters import as_parameters, check_key
from ..runs.plot import in_notebooks

SAMPLES = 200  # that are shown
MANY = 20_000  # for J and its gradient where the events cannot all be listed
GRID = 25  # points along each parameter
MOST_PARAMETERS = 8  # whose pushes are shown: the first ones
BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#8C8C8C"


def figure(J: Any, params: PyTree, key: PRNGKeyArray, *, steps: int = 100, learning_rate: float = 0.05) -> Any:
    r"""Four pictures of an expectation, as `logpi.expectation` makes, and its gradient: a `matplotlib.figure.Figure`.

    The distribution with samples coloured by f; what each sample adds to each partial derivative,
    $(f(x) - \bar f)\, \partial \log \pi(x) + \partial f(x)$, with their mean, its standard error, and the exact
    gradient beside it (or that of many samples); J over the parameters, where there are one or two, with the climb
    on it; J along the climb: `steps` plain steps up by `learning_rate` times the gradient that J's own estimator gives.
    Events must be numbers.
    Raises `InputError` for other events, where scores do not make the gradient (a support that moves, a probability of
    exactly 0 or 1), for parameters without a float, and where matplotlib is missing.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise missing("A figure", "matplotlib", "plot") from None
    if not isinstance(J, Expectation):
        raise InputError(f"J is a {type(J).__name__}, but it must be an expectation: make it with logpi.expectation.")
    steps = check_whole("steps", steps, 1)
    learning_rate = check_between("learning_rate", learning_rate, 0)
    raise_broken_limit(J, params)
    seen = _FlatExpectation(J, params, check_key(key))
    path = seen.climb(int(steps), learning_rate)
    drawn = Figure(figsize=(11.0, 7.5), dpi=110, layout="constrained")
    (policy, pushes), (hill, climb) = drawn.subplots(2, 2)
    _policy(drawn, policy, seen)
    _pushes(pushes, seen)
    _hill(drawn, hill, seen, path)
    _climb(climb, seen, path)
    for axes in (policy, pushes, hill, climb):
        axes.spines[["top", "right"]].set_visible(False)
    return in_notebooks(drawn)


class _FlatExpectation:
    """An expectation at parameters, as functions of one flat vector of them."""

    def __init__(self, J: Expectation, params: PyTree, key: PRNGKeyArray):
        floats, rest = as_parameters(params)
        self.theta, unravel = ravel_pytree(floats)
        self.J, self.problem = J, J.problem
        self.params = lambda theta: rest.filled(unravel(theta))
        self.names = _names(rest.shaped(floats))
        self.draw_key, self.climb_key, self.many_key = jax.random.split(key, 3)
        self.events = self.problem.draws(self.params(self.theta), self.draw_key, SAMPLES).events
        if not isinstance(self.events, jax.Array) or self.events.ndim != 1:
            shapes = [leaf.shape[1:] for leaf in jax.tree.leaves(self.events)]
            raise InputError(f"events have the shapes {shapes}, but a figure shows events that are one number each.")
        self.rewards = np.asarray(self.problem.costs(self.params(self.theta), self.events))
        self.support = _support(self.problem, self.params(self.theta))

    def log_prob(self, theta: Float[Array, " parameters"], event: Array) -> Float[Array, ""]:
        """Of one event."""
        return self.problem.distribution(self.params(theta)).log_prob(event)

    def value(self, theta: Float[Array, " parameters"]) -> Float[Array, ""]:
        """J, by all events or by many."""
        if self.support is not None:
            return Expectation(self.problem, Enumerate(), 1)(self.params(theta), self.many_key)
        events = self.problem.draws(self.params(theta), self.many_key, MANY).events
        return jnp.mean(self.problem.costs(self.params(theta), events))

    def gradient(self) -> Float[np.ndarray, " parameters"]:
        """Of J: exactly, or by many samples of J's own estimator."""
        if self.support is not None:
            return np.asarray(jax.grad(self.value)(self.theta))
        many = Expectation(self.problem, self.J.estimator, MANY)
        return np.asarray(jax.grad(lambda theta: many(self.params(theta), self.many_key))(self.theta))

    def pushes(self) -> Float[np.ndarray, "samples parameters"]:
        """What each shown sample adds: its reward, less the others' mean, times its score; and its reward's derivative.

        Raises `InputError` where these do not make the gradient.
        """

        def pushed(theta, event):
            log_prob = self.problem.log_probs(self.params(theta), event[None])[0]
            return log_prob, self.problem.costs(self.params(theta), event[None])[0]

        try:
            scores, slopes = jax.vmap(jax.jacrev(pushed), in_axes=(None, 0))(self.theta, self.events)
        except InputError as reason:
            raise InputError(f"a figure shows the score of each sample, and here that cannot be: {reason}") from None
        others = (self.rewards.sum() - self.rewards) / (SAMPLES - 1)
        pushes = np.asarray(scores) * (self.rewards - others)[:, None] + np.asarray(slopes)
        if not np.isfinite(pushes).all():
            plain = Expectation(self.problem, Score(), SAMPLES)
            said = plain.fault(self.params(self.theta)) or "f or a score is not finite for a sample: look at it there"
            raise InputError(f"{said}.")
        return pushes

    def climb(self, steps: int, rate: float) -> Float[np.ndarray, "points parameters"]:
        """The parameters before the first step and after each."""

        def step(theta, key):
            theta = theta + rate * jax.grad(lambda theta: self.J(self.params(theta), key))(theta)
            return theta, theta

        _, path = jax.lax.scan(step, self.theta, jax.random.split(self.climb_key, steps))
        return np.asarray(jnp.concatenate([self.theta[None], path]))


def _names(floats: PyTree) -> list[str]:
    """What to call each number among the parameters."""
    names = []
    for path, leaf in jax.tree_util.tree_leaves_with_path(floats):
        name = jax.tree_util.keystr(path, simple=True, separator=".") or "θ"
        names += [name] if leaf.size == 1 else [f"{name}[{i}]" for i in range(leaf.size)]
    return names


def _support(problem: Problem, params: PyTree) -> np.ndarray | None:
    """All events, where they can be listed."""
    dist = problem.distribution(params)
    try:
        choices(dist)
    except InputError:
        return None
    return np.asarray(all_events(dist))


def _policy(figure: Any, axes: Any, seen: _FlatExpectation) -> None:
    """The distribution, and the samples in it."""
    events = np.asarray(seen.events, float)
    whole = seen.support is not None or not jnp.issubdtype(seen.events.dtype, jnp.floating)
    if seen.support is not None:
        grid = seen.support
    elif whole:
        grid = np.arange(events.min(), events.max() + 1)
    else:
        room = 0.15 * (np.ptp(events) or 1.0)
        grid = np.linspace(events.min() - room, events.max() + room, 300)
    density = _density(seen, grid)
    if whole:
        axes.bar(grid, density, color="#DCE6F0", edgecolor=GREY, width=0.8)
        axes.xaxis.get_major_locator().set_params(integer=True)
    else:
        axes.plot(grid, density, color=GREY)
    spread = np.random.default_rng(0).uniform(0.05, 0.95, len(events))  # only so that dots do not lie on each other
    at = _density(seen, np.asarray(seen.events)) * spread
    sideways = np.random.default_rng(1).uniform(-0.3, 0.3, len(events)) if whole else 0.0
    dots = axes.scatter(events + sideways, at, c=seen.rewards, s=12, cmap="viridis")
    figure.colorbar(dots, ax=axes, label="f(x)")
    axes.set_title(f"the distribution, and {SAMPLES} samples", loc="left")
    axes.set_xlabel("x")
    axes.set_ylabel("probability" if whole else "density")


def _density(seen: _FlatExpectation, at: np.ndarray) -> Float[np.ndarray, " points"]:
    """The probability, or its density, at some events; 0 outside of the support."""
    log_probs = jax.vmap(lambda x: seen.log_prob(seen.theta, x))(jnp.asarray(at, seen.events.dtype))
    return np.nan_to_num(np.exp(np.asarray(log_probs)), nan=0.0)


def _pushes(axes: Any, seen: _FlatExpectation) -> None:
    """Each sample's contribution to each partial derivative, their mean, and what it should be."""
    pushes, exact = seen.pushes()[:, :MOST_PARAMETERS], seen.gradient()[:MOST_PARAMETERS]
    places = np.arange(pushes.shape[1])
    sideways = np.random.default_rng(2).uniform(-0.25, 0.25, pushes.shape)
    colours = np.broadcast_to(seen.rewards[:, None], pushes.shape)
    axes.scatter(places + sideways, pushes, c=colours, s=6, alpha=0.6, cmap="viridis")
    error = pushes.std(0, ddof=1) / np.sqrt(len(pushes))
    axes.errorbar(places - 0.1, pushes.mean(0), error, fmt="o", color=BLUE, capsize=4, label="mean ± standard error")
    label = "exact gradient" if seen.support is not None else f"gradient by {MANY:,} samples"
    axes.plot(places + 0.1, exact, "D", color=ORANGE, label=label)
    axes.axhline(0, color=GREY, linewidth=0.8)
    axes.set_xticks(places, seen.names[:MOST_PARAMETERS])
    axes.set_title("what each sample adds to each partial derivative", loc="left")
    axes.set_xlabel("parameter")
    term = " + ∂f(x)" if takes_parameters(seen.problem.f) else ""
    axes.set_ylabel(f"(f(x) - mean f) · ∂ log π(x){term}")
    axes.legend(frameon=False, fontsize=8)


def _hill(figure: Any, axes: Any, seen: _FlatExpectation, path: Float[np.ndarray, "points parameters"]) -> None:
    """J over one or two parameters; over more of them, how each one moved."""
    if path.shape[1] > 2:
        axes.plot(path[:, :MOST_PARAMETERS], label=seen.names[:MOST_PARAMETERS])
        axes.legend(frameon=False, fontsize=8)
        axes.set(xlabel="step", ylabel="parameter")
        axes.set_title("the parameters along the climb", loc="left")
        return
    grids = [_around(path[:, k]) for k in range(path.shape[1])]
    points = jnp.stack([x.ravel() for x in jnp.meshgrid(*map(jnp.asarray, grids), indexing="ij")], axis=-1)
    values = np.asarray(jax.lax.map(seen.value, points.astype(seen.theta.dtype))).reshape([GRID] * path.shape[1])
    if path.shape[1] == 1:
        axes.plot(grids[0], values, color=GREY)
        axes.plot(path[:, 0], np.interp(path[:, 0], grids[0], values), ".-", color=BLUE)
        axes.set(xlabel=seen.names[0], ylabel="J = E[f(x)]")
    else:
        levels = axes.contourf(grids[0], grids[1], values.T, 20, cmap="Greys_r")
        figure.colorbar(levels, ax=axes, label="J = E[f(x)]")
        axes.plot(path[:, 0], path[:, 1], ".-", color=BLUE, markersize=3)
        axes.plot(*path[0], "o", color=ORANGE)
        axes.set(xlabel=seen.names[0], ylabel=seen.names[1])
    axes.set_title("J over the parameters, and the climb", loc="left")


def _around(values: Float[np.ndarray, " points"]) -> Float[np.ndarray, " grid"]:
    """Where a climb went, and half as much again to each side."""
    room = 0.5 * max(float(np.ptp(values)), 0.2)
    return np.linspace(values.min() - room, values.max() + room, GRID)


def _climb(axes: Any, seen: _FlatExpectation, path: Float[np.ndarray, "points parameters"]) -> None:
    """J at up to a hundred places of the climb."""
    places = np.unique(np.linspace(0, len(path) - 1, 100).astype(int))
    axes.plot(places, np.asarray(jax.lax.map(seen.value, jnp.asarray(path[places]))), color=BLUE)
    axes.set_title("J along the climb", loc="left")
    axes.set(xlabel="step", ylabel="J = E[f(x)]")
