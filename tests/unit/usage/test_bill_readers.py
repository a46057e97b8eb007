"""The readers of the three bills: lines as the clouds write them, pages, patience, and sentences of what is refused."""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from importlib.metadata import requires
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from urllib3 import HTTPResponse
from urllib3.exceptions import MaxRetryError, NewConnectionError
from usage import aws_bill, azure_bill, clouds, google_bill
from usage.bill_lines import Kind, fits
from usage.environment import AzureBill, GeminiBill, GoogleBill
from usage.errors import RefusedError, UnavailableError
from usage.figures import Period

from local.outside.credentials import Credentials
from stacks import CHECKOUT
from tests.clock import for_this_thread

OCTOBER = Period("month", date(2026, 10, 1), date(2026, 10, 31))
ACCOUNT = "123456789012"
AZURE = AzureBill(tenant="tenant", client="client", subscription="subscription")
GOOGLE = GoogleBill(table="acme-billing.costs.gcp_billing_export_v1_0A", location="EU")


class CostExplorer:
    """Answers with its pages, one a request, and keeps the requests; a page that is an error is raised."""

    def __init__(
        self,
        *pages: Sequence[tuple[str, str, float, float]] | Exception,
        estimated: bool = False,
        paged: bool = True,
    ) -> None:
        self.pages, self.estimated, self.paged = list(pages), estimated, paged
        self.requests: list[dict[str, Any]] = []

    def get_cost_and_usage(self, **request: Any) -> dict[str, Any]:  # noqa: ANN401
        self.requests.append(request)
        page = self.pages[len(self.requests) - 1]
        if isinstance(page, Exception):
            raise page
        groups = [
            {
                "Keys": [first, usage],
                "Metrics": {
                    "UnblendedCost": {"Amount": str(cost), "Unit": "USD"},
                    "NetUnblendedCost": {"Amount": str(cost * 0.9), "Unit": "USD"},
                    "UsageQuantity": {"Amount": str(quantity), "Unit": "N/A"},
                },
            }
            for first, usage, cost, quantity in page
        ]
        answer: dict[str, Any] = {"ResultsByTime": [{"Groups": groups, "Estimated": self.estimated}]}
        return answer | ({"NextPageToken": "next"} if self.paged and len(self.requests) < len(self.pages) else {})


EDITION = "Claude Opus 5.5 (Amazon Bedrock Edition)"
AWS_LINES: list[tuple[str, str, str, str, Kind, bool]] = [
    (EDITION, "USW2-MP:USW2_input_tokens_standard-Units", "Claude Opus 5.5", "us-west-2", "input", False),
    (EDITION, "USE1-MP:USE1_output_tokens_global_standard-Units", "Claude Opus 5.5", "us-east-1", "output", True),
    (EDITION, "EUW1-MP:EUW1_cache_read_tokens_standard-Units", "Claude Opus 5.5", "eu-west-1", "cached", False),
    (
        EDITION,
        "USW2-MP:USW2_cache_write_tokens_1h_standard-Units",
        "Claude Opus 5.5",
        "us-west-2",
        "cache_write",
        False,
    ),
    (
        EDITION,
        "APN1-MP:APN1_CacheReadInputTokenCount_Global-Units",
        "Claude Opus 5.5",
        "ap-northeast-1",
        "cached",
        True,
    ),
    (EDITION, "EU-MP:EU_cache_write_tokens_global_standard-Units", "Claude Opus 5.5", "eu-west-1", "cache_write", True),
    (EDITION, "USE1-MP:USE1_CacheWrite1hInputTokenCount-Units", "Claude Opus 5.5", "us-east-1", "cache_write", False),
    (EDITION, "USE2-MP:USE2_CacheWriteInputTokenCount-Units", "Claude Opus 5.5", "us-east-2", "cache_write", False),
    (EDITION, "APS3-MP:APS3_OutputTokenCount-Units", "Claude Opus 5.5", "ap-south-1", "output", False),
    ("Amazon Bedrock", "USW2-Nova2.0Lite-input-tokens", "Nova2.0Lite", "us-west-2", "input", False),
    ("Amazon Bedrock", "USE1-Nova2.0Lite-input-tokens-cross-region-global", "Nova2.0Lite", "us-east-1", "input", True),
    ("Amazon Bedrock", "EU-NovaLite-cache-read-input-token-count", "NovaLite", "eu-west-1", "cached", False),
    ("Amazon Bedrock", "EUC1-NovaPro-cache-write-input-token-count", "NovaPro", "eu-central-1", "cache_write", False),
    ("Amazon Bedrock", "USE1-TitanEmbeddingV2-Text-input-tokens", "TitanEmbeddingV2-Text", "us-east-1", "input", False),
    ("Amazon Bedrock", "USE1-Llama3-3-70B-output-tokens-batch", "Llama3-3-70B", "us-east-1", "output", False),
    (
        *("Amazon Bedrock", "USW2-openai.gpt-oss-120b-mantle-input-tokens-standard", "openai.gpt-oss-120b"),
        *("us-west-2", "input", False),
    ),
    ("Amazon Bedrock Service", "USW2-AmazonRerank-v1-searchunits", "AmazonRerank-v1", "us-west-2", "other", False),
    (
        "Amazon Bedrock",
        "USE1-Guardrail-ContentPolicyUnits",
        "Guardrail-ContentPolicyUnits",
        "us-east-1",
        "other",
        False,
    ),
]


