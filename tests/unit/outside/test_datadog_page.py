"""The page that draws the deployed dashboard: from the real definitions, over records of known figures."""

import json
import re
from collections.abc import Mapping
from html import unescape
from html.parser import HTMLParser
from typing import Any

import pytest

from local.outside.datadog import DatadogObjects, widgets
from local.outside.datadog_page import render
from stacks.datadog.dashboard import dashboard
from stacks.datadog.metrics import METRICS
from stacks.datadog.monitors import monitors
from stacks.settings import Datadog

NOW = 1_800_000_000.0
BOARD = dashboard("dev", budget_percent=80)
Record = tuple[float, dict[str, Any]]


@pytest.fixture
def objects() -> DatadogObjects:
    """What the stacks deploy."""
    made = DatadogObjects()
    for metric in METRICS:
        definition = metric.definition("dev")["data"]
        made.put("metrics", definition["id"], definition)
    made.put("dashboards", "abc", {"id": "abc", **BOARD})
    for number, monitor in enumerate(monitors("dev", Datadog()).values()):
        made.put("monitors", str(number), {"id": number, **monitor})
    return made


def record(llm: Mapping[str, object], back: float) -> Record:
    tags = "env:dev,service:litellm-gateway"
    return NOW - back, {"service": "litellm-gateway", "ddtags": tags, "message": json.dumps({"llm": llm})}


def call(user: str, model: str, cost: float, back: float = 300, **changes: object) -> Record:
    llm = {
        "kind": "call",
        "user": user,
        "team": "sre",
        "model": model,
        "provider": "bedrock",
        "region": "us-east-1",
        "outcome": "success",
        "prompt_tokens": 1_000,
        "completion_tokens": 234,
        "cached_tokens": 0,
        "total_tokens": 1_234,
        "cost": cost,
        "seconds": 0.5,
        "overhead_ms": 4.0,
        "budget_used_percent": 81.5,
    }
    return record({**llm, **changes}, back)


CALLS = [
    *(call("sato@example.com", "claude-sonnet-5-5", 1_200.5), call("sato@example.com", "gpt-6.1-sol", 0.004)),
    *(call("ito@example.com", "claude-sonnet-5-5", 3), call("ito@example.com", "claude-sonnet-5-5", 4, back=70)),
    call("ito@example.com", "gpt-6.1-sol", 0, outcome="failure", error_code="429"),
]


def page(objects: DatadogObjects, records: list[Record] = CALLS, **query: str) -> str:
    return render(objects, sorted(records, key=lambda each: each[0]), query, now=NOW)


def cards(html: str) -> dict[str, str]:
    """What is drawn by title."""
    found = re.findall(r'<section class="card[^"]*"[^>]*><h3>(.*?)</h3>(.*?)</section>', html, re.DOTALL)
    return {unescape(title): body for title, body in found}


