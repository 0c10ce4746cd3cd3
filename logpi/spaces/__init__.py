"""What an observation or an action looks like, and what may be done with its members."""

from typing import TYPE_CHECKING

from .._lazy import attach

if TYPE_CHECKING:
    from .actions import ACTION_MAPS as ACTION_MAPS
    from .actions import bounds as bounds
    from .actions import clip_to as clip_to
    from .actions import rescale_to as rescale_to
    from .encoding import encode as encode
    from .encoding import encoded_size as encoded_size
    from .encoding import is_image as is_image
    from .encoding import picture_axes as picture_axes
    from .encoding import scale as scale
    from .gymnasium import from_gymnasium as from_gymnasium
    from .kinds import Bound as Bound
    from .kinds import Box as Box
    from .kinds import Dict as Dict
    from .kinds import Discrete as Discrete
    from .kinds import MultiBinary as MultiBinary
    from .kinds import MultiDiscrete as MultiDiscrete
    from .kinds import Space as Space
    from .kinds import Tuple as Tuple
    from .membership import fits as fits

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "actions": ("ACTION_MAPS", "bounds", "clip_to", "rescale_to"),
        "encoding": ("encode", "encoded_size", "is_image", "picture_axes", "scale"),
        "gymnasium": ("from_gymnasium",),
        "kinds": ("Bound", "Box", "Dict", "Discrete", "MultiBinary", "MultiDiscrete", "Space", "Tuple"),
        "membership": ("fits",),
    },
)
