"""NumPyro's distributions as ours, and all that is known of them."""

from .adapter import FromNumpyro as FromNumpyro
