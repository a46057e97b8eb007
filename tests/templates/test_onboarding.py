"""The onboarding stack: what Slack can reach, the queues, the functions' settings and what each may do."""

import json
import re
from functools import cache
from typing import Any

import aws_cdk as cdk
import pytest

from stacks.company import config_file, environments
from stacks.environment_stage import EnvironmentStage
from stacks.onboarding import LITELLM_ROUTES
from stacks.settings import Environment, SettingsError
from tests.templates.conftest import CHECKOUT, STACKS, WITHOUT_BUNDLING, Template, only, resources, statements
from tests.templates.synthesis import plain, resolved, text

ENVIRONMENTS = environments()
# Module, timeout in seconds, in the VPC or not, the parameters that it reads, and its memory in MB: 1,769 are one vCPU.
FUNCTIONS: dict[str, tuple[int, bool, set[str], int]] = {
    "Receiver": (10, False, {"SLACK_SIGNING_SECRET", "SLACK_BOT_TOKEN"}, 1769),
    "Worker": (120, True, {"SLACK_BOT_TOKEN", "ONBOARDING_KEY"}, 512),
    "Sweep": (900, True, {"SLACK_BOT_TOKEN", "ONBOARDING_KEY"}, 512),
    "Bounces": (30, False, {"SLACK_BOT_TOKEN"}, 512),
}
ITEMS = {f"dynamodb:{action}Item" for action in ("Get", "Put", "Update", "Delete")}
Templates = dict[str, dict[str, Template]]
in_every_environment = pytest.mark.parametrize("environment", ENVIRONMENTS.values(), ids=ENVIRONMENTS)
of_each_function = pytest.mark.parametrize("function", FUNCTIONS)


def _by_name(template: Template, kind: str) -> dict[str, Any]:
    return {plain(logical_id): properties for logical_id, properties in resources(template, kind).items()}


def _list(value: Any) -> list[Any]:  # noqa: ANN401 - a template is JSON
    return value if isinstance(value, list) else [value]


def _grants(stacks: dict[str, Template], role: str) -> dict[str, set[str]]:
    """The actions that a role may call, each with the ends of its resources."""
    grants: dict[str, set[str]] = {}
    for policy, statement in statements(stacks["Onboarding"]):
        if re.sub("DefaultPolicy$", "", plain(policy)) == role:
            for action in _list(statement["Action"]):
                found = (text(resolved(stacks, each)) for each in _list(statement["Resource"]))
                grants.setdefault(action, set()).update(re.sub(r"^arn:aws:ssm:.*/", "", each) for each in found)
    return grants


# The way in


@in_every_environment
def test_slack_reaches_one_route_under_one_name(templates: Templates, environment: Environment) -> None:
    template = templates[environment.name]["Onboarding"]
    route = only(template, "AWS::ApiGatewayV2::Route")
    assert route["RouteKey"] == "POST /slack/events"
    api = only(template, "AWS::ApiGatewayV2::Api")
    assert api["DisableExecuteApiEndpoint"] is True
    assert api["ProtocolType"] == "HTTP"
    assert text(only(template, "AWS::ApiGatewayV2::Integration")["IntegrationUri"]) == "<Receiver.Arn>"
    domain = only(template, "AWS::ApiGatewayV2::DomainName")
    assert domain["DomainName"] == environment.slack_domain
    (configuration,) = domain["DomainNameConfigurations"]
    assert configuration["SecurityPolicy"] == "TLS_1_2"
    certificate = only(template, "AWS::CertificateManager::Certificate")
    assert (certificate["DomainName"], certificate["ValidationMethod"]) == (environment.slack_domain, "DNS")
    assert only(template, "AWS::ApiGatewayV2::ApiMapping")["Stage"] == "$default"
    alias = only(template, "AWS::Route53::RecordSet")
    assert (alias["Name"], alias["Type"]) == (f"{environment.slack_domain}.", "A")
    assert alias["HostedZoneId"] == environment.hosted_zone.id


@in_every_environment
def test_requests_are_limited_and_logged_without_their_content(templates: Templates, environment: Environment) -> None:
    template = templates[environment.name]["Onboarding"]
    stage = only(template, "AWS::ApiGatewayV2::Stage")
    limits = stage["DefaultRouteSettings"]
    assert limits["ThrottlingRateLimit"] > 30_000 / 3600  # the most that Slack sends
    assert limits["ThrottlingBurstLimit"] >= limits["ThrottlingRateLimit"]
    log = stage["AccessLogSettings"]
    assert text(log["DestinationArn"]).endswith(":log-group:<AccessLogs>")
    logged = set(json.loads(log["Format"]).values())
    assert not [field for field in logged if re.search("path|query|header|body|authorizer|identity.user", field)]


