"""The web ACL, asked about requests: prompts pass untouched, people reach what is theirs in the UI, management has its
ranges, some routes answer nobody.
"""

import json
import re
from collections.abc import Iterator
from ipaddress import ip_network
from typing import Any
from urllib.parse import quote

import pytest
from aws_cdk import App, Stack
from aws_cdk.assertions import Template as Assertions

from stacks import CHECKOUT
from stacks.company import config_file, environments
from stacks.gateway.web_acl import SIGN_IN_ROUTES, SIGN_INS_PER_ADDRESS
from stacks.gateway.web_acl import WebAcl as Built
from stacks.litellm_config import FEATURES
from stacks.litellm_config.features import McpServer, PassThrough
from stacks.litellm_config.features import routes as features_open
from stacks.settings import Environment
from tests.templates.conftest import Template, only
from tests.templates.synthesis import text
from tests.templates.waf import Request, Verdict, WebAcl, allows, normalize_path

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
    "Google's SDK": (
        "/v1/models/gemini-4-argon:generateContent",
        "/v1/models/gemini-4-argon:streamGenerateContent",
        "/v1/models/gemini-4-argon:countTokens",
    ),
}
READ_ROUTES = (
    "/v1/models",
    "/models",
    "/v1/models/claude-sonnet-5-5",
    "/v1/model/info",
    "/v1/responses/resp_0123",
    "/v1/responses/resp_0123/input_items",
    "/health/liveliness",
    "/health/readiness",
    "/api/hello",
)
# What no model of the example can serve, which is closed as management is: LiteLLM would try, and fail.
UNSERVED_ROUTES = (
    *("/v1/images/generations", "/v1/images/edits", "/images/generations"),
    *("/v1/audio/speech", "/v1/audio/transcriptions", "/v1/moderations", "/v1/rerank", "/rerank"),
)

