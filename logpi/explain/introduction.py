"""The page that answers what a policy gradient differentiates, as one HTML file that needs no network."""

import base64
import functools
import re
from importlib import resources
from importlib.resources.abc import Traversable

from .._version import __version__

_MATHS = ("maths.js", "estimators.js")
_LAB = (*_MATHS, "draw.js", "words.js", "controls.js", "pictures.js", "evidence.js", "lab.js", "hand.js", "start.js")


def page() -> str:
    r"""An interactive page, in HTML: $\nabla J = E[f \, \nabla \log \pi]$ for policies one can hold in the hand.

    Everything is inside: style, formulas, fonts and the code that computes its numbers. Write it to a file and open it
    in any browser.
    """
    return assemble("page.html", _LAB)


def maths() -> str:
    """The code that computes the page's numbers, as one script; under node its functions are in `module.exports`."""
    return "\n".join(asset(name) for name in _MATHS)


def assemble(template: str, scripts: tuple[str, ...], **words: str) -> str:
    """A page from its template: with the style, the formulas, the scripts, and `words` in place of their names.

    A script may stand inside of HTML: none of ours holds a closing tag.
    """
    parts = {
        "VERSION": __version__,
        "/*STYLE*/": _formula_style() + asset("style.css"),
        **words,
        "/*SCRIPT*/": "\n".join([asset("vendor/katex/katex.min.js"), *(asset(name) for name in scripts)]),
    }
    places = re.compile("|".join(re.escape(place) for place in parts))
    return places.sub(lambda found: parts[found.group()], asset(template))


def asset(name: str) -> str:
    """The text of one of the page's parts."""
    return _place(name).read_text(encoding="utf-8")


def _place(name: str) -> Traversable:
    return resources.files("logpi.explain").joinpath("assets", *name.split("/"))


@functools.cache
def _formula_style() -> str:
    """KaTeX's style with the fonts inside that the pages use; the others are left out."""
    style = asset("vendor/katex/katex.min.css")

    def face(found: re.Match[str]) -> str:
        name = re.search(r"fonts/(KaTeX_[\w-]+)\.woff2", found.group())
        font = _place(f"vendor/katex/fonts/{name.group(1)}.woff2") if name else None
        if font is None or not font.is_file():
            return ""
        data = base64.b64encode(font.read_bytes()).decode("ascii")
        source = f'src:url(data:font/woff2;base64,{data}) format("woff2")'
        return re.sub(r"src:[^}]*", source, found.group())

    return re.sub(r"@font-face\{[^}]*\}", face, style)
