"""What the reports of OpenAI's and Anthropic's administration APIs have in common: their query, and pages of days.

Both take lists as `name[]`, tell buckets of a day in UTC, as many as `limit` at most and seven without one, and name
the next page by a word that only they know. A page has fewer buckets than asked for, as a limit allows, so that a month
has several.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TypeVar

from local.outside.exchange import ApiError, Request

Bucket = TypeVar("Bucket")

DEFAULT = 7
AT_ONCE = 10  # days on a page, whatever the limit


@dataclass(frozen=True, slots=True)
class Query:
    """A query that a report takes: each name once, but for those of lists."""

    values: Mapping[str, str]
    lists: Mapping[str, Sequence[str]]

    @classmethod
    def of(cls, request: Request, *, values: Collection[str], lists: Collection[str]) -> Query:
        """Read it.

        Raises
        ------
        ApiError
            It has a name that the report does not know, or one several times.
        """
        one: dict[str, str] = {}
        several: dict[str, list[str]] = {name: [] for name in lists}
        for name, value in request.queries:
            if name.removesuffix("[]") in several and name.endswith("[]"):
                several[name[:-2]].append(value)
            elif name in one or name not in values:
                raise ApiError(400, message=f"Unknown parameter: '{name}'.")
            else:
                one[name] = value
        return cls(one, several)

    def chosen(self, name: str, allowed: Sequence[str]) -> str:
        """Return the value of a choice, whose first is the default.

        Raises
        ------
        ApiError
            It is none of them.
        """
        value = self.values.get(name, allowed[0])
        check_among(value, allowed, name)
        return value

    def limit(self, most: int) -> int:
        """Return how many buckets a page may have.

        Raises
        ------
        ApiError
            It is no number from 1 to the most.
        """
        text = self.values.get("limit", str(DEFAULT))
        if not text.isdecimal() or not 1 <= int(text) <= most:
            raise ApiError(
                400, message=f"Invalid 'limit': expected a value from 1 to {most}, but got '{text}' instead."
            )
        return int(text)


def check_among(value: str, allowed: Collection[str], name: str) -> None:
    """Refuse a value that is none of those."""
    if value not in allowed:
        words = ", ".join(f"'{one}'" for one in allowed)
        raise ApiError(400, message=f"Invalid value: '{value}' of '{name}'. Supported values are: {words}.")


def days(start: datetime, end: datetime | None) -> list[date]:
    """Return the days in UTC from the one of `start` to before `end`, or to today.

    Raises
    ------
    ApiError
        There are none.
    """
    if end is not None and end <= start:
        raise ApiError(400, message="The end of the range must be after its start.")
    last = end or datetime.now(UTC)
    count = max((last - start).days + 1, 0)
    every = [start.astimezone(UTC).date() + timedelta(days=number) for number in range(count + 1)]
    return [day for day in every if datetime(day.year, day.month, day.day, tzinfo=UTC) < last]


def page(
    every: Sequence[date], query: Query, limit: int, bucket: Callable[[date], Bucket]
) -> tuple[list[Bucket], str | None]:
    """Return the buckets of a page, and the word for the next one; None if it is the last.

    Raises
    ------
    ApiError
        The query's page is none of the report's.
    """
    start = _start(query.values.get("page"), every)
    end = start + min(limit, AT_ONCE)
    more = base64.urlsafe_b64encode(every[end].isoformat().encode()).decode() if end < len(every) else None
    return [bucket(day) for day in every[start:end]], more and f"page_{more}"


def _start(word: str | None, every: Sequence[date]) -> int:
    if word is None:
        return 0
    try:
        day = date.fromisoformat(base64.urlsafe_b64decode(word.removeprefix("page_")).decode())
        return every.index(day)
    except (ValueError, binascii.Error) as error:
        raise ApiError(400, message="Invalid 'page': it is no page of this report.") from error
