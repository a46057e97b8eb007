"""A steady load of plain and streamed calls, and its books: what every row of docs/reliability.md is run with.

The records of the simulated providers are the truth: whatever they have answered to the end is in LiteLLM's spend, to
the token, and once. What a fault kept a caller from LiteLLM estimates, and one that never came to an end may be missing
(docs/costs.md): such calls are counted apart.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self

import httpx

from local.gateway import LocalGateway
from local.outside.records import Call

PATH = "/v1/chat/completions"
PATIENCE = 60.0  # seconds of silence until a caller gives up
END = "[DONE]"


@dataclass(frozen=True)
class Outcome:
    """What a caller got of one call.

    `status` is 0 where no answer came. `whole` says that the answer came to its end; without that, `words` are the last
    that came.
    """

    model: str
    streamed: bool
    status: int
    whole: bool
    words: str = ""


@dataclass(frozen=True)
class Sum:
    """Calls that were answered to the end, with the tokens of all prompts and of all answers."""

    calls: int = 0
    prompt: int = 0
    completion: int = 0

    @classmethod
    def of(cls, calls: Sequence[Call]) -> Sum:
        """What providers have answered, as they bill it."""
        whole = [call.usage for call in calls if call.model and call.status == httpx.codes.OK and not call.cut]
        return cls(len(whole), sum(each.input_tokens for each in whole), sum(each.output_tokens for each in whole))


def broken(calls: Sequence[Call]) -> int:
    """How many answers had begun when a fault broke them."""
    return sum(bool(call.model) and call.status == httpx.codes.OK and call.cut for call in calls)


class Load:
    """Callers who ask one thing after the other until the `with` block ends, by turns without a stream and with one.

    Parameters
    ----------
    gateway, key
        Whom they ask, and with whose key.
    models
        By turns.
    callers
        How many ask at once.
    pause
        Seconds between an answer and the next question.
    streamed
        What they ask for, by turns.
    more
        Of the request's body.
    """

    def __init__(
        self,
        gateway: LocalGateway,
        key: str,
        models: Sequence[str],
        *,
        callers: int = 4,
        pause: float = 0.1,
        streamed: Sequence[bool] = (False, True),
        more: Mapping[str, Any] | None = None,
    ) -> None:
        self.outcomes: list[Outcome] = []
        self._url, self._key, self._models, self._pause = gateway.url, key, models, pause
        self._more, self._streamed = dict(more or {}), streamed
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._ask_on, args=(number,)) for number in range(callers)]

    def __enter__(self) -> Self:
        """Begin."""
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End, when each caller has the answer to the last question."""
        self._over.set()
        for thread in self._threads:
            thread.join()

    def wait(self, outcomes: int, *, patience: float = 120.0, like: Callable[[Outcome], bool] = lambda _: True) -> None:
        """Wait until there are so many more outcomes, of those that are like this.

        Raises
        ------
        TimeoutError
            There are not in that time; with what there are.
        """
        begun, end = len(self.outcomes), time.monotonic() + patience
        while sum(map(like, self.outcomes[begun:])) < outcomes:
            if time.monotonic() > end:
                kinds = Counter((each.status, each.whole, each.words) for each in self.outcomes[begun:])
                raise TimeoutError(f"There were not {outcomes} outcomes as awaited within {patience} s, but {kinds}.")
            time.sleep(0.05)

    def go_on(self, seconds: float) -> None:
        """Let them ask for so long."""
        self._over.wait(seconds)

    def _ask_on(self, number: int) -> None:
        with httpx.Client(base_url=self._url, timeout=PATIENCE, trust_env=False) as client:
            count = number
            while not self._over.wait(self._pause):
                count += 1
                model = self._models[count // len(self._streamed) % len(self._models)]
                streamed = self._streamed[count % len(self._streamed)]
                messages = [{"role": "user", "content": f"Caller {number} asks the {count}th time: still there?"}]
                body = {"model": model, "messages": messages, **self._more}
                self.outcomes.append(ask(client, self._key, body, streamed=streamed))


def ask(client: httpx.Client, key: str, body: Mapping[str, Any], *, streamed: bool) -> Outcome:
    """What comes of one call."""
    headers = {"Authorization": f"Bearer {key}"}
    if streamed:
        body = {**body, "stream": True, "stream_options": {"include_usage": True}}
    status, words, whole = 0, "", False
    try:
        with client.stream("POST", PATH, headers=headers, json=body) as answer:
            status = answer.status_code
            for line in answer.iter_lines():
                words = line or words
        whole = status == httpx.codes.OK and (words.endswith(END) if streamed else "choices" in json.loads(words))
    except httpx.HTTPError as error:
        words = repr(error)
    return Outcome(body["model"], streamed, status, whole, "" if whole else words[-300:])


def charged(gateway: LocalGateway, user: str) -> Sum:
    """What LiteLLM has in its sums of the day for a user: calls that succeeded, and all tokens.

    Nothing while it has no database to ask, which may be for a moment after that is back.
    """
    today = datetime.now(UTC).date()
    dates = {"start_date": str(today - timedelta(days=1)), "end_date": str(today + timedelta(days=1))}
    answer = gateway.api("GET", "/user/daily/activity", params={**dates, "user_id": user, "page_size": 1000})
    found: Counter[str] = Counter()
    for day in answer.json()["results"] if answer.is_success else ():
        found.update(day["metrics"])
    return Sum(int(found["successful_requests"]), int(found["prompt_tokens"]), int(found["completion_tokens"]))


def logged(gateway: LocalGateway, user: str) -> Sum:
    """What LiteLLM has in its log of spend, call by call; nothing while it has no database to ask."""
    answer = gateway.api("GET", "/spend/logs", params={"user_id": user})
    rows = [row for row in answer.json() if row["total_tokens"]] if answer.is_success else []
    assert len({row["request_id"] for row in rows}) == len(rows), "a call is in the log of spend twice"
    return Sum(len(rows), sum(row["prompt_tokens"] for row in rows), sum(row["completion_tokens"] for row in rows))
