"""The page on audits: its blocks run and their assertions hold, and it names every check that the zoo knows."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.audit.zoo import ZOO

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "audit.md").read_text(encoding="utf-8")


def test_its_blocks_run(tmp_path):
    """They belong together, as one file."""
    code = "\n".join(re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL))
    assert all(f"audit.{kind}(" in code for kind in ("policy", "program", "objective", "loss", "env", "run"))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr


def test_it_names_every_check():
    assert [bug.check for bug in ZOO if bug.check not in " ".join(PAGE.split())] == []
