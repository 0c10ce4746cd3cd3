"""A training at its checkpoint: does its gradient stand out of the noise, and does what it earns rise along it?"""

import dataclasses
import math
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Key, PRNGKeyArray, PyTree

from ...credit import GAE, MonteCarlo, NStep, VTrace
from ...envs import EnvSource
from ...errors import check_between, check_whole
from ...evaluation.evaluate import run_episodes
from ...parameters import check_key, trainable
from ...runs.run import load, Run
from ...statistics.gradient_noise import cosine_of_halves, cosine_to_the_rest, Gram, jackknife, signal_to_noise
from ...training.loop import with_traced_numbers
from ..reports import Check, Report, t_limit
from .critic import critic_error, Stream
from .samples import Gradients, ObjectiveSeen, Sampler

MOST_ROLLOUTS = 100  # that a step may need for a gradient that is as large as its noise
SURE = 3.0  # standard errors that the signal-to-noise ratio is given, before its gradient is called lost
CHUNK = 128  # steps of a rollout that evaluates
MOST_ENVS, HOST_ENVS = 1024, 8  # side by side in it, compiled and on the host
BY_LAYER, LAST_UPDATE = "by_layer", "last_update"  # charts of a report


def run(
    subject: Run | str | Path, key: PRNGKeyArray | None = None, *, seed: int | None = None, batches: int | None = None,
    updates: int | None = None, episodes: int | None = None, progress: float = 0.5, env: Any = None,
) -> Report:  # fmt: skip
    r"""Audits a run, or the folder of one, at its last policy, by fresh rollouts of the run's own size.

    - The gradient of each objective on a batch, from `batches` of them: $|G|^2 / \mathrm{tr}\,\Sigma$ in all and by
      layer, the cosine between halves and to the mean of the others, and the noise scale (McCandlish et al. 2018,
      arXiv:1812.06162, eq. 2.9), in agent steps: the batch whose gradient is as large as its noise. A batch is a
      rollout, or rows of a replay, of which a run has none: it is filled anew by the last policy, as it explores.
    - The critic against Monte-Carlo returns; at time limits it fills in the rest itself. Critics of actions are on
      average, and what they say is told alone: the returns are those of the policy as it explores.
    - `updates` updates of the run's algorithm, each from the checkpoint: effective sample size, clipped rows, KL, and
      the undiscounted return after them minus before, from `episodes` fresh episodes with the same keys.

    A finding is: numbers that are not finite; a critic worse than a constant, or a return that falls, each by more than
    chance makes it in one of ten million (Student's t); and a gradient for which a step would need more than 100
    rollouts, even 3 standard errors higher, while returns still vary. The last two are no findings where not the return
    itself is climbed but critics of actions. All other numbers are told. A run keeps neither the moments of its
    optimiser, which come from some updates more, nor its place in the schedule, which stands at
    `progress`: at the end of a training many a learning rate is 0. `seed` says which of the run's policies, the first
    if not given; `env` is its environment, where that is more than a name. The default sizes are smaller on the host.
    Raises `InputError` where there is no run, policy or environment, or no more than the text of an algorithm or a part
    of it that is one's own: `logpi.load(folder, settings=...)` has them.
    """
    trained = subject if isinstance(subject, Run) else load(subject, environment=env)
    source = trained.source(env)
    usual = source.either((32, 4, 256), (8, 2, 32))
    sizes = (
        check_whole("batches", usual[0] if batches is None else batches, 4),
        check_whole("updates", usual[1] if updates is None else updates, 1),
        check_whole("episodes", usual[2] if episodes is None else episodes, 2),
    )
    progress = check_between("progress", progress, 0, 1)
    seed, model = trained.model_of(seed)
    name = f"{type(trained.settings.algorithm).__name__} on {trained.env}, seed {seed}"
    broken = _not_finite("finite_parameters", np.asarray(ravel_pytree(eqx.filter(model, trainable(model)))[0])[None])
    if not broken.passed:
        return Report(name, (broken,))
    keys = jax.random.split(jax.random.key(0) if key is None else check_key(key))
    seen = _sampled(trained, source, model, sizes, progress, keys)
    varying, checks, notes = bool(seen.returns[0].std() > 0), [broken], []
    for objective, each in seen.objectives.items():
        checks += _gradient_checks(objective, each, varying)
    critic, missing = _critic_checks(seen.stream, trained.settings.algorithm)
    notes += missing
    for objective, each in seen.objectives.items():
        notes += _undecided(objective, each)
    return Report(name, (*checks, *critic, *_update_checks(seen, trained.settings.algorithm)), tuple(notes))


@dataclasses.dataclass(frozen=True)
class _Samples:
    """What was sampled."""

    objectives: dict[str, ObjectiveSeen]
    stream: Stream | None  # where states have values
    log_ratios: list[Float[np.ndarray, "_"]]  # of the new to the old policy, an update each
    returns: Float[np.ndarray, "policies episodes"]  # of the checkpoint, and after each update


