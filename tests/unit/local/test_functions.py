"""What the functions of a stack meet in the emulated AWS: their package and environment, and what calls them.

One stack of functions that note in a table what they were called with; the tests are about what AWS does, as the
emulator has it (`local/functions.py`, `local/mail.py`).
"""

from __future__ import annotations

import base64
import io
import json
import re
import textwrap
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import Envelope
from botocore.exceptions import ClientError

from local.aws import Emulator, Settings
from local.functions import LARGEST_BODY_BYTES, with_differences, without_installed
from local.ports import free_ports
from stacks.constructs.python_function import LAMBDA
from tests.unit.local.test_emulator import OTHER, OWN, aws, deploy, get_att

PATIENCE = 240.0  # seconds until something that was set going must have happened
# A package as it is deployed: a folder of its own, and what it depends on beside it.
PACKAGE = {
    "probe/__init__.py": "",
    "iniconfig.py": "BUNDLED = True",  # of this name there is another where the tests run
    # Two that are installed beside it, of which one is compiled for another Python on another processor.
    "pillow-13.0.0.dist-info/WHEEL": "Root-Is-Purelib: false\nTag: cp313-cp313-manylinux_2_28_aarch64",
    "pillow-13.0.0.dist-info/RECORD": """\
        PIL/__init__.py,,
        PIL/_imaging.so,,
        pillow-13.0.0.dist-info/WHEEL,,
        pillow-13.0.0.dist-info/RECORD,,
    """,
    "PIL/__init__.py": "raise ImportError('of another processor')",
    "PIL/_imaging.so": "of another processor",
    "iniconfig-2.0.0.dist-info/WHEEL": "Root-Is-Purelib: true\nTag: py3-none-any",
    "iniconfig-2.0.0.dist-info/RECORD": "iniconfig.py,,",
    "probe/notes.py": """
        import os, time
        import boto3
        table = boto3.resource("dynamodb").Table(os.environ["NOTES"])

        def note(*said):
            table.update_item(
                Key={"id": "notes"},
                UpdateExpression="SET said = list_append(if_not_exists(said, :none), :more)",
                ExpressionAttributeValues={":none": [], ":more": [" ".join(map(str, said))]},
            )

        def await_note(said):
            end = time.monotonic() + 120
            while time.monotonic() < end:
                item = table.get_item(Key={"id": "notes"}, ConsistentRead=True).get("Item", {})
                if said in item.get("said", []):
                    return
                time.sleep(0.05)
            raise TimeoutError(said)
    """,
    "probe/main.py": """
        import json, os, urllib.request
        from probe.notes import await_note, note

        def environment(event, context):
            import iniconfig
            print("asked about", event["names"])
            return {name: os.environ.get(name) for name in event["names"]} | {"bundled": hasattr(iniconfig, "BUNDLED")}

        def draw(event, context):
            from importlib.metadata import version
            from PIL import Image
            return {"version": version("pillow"), "pixel": Image.new("RGB", (1, 1), "red").getpixel((0, 0))}

        def fail(event, context):
            raise ValueError("this function fails")

        def answer(event, context):
            return {"statusCode": 201, "headers": {"X-Probe": "yes"}, "body": json.dumps(event)}

        def work(event, context):
            import boto3
            [record] = event["Records"]
            job, attempt = json.loads(record["body"]), record["attributes"]["ApproximateReceiveCount"]
            if job.get("notes_handle"):
                note("handle", record["receiptHandle"])
            note(job["id"], attempt)
            if job.get("meets"):
                await_note(f"{job['meets']} 1")
            if int(attempt) > job.get("fails", 0):
                return {"batchItemFailures": []}
            if "later" in job:
                boto3.client("sqs").change_message_visibility(
                    QueueUrl=os.environ["QUEUE"], ReceiptHandle=record["receiptHandle"], VisibilityTimeout=job["later"])
            return {"batchItemFailures": [{"itemIdentifier": record["messageId"]}]}

        def notified(event, context):
            for record in event["Records"]:
                told = json.loads(record["Sns"]["Message"])
                note(told["eventType"], *told["mail"]["destination"], *told["mail"]["tags"]["ses:configuration-set"])

        def scheduled(event, context):
            note("scheduled", json.dumps(event))

        def resource(event, context):
            kind, physical_id = event["RequestType"], event.get("PhysicalResourceId", "-")
            note("resource", kind, physical_id)
            if kind != "Delete":
                physical_id = event["ResourceProperties"]["Name"]
            answer = {name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId")}
            body = json.dumps(answer | {"Status": "SUCCESS", "PhysicalResourceId": physical_id, "Data": {}}).encode()
            urllib.request.urlopen(urllib.request.Request(event["ResponseURL"], body, method="PUT"), timeout=10)
    """,
    "probe/once.py": """
        import os
        from aws_lambda_powertools.utilities.idempotency import (
            DynamoDBPersistenceLayer, IdempotencyConfig, idempotent_function)
        from probe.notes import note
        store = DynamoDBPersistenceLayer(table_name=os.environ["ONCE"])

        @idempotent_function(data_keyword_argument="job", persistence_store=store, config=IdempotencyConfig())
        def do(*, job):
            note("once", job["id"])
            return {"done": job["id"]}

        def handler(event, context):
            return do(job=event)
    """,
}


