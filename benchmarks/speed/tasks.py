"""Which contenders each task has, how long each of them runs, and what the ratios are meant to be."""

from dataclasses import dataclass

from .contenders import Contender, Script, TrainCommand

OURS = "logpi"
OVERLAPPED = "logpi, overlap"
SOLVED_RETURN = 475.0


@dataclass(frozen=True)
class Target:
    """`ours` over `theirs` in the task's quantity, or in another of which less is better, and the bound to keep."""

    ours: str
    theirs: str
    bound: float
    other: str = ""


@dataclass(frozen=True)
class Task:
    """Contenders that run in alternation, in this order, and the ratios wanted of them.

    `uncounted_rounds` come before the others and are thrown away.
    """

    name: str
    title: str
    contenders: tuple[Contender, ...]
    targets: tuple[Target, ...]
    quantity: str = "steps_per_second"
    higher_is_better: bool = True
    uncounted_rounds: int = 0

    def at_least(self, target: Target) -> bool:
        """Whether the ratio is to be at least its bound, and not at most."""
        return self.higher_is_better and not target.other

    def met(self, target: Target, ratio: float) -> bool:
        """Whether a ratio keeps its target."""
        return ratio >= target.bound if self.at_least(target) else ratio <= target.bound


def _logpi(steps: int) -> Script:
    return Script(OURS, "run_logpi.py", steps)


def _rejax(steps: int) -> Script:
    return Script("rejax", "run_rejax.py", steps, "rejax")


def _stable_baselines(steps: int) -> tuple[Script, Script]:
    return Script("sb3", "run_sb3.py", steps, "sb3"), Script("sbx", "run_sbx.py", steps, "sbx")


_ALL = (
    Task(
        "cartpole64",
        "CartPole-v1, 64 environments x 128 steps, 4 minibatches, 4 epochs",
        (_logpi(1_638_400), _rejax(1_638_400)),
        (Target(OURS, "rejax", 1.4),),
    ),
    Task(
        "cartpole4",
        "CartPole-v1, 4 environments x 128 steps, 4 minibatches, 4 epochs",
        (_logpi(1_024_000), _rejax(1_024_000), *_stable_baselines(51_200)),
        (Target(OURS, "rejax", 1.15), Target(OURS, "sb3", 25), Target(OURS, "sbx", 25)),
    ),
    Task(
        "seeds8",
        "CartPole-v1, eight seeds at once, each with 64 environments x 128 steps; steps of all seeds together",
        (_logpi(409_600), _rejax(409_600)),
        (Target(OURS, "rejax", 1.8),),
    ),
    Task(
        "halfcheetah",
        "HalfCheetah-v5, 8 environments x 256 steps, minibatches of 64, 10 epochs",
        (
            _logpi(102_400),
            Script(OVERLAPPED, "run_logpi.py", 102_400, arguments=("--overlap",)),
            Script("limit", "limit_logpi.py", 102_400),
            *_stable_baselines(40_960),
        ),
        (
            Target(OURS, "sb3", 4.5),
            Target(OURS, "sbx", 2.8),
            Target(OURS, "limit", 0.85),
            Target(OVERLAPPED, "limit", 1.15),
        ),
    ),
    Task(
        "pictures",
        "Pictures of 84 x 84 x 4 bytes from an environment that costs nothing, the network of Mnih et al. 2015, "
        "8 environments x 128 steps, 4 minibatches, 4 epochs",
        (_logpi(6_144), Script("sb3", "run_sb3.py", 6_144, "sb3")),
        (Target(OURS, "sb3", 1.25), Target(OURS, "sb3", 1, "peak_memory")),
    ),
    Task(
        "time_to_solve",
        f"CartPole-v1, whole process, up to a policy whose mean return over 100 episodes is {SOLVED_RETURN:g} or more",
        (
            TrainCommand("logpi warm", warm=True),
            TrainCommand("logpi cold", warm=False),
            Script("sb3", "solve_sb3.py", venv="sb3"),
        ),
        (Target("logpi warm", "sb3", 0.55), Target("logpi cold", "sb3", 0.85)),
        quantity="wall_seconds",
        higher_is_better=False,
        uncounted_rounds=1,
    ),
)

TASKS = {task.name: task for task in _ALL}
