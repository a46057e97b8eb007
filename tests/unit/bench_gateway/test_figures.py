"""ops/bench_gateway: percentiles, aims, tables, the chart, and what the command returns. No time is asserted."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from ops.bench_gateway import __main__ as command
from ops.bench_gateway import figures as names
from ops.bench_gateway import page
from ops.bench_gateway.chart import MOST, chart
from ops.bench_gateway.figures import Aim, Figure, aims
from ops.bench_gateway.load import LoadError
from ops.bench_gateway.run import Costs, Used
from ops.bench_gateway.scale import QUICK
from ops.bench_gateway.statistics import Spread, percentile, spread

HUNDRED = [float(number) for number in range(100, 0, -1)]  # in no order that helps


def figure(section: str, name: str, ours: float, article: float = 100.0, default: float = 90.0) -> Figure:
    return Figure(section, name, "ms", {"ours": ours, "article": article, "default": default})


GOOD = (
    figure(names.CPU, "short, plain", 75),
    figure(names.CPU, "100 KB, /v1/messages", 99),  # promised of nothing
    figure(names.CPU, "400 KB, /v1/messages", 33),
    figure(names.CPU, "1600 KB, /v1/responses", 15),
    figure(names.ADDED, "plain, p99", 50),
    figure(names.CHUNKS, names.ALONE, 60),
    figure(names.CHUNKS, names.BESIDE, 90),
    figure(names.MEMORY, f"{names.GROWTH} 600 requests", 4.9),
    figure(names.SPEND, names.LOST, 0, article=3),
    figure(names.FAILED, names.NOT_WHOLE, 0, article=1),
)

# --- Statistics -------------------------------------------------------------------------------------------------------


def test_a_percentile_is_a_value_that_was_measured() -> None:
    assert spread(HUNDRED) == Spread(50, 95, 99)
    assert percentile([7.0], 99) == 7
    assert percentile([1.0, 2.0, 3.0], 100) == 3
    assert percentile([1.0, 2.0, 3.0], 1) == 1


def test_of_nothing_there_is_no_percentile() -> None:
    with pytest.raises(ValueError, match="nothing"):
        percentile([], 50)


def test_what_is_added_is_the_difference_of_each_percentile() -> None:
    assert Spread(30, 50, 90).above(Spread(10, 20, 70)) == Spread(20, 30, 20)


def test_what_a_request_costs_has_what_comes_after_and_not_what_is_done_at_rest() -> None:
    costs = Costs(idle=0.1)
    costs.used["short"] = Used(requests=10, cpu=1.5, seconds=5)  # 1 s for ten
    costs.used["long"] = Used(requests=30, cpu=3.5, seconds=5)  # 3 s for thirty
    # 60 s in all, of which 6 at rest and 4 for the requests: 2 more are for all forty of them, and for ten before.
    costs.settle(total=12.5, seconds=60, others=10)
    assert costs.cpu_ms("short") == pytest.approx(100 + 50)
    assert costs.cpu_ms("long") == pytest.approx(100 + 50)


# --- Aims -------------------------------------------------------------------------------------------------------------


def test_every_aim_of_these_figures_holds_at_its_bound() -> None:
    kept = aims(GOOD)
    assert [(aim.name, aim.value, aim.most) for aim in kept] == [
        ("short, plain", 0.75, 0.75),
        ("400 KB, /v1/messages", 0.33, 0.33),
        ("1600 KB, /v1/responses", 0.15, 0.15),
        ("plain, p99", 0.5, 0.5),
        (names.BESIDE, 1.5, 1.5),
        (f"{names.GROWTH} 600 requests", 4.9, 5),
        (names.LOST, 0, 0),
        (names.NOT_WHOLE, 0, 0),
    ]
    assert all(aim.holds for aim in kept)


@pytest.mark.parametrize(
    "missed",
    [
        figure(names.CPU, "short, plain", 75.1),
        figure(names.CPU, "400 KB, /v1/messages", 33.1),
        figure(names.CPU, "1600 KB, /v1/responses", 15.1),
        figure(names.ADDED, "plain, p99", 50.1),
        figure(names.CHUNKS, names.BESIDE, 90.1),
        figure(names.MEMORY, f"{names.GROWTH} 600 requests", 5.1),
        figure(names.SPEND, names.LOST, 1, article=0),
        figure(names.FAILED, names.NOT_WHOLE, 1, article=1),
    ],
    ids=lambda missed: f"{missed.section}: {missed.name}",
)
def test_each_is_missed_just_above_it(missed: Figure, capsys: pytest.CaptureFixture[str]) -> None:
    changed = [missed if (each.section, each.name) == (missed.section, missed.name) else each for each in GOOD]
    assert [aim.name for aim in aims(changed) if not aim.holds] == [missed.name]
    assert command.tell(changed, words="", as_json=False, write=False) == 1
    assert capsys.readouterr().out.count("**no**") == 1


def test_what_was_not_measured_decides_nothing() -> None:
    alone = [Figure(each.section, each.name, each.unit, {"ours": each.values["ours"]}) for each in GOOD]
    assert {aim.section for aim in aims(alone)} == {names.CHUNKS, names.MEMORY, names.SPEND, names.FAILED}
    assert aims([Figure(names.CPU, "short, plain", "ms", {"default": 40})]) == []


# --- Telling ----------------------------------------------------------------------------------------------------------


def test_the_tables() -> None:
    told = page.tables(GOOD[:2], [Aim(names.CPU, "short, plain", 0.75, 0.75, "of the article's")])
    assert told == (
        "| Aim | Of | Measured | Aimed at | Holds |\n"
        "| --- | --- | ---: | ---: | ---: |\n"
        "| Processor time of one request | short, plain | 0.75 of the article's | ≤ 0.75 | yes |\n"
        "\n"
        "|  |  | ours | the article's | LiteLLM's defaults |\n"
        "| --- | --- | ---: | ---: | ---: |\n"
        "| Processor time of one request | short, plain, ms | 75 | 100 | 90 |\n"
        "|  | 100 KB, /v1/messages, ms | 99 | 100 | 90 |"
    )


def test_settings_that_were_left_out_have_no_column() -> None:
    (head, *_) = page.figures_table([Figure(names.CPU, "short", "ms", {"ours": 1, "default": 2})]).splitlines()
    assert head == "|  |  | ours | LiteLLM's defaults |"


@pytest.mark.parametrize(
    ("value", "told"),
    [(1234.5, "1,234"), (56.4, "56"), (7.83, "7.8"), (0.123, "0.12"), (3.0, "3"), (0.0, "0"), (-0.5, "-0.50")],
)
def test_a_number_has_the_digits_that_mean_something(value: float, told: str) -> None:
    assert page.number(value) == told


def test_only_what_is_between_the_marks_changes(tmp_path: Path) -> None:
    file, picture = tmp_path / "page.md", tmp_path / "page.svg"
    file.write_text(f"# Title\n\n{page.BEGIN}\n\nold\n\n{page.END}\n\n## Tried\n\nby hand\n")
    page.write("new", "<svg/>", page=file, picture=picture)
    before, _, after = file.read_text().partition("![What a request takes, as a share of the article's settings]")
    assert before == f"# Title\n\n{page.BEGIN}\n\n"
    assert after == f"(page.svg)\n\nnew\n\n{page.END}\n\n## Tried\n\nby hand\n"
    assert picture.read_text() == "<svg/>"


def test_the_model_gets_our_figures_of_what_is_written(tmp_path: Path) -> None:
    file, picture, model = (tmp_path / name for name in ("page.md", "page.svg", "measured.json"))
    file.write_text(f"{page.BEGIN}\n\nold\n\n{page.END}\n")
    rows = Figure(names.DATABASE, "rows a request", "", {"ours": 5.73, "article": 9.3})
    memory = Figure(names.MEMORY, "resident", "MiB", {"ours": 1234, "article": 3708})
    figures = [*GOOD[:4], figure(names.CPU, "at rest, a second", 12), rows, memory]
    with pytest.raises(page.PageError, match="the table has no figure of Database rows a request: measure it anew"):
        page.write(page.tables(GOOD, aims(GOOD)), "<svg/>", page=file, picture=picture, model=model)
    assert (model.exists(), picture.exists(), "old" in file.read_text()) == (False, False, True)
    page.write(page.tables(figures, aims(figures)), "<svg/>", page=file, picture=picture, model=model)
    assert json.loads(model.read_text()) == {
        "cpu_ms": {
            "short, plain": 75,
            "100 KB, /v1/messages": 99,
            "400 KB, /v1/messages": 33,
            "1600 KB, /v1/responses": 15,
        },
        "rows": 5.7,
        "resident_mib": 1234,
    }


@pytest.mark.parametrize("text", ["", page.BEGIN, page.END, f"{page.END}\n{page.BEGIN}"])
def test_a_page_without_both_marks_is_left_as_it_is(text: str, tmp_path: Path) -> None:
    file, picture = tmp_path / "page.md", tmp_path / "page.svg"
    file.write_text(text)
    with pytest.raises(page.PageError, match="put them back"):
        page.write("new", "<svg/>", page=file, picture=picture)
    assert file.read_text() == text
    assert not picture.exists()


def test_the_projects_own_page_has_a_place_for_it() -> None:
    assert "new" in page.put(page.PAGE.read_text("utf-8"), "new")


# --- The picture ------------------------------------------------------------------------------------------------------


def parts(figures: Sequence[Figure]) -> tuple[list[ET.Element], list[str]]:
    """The bars of a picture, without its ground and its legend, and its texts."""
    root = ET.fromstring(chart(figures))  # noqa: S314 - our own
    space = "{http://www.w3.org/2000/svg}"
    bars = [each for each in root.iter(f"{space}rect") if float(each.get("x", 0)) > 200]
    return bars, ["".join(each.itertext()) for each in root.iter(f"{space}text")]


def test_a_bar_is_as_long_as_the_share() -> None:
    whole, half = (
        [float(bar.get("width", 0)) for bar in parts([figure(names.CPU, "short, plain", share)])[0]]
        for share in (100, 50)
    )
    assert half[0] == pytest.approx(whole[0] / 2)
    assert half[1] == whole[1] == pytest.approx(whole[0] * 0.9)


def test_a_bar_ends_with_the_picture() -> None:
    far, farther = (parts([figure(names.CPU, "short, plain", 100 * MOST * times)])[0][0] for times in (1, 5))
    assert far.get("width") == farther.get("width")


def test_each_bar_has_its_name_and_its_numbers() -> None:
    _, texts = parts(GOOD)
    assert {"short, plain", "400 KB, /v1/messages", "plain, p99", "75 of 100 ms", names.ADDED} <= set(texts)
    assert names.SPEND not in texts


def test_without_anything_to_compare_with_there_are_no_bars() -> None:
    assert parts([Figure(names.CPU, "short, plain", "ms", {"ours": 40})])[0] == []


# --- The command ------------------------------------------------------------------------------------------------------


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the command would measure, and how it was asked for."""
    asked: list[Any] = []

    def measure(*arguments: object) -> Sequence[Figure]:
        asked.append(arguments)
        return GOOD

    monkeypatch.setattr(command, "measure", measure)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    return asked


def test_every_aim_holds(measured: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--quick", "--memory", "10000", "--only", "default", "ours", "--json"]) == 0
    ((scale, which, _),) = measured
    assert (which, scale.memory, scale.keys) == (("ours", "default"), 10_000, QUICK.keys)
    told = json.loads(capsys.readouterr().out)
    assert told["figures"][0]["values"] == {"ours": 75, "article": 100, "default": 90}
    assert told["aims"][0]["holds"] is True
    assert "quick trial" in told["run"]


def test_a_request_that_fails_is_one_sentence(
    measured: list[Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> Sequence[Figure]:
        raise LoadError("2 requests failed, the first with 500: no")

    monkeypatch.setattr(command, "measure", fail)
    assert command.main([]) == 2
    assert capsys.readouterr() == ("", "bench: 2 requests failed, the first with 500: no\n")


def test_an_interruption_is_told(
    measured: list[Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_: object) -> Sequence[Figure]:
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "measure", interrupt)
    assert command.main([]) == 130
    assert "ended, with all that it had started" in capsys.readouterr().err
