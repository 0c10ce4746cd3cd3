"""`logpi watch`: a policy acting in an environment that draws itself, in a window or as a video."""

import contextlib
import os
import sys
import time
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

from ..errors import check_between, InputError, said
from ..progress.video import check_video, write_video
from .arguments import Flag, parse
from .objects import environment_of
from .terminal import says, transient

COMMAND = "logpi watch"
DESCRIPTION = "Shows a policy of a run acting, in a window, or as a video with --video."
SECONDS_BETWEEN_WORDS = 0.5
MAX_STEPS = 10_000  # of an episode; a video of more than that is a mistake
FLAGS = [
    Flag("run", str, "folder of a run, as logpi train makes", metavar="RUN", positional=True),
    Flag("video", str | None, "file to write in place of a window: .mp4 or .gif", None, metavar="FILE"),
    Flag("episodes", int, "how many episodes", 1),
    Flag("best", bool, "the policy that earned most on the way (train --evaluate-every), not the last", False),
    Flag("deterministic", bool, "take the policy's likeliest actions, in place of drawing them", False),
    Flag("seed", int | None, "which seed's policy; by default the first of the run", None, metavar="S"),
    Flag("env", str | None, "the run's environment, where no name tells it", None, metavar="FILE.py:NAME"),
]


def watch_command(arguments: Sequence[str]) -> int:
    """Shows the episodes, and says what each came to."""
    values = parse(FLAGS, arguments, COMMAND, DESCRIPTION)
    check_between("--episodes", values["episodes"], 1)
    video = Path(values["video"]) if values["video"] else None
    if video is not None:
        check_video(video)
    elif not _has_display():
        raise InputError("There is no display for a window: write a video with --video FILE.mp4 or FILE.gif.")
    _prepare_drawing(to_file=video is not None)
    with transient("starting JAX ..."):
        from ..runs.run import load

        run = load(values["run"], environment=environment_of(values["env"]), best=values["best"])
    index = _index(run, values["seed"])
    with _opened(run, "rgb_array" if video else "human") as env:
        frames = _Frames(env, run, run.agent(index), values["deterministic"], bool(video))
        played = frames.play(values["episodes"])
        if video is None:
            for _ in played:
                pass
        else:
            says(f"drawing {values['episodes']} episode{'s' * (values['episodes'] > 1)} into {video} ...")
            write_video(video, _counted(played), env.metadata.get("render_fps") or 30)
            says(f"written to {video}")
    return 0


def _counted(frames: Iterator[Any]) -> Iterator[Any]:
    """The frames, with a line in a terminal that says how many there have been: some take a while to draw."""
    begun = told = time.monotonic()
    with transient("") as shows:
        for count, frame in enumerate(frames, 1):
            yield frame
            if time.monotonic() - told > SECONDS_BETWEEN_WORDS:
                told = time.monotonic()
                shows(f"{count:,} frames, {count / (told - begun):.1f} a second")


def _has_display() -> bool:
    variables = ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER")
    return not sys.platform.startswith("linux") or any(os.environ.get(name) for name in variables)


def _prepare_drawing(*, to_file: bool) -> None:
    """Tells the libraries that draw what there is, unless they have been told."""
    os.environ.setdefault("SDL_AUDIODRIVER", "dummy")  # Pygame looks for loudspeakers otherwise, and complains
    os.environ.setdefault("MPLBACKEND", "agg")  # matplotlib opens a window of its own otherwise
    if to_file:
        if not _has_display():
            os.environ.setdefault("MUJOCO_GL", "egl")  # MuJoCo looks for a window otherwise
        os.environ.setdefault("SDL_VIDEODRIVER", "dummy")


def _index(run: Any, seed: int | None) -> int:
    if seed is None:
        return 0
    if seed not in run.seeds:
        raise InputError(f"--seed is {seed}, but the run has the seeds {', '.join(map(str, run.seeds))}.")
    return run.seeds.index(seed)


@contextlib.contextmanager
def _opened(run: Any, render_mode: str) -> Generator[Any]:
    """The environment that a run was trained in, or the original of it, if it can be drawn in this mode."""
    from ..runs.run import own_source

    with transient(f"opening {run.env} ..."):
        source = own_source(run, run.environment)
        suite = source.named.suite if source.named else ""
        env = _of_gymnax(run, source, render_mode) if suite == "gymnax" else _original(run, source, suite, render_mode)
    if env.render_mode != render_mode:
        env.close()
        raise InputError(f"{run.env} shows nothing: make it with render_mode={render_mode!r}.")
    try:
        yield env
    finally:
        env.close()


def _of_gymnax(run: Any, source: Any, render_mode: str) -> Any:
    from ..envs.adapters.gymnax_pictures import painter_of, pictured

    with _drawing(run.env):
        painter = painter_of(run.env, source.env)
    _check_spaces(run, source)
    return pictured(source.env, painter, render_mode)


def _original(run: Any, source: Any, suite: str, render_mode: str) -> Any:
    """One of Gymnasium's environments, made to be drawn: the original of one that draws nothing."""
    from ..envs import HostSource, resolve
    from ..envs.sources import FunctionMaker

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
    _check_spaces(run, original)
    return original.make.one()


def _check_spaces(run: Any, source: Any) -> None:
    from ..spaces.membership import fits

    for mine, theirs in ((run.obs_space, source.obs_space), (run.action_space, source.action_space)):
        if not fits(mine, theirs):
            raise InputError(f"{run.env} cannot be watched: {source.name} has {theirs}, the policy {mine}.")


class _Frames:
    """Plays episodes, and hands out what they look like; nothing, where the environment shows itself."""

    def __init__(self, env: Any, run: Any, agent: Any, deterministic: bool, drawn: bool):
        self._env, self._agent, self._deterministic, self._drawn = env, agent, deterministic, drawn
        self._name = run.env

    def play(self, episodes: int) -> Iterator[Any]:
        """The frames of all episodes, one after the other."""
        for episode in range(episodes):
            yield from self._episode(episode)

    def _episode(self, episode: int) -> Iterator[Any]:
        self._agent.reset(episode)
        with _drawing(self._name, self._env):
            obs, _ = self._env.reset(seed=episode)
        total, steps, ended = 0.0, 0, False
        yield from self._picture()
        while not ended and steps < MAX_STEPS:
            action = self._agent(obs, self._deterministic)
            with _drawing(self._name, self._env):
                obs, reward, terminated, truncated, _ = self._env.step(action)
            total, steps, ended = total + float(reward), steps + 1, terminated or truncated
            yield from self._picture()
        says(f"episode {episode + 1}: return {total:.1f} in {steps} steps")

    def _picture(self) -> Iterator[Any]:
        if self._drawn:
            with _drawing(self._name, self._env):
                frame = self._env.render()
            if frame is None:
                raise InputError(f"{self._name} draws nothing: it cannot be watched.")
            yield frame


@contextlib.contextmanager
def _drawing(name: str, env: Any = None) -> Generator[None]:
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
