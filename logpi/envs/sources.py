"""Where environments come from: one compiled environment, or a way to make several on the host."""

import contextlib
import dataclasses
import functools
import threading
from collections.abc import Callable, Generator
from typing import Any, ClassVar, NamedTuple, TypeVar

from ..errors import InputError
from ..spaces.gymnasium import from_gymnasium
from ..spaces.kinds import Space
from ..spaces.masks import split_mask
from ..spaces.membership import dtype_of, flattened
from .base import AbstractEnv
from .named import Named
from .told_masks import MaskShown, space_with_mask, tells_masks
from .vector import AbstractVectorEnv, GymnasiumVector, shared_by, vectorize

Size = TypeVar("Size")


@dataclasses.dataclass(frozen=True)
class CompiledSource:
    """An environment written in JAX. `note` is a sentence for the user, or empty.

    `named` is what makes it again, to `resolve` too; `None` where nothing but the object itself does.
    """

    compiled: ClassVar[bool] = True
    name: str
    env: AbstractEnv
    note: str = ""
    named: Named | None = None

    @property
    def obs_space(self) -> Space:
        """The environment's."""
        return self.env.obs_space

    @property
    def action_space(self) -> Space:
        """The environment's."""
        return self.env.action_space

    def envs(self, wanted: int) -> int:
        """How many environments to ask for: as many as are wanted."""
        return wanted

    def either(self, compiled: Size, host: Size) -> Size:  # pyright: ignore[reportUnusedParameter]
        """Of two sizes, the one that suits environments that step as fast as these."""
        return compiled


@dataclasses.dataclass(frozen=True)
class HostSource:
    """Environments on the host: `make(num_envs, seed)` makes them. `note` is a sentence for the user, or empty.

    `named` is what makes them again, to `resolve` too; `None` where nothing but what was given does.
    """

    compiled: ClassVar[bool] = False
    name: str
    obs_space: Space
    action_space: Space
    make: Callable[[int, int | None], AbstractVectorEnv]
    note: str = ""
    named: Named | None = None

    def envs(self, wanted: int) -> int:
        """How many environments to ask for: those wanted, or those that a vector environment of the user's has."""
        return self.make.env.num_envs if isinstance(self.make, GivenVector) else wanted

    def either(self, compiled: Size, host: Size) -> Size:  # pyright: ignore[reportUnusedParameter]
        """Of two sizes, the one that suits environments that step as slowly as these."""
        return host


EnvSource = CompiledSource | HostSource
Source = TypeVar("Source", bound=EnvSource)


@dataclasses.dataclass(frozen=True)
class GymnasiumMaker:
    """Makes environments of Gymnasium's, by id. Equal makers serve the same compiled programs."""

    id: str
    options: dict[str, Any] = dataclasses.field(default_factory=dict, hash=False)
    processes: bool | int = False
    restart: bool = False  # one that breaks down, in place of raising what it raised
    shared: bool = True  # whether observations can lie in memory that processes share
    masked: bool = False  # whether it tells masks beside its observations

    def __call__(self, num_envs: int, seed: int | None) -> GymnasiumVector:
        """`num_envs` of them."""
        import gymnasium

        # A process that makes one imports Gymnasium alone, not JAX, and has only the registrations that it is given.
        which = gymnasium.registry.get(self.id, self.id)
        one = functools.partial(gymnasium.make, which, disable_env_checker=True, **self.options)
        with quiet("mujoco" in str(which)):
            return _vectorized(self, one, self.id, num_envs, seed)

    def one(self) -> Any:
        """One of them, as Gymnasium makes it, with its mask in the observation."""
        import gymnasium

        one = functools.partial(gymnasium.make, self.id, disable_env_checker=True, **self.options)
        with quiet("mujoco" in str(gymnasium.registry.get(self.id))):
            return _with_mask(self, one)()


