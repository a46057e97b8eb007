"""Settings and lists of models as Hypothesis draws them, over the whole space that their types allow.

They are drawn as plain data, as a person would write them: `environments` and `releases` for `stacks/settings`,
`config_files` for LiteLLM's config.yaml. What is drawn is near to what works, so that most of it synthesizes; `spoiled`
puts something else in one place, which is mostly refused.
"""

import json
import string
from functools import cache
from ipaddress import IPv4Network
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy, composite

from stacks.endpoints import partition_of, regions_of
from stacks.litellm_config import ALERTING, CATALOG, GEOGRAPHIES
from stacks.settings import FARGATE_MEMORY, RETENTION_DAYS, WORKER_CPU, WORKER_MEMORY
from stacks.settings.bedrock import KINDS
from stacks.settings.sleep import WEEK

Written = dict[str, Any]
"""Settings as they are written: what `Environment` and the like are made of."""

REGIONS = sorted(regions_of("ecs"))
BEDROCK_REGIONS = sorted(regions_of("bedrock"))
ENDPOINTS = ("ecr.api", "ecr.dkr", "ssm", "logs", "bedrock-runtime", "sqs", "secretsmanager", "kms")
TIMEZONES = ("UTC", "Asia/Tokyo", "America/Los_Angeles", "Europe/Berlin", "Pacific/Kiritimati", "Asia/Kathmandu")
PRIVATE = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")
PRICED = tuple(json.loads(CATALOG.read_text("utf-8"))["prices"])
BASE_URL = "https://{}.openai.azure.com"

