"""Whether AWS's IAM lets a request through: the emulated AWS decides for the services that are simulated here."""

from __future__ import annotations

import json
from collections.abc import Iterable

import httpx

from local.iam.outside import ACCOUNT, PATH, QUESTION
from local.outside.exchange import ApiError, Request
from local.outside.records import Json

__all__ = ["ACCOUNT", "Permissions"]

Check = tuple[str, str]  # an action and the ARN of what it acts on
TIMEOUT = 30.0  # seconds


class Permissions:
    """What the callers of simulated services may do.

    Attributes
    ----------
    endpoint
        The URL of the emulated AWS that knows them. Until it is set, whoever signs may do everything: a world without
        an AWS has no policies.
    """

    def __init__(self) -> None:
        self.endpoint = ""
        self._http = httpx.Client(trust_env=False, timeout=TIMEOUT)

    def check(self, request: Request, region: str, checks: Iterable[Check]) -> None:
        """Check the signature of a request, and that whoever signed it may do all of this.

        Raises
        ------
        ApiError
            Not so; with AWS's code and words.
        """
        if self.endpoint:
            self._ask(_question(request, region, checks), request.body)

    def guardrail(self, request: Request, region: str, check: Check, name: str, version: str) -> Json | None:
        """Check as `check` does; the guardrail that was deployed, by its id or ARN and version, None if there is none.

        Raises
        ------
        ApiError
            Whoever signed may not ask it; with AWS's code and words.
        """
        if not self.endpoint:
            return None
        question = _question(request, region, [check]) | {"guardrail": name, "version": version}
        found: Json | None = self._ask(question, request.body)["guardrail"]
        return found

    def model_of(self, profile: str) -> str | None:
        """The model behind an application inference profile that was deployed, by its ARN; None if it was not."""
        return self._ask({"profile": profile}, b"").get("model") if self.endpoint else None

    def check_mail(self, key: str, region: str, sender: str) -> None:
        """Check that the user whose access key this is may send from an address by SMTP.

        Raises
        ------
        ApiError
            Not so; with AWS's code and words.
        """
        if self.endpoint:
            self._ask({"key": key, "region": region, "mail": {"FromEmailAddress": sender}}, b"")

    def _ask(self, question: Json, body: bytes) -> Json:
        asked = {QUESTION: json.dumps(question), "content-type": "application/octet-stream"}
        answer = self._http.post(f"{self.endpoint}{PATH}", content=body, headers=asked)
        answered: Json = answer.raise_for_status().json()
        if "code" in answered:
            raise ApiError(403, code=answered["code"], message=answered["message"])
        return answered


def _question(request: Request, region: str, checks: Iterable[Check]) -> Json:
    return {
        "method": request.method,
        "path": request.path,
        "headers": dict(request.headers),
        "region": region,
        "checks": list(checks),
    }
