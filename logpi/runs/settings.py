"""Everything that makes a training what it is, apart from its environment and its seeds."""

import dataclasses
import math
from collections.abc import Collection, Iterable
from typing import Any, Literal

from ..algorithms import AbstractAlgorithm, PPO
from ..demonstrations import as_warm_start, WarmStart
from ..errors import (
    check_between,
    check_fields,
    check_flag,
    check_kind,
    check_part,
    check_whole,
    choice,
    did_you_mean,
    InputError,
    shown,
)
from ..models import Network
from ..models.heads import BOUNDED
from ..transforms import RewardScaling, RewardTransform

ROW_STEPS = 16  # agent steps that a row of the metrics is of at least: each takes 400 bytes
MOST_TEXT = 20_000  # characters of where settings come from: every flag of a command may be in it


@dataclasses.dataclass(frozen=True)
class Settings:
    """An algorithm with the interaction and the network it works with. Written to a run's `config.json`."""

    algorithm: AbstractAlgorithm = dataclasses.field(default_factory=PPO)
    steps: int = 200_000
    """Rows in the whole training, over all environments, rounded up to whole rollouts: agent steps and resets."""
    num_envs: int = 16
    """Environments side by side."""
    rollout_length: int = 128
    """Steps of each environment in a rollout."""
    network: Network = dataclasses.field(default_factory=Network)
    actions: Literal["auto", "clip", "rescale"] = "auto"
    """The way of a continuous action to its environment: clipped to the bounds, or -1 and 1 put on them; which of the
    two by whether the bounds are far from -1 and 1, if not given. Those of a tanh-normal are always put on them."""
    reward_clipping: float | None = None
    """Where rewards are clipped on their way to the algorithm, before they are scaled; returns are not."""
    reward_scaling: RewardScaling | None = None
    """How rewards are scaled on their way to the algorithm."""
    overlap: bool = False
    """The next rollout is collected while the algorithm learns from the last, so by the policy before."""
    warm_start: WarmStart | None = dataclasses.field(default=None, metadata={"whole": True})
    """Data that the policy is cloned from before the first update: an .npz file, or minari:NAME."""
    log_every: int | None = None
    """Iterations in a row of the metrics; as few as make 16 agent steps, if not given."""
    source: str = "logpi's defaults"
    """Where these values come from, in a line."""

    def __post_init__(self):
        check_fields(self, check_whole, "steps", "num_envs", "rollout_length", low=1, high=math.inf)
        if self.steps_per_rollout >= 2**31:
            raise InputError(
                f"num_envs x rollout_length is {shown(self.steps_per_rollout)}, but it must be less than 2^31: give "
                "fewer environments or shorter rollouts."
            )
        if self.num_updates >= 2**31:
            raise InputError(
                f"steps is {shown(self.steps)} with {shown(self.steps_per_rollout)} in a rollout, but it must be less "
                "than 2^31 rollouts: give fewer steps or larger rollouts."
            )
        check_fields(self, check_whole, "log_every", low=1, high=2**20, optional=True)
        if self.iterations_per_row * self.steps_per_rollout >= 2**31:
            raise InputError(
                f"log_every is {shown(self.log_every)} with {shown(self.steps_per_rollout)} steps in a rollout, but a "
                "row must be of less than 2^31 steps: give a smaller one."
            )
        choice("actions", self.actions, ("auto", "clip", "rescale"))
        if not isinstance(self.source, str) or not self.source.isprintable() or len(self.source) > MOST_TEXT:
            raise InputError(
                f"source is {shown(self.source)}, but it must be a text on one line, of at most {MOST_TEXT:,} "
                "characters: give one that says where the settings come from."
            )
        check_part("algorithm", self.algorithm, "PPO()")
        check_kind("network", self.network, Network, "Network()")
        if self.actions == "auto" and self.network.action_distribution is None and self.action_distribution in BOUNDED:
            # Said, so that whoever reads the run without the algorithm's class acts as it did.
            object.__setattr__(self, "actions", "rescale")
        if self.actions == "clip" and self.action_distribution in BOUNDED:
            raise InputError(
                f"actions is clip, but those of a {self.action_distribution} distribution lie between -1 and 1, which "
                "have to be put on the bounds of the space: take rescale, or leave it out."
            )
        if check_flag("overlap", self.overlap) and self.is_known:
            _check_lag(self.algorithm)
        check_kind("warm_start", self.warm_start, WarmStart, 'WarmStart("demonstrations.npz")', optional=True)
        check_fields(self, check_between, "reward_clipping", low=0, optional=True)
        if self.reward_scaling is not None:
            _check_scaling(self.reward_scaling, self.algorithm if self.is_known else None)

    def with_(self, **changes: Any) -> "Settings":
        """These settings with other values for some names, and all the rest as it is.

        A name is that of a field of the settings or of any part of them: `settings.with_(learning_rate=1e-3, clip=0.1,
        width=128, credit=GAE(0.99, 0.9))`. Parts are replaced before the numbers in them. `reward_scaling=True` scales
        by the sums under the discount of the credit, `False` not at all. `warm_start` is one, or its data alone; the
        numbers in it are its own. What is changed is added to `source`.

        Raises `InputError` for a name that there is not, with the nearest, and for a value that cannot be.
        """
        if "reward_scaling" in changes and isinstance(on := changes["reward_scaling"], bool):
            credit = getattr(changes.get("algorithm", self.algorithm), "credit", None)
            gamma = changes.get("gamma", getattr(changes.get("credit", credit), "gamma", 0.99))
            changes["reward_scaling"] = (self.reward_scaling or RewardScaling(gamma=gamma)) if on else None
        if changes.get("warm_start") is not None:
            changes["warm_start"] = as_warm_start(changes["warm_start"], self.warm_start)
        if "algorithm" in changes and self.is_known and self.algorithm.action_distribution in BOUNDED:
            changes.setdefault("actions", "auto")  # it was the other algorithm that rescaled them
        made, known = _replaced(self, changes)
        check_names(changes, known, type(made.algorithm).__name__)
        said = [f"{name}={shown(value)}" for name, value in changes.items() if name not in ("source", "algorithm")]
        if "algorithm" in changes:
            said = [f"{type(made.algorithm).__name__} as given, with all its numbers", *said]
        if not said or made == self:
            return made
        source = f"{made.source}; changed: {', '.join(said)}"
        return dataclasses.replace(made, source=source if len(source) <= MOST_TEXT else made.source)

    @property
    def way_of_actions(self) -> Literal["auto", "clip", "rescale"]:
        """As `actions`; those that lie between -1 and 1 anyway are rescaled."""
        return "rescale" if self.action_distribution in BOUNDED else self.actions

    @property
    def action_distribution(self) -> str:
        """Of continuous actions: what the network says, or what the algorithm takes."""
        return self.network.action_distribution or (self.algorithm.action_distribution if self.is_known else "normal")

    @property
    def reward_transform(self) -> RewardTransform:
        """What happens to rewards on their way to the algorithm."""
        return RewardTransform(self.reward_clipping, self.reward_scaling)

    @property
    def is_known(self) -> bool:
        """Whether the algorithm is there, and not its text alone, of one of the user's own."""
        return isinstance(self.algorithm, AbstractAlgorithm)

    @property
    def steps_per_rollout(self) -> int:
        """Agent steps in one rollout of all environments."""
        return self.num_envs * self.rollout_length

    @property
    def iterations_per_row(self) -> int:
        """Iterations, each of a rollout and an update, that a row of the metrics is of."""
        return self.log_every or -(-ROW_STEPS // self.steps_per_rollout)

    @property
    def num_updates(self) -> int:
        """Rollouts in the whole training, each followed by one update."""
        return -(-self.steps // self.steps_per_rollout)


def _check_lag(algorithm: AbstractAlgorithm) -> None:
    """Raises `InputError` for an algorithm that takes who acted for who learns."""
    if not algorithm.lag:
        raise InputError(
            f"overlap is True, but {type(algorithm).__name__} takes its gradient for that of the policy that acted, "
            "which would be one update older: take IMPALA, PPO or an off-policy algorithm, or leave it out."
        )


def _check_scaling(scaling: object, algorithm: AbstractAlgorithm | None) -> None:
    """Raises `InputError` for rewards that are scaled by what was known when they were collected, and kept.

    Also for what scales none.
    """
    check_part("reward_scaling", scaling, "RewardScaling()")
    if algorithm is not None and algorithm.experience.capacity:
        name = type(algorithm).__name__
        raise InputError(
            f"reward_scaling is given, but {name} keeps its rewards, where each would be scaled by what was known at "
            "its time: leave it out (reward_scaling=False)."
        )


def check_names(names: Iterable[str], known: Collection[str], algorithm: str) -> None:
    """Raises `InputError` for a name that is no setting, with what was meant."""
    for name in names:
        if name not in known:
            cure = did_you_mean(name, known, f"there are {', '.join(sorted(known))}.")
            raise InputError(f"{name} is no setting of {algorithm}: {cure}")


def names_of(settings: Settings) -> set[str]:
    """What `Settings.with_` takes."""
    return _replaced(settings, {})[1]


def _replaced(part: Any, changes: dict[str, Any]) -> tuple[Any, set[str]]:
    """A dataclass with other values for the fields of these names, its own and those of its parts; and all names."""
    new: dict[str, Any] = {}
    known: set[str] = set()
    for field in dataclasses.fields(part):
        if not field.init:
            continue
        known.add(field.name)
        before = getattr(part, field.name)
        after = changes.get(field.name, before)
        if dataclasses.is_dataclass(after) and not isinstance(after, type) and not field.metadata.get("whole"):
            after, names = _replaced(after, changes)
            known |= names
        if after is not before:
            new[field.name] = after
    return (dataclasses.replace(part, **new) if new else part), known
