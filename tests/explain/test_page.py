"""The page in a real browser: it loads alone, its sliders move numbers and pictures, and everybody can read it."""

import html
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import logpi
from logpi.distributions import Categorical, Normal
from logpi.explain.introduction import asset, page
from tests.pages import chromium

in_browser = pytest.mark.skipif(chromium.find() is None, reason="there is no Chromium on this machine")

# Moves a slider as a hand does, steps once, and notes what was there before, what cannot be named, and the width.
DRIVE = """<script>
const numbers = (name) => [...document.querySelectorAll(`[data-name=${name}]`)].map((c) => c.dataset.value).join();
const note = document.documentElement.dataset;
note.before = numbers("exact");
const picture = document.querySelector("#policy-plot svg").innerHTML;
const slider = document.querySelector("[data-key=theta1]");
slider.value = 1.5;
slider.dispatchEvent(new Event("input", { bubbles: true }));
const answered = () => {  // the page draws with the next frame, whenever that comes
  if (numbers("exact") === note.before) return setTimeout(answered, 20);
  note.after = numbers("exact");
  note.redrawn = document.querySelector("#policy-plot svg").innerHTML !== picture;
  note.from = document.querySelector("[data-name=J]").dataset.value;
  document.getElementById("hundred").click();
};
answered();
note.nameless = [...document.querySelectorAll("input, select, button")]
  .filter((x) => !(x.labels && x.labels.length && x.labels[0].textContent.trim()) && !x.textContent.trim()).length;
note.wide = document.documentElement.scrollWidth - innerWidth;
</script>"""


def noted(document: str, name: str) -> str:
    """What the page wrote on its root element."""
    found = re.search(rf'<html[^>]*\bdata-{name}="([^"]*)"', document)
    assert found is not None, name
    return html.unescape(found.group(1))


def shown(document: str, name: str) -> list[float]:
    """The full numbers behind the cells of this name."""
    return [float(v) for v in re.findall(rf'data-name="{name}"[^>]*data-value="([-+.e0-9]+)"', document)]


def exact(logits: list[float], reward: list[float]) -> np.ndarray:
    """The library's gradient over all four actions."""
    with jax.enable_x64(True):
        J = logpi.expectation(lambda a: jnp.array(reward)[a], of=Categorical, estimator=logpi.Enumerate())
        return np.asarray(jax.jit(jax.grad(J))(jnp.array(logits), jax.random.key(0)))


def test_the_page_is_one_file_that_asks_for_nothing():
    text = page()
    assert len(text.encode()) < 1.5e6
    assert "default-src 'none'" in text
    for outside in (r'\b(src|href)="(?!#)[\w./]', r"<link\b", r"url\((?!data:|#)", r"@import", r"\bXMLHttpRequest\b"):
        assert not re.search(outside, text), outside
    assert asset("vendor/katex/LICENSE").startswith("The MIT License")


@in_browser
def test_sliders_change_the_picture_and_the_numbers_agree_with_the_library(tmp_path):
    driven = tmp_path / "driven.html"
    driven.write_text(page().replace("</body>", f"{DRIVE}</body>"), encoding="utf-8")
    settings = "policy=softmax&theta=0.1,0.2,-0.4,0&reward=0,1,5,2&samples=16&seed=3&baseline=loo"
    document = chromium.dom(driven, width=390, budget_ms=6000, fragment=settings)
    assert noted(document, "ready") == "yes" and "data-error" not in document
    before, after = (np.array(noted(document, n).split(","), float) for n in ("before", "after"))
    np.testing.assert_allclose(before, exact([0.1, 0.2, -0.4, 0.0], [0, 1, 5, 2]), atol=1e-6)
    np.testing.assert_allclose(after, exact([0.1, 1.5, -0.4, 0.0], [0, 1, 5, 2]), atol=1e-6)
    assert noted(document, "redrawn") == "true"
    assert noted(document, "nameless") == "0"
    assert float(noted(document, "wide")) <= 0  # nothing is wider than a phone
    assert "after 100 steps" in document
    assert shown(document, "J")[0] > float(noted(document, "from")) + 1  # it climbs, and far
    np.testing.assert_allclose(shown(document, "twin"), shown(document, "push"), atol=1e-8)
    theta = [float(v) for v in noted(document, "theta").split(",")]
    np.testing.assert_allclose(shown(document, "exact"), exact(theta, [0, 1, 5, 2]), atol=1e-6)