lower = st.text(string.ascii_lowercase + string.digits, min_size=5, max_size=12)
capitals = st.text(string.ascii_uppercase + string.digits, min_size=6, max_size=20)
hexadecimal = st.integers(0, 16**15 - 1).map(lambda number: f"{number:015x}")
labels = st.from_regex(r"[a-z]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)
dollars = st.sampled_from((0.01, 1, 30, 99.99, 600, 999_999.5, 1_000_000))
percents = st.sampled_from((0.01, 0.5, 5, 33.3, 80, 100))
numbers = st.sampled_from((1, 2, 20, 1000, 2**31, 2**53))
# What people write in their own words: any script, quotes, a line's end.
words = st.one_of(
    st.sampled_from(("Claude Team Premium", "プラン", '100 % "fair" & <square>', "naïve — plan", "a\\b")),
    st.text(min_size=1, max_size=60),
)


def slack(*kinds: str) -> SearchStrategy[str]:
    """An id of Slack's that begins with one of these letters."""
    return st.tuples(st.sampled_from(kinds), capitals).map("".join)


def several(of: SearchStrategy[Any], least: int = 0, most: int = 4) -> SearchStrategy[tuple[Any, ...]]:
    """Different ones, in an order."""
    return st.lists(of, min_size=least, max_size=most, unique=True).map(tuple)


def some(**fields: SearchStrategy[Any]) -> SearchStrategy[Written]:
    """Any of the fields, each there or left to its default."""
    return st.fixed_dictionaries({}, optional=fields)


def uuids() -> SearchStrategy[str]:
    """Ids of Azure."""
    return st.uuids().map(str)


hosts = st.lists(labels, min_size=1, max_size=2).map(lambda parts: ".".join((*parts, "example.com")))
mails = st.tuples(labels, st.sampled_from(("example.com", "mail.example.co.jp", "x" * 40 + ".example.org"))).map(
    "@".join
)


@composite
def ranges(draw: DrawFn, prefixes: tuple[int, int], within: tuple[str, ...] = PRIVATE) -> str:
    """A network's range."""
    outer = IPv4Network(draw(st.sampled_from(within)))
    prefix = draw(st.integers(max(prefixes[0], outer.prefixlen), prefixes[1]))
    number = draw(st.integers(0, 2 ** (prefix - outer.prefixlen) - 1))
    return f"{outer.network_address + number * 2 ** (32 - prefix)}/{prefix}"


@composite
def networks(draw: DrawFn, region: str) -> Written:
    """A new VPC of any size, or one that is there."""
    zones = tuple(f"{region}{letter}" for letter in draw(several(st.sampled_from("abcdef"), 2, 6)))
    written: Written = {
        "zones": zones,
        "cidr": draw(ranges((16, 28) if draw(st.booleans()) else (16, 20))),
        "interface_endpoints": draw(several(st.sampled_from(ENDPOINTS), most=len(ENDPOINTS))),
        "nat_gateways": draw(st.integers(1, len(zones))),
        "room_for_zones": draw(st.integers(2, 6)),
    }
    if draw(st.booleans()):
        written["interface_endpoints"] = ()  # those of a VPC that is there are its owner's
        number = draw(hexadecimal)
        tiers = [tuple(f"subnet-{number}{tier}{zone}" for zone in range(len(zones))) for tier in range(3)]
        written["vpc"] = {
            "id": f"vpc-{number}00",
            "public_subnet_ids": tiers[0] if draw(st.booleans()) else (),
            "private_subnet_ids": tiers[1],
            "isolated_subnet_ids": tiers[2],
            "nat_addresses": draw(several(st.ip_addresses(v=4, network="203.0.113.0/24").map(str), most=len(zones))),
        }
    return written


@composite
def ingresses(draw: DrawFn) -> Written:
    """Few ranges or many, wide or a single address; some of each for management."""
    most = draw(st.sampled_from((1, 3, 29, 40)))
    cidrs = draw(several(ranges((8, 32), (*PRIVATE, "203.0.113.0/24", "198.51.100.0/24")), 1, most))
    management = [
        str(next(network.subnets(new_prefix=min(32, network.prefixlen + narrower))))
        for network, narrower in zip(map(IPv4Network, cidrs), draw(several(st.integers(0, 8), 1, 3)), strict=False)
    ]
    return {
        "public": draw(st.booleans()),
        "cidrs": cidrs,
        "management_cidrs": tuple(dict.fromkeys(management)),
        "requests_per_address": draw(st.sampled_from((100, 20_000, 2_000_000_000))),
        "also_open": draw(several(st.sampled_from(("mcp", "pass_through")), 0, 2)),
    }


@composite
def gateways(draw: DrawFn) -> Written:
    """Any size of Fargate's that the workers fit in."""
    cpu = draw(st.sampled_from(sorted(FARGATE_MEMORY)))
    memory = draw(st.sampled_from([each for each in FARGATE_MEMORY[cpu] if each >= WORKER_MEMORY]))
    least = draw(st.integers(1, 4))
    return {
        "cpu": cpu,
        "memory": memory,
        "workers": draw(st.integers(1, min(cpu // WORKER_CPU, memory // WORKER_MEMORY))),
        "min_tasks": least,
        "max_tasks": least + draw(st.integers(0, 4)),
        "max_in_flight_requests": draw(st.integers(1, 1000)),
        "spot": draw(st.booleans()),
    }


@composite
def databases(draw: DrawFn) -> Written:
    """Capacities in steps of a half."""
    least, most = sorted((draw(st.integers(1, 64)), draw(st.integers(8, 512))))
    return {
        "min_capacity": least / 2,
        "max_capacity": most / 2,
        "reader": draw(st.booleans()),
        "backup_days": draw(st.integers(1, 35)),
    }


def onboardings(models: tuple[str, ...]) -> SearchStrategy[Written]:
    """Who may have an account, and for which of the models."""
    teams = st.from_regex(r"[a-z0-9][a-z0-9-]{0,39}", fullmatch=True)
    needed = {
        "workspace": slack("T", "E"),
        "audit_channel": slack("C", "G"),
        "mail_domains": several(hosts, 1, 3),
        "teams": st.one_of(several(teams, 1, 5), st.just(tuple(f"team-{number}" for number in range(100)))),
    }
    return st.fixed_dictionaries(
        needed,
        optional={
            "command": st.from_regex(r"/[a-z0-9_-]{1,31}", fullmatch=True),
            "approver_group": slack("S"),
            "max_budget": dollars,
            "budget_ceiling": st.sampled_from((100, 5000, 1_000_000)),
            "budget_duration": st.sampled_from(("1h", "24h", "30d", "999d", "1mo")),
            "models": several(st.sampled_from(models)),
            "tpm_limit": numbers,
            "rpm_limit": numbers,
            "protected": several(mails),
            "dry_run": st.booleans(),
            "close_limit": numbers,
        },
    )


def plans(models: tuple[str, ...]) -> SearchStrategy[Written]:
    """A plan that covers some of the models."""
    return st.fixed_dictionaries(
        {"name": words, "monthly_price": dollars, "covers": several(st.sampled_from((*models, "*")), 1, 3)},
        optional={"monthly_allowance": dollars, "seats": slack("S"), "through_gateway": st.booleans()},
    )


def reports(models: tuple[str, ...]) -> SearchStrategy[Written]:
    """What a channel is told, and up to twenty plans."""
    return st.fixed_dictionaries(
        {"channel": slack("C", "G"), "hour": st.integers(12, 23)},
        optional={
            "weekly": st.booleans(),
            "monthly": st.sampled_from((False, True)),
            "timezone": st.sampled_from(TIMEZONES),
            "top": st.integers(1, 50),
            "jump_factor": st.sampled_from((1.01, 3, 1000)),
            "jump_minimum": dollars,
            "seat_percent": percents,
            "plans": st.lists(plans(models), max_size=20, unique_by=lambda plan: plan["name"]).map(tuple),
        },
    )


def bills() -> SearchStrategy[Written]:
    """The comparison with what the clouds have."""
    return some(
        tolerance_percent=percents,
        profile_tag=st.sampled_from(("team", "llm:team/1", "x" * 128)),
        azure=st.fixed_dictionaries({"tenant": uuids(), "client": uuids(), "subscription": uuids()}),
        google=st.fixed_dictionaries(
            {"table": st.just("example-billing.exports.v1_0")},
            optional={"location": st.sampled_from(("US", "EU", "asia-northeast1"))},
        ),
        gemini=st.fixed_dictionaries(
            {"table": st.just("example-billing.exports.v1_0"), "project": st.just("example-gemini")},
            optional={"location": st.sampled_from(("US", "EU", "asia-northeast1"))},
        ),
        openai=some(projects=st.lists(st.sampled_from(("proj_a1", "proj_B2")), unique=True)),
        anthropic=some(workspaces=st.lists(st.sampled_from(("default", "wrkspc_01A", "wrkspc_01B")), unique=True)),
    )


@composite
def listeners(draw: DrawFn) -> Written:
    """Addresses, and perhaps a channel."""
    place = draw(
        st.one_of(st.just({}), st.fixed_dictionaries({"workspace": slack("T", "E"), "channel": slack("C", "G")}))
    )
    return {"emails": draw(several(mails)), **place}


OWN_SERVER: Written = {"host": "vllm.example.com", "port": 8000, "cidr": "10.0.0.0/8"}
"""The one that entries of config.yaml call; those that are drawn have other names."""


def servers() -> SearchStrategy[Written]:
    """One on a port of its own, behind a security group or in a range."""
    place = {"host": lower.map("{}.models.internal".format), "port": st.sampled_from((80, 8000, 11434))}
    groups = st.fixed_dictionaries({**place, "security_group_id": st.just("sg-0123456789abcdef0")})
    return st.one_of(
        groups, st.fixed_dictionaries({**place, "cidr": st.sampled_from(("10.0.0.0/8", "203.0.113.9/32"))})
    )


@cache  # to make a strategy anew takes as long as to draw from it
def groups(models: tuple[str, ...]) -> SearchStrategy[Written]:
    """The settings that may be left out, each there or not."""
    return some(
        gateway=gateways(),
        database=databases(),
        cache=some(node=st.sampled_from(("cache.t4g.micro", "cache.r7g.large")), replica=st.booleans()),
        providers=some(
            azure_api_base=lower.map(BASE_URL.format),
            vertexai_project=st.just("example-llm-7"),
            vertexai_location=st.sampled_from(("global", "us", "eu", "asia-northeast1")),
            dd_site=st.sampled_from(("datadoghq.com", "us5.datadoghq.com")),
            azure_ai_api_base=st.just("https://example-ai.services.ai.azure.com"),
            servers=st.lists(servers(), max_size=3, unique_by=lambda each: (each["host"], each["port"])).map(tuple),
        ),
        bedrock=some(
            personal_data=some(kinds=several(st.sampled_from(KINDS), 1, len(KINDS))),
            inference_profiles=st.lists(
                st.fixed_dictionaries(
                    {
                        "name": st.from_regex(r"[a-z](-?[a-z0-9]){0,39}", fullmatch=True),
                        "model": st.sampled_from(("global.anthropic.claude-sonnet-5-5", "amazon.nova-2-lite-v1:0")),
                    },
                    optional={"tags": st.dictionaries(st.sampled_from(("llm-team", "cost-centre")), st.just("a"))},
                ),
                max_size=3,
                unique_by=lambda profile: str(profile["name"]),
            ).map(tuple),
        ),
        variables=st.dictionaries(
            st.sampled_from(("AZURE_OTHER_BASE", "TEAM", "X2")),
            st.one_of(lower.map(BASE_URL.format), st.sampled_from(('a "b" c', "x" * 1024))),
        ),
        email=some(
            reply_to=mails,
            dmarc_policy=st.sampled_from(("none", "quarantine", "reject")),
            dmarc_reports=mails,
            smtp_key=st.from_regex(r"[A-Za-z0-9-]{1,32}", fullmatch=True),
        ),
        onboarding=onboardings(models),
        alarms=st.tuples(listeners(), some(monthly_budget=dollars)).map(lambda both: both[0] | both[1]),
        datadog=some(
            notify=several(st.from_regex(r"@[A-Za-z0-9._@+-]{2,100}", fullmatch=True)),
            spend_jump=dollars,
            error_percent=percents,
            budget_percent=percents,
        ),
        report=reports(models),
        bill=bills(),
        litellm_license=st.booleans(),
        deletion_protection=st.booleans(),
        log_retention_days=st.sampled_from(sorted(RETENTION_DAYS)),
        tags=st.dictionaries(
            st.sampled_from(
                ("service", "Cost Center", "a/b:c=d", "k" * 128, *(f"key-{number}" for number in range(40)))
            ),
            st.sampled_from(("", "llm", "platform@example.com", "v" * 256)),
            max_size=40,
        ),
    )


@composite
def environments(draw: DrawFn, models: tuple[str, ...] = ("claude-sonnet-5-5",)) -> Written:
    """An environment for a config.yaml with these models; each group of settings is there or not."""
    region, account = draw(st.sampled_from(REGIONS)), draw(st.from_regex(r"[0-9]{12}", fullmatch=True))
    zone = draw(hosts)
    prefix = draw(st.sampled_from(("llm.", "ai-gateway.internal.", "", "x" * 20 + ".", "y" * 63 + ".")))
    written = draw(groups(models))
    if "database" in written:
        written["database"] = {**written["database"], "copies": draw(copies(region))}
    if draw(st.booleans()):
        written["certificate_arn"] = f"arn:aws:acm:{region}:{account}:certificate/01234567-89ab-cdef-0123-456789abcdef"
    return written | {
        "name": draw(st.from_regex(r"[a-z][a-z0-9]{1,11}", fullmatch=True)),
        "account": account,
        "region": region,
        "hosted_zone": {"id": f"Z{draw(capitals)}", "name": zone},
        "domain": f"{prefix}{zone}",
        "network": draw(networks(region)),
        "ingress": draw(ingresses()),
        **(draw(dispensable(written, region)) if draw(st.booleans()) else {}),
    }


def copies(region: str) -> SearchStrategy[Written | None]:
    """A second region, or none."""
    others = st.sampled_from([each for each in REGIONS if each != region])
    hours = st.sampled_from((1, 6, 24))
    return st.none() | st.fixed_dictionaries(
        {"region": others}, optional={"every_hours": hours, "days": st.integers(1, 365)}
    )


@composite
def dispensable(draw: DrawFn, written: Written, region: str) -> Written:
    """What makes an environment one that people can do without at night, and cheap."""
    network = {**draw(networks(region)), "nat_gateways": 1}
    if "vpc" not in network:
        network["nat_instance"] = draw(st.booleans())
    database = {**written.get("database", {}), "reader": False, "min_capacity": 0.5}
    return {
        "deletion_protection": False,
        "network": network,
        "database": database,
        "sleep": draw(
            some(
                awake=st.sampled_from(("00:00-01:00", "00:05-23:59", "09:30-18:00")),
                days=several(st.sampled_from(WEEK), 1, 7),
                timezone=st.sampled_from(TIMEZONES),
            )
        ),
    }


@composite
def releases(draw: DrawFn, names: tuple[str, ...] = ("dev", "prod")) -> Written:
    """What promotes to some of these environments, in any order."""
    account, region = draw(st.from_regex(r"[0-9]{12}", fullmatch=True)), draw(st.sampled_from(REGIONS))
    chosen = draw(several(st.sampled_from(names), most=len(names)))
    arn = f"arn:aws:codeconnections:{region}:{account}:connection/01234567-89ab-cdef-0123-456789abcdef"
    return draw(listeners()) | {
        "account": account,
        "region": region,
        "repository": draw(st.sampled_from(("example/llm", "e/x", "e" * 39 + "/" + "x" * 100))),
        "branch": draw(st.sampled_from(("main", "release/2026.11", "b" * 100))),
        "environments": chosen,
        "approved": draw(several(st.sampled_from(chosen or names), most=len(names))),
        "connection_arn": draw(st.sampled_from((None, arn))),
        "github_actions": draw(st.booleans()),
        "oidc_provider": draw(st.booleans()),
    }


# --- config.yaml ------------------------------------------------------------------------------------------------------


@composite
def bedrock_entries(draw: DrawFn) -> Written:
    """A model on demand, by a profile, by an ARN, by an application's own profile, with a guardrail or with a key."""
    geography = draw(st.sampled_from((None, *sorted(GEOGRAPHIES))))
    callers = GEOGRAPHIES[geography].callers if geography else ("",)
    region = draw(st.sampled_from([each for each in BEDROCK_REGIONS if each.startswith(callers)] or BEDROCK_REGIONS))
    vendor = draw(st.sampled_from(("anthropic.claude-sonnet-5-5", "amazon.nova-2-lite-v1:0", "cohere.embed-v4:0")))
    name = f"{geography}.{vendor}" if geography else vendor
    profile = f"arn:aws:bedrock:{region}:123456789012:inference-profile/{name}"
    application = f"arn:aws:bedrock:{region}:123456789012:application-inference-profile/abc123def456"
    role = f"arn:{partition_of(region)}:iam::210987654321:role/{draw(st.sampled_from(('caller', 'teams/caller')))}"
    guardrail: Written = {"guardrailIdentifier": "abc123def456", "guardrailVersion": "1"}
    entries: tuple[tuple[Written, Written], ...] = (
        ({"model": f"bedrock/{name}"}, {}),
        ({"model": f"bedrock/converse/{name}"}, {}),
        ({"model": f"bedrock/invoke/{name}"}, {}),
        ({"model": f"bedrock/{profile}" if geography else f"bedrock/{name}"}, {"base_model": name}),
        ({"model": f"bedrock/{name}", "model_id": application}, {}),
        ({"model": f"bedrock/{application}"}, {"base_model": name}),
        ({"model": f"bedrock/arn:aws:bedrock:{region}::foundation-model/{vendor}"}, {}),
        ({"model": f"bedrock/qwen3/arn:aws:bedrock:{region}:123456789012:imported-model/abc123"}, {}),
        ({"model": f"bedrock/{name}", "guardrailConfig": guardrail}, {"access_groups": ["research"]}),
        ({"model": f"bedrock/{name}", "api_key": "os.environ/BEDROCK_API_KEY"}, {}),
        ({"model": f"bedrock/{name}", "aws_role_name": role, "aws_external_id": "acme"}, {}),
        ({"model": f"bedrock/{name}", "aws_role_name": role, "aws_session_tags": [{"Key": "a", "Value": "b"}]}, {}),
    )
    parameters, info = draw(st.sampled_from(entries))
    return {"litellm_params": {**parameters, "aws_region_name": region}, "model_info": info}


@composite
def azure_entries(draw: DrawFn) -> Written:
    """A deployment of a resource that a variable or the file itself names."""
    deployment = draw(st.sampled_from(("gpt-6-luna", "text-embedding-3-large", "our-own")))
    base = draw(
        st.sampled_from(("os.environ/AZURE_API_BASE", "os.environ/AZURE_OTHER_BASE", BASE_URL.format("in-file")))
    )
    dated = {"base_model": "azure/gpt-6-luna", "prices_from": {"2026-12-01": {"input_cost_per_token": 1e-6}}}
    info = draw(st.sampled_from(({}, {"base_model": "azure/gpt-6-luna"}, {"input_cost_per_token": 1e-7}, dated)))
    parameters = {"model": f"azure/{deployment}", "api_base": base, "api_key": "os.environ/AZURE_API_KEY"}
    return {"litellm_params": parameters, "model_info": info}


@composite
def vertex_entries(draw: DrawFn) -> Written:
    """A model of the project that a variable or the file itself names."""
    project, location = draw(
        st.sampled_from(
            (
                ("os.environ/VERTEXAI_PROJECT", "os.environ/VERTEXAI_LOCATION"),
                ("example-llm", "eu"),
                ("other-1", "global"),
            )
        )
    )
    parameters = {
        "model": draw(st.sampled_from(("vertex_ai/gemini-3.8-flash", "vertex_ai/mistral-large@latest"))),
        "vertex_project": project,
        "vertex_location": location,
        "vertex_credentials": "os.environ/VERTEX_CREDENTIALS",
    }
    return {"litellm_params": parameters}


@composite
def api_entries(draw: DrawFn) -> Written:
    """A model of a provider with an API of its own, or of a server."""
    entries: tuple[Written, ...] = (
        {"model": "anthropic/claude-sonnet-5-5"},
        {"model": "openai/gpt-6.1-sol", "api_key": "os.environ/OUR_OPENAI_KEY"},
        {"model": "openai/house", "api_base": "https://llm.example.com/v1", "api_key": "os.environ/HOUSE_API_KEY"},
        {"model": "gemini/gemini-3.8-flash", "api_key": "os.environ/GEMINI_API_KEY"},
        {"model": "mistral/mistral-large-4"},
        {"model": "azure_ai/grok-4.7"},
        {"model": "hosted_vllm/qwen3", "api_base": f"http://{OWN_SERVER['host']}:{OWN_SERVER['port']}/v1"},
        {"model": "ollama_chat/llama4", "api_base": "https://ollama.example.com"},
    )
    price = {"input_cost_per_token": 0, "output_cost_per_token": draw(st.sampled_from((0, 1e-6)))}
    return {"litellm_params": draw(st.sampled_from(entries)), "model_info": draw(st.sampled_from(({}, price)))}


@composite
def callbacks_of(draw: DrawFn, model_list: list[Written]) -> Written:
    """None, or some; the one that charges prices with a day wherever an entry has them."""
    known = (
        *("affinity.conversations", "budgets.refusals", "errors.told", "faults.attributed", "masking.datadog"),
        *("prices.dated", "smtp_email"),
    )
    chosen: Written = draw(some(callbacks=several(st.sampled_from(known)).map(list)))
    if any("prices_from" in entry.get("model_info", {}) for entry in model_list):
        chosen["callbacks"] = list({**dict.fromkeys(chosen.get("callbacks", ())), "prices.dated": None})
    return chosen


MCP_SERVERS: tuple[Written, ...] = (
    {"url": "https://mcp.example.com/mcp", "auth_type": "bearer_token", "auth_value": "os.environ/WIKI_MCP_TOKEN"},
    {"url": "https://old.example.com/sse", "transport": "sse", "allow_all_keys": True, "access_groups": ["night-2"]},
)


@composite
def config_files(draw: DrawFn) -> Written:
    """A config.yaml: one provider or all, one model or many, with anything that the gateway knows of beside them."""
    kinds = draw(several(st.sampled_from((bedrock_entries(), azure_entries(), vertex_entries(), api_entries())), 1, 4))
    entries = draw(st.lists(st.one_of(*kinds), min_size=1, max_size=draw(st.sampled_from((1, 4, 40)))))
    names = draw(
        several(
            st.one_of(st.sampled_from(("claude-sonnet-5-5", "gpt-6-luna", "モデル", 'a "b"')), labels),
            1,
            len(entries),
        )
    )
    model_list = [{"model_name": names[number % len(names)], **entry} for number, entry in enumerate(entries)]
    unique = {json.dumps(each, sort_keys=True): each for each in model_list}
    fallbacks = st.lists(
        st.fixed_dictionaries({}, optional={name: st.lists(st.sampled_from(names), max_size=2) for name in names[:2]}),
        max_size=2,
    )
    servers = st.dictionaries(st.sampled_from(("wiki", "logs_2")), st.sampled_from(MCP_SERVERS), max_size=2)
    return {
        "model_list": list(unique.values()),
        **draw(some(mcp_servers=servers)),
        "router_settings": draw(
            some(
                num_retries=st.integers(0, 5),
                fallbacks=fallbacks,
                context_window_fallbacks=fallbacks,
                model_group_alias=st.dictionaries(st.sampled_from(("default", "fast")), st.sampled_from(names)),
            )
        ),
        "litellm_settings": {
            "request_timeout": draw(st.sampled_from((1, 60, 600, 3600))),
            **draw(callbacks_of(model_list)),
        },
        "general_settings": {
            "master_key": "os.environ/LITELLM_MASTER_KEY",
            "database_connection_pool_limit": draw(st.sampled_from((1, 10, 100))),
            **draw(some(alerting=several(st.sampled_from(sorted(ALERTING))).map(list))),
        },
    }


def served(config: Written, environment: Written) -> Written:
    """The environment with what the config.yaml asks for: a project, a resource, another variable, a licence."""
    text = json.dumps(config)
    providers = dict(environment.get("providers", {}))
    if "AZURE_API_BASE" in text:
        providers.setdefault("azure_api_base", BASE_URL.format("example-llm"))
    if "VERTEXAI_PROJECT" in text:
        providers.setdefault("vertexai_project", "example-llm-7")
    if "azure_ai/" in text:
        providers.setdefault("azure_ai_api_base", "https://example-ai.services.ai.azure.com")
    if OWN_SERVER["host"] in text:
        providers["servers"] = (*providers.get("servers", ()), OWN_SERVER)
    variables = dict(environment.get("variables", {}))
    if "AZURE_OTHER_BASE" in text:
        variables["AZURE_OTHER_BASE"] = BASE_URL.format("example-other")
    more = {"litellm_license": True} if "smtp_email" in text else {}
    return environment | {"providers": providers, "variables": variables} | more


# --- What is mostly refused -------------------------------------------------------------------------------------------

ODD: tuple[Any, ...] = (
    *(
        None,
        True,
        "",
        " ",
        "x",
        "X" * 300,
        "ü",
        "a\nb",
        "0",
        "*",
        "arn:aws:iam::1:role/x",
        "https://example.com",
        "aws:x",
    ),
    *(0, -1, 0.001, 2.5, 10**30, float("nan"), float("inf"), [], {}, [None], {"": ""}, {"x": 1}, ["a", "a"], (1, 1)),
    *("0.0.0.0/0", "127.0.0.0/16", "10.0.0.1/8", "::/0", "os.environ/X", "prefix-os.environ/X", "sk-0123456789abcdef"),
)


def places(written: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:  # noqa: ANN401 - any data
    """The way to everything that is written."""
    items = (
        written.items()
        if isinstance(written, dict)
        else enumerate(written)
        if isinstance(written, list | tuple)
        else ()
    )
    return [way for key, value in items for way in ((*path, key), *places(value, (*path, key)))]


def replaced(written: Any, path: tuple[str | int, ...], value: Any) -> Any:  # noqa: ANN401 - any data
    """The same with another value in one place."""
    if not path:
        return value
    first, *rest = path
    if isinstance(written, dict):
        return written | {first: replaced(written[first], tuple(rest), value)}
    return [replaced(each, tuple(rest), value) if number == first else each for number, each in enumerate(written)]


@composite
def spoiled(draw: DrawFn, of: SearchStrategy[Written]) -> Written:
    """What is drawn, with something else in one place, or one more name in it."""
    written = draw(of)
    path = draw(st.sampled_from(places(written)))
    value = draw(st.one_of(st.sampled_from(ODD), st.text(max_size=30)))
    spoilt: Written = replaced(written, path, value)
    return spoilt | {"surprise": 1} if draw(st.integers(0, 20)) == 0 else spoilt
