"""LiteLLM's own figures of usage: its daily exports, a day a request, and the names of its models.

The days are those of UTC. LiteLLM writes what was spent once a minute, so that the last minutes may be missing. Calls
that failed are not in the figures (`disable_error_logs` in company/config.yaml).

Integrates with LiteLLM (/user/daily/activity/export, /team/…, /tag/…, /model/info): exactly the routes that the key
USAGE_KEY is made for.
"""

from __future__ import annotations

import csv
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from typing import IO, Any, Literal, TypeVar
from urllib.parse import urlsplit

from urllib3 import BaseHTTPResponse, PoolManager, Timeout
from urllib3.exceptions import HTTPError

from usage.cache_prices import CachePrices, saved
from usage.errors import RefusedError, UnavailableError, harmless

By = Literal["user", "team", "tag"]
T = TypeVar("T")

MODELS = "/model/info"
TIMEOUT = Timeout(connect=5, read=120)  # seconds; until the next piece of an answer, not for all of it
PAUSES = (1, 2, 5)  # seconds before the second, third and fourth attempt
# What is worth another attempt, beside no answer at all: AWS's load balancer and LiteLLM say these of a bad moment.
PASSING = frozenset({408, 429, 500, 502, 503, 504})
IN_MEMORY = 1 << 20  # bytes of a day that are kept in memory; the rest of it waits in a temporary file
PIECE = 1 << 16
# The columns that are read of an export, in the words of LiteLLM 1.106.
NUMBERS = (
    *("api_requests", "prompt_tokens", "completion_tokens"),
    *("cache_read_input_tokens", "cache_creation_input_tokens", "spend"),
)
COLUMNS = ("date", "entity_id", "model", *NUMBERS)
# LiteLLM puts an apostrophe before a text that a spreadsheet would take for a formula.
_FORMULA = re.compile(r"^'(?=[=+\-@\t\r])")


@dataclass(frozen=True, slots=True)
class Usage:
    """What one user, team or tag used of one deployment on one day (without models: of all of them).

    `prompt_tokens` are all of the prompt, with those read from and written to the provider's cache; `cost` is in US
    dollars, as is `saved` by the cache: None if the price of reading from it is not known.
    """

    date: str  # 2026-11-24
    who: str  # a user, team or tag; "" where LiteLLM knows none
    model: str  # what people ask for; several names of one deployment are joined by ", "
    deployment: str  # LiteLLM's name for it, such as bedrock/us.anthropic.claude-sonnet-5-5
    requests: int
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    cache_write_tokens: int
    cost: float
    saved: float | None = 0.0


@dataclass(frozen=True, slots=True)
class Deployment:
    """What LiteLLM has of a deployment: the names that people ask for, and the prices of its cache, if it knows any.

    `hosts` are those of the addresses that its entries have, `accounts` those of AWS whose role they are called with:
    none if one of them says nothing of it.
    """

    names: str  # joined by ", "
    prices: CachePrices | None
    hosts: frozenset[str] = frozenset()
    accounts: frozenset[str] = frozenset()


