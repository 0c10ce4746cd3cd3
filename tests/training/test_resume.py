"""A training that was killed and resumed is, bit for bit, one that was never stopped."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import logpi
from logpi import A2C, GAE, InputError, Network, PPO, REINFORCE, RewardScaling
from logpi.progress.events import Advanced, Event, Warned
from logpi.runs.checkpoints import listed
from logpi.runs.options import Every

SMALL = {"num_envs": 4, "rollout_length": 16, "steps": 640}  # ten updates
STOP = 7


class Recorder:
    """Keeps the warnings, and dies (as the process might) once so many updates are done."""

    def __init__(self, after: int = 10**9, die: Callable[[int], object] = os._exit):
        self.after, self.die, self.rows, self.warnings = after, die, 0, []

    def __call__(self, event: Event) -> None:
        match event:
            case Advanced(rows):
                self.rows += len(rows)
                if self.rows >= self.after:
                    self.die(9)
            case Warned(sentence):
                self.warnings.append(sentence)


def files(folder: Path) -> dict[str, bytes]:
    """What a training comes to: its policies and its metrics, not how long it took."""
    kept = (path for path in folder.iterdir() if path.suffix == ".safetensors" or path.name == "metrics.jsonl")
    return {path.name: path.read_bytes() for path in kept}


def train(folder: Path, env: Any = "CartPole-v1", **changes: Any) -> logpi.Run:
    return logpi.train(env, out=folder, overwrite=True, **(SMALL | changes))


def rewound(folder: Path, update: int) -> Path:
    """A run folder as it was when its process died after a checkpoint: later ones, and policies, are not there."""
    for path in listed(folder / "checkpoints"):
        if int(path.name) > update:
            shutil.rmtree(path)
    for path in folder.glob("policy-*"):
        path.unlink()
    return folder


ALGORITHMS = {
    "ppo": PPO(num_epochs=2, num_minibatches=2),
    "a2c": A2C(credit=GAE()),
    "reinforce": REINFORCE(),
}


SHORT = {("ppo", "lstm"), ("a2c", "gru"), ("reinforce", "none")}
EACH = [(a, n) for a in ALGORITHMS for n in ("none", "gru", "lstm")]


@pytest.mark.parametrize(
    ("algorithm", "network"), [pytest.param(*x, marks=[] if x in SHORT else pytest.mark.slow) for x in EACH]
)
def test_compiled_bit_for_bit(algorithm: str, network: str, tmp_path: Path) -> None:
    """Two seeds, a normaliser, a schedule, scaled rewards: all that a state remembers."""
    changes = {
        "algorithm": ALGORITHMS[algorithm], "reward_scaling": RewardScaling(), "seeds": 2, "checkpoint_every": 3,
        "network": Network(network, 1, 8, normalize_observations=True),
    }  # fmt: skip
    train(tmp_path / "whole", **changes)
    whole = files(tmp_path / "whole")
    assert [int(path.name) for path in listed(tmp_path / "whole" / "checkpoints")][:2] == [10, 9]
    resumed = logpi.resume(rewound(tmp_path / "whole", 9))
    assert files(tmp_path / "whole") == whole and len(whole) == 3
    assert [row["iteration"] for row in resumed.history] == [i for i in range(1, 11) for _ in range(2)]


@pytest.mark.parametrize("name", ["normal", "state_dependent_normal", "tanh_normal"])
def test_every_distribution_of_numbers_bit_for_bit(name: str, tmp_path: Path) -> None:
    changes = {"action_distribution": name, "checkpoint_every": 3, "width": 8, "seeds": 2}
    train(tmp_path / "run", "probe:identity-mixed", **changes)
    whole = files(tmp_path / "run")
    logpi.resume(rewound(tmp_path / "run", 6))
    assert files(tmp_path / "run") == whole and len(whole) == 3
    assert logpi.load(tmp_path / "run").settings.network.action_distribution == name


KILLED = """
import sys
sys.path.insert(0, {root!r})
from pathlib import Path
import logpi
from tests.training.test_resume import Recorder, train
train(Path({folder!r}), checkpoint_every=2, callbacks=Recorder(after={after}))
"""


def test_a_killed_process_bit_for_bit(tmp_path: Path) -> None:
    """Dead in the middle of a round, without a chance to tidy up."""
    root = str(Path(__file__).parents[2])
    folder = tmp_path / "killed"
    code = KILLED.format(root=root, folder=str(folder), after=STOP)
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=300).returncode == 9
    assert not list(folder.glob("policy-*")) and listed(folder / "checkpoints")
    logpi.resume(folder)
    train(tmp_path / "whole")
    assert files(folder) == files(tmp_path / "whole")


def test_a_host_learner_goes_on_from_the_very_bits(tmp_path: Path) -> None:
    env = "gymnasium:CartPole-v1"
    train(tmp_path / "run", env, checkpoint_every=5, reward_scaling=RewardScaling())
    recorder = Recorder()
    run = logpi.resume(rewound(tmp_path / "run", 5), callbacks=recorder)
    assert any("new episodes" in sentence for sentence in recorder.warnings)
    assert [row["iteration"] for row in run.history] == list(range(1, 11))
    # Resumed twice from one checkpoint, environments too are seeded alike: the same bits.
    first = files(tmp_path / "run")
    logpi.resume(rewound(tmp_path / "run", 5))
    assert files(tmp_path / "run") == first


def test_a_complete_run_stays_as_it_is(tmp_path: Path) -> None:
    train(tmp_path / "run")
    before, recorder = files(tmp_path / "run"), Recorder()
    seconds = logpi.load(tmp_path / "run").summary["train_seconds"]
    assert logpi.resume(tmp_path / "run", callbacks=recorder).summary["train_seconds"] == seconds > 0
    assert files(tmp_path / "run") == before and "nothing is left to do" in recorder.warnings[0]


def test_the_newest_three_are_kept(tmp_path: Path) -> None:
    train(tmp_path / "run", checkpoint_every=1, steps=64 * 30)
    assert [int(path.name) for path in listed(tmp_path / "run" / "checkpoints")] == [30, 29, 28]


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


DAMAGES = {
    "checksum": lambda at: flip(at / "state.safetensors"),
    "bytes where": lambda at: (at / "state.safetensors").write_bytes((at / "state.safetensors").read_bytes()[:-9]),
    "manifest is missing": lambda at: (at / "manifest.json").write_text("{"),
    "schema is 0": lambda at: (at / "manifest.json").write_text('{"schema": 0}'),
    "has no state": lambda at: (at / "state.safetensors").unlink(),
}


@pytest.mark.parametrize("reason", DAMAGES)
def test_a_damaged_checkpoint_is_named_and_the_one_before_it_used(reason: str, tmp_path: Path) -> None:
    train(tmp_path / "run", checkpoint_every=4)
    whole = files(tmp_path / "run")
    newest = listed(rewound(tmp_path / "run", 8) / "checkpoints")[0]
    (tmp_path / "run/checkpoints/.new-x").mkdir()  # of a process that died while it wrote
    DAMAGES[reason](newest)
    recorder = Recorder()
    logpi.resume(tmp_path / "run", callbacks=recorder)
    assert [reason in sentence and newest.name in sentence for sentence in recorder.warnings] == [True]
    assert files(tmp_path / "run") == whole
    assert not list((tmp_path / "run/checkpoints").glob(".*"))


def test_without_any_good_checkpoint_it_is_refused(tmp_path: Path) -> None:
    train(tmp_path / "run")
    flip(listed(tmp_path / "run/checkpoints")[0] / "state.safetensors")
    with pytest.raises(InputError, match=r"no good checkpoint left .*checksum.*--overwrite"):
        logpi.resume(tmp_path / "run")


def test_a_run_that_never_came_to_a_checkpoint_begins_anew(tmp_path: Path) -> None:
    train(tmp_path / "run")
    whole, recorder = files(tmp_path / "run"), Recorder()
    logpi.resume(rewound(tmp_path / "run", 0), callbacks=recorder)
    assert files(tmp_path / "run") == whole and "begins anew" in recorder.warnings[0]


def test_two_processes_do_not_share_a_folder(tmp_path: Path) -> None:
    import fcntl

    train(tmp_path / "run")
    handle = os.open(tmp_path / "run", os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        for attempt in (lambda: logpi.resume(tmp_path / "run"), lambda: train(tmp_path / "run")):
            with pytest.raises(InputError, match="Another process is training in"):
                attempt()
    finally:
        os.close(handle)
    logpi.resume(tmp_path / "run")


def test_a_full_disk_costs_checkpoints_not_the_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from logpi.runs.checkpoints import states as checkpoint

    def full(path, tree):
        path.write_bytes(b"\0" * 100)
        raise OSError(28, "No space left on device")

    recorder = Recorder()
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "write_arrays", full)
        run = train(tmp_path / "run", checkpoint_every=5, callbacks=recorder)
    assert len(run.history) == 10 and all("No space left" in sentence for sentence in recorder.warnings)
    assert len(recorder.warnings) >= 2 and not list((tmp_path / "run/checkpoints").iterdir())
    assert logpi.load(tmp_path / "run").history == run.history


def test_a_last_line_in_part_is_left_out(tmp_path: Path) -> None:
    train(tmp_path / "run", checkpoint_every=5)
    whole = files(tmp_path / "run")
    with (rewound(tmp_path / "run", 5) / "metrics.jsonl").open("a") as file:
        file.write('{"seed": 0, "itera')
    logpi.resume(tmp_path / "run")
    assert files(tmp_path / "run") == whole


def test_sigterm_saves_and_resumes(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    command = ["train", "CartPole-v1", "--steps", "1e9", "--out", str(folder)]
    code = f"import sys; from logpi.cli.main import main; sys.exit(main({command!r}))"
    with subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "steps/s" in line:
                break
        process.send_signal(signal.SIGTERM)
        err = process.communicate(timeout=60)[1]
    assert process.returncode == 143 and f"logpi resume {folder}" in err and listed(folder / "checkpoints")


@pytest.mark.parametrize(
    ("text", "every"),
    [("30s", Every(30.0)), ("2m", Every(120.0)), ("0.5h", Every(1800.0)), ("500", Every(updates=500)),
     (7, Every(updates=7)), ("none", Every()), (None, Every())],
)  # fmt: skip
def test_how_often(text: Any, every: Every) -> None:
    assert Every.parse(text) == every


@pytest.mark.parametrize("text", ["0s", "0", "-3", "1.5", "often", "5 days", ""])
def test_how_often_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="checkpoint-every is"):
        Every.parse(text)
