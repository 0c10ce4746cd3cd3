"""`logpi watch`: videos that open, and episodes that are told."""

import io
import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest

import logpi
from logpi.cli import watch
from logpi.cli.main import main
from logpi.progress.video import drawing, write_video


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


@pytest.mark.parametrize("kind", ["gif", "mp4"])
def test_a_video_that_fails_leaves_nothing(kind: str, tmp_path: Path) -> None:
    pytest.importorskip("imageio_ffmpeg")

    def frames():
        yield np.zeros((16, 16, 3), np.uint8)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_video(tmp_path / f"a.{kind}", frames(), 25)
    assert list(tmp_path.iterdir()) == []


def test_a_film_in_python_is_that_of_the_command(trained: Path, tmp_path: Path) -> None:
    """Of a run and of its folder, and the run's own agent goes on as if nobody had looked."""
    pytest.importorskip("PIL")
    assert (
        main(["watch", str(trained), "--video", str(tmp_path / "command.gif"), "--seed", "1", "--episodes", "2"]) == 0
    )
    run = logpi.load(trained)
    untouched = [run.agent(1)(np.zeros(4)) for _ in range(20)]
    run.agent(1).reset(0)
    made = [logpi.film(one, tmp_path / f"{i}.gif", episodes=2, seed=1) for i, one in enumerate((run, trained))]
    assert [path.read_bytes() for path in made] == 2 * [(tmp_path / "command.gif").read_bytes()]
    assert [run.agent(1)(np.zeros(4)) for _ in range(20)] == untouched
    logpi.film(run, tmp_path / "likeliest.gif", episodes=2, seed=1, deterministic=True)
    assert (tmp_path / "likeliest.gif").read_bytes() != made[0].read_bytes()


def test_a_film_that_cannot_be(trained: Path, tmp_path: Path) -> None:
    run = logpi.load(trained)
    for sentence, given in {
        r"path is 'a.avi', but it must end in .mp4 or .gif": {"path": "a.avi"},
        r"seed is 7, but the run has policies of \[0, 1\]": {"seed": 7},
        r"episodes is 0": {"episodes": 0},
        r"no best policies": {"best": True},
        r"CartPole-v1 cannot be watched: gymnasium:Acrobot-v1 has": {"env": "Acrobot-v1"},
    }.items():
        with pytest.raises(logpi.InputError, match=sentence):
            logpi.film(run, **({"path": tmp_path / "a.gif"} | given))
    assert list(tmp_path.iterdir()) == []


def test_what_is_said_to_those_who_draw_is_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """A script may open a window after a film."""
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER", "MUJOCO_GL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MPLBACKEND", "svg")
    before = dict(os.environ)
    with drawing(to_file=True):
        assert os.environ["SDL_VIDEODRIVER"] == "dummy" and os.environ["MUJOCO_GL"] == "egl"
        assert os.environ["MPLBACKEND"] == "svg"
    assert dict(os.environ) == before