@dataclasses.dataclass(frozen=True)
class FunctionMaker:
    """Makes environments by a function of the user's that returns one of Gymnasium's."""

    function: Callable[[], Any]
    name: str
    processes: bool | int = False
    restart: bool = False  # one that breaks down, in place of raising what it raised
    shared: bool = True  # whether observations can lie in memory that processes share
    masked: bool = False  # whether it tells masks beside its observations

    def __call__(self, num_envs: int, seed: int | None) -> GymnasiumVector:
        """`num_envs` of them."""
        return _vectorized(self, self.function, self.name, num_envs, seed)

    def one(self) -> Any:
        """One of them, as the function makes it, with its mask in the observation."""
        return _with_mask(self, self.function)()


def _with_mask(how: GymnasiumMaker | FunctionMaker, one: Callable[[], Any]) -> Callable[[], Any]:
    """A function that makes one, to be sent to processes too."""
    return functools.partial(MaskShown, one) if how.masked else one


def _vectorized(
    how: GymnasiumMaker | FunctionMaker, one: Callable[[], Any], name: str, num_envs: int, seed: int | None
) -> GymnasiumVector:
    one = _with_mask(how, one)
    return vectorize(one, num_envs, seed, processes=how.processes, restart=how.restart, name=name, shared=how.shared)


def can_be_shared(space: Space) -> bool:
    """Whether members can lie in memory that processes share: Python has no name for numbers of 16 bits there."""
    return all(dtype_of(part).char in "?bBhHiIlLqQfd" for (part,) in flattened(space))


@dataclasses.dataclass(frozen=True)
class GivenVector:
    """Hands out a vector environment of the user's own. There is only the one, and it is the user's to close."""

    env: Any
    masked: bool = False  # whether its infos have masks of actions

    def __call__(self, num_envs: int, seed: int | None) -> GymnasiumVector:
        """The environment. Raises `InputError` for another number of environments than it has."""
        vector = GymnasiumVector(self.env, seed, ours=False, masked=self.masked)
        if vector.num_envs != num_envs:
            raise InputError(
                f"The vector environment {vector.name} has {vector.num_envs} environments, but num_envs is {num_envs}: "
                f"say num_envs={vector.num_envs}, or give the function that makes one environment."
            )
        return vector


@dataclasses.dataclass(frozen=True)
class EnvPoolMaker:
    """Makes environments of EnvPool's, by id. Equal makers serve the same compiled programs."""

    id: str
    options: dict[str, Any] = dataclasses.field(default_factory=dict, hash=False)

    def __call__(self, num_envs: int, seed: int | None) -> AbstractVectorEnv:
        """`num_envs` of them."""
        from .adapters.envpool import EnvPoolVector

        with quiet():
            return EnvPoolVector(self.id, num_envs, seed, **self.options)


@dataclasses.dataclass(frozen=True)
class ALEMaker:
    """Makes Atari games of ale-py's, by id. Equal makers serve the same compiled programs."""

    id: str
    options: dict[str, Any] = dataclasses.field(default_factory=dict, hash=False)

    def __call__(self, num_envs: int, seed: int | None) -> AbstractVectorEnv:
        """`num_envs` of them."""
        from .adapters.ale import ale_vector

        with quiet():
            return ale_vector(self.id, num_envs, seed, self.options)


# Options of Atari games that change what an episode is, or what it pays, for the sake of the learning.
_FOR_LEARNING = ("episodic_life", "reward_clip", "reward_clipping")


def as_judged(source: Source) -> Source:
    """The same environments for an evaluation: of Atari games whole ones, with the scores that they give."""
    make = source.make if isinstance(source, HostSource) else None
    if not isinstance(make, EnvPoolMaker | ALEMaker):
        return source
    options = {name: value for name, value in make.options.items() if name not in _FOR_LEARNING}
    return dataclasses.replace(source, make=dataclasses.replace(make, options=options))


def in_processes(source: EnvSource, processes: bool | int) -> EnvSource:
    """The same environments, in processes of their own where they are Gymnasium's and have none; others stay."""
    if isinstance(source, HostSource) and isinstance(source.make, GymnasiumMaker | FunctionMaker):
        make = dataclasses.replace(source.make, processes=source.make.processes or processes)
        return dataclasses.replace(source, make=make)
    return source


def processes_of(source: EnvSource) -> bool | int:
    """What was asked for: how many processes share the environments, True for one each, False for none."""
    make = source.make if isinstance(source, HostSource) else None
    return make.processes if isinstance(make, GymnasiumMaker | FunctionMaker) else False


