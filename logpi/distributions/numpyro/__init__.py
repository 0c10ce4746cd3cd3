"""NumPyro's distributions as ours, and all that is known of them."""

from . import families as families
from .adapter import FromNumpyro as FromNumpyro
