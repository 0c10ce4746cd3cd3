"""Films on the way: when they are made, who has them, and that no training ends or changes for them."""

import os
import signal
import sys
import types
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

import logpi
from logpi import FilmEvery, InputError
from logpi.cli.main import main
from logpi.progress import film
from logpi.progress.events import Advanced, Event, Filmed, Warned
from logpi.progress.loggers import TensorBoard, WandB
from logpi.report import page
from logpi.runs.folder import films
from tests.report.test_logs import events
from tests.training.test_resume import files, rewound, train

pytest.importorskip("imageio_ffmpeg")
pytest.importorskip("PIL")


class Dots(gymnasium.Env[Any, Any]):
    """Episodes of four steps; a picture has a dot more for each."""

    observation_space = gymnasium.spaces.Box(-1.0, 1.0, (2,))
    action_space = gymnasium.spaces.Discrete(2)
    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 4}  # noqa: RUF012

    def __init__(self, render_mode: str | None = "rgb_array"):
        self.render_mode, self.steps = render_mode, 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.steps = 0
        return np.zeros(2, np.float32), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.steps += 1
        return np.zeros(2, np.float32), float(action), self.steps == 4, False, {}

    def render(self) -> Any:
        picture = np.zeros((32, 48, 3), np.uint8)
        picture[:8, : 8 * self.steps] = 255
        return picture


def test_they_are_where_they_should_be_and_change_nothing(tmp_path: Path) -> None:
    """Of ten updates after each third, and after the last; a checkpoint after each makes each one news."""
    heard: list[Event] = []
    run = train(tmp_path / "run", checkpoint_every=1, callbacks=[FilmEvery(3), heard.append], seeds=2)
    steps = [row["steps"] for row in run.history if row["seed"] == 0 and row["iteration"] in (3, 6, 9, 10)]
    found = films(tmp_path / "run")
    assert [after for after, _ in found] == steps
    assert [event for event in heard if isinstance(event, Filmed)] == [Filmed(path, 0, n) for n, path in found]
    assert all(path.read_bytes()[4:8] == b"ftyp" for _, path in found)
    assert sorted((tmp_path / "run/videos").iterdir()) == sorted(path for _, path in found)
    train(tmp_path / "alone", seeds=2)
    assert files(tmp_path / "run") == files(tmp_path / "alone")


def test_they_are_of_the_policy_as_it_was(tmp_path: Path) -> None:
    early: list[Any] = []

    def keep(event: Event) -> None:
        if isinstance(event, Filmed):
            early.append(event)
        if isinstance(event, Advanced) and event.steps in [one.steps for one in early]:
            logpi.film(event.run, tmp_path / f"{event.steps}.mp4")

    train(tmp_path / "run", checkpoint_every=1, callbacks=[FilmEvery(4), keep])
    assert len(early) == 3
    for one in early:
        assert (tmp_path / f"{one.steps}.mp4").read_bytes() == one.path.read_bytes()


def test_gymnax_is_filmed(tmp_path: Path) -> None:
    pytest.importorskip("gymnax")
    small = {"steps": 64, "num_envs": 2, "rollout_length": 16}
    logpi.train("gymnax:Catch-bsuite", out=tmp_path / "run", callbacks=FilmEvery(1000), **small)
    assert len(films(tmp_path / "run")) == 1


@pytest.mark.parametrize("env", ["probe:identity", lambda: Dots(render_mode=None)])
def test_what_cannot_be_drawn_is_one_warning(env: Any, tmp_path: Path) -> None:
    heard: list[Event] = []
    run = train(tmp_path / "run", env, checkpoint_every=1, callbacks=[FilmEvery(2), heard.append])
    (warning,) = [event.sentence for event in heard if isinstance(event, Warned)]
    assert warning.startswith("there is no film after ") and run.summary["updates"] == 10
    assert not (tmp_path / "run" / "videos").exists()


def test_so_is_a_disk_that_takes_none(tmp_path: Path) -> None:
    heard: list[Event] = []
    (tmp_path / "videos").write_text("a file of somebody's")
    run = train(None, lambda: Dots(), callbacks=[FilmEvery(2, folder=tmp_path), heard.append])
    assert len([event for event in heard if isinstance(event, Warned)]) == 1 and run.summary["updates"] == 10


def test_what_another_callback_raises_is_no_trouble_with_a_film(tmp_path: Path) -> None:
    def raises(event: Event) -> None:
        if isinstance(event, Filmed):
            raise ZeroDivisionError("of the user's")

    with pytest.raises(ZeroDivisionError, match="user's"):
        train(tmp_path / "run", lambda: Dots(), callbacks=[FilmEvery(2), raises])


