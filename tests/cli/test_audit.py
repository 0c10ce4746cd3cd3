"""`logpi audit`: the table, the JSON, the status, and what it takes."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from logpi.cli.main import main

THINGS = """
import jax, jax.numpy as jnp, numpyro.distributions as dist
import logpi

class LogLinear:
    def log_prob(self, a):
        return 0.5 - 0.2 * a
    def sample(self, key, shape=()):
        return jax.random.randint(key, shape, 0, 4)

normal = dist.Normal(1.0, 2.0)
def coin():
    return dist.Bernoulli(logits=0.3)
log_linear = LogLinear()
params = {"m": 0.7}
exact = {"m": -1.0}

def right(p, key):
    x, log_prob = logpi.sample(dist.Normal(p["m"], 1.0), key)
    return logpi.cost(x**2, log_prob)

def wrong(p, key):
    x, log_prob = logpi.sample(dist.Normal(p["m"], 1.0), key)
    return logpi.cost(x**2, 0.5 * log_prob)
"""


@pytest.fixture
def things(tmp_path: Path) -> Path:
    """A file of the user's."""
    path = tmp_path / "things.py"
    path.write_text(THINGS)
    return path


def test_what_is_right_has_status_0(things: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("normal", "coin"):
        assert main(["audit", "policy", f"{things}:{name}", "--samples", "2000"]) == 0
        said = capsys.readouterr().out
        assert "passed" in said.splitlines()[0] and "normalised" in said


def test_what_is_wrong_has_status_1_and_a_cure(things: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", "program", f"{things}:wrong", "--replicates", "2000"]) == 1
    said = capsys.readouterr().out
    assert "WRONG gradient" in said and "-> gradient: each cost" in said


def test_json_is_all_of_stdout(things: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", "program", f"{things}:right", "--exact", "exact", "--replicates", "2000", "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["subject"] == "right" and report["passed"] is False  # the gradient is 1.4
    assert next(check["name"] for check in report["checks"] if not check["passed"]) == "gradient"


def test_the_policy_of_a_run(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", "policy", str(trained), "--samples", "2000"]) == 0
    assert "scores of mean 0" in capsys.readouterr().out


def test_help_lists_the_kinds(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", "--help"]) == 0
    said = capsys.readouterr().out
    assert all(f"\n  {kind} " in said for kind in ("policy", "program", "objective", "loss", "env", "run"))
    assert main(["audit"]) == 2


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["polcy", "x"], "did you mean policy?"),
        (["program", "{}:rigt"], "did you mean right?"),
        (["program", "{}:right", "--params", "parms"], "did you mean params?"),
        (["program", "right"], "give FILE.py:NAME"),
        (["program", "nowhere.py:right"], "nowhere.py is no file"),
        (["objective", "pppo"], "did you mean ppo?"),
        (["policy", "{}:params"], "no distribution"),
        (["policy", "{}:normal", "--samples", "1"], "samples is 1, but it must be 100 or more"),
        (["policy", "runs/none"], "runs/none"),
    ],
)
def test_bad_input(arguments: list[str], sentence: str, things: Path, fails: Callable[..., str]) -> None:
    assert sentence in fails("audit", *(word.format(things) for word in arguments))


def test_a_file_that_breaks_down_is_named_with_its_line(tmp_path: Path, fails: Callable[..., str]) -> None:
    path = tmp_path / "broken.py"
    path.write_text("x = 1\ny = x / 0\n")
    assert f"{path} breaks down in line 2 (ZeroDivisionError: division by zero)" in fails(
        "audit", "policy", f"{path}:y"
    )
    path.write_text("def f(:\n")
    assert "SyntaxError" in fails("audit", "policy", f"{path}:y")
