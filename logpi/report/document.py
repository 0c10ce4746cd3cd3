"""The page of a report: one HTML file that needs nothing else."""

import base64
import dataclasses
import html
import json
from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from ..errors import check_between, check_flag, check_several, check_whole, InputError
from ..runs.folder import films
from ..runs.run import Run
from .charts import as_data, Chart, shown, table
from .findings import compared, Finding, findings, of_measured, worst_first
from .folders import tell, Told, with_names
from .measure import Examination, measure
from .panels import behaviour, learning, repeat, several_runs, updates

_MARKS = {"fault": "✕", "warning": "!", "note": "i", "good": "✓"}
NEWEST_FILMS = 3
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; media-src data:"


@dataclasses.dataclass(frozen=True)
class Section:
    """A part of the page: a headline, a sentence, charts, and whatever else there is to read."""

    key: str
    title: str
    charts: tuple[Chart, ...] = ()
    words: str = ""  # HTML, between headline and charts


def page(
    runs: Sequence[Run | str | Path] | Run | str | Path, *, fresh: bool = True, episodes: int | None = None,
    env: Any = None, says: Callable[[str], object] = str, films: Sequence[bytes | None] = (),
    refresh: float | None = None,
) -> str:  # fmt: skip
    """The report of some runs as one self-contained HTML page.

    `runs` are folders or runs. With `fresh`, their last policies play `episodes` new episodes each way, are audited,
    and are shown a probe of states; without, the page holds what the folders say. `env` is the environment, where that
    is more than a name. `says` hears what is being measured. `films` are MP4 files, one for each run or none. With
    `refresh`, the page loads itself anew after so many seconds. Raises `InputError` for a folder without a run, or a
    damaged one.
    """
    refresh = check_between("refresh", refresh, 0, optional=True)
    told, measured, sections = gather(runs, fresh=fresh, episodes=episodes, env=env, says=says, films=films)
    found = [finding for each in told for finding in findings(each)]
    for env in dict.fromkeys(each.run.env for each in told):
        found += compared([each for each in told if each.run.env == env])
    found += [finding for each, m in zip(told, measured, strict=True) for finding in of_measured(each, m)]
    found = _linked(worst_first(found), sections)
    text = _document(told, measured, sections, found, refresh)
    return text.encode(errors="backslashreplace").decode()  # a folder's name may be no text


def gather(
    runs: Sequence[Run | str | Path] | Run | str | Path, *, fresh: bool, episodes: int | None = None, env: Any = None,
    says: Callable[[str], object] = str, films: Sequence[bytes | None] = (),
) -> tuple[list[Told], list[Examination], list[Section]]:  # fmt: skip
    """What runs tell of themselves, what was measured of them now, and the parts of the page on both."""
    fresh = check_flag("fresh", fresh)
    episodes = check_whole("episodes", episodes, 1, optional=True)
    subjects = subjects_of("runs", runs)
    films = check_several("films", films, "() for none")
    if films and (len(films) != len(subjects) or not all(isinstance(film, bytes | None) for film in films)):
        raise InputError("films must hold the bytes of an MP4 file, or None, for each run: give as many as runs.")
    told = with_names([tell(subject, i) for i, subject in enumerate(subjects)])
    measured = [measure(each, episodes, env, says) if fresh else Examination() for each in told]
    return told, measured, _sections(told, measured, films or [None] * len(told))


def subjects_of(name: str, runs: Any) -> list[Any]:
    """One run or folder, or several, as a list. Raises `InputError` for what is neither, and for none."""
    subjects = [runs] if isinstance(runs, Run | str | Path) else check_several(name, runs, "['runs/mine']")
    if not subjects:
        raise InputError(f"{name} is empty, so there is nothing to tell of: give a run or its folder.")
    return subjects


def _sections(told: list[Told], measured: list[Examination], films: list[bytes | None]) -> list[Section]:
    full = [each for each in zip(told, measured, films, strict=True) if not each[0].empty]
    environments = list(dict.fromkeys(each.run.env for each, _, _ in full))
    sections = []
    for i, env in enumerate(environments):
        mine = [each for each in full if each[0].run.env == env]
        runs, fresh, shot = (list(column) for column in zip(*mine, strict=True))
        sections += _of_environment(runs, fresh, shot, "" if len(environments) == 1 else f"-{i}")
    return [*sections, _repeat(told)]


