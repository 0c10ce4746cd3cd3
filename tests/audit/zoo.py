"""The zoo: planted bugs, each with the audit and the check by whose name it must be found.

`pitfall` is the row of the known pains of policy-gradient libraries that a bug is an instance of.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpyro.distributions as dist

from logpi import audit
from logpi.audit.gallery import kl, losses
from logpi.audit.problems import bandit, GaussianBandit, three_states
from tests.audit.planted import distributions, environments, programs, runs
from tests.audit.planted import losses as wrong_losses
from tests.audit.planted import objectives as wrong_objectives
from tests.audit.planted.distributions import wrong
from tests.audit.planted.objectives import numpy_gae

ENDS = three_states(horizon=2)
CUT = three_states(horizon=2, limit="truncates", name="time limit")
SAMPLES, STEPS = 10_000, 200
WHATEVER = "whatever"


@dataclasses.dataclass(frozen=True)
class Bug:
    """One thing wrong. `report(key)` is the audit's; `also` may be found beside `check`, and nothing else.

    `WHATEVER` in `also`: it breaks more than one thing, and which of them are told is not laid down.
    """

    audit: str
    name: str
    check: str
    report: Callable[[jax.Array], audit.Report] = dataclasses.field(repr=False)
    also: tuple[str, ...] = ()
    pitfall: str = ""


def found(bug: Bug, key: jax.Array) -> bool:
    """Whether the audit finds it by its name, and nothing that is not there."""
    names = {check.name for check in bug.report(key).findings}
    return bug.check in names and alone(bug, names)


def alone(bug: Bug, names: set[str]) -> bool:
    """Whether nothing else was found than what may be."""
    return WHATEVER in bug.also or names <= {bug.check, *bug.also}


def _policy(name: str, check: str, subject: Any, *also: str, pitfall: str = "", support: Any = None) -> Bug:
    def report(key):
        return audit.policy(subject, key, support=support, samples=SAMPLES)

    return Bug("policy", name, check, report, also, pitfall)


def _program(subject: Any, check: str, exact: Any = programs.exact, pitfall: str = "") -> Bug:
    def report(key):
        return audit.program(subject, programs.PARAMS, key, exact, replicates=2000, intervals=40)

    name = subject.__name__.replace("_", " ")
    return Bug("program", name, check, report, ("value", "gradient", "coverage of its errors"), pitfall)


def _objective(subject: Any, problems: Any, check: str, *also: str, pitfall: str = "", entropy: float = 0.0) -> Bug:
    def report(key):
        return audit.objective(subject, problems, key=key, entropy_coef=entropy)

    return Bug("objective", subject.__name__.replace("_", " "), check, report, also, pitfall)


def _credit(name: str, check: str, *also: str, pitfall: str = "", entropy: bool = False, **how: Any) -> Bug:
    def report(key):
        credit = functools.partial(numpy_gae, **how)
        subject = wrong_objectives.whole_entropy if entropy else wrong_objectives.right
        coefficient = wrong_objectives.ENTROPY if entropy else 0.0
        return audit.objective(subject, [ENDS, CUT], key=key, credit=credit, entropy_coef=coefficient)

    return Bug("objective", f"GAE {name}", check, report, also, pitfall)


def _loss(subject: Any, check: str, *also: str, pitfall: str = "", **how: Any) -> Bug:
    def report(key):
        return audit.loss(subject, **how)

    return Bug("loss", subject.__name__.replace("_", " "), check, report, also, pitfall)


def _env(name: str, check: str, make: Any, *also: str, pitfall: str = "", **how: Any) -> Bug:
    def report(key):
        return audit.env(make, **({"steps": STEPS} | how))

    return Bug("env", name, check, report, also, pitfall)


def _vector(name: str, mode: str) -> Bug:
    """A vector is given as it is: a function makes one environment."""
    return Bug("env", name, "autoreset mode", lambda key: audit.env(environments.vector(mode)), (), AUTORESET)


def _line(bug: str, check: str, *also: str, pitfall: str = "", **how: Any) -> Bug:
    # One cause is told once; some have two effects.
    also = (*also, "results of reset and step", "actions accepted", "dtype and shape", "autoreset mode")
    return _env(f"line: {bug}", check, lambda: environments.Line(bug), *also, pitfall=pitfall, **how)


def _run(name: str, check: str, make: Callable[[], Any], *also: str, **sizes: Any) -> Bug:
    def report(key):
        return audit.run(make(), jax.random.key(1), **(runs.SIZES | sizes))

    return Bug("run", name, check, report, also)


KL = "KL penalty: the mean of samples is differentiated, not the expectation"
ENTROPY = "entropy bonus as -mean(-log_prob)"
SHAPES = "(n,) times (n, 1) makes (n, n)"
CLIPPED = "the stored action is the clipped one"
SQUASH = "tanh squash"
GAE = "GAE off by one, terminal reward dropped, the next episode leaks"
ONE_ROW = "advantage normalisation of one row"
LOG_STD = "log_std left out"
TRUNCATION = "truncation treated as termination"
AUTORESET = "autoreset dialects"
SEEDS = "same seed, different run"
OWN = "a baseline with its own sample"
KEYS = "a key used twice"
UNNORMALISED = "a density that is not normalised"
SUPPORT = "a support that moves"
PITFALLS = {
    KL, ENTROPY, SHAPES, CLIPPED, SQUASH, GAE, ONE_ROW, LOG_STD, TRUNCATION, AUTORESET, SEEDS, OWN, KEYS, UNNORMALISED,
    SUPPORT,
}  # fmt: skip

LINEAR = distributions.LogLinear(jnp.array(0.5), jnp.array(-0.2))
POLICIES = (
    _policy("exp(alpha + beta a)", "normalised", LINEAR, support=jnp.arange(4.0), pitfall=UNNORMALISED),
    _policy("tanh without its slope", "normalised", distributions.Squashed(jnp.array(0.5), False), "scores of mean 0",
            pitfall=SQUASH),
    _policy("a forgotten constant", "normalised", wrong("constant"), pitfall=UNNORMALISED),
    _policy("a log-probability for each entry", "one log-probability per event", wrong("entries"), pitfall=SHAPES),
    _policy("clipped draws", "draws follow the density", distributions.Clipped(jnp.array(0.5)), "scores of mean 0",
            pitfall=CLIPPED),
    _policy("a sampler of another width", "draws follow the density", wrong("sampler"), "entropy"),
    _policy("one key for two entries", "draws follow the density", wrong("one key"), pitfall=KEYS),
    _policy("NaN in the tail", "finite log-probabilities", wrong("nan"), "finite scores", "normalised"),
    _policy("NaN in the score", "finite scores", wrong("nan score")),
    _policy("an entropy of 9/10", "entropy", wrong("entropy")),
    _policy("a KL of the other sign", "KL", distributions.Turned(jnp.array([3.0, -2.0]))),
    _policy("a score off by a constant", "scores of mean 0", wrong("score")),
    _policy("bounds that move", "a support that stays", dist.Uniform(0.0, 2.0), pitfall=SUPPORT),
)  # fmt: skip
PROGRAMS = (
    _program(programs.one_key_for_two, "no key used twice", programs.both, pitfall=KEYS),
    _program(programs.fixed_key, "draws from its key"),
    _program(programs.own_baseline, "gradient", pitfall=OWN),
    _program(programs.standardised, "gradient"),
    _program(programs.surrogate, "value"),
    _program(programs.no_score, "gradient"),
    _program(programs.half_of_the_score, "gradient"),
    _program(programs.broadcast, "gradient", pitfall=SHAPES),
    _program(programs.clipped, "gradient"),
    _program(programs.dropped_dependence, "gradient", lambda p: p["m"] ** 2),
    _program(programs.second_site_alone, "gradient", programs.both),
    _program(programs.k1_through_samples, "gradient", programs.kl, pitfall=KL),
    _program(programs.k3_through_samples, "gradient", programs.kl_of_rates, pitfall=KL),
    _program(programs.entropy_through_samples, "gradient", lambda p: 1 - jnp.log(p["m"]), pitfall=ENTROPY),
)
BOTH = [bandit(), GaussianBandit()]
OBJECTIVES = (
    _objective(wrong_objectives.a_loss, [ENDS], "sign"),
    _objective(wrong_objectives.own_sample, [ENDS, bandit()], "own sample", pitfall=OWN),
    _objective(wrong_objectives.standardised, [ENDS, bandit()], "own sample", "scale"),
    _objective(wrong_objectives.with_rows_that_reset, [ENDS], "next episode", "own sample"),
    _objective(wrong_objectives.broadcast, [ENDS], "one value per row", pitfall=SHAPES),
    _objective(wrong_objectives.of_the_clipped_action, BOTH, "clipped actions", pitfall=CLIPPED),
    _objective(wrong_objectives.double_weight, [bandit()], "importance weight"),
    _objective(wrong_objectives.no_log_std, BOTH, "every parameter", "clipped actions", pitfall=LOG_STD),
    _objective(wrong_objectives.not_a_number, [bandit()], "finite", "policy gradient", "sign"),
    _objective(wrong_objectives.sampled_entropy, [three_states()], "entropy", pitfall=ENTROPY, entropy=0.05),
    _objective(wrong_objectives.half_of_the_entropy, [three_states()], "entropy", entropy=0.05),
    _credit("takes truncation for termination", "truncation", ends=lambda t, c: t | c, pitfall=TRUNCATION),
    _credit("does, beside an entropy bonus", "truncation", ends=lambda t, c: t | c, pitfall=TRUNCATION, entropy=True),
    _credit("bootstraps terminations", "policy gradient", "truncation", ends=lambda t, c: t & False),
    _credit("leaks", "next episode", "policy gradient", "truncation", keep=lambda t, c: ~t | True, pitfall=GAE),
    _credit("leaks past a limit", "next episode", "truncation", keep=lambda t, c: ~t, pitfall=GAE),
    _credit("drops the last reward", "policy gradient", "truncation", last=False, pitfall=GAE),
    _credit("is off by one", "policy gradient", "truncation", "next episode", late=1, pitfall=GAE),
    _credit("forgets the discount", "policy gradient", "truncation", discount=1.0),
)
LOSSES = (
    _loss(wrong_losses.uphill, "sign"),
    _loss(wrong_losses.unweighted, "zero gradient"),
    _loss(wrong_losses.zero_over_zero, "finite gradient", "group of one", "mask", "row order", "split batches"),
    _loss(wrong_losses.padding_counts, "mask", "NaN outside of the mask", "direction", "deviation", "difficulty"),
    _loss(wrong_losses.nan_outside, "NaN outside of the mask", "mask", "direction", "deviation", "difficulty",
          "length"),
    _loss(wrong_losses.by_place, "row order", "split batches", "direction"),
    _loss(wrong_losses.nan_alone, "group of one", "split batches", "difficulty"),
    _loss(wrong_losses.deviation_of_one, "group of one", "deviation", "difficulty", pitfall=ONE_ROW),
    _loss(wrong_losses.broadcast, "zero gradient", WHATEVER, rows=True, pitfall=SHAPES),
    _loss(wrong_losses.inverse_ratio, "off policy"),
    _loss(losses.rloo_row_mean, "length", "direction"),
    _loss(losses.grpo, "deviation", "direction", "difficulty", "length"),
    _loss(losses.dapo, "split batches", "direction", "deviation", "difficulty", "length"),
    _loss(losses.max_rl, "difficulty", WHATEVER),
    _loss(kl.k1_in_loss, "KL", pitfall=KL),
    _loss(kl.k3_in_loss, "KL", "KL weight", beta=kl.BETA, pitfall=KL),
    _loss(kl.k1_in_reward, "KL weight", beta=2 * kl.BETA),
)  # fmt: skip
ENVIRONMENTS = (
    _line("outside", "observations in the space"),
    _line("dtype", "dtype and shape"),
    _line("shape", "dtype and shape"),
    _line("list", "dtype and shape"),
    _line("aliasing", "a fresh observation array"),
    _line("global seed", "same seed, same episode", pitfall=SEEDS),
    _line("leak", "reset starts anew"),
    _line("raises", "no exception"),
    _line("hangs", "no hang", timeout=0.5),
    _line("refuses", "no exception"),
    _line("reset observation", "true successor", pitfall=AUTORESET),
    _line("nan", "rewards finite"),
    _line("reward array", "rewards finite"),
    _line("old", "terminated and truncated apart", pitfall=TRUNCATION),
    _line("int flag", "terminated and truncated apart"),
    _line("limit as end", "terminated and truncated apart", pitfall=TRUNCATION),
    _line("both flags", "terminated and truncated apart"),
    _line("never truncates", "time limit"),
    _line("info", "results of reset and step"),
    _env("a bound that is refused", "actions accepted", environments.Narrow),
    _env("cannot be made", "no exception", environments.fails),
    _vector("resets in the same step", "SAME_STEP"),
    _vector("never resets", "DISABLED"),
    _env("counter: branch", "no exception", environments.Counter("branch"), WHATEVER, steps=40),
    _env("counter: types", "state keeps its types", environments.Counter("types"), WHATEVER, steps=40),
    _env("counter: outside", "observations in the space", environments.Counter("outside"), WHATEVER, steps=40),
    _env("counter: impure", "compiled and eager agree", environments.Counter("impure"), WHATEVER, steps=40),
    _env("counter: nan", "rewards finite", environments.Counter("nan"), WHATEVER, steps=40),
)  # fmt: skip
RUNS = (
    _run("a critic worse than a constant", "critic's explained variance", runs.wrong_critic, WHATEVER),
    _run("nothing to learn", "a gradient above its noise", runs.lottery, batches=256, updates=1),
    _run("NaN in the parameters", "finite parameters", runs.not_finite),
    _run("a step downhill", "return rises", lambda: runs.stepping(-0.05), WHATEVER),
)
ZOO = (*POLICIES, *PROGRAMS, *OBJECTIVES, *LOSSES, *ENVIRONMENTS, *RUNS)
