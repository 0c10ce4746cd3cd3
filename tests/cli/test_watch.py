"""`logpi watch`: videos that open, and episodes that are told."""

import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from logpi.cli import watch
from logpi.cli.main import main
from logpi.progress.video import write_video


def test_a_gif_of_two_episodes(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = pytest.importorskip("PIL.Image")
    video = tmp_path / "deeper" / "cartpole.gif"
    assert main(["watch", str(trained), "--video", str(video), "--episodes", "2", "--seed", "1"]) == 0
    said = capsys.readouterr()
    assert said.out == "" and "episode 1: return " in said.err and "episode 2: return " in said.err
    assert said.err.startswith(f"drawing 2 episodes into {video} ...\n")
    with image.open(video) as opened:
        assert opened.size == (600, 400) and opened.n_frames > 3 and opened.info["loop"] == 0
    assert [path.name for path in video.parent.iterdir()] == ["cartpole.gif"]


def test_a_terminal_hears_how_far_a_film_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line that passes, and none where nobody looks."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(watch, "SECONDS_BETWEEN_WORDS", -1.0)
    for stream in (Terminal(), io.StringIO()):
        monkeypatch.setattr(sys, "stderr", stream)
        assert list(watch._counted(iter("abc"))) == ["a", "b", "c"]
        told = stream.getvalue().split("\r\x1b[2K")
        assert (told[-1] == "" and "3 frames" in told[-2]) if stream.isatty() else told == [""]


def test_an_mp4(trained: Path, tmp_path: Path) -> None:
    pytest.importorskip("imageio_ffmpeg")
    video = tmp_path / "cartpole.mp4"
    assert main(["watch", str(trained), "--video", str(video), "--deterministic"]) == 0
    assert video.read_bytes()[4:8] == b"ftyp" and video.stat().st_size > 2000


def test_a_window(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("pygame")
    assert main(["watch", str(trained)]) == 0  # SDL's dummy driver stands for the display
    assert "episode 1: return " in capsys.readouterr().err


@pytest.mark.parametrize("video", [None, "cartpole.gif"])
def test_a_run_in_gymnax(video: str | None, copied: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Played by gymnax's own program: a policy of the same spaces stands for one that was trained there."""
    pytest.importorskip("pygame")
    config = json.loads((copied / "config.json").read_text())
    (copied / "config.json").write_text(json.dumps(config | {"env": "gymnax:CartPole-v1"}))
    arguments = ["--video", str(tmp_path / video)] if video else []
    assert main(["watch", str(copied), *arguments]) == 0
    assert "episode 1: return " in capsys.readouterr().err
    if video:
        with pytest.importorskip("PIL.Image").open(tmp_path / video) as opened:
            assert opened.size == (600, 400) and opened.n_frames > 3


def test_a_video_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def frames():
        yield np.zeros((4, 4, 3), np.uint8)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_video(tmp_path / "a.gif", frames(), 25)
    assert list(tmp_path.iterdir()) == []