# The queues


def _sleeps(environment: Environment) -> bool:
    return environment.sleep is not None and environment.sleep.awake is not None


def _attempts(environment: Environment) -> int:
    """test_sleep.py says why an environment that sleeps has more of them."""
    return 258 if _sleeps(environment) else 10


@in_every_environment
def test_queues(templates: Templates, environment: Environment) -> None:
    queues = _by_name(templates[environment.name]["Onboarding"], "AWS::SQS::Queue")
    assert {name: queue.get("FifoQueue", False) for name, queue in queues.items()} == {
        "Requests": True,
        "DeadLetters": True,  # of a FIFO queue, which takes no other
        "Undelivered": False,  # of SNS and the scheduler, which take no FIFO queue
    }
    for queue in queues.values():
        assert queue["SqsManagedSseEnabled"] is True
        assert queue["MessageRetentionPeriod"] == 14 * 24 * 3600
        assert "ContentBasedDeduplication" not in queue
    assert queues["Requests"]["VisibilityTimeout"] >= 6 * FUNCTIONS["Worker"][0]
    redrive = queues["Requests"]["RedrivePolicy"]
    assert (text(redrive["deadLetterTargetArn"]), redrive["maxReceiveCount"]) == (
        "<DeadLetters.Arn>",
        _attempts(environment),
    )


@in_every_environment
def test_queues_refuse_what_is_not_encrypted(templates: Templates, environment: Environment) -> None:
    template = templates[environment.name]["Onboarding"]
    refused = {
        plain(name)
        for name, properties in resources(template, "AWS::SQS::QueuePolicy").items()
        for statement in properties["PolicyDocument"]["Statement"]
        if statement["Effect"] == "Deny" and statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    }
    assert refused == {"RequestsPolicy", "DeadLettersPolicy", "UndeliveredPolicy"}


@in_every_environment
def test_worker_takes_one_request_at_a_time(templates: Templates, environment: Environment) -> None:
    mapping = only(templates[environment.name]["Onboarding"], "AWS::Lambda::EventSourceMapping")
    assert (text(mapping["EventSourceArn"]), text(mapping["FunctionName"])) == ("<Requests.Arn>", "<Worker>")
    assert mapping["BatchSize"] == 1
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert mapping["ScalingConfig"] == {"MaximumConcurrency": 2}


# The functions


@in_every_environment
@of_each_function
def test_function(templates: Templates, environment: Environment, function: str) -> None:
    stacks = templates[environment.name]
    properties = _by_name(stacks["Onboarding"], "AWS::Lambda::Function")[function]
    timeout, in_vpc, _, memory = FUNCTIONS[function]
    assert properties["Handler"] == f"onboarding.{function.lower()}.handler"
    assert (properties["Runtime"], properties["Architectures"]) == ("python3.13", ["arm64"])
    assert (properties["Timeout"], properties["MemorySize"]) == (timeout, memory)
    assert properties["LoggingConfig"]["LogFormat"] == "JSON"
    assert text(properties["LoggingConfig"]["LogGroup"]) == f"<{function}Logs>"
    assert "ReservedConcurrentExecutions" not in properties  # a new account has none to reserve
    assert ("VpcConfig" in properties) is in_vpc
    if in_vpc:
        network = resolved(stacks, properties["VpcConfig"])
        assert list(map(text, network["SecurityGroupIds"])) == ["<FunctionsGroup.GroupId>"]
        zones = range(1, len(environment.network.zones) + 1)
        assert list(map(text, network["SubnetIds"])) == [f"<VpcPrivateSubnet{zone}Subnet>" for zone in zones]
    log_group = _by_name(stacks["Onboarding"], "AWS::Logs::LogGroup")[f"{function}Logs"]
    assert log_group["RetentionInDays"] == environment.log_retention_days


@in_every_environment
@of_each_function
def test_variables(templates: Templates, environment: Environment, function: str) -> None:
    stacks = templates[environment.name]
    properties = _by_name(stacks["Onboarding"], "AWS::Lambda::Function")[function]
    variables = {name: text(value) for name, value in resolved(stacks, properties["Environment"]["Variables"]).items()}
    assert environment.onboarding
    common = {
        "POWERTOOLS_SERVICE_NAME": "onboarding",
        "POWERTOOLS_LOG_LEVEL": "INFO",
        "PARAMETER_PREFIX": f"/litellm/{environment.name}",
        "ONBOARDING": environment.onboarding.model_dump_json(),
    }
    litellm = {
        "LITELLM_URL": f"http://gateway.{environment.name}.litellm.internal:4000",
        "GATEWAY_URL": f"https://{environment.domain}",
        "TABLE_NAME": "<Done>",
    }
    mail = {
        "QUEUE_URL": "<Requests>",
        "MAX_ATTEMPTS": str(_attempts(environment)),
        "MAIL_SENDER": environment.mail_sender,
        "MAIL_REPLY_TO": environment.email.reply_to or "",
        "MAIL_CONFIGURATION_SET": "<ConfigurationSet>",
    }
    own = {"Receiver": {"QUEUE_URL": "<Requests>"}, "Worker": litellm | mail, "Sweep": litellm, "Bounces": {}}
    assert variables == common | own[function]
    assert sum(len(name) + len(value) for name, value in variables.items()) < 4096  # all that Lambda takes


