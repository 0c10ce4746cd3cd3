"""A policy acting in an environment that draws itself, in a window or as a film: a file that plays."""

import contextlib
import dataclasses
from collections.abc import Callable, Generator, Iterable, Iterator
from pathlib import Path
from typing import Any

from ..envs import EnvSource, HostSource, resolve
from ..envs.seen import is_seen, SeenGame
from ..envs.sources import FunctionMaker, seen_by
from ..errors import check_flag, check_kind, check_path, check_whole, InputError, said
from ..runs.agent import Agent
from ..runs.folder import film_file
from ..runs.run import load, misfit_of, own_source, Run
from .events import Advanced, Event, Filmed, Planned, Warned
from .video import check_video, drawing, write_video

MAX_STEPS = 10_000  # of an episode; a film of more than that is a mistake


def film(
    run: Run | str | Path,
    path: str | Path,
    *,
    episodes: int = 1,
    best: bool = False,
    deterministic: bool = False,
    seed: int | None = None,
    env: Any = None,
) -> Path:
    """Writes a film of a policy that plays some episodes to a file that ends in .mp4 or .gif, and returns its path.

    - `run`: a run or the folder of one; with `best`, the policy that earned most in evaluations on the way.
    - `deterministic`: the policy's likeliest actions, in place of drawn ones.
    - `seed`: which seed's policy, by default the first of the run.
    - `env`: the run's environment, where no name tells it.

    The file is there whole or not at all. Raises `InputError` for an environment that cannot be drawn, and without the
    extra `video`.
    """
    video = check_path("path", path)
    check_video("path", video)
    check_flag("best", best)
    if not isinstance(run, Run):
        run = load(run, environment=env, best=best)
    elif best:
        run = run.best
    if env is not None:
        run = dataclasses.replace(run, environment=env)
    show(run, video, episodes=episodes, deterministic=deterministic, seed=seed)
    return video