def cells(body: str) -> list[list[str]]:
    """The texts of a table's rows."""
    found = re.findall(r"<tr>(.*?)</tr>", body.partition("<tbody>")[2], re.DOTALL)
    return [[unescape(cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", row)] for row in found]


def test_every_widget_is_drawn(objects: DatadogObjects) -> None:
    drawn = cards(page(objects))
    titles = [each["definition"].get("title") for each in widgets(BOARD) if each["definition"]["type"] != "group"]
    assert sorted(drawn) == sorted(filter(None, titles))
    assert not any('class="error"' in body for body in drawn.values())


def test_users_and_models_with_their_figures(objects: DatadogObjects) -> None:
    titles = [each["definition"]["title"] for each in widgets(BOARD) if each["definition"]["type"] == "query_table"]
    total, table = (cards(page(objects))[title] for title in titles[:2])
    assert [row[:5] for row in cells(table)] == [
        ["sato_example.com", "claude-sonnet-5-5", "$1,200.50", "1", "1,234"],
        ["ito_example.com", "claude-sonnet-5-5", "$7.00", "2", "2,468"],
        ["sato_example.com", "gpt-6.1-sol", "$0.0040", "1", "1,234"],
        ["ito_example.com", "gpt-6.1-sol", "$0.00", "1", "1,234"],
    ]
    tiles = re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", total)
    assert tiles[:3] == [("Cost", "$1,207.50"), ("Requests", "5"), ("Total tokens", "6,170")]


def test_a_variable_and_the_time_narrow_it_down(objects: DatadogObjects) -> None:
    html = page(objects, tpl_var_user="ito_example.com")
    assert '<option value="ito_example.com" selected>' in html
    table = next(body for title, body in cards(html).items() if "<th" in body and "user" in body)
    assert {row[0] for row in cells(table)} == {"ito_example.com"}
    old = [*CALLS, call("old@example.com", "claude-sonnet-5-5", 1, back=3 * 86_400)]
    for time, known in (("1h", False), ("1d", False), ("1w", True), ("", True), ("nonsense", True)):
        html = page(objects, old, **({"time": time} if time else {}))
        shown = [body for body in cards(html).values() if "old_example.com" in body]
        assert bool(shown) is known


def test_lists_mark_what_is_above_a_limit(objects: DatadogObjects) -> None:
    records = [call(user, "m", 1, budget_used_percent=used) for user, used in (("a", 120), ("b", 90), ("c", 10))]
    (budget,) = (body for title, body in cards(page(objects, records)).items() if title.startswith("Budget used"))
    found = re.findall(r'<li class="(\w*)" style="--p:([\d.]+%)"><span>(\w)</span><span>(.*?)</span>', budget)
    assert found == [("alert", "100.0%", "a", "120 %"), ("warn", "75.0%", "b", "90 %"), ("", "8.3%", "c", "10 %")]


def test_bars_are_stacked_and_in_the_place_of_their_time(objects: DatadogObjects) -> None:
    records = [call("a", "m", 3, back=1810), call("a", "n", 1, back=1810), call("a", "m", 2, back=70)]
    bars = cards(page(objects, records, time="1h"))["Cost by model"]
    found = re.findall(r'<rect x="([\d.]+)" y="([\d.]+)" width="[\d.]+" height="([\d.]+)".*?<title>(\w)', bars)
    assert [(round(float(x)), float(y), float(height), name) for x, y, height, name in found] == [
        (483, 25, 75, "m"),  # 29 of the 60 minutes
        (967, 50, 50, "m"),
        (483, 0, 25, "n"),
    ]
    assert re.findall(r"<span>(\$[\d.]+)</span>", bars) == ["$0", "$1", "$2", "$3", "$4"]


def test_bars_of_losses_are_below_the_line(objects: DatadogObjects) -> None:
    """Of what a cache saved: writing costs, before anything is read."""
    told = (("m", 3.0, 70), ("m", -1.0, 1810), ("n", -0.5, 1810), ("n", 2.5, 1810))
    records = [call("a", model, 1, back=back, cache_saved=saved) for model, saved, back in told]
    bars = cards(page(objects, records, time="1h"))["Saved by caches, of everybody"]
    found = re.findall(r'y="([\d.]+)" width="[\d.]+" height="([\d.]+)".*?<title>(\w), .*?: (.*?)</title>', bars)
    assert sorted((float(y), float(height), name, text) for y, height, name, text in found) == [
        (0, 75, "m", "$3.00"),
        (25, 50, "n", "$2.00"),
        (75, 25, "m", "-$1.00"),
    ]
    assert re.findall(r"<span>(-?\$[\d.]+)</span>", bars) == ["-$1", "$0", "$1", "$2", "$3"]
    only = cards(page(objects, records[1:2], time="1h"))["Saved by caches, of everybody"]
    assert re.findall(r'y="([\d.]+)" width="[\d.]+" height="([\d.]+)"', only) == [("0.00", "100.00")]


def test_caches_by_user_and_model_with_their_rates(objects: DatadogObjects) -> None:
    """Who sends most stands first, however little of it is read."""
    records = [
        call("ito@example.com", "claude-sonnet-5-5", 1, prompt_tokens=9_000),
        call("sato@example.com", "claude-sonnet-5-5", 1, cached_tokens=750, cache_write_tokens=100, cache_saved=-0.25),
        call("sato@example.com", "claude-sonnet-5-5", 1, cached_tokens=850, cache_saved=2),
    ]
    drawn = cards(page(objects, records))
    assert cells(drawn["Caches by user"]) == [
        ["ito_example.com", "9,000", "0", "-", "0 %"],
        ["sato_example.com", "2,000", "1,600", "$1.75", "80 %"],
    ]
    assert cells(drawn["Caches by model, of everybody"]) == [
        ["claude-sonnet-5-5", "11,000", "1,600", "100", "$1.75", "14.5 %"]
    ]


def test_shares_have_the_whole_in_the_middle(objects: DatadogObjects) -> None:
    records = [call("a", "m", 3, provider="bedrock"), call("a", "n", 1, provider="azure")]
    ring = cards(page(objects, records))["Cost by provider"]
    assert re.findall(r"<title>(.*?)</title>", ring) == ["bedrock: $3.00 (75.0%)", "azure: $1.00 (25.0%)"]
    assert ">$4</text>" in ring


def test_monitors_stand_as_the_records_say(objects: DatadogObjects) -> None:
    html = page(objects).partition('id="monitors"')[2]
    states = dict(zip(re.findall(r"dev: (.*?)</b>", html), re.findall(r'class="pill \w+">(.*?)<', html), strict=True))
    assert states["(user) has used most of the budget"] == "ALERT"
    assert states["no records"] == "OK"
    assert states["a day of (user) is expensive"] == "ALERT"
    assert states["spend of (user) jumped"] == "NO DATA"  # there was nothing a week before
    assert "<li>sato_example.com: <b>1,200.5</b></li>" in html
    assert "is_recovery" not in html


def test_without_records(objects: DatadogObjects) -> None:
    html = page(objects, [])
    assert "No records yet" in html
    assert html.count("No data in this time") == sum(
        each["definition"]["type"] not in ("group", "note") for each in widgets(BOARD)
    )
    assert '<span class="pill none">NO DATA</span>' in html
    assert "No dashboard is deployed yet" in render(DatadogObjects(), [], {}, now=NOW)


def test_another_dashboard_is_a_link_away(objects: DatadogObjects) -> None:
    other: Mapping[str, Any] = {"id": "x&y", "title": "<Other>", "widgets": [], "template_variables": []}
    objects.put("dashboards", "x&y", dict(other))
    assert '<a href="/dashboard?dashboard=x%26y">&lt;Other&gt;</a>' in page(objects)
    assert "<h1>&lt;Other&gt;</h1>" in page(objects, dashboard="x&y")


def test_what_is_not_understood_is_said_in_its_place(objects: DatadogObjects) -> None:
    query = {"data_source": "metrics", "name": "a", "query": "sum:nothing{*}", "aggregator": "sum"}
    broken = {"type": "query_table", "title": "Broken", "requests": [{"queries": [query]}]}
    strange = {"type": "hostmap", "title": "Strange"}
    placed = [{"definition": broken}, {"definition": strange}]
    objects.put("dashboards", "abc", {"id": "abc", "title": "T", "widgets": placed})
    drawn = cards(page(objects))
    assert "There is no metric nothing." in drawn["Broken"]
    assert "A hostmap is not drawn here." in drawn["Strange"]


def test_nothing_of_a_record_is_html_and_nothing_is_loaded(objects: DatadogObjects) -> None:
    evil = '"><script>alert(1)</script>'
    html = page(objects, [call(evil, evil, 1, provider=evil, region=evil, team=evil)], tpl_var_user=evil)
    tags = _Tags()
    tags.feed(html)
    assert "script" not in tags.names
    assert tags.loaded == []
    assert tags.open == []


class _Tags(HTMLParser):
    """Collects the names of tags, what they would load, and what is not closed."""

    def __init__(self) -> None:
        super().__init__()
        self.names, self.loaded, self.open = set[str](), list[str](), list[str]()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.loaded += [str(value) for name, value in attrs if name == "src" or (tag == "link" and name == "href")]
        if tag not in ("meta", "input", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