@dataclass
class Relay:
    """The SMTP server that mails are handed to."""

    mails: list[tuple[Envelope, EmailMessage]] = field(default_factory=list)

    async def handle_DATA(self, server: object, session: object, envelope: Envelope) -> str:  # noqa: N802
        assert isinstance(envelope.content, bytes)
        self.mails.append((envelope, BytesParser(EmailMessage, policy=default).parsebytes(envelope.content)))
        return "250 OK"


@pytest.fixture(scope="module")
def relay() -> Iterator[tuple[Relay, int]]:
    [port] = free_ports(1)
    relay = Relay()
    controller = Controller(relay, hostname="127.0.0.1", port=port)
    controller.start()
    yield relay, port
    controller.stop()


@pytest.fixture(scope="module")
def emulator(
    tmp_path_factory: pytest.TempPathFactory, relay: tuple[Relay, int], monkeypatch_module: pytest.MonkeyPatch
) -> Iterator[Emulator]:
    folder = tmp_path_factory.mktemp("emulator")
    [api] = free_ports(1)
    monkeypatch_module.setenv("https_proxy", "http://of.the.developer")
    functions = {
        "LITELLM_URL": "http://127.0.0.1:1",
        "UNKNOWN_URL": "http://127.0.0.1:2",
        "HTTPS_PROXY": "http://127.0.0.1:3",
        "NO_PROXY": "127.0.0.1",
    }
    settings = Settings(functions=functions, smtp_port=relay[1])
    emulator = Emulator(port=api, state=folder / "state", settings=settings)
    emulator.start()
    yield emulator
    emulator.stop()


@pytest.fixture(scope="module")
def monkeypatch_module() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


def resource(kind: str, **properties: Any) -> dict[str, Any]:  # noqa: ANN401
    return {"Type": kind, "Properties": properties}


def function(handler: str, **properties: Any) -> dict[str, Any]:  # noqa: ANN401
    variables = {"NOTES": {"Ref": "Notes"}, **properties.pop("variables", {})}
    return resource(
        "AWS::Lambda::Function",
        Code={"S3Bucket": "packages", "S3Key": "probe.zip"},
        Handler=handler,
        Runtime="python3.13",
        Architectures=["arm64"],
        Role=get_att("Role", "Arn"),
        Timeout=60,
        Environment={"Variables": variables},
        **properties,
    )


def table() -> dict[str, Any]:
    return resource(
        "AWS::DynamoDB::Table",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        TimeToLiveSpecification={"AttributeName": "expiration", "Enabled": True},
    )


def trusts(*services: str) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Principal": {"Service": [*services]}, "Action": "sts:AssumeRole"}
    return {"Version": "2012-10-17", "Statement": [statement]}


def lets_in(service: str, action: str) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": action, "Resource": "*"}
    return {"Version": "2012-10-17", "Statement": [statement]}


