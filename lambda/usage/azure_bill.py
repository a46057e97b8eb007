"""Azure OpenAI on Azure's bill, by Cost Management.

A line is a meter of a resource. Names of meters are short and of several generations, as Azure's price list has them
(https://prices.azure.com/api/retail/prices): "gpt 4o 1120 cached Inp glbl Tokens", "GPT 5 Mini outpt DZone 1M Tokens",
"5.6 sol ShortCo Cd Inp Std Gl 1M Tokens" (Cd Inp: read from the cache; Cd Wr: written to it; Opt: output; PP: priority
processing).
The service they belong to has been renamed twice (Cognitive Services, Azure OpenAI, Foundry Models), so the query asks
for the type of the resource instead. The date of a version in the name (1120, 0806) is left out of the comparison.

`ActualCost` has the prices that were negotiated; Azure's query knows no list price beside them. Credits are not taken
off, and taxes not added. `CostUSD` is in US dollars whatever the currency of the bill.

Azure takes up to 72 hours after the end of the month to have all of its usage, and calls costs estimated until the
invoice: https://learn.microsoft.com/en-us/azure/cost-management-billing/costs/understand-cost-mgt-data
That Azure's own meters can be wrong is on record, too: https://github.com/Azure/azure-rest-api-specs/issues/45178

Integrates with Microsoft's sign-in (client credentials) and Cost Management's query API.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from urllib3 import PoolManager

from usage.bill_lines import Kind, Line, Statement
from usage.clouds import TIMEOUT, Json, ask, pool
from usage.environment import AzureBill
from usage.errors import RefusedError
from usage.figures import Period

SIGN_IN = "https://login.microsoftonline.com"
MANAGEMENT = "https://management.azure.com"
VERSION = "2025-03-01"
RESOURCE_TYPE = "microsoft.cognitiveservices/accounts"

_WORD = re.compile(r"[\s-]+")
# Words after the model's name: who may use the tokens, which they are, and where they are served.
_INPUT, _OUTPUT = {"inp", "inpt", "input"}, {"outp", "outpt", "opt", "out", "output"}
_CACHED, _WRITTEN = {"cd", "cchd", "cached", "cache"}, {"wr", "write", "written"}
_OTHER = {
    *("shortco", "longco", "std", "pp", "priority", "batch", "flex", "ft"),
    *("gl", "glbl", "global", "dz", "dzone", "regnl", "regional", "1m", "1k", "tokens", "token"),
}
_ENDS = _OTHER | _CACHED | _INPUT | _OUTPUT
_VERSION_DATE = re.compile(r"\d{4}|\d{8}")


def read(period: Period, settings: AzureBill, secret: str, http: PoolManager | None = None) -> Statement:
    """Return what the subscription's Azure OpenAI resources cost in a month, by model, resource and kind of token.

    Raises
    ------
    UnavailableError, RefusedError
        Microsoft did not answer, or refused: the app registration, its secret or its role.
    """
    http = http or pool()
    token = _token(settings, secret, http)
    return Statement([_line(row) for row in _rows(period, settings, token, http)])


def kind_of(words: list[str]) -> Kind:
    """Return the kind of token that the words of a meter name; embeddings have input only, and no word for it."""
    found = set(words)
    if found & _CACHED:
        return "cache_write" if found & _WRITTEN else "cached"
    if found & _OUTPUT:
        return "output"
    return "input" if found & _INPUT or "tokens" in found else "other"


def _line(row: Json) -> Line:
    meter, resource = str(row["Meter"]), str(row["ResourceId"])
    words = _WORD.split(meter.lower())
    end = next((number for number, word in enumerate(words) if word in _ENDS), len(words))
    name = [word for word in words[:end] if not _VERSION_DATE.fullmatch(word)]
    region = resource.lower().rpartition("/")[2]
    return Line(
        text=f"{region}: {meter}",
        model=" ".join(name),
        region=region,
        kind=kind_of(words[end:]),
        cost=float(row["CostUSD"]),
        quantity=float(row["UsageQuantity"]),
    )


def _token(settings: AzureBill, secret: str, http: PoolManager) -> str:
    form = {
        "grant_type": "client_credentials",
        "client_id": settings.client,
        "client_secret": secret,
        "scope": f"{MANAGEMENT}/.default",
    }
    url = f"{SIGN_IN}/{settings.tenant}/oauth2/v2.0/token"
    try:
        answer = ask(
            "Microsoft's sign-in",
            lambda: http.request("POST", url, fields=form, encode_multipart=False, timeout=TIMEOUT, retries=False),
            advice="see bill.azure's tenant and client in company/environments.py, and store the app's client "
            "secret anew as AZURE_BILLING_SECRET (make secrets)",
        )
    except RefusedError as error:  # its secret has no form that `harmless` knows
        raise RefusedError(str(error).replace(secret, "[secret]")) from None
    return str(answer["access_token"])


def _rows(period: Period, settings: AzureBill, token: str, http: PoolManager) -> Iterator[Json]:
    """Every row of the answer, by column; pages follow `nextLink` with the same body."""
    body = json.dumps(
        {
            "type": "ActualCost",
            "timeframe": "Custom",
            "timePeriod": {"from": f"{period.first}T00:00:00Z", "to": f"{period.last}T23:59:59Z"},
            "dataset": {
                "granularity": "None",
                # The API takes two aggregations and two groups at most.
                "aggregation": {
                    "CostUSD": {"name": "CostUSD", "function": "Sum"},
                    "UsageQuantity": {"name": "UsageQuantity", "function": "Sum"},
                },
                "grouping": [{"type": "Dimension", "name": name} for name in ("ResourceId", "Meter")],
                "filter": {"dimensions": {"name": "ResourceType", "operator": "In", "values": [RESOURCE_TYPE]}},
            },
        }
    )
    scope = f"/subscriptions/{settings.subscription}"
    url = f"{MANAGEMENT}{scope}/providers/Microsoft.CostManagement/query?api-version={VERSION}"
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json", "ClientType": "litellm-gateway"}
    while url:
        page = _page(url, body, headers, http)
        names = [column["name"] for column in page["columns"]]
        for row in page["rows"]:
            yield dict(zip(names, row, strict=True))
        url = page.get("nextLink") or ""
        if url and urlsplit(url).hostname != urlsplit(MANAGEMENT).hostname:
            raise RefusedError("Azure's Cost Management names a next page on another host than its own")


def _page(url: str, body: str, headers: dict[str, str], http: PoolManager) -> Json:
    answer = ask(
        "Azure's Cost Management",
        lambda: http.request("POST", url, body=body, headers=headers, timeout=TIMEOUT, retries=False),
        advice="give the app of bill.azure the role Cost Management Reader on the subscription",
    )
    properties: Any = answer.get("properties", {"columns": [], "rows": []})  # a 204 has none: nothing was used
    return dict(properties)
