"""The emulated AWS: what it adds to ministack, seen through AWS's own API."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import boto3
import httpx
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, WaiterError

from local.aws import REGION, Emulator, Settings
from local.ecs import ministack
from local.inert import INERT, WITHOUT_EFFECT, Inert, Ledger, inert_handler
from local.place import Place
from local.ports import free_ports
from tests.unit.handlers import load_handler

OWN, OTHER = "000000000000", "111111111111"  # accounts
REPOSITORY = "gateway"
IMAGE = f"{OWN}.dkr.ecr.{REGION}.amazonaws.com/{REPOSITORY}"
SERVER = """
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(500 if os.environ["MODE"] == "sick" else 200)
        self.end_headers()
        self.wfile.write(f"{os.environ['SECRET']} at {os.environ['PLACE']}".encode())
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""


def test_an_inert_type_answers_its_attributes_and_is_recorded_until_it_is_deleted(tmp_path: Path) -> None:
    ledger_file = tmp_path / "ledger.json"
    handler = inert_handler("AWS::WAFv2::IPSet", Inert("ipset", ("Arn", "Id")), Ledger(ledger_file))
    with ministack("core.responses").request_scope(OTHER, REGION):
        physical_id, attributes = handler["create"]("Office", {}, "Gateway")
    assert attributes == {"Arn": f"arn:aws:wafv2:{REGION}:{OTHER}:{physical_id}", "Id": physical_id}
    entry = {"type": "AWS::WAFv2::IPSet", "logical_id": "Office", "stack": "Gateway"}
    assert json.loads(ledger_file.read_text()) == {physical_id: entry}
    with ministack("core.responses").request_scope(OTHER, REGION):
        assert handler["update"](physical_id, {}, {}, "Gateway") == (physical_id, attributes)
    handler["delete"](physical_id, {})
    assert json.loads(ledger_file.read_text()) == {}


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory, places: Sequence[Place]) -> Iterator[Emulator]:
    folder = tmp_path_factory.mktemp("emulator")
    emulator = Emulator(port=free_ports(1)[0], state=folder, settings=Settings(places=places))
    emulator.start()
    yield emulator
    emulator.stop()


@pytest.fixture(scope="module")
def places() -> list[Place]:
    """Two environments in one account, and one in another."""
    owners = {"llm": OWN, "second": OWN, "third": OTHER}
    return [
        Place(
            account=account,
            region=REGION,
            domain=f"{name}.example.com",
            port=port,
            parameter_prefix=f"/{name}",
            containers={"PYTHON": sys.executable, "PLACE": name},
        )
        for (name, account), port in zip(owners.items(), free_ports(3), strict=True)
    ]


def aws(emulator: Emulator, service: str, account: str = OWN, region: str = REGION) -> Any:  # noqa: ANN401 - any client
    return boto3.client(
        service,  # type: ignore[call-overload]
        endpoint_url=emulator.endpoint,
        region_name=region,
        aws_access_key_id=account,
        aws_secret_access_key="test",
        config=Config(proxies={}),
    )