class LiteLlm:
    """A client of LiteLLM's figures at `url`, with a key that may ask for them.

    What may pass (no answer, a broken one, 5xx, too many requests) is tried four times, with pauses of 8 s in all.
    """

    def __init__(self, url: str, key: str) -> None:
        self._url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {key}"}
        self._http = PoolManager(maxsize=1)

    def usage(self, start: date, end: date, *, by: By = "user", models: bool = True) -> Iterator[Usage]:
        """Yield what was used from `start` to `end`, both included, day by day: a row per user, team or tag and model.

        With `models` false there is one row per day and user, team or tag, and both names of its model are "". A day is
        received whole before its first row comes: one that broke off is asked for anew, and nothing counts twice. No
        day is ever in memory as a whole.

        Raises
        ------
        UnavailableError
            LiteLLM did not answer, or not to the end, at any attempt.
        RefusedError
            It does not know the key or lets it not do this, the web ACL keeps the caller out, or its answer is not what
            is read here.
        """
        deployments = self.deployments() if models and start <= end else {}
        route = f"/{by}/daily/activity/export"
        for offset in range((end - start).days + 1):
            with self._export(route, start + timedelta(days=offset), models) as rows:
                for row in rows:
                    yield _usage(row, deployments, route)

    def models(self) -> dict[str, str]:
        """Return what people ask for, by deployment; several names of one deployment are joined by ", ".

        Raises
        ------
        UnavailableError, RefusedError
            As `usage`.
        """
        return {deployment: found.names for deployment, found in self.deployments().items()}

    def cache_prices(self) -> dict[str, CachePrices]:
        """Return the prices of caches by what people ask for; where its deployments differ, those of the first.

        Raises
        ------
        UnavailableError, RefusedError
            As `usage`.
        """
        found: dict[str, CachePrices] = {}
        for deployment in self.deployments().values():
            if deployment.prices:
                found.setdefault(deployment.names, deployment.prices)
        return found

    def deployments(self) -> dict[str, Deployment]:
        """Return what LiteLLM has of its deployments, by its names for them; the prices are those of now.

        Raises
        ------
        UnavailableError, RefusedError
            As `usage`.
        """
        names: dict[str, set[str]] = {}
        prices: dict[str, CachePrices | None] = {}
        hosts: dict[str, set[str]] = {}
        accounts: dict[str, set[str]] = {}
        for model in self._attempt(self._model_info):
            deployment = model["litellm_params"]["model"]
            names.setdefault(deployment, set()).add(model["model_name"])
            prices[deployment] = prices.get(deployment) or CachePrices.of(model["model_info"])
            address, role = (str(model["litellm_params"].get(name) or "") for name in ("api_base", "aws_role_name"))
            hosts.setdefault(deployment, set()).add(urlsplit(address).hostname or "")
            accounts.setdefault(deployment, set()).add(role.split(":")[4] if role.startswith("arn:") else "")
        return {
            one: Deployment(", ".join(sorted(each)), prices[one], _known(hosts[one]), _known(accounts[one]))
            for one, each in names.items()
        }

    def _model_info(self) -> Any:  # noqa: ANN401 - JSON
        with closing(self._get(MODELS, {})) as response:
            _check(response, MODELS)
            try:
                answer = response.json()
                names = ("model_name", "litellm_params", "model_info")
                return [{name: model[name] for name in names} for model in answer["data"]]
            except (ValueError, KeyError, TypeError, RecursionError) as error:
                raise _unexpected(MODELS, "it is no list of models") from error

    @contextmanager
    def _export(self, route: str, day: date, models: bool) -> Iterator[Iterator[dict[str, str]]]:
        """The rows of one day, by column."""
        query = {
            "start_date": day.isoformat(),
            "end_date": day.isoformat(),
            "export_type": "daily_with_models" if models else "daily",
            "format": "csv",
        }
        with tempfile.SpooledTemporaryFile(IN_MEMORY, "w+b") as file:
            self._attempt(lambda: self._receive(route, query, file))
            file.seek(0)
            yield _rows(file, route)

    def _receive(self, route: str, query: dict[str, str], file: IO[bytes]) -> None:
        """Put the whole answer into the file, in place of what an earlier attempt put there."""
        file.seek(0)
        file.truncate()
        with closing(self._get(route, query)) as response:
            _check(response, route)
            if not response.headers.get("Content-Type", "").startswith("text/csv"):
                raise _unexpected(route, "it is no CSV")
            last = b""
            for piece in response.stream(PIECE):  # raises if the connection ends before the answer does
                file.write(piece)
                last = piece or last
            if not last.endswith(b"\n"):
                raise UnavailableError(f"LiteLLM's answer to {route} broke off in the middle of a line")

    def _attempt(self, ask: Callable[[], T]) -> T:
        for pause in (*PAUSES, None):
            try:
                return ask()
            except UnavailableError:
                if pause is None:
                    raise
                time.sleep(pause)
            except HTTPError as error:
                if pause is None:
                    raise UnavailableError(
                        f"LiteLLM did not answer at {self._url} ({type(error).__name__}): look at the network and at "
                        "the gateway's tasks"
                    ) from error
                time.sleep(pause)
        raise AssertionError  # the last pause is None

    def _get(self, route: str, query: dict[str, str]) -> BaseHTTPResponse:
        parts = urlsplit(self._url)
        if parts.scheme not in ("https", "http") or not parts.hostname:
            raise RefusedError(f"{self._url} is no URL of LiteLLM: write it as https://host")
        return self._http.request(
            "GET",
            self._url + route,
            fields=query,
            headers=self._headers,
            timeout=TIMEOUT,
            retries=False,
            redirect=False,
            preload_content=False,
        )


