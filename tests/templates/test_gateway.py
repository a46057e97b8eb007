"""The gateway stack: tasks, their roles and secrets, the migration before the service, scaling, parameters."""

import importlib
import json
import operator
import re
import sys
from collections.abc import Iterator
from functools import reduce
from types import ModuleType
from typing import Any
from unittest import mock

import pytest

from stacks.company import config_file, environments
from stacks.gateway.stack import CONTAINER, START_SECONDS
from stacks.litellm_config import SECRET_SUFFIXES, LiteLlmConfig, image_version
from stacks.settings import Environment
from tests.templates.conftest import Template, only, resources, statements
from tests.templates.synthesis import plain, resolved, text, variant
from tests.unit.handlers import load_handler

ENVIRONMENTS = environments()
TASKS = ("Task", "MigrationTask")
SERVICE_COMMAND = ["litellm", "--config", "config.yaml"]
# What gives a secret away, whoever issued it: OpenAI and LiteLLM, AWS, Slack, PEM, Google, a password in a URL.
SECRET_VALUE = re.compile(
    r"\bsk-\w{8,}|\b(AKIA|ASIA)[0-9A-Z]{16}|\bxox[a-z]-|-----BEGIN|hooks\.slack\.com/|private_key|://[^/\s:@\"]+:[^/\s@\"]+@"
)
# Everything that is granted on more than named resources, and why that is the least.
SLEEPS = {
    ("SleepFunctionServiceRole", "application-autoscaling:RegisterScalableTarget", "scalable-target/*"),
    *(("SleepFunctionServiceRole", f"elasticloadbalancing:Describe{what}", "*") for what in ("Rules", "TargetHealth")),
    ("SleepProviderframeworkonEventServiceRole", "lambda:InvokeFunction", "<SleepFunction.Arn>:*"),
}
WILDCARDS = {
    ("TaskExecutionRole", "ecr:GetAuthorizationToken", "*"),  # knows no resources
    ("MigrationTaskExecutionRole", "ecr:GetAuthorizationToken", "*"),
    ("MigrationWatchServiceRole", "ecs:DescribeTasks", "task/<Cluster>/*"),  # a task's id is known once it runs
    ("MigrationWatchServiceRole", "ecs:StopTask", "task/<Cluster>/*"),  # with a condition, below
    ("MigrationStartServiceRole", "ecs:TagResource", "task/<Cluster>/*"),  # with a condition, below
    ("BillServiceRole", "ce:GetCostAndUsage", "*"),  # knows no resources
    # SES's sandbox asks for the recipient's identity; a condition says whom a mail may be from.
    ("SmtpCredentialsUser", "ses:SendRawEmail", "identity/*"),
    ("WorkerServiceRole", "ses:SendEmail", "identity/*"),
    ("SmtpCredentialsProviderframeworkonEventServiceRole", "lambda:InvokeFunction", "<SmtpCredentialsMake.Arn>:*"),
    ("ProviderframeworkonEventServiceRole", "lambda:InvokeFunction", "<Manage.Arn>:*"),  # Datadog's
} | {  # the CDK's provider framework may call any version of its own functions
    (f"{resource}Provider{caller}Role", "lambda:InvokeFunction", f"<{resource}{function}.Arn>:*")
    for resource, own in {"Migration": ("Start", "Watch"), "LiteLlmKey": ("Name", "Make")}.items()
    for caller, functions in {
        "frameworkonEventService": own,
        "frameworkisCompleteService": own,
        "frameworkonTimeoutService": own,
        "waiterstatemachine": ("ProviderframeworkisComplete", "ProviderframeworkonTimeout"),
    }.items()
    for function in functions
}
# Only reads what are no resources, so that the channel of alarms can show a chart.
LOOKS = {
    ("SlackMayLook", f"cloudwatch:{action}", "*")
    for action in ("DescribeAlarms", "GetMetricData", "GetMetricWidgetImage")
}