# What the UI of LiteLLM 1.106.12 requests for a user of the role internal_user, by what the person does, and cannot do
# without: recorded in Chromium, and once more with everything else answered by 403. Each page also asks for its static
# files, whose names change with every version.
UI_REQUESTS = {
    "any page": (
        *(("GET", "/ui/"), ("HEAD", "/ui/home/"), ("GET", "/ui/api-keys/__next._tree.txt")),
        ("GET", "/ui/home/__next.!KGRhc2hib2FyZCk.home.__PAGE__.txt"),
        ("GET", "/litellm-asset-prefix/_next/static/chunks/0po6dcxc4c7oi.js"),
        *(("GET", "/litellm/.well-known/litellm-ui-config"), ("GET", "/get_favicon"), ("GET", "/get_image")),
        ("GET", "/v2/user/info"),
    ),
    "open an invitation": (
        *(("GET", "/ui"), ("GET", "/ui/onboarding/"), ("GET", "/ui/onboarding/index.txt")),
        *(("GET", "/onboarding/get_token"), ("POST", "/onboarding/claim_token")),
    ),
    "sign in": (("GET", "/ui/login/"), ("POST", "/v2/login")),
    "sign out": (("POST", "/session/logout"),),
    "change the password": (("GET", "/ui/change-password/"), ("POST", "/user/password/change")),
    "home": (("GET", "/ui/home/"), ("GET", "/user/daily/activity/aggregated"), ("GET", "/public/litellm_blog_posts")),
    "keys": (
        *(("GET", "/ui/api-keys/"), ("GET", "/key/list"), ("GET", "/team/list"), ("GET", "/v2/team/list")),
        *(("GET", "/models"), ("POST", "/key/generate"), ("POST", "/key/delete")),
    ),
    "usage": (
        *(("GET", "/ui/usage/"), ("GET", "/user/daily/activity/aggregated")),
        ("GET", "/user/daily/activity/aggregated/keys"),
    ),
    "models": (
        *(("GET", "/ui/models-and-endpoints/"), ("GET", "/v2/model/info")),
        ("GET", "/public/litellm_model_cost_map"),
    ),
    "playground": (
        *(("GET", "/ui/playground/"), ("GET", "/v2/model/info"), ("GET", "/model_group/info")),
        ("POST", "/chat/completions"),
    ),
}
# What the same pages ask for too, and do without.
UI_WANTS = (
    *("/api/plugins", "/config/list", "/get/latest_release_info", "/get/ui_settings", "/get/ui_theme_settings"),
    *("/get/user_banner", "/guardrails/list", "/health/license", "/health/readiness/details", "/project/list"),
    *("/sso/get/ui_settings", "/tag/list", "/user/available_roles", "/v1/agents", "/v1/mcp/server", "/v1/mcp/toolset"),
    *("/v2/guardrails/list", "/vector_store/list"),
)
# Beside what people may do: another method, a longer or a similar path, the same thing for others.
BESIDE_SELF_SERVICE = (
    *(("POST", "/ui/"), ("PUT", "/ui/x"), ("DELETE", "/ui"), ("OPTIONS", "/ui/"), ("GET", "/uix"), ("GET", "/UI/")),
    *(("GET", "/key/generate"), ("POST", "/key/generate/"), ("POST", "/key/generate/x"), ("POST", "/key/generatex")),
    *(("POST", "/key/service-account/generate"), ("POST", "/Key/Generate"), ("POST", "/key/generate%00")),
    *(("POST", "/key/generate;x"), ("POST", "/x/key/generate"), ("POST", "/ui/key/generate"), ("PUT", "/key/generate")),
    *(("POST", "/key/list"), ("GET", "/key/info"), ("POST", "/key/update"), ("POST", "/key/bulk_update")),
    *(("POST", "/key/block"), ("POST", "/key/sk-0/regenerate"), ("POST", "/key/sk-0/reset_spend")),
    *(("DELETE", "/key/delete"), ("GET", "/key/delete"), ("GET", "/key/aliases"), ("GET", "/key/list/x")),
    *(("GET", "/user/info"), ("GET", "/user/list"), ("POST", "/user/new"), ("POST", "/user/update")),
    *(("POST", "/user/delete"), ("GET", "/user/daily/activity"), ("GET", "/user/daily/activity/export")),
    *(("POST", "/v2/user/info"), ("GET", "/v2/user/info/x"), ("GET", "/v2/user/list"), ("GET", "/v2/key/info")),
    *(("POST", "/team/list"), ("GET", "/team/info"), ("POST", "/team/new"), ("POST", "/team/member_add")),
    *(("GET", "/v2/team/list/x"), ("POST", "/team/update"), ("GET", "/v3/team/list"), ("GET", "/team/daily/activity")),
    *(("GET", "/v2/login"), ("POST", "/login"), ("GET", "/login"), ("POST", "/v3/login"), ("GET", "/fallback/login")),
    *(("GET", "/sso/key/generate"), ("POST", "/v2/login/exchange"), ("GET", "/session/logout")),
    *(("POST", "/onboarding/get_token"), ("GET", "/onboarding/claim_token"), ("POST", "/invitation/new")),
    *(("GET", "/invitation/info"), ("POST", "/model/new"), ("POST", "/v2/model/info"), ("POST", "/model_group/info")),
    *(("GET", "/public/model_hub"), ("GET", "/spend/logs/ui"), ("GET", "/global/spend/report")),
    *(("GET", "/.well-known/oauth-authorization-server"), ("GET", "/.well-knownx/litellm-ui-config")),
    *(("GET", "/get_image/x"), ("GET", "/_next"), ("GET", "/litellm-asset-prefix/x"), ("GET", "/config/yaml")),
    *(("GET", "/%75ser/info"), ("POST", "/user%2Fnew"), ("POST", "//user//new"), ("POST", "/./user/new")),
    *(("POST", "/key/generate%252f..%252f..%252fuser%252fnew"), ("GET", "/ui%252f..%252fuser%252finfo")),
)

