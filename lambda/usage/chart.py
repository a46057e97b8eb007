"""The picture of a report: what each day cost, as bars stacked by model, for the width at which Slack shows one."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from datetime import date

from PIL import Image, ImageDraw, ImageFont

from usage.figures import Figures

NAMED = 7  # models with a colour of their own
OTHER = "other"
# Okabe and Ito's colours, which people of every kind of colour vision tell apart (https://jfly.uni-koeln.de/color/),
# without their black, and a grey for the others. The lines between segments tell neighbours apart without any colour.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442")
GREY = "#A0A4AB"
INK, SOFT, LINE, PAPER = "#1C2330", "#5C6675", "#DFE3EA", "#FFFFFF"

# Pixels. Slack shows a picture of this shape some 480 wide in a thread: a letter of 34 is then one of 12.
WIDTH, HEIGHT = 1360, 800
LEFT, TOP, RIGHT, BOTTOM = 160, 120, 880, 680  # of the bars; the legend is to the right of them
LETTER, TITLE = 34, 40
LONGEST_NAME = WIDTH - RIGHT - 90  # of a model in the legend
_TICKS = 5.5  # at most as many lines above the axis, and about half of that at least

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@dataclass(frozen=True)
class Series:
    """One colour of the bars: a model's cost by day, in US dollars."""

    name: str
    colour: str
    days: tuple[float, ...]

    @property
    def total(self) -> float:
        """Its cost in the whole period."""
        return sum(self.days)


def series(figures: Figures) -> list[Series]:
    """Return the dearest models' costs by day, the dearest first, and all others' as one."""
    days = [figures.days.get(day.isoformat(), {}) for day in figures.period.dates]
    names = [model for model, cost in figures.by_model.items() if cost > 0]
    shown = names if len(names) <= NAMED + 1 else names[:NAMED]  # one more has room where "other" would be
    colours = (*COLOURS, GREY)
    found = [
        Series(name, colour, tuple(day.get(name, 0.0) for day in days))
        for name, colour in zip(shown, colours, strict=False)
    ]
    if len(names) > len(shown):
        others = names[len(shown) :]
        found.append(Series(OTHER, GREY, tuple(sum(day.get(name, 0.0) for name in others) for day in days)))
    return found


def alt_text(figures: Figures, title: str) -> str:
    """Return what the picture shows, in words, within Slack's 1000 characters."""
    parts = "; ".join(f"{one.name[:60]} ${one.total:,.2f}" for one in series(figures))
    dearest = max(figures.days.items(), key=lambda day: sum(day[1].values()), default=("", {}))
    return f"Stacked bars: {title}. {parts}. The dearest day is {dearest[0]} with ${sum(dearest[1].values()):,.2f}."[
        :1000
    ]


def png(figures: Figures, title: str) -> bytes:
    """Return the picture; the same figures make the same bytes."""
    shown = series(figures)
    heights = [sum(day) for day in zip(*(one.days for one in shown), strict=True)]
    step, ticks = axis(max(heights, default=0.0))
    image = Image.new("RGB", (WIDTH, HEIGHT), PAPER)
    drawing = _Drawing(ImageDraw.Draw(image), top=step * ticks)
    drawing.title(title)
    drawing.axis(step, ticks)
    drawing.bars(figures.period.dates, shown)
    drawing.legend(shown)
    stream = io.BytesIO()
    image.quantize(256, dither=Image.Dither.NONE).save(stream, "PNG", optimize=True)
    return stream.getvalue()


def axis(highest: float) -> tuple[float, int]:
    """Return the distance of the axis' lines, which is 1, 2 or 5 of some power of ten, and how many there are."""
    if highest <= 0:
        return 1.0, 1
    power = 10.0 ** math.floor(math.log10(highest / _TICKS))
    step = next(times * power for times in (1, 2, 5, 10) if times * power * _TICKS >= highest)
    return step, math.ceil(highest / step - 1e-9)


def dollars(amount: float, step: float) -> str:
    """Return a label of the axis, with as many decimals as its lines need."""
    if not amount:
        return "$0"
    if step >= 1000:
        return f"${amount / 1000:,g}k"
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    return f"${amount:,.{2 if decimals == 1 else decimals}f}"


class _Drawing:
    """Draws the parts; `top` is the amount at the upper end of the axis."""

    def __init__(self, draw: ImageDraw.ImageDraw, top: float) -> None:
        self._draw, self._top = draw, top
        self._font: Font = ImageFont.load_default(LETTER)
        self._title: Font = ImageFont.load_default(TITLE)

    def title(self, text: str) -> None:
        self._draw.text((40, 36), self._fit(text, self._title, WIDTH - 80), fill=INK, font=self._title)

    def axis(self, step: float, ticks: int) -> None:
        for number in range(ticks + 1):
            y = self._y(step * number)
            self._draw.line((LEFT, y, RIGHT, y), fill=LINE if number else SOFT, width=2)
            label = dollars(step * number, step)
            self._draw.text((LEFT - 14, y), label, fill=SOFT, font=self._font, anchor="rm")

    def bars(self, dates: list[date], shown: list[Series]) -> None:
        slot = (RIGHT - LEFT) / len(dates)
        every = math.ceil(len(dates) / 7)
        for number, day in enumerate(dates):
            left, right = round(LEFT + slot * (number + 0.14)), round(LEFT + slot * (number + 0.86))
            below = 0.0
            for one in shown:
                upper, lower = self._y(below + one.days[number]), self._y(below)
                below += one.days[number]
                if upper < lower:
                    self._draw.rectangle((left, upper, right, lower - 1), fill=one.colour)
                    if lower - upper > 4:
                        self._draw.line((left, upper, right, upper), fill=PAPER, width=2)
            if number % every == 0:
                label = f"{day:%a}\n{day.day}" if len(dates) <= 7 else f"{day.day}"
                place = ((left + right) / 2, BOTTOM + 8)
                self._draw.text(place, label, fill=SOFT, font=self._font, anchor="ma", align="center")

    def legend(self, shown: list[Series]) -> None:
        """In the order of the bars: the uppermost segment first."""
        y = TOP
        for one in reversed(shown):
            self._draw.rectangle((RIGHT + 30, y, RIGHT + 62, y + 32), fill=one.colour)
            name = self._fit(one.name, self._font, LONGEST_NAME)
            self._draw.text((RIGHT + 76, y + 16), name, fill=INK, font=self._font, anchor="lm")
            y += 58

    def _y(self, amount: float) -> int:
        return round(BOTTOM - (BOTTOM - TOP) * amount / self._top)

    def _fit(self, text: str, font: Font, width: float) -> str:
        """Put a text on one line; cut it in its middle, as both ends tell models of one family apart."""
        text = " ".join(text.split())
        if self._draw.textlength(text, font) <= width:
            return text
        keep = len(text)
        while keep > 2:
            keep -= 1
            cut = f"{text[: math.ceil(keep / 2)]}…{text[len(text) - keep // 2 :]}"
            if self._draw.textlength(cut, font) <= width:
                return cut
        return "…"