def copies(environment: Environment) -> set[tuple[str, str, str]]:
    """What AWS Backup may do on more than named resources: its snapshots have names of its own."""
    if not environment.database.copies:
        return set()
    role, here, there = "CopiesRole", environment.region, environment.database.copies.region

    def snapshots(region: str) -> str:
        return f"arn:aws:rds:{region}:{environment.account}:cluster-snapshot:awsbackup:*"

    both = ("AddTagsToResource", "CopyDBClusterSnapshot", "DeleteDBClusterSnapshot", "ListTagsForResource")
    return {
        *((role, f"rds:{action}", snapshots(region)) for region in (here, there) for action in both),
        (role, "rds:CreateDBClusterSnapshot", snapshots(here)),
        # Of a key there, whose id is not known here.
        *(
            (role, f"kms:{do}", f"arn:aws:kms:{there}:{environment.account}:key/*")
            for do in ("CreateGrant", "DescribeKey")
        ),
        # What only reads.
        *((role, f"rds:Describe{what}", "*") for what in ("DBClusterSnapshots", "DBClusters")),
        (role, "tag:GetResources", "*"),
    }


Templates = dict[str, dict[str, Template]]
in_every_environment = pytest.mark.parametrize("environment", ENVIRONMENTS.values(), ids=ENVIRONMENTS)
of_each_task = pytest.mark.parametrize("task", TASKS)


