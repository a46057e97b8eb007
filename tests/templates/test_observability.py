"""The observability stack: which alarms there are, at what, whom they reach; budget, dashboard, what logs are asked."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from stacks.company import environments
from stacks.observability import access_log_table, log_insights
from stacks.observability.alarms import making as alarms
from stacks.settings import Environment
from tests.templates.conftest import CHECKOUT, Template, only, resources
from tests.templates.synthesis import VARIANT, artifacts, plain, text, variant

ENVIRONMENTS = environments()
TABLE = CHECKOUT / "docs" / "alarms.md"
ONCE, TWICE_OF_THREE, QUARTER = (1, 1), (2, 3), (3, 3)
TEN_MINUTES = (2, 2)
# Alarms that every environment has, beside those of functions: metrics, statistic, period, threshold, M of N.
ALARMS: dict[str, tuple[str, str, int, float, tuple[int, int]]] = {
    "TargetErrors": ("RequestCount HTTPCode_Target_5XX_Count", "Sum", 300, 5, TWICE_OF_THREE),
    "BalancerErrors": ("RequestCount HTTPCode_ELB_5XX_Count", "Sum", 300, 1, TWICE_OF_THREE),
    "RejectedConnections": ("RejectedConnectionCount", "Sum", 300, 1, ONCE),
    "RequestsRefused": ("Refused", "Sum", 300, 1, QUARTER),
    "TargetConnectionErrors": ("TargetConnectionErrorCount", "Sum", 300, 5, TWICE_OF_THREE),
    "FastestAnswers": ("RequestCount TargetResponseTime", "Sum p10", 300, 10, QUARTER),
    "UnhealthyTasks": ("UnHealthyHostCount", "Minimum", 300, 1, TEN_MINUTES),
    "NoHealthyTask": ("HealthyHostCount", "Maximum", 60, 1, (3, 3)),
    "RateLimited": ("BlockedRequests", "Sum", 300, 100, ONCE),
    "SignInsLimited": ("BlockedRequests", "Sum", 300, 1, ONCE),
    "BlockedRequests": ("BlockedRequests", "Sum", 300, 1000, TWICE_OF_THREE),
    "GatewayCertificate": ("DaysToExpiry", "Minimum", 86400, 30, ONCE),
    "TasksMissing": ("DesiredTaskCount RunningTaskCount", "Average", 60, 1, (10, 10)),
    "Cpu": ("CPUUtilization", "Average", 300, 85, QUARTER),
    "Memory": ("MemoryUtilization", "Maximum", 300, 85, QUARTER),
    "DatabaseCapacity": ("ACUUtilization", "Maximum", 300, 90, QUARTER),
    "DatabaseVolume": ("VolumeBytesUsed", "Maximum", 3600, 200 * 1024**3, ONCE),
    "TransactionIds": ("MaximumUsedTransactionIDs", "Maximum", 3600, 1e9, ONCE),
    "Deadlocks": ("Deadlocks", "Average", 300, 0.1, QUARTER),
    "Throttles": ("Throttles", "Sum", 300, 1, TWICE_OF_THREE),
    "BounceRate": ("Reputation.BounceRate", "Maximum", 3600, 0.05, ONCE),
    "ComplaintRate": ("Reputation.ComplaintRate", "Maximum", 3600, 0.001, ONCE),
    "DatadogIntake": ("DatadogFailed", "Sum", 300, 10, TWICE_OF_THREE),
    "DatadogRecordsLost": ("DatadogLost", "Sum", 300, 1, ONCE),
    "DatabaseUnreachable": ("DatabaseFailed", "Sum", 300, 10, TWICE_OF_THREE),
    "SpendDropped": ("SpendLost", "Sum", 300, 1, ONCE),
    "LoginsRefused": ("LoginRefused", "Sum", 300, 10, TWICE_OF_THREE),
    **dict.fromkeys(
        ("TaskStoppedUntold", "DeploymentFailedUntold", "ServiceImpairedUntold"),
        ("FailedInvocations", "Sum", 300, 1, ONCE),
    ),
}
OF_ONBOARDING: dict[str, tuple[str, str, int, float, tuple[int, int]]] = {
    "DeadLetters": ("ApproximateNumberOfMessagesVisible", "Maximum", 300, 1, ONCE),
    "Undelivered": ("ApproximateNumberOfMessagesVisible", "Maximum", 300, 1, ONCE),
    "OldestRequest": ("ApproximateAgeOfOldestMessage", "Maximum", 300, 1800, ONCE),
    "ReceiverDuration": ("Duration", "p90", 300, 2500, TEN_MINUTES),
    "SlackCertificate": ("DaysToExpiry", "Minimum", 86400, 30, ONCE),
}
OF_CACHE: dict[str, tuple[str, str, int, float, tuple[int, int]]] = {
    "CacheMemory": ("DatabaseMemoryUsagePercentage", "Maximum", 300, 80, QUARTER),
    "CacheCpu": ("EngineCPUUtilization", "Maximum", 300, 80, QUARTER),
    "CacheEvictions": ("Evictions", "Sum", 300, 1, TWICE_OF_THREE),
    "CacheUnreachable": ("CacheFailed", "Sum", 300, 10, TWICE_OF_THREE),
}
OF_USAGE: dict[str, tuple[str, str, int, float, tuple[int, int]]] = {
    "UsageUndelivered": ("ApproximateNumberOfMessagesVisible", "Maximum", 300, 1, ONCE),
}
# What is trouble when there is no figure, and what leaves an alarm as it is.
MISSING = {
    "NoHealthyTask": "breaching",
    "TasksMissing": "breaching",
    "NoSnapshotToCopy": "breaching",
    "GatewayCertificate": "ignore",
    "SlackCertificate": "ignore",
}
COMPARISON = dict.fromkeys(("NoHealthyTask", "NoSnapshotToCopy", "GatewayCertificate", "SlackCertificate"), "LessThan")
DESCRIPTION = re.compile(r"(?P<means>.+\.) Threshold: (?P<why>.+\.) First: (?P<do>.+\.)")
# Lines as LiteLLM writes them to a container's log, with the answer of an intake and the names of files shortened.
DATADOG_LINE = {
    "message": "Datadog API error: status_code=503, will retry 1 records - (not logged: an error's text can quote a "
    "prompt) [MaskedHTTPStatusError at /app/litellm/llms/custom_httpx/http_handler.py:564]",
    "level": "ERROR",
    "timestamp": "2026-11-24T17:32:51.785139",
    "component": "LiteLLM",
    "logger": "batch_utils.py:52",
}
DATABASE_LINES = (
    "Prisma DB reconnect failed (3 consecutive). reason=auth_get_key_object_lookup_failure error=",
    "LiteLLM Prisma Client Exception get_generic_data: All connection attempts failed",
    "Giving up get_data(...) after 3 tries (prisma.errors.DataError: Can't reach database server at `db:5432`)",
    "litellm.proxy_server.py::add_deployment() - Error getting new models from DB - All connection attempts failed",
    "litellm.proxy.proxy_server.user_api_key_auth(): Exception occured - Can't reach database server at `db:5432`",
)
# A line of the traceback below `Job "update_spend (trigger: interval[0:01:02], …" raised an exception`, seen while the
# database was down, and what LiteLLM says where it cannot tell whether a write was done.
SPEND_LINES = (
    '  File "/app/litellm/proxy/db/db_spend_update_writer.py", line 1836, in '
    "_commit_spend_updates_to_db_without_redis_buffer",
    '{"message": "Spend tracking - dropped 2 user_list_transactions increments: the failed statement may have applied '
    'or the database refused the data, so re-sending it is not safe. Error: ", "level": "ERROR"}',
)
CACHE_LINES = (
    "LiteLLM Redis Caching: async increment_pipeline() - Got exception from REDIS: Error 111 connecting to cache:6379.",
    "LiteLLM Redis Cache PING: - Got exception from REDIS : Error 111 connecting to cache:6379. Connection refused.",
    "Error occurred in async batch get cache: Error 111 connecting to cache:6379. Connection refused.",
    "Error connecting to Sync Redis client",
)
# In AWS's words for the fields, with those that a plain GET has.
ACCESS_LINE = (
    "h2 2026-11-24T09:00:01.123456Z app/litellm/0123456789abcdef 203.0.113.7:51234 10.30.1.5:4000 0.001 12.345 0.000 "
    '200 200 512 2048 "POST https://llm.example.com:443/v1/chat/completions?a=b HTTP/2.0" "OpenAI/Python 2.1" '
    "TLS_AES_128_GCM_SHA256 TLSv1.3 arn:aws:elasticloadbalancing:ap-northeast-1:333333333333:targetgroup/t/1 "
    '"Root=1-2-3" "llm.example.com" "arn:aws:acm:ap-northeast-1:333333333333:certificate/1" 1 '
    '2026-11-24T09:00:00.100000Z "waf,forward" "-" "-" "10.30.1.5:4000" "200" "-" "-" TID_0123'
)
Templates = dict[str, dict[str, Template]]
as_deployed = pytest.mark.parametrize("environment", [ENVIRONMENTS["dev"], VARIANT], ids=lambda each: each.name)
in_every_environment = pytest.mark.parametrize("environment", ENVIRONMENTS.values(), ids=ENVIRONMENTS)


def _resolved(stacks: dict[str, Template], value: Any) -> Any:  # noqa: ANN401 - a template is JSON
    """The value with every parameter that is looked up replaced by what another stack writes for it."""
    match value:
        case {"Ref": str(parameter)} if parameter in stacks["Observability"]["Parameters"]:
            return _written(stacks)[stacks["Observability"]["Parameters"][parameter]["Default"]]["Value"]
        case dict():
            return {key: _resolved(stacks, item) for key, item in value.items()}
        case list():
            return [_resolved(stacks, item) for item in value]
    return value


def _written(stacks: dict[str, Template]) -> dict[str, Any]:
    """What the stacks write to Parameter Store, by name."""
    return {
        properties["Name"]: properties
        for template in stacks.values()
        for properties in resources(template, "AWS::SSM::Parameter").values()
    }


def _alarms(stacks: dict[str, Template]) -> dict[str, Any]:
    found = resources(stacks["Observability"], "AWS::CloudWatch::Alarm")
    return {plain(logical_id): _resolved(stacks, properties) for logical_id, properties in found.items()}


def _metrics(alarm: dict[str, Any]) -> list[dict[str, Any]]:
    """The metrics of an alarm, of metric math or not, in one form."""
    if "Metrics" not in alarm:
        return [alarm | {"Stat": alarm.get("Statistic") or alarm["ExtendedStatistic"]}]
    stats = (each["MetricStat"] for each in alarm["Metrics"] if "MetricStat" in each)
    return [stat["Metric"] | {"Stat": stat["Stat"], "Period": stat["Period"]} for stat in stats]


def _summary(alarm: dict[str, Any]) -> tuple[str, str, int, float, tuple[int, int]]:
    metrics = _metrics(alarm)
    (period,) = {metric["Period"] for metric in metrics}
    return (
        " ".join(metric["MetricName"] for metric in metrics),
        " ".join(dict.fromkeys(metric["Stat"] for metric in metrics)),
        period,
        alarm["Threshold"],
        (alarm["DatapointsToAlarm"], alarm["EvaluationPeriods"]),
    )


def _everywhere(templates: Templates) -> Iterator[dict[str, Template]]:
    yield from templates.values()
    yield variant()


def _expected(environment: Environment) -> dict[str, tuple[str, str, int, float, tuple[int, int]]]:
    """What there is by the settings, beside the alarms of functions."""
    connections = environment.database.max_connections * 80 // 100
    expected = ALARMS | {"DatabaseConnections": ("DatabaseConnections", "Maximum", 300, connections, TWICE_OF_THREE)}
    if environment.sleep:
        expected |= {"SleepUndelivered": ("ApproximateNumberOfMessagesVisible", "Maximum", 300, 1, ONCE)}
    if environment.network.nat_instance:
        expected |= {"NatInstance": ("StatusCheckFailed", "Maximum", 300, 1, TEN_MINUTES)}
    elif environment.network.vpc is None:
        nat = " ".join(["ErrorPortAllocation"] * environment.network.nat_gateways)
        expected |= {"NatPorts": (nat, "Sum", 300, 1, ONCE)}
    if environment.database.reader:
        expected |= {"ReplicaLag": ("AuroraReplicaLag", "Average", 300, 1000, QUARTER)}
    if copies := environment.database.copies:
        hours = copies.every_hours + 4
        expected |= {
            "NoSnapshotToCopy": ("NumberOfBackupJobsCompleted", "Sum", 3600, 1, (hours, hours)),
            "CopyFailedUntold": ("FailedInvocations", "Sum", 300, 1, ONCE),
        }
    if environment.cache:
        most = 2 * 60 * environment.gateway.max_tasks * environment.gateway.workers
        expected |= OF_CACHE | {"CacheConnections": ("CurrConnections", "Maximum", 300, most, QUARTER)}
    if environment.onboarding:
        expected |= OF_ONBOARDING
    if environment.report or environment.bill:
        expected |= OF_USAGE
    if bill := environment.bill:
        compared = {
            "BedrockBill": True,
            "AzureBill": bill.azure,
            "VertexAiBill": bill.google,
            "GeminiBill": bill.gemini,
            "OpenAiBill": bill.openai,
            "AnthropicBill": bill.anthropic,
        }
        difference = ("BillDifferencePercent", "Maximum", 86400, bill.tolerance_percent, ONCE)
        expected |= {name: difference for name, settings in compared.items() if settings}
    return expected


@pytest.mark.parametrize("environment", [*ENVIRONMENTS.values(), VARIANT], ids=[*ENVIRONMENTS, VARIANT.name])
def test_alarms(templates: Templates, environment: Environment) -> None:
    stacks = variant() if environment is VARIANT else templates[environment.name]
    found = {name: alarm for name, alarm in _alarms(stacks).items() if not name.endswith("Errors") or name in ALARMS}
    assert {name: _summary(alarm) for name, alarm in found.items()} == _expected(environment)
    for name, alarm in found.items():
        expected = "GreaterThan" if name.endswith("Bill") else COMPARISON.get(name, "GreaterThanOrEqualTo")
        assert alarm["ComparisonOperator"] == f"{expected}Threshold", name


def test_thresholds_follow_the_settings(templates: Templates) -> None:
    limits = {name: _alarms(stacks)["DatabaseConnections"]["Threshold"] for name, stacks in templates.items()}
    assert limits["dev"] < limits["stg"] < limits["prod"]
    assert "ReplicaLag" in _alarms(templates["prod"])
    assert "ReplicaLag" not in _alarms(templates["dev"])
    assert "NatPorts" not in _alarms(variant())


@in_every_environment
def test_every_function_has_an_alarm_for_errors(templates: Templates, environment: Environment) -> None:
    """But for two of the CDK's that throw while they wait: the state machine that calls them has one instead."""
    stacks = templates[environment.name]
    metrics = [metric for alarm in _alarms(stacks).values() for metric in _metrics(alarm)]
    watched = sorted(
        (metric["MetricName"], text(dimension["Value"]))
        for metric in metrics
        if metric["MetricName"] in ("Errors", "ExecutionsFailed")
        for dimension in metric["Dimensions"]
    )
    functions = [name for template in stacks.values() for name in resources(template, "AWS::Lambda::Function")]
    waiting = [name for name in functions if re.search("framework(isComplete|onTimeout)", name)]
    machines = [
        name for template in stacks.values() for name in resources(template, "AWS::StepFunctions::StateMachine")
    ]
    expected = [("Errors", name) for name in functions if name not in waiting]
    expected += [("ExecutionsFailed", name) for name in machines]
    assert watched == sorted((metric, f"<{plain(name)}>") for metric, name in expected)
    assert len(waiting) == 2 * len(machines) > 0


