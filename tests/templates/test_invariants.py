"""Each invariant is seen to fail: templates of the example company's prod with one thing changed for the worse."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from stacks.company import LOCAL, company
from tests.company.invariants import INVARIANTS, Deployed
from tests.company.order import at_once
from tests.company.synthesis import Templates

ENVIRONMENT = "prod"
Change = Callable[[dict[str, Any]], None]

ANYWHERE: dict[str, Any] = {"CidrIp": "0.0.0.0/0", "IpProtocol": "tcp", "FromPort": 443, "ToPort": 443}
FRIEND = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sqs:SendMessage", "Resource": "*"}


def _at(place: Any, *path: str | int) -> Any:  # noqa: ANN401 - a template is JSON
    for step in path:
        place = place[step]
    return place


def resource(templates: dict[str, Any], kind: str, start: str = "") -> dict[str, Any]:
    """The first resource of a type, `Stack: Type`, whose logical id begins so."""
    stack, _, of = kind.partition(": ")
    found = templates[stack]["Resources"].items()
    return next(it for logical_id, it in found if it["Type"] == of and logical_id.startswith(start))


def put(kind: str, *path: str | int, value: Any, start: str = "") -> Change:  # noqa: ANN401 - a template is JSON
    """Give a property of a resource another value."""

    def change(templates: dict[str, Any]) -> None:
        _at(resource(templates, kind, start)["Properties"], *path[:-1])[path[-1]] = value

    return change


def drop(kind: str, *path: str | int, start: str = "") -> Change:
    """Leave out a property of a resource."""

    def change(templates: dict[str, Any]) -> None:
        del _at(resource(templates, kind, start)["Properties"], *path[:-1])[path[-1]]

    return change


def add(kind: str, *path: str | int, value: Any, start: str = "") -> Change:  # noqa: ANN401 - a template is JSON
    """Put one more into a list of a resource, as often as `value` has it."""

    def change(templates: dict[str, Any]) -> None:
        _at(resource(templates, kind, start)["Properties"], *path).extend(value if isinstance(value, list) else [value])

    return change


def policy(kind: str, value: str, start: str = "") -> Change:
    """Have CloudFormation do something else with a resource that is removed."""

    def change(templates: dict[str, Any]) -> None:
        resource(templates, kind, start).update(DeletionPolicy=value, UpdateReplacePolicy=value)

    return change


def without(kind: str, start: str = "") -> Change:
    """Leave out a resource."""

    def change(templates: dict[str, Any]) -> None:
        stack, it = kind.partition(": ")[0], resource(templates, kind, start)
        found = templates[stack]["Resources"]
        del found[next(logical_id for logical_id, each in found.items() if each is it)]

    return change


def side_by_side(stack: str) -> Change:
    """Have no custom resource wait for another one."""

    def change(templates: dict[str, Any]) -> None:
        found = templates[stack]["Resources"]
        custom = {logical_id for logical_id, each in found.items() if each["Type"].startswith("Custom::")}
        for logical_id in custom:
            found[logical_id]["DependsOn"] = [each for each in found[logical_id]["DependsOn"] if each not in custom]

    return change


def new(stack: str, logical_id: str, kind: str, **properties: Any) -> Change:  # noqa: ANN401 - a template is JSON
    """Have one more resource."""

    def change(templates: dict[str, Any]) -> None:
        templates[stack]["Resources"][logical_id] = {"Type": kind, "Properties": properties}

    return change


def renamed(stack: str, start: str, name: str) -> Change:
    """Give a resource a logical id that begins otherwise."""

    def change(templates: dict[str, Any]) -> None:
        found = templates[stack]["Resources"]
        old = next(logical_id for logical_id in found if logical_id.startswith(start))
        found[old.replace(start, name, 1)] = found.pop(old)

    return change


def export(templates: dict[str, Any]) -> None:
    """The database exports nothing any more."""
    del templates["Database"]["Outputs"]


def circle(templates: dict[str, Any]) -> None:
    """Two resources of the network wait for one another."""
    one, other = list(templates["Network"]["Resources"])[:2]
    templates["Network"]["Resources"][one]["DependsOn"] = [other]
    templates["Network"]["Resources"][other]["DependsOn"] = [one]


def twice(templates: dict[str, Any]) -> None:
    """A value is looked up by two parameters."""
    parameters = templates["Observability"]["Parameters"]
    parameters["More"] = parameters["WatchedGatewayLogs"]


def many_resources(templates: dict[str, Any]) -> None:
    """A stack of 501 resources."""
    templates["Usage"]["Resources"].update({f"More{number}": {"Type": "AWS::Glue::Table"} for number in range(501)})


MANY_RULES = [{**ANYWHERE, "CidrIp": f"203.0.113.{number}/32"} for number in range(61)]
BALANCER = "LoadBalancerGroup"
GROUP, SERVICE, TASK = (
    "Network: AWS::EC2::SecurityGroup",
    "Gateway: AWS::ECS::Service",
    "Gateway: AWS::ECS::TaskDefinition",
)
DOMAIN = ("DomainNameConfigurations", 0, "SecurityPolicy")
TRUST = ("AssumeRolePolicyDocument", "Statement", 0, "Principal")
STATEMENT = ("PolicyDocument", "Statement", 0)
EVENTS = ("PolicyDocument", "Statement", 2)  # of EventBridge, behind TLS and CloudWatch
ACCOUNT = {"aws:SourceAccount": "333333333333"}
OUTPUT = {"StackName": "litellm-prod-gateway", "OutputName": "Logs"}
MUTATIONS: dict[str, tuple[Change, ...]] = {
    "storage_is_encrypted": (
        drop("Database: AWS::RDS::DBCluster", "KmsKeyId"),
        put("Database: AWS::RDS::DBCluster", "StorageEncrypted", value=False),
        drop("Database: AWS::RDS::DBInstance", "PerformanceInsightsKMSKeyId"),
        put("Cache: AWS::ElastiCache::ReplicationGroup", "AtRestEncryptionEnabled", value=False),
        drop("Gateway: AWS::S3::Bucket", "BucketEncryption"),
        put("Onboarding: AWS::SQS::Queue", "SqsManagedSseEnabled", value=False),
        drop("Email: AWS::KMS::Key", "EnableKeyRotation"),
    ),
    "topics_of_personal_data_are_encrypted": (drop("Email: AWS::SNS::Topic", "KmsMasterKeyId"),),
    "the_cache_takes_tls_alone": (
        put("Cache: AWS::ElastiCache::ReplicationGroup", "TransitEncryptionEnabled", value=False),
        put("Cache: AWS::ElastiCache::ReplicationGroup", "TransitEncryptionMode", value="preferred"),
    ),
    "nothing_answers_without_tls": (
        without("Gateway: AWS::S3::BucketPolicy"),
        without("Usage: AWS::SQS::QueuePolicy"),
        put("Email: AWS::SNS::TopicPolicy", *STATEMENT, "Effect", value="Allow"),
        put("Gateway: AWS::ElasticLoadBalancingV2::Listener", "Protocol", value="HTTP", start="EdgeLoadBalancerHttps"),
        put("Gateway: AWS::ElasticLoadBalancingV2::Listener", "SslPolicy", value="ELBSecurityPolicy-2016-08"),
        put(
            "Onboarding: AWS::ApiGatewayV2::DomainName",
            "DomainNameConfigurations",
            0,
            "SecurityPolicy",
            value="TLS_1_0",
        ),
        put("Email: AWS::SES::ConfigurationSet", "DeliveryOptions", "TlsPolicy", value="OPTIONAL"),
        drop("Database: AWS::RDS::DBClusterParameterGroup", "Parameters", "rds.force_ssl"),
    ),
    "nothing_is_public": (
        put("Gateway: AWS::S3::Bucket", "PublicAccessBlockConfiguration", "BlockPublicAcls", value=False),
        drop("Database: AWS::RDS::DBInstance", "PubliclyAccessible"),
        put(
            SERVICE,
            "NetworkConfiguration",
            "AwsvpcConfiguration",
            "AssignPublicIp",
            value="ENABLED",
        ),
        put("Network: AWS::EC2::Subnet", "MapPublicIpOnLaunch", value=True),
    ),
    "only_named_ranges_come_in": (
        add(GROUP, "SecurityGroupIngress", value=ANYWHERE, start=BALANCER),
        put(
            GROUP,
            "SecurityGroupIngress",
            0,
            "ToPort",
            value=9000,
            start=BALANCER,
        ),
        put(
            GROUP,
            "SecurityGroupIngress",
            0,
            "CidrIpv6",
            value="::/0",
            start="LoadBalancer",
        ),
        put(GROUP, "SecurityGroupIngress", value=[ANYWHERE], start="DatabaseGroup"),
        put("Network: AWS::EC2::SecurityGroupIngress", "IpProtocol", value="-1"),
    ),
    "only_known_ways_lead_out": (
        put(
            GROUP,
            "SecurityGroupEgress",
            0,
            "IpProtocol",
            value="-1",
            start="FunctionsGroup",
        ),
        put(GROUP, "SecurityGroupEgress", 0, "FromPort", value=22, start="FunctionsGroup"),
        put("Network: AWS::EC2::SecurityGroupEgress", "ToPort", value=65535),
        put("Network: AWS::EC2::SecurityGroupEgress", "DestinationSecurityGroupId", value="sg-0123456789abcdef0"),
    ),
    "what_is_called_is_let_out": (
        put(GROUP, "SecurityGroupEgress", 0, "FromPort", value=8443, start="GatewayGroup"),
        put(GROUP, "SecurityGroupEgress", 1, "FromPort", value=25, start="GatewayGroup"),
    ),
    "administration_is_for_management_ranges": (
        put("Gateway: AWS::WAFv2::IPSet", "Addresses", value=["203.0.113.0/24"]),
        without("Gateway: AWS::WAFv2::WebACLAssociation"),
        put("Gateway: AWS::WAFv2::WebACL", "Rules", 2, "Action", value={"Count": {}}),
    ),
    "no_action_is_a_wildcard": (
        put("Usage: AWS::IAM::Policy", *STATEMENT, "Action", value="ssm:*"),
        put("Usage: AWS::IAM::Policy", *STATEMENT, "NotAction", value="iam:PassRole"),
    ),
    "no_resource_is_a_wildcard": (
        put("Usage: AWS::IAM::Policy", *STATEMENT, "Resource", value="*"),
        put("Usage: AWS::IAM::Policy", *STATEMENT, "Resource", value=["arn:aws:ssm:ap-northeast-1:1:parameter/*"]),
    ),
    "mails_are_from_the_gateway": (
        put("Gateway: AWS::IAM::Policy", *STATEMENT, "Condition", value={}, start="SmtpCredentialsUserDefaultPolicy"),
        put("Onboarding: AWS::IAM::Policy", *STATEMENT, "Action", value="ses:SendBulkEmail"),
    ),
    "nobody_else_is_trusted": (
        put("Gateway: AWS::IAM::Role", *TRUST, value={"AWS": "1" * 12}),
        add("Onboarding: AWS::SQS::QueuePolicy", "PolicyDocument", "Statement", value=FRIEND),
        drop("Onboarding: AWS::Lambda::Permission", "SourceArn"),
        put("Smoke: AWS::Lambda::Permission", "Principal", value="999999999999"),
    ),
    "tasks_call_the_listed_models_only": (
        add(
            "Gateway: AWS::IAM::Policy",
            *(*STATEMENT, "Resource"),
            value="arn:aws:bedrock:us-west-2::foundation-model/anthropic.claude-9",
            start="TaskTaskRole",
        ),
        put("Usage: AWS::IAM::Policy", *STATEMENT, "Action", value=["bedrock:InvokeModel"]),
        put("Gateway: AWS::IAM::Policy", *STATEMENT, "Action", value=["sts:AssumeRole"], start="TaskTaskRole"),
    ),
    "no_secret_is_in_a_template": (
        put("Usage: AWS::Lambda::Function", "Description", value="xoxb-0123456789-abcdef"),
        put("Gateway: AWS::SSM::Parameter", "Value", value="https://hooks.slack.com/services/T0/B0/abc"),
        put("Gateway: AWS::SSM::Parameter", "Value", value="postgres://litellm:hunter2@db/litellm"),
        put("Gateway: AWS::SSM::Parameter", "Value", value="sk-0123456789abcdefghij"),
    ),
    "secrets_are_references": (
        add(
            TASK,
            *("ContainerDefinitions", 0, "Environment"),
            value={"Name": "AZURE_API_KEY", "Value": "0123"},
        ),
        drop(TASK, "ContainerDefinitions", 0, "Secrets", 0),
        put(TASK, "ContainerDefinitions", 0, "Secrets", 0, "ValueFrom", value="arn:other"),
        put("Usage: AWS::Lambda::Function", "Environment", "Variables", "SLACK_BOT_TOKEN", value="xyz", start="Report"),
        put("Database: AWS::RDS::DBCluster", "MasterUserPassword", value="hunter2"),
        put("Cache: AWS::ElastiCache::ReplicationGroup", "AuthToken", value="hunter2"),
        drop("Cache: AWS::ElastiCache::ReplicationGroup", "AuthToken"),
    ),
    "names_are_of_the_environment": (
        put("Smoke: AWS::Lambda::Function", "FunctionName", value="litellm-smoke", start="Test"),
        put("Smoke: AWS::Lambda::Function", "FunctionName", value=f"litellm-prod-{'smoke' * 12}", start="Test"),
        put("Observability: AWS::Glue::Database", "DatabaseName", value="litellm-prod"),
        put("Cache: AWS::ElastiCache::ReplicationGroup", "ReplicationGroupId", value="litellm"),
        put("Usage: AWS::SQS::Queue", "QueueName", value="litellm-prod-undelivered"),
    ),
    "no_logical_id_names_the_environment": (renamed("Usage", "Undelivered", "prodUndelivered"),),
    "no_other_environment_is_named": (
        put("Usage: AWS::Lambda::Function", "Description", value="of 111111111111"),
        put("Usage: AWS::Lambda::Function", "Description", value="asks https://llm.dev.example.com/v1"),
        put("Usage: AWS::Lambda::Function", "Description", value="reads /litellm/stg/USAGE_KEY"),
    ),
    "templates_are_within_limits": (
        many_resources,
        lambda templates: templates["Usage"].update(Description="x" * 1025),
        lambda templates: templates["Usage"]["Resources"].update({"With_": {"Type": "AWS::Glue::Table"}}),
        lambda templates: templates["Usage"].update(Metadata="x" * 1_000_000),
    ),
    "templates_are_ascii": (put("Usage: AWS::SQS::Queue", "Description", value="使用量"),),
    "functions_are_within_limits": (
        put("Usage: AWS::Lambda::Function", "Environment", "Variables", "REPORT", value="x" * 4096, start="Report"),
        put("Usage: AWS::Lambda::Function", "Description", value="x" * 257),
        put("Usage: AWS::Lambda::Function", "Timeout", value=901),
    ),
    "few_functions_run_while_a_stack_is_deployed": (side_by_side("Datadog"),),
    "policies_are_within_limits": (
        put("Usage: AWS::IAM::Policy", *STATEMENT, "Resource", value=[f"{'x' * 100}{n}" for n in range(101)]),
        put("Observability: AWS::IAM::ManagedPolicy", *STATEMENT, "Action", value=["cloudwatch:GetMetricData"] * 300),
        put("Usage: AWS::IAM::Role", "ManagedPolicyArns", value=["arn"] * 11),
        put("Usage: AWS::IAM::Role", "AssumeRolePolicyDocument", "Statement", 0, "Sid", value="x" * 2048),
        put("Usage: AWS::SQS::QueuePolicy", *STATEMENT, "Sid", value="x" * 8192),
    ),
    "network_rules_are_within_limits": (
        put(GROUP, "SecurityGroupIngress", value=MANY_RULES, start=BALANCER),
        put(GROUP, "GroupDescription", value="Who's in?"),
        put("Network: AWS::EC2::SecurityGroupEgress", "Description", value="x" * 256),
    ),
    "web_acl_is_within_limits": (
        new("Gateway", "More", "AWS::WAFv2::RegexPatternSet", RegularExpressionList=["^/x$"]),
        put("Gateway: AWS::WAFv2::RegexPatternSet", "RegularExpressionList", value=["^/x$"] * 11),
        put("Gateway: AWS::WAFv2::RegexPatternSet", "RegularExpressionList", value=["x" * 201]),
        put(
            "Gateway: AWS::WAFv2::WebACL",
            *("Rules", 0, "Statement", "RegexMatchStatement", "RegexString"),
            value="x" * 201,
        ),
        put("Gateway: AWS::WAFv2::IPSet", "Addresses", value=[]),
    ),
    "texts_are_within_limits": (
        put("Gateway: AWS::SSM::Parameter", "Value", value="x" * 4097),
        put("Observability: AWS::CloudWatch::Alarm", "AlarmDescription", value="x" * 1025),
        put("Gateway: AWS::CertificateManager::Certificate", "DomainName", value="x" * 65),
        put(TASK, "Family", value="x" * 65_537),
        put("Gateway: AWS::ElasticLoadBalancingV2::ListenerRule", "Conditions", 0, "Values", value=["x" * 129]),
    ),
    "tasks_fit_fargate": (
        put(TASK, "Memory", value="1024"),
        put(TASK, "ContainerDefinitions", 0, "ReadonlyRootFilesystem", value=False),
        put(TASK, "ContainerDefinitions", 0, "User", value="0:65532"),
        put("Gateway: AWS::ApplicationAutoScaling::ScalableTarget", "MaxCapacity", value=99),
        put(SERVICE, "EnableExecuteCommand", value=True),
    ),
    "subnets_fit": (
        without("Network: AWS::EC2::Subnet"),
        put("Network: AWS::EC2::Subnet", "CidrBlock", value="10.30.0.0/16"),
        put("Network: AWS::EC2::Subnet", "CidrBlock", value="192.168.0.0/24"),
    ),
    "every_log_ends": (
        drop("Gateway: AWS::Logs::LogGroup", "RetentionInDays"),
        drop("Usage: AWS::Lambda::Function", "LoggingConfig"),
        drop("Gateway: AWS::S3::Bucket", "LifecycleConfiguration"),
        put("Usage: AWS::SQS::Queue", "MessageRetentionPeriod", value=60),
    ),
    "what_holds_data_is_kept": (
        policy("Database: AWS::RDS::DBCluster", "Delete"),
        put("Database: AWS::RDS::DBCluster", "DeletionProtection", value=False),
        put("Database: AWS::RDS::DBCluster", "BackupRetentionPeriod", value=1),
        policy("Database: AWS::KMS::Key", "Delete"),
        policy("Gateway: AWS::S3::Bucket", "Delete"),
        policy("Gateway: AWS::Logs::LogGroup", "Delete", start="Logs"),
        put("Gateway: AWS::ElasticLoadBalancingV2::LoadBalancer", "LoadBalancerAttributes", 0, "Value", value="false"),
        lambda templates: resource(templates, "Database: AWS::KMS::Key").update(UpdateReplacePolicy="Delete"),
    ),
    "references_lead_somewhere": (
        without("Usage: AWS::SQS::Queue"),
        export,
        put("Observability: AWS::CloudWatch::Alarm", "AlarmActions", value=[{"Ref": "Nothing"}]),
        circle,
        without("Gateway: AWS::SSM::Parameter", start="Watched"),
    ),
    "values_are_looked_up_once": (
        put("Observability: AWS::Logs::MetricFilter", "LogGroupName", value={"Fn::GetStackOutput": OUTPUT}),
        twice,
    ),
    "events_are_told": (
        put("Observability: AWS::SNS::TopicPolicy", *EVENTS, "Condition", value={"StringEquals": ACCOUNT}),
        put("Observability: AWS::SNS::TopicPolicy", *EVENTS, "Resource", value="arn:aws:sns:ap-northeast-1:1:other"),
        put("Observability: AWS::Events::Rule", "Targets", 0, "RoleArn", value="arn:aws:iam::1:role/other"),
        without("Observability: AWS::CloudWatch::Alarm", start="TaskStoppedUntold"),
    ),
    "failures_are_kept": (
        drop("Onboarding: AWS::SQS::Queue", "RedrivePolicy", start="Requests"),
        drop("Usage: AWS::Scheduler::Schedule", "Target", "DeadLetterConfig"),
        drop("Onboarding: AWS::SNS::Subscription", "RedrivePolicy"),
        drop("Usage: AWS::Lambda::EventInvokeConfig", "DestinationConfig"),
    ),
    "alarms_are_heard": (
        put("Observability: AWS::CloudWatch::Alarm", "AlarmActions", value=[]),
        drop("Observability: AWS::CloudWatch::Alarm", "TreatMissingData"),
        without("Observability: AWS::SNS::Subscription"),
    ),
    "every_function_is_watched": (
        new("Usage", "More", "AWS::Lambda::Function"),
        new("Gateway", "More", "AWS::StepFunctions::StateMachine"),
    ),
    "times_are_in_order": (
        put("Gateway: AWS::ElasticLoadBalancingV2::LoadBalancer", "LoadBalancerAttributes", 1, "Value", value="60"),
        put("Gateway: AWS::ElasticLoadBalancingV2::LoadBalancer", "LoadBalancerAttributes", 1, "Value", value="700"),
        put(TASK, "ContainerDefinitions", 0, "Environment", value=[], start="Task"),
        put("Gateway: AWS::ElasticLoadBalancingV2::TargetGroup", "TargetGroupAttributes", 0, "Value", value="30"),
        put("Gateway: AWS::ElasticLoadBalancingV2::TargetGroup", "HealthCheckTimeoutSeconds", value=15),
        put("Onboarding: AWS::SQS::Queue", "VisibilityTimeout", value=120, start="Requests"),
    ),
    "everything_has_the_tags": (
        put("Usage: AWS::SQS::Queue", "Tags", value=[]),
        new("Usage", "More", "AWS::SNS::Topic"),
        put(
            "Usage: AWS::SQS::Queue",
            "Tags",
            value=[
                *({"Key": f"k{number}", "Value": ""} for number in range(50)),
                {"Key": "service", "Value": "litellm-gateway"},
                {"Key": "environment", "Value": "prod"},
            ],
        ),
    ),
}


@pytest.fixture(scope="module")
def deployed(templates: Templates) -> Deployed:
    own = company()
    environment = own.environments[ENVIRONMENT]
    return Deployed(
        environment=environment,
        config=environment.litellm_config(own.config),
        templates=templates[ENVIRONMENT],
        others={name: each for name, each in own.all.items() if name != ENVIRONMENT},
        releases=own.releases,
        local=templates[LOCAL],
    )


def test_every_invariant_is_seen_to_fail() -> None:
    assert set(MUTATIONS) == set(INVARIANTS)


@pytest.mark.parametrize(
    ("name", "number"), [(name, number) for name, changes in MUTATIONS.items() for number in range(len(changes))]
)
def test_it_speaks(deployed: Deployed, name: str, number: int) -> None:
    rule = INVARIANTS[name]
    assert list(rule(deployed)) == []
    templates = copy.deepcopy(dict(deployed.templates))
    MUTATIONS[name][number](templates)
    changed = Deployed(**{**vars(deployed), "templates": templates})
    assert list(rule(changed))


@pytest.mark.parametrize(
    ("weights", "waits", "most"),
    [
        ({"a": 1, "b": 1, "c": 1}, {}, 3),
        ({"a": 1, "b": 1, "c": 1}, {"b": {"a"}, "c": {"b"}}, 1),
        ({"a": 1, "b": 1}, {"b": {"between"}, "between": {"a"}}, 1),
        ({"a": 2, "b": 2, "c": 1}, {"c": {"a", "b"}}, 4),
        ({"a": 1, "b": 1, "c": 2, "d": 1}, {"c": {"a"}, "d": {"b"}}, 3),
        ({}, {"a": {"b"}}, 0),
    ],
)
def test_what_is_worked_on_at_once(weights: dict[str, int], waits: dict[str, set[str]], most: int) -> None:
    assert at_once(weights, waits) == most