def _of_environment(
    told: list[Told], measured: list[Examination], films: list[bytes | None], suffix: str
) -> list[Section]:
    """Learning, comparison, gradient, updates and behaviour of the runs of one environment."""
    of = f": {told[0].run.env}" if suffix else ""
    words = ""
    if len(told) > 1:
        words = f"<p>Scores are the {several_runs.SCORE}; 95 % intervals.</p>" + _table(*several_runs.table(told))
    acts = [chart for each, fresh in zip(told, measured, strict=True) for chart in behaviour.charts(each, fresh)]
    sections = [
        Section("learning", "Learning", tuple(learning.charts(told, measured))),
        Section("comparison", "Comparison", tuple(several_runs.charts(told)), words),
        Section("gradient", "Gradient", tuple(updates.gradient(told, measured))),
        Section("updates", "Policy and critic", tuple(updates.updates(told))),
        Section("behaviour", "Behaviour", tuple(acts), "".join(map(_films, told, films))),
    ]
    kept = [section for section in sections if section.charts or section.words]
    return [
        dataclasses.replace(
            section, key=section.key + suffix, title=section.title + of,
            charts=tuple(dataclasses.replace(chart, key=chart.key + suffix) for chart in section.charts),
        )
        for section in kept
    ]  # fmt: skip


def _linked(found: list[Finding], sections: list[Section]) -> list[Finding]:
    """Findings whose chart is on the page; the others point to the first section that is."""
    keys = {chart.key for section in sections for chart in section.charts} | {s.key for s in sections}
    ends = [key for key in keys if "-" in key]
    result = []
    for finding in found:
        near = [key for key in sorted(ends) if key.startswith(finding.chart + "-")]
        target = finding.chart if finding.chart in keys else near[0] if near else "settings"
        result.append(dataclasses.replace(finding, chart=target))
    return result


def _repeat(told: list[Told]) -> Section:
    """Settings, versions and times."""
    parts = []
    for each in told:
        parts.append(f"<h3>{_swatch(each)}{_e(each.name)}</h3>" if len(told) > 1 else "")
        line = repeat.command(each)
        text = _e(line) if line else "Made in Python, with settings that no command line says: they are below."
        parts.append(f"<pre tabindex=0 aria-label='Command line'>{text}</pre>" if line else f"<p>{text}</p>")
        groups = [
            f"<div><h4>{_e(title)}</h4><dl>{''.join(f'<dt>{_e(k)}</dt><dd>{_e(v)}</dd>' for k, v in rows)}</dl></div>"
            for title, rows in repeat.facts(each)
            if rows
        ]
        parts.append(f"<div class=facts>{''.join(groups)}</div>")
    return Section("settings", "To do it again", (), "".join(parts))


def _document(
    told: list[Told], measured: list[Examination], sections: list[Section], found: list[Finding], refresh: float | None
) -> str:
    title = _title(told)
    again = f"<meta http-equiv=refresh content={refresh:g}>" if refresh else ""
    data = {
        "runs": [each.name for each in told],
        "charts": [as_data(chart) for section in sections for chart in section.charts],
    }
    notes = [note for each, fresh in zip(told, measured, strict=True) for note in (*each.notes, *fresh.notes)]
    links = "".join(f"<a href='#{_e(s.key)}'>{_e(s.title)}</a>" for s in sections)
    body = "".join(_section(section) for section in sections)
    return f"""<!doctype html>
<html lang=en>
<head>
<meta charset=utf-8>
<meta name=viewport content="width=device-width, initial-scale=1">
<meta http-equiv=Content-Security-Policy content="{_POLICY}">
{again}<title>{_e(title)} - logpi report</title>
<style>{_asset("report.css")}</style>
</head>
<body>
<header><p class=brand>logpi report</p><h1>{_e(title)}</h1>{_legend(told)}</header>
{_key_numbers(told)}
<section id=findings aria-labelledby=findings-title><h2 id=findings-title>Findings</h2>
{_findings(found, told)}</section>
<nav aria-label=Sections>{links}<span id=controls></span></nav>
<noscript><p class=aside>The figures need scripts; the same numbers are in the tables below them.</p></noscript>
<main>{body}</main>
{_notes(notes)}
<footer>Made by logpi. This page is one file: it loads nothing and sends nothing.</footer>
<div id=said class=hidden aria-live=polite></div>
<script type=application/json id=data>{_embedded(data)}</script>
<script>{_asset("scales.js")}{_asset("shapes.js")}{_asset("charts.js")}</script>
</body>
</html>
"""


def _section(section: Section) -> str:
    figures = "".join(_figure(chart) for chart in section.charts)
    grid = f"<div class=figures>{figures}</div>" if figures else ""
    key = _e(section.key)
    return (
        f"<section id='{key}' aria-labelledby='{key}-title'><h2 id='{key}-title'>{_e(section.title)}</h2>"
        f"{section.words}{grid}</section>"
    )


def _figure(chart: Chart) -> str:
    """A figure with its title, its sentence, its place, and its numbers."""
    key = _e(chart.key)
    wide = " class=wide" if chart.wide else ""
    return (
        f"<figure id='{key}'{wide}><figcaption><h3>{_e(chart.title)}</h3><p>{_e(chart.about)}</p></figcaption>"
        f"<div class=plot data-chart='{key}' role=img tabindex=0 "
        f"aria-label='{_e(f'{chart.title}. {chart.about} The numbers are in the table below.')}'></div>"
        f"<details><summary>Numbers</summary>{_table(*table(chart))}</details></figure>"
    )


