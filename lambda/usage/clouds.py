"""HTTP to whose bill is read: through the way out that there is, and again where the other side asks for patience."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from urllib.request import getproxies

from urllib3 import BaseHTTPResponse, PoolManager, ProxyManager, Timeout
from urllib3.exceptions import HTTPError

from usage.errors import RefusedError, UnavailableError, harmless

TIMEOUT = Timeout(connect=5, read=60)  # seconds
ATTEMPTS = 4
PAUSE = 5.0  # seconds before another attempt, where the other side does not say how long
LONGEST_PAUSE = 90.0  # seconds; whoever asks for more is asked again by the next start of the function
# 529 is Anthropic's, whose API is overloaded: https://platform.claude.com/docs/en/api/errors
PASSING = frozenset({408, 429, 500, 502, 503, 504, 529})

Send = Callable[[], BaseHTTPResponse]
Json = dict[str, Any]


def pool() -> PoolManager:
    """Return the way out: a proxy where HTTPS_PROXY names one, as urllib3 does not look by itself."""
    proxy = getproxies().get("https")
    return ProxyManager(proxy) if proxy else PoolManager()


def ask(who: str, send: Send, *, advice: str) -> Json:
    """Send a request until it is answered, at most four times, and return the JSON object of the answer.

    A 429 says in headers when to come again; the longest counts. Azure's are
    x-ms-ratelimit-microsoft.costmanagement-{qpu,entity,tenant,client}-retry-after, beside Retry-After:
    https://learn.microsoft.com/en-us/azure/cost-management-billing/costs/manage-automation

    Raises
    ------
    UnavailableError
        No answer, or none but "later".
    RefusedError
        The answer is no, or no JSON object: `advice` says what to do.
    """
    try:
        return _ask(who, send)
    except RefusedError as error:
        raise RefusedError(f"{error}; {advice}") from error


def results(
    who: str, http: PoolManager, url: str, query: Sequence[tuple[str, str]], headers: Mapping[str, str], *, advice: str
) -> Iterator[Json]:
    """Yield the results of every bucket of time of a report, as OpenAI and Anthropic both have it.

    A page of buckets says in `has_more` whether there is another, and in `next_page` what to ask for it with.

    Raises
    ------
    UnavailableError, RefusedError
        As `ask`, or the pages have no end.
    """
    page, seen = "", {""}
    while True:
        asked = [*query, *([("page", page)] if page else [])]

        def send(fields: Sequence[tuple[str, str]] = asked) -> BaseHTTPResponse:
            return http.request("GET", url, fields=fields, headers=dict(headers), timeout=TIMEOUT, retries=False)

        answer = ask(who, send, advice=advice)
        for bucket in answer["data"]:
            yield from bucket["results"]
        if not answer["has_more"]:
            return
        page = str(answer.get("next_page") or "")
        if page in seen:
            raise RefusedError(f"{who} says that there is more, and names no other page")
        seen.add(page)


def _ask(who: str, send: Send) -> Json:
    for attempt in range(1, ATTEMPTS + 1):
        cause: HTTPError | None = None
        pause = PAUSE
        try:
            response = send()
        except HTTPError as error:
            reason, cause = type(error).__name__, error
        else:
            if response.status not in PASSING:
                return _answer(who, response)
            reason = str(response.status)
            pause = max([_seconds(value) for name, value in response.headers.items() if _is_pause(name)], default=PAUSE)
        if attempt == ATTEMPTS or pause > LONGEST_PAUSE:
            raise UnavailableError(f"{who} did not answer ({reason})") from cause
        time.sleep(pause)
    raise AssertionError  # the last attempt returned or raised


def _is_pause(name: str) -> bool:
    return name.lower().endswith("retry-after")


def _seconds(value: str) -> float:
    return float(value) if value.isdecimal() else PAUSE


def _answer(who: str, response: BaseHTTPResponse) -> Json:
    try:
        answer = json.loads(response.data or b"{}")
    except (ValueError, RecursionError):
        answer = None
    if not 200 <= response.status < 300:
        raise RefusedError(f"{who} refused ({response.status}): {_message(answer) or 'no reason given'}")
    if not isinstance(answer, dict):
        raise RefusedError(f"the answer of {who} is no JSON object")
    return answer


def _message(answer: object) -> str:
    """What the other side says of an error, each in its own shape."""
    if not isinstance(answer, Mapping):
        return ""
    error = answer.get("error", "")
    if isinstance(error, Mapping):
        return harmless(str(error.get("message") or error.get("code") or ""))
    return harmless(str(answer.get("error_description") or error))
