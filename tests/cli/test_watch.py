"""`logpi watch`: videos that open, and episodes that are told."""

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

from logpi.cli.main import main
from logpi.cli.video import write_video
from logpi.cli.watch import _Frames
from tests.envs.worlds import Script


def test_a_gif_of_two_episodes(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = pytest.importorskip("PIL.Image")
    video = tmp_path / "deeper" / "cartpole.gif"
    assert main(["watch", str(trained), "--video", str(video), "--episodes", "2", "--seed", "1"]) == 0
    said = capsys.readouterr()
    assert said.out == "" and "episode 1: return " in said.err and "episode 2: return " in said.err
    with image.open(video) as opened:
        assert opened.size == (600, 400) and opened.n_frames > 3 and opened.info["loop"] == 0
    assert [path.name for path in video.parent.iterdir()] == ["cartpole.gif"]


def test_an_mp4(trained: Path, tmp_path: Path) -> None:
    pytest.importorskip("imageio_ffmpeg")
    video = tmp_path / "cartpole.mp4"
    assert main(["watch", str(trained), "--video", str(video), "--deterministic"]) == 0
    assert video.read_bytes()[4:8] == b"ftyp" and video.stat().st_size > 2000


def test_a_window(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("pygame")
    assert main(["watch", str(trained)]) == 0  # SDL's dummy driver stands for the display
    assert "episode 1: return " in capsys.readouterr().err


class High:
    """An agent that always takes the greatest action, in 32 bits."""

    def __init__(self, action: Any):
        self.action = action

    def reset(self, seed: int) -> None:
        """Nothing to forget."""

    def __call__(self, obs: Any, deterministic: bool) -> Any:
        return self.action


@pytest.mark.parametrize(
    ("space", "action"),
    [
        (gymnasium.spaces.Box(-0.4, 0.4, (2,), np.float64), np.full(2, 0.4, np.float32)),  # in 32 bits it is more
        (gymnasium.spaces.Box(0, 2**63 - 1, (2,), np.int64), np.full(2, 2.0**63, np.float32)),
        (gymnasium.spaces.Discrete(2), np.int32(1)),
    ],
    ids=str,
)
def test_the_environment_gets_members_of_its_space(space: gymnasium.Space, action: Any) -> None:
    env = Script()
    env.action_space = space
    assert list(_Frames(env, High(action), deterministic=True, drawn=False).play(2)) == []
    assert env.received and all(space.contains(received) for received in env.received)
    assert all(isinstance(received, np.generic) for received in env.received) == (action.shape == ())


def test_a_video_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def frames():
        yield np.zeros((4, 4, 3), np.uint8)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_video(tmp_path / "a.gif", frames(), 25)
    assert list(tmp_path.iterdir()) == []