class TestAws:
    @pytest.mark.parametrize(("service", "usage", "model", "region", "kind", "everywhere"), AWS_LINES)
    def test_a_line(self, service: str, usage: str, model: str, region: str, kind: str, everywhere: bool) -> None:
        statement = aws_bill.read(OCTOBER, ACCOUNT, CostExplorer([(service, usage, 12.5, 3.0)]))
        (line,) = statement.lines
        assert (line.model, line.region, line.kind, line.everywhere) == (model, region, kind, everywhere)
        assert (line.cost, line.quantity, line.text) == (12.5, 3.0, f"{service}: {usage}")

    def test_pages_discounts_and_what_is_asked(self) -> None:
        one, other = ("Amazon Bedrock", "USW2-NovaLite-input-tokens"), (EDITION, "USW2-MP:USW2_OutputTokenCount-Units")
        unrelated = ("Amazon Simple Storage Service", "USW2-Requests-Tier1", 900.0, 1.0)
        explorer = CostExplorer([(*one, 10, 1), unrelated], [(*other, 30, 1), (*one, 0, 0)], estimated=True)
        statement = aws_bill.read(OCTOBER, ACCOUNT, explorer)
        assert [line.cost for line in statement.lines] == [10, 30]
        assert statement.discount == pytest.approx(4.0)
        assert statement.preliminary
        first, second = explorer.requests
        assert first["TimePeriod"] == {"Start": "2026-10-01", "End": "2026-11-01"}
        assert [one["Dimensions"] for one in first["Filter"]["And"]] == [
            {"Key": "RECORD_TYPE", "Values": ["Usage"]},
            {"Key": "LINKED_ACCOUNT", "Values": [ACCOUNT]},
        ]
        assert "NextPageToken" not in first
        assert second["NextPageToken"] == "next"

    def test_profiles_by_tag(self) -> None:
        by_usage = [
            ("team$blue", "USW2-MP:USW2_InputTokenCount-Units", 2.0, 1.0),
            ("team$blue", "USW2-MP:USW2_OutputTokenCount-Units", 3.0, 1.0),
            ("team$red", "USE1-NovaLite-input-tokens", 4.0, 1.0),
            ("team$", "USE1-BoxUsage:t3.micro", 500.0, 1.0),
        ]
        by_service = [("team$blue", EDITION, 5.0, 1.0), ("team$red", "Amazon Bedrock", 4.0, 1.0)]
        explorer = CostExplorer(by_usage, by_service, paged=False)
        profiles = aws_bill.read_profiles(OCTOBER, ACCOUNT, "team", explorer)
        assert profiles.costs == {("blue", "us-west-2"): 5.0, ("red", "us-east-1"): 4.0}
        assert profiles.models == {"blue": {"Claude Opus 5.5"}, "red": {"NovaLite"}}
        assert explorer.requests[0]["GroupBy"][0] == {"Type": "TAG", "Key": "team"}

    @pytest.mark.parametrize(
        ("error", "kind", "sentence"),
        [
            ("AccessDeniedException", RefusedError, r"Cost Explorer refused \(AccessDeniedException\): no; turn it on"),
            ("DataUnavailableException", UnavailableError, "no figures now"),
            ("LimitExceededException", UnavailableError, "no figures now"),
        ],
    )
    def test_refusals(self, error: str, kind: type[Exception], sentence: str) -> None:
        refusal = ClientError({"Error": {"Code": error, "Message": "no"}}, "GetCostAndUsage")
        with pytest.raises(kind, match=sentence):
            aws_bill.read(OCTOBER, ACCOUNT, CostExplorer(refusal))

    def test_no_answer(self) -> None:
        with pytest.raises(UnavailableError, match=r"did not answer \(EndpointConnectionError\)"):
            aws_bill.read(OCTOBER, ACCOUNT, CostExplorer(EndpointConnectionError(endpoint_url="https://ce")))

    @pytest.mark.parametrize(
        ("code", "region"),
        [
            *(("USE1", "us-east-1"), ("EU", "eu-west-1"), ("EUW3", "eu-west-3"), ("SAE1", "sa-east-1")),
            *(("APE1", "ap-east-1"), ("MEC1", "me-central-1"), ("CAN2", "ca-west-1"), ("XYZ9", "XYZ9")),
        ],
    )
    def test_regions(self, code: str, region: str) -> None:
        assert aws_bill.region_of(code) == region