@in_every_environment
@of_each_function
def test_function_reads_its_secrets_only(templates: Templates, environment: Environment, function: str) -> None:
    grants = _grants(templates[environment.name], f"{function}ServiceRole")
    assert grants["ssm:GetParameter"] == FUNCTIONS[function][2]
    assert not [action for action in grants if action.startswith(("ssm:", "kms:")) and action != "ssm:GetParameter"]


@in_every_environment
@of_each_function
def test_function_may_do_nothing_else(templates: Templates, environment: Environment, function: str) -> None:
    stacks = templates[environment.name]
    grants = {
        action: arns for action, arns in _grants(stacks, f"{function}ServiceRole").items() if action[:4] != "ssm:"
    }
    ses = f"arn:aws:ses:{environment.region}:{environment.account}:"
    undelivered = {
        f"sqs:{action}": {"<Undelivered.Arn>"} for action in ("SendMessage", "GetQueueAttributes", "GetQueueUrl")
    }
    consuming = ("ReceiveMessage", "ChangeMessageVisibility", "GetQueueUrl", "DeleteMessage", "GetQueueAttributes")
    done = {action: {"<Done.Arn>"} for action in ITEMS}
    # The sender's identity, and SES's sandbox asks for the recipient's.
    sending = {"ses:SendEmail": {f"{ses}identity/*", f"{ses}configuration-set/<ConfigurationSet>"}}
    expected = {
        "Receiver": {"sqs:SendMessage": {"<Requests.Arn>"}},
        "Worker": done | sending | {f"sqs:{action}": {"<Requests.Arn>"} for action in consuming},
        "Sweep": done | undelivered,
        "Bounces": undelivered,
    }
    assert grants == expected[function]


@in_every_environment
def test_worker_sends_as_the_sender_only(templates: Templates, environment: Environment) -> None:
    (condition,) = (
        statement["Condition"]
        for _, statement in statements(templates[environment.name]["Onboarding"])
        if statement["Action"] == "ses:SendEmail"
    )
    assert condition == {"StringEquals": {"ses:FromAddress": environment.mail_sender}}


@in_every_environment
def test_sweep_runs_daily(templates: Templates, environment: Environment) -> None:
    stacks = templates[environment.name]
    schedule = only(stacks["Onboarding"], "AWS::Scheduler::Schedule")
    daily = r"cron\(\d+ \d+ \? \* MON,TUE,WED,THU,FRI \*\)" if _sleeps(environment) else r"cron\(\d+ \d+ \* \* \? \*\)"
    assert re.fullmatch(daily, schedule["ScheduleExpression"])
    target = schedule["Target"]
    assert (text(target["Arn"]), text(target["RoleArn"])) == ("<Sweep.Arn>", "<ScheduleRole.Arn>")
    assert target["RetryPolicy"]["MaximumRetryAttempts"] > 0
    assert text(target["DeadLetterConfig"]["Arn"]) == "<Undelivered.Arn>"
    assert _grants(stacks, "ScheduleRole") == {
        "lambda:InvokeFunction": {"<Sweep.Arn>"},
        "sqs:SendMessage": {"<Undelivered.Arn>"},
    }


@in_every_environment
def test_bounces_hears_the_events_of_mails(templates: Templates, environment: Environment) -> None:
    stacks = templates[environment.name]
    template = stacks["Onboarding"]
    subscription = resolved(stacks, only(template, "AWS::SNS::Subscription"))
    assert (subscription["Protocol"], text(subscription["Endpoint"])) == ("lambda", "<Bounces.Arn>")
    assert text(subscription["RedrivePolicy"]["deadLetterTargetArn"]) == "<Undelivered.Arn>"
    permission = resolved(stacks, _by_name(template, "AWS::Lambda::Permission")["BouncesMailEvents"])
    assert (permission["Principal"], permission["SourceArn"]) == ("sns.amazonaws.com", subscription["TopicArn"])