@in_browser
def test_the_page_opens_on_a_climb_that_every_picture_shows(tmp_path):
    """Ten steps of a Gaussian over two hills, with the exact gradient of where they led."""
    path = tmp_path / "page.html"
    path.write_text(page(), encoding="utf-8")
    document = chromium.dom(path, width=390, budget_ms=4000)
    assert noted(document, "ready") == "yes" and "after 10 steps" in document
    mean, log_std = (float(v) for v in noted(document, "theta").split(","))
    with jax.enable_x64(True):
        actions = jnp.linspace(mean - 40, mean + 40, 200_001)
        reward = jnp.exp(-((actions + 2) ** 2)) + 2 * jnp.exp(-((actions - 2) ** 2))

        def value(theta):
            return jnp.sum(reward * jnp.exp(jax.vmap(Normal(theta[0], theta[1]).log_prob)(actions))) * 80 / 200_000

        J, slope = jax.value_and_grad(value)(jnp.array([mean, log_std]))
    np.testing.assert_allclose(shown(document, "exact"), slope, atol=1e-6)
    np.testing.assert_allclose(shown(document, "J"), J, atol=1e-6)
    pushes, climb = document.split('id="push-plot"')[1], document.split('id="climb-plot"')[1]
    heights = [float(h) for h in re.findall(r'<rect x="[^"]*" y="[^"]*" width="[^"]*" height="([^"]*)"', pushes)]
    assert sum(h > 3 for h in heights) > 10  # both parameters are pushed
    assert [curve.count("L") for curve in re.findall(r'<path d="(M[^"]*)"', climb)[:4]] == [10, 9, 9, 9]


# Follows the link past the introduction, as whoever comes by keyboard does.
SKIP = """<script>
addEventListener("hashchange", () => { document.documentElement.dataset.place = location.hash; });
document.querySelector(".skip").click();
</script>"""


@in_browser
@pytest.mark.parametrize("fragment", ["", "lab", "policy=softmax&steps=3&seed=5"])
def test_the_link_past_the_introduction_leaves_the_climb_as_it_is(fragment: str, tmp_path: Path):
    path = tmp_path / "page.html"
    path.write_text(page().replace("</body>", f"{SKIP}</body>"), encoding="utf-8")
    document = chromium.dom(path, width=390, budget_ms=4000, fragment=fragment)
    policy, steps = ("softmax", 3) if "=" in fragment else ("gaussian", 10)
    assert noted(document, "ready") == "yes" and f"after {steps} steps" in document
    place = noted(document, "place")  # the address still is a link to what one sees
    assert f"policy={policy}&" in place and place.endswith(f"&steps={steps}")


# Goes from one address to the next, and keeps the pictures of each.
TOUR = """<div id="kept" hidden></div><script>
const stops = %s;
const next = () => {
  const kept = document.createElement("section");
  document.querySelectorAll(".lab svg.chart").forEach((p) => kept.append(p.cloneNode(true)));
  document.getElementById("kept").append(kept);
  if (stops.length) location.hash = stops.shift();
};
addEventListener("hashchange", next);
location.hash = stops.shift();
</script>"""
STOPS = (
    "policy=raw&samples=8",
    "policy=gaussian&reward=step&estimator=pathwise&steps=2",
    "policy=bernoulli&baseline=optimal",
    "policy=loglinear&estimator=enumerate&samples=2",
    "policy=nonsense&theta=NaN,1&reward=x&samples=-3&rate=0&seed=abc",  # what makes no sense is left out
)


@in_browser
def test_every_picture_has_a_title_axes_and_words_at_phone_width(tmp_path):
    driven = tmp_path / "tour.html"
    driven.write_text(page().replace("</body>", f"{TOUR % json.dumps(STOPS)}</body>"), encoding="utf-8")
    document = chromium.dom(driven, width=390, budget_ms=6000)
    assert noted(document, "ready") == "yes" and "data-error" not in document
    before, kept = document.split('<div id="kept"')
    states = kept.split("<section>")[1:]
    assert len(states) == len(STOPS)
    for state in states:
        pictures = re.findall(r'<svg[^>]*class="chart".*?</svg>', state, re.DOTALL)
        assert len(pictures) >= 7
        for picture in pictures:
            assert 'role="img"' in picture and "NaN" not in picture
            assert re.search(r"<title[^>]*>[^<]+</title>", picture) and re.search(r"<desc[^>]*>[^<]+</desc>", picture)
            assert re.search(r'class="name middle"[^>]*>[^<]+<', picture)
    ids = re.findall(r'\bid="([^"]+)"', before)
    assert len(ids) == len(set(ids))


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2)."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


def test_contrasts_are_those_of_wcag_aa():
    blocks = re.findall(r":root \{([^}]*)\}", asset("style.css"))
    assert len(blocks) == 3  # light, dark, printed
    light, dark = (dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block)) for block in blocks[:2])
    pairs = [(text, ground) for text in ("ink", "muted", "high", "accent") for ground in ("paper", "panel")]
    for colours in (light, dark):
        for text, ground in [*pairs, ("on-accent", "accent")]:
            one, two = sorted((luminance(colours[text]), luminance(colours[ground])), reverse=True)
            assert (one + 0.05) / (two + 0.05) >= 4.5, (text, ground)


@pytest.mark.slow
def test_the_code_on_the_page_runs():
    (code,) = re.findall(r'<pre tabindex="0"><code>(import jax.*?)</code>', asset("page.html"), re.DOTALL)
    check = "\nassert theta[2] > 1 and J(theta, key) > 0.5"
    run = [sys.executable, "-W", "error", "-c", html.unescape(code) + check]
    subprocess.run(run, env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}, check=True, timeout=120)
