"""The audits of other libraries find what their table says, and what is exact passes.

Those that run installed packages are slow: a fresh interpreter each.
"""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "examples" / "audit_others"


def load(name: str):
    """A script as a module."""
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def sizes(report):
    """Of what was found, by name."""
    return {check.name: round(check.size, 3) for check in report.findings}


def run(code: str) -> str:
    """What a fresh interpreter prints, beside the scripts: other libraries' warnings are not ours."""
    path = os.pathsep.join([str(FOLDER.parents[1]), str(FOLDER)])
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def needs(package: str):
    """Skips a test where a package is neither installed nor in a benchmark's environment."""
    there = load("peers").folder_of(package) is not None
    return pytest.mark.skipif(not there, reason=f"{package} is not there: python -m benchmarks makes its environment")


def test_cleanrl_s_loss_is_exact_without_standardised_advantages():
    by_default, plain = load("audit_cleanrl").reports().values()
    assert sizes(by_default) == {"deviation": 0.095, "difficulty": 0.011, "split batches": 0.246, "group of one": 1.0}
    assert plain.passed, str(plain)


def test_cleanrl_s_advantages_end_at_a_time_limit(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    report = load("advantages").report("CleanRL")
    assert sizes(report) == {"truncation": 0.077}


def test_the_recursion_bootstraps_where_nothing_ends(monkeypatch):
    """Two rows, nothing ends: by hand."""
    import numpy as np

    monkeypatch.syspath_prepend(FOLDER)
    loops = load("advantages")
    never = np.zeros(2, bool)
    advantage, target = loops.cleanrl(np.array([1.0, 2.0]), never, never, np.array([0.5, 0.25, 3.0]))
    second = 2 + 0.8 * 3 - 0.25
    first = 1 + 0.8 * 0.25 - 0.5 + 0.8 * 0.95 * second
    np.testing.assert_allclose(advantage, [first, second])
    np.testing.assert_allclose(target, [first + 0.5, second + 0.25])


FINDINGS = """
for name, report in reports().items():
    print(name, sorted((c.name, round(c.size, 3)) for c in report.findings), sep="|")
"""


@pytest.mark.slow
@needs("stable_baselines3")
def test_stable_baselines3():
    lines = dict(line.split("|") for line in run("from audit_sb3 import reports\n" + FINDINGS).splitlines())
    assert lines == {
        "SB3 PPO, policy loss": "[('deviation', 0.095), ('difficulty', 0.011), ('split batches', 0.246)]",
        "SB3 PPO, policy loss, normalize_advantage=False": "[]",
        "SB3 A2C, policy loss": "[]",
        "SB3 entropy bonus without a closed form": "[('KL', inf), ('KL weight', -0.1)]",
    }


@pytest.mark.slow
@needs("rejax")
def test_rejax():
    code = "from audit_rejax import reports as one\nfrom advantages import report\n"
    code += "reports = lambda: one() | {'advantages': report('rejax')}\n"
    lines = dict(line.split("|") for line in run(code + FINDINGS).splitlines())
    assert lines == {
        "rejax PPO, policy loss": "[('deviation', 0.095), ('difficulty', 0.011), ('split batches', 0.246)]",
        "advantages": "[('truncation', 0.077)]",
    }


@pytest.mark.slow
@needs("stable_baselines3")
def test_stable_baselines3_bootstraps_a_time_limit():
    code = "import peers\npeers.make_importable('stable_baselines3')\nfrom advantages import report\n"
    assert run(code + "print(report('Stable-Baselines3').passed)").strip() == "True"


@pytest.mark.slow
@needs("optax")
def test_optax_takes_off_each_sample_s_own_cost():
    code = "import audit_optax as o\nfor r in o.reports().values():\n"
    code += "    print([c.name for c in r.findings if c.name != 'no key used twice'])\n"
    code += "print([round(o.debiased(1.0, n), 1) for n in (1, 2, 3)])"
    lines = run(code).splitlines()
    assert "gradient" in lines[0] and "gradient" in lines[1] and lines[2] == "[]"
    assert lines[3] == "[1.0, 50.3, 1675.3]"


@pytest.mark.slow
@needs("stable_baselines3")
def test_a_loss_in_torch():
    """RLOO and GRPO's length in PyTorch: only d loss / d log_prob crosses."""
    code = """
import peers
peers.make_importable("stable_baselines3")
import torch
from logpi import audit

def rloo(log_prob, reward, mask):
    others = (reward.sum() - reward) / max(len(reward) - 1, 1)
    advantage = (reward - others) if len(reward) > 1 else 0 * reward
    return -(advantage[:, None] * torch.where(mask, log_prob, 0.0)).sum() / len(reward)

def by_length(log_prob, advantage, mask):
    return -((advantage * torch.where(mask, log_prob, 0.0)).sum(1) / mask.sum(1)).mean()

for loss in (rloo, by_length):
    print(sorted(c.name for c in audit.loss(loss).findings))
"""
    assert run(code).splitlines() == ["[]", "['direction', 'length']"]