ROLE: Mapping[str, Any] = resource(
    "AWS::IAM::Role",
    AssumeRolePolicyDocument=trusts("lambda.amazonaws.com", "scheduler.amazonaws.com"),
    Policies=[
        {
            "PolicyName": "probe",
            "PolicyDocument": {
                "Version": "2012-10-17",
                "Statement": [
                    {"Effect": "Allow", "Action": ["dynamodb:*", "sqs:*", "lambda:*"], "Resource": "*"},
                ],
            },
        }
    ],
)

RESOURCES: Mapping[str, Any] = {
    "Role": ROLE,
    "Key": resource("AWS::KMS::Key", KeyPolicy={"Version": "2012-10-17", "Statement": []}),
    "Notes": table(),
    "Once": table(),
    # the package and its environment
    "Environment": function(
        "probe.main.environment",
        variables={"LITELLM_URL": "http://gateway.local.litellm.internal:4000", "OTHER": "as deployed"},
        VpcConfig={"SubnetIds": [{"Ref": "Subnet"}], "SecurityGroupIds": [get_att("Group", "GroupId")]},
        LoggingConfig={"LogGroup": {"Ref": "Log"}, "LogFormat": "JSON"},
    ),
    "Draw": function("probe.main.draw"),
    "Fail": function("probe.main.fail"),
    "Log": resource("AWS::Logs::LogGroup", RetentionInDays=30),
    "Vpc": resource("AWS::EC2::VPC", CidrBlock="10.0.0.0/16"),
    "Subnet": resource("AWS::EC2::Subnet", VpcId={"Ref": "Vpc"}, CidrBlock="10.0.0.0/24"),
    "Group": resource("AWS::EC2::SecurityGroup", VpcId={"Ref": "Vpc"}, GroupDescription="of the function"),
    "Endpoint": resource(
        "AWS::EC2::VPCEndpoint",
        VpcId={"Ref": "Vpc"},
        ServiceName="com.amazonaws.us-east-1.dynamodb",
        VpcEndpointType="Gateway",
    ),
    # the HTTP API
    "Answer": function("probe.main.answer"),
    "Api": resource("AWS::ApiGatewayV2::Api", Name="slack", ProtocolType="HTTP", DisableExecuteApiEndpoint=True),
    "Integration": resource(
        "AWS::ApiGatewayV2::Integration",
        ApiId={"Ref": "Api"},
        IntegrationType="AWS_PROXY",
        IntegrationUri=get_att("Answer", "Arn"),
        PayloadFormatVersion="2.0",
    ),
    "Route": resource(
        "AWS::ApiGatewayV2::Route",
        ApiId={"Ref": "Api"},
        RouteKey="POST /slack/events",
        Target={"Fn::Join": ["/", ["integrations", {"Ref": "Integration"}]]},
    ),
    "Stage": resource(
        "AWS::ApiGatewayV2::Stage",
        ApiId={"Ref": "Api"},
        StageName="$default",
        AutoDeploy=True,
        AccessLogSettings={"DestinationArn": get_att("Log", "Arn"), "Format": "$context.requestId"},
        DefaultRouteSettings={"ThrottlingBurstLimit": 10, "ThrottlingRateLimit": 10},
    ),
    "Permission": resource(
        "AWS::Lambda::Permission",
        Action="lambda:InvokeFunction",
        FunctionName={"Ref": "Answer"},
        Principal="apigateway.amazonaws.com",
    ),
    "Certificate": resource(
        "AWS::CertificateManager::Certificate", DomainName="slack.llm.example.com", ValidationMethod="DNS"
    ),
    "Domain": resource(
        "AWS::ApiGatewayV2::DomainName",
        DomainName="slack.llm.example.com",
        DomainNameConfigurations=[{"CertificateArn": {"Ref": "Certificate"}, "SecurityPolicy": "TLS_1_2"}],
    ),
    "Mapping": resource(
        "AWS::ApiGatewayV2::ApiMapping",
        ApiId={"Ref": "Api"},
        DomainName={"Ref": "Domain"},
        Stage={"Ref": "Stage"},
    ),
    # the queue
    "Dead": resource("AWS::SQS::Queue", FifoQueue=True),
    "Queue": resource(
        "AWS::SQS::Queue",
        FifoQueue=True,
        VisibilityTimeout=600,
        RedrivePolicy={"deadLetterTargetArn": get_att("Dead", "Arn"), "maxReceiveCount": 2},
    ),
    "Work": function("probe.main.work", variables={"QUEUE": {"Ref": "Queue"}}),
    "Source": resource(
        "AWS::Lambda::EventSourceMapping",
        FunctionName={"Ref": "Work"},
        EventSourceArn=get_att("Queue", "Arn"),
        BatchSize=1,
        FunctionResponseTypes=["ReportBatchItemFailures"],
        ScalingConfig={"MaximumConcurrency": 5},
    ),
    "Alarm": resource(
        "AWS::CloudWatch::Alarm",
        Namespace="AWS/SQS",
        MetricName="ApproximateNumberOfMessagesVisible",
        Dimensions=[{"Name": "QueueName", "Value": get_att("Dead", "QueueName")}],
        ComparisonOperator="GreaterThanThreshold",
        EvaluationPeriods=1,
        Period=60,
        Statistic="Maximum",
        Threshold=0,
    ),
    "Idempotent": function("probe.once.handler", variables={"ONCE": {"Ref": "Once"}}),
    # mail
    "Identity": resource("AWS::SES::EmailIdentity", EmailIdentity="llm.example.com"),
    "Set": resource("AWS::SES::ConfigurationSet", Name="mails"),
    "Topic": resource("AWS::SNS::Topic"),
    "TopicPolicy": resource(
        "AWS::SNS::TopicPolicy", Topics=[{"Ref": "Topic"}], PolicyDocument=lets_in("ses.amazonaws.com", "sns:Publish")
    ),
    "Events": resource(
        "AWS::SES::ConfigurationSetEventDestination",
        ConfigurationSetName={"Ref": "Set"},
        EventDestination={
            "Enabled": True,
            "MatchingEventTypes": ["bounce", "complaint", "reject"],
            "SnsDestination": {"TopicARN": {"Ref": "Topic"}},
        },
    ),
    "Notified": function("probe.main.notified"),
    "NotifiedPermission": resource(
        "AWS::Lambda::Permission",
        Action="lambda:InvokeFunction",
        FunctionName={"Ref": "Notified"},
        Principal="sns.amazonaws.com",
        SourceArn={"Ref": "Topic"},
    ),
    "Subscription": resource(
        "AWS::SNS::Subscription", TopicArn={"Ref": "Topic"}, Protocol="lambda", Endpoint=get_att("Notified", "Arn")
    ),
    # the clock
    "Scheduled": function("probe.main.scheduled"),
    "Schedule": resource(
        "AWS::Scheduler::Schedule",
        ScheduleExpression="at(2026-01-01T00:00:00)",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={
            "Arn": get_att("Scheduled", "Arn"),
            "RoleArn": get_att("Role", "Arn"),
            "Input": '{"told": "by the clock"}',
        },
    ),
    # custom resources
    "User": resource("AWS::IAM::User"),
    "Provider": function("probe.main.resource"),
}