def test_they_need_a_place(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="give out= of the training, or folder= to it"):
        train(None, callbacks=FilmEvery(2))
    with pytest.raises(InputError, match="every is 0"):
        FilmEvery(0)
    train(None, lambda: Dots(), callbacks=FilmEvery(1000, folder=tmp_path))
    assert len(films(tmp_path)) == 1


def test_an_interruption_does_not_wait_for_one(tmp_path: Path) -> None:
    class Interrupting(Dots):
        def render(self) -> Any:
            if self.steps == 2:
                os.kill(os.getpid(), signal.SIGINT)
            return super().render()

    with pytest.raises(KeyboardInterrupt) as error:
        train(tmp_path / "run", lambda: Interrupting(), checkpoint_every=1, callbacks=FilmEvery(3))
    run: Any = error.value.run  # pyright: ignore[reportAttributeAccessIssue]
    assert run.summary["updates"] == 3 and list((tmp_path / "run" / "videos").iterdir()) == []


def test_a_resume_leaves_those_of_what_is_done_again_out(tmp_path: Path) -> None:
    """And a training that is begun anew leaves all out, but for what is somebody else's."""
    folder, given = tmp_path / "run", {"checkpoint_every": 1, "callbacks": FilmEvery(4)}
    run = train(folder, lambda: Dots(), **given)
    (first, kept), (_, lost), _ = films(folder)
    (folder / "videos" / ".12.abc.mp4").touch()
    kept.write_bytes(b"as it was")
    lost.write_bytes(b"of another policy")
    logpi.resume(rewound(folder, 9), environment=lambda: Dots(), callbacks=FilmEvery(4))
    assert kept.read_bytes() == b"as it was" and films(folder)[0][0] == first
    assert lost.read_bytes() == b"of another policy"  # of update 8, which the checkpoint has
    logpi.resume(rewound(folder, 8), environment=lambda: Dots())
    assert [path for _, path in films(folder)] == [kept, lost]
    (folder / "videos" / "mine.mp4").touch()
    train(folder, lambda: Dots())
    assert [path.name for path in (folder / "videos").iterdir()] == ["mine.mp4"] and len(run.seeds) == 1


def test_loggers_and_the_report_have_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tensorboardX")
    logged: list[Any] = []
    one = types.SimpleNamespace(
        log=lambda numbers, step=None: logged.append((numbers, step)), finish=lambda exit_code: None
    )
    video = lambda path, format: (path, format)  # noqa: E731
    monkeypatch.setitem(sys.modules, "wandb", types.SimpleNamespace(init=lambda **_: one, Video=video))
    callbacks = [TensorBoard(), WandB(), FilmEvery(3)]
    train(tmp_path / "run", lambda: Dots(), checkpoint_every=1, callbacks=callbacks)
    found = films(tmp_path / "run")
    shown = [numbers for numbers, _ in logged if "videos/policy" in numbers]
    assert shown == [{"videos/policy": (str(path), "mp4"), "global_step": steps} for steps, path in found]
    pictures = {
        event.step: value.image.encoded_image_string
        for event in events(tmp_path / "run/tensorboard/seed0")
        for value in event.summary.value
        if value.tag == "videos/policy"
    }
    assert list(pictures) == [steps for steps, _ in found]
    assert all(picture.startswith(b"GIF89a") for picture in pictures.values())
    html = page(tmp_path / "run", fresh=False)
    assert html.count("<video ") == 3 and f"after {found[0][0]:,} steps" not in html
    assert all(f"after {steps:,} steps" in html for steps, _ in found[1:])


def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    flags = ["--steps", "256", "--envs", "2", "--rollout-length", "32", "--evaluate-episodes", "0"]
    assert main(["train", "CartPole-v1", *flags, "--film-every", "100", "--out", str(tmp_path / "run")]) == 0
    (only,) = films(tmp_path / "run")
    assert f"filmed: {only[1]}" in capsys.readouterr().err
    assert main(["train", "CartPole-v1", *flags, "--film-every", "0", "--out", str(tmp_path / "b")]) == 2
    assert "--film-every is 0" in capsys.readouterr().err
    monkeypatch.setattr(film, "check_video", lambda name, path: (_ for _ in ()).throw(InputError("needs more")))
    with pytest.raises(InputError, match="needs more"):
        FilmEvery(3)