@in_every_environment
def test_what_asynchronous_functions_fail_at_is_kept(templates: Templates, environment: Environment) -> None:
    kept = resources(templates[environment.name]["Onboarding"], "AWS::Lambda::EventInvokeConfig").values()
    assert {
        text(each["FunctionName"]): text(each["DestinationConfig"]["OnFailure"]["Destination"]) for each in kept
    } == {"<Sweep>": "<Undelivered.Arn>", "<Bounces>": "<Undelivered.Arn>"}


@in_every_environment
def test_table(templates: Templates, environment: Environment) -> None:
    table = only(templates[environment.name]["Onboarding"], "AWS::DynamoDB::Table")
    assert table["KeySchema"] == [{"AttributeName": "id", "KeyType": "HASH"}]
    assert table["TimeToLiveSpecification"] == {"AttributeName": "expiration", "Enabled": True}
    assert table["BillingMode"] == "PAY_PER_REQUEST"


# The key


@in_every_environment
def test_key_is_made_on_the_private_path(templates: Templates, environment: Environment) -> None:
    stacks = templates[environment.name]
    template = stacks["Onboarding"]
    key = only(template, "Custom::LiteLlmKey")
    assert (key["Label"], key["AllowedRoutes"]) == ("1", list(LITELLM_ROUTES))
    make = resolved(stacks, _by_name(template, "AWS::Lambda::Function")["LiteLlmKeyMake"])
    assert list(map(text, make["VpcConfig"]["SecurityGroupIds"])) == ["<FunctionsGroup.GroupId>"]
    assert make["Environment"]["Variables"] == {
        "PARAMETER_PREFIX": f"/litellm/{environment.name}",
        "LITELLM_URL": f"http://gateway.{environment.name}.litellm.internal:4000",
        "KEY": "ONBOARDING_KEY",
        "KEY_OF": "the onboarding functions",
        "USER_ID": "onboarding-service",
        "USER_ROLE": "proxy_admin",
    }
    assert _grants(stacks, "LiteLlmKeyMakeServiceRole") == {
        "ssm:GetParameter": {"LITELLM_MASTER_KEY"},
        "ssm:PutParameter": {"ONBOARDING_KEY"},
        "ssm:GetParameterHistory": {"ONBOARDING_KEY"},
        "ssm:DeleteParameter": {"ONBOARDING_KEY"},
    }


@in_every_environment
def test_only_the_key_is_made_with_the_master_key(templates: Templates, environment: Environment) -> None:
    """And LiteLLM's tasks get it; no other role of the environment may read it."""
    readers = {
        plain(policy)
        for template in templates[environment.name].values()
        for policy, statement in statements(template)
        if "LITELLM_MASTER_KEY" in json.dumps(statement)
    }
    assert {re.sub("DefaultPolicy$", "", name) for name in readers} == {
        "LiteLlmKeyMakeServiceRole",
        "TaskExecutionRole",
        "MigrationTaskExecutionRole",
    }


@in_every_environment
@pytest.mark.parametrize("function", ["Worker", "Sweep"])
def test_key_is_there_before_who_uses_it(templates: Templates, environment: Environment, function: str) -> None:
    template = templates[environment.name]["Onboarding"]
    (user,) = (
        resource
        for name, resource in template["Resources"].items()
        if resource["Type"] == "AWS::Lambda::Function" and plain(name) == function
    )
    assert "LiteLlmKey" in user["DependsOn"]


# By setting


@cache
def _without_onboarding() -> dict[str, Template]:
    environment = Environment(**dict(ENVIRONMENTS["dev"]) | {"onboarding": None})
    app = cdk.App(context=json.loads((CHECKOUT / "cdk.json").read_text())["context"] | WITHOUT_BUNDLING)
    EnvironmentStage(app, environment=environment, config_file=config_file())
    return {
        stack.hierarchical_id.rsplit("/", 1)[-1]: stack.template
        for stack in app.synth().get_nested_assembly(f"assembly-{environment.name}").stacks
    }


def test_without_onboarding() -> None:
    stacks = _without_onboarding()
    assert set(stacks) == set(STACKS) - {"Onboarding"}
    assert "-onboarding" not in json.dumps(stacks["Observability"])  # which watches what there is


def test_settings_that_no_function_can_take() -> None:
    dev = ENVIRONMENTS["dev"]
    assert dev.onboarding
    teams = tuple(f"a-team-with-a-rather-long-name-{number}" for number in range(100))
    onboarding = dev.onboarding.model_copy(update={"teams": teams})
    environment = Environment(**dict(dev) | {"onboarding": onboarding})
    with pytest.raises(
        SettingsError, match=r"^dev: onboarding is \d+ bytes as JSON, and a function takes 3072 .*shorten"
    ):
        EnvironmentStage(cdk.App(context=WITHOUT_BUNDLING), environment=environment, config_file=config_file())
