"""The picture: its colours where they belong, its axis, and that it is always the same."""

import io
import random

import pytest
from PIL import Image
from usage import chart
from usage.figures import Figures

from tests.unit.usage.rows import MONTH, WEEK, figures, row

TITLE = "Cost per day by model, dev, 16 to 22 November 2026"


def picture(made: Figures, title: str = TITLE) -> Image.Image:
    return Image.open(io.BytesIO(chart.png(made, title))).convert("RGB")


def colour(text: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(text.removeprefix("#")))


def column(image: Image.Image, day: int, days: int = 7) -> dict[tuple[int, ...], int]:
    """How many pixels of each colour the bar of a day has, in its middle."""
    x = chart.LEFT + round((chart.RIGHT - chart.LEFT) / days * (day + 0.5))
    found: dict[tuple[int, ...], int] = {}
    for y in range(chart.TOP, chart.BOTTOM):
        pixel = image.getpixel((x, y))
        assert isinstance(pixel, tuple)
        found[pixel] = found.get(pixel, 0) + 1
    return found


def test_bars_are_as_high_as_their_costs() -> None:
    made = Figures.of(
        WEEK, [row("a", "sonnet", 60), row("b", "haiku", 20, day="2026-11-18"), row("a", "haiku", 20, day="2026-11-16")]
    )
    image = picture(made)
    assert image.size == (chart.WIDTH, chart.HEIGHT)
    height = chart.BOTTOM - chart.TOP
    monday = column(image, 0)
    assert monday[colour(chart.COLOURS[0])] == pytest.approx(height * 60 / 80, abs=4)
    assert monday[colour(chart.COLOURS[1])] == pytest.approx(height * 20 / 80, abs=4)
    assert not {colour(c) for c in (*chart.COLOURS, chart.GREY)} & column(image, 1).keys()  # nothing on Tuesday
    assert column(image, 2)[colour(chart.COLOURS[1])] == pytest.approx(height * 20 / 80, abs=4)


def test_the_same_figures_make_the_same_bytes() -> None:
    rows = [row(f"u{n}@example.com", f"model-{n % 12}", 1 + n, day=str(WEEK.dates[n % 7])) for n in range(100)]
    shuffled = random.Random(1).sample(rows, len(rows))  # noqa: S311 - no secret
    assert chart.png(Figures.of(WEEK, rows), TITLE) == chart.png(Figures.of(WEEK, shuffled), TITLE)


@pytest.mark.parametrize(("models", "names"), [(1, 1), (7, 7), (8, 8), (9, 8), (50, 8)])
def test_the_dearest_models_have_a_colour_and_the_rest_are_one(models: int, names: int) -> None:
    made = figures({"a@example.com": {f"model-{n:02}": 100.0 - n for n in range(models)}})
    shown = chart.series(made)
    assert [one.name for one in shown[:7]] == [f"model-{n:02}" for n in range(min(models, 7))]
    assert (len(shown), shown[-1].name == "other") == (names, models > 8)
    assert sum(one.total for one in shown) == pytest.approx(made.total.cost)
    assert len({one.colour for one in shown}) == names


def test_what_costs_nothing_has_no_colour() -> None:
    assert chart.series(figures({"a": {"free": 0}})) == []
    assert picture(figures({"a": {"free": 0}})).size == (chart.WIDTH, chart.HEIGHT)


def test_a_month_has_a_bar_for_each_day() -> None:
    made = Figures.of(MONTH, [row("a", "m", 10, day=str(day)) for day in MONTH.dates])
    image = picture(made)
    assert all(column(image, day, 31)[colour(chart.COLOURS[0])] > 100 for day in range(31))


def test_names_of_any_kind_are_drawn() -> None:
    names = ["x" * 300, "", " ", "日本語のモデル", "a\nb", "\u202e", "…"]
    made = figures({"a": {name: 10.0 - n for n, name in enumerate(names)}})
    image = picture(made, title="t" * 1000)
    right = image.crop((chart.WIDTH - 10, 0, chart.WIDTH, chart.HEIGHT))
    assert right.getcolors() == [(10 * chart.HEIGHT, colour(chart.PAPER))]  # nothing runs over the edge


@pytest.mark.parametrize(
    ("highest", "labels"),
    [
        (0, ["$0", "$1"]),
        (95.9, ["$0", "$20", "$40", "$60", "$80", "$100"]),
        (100, ["$0", "$20", "$40", "$60", "$80", "$100"]),
        (7, ["$0", "$2", "$4", "$6", "$8"]),
        (0.9, ["$0", "$0.20", "$0.40", "$0.60", "$0.80", "$1.00"]),
        (0.0019, ["$0", "$0.0005", "$0.0010", "$0.0015", "$0.0020"]),
        (25_900, ["$0", "$5k", "$10k", "$15k", "$20k", "$25k", "$30k"]),
        (900, ["$0", "$200", "$400", "$600", "$800", "$1,000"]),
    ],
)
def test_the_axis(highest: float, labels: list[str]) -> None:
    step, ticks = chart.axis(highest)
    assert [chart.dollars(step * number, step) for number in range(ticks + 1)] == labels


def test_the_axis_reaches_every_height_with_few_lines() -> None:
    for number in range(1, 4000):
        highest = 1.007**number * 1e-6
        step, ticks = chart.axis(highest)
        assert 2 <= ticks <= 6
        assert step * (ticks - 1) < highest <= step * ticks * (1 + 1e-8)


def test_the_words_for_those_who_do_not_see_it() -> None:
    made = Figures.of(WEEK, [row("a", "sonnet", 60), row("b", "haiku", 20.5, day="2026-11-18")])
    assert chart.alt_text(made, TITLE) == (
        f"Stacked bars: {TITLE}. sonnet $60.00; haiku $20.50. The dearest day is 2026-11-16 with $60.00."
    )
    long = figures({"a": {f"{n}" + "m" * 500: 1.0 for n in range(20)}})
    assert len(chart.alt_text(long, TITLE)) <= 1000