@in_every_environment
def test_alarms_say_why_and_reach_someone(templates: Templates, environment: Environment) -> None:
    for name, alarm in _alarms(templates[environment.name]).items():
        assert DESCRIPTION.fullmatch(alarm["AlarmDescription"]), name
        assert len(alarm["AlarmDescription"]) <= 1024  # the most that CloudWatch takes
        assert alarm["TreatMissingData"] == MISSING.get(name, "notBreaching")
        for kind in ("AlarmActions", "OKActions"):
            assert list(map(text, alarm[kind])) == ["<Topic>"]


def test_the_documentation_has_every_alarm_as_it_is(templates: Templates) -> None:
    described: dict[str, set[tuple[str, ...]]] = {}
    for stacks in _everywhere(templates):
        for name, alarm in _alarms(stacks).items():
            found = DESCRIPTION.fullmatch(alarm["AlarmDescription"])
            assert found
            described.setdefault(name, set()).add(found.group("means", "why", "do"))
    rows = [
        tuple(cell.strip() for cell in line.strip("|").split("|"))
        for line in TABLE.read_text("utf-8").splitlines()
        if line.startswith("| `")
    ]
    documented = {row[0].strip("`"): {row[1:]} for row in rows}
    assert len(documented) == len(rows)
    assert documented == described


