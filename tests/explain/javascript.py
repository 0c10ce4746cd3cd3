"""Calls of the page's own functions, by node or in Chromium."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from logpi.explain.introduction import maths
from tests.pages import chromium

_WORK = "const made = (%s).map(([name, ...given]) => logpi.maths[name](...given));"


def evaluate(engine: str, calls: list[list[Any]], folder: Path) -> list[Any]:
    """What each call `[name, argument, ...]` returns. Skips the test where there is no such engine."""
    work = _WORK % json.dumps(calls)
    if engine == "node":
        if shutil.which("node") is None:
            pytest.skip("there is no node on this machine")
        script = folder / "calls.js"
        script.write_text(f"{maths()}\nconst logpi = module.exports;\n{work}\nconsole.log(JSON.stringify(made));")
        done = subprocess.run(["node", str(script)], capture_output=True, text=True, check=True, timeout=60)
        return json.loads(done.stdout)
    if chromium.find() is None:
        pytest.skip("there is no Chromium on this machine")
    page = folder / "calls.html"
    show = "document.getElementById('made').textContent = JSON.stringify(made);"
    page.write_text(f"<pre id=made></pre><script>{maths()}</script><script>{work}{show}</script>")
    found = re.search(r'<pre id="made">(.*?)</pre>', chromium.dom(page), re.DOTALL)
    assert found is not None
    return json.loads(html.unescape(found.group(1)))
