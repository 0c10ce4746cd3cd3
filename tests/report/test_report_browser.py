"""The report in a real browser: it draws all, its buttons and keys work, and ten long seeds open at once."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from logpi.report import page
from logpi.report.charts import Columns, Heat, IntervalRow, Intervals, Level, Line, Lines, Stack
from logpi.report.document import _document, Section
from logpi.report.folders import tell, with_names
from logpi.report.measure import Examination
from tests.pages import chromium
from tests.report.report_runs import embedded, folder, row, rows

pytestmark = pytest.mark.skipif(chromium.find() is None, reason="needs Chromium: apt-get install chromium")

# What a person would do, after the page has drawn itself; what came of it is written where the test can read it.
ACTS = """<script>
const root = document.documentElement, plot = document.querySelector("[data-chart=return]");
const key = (name) => plot.dispatchEvent(new KeyboardEvent("keydown", { key: name, bubbles: true }));
root.dataset.seeds = plot.querySelectorAll("path[stroke-width='1']").length;
key("End");
root.dataset.end = document.getElementById("said").textContent;
key("Escape");
root.dataset.closed = document.querySelectorAll(".tip").length;
document.querySelector("input[value='wall time']").click();
root.dataset.axis = plot.textContent.includes("wall time of training, seconds");
document.querySelector("input[value='IQM alone']").click();
root.dataset.alone = plot.querySelectorAll("path[stroke-width='1']").length;
root.dataset.wide = document.documentElement.scrollWidth <= innerWidth;
</script></body>"""


# Which texts of figures are cut by the window, how far the flat curve rises, and where its level's name stands.
MEASURES = """<script>
const texts = [...document.querySelectorAll(".plot text")], note = document.documentElement.dataset;
const place = (x) => x.getBoundingClientRect(), flat = document.querySelector("[data-chart=flat]");
const rise = flat.querySelector("path[stroke]");
note.cut = texts.filter((t) => place(t).right > innerWidth || place(t).left < 0).map((t) => t.textContent).join("; ");
note.shortened = texts.filter((t) => t.textContent.includes("…")).map((t) => t.textContent).join("; ");
note.rise = place(rise).height;
note.above = place(texts.find((t) => t.textContent === "half of all")).bottom;
note.top = Math.min(...[...flat.querySelectorAll(".grid")].map((line) => place(line).top));
</script></body>"""


def data(dom: str) -> dict[str, str]:
    """The data attributes of the document."""
    head = dom[dom.index("<html") : dom.index(">", dom.index("<html"))]
    return dict(re.findall(r'data-([\w-]+)="([^"]*)"', head))


def test_all_is_drawn_and_answers(tmp_path: Path) -> None:
    made = folder(tmp_path / "run", rows())
    (made / "times.jsonl").write_text('{"iteration": 60, "seconds": 9.0}\n')
    html = page(made, fresh=False)
    file = tmp_path / "report.html"
    file.write_text(html.replace("</body>", ACTS))
    dom = chromium.dom(file)
    found, charts = data(dom), embedded(html)["charts"]
    assert "error" not in found, found["error"]
    assert int(found["drawn"]) == len(charts) == dom.count("<svg")
    assert found["seeds"] == "3" and found["alone"] == "0" and found["closed"] == "0"
    assert found["axis"] == "true" and found["wide"] == "true"
    last = next(line for line in charts[0]["lines"] if line["name"] == "interquartile mean")
    assert f"interquartile mean: {last['y'][-1]:.4g}".rstrip("0") in found["end"]


def test_every_kind_of_chart_is_drawn_on_a_phone(tmp_path: Path) -> None:
    """Those of the behaviour too, from made-up numbers: names that need escaping, one bin, empty shares."""
    told = with_names([tell(folder(tmp_path / "run", rows()))])
    heat = Heat(
        "heat", "Actions <&>", "About.", "action", "state", ("step 1", "step 9"),
        (("before", ("0", "1")), ("after", ("0", "1"))), np.array([[0.5, 0.5, 0.1, 0.9], [0.5, 0.5, np.nan, 1.0]]),
    )  # fmt: skip
    bars = (Stack("terminated: 0", np.zeros(1)), Stack("truncated: 9", np.array([9.0]), 1))
    columns = Columns("bars", "Lengths", "About.", "steps", "episodes", np.array([499.5, 500.5]), bars)
    long = "critic: explained variance of Monte-Carlo returns, of a run with a long name"
    estimates = (IntervalRow(long, 0.5, 0.1, 0.9), IntervalRow("short", -0.2))
    levels = (Level(1.0, "as much noise as signal"),)
    intervals = Intervals("ratios", "Ratios", "About.", "ratio", estimates, levels)
    steps = np.arange(5.0)
    curve = Line("run", steps, 0.5 + 0.0005 * steps)
    flat = Lines("flat", "Flat", "About.", "steps", "probability", (curve,), (Level(0.5, "half of all"),), span=0.2)
    charts = (heat, columns, intervals, flat)
    html = _document(told, [Examination()], [Section("behaviour", "Behaviour", charts)], [], None)
    file = tmp_path / "report.html"
    file.write_text(html.replace("</body>", MEASURES))
    dom = chromium.dom(file, width=390, height=800)
    assert data(dom).get("drawn") == "4" and "error" not in data(dom)
    assert data(dom)["cut"] == data(dom)["shortened"] == ""
    assert float(data(dom)["rise"]) < 5  # pixels: a difference of 0.002
    assert float(data(dom)["above"]) < float(data(dom)["top"])  # a level's name is not among the curves
    assert dom.count('class="cell"') == 8 and "Actions &lt;&amp;&gt;" in dom and "NaN" not in dom


@pytest.mark.slow  # it measures time
def test_ten_long_seeds_open_in_two_seconds_and_are_small(tmp_path: Path) -> None:
    """10 seeds of 10^4 rows: below 8 MB, and drawn within 2 seconds."""
    rng = np.random.default_rng(0)
    returns = 100 * rng.random((10_000, 10)) + np.linspace(0, 400, 10_000)[:, None]
    history = [row(seed, i + 1, float(returns[i, seed])) for i in range(10_000) for seed in range(10)]
    html = page(folder(tmp_path / "run", history, 10), fresh=False)
    file = tmp_path / "report.html"
    file.write_text(html)
    found = data(chromium.dom(file))
    assert len(html) < 8e6 and int(found["milliseconds"]) < 2000, (len(html), found)