@in_every_environment
def test_metrics_are_of_this_environment(templates: Templates, environment: Environment) -> None:
    """What is not of the account as a whole has a dimension or a namespace that is this environment's own."""
    of_the_account = {"Throttles", "BounceRate", "ComplaintRate"}
    for name, alarm in _alarms(templates[environment.name]).items():
        for metric in _metrics(alarm):
            own = metric.get("Dimensions") or metric["Namespace"] == f"LiteLlmGateway/{environment.name}"
            assert bool(own) is (name not in of_the_account), name


@in_every_environment
def test_the_web_acls_metrics_go_by_its_name(templates: Templates, environment: Environment) -> None:
    alarm = _alarms(templates[environment.name])["RateLimited"]
    dimensions = {each["Name"]: each["Value"] for each in alarm["Dimensions"]}
    name = dimensions.pop("WebACL")
    assert dimensions == {"Region": environment.region, "Rule": "RatePerAddress"}
    # A web ACL's Ref is name|id|scope.
    assert name["Fn::Select"][0] == 0
    assert name["Fn::Select"][1]["Fn::Split"][0] == "|"
    assert text(name["Fn::Select"][1]["Fn::Split"][1]) == "<EdgeWebAcl>"
    rules = {rule["Name"] for rule in only(templates[environment.name]["Gateway"], "AWS::WAFv2::WebACL")["Rules"]}
    assert {"RatePerAddress", "SignInRatePerAddress"} <= rules


