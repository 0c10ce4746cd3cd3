"""Checkpoints: the states of a training under way, and what it keeps of its experience."""

from .segments import Kept as Kept
from .segments import load_experience as load_experience
from .segments import Segment as Segment
from .segments import SEGMENTS as SEGMENTS
from .states import Checkpoints as Checkpoints
from .states import damage as damage
from .states import FOLDER as FOLDER
from .states import KEPT as KEPT
from .states import listed as listed
from .states import load_newest as load_newest
from .states import MANIFEST as MANIFEST
from .states import mark_of as mark_of
from .states import put_in_order as put_in_order
from .states import segments_of as segments_of
from .states import STATE as STATE
from .states import write_checkpoint as write_checkpoint