class Cloud:
    """A pool of connections that answers with its answers, one a request, and keeps the requests."""

    def __init__(self, *answers: tuple[int, object] | tuple[int, object, dict[str, str]] | Exception) -> None:
        self.answers: Iterator[Any] = iter(answers)
        self.requests: list[tuple[str, str, dict[str, Any]]] = []

    def request(self, method: str, url: str, **request: Any) -> HTTPResponse:  # noqa: ANN401
        self.requests.append((method, url, request))
        answer = next(self.answers)
        if isinstance(answer, Exception):
            raise answer
        status, body, *headers = answer
        return HTTPResponse(json.dumps(body).encode(), status=status, headers=headers[0] if headers else {})

    urlopen = request


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long was waited; nobody does."""
    waited: list[float] = []
    for_this_thread(monkeypatch, sleep=waited.append)
    return waited


def azure(*answers: Any) -> tuple[Callable[[], Any], Cloud]:  # noqa: ANN401
    cloud = Cloud(*answers)
    return lambda: azure_bill.read(OCTOBER, AZURE, "an-app-secret", cloud), cloud  # type: ignore[arg-type]


def meters(*rows: tuple[str, str, float], after: str | None = None) -> dict[str, Any]:
    names = ("CostUSD", "UsageQuantity", "ResourceId", "Meter", "Currency")
    accounts = "/subscriptions/s/resourcegroups/llm/providers/microsoft.cognitiveservices/accounts"
    return {
        "properties": {
            "columns": [{"name": name, "type": "String"} for name in names],
            "rows": [[cost, 2.0, f"{accounts}/{resource}", meter, "JPY"] for resource, meter, cost in rows],
            "nextLink": after,
        }
    }


TOKEN = (200, {"access_token": "token"})


class TestAzure:
    @pytest.mark.parametrize(
        ("meter", "model", "kind"),
        [
            ("gpt 4o 1120 Inp glbl Tokens", "gpt 4o", "input"),
            ("gpt 4o 1120 cached Inp glbl Tokens", "gpt 4o", "cached"),
            ("gpt-4o-mini-0718-Outp-glbl Tokens", "gpt 4o mini", "output"),
            ("gpt 4.1 nano cached Inp glbl Tokens", "gpt 4.1 nano", "cached"),
            ("GPT 5 Inpt Glbl 1M Tokens", "gpt 5", "input"),
            ("GPT 5 Mini outpt DZone 1M Tokens", "gpt 5 mini", "output"),
            ("GPT 5 Mini cchd Inpt DZone 1M Tokens", "gpt 5 mini", "cached"),
            ("5 mini pp Inp Gl 1M Tokens", "5 mini", "input"),
            ("5.1 codex opt Gl 1M Tokens", "5.1 codex", "output"),
            ("5.6 sol ShortCo Inp Std Gl 1M Tokens", "5.6 sol", "input"),
            ("5.6 sol ShortCo Cd Inp Std Gl 1M Tokens", "5.6 sol", "cached"),
            ("5.6 luna ShortCo Cd Wr Std DZ 1M Tokens", "5.6 luna", "cache_write"),
            ("5.6 sol LongCo Opt Std Gl 1M Tokens", "5.6 sol", "output"),
            ("o3 0416 Outp glbl Tokens", "o3", "output"),
            ("text embedding 3 large glbl Tokens", "text embedding 3 large", "input"),
            ("Standard S0 Calls", "standard s0 calls", "other"),
        ],
    )
    def test_a_line(self, meter: str, model: str, kind: str) -> None:
        read, _ = azure(TOKEN, (200, meters(("Acme-LLM", meter, 7.5))))
        (line,) = read().lines
        assert (line.model, line.kind, line.region, line.cost) == (model, kind, "acme-llm", 7.5)
        assert line.text == f"acme-llm: {meter}"

    def test_pages_and_what_is_asked(self) -> None:
        after = "https://management.azure.com/subscriptions/subscription/next?$skiptoken=2"
        read, cloud = azure(
            TOKEN,
            (200, meters(("a", "o3 Inp glbl Tokens", 1), after=after)),
            (200, meters(("a", "o3 Outp glbl Tokens", 2))),
        )
        assert [line.cost for line in read().lines] == [1, 2]
        (_, sign_in, form), (_, query, first), (method, url, second) = cloud.requests
        assert sign_in == "https://login.microsoftonline.com/tenant/oauth2/v2.0/token"
        assert form["fields"]["scope"] == "https://management.azure.com/.default"
        assert "/subscriptions/subscription/providers/Microsoft.CostManagement/query?api-version=" in query
        assert first["headers"]["Authorization"] == "Bearer token"
        body = json.loads(first["body"])
        assert (body["type"], body["timePeriod"]) == (
            "ActualCost",
            {"from": "2026-10-01T00:00:00Z", "to": "2026-10-31T23:59:59Z"},
        )
        assert (method, url, second["body"]) == ("POST", after, first["body"])

    def test_a_next_page_elsewhere_is_not_followed(self) -> None:
        read, cloud = azure(TOKEN, (200, meters(after="https://example.com/")))
        with pytest.raises(RefusedError, match="another host"):
            read()
        assert len(cloud.requests) == 2

    def test_nothing_used(self) -> None:
        read, _ = azure(TOKEN, (204, {}))
        assert read().lines == []

    def test_it_waits_as_long_as_the_longest_header_says(self, pauses: list[float]) -> None:
        prefix = "x-ms-ratelimit-microsoft.costmanagement-"
        headers = {f"{prefix}qpu-retry-after": "20", f"{prefix}entity-retry-after": "45", "Retry-After": "3"}
        busy: Any = (429, {}, headers)
        read, _ = azure(TOKEN, busy, (503, {}), (200, meters()))
        assert read().lines == []
        assert pauses == [45, clouds.PAUSE]

    def test_it_does_not_wait_for_ever(self, pauses: list[float]) -> None:
        read, _ = azure(TOKEN, (429, {}, {"Retry-After": "3600"}))
        with pytest.raises(UnavailableError, match=r"Azure's Cost Management did not answer \(429\)"):
            read()
        assert pauses == []
        read, cloud = azure(TOKEN, *[(503, {})] * clouds.ATTEMPTS)
        with pytest.raises(UnavailableError, match=r"\(503\)"):
            read()
        assert len(cloud.requests) == 1 + clouds.ATTEMPTS

    def test_no_connection(self, pauses: list[float]) -> None:
        broken = MaxRetryError(None, "https://x", NewConnectionError(None, "refused"))  # type: ignore[arg-type]
        read, _ = azure(*[broken] * clouds.ATTEMPTS)
        with pytest.raises(UnavailableError, match=r"Microsoft's sign-in did not answer \(MaxRetryError\)"):
            read()

    def test_refusals_say_what_to_do(self) -> None:
        read, _ = azure((401, {"error": "invalid_client", "error_description": "AADSTS7000215: Invalid secret."}))
        with pytest.raises(RefusedError, match=r"AADSTS7000215: Invalid secret.*AZURE_BILLING_SECRET"):
            read()
        read, _ = azure(TOKEN, (403, {"error": {"code": "AuthorizationFailed", "message": "No access."}}))
        with pytest.raises(RefusedError, match=r"\(403\): No access.*Cost Management Reader"):
            read()


COLUMNS = ("name", "place", "cost", "credits", "amount")


def table(*rows: tuple[str, str, str, str], complete: bool = True, **more: object) -> tuple[int, dict[str, Any]]:
    answer: dict[str, Any] = {"jobReference": {"jobId": "job_1", "location": "EU"}, "jobComplete": complete, **more}
    if complete:
        answer["schema"] = {"fields": [{"name": name} for name in COLUMNS]}
    if rows:
        answer["rows"] = [{"f": [{"v": value} for value in (*row, "1000.0")]} for row in rows]
    return 200, answer


@pytest.fixture(scope="module")
def credentials() -> str:
    return Credentials.generate("acme").google_billing_credentials


def google(credentials: str, *answers: Any, settings: GoogleBill = GOOGLE) -> tuple[Callable[[], Any], Cloud]:  # noqa: ANN401
    cloud = Cloud((200, {"access_token": "token", "expires_in": 3599, "token_type": "Bearer"}), *answers)
    return lambda: google_bill.read(OCTOBER, settings, credentials, project="acme", http=cloud), cloud  # type: ignore[arg-type]


def gemini(credentials: str, *answers: Any) -> tuple[Callable[[], Any], Cloud]:  # noqa: ANN401
    cloud = Cloud((200, {"access_token": "token", "expires_in": 3599, "token_type": "Bearer"}), *answers)
    settings = GeminiBill(table=GOOGLE.table, location="EU", project="acme-ai-studio")
    return lambda: google_bill.read_gemini(OCTOBER, settings, credentials, http=cloud), cloud  # type: ignore[arg-type]


def body_of(cloud: Cloud) -> Any:  # noqa: ANN401 - any JSON
    _, _, request = cloud.requests[1]
    return json.loads(request["body"])


class TestGoogle:
    @pytest.mark.parametrize(
        ("sku", "model", "kind"),
        [
            ("Gemini 3.8 Flash Global Text Input - Predictions", "Gemini 3.8 Flash", "input"),
            ("Gemini 2.5 Flash GA Text Input - Predictions", "Gemini 2.5 Flash", "input"),
            ("Gemini 2.5 Flash GA Thinking Text Output - Predictions", "Gemini 2.5 Flash", "output"),
            ("Gemini 2.5 Flash GA Input Text Caching", "Gemini 2.5 Flash", "cached"),
            ("Gemini 3 Flash Text Input Caching", "Gemini 3 Flash", "cached"),
            ("Gemini 3 Flash Text Input Caching Storage", "Gemini 3 Flash", "other"),
            ("Gemini 3.1 Flash Lite Image Image Output - Predictions", "Gemini 3.1 Flash Lite Image", "output"),
            ("Gemini 3.6 Flash Priority Text Output - Predictions", "Gemini 3.6 Flash", "output"),
            ("LLM Grounding with Google Search tool", "LLM Grounding with Google Search tool", "other"),
        ],
    )
    def test_a_line(self, credentials: str, sku: str, model: str, kind: str) -> None:
        read, _ = google(credentials, table((sku, "US-Central1", "2.5", "0")))
        (line,) = read().lines
        assert (line.model, line.kind, line.region, line.cost, line.quantity) == (model, kind, "us-central1", 2.5, 1000)

    @pytest.mark.parametrize(
        ("sku", "model", "kind"),
        [
            ("Generate content input token count gemini 3.5 flash text", "gemini-3.5-flash", "input"),
            (
                "Generate content input token count gemini 2.5 flash lite short input text",
                "gemini-2.5-flash-lite",
                "input",
            ),
            ("Generate content output token count gemini 2.5 flash short input text", "gemini-2.5-flash", "output"),
            (
                "Generate content output token count gemini 2.5 flash lite short output text non-thinking",
                "gemini-2.5-flash-lite",
                "output",
            ),
            (
                "Generate content output token count gemini 3.1 flash lite preview text",
                "gemini-3.1-flash-lite",
                "output",
            ),
            (
                "Generate content cached input token count gemini 2.5 flash input short text",
                "gemini-2.5-flash",
                "cached",
            ),
            ("Generate content cached input token count gemini 2.5 pro short input", "gemini-2.5-pro", "cached"),
            ("Generate content input token count gemini 3.7 flash image flex caching", "gemini-3.7-flash", "cached"),
            ("Generate_content text cached input token count for gemini 3 pro short", "gemini-3-pro", "cached"),
            ("Generate_content text output token count for gemini 3 flash", "gemini-3-flash", "output"),
            ("GenerateContent image input token count for Gemini 2.0 Flash", "gemini-2.0-flash", "input"),
            ("EmbedContent input token count for gemini-embedding-2 text", "gemini-embedding-2", "input"),
            ("EmbedContent input token count for gemini-embedding-001", "gemini-embedding-001", "input"),
            ("Generate content output token count gemini 3 pro image image", "gemini-3-pro-image", "output"),
        ],
    )
    def test_a_line_of_the_gemini_api(self, credentials: str, sku: str, model: str, kind: str) -> None:
        """It is of the model, of no other of its family, and of no place."""
        read, _ = gemini(credentials, table((sku, "us", "2.5", "-1")))
        statement = read()
        (line,) = statement.lines
        family = ("", "-lite", "-image", "-pro", "-flash")
        assert [fits(line.model, f"{model}{more}") for more in family] == [True, False, False, False, False]
        assert (line.kind, line.cost, line.quantity, line.text) == (kind, 2.5, 1000, sku)
        assert (statement.placed, statement.discount) == (False, 1)

    @pytest.mark.parametrize("sku", ["Grounding with Google Search", "Cached content storage token hours gemini 3 pro"])
    def test_what_is_no_token_of_the_gemini_api_is_of_no_model(self, credentials: str, sku: str) -> None:
        read, _ = gemini(credentials, table((sku, "global", "2.5", "0")))
        (line,) = read().lines
        assert line.kind == "other"
        assert not fits(line.model, "gemini-3-pro")

    def test_the_gemini_api_is_a_service_of_its_own(self, credentials: str) -> None:
        read, cloud = gemini(credentials, table())
        assert read().lines == []
        asked = {one["name"]: one["parameterValue"]["value"] for one in body_of(cloud)["queryParameters"]}
        assert (asked["service"], asked["project"]) == ("AEFD-7695-64FA", "acme-ai-studio")

    def test_what_is_asked_has_parameters(self, credentials: str) -> None:
        read, cloud = google(credentials, table(("Gemini 3 Flash Text Input", "global", "2", "-0.5")))
        statement = read()
        assert statement.discount == 0.5
        method, url, request = cloud.requests[1]
        body = json.loads(request["body"])
        assert (method, url) == ("POST", "https://bigquery.googleapis.com/bigquery/v2/projects/acme-billing/queries")
        assert body["location"] == "EU"
        assert f"`{GOOGLE.table}`" in body["query"]
        assert {one["name"]: one["parameterValue"]["value"] for one in body["queryParameters"]} == {
            "service": "C7E2-9256-1C43",
            "start": "2026-10-01T00:00:00Z",
            "end": "2026-11-01T00:00:00Z",
            "project": "acme",
        }
        assert request["headers"]["authorization"] == "Bearer token"

    def test_a_job_that_takes_its_time_and_pages(self, credentials: str) -> None:
        read, cloud = google(
            credentials,
            table(complete=False),
            table(complete=False),
            table(("Gemini 3 Flash Text Input", "global", "1", "0"), pageToken="more"),
            table(("Gemini 3 Flash Text Output", "global", "2", "0")),
        )
        assert [line.cost for line in read().lines] == [1, 2]
        _, url, _ = cloud.requests[-1]
        assert "/projects/acme-billing/queries/job_1?location=EU&" in url
        assert url.endswith("&pageToken=more")

    def test_a_job_that_never_ends(self, credentials: str) -> None:
        read, _ = google(credentials, *[table(complete=False)] * (1 + google_bill.POLLS))
        with pytest.raises(UnavailableError, match="did not finish"):
            read()

    def test_nothing_used(self, credentials: str) -> None:
        read, _ = google(credentials, table())
        assert read().lines == []

    def test_refusals_say_what_to_do(self, credentials: str, pauses: list[float]) -> None:
        read, _ = google(credentials, (404, {"error": {"code": 404, "message": "Not found: Table"}}))
        with pytest.raises(RefusedError, match=r"Not found: Table.*export.*BigQuery Data Viewer"):
            read()
        cloud = Cloud((400, {"error": "invalid_grant", "error_description": "account not found"}))
        with pytest.raises(RefusedError, match=r"invalid_grant.*GOOGLE_BILLING_CREDENTIALS"):
            google_bill.read(OCTOBER, GOOGLE, credentials, http=cloud)  # type: ignore[arg-type]
        with pytest.raises(RefusedError, match="GOOGLE_BILLING_CREDENTIALS is not the JSON key"):
            google_bill.read(OCTOBER, GOOGLE, "{}", http=cloud)  # type: ignore[arg-type]
        busy = Cloud(*[(503, {"error": "temporarily_unavailable"})] * 10)
        with pytest.raises(UnavailableError, match="Google's sign-in did not answer"):
            google_bill.read(OCTOBER, GOOGLE, credentials, http=busy)  # type: ignore[arg-type]
        wrong = GoogleBill(table="acme`; DROP", location="EU")
        with pytest.raises(RefusedError, match=r"not as project\.dataset\.table"):
            google_bill.read(OCTOBER, wrong, credentials, http=cloud)  # type: ignore[arg-type]


def test_the_package_has_what_googles_transport_imports() -> None:
    """It is an extra of google-auth, which this machine has for other reasons and Lambda would not."""
    needed = [one for one in requires("google-auth") or () if 'extra == "urllib3"' in one.replace("'", '"')]
    locked = (CHECKOUT / "lambda/usage/requirements.txt").read_text()
    assert needed
    for requirement in needed:
        name = re.split(r"[^A-Za-z0-9_-]", requirement)[0]
        assert re.search(rf"^{name}==", locked, re.MULTILINE), f"add google-auth[urllib3] to pyproject.toml: no {name}"