def shim(emulator: Emulator, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    environment = emulator.environment()
    return subprocess.run(
        [sys.executable, environment["CDK_DOCKER"], *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        input="",
        check=False,
    )


@pytest.fixture(scope="module")
def pushed(emulator: Emulator, context: Path) -> None:
    ecr = aws(emulator, "ecr")
    ecr.create_repository(repositoryName=REPOSITORY)
    pull = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{OTHER}:root"},
        "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [pull]})
    ecr.set_repository_policy(repositoryName=REPOSITORY, policyText=policy)
    for account in (OWN, OTHER):
        aws(emulator, "ssm", account).put_parameter(Name="/t/SECRET", Value="p@ss/:%#?", Type="SecureString")
    push(emulator, context, "1")


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What an image is built from."""
    folder = tmp_path_factory.mktemp("context")
    entrypoint = folder / "entrypoint.sh"
    entrypoint.write_text('#!/bin/sh\n[ "$MODE" = exit ] && exit 7\nexec "$PYTHON" server.py\n')
    entrypoint.chmod(0o700)
    (folder / "server.py").write_text(SERVER)
    return folder


def push(emulator: Emulator, context: Path, tag: str) -> str:
    """Build and push an image; its digest."""
    for arguments in (
        ("build", "--tag", "asset", "--platform", "linux/arm64", context),
        ("tag", "asset", f"{IMAGE}:{tag}"),
        ("push", f"{IMAGE}:{tag}"),
    ):
        done = shim(emulator, *arguments)
        assert done.returncode == 0, done.stderr
    images = aws(emulator, "ecr").describe_images(repositoryName=REPOSITORY, imageIds=[{"imageTag": tag}])
    return str(images["imageDetails"][0]["imageDigest"])


def deploy(
    emulator: Emulator,
    name: str,
    resources: Mapping[str, Any],
    outputs: Mapping[str, Any] | None = None,
    account: str = OWN,
) -> dict[str, str]:
    """Create the stack; its outputs, or AssertionError with the reasons of what failed."""
    cloudformation = aws(emulator, "cloudformation", account)
    template = {"Resources": resources, "Outputs": {key: {"Value": value} for key, value in (outputs or {}).items()}}
    cloudformation.create_stack(StackName=name, TemplateBody=json.dumps(template), Capabilities=["CAPABILITY_IAM"])
    try:
        cloudformation.get_waiter("stack_create_complete").wait(
            StackName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 300}
        )
    except WaiterError as failure:
        events = cloudformation.describe_stack_events(StackName=name)["StackEvents"]
        reasons = [event.get("ResourceStatusReason", "") for event in events if "FAILED" in event["ResourceStatus"]]
        raise AssertionError(reasons) from failure
    stack = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
    return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}


def get_att(name: str, attribute: str) -> dict[str, list[str]]:
    return {"Fn::GetAtt": [name, attribute]}


def gateway(
    mode: str = "ok", *, place: str = "llm", image: str = f"{IMAGE}:1", parameter: str = "/t/SECRET", grace: int = 60
) -> dict[str, Any]:
    """A load balancer in front of an ECS service of one task."""
    variables = {"PORT": "4000", "MODE": mode, "URL": f"https://{place}.example.com"}
    container = {
        "Name": "app",
        "Image": image,
        "Command": ["serve"],
        "Environment": [{"Name": name, "Value": value} for name, value in variables.items()],
        "Secrets": [{"Name": "SECRET", "ValueFrom": parameter}],
        "PortMappings": [{"ContainerPort": 4000}],
        "StopTimeout": 5,
    }
    group = {"Protocol": "HTTP", "Port": 4000, "TargetType": "ip", "VpcId": {"Ref": "Vpc"}}
    check = {"HealthCheckPath": "/", "HealthCheckIntervalSeconds": 1, "UnhealthyThresholdCount": 2}
    rule = {"Field": "host-header", "HostHeaderConfig": {"Values": [f"{place}.example.com"]}}
    elb = "AWS::ElasticLoadBalancingV2"

    def resource(kind: str, depends_on: tuple[str, ...] = (), /, **properties: Any) -> dict[str, Any]:  # noqa: ANN401
        return {"Type": kind, "DependsOn": [*depends_on], "Properties": properties}

    allowed = [
        {"Effect": "Allow", "Action": "ssm:GetParameters", "Resource": "arn:aws:ssm:*:*:parameter/t/*"},
        {"Effect": "Allow", "Action": "ecr:Get*", "Resource": "*"},
        {"Effect": "Allow", "Action": "ecr:BatchGetImage", "Resource": f"arn:aws:ecr:*:*:repository/{REPOSITORY}"},
    ]
    return {
        "Role": resource(
            "AWS::IAM::Role",
            AssumeRolePolicyDocument={
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Effect": "Allow",
                        "Principal": {"Service": "ecs-tasks.amazonaws.com"},
                        "Action": "sts:AssumeRole",
                    }
                ],
            },
            Policies=[{"PolicyName": "start", "PolicyDocument": {"Version": "2012-10-17", "Statement": allowed}}],
        ),
        "Vpc": resource("AWS::EC2::VPC", CidrBlock="10.0.0.0/16"),
        "Zone": resource("AWS::Route53::HostedZone", Name="example.com"),
        "Balancer": resource(f"{elb}::LoadBalancer", Subnets=["subnet-1"]),
        "Group": resource(f"{elb}::TargetGroup", **group, **check),
        "Listener": resource(
            f"{elb}::Listener",
            LoadBalancerArn={"Ref": "Balancer"},
            Port=443,
            Protocol="HTTPS",
            DefaultActions=[{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "403"}}],
        ),
        "Rule": resource(
            f"{elb}::ListenerRule",
            ListenerArn={"Ref": "Listener"},
            Priority=1,
            Conditions=[rule],
            Actions=[{"Type": "forward", "TargetGroupArn": {"Ref": "Group"}}],
        ),
        "Admin": resource(
            f"{elb}::ListenerRule",
            ListenerArn={"Ref": "Listener"},
            Priority=2,
            Conditions=[{"Field": "source-ip", "SourceIpConfig": {"Values": ["10.0.0.0/8"]}}],
            Actions=[{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "200"}}],
        ),
        "Record": resource(
            "AWS::Route53::RecordSet",
            HostedZoneId={"Ref": "Zone"},
            Name=f"{place}.example.com.",
            Type="A",
            AliasTarget={
                "DNSName": get_att("Balancer", "DNSName"),
                "HostedZoneId": get_att("Balancer", "CanonicalHostedZoneID"),
            },
        ),
        "Cluster": resource("AWS::ECS::Cluster"),
        "Task": resource(
            "AWS::ECS::TaskDefinition",
            Cpu="256",
            Memory="512",
            NetworkMode="awsvpc",
            RequiresCompatibilities=["FARGATE"],
            ContainerDefinitions=[container],
            ExecutionRoleArn=get_att("Role", "Arn"),
            RuntimePlatform={"CpuArchitecture": "ARM64"},
        ),
        "Service": resource(
            "AWS::ECS::Service",
            ("Rule",),
            Cluster={"Ref": "Cluster"},
            TaskDefinition={"Ref": "Task"},
            DesiredCount=1,
            LaunchType="FARGATE",
            HealthCheckGracePeriodSeconds=grace,
            DeploymentConfiguration={"DeploymentCircuitBreaker": {"Enable": True, "Rollback": True}},
            ServiceRegistries=[{"RegistryArn": get_att("Name", "Arn")}],
            LoadBalancers=[{"ContainerName": "app", "ContainerPort": 4000, "TargetGroupArn": {"Ref": "Group"}}],
        ),
        "Permission": resource("AWS::EC2::SecurityGroupIngress", IpProtocol="tcp"),
        "Namespace": resource(
            "AWS::ServiceDiscovery::PrivateDnsNamespace",
            Name=f"{place}.{mode}.{parameter[3:].lower()}.internal",
            Vpc={"Ref": "Vpc"},
        ),
        "Name": resource(
            "AWS::ServiceDiscovery::Service",
            Name="gateway",
            NamespaceId={"Ref": "Namespace"},
            DnsConfig={"DnsRecords": [{"Type": "A", "TTL": 10}]},
        ),
    }


class Patience:
    """A function's context with a minute left, whenever it asks."""

    def get_remaining_time_in_millis(self) -> int:
        return 60_000


def act_as(emulator: Emulator, handler: ModuleType, role: str, statements: Sequence[Mapping[str, Any]]) -> None:
    """Have the function's clients be those of a role with these permissions."""
    iam = aws(emulator, "iam")
    trust = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{OWN}:root"}, "Action": "sts:AssumeRole"}
    made = iam.create_role(RoleName=role, AssumeRolePolicyDocument=json.dumps({"Statement": [trust]}))["Role"]
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **each} for each in statements]}
    iam.put_role_policy(RoleName=role, PolicyName="may", PolicyDocument=json.dumps(policy))
    given = aws(emulator, "sts").assume_role(RoleArn=made["Arn"], RoleSessionName="test")["Credentials"]
    session = boto3.Session(
        aws_access_key_id=given["AccessKeyId"],
        aws_secret_access_key=given["SecretAccessKey"],
        aws_session_token=given["SessionToken"],
        region_name=REGION,
    )
    config = Config(proxies={})
    handler.__dict__["scaling"] = session.client(
        "application-autoscaling", endpoint_url=emulator.endpoint, config=config
    )
    handler.__dict__["balancing"] = session.client("elbv2", endpoint_url=emulator.endpoint, config=config)


