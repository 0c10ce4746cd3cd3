"""An equation is cited by one definition: a second place that cites it is a copy of its code, or calls the first.

A citation is a number of an equation, theorem or algorithm behind a paper, in one docstring: "Schulman et al. 2017
(arXiv:1707.06347), eq. 7". The gallery writes out the losses of others as they are, and may repeat what is elsewhere.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.architecture.source import Breach, PACKAGE, places, plant, Source, sources, unlisted

GALLERY = Path("audit/gallery")
AUTHORS = r"(?P<author>[A-Z][\w\'-]+)(?:(?:, | & | and )[A-Z][\w\'-]+)*(?: et al\.)?,? \(?(?P<year>[12]\d{3})\)?"
ARXIV = r"arXiv:(?P<arxiv>\d{4}\.\d{4,5})"
NUMBER = r"\(?(?P<numbers>[A-Z]?\d+(?:\.\d+)*\)?(?:(?:, | and )\(?[A-Z]?\d+(?:\.\d+)*\)?)*)"
PLACE = rf"(?P<kind>[Ee]qs?\.|[Ee]quations?|[Tt]heorem|[Aa]lg(?:\.|orithm)) {NUMBER}"
TOKEN = re.compile(f"{AUTHORS}|{ARXIV}|{PLACE}")

BREACHES_LEFT: tuple[str, ...] = ()


def papers(text: str) -> Iterator[tuple[re.Match[str], str]]:
    """What `TOKEN` finds in a docstring, each with the paper that it belongs to: its authors, or an arXiv number."""
    paper = ""
    for token in TOKEN.finditer(" ".join(text.split())):
        if token["author"]:
            paper = f"{token['author']} {token['year']}"
        elif token["arxiv"] and not _continues(token):
            paper = token["arxiv"]
        yield token, paper


def cited(text: str, authors: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """What a docstring cites, as `("Schulman 2017", "eq 7")`, where `authors` has those of arXiv numbers."""
    for token, paper in papers(text):
        if token["kind"] and paper:
            for number in re.findall(r"[A-Z]?\d+(?:\.\d+)*", token["numbers"]):
                yield authors.get(paper, paper), f"{token['kind'][:2].lower()} {number}"


def _continues(token: re.Match[str]) -> bool:
    """Whether an arXiv number stands in brackets behind the authors, as `Shao et al. 2024 (arXiv:2402.03300`."""
    return bool(re.search(r"\d{4}\)?(?:, | \((?:\w+, )?)$", token.string[: token.start()]))


def docstrings(source: Source) -> Iterator[tuple[str, ast.AST, str]]:
    """Every definition of a file, and the file itself, that has a docstring: its name, it, the docstring."""
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for node, name in places(source.tree).items():
        if isinstance(node, kinds) and (text := ast.get_docstring(node)):
            yield name, node, text


def breaches(package: Path) -> list[Breach]:
    """Every definition that cites what another one cites too."""
    found = [source for source in sources(package) if GALLERY not in source.path.parents]
    words = [(source.at(node), name, text) for source in found for name, node, text in docstrings(source)]
    authors = {t["arxiv"]: paper for *_, text in words for t, paper in papers(text) if t["arxiv"] not in (None, paper)}
    users: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    for at, name, text in words:
        for citation in cited(text, authors):
            users[citation][at] = name
    return [
        Breach(at, name, f"cites {', '.join(citation)}, as does {', '.join(sorted({*by} - {at}))}")
        for citation, by in sorted(users.items())
        for at, name in by.items()
        if len(by) > 1
    ]


def test_an_equation_is_cited_once() -> None:
    assert unlisted(breaches(PACKAGE), BREACHES_LEFT) == []


READ = {
    "Schulman et al. 2017 (arXiv:1707.06347), eq. 7.": [("Schulman 2017", "eq 7")],
    "as in GRPO (arXiv:2402.03300, eq. 4): the": [("2402.03300", "eq 4")],
    "Williams 1992 (REINFORCE), theorem 1; Sutton et al.\n    2000, eq. 2.": [
        ("Williams 1992", "th 1"),
        ("Sutton 2000", "eq 2"),
    ],
    "Chan, Golub & LeVeque 1983, eq. 2.1": [("Chan 1983", "eq 2.1")],
    "Kool et al. 2020 (arXiv:2002.06043), eqs. 8 and 13": [("Kool 2020", "eq 8"), ("Kool 2020", "eq 13")],
    "Foerster et al. 2018 (DiCE, arXiv:1802.05098), eq. 5": [("Foerster 2018", "eq 5")],
    "Adam (Kingma & Ba 2015, arXiv:1412.6980, algorithm 1)": [("Kingma 2015", "al 1")],
    "Mnih et al. 2016 (arXiv:1602.01783), section 4. The equation 3 of nobody's": [("Mnih 2016", "eq 3")],
    "by theorem 1": [],
}


@pytest.mark.parametrize("text", READ)
def test_what_is_read_as_a_citation(text: str) -> None:
    assert list(cited(text, {})) == READ[text]


def test_the_check_can_fail(tmp_path: Path) -> None:
    files = {
        "a.py": '"""Of Ab et al. 2001 (arXiv:0101.00001)."""\ndef f():\n    """Ab et al. 2001, eq. 3."""\n',
        "b.py": 'class B:\n    def g(self):\n        """arXiv:0101.00001, eqs. 3 and 4; Ab\n        2002, eq. 3."""\n',
    }
    assert list(map(str, breaches(plant(tmp_path, files)))) == [
        "a.py:2 f cites Ab 2001, eq 3, as does b.py:2",
        "b.py:2 B.g cites Ab 2001, eq 3, as does a.py:2",
    ]


def test_the_check_lets_pass_what_is_right(tmp_path: Path) -> None:
    once = 'def f():\n    """Ab et al. 2001, eq. 3: as Ab 2001, eq. 3 says."""\n'
    files = {"a.py": once, "audit/gallery/b.py": once, "c.py": once.replace("eq. 3", "section 3")}
    assert breaches(plant(tmp_path, files)) == []
