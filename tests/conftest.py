"""What holds for all tests: shapes and types are checked at run time, silent broadcasting is an error, no display."""

import os

os.environ.setdefault("JAX_PLATFORMS", "cpu")  # the same numbers everywhere; set it to test on another device
os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
os.environ.setdefault("SDL_AUDIODRIVER", "dummy")
os.environ.setdefault("MPLBACKEND", "agg")

import jax
from jaxtyping import install_import_hook

from tests import typechecker

jax.config.update("jax_numpy_rank_promotion", "raise")

# Every annotation in logpi is checked by beartype on every call. The hook must be there before logpi is first imported.
install_import_hook("logpi", f"{typechecker.__name__}.typechecker")
