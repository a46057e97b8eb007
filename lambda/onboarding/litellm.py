"""LiteLLM's management API: exactly the routes that the key ONBOARDING_KEY is made for."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any, Protocol

from aws_lambda_powertools.utilities import parameters
from urllib3 import BaseHTTPResponse, PoolManager, Retry, Timeout
from urllib3.exceptions import HTTPError

from onboarding import environment
from onboarding.errors import RefusedError, UnavailableError, harmless

TIMEOUT = Timeout(connect=3, read=15)  # seconds; a management call takes a few hundred milliseconds
# What members of a team may do with keys of their own for it, which LiteLLM lets nobody but its admins otherwise.
MEMBERS_MAY = ["/key/info", "/key/generate", "/key/delete", "/key/list"]
INVITATION = ("id", "expires_at", "is_accepted")  # what is read of one
PAGE = 100  # the most that /user/list gives at once

# Within one attempt: three tries in 1.5 s. `REPEAT` is for what may be done twice without harm, which is everything but
# `/invitation/new`: that one is tried again only when no connection was made. Retry-After is left to the queue.
REPEAT = Retry(
    total=2,
    backoff_factor=0.5,
    status_forcelist=(429, 502, 503, 504),
    allowed_methods=None,
    raise_on_status=False,
    respect_retry_after_header=False,
)
ONCE = Retry(total=2, backoff_factor=0.5, allowed_methods={"GET"})

# It logs the addresses that it tries again, and people's mail addresses are in them.
logging.getLogger("urllib3").setLevel(logging.ERROR)


class Http(Protocol):
    """What is used of urllib3's PoolManager."""

    def request(
        self,
        method: str,
        url: str,
        *,
        fields: dict[str, str] | None,
        json: Any,  # noqa: ANN401 - any JSON value
        headers: dict[str, str],
        timeout: Timeout,
        retries: Retry,
        redirect: bool,
    ) -> BaseHTTPResponse:
        """Send one request."""