def zipped(files: Mapping[str, str]) -> bytes:
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, textwrap.dedent(content))
    return package.getvalue()


def store(emulator: Emulator, package: Mapping[str, str], bucket: str = "packages", account: str = OWN) -> None:
    """Put a package where `function` takes it from."""
    s3 = aws(emulator, "s3", account)
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="probe.zip", Body=zipped(package))


@pytest.fixture(scope="module")
def stack(emulator: Emulator) -> dict[str, str]:
    store(emulator, PACKAGE)
    names = ("Environment", "Draw", "Fail", "Idempotent", "Notes", "Api", "Queue", "Dead", "User", "Log")
    return deploy(
        emulator,
        "functions",
        RESOURCES,
        {"Provider": get_att("Provider", "Arn"), **{name: {"Ref": name} for name in names}},
    )


def until(happened: Callable[[], Any]) -> Any:  # noqa: ANN401
    """What `happened` answers, as soon as that is true."""
    end = time.monotonic() + PATIENCE
    while not (answer := happened()):
        assert time.monotonic() < end, "it has not happened"
        time.sleep(0.05)
    return answer


@pytest.fixture
def notes(emulator: Emulator, stack: Mapping[str, str]) -> Callable[[], list[str]]:
    dynamodb = aws(emulator, "dynamodb")

    def read() -> list[str]:
        item = dynamodb.get_item(TableName=stack["Notes"], Key={"id": {"S": "notes"}}).get("Item")
        return [said["S"] for said in item["said"]["L"]] if item else []

    return read