def _films(told: Told, fresh: bytes | None) -> str:
    """The newest that were made on the way, and one of the last policy."""
    label = f"An episode of {told.name}, seed {told.run.seeds[0]}"
    kept = [] if told.folder is None else films(told.folder)[-NEWEST_FILMS:]
    shots = [(f"{label}, after {steps:,} steps", path.read_bytes()) for steps, path in kept]
    shots += [] if fresh is None else [(f"{label}, actions drawn", fresh)]
    return "".join(_film(*shot) for shot in shots)


def _film(label: str, film: bytes) -> str:
    """An episode that plays when somebody asks for it."""
    data = base64.b64encode(film).decode()
    return (
        f"<p>{_e(label)}.</p><video class=film controls muted playsinline preload=metadata aria-label='{_e(label)}' "
        f"src='data:video/mp4;base64,{data}'></video>"
    )


def _table(head: list[str], rows: list[list[str]]) -> str:
    top = "".join(f"<th scope=col>{_e(cell)}</th>" for cell in head)
    body = "".join(
        f"<tr><th scope=row>{_e(row[0])}</th>{''.join(f'<td>{_e(cell)}</td>' for cell in row[1:])}</tr>" for row in rows
    )
    return f"<div class=table tabindex=0><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"


def _findings(found: list[Finding], told: list[Told]) -> str:
    if not found:
        return "<p>Nothing stands out.</p>"
    items = []
    for finding in found:
        name = f"<b>{_e(told[finding.run].name)}.</b> " if len(told) > 1 else ""
        mark = f"<span class=mark aria-hidden=true>{_MARKS[finding.level]}</span>"
        word = f"<span class=hidden>{finding.level}: </span>"
        link = f"<a href='#{_e(finding.chart)}'>figure</a>" if finding.chart != "settings" else ""
        items.append(f"<li class={finding.level}>{mark}<p>{word}{name}{_e(finding.text)} {link}</p></li>")
    return f"<ul class=findings>{''.join(items)}</ul>"


def _key_numbers(told: list[Told]) -> str:
    """The few numbers that people look for first, of a single run."""
    if len(told) > 1 or told[0].empty:
        return ""
    only, cells = told[0], []
    (_, rows) = several_runs.table(told)
    if rows:
        value, _, bounds = rows[0][3].partition(" ")
        cells.append((value, "return at the end" + (", IQM of seeds" if len(only.run.seeds) > 1 else ""), bounds))
    cells.append((f"{only.steps:,}", "agent steps of each seed", ""))
    cells.append((str(len(only.run.seeds)), "seeds" if len(only.run.seeds) > 1 else "seed", ""))
    seconds, speed = (only.run.summary.get(key) for key in ("train_seconds", "steps_per_second"))
    if isinstance(seconds, int | float) and isinstance(speed, int | float):
        cells.append((f"{shown(seconds)} s", "of training", f"{speed:,.0f} steps a second"))
    items = "".join(
        f"<div><dt>{_e(what)}</dt><dd>{_e(n)}<small>{_e(more)}</small></dd></div>" for n, what, more in cells
    )
    return f"<dl class=numbers>{items}</dl>"


def _legend(told: list[Told]) -> str:
    if len(told) < 2:
        return f"<p>{_e(_subtitle(told[0]))}</p>"
    items = "".join(
        f"<li>{_swatch(each)}<b>{_e(each.name)}</b> {_e(each.run.env)}, {_e(_subtitle(each))}</li>" for each in told
    )
    return f"<ul class=legend>{items}</ul>"


def _subtitle(told: Told) -> str:
    seeds = "1 seed" if len(told.run.seeds) == 1 else f"{len(told.run.seeds)} seeds"
    folder = f", {told.folder}" if told.folder else ""
    return f"{seeds}, {told.steps:,} steps each, {told.status}{folder}"


def _title(told: list[Told]) -> str:
    environments = list(dict.fromkeys(each.run.env for each in told))
    if len(told) == 1:
        return f"{told[0].algorithm} on {environments[0]}"
    names = " and ".join(each.name for each in told) if len(told) < 4 else f"{len(told)} runs"
    return f"{names} on {environments[0]}" if len(environments) == 1 else f"{len(told)} runs, {len(environments)} tasks"


def _notes(notes: list[str]) -> str:
    items = "".join(f"<li>{_e(note)}</li>" for note in dict.fromkeys(notes))
    return f"<section id=notes><h2>Left out</h2><ul>{items}</ul></section>" if items else ""


def _swatch(told: Told) -> str:
    return f"<i class='swatch run-{told.index % 6}' aria-hidden=true></i>"


def _embedded(data: Any) -> str:
    """JSON that cannot end the element it stands in."""
    return json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


def _asset(name: str) -> str:
    return (files("logpi.report") / "assets" / name).read_text(encoding="utf-8")


def _e(text: str) -> str:
    return html.escape(text, quote=True)
