"""Where the columns of the picture are, in pixels: people, the zones of the VPC, the ways out, what is outside."""

from __future__ import annotations

from dataclasses import dataclass

from ops.diagram.cards import row

PEOPLE_X, PEOPLE_WIDTH = 24, 152
ACCOUNT_X, VPC_X, ZONES_X = 208, 232, 256
OUTSIDE_WIDTH = 200


@dataclass(frozen=True)
class Layout:
    """Where the columns of the picture are: a company may have any number of zones."""

    zones: tuple[str, ...]

    @property
    def gap(self) -> int:
        """Between two zones."""
        return 28 if len(self.zones) <= 4 else 16

    @property
    def room(self) -> float:
        """What the zones share."""
        return max(712, len(self.zones) * 112 + (len(self.zones) - 1) * self.gap)

    @property
    def columns(self) -> dict[str, tuple[float, float]]:
        """The x and the width of each zone."""
        return dict(zip(self.zones, row(ZONES_X, self.room, len(self.zones), self.gap), strict=True))

    @property
    def gaps(self) -> tuple[float, float]:
        """The x between the first two zones and that between the last two, where nothing stands in an arrow's way."""
        columns = list(self.columns.values())
        return columns[1][0] - self.gap / 2, columns[-1][0] - self.gap / 2

    @property
    def width(self) -> float:
        """Of the VPC, and of the sections below it."""
        return self.room + 48

    @property
    def lane(self) -> float:
        """The x of the private way from the functions to LiteLLM: between the zones and the VPC's edge."""
        return VPC_X + self.width - 14

    @property
    def bus(self) -> float:
        """The x of the way out."""
        return VPC_X + self.width + 44

    @property
    def outside(self) -> float:
        """The x of what is called outside."""
        return self.bus + 20