@in_every_environment
def test_what_is_watched_is_looked_up_once_and_kept_from_nothing(
    templates: Templates, environment: Environment
) -> None:
    """Anew at each deployment, too: the CDK CLI skips a stack whose template is the same, but for such parameters."""
    stacks = templates[environment.name]
    parameters = dict(stacks["Observability"]["Parameters"])
    assert "[cdk:skip]" in parameters.pop("BootstrapVersion")["Description"]
    assert {(each["Type"], each.get("Description")) for each in parameters.values()} == {
        ("AWS::SSM::Parameter::Value<String>", None)
    }
    names = [each["Default"] for each in parameters.values()]
    assert len(names) == len(set(names)) > 50
    assert set(names) == {name for name in _written(stacks) if name.startswith(f"/litellm/{environment.name}/watched/")}
    own = json.dumps(stacks["Observability"])
    assert "Fn::GetStackOutput" not in own
    assert "Fn::ImportValue" not in own
    assert all(own.count(f'"{name}"') > 1 for name in parameters)  # none is asked for in vain


@as_deployed
def test_what_is_watched_is_there_before(environment: Environment) -> None:
    """No reference says so to the CDK."""
    stacks = artifacts()[environment.name]
    before = {stack.id for stack in stacks["Observability"].dependencies}
    written = {
        name
        for name, stack in stacks.items()
        if any("Watched" in logical_id for logical_id in resources(stack.template, "AWS::SSM::Parameter"))
    }
    without = {"Email", "Observability", "Cache"} | ({"Network"} if environment.network.vpc else set[str]())
    assert written == set(stacks) - without
    assert {stacks[name].id for name in written} <= before