def _known(values: set[str]) -> frozenset[str]:
    return frozenset() if "" in values else frozenset(values)


def _check(response: BaseHTTPResponse, route: str) -> None:
    """Raise unless the answer is a good one; a sentence for each way of refusing."""
    status = response.status
    if status == 200:
        return
    if status in PASSING:
        raise UnavailableError(f"LiteLLM did not answer {route} ({status}): look at the log of the gateway's tasks")
    if status == 401:
        raise RefusedError(
            f"LiteLLM does not know the key for {route} (401): raise LABEL in stacks/constructs/litellm_key.py and "
            "deploy, which makes USAGE_KEY anew"
        )
    if not response.headers.get("Content-Type", "").startswith("application/json"):
        if status == 403:
            raise RefusedError(
                f"the web ACL does not let {route} in from here (403): ask from an address of ingress.management_cidrs "
                "in company/environments.py, and under the gateway's own host name"
            )
        raise _unexpected(route, f"its status is {status}")
    raise RefusedError(f"LiteLLM refused {route} ({status}): {_message(response)}")


def _message(response: BaseHTTPResponse) -> str:
    """What LiteLLM says of an error, in one of the shapes that it and FastAPI have for it."""
    try:
        answer = response.json()
    except (ValueError, RecursionError, HTTPError):
        return "no reason given"
    error = answer.get("error", answer.get("detail", "")) if isinstance(answer, dict) else ""
    if isinstance(error, dict):
        error = error.get("message", error.get("error", ""))
    return harmless(str(error)) or "no reason given"


def _rows(file: IO[bytes], route: str) -> Iterator[dict[str, str]]:
    rows = csv.DictReader(line.decode() for line in file)
    found = rows.fieldnames or ()
    if missing := [name for name in COLUMNS if name not in found]:
        raise _unexpected(route, f"it has no column {', '.join(missing)}")
    return rows


def _usage(row: dict[str, str], deployments: dict[str, Deployment], route: str) -> Usage:
    deployment = row["model"]
    known = deployments.get(deployment, Deployment(deployment, None))
    try:
        requests, prompt, completion, cached, cache_write = (int(row[name]) for name in NUMBERS[:-1])
        cost = float(row["spend"])
    except (ValueError, TypeError) as error:
        raise _unexpected(route, f"a row of {row['date']} has no number where one belongs") from error
    return Usage(
        date=row["date"],
        who=_FORMULA.sub("", row["entity_id"]),
        model=known.names,
        deployment=deployment,
        requests=requests,
        prompt_tokens=prompt,
        completion_tokens=completion,
        cached_tokens=cached,
        cache_write_tokens=cache_write,
        cost=cost,
        saved=_saved(known.prices, prompt=prompt, completion=completion, read=cached, written=cache_write, cost=cost),
    )


def _saved(prices: CachePrices | None, **sums: Any) -> float | None:  # noqa: ANN401 - tokens, and US dollars
    if prices:
        return saved(prices, **sums)
    return None if sums["read"] or sums["written"] else 0.0


def _unexpected(route: str, finding: str) -> RefusedError:
    return RefusedError(
        f"the answer to {route} is not what lambda/usage/litellm.py reads ({finding}): look at the URL, and at what "
        "the LiteLLM of container/Dockerfile answers"
    )
