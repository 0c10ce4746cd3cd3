"""Games in threads, which draw nothing, by the pictures that a policy sees of them."""

from typing import Any, TypeGuard

import numpy as np
from jaxtyping import UInt8

from ..spaces.encoding import is_image, picture_axes
from ..spaces.kinds import Box
from .sources import ALEMaker, as_judged, EnvPoolMaker, EnvSource, HostSource

LARGER = 4  # times, as 84 pixels are few


def is_seen(source: EnvSource) -> TypeGuard[HostSource]:
    """Whether an environment draws nothing, nor has an original that does, but is observed in pictures of bytes."""
    import gymnasium

    if not isinstance(source, HostSource) or not isinstance(source.make, EnvPoolMaker | ALEMaker):
        return False
    if isinstance(source.make, EnvPoolMaker) and source.make.id in gymnasium.registry:
        return False
    return isinstance(source.obs_space, Box) and source.obs_space.dtype == "uint8" and is_image(source.obs_space)


class SeenGame:
    """One environment of such a source, as one of Gymnasium's: `render` is the latest picture that was observed."""

    def __init__(self, source: HostSource):
        self.metadata: dict[str, Any] = {"render_fps": 15}  # of 60 frames a second, every fourth
        self.render_mode = "rgb_array"
        self._make, self._axes = as_judged(source).make, picture_axes(source.obs_space) or ()
        self._vector = self._make(1, 0)
        self._obs: Any = None

    def reset(self, *, seed: int) -> tuple[Any, dict[str, Any]]:
        """A new game, made with this seed: EnvPool takes one at no other time."""
        self._vector.close()
        self._vector = self._make(1, seed)
        self._obs = self._vector.reset()[0]
        return self._obs, {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """A step."""
        obs, *outcome = self._vector.step(np.asarray(action)[None])
        reward, terminated, truncated = (x[0].item() for x in outcome)
        self._obs = obs[0]
        return self._obs, reward, terminated, truncated, {}

    def render(self) -> UInt8[np.ndarray, "height width 3"]:
        """In colour where there are three channels; of other stacks the last, which is the latest, in grey."""
        picture = self._obs.transpose(self._axes)
        picture = picture.reshape(*picture.shape[:2], -1)
        if picture.shape[2] != 3:
            picture = np.repeat(picture[:, :, -1:], 3, axis=2)
        return picture.repeat(LARGER, axis=0).repeat(LARGER, axis=1)

    def close(self) -> None:
        """Gives the game back."""
        self._vector.close()