def invoke(emulator: Emulator, name: str, event: object, account: str = OWN) -> Any:  # noqa: ANN401
    answer = aws(emulator, "lambda", account).invoke(FunctionName=name, Payload=json.dumps(event))
    return json.loads(answer["Payload"].read())


class TestProcess:
    def test_has_its_deployed_environment_and_the_differences(
        self, emulator: Emulator, stack: Mapping[str, str]
    ) -> None:
        names = ["LITELLM_URL", "OTHER", "UNKNOWN_URL", "HTTPS_PROXY", "https_proxy"]
        assert invoke(emulator, stack["Environment"], {"names": names}) == {
            "LITELLM_URL": "http://127.0.0.1:1",
            "OTHER": "as deployed",
            "UNKNOWN_URL": None,
            "HTTPS_PROXY": "http://127.0.0.1:3",
            "https_proxy": None,
            "bundled": True,  # what is packed comes before what is installed here
        }
        log = emulator.logs / f"{stack['Environment']}.log"
        assert "asked about ['LITELLM_URL'" in log.read_text()
        events = aws(emulator, "logs").filter_log_events(logGroupName=stack["Log"])["events"]
        assert any("asked about" in event["message"] for event in events)

    def test_takes_what_is_compiled_from_this_machine(self, emulator: Emulator, stack: Mapping[str, str]) -> None:
        assert invoke(emulator, stack["Draw"], {}) == {"version": version("pillow"), "pixel": [255, 0, 0]}

    @pytest.mark.parametrize("name", sorted(path.parent.name for path in LAMBDA.glob("*/requirements.txt")))
    def test_this_machine_has_the_versions_of_the_package(self, name: str) -> None:
        def locked(path: Path) -> set[str]:
            return set(re.findall(r"^\S+==\S+", path.read_text(), re.MULTILINE))

        deployed = locked(LAMBDA / name / "requirements.txt")
        assert deployed
        assert deployed <= locked(LAMBDA.parent / "requirements.txt")

    def test_that_fails_has_its_traceback_in_its_log(self, emulator: Emulator, stack: Mapping[str, str]) -> None:
        assert invoke(emulator, stack["Fail"], {})["errorMessage"] == "this function fails"
        assert "ValueError: this function fails" in (emulator.logs / f"{stack['Fail']}.log").read_text()

    def test_is_invoked_from_another_account_if_its_policy_permits(
        self, emulator: Emulator, stack: Mapping[str, str]
    ) -> None:
        lambda_ = aws(emulator, "lambda")
        arn = lambda_.get_function_configuration(FunctionName=stack["Draw"])["FunctionArn"]
        with pytest.raises(ClientError, match="account 111111111111 is not authorized") as refused:
            invoke(emulator, arn, {}, OTHER)
        assert refused.value.response["Error"]["Code"] == "AccessDeniedException"
        lambda_.add_permission(
            FunctionName=stack["Draw"], StatementId="Other", Action="lambda:InvokeFunction", Principal=OTHER
        )
        assert invoke(emulator, arn, {}, OTHER) == invoke(emulator, stack["Draw"], {})

    def test_of_other_versions_and_without_anything_compiled_the_package_is_as_deployed(self) -> None:
        pure = zipped({name: text for name, text in PACKAGE.items() if "pillow" not in name})
        assert without_installed(pure) is pure

    def test_what_is_installed_here_in_the_same_version_is_not_unzipped(self) -> None:
        here = f"iniconfig-{version('iniconfig')}.dist-info"
        same = {name.replace("iniconfig-2.0.0.dist-info", here): text for name, text in PACKAGE.items()}
        with zipfile.ZipFile(io.BytesIO(without_installed(zipped(same)))) as archive:
            left = {*archive.namelist()}
        assert left & {"iniconfig.py", "PIL/__init__.py", "probe/notes.py"} == {"probe/notes.py"}

    def test_overrides_only_what_the_function_has(self) -> None:
        configuration = {"FunctionName": "bare", "Runtime": "python3.13"}
        assert with_differences(configuration, {"LITELLM_URL": "x", "NO_PROXY": "y"}) == {
            **configuration,
            "Environment": {"Variables": {"NO_PROXY": "y", "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13"}},
        }


