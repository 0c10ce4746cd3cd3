"""A real browser without a window, for tests of pages: Chromium by its command line, and nothing else."""

import shutil
import subprocess
import tempfile
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
QUIET = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--no-default-browser-check",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions",
    "--disable-dev-shm-usage", "--hide-scrollbars", "--run-all-compositor-stages-before-draw",
    "--force-prefers-reduced-motion",  # what would be animated is there at once, however busy the machine is
)  # fmt: skip


def find() -> str | None:
    """The program, or `None` where there is none."""
    return next((path for path in map(shutil.which, NAMES) if path), None)


def dom(page: Path, width: int = 1280, height: int = 900, budget_ms: int = 3000, fragment: str = "") -> str:
    """The document after its scripts have run, as HTML. `fragment` is what stands behind the # of the address.

    The page sees `budget_ms` of time pass, as fast as the machine can.
    """
    return _run(page, width, height, budget_ms, fragment, "--dump-dom")


def screenshot(
    page: Path, png: Path, width: int = 1280, height: int = 900, fragment: str = "", dark: bool = False,
    budget_ms: int = 3000,
) -> None:  # fmt: skip
    """A picture of the page's top, `width` by `height` pixels."""
    scheme = ("--blink-settings=preferredColorScheme=0",) if dark else ()
    _run(page, width, height, budget_ms, fragment, f"--screenshot={png}", *scheme)


def pdf(page: Path, out: Path, fragment: str = "", budget_ms: int = 3000) -> None:
    """The page as it prints."""
    _run(page, 1280, 900, budget_ms, fragment, f"--print-to-pdf={out}", "--no-pdf-header-footer")


def _run(page: Path, width: int, height: int, budget_ms: int, fragment: str, *what: str) -> str:
    program = find()
    if program is None:
        raise FileNotFoundError("there is no Chromium on this machine")
    address = page.resolve().as_uri() + (f"#{fragment}" if fragment else "")
    with tempfile.TemporaryDirectory() as profile:
        command = [
            program, *QUIET, f"--user-data-dir={profile}", f"--window-size={width},{height}",
            f"--virtual-time-budget={budget_ms}", *what, address,
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout
