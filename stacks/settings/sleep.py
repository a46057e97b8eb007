"""When an environment that nobody needs all the time is awake."""

from datetime import time
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from stacks.settings.values import Settings, known_timezone, like, once

Day = Literal["MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN"]
WEEK: tuple[Day, ...] = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
MINUTES_OF_A_DAY = 24 * 60
SHORTEST_MINUTES = 60  # of a day: below, it would hardly be awake before it falls asleep


class Sleep(Settings):
    """The environment runs no task outside the hours `awake` of the `days`, and its database pauses then.

    `awake` is from when to when it answers, both of one day in `timezone`. Without it nothing happens by the clock: it
    falls asleep by `make sleep` and wakes by `make wake`, as it does beside the clock too.
    """

    awake: (
        Annotated[
            str,
            like(
                r"([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d",
                "no hours: write from when to when, as in 08:00-20:00",
            ),
        ]
        | None
    ) = None
    days: Annotated[tuple[Day, ...], Field(min_length=1), once("a day")] = WEEK[:5]
    timezone: Annotated[str, AfterValidator(known_timezone)] = "UTC"

    @model_validator(mode="after")
    def _long_enough(self) -> Self:
        if self.awake and self.hours_awake * 60 < SHORTEST_MINUTES:
            raise ValueError(
                f"awake {self.awake} is less than an hour of one day: name the earlier time first, at least an hour "
                "before the other"
            )
        return self

    @property
    def opens(self) -> time:
        """From when it answers; midnight if nothing happens by the clock."""
        return time.fromisoformat((self.awake or "00:00-00:00").partition("-")[0])

    @property
    def closes(self) -> time:
        """Until when it answers; midnight if nothing happens by the clock."""
        return time.fromisoformat((self.awake or "00:00-00:00").partition("-")[2])

    @property
    def hours_awake(self) -> float:
        """How long it is awake on one of its days, in hours."""
        return (minutes(self.closes) - minutes(self.opens)) / 60

    @property
    def nights(self) -> dict[int, tuple[Day, ...]]:
        """The days after which it sleeps so many minutes until it is awake again, by these minutes."""
        found: dict[int, tuple[Day, ...]] = {}
        for day in WEEK:
            if day in self.days:
                until = next(ahead for ahead in range(1, 8) if WEEK[(WEEK.index(day) + ahead) % 7] in self.days)
                asleep = round(until * MINUTES_OF_A_DAY - self.hours_awake * 60)
                found[asleep] = (*found.get(asleep, ()), day)
        return found

    @property
    def longest_night(self) -> int:
        """The most minutes that it sleeps at a stretch; none if nothing happens by the clock."""
        return max(self.nights) if self.awake else 0

    def told(self) -> str:
        """When it is awake, as people read it."""
        return f"{self.awake} {self.timezone}, {', '.join(self.in_order)}" if self.awake else "by command"

    @property
    def in_order(self) -> tuple[Day, ...]:
        """The days in the order of the week."""
        return tuple(day for day in WEEK if day in self.days)


def minutes(moment: time) -> int:
    """The minutes since midnight."""
    return 60 * moment.hour + moment.minute