@in_every_environment
def test_few_parameters_are_written_at_the_same_time(templates: Templates, environment: Environment) -> None:
    """Parameter Store takes three PutParameter a second: each of a stack waits for the third one before it."""
    for stack, template in templates[environment.name].items():
        chain = [
            (logical_id, resource.get("DependsOn", []))
            for logical_id, resource in template["Resources"].items()
            if resource["Type"] == "AWS::SSM::Parameter" and logical_id.startswith("Watched")
        ]
        waits = [[], [], [], *([logical_id] for logical_id, _ in chain)]
        assert [depends_on for _, depends_on in chain] == waits[: len(chain)], stack


# --- Whom it reaches ------------------------------------------------------------------------------------------------


@in_every_environment
def test_topic_is_mailed(templates: Templates, environment: Environment) -> None:
    subscriptions = resources(templates[environment.name]["Observability"], "AWS::SNS::Subscription").values()
    assert environment.alarms.emails
    assert {(each["Protocol"], each["Endpoint"]) for each in subscriptions} == {
        ("email", address) for address in environment.alarms.emails
    }


@in_every_environment
def test_only_this_accounts_services_may_publish_and_only_with_tls(
    templates: Templates, environment: Environment
) -> None:
    document = only(templates[environment.name]["Observability"], "AWS::SNS::TopicPolicy")["PolicyDocument"]
    allowed = {
        each["Principal"]["Service"]: (each["Action"], each.get("Condition"))
        for each in document["Statement"]
        if each["Effect"] == "Allow"
    }
    account = {"aws:SourceAccount": environment.account}
    budgets = f"arn:aws:budgets::{environment.account}:*"
    assert allowed == {
        "cloudwatch.amazonaws.com": ("sns:Publish", {"StringEquals": account}),
        "events.amazonaws.com": ("sns:Publish", None),  # SNS refuses it with any condition
        "budgets.amazonaws.com": (
            "sns:Publish",
            {"StringEquals": account, "ArnLike": {"aws:SourceArn": budgets}},
        ),
    }
    assert {text(each["Resource"]) for each in document["Statement"]} == {"<Topic>"}
    (refused,) = (statement for statement in document["Statement"] if statement["Effect"] == "Deny")
    assert refused["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


@in_every_environment
def test_slack_where_the_settings_name_a_channel(templates: Templates, environment: Environment) -> None:
    template = templates[environment.name]["Observability"]
    channels = list(resources(template, "AWS::Chatbot::SlackChannelConfiguration").values())
    if not environment.alarms.channel:
        assert not channels
        assert not resources(template, "AWS::IAM::Role")
        return
    (channel,) = channels
    assert channel["SlackWorkspaceId"] == environment.alarms.workspace
    assert channel["SlackChannelId"] == environment.alarms.channel
    assert channel["ConfigurationName"] == f"litellm-{environment.name}"
    assert list(map(text, channel["SnsTopicArns"])) == ["<Topic>"]
    assert channel["LoggingLevel"] == "ERROR"
    assert channel["UserRoleRequired"] is False
    # What the channel may do is what its guardrails let it, and that is to look.
    assert list(map(text, channel["GuardrailPolicies"])) == ["<SlackMayLook>"]
    assert list(map(text, only(template, "AWS::IAM::Role")["ManagedPolicyArns"])) == ["<SlackMayLook>"]
    (statement,) = only(template, "AWS::IAM::ManagedPolicy")["PolicyDocument"]["Statement"]
    assert all(re.fullmatch(r"cloudwatch:(Describe|Get)\w+", action) for action in statement["Action"])


def test_both_kinds_of_environment_are_there() -> None:
    assert ENVIRONMENTS["prod"].alarms.channel
    assert not ENVIRONMENTS["dev"].alarms.channel


@in_every_environment
def test_budget(templates: Templates, environment: Environment) -> None:
    budget = only(templates[environment.name]["Observability"], "AWS::Budgets::Budget")
    assert budget["Budget"]["BudgetType"] == "COST"
    assert budget["Budget"]["TimeUnit"] == "MONTHLY"
    assert budget["Budget"]["BudgetLimit"] == {"Amount": environment.alarms.monthly_budget, "Unit": "USD"}
    assert environment.name in budget["Budget"]["BudgetName"]
    told = [
        (each["Notification"]["NotificationType"], each["Notification"]["Threshold"], text(subscriber["Address"]))
        for each in budget["NotificationsWithSubscribers"]
        for subscriber in each["Subscribers"]
    ]
    assert told == [("ACTUAL", 80, "<Topic>"), ("ACTUAL", 100, "<Topic>"), ("FORECASTED", 100, "<Topic>")]
    # Other notifications make CloudFormation replace the budget, whose name must then be another.
    assert all(f"{kind.lower()}{percent}" in budget["Budget"]["BudgetName"] for kind, percent, _ in told)


@in_every_environment
def test_what_ecs_tells_only_by_events(templates: Templates, environment: Environment) -> None:
    stacks = templates[environment.name]
    rules = {
        name: _resolved(stacks, rule) for name, rule in resources(stacks["Observability"], "AWS::Events::Rule").items()
    }
    copying = {"CopyFailed"} if environment.database.copies else set()
    assert set(rules) == {"TaskStopped", "DeploymentFailed", "ServiceImpaired"} | copying
    stopped = rules["TaskStopped"]["EventPattern"]["detail"]
    assert text(stopped["group"][0]) == "service:<Service.Name>"  # not the migration, whose task ends well
    assert stopped["lastStatus"] == ["STOPPED"]
    assert {"stopCode": ["EssentialContainerExited", "TaskFailedToStart"]} in stopped["$or"]
    failed = rules["DeploymentFailed"]["EventPattern"]
    assert failed["detail"] == {"eventName": ["SERVICE_DEPLOYMENT_FAILED"]}
    assert list(map(text, failed["resources"])) == ["<Service>"]
    for rule in rules.values():
        (target,) = rule["Targets"]
        assert text(target["Arn"]) == "<Topic>"
        assert "RoleArn" not in target
        message = json.loads(re.sub(r"<(\w+)>", r'"\1"', target["InputTransformer"]["InputTemplate"]))
        assert message["version"] == "1.0"
        assert message["source"] == "custom"
        assert environment.name in message["content"]["title"]
        assert message["content"]["description"] == "reason"


def test_a_copy_that_came_to_nothing_is_told_in_the_databases_region(templates: Templates) -> None:
    """Of these two vaults alone: the account may have other copies."""
    pattern = resources(templates["prod"]["Observability"], "AWS::Events::Rule")["CopyFailed"]["EventPattern"]
    assert pattern["source"] == ["aws.backup"]
    assert pattern["detail-type"] == ["Backup Job State Change", "Copy Job State Change"]
    assert pattern["detail"]["state"] == ["ABORTED", "EXPIRED", "FAILED", "PARTIAL"]
    vault = "arn:aws:backup:{}:333333333333:backup-vault:litellm-prod-{}"
    assert [{key: list(map(text, each)) for key, each in one.items()} for one in pattern["detail"]["$or"]] == [
        {"backupVaultArn": [vault.format("ap-northeast-1", "snapshots")]},
        {"destinationBackupVaultArn": [vault.format("ap-northeast-3", "copies")]},
    ]


# --- What it shows --------------------------------------------------------------------------------------------------


def _dashboard(template: Template) -> tuple[str, str]:
    """Name and body, in which what is known only once deployed stands as in `text`."""
    dashboard = only(template, "AWS::CloudWatch::Dashboard")
    body = dashboard["DashboardBody"]
    parts = body["Fn::Join"][1]
    return dashboard["DashboardName"], "".join(part if isinstance(part, str) else "deployed" for part in parts)


@in_every_environment
def test_dashboard(templates: Templates, environment: Environment) -> None:
    template = templates[environment.name]["Observability"]
    name, body = _dashboard(template)
    assert name == f"litellm-{environment.name}"
    widgets = json.loads(body)["widgets"]
    titles = [widget["properties"]["title"] for widget in widgets]
    assert [title.split(" ")[0] for title in titles[:4]] == ["Requests", "Errors", "Until", "Tasks"]
    assert {widget["y"] for widget in widgets[:4]} == {0}
    for part in ("Alarms", "Blocked", "Database", "Functions", "Queues", "Mails", "LiteLLM"):
        assert any(title.startswith(part) for title in titles), part
    (status,) = (widget for widget in widgets if widget["type"] == "alarm")
    assert len(status["properties"]["alarms"]) == len(resources(template, "AWS::CloudWatch::Alarm"))
    (errors,) = (widget for widget in widgets if widget["type"] == "log")
    assert log_insights.ERROR_PLACE in errors["properties"]["query"]
    for widget in widgets:
        assert widget["x"] + widget["width"] <= 24


@in_every_environment
def test_every_log_group_is_kept_for_a_time(templates: Templates, environment: Environment) -> None:
    kept = {
        logical_id: properties.get("RetentionInDays")
        for template in templates[environment.name].values()
        for logical_id, properties in resources(template, "AWS::Logs::LogGroup").items()
    }
    assert set(kept.values()) == {30, environment.log_retention_days}
    # Each function writes to one of them, and so to none that Lambda would make and keep for ever.
    functions = {
        logical_id: properties.get("LoggingConfig", {}).get("LogGroup")
        for template in templates[environment.name].values()
        for logical_id, properties in resources(template, "AWS::Lambda::Function").items()
    }
    without = {plain(logical_id) for logical_id, group in functions.items() if not group}
    assert without == {"CustomVpcRestrictDefaultSGCustomResourceProviderHandler"}


@in_every_environment
def test_every_bucket_is_emptied(templates: Templates, environment: Environment) -> None:
    buckets = [
        properties
        for template in templates[environment.name].values()
        for properties in resources(template, "AWS::S3::Bucket").values()
    ]
    assert buckets
    for bucket in buckets:
        (rule,) = bucket["LifecycleConfiguration"]["Rules"]
        assert rule == {"ExpirationInDays": environment.log_retention_days, "Status": "Enabled"}


@in_every_environment
def test_saved_queries(templates: Templates, environment: Environment) -> None:
    queries = resources(templates[environment.name]["Observability"], "AWS::Logs::QueryDefinition").values()
    assert {query["Name"].partition("/")[0] for query in queries} == {f"litellm-{environment.name}"}
    assert all(query["LogGroupNames"] for query in queries)
    assert len({query["Name"] for query in queries}) == len(queries) == 7


def test_the_errors_class_is_read_from_a_line() -> None:
    pattern = log_insights.ERROR_PLACE.strip("/").replace("(?<", "(?P<")
    found = re.search(pattern, DATADOG_LINE["message"])
    assert found
    assert found["class"] == "MaskedHTTPStatusError"


@pytest.mark.parametrize(
    ("pattern", "line", "counts"),
    [
        (log_insights.DATADOG_FAILED, DATADOG_LINE, True),
        (log_insights.DATADOG_FAILED, DATADOG_LINE | {"level": "WARNING"}, False),
        (log_insights.DATABASE_FAILED, DATADOG_LINE, False),
        *((log_insights.DATABASE_FAILED, {"level": "ERROR", "message": message}, True) for message in DATABASE_LINES),
        *((log_insights.CACHE_FAILED, {"level": "ERROR", "message": message}, True) for message in CACHE_LINES),
        *((log_insights.CACHE_FAILED, {"level": "ERROR", "message": message}, False) for message in DATABASE_LINES),
    ],
)
def test_lines_that_are_counted(pattern: str, line: dict[str, str], counts: bool) -> None:
    words = re.findall(r'\$\.message = "\*([^*]+)\*"', pattern)
    (level,) = re.findall(r'\$\.level = "(\w+)"', pattern)
    assert words
    assert (line["level"] == level and any(word in line["message"] for word in words)) is counts


def test_what_is_lost_to_datadog_is_counted_by_the_line_that_says_so(templates: Templates) -> None:
    """tests/unit/container/test_masking.py has the line; one of what only waits counts nothing."""
    filters = resources(templates["prod"]["Observability"], "AWS::Logs::MetricFilter").values()
    (lost,) = (each for each in filters if each["MetricTransformations"][0]["MetricName"] == "DatadogLost")
    assert lost["MetricTransformations"][0]["MetricValue"] == log_insights.LOST
    assert lost["FilterPattern"] == f"{{ {log_insights.LOST} > 0 }}"


def test_lines_of_spend_that_is_lost_are_counted() -> None:
    words = re.findall(r'\?"([^"]+)"', log_insights.SPEND_DROPPED)
    assert [[word in line for word in words].count(True) for line in SPEND_LINES] == [1, 1]
    # What waits and is written later.
    later = "Spend tracking - failed to commit daily user spend updates. Re-queued 2 rows for retry on next tick."
    assert not any(word in line for word in words for line in (later, *DATABASE_LINES, *CACHE_LINES))


def test_the_access_log_is_read_into_its_columns(templates: Templates) -> None:
    table = only(templates["prod"]["Observability"], "AWS::Glue::Table")["TableInput"]
    columns = [column["Name"] for column in table["StorageDescriptor"]["Columns"]]
    found = re.fullmatch(table["StorageDescriptor"]["SerdeInfo"]["Parameters"]["input.regex"], ACCESS_LINE)
    assert found
    row = dict(zip(columns, found.groups(), strict=True))
    assert row["client"] == "203.0.113.7:51234"
    assert (row["method"], row["protocol"]) == ("POST", "HTTP/2.0")
    assert row["url"] == "https://llm.example.com:443/v1/chat/completions?a=b"
    assert (row["elb_status_code"], row["target_processing_time"]) == ("200", "12.345")
    assert (row["user_agent"], row["domain_name"], row["error_reason"]) == ("OpenAI/Python 2.1", "llm.example.com", "-")
    assert table["Parameters"]["storage.location.template"]["Fn::Join"][1][-1].endswith("/ap-northeast-1/${day}")


def test_a_request_that_nobody_can_read_is_a_line_too() -> None:
    """The load balancer writes "- http://host:80- -" for what is no HTTP."""
    line = re.sub(r'"POST [^"]+"', '"- http://llm.example.com:80- - "', ACCESS_LINE)
    assert re.fullmatch(access_log_table.LINE, line)


@in_every_environment
def test_questions_name_the_table_and_its_columns(templates: Templates, environment: Environment) -> None:
    template = templates[environment.name]["Observability"]
    database = only(template, "AWS::Glue::Database")["DatabaseInput"]["Name"]
    assert database == f"litellm_{environment.name}"
    for question in resources(template, "AWS::Athena::NamedQuery").values():
        assert question["Database"] == database
        assert f"FROM {access_log_table.TABLE} WHERE day >=" in question["QueryString"]
    assert only(template, "AWS::Athena::WorkGroup")["WorkGroupConfiguration"]["EnforceWorkGroupConfiguration"] is True
    assert len(list(access_log_table.columns())) == len(set(access_log_table.columns()))


def test_alarms_are_described_in_three_parts() -> None:
    assert DESCRIPTION.fullmatch(alarms.describe("It is down.", "One.", "Look."))