class LiteLlm:
    """A client of the management API. A user here is LiteLLM's JSON object for one, as it comes.

    Every method raises `UnavailableError` where a later try may help and `RefusedError` where it does not; the sentence
    names the route and has no secret.
    """

    def __init__(self, url: str, http: Http | None = None) -> None:
        self._url = url.rstrip("/")
        self._http: Http = http or PoolManager(maxsize=1)

    def user(self, user_id: str) -> dict[str, Any] | None:
        """Return the user of an id, with `keys` added: the keys that it owns; None if there is none."""
        try:
            found = self._call("GET", "/user/info", {"user_id": user_id}, has=("user_info",))
        except RefusedError as refused:
            if refused.status == 404:
                return None
            raise
        return {**found["user_info"], "keys": found.get("keys") or []}

    def users(self, part_of_email: str) -> Iterator[dict[str, Any]]:
        """Return every user whose mail address has this part, without keys, page by page."""
        page, pages = 1, 1
        while page <= pages:
            query = {"user_email": part_of_email, "page": str(page), "page_size": str(PAGE)}
            found = self._call("GET", "/user/list", query, has=("users", "total_pages"))
            yield from found["users"]
            page, pages = page + 1, found["total_pages"]

    def new_user(self, user: dict[str, Any]) -> bool:
        """Make a user without a key and without LiteLLM's own mail; return whether it was not there before."""
        try:
            self._call("POST", "/user/new", body={**user, "auto_create_key": False, "send_invite_email": False})
        except RefusedError as refused:
            if refused.status == 409:
                return False
            raise
        return True

    def update_user(self, user_id: str, **changes: Any) -> None:  # noqa: ANN401 - LiteLLM's fields
        """Change a user. `metadata` replaces all that was there."""
        self._call("POST", "/user/update", body={"user_id": user_id, **changes})

    def delete_user(self, user_id: str) -> None:
        """Delete a user with its memberships and invitations, if it is there."""
        try:
            self._call("POST", "/user/delete", body={"user_ids": [user_id]})
        except RefusedError as refused:
            if refused.status != 404:
                raise

    def ensure_team(self, team: str) -> None:
        """Make a team whose id is its name, unless it is there."""
        try:
            self._call("GET", "/team/info", {"team_id": team})
            return
        except RefusedError as refused:
            if refused.status != 404:
                raise
        try:
            body = {"team_id": team, "team_alias": team, "team_member_permissions": MEMBERS_MAY}
            self._call("POST", "/team/new", body=body)
        except RefusedError as refused:
            if "already exists" not in str(refused):  # another worker was first
                raise

    def add_member(self, team: str, user_id: str) -> None:
        """Make a user a member of a team, unless it is one."""
        try:
            self._call(
                "POST", "/team/member_add", body={"team_id": team, "member": {"role": "user", "user_id": user_id}}
            )
        except RefusedError as refused:
            if refused.reason != "team_member_already_in_team":
                raise

    def new_invitation(self, user_id: str) -> dict[str, Any]:
        """Make an invitation, valid for LiteLLM's seven days."""
        body = {"user_id": user_id}
        made: dict[str, Any] = self._call("POST", "/invitation/new", body=body, retries=ONCE, has=INVITATION)
        return made

    def invitation(self, invitation_id: str) -> dict[str, Any] | None:
        """Return an invitation, or None if it is gone."""
        try:
            query = {"invitation_id": invitation_id}
            found: dict[str, Any] = self._call("GET", "/invitation/info", query, has=INVITATION)
        except RefusedError as refused:
            if refused.status == 400:
                return None
            raise
        return found

    def block_key(self, token: str) -> None:
        """Block a key, named by its hash."""
        self._call("POST", "/key/block", body={"key": token})

    def _call(
        self,
        method: str,
        route: str,
        query: dict[str, str] | None = None,
        *,
        body: dict[str, Any] | None = None,
        retries: Retry = REPEAT,
        has: tuple[str, ...] = (),
    ) -> Any:  # noqa: ANN401 - JSON
        response = self._send(method, route, query, body, retries)
        if response.status == 401:
            parameters.clear_caches()  # type: ignore[no-untyped-call]  # the key may have been rotated
            response = self._send(method, route, query, body, retries)
        if response.status == 401:
            # Not `RefusedError`: the request waits in the queue until an operator has mended the key.
            raise UnavailableError(
                f"LiteLLM does not know the key for {route} (401): raise LABEL in stacks/constructs/litellm_key.py and "
                "deploy, which makes ONBOARDING_KEY anew"
            )
        if response.status >= 500 or response.status in (408, 429):
            raise UnavailableError(f"LiteLLM did not answer {method} {route} ({response.status})")
        try:
            answer = response.json()
        except (ValueError, RecursionError) as error:
            raise UnavailableError(f"LiteLLM's answer to {method} {route} is no JSON ({response.status})") from error
        if response.status >= 400:
            message, reason = _error(answer)
            raise RefusedError(
                f"LiteLLM refused {method} {route} ({response.status}): {message}",
                status=response.status,
                reason=reason,
            )
        for name in has:
            if not isinstance(answer, dict) or name not in answer:
                raise UnavailableError(f"LiteLLM's answer to {method} {route} has no {name}")
        return answer

    def _send(
        self, method: str, route: str, query: dict[str, str] | None, body: dict[str, Any] | None, retries: Retry
    ) -> BaseHTTPResponse:
        try:
            return self._http.request(
                method,
                self._url + route,
                fields=query,
                json=body,
                headers={"Authorization": f"Bearer {environment.secret('ONBOARDING_KEY')}"},
                timeout=TIMEOUT,
                retries=retries,
                redirect=False,
            )
        except HTTPError as error:
            raise UnavailableError(f"LiteLLM did not answer {method} {route} ({type(error).__name__})") from error


def _error(answer: Any) -> tuple[str, str]:  # noqa: ANN401 - JSON
    """Return the message and the kind of one of the shapes in which LiteLLM and FastAPI report an error."""
    error = answer.get("error", answer.get("detail", "")) if isinstance(answer, dict) else ""
    if isinstance(error, list):  # FastAPI's validation errors repeat the input: take only what they say
        return harmless("; ".join(str(one.get("msg", "")) for one in error if isinstance(one, dict))), ""
    if isinstance(error, dict):
        return harmless(str(error.get("message", error.get("error", "")))), str(error.get("type", ""))
    return harmless(str(error)), ""
