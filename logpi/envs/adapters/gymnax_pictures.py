"""Pictures of gymnax's environments: each is wrapped as one of Gymnasium's that draws itself.

What is drawn is the state of gymnax's own program: by Gymnasium's drawing of the same environment, by the colours of
an observation that is a grid, or by the figure that the environment makes of itself.
"""

import colorsys
from collections.abc import Callable
from typing import Any, NamedTuple

import gymnasium
import jax
import numpy as np
from gymnasium.wrappers import HumanRendering

from ...errors import InputError
from ...spaces.kinds import Box
from .gymnax import Gymnax

SIDE = 400  # pixels, about, of the longer side of a grid
GRID_FPS = 10  # frames a second where nobody says how many
CAN = "those of classic control and MinAtar, Catch, DeepSea, FourRooms, FrozenLake, MetaMaze, PointRobot and Pong can"


class Painter(NamedTuple):
    """`paint(state, obs)` gives a picture (height, width, 3), uint8, of which there are `fps` a second."""

    paint: Callable[[Any, Any], np.ndarray]
    fps: int = GRID_FPS
    close: Callable[[], None] = lambda: None


class PicturedGymnax(gymnasium.Env[Any, Any]):
    """One environment of gymnax's, with the steps that it was trained in, that draws its state."""

    def __init__(self, env: Gymnax, painter: Painter):
        self.render_mode = "rgb_array"
        self.metadata = {"render_modes": ["rgb_array"], "render_fps": painter.fps}
        self._painter, self._start, self._go = painter, jax.jit(env.reset), jax.jit(env.step)
        self._key, self._seen = jax.random.key(0), (None, None)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """A new episode, drawn from the seed where there is one."""
        self._key, key = jax.random.split(self._key if seed is None else jax.random.key(seed))
        state, first = self._start(key)
        self._seen = state, first.obs
        return jax.tree.map(np.asarray, first.obs), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """A step; the state after it is the one that `render` draws."""
        self._key, key = jax.random.split(self._key)
        state, timestep = self._go(key, self._seen[0], action)
        self._seen = state, timestep.obs
        obs, reward, terminated, truncated = jax.device_get(tuple(vars(timestep).values()))
        return obs, float(reward), bool(terminated), bool(truncated), {}

    def render(self) -> np.ndarray:
        """The picture of the latest state."""
        return self._painter.paint(*jax.device_get(self._seen))

    def close(self) -> None:
        """Gives back what the pictures needed."""
        self._painter.close()


def pictured(env: Gymnax, painter: Painter, render_mode: str) -> gymnasium.Env[Any, Any]:
    """An environment of gymnax's as one of Gymnasium's that draws itself, in a window where the mode is "human"."""
    drawn = PicturedGymnax(env, painter)
    return HumanRendering(drawn) if render_mode == "human" else drawn


def painter_of(name: str, env: Gymnax) -> Painter:
    """What draws the states of an environment. Raises `InputError` where nothing does."""
    from gymnax.visualize.vis_gym import SUPPORTED_GYM_ENVS

    theirs, params = env.definition.env, env.definition.params
    if theirs.name in SUPPORTED_GYM_ENVS:
        return _by_gymnasium(theirs.name, params)
    if theirs.name == "FrozenLake-misc":
        return _frozen_lake(theirs)
    if isinstance(env.obs_space, Box) and len(env.obs_space.shape) in (2, 3) and min(env.obs_space.shape[:2]) > 1:
        return Painter(lambda _, obs: grid_picture(obs))
    figure = getattr(theirs, "render", None)
    if figure is None:
        raise InputError(f"{name} cannot be watched, as gymnax has no picture of it: {CAN}.")
    return Painter(lambda state, _: _as_picture(figure(state, params)[0]))


def _by_gymnasium(id: str, params: Any) -> Painter:
    from gymnax.visualize.vis_gym import get_gym_state, set_gym_params

    env = gymnasium.make(id, render_mode="rgb_array", disable_env_checker=True)
    env.reset()
    original: Any = env.unwrapped
    set_gym_params(original, id, params)

    def paint(state: Any, _: Any) -> np.ndarray:
        original.state = get_gym_state(state, id)
        original.last_u = getattr(state, "last_u", None)  # Pendulum draws the torque as an arrow
        return original.render()

    return Painter(paint, env.metadata["render_fps"], env.close)


def _frozen_lake(theirs: Any) -> Painter:
    from gymnax.environments.misc.frozen_lake import GOAL, HOLE, START

    letters = {START: "S", HOLE: "H", GOAL: "G"}
    lake = ["".join(letters.get(int(tile), "F") for tile in row) for row in theirs.desc]
    env = gymnasium.make("FrozenLake-v1", desc=lake, render_mode="rgb_array", disable_env_checker=True)
    env.reset()
    original: Any = env.unwrapped

    def paint(state: Any, _: Any) -> np.ndarray:
        original.s = int(state.position)
        return original.render()

    return Painter(paint, env.metadata["render_fps"], env.close)


def grid_picture(grid: np.ndarray) -> np.ndarray:
    """A grid (height, width) or (height, width, channels) of numbers from 0 to 1: each channel has a colour, on black.

    Returns (height, width, 3) in uint8, each cell a square; a later channel lies on an earlier one.
    """
    layers = grid.reshape(*grid.shape[:2], -1)
    picture = np.zeros((*grid.shape[:2], 3))
    for layer, colour in zip(np.moveaxis(layers, 2, 0), _colours(layers.shape[2]), strict=True):
        share = np.clip(layer, 0, 1)[..., None]
        picture = (1 - share) * picture + share * colour
    side = max(1, SIDE // max(grid.shape[:2]))
    return np.round(255 * picture).astype(np.uint8).repeat(side, 0).repeat(side, 1)


def _colours(count: int) -> np.ndarray:
    """White for one; else as many hues as there are, all bright: (count, 3), from 0 to 1."""
    return np.array([colorsys.hsv_to_rgb(i / count, 0.75 * (count > 1), 1.0) for i in range(count)])


def _as_picture(figure: Any) -> np.ndarray:
    """What is on a figure of matplotlib's, which is closed."""
    from matplotlib import pyplot
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    pyplot.close(figure)
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
