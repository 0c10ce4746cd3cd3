"""Frames into a file: GIF by Pillow, MP4 by imageio and FFmpeg. The file is there whole or not at all."""

import contextlib
import importlib.util
import itertools
import os
import secrets
import subprocess
import sys
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError, missing

GIF_RATE = 25  # frames a second; more make a large file, and browsers slow down what is faster than 50
_NEEDS = {".gif": ("PIL",), ".mp4": ("imageio", "imageio_ffmpeg")}
_PACKAGES = {"PIL": "Pillow", "imageio": "imageio", "imageio_ffmpeg": "imageio-ffmpeg"}


def check_video(name: str, path: Path) -> None:
    """Raises `InputError` if no video can be written there: another kind of file, or a package is missing."""
    kind = path.suffix.lower()
    if kind not in _NEEDS:
        raise InputError(f"{name} is {str(path)!r}, but it must end in .mp4 or .gif.")
    lacking = [_PACKAGES[package] for package in _NEEDS[kind] if importlib.util.find_spec(package) is None]
    if lacking:
        raise missing(f"A {kind}", " and ".join(lacking), "video")
    if path.is_dir():
        raise InputError(f"{name} is {str(path)!r}, but that is a folder: give a file in it.")


def has_display() -> bool:
    """Whether there is a place for a window."""
    variables = ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER")
    return not sys.platform.startswith("linux") or any(os.environ.get(name) for name in variables)


@contextlib.contextmanager
def drawing(*, to_file: bool) -> Generator[None]:
    """Tells the libraries that draw what there is in here, unless they have been told."""
    # Pygame looks for loudspeakers otherwise, and complains; matplotlib opens a window of its own.
    told = {"SDL_AUDIODRIVER": "dummy", "MPLBACKEND": "agg"}
    if to_file:
        told |= {} if has_display() else {"MUJOCO_GL": "egl"}  # MuJoCo looks for a window otherwise
        told["SDL_VIDEODRIVER"] = "dummy"
    told = {name: value for name, value in told.items() if name not in os.environ}
    os.environ.update(told)
    try:
        yield
    finally:
        for name in told:
            os.environ.pop(name, None)


def write_video(path: Path, frames: Iterable[np.ndarray], rate: float) -> None:
    """Writes frames of (height, width, 3), `rate` a second, to a file that ends in .mp4 or .gif.

    Raises `InputError` if there is no frame.
    """
    write = _write_gif if path.suffix.lower() == ".gif" else _write_mp4
    path.parent.mkdir(parents=True, exist_ok=True)
    _atomically(path, lambda temporary: write(temporary, _some(frames), rate))


def _some(frames: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    rest = iter(frames)
    first = next(rest, None)
    if first is None:
        raise InputError("There is no frame to write: the environment draws nothing.")
    return itertools.chain([first], rest)


def _atomically(path: Path, write: Callable[[Path], None]) -> None:
    # It ends as the film does, for that tells the writer its kind.
    temporary = path.with_name(f".{path.stem}.{secrets.token_hex(8)}{path.suffix.lower()}")
    try:
        write(temporary)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _write_gif(path: Path, frames: Iterator[np.ndarray], rate: float) -> None:
    from PIL import Image

    every = max(1, round(rate / GIF_RATE))

    def images() -> Iterator[Any]:
        for frame in itertools.islice(frames, 0, None, every):
            yield Image.fromarray(frame).quantize(64, dither=Image.Dither.NONE)

    rest = images()
    first, pause = next(rest), round(1000 * every / rate)
    with path.open("wb") as file:
        first.save(file, "GIF", save_all=True, append_images=rest, duration=pause, loop=0, optimize=True)


def as_gif(film: Path) -> bytes:
    """What a GIF of an MP4 file holds, for those who show no other films. Raises `OSError` where it is no film."""
    import imageio_ffmpeg

    colours = f"fps='min(source_fps,{GIF_RATE})',split[a][b];[a]palettegen=64[p];[b][p]paletteuse=dither=none"
    with _forks_unheard():
        program = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", film, "-vf", colours, "-f", "gif", "-"]
        made = subprocess.run(program, capture_output=True, check=False)
    if made.returncode:
        raise OSError(f"FFmpeg makes no GIF of {film}: {made.stderr.decode(errors='replace').strip()}")
    return made.stdout


@contextlib.contextmanager
def _forks_unheard() -> Generator[None]:
    """JAX warns of every fork; here it only starts FFmpeg."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "os.fork", RuntimeWarning)
        yield


def _write_mp4(path: Path, frames: Iterator[np.ndarray], rate: float) -> None:
    import imageio.v2

    open_writer: Any = imageio.v2.get_writer
    options = {"format": "FFMPEG", "mode": "I", "fps": rate, "macro_block_size": 2}
    # As a context of its own, it would go on writing after an error.
    with _forks_unheard(), contextlib.closing(open_writer(path, **options)) as writer:
        for frame in frames:
            # FFmpeg wants even numbers of pixels: an odd row or column at the edge is left out.
            writer.append_data(frame[: frame.shape[0] // 2 * 2, : frame.shape[1] // 2 * 2])
