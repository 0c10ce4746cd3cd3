"""`logpi audit`: the table, the JSON, the status, and what it takes."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from logpi.cli.main import main

THINGS = """
import gymnasium, jax, jax.numpy as jnp, numpy as np, numpyro.distributions as dist
import logpi, logpi.models

class LogLinear:
    def log_prob(self, a):
        return 0.5 - 0.2 * a
    def sample(self, key, shape=()):
        return jax.random.randint(key, shape, 0, 4)

normal = dist.Normal(1.0, 2.0)
def coin():
    return dist.Bernoulli(logits=0.3)
log_linear = LogLinear()
def objective(model, batch):
    output, _ = logpi.models.unroll(model, batch.obs, batch.start, batch.memory)
    return logpi.models.log_probs(output.policy, batch.action) * batch.advantage

def dropped(model, batch):
    raise ValueError("not ready")

def gae(reward, terminated, truncated, value):
    # truncation taken for termination
    advantage, following = np.zeros(len(reward)), 0.0
    for t in reversed(range(len(reward))):
        goes_on = not (terminated[t] or truncated[t])
        following = reward[t] + 0.8 * value[t + 1] * goes_on - value[t] + 0.8 * 0.95 * goes_on * following
        advantage[t] = following
    return advantage, advantage + value[:-1]

def sums(log_prob, reward, mask):
    return -jnp.sum(reward[:, None] * jnp.where(mask, log_prob, 0))

def line(log_prob, rewards):
    return log_prob.sum()

def short():
    return gymnasium.make("CartPole-v1", max_episode_steps=9)

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


FOUND = {  # arguments, and the checks that fail
    "loss Dr_GRPO": set(),
    "loss k1-in-the-reward": set(),
    "loss grpo": {"direction", "deviation", "difficulty", "length"},
    "loss k1-in-the-loss": {"KL", "KL weight"},
    "loss {}:sums --group-size 2": set(),
    "loss {}:sums --maximise --group-size 2": {"sign"},
    "objective {}:objective --credit {}:gae": {"truncation"},
    "env CartPole-v1 --steps 60": set(),
    "env {}:short --steps 60 --time-limit 5": {"time limit"},
}


@pytest.mark.parametrize("words", FOUND)
def test_every_kind_says_what_it_found(words: str, things: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [word.format(things) for word in words.split()]
    status = main(["audit", *arguments, "--json"])
    report = json.loads(capsys.readouterr().out)
    assert {check["name"] for check in report["checks"] if not check["passed"]} == FOUND[words]
    assert status == bool(FOUND[words])


def test_the_gradient_of_a_run(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["audit", "run", str(trained), "--batches", "4", "--updates", "1", "--episodes", "4", "--json"])
    report = json.loads(capsys.readouterr().out)
    assert {"signal-to-noise", "return rises"} <= {check["name"] for check in report["checks"]}


def test_help_lists_the_kinds(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", "--help"]) == 0
    said = capsys.readouterr().out
    kinds = ("policy", "program", "objective", "loss", "env", "run")
    assert all(f"\n  {kind} " in said for kind in kinds)
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
        (["objective", "{}:dropped"], "breaks down on the problem three states (ValueError: not ready)"),
        (["objective", "{}:objective", "--credit", "gae"], "must be FILE.py:NAME"),
        (["objective", "{}:objective", "--credit", "{}:params"], "credit is {'m': 0.7}, but it must be"),
        (["loss", "grop"], "did you mean grpo?"),
        (["loss", "{}:params"], "must be a function of arrays"),
        (["loss", "{}:line"], "asks for rewards"),
        (["env", "{}:params"], "is no environment"),
        (["run", "runs/none"], "runs/none"),
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