class TestHttpApi:
    @pytest.fixture
    def url(self, emulator: Emulator, stack: Mapping[str, str]) -> str:
        return f"{emulator.endpoint}/_aws/execute-api/{stack['Api']}/$default/slack/events"

    @pytest.mark.parametrize(
        ("kind", "encoded"), [("application/json; charset=utf-8", False), ("application/x-www-form-urlencoded", True)]
    )
    def test_gives_the_function_the_request_as_it_was_sent(self, url: str, kind: str, encoded: bool) -> None:
        body = '{"text": "アカウント",  "x":1}\r\n&a=%20b+c'.encode()
        headers = [("Content-Type", kind), ("X-Slack-Signature", "v0=a"), ("X-Twice", "1"), ("X-Twice", "2")]
        answer = httpx.post(url, content=body, headers=headers, trust_env=False, timeout=60)
        assert (answer.status_code, answer.headers["X-Probe"]) == (201, "yes")
        event = answer.json()
        assert (event["version"], event["rawPath"], event["routeKey"]) == ("2.0", "/slack/events", "POST /slack/events")
        assert event["isBase64Encoded"] is encoded
        assert (base64.b64decode(event["body"]) if encoded else event["body"].encode()) == body
        assert event["headers"]["x-slack-signature"] == "v0=a"
        assert event["headers"]["x-twice"].replace(" ", "") == "1,2"

    def test_answers_several_at_once(self, url: str) -> None:
        def post(number: int) -> str:
            answer = httpx.post(url, json=number, trust_env=False, timeout=60)
            return str(answer.json()["body"])

        with ThreadPoolExecutor() as pool:
            assert [*pool.map(post, range(4))] == ["0", "1", "2", "3"]

    def test_has_no_other_route(self, url: str) -> None:
        for answer in (httpx.get(url, trust_env=False), httpx.post(f"{url}/other", trust_env=False)):
            assert (answer.status_code, answer.json()) == (404, {"message": "Not Found"})

    def test_refuses_what_is_too_large(self, url: str) -> None:
        answer = httpx.post(url, content=b"x" * (LARGEST_BODY_BYTES + 1), trust_env=False, timeout=60)
        assert answer.status_code == 413

    @pytest.mark.usefixtures("stack")
    def test_answers_at_its_own_domain(self, emulator: Emulator) -> None:
        headers = {"Host": "slack.llm.example.com"}
        answer = httpx.post(
            f"{emulator.endpoint}/slack/events", content=b"x", headers=headers, trust_env=False, timeout=60
        )
        assert answer.status_code == 201


