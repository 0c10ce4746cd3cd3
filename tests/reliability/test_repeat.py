"""`logpi train --from RUN` repeats a run from its `config.json`: the same bits, compiled and on the host."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from logpi import InputError
from logpi.cli.main import main
from logpi.cli.train import _understood

TINY = ["--steps", "128", "--envs", "2", "--rollout-length", "32", "--num-epochs", "1", "--num-minibatches", "2"]
REST = ["--width", "4", "--depth", "1", "--evaluate-episodes", "0"]


def trained(folder: Path, *arguments: str) -> Path:
    assert main(["train", *arguments, "--evaluate-episodes", "0", "--out", str(folder)]) == 0
    return folder


@pytest.mark.parametrize("env", ["probe:identity", "gymnasium:CartPole-v1", "envpool:CartPole-v1"])
def test_the_same_bits(env: str, tmp_path: Path) -> None:
    first = trained(tmp_path / "first", env, *TINY, *REST, "--gamma", "0.9", "--seed", "3", "--seeds", "2")
    again = trained(tmp_path / "again", "--from", str(first))
    names = ["metrics.jsonl", "policy-seed3.safetensors", "policy-seed4.safetensors"]
    for name in names:
        assert (again / name).read_bytes() == (first / name).read_bytes(), name
    configs = [json.loads((folder / "config.json").read_text()) for folder in (first, again)]
    for name in ("env", "seeds", "settings", "obs_space", "action_space", "model"):
        assert configs[0][name] == configs[1][name]
    other = trained(tmp_path / "other", "--from", str(first), "--seed", "5")
    assert (other / "policy-seed5.safetensors").read_bytes() != (first / names[1]).read_bytes()
    flags_change_it(first)


def flags_change_it(first: Path) -> None:
    values, settings, _ = _understood(["--from", str(first), "--steps", "1e4", "--lam", "0.5", "--seeds", "3"])
    assert settings.steps == 10_000 and settings.algorithm.credit.lam == 0.5 and settings.algorithm.credit.gamma == 0.9
    assert settings.network.width == 4 and settings.source.endswith("--steps 10000 --lam 0.5")
    assert (values["seed"], values["seeds"]) == (0, 3)
    values, *_ = _understood(["probe:recall", "--from", str(first)])
    assert values["env"] == "probe:recall" and values["seeds"] == (3, 4)
    _, settings, again = _understood(["--from", str(first), "--credit", "n-step", "--n", "2"])
    assert again is not None and settings.algorithm.credit.n == 2 and settings.algorithm.credit.gamma == 0.9
    with pytest.raises(InputError, match="--algorithm is 'a2c', but the run of --from is one of ppo"):
        _understood(["--from", str(first), "--algorithm", "a2c"])


def test_the_evaluations_are_repeated_too(tmp_path: Path) -> None:
    """As the run has them, with what is said in their place; those of an environment are no other's."""
    flags = ["--evaluate-every", "2", "--stop-at", "400"]
    first = trained(tmp_path / "first", "CartPole-v1", *TINY, *REST, *flags)
    assert (trained(tmp_path / "again", "--from", str(first)) / "evaluations.jsonl").read_bytes() == (
        first / "evaluations.jsonl"
    ).read_bytes()
    for said, every, stop_at in [
        ([], 2, 400.0),
        (["--evaluate-every", "1"], 1, 400.0),
        (["--stop-at", "90"], 2, 90.0),
        (["--stop-at", "none"], 2, None),
    ]:
        values, *_ = _understood(["--from", str(first), *said])
        plan = values["evaluate_every"]
        assert (plan.every, plan.stop_at, values["stop_at"]) == (every, stop_at, None)
    for said in (["--evaluate-every", "none"], ["Acrobot-v1"]):
        values, *_ = _understood([*said, "--from", str(first)])
        assert values["evaluate_every"] is None and values["stop_at"] is None


def test_what_cannot_be_repeated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check: Callable[..., int] = main
    assert check(["train", "--from", str(tmp_path)]) == 2
    assert "config.json does not exist: give the folder of a run" in capsys.readouterr().err
