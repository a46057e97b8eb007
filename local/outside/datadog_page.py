"""The deployed dashboard and monitors, drawn from the received records as Datadog would: HTML and SVG, no script."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from html import escape
from urllib.parse import urlencode

from local.outside.datadog import DatadogObjects
from local.outside.datadog_metrics import Log, Metrics, QueryError
from local.outside.datadog_monitors import MonitorState, monitor_state
from local.outside.datadog_query import COMPARISONS, Group, Scope, Series, Window
from local.outside.datadog_widgets import Column, Row, columns, rows
from local.outside.records import Json


@dataclass(frozen=True, slots=True)
class Span:
    """A choice of time, in seconds, with the intervals of lines and bars, and what is written below a chart how often.

    The intervals are Datadog's: docs.datadoghq.com/dashboards/functions/rollup.
    """

    label: str
    seconds: float
    line: float
    bars: float
    ticks: float
    tick: str


SPANS = {
    "1h": Span("Past hour", 3600, 20, 60, 600, "%H:%M"),
    "1d": Span("Past day", 86_400, 300, 1200, 14_400, "%H:%M"),
    "1w": Span("Past week", 7 * 86_400, 3600, 7200, 86_400, "%a %d"),
    "1mo": Span("Past month", 30 * 86_400, 14_400, 43_200, 5 * 86_400, "%b %d"),
}
VARIABLE = "tpl_var_"  # as in Datadog's own addresses
_COLOURS = 12
_SHOWN = 12  # lines of a legend, the largest
_TICKS = 4
_TOP, _WARN = "alert", "warn"
_PALETTES = {"white_on_red": _TOP, "red_on_white": _TOP, "black_on_light_red": _TOP}
_STATES = {"OK": "ok", "Warn": "warn", "Alert": "alert", "No Data": "none"}

_STYLE = """
:root { color-scheme: light dark; --ink: #1c2330; --soft: #5c6675; --line: #e1e5ec; --card: #fff; --back: #f4f6f9;
  --accent: #2457c5; --bar: #2457c530; --bad: #b3261e; --warn: #8a5a00; --good: #1b6e3c; --track: #eef1f6;
  --c0: #4c7fe0; --c1: #e59a35; --c2: #3fa57a; --c3: #cf5f6b; --c4: #8e70d6; --c5: #35a5b5; --c6: #b9773a;
  --c7: #7d9a3c; --c8: #d46fa6; --c9: #66758f; --c10: #b09a2f; --c11: #356f9c }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ef; --soft: #9aa5b5; --line: #2c3440; --card: #1a2029;
  --back: #12161d; --accent: #86aaff; --bar: #86aaff2b; --bad: #ff8a80; --warn: #f0c070; --good: #7bd49b;
  --track: #252d38; --c0: #6f9bf2; --c1: #f0b054; --c2: #5cc096; --c3: #e57f8a; --c4: #a98ff0; --c5: #55c0cf;
  --c6: #d29757; --c7: #9fbb5c; --c8: #ea90c0; --c9: #8d9bb3; --c10: #cdb850; --c11: #5f97c2 } }
* { box-sizing: border-box }
body { margin: 0; background: var(--back); color: var(--ink); font: 14px/1.45 system-ui, sans-serif;
  font-variant-numeric: tabular-nums }
header, main, footer { max-width: 88rem; margin: 0 auto; padding: 0 1.25rem }
header { padding-top: 1.4rem } main { padding-top: .9rem }
h1 { font-size: 1.35rem; margin: 0 } h2 { font-size: 1.02rem; margin: 2rem 0 .7rem }
h3 { font-size: .86rem; font-weight: 600; margin: 0 0 .7rem } a { color: var(--accent) } p { margin: .3rem 0 }
.top { display: flex; flex-wrap: wrap; gap: .4rem 1.2rem; align-items: baseline } .soft { color: var(--soft) }
form { display: flex; flex-wrap: wrap; gap: .7rem; align-items: end; margin: 1rem 0 0; padding: .8rem 1rem;
  background: var(--card); border: 1px solid var(--line); border-radius: 10px }
label { display: grid; gap: .15rem; font-size: .78rem; color: var(--soft); flex: 1 1 9rem; min-width: 0 }
select, button { font: inherit; color: inherit; width: 100%; min-width: 0; padding: .38rem .5rem;
  border: 1px solid var(--line); border-radius: 6px; background: var(--back) }
button { width: auto; cursor: pointer; background: var(--accent); border-color: var(--accent); color: var(--card);
  padding-inline: 1.1rem }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px }
