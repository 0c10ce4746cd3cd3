"""What holds for all tests: shapes and types are checked at run time, silent broadcasting is an error, no display."""

import gc
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("JAX_PLATFORMS", "cpu")  # the same numbers everywhere; set it to test on another device
os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
os.environ.setdefault("SDL_AUDIODRIVER", "dummy")
os.environ.setdefault("MPLBACKEND", "agg")

import jax
import jaxtyping
import pytest
from jaxtyping import install_import_hook

from tests import typechecker

jax.config.update("jax_numpy_rank_promotion", "raise")

# Every annotation in logpi is checked by beartype on every call. The hook must be there before logpi is first imported.
jaxtyping.jaxtyped = typechecker.checked  # by this name the hook's code asks for it
install_import_hook("logpi", f"{typechecker.__name__}.typechecker")

MEMORY = Path("/proc/self/statm")  # in pages: all that is mapped, and what of it is there
MOST_MEMORY = 1.2e9  # bytes, with which a file of tests may begin


@pytest.fixture(autouse=True, scope="module")
def few_programs() -> Iterator[None]:
    """Lets go of the compiled programs of earlier files where they take much memory; the disk has them still.

    Each takes some maps too, of which Linux allows a process 65,530, and LLVM dies without.
    """
    yield
    if MEMORY.exists() and int(MEMORY.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") > MOST_MEMORY:
        from logpi.jaxprs.compilation import give_back_memory

        jax.clear_caches()
        gc.collect()
        give_back_memory()


def pytest_collection_finish() -> None:
    """The garbage collector looks at what is imported by now once, and at what is new more rarely.

    Tracing makes millions of short-lived objects among a million that stay; by default it is a twentieth of the time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(200_000, 20, 20)


def pytest_configure() -> None:
    """Programs that several tests trace, in several processes, are compiled once.

    What tests start has default signals, also where a shell's background has this process ignore Ctrl-C.
    """
    from logpi.training.cache import compilation_cache

    compilation_cache()
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