def check_processes(source: EnvSource, num_envs: int) -> None:
    """Raises `InputError` unless the processes that were asked for can have equally many environments each."""
    processes = processes_of(source)
    if processes and shared_by(processes, num_envs) < min(processes, num_envs):
        good = [count for count in range(1, num_envs + 1) if num_envs % count == 0]
        raise InputError(
            f"processes is {processes}, but {num_envs} environments cannot be shared equally by so many: give one of "
            f"{', '.join(map(str, good))}, or another num_envs."
        )


def seen_by(source: EnvSource, obs_space: Space) -> EnvSource:
    """The same environments for a policy that observes a space: without the masks beside, if it was trained so."""
    make = source.make if isinstance(source, HostSource) else None
    if not isinstance(make, GymnasiumMaker | FunctionMaker | GivenVector) or not make.masked:
        return source
    if split_mask(obs_space, source.action_space)[1]:
        return source
    bare = split_mask(source.obs_space, source.action_space)[0]
    return dataclasses.replace(source, obs_space=bare, make=dataclasses.replace(make, masked=False))


def restarting(source: EnvSource) -> EnvSource:
    """The same environments, of which one that breaks down is made anew.

    Raises `InputError` for EnvPool's and for a vector environment of the user's: one of them cannot be replaced.
    Compiled environments cannot break down.
    """
    if isinstance(source, CompiledSource):
        return source
    if isinstance(source.make, GymnasiumMaker | FunctionMaker):
        return dataclasses.replace(source, make=dataclasses.replace(source.make, restart=True))
    raise InputError(
        f"Environments of {source.name} cannot be restarted one by one: take gymnasium:..., give the function that "
        "makes one environment, or leave on_env_error at stop."
    )


class Looks(NamedTuple):
    """What was seen of an environment of Gymnasium's."""

    obs_space: Space  # with the mask, where there is one
    action_space: Space
    masked: bool  # whether it tells masks beside its observations

    @property
    def shared(self) -> bool:
        """Whether observations can lie in memory that processes share."""
        return can_be_shared(self.obs_space)


@contextlib.contextmanager
def looked_at(env: Any) -> Generator[Looks]:
    """An environment of Gymnasium's, which is closed in the end.

    Raises `InputError` for spaces that logpi does not know, and where one is missing; and for a mask that does not fit.
    """
    try:
        for name in ("observation_space", "action_space"):
            if getattr(env, name, None) is None:
                raise InputError(f"{env} has no {name}: set self.{name} to a space of gymnasium's in its __init__.")
        spaces = from_gymnasium(env.observation_space), from_gymnasium(env.action_space)
        if masked := tells_masks(env):
            spaces = from_gymnasium(space_with_mask(env.observation_space, env.action_space)), spaces[1]
        yield Looks(*spaces, masked)
    finally:
        with contextlib.suppress(Exception):  # those that are played in say it, if they cannot be closed either
            env.close()


_LOGGING = threading.RLock()


@contextlib.contextmanager
def quiet(mujoco: bool = False) -> Generator[None]:
    """Without Gymnasium's warnings, and MuJoCo's: they are of the making of their own environments.

    MuJoCo would also leave a file MUJOCO_LOG.TXT in the working directory.
    """
    import gymnasium.logger

    with _LOGGING:
        before = gymnasium.logger.min_level
        gymnasium.logger.min_level = gymnasium.logger.ERROR
        try:
            with _quiet_mujoco() if mujoco else contextlib.nullcontext():
                yield
        finally:
            gymnasium.logger.min_level = before


@contextlib.contextmanager
def _quiet_mujoco() -> Generator[None]:
    try:
        import mujoco
    except ImportError:  # Gymnasium says so, in its own words
        yield
        return
    before = mujoco.get_mju_user_warning()  # pyright: ignore[reportAttributeAccessIssue]
    mujoco.set_mju_user_warning(lambda message: None)  # pyright: ignore[reportAttributeAccessIssue]
    try:
        yield
    finally:
        mujoco.set_mju_user_warning(before)  # pyright: ignore[reportAttributeAccessIssue]
