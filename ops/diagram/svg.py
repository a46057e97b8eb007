"""How a picture is written in SVG: its style, its shapes, and the document around them.

Pixels and classes of the style sheet go in, elements as text come out. Nothing here knows what is drawn.
"""

from __future__ import annotations

import html
from collections.abc import Iterable
from dataclasses import dataclass

STYLE = """
text { font-family: -apple-system, "Segoe UI", "Helvetica Neue", Arial, "Noto Sans", sans-serif; fill: #1f2933 }
.page { fill: #ffffff } .account { fill: #f6f8fa; stroke: #8c959f } .vpc { fill: #ffffff; stroke: #8250df }
.tier { fill: #8c959f; fill-opacity: .10 } .zone { fill: none; stroke: #8c959f; stroke-dasharray: 4 4 }
.cluster { fill: #ffffff; stroke: #3b67d8; stroke-dasharray: 2 3 }
.card { fill: #ffffff; stroke: #d0d7de } .title { font-size: 13px; font-weight: 600 }
.line { font-size: 11px; fill: #57606a } .label { font-size: 11px; fill: #57606a }
.head { font-size: 20px; font-weight: 700 }
.group { font-size: 12px; font-weight: 600; fill: #57606a } .flow { fill: none; stroke: #424a53; stroke-width: 1.5 }
.aside { fill: none; stroke: #8c959f; stroke-width: 1.2; stroke-dasharray: 3 3 }
.tip { fill: #424a53 } .faint { fill: #8c959f }
.people { fill: #57606a } .network { fill: #8250df } .compute { fill: #e36209 } .database { fill: #3b67d8 }
.storage { fill: #2da44e } .security { fill: #cf222e } .management { fill: #bf3989 } .outside { fill: #1b7c83 }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 } .page { fill: #0d1117 } .account { fill: #151b23; stroke: #656c76 }
.vpc { fill: #0d1117; stroke: #a371f7 } .card { fill: #1c2430; stroke: #3d444d } .tier { fill-opacity: .16 }
.line, .label, .group { fill: #9198a1 } .flow { stroke: #b7bdc8 } .tip { fill: #b7bdc8 }
.cluster { fill: #1c2430; stroke: #6f97f5 }
.network { fill: #a371f7 } .database { fill: #6f97f5 } .management { fill: #db61a2 } .people { fill: #9198a1 }
}
"""


@dataclass(frozen=True)
class Box:
    """A place in the picture, in pixels."""

    x: float
    y: float
    width: float
    height: float

    @property
    def right(self) -> float:
        """The x of its right edge."""
        return self.x + self.width

    @property
    def bottom(self) -> float:
        """The y of its lower edge."""
        return self.y + self.height

    def rect(self, style: str, radius: int = 8) -> str:
        """It, as an SVG rectangle."""
        return (
            f'<rect class="{style}" x="{self.x:g}" y="{self.y:g}" width="{self.width:g}" '
            f'height="{self.height:g}" rx="{radius}"/>'
        )


def text(x: float, y: float, words: str, style: str, anchor: str = "start") -> str:
    """One line of text."""
    return f'<text class="{style}" x="{x:g}" y="{y:g}" text-anchor="{anchor}">{html.escape(words)}</text>'


def arrow(*points: tuple[float, float], style: str = "flow", tip: bool = True) -> str:
    """A line through the points, with a tip at its end."""
    path = "M" + " L".join(f"{x:g},{y:g}" for x, y in points)
    end = f' marker-end="url(#{style})"' if tip else ""
    return f'<path class="{style}" d="{path}"{end}/>'


def document(title: str, width: float, height: float, parts: Iterable[str]) -> str:
    """The whole file: the parts on a page of this size, with the style and the tips that they refer to."""
    tips = "".join(
        f'<marker id="{style}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" '
        f'markerUnits="userSpaceOnUse" orient="auto"><path class="{fill}" d="M0,0 L8,4 L0,8 Z"/></marker>'
        for style, fill in (("flow", "tip"), ("aside", "faint"))
    )
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" role="img">',
            f"<title>{title}</title>",
            f"<style>{STYLE}</style>",
            f"<defs>{tips}</defs>",
            Box(0, 0, width, height).rect("page", radius=12),
            *parts,
            "</svg>\n",
        )
    )