def emulator_tasks(emulator: Emulator, service: str) -> int:
    """How many tasks a service has, of `service/CLUSTER/NAME`."""
    _, cluster, name = service.split("/")
    found = aws(emulator, "ecs").describe_services(cluster=cluster, services=[name])
    return int(found["services"][0]["runningCount"])


def eventually(look: Callable[[], bool]) -> bool:
    """Whether it is so within some minutes: what the emulator does in the background takes its time."""
    end = time.monotonic() + 240
    while not look() and time.monotonic() < end:
        time.sleep(0.1)
    return look()


@pytest.mark.usefixtures("pushed")
class TestService:
    def test_is_deployed_once_it_answers_through_the_load_balancer(
        self, emulator: Emulator, places: Sequence[Place]
    ) -> None:
        outputs = deploy(
            emulator, "good", gateway(), {"Service": {"Ref": "Service"}, "Cidr": get_att("Vpc", "CidrBlock")}
        )
        assert outputs["Cidr"] == "10.0.0.0/16"
        url = places[0].url
        assert httpx.get(url, trust_env=False).text == "p@ss/:%#? at llm"
        assert httpx.get(url, headers={"Host": "llm.example.com"}, trust_env=False).status_code == 200
        assert httpx.get(url, headers={"Host": "other.example.com"}, trust_env=False).status_code == 403
        without_effect = {(entry["type"], entry["logical_id"], entry["stack"]) for entry in emulator.not_emulated()}
        assert without_effect >= {
            ("AWS::EC2::SecurityGroupIngress", "Permission", "good"),
            ("AWS::ServiceDiscovery::Service", "Name", "good"),
        }
        ecs = aws(emulator, "ecs")
        service = ecs.describe_services(cluster=outputs["Service"].split("/")[1], services=[outputs["Service"]])
        definition = ecs.describe_task_definition(taskDefinition=service["services"][0]["taskDefinition"])
        container = definition["taskDefinition"]["containerDefinitions"][0]
        assert container["secrets"] == [{"name": "SECRET", "valueFrom": "/t/SECRET"}]
        assert definition["taskDefinition"]["runtimePlatform"] == {"cpuArchitecture": "ARM64"}

    def test_runs_as_many_tasks_as_it_is_registered_to(self, emulator: Emulator, places: Sequence[Place]) -> None:
        """After the one above: its service is put to sleep, and woken."""
        ecs, scaling = aws(emulator, "ecs"), aws(emulator, "application-autoscaling")
        found = aws(emulator, "cloudformation").describe_stack_resource(StackName="good", LogicalResourceId="Service")
        arn = found["StackResourceDetail"]["PhysicalResourceId"]
        _, cluster, name = arn.split(":", 5)[5].split("/")
        target = {
            "ServiceNamespace": "ecs",
            "ResourceId": f"service/{cluster}/{name}",
            "ScalableDimension": "ecs:service:DesiredCount",
        }

        def running() -> int:
            return int(ecs.describe_services(cluster=cluster, services=[arn])["services"][0]["runningCount"])

        with pytest.raises(ClientError, match="MinCapacity and MaxCapacity are required"):
            scaling.register_scalable_target(**target, MinCapacity=0)
        scaling.register_scalable_target(**target, MinCapacity=0, MaxCapacity=0)
        assert eventually(lambda: running() == 0)
        assert eventually(lambda: httpx.get(places[0].url, trust_env=False).status_code == 503)
        scaling.register_scalable_target(**target, MinCapacity=1, MaxCapacity=2)
        assert eventually(lambda: httpx.get(places[0].url, trust_env=False).status_code == 200)
        assert running() == 1  # as few as it may have
        (described,) = scaling.describe_scalable_targets(ServiceNamespace="ecs")["ScalableTargets"]
        assert (described["MinCapacity"], described["MaxCapacity"]) == (1, 2)
        with pytest.raises(ClientError, match="Maximum capacity cannot be less than minimum capacity"):
            scaling.register_scalable_target(**target, MinCapacity=3)
        with pytest.raises(ClientError, match="ECS service doesn't exist"):
            scaling.register_scalable_target(
                **target | {"ResourceId": f"service/{cluster}/other"}, MinCapacity=1, MaxCapacity=1
            )

    def test_falls_asleep_and_wakes_by_the_function_with_its_permissions(
        self, emulator: Emulator, places: Sequence[Place], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """lambda/sleep/ itself, with what its role may do and nothing else; after the one above."""
        own = {
            each["LogicalResourceId"]: each["PhysicalResourceId"]
            for each in aws(emulator, "cloudformation").describe_stack_resources(StackName="good")["StackResources"]
        }
        service = own["Service"].split(":", 5)[5]
        sleeps = {"StatusCode": "503", "ContentType": "application/json", "MessageBody": '{"error": "asleep"}'}
        (asleep,) = aws(emulator, "elbv2").create_rule(
            ListenerArn=own["Listener"],
            Priority=3,
            Conditions=[{"Field": "host-header", "HostHeaderConfig": {"Values": ["llm.example.com"]}}],
            Actions=[{"Type": "fixed-response", "FixedResponseConfig": sleeps}],
        )["Rules"]
        rules = [own["Rule"], asleep["RuleArn"]]
        targets = f"arn:aws:application-autoscaling:{REGION}:{OWN}:scalable-target/*"
        of_ecs = {"StringEquals": {"application-autoscaling:service-namespace": "ecs"}}
        statements: list[dict[str, Any]] = [
            {"Action": "application-autoscaling:RegisterScalableTarget", "Resource": targets, "Condition": of_ecs},
            {"Action": ["ecs:DescribeServices", "ecs:UpdateService"], "Resource": own["Service"]},
            {"Action": "elasticloadbalancing:SetRulePriorities", "Resource": rules},
            {
                "Action": ["elasticloadbalancing:DescribeRules", "elasticloadbalancing:DescribeTargetHealth"],
                "Resource": "*",
            },
        ]
        handler = load_handler("sleep")
        for name, value in {
            "SERVICE": service,
            "MIN_TASKS": "1",
            "MAX_TASKS": "2",
            "TARGET_GROUP": own["Group"],
            "AWAKE_RULE": own["Rule"],
            "ASLEEP_RULE": asleep["RuleArn"],
        }.items():
            monkeypatch.setenv(name, value)
        for number in range(len(statements)):  # without each of them it is refused
            some = [each for at, each in enumerate(statements) if at != number]
            act_as(emulator, handler, f"less{number}", some)
            with pytest.raises(handler.SleepError, match=r"failed with AccessDenied"):
                handler.handler({"to": "awake"}, Patience())
        act_as(emulator, handler, "sleep", statements)
        url = places[0].url
        assert handler.handler({"to": "asleep"}, Patience())["is"] == "asleep"
        refused = httpx.get(url, trust_env=False)
        assert (refused.status_code, refused.json()) == (503, {"error": "asleep"})
        assert eventually(lambda: not emulator_tasks(emulator, service))
        assert handler.handler({"to": "asleep"}, Patience())["was"] == "asleep"
        assert handler.handler({"to": "awake"}, Patience())["was"] == "asleep"
        assert httpx.get(url, trust_env=False).status_code == 200
        assert handler.handler({"to": "awake"}, Patience())["was"] == "awake"
        aws(emulator, "elbv2").delete_rule(RuleArn=asleep["RuleArn"])

    @pytest.mark.parametrize(
        ("name", "template", "reason"),
        [
            ("exits", gateway("exit"), r"Circuit Breaker.*Essential container exited \(app: exit code 7\)"),
            ("sick", gateway("sick", grace=0), r"Circuit Breaker.*failed ELB health checks"),
            ("secret", gateway(parameter="/t/ABSENT"), r"ResourceInitializationError.*/t/ABSENT"),
        ],
    )
    def test_that_fails_fails_its_stack_with_the_reason(
        self, emulator: Emulator, name: str, template: Mapping[str, Any], reason: str
    ) -> None:
        with pytest.raises(AssertionError, match=reason):
            deploy(emulator, name, template)


@pytest.mark.usefixtures("pushed")
def test_an_image_reaches_every_environment_of_every_account_by_its_digest(
    emulator: Emulator, places: Sequence[Place], context: Path
) -> None:
    uri = f"{IMAGE}@{push(emulator, context, '2')}"
    (context / "server.py").write_text("an image is what it was when it was built")
    for place, name in zip(places[1:], ("second", "third"), strict=True):
        deploy(emulator, name, gateway(place=name, image=uri), account=place.account)
        assert httpx.get(place.url, trust_env=False).text == f"p@ss/:%#? at {name}"
    stacks = aws(emulator, "cloudformation", OTHER).describe_stacks()["Stacks"]
    assert [stack["StackName"] for stack in stacks] == ["third"]
    assert push(emulator, context, "3") not in uri


def test_a_role_of_another_account_leads_to_it(emulator: Emulator) -> None:
    trust = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{OWN}:root"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    role = aws(emulator, "iam", OTHER).create_role(RoleName="deploy", AssumeRolePolicyDocument=document)["Role"]["Arn"]
    own = aws(emulator, "sts")
    assert own.get_caller_identity()["Account"] == OWN
    given = own.assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]
    foreign = boto3.client(
        "sts",
        endpoint_url=emulator.endpoint,
        region_name=REGION,
        aws_access_key_id=given["AccessKeyId"],
        aws_secret_access_key=given["SecretAccessKey"],
        aws_session_token=given["SessionToken"],
        config=Config(proxies={}),
    )
    assert foreign.get_caller_identity()["Account"] == OTHER


