"""No script of a page turns text into code, and the pages' policies forbid it to the browser too.

`pattern.exec(text)`, which KaTeX calls, only matches a regular expression: it is JavaScript's, and runs nothing.
"""

import re

import pytest

from logpi.explain import page
from logpi.report import document
from tests.architecture.source import PACKAGE

CODE_FROM_TEXT = re.compile(
    r"(?<![.\w$])(?:eval|exec)\s*\(|\b(?:window|self|globalThis)\s*\.\s*eval\b|\bFunction\s*\(|"
    r"\bset(?:Timeout|Interval)\s*\(\s*[\"'`]|\bimportScripts\b|\bdocument\s*\.\s*write"
)
ASSETS = sorted(path for path in PACKAGE.rglob("*") if path.suffix in (".js", ".html"))


@pytest.mark.parametrize("path", ASSETS, ids=lambda path: path.name)
def test_no_script_makes_code_of_text(path) -> None:
    assert CODE_FROM_TEXT.findall(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "planted", ["x=eval(t)", "window.eval(t)", "new Function('a', t)", "setTimeout('f()', 1)", "document.write(t)"]
)
def test_the_check_can_fail(planted: str) -> None:
    assert CODE_FROM_TEXT.search(planted)


def test_matching_a_pattern_is_no_such_thing() -> None:
    assert not CODE_FROM_TEXT.search("const r=this.tokenRegex.exec(e); /a/i.exec(t); setTimeout(f, 1)")


@pytest.mark.parametrize("text", [page(), document._POLICY], ids=["explain", "report"])
def test_the_policy_forbids_it(text: str) -> None:
    assert "default-src 'none'" in text and "'unsafe-eval'" not in text