def _sampled(
    run: Run, source: EnvSource, model: PyTree, sizes: tuple[int, int, int], progress: float, keys: Key[Array, " 2"]
) -> _Samples:
    batches, updates, episodes = sizes
    settings = run.settings
    rollout = run.rollout(source, anew=settings.is_known and settings.algorithm.begins_anew)
    sampler = Sampler(with_traced_numbers(settings.algorithm), model, rollout, settings.reward_transform, keys[0])
    try:
        objectives, stream = sampler.gradients(batches)
        state = sampler.state(settings.num_updates, progress, updates)
        after = [sampler.updated(state) for _ in range(updates)]
    finally:
        sampler.close()
    judge = run.rollout(source, source.envs(min(episodes, source.either(MOST_ENVS, HOST_ENVS))), CHUNK)
    algorithm = settings.algorithm
    networks = [model, *(algorithm.networks(state) for state, _ in after)]
    returns = [run_episodes(algorithm.policy(each), judge, episodes, keys[1])[0] for each in networks]
    return _Samples(objectives, stream, [ratio for _, ratio in after], np.stack(returns))


def _gradient_checks(objective: str, seen: ObjectiveSeen, varying: bool) -> list[Check]:
    """Of one objective, whose name stands behind a dot of the keys, where it has one."""
    behind, called = f".{objective}" if objective else "", f", {objective}" if objective else ""
    finite = _not_finite(f"finite_gradients{behind}", seen.gradients, BY_LAYER, name=f"finite gradients{called}")
    if not finite.passed:
        return [finite]
    gram, main = (g @ g.T for g in (seen.gradients, seen.main))
    found: list[tuple[str, str, Gram]] = [("", called, gram)]
    if seen.surrogates is not None:
        found.append(("surrogate_", f"{called}, surrogate alone", main))
    meaning = f"of a batch's gradient, {seen.rows:.0f} agent steps"
    checks = [finite]
    for which, name, each in found:
        ratio = jackknife(signal_to_noise, each)
        key = f"{which}signal_to_noise{behind}"
        checks.append(_told(key, *ratio, meaning, name=f"signal-to-noise{name}", chart=BY_LAYER))
    meaning = "of the gradients, and its spread"
    checks.append(
        _told(f"cosine_of_halves{behind}", *cosine_of_halves(main), meaning, name=f"cosine of halves{called}")
    )
    # Only told: such cosines depend on each other, and without a signal all of them are below 0 in some audits.
    key, meaning = f"cosine_to_the_rest{behind}", "of a batch's gradient to the mean of the others"
    checks.append(_told(key, *cosine_to_the_rest(main), meaning, name=f"cosine to the rest{called}"))
    if seen.surrogates is not None:
        checks.append(_lost(main, seen.rows, varying))
    for which, name, each in found:
        key = f"{which or 'gradient_'}noise_scale{behind}"
        checks.append(_noise_scale(key, each, seen.rows, name=f"{'' if which else 'gradient '}noise scale{name}"))
    return checks + [_layer_check(f"{behind}.{layer}", seen.gradients[:, place]) for layer, place in seen.layers]


def _layer_check(behind: str, part: Gradients) -> Check:
    """A layer's own: its path stands behind a dot of the key."""
    ratio, error = jackknife(signal_to_noise, part @ part.T)
    name = f"signal-to-noise {behind[1:]}"
    return _told(f"signal_to_noise{behind}", ratio, error, "of a batch", name=name, chart=BY_LAYER)


def _lost(gram: Gram, rows: float, varying: bool) -> Check:
    """How many rollouts a step would need, if the signal were as large as its error allows."""
    ratio, error = jackknife(signal_to_noise, gram)
    needed = 1 / max(ratio + SURE * error, 1e-12)
    steps = f"{rows * max(needed, 1):.2g}"
    cure = f"collect at least {steps} agent steps for each update (num_envs, rollout_length), or lower the variance"
    limit = MOST_ROLLOUTS if varying else math.inf  # where all returns are equal there is nothing to learn
    meaning, name = "rollouts, at least, for a signal-to-noise of 1", "a gradient above its noise"
    return Check("gradient_above_noise", needed, 0.0, limit, meaning, cure, name, BY_LAYER)


def _undecided(objective: str, seen: ObjectiveSeen) -> list[str]:
    ratio, error = jackknife(signal_to_noise, seen.main @ seen.main.T)
    if ratio > min(SURE * error, 1.0) or not np.isfinite(seen.main).all():
        return []
    which = objective or "surrogate"
    return [f"{len(seen.main)} batches do not tell the gradient of the {which} from 0: give more to see it"]


def _noise_scale(key: str, gram: Gram, rows: float, name: str = "") -> Check:
    ratio, error = jackknife(signal_to_noise, gram)
    scale = rows / ratio if ratio > 0 else math.inf
    spread = scale * error / ratio if 0 < ratio < math.inf else 0.0
    meaning = "agent steps: the batch size that it suggests, tr(S) / |G|^2"
    return _told(key, scale, spread, meaning, name=name, chart=BY_LAYER)