def test_it_ends_though_a_request_is_under_way(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    emulator = Emulator(port=port, state=tmp_path)
    emulator.start()
    with socket.create_connection(("127.0.0.1", port)) as caller:
        caller.sendall(b"POST / HTTP/1.1\r\nhost: sqs\r\ncontent-length: 9\r\n\r\n")
        httpx.get(f"{emulator.endpoint}/_ministack/health", trust_env=False)  # so the other, older, has been accepted
        emulator._process.terminate()
        assert emulator._process.wait(120) == 0


def test_an_unknown_type_is_refused(emulator: Emulator) -> None:
    with pytest.raises(ClientError, match=r"Unrecognized resource types: \[AWS::Nowhere::Thing\]"):
        deploy(emulator, "unknown", {"Thing": {"Type": "AWS::Nowhere::Thing"}})


def test_every_inert_type_deploys_and_is_reported(emulator: Emulator) -> None:
    resources = {kind.replace(":", ""): {"Type": kind, "Properties": {}} for kind in INERT}
    deploy(emulator, "inert", resources)
    reported = [entry["type"] for entry in emulator.not_emulated() if entry["stack"] == "inert"]
    assert sorted(reported) == sorted(kind for kind, inert in INERT.items() if not inert.has_effect)
    assert not {*INERT} & {*WITHOUT_EFFECT}


@pytest.mark.usefixtures("pushed")
def test_the_registry_knows_what_was_pushed_and_nothing_else(emulator: Emulator) -> None:
    ecr = aws(emulator, "ecr")
    images = ecr.describe_images(repositoryName=REPOSITORY, imageIds=[{"imageTag": "1"}])["imageDetails"]
    assert "1" in images[0]["imageTags"]
    with pytest.raises(ecr.exceptions.ImageNotFoundException):
        ecr.describe_images(repositoryName=REPOSITORY, imageIds=[{"imageTag": "never"}])


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("inspect", "asset"), 1, "kept again each time"),
        (("login", "--username", "AWS", "--password-stdin", "registry"), 0, ""),
        (("run", "asset"), 0, "nothing to do for 'run'"),
        (("push", f"{IMAGE}:unknown"), 1, "push failed: FileNotFoundError"),
    ],
)
def test_the_stand_in_for_docker_says_what_it_does_not(
    emulator: Emulator, arguments: tuple[str, ...], code: int, said: str
) -> None:
    done = shim(emulator, *arguments)
    assert done.returncode == code
    assert said in done.stderr
    assert len(done.stderr.splitlines()) <= 1
