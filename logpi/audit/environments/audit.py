"""Is an environment what it says: its spaces, its seed, its ends, and does it always answer?"""

import dataclasses
import warnings
from typing import Any

from ...envs import AbstractEnv, resolve
from ...envs.sources import HostSource
from ...errors import check_between, check_whole, InputError
from ...spaces.membership import corners, misfit, outside, same
from ..reports import Check, Report
from .checks import (
    count,
    flag_check,
    fresh_start_check,
    limit_check,
    observation_checks,
    reward_check,
    said,
    same_episode_check,
    successor_check,
)
from .compiled_checks import compiled_checks
from .players import AbstractPlayer, CompiledPlayer, GymnasiumPlayer, player_of
from .walks import HungError, Walk, Walker

REPLAYED = 300  # steps that are walked again, to see whether they are the same
RESETS = 32  # looked at, to know what the start of an episode looks like
CUT = 5  # steps of a time limit that is tried out


def env(
    subject: Any, *, seed: int = 0, steps: int = 1000, timeout: float = 10.0, time_limit: int | None = None
) -> Report:
    """Audits an environment by `steps` random steps from `seed`, some of them walked twice.

    `subject` is a name as `logpi.train` takes it, a function that makes an environment of Gymnasium's, such an
    environment, a vector of them, or an `AbstractEnv`. Looks at: types, shapes and bounds of observations; rewards; the
    two flags; the observation given with an end; the time limit (`time_limit` steps, if the environment does not
    announce it); seeds; what of an episode is left in the next; actions at the edge of their space. A call that takes
    longer than `timeout` seconds, or raises, is told with its step, seed and action. What an environment makes of
    `info` is never used. No check is random: a correct environment always passes, but one that jumps to the start of
    its next episode as its last step. Raises `InputError` for what is no environment, or has spaces unknown to logpi.
    """
    steps = check_whole("steps", steps, 1)
    timeout = check_between("timeout", timeout, 1e-3)
    seed = check_whole("seed", seed, 0, 2**31 - 1)
    time_limit = check_whole("time_limit", time_limit, 1, optional=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Gymnasium's and NumPy's, about what is looked at here
        try:
            name, player = _player(subject)
        except _ModeError as mode:
            return Report(mode.name, (count("autoreset_mode", [mode.sentence], mode.cure),))
        walker = Walker(player, timeout)
        try:
            return _audit(name, walker, seed, steps, time_limit)
        finally:
            walker.close()


@dataclasses.dataclass
class _ModeError(Exception):
    name: str
    sentence: str
    cure: str


def _player(subject: Any) -> tuple[str, AbstractPlayer]:
    foreign: Any = None if isinstance(subject, AbstractEnv | HostSource | str | type) else subject
    if hasattr(foreign, "observation_space") and hasattr(foreign, "step"):  # a user's object, of Gymnasium's kind
        if not hasattr(foreign, "num_envs"):  # Gymnasium's vectors have it
            spec = getattr(foreign, "spec", None)
            return (spec.id if spec else type(foreign).__name__), GymnasiumPlayer(None, foreign)
        mode = (foreign.metadata or {}).get("autoreset_mode")
        mode = getattr(mode, "value", mode)
        if mode != "NextStep":
            sentence = f"{mode!r}: logpi takes 'NextStep', which keeps the last observation"
            cure = "make it with autoreset_mode=gymnasium.vector.AutoresetMode.NEXT_STEP"
            raise _ModeError(type(foreign).__name__, sentence, cure)
    elif callable(subject) and not isinstance(subject, AbstractEnv):
        # Not by `resolve`, which would make one outside of the watch.
        label = getattr(subject, "__qualname__", type(subject).__name__)
        return label, GymnasiumPlayer(subject)
    source = resolve(subject)
    return source.name, player_of(source)


def _audit(name: str, walker: Walker, seed: int, steps: int, time_limit: int | None) -> Report:
    player = walker.player
    try:
        walker.start()
    except InputError:
        raise
    except HungError as error:
        return Report(name, (_hang([f"making it: {error}"]),))
    except Exception as error:
        return Report(name, (_exception([f"making it raised {type(error).__name__} ({error})"]),))
    limit = time_limit or player.limit
    walk = walker.walk(seed, steps, limit)
    checks = [
        _exception([walk.raised] * bool(walk.raised)),
        _hang([walk.hung] * bool(walk.hung)),
        count(
            "results", walk.malformed, "return (obs, info), and five things from step", name="results of reset and step"
        ),
        *observation_checks(walk, player.obs_space),
        reward_check(walk),
        flag_check(walk, limit),
    ]
    more, notes = limit_check(walk, limit)
    if not walk.hung:
        again, unseen = _walked_again(walker, walk, limit)
        more, notes = more + again, notes + unseen
    else:
        notes.append("seeds, resets and actions: it hangs")
    return Report(name, tuple(checks + more), tuple(notes))


def _exception(problems: list[str]) -> Check:
    return count("no_exception", problems, "mend the environment, or the space of actions that it announces")


def _hang(problems: list[str]) -> Check:
    return count("no_hang", problems, "mend what waits, or give a larger timeout")


def _walked_again(walker: Walker, walk: Walk, limit: int | None) -> tuple[list[Check], list[str]]:
    """What takes more walks: seeds, resets, corners, and what lies behind an end."""
    player, notes = walker.player, []
    actions = [step.action for step in walk.steps[:REPLAYED]]
    second = walker.walk(walk.seed, len(actions), limit, actions)  # in what has a past
    checks = [_corner_check(walker, walk.seed)]
    successors, unseen = successor_check(walk, walk.starts + walker.starts(RESETS if walk.ends else 0))
    checks += successors + _end_checks(walker, walk)
    cure = "draw from self.np_random alone, seeded by super().reset(seed=seed)"
    if player.remakes and not walker.watchdog.stuck:
        walker.start()
        third = walker.walk(walk.seed, len(actions), limit, actions)  # in one that is new
        reproduced = same_episode_check(walk, third, cure)
        shared = ["two calls of the function gave one and the same, which a training would step for two"]
        checks += [
            count("own_environment", shared * player.shared, "make a new one in the function, at each call"),
            reproduced,
        ]
        if reproduced.passed:
            check, told = fresh_start_check(walk, second, "let reset put back all state")
            checks, notes = [*checks, check], notes + told
        else:
            notes.append("what of an episode is left in the next: no seed gives the same episode twice")
    else:
        checks.append(same_episode_check(walk, second, f"{cure}; let reset put back all state"))
    checks += _cut_checks(walker, walk)
    checks += compiled_checks(player.env, walk.seed) if isinstance(player, CompiledPlayer) else []
    return checks, notes + unseen


def _corner_check(walker: Walker, seed: int) -> Check:
    """One walk along the corners of the action space."""
    space = walker.player.obs_space
    some = corners(walker.player.action_space)
    walk = walker.walk(seed, len(some), None, some)
    problems = [walk.raised or walk.hung] * walk.broken
    for step in walk.steps:
        problem = misfit(space, step.obs) or outside(space, step.obs)
        problems += [f"the action {step.action} led to what is wrong{problem}"] * bool(problem)
    cure = "let step take every action of action_space, or announce a smaller one"
    return count("actions_accepted", problems, cure, f"{len(some)} at the corners")


def _end_checks(walker: Walker, walk: Walk) -> list[Check]:
    """What happens after an end."""
    player = walker.player
    mode = count("autoreset_mode", player.faults, "the step after an end must reset: reward 0, and no flag")
    told = [dataclasses.replace(mode, meaning=mode.meaning or player.autoreset)]
    if not player.patient and (answer := walker.beyond(walk)):
        told.append(said("step_after_end", answer, name="step after the end"))
    return told


def _cut_checks(walker: Walker, walk: Walk) -> list[Check]:
    """With a shorter time limit, the same actions: it must cut there, and show the same."""
    first = next((step.length for step in walk.steps if step.ended), len(walk.steps))
    limit = min(CUT, first - 1)
    other = walker.player.cut_at(limit) if limit >= 1 and not walk.broken else None
    if other is None:
        return []
    cut = Walker(other, walker.watchdog.timeout)
    try:
        cut.start()
        short = cut.walk(walk.seed, limit, None, [step.action for step in walk.steps[:limit]])
    except Exception:  # its maker takes no time limit
        return []
    finally:
        cut.close()
    if short.broken or len(short.steps) < limit:
        return []
    last, whole = short.steps[-1], walk.steps[limit - 1]
    if not last.ended:  # some of EnvPool's take the option and do nothing with it
        return []
    problems = [] if last.truncated and not last.terminated else [f"a limit of {limit} steps sets not truncated alone"]
    if not same(last.obs, whole.obs):
        problems.append(f"a limit of {limit} steps shows another observation than the step without it")
    cure = "at the limit, set truncated alone and return what the action led to"
    return [count("shorter_time_limit", problems, cure, f"of {limit} steps", name="a shorter time limit")]
