"""Every pair of time-outs on a call's way and on a deployment's: the table in docs/design.md, held on the templates."""

import json
import re
from collections.abc import Callable, Iterator
from functools import cache
from math import ceil
from typing import Any, NamedTuple

import pytest

from ops.smoke import CLIENT
from stacks import CHECKOUT
from stacks.company import config_file, environments
from stacks.gateway.stack import START_SECONDS
from stacks.gateway.timeouts import CALLERS_PATIENCE, MOST_IDLE_SECONDS
from stacks.settings import Environment
from tests.templates.conftest import Template, only, resources
from tests.templates.synthesis import plain
from tests.unit.handlers import load_handler

ENVIRONMENTS = environments()
MINUTE, HOUR, DAY = 60, 3600, 24 * 3600
NAT_IDLE = 350
# What LiteLLM and Lambda do unless told otherwise.
LITELLM_POOL = 120  # AIOHTTP_KEEPALIVE_TIMEOUT
LAMBDA_EVENT_AGE = 6 * HOUR
Templates = dict[str, dict[str, Template]]


class Deployed(NamedTuple):
    environment: Environment
    stacks: dict[str, Template]

    def gateway(self, kind: str) -> Any:  # noqa: ANN401 - a template is JSON
        return only(self.stacks["Gateway"], kind)

    def attribute(self, kind: str, name: str) -> int:
        found = self.gateway(f"AWS::ElasticLoadBalancingV2::{kind}")[f"{kind}Attributes"]
        return next(int(each["Value"]) for each in found if each["Key"] == name)

    def container(self) -> Any:  # noqa: ANN401 - a template is JSON
        """The service's."""
        tasks = resources(self.stacks["Gateway"], "AWS::ECS::TaskDefinition")
        return next(each for name, each in tasks.items() if plain(name) == "Task")["ContainerDefinitions"][0]

    def variable(self, name: str) -> int:
        return next(int(each["Value"]) for each in self.container()["Environment"] if each["Name"] == name)

    def functions(self, stack: str = "") -> Iterator[tuple[str, int]]:
        """The functions' time-outs, by logical id without its hash."""
        for name, template in self.stacks.items():
            if stack in ("", name):
                for logical_id, function in resources(template, "AWS::Lambda::Function").items():
                    yield plain(logical_id), function["Timeout"]

    def function(self, stack: str, name: str) -> int:
        return dict(self.functions(stack))[name]

    def queue(self, start: str, name: str) -> int:
        queues = resources(self.stacks["Onboarding"], "AWS::SQS::Queue")
        return next(int(queue[name]) for logical_id, queue in queues.items() if logical_id.startswith(start))

    def looks(self, stack: str, start: str) -> int:
        """How long a provider framework looks, at least."""
        machines = resources(self.stacks[stack], "AWS::StepFunctions::StateMachine")
        text = next(json.dumps(each) for name, each in machines.items() if name.startswith(start))
        interval, attempts = re.findall(r"IntervalSeconds\W+(\d+)\W+MaxAttempts\W+(\d+)", text)[0]
        return int(interval) * int(attempts)

    def schedules(self) -> list[Any]:
        return [
            schedule["Target"]["RetryPolicy"]["MaximumEventAgeInSeconds"]
            for template in self.stacks.values()
            for schedule in resources(template, "AWS::Scheduler::Schedule").values()
        ]


def request(it: Deployed) -> int:
    return it.environment.litellm_config(config_file()).request_timeout


def silent(it: Deployed) -> int:
    """A call with all its attempts, if every provider that it comes to takes it and never answers."""
    silences = it.environment.litellm_config(config_file()).silences.values()
    return ceil(max(silence.longest for silence in silences))


def idle(it: Deployed) -> int:
    return it.attribute("LoadBalancer", "idle_timeout.timeout_seconds")


def delay(it: Deployed) -> int:
    return it.attribute("TargetGroup", "deregistration_delay.timeout_seconds")


def target(name: str) -> Callable[[Deployed], int]:
    return lambda it: int(it.gateway("AWS::ElasticLoadBalancingV2::TargetGroup")[name])


def check(name: str) -> Callable[[Deployed], int]:
    return lambda it: int(it.container()["HealthCheck"][name])


def asked(it: Deployed) -> int:
    """Of the container's check itself."""
    return int(re.findall(r"timeout=(\d+)", it.container()["HealthCheck"]["Command"][-1])[0])


def dns(it: Deployed) -> int:
    (record,) = it.gateway("AWS::ServiceDiscovery::Service")["DnsConfig"]["DnsRecords"]
    return int(record["TTL"])


def migration(it: Deployed) -> int:
    functions = resources(it.stacks["Gateway"], "AWS::Lambda::Function")
    watch = next(each for name, each in functions.items() if plain(name) == "MigrationWatch")
    return int(watch["Environment"]["Variables"]["LIMIT_SECONDS"])