.grid { display: grid; grid-template-columns: repeat(12, minmax(0, 1fr)); gap: .9rem }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: .9rem 1rem; min-width: 0;
  grid-column: span var(--w, 12) }
.group { grid-column: 1 / -1; min-width: 0 } .group > h2 { margin-top: 1.3rem }
@media (max-width: 64rem) { .card { grid-column: span 12 } }
@media (max-width: 40rem) { header, main, footer { padding-inline: .7rem } .card { padding: .8rem } }
.empty { color: var(--soft); padding: 1.6rem 0; text-align: center }
.error { color: var(--bad) } .note p { max-width: 60rem }
.scroll { overflow: auto; max-height: 31rem; margin: 0 -.3rem; padding: 0 .3rem }
table { border-collapse: separate; border-spacing: 0; width: 100%; font-size: .92em }
td:not(.n) { max-width: 22rem; overflow: hidden; text-overflow: ellipsis }
@media (max-width: 40rem) { td:not(.n) { max-width: 7.5rem } }
th { position: sticky; top: 0; background: var(--card); color: var(--soft); font-weight: 500; font-size: .8rem;
  text-align: left; border-bottom: 1px solid var(--line) }
td, th { padding: .32rem .6rem; white-space: nowrap } td { border-bottom: 1px solid var(--line) }
tr:last-child td { border-bottom: 0 } td.n, th.n { text-align: right }
td.share { background: linear-gradient(to left, var(--bar) var(--p), transparent 0) }
td:first-child, th:first-child { padding-left: .1rem }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(8.5rem, 1fr)); gap: .8rem 1.4rem; margin: 0 }
.tiles dt { color: var(--soft); font-size: .8rem } .tiles dd { margin: 0; font-size: 1.5rem; font-weight: 600 }
ol.list { list-style: none; margin: 0; padding: 0; display: grid; gap: .28rem; max-height: 24rem; overflow: auto }
ol.list li { display: grid; grid-template-columns: minmax(0, 1fr) auto; gap: .8rem; padding: .22rem .5rem;
  border-radius: 5px; background: linear-gradient(to right, var(--bar) var(--p), var(--track) 0) }
