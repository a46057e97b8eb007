"""Datadog's API as it is asked here: through the proxy that there is, and again where that helps and does no harm."""

from __future__ import annotations

import logging
import os
import random
import time
import urllib.request
from collections.abc import Callable
from itertools import count
from typing import Any, TypeVar

import certifi
from datadog_api_client import ApiClient, Configuration
from datadog_api_client.exceptions import ApiException
from urllib3 import Retry
from urllib3.exceptions import HTTPError

logger = logging.getLogger(__name__)

ADDRESS = "https://api.{site}"
TIMEOUT = (5.0, 20.0)  # seconds to connect and to read: a dashboard takes Datadog one or two
# Attempts while Datadog fails, with 1, 2, 4, 8 and 16 s between. What is over the rate limit is tried until there is no
# time left, since Datadog tells when it will be taken.
ATTEMPTS = 6

Result = TypeVar("Result")


class RefusedError(Exception):
    """Datadog does not do it, however often it is asked; `status` is that of its answer."""

    def __init__(self, sentence: str, *, status: int) -> None:
        super().__init__(sentence)
        self.status = status


class UnansweredError(Exception):
    """Datadog did not do it in the time there was."""


class Datadog:
    """A connection to one Datadog site. `seconds_left` tells how long it may still take.

    HTTPS_PROXY, NO_PROXY and SSL_CERT_FILE count, which Datadog's client does not look at by itself. Its own retries
    are off: they would also repeat a POST that timed out or got a 5xx answer, which makes a second object, and wait
    longer than the function runs.
    """

    def __init__(self, site: str, *, api_key: str, app_key: str, seconds_left: Callable[[], float]) -> None:
        self._keys, self._seconds_left = (api_key, app_key), seconds_left
        configuration = Configuration(  # type: ignore[no-untyped-call]
            host=ADDRESS.format(site=site),
            api_key={"apiKeyAuth": api_key, "appKeyAuth": app_key},
            ssl_ca_cert=os.environ.get("SSL_CERT_FILE") or certifi.where(),
            request_timeout=TIMEOUT,
            retry_policy=Retry(total=False, redirect=False),
            preload_content=False,  # the answer as it came: its own models do not know all that Datadog may add
            is_iac=True,
        )
        if not urllib.request.proxy_bypass(f"api.{site}"):
            configuration.proxy = urllib.request.getproxies().get("https")
        self.client = ApiClient(configuration)

    def ask(self, call: Callable[[], Result], *, done: Callable[[], Result | None] | None = None) -> Result:
        """Return what `call`, one request, returns; asked again while Datadog fails, is silent or has had too many.

        A `call` that may not be repeated has a `done`, which looks whether an attempt without an answer did it after
        all, and returns what it made.

        Raises
        ------
        RefusedError
            Datadog answered that it does not do it.
        UnansweredError
            The attempts, or the time, came to an end.
        """
        for attempt in count(1):
            try:
                return call()
            except ApiException as error:
                status, wait = int(error.status), _until_reset(error)
                problem = (
                    f"Datadog answered {status} ({self._said(error)})" if status else "its certificate is not known"
                )
                if status == 409 and done and (found := done()) is not None:
                    return found
                if status < 500 and status not in (408, 429):
                    raise RefusedError(problem, status=status) from None
            except (HTTPError, ValueError, LookupError, TypeError) as error:  # no answer, or none of Datadog's
                status, wait, problem = 0, None, f"Datadog did not answer ({type(error).__name__})"
            wait = (2.0 ** (attempt - 1) if wait is None else wait) + random.uniform(0, 2)  # noqa: S311 - to spread callers
            last = (attempt >= ATTEMPTS and status != 429) or wait + sum(TIMEOUT) > self._seconds_left()
            if not last:
                logger.warning("%s: trying again in %.0f s", problem, wait)
                time.sleep(wait)
            if done and status != 429 and (found := done()) is not None:
                return found
            if last:
                raise UnansweredError(f"{problem}, at attempt {attempt}")
        raise AssertionError  # there is no last number

    def _said(self, error: ApiException) -> str:
        """What Datadog says is wrong, in no more than 300 characters, and without the keys."""
        errors = error.body.get("errors") if isinstance(error.body, dict) else None
        parts = [
            str(each.get("detail") or each.get("title") or each) if isinstance(each, dict) else str(each)
            for each in (errors if isinstance(errors, list) else [])
        ]
        said = " ".join("; ".join(parts).split()) or str(error.reason)
        for key in self._keys:
            said = said.replace(key, "[key]")
        return said[:300]


def _until_reset(error: ApiException) -> float | None:
    """The seconds until Datadog counts anew, if it says so: https://docs.datadoghq.com/api/latest/rate-limits."""
    headers: dict[str, Any] = {name.lower(): value for name, value in (error.headers or {}).items()}
    try:
        return max(0.0, float(headers["x-ratelimit-reset"]))
    except (KeyError, ValueError):
        return None