def whole_migration(it: Deployed) -> int:
    """With what starts it, and a last look at it."""
    return migration(it) + it.function("Gateway", "MigrationStart") + it.function("Gateway", "MigrationWatch")


@cache
def patience() -> int:
    return int(load_handler("litellm_key").PATIENCE["Create"])


def key(it: Deployed) -> int:
    """How long a key of LiteLLM's is tried for, with a last try that begins just before the end."""
    return patience() + it.function("Smoke", "LiteLlmKeyMake")


def longest_made(it: Deployed) -> int:
    """The longest of the functions behind a custom resource."""
    names = {"Manage", "SmtpCredentialsMake", "LiteLlmKeyMake", "LiteLlmKeyName", "MigrationStart", "MigrationWatch"}
    found = [(name, seconds) for name, seconds in it.functions() if name in names]
    assert {name for name, _ in found} == names
    return max(seconds for _, seconds in found)


def framework(it: Deployed) -> int:
    return min(seconds for name, seconds in it.functions() if "Providerframework" in name)


def always(seconds: int) -> Callable[[Deployed], int]:
    return lambda _: seconds


Seconds = Callable[[Deployed], int]
# In the order of the table: what must be shorter, or as long, and than what.
PAIRS: list[tuple[Seconds, str, Seconds]] = [
    (silent, "≤", always(CALLERS_PATIENCE)),
    (silent, "<", idle),
    (idle, "<", lambda it: it.variable("KEEPALIVE_TIMEOUT")),
    (idle, "≤", always(MOST_IDLE_SECONDS)),
    (request, "≤", delay),
    (delay, "≤", always(HOUR)),
    (lambda it: it.variable("AIOHTTP_TCP_KEEPIDLE"), "<", always(NAT_IDLE)),
    (always(LITELLM_POOL), "<", always(NAT_IDLE)),
    (dns, "<", delay),
    (target("HealthCheckTimeoutSeconds"), "<", target("HealthCheckIntervalSeconds")),
    (asked, "<", check("Timeout")),
    (check("Timeout"), "<", check("Interval")),
    (always(START_SECONDS), "<", check("StartPeriod")),
    (check("StartPeriod"), "<", lambda it: int(it.gateway("AWS::ECS::Service")["HealthCheckGracePeriodSeconds"])),
    (lambda it: int(it.container()["StopTimeout"]), "≤", always(2 * MINUTE)),
    (lambda it: it.function("Onboarding", "Receiver"), "<", always(30)),
    (lambda it: 6 * it.function("Onboarding", "Worker"), "≤", lambda it: it.queue("Requests", "VisibilityTimeout")),
    (
        lambda it: it.queue("Requests", "MessageRetentionPeriod"),
        "≤",
        lambda it: it.queue("DeadLetters", "MessageRetentionPeriod"),
    ),
    (lambda it: max(it.schedules()), "<", always(DAY)),
    (always(LAMBDA_EVENT_AGE), "<", always(DAY)),
    (lambda it: max(seconds for _, seconds in it.functions()), "≤", always(15 * MINUTE)),
    (always(15 * MINUTE), "<", always(CLIENT.read_timeout)),  # type: ignore[attr-defined] # botocore makes it
    (longest_made, "<", framework),
    (key, "<", lambda it: it.looks("Smoke", "LiteLlmKey")),
    (migration, "<", lambda it: it.looks("Gateway", "Migration")),
    (whole_migration, "<", always(HOUR)),
    (key, "<", always(HOUR)),
]


def table() -> list[list[str]]:
    """The rows of the table of docs/design.md."""
    _, _, rest = (CHECKOUT / "docs" / "design.md").read_text().partition("\n## Time-outs\n")
    rows = [line.strip("|").split("|") for line in rest.partition("\n## ")[0].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows[2:]]


ROWS = table()


def seconds(cell: str) -> int:
    """The time that a cell ends with."""
    amount, unit = re.findall(r": ([\d,]+) (s|min|h|days)$", cell)[0]
    return int(amount.replace(",", "")) * {"s": 1, "min": MINUTE, "h": HOUR, "days": DAY}[unit]


def test_the_table_has_a_row_for_each_pair() -> None:
    assert len(ROWS) == len(PAIRS)
    assert [row[1] for row in ROWS] == [relation for _, relation, _ in PAIRS]
    assert all(row[3] for row in ROWS)  # the rule, and where it is from


@pytest.mark.parametrize("environment", ENVIRONMENTS.values(), ids=ENVIRONMENTS)
@pytest.mark.parametrize("number", range(len(PAIRS)), ids=[f"{row[0]} {row[1]} {row[2]}" for row in ROWS])
def test_the_rule(templates: Templates, environment: Environment, number: int) -> None:
    shorter, relation, longer = PAIRS[number]
    it = Deployed(environment, templates[environment.name])
    times = shorter(it), longer(it)
    assert times[0] < times[1] or (relation == "≤" and times[0] == times[1])
    assert times == (seconds(ROWS[number][0]), seconds(ROWS[number][2]))  # as the table says