class FilmEvery:
    """A callback that films the first seed's policy after every so many updates, and after the last of them.

    `videos/STEPS.mp4` of the run folder (or of `folder`) is an episode of the policy that has learned from so many
    agent steps; `deterministic` is as of `film`. The report shows the newest, and loggers have them (`Filmed`). Where
    one cannot be made, that is one warning, and no other is tried. Raises `InputError` without the extra `video`.
    """

    def __init__(self, every: int, *, deterministic: bool = False, folder: str | Path | None = None):
        self._every, self._deterministic = check_whole("every", every, 1), check_flag("deterministic", deterministic)
        self._folder = None if folder is None else check_path("folder", folder)
        check_video("path", Path(film_file(0)))

    def __call__(self, event: Event) -> None:
        """Films where it is time."""
        match event:
            case Planned():
                if event.out is None and self._folder is None:
                    raise InputError("FilmEvery has no place for films: give out= of the training, or folder= to it.")
                self._plan, self._done, self._fails = event, -1, False
            case Advanced(rows):
                mine = [row for row in rows if row["seed"] == self._plan.seeds[0]]
                if mine and self._is_time(mine[0]["iteration"] - self._plan.every, mine[-1]["iteration"]):
                    self._film(event, mine[-1]["steps"])
            case _:
                pass

    def _is_time(self, before: int, iteration: int) -> bool:
        """After so many updates, of which `before` were done before the news."""
        last = self._plan.steps // (self._plan.num_envs * self._plan.rollout_length)
        earlier, self._done = max(self._done, before), iteration
        return not self._fails and (iteration // self._every > earlier // self._every or iteration >= last)

    def _film(self, event: Advanced, steps: int) -> None:
        training = event.training
        path = (self._folder or Path(str(self._plan.out))) / film_file(steps)

        def while_it_goes_on(frames: Iterator[Any]) -> Iterator[Any]:
            for frame in frames:
                if training.interruption.is_set():
                    raise _BrokenOff
                yield frame

        try:
            if training.held is not None and self._folder is None:
                training.held.check()
            seed, likeliest = self._plan.seeds[0], self._deterministic
            show(event.run, path, episodes=1, deterministic=likeliest, seed=seed, passing=while_it_goes_on)
        except _BrokenOff:
            return
        except Exception as error:  # of anybody's who draws: no training ends for a film
            self._fails = True
            training.hear(Warned(f"there is no film after {steps:,} steps, nor will there be others: {said(error)}."))
            return
        training.hear(Filmed(path, self._plan.seeds[0], steps))


class _BrokenOff(Exception):
    """The training was interrupted amid a film."""


def show(
    run: Run,
    video: Path | None,
    *,
    episodes: int,
    deterministic: bool,
    seed: int | None,
    says: Callable[[str], object] = str,
    passing: Callable[[Iterator[Any]], Iterable[Any]] = iter,
) -> None:
    """Plays episodes in a window, or into a file where one is given.

    `says` hears what each episode came to, and the frames of a file come through `passing`. Raises `InputError` where
    the environment cannot be drawn.
    """
    check_kind("run", run, Run, "logpi.load(folder)")
    policy = run.policies[run.seeds.index(run.model_of(seed)[0])]
    agent = Agent(policy, run.obs_space, run.action_space, run.settings.way_of_actions)  # the run's own remembers
    mode = "human" if video is None else "rgb_array"
    with drawing(to_file=video is not None), _opened(run, mode) as env:
        frames = _Frames(env, run.env, agent, check_flag("deterministic", deterministic), video is not None, says)
        played = frames.play(check_whole("episodes", episodes, 1))
        if video is None:
            for _ in played:
                pass
        else:
            write_video(video, passing(played), env.metadata.get("render_fps") or 30)


@contextlib.contextmanager
def _opened(run: Run, render_mode: str) -> Generator[Any]:
    """The environment that a run was trained in, or the original of it, if it can be drawn in this mode."""
    source = own_source(run, run.environment)
    suite = source.named.suite if source.named else ""
    if is_seen(source):
        env = _as_seen(run, source, render_mode)
    else:
        env = _of_gymnax(run, source, render_mode) if suite == "gymnax" else _original(run, source, suite, render_mode)
    if env.render_mode != render_mode:
        env.close()
        raise InputError(f"{run.env} shows nothing: make it with render_mode={render_mode!r}.")
    try:
        yield env
    finally:
        env.close()


def _as_seen(run: Run, source: HostSource, render_mode: str) -> Any:
    if render_mode == "human":
        raise InputError(f"{run.env} has no window, for it draws nothing but what is observed: give --video FILE.")
    _check_spaces(run, source)
    return SeenGame(source)


def _of_gymnax(run: Run, source: Any, render_mode: str) -> Any:
    from ..envs.adapters.gymnax_pictures import painter_of, pictured

    with _sentence(run.env):
        painter = painter_of(run.env, source.env)
    _check_spaces(run, source)
    return pictured(source.env, painter, render_mode)


def _original(run: Run, source: EnvSource, suite: str, render_mode: str) -> Any:
    """One of Gymnasium's environments, made to be drawn: the original of one that draws nothing."""
    if source.named is None:
        if not isinstance(source, HostSource) or not isinstance(source.make, FunctionMaker):
            raise InputError(f"{run.env} cannot be watched: give the function that makes one of Gymnasium's.")
        original: Any = source
    elif suite == "probe":
        raise InputError(f"{run.env} cannot be watched: a probe has nothing to draw.")
    else:
        options: Any = source.named.options
        if options and suite != "gymnasium":
            raise InputError(f"{run.env} cannot be watched: Gymnasium's original does not know its options {options}.")
        id = source.named.name.removeprefix(f"{suite}:")
        try:
            original = resolve(f"gymnasium:{id}", **options | {"render_mode": render_mode})
        except InputError as error:
            if "TypeError" not in str(error):
                raise
            raise InputError(
                f"{run.env} cannot be watched, as it takes no render_mode ({said(error)}): let its __init__ take one, "
                "keep it in self.render_mode, and draw in render()."
            ) from None
    original = seen_by(original, run.obs_space)
    _check_spaces(run, original)
    return original.make.one()


def _check_spaces(run: Run, source: EnvSource) -> None:
    if found := misfit_of(run, source):
        _, mine, theirs = found
        raise InputError(f"{run.env} cannot be watched: {source.name} has {theirs}, the policy {mine}.")


class _Frames:
    """Plays episodes, and hands out what they look like; nothing, where the environment shows itself."""

    def __init__(
        self, env: Any, name: str, agent: Agent, deterministic: bool, drawn: bool, says: Callable[[str], object]
    ):
        self._env, self._name, self._agent = env, name, agent
        self._deterministic, self._drawn, self._says = deterministic, drawn, says

    def play(self, episodes: int) -> Iterator[Any]:
        """The frames of all episodes, one after the other."""
        for episode in range(episodes):
            yield from self._episode(episode)

    def _episode(self, episode: int) -> Iterator[Any]:
        self._agent.reset(episode)
        with _sentence(self._name, self._env):
            obs, _ = self._env.reset(seed=episode)
        total, steps, ended = 0.0, 0, False
        yield from self._picture()
        while not ended and steps < MAX_STEPS:
            action = self._agent(obs, self._deterministic)
            with _sentence(self._name, self._env):
                obs, reward, terminated, truncated, _ = self._env.step(action)
            total, steps, ended = total + float(reward), steps + 1, terminated or truncated
            yield from self._picture()
        self._says(f"episode {episode + 1}: return {total:.1f} in {steps} steps")

    def _picture(self) -> Iterator[Any]:
        if self._drawn:
            with _sentence(self._name, self._env):
                frame = self._env.render()
            if frame is None:
                raise InputError(f"{self._name} draws nothing: it cannot be watched.")
            yield frame


@contextlib.contextmanager
def _sentence(name: str, env: Any = None) -> Generator[None]:
    """Turns what may go wrong while an environment draws itself into a sentence."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        if type(error).__name__ == "DependencyNotInstalled" or isinstance(error, ImportError):
            raise InputError(f'{name} cannot be drawn ({said(error)}): pip install "logpi[video]".') from None
        cure = "choose another environment, or a machine with a display"
        if "mujoco" in str(getattr(env, "spec", "")):
            cure = "set MUJOCO_GL to what this machine has: egl, osmesa or glfw"
        raise InputError(f"{name} cannot be drawn ({type(error).__name__}: {said(error)}): {cure}.") from None
