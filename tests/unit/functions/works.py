"""The kinds of work that the functions do: what starts each, what the platform does when it fails, and what is to be in
the books of others afterwards. The steps are not here: they are observed.
"""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from functools import cache, partial
from types import ModuleType
from typing import Any
from unittest import mock

import datadog.handler
from aws_lambda_powertools.utilities.parameters.constants import DEFAULT_PROVIDERS
from onboarding import bounces, environment, modal, once, receiver, sweep, worker
from onboarding.requests import Close, Decide, to_json
from onboarding.requests import Request as Asked
from onboarding.texts import say
from usage import bill, google_bill, report
from usage.figures import Period

from local.outside.credentials import Credentials
from tests.unit.constructs import test_litellm_key as keys
from tests.unit.datadog import test_handler as objects
from tests.unit.functions.network import Aws, Network, RefusedByAws, Reply, Request, Service, Slack, reply
from tests.unit.gateway import test_migration as migrations
from tests.unit.gateway import test_sleep as sleeping
from tests.unit.gateway import test_smtp_credentials as smtp
from tests.unit.handlers import load_handler
from tests.unit.onboarding import fake_services as fakes
from tests.unit.onboarding import slack_requests
from tests.unit.onboarding import test_receiver as forms
from tests.unit.test_smoke_handler import VERSION as SMOKE_VERSION
from tests.unit.test_smoke_handler import Gateway
from tests.unit.usage.rows import REPORT

Told = list[str]
Drive = Callable[[], Told]
Books = Callable[[], Counter[str]]
Work = Callable[[], "Running"]

PREFIX = "/litellm/dev"
SECRETS = {
    "SLACK_SIGNING_SECRET": slack_requests.SECRET,
    "SLACK_BOT_TOKEN": "xoxb-a-token-that-nobody-sees",
    "ONBOARDING_KEY": "sk-an-onboarding-key-that-nobody-sees",
    "USAGE_KEY": "sk-a-usage-key-that-nobody-sees",
    "SMOKE_KEY": "sk-a-smoke-key-that-nobody-sees",
    "LITELLM_MASTER_KEY": keys.MASTER_KEY,
    "AZURE_BILLING_SECRET": "an-azure-secret-that-nobody-sees",
    "OPENAI_ADMIN_KEY": "sk-admin-openai-that-nobody-sees",
    "ANTHROPIC_ADMIN_KEY": "sk-ant-admin-that-nobody-sees",
    "GOOGLE_BILLING_CREDENTIALS": Credentials.generate("acme").google_billing_credentials,
    **objects.KEYS,
}
TOKEN = "a-token-that-nobody-sees"
HIDDEN = {
    **SECRETS,
    "a token": TOKEN,
    "Google's key": json.loads(SECRETS["GOOGLE_BILLING_CREDENTIALS"])["private_key"].splitlines()[1],
    "what is signed with it": "eyJ",
}
"""What is in no log, and in nobody's sentence."""
ADDRESS = "sato@example.com"
RULES = replace(fakes.SETTINGS, command=forms.SETTINGS.command, workspace=forms.TEAM)
DUE = "2026-11-23T00:10:00Z"
ATTEMPTS = 2  # of the worker, which has more where it is deployed
SETTINGS: dict[str, Any] = {
    "tolerance_percent": 3.0,
    "profile_tag": None,
    "azure": {"tenant": "t", "client": "c", "subscription": "s"},
    "google": {"table": "acme-billing.costs.export", "location": "EU"},
    "gemini": {"table": "acme-billing.costs.export", "location": "EU", "project": "acme"},
    "openai": {"projects": []},
    "anthropic": {"workspaces": []},
}
VARIABLES = {
    "AWS_DEFAULT_REGION": "ap-northeast-1",
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "POWERTOOLS_SERVICE_NAME": "functions",
    "PARAMETER_PREFIX": PREFIX,
    "ONBOARDING": json.dumps(asdict(RULES)),
    "MAX_ATTEMPTS": str(ATTEMPTS),
    "QUEUE_URL": forms.QUEUE,
    "TABLE_NAME": "table",
    "LITELLM_URL": fakes.PLACES.litellm_url,
    "GATEWAY_URL": fakes.PLACES.gateway_url,
    "MAIL_SENDER": fakes.PLACES.mail_sender,
    "MAIL_REPLY_TO": fakes.PLACES.mail_reply_to,
    "MAIL_CONFIGURATION_SET": fakes.PLACES.mail_configuration_set,
    "ENVIRONMENT": "dev",
    "REPORT": json.dumps(asdict(REPORT)),
    "BILL": json.dumps(SETTINGS),
    "DD_SITE": "datadoghq.com",
    "LIMIT_SECONDS": "2700",
    "LITELLM_VERSION": SMOKE_VERSION,
    "PROVIDERS": "azure bedrock vertex_ai",
    **{name: value for name, value in keys.VARIABLES.items() if name != "KEY"},
    **sleeping.VARIABLES,
}
"""Of all functions together. KEY is two functions' own."""
BY_CLOUDS = {"Microsoft", "Azure", "OpenAI", "Anthropic"}  # asked by one client, usage/clouds.py: one kind of step
CONTEXT: Any = fakes.Context()
PURPOSE = forms.PURPOSE
ORGANISATION = "E0123456789"


