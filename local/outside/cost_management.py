"""Azure's bill, by Cost Management, and Microsoft's sign-in, which it takes the tokens of.

The lines have Azure's names and units, and come in short pages. Formats: Microsoft's REST reference of Cost
Management's query and of its sign-in.
"""

from __future__ import annotations

import re
import secrets
from urllib.parse import parse_qs

from local.outside.bills import PAGE, Bills, Charge
from local.outside.exchange import Answer, ApiError, Request, Target, same

_MILLION = 1_000_000


class MicrosoftSignIn:
    """Microsoft's sign-in for applications, with their client secret."""

    name = "microsoft-sign-in"

    def __init__(self, secret: str) -> None:
        self._secret = secret
        self._token = secrets.token_urlsafe(32)

    def serves(self, host: str) -> bool:
        """Return whether the host is that of the sign-in."""
        return host == "login.microsoftonline.com"

    def target(self, request: Request) -> Target:
        """Return the one operation there is."""
        if request.method != "POST" or not re.fullmatch(r"/[0-9a-f-]{36}/oauth2/v2\.0/token", request.path):
            raise ApiError(404, code="invalid_request", message="The endpoint is not known.")
        return Target("token")

    def answer(self, request: Request, target: Target) -> Answer:  # there is but one operation
        """Exchange the client secret for an access token."""
        form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
        if (
            form.get("grant_type") != "client_credentials"
            or form.get("scope") != "https://management.azure.com/.default"
        ):
            raise ApiError(400, code="invalid_request", message="AADSTS900144: The request body is not complete.")
        if not same(form.get("client_secret", ""), self._secret):
            raise ApiError(401, code="invalid_client", message="AADSTS7000215: Invalid client secret provided.")
        return Answer.of_json({"token_type": "Bearer", "expires_in": 3599, "access_token": self._token})

    def error(self, error: ApiError, retry_after_seconds: int) -> Answer:
        """Return an OAuth error."""
        document = {"error": error.code or "temporarily_unavailable", "error_description": error.message}
        return Answer.of_json(document, status=error.status, headers={"retry-after": str(retry_after_seconds)})

    def accepts(self, authorization: str) -> bool:
        """Return whether a header has the access token."""
        return same(authorization, f"Bearer {self._token}")


class CostManagement:
    """Azure's Cost Management: the query of a subscription's costs by resource and meter."""

    name = "cost-management"

    def __init__(self, bills: Bills, sign_in: MicrosoftSignIn) -> None:
        self._bills, self._sign_in = bills, sign_in

    def serves(self, host: str) -> bool:
        """Return whether the host is Azure's management."""
        return host == "management.azure.com"

    def target(self, request: Request) -> Target:
        """Return the one operation there is."""
        path = r"/subscriptions/[0-9a-f-]{36}/providers/Microsoft\.CostManagement/query"
        if request.method != "POST" or not re.fullmatch(path, request.path) or "api-version" not in request.query:
            raise ApiError(404, code="NotFound", message="The resource was not found.")
        return Target("query")

    def answer(self, request: Request, target: Target) -> Answer:  # there is but one operation
        """Return a page of the lines."""
        if not self._sign_in.accepts(request.headers.get("authorization", "")):
            raise ApiError(401, code="InvalidAuthenticationToken", message="The access token is invalid.")
        body = request.json()
        subscription = request.path.split("/")[2]
        if [group["name"] for group in body["dataset"]["grouping"]] != ["ResourceId", "Meter"]:
            raise ApiError(400, code="BadRequest", message="Only resources and meters are simulated.")
        rows = [
            [
                charge.cost,
                charge.tokens / _MILLION,
                f"/subscriptions/{subscription}/resourcegroups/llm/providers/microsoft.cognitiveservices/accounts/"
                f"{charge.place}",
                _azure_meter(charge),
                "USD",
            ]
            for charge in self._bills.charges("azure", body["timePeriod"]["from"][:7])
        ]
        start = int(request.query.get("$skiptoken", "0"))
        again = f"https://management.azure.com{request.path}?api-version={request.query['api-version']}&$skiptoken="
        columns = {"CostUSD": "Number", "UsageQuantity": "Number", "ResourceId": "String", "Meter": "String"}
        properties = {
            "nextLink": f"{again}{start + PAGE}" if start + PAGE < len(rows) else None,
            "columns": [{"name": name, "type": kind} for name, kind in (columns | {"Currency": "String"}).items()],
            "rows": rows[start : start + PAGE],
        }
        document = {"id": secrets.token_hex(8), "type": "Microsoft.CostManagement/query", "properties": properties}
        return Answer.of_json(document)

    def error(self, error: ApiError, retry_after_seconds: int) -> Answer:
        """Return Azure's error document; a 429 says in Cost Management's own header when to try again."""
        codes = {403: "AuthorizationFailed", 429: "429", 503: "ServiceUnavailable"}
        headers = {}
        if error.status in (429, 503):
            headers = {"x-ms-ratelimit-microsoft.costmanagement-qpu-retry-after": str(retry_after_seconds)}
        code = error.code or codes.get(error.status, str(error.status))
        message = error.message or "The request was not answered."
        return Answer.of_json({"error": {"code": code, "message": message}}, status=error.status, headers=headers)


def _azure_meter(charge: Charge) -> str:
    """The meter of a model that is served globally; embeddings have one for all."""
    name = re.sub(r"-20\d\d-\d\d-\d\d$", "", charge.model)
    if "embedding" in name:
        return f"{name} glbl Tokens"
    kinds = {"input": "Inp", "cached": "Cd Inp"} | dict.fromkeys(("cache_write", "cache_write_1h"), "Cd Wr")
    words = name.removeprefix("gpt-").replace("-", " ")
    return f"{words} ShortCo {kinds.get(charge.kind, 'Opt')} Std Gl 1M Tokens"