# Whatever manages accounts, models, other people's keys, or the gateway itself.
MANAGEMENT_ROUTES = (
    *("/", "/docs", "/redoc", "/openapi.json", "/swagger/swagger-ui.css", "/routes", "/test", "/config/yaml"),
    *("/login", "/v3/login", "/sso/key/generate", "/sso/callback", "/fallback/login", "/get/ui_settings"),
    *("/key/info", "/key/update", "/key/sk-0/regenerate", "/user/new", "/user/info", "/user/list"),
    *("/team/new", "/organization/new", "/customer/new", "/invitation/new", "/budget/new", "/scim/v2/Users"),
    *("/model/new", "/model/update", "/model/delete", "/credentials", "/config/update"),
    *("/spend/logs", "/global/spend/report", "/user/daily/activity", "/cache/ping", "/debug/asyncio-tasks"),
    *("/health", "/health/services", "/health/test_connection", "/utils/transform_request", "/memory-usage"),
    *("/v1/files", "/files", "/v1/files/file-0123/content", "/v1/batches", "/batches/batch_0123"),
    *("/v1/mcp/server", "/mcp-rest/tools", "/a2a/x", "/v1/agents", "/v1/vector_stores"),
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
    "/user%2Fnew",
    "/%75ser/new",
    "//user//new",
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
    # Sums of everybody's, which LiteLLM shows to any key.
    *("/spend/tags", "/spend/tags/", "/global/activity/cache_hits"),
    # Straight through to a provider: without the model list, its prices, and what each key may use.
    *("/bedrock/model/x/invoke", "/vertex_ai/v1/projects/p", "/vertex-ai/v1/x", "/gemini/v1beta/models"),
    *("/anthropic/v1/messages", "/openai/v1/chat/completions", "/openai/chat/completions", "/openai/d/x"),
    *("/azure/openai", "/azure_ai/x", "/openai_passthrough/v1/files", "/vllm/v1/models", "/Bedrock/x", "/mistral/v1/x"),
    *("/openrouter/api/v1/x", "/assemblyai/v2/x", "/eu.assemblyai/v2/x", "/cohere/v1/chat", "/langfuse/api/x"),
)
# What `ingress.also_open` opens of a config.yaml with an MCP server, wiki, and a pass-through endpoint, /house.
ALSO_OPEN = (
    *("/mcp", "/mcp/", "/mcp/wiki", "/mcp/wiki,other", "/mcp/proxy", "/mcp/sse", "/mcp/sse/messages", "/wiki/mcp"),
    *("/toolset/night/mcp", "/mcp-rest/tools/list", "/mcp-rest/tools/call", "/house", "/h%6fuse", "//house"),
)
BESIDE_ALSO_OPEN = (
    *("/other/mcp", "/wiki/mcp/x", "/wiki/authorize", "/wiki/token", "/mcp/wiki/x", "/mcpx", "/MCP"),
    *(
        "/v1/mcp/server",
        "/v1/mcp/tools",
        "/toolset/mcp",
        "/mcp-rest/tools",
        "/house/x",
        "/house/",
        "/housex",
        "/x/house",
    ),
    *("/x/house", "/.well-known/oauth-protected-resource/mcp", "/authorize", "/register", "/user/new"),
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
    "/ui/../user/new",
    "/ui/..%2fkey/list",
    "/user/new/../../ui/",
    "/user/x/../../key/generate",
    "/key/generate/../../user/new",
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


def _recorded() -> Iterator[Any]:
    """Each route that a coding agent was seen to ask for, with its version (`make test-clients` records them)."""
    for client, found in json.loads((CHECKOUT / "tests" / "clients" / "routes.json").read_text()).items():
        for route in found["routes"]:
            yield pytest.param(*route.split(" "), id=f"{client} {found['version']} {route}")


@pytest.mark.parametrize(("method", "path"), [*_recorded()])
def test_what_agents_ask_for_passes(web_acl: WebAcl, method: str, path: str) -> None:
    request = Request(path.format(model="gemini-4-argon"), OFFICE, method=method, body=PROMPT)
    assert web_acl.verdict(request) == Verdict()
    assert web_acl.body_inspectors(request) == set()


# Management


@pytest.mark.parametrize("path", [*MANAGEMENT_ROUTES, *UNSERVED_ROUTES])
def test_management_answers_only_its_ranges(web_acl: WebAcl, path: str) -> None:
    assert web_acl.verdict(Request(path, OFFICE)) == Verdict(403, "ManagementRoutes")
    assert web_acl.verdict(Request(path, OPERATOR)) == Verdict()


@pytest.mark.parametrize("path", DISGUISES)
def test_a_disguise_does_not_open_management(web_acl: WebAcl, path: str) -> None:
    assert web_acl.verdict(Request(path, OFFICE)).status == 403


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"])
def test_management_is_closed_to_every_method(web_acl: WebAcl, method: str) -> None:
    for path in ("/user/new", "/model/new", "/config/update"):
        assert web_acl.verdict(Request(path, OFFICE, method=method)).status == 403


# Self-service


@pytest.mark.parametrize("address", [OFFICE, OPERATOR])
@pytest.mark.parametrize("doing", UI_REQUESTS)
def test_people_look_after_themselves(templates: Templates, doing: str, address: str) -> None:
    template = templates["prod"]["Gateway"]
    assert [request for request in UI_REQUESTS[doing] if not allows(template, *request, address)] == []


@pytest.mark.parametrize(("method", "path"), BESIDE_SELF_SERVICE)
def test_self_service_is_narrow(web_acl: WebAcl, method: str, path: str) -> None:
    assert web_acl.verdict(Request(path, OFFICE, method=method)) == Verdict(403, "ManagementRoutes")
    assert web_acl.verdict(Request(path, OPERATOR, method=method)) == Verdict()


@pytest.mark.parametrize("path", UI_WANTS)
def test_what_the_ui_does_without_stays_with_management(web_acl: WebAcl, path: str) -> None:
    assert web_acl.verdict(Request(path, OFFICE, method="GET")) == Verdict(403, "ManagementRoutes")


# What is also open


def with_open(*features: str) -> WebAcl:
    """The web ACL with these open, of an environment that is otherwise as prod."""
    wiki = McpServer("wiki", ("wiki",), "https://mcp.example.com/mcp", "http", "", "", "", ())
    house = PassThrough("/house", has_subpaths=False, target="https://house.example.com", headers={})
    stack = Stack(App(), "Gateway")
    also_open = features_open(features, [wiki], [house])
    config = PROD.litellm_config(config_file())
    Built(stack, "WebAcl", environment=PROD, routes=config.llm_routes, also_open=also_open)
    return WebAcl(dict(Assertions.from_stack(stack).to_json()))


@pytest.fixture(scope="module")
def closed() -> WebAcl:
    return with_open()


@pytest.fixture(scope="module")
def wider() -> WebAcl:
    return with_open(*FEATURES)


@pytest.mark.parametrize("path", ALSO_OPEN)
def test_what_is_also_open_answers_everyone_and_nothing_looks_into_it(closed: WebAcl, wider: WebAcl, path: str) -> None:
    """What tools are given is as much a text of people's as a prompt is."""
    request = Request(path, OFFICE, body=PROMPT)
    assert wider.verdict(request) == Verdict()
    assert wider.body_inspectors(request) == set()
    assert closed.verdict(request) == Verdict(403, "ManagementRoutes")
    assert closed.verdict(Request(path, OPERATOR)) == Verdict()


def test_each_is_opened_by_its_name(web_acl: WebAcl) -> None:
    for feature, own, other in (("mcp", "/wiki/mcp", "/house"), ("pass_through", "/house", "/wiki/mcp")):
        opened = with_open(feature)
        assert opened.verdict(Request(own, OFFICE)) == Verdict()
        assert opened.verdict(Request(other, OFFICE)) == Verdict(403, "ManagementRoutes")
    assert PROD.ingress.also_open == ("mcp",)  # of the example
    assert web_acl.verdict(Request("/wiki/mcp", OFFICE)) == Verdict()


@pytest.mark.parametrize("path", BESIDE_ALSO_OPEN)
def test_what_is_also_open_is_narrow(wider: WebAcl, path: str) -> None:
    assert wider.verdict(Request(path, OFFICE)) == Verdict(403, "ManagementRoutes")


@pytest.mark.parametrize("path", [*CLOSED_ROUTES, *WAYS_BACK, "/openai/mcp", "/mcp/../house", "/house/../user/new"])
def test_what_is_closed_stays_closed(wider: WebAcl, path: str) -> None:
    assert wider.verdict(Request(path, OFFICE)).status == 403


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
    rule = _rule(WebAcl(templates[environment.name]["Gateway"]), "RatePerAddress")
    assert rule["Statement"]["RateBasedStatement"] == {
        "AggregateKeyType": "IP",
        "Limit": environment.ingress.requests_per_address,
        "EvaluationWindowSec": 300,
    }
    assert rule["Action"]["Block"]["CustomResponse"] == {"ResponseCode": 429}


@pytest.mark.parametrize(
    ("method", "path", "counted"),
    [
        ("POST", "/v2/login", True),
        ("POST", "/%762/login", True),
        ("POST", "//v2/login", True),
        ("POST", "/login", True),
        ("POST", "/v3/login", True),
        ("POST", "/v3/login/exchange", True),
        ("GET", "/onboarding/get_token", True),
        ("POST", "/onboarding/claim_token", True),
        ("POST", "/user/password/change", True),
        ("GET", "/ui/login/", False),
        ("POST", "/key/generate", False),
        ("POST", "/v1/chat/completions", False),
    ],
)
def test_rate_of_sign_ins(web_acl: WebAcl, method: str, path: str, counted: bool) -> None:
    rule = _rule(web_acl, "SignInRatePerAddress")
    rate = rule["Statement"]["RateBasedStatement"]
    assert (rate["AggregateKeyType"], rate["Limit"], rate["EvaluationWindowSec"]) == ("IP", SIGN_INS_PER_ADDRESS, 300)
    assert rule["Action"]["Block"]["CustomResponse"] == {"ResponseCode": 429}
    assert web_acl.matches(rate["ScopeDownStatement"], Request(path, OFFICE, method=method)) is counted


def test_capacity(closed: WebAcl, wider: WebAcl) -> None:
    """At most 1500 units, what a web ACL has without further cost (AWS WAF pricing and quotas)."""
    assert closed.capacity() < wider.capacity() <= 1500


def _rule(web_acl: WebAcl, name: str) -> dict[str, Any]:
    found: dict[str, Any]
    (found,) = (rule for rule in web_acl.rules if rule["Name"] == name)
    return found


def test_regular_expressions_are_within_the_limits(templates: Templates) -> None:
    """https://docs.aws.amazon.com/waf/latest/developerguide/limits.html and …/waf-regex-pattern-support.html."""
    unsupported = re.compile(r"\\[1-9CRK]|\(\?[>(|&RP!=<]|\(\*|[*+?}]\+")
    template = templates["prod"]["Gateway"]
    patterns = only(template, "AWS::WAFv2::RegexPatternSet")["RegularExpressionList"]
    assert 1 <= len(patterns) <= 10
    rules = json.dumps(only(template, "AWS::WAFv2::WebACL"))
    matched = [json.loads(each) for each in re.findall(r'"RegexString": ("[^"]+")', rules)]
    assert SIGN_IN_ROUTES in matched
    for pattern in (*patterns, *matched):
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