class TestQueue:
    @pytest.fixture
    def send(self, emulator: Emulator, stack: Mapping[str, str]) -> Callable[..., None]:
        sqs = aws(emulator, "sqs")

        def send(group: str, name: str, **job: object) -> None:
            sqs.send_message(
                QueueUrl=stack["Queue"],
                MessageBody=json.dumps({"id": name, **job}),
                MessageGroupId=group,
                MessageDeduplicationId=name,
            )

        return send

    def test_a_groups_messages_wait_for_one_that_is_put_off_and_other_groups_do_not(
        self,
        emulator: Emulator,
        stack: Mapping[str, str],
        send: Callable[..., None],
        notes: Callable[[], list[str]],
    ) -> None:
        send("a", "a1", fails=1, later=600, notes_handle=True)
        send("a", "a2")
        until(lambda: "a1 1" in notes())
        for name in ("b1", "b2", "b2"):  # the last has been sent before
            send("b", name)
        until(lambda: "b2 1" in notes())
        assert "a2 1" not in notes()
        [handle] = [said.partition(" ")[2] for said in notes() if said.startswith("handle ")]
        aws(emulator, "sqs").change_message_visibility(
            QueueUrl=stack["Queue"], ReceiptHandle=handle, VisibilityTimeout=0
        )
        until(lambda: "a2 1" in notes())
        assert [said for said in notes() if said[0] in "ab"] == ["a1 1", "b1 1", "b2 1", "a1 2", "a2 1"]

    def test_two_groups_are_worked_on_at_once(
        self, send: Callable[..., None], notes: Callable[[], list[str]], stack: Mapping[str, str], emulator: Emulator
    ) -> None:
        send("c", "c1", meets="d1")
        send("d", "d1", meets="c1")
        until(lambda: {"c1 1", "d1 1"} <= {*notes()})
        until(lambda: self._count(emulator, stack["Queue"]) == 0)

    def test_a_message_that_always_fails_ends_in_the_dead_letter_queue(
        self, emulator: Emulator, stack: Mapping[str, str], send: Callable[..., None], notes: Callable[[], list[str]]
    ) -> None:
        send("e", "e1", fails=9, later=0)
        until(lambda: self._count(emulator, stack["Dead"]))
        assert [said for said in notes() if said.startswith("e1")] == ["e1 1", "e1 2"]

    @staticmethod
    def _count(emulator: Emulator, queue: str) -> int:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        counts = aws(emulator, "sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=names)["Attributes"]
        return sum(int(counts[name]) for name in names)


def test_powertools_does_a_thing_once(
    emulator: Emulator, stack: Mapping[str, str], notes: Callable[[], list[str]]
) -> None:
    for _ in range(2):
        assert invoke(emulator, stack["Idempotent"], {"id": "r1"}) == {"done": "r1"}
    assert notes().count("once r1") == 1


@pytest.fixture(scope="module")
def out_of_the_sandbox(emulator: Emulator) -> None:
    aws(emulator, "sesv2").put_account_details(
        MailType="TRANSACTIONAL", WebsiteURL="https://llm.example.com", ProductionAccessEnabled=True
    )


@pytest.mark.usefixtures("stack", "out_of_the_sandbox")
class TestMail:
    @staticmethod
    def send(emulator: Emulator, to: str, sender: str = "no-reply@llm.example.com", name: str = "mails") -> None:
        aws(emulator, "sesv2").send_email(
            FromEmailAddress=sender,
            Destination={"ToAddresses": [to]},
            ReplyToAddresses=["sre@example.com"],
            ConfigurationSetName=name,
            Content={
                "Simple": {
                    "Subject": {"Data": "ようこそ", "Charset": "UTF-8"},
                    "Body": {"Text": {"Data": "text: ・"}, "Html": {"Data": "<p>html: ・</p>"}},
                    "Headers": [{"Name": "Auto-Submitted", "Value": "auto-generated"}],
                }
            },
        )

    def test_is_relayed_whole(self, emulator: Emulator, relay: tuple[Relay, int]) -> None:
        self.send(emulator, "a@example.com")
        envelope, mail = until(lambda: [(e, m) for e, m in relay[0].mails if e.rcpt_tos == ["a@example.com"]])[0]
        assert envelope.mail_from == "no-reply@llm.example.com"
        assert (mail["Subject"], mail["Reply-To"]) == ("ようこそ", "sre@example.com")
        assert mail["Auto-Submitted"] == "auto-generated"
        text, html = (mail.get_body((kind,)) for kind in ("plain", "html"))
        assert text and html
        assert (text.get_content().strip(), html.get_content().strip()) == ("text: ・", "<p>html: ・</p>")

    @pytest.mark.parametrize(
        ("sender", "name", "code"),
        [("a@other.example.net", "mails", "MessageRejected"), ("a@llm.example.com", "none", "NotFoundException")],
    )
    def test_is_refused(self, emulator: Emulator, sender: str, name: str, code: str) -> None:
        with pytest.raises(ClientError) as refused:
            self.send(emulator, "a@example.com", sender, name)
        assert refused.value.response["Error"]["Code"] == code

    def test_that_bounces_is_told_to_the_sets_topic(self, emulator: Emulator, notes: Callable[[], list[str]]) -> None:
        for kind in ("bounce", "complaint"):
            self.send(emulator, f"{kind}@simulator.amazonses.com")
        told = {f"{kind.title()} {kind}@simulator.amazonses.com mails" for kind in ("bounce", "complaint")}
        until(lambda: told <= {*notes()})
        assert not [said for said in notes() if said.startswith(("Send ", "Delivery "))]


def update(emulator: Emulator, name: str, resources: Mapping[str, Any]) -> str:
    """Update the stack and return its status at the end."""
    cloudformation = aws(emulator, "cloudformation")
    cloudformation.update_stack(StackName=name, TemplateBody=json.dumps({"Resources": resources}))

    def ended() -> str:
        status = str(cloudformation.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"])
        return "" if status.endswith("_IN_PROGRESS") else status

    return str(until(ended))


def test_a_replaced_custom_resource_is_deleted_after_the_rest_of_the_update(
    emulator: Emulator, stack: Mapping[str, str], notes: Callable[[], list[str]]
) -> None:
    def resources(first: str, then: str, *, good: bool = True) -> dict[str, Any]:
        def thing(name: str, *after: str) -> dict[str, Any]:
            return {**resource("Custom::Thing", ServiceToken=stack["Provider"], Name=name), "DependsOn": [*after]}

        bad = {"Bad": {**resource("AWS::SQS::Queue", FifoQueue=True, QueueName="bad"), "DependsOn": ["Then"]}}
        return {"First": thing(first), "Then": thing(then, "First"), **({} if good else bad)}

    deploy(emulator, "things", resources("f1", "t1"))
    assert update(emulator, "things", resources("f2", "t2")) == "UPDATE_COMPLETE"
    calls = [said.removeprefix("resource ") for said in notes() if said.startswith("resource ")]
    assert calls == ["Create -", "Create -", "Update f1", "Update t1", "Delete t1", "Delete f1"]
    assert update(emulator, "things", resources("f3", "t3", good=False)) == "UPDATE_ROLLBACK_COMPLETE"
    calls = [said.removeprefix("resource ") for said in notes() if said.startswith("resource ")][len(calls) :]
    assert calls[:2] == ["Update f2", "Update t2"]
    assert [*calls[-2:]] == ["Delete t3", "Delete f3"]


def test_a_user_has_two_access_keys_at_most(emulator: Emulator, stack: Mapping[str, str]) -> None:
    iam, user = aws(emulator, "iam"), stack["User"]
    made = [iam.create_access_key(UserName=user)["AccessKey"]["AccessKeyId"] for _ in range(2)]
    with pytest.raises(iam.exceptions.LimitExceededException):
        iam.create_access_key(UserName=user)
    iam.delete_access_key(UserName=user, AccessKeyId=made[0])
    left = iam.list_access_keys(UserName=user)["AccessKeyMetadata"]
    assert [key["AccessKeyId"] for key in left] == made[1:]


def test_a_secret_is_stored_read_and_deleted(emulator: Emulator) -> None:
    ssm = aws(emulator, "ssm")
    ssm.put_parameter(Name="/f/KEY", Value="made here", Type="SecureString")
    assert ssm.get_parameter(Name="/f/KEY", WithDecryption=True)["Parameter"]["Value"] == "made here"
    assert ssm.get_parameter(Name="/f/KEY")["Parameter"]["Value"] != "made here"
    ssm.delete_parameter(Name="/f/KEY")
    with pytest.raises(ssm.exceptions.ParameterNotFound):
        ssm.get_parameter(Name="/f/KEY")


def test_a_schedule_calls_its_function(notes: Callable[[], list[str]]) -> None:
    until(lambda: [said for said in notes() if said.startswith("scheduled ") and "by the clock" in said])