ol.list span:first-child { overflow-wrap: anywhere }
li.alert { --bar: #d1453b55; font-weight: 600 } li.warn { --bar: #e0a52e55 }
.chart { display: grid; grid-template-columns: auto minmax(0, 1fr); gap: 0 .5rem }
.chart svg { width: 100%; height: 11rem; display: block; overflow: visible } .y { display: flex;
  flex-direction: column-reverse; justify-content: space-between; margin: -.55rem 0; text-align: right }
.x { grid-column: 2; position: relative; height: 1.2rem; margin-top: .3rem } .x, .y { font-size: .74rem;
  color: var(--soft) } .x span { position: absolute; transform: translateX(-50%); white-space: nowrap }
@media (max-width: 40rem) { .x span:nth-child(even) { display: none } }
svg .rule { stroke: var(--line) } svg path { fill: none; stroke-linecap: round; stroke-linejoin: round }
ul.legend { list-style: none; margin: .7rem 0 0; padding: 0; display: flex; flex-wrap: wrap; gap: .15rem 1.1rem;
  font-size: .82rem } ul.legend b { font-weight: 500 } i.dot { display: inline-block; width: .62rem; height: .62rem;
  border-radius: 2px; margin-right: .4rem }
.donut { display: grid; grid-template-columns: minmax(7rem, 12rem) minmax(0, 1fr); gap: 1.2rem; align-items: center }
.donut svg { width: 100% } .donut ul.legend { display: grid; margin: 0 } .donut li { display: grid;
  grid-template-columns: auto minmax(0, 1fr) auto auto; gap: .5rem; align-items: baseline; padding: .12rem 0 }
@media (max-width: 40rem) { .donut { grid-template-columns: minmax(0, 1fr); justify-items: center }
  .donut svg { width: 11rem } .donut ul.legend { width: 100% } }
.donut li b { overflow-wrap: anywhere } text { fill: var(--ink); font: 600 5px system-ui, sans-serif }
.pill { display: inline-block; min-width: 5.6rem; text-align: center; border-radius: 99px; padding: .05rem .6rem;
  font-size: .76rem; font-weight: 600; border: 1px solid currentColor } .pill.ok { color: var(--good) }
.pill.alert { color: #fff; background: #c0392f; border-color: #c0392f } .pill.warn { color: var(--warn) }
.pill.none { color: var(--soft) } .monitor { display: grid; grid-template-columns: auto minmax(0, 1fr);
  gap: .1rem .9rem; padding: .7rem 0; border-top: 1px solid var(--line) } .monitor:first-child { border: 0 }
.monitor > div { min-width: 0 } summary { cursor: pointer; color: var(--soft); font-size: .84rem }
code { font-size: .86em; overflow-wrap: anywhere } .monitor ul { margin: .3rem 0; padding-left: 1.1rem }
footer { color: var(--soft); font-size: .82rem; padding-block: 1.5rem 3rem }
"""


@dataclass(frozen=True)
class _Drawing:
    """What every widget is drawn from. Each value of a tag has one colour on the whole page."""

    scope: Scope
    span: Span
    colours: dict[tuple[str, ...], dict[str, int]] = field(default_factory=dict)

    def colour(self, group: Group, label: str) -> str:
        known = self.colours.setdefault(tuple(tag for tag, _ in group), {})
        return f"var(--c{known.setdefault(label, len(known)) % _COLOURS})"

    def columns(self, request: Json, *, scalar: bool, bars: bool = False) -> list[Column]:
        window = Window(self.scope.window.start, self.scope.window.end, self.span.bars if bars else self.span.line)
        return columns(request, Scope(self.scope.metrics, window, self.scope.variables), scalar=scalar)


def render(
    objects: DatadogObjects, records: Sequence[tuple[float, Json]], query: Mapping[str, str], *, now: float
) -> str:
    """Return the page, whole and without anything to load.

    Parameters
    ----------
    objects
        What the deployment made.
    records
        What was received, with the time of arrival in seconds since 1970.
    query
        The choices: `dashboard` (an id), `time` (a key of SPANS) and `tpl_var_<name>` for the template variables.
    now
        The end of the time that is shown.
    """
    dashboards = objects.dashboards()
    dashboard = next((each for each in dashboards if each["id"] == query.get("dashboard")), None)
    dashboard = dashboard or (dashboards[0] if dashboards else None)
    if dashboard is None:
        body = (
            '<main><p class="card empty">No dashboard is deployed yet: a deployment with Datadog makes it.</p></main>'
        )
        return _document("Datadog", f'<header class="top"><h1>Datadog</h1>{_BACK}</header>{body}')
    metrics = Metrics(objects.metrics(), [Log(arrived, record) for arrived, record in records])
    first = records[0][0] if records else now
    span = SPANS.get(query.get("time", "")) or _shortest(now - first)
    chosen = {
        variable["name"]: (variable.get("prefix") or variable["name"], query.get(VARIABLE + variable["name"]) or "*")
        for variable in dashboard.get("template_variables") or []
    }
    drawing = _Drawing(Scope(metrics, Window(now - span.seconds, now, span.line), chosen), span)
    header = f"""<header><div class="top"><h1>{escape(dashboard["title"])}</h1>{_BACK}</div>
{_others(dashboards, dashboard)}{_form(dashboard, metrics, chosen, span)}</header>"""
    hint = "" if records else _HINT
    drawn = "".join(_widget(widget, drawing) for widget in dashboard["widgets"])
    monitors = "".join(_monitor(monitor, metrics, now) for monitor in objects.monitors())
    drawn_at = _local(now)
    return _document(
        dashboard["title"],
        f"""{header}<main>{hint}<div class="grid">{drawn}</div>
<h2 id="monitors">Monitors</h2><div class="card">{monitors or _NO_MONITOR}</div></main>
<footer>{len(records):,} records, drawn at {drawn_at:%Y-%m-%d %H:%M:%S %Z} from what the deployment made in the
simulated Datadog: <a href="/datadog/objects">its definitions</a>, <a href="/datadog">the records</a>.</footer>""",
    )


def _document(title: str, body: str) -> str:
    return f"""<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>{escape(title)}</title>
<style>{_STYLE}</style></head><body>{body}</body></html>"""


def _shortest(age: float) -> Span:
    """Return the shortest time in which all there is has come."""
    return next((span for span in SPANS.values() if span.seconds >= age), SPANS["1mo"])


def _others(dashboards: Sequence[Json], shown: Json) -> str:
    links = "".join(
        f'<a href="/dashboard?{urlencode({"dashboard": each["id"]})}">{escape(each["title"])}</a> '
        for each in dashboards
        if each["id"] != shown["id"]
    )
    return f'<p class="soft">Other dashboards: {links}</p>' if links else ""


def _form(dashboard: Json, metrics: Metrics, chosen: Mapping[str, tuple[str, str]], span: Span) -> str:
    times = "".join(_option(key, each.label, selected=each is span) for key, each in SPANS.items())
    fields = f'<label>Time<select name="time">{times}</select></label>'
    for name, (tag, value) in chosen.items():
        values = metrics.tag_values(tag)
        values += [] if value == "*" or value in values else [value]
        options = "".join(_option(each, each, selected=each == value) for each in values)
        anything = _option("*", "all", selected=value == "*")
        label = escape(name)
        fields += f'<label>{label}<select name="{VARIABLE}{label}">{anything}{options}</select></label>'
    id_ = escape(dashboard["id"])
    return f'<form><input type="hidden" name="dashboard" value="{id_}">{fields}<button>Show</button></form>'


def _option(value: str, label: str, *, selected: bool) -> str:
    return f'<option value="{escape(value)}"{" selected" if selected else ""}>{escape(label)}</option>'


def _widget(widget: Json, drawing: _Drawing) -> str:
    definition = widget["definition"]
    if definition["type"] == "group":
        inner = "".join(_widget(each, drawing) for each in definition["widgets"])
        title = f"<h2>{escape(definition['title'])}</h2>" if definition.get("title") else ""
        return f'<section class="group">{title}<div class="grid">{inner}</div></section>'
    title = f"<h3>{escape(definition['title'])}</h3>" if definition.get("title") else ""
    draw = _WIDGETS.get(definition["type"])
    try:
        body = draw(definition, drawing) if draw else _error(f"A {definition['type']} is not drawn here.")
    except QueryError as error:
        body = _error(str(error))
    width = int((widget.get("layout") or {}).get("width", 12))
    return f'<section class="card {definition["type"]}" style="--w:{width}">{title}{body}</section>'


def _error(message: str) -> str:
    return f'<p class="error">{escape(message)}</p>'


def _note(definition: Json, drawing: _Drawing) -> str:
    paragraphs = re.split(r"\n\s*\n", definition["content"].strip())
    return "".join(f"<p>{_marked(paragraph)}</p>" for paragraph in paragraphs)


def _marked(text: str) -> str:
    """Return bold, code and line breaks of Markdown as HTML, and anything else as its text."""
    html = re.sub(r"\*\*([^*]+)\*\*", r"<b>\1</b>", escape(text))
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html).replace("\n", "<br>")


def _table(definition: Json, drawing: _Drawing) -> str:
    (request,) = definition["requests"]
    found = drawing.columns(request, scalar=True)
    table = rows(request, found)
    if not table:
        return _EMPTY
    tags = found[0].series.tags
    if not tags:
        values = zip(found, table[0].values, strict=True)
        tiles = "".join(f"<dt>{escape(c.label)}</dt><dd>{_number(v, c.format)}</dd>" for c, v in values)
        return f'<dl class="tiles">{_paired(tiles)}</dl>'
    heads = [f'<th scope="col">{escape(tag)}</th>' for tag in tags]
    heads += [f'<th scope="col" class="n">{escape(column.label)}</th>' for column in found]
    most = [max((row.values[n] or 0 for row in table), default=0) for n in range(len(found))]
    body = "".join(_table_row(row, found, most) for row in table)
    label = escape(definition.get("title", "Table"))
    return f"""<div class="scroll" tabindex="0" role="region" aria-label="{label}"><table><thead><tr>{"".join(heads)}
</tr></thead><tbody>{body}</tbody></table></div>"""


def _paired(tiles: str) -> str:
    return tiles.replace("<dt>", "<div><dt>").replace("</dd>", "</dd></div>")


def _table_row(row: Row, found: Sequence[Column], most: Sequence[float]) -> str:
    cells = "".join(f'<td title="{escape(value)}">{escape(value)}</td>' for _, value in row.group)
    for number, (column, value) in enumerate(zip(found, row.values, strict=True)):
        share = f' share" style="--p:{_percent(value, most[0])}' if number == 0 else ""
        cells += f'<td class="n{share}">{_number(value, column.format)}</td>'
    return f"<tr>{cells}</tr>"


def _toplist(definition: Json, drawing: _Drawing) -> str:
    (request,) = definition["requests"]
    found = drawing.columns(request, scalar=True)
    table = [(row, value) for row in rows(request, found) if (value := row.values[0]) is not None]
    most = max((value for _, value in table), default=0)
    lines = "".join(
        f'<li class="{_mark(value, request.get("conditional_formats") or [])}" style="--p:{_percent(value, most)}">'
        f"<span>{escape(_name(row.group, found[0]))}</span><span>{_number(value, found[0].format)}</span></li>"
        for row, value in table
    )
    return f'<ol class="list">{lines}</ol>' if lines else _EMPTY


def _mark(value: float, formats: Iterable[Json]) -> str:
    for each in formats:
        if COMPARISONS[each["comparator"]](value, each["value"]):
            return _PALETTES.get(each["palette"], _WARN)
    return ""


def _share(definition: Json, drawing: _Drawing) -> str:
    """Return a ring of the groups' shares, with the whole in its middle."""
    (request,) = definition["requests"]
    (column,) = drawing.columns(request, scalar=True)
    table = [(row.group, value) for row in rows(request, [column]) if (value := row.values[0] or 0) > 0]
    whole = math.fsum(value for _, value in table)
    if not whole:
        return _EMPTY
    arcs, legend, turned = "", "", 0.0
    for group, value in table:
        name = _name(group, column)
        colour, share = drawing.colour(group, name), value / whole
        title = f"{escape(name)}: {_number(value, column.format)} ({share:.1%})"
        arcs += (
            f'<circle r="15.9155" cx="21" cy="21" fill="none" stroke="{colour}" stroke-width="6" pathLength="100" '
            f'stroke-dasharray="{max(share * 100 - 0.5, 0.2):.2f} 100" stroke-dashoffset="{-turned * 100:.2f}" '
            f'transform="rotate(-90 21 21)"><title>{title}</title></circle>'
        )
        legend += (
            f'<li><i class="dot" style="background:{colour}"></i><b>{escape(name)}</b>'
            f'<span>{_number(value, column.format)}</span><span class="soft">{share:.1%}</span></li>'
        )
        turned += share
    middle = f'<text x="21" y="22.8" text-anchor="middle">{_number(whole, column.format, short=True)}</text>'
    label = escape(definition.get("title", "Shares"))
    ring = f'<svg viewBox="0 0 42 42" role="img" aria-label="{label}">{arcs}{middle}</svg>'
    return f'<div class="donut">{ring}<ul class="legend">{legend}</ul></div>'


@dataclass(frozen=True, slots=True)
class _Line:
    name: str
    colour: str
    values: Mapping[float, float]
    total: float


def _timeseries(definition: Json, drawing: _Drawing) -> str:
    (request,) = definition["requests"]
    bars = request.get("display_type") == "bars"
    found = drawing.columns(request, scalar=False, bars=bars)
    lines = [
        _Line(_name(group, column), drawing.colour(group, _name(group, column)), values, math.fsum(values.values()))
        for column in found
        for group, values in _largest_first(column.series)
        if values
    ]
    if not lines:
        return _EMPTY
    step = drawing.span.bars if bars else drawing.span.line
    window = drawing.scope.window
    start, end = math.floor(window.start / step) * step, math.ceil(window.end / step) * step
    format_ = found[0].format
    lowest, highest = _reach(lines, added=bars)
    tick = _nice((highest - lowest) / _TICKS)
    tick = tick if format_ else max(tick, 1.0)  # what is counted has no halves
    bottom, top = tick * math.floor(lowest / tick), tick * math.ceil(highest / tick)
    place = _Place(start, end, bottom, max(top, bottom + tick), step)
    drawn = _bars(lines, place, format_) if bars else _lines(lines, place)
    rules = "".join(
        f'<line class="rule" x1="0" x2="1000" y1="{place.y(value):.1f}" y2="{place.y(value):.1f}" '
        f'vector-effect="non-scaling-stroke"/>'
        for value in _steps(tick, place)
    )
    labels = "".join(f"<span>{_number(value, format_, short=True)}</span>" for value in _steps(tick, place))
    marks = "".join(
        f'<span style="left:{place.x(time) / 10:.1f}%">{_local(time):{drawing.span.tick}}</span>'
        for time in _round_times(start, end, drawing.span.ticks)
    )
    return f"""<div class="chart"><div class="y">{labels}</div><svg viewBox="0 0 1000 100" preserveAspectRatio="none"
role="img" aria-label="{escape(definition.get("title", "Chart"))}">{rules}{drawn}</svg>
<div class="x">{marks}</div></div>
{_legend(lines, format_, added=bars)}"""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a time and a value are in a picture, 1000 wide and 100 high."""

    start: float
    end: float
    bottom: float
    top: float
    step: float

    def x(self, time: float) -> float:
        return (time - self.start) / (self.end - self.start) * 1000

    def y(self, value: float) -> float:
        return 100 - (value - self.bottom) / (self.top - self.bottom) * 100


def _reach(lines: Sequence[_Line], *, added: bool) -> tuple[float, float]:
    """Return how far down and up lines reach, or bars, which are added up on either side of 0."""
    reached: dict[tuple[float, bool], float] = {}
    for line in lines:
        for time, value in line.values.items():
            side = (time, value < 0)
            reached[side] = reached.get(side, 0.0) + value if added else max(reached.get(side, 0.0), value, key=abs)
    return min(0.0, *reached.values()), max(0.0, *reached.values())


def _bars(lines: Sequence[_Line], place: _Place, format_: Json) -> str:
    drawn, heights = "", dict[tuple[float, bool], float]()
    width = place.x(place.start + place.step) * 0.86
    for line in lines:
        for time, value in line.values.items():
            before = heights.get((time, value < 0), 0.0)
            heights[time, value < 0] = before + value
            lower, upper = place.y(min(before, before + value)), place.y(max(before, before + value))
            when = _local(time)
            drawn += (
                f'<rect x="{place.x(time):.2f}" y="{upper:.2f}" width="{width:.2f}" '
                f'height="{lower - upper:.2f}" fill="{line.colour}">'
                f"<title>{escape(line.name)}, {when:%b %d %H:%M}: {_number(value, format_)}</title></rect>"
            )
    return drawn


def _lines(lines: Sequence[_Line], place: _Place) -> str:
    """Return the lines, each from point to point as Datadog draws a sparse metric; a lone point is a dot."""
    drawn = ""
    for line in lines:
        points = [f"{place.x(time):.2f} {place.y(value):.2f}" for time, value in sorted(line.values.items())]
        width = 5 if len(points) == 1 else 1.6
        path = f"M{' L'.join(points)}" + ("h0" if len(points) == 1 else "")
        drawn += (
            f'<path d="{path}" stroke="{line.colour}" stroke-width="{width}" vector-effect="non-scaling-stroke">'
            f"<title>{escape(line.name)}</title></path>"
        )
    return drawn


def _legend(lines: Sequence[_Line], format_: Json, *, added: bool) -> str:
    entries = "".join(
        f'<li><i class="dot" style="background:{line.colour}"></i><b>{escape(line.name)}</b> '
        f'<span class="soft">{_number(line.total if added else list(line.values.values())[-1], format_)}</span></li>'
        for line in lines[:_SHOWN]
    )
    more = f'<li class="soft">and {len(lines) - _SHOWN} more</li>' if len(lines) > _SHOWN else ""
    return f'<ul class="legend">{entries}{more}</ul>'


_WIDGETS: Mapping[str, Callable[[Json, _Drawing], str]] = {
    "note": _note,
    "query_table": _table,
    "toplist": _toplist,
    "sunburst": _share,
    "timeseries": _timeseries,
}


def _monitor(monitor: Json, metrics: Metrics, now: float) -> str:
    name = re.sub(r"\{\{(\w+)\.name\}\}", r"(\1)", monitor["name"])
    message = re.sub(r"\{\{#is_recovery\}\}.*?\{\{/is_recovery\}\}|\{\{[#/^][^}]*\}\}", "", monitor["message"]).strip()
    try:
        state = monitor_state(monitor, metrics, now)
    except QueryError as error:
        state, message = MonitorState("No Data", notifies=False), str(error)
    told = " · notifies" if state.notifies else ""
    groups = "".join(
        f"<li>{escape(', '.join(value for _, value in group.group) or 'all')}: <b>{_number(group.value, {})}</b></li>"
        for group in state.groups
        if group.state != "OK"
    )
    return f"""<div class="monitor"><span><span class="pill {_STATES[state.state]}">{state.state.upper()}</span></span>
<div><b>{escape(name)}</b> <span class="soft">P{monitor.get("priority") or 5}{told}</span>
{f"<ul>{groups}</ul>" if groups else ""}<details><summary>Query and message</summary>
<p><code>{escape(monitor["query"])}</code></p><p>{_marked(message)}</p></details></div></div>"""


def _largest_first(series: Series) -> list[tuple[Group, Mapping[float, float]]]:
    return sorted(series.groups.items(), key=lambda item: -math.fsum(item[1].values()))


def _name(group: Group, column: Column) -> str:
    return " · ".join(value for _, value in group) or column.label


def _percent(value: float | None, most: float) -> str:
    return f"{min(max(value or 0, 0) / most, 1) * 100:.1f}%" if most > 0 else "0%"


def _nice(value: float) -> float:
    """Return 1, 2, 2.5 or 5 times a power of ten that is at least the value."""
    power = 10.0 ** math.floor(math.log10(value)) if value > 0 else 1.0
    return next((factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= value), power)


def _round_times(start: float, end: float, every: float) -> list[float]:
    """Return the times that are multiples of an interval by the clock of this machine."""
    offset = (_local(start).utcoffset() or timedelta()).total_seconds()
    first = math.ceil((start + offset) / every) * every - offset
    return [first + every * number for number in range(math.floor((end - first) / every) + 1)]


def _local(time: float) -> datetime:
    return datetime.fromtimestamp(time).astimezone()


def _steps(tick: float, place: _Place) -> list[float]:
    return [tick * number for number in range(round(place.bottom / tick), round(place.top / tick) + 1)]


def _number(value: float | None, format_: Json, *, short: bool = False) -> str:
    """Return a number with thousands separators and its unit; `short` as 1.2M, for an axis."""
    if value is None:
        return "-"
    unit = (format_.get("unit") or {}).get("unit_name", "")
    if unit == "second" and 0 < abs(value) < 1:
        return _number(value * 1000, {"unit": {"unit_name": "millisecond"}}, short=short)
    if unit == "dollar" and value < 0:
        return f"-{_number(-value, format_, short=short)}"
    before = "$" if unit == "dollar" else ""
    after = {"second": " s", "millisecond": " ms", "percent": " %"}.get(unit, "")
    return f"{before}{_short(value) if short else _plain(value, money=bool(before))}{after}"


def _plain(value: float, *, money: bool) -> str:
    if value == int(value) and not money:
        return f"{int(value):,}"
    if 0 < abs(value) < 0.1:
        return f"{value:.{1 - math.floor(math.log10(abs(value)))}f}"  # two digits that say something
    return f"{value:,.1f}" if abs(value) >= 10 and not money else f"{value:,.2f}"


def _short(value: float) -> str:
    for power, letter in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= power:
            return f"{value / power:.3g}{letter}"
    return f"{value:.3g}"


_BACK = '<a href="/">The simulated outside world</a>'
_EMPTY = '<p class="empty">No data in this time</p>'
_NO_MONITOR = '<p class="empty">No monitor is deployed.</p>'
_HINT = """<p class="card empty">No records yet: send a request through the gateway, and its record is here some seconds
later.</p>"""