@pytest.fixture
def capacity(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """container/capacity.py, without the LiteLLM that it asks (tests/unit/container/ has it with one)."""
    middleware = ("admission_control_middleware", "in_flight_requests_middleware")
    for name in ("litellm", "litellm.proxy", *(f"litellm.proxy.middleware.{each}" for each in middleware)):
        monkeypatch.setitem(sys.modules, name, mock.MagicMock())
    monkeypatch.syspath_prepend(CONTAINER)
    monkeypatch.delitem(sys.modules, "capacity", raising=False)
    return importlib.import_module("capacity")


def _config(environment: Environment) -> LiteLlmConfig:
    return environment.litellm_config(config_file())


def _by_name(template: Template, kind: str) -> dict[str, Any]:
    return {plain(logical_id): properties for logical_id, properties in resources(template, kind).items()}


def _task(template: Template, task: str) -> Any:  # noqa: ANN401 - a template is JSON
    return _by_name(template, "AWS::ECS::TaskDefinition")[task]


def _container(template: Template, task: str) -> Any:  # noqa: ANN401 - a template is JSON
    (container,) = _task(template, task)["ContainerDefinitions"]
    return container


def _variables(template: Template, task: str) -> dict[str, Any]:
    return {item["Name"]: item["Value"] for item in _container(template, task)["Environment"]}


def _list(value: Any) -> list[Any]:  # noqa: ANN401 - a template is JSON
    return value if isinstance(value, list) else [value]


def _grants(template: Template) -> Iterator[tuple[str, str, str, Any]]:
    """Every grant: role, action, resource, conditions."""
    for policy, statement in statements(template):
        role = re.sub("(DefaultPolicy)?$", "", plain(policy), count=1)
        for action in _list(statement["Action"]):
            for resource in _list(statement["Resource"]):
                yield role, action, text(resource), statement.get("Condition")


# The service


@in_every_environment
def test_service(templates: Templates, environment: Environment) -> None:
    service = only(templates[environment.name]["Gateway"], "AWS::ECS::Service")
    deployment = service["DeploymentConfiguration"]
    assert deployment["DeploymentCircuitBreaker"] == {"Enable": True, "Rollback": True}
    assert (deployment["MinimumHealthyPercent"], deployment["MaximumPercent"]) == (100, 200)
    provider = "FARGATE_SPOT" if environment.gateway.spot else "FARGATE"
    assert service["CapacityProviderStrategy"] == [{"CapacityProvider": provider, "Weight": 1}]
    assert "LaunchType" not in service
    assert "DesiredCount" not in service  # a deployment would undo what scaling has set
    assert service["HealthCheckGracePeriodSeconds"] >= 2 * START_SECONDS
    assert service["EnableExecuteCommand"] is False
    assert text(service["TaskDefinition"]) == "<Task>"


@in_every_environment
def test_service_runs_in_the_private_subnets(templates: Templates, environment: Environment) -> None:
    stacks = templates[environment.name]
    network = resolved(stacks, only(stacks["Gateway"], "AWS::ECS::Service")["NetworkConfiguration"])[
        "AwsvpcConfiguration"
    ]
    zones = range(1, len(environment.network.zones) + 1)
    assert list(map(text, network["Subnets"])) == [f"<VpcPrivateSubnet{zone}Subnet>" for zone in zones]
    assert list(map(text, network["SecurityGroups"])) == ["<GatewayGroup.GroupId>"]
    assert network["AssignPublicIp"] == "DISABLED"


@in_every_environment
def test_capacity_providers_are_there_before_what_runs_on_them(templates: Templates, environment: Environment) -> None:
    template = templates[environment.name]["Gateway"]
    ((association, properties),) = resources(template, "AWS::ECS::ClusterCapacityProviderAssociations").items()
    assert properties["CapacityProviders"] == ["FARGATE", "FARGATE_SPOT"]
    for kind in ("AWS::ECS::Service", "Custom::DatabaseMigration"):
        (user,) = (resource for resource in template["Resources"].values() if resource["Type"] == kind)
        assert association in user.get("DependsOn", ()), kind


def test_spot_by_setting() -> None:
    service = only(variant()["Gateway"], "AWS::ECS::Service")
    assert service["CapacityProviderStrategy"] == [{"CapacityProvider": "FARGATE_SPOT", "Weight": 1}]


@in_every_environment
def test_scaling(templates: Templates, environment: Environment) -> None:
    template = templates[environment.name]["Gateway"]
    target = only(template, "AWS::ApplicationAutoScaling::ScalableTarget")
    assert (target["MinCapacity"], target["MaxCapacity"]) == (
        environment.gateway.min_tasks,
        environment.gateway.max_tasks,
    )
    policies = [
        policy["TargetTrackingScalingPolicyConfiguration"]
        for policy in resources(template, "AWS::ApplicationAutoScaling::ScalingPolicy").values()
    ]
    assert [
        (policy["PredefinedMetricSpecification"]["PredefinedMetricType"], policy["TargetValue"])
        for policy in policies
        if "PredefinedMetricSpecification" in policy
    ] == [("ECSServiceAverageCPUUtilization", 60)]
    (followed,) = (
        (policy["CustomizedMetricSpecification"], policy["TargetValue"])
        for policy in policies
        if "CustomizedMetricSpecification" in policy
    )
    assert followed == (
        {"Namespace": f"LiteLlmGateway/{environment.name}", "MetricName": "InFlight", "Statistic": "Average"},
        environment.gateway.max_in_flight_requests * 0.6,
    )


@in_every_environment
def test_tasks_say_what_the_service_is_scaled_by(
    templates: Templates, environment: Environment, capacity: ModuleType
) -> None:
    """Each worker prints a line, of which the metric filters make what scaling and the alarm read."""
    template = templates[environment.name]["Gateway"]
    variables = _variables(template, "Task")
    module, _, function = variables["LITELLM_WORKER_STARTUP_HOOKS"].partition(",")[0].partition(":")
    assert module == capacity.__name__
    assert callable(getattr(capacity, function))
    assert variables["MAX_IN_FLIGHT_REQUESTS"] == str(environment.gateway.max_in_flight_requests)
    filters = [properties for _, properties in resources(template, "AWS::Logs::MetricFilter").items()]
    found = {}
    for each in filters:
        (transformation,) = each["MetricTransformations"]
        assert text(each["LogGroupName"]) == "<Logs>"
        assert transformation["MetricNamespace"] == f"LiteLlmGateway/{environment.name}"
        found[transformation["MetricName"]] = each["FilterPattern"], transformation["MetricValue"]
    line = json.loads(capacity.line([3, 4], 2))
    for name, value, holds in (("InFlight", 3.5, ">= 0"), ("Refused", 2, "> 0")):
        pattern, path = found.pop(name)
        assert pattern == f"{{ {path} {holds} }}"
        _, *words = path.split(".")
        assert reduce(operator.getitem, words, line) == value
    assert not found


# The tasks


@in_every_environment
@of_each_task
def test_task(templates: Templates, environment: Environment, task: str) -> None:
    definition = _task(templates[environment.name]["Gateway"], task)
    assert definition["RuntimePlatform"] == {"CpuArchitecture": "ARM64", "OperatingSystemFamily": "LINUX"}
    assert definition["RequiresCompatibilities"] == ["FARGATE"]
    assert definition["NetworkMode"] == "awsvpc"
    assert (definition["Cpu"], definition["Memory"]) == (str(environment.gateway.cpu), str(environment.gateway.memory))
    assert [set(volume) for volume in definition["Volumes"]] == [{"Name"}, {"Name"}]  # empty, and gone with the task


@in_every_environment
@of_each_task
def test_container(templates: Templates, environment: Environment, task: str) -> None:
    container = _container(templates[environment.name]["Gateway"], task)
    assert container["ReadonlyRootFilesystem"] is True
    mounts = {(mount["ContainerPath"], mount["ReadOnly"]) for mount in container["MountPoints"]}
    assert mounts == {("/var/lib/litellm", False), ("/tmp", False)}  # noqa: S108 - the container's
    assert container["LinuxParameters"]["InitProcessEnabled"] is True
    assert container["StopTimeout"] == 120
    assert container.get("Privileged", False) is False
    assert "User" not in container  # the image's own, which is not root
    assert [mapping["ContainerPort"] for mapping in container["PortMappings"]] == [4000]
    health = container["HealthCheck"]
    assert "/health/liveliness" in health["Command"][-1]
    assert health["StartPeriod"] >= 2 * START_SECONDS
    log = container["LogConfiguration"]
    assert (log["LogDriver"], text(log["Options"]["awslogs-group"])) == ("awslogs", "<Logs>")


@in_every_environment
def test_logs_are_kept_as_long_as_the_settings_say(templates: Templates, environment: Environment) -> None:
    log_group = _by_name(templates[environment.name]["Gateway"], "AWS::Logs::LogGroup")["Logs"]
    assert log_group["RetentionInDays"] == environment.log_retention_days


@in_every_environment
@of_each_task
def test_secrets_are_references(templates: Templates, environment: Environment, task: str) -> None:
    found = {
        item["Name"]: text(item["ValueFrom"])
        for item in _container(templates[environment.name]["Gateway"], task)["Secrets"]
    }
    assert found == {name: _parameter_arn(environment, name) for name in _config(environment).secrets}


CACHE_VARIABLES = {
    *("REDIS_HOST", "REDIS_PORT", "REDIS_SSL"),
    *("REDIS_SOCKET_CONNECT_TIMEOUT", "REDIS_CIRCUIT_BREAKER_RECOVERY_TIMEOUT"),
}


@in_every_environment
@of_each_task
def test_plain_variables(templates: Templates, environment: Environment, task: str) -> None:
    stacks = templates[environment.name]
    variables = resolved(stacks, _variables(stacks["Gateway"], task))
    config = _config(environment)
    assert not [name for name in variables if name in config.secrets or name.endswith(SECRET_SUFFIXES)]
    expected = {name: environment.plain_variables[name] for name in config.variables} | {
        "AWS_REGION": environment.region,
        "PORT": "4000",
        "NUM_WORKERS": str(environment.gateway.workers),
        "TIMEOUT_WORKER_HEALTHCHECK": "135",
        "LITELLM_MODE": "PRODUCTION",
        "LITELLM_LOG": "ERROR",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "AIOHTTP_SO_KEEPALIVE": "True",
        "PROXY_BASE_URL": f"https://{environment.domain}",
        "DATABASE_PORT": "5432",
        "DATABASE_NAME": "litellm",
        "DATABASE_USERNAME": "litellm",
        "HOME": "/var/lib/litellm",
        "SMTP_CREDENTIALS_LABEL": environment.email.smtp_key,  # another key starts new tasks, which then read it
        "DISABLE_SCHEMA_UPDATE": {"Task": "true", "MigrationTask": "false"}[task],
    }
    assert expected.items() <= variables.items()
    # What people ask for a larger budget with, if there is such a command.
    assert variables.get("BUDGET_COMMAND") == (environment.onboarding.command if environment.onboarding else None)
    assert text(variables["DATABASE_HOST"]) == "<Cluster.Endpoint.Address>"
    # Nothing of a Redis where there is no cache: LiteLLM would look for it.
    shared = {name: value for name, value in variables.items() if name.startswith("REDIS_")}
    assert shared.keys() == (CACHE_VARIABLES if environment.cache else set())
    if environment.cache:
        assert text(shared.pop("REDIS_HOST")) == "<Group.PrimaryEndPoint.Address>"
        assert (shared["REDIS_PORT"], shared["REDIS_SSL"]) == ("6379", "True")


@in_every_environment
def test_no_template_holds_a_secret(templates: Templates, environment: Environment) -> None:
    for template in templates[environment.name].values():
        assert not SECRET_VALUE.search(json.dumps(template))


@pytest.mark.parametrize(
    "value", ["sk-0123456789abcdef", "AKIAIOSFODNN7EXAMPLE", "-----BEGIN PRIVATE KEY-----", "postgresql://u:p@host/db"]
)
def test_a_secret_would_be_found(value: str) -> None:
    assert SECRET_VALUE.search(json.dumps({"Value": value}))


# The roles


@in_every_environment
def test_each_task_has_two_roles_of_its_own(templates: Templates, environment: Environment) -> None:
    template = templates[environment.name]["Gateway"]
    roles = [text(_task(template, task)[kind]) for task in TASKS for kind in ("TaskRoleArn", "ExecutionRoleArn")]
    assert roles == [f"<{task}{kind}.Arn>" for task in TASKS for kind in ("TaskRole", "ExecutionRole")]


@in_every_environment
def test_service_may_call_the_listed_models_and_nothing_else(templates: Templates, environment: Environment) -> None:
    grants = [grant for grant in _grants(templates[environment.name]["Gateway"]) if grant[0] == "TaskTaskRole"]
    statements = _config(environment).permissions(partition="aws", account=environment.account)
    assert {(action, arn) for _, action, arn, _ in grants} == {
        (action, arn) for actions, arns in statements for action in actions for arn in arns
    }
    assert {action for _, action, _, _ in grants} == {
        "bedrock:InvokeModel",
        "bedrock:InvokeModelWithResponseStream",
        "bedrock:CountTokens",
        "bedrock-mantle:CountTokens",
    }


@in_every_environment
def test_migration_may_do_nothing(templates: Templates, environment: Environment) -> None:
    template = templates[environment.name]["Gateway"]
    assert not [grant for grant in _grants(template) if grant[0] == "MigrationTaskTaskRole"]
    assert "ManagedPolicyArns" not in _by_name(template, "AWS::IAM::Role")["MigrationTaskTaskRole"]


@in_every_environment
@of_each_task
def test_execution_role(templates: Templates, environment: Environment, task: str) -> None:
    """What ECS needs to start a task: this image, this log, these secrets."""
    grants = [grant for grant in _grants(templates[environment.name]["Gateway"]) if grant[0] == f"{task}ExecutionRole"]
    by_service: dict[str, set[str]] = {}
    for _, action, resource, _ in grants:
        by_service.setdefault(action.split(":")[0], set()).add(resource)
    repository = f"cdk-hnb659fds-container-assets-{environment.account}-{environment.region}"
    assert by_service == {
        "ecr": {"*", f"arn:aws:ecr:{environment.region}:{environment.account}:repository/{repository}"},
        "logs": {"<Logs.Arn>"},
        "ssm": {_parameter_arn(environment, name) for name in _config(environment).secrets},
    }
    writing = re.compile(r":(Put|Delete|Create|Update)")
    assert {action for _, action, _, _ in grants if writing.search(action)} == {
        "logs:CreateLogStream",
        "logs:PutLogEvents",
    }


@in_every_environment
def test_wildcards(templates: Templates, environment: Environment) -> None:
    own = re.compile(rf"arn:aws:(ecs|ses|application-autoscaling):{environment.region}:{environment.account}:")
    wild = {
        (role, action, own.sub("", resource))
        for template in templates[environment.name].values()
        for role, action, resource, _ in _grants(template)
        if "*" in action + resource
    }
    assert wild == WILDCARDS | copies(environment) | (LOOKS if environment.alarms.channel else set()) | (
        SLEEPS if environment.sleep else set()
    )


@in_every_environment
def test_who_starts_tasks_gets_the_secrets_values_and_not_those_before(
    templates: Templates, environment: Environment
) -> None:
    grants = {
        (role, action)
        for role, action, _, _ in _grants(templates[environment.name]["Gateway"])
        if role.endswith("ExecutionRole") and action.startswith("ssm:")
    }
    assert grants == {(role, "ssm:GetParameters") for role in ("MigrationTaskExecutionRole", "TaskExecutionRole")}


@in_every_environment
def test_managed_policies(templates: Templates, environment: Environment) -> None:
    """Only AWS's policies for writing a function's log and, for those in the VPC, for its network interfaces."""
    for template in templates[environment.name].values():
        for logical_id, role in resources(template, "AWS::IAM::Role").items():
            if logical_id.startswith("SlackRole"):
                assert list(map(plain, map(text, role["ManagedPolicyArns"]))) == ["<SlackMayLook>"]
                continue
            in_vpc = plain(logical_id) in {
                f"{function}ServiceRole" for function in ("Worker", "Sweep", "LiteLlmKeyMake", "Report", "Bill", "Test")
            }
            for arn in map(text, role.get("ManagedPolicyArns", ())):
                name = arn.rpartition(":iam::aws:policy/service-role/")[2]
                assert name == "AWSLambdaBasicExecutionRole" or (in_vpc and name == "AWSLambdaVPCAccessExecutionRole")
                assert role["AssumeRolePolicyDocument"]["Statement"][0]["Principal"] == {
                    "Service": "lambda.amazonaws.com"
                }


# The migration


@in_every_environment
def test_migration_runs_before_the_service_changes(templates: Templates, environment: Environment) -> None:
    stacks = templates[environment.name]
    template = stacks["Gateway"]
    ((migration, properties),) = resources(template, "Custom::DatabaseMigration").items()
    (service,) = (item for item in template["Resources"].values() if item["Type"] == "AWS::ECS::Service")
    assert migration in service["DependsOn"]
    properties = resolved(stacks, properties)
    assert text(properties["Cluster"]) == "<Cluster.Arn>"
    assert text(properties["TaskDefinition"]) == "<MigrationTask>"  # by revision: a change of the task runs it again
    assert list(map(text, properties["SecurityGroups"])) == ["<GatewayGroup.GroupId>"]
    assert all(text(subnet).startswith("<VpcPrivateSubnet") for subnet in properties["Subnets"])
    assert (text(properties["LogGroup"]), properties["LogStreamPrefix"]) == ("<Logs>", "litellm/litellm")


@in_every_environment
def test_migration_may_start_when_it_does(templates: Templates, environment: Environment) -> None:
    """Without its execution role's policy the one task that runs could get neither its image nor its secrets."""
    template = templates[environment.name]["Gateway"]
    (migration,) = (item for item in template["Resources"].values() if item["Type"] == "Custom::DatabaseMigration")
    assert "MigrationTaskExecutionRoleDefaultPolicy" in map(plain, migration.get("DependsOn", ()))


@in_every_environment
def test_migration_is_the_service_with_another_command(templates: Templates, environment: Environment) -> None:
    service, migration = (_container(templates[environment.name]["Gateway"], task) for task in TASKS)
    assert service["Command"] == SERVICE_COMMAND
    assert migration["Command"] == [*SERVICE_COMMAND, "--skip_server_startup"]
    differing = {name for name in service.keys() | migration.keys() if service.get(name) != migration.get(name)}
    assert "Image" not in differing
    assert "Secrets" not in differing


@in_every_environment
def test_migration_functions_may_run_that_task_only(templates: Templates, environment: Environment) -> None:
    grants = list(_grants(templates[environment.name]["Gateway"]))
    in_cluster = {"ArnEquals": {"ecs:cluster": "<Cluster.Arn>"}}
    to_tasks = {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}
    tasks = f"arn:aws:ecs:{environment.region}:{environment.account}:task/<Cluster>/*"
    assert [
        (
            action,
            resource,
            {kind: {key: text(value) for key, value in test.items()} for kind, test in (when or {}).items()},
        )
        for role, action, resource, when in grants
        if role == "MigrationStartServiceRole"
    ] == [
        ("ecs:RunTask", "<MigrationTask>", in_cluster),
        ("iam:PassRole", "<MigrationTaskExecutionRole.Arn>", to_tasks),
        ("iam:PassRole", "<MigrationTaskTaskRole.Arn>", to_tasks),
        ("cloudformation:DescribeStacks", "<AWS::StackId>", {}),
        ("ecs:TagResource", tasks, {"StringEquals": {"ecs:CreateAction": "RunTask"}}),
    ]


@in_every_environment
def test_migration_functions_may_stop_the_migration_only(templates: Templates, environment: Environment) -> None:
    template = templates[environment.name]["Gateway"]
    watching = [grant[1:] for grant in _grants(template) if grant[0] == "MigrationWatchServiceRole"]
    tasks = f"arn:aws:ecs:{environment.region}:{environment.account}:task/<Cluster>/*"
    name, value = load_handler("migration").TAG
    assert watching == [
        ("ecs:DescribeTasks", tasks, None),
        ("ecs:StopTask", tasks, {"StringEquals": {f"aws:ResourceTag/{name}": value}}),
    ]


# Mails, and the private path


@in_every_environment
@pytest.mark.parametrize("kind", ["AWS::ECS::Service", "Custom::DatabaseMigration"])
def test_smtp_credentials_are_there_before_a_task_starts(
    templates: Templates, environment: Environment, kind: str
) -> None:
    template = templates[environment.name]["Gateway"]
    ((credentials, _),) = resources(template, "Custom::SmtpCredentials").items()
    (user,) = (resource for resource in template["Resources"].values() if resource["Type"] == kind)
    assert credentials in user["DependsOn"]


@in_every_environment
def test_private_name(templates: Templates, environment: Environment) -> None:
    stacks = templates[environment.name]
    template = stacks["Gateway"]
    namespace = only(template, "AWS::ServiceDiscovery::PrivateDnsNamespace")
    assert namespace["Name"] == f"{environment.name}.litellm.internal"
    assert text(resolved(stacks, namespace["Vpc"])) == "<Vpc>"
    name = only(template, "AWS::ServiceDiscovery::Service")
    assert name["Name"] == "gateway"
    assert name["DnsConfig"]["DnsRecords"] == [{"TTL": 10, "Type": "A"}]
    assert text(name["DnsConfig"]["NamespaceId"]) == "<Namespace.Id>"
    (registry,) = only(template, "AWS::ECS::Service")["ServiceRegistries"]
    assert text(registry["RegistryArn"]) == "<ServiceCloudmapService.Arn>"


# What other systems read


@in_every_environment
def test_parameters(templates: Templates, environment: Environment) -> None:
    parameters = resources(templates[environment.name]["Gateway"], "AWS::SSM::Parameter").values()
    assert {parameter["Type"] for parameter in parameters} == {"String"}
    written = {parameter["Name"]: text(parameter["Value"]) for parameter in parameters}
    watched = f"/litellm/{environment.name}/watched/"  # is for the Observability stack alone
    assert {name: value for name, value in written.items() if not name.startswith(watched)} == {
        f"/litellm/{environment.name}/base-url": f"https://{environment.domain}",
        f"/litellm/{environment.name}/cluster": "<Cluster>",
        f"/litellm/{environment.name}/service": "<Service.Name>",
        f"/litellm/{environment.name}/litellm-version": image_version(CONTAINER / "Dockerfile"),
    }


def _parameter_arn(environment: Environment, name: str) -> str:
    return f"arn:aws:ssm:{environment.region}:{environment.account}:parameter/litellm/{environment.name}/{name}"