def _critic_checks(stream: Stream | None, algorithm: Any) -> tuple[list[Check], list[str]]:
    if stream is None:
        return [], ["the critic: there is none, or what it says is not known"]
    credit = getattr(algorithm, "credit", None)  # of an algorithm that may be anybody's
    known = isinstance(credit, GAE | MonteCarlo | NStep | VTrace) or (credit is None and "gamma" in vars(algorithm))
    if not known:
        return [], [f"the critic: the discount of {type(credit or algorithm).__name__} is not known"]
    found = critic_error(stream, float(algorithm.gamma if credit is None else credit.gamma))
    if found is None:
        return [], ["the critic: the returns do not vary"]
    told = [
        _told("critic_bias", found.bias, found.bias_error, "value minus return, in units of the rewards it sees",
              name="critic's bias"),
        _told("returns_filled_in", found.guessed, 0.0, "share of a return that is the critic's own, at time limits"),
    ]  # fmt: skip
    if credit is None:  # the returns are those of the policy as it explores, which critics of actions need not tell
        meaning = f"of {found.rows} Monte-Carlo returns of the policy as it explores, with its entropy if that counts"
        ratio = found.explained_variance, found.explained_variance_error
        return [_told("explained_variance", *ratio, meaning, name="critic's explained variance"), *told], []
    return [
        _one_sided(
            "explained_variance", found.explained_variance, found.explained_variance_error, found.clusters - 1,
            f"of {found.rows} Monte-Carlo returns", "raise value_coef or the number of epochs, or look at the scale of "
            "the rewards: below 0, no critic at all would do better",
            name="critic's explained variance",
        ),
        *told,
    ], []  # fmt: skip


def _ratio_checks(log_ratios: list[Float[np.ndarray, "_"]], algorithm: Any) -> list[Check]:
    """Of the rows under the policy after an update; none where there are no ratios."""
    if not all(ratio.size for ratio in log_ratios):
        return []
    weights = [np.exp(np.minimum(ratio, 50.0)) for ratio in log_ratios]
    finite = _not_finite("finite_updates", np.concatenate(log_ratios)[None])
    if not finite.passed:
        return [finite]
    sizes = [float(w.sum() ** 2 / (w @ w) / len(w)) for w in weights]
    kl = [float(np.mean(np.expm1(ratio) - ratio)) for ratio in log_ratios]
    checks = [
        finite,
        _told("effective_sample_size", *_mean(sizes), "of the rows under the policy after an update, as a share"),
        _told("kl", *_mean(kl), "nats, from the policy that acted to the one after", name="KL of an update"),
    ]
    if "clip" in vars(algorithm):
        clipped = [float(np.mean(np.abs(w - 1) > float(algorithm.clip))) for w in weights]
        checks.append(_told("clipped_rows", *_mean(clipped), f"share with a ratio outside of 1 ± {algorithm.clip:g}"))
    return checks


def _update_checks(seen: _Samples, algorithm: Any) -> list[Check]:
    checks = _ratio_checks(seen.log_ratios, algorithm)
    if not all(check.passed for check in checks):
        return checks
    before = seen.returns[0]
    checks.append(_told("return_before", *_mean(before), f"of {len(before)} episodes, undiscounted"))
    change, error = _mean(seen.returns[1:].mean(0) - before)
    score = f"z = {change / error:.1f}" if error else "no episode changed" if change == 0 else "in every episode"
    meaning = f"after an update minus before, {score}"
    if all(each.surrogates is None for each in seen.objectives.values()):  # what is climbed is not the return's own
        return [*checks, _told("return_rises", change, error, meaning)]
    checks.append(_one_sided(
        "return_rises", change, error, len(before) - 1, meaning,
        "lower the learning rate or the number of epochs, enlarge the batch, and audit the objective",
        floor=1e-6 * (1 + float(np.abs(before).max())),
    ))  # fmt: skip
    return checks


def _mean(values: Any) -> tuple[float, float]:
    values = np.asarray(values, np.float64)
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else 0.0


def _not_finite(key: str, values: Float[np.ndarray, "rows numbers"], chart: str = LAST_UPDATE, name: str = "") -> Check:
    share, cure = float(np.mean(~np.isfinite(values))), "lower the learning rate; look for log(0) and 1 / 0"
    return Check(key, share, 0.0, 0.0, "share that is not finite", cure, name, chart)


def _told(key: str, size: float, error: float, meaning: str, *, name: str = "", chart: str = LAST_UPDATE) -> Check:
    """What is only told: it fails where it is not a number."""
    return Check(key, size, error, math.inf, meaning, "look at the numbers that it comes from", name, chart)


def _one_sided(
    key: str, size: float, error: float, freedom: int, meaning: str, cure: str, *, floor: float = 1e-6, name: str = ""
) -> Check:
    """A finding only where the size is below 0 by more than chance, and than `floor`, which rounding may do.

    `freedom` is how many independent numbers the error comes from, less one.
    """
    limit = math.inf if size >= 0 else max(t_limit(freedom) * error, floor)
    return Check(key, size, error, limit, meaning, cure, name, LAST_UPDATE)
