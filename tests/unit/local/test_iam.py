"""IAM in the emulated AWS: what the deployed policies say is what happens, and the refusal has AWS's words.

One stack, whose roles may each do one thing. What is refused is a neighbour of what is allowed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from local.aws import REGION, Emulator
from local.iam.decisions import fields
from local.iam.services import task_variables
from local.outside.bedrock import Bedrock
from local.outside.exchange import ApiError, Request
from local.outside.permissions import Permissions
from local.ports import free_ports
from tests.unit.local.test_emulator import OWN, aws, deploy, get_att
from tests.unit.local.test_functions import function, resource, store, table, until

PREFIX = f"arn:aws:ssm:{REGION}:{OWN}:parameter"
PROFILE = f"arn:aws:bedrock:us-east-1:{OWN}:inference-profile/us.anthropic.claude-haiku-5-5"
MODELS = [
    f"arn:aws:bedrock:{region}::foundation-model/anthropic.claude-haiku-5-5"
    for region in ("us-east-1", "us-east-2", "us-west-2")
]
PACKAGE = {
    "probe/__init__.py": "",
    "probe/main.py": """
        import os
        import boto3

        def note(event, context):
            boto3.client("dynamodb").put_item(TableName=os.environ["NOTES"], Item={"id": {"S": event["id"]}})
            return event

        def fail(event, context):
            raise ValueError("this function fails")
    """,
}


def allow(actions: list[str], resources: object, condition: Mapping[str, Any] | None = None) -> dict[str, Any]:
    statement: dict[str, Any] = {"Effect": "Allow", "Action": actions, "Resource": resources}
    return statement | ({"Condition": condition} if condition else {})


def document(*statements: Mapping[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": [*statements]}


def role(*statements: Mapping[str, Any]) -> dict[str, Any]:
    services = [f"{name}.amazonaws.com" for name in ("ecs-tasks", "lambda", "states")]
    trust = allow(["sts:AssumeRole"], "*") | {"Principal": {"AWS": f"arn:aws:iam::{OWN}:root", "Service": services}}
    del trust["Resource"]
    policies = [{"PolicyName": "own", "PolicyDocument": document(*statements)}] if statements else []
    return resource("AWS::IAM::Role", AssumeRolePolicyDocument=document(trust), Policies=policies)


def definition(**roles: object) -> dict[str, Any]:
    container = {"Name": "app", "Image": f"{OWN}.dkr.ecr.{REGION}.amazonaws.com/absent:1"}
    return resource(
        "AWS::ECS::TaskDefinition",
        Family="task",
        Cpu="256",
        Memory="512",
        NetworkMode="awsvpc",
        RequiresCompatibilities=["FARGATE"],
        ContainerDefinitions=[container],
        **roles,
    )


def of(name: str, handler: str = "note") -> dict[str, Any]:
    return function(f"probe.main.{handler}") | {
        "Properties": function(f"probe.main.{handler}")["Properties"] | {"Role": get_att(name, "Arn")}
    }


def encrypting(*statements: Mapping[str, Any]) -> dict[str, Any]:
    owner = allow(["kms:*"], "*") | {"Principal": {"AWS": f"arn:aws:iam::{OWN}:root"}}
    return resource("AWS::KMS::Key", KeyPolicy=document(owner, *statements))


LET_SES = allow(["kms:GenerateDataKey", "kms:Decrypt"], "*") | {"Principal": {"Service": "ses.amazonaws.com"}}
TOPICS = ("Events", "Silent", "Silenced")
CLUSTER = {"ArnEquals": {"ecs:cluster": get_att("Cluster", "Arn")}}
PASSED = {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}
PUBLISH = "kms:GenerateDataKey"
NOTES = allow(["dynamodb:PutItem"], get_att("Notes", "Arn"))
RESOURCES: Mapping[str, Any] = {
    "Notes": table(),
    "Reader": role(allow(["ssm:GetParameter", "ssm:GetParameters"], f"{PREFIX}/t/READ")),
    "Runner": role(
        allow(["ecs:RunTask"], {"Ref": "Task"}, CLUSTER), allow(["iam:PassRole"], get_att("Passed", "Arn"), PASSED)
    ),
    "Passed": role(),
    "NotPassed": role(),
    "Cluster": resource("AWS::ECS::Cluster"),
    "Other": resource("AWS::ECS::Cluster"),
    "Task": definition(TaskRoleArn=get_att("Passed", "Arn")),
    "Speaker": role(allow(["bedrock:InvokeModel"], [PROFILE, *MODELS])),
    "Neighbour": role(allow(["bedrock:InvokeModel"], [PROFILE, *MODELS[:2]])),
    "Identity": resource("AWS::SES::EmailIdentity", EmailIdentity="mail.example.org"),
    "Mailer": resource(
        "AWS::IAM::User",
        Policies=[
            {
                "PolicyName": "own",
                "PolicyDocument": document(
                    allow(
                        ["ses:SendRawEmail"],
                        f"arn:aws:ses:{REGION}:{OWN}:identity/mail.example.org",
                        {"StringEquals": {"ses:FromAddress": "gateway@mail.example.org"}},
                    )
                ),
            }
        ],
    ),
    "Inbox": resource("AWS::SQS::Queue"),
    "Receives": resource(
        "AWS::SQS::QueuePolicy",
        PolicyDocument=document(
            allow(["sqs:SendMessage"], get_att("Inbox", "Arn")) | {"Principal": {"Service": "sns.amazonaws.com"}}
        ),
        Queues=[{"Ref": "Inbox"}],
    ),
    "SesKey": encrypting(LET_SES),
    "OwnKey": encrypting(),
    "Events": resource("AWS::SNS::Topic", KmsMasterKeyId=get_att("SesKey", "Arn")),
    "Silent": resource("AWS::SNS::Topic", KmsMasterKeyId={"Ref": "OwnKey"}),
    "Silenced": resource("AWS::SNS::Topic", KmsMasterKeyId="alias/aws/sns"),
    "Publishes": resource(
        "AWS::SNS::TopicPolicy",
        PolicyDocument=document(
            *(
                allow(["sns:Publish"], {"Ref": topic}) | {"Principal": {"Service": "ses.amazonaws.com"}}
                for topic in TOPICS
            )
        ),
        Topics=[{"Ref": topic} for topic in TOPICS],
    ),
    # what services do
    "Noter": role(NOTES),
    "Let": of("Noter"),
    "NotLet": of("Noter"),
    "Permission": resource(
        "AWS::Lambda::Permission",
        Action="lambda:InvokeFunction",
        FunctionName={"Ref": "Let"},
        Principal="events.amazonaws.com",
        SourceArn=get_att("Rule", "Arn"),
    ),
    "Rule": resource(
        "AWS::Events::Rule",
        EventPattern={"source": ["test"]},
        Targets=[
            {"Id": "let", "Arn": get_att("Let", "Arn"), "Input": '{"id": "let"}'},
            {"Id": "not", "Arn": get_att("NotLet", "Arn"), "Input": '{"id": "not let"}'},
        ],
    ),
    "Caller": role(allow(["lambda:InvokeFunction"], get_att("Let", "Arn"))),
    "Machine": resource(
        "AWS::StepFunctions::StateMachine",
        RoleArn=get_att("Caller", "Arn"),
        Definition={
            "StartAt": "Call",
            "States": {"Call": {"Type": "Task", "Resource": get_att("NotLet", "Arn"), "End": True}},
        },
    ),
}


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    (port,) = free_ports(1)
    emulator = Emulator(port=port, state=tmp_path_factory.mktemp("iam"))
    emulator.start()
    yield emulator
    emulator.stop()


@pytest.fixture(scope="module")
def stack(emulator: Emulator) -> dict[str, str]:
    store(emulator, PACKAGE)
    ssm = aws(emulator, "ssm")
    aws(emulator, "iam").create_service_linked_role(AWSServiceName="ecs.amazonaws.com")
    for name in ("/t/READ", "/t/NOT"):
        ssm.put_parameter(Name=name, Value="secret", Type="SecureString")
    roles = [name for name, one in RESOURCES.items() if one["Type"] == "AWS::IAM::Role"]
    names = ("Notes", "Cluster", "Other", "Task", "Machine", "NotLet", "Mailer", "Inbox", *TOPICS)
    outputs = {name: get_att(name, "Arn") for name in roles} | {name: {"Ref": name} for name in names}
    return deploy(emulator, "iam", RESOURCES, outputs)


Acting = Callable[[str, str], Any]


@pytest.fixture
def acting(emulator: Emulator, stack: Mapping[str, str]) -> Acting:
    """A client of a service with a session of a role."""

    def client(name: str, service: str) -> Any:  # noqa: ANN401 - one client of many kinds
        session = session_of(emulator, stack[name])
        return session.client(  # type: ignore[call-overload]
            service, endpoint_url=emulator.endpoint, config=Config(proxies={})
        )

    return client


def session_of(emulator: Emulator, arn: str) -> boto3.Session:
    given = aws(emulator, "sts").assume_role(RoleArn=arn, RoleSessionName="test")["Credentials"]
    return boto3.Session(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"], REGION)


def refusal(act: Callable[[], object]) -> str:
    with pytest.raises(ClientError) as refused:
        act()
    return str(refused.value)


class TestRole:
    def test_does_what_its_policy_allows_and_nothing_beside(self, acting: Acting) -> None:
        ssm = acting("Reader", "ssm")
        assert ssm.get_parameter(Name="/t/READ", WithDecryption=True)["Parameter"]["Value"] == "secret"
        assert refusal(lambda: ssm.get_parameter(Name="/t/NOT")).endswith(
            f"is not authorized to perform: ssm:GetParameter on resource: {PREFIX}/t/NOT because no identity-based "
            "policy allows the ssm:GetParameter action"
        )
        assert "ssm:PutParameter" in refusal(lambda: ssm.put_parameter(Name="/t/READ", Value="x", Overwrite=True))

    def test_may_for_each_of_several_or_not_at_all(self, acting: Acting) -> None:
        assert f"{PREFIX}/t/NOT" in refusal(lambda: acting("Reader", "ssm").get_parameters(Names=["/t/READ", "/t/NOT"]))

    def test_is_known_by_its_signature(self, emulator: Emulator, stack: Mapping[str, str]) -> None:
        given = session_of(emulator, stack["Reader"]).get_credentials()
        assert given
        frozen = given.get_frozen_credentials()
        forged = boto3.Session(frozen.access_key, "another secret", frozen.token, REGION)
        ssm = forged.client("ssm", endpoint_url=emulator.endpoint, config=Config(proxies={}))
        assert "signature" in refusal(lambda: ssm.get_parameter(Name="/t/READ"))

    def test_runs_a_task_where_it_may_with_roles_that_it_may_pass(
        self, emulator: Emulator, stack: Mapping[str, str], acting: Acting
    ) -> None:
        ecs = acting("Runner", "ecs")
        assert ecs.run_task(cluster=stack["Cluster"], taskDefinition=stack["Task"], launchType="FARGATE")["tasks"]
        assert "ecs:RunTask" in refusal(
            lambda: ecs.run_task(cluster=stack["Other"], taskDefinition=stack["Task"], launchType="FARGATE")
        )
        known = aws(emulator, "ecs").describe_task_definition(taskDefinition=stack["Task"])["taskDefinition"]
        again = {key: known[key] for key in ("family", "cpu", "memory", "networkMode", "containerDefinitions")}
        other = aws(emulator, "ecs").register_task_definition(
            **again, taskRoleArn=stack["NotPassed"], requiresCompatibilities=["FARGATE"]
        )["taskDefinition"]["taskDefinitionArn"]
        assert "ecs:RunTask" in refusal(
            lambda: ecs.run_task(cluster=stack["Cluster"], taskDefinition=other, launchType="FARGATE")
        )
        # A policy that takes any revision still does not hand over any role.
        broad = document(allow(["ecs:RunTask"], "*"))
        aws(emulator, "iam").put_role_policy(
            RoleName=stack["Runner"].rpartition("/")[2], PolicyName="broad", PolicyDocument=json.dumps(broad)
        )
        assert "iam:PassRole" in refusal(
            lambda: ecs.run_task(cluster=stack["Cluster"], taskDefinition=other, launchType="FARGATE")
        )


class TestService:
    def test_becomes_a_role_that_trusts_it(self, emulator: Emulator, stack: Mapping[str, str]) -> None:
        trust = {"Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}, "Action": "sts:AssumeRole"}
        resources = {
            "Notes": table(),
            "Role": resource("AWS::IAM::Role", AssumeRolePolicyDocument=document(trust)),
            "Function": of("Role"),
        }
        with pytest.raises(AssertionError, match="The role defined for the function cannot be assumed by Lambda"):
            deploy(emulator, "no-trust", resources)

    def test_is_let_in_by_the_functions_policy(self, emulator: Emulator, stack: Mapping[str, str]) -> None:
        entry = {"Source": "test", "DetailType": "test", "Detail": "{}"}
        aws(emulator, "events").put_events(Entries=[entry])
        dynamodb = aws(emulator, "dynamodb")

        def noted(what: str) -> bool:
            return "Item" in dynamodb.get_item(TableName=stack["Notes"], Key={"id": {"S": what}})

        assert until(lambda: noted("let"))
        decisions = decided(emulator)
        assert ("events.amazonaws.com", "lambda:InvokeFunction", True) in decisions
        assert until(lambda: ("events.amazonaws.com", "lambda:InvokeFunction", False) in decided(emulator))
        assert not noted("not let")

    def test_publishes_to_an_encrypted_topic_where_the_key_lets_it(
        self, emulator: Emulator, stack: Mapping[str, str]
    ) -> None:
        mails, topics, queues = aws(emulator, "sesv2"), aws(emulator, "sns"), aws(emulator, "sqs")
        queue = queues.get_queue_attributes(QueueUrl=stack["Inbox"], AttributeNames=["QueueArn"])["Attributes"]
        mails.create_configuration_set(ConfigurationSetName="told")
        for name in TOPICS:
            topics.subscribe(TopicArn=stack[name], Protocol="sqs", Endpoint=queue["QueueArn"])
            mails.create_configuration_set_event_destination(
                ConfigurationSetName="told",
                EventDestinationName=name,
                EventDestination={
                    "Enabled": True,
                    "MatchingEventTypes": ["SEND"],
                    "SnsDestination": {"TopicArn": stack[name]},
                },
            )
        mails.send_email(
            FromEmailAddress="gateway@mail.example.org",
            Destination={"ToAddresses": ["success@simulator.amazonses.com"]},
            Content={"Simple": {"Subject": {"Data": "x"}, "Body": {"Text": {"Data": "x"}}}},
            ConfigurationSetName="told",
        )

        def keys(*, allowed: bool) -> list[str]:
            lines = map(json.loads, Path(emulator.decisions).read_text().splitlines())
            return [each["resource"] for each in lines if each["action"] == PUBLISH and each["allowed"] is allowed]

        # One of two that do not let SES in is AWS's own, whose policy nobody can change.
        refused = until(lambda: len(found := keys(allowed=False)) == 2 and found)
        assert [key.rpartition(":")[2] for key in refused][1] == "alias/aws/sns"
        assert len(keys(allowed=True)) == 1
        received = until(lambda: queues.receive_message(QueueUrl=stack["Inbox"], MaxNumberOfMessages=9).get("Messages"))
        assert [json.loads(each["Body"])["TopicArn"] for each in received] == [stack["Events"]]

    def test_acts_with_its_role(self, emulator: Emulator, stack: Mapping[str, str]) -> None:
        states = aws(emulator, "stepfunctions")
        execution = states.start_execution(stateMachineArn=stack["Machine"], input='{"id": "machine"}')["executionArn"]
        ended = until(lambda: (now := states.describe_execution(executionArn=execution))["status"] != "RUNNING" and now)
        assert ended["status"] == "FAILED"
        assert "is not authorized to perform: lambda:InvokeFunction" in ended["cause"]

    def test_of_tasks_needs_an_execution_role_for_an_image_of_the_registry(
        self, emulator: Emulator, stack: Mapping[str, str]
    ) -> None:
        ecs = aws(emulator, "ecs")
        (task,) = ecs.run_task(cluster=stack["Cluster"], taskDefinition=stack["Task"], launchType="FARGATE")["tasks"]

        def stopped() -> dict[str, Any] | None:
            (now,) = ecs.describe_tasks(cluster=stack["Cluster"], tasks=[task["taskArn"]])["tasks"]
            return dict(now) if now["lastStatus"] == "STOPPED" else None

        assert "an execution role is needed" in until(stopped)["stoppedReason"]


class TestSimulatedService:
    @pytest.fixture
    def bedrock(self, emulator: Emulator) -> Bedrock:
        permissions = Permissions()
        permissions.endpoint = emulator.endpoint
        return Bedrock(permissions=permissions)

    @pytest.mark.parametrize(
        ("caller", "refused"), [("Speaker", ""), ("Neighbour", MODELS[2]), ("Reader", PROFILE)], ids=str
    )
    def test_asks_for_the_profile_and_each_region_that_it_leads_to(
        self, emulator: Emulator, stack: Mapping[str, str], bedrock: Bedrock, caller: str, refused: str
    ) -> None:
        request = converse(session_of(emulator, stack[caller]))
        target = bedrock.target(request)
        if not refused:
            assert bedrock.answer(request, target).status == 200
            return
        with pytest.raises(ApiError) as refusal:
            bedrock.answer(request, target)
        assert (refusal.value.status, refusal.value.code) == (403, "AccessDeniedException")
        assert f"bedrock:InvokeModel on resource: {refused}" in refusal.value.message

    def test_of_mail_asks_for_the_sender_of_who_signs_in(self, emulator: Emulator, stack: Mapping[str, str]) -> None:
        permissions = Permissions()
        permissions.endpoint = emulator.endpoint
        key = aws(emulator, "iam").create_access_key(UserName=stack["Mailer"])["AccessKey"]["AccessKeyId"]
        permissions.check_mail(key, REGION, "gateway@mail.example.org")
        with pytest.raises(ApiError, match="ses:SendRawEmail"):
            permissions.check_mail(key, REGION, "somebody@mail.example.org")


def converse(session: boto3.Session) -> Request:
    """The request that the SDK would send."""
    caught: list[Any] = []
    client = session.client("bedrock-runtime", region_name="us-east-1")

    def catch(request: Any, **_: object) -> Any:  # noqa: ANN401 - botocore's own
        caught.append(request)
        raise RuntimeError("caught")

    client.meta.events.register("before-send.bedrock-runtime.Converse", catch)
    with pytest.raises(RuntimeError, match="caught"):
        client.converse(
            modelId="us.anthropic.claude-haiku-5-5", messages=[{"role": "user", "content": [{"text": "hello"}]}]
        )
    (sent,) = caught
    host, _, path = sent.url.removeprefix("https://").partition("/")
    headers = {
        name.lower(): value.decode() if isinstance(value, bytes) else str(value) for name, value in sent.headers.items()
    }
    return Request(host, sent.method, f"/{path}", {}, {"host": host, **headers}, sent.body)


def decided(emulator: Emulator) -> set[tuple[str, str, bool]]:
    lines = Path(emulator.decisions).read_text().splitlines()
    return {(one["principal"], one["action"], one["allowed"]) for one in map(json.loads, lines)}


@pytest.mark.parametrize(
    ("service", "body", "expected"),
    [
        ("ecs", b'{"cluster": "own"}', {"cluster": "own", "asked": "1"}),
        ("sns", b"Action=Publish&TopicArn=own", {"Action": "Publish", "TopicArn": "own", "asked": "1"}),
        ("s3", b'{"cluster": "own"}', {"asked": "1"}),
        ("s3", b"Action=Publish&TopicArn=own", {"asked": "1"}),
    ],
)
def test_what_an_object_contains_is_nothing_that_its_request_says(
    service: str, body: bytes, expected: dict[str, str]
) -> None:
    assert fields(service, body, {"asked": "1"}) == expected


def test_a_task_is_told_where_it_runs_as_ecs_does() -> None:
    """So that config.yaml may refer to os.environ/AWS_REGION, which no task definition has."""
    told = task_variables("arn:aws:ecs:eu-central-1:000000000000:task/litellm/0123456789abcdef")
    assert told["AWS_REGION"] == told["AWS_DEFAULT_REGION"] == "eu-central-1"
    assert told["AWS_EXECUTION_ENV"] == "AWS_ECS_FARGATE"