class Cloud(smtp.Account):
    """AWS's services as they are asked here: Account's IAM and parameters, table, queue, mails, and more."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: dict[str, dict[str, Any]] = {}
        self.queue: dict[str, str] = {}
        self.mails: list[str] = []
        self.tasks: dict[str, str] = {}
        self.capacity: tuple[int, int] = (2, 5)
        self.first = sleeping.AWAKE_RULE
        self.sleeper: Callable[[dict[str, Any]], Any] = lambda _event: {}
        for name, value in SECRETS.items():
            self.versions[f"{PREFIX}/{name}"] = [{"Name": f"{PREFIX}/{name}", "Version": 1, "Value": value}]

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        """Account's own, whose refusals are pairs."""
        if operation.startswith("_"):
            raise AttributeError(operation)
        work = getattr(self, f"_{operation}")

        def call(**asked: Any) -> Any:  # noqa: ANN401 - any answer
            found = work(**asked)
            if isinstance(found, tuple):
                raise RefusedByAws(found[1]["Error"]["Code"])
            return found

        return call

    def services(self) -> dict[str, Service]:
        """All of them, by host."""
        region = "ap-northeast-1.amazonaws.com"
        named = {
            f"ssm.{region}": ("Parameter Store", "ssm"),
            f"dynamodb.{region}": ("DynamoDB", "dynamodb"),
            f"sqs.{region}": ("SQS", "sqs"),
            f"email.{region}": ("SES", "sesv2"),
            f"ecs.{region}": ("ECS", "ecs"),
            f"cloudformation.{region}": ("CloudFormation", "cloudformation"),
            "iam.amazonaws.com": ("IAM", "iam"),
            f"elasticloadbalancing.{region}": ("Elastic Load Balancing", "elbv2"),
            f"application-autoscaling.{region}": ("Application Auto Scaling", "application-autoscaling"),
            f"lambda.{region}": ("Lambda", "lambda"),
            "ce.us-east-1.amazonaws.com": ("Cost Explorer", "ce"),
        }
        return {host: Aws(name, service, self) for host, (name, service) in named.items()}

    # Parameter Store

    def GetParameter(self, Name: str, WithDecryption: bool) -> Any:  # noqa: ANN401, N802, N803 - AWS's names
        assert WithDecryption
        if Name not in self.versions:
            raise RefusedByAws("ParameterNotFound")
        return {"Parameter": {**self.versions[Name][-1], "Type": "SecureString"}}

    def GetParameterHistory(self, Name: str, WithDecryption: bool) -> Any:  # noqa: ANN401, N802, N803
        if Name not in self.versions:
            raise RefusedByAws("ParameterNotFound")
        return {"Parameters": self.versions[Name]}

    def DeleteParameter(self, Name: str) -> Any:  # noqa: ANN401, N802, N803 - AWS's names
        if not self.versions.pop(Name, None):
            raise RefusedByAws("ParameterNotFound")
        return {}

    # DynamoDB, as Powertools' idempotency asks it

    def PutItem(self, Item: dict[str, Any], ExpressionAttributeValues: dict[str, Any], **_: Any) -> Any:  # noqa: ANN401, N802, N803
        there, now = self.rows.get(Item["id"]["S"]), ExpressionAttributeValues
        if there:
            ended = there["status"]["S"] == "INPROGRESS" and int(
                there.get("in_progress_expiration", {"N": "9" * 15})["N"]
            ) < int(now[":now_in_millis"]["N"])
            if not ended and int(there["expiration"]["N"]) >= int(now[":now"]["N"]):
                raise RefusedByAws("ConditionalCheckFailedException", {"Item": there})
        self.rows[Item["id"]["S"]] = Item
        return {}

    def GetItem(self, Key: dict[str, Any], **_: Any) -> Any:  # noqa: ANN401, N802, N803 - AWS's names
        found = self.rows.get(Key["id"]["S"])
        return {"Item": found} if found else {}

    def UpdateItem(  # noqa: N802 - AWS's name
        self,
        Key: dict[str, Any],  # noqa: N803
        ExpressionAttributeNames: dict[str, str],  # noqa: N803
        ExpressionAttributeValues: dict[str, Any],  # noqa: N803
        **_: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        values = {name[1:]: value for name, value in ExpressionAttributeValues.items()}
        row = self.rows.setdefault(Key["id"]["S"], dict(Key))
        row |= {real: values[name[1:]] for name, real in ExpressionAttributeNames.items()}
        return {}

    def DeleteItem(self, Key: dict[str, Any], **_: Any) -> Any:  # noqa: ANN401, N802, N803 - AWS's names
        self.rows.pop(Key["id"]["S"], None)
        return {}

    # SQS, SES

    def SendMessage(self, MessageBody: str, MessageDeduplicationId: str, **_: Any) -> Any:  # noqa: ANN401, N802, N803
        self.queue.setdefault(MessageDeduplicationId, MessageBody)
        return {"MessageId": "1", "SequenceNumber": "1"}

    def ChangeMessageVisibility(self, **_: Any) -> Any:  # noqa: ANN401, N802 - AWS's name
        return {}

    def SendEmail(self, Destination: dict[str, Any], **_: Any) -> Any:  # noqa: ANN401, N802, N803 - AWS's names
        self.mails += Destination["ToAddresses"]
        return {"MessageId": f"mail-{len(self.mails)}"}

    # ECS, CloudFormation

    def RunTask(self, clientToken: str, **_: Any) -> Any:  # noqa: ANN401, N802, N803 - AWS's names
        arn = self.tasks.setdefault(clientToken, f"{migrations.TASK}{len(self.tasks)}")
        return {"tasks": [{"taskArn": arn}], "failures": []}

    def DescribeTasks(self, tasks: list[str], **_: Any) -> Any:  # noqa: ANN401, N802 - AWS's name
        ended = {"lastStatus": "STOPPED", "createdAt": time.time(), "containers": [{"exitCode": 0}]}
        return {"tasks": [{"taskArn": one, **ended} for one in tasks if one in self.tasks.values()], "failures": []}

    def DescribeStacks(self, **_: Any) -> Any:  # noqa: ANN401, N802 - AWS's name
        stack = {"StackName": "dev", "CreationTime": "2026-01-01T00:00:00Z", "StackStatus": "UPDATE_IN_PROGRESS"}
        return {"Stacks": [stack]}

    # What lets the gateway sleep, and wakes it

    def RegisterScalableTarget(self, MinCapacity: int, MaxCapacity: int, **_: Any) -> Any:  # noqa: ANN401, N802, N803
        self.capacity = (MinCapacity, MaxCapacity)
        return {}

    def DescribeRules(self, RuleArns: list[str]) -> Any:  # noqa: ANN401, N802, N803 - AWS's names
        return {"Rules": [{"RuleArn": one, "Priority": "1" if one == self.first else "2"} for one in RuleArns]}

    def SetRulePriorities(self, RulePriorities: list[dict[str, str]]) -> Any:  # noqa: ANN401, N802, N803 - AWS's names
        self.first = next(one["RuleArn"] for one in RulePriorities if one["Priority"] == "1")
        return {"Rules": [{"RuleArn": one["RuleArn"], "Priority": one["Priority"]} for one in RulePriorities]}

    def DescribeTargetHealth(self, **_: Any) -> Any:  # noqa: ANN401, N802 - AWS's name
        healthy = {"Target": {"Id": "10.0.0.1"}, "TargetHealth": {"State": "healthy"}}
        return {"TargetHealthDescriptions": [healthy] if self.capacity[0] else []}

    def Invoke(self, Payload: bytes, **_: Any) -> Any:  # noqa: ANN401, N802, N803 - AWS's names
        was = "awake" if self.first == sleeping.AWAKE_RULE else "asleep"
        self.first = sleeping.AWAKE_RULE
        return {"was": was, "is": json.loads(Payload)["to"], "seconds": 1}

    # Cost Explorer

    def GetCostAndUsage(self, **_: Any) -> Any:  # noqa: ANN401, N802 - AWS's name
        amount = {"Amount": "92.0", "Unit": "USD"}
        metrics = dict.fromkeys(("UnblendedCost", "NetUnblendedCost", "UsageQuantity"), amount)
        keys = ["Claude Opus 5.5 (Amazon Bedrock Edition)", "USW2-MP:USW2_input_tokens_standard-Units"]
        day = {"TimePeriod": {"Start": "2026-10-01", "End": "2026-11-01"}, "Estimated": False}
        return {"ResultsByTime": [{**day, "Groups": [{"Keys": keys, "Metrics": metrics}]}]}


class Json(Service):
    """A service that answers JSON, by a function."""

    def __init__(self, name: str, work: Callable[[Request], tuple[int, Any]]) -> None:
        self.name, self._work = name, work

    def answer(self, request: Request) -> Reply:
        status, body = self._work(request)
        return reply(body, status)


class Manager(Service):
    """LiteLLM's management API, by the tests of onboarding."""

    name = "LiteLLM"

    def __init__(self, litellm: fakes.FakeLiteLlm) -> None:
        self._litellm = litellm

    def answer(self, request: Request) -> Reply:
        body = {} if request.method == "GET" else request.json
        answer = self._litellm._answer(request.method, request.path, {"fields": request.query, "json": body})
        return reply(answer.json(), answer.status)


@contextmanager
def unbound() -> Iterator[None]:
    """A server that is only asked for its answers, and listens nowhere."""
    with mock.patch("http.server.HTTPServer.__init__", lambda *_: None):
        yield


class Keys(keys.LiteLlm):
    """LiteLLM's keys, by the tests of the key."""

    server_port = 0


class Pages(Gateway):
    """The gateway's answers, by the tests of the smoke test."""

    server_port = 0


@dataclass
class Running:
    """A work in a world of its own: what it is started with, and what is in the books afterwards."""

    network: Network
    drive: Drive
    books: Books


def running(cloud: Cloud, drive: Callable[[Network], Told], books: Books, **hosts: Service) -> Running:
    named = {"slack": "slack.com", "litellm": "litellm", "gateway": "llm.example.com", "datadog": "api.datadoghq.com"}
    services = cloud.services() | {named.get(name, name): service for name, service in hosts.items()}
    if "slack" in hosts:
        services["files.slack.com"] = hosts["slack"]
    network = Network(services)
    once._unwritten.clear()  # another process
    return Running(network, lambda: drive(network), books)


def sentence(error: Exception) -> str:
    """What an error of a function says: only those of its own are sentences."""
    module = type(error).__module__
    own = module.split(".")[0] in ("shared", "onboarding", "usage", "datadog") or module.endswith("_handler")
    return str(error) if own else f"RAW {type(error).__name__}: {error}"


def cold() -> None:
    """What a process remembers of Parameter Store is gone, as after minutes."""
    DEFAULT_PROVIDERS["ssm"].store.clear()


def tried(network: Network, times: int, work: Callable[[], object]) -> Told:
    """An event that Lambda gives to a function so many times, and then to its failure's destination."""
    told: Told = []
    for _ in range(times):
        network.attempt()
        cold()
        try:
            work()
        except Exception as error:
            told = [sentence(error)]
        else:
            return []
    return told


@cache
def handler(name: str) -> ModuleType:
    """A handler of one file, loaded once."""
    return load_handler(name)


# --- Slack's side ----------------------------------------------------------------------------------------------------


class SlackBooks(fakes.FakeSlack):
    """Slack's state, with what only real clients ask for: of a workspace, or of an organization with two."""

    def __init__(self, *, organised: bool = False) -> None:
        groups = [str(RULES.approver_group), *(plan.seats for plan in REPORT.plans if plan.seats)]
        super().__init__(fakes.Outside(), {"T00000FIRST": [], forms.TEAM: groups} if organised else None)

    def respond(self, method: str, arguments: dict[str, Any]) -> dict[str, Any]:
        if method == "users.list":
            arguments |= {"limit": int(arguments["limit"]), "cursor": arguments.get("cursor", "")}
        match method:
            case "auth.test":
                return {"ok": True, "is_enterprise_install": self.organisation is not None, "user_id": "U0"}
            case "files.getUploadURLExternal":
                return {"ok": True, "upload_url": "https://files.slack.com/upload/1", "file_id": "F1"}
            case "files.completeUploadExternal":
                self.told.append((method, arguments))
                return {"ok": True, "files": [{"id": "F1"}]}
            case "functions.completeSuccess" | "functions.completeError":
                self.told.append((method, arguments))
                return {"ok": True}
            case "views.open" | "views.update":
                self.told.append((method, arguments))
                return {"ok": True, "view": {"id": "V1"}}
        return self._data(method, arguments)

    def service(self) -> Slack:
        return Slack(self.respond)


FAILED = re.compile("could not be made|作成できませんでした|^`failed`")
KEPT = {say("kept", language) for language in ("ja", "en")}


def _people(slack: SlackBooks) -> None:
    of: dict[str, Any] = {"team_id": forms.TEAM, "enterprise_user": {"enterprise_id": ORGANISATION}}
    slack.add(
        fakes.member("U000000SATO", ADDRESS, **of),
        fakes.member("U000000BOSS", "boss@example.com", **of),
        fakes.member("U0000CHIEF", "chief@example.com", locale="en-US", **of),
    )
    slack.approvers = ["U000000BOSS", "U0000CHIEF"]


@contextmanager
def installed_for(slack: SlackBooks) -> Iterator[None]:
    """The settings name what the app is installed for."""
    rules = RULES if slack.organisation is None else replace(RULES, workspace=ORGANISATION)
    with mock.patch.dict("os.environ", {"ONBOARDING": json.dumps(asdict(rules))}):
        environment.settings.cache_clear()
        yield
    environment.settings.cache_clear()


def _said(slack: SlackBooks) -> Counter[str]:
    """What people saw in Slack of something that was done; not that it waits or has failed."""
    found: Counter[str] = Counter()
    for method, told in slack.told:
        text = str(told.get("text", ""))
        if method in ("chat.postMessage", "chat.postEphemeral"):
            if text in KEPT or FAILED.search(text):
                continue
            word = "buttons" if told.get("blocks") else (re.match(r"`([\w ]+)`", text) or ["", "answer"])[1]
            found[f"{method} to {told['channel']}: {word}"] += 1
        elif method != "functions.completeError":  # to change a message twice, or end a step, is to do it once
            found[method] = 1
    return found


def _failed(slack: SlackBooks) -> Told:
    return [
        str(told["text"])
        for method, told in slack.told
        if method == "chat.postMessage" and FAILED.search(told["text"]) and not told["text"].startswith("`")
    ]


def _receives(event: Callable[[], dict[str, Any]], times: int, busy: str = "") -> Work:
    """What the receiver does with a request of Slack's, which comes so many times while it is answered with 5xx.

    `busy` is in the answer, or in what Slack shows, where the person is asked to do it again.
    """

    def start() -> Running:
        cloud, slack = Cloud(), SlackBooks()
        slack.add(fakes.member(forms.ASKER, "asker@example.com", locale="en-US"))

        def drive(network: Network) -> Told:
            told: Told = []
            for _ in range(times):
                network.attempt()
                cold()
                before = len(slack.told)
                answer = receiver.handler(event(), CONTEXT)
                seen = [str(one["text"]) for name, one in slack.told[before:] if name == "chat.postEphemeral"]
                if answer["statusCode"] == 200 and busy and busy in answer["body"]:
                    said = answer["body"]
                    return [next(iter(json.loads(said)["errors"].values())) if said.startswith("{") else said]
                if answer["statusCode"] == 200:
                    return seen
                told = [json.loads(answer["body"])["error"]]
            return told

        def books() -> Counter[str]:
            found = Counter(json.loads(body)["kind"] for body in cloud.queue.values())
            found.update(name for name, _ in slack.told if name in ("views.open",))
            return found

        return running(cloud, drive, books, slack=slack.service())

    return start


def _works(
    make: Callable[[SlackBooks, fakes.FakeLiteLlm], Callable[[int], Asked]],
    *,
    organised: bool = False,
) -> Work:
    """What the worker does with a request: delivered up to `ATTEMPTS` times, and then among the dead letters."""

    def start() -> Running:
        cloud, slack = Cloud(), SlackBooks(organised=organised)
        litellm = fakes.FakeLiteLlm(slack.outside)
        _people(slack)
        asked, begun = make(slack, litellm), [0]

        def drive(network: Network) -> Told:
            before = len(_failed(slack))
            for number in range(1, ATTEMPTS + 1):
                network.attempt()
                cold()
                attributes = {"ApproximateReceiveCount": str(number)}
                record = {"messageId": "m", "receiptHandle": "r", "body": to_json(asked(begun[0]))}
                with installed_for(slack):
                    answer = worker.handler({"Records": [{**record, "attributes": attributes}]}, CONTEXT)
                if not answer["batchItemFailures"]:
                    told = _failed(slack)[before:]
                    begun[0] += bool(told)  # who is told so asks again, which is another request
                    return told
            return ["It is among the dead letters, and waits for a person."]

        def books() -> Counter[str]:
            found = _said(slack)
            found.update(f"mail to {one}" for one in cloud.mails)
            for id_, user in litellm.users.items():
                closed = user["metadata"].get("scim_active") is False
                found[f"account {id_}, {'closed' if closed else 'open'}, {user['max_budget']:g} USD"] += 1
                found.update(f"key of {id_}" for key in user["keys"] if not key["blocked"])
            for team, members in litellm.teams.items():
                found.update(f"{one} in {team}" for one in members)
            return found

        return running(cloud, drive, books, slack=slack.service(), litellm=Manager(litellm))

    return start


def _creates(**more: Any) -> Work:  # noqa: ANN401 - fields of a request
    return _works(lambda *_: lambda begun: fakes.create(f"Fx{begun}", **more))


def _decides(slack: SlackBooks, litellm: fakes.FakeLiteLlm) -> Callable[[int], Asked]:
    def asked(begun: int) -> Asked:
        waiting = fakes.create(f"Fx{begun}", max_budget=500.0)
        return Decide(
            id=f"C1:{begun}",
            approve=True,
            by="U0000CHIEF",
            channel=RULES.audit_channel,
            message=f"{begun}.1",
            request=waiting,
        )

    return asked


def _left(slack: SlackBooks, litellm: fakes.FakeLiteLlm) -> None:
    slack.members["U000000SATO"]["deleted"] = True
    noted = {"onboarding": {"slack_user": "U000000SATO", "request": "Fx"}}
    litellm.add(ADDRESS, metadata=noted, keys=[{"token": "hash", "blocked": None}])


def _closes(slack: SlackBooks, litellm: fakes.FakeLiteLlm) -> Callable[[int], Asked]:
    _left(slack, litellm)
    return lambda _begun: Close(id="Ev1", who="U000000SATO")


def _sweeps(*, organised: bool = False) -> Running:
    cloud, slack = Cloud(), SlackBooks(organised=organised)
    litellm = fakes.FakeLiteLlm(slack.outside)
    _people(slack)
    _left(slack, litellm)

    def books() -> Counter[str]:
        found = _said(slack)
        found.update("closed" for user in litellm.users.values() if user["metadata"].get("scim_active") is False)
        found.update("blocked" for user in litellm.users.values() for key in user["keys"] if key["blocked"])
        return found

    def drive(network: Network) -> Told:
        with installed_for(slack):
            return tried(network, 3, lambda: sweep.handler({}, CONTEXT))

    return running(cloud, drive, books, slack=slack.service(), litellm=Manager(litellm))


def _bounces() -> Running:
    cloud, slack = Cloud(), SlackBooks()
    mail = {"eventType": "Reject", "mail": {"destination": [ADDRESS]}, "reject": {"reason": "Bad content"}}
    event = {"Records": [{"Sns": {"MessageId": "1", "Message": json.dumps(mail)}}]}

    def drive(network: Network) -> Told:
        return tried(network, 3, lambda: bounces.handler(event, CONTEXT))

    return running(cloud, drive, lambda: _said(slack), slack=slack.service())


# --- usage and bills -------------------------------------------------------------------------------------------------

_MODELS = {
    "claude-opus": "bedrock/us.anthropic.claude-opus-5-5",
    "gpt-azure": "azure/gpt-6.1-sol",
    "gpt": "openai/gpt-5.5",
    "claude": "anthropic/claude-opus-5-5",
    "gemini": "vertex_ai/gemini-3.8-flash",
    "gemini-studio": "gemini/gemini-3.8-flash",
}


class Figures(Service):
    """LiteLLM's exports: a row of each model on the first day that is asked for."""

    name = "LiteLLM"

    def answer(self, request: Request) -> Reply:
        if request.path == "/model/info":
            listed = [
                {"model_name": name, "litellm_params": {"model": model}, "model_info": {}}
                for name, model in _MODELS.items()
            ]
            return reply({"data": listed})
        columns = (
            "date,entity_id,model,api_requests,prompt_tokens,completion_tokens,cache_read_input_tokens,"
            "cache_creation_input_tokens,spend\n"
        )
        day, who = request.query["start_date"], "region:us-west-2" if "/tag/" in request.path else "ana@example.com"
        rows = "".join(f"{day},{who},{model},1,100,10,0,0,92\n" for model in _MODELS.values())
        return Reply(200, (columns + (rows if day[-2:] in ("01", "16") else "")).encode(), "text/csv; charset=utf-8")

    def call(self, request: Request) -> str:
        """All days are one kind of step."""
        return f"{request.method} {request.path}"

    def empty(self, request: Request) -> Reply:
        return reply({}) if request.path == "/model/info" else Reply(200, b"", "text/csv")


class BigQuery(Service):
    """The export of Google's bill: a query that is not finished at once, and its results in two pages."""

    name = "BigQuery"

    def call(self, request: Request) -> str:
        if request.method == "POST":
            return "jobs.query"
        return f"jobs.getQueryResults{' of a further page' if 'pageToken' in request.query else ''}"

    def answer(self, request: Request) -> Reply:
        if request.method == "POST":
            (service,) = (one for one in request.json["queryParameters"] if one["name"] == "service")
            job = "gemini" if service["parameterValue"]["value"] == google_bill.GEMINI_SERVICE else "vertex"
            return reply({"jobReference": {"jobId": job, "location": "EU"}, "jobComplete": False})
        further, kind = "pageToken" in request.query, "input" if "pageToken" in request.query else "output"
        sku = {
            "vertex": f"Gemini 3.8 Flash Global Text {kind.title()} - Predictions",
            "gemini": f"Generate content {kind} token count gemini 3.8 flash text",
        }[request.path.rpartition("/")[2]]
        fields = [{"name": name} for name in ("name", "place", "cost", "credits", "amount")]
        row = {"f": [{"v": value} for value in (sku, "global", "46.0", "0.0", "1.0")]}
        more = {} if further else {"pageToken": "1"}
        return reply({"jobComplete": True, "schema": {"fields": fields}, "rows": [row], **more})


@contextmanager
def a_day(module: ModuleType) -> Iterator[None]:
    """A week or a month has one day: each of its requests is like the first."""
    ended = module.Period.ended_before

    def short(kind: str, moment: datetime) -> Period:
        found = ended(kind, moment)
        return Period(found.kind, found.first, found.first)

    with mock.patch.object(module.Period, "ended_before", short):
        yield


def _reports(*, organised: bool = False) -> Running:
    cloud, slack = Cloud(), SlackBooks(organised=organised)
    slack.add(fakes.member("U000000SATO", ADDRESS))
    slack.approvers = ["U000000SATO"]

    def drive(network: Network) -> Told:
        report._posted.clear()  # started by hand, it is another delivery
        before = len(slack.told)

        def week() -> None:
            with a_day(report), mock.patch("usage.chart.png", lambda *_: b"a picture"):
                report.handler({"period": "week", "time": DUE}, CONTEXT)

        told = tried(network, 3, week)
        threads = [one for name, one in slack.told[before:] if name == "chat.postMessage" and one.get("thread_ts")]
        return told + [str(one["text"]) for one in threads]

    def books() -> Counter[str]:
        found: Counter[str] = Counter()
        for name, told in slack.told:
            if name == "chat.postMessage" and not told.get("thread_ts"):
                found["report"] += 1
            if name == "files.completeUploadExternal":
                found["files"] += 1
        return found

    return running(cloud, drive, books, slack=slack.service(), litellm=Figures())


def _bills() -> Running:
    cloud, slack = Cloud(), SlackBooks()

    def azure(request: Request) -> tuple[int, Any]:
        columns = [{"name": name} for name in ("CostUSD", "UsageQuantity", "ResourceId", "Meter")]
        row = [92.0, 1.0, "/subscriptions/s/accounts/us-west-2", "6.1 sol Inp glbl Tokens"]
        return 200, {"properties": {"columns": columns, "rows": [row]}}

    def page(row: dict[str, Any]) -> tuple[int, Any]:
        return 200, {"data": [{"results": [row]}], "has_more": False}

    cost = {"amount": {"value": 92.0, "currency": "usd"}, "line_item": "gpt-5.5, input", "project_id": "proj_1"}
    claude = {"workspace_id": None, "model": "claude-opus-5-5", "service_tier": "standard"}
    billed = {**claude, "currency": "USD", "amount": "9200", "description": "Claude Opus 5.5 Usage - Input Tokens"}
    used = dict.fromkeys(("uncached_input_tokens", "cache_read_input_tokens", "output_tokens"), 1)
    written = {"cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0}}
    others = {
        "login.microsoftonline.com": Json("Microsoft", lambda _: (200, {"access_token": TOKEN})),
        "management.azure.com": Json("Azure", azure),
        "oauth2.googleapis.com": Json("Google", lambda _: (200, {"access_token": TOKEN, "expires_in": 3599})),
        "bigquery.googleapis.com": BigQuery(),
        "api.openai.com": Json("OpenAI", lambda _: page({**cost, "quantity": 100, "quantity_unit": "tokens"})),
        "api.anthropic.com": Json(
            "Anthropic",
            lambda request: page(
                {**billed, "token_type": "uncached_input_tokens", "context_window": "0-200k"}
                if request.path.endswith("cost_report")
                else {**claude, **used, **written}
            ),
        ),
    }
    measured: Counter[str] = Counter()

    def drive(network: Network) -> Told:
        bill._posted.clear()
        measured.clear()

        def month() -> None:
            measure = mock.patch.object(bill, "_measure", lambda one, _: measured.update({one.provider: 1}))
            with a_day(bill), measure:
                bill.handler({"time": "2026-11-05T03:00:00Z"}, CONTEXT)

        slack.told.clear()  # what is told is of this start
        told = tried(network, 3, month)
        posts = [one for name, one in slack.told if name == "chat.postMessage"]
        return told + [str(one["text"]) for one in posts if "not read" in one["text"] or one.get("thread_ts")]

    def books() -> Counter[str]:
        found = Counter({f"measured {provider}": 1 for provider in measured})
        for name, told in slack.told:
            if name == "chat.postMessage" and not told.get("thread_ts"):
                found["comparison"] += 1
            if name == "files.completeUploadExternal":
                found["table"] += 1
        return found

    return running(cloud, drive, books, slack=slack.service(), litellm=Figures(), **others)


# --- a deployment's --------------------------------------------------------------------------------------------------


class Inline:
    """A pool that does each thing at once, so that the steps are in one order."""

    def __init__(self, **_: Any) -> None:  # noqa: ANN401 - a pool's arguments
        pass

    def __enter__(self) -> Inline:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def submit(self, work: Callable[..., Any], *arguments: Any) -> Future[Any]:  # noqa: ANN401 - any work
        done: Future[Any] = Future()
        done.set_result(work(*arguments))
        return done


class Public(Service):
    """The gateway at its public name."""

    name = "The gateway"

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def answer(self, request: Request) -> Reply:
        status, kind, headers, data = self._gateway.answer(request.path, request.json if request.body else {})
        return Reply(status, data, kind, headers)

    def empty(self, request: Request) -> Reply:
        return Reply(200, b"", "text/html") if "/ui/" in request.path or "/x/" in request.path else reply({})


def _smokes() -> Running:
    cloud = Cloud()
    with unbound():
        gateway = Pages()
    module, found = handler("smoke"), Counter[str]()

    def drive(network: Network) -> Told:
        found.clear()
        variables = {"KEY": "SMOKE_KEY", "SLEEP_FUNCTION": "sleep"}
        with mock.patch.dict("os.environ", variables), mock.patch.object(module, "ThreadPoolExecutor", Inline):
            network.attempt()
            try:
                result = module.handler({}, None)
            except Exception as error:
                return [sentence(error)]
        assert result["passed"] == all(check["passed"] for check in result["checks"])
        found["passed"] += result["passed"]
        return [check["detail"] for check in result["checks"] if not check["passed"]]

    return running(cloud, drive, lambda: +found, gateway=Public(gateway))


class Clock:
    """Lambda's context: what is left of a function's time, as it waits."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def get_remaining_time_in_millis(self) -> int:
        return int((self._end - time.monotonic()) * 1000)


def _objects(kind: str, request: str) -> Work:
    """What CloudFormation has made, changed or removed in Datadog."""

    def start() -> Running:
        cloud, there = Cloud(), objects.FakeDatadog()
        definition = objects.KINDS[kind]
        event: objects.Json = {
            "RequestType": request,
            "StackId": objects.STACK,
            "LogicalResourceId": kind,
            "ResourceType": f"Custom::Datadog{kind}",
            "ResourceProperties": {"Definition": json.dumps(definition)},
        }

        def ask(request: Request) -> tuple[int, Any]:
            query = f"{request.path}?{'&'.join(f'{name}={value}' for name, value in request.query.items())}"
            return there.answer(request.method, query, request.json if request.body else {})

        if request != "Create":
            objects_of = {"Dashboard": "dashboard", "Monitor": "monitor", "LogsMetric": "metric"}
            marker = f"cloudformation:{objects.STACK.rsplit('/', 1)[-1]}/{kind}".lower()
            number = definition["data"]["id"] if kind == "LogsMetric" else 7 if kind == "Monitor" else "abc-def-7"
            old = json.loads(json.dumps(definition))
            if kind == "LogsMetric":
                old["data"]["attributes"]["filter"]["query"] = "another"
            else:
                old |= {"id": number, "widgets": []} if kind == "Dashboard" else {"id": number, "message": "Old"}
                old |= {"tags": ["env:dev", marker]} if kind == "Monitor" else {"description": f"Old.\n\n{marker}"}
            there.objects[f"{there.PATHS[objects_of[kind]]}/{number}"] = old
            event["PhysicalResourceId"] = str(number)

        def drive(network: Network) -> Told:
            return tried(network, 1, lambda: datadog.handler.handler(event, Clock(600)))

        def books() -> Counter[str]:
            new = Counter[str]()
            for path, one in there.objects.items():
                text = json.dumps(one)
                new[f"{path.rpartition('/')[0]} {'old' if 'Old' in text or 'another' in text else 'new'}"] += 1
            return new

        return running(cloud, drive, books, datadog=Json("Datadog", ask))

    return start


def _waits(module: ModuleType, event: dict[str, Any], network: Network) -> Told:
    """The CDK's provider framework: one call that begins, and one a minute until it is complete; an error is told."""
    try:
        network.attempt()
        answer = module.on_event(event, None)
        whole = event | answer
        for _ in range(30):
            network.attempt()
            if module.is_complete(whole, None)["IsComplete"]:
                return []
            time.sleep(60)
    except Exception as error:
        return [sentence(error)]
    return ["RAW operation timed out"]


def _keys(request: str) -> Work:
    def start() -> Running:
        cloud, module = Cloud(), handler("litellm_key")
        with unbound():
            litellm = Keys()
        event = keys._event(request)
        if request == "Delete":
            event |= {"PhysicalResourceId": "onboarding-0123456789ab"}
            litellm.users[keys.USER] = {}
            litellm.keys["onboarding-0123456789ab"] = {}
            with mock.patch.dict("os.environ", {"KEY": "ONBOARDING_KEY"}):
                described = module._description("onboarding-0123456789ab")
            cloud.versions[f"{PREFIX}/ONBOARDING_KEY"][0]["Description"] = described
        else:
            del cloud.versions[f"{PREFIX}/ONBOARDING_KEY"]

        def ask(request: Request) -> tuple[int, Any]:
            query = {name: [value] for name, value in request.query.items()}
            return litellm.answer(request.path, query, request.json if request.body else {})

        def drive(network: Network) -> Told:
            with mock.patch.dict("os.environ", {"KEY": "ONBOARDING_KEY"}):
                return _waits(module, event, network)

        def books() -> Counter[str]:
            stored = cloud.stored().get(f"{PREFIX}/ONBOARDING_KEY")
            found = Counter({"keys": len(litellm.keys), "users": len(litellm.users), "parameters": bool(stored)})
            if request == "Create" and litellm.keys:
                found["the stored key is the one in use"] = stored == "".join(litellm.values[-1:])
            return +found

        return running(cloud, drive, books, litellm=Json("LiteLLM", ask))

    return start


def _migrates() -> Running:
    cloud = Cloud()

    def drive(network: Network) -> Told:
        return _waits(handler("migration"), migrations._event("Create"), network)

    return running(cloud, drive, lambda: Counter(f"task of {one}" for one in cloud.tasks))


def _credentials(request: str) -> Work:
    """The SMTP credentials: made, rotated by another label, removed."""

    def start() -> Running:
        cloud, module = Cloud(), handler("smtp_credentials")
        formation = smtp.CloudFormation(module)
        if request != "Create":
            cloud.keys["AKIAIOSFODNN7BEFORE"] = "a-secret-of-the-key-before"
            formation.resource, formation.label = module._physical_id("AKIAIOSFODNN7BEFORE"), "1"
            described = module._description(formation.resource, "1")
            for name in (smtp.USERNAME, smtp.PASSWORD):
                cloud.versions[name] = [{"Name": name, "Version": 1, "Value": "before", "Description": described}]
        before = (formation.resource, formation.label)

        def update() -> None:
            formation.update("2")
            formation.finish()

        work = {"Create": lambda: formation.create("1"), "Update": update, "Delete": formation.delete}[request]

        def drive(network: Network) -> Told:
            formation.resource, formation.label = before  # what a failed update leaves CloudFormation with
            return tried(network, 1, work)

        return running(cloud, drive, lambda: _credentials_in(cloud))

    return start


def _credentials_in(cloud: Cloud) -> Counter[str]:
    found = Counter(f"key {'before' if key.endswith('BEFORE') else 'new'}" for key in cloud.keys)
    stored = {name: value for name, value in cloud.stored().items() if name in (smtp.USERNAME, smtp.PASSWORD)}
    found.update(f"{name} {'before' if value == 'before' else 'new'}" for name, value in stored.items())
    found["the stored key is one that is there"] = stored.get(smtp.USERNAME) in cloud.keys
    return +found


def _sleeps(event: dict[str, Any], *, asleep: bool) -> Work:
    def start() -> Running:
        cloud = Cloud()
        if not asleep:
            cloud.first, cloud.capacity = sleeping.ASLEEP_RULE, (0, 0)

        def drive(network: Network) -> Told:
            times = 1 if "RequestType" in event else 3
            return tried(network, times, lambda: handler("sleep").handler(event, Clock(600)))

        def books() -> Counter[str]:
            return Counter([f"tasks {cloud.capacity}", "asleep" if cloud.first == sleeping.ASLEEP_RULE else "awake"])

        return running(cloud, drive, books)

    return start


@dataclass(frozen=True)
class Row:
    """A kind of work, and what is allowed of it where a dependency is gone, beside the one of all: it is done once.

    `told` is who hears in one sentence that it is not done, and `look` where there is more: docs/functions.md has both.
    Afterwards it can be started again, and is then done once. `repeats` are the calls that may be done twice where
    their answer was lost, as nobody can know of them. `unsaid` is in the log alone where Slack does not take it, and
    `leaves` is left where LiteLLM stays gone, which is taken for gone for good.
    """

    work: Work
    function: str  # in lambda/
    told: str
    look: str
    repeats: frozenset[str] = frozenset()
    unsaid: frozenset[str] = frozenset()
    leaves: frozenset[str] = frozenset()


POST, FILES = "Slack chat.postMessage", "Slack files.completeUploadExternal"
DEAD = "Who asked, by Slack, or the alarm `DeadLetters`"
SENT_ON = "The worker's log has the reason; [send it on](operations/accounts-from-slack.md)"
EVENTS = "The stack's events have the sentence; deploy again"
MAILED = frozenset({POST, "SES SendEmail"})
SLACK_SENDS = "Slack, to whom it is answered 503, which sends it again up to three times"
SCHEDULED = "Three attempts, then the alarms on its errors and on `Undelivered`"


def _row(function: str, work: Work, told: str, look: str, **allowed: frozenset[str]) -> Row:
    return Row(work, function, told, look, **allowed)


WORKS: dict[str, Row] = {
    "The form is opened": _row(
        "onboarding/receiver",
        _receives(lambda: slack_requests.command(forms.COMMAND), 1, modal.TEXTS["en"].not_opened),
        "Who typed the command",
        "The receiver's log; type it again",
        repeats=frozenset({"Slack views.open"}),
    ),
    "A form is sent": _row(
        "onboarding/receiver",
        _receives(lambda: slack_requests.interaction(forms.submission()), 1, '"response_action": "errors"'),
        "Who sent it: the form stays open, with the answers in it",
        "The receiver's log; send it again",
    ),
    "A workflow's step asks": _row(
        "onboarding/receiver",
        _receives(lambda: slack_requests.event(forms.step()), 4),
        SLACK_SENDS,
        "The receiver's log; the step stays open in Slack",
    ),
    "Slack tells who has left": _row(
        "onboarding/receiver",
        _receives(lambda: slack_requests.event(forms.left()), 4),
        SLACK_SENDS,
        "The receiver's log; the daily sweep finds it",
    ),
    "An approver clicks": _row(
        "onboarding/receiver",
        _receives(lambda: slack_requests.interaction(forms.click()), 1),
        "The approver, and nobody else in the channel",
        "The receiver's log; the buttons stay",
    ),
    "An account is made": _row("onboarding/worker", _creates(execution="Fx1"), DEAD, SENT_ON, repeats=MAILED),
    "A larger budget is asked for": _row(
        "onboarding/worker", _creates(max_budget=500.0), DEAD, SENT_ON, repeats=MAILED
    ),
    "An approver's yes is heard": _row("onboarding/worker", _works(_decides), DEAD, SENT_ON, repeats=MAILED),
    "An account is closed": _row(
        "onboarding/worker", _works(_closes), "The alarm `DeadLetters`", SENT_ON, repeats=frozenset({POST})
    ),
    "The daily sweep": _row(
        "onboarding/sweep", _sweeps, SCHEDULED, "Its log; the next day does it", repeats=frozenset({POST})
    ),
    "An approver's yes is heard, in an organization": _row(
        "onboarding/worker", _works(_decides, organised=True), DEAD, SENT_ON, repeats=MAILED
    ),
    "The daily sweep of an organization": _row(
        "onboarding/sweep",
        partial(_sweeps, organised=True),
        SCHEDULED,
        "Its log; the next day does it",
        repeats=frozenset({POST}),
    ),
    "A mail did not arrive": _row(
        "onboarding/bounces",
        _bounces,
        SCHEDULED,
        "The queue `Undelivered` has the event",
        repeats=frozenset({POST}),
    ),
    "The report": _row(
        "usage/report",
        _reports,
        f"{SCHEDULED}; its thread, where only the files are missing",
        "Its log; start it once more",
        repeats=frozenset({POST, FILES}),
        unsaid=frozenset({"files"}),
    ),
    "The report of an organization": _row(
        "usage/report",
        partial(_reports, organised=True),
        f"{SCHEDULED}; its thread, where only the files are missing",
        "Its log; start it once more",
        repeats=frozenset({POST, FILES}),
        unsaid=frozenset({"files"}),
    ),
    "The comparison with the bill": _row(
        "usage/bill",
        _bills,
        f"{SCHEDULED}; its message names a bill that was not read",
        "Its log; start it once more",
        repeats=frozenset({POST, FILES}),
        unsaid=frozenset({"table"}),
    ),
    "The smoke test": _row(
        "smoke",
        _smokes,
        "The pipeline, or who ran `make smoke`: each check has its sentence",
        "What the sentence names",
    ),
    **{
        f"A {objects_of[0]} is {objects_of[1]}": _row(
            "datadog", _objects(objects_of[2], objects_of[3]), "CloudFormation, and with it the deployment", EVENTS
        )
        for objects_of in (
            ("dashboard", "made", "Dashboard", "Create"),
            ("monitor", "made", "Monitor", "Create"),
            ("monitor", "changed", "Monitor", "Update"),
            ("monitor", "removed", "Monitor", "Delete"),
            ("dashboard", "changed", "Dashboard", "Update"),
            ("dashboard", "removed", "Dashboard", "Delete"),
            ("metric", "made", "LogsMetric", "Create"),
            ("metric", "changed", "LogsMetric", "Update"),
            ("metric", "removed", "LogsMetric", "Delete"),
        )
    },
    "A key of LiteLLM is made": _row("litellm_key", _keys("Create"), "CloudFormation, after ten minutes", EVENTS),
    "A key of LiteLLM is removed": _row(
        "litellm_key",
        _keys("Delete"),
        "CloudFormation. Where LiteLLM stays gone for two minutes, the log alone: its keys go with it",
        EVENTS,
        leaves=frozenset({"keys", "users"}),
    ),
    "The database is migrated": _row("migration", _migrates, "CloudFormation; the service stays as it was", EVENTS),
    "SMTP credentials are made": _row("smtp_credentials", _credentials("Create"), "CloudFormation", EVENTS),
    "SMTP credentials are changed": _row("smtp_credentials", _credentials("Update"), "CloudFormation", EVENTS),
    "SMTP credentials are removed": _row("smtp_credentials", _credentials("Delete"), "CloudFormation", EVENTS),
    "The gateway falls asleep": _row(
        "sleep",
        _sleeps({"to": "asleep"}, asleep=True),
        "Three attempts, then the alarm on its errors",
        "Its log; `make sleep`",
    ),
    "The gateway is woken": _row(
        "sleep",
        _sleeps({"to": "awake"}, asleep=False),
        "Who ran `make wake`, or the alarm on its errors",
        "Its log; `make wake`",
    ),
    "A deployment wakes it": _row("sleep", _sleeps({"RequestType": "Update"}, asleep=False), "CloudFormation", EVENTS),
}
