"""Releases are promoted through three environments in two accounts, and taken away again, by the operators' commands.

Each release is a checkout of its own, of the company `two-accounts`, in which somebody has edited something: an image
by its digest, and an assembly that is synthesized once. Two are well and reach all environments; two go no further than
dev, one with a migration that fails and one that does not pass its smoke test.
Meanwhile somebody calls every environment. All of it happens once (`history`), and each test looks at one side of it.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import httpx
import pytest
from aws_cdk import App, BootstraplessSynthesizer

from local import assets
from local.callers import OFFICE
from local.gateway import LocalGateway, outside_of, start_emulator
from local.outside.images import PIXEL
from local.outside.passed import ANSWERED
from local.outside.records import Fault
from local.refusals import ROLES
from ops.secrets import required_secrets
from stacks import CHECKOUT
from stacks.company import load
from stacks.releases.image import REPOSITORY, ImageStack, build_context
from stacks.settings import Environment
from tests.checkout import copy_checkout
from tests.e2e.conftest import callers, eventually
from tests.e2e.test_edge import AWS
from tests.e2e.test_edge import pytestmark as two_addresses

OWN = "tests/companies/two-accounts"
RELEASES_ACCOUNT, OTHER_ACCOUNT = "111111111111", "222222222222"
ELSEWHERE = "arn:aws:iam::444444444444:role/bedrock-caller"
PROFILE = "litellm-prod-data-eng"

REGION = "ap-northeast-1"
CDK = ("node", str(CHECKOUT / "node_modules" / "aws-cdk" / "bin" / "cdk"))
ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"
PAUSE = 0.5  # seconds between a caller's requests: much else is to be done on this machine
OTHER_AZURE = "not-ours"  # a resource that does not take our key

Edits = Mapping[str, tuple[str, str]]  # by file: what is replaced, and by what

NEW_MODEL = """model_list:
  - model_name: gpt-6-luna-new
    litellm_params:
      model: azure/gpt-6-luna
      api_base: os.environ/AZURE_API_BASE
      api_key: os.environ/AZURE_API_KEY
      api_version: "2025-04-01-preview"
"""
ADDED_MODEL = {f"{OWN}/config.yaml": ("model_list:\n", NEW_MODEL)}
FAILING_MIGRATION = {"container/entrypoint.sh": ("set -eu\n", "set -eu\n[ $DISABLE_SCHEMA_UPDATE = true ] || exit 3\n")}
WRONG_AZURE = {f"{OWN}/environments.py": ("RELEASES_ACCOUNT)", f'RELEASES_ACCOUNT, azure="{OTHER_AZURE}")')}
EVERYWHERE = ("dev", "stg", "prod")
# By name: what was edited, and where it goes. What goes to dev only is synthesized for it alone, in half the time.
RELEASES: Mapping[str, tuple[Edits, tuple[str, ...]]] = {
    "first": ({}, EVERYWHERE),
    "second": (ADDED_MODEL, EVERYWHERE),
    "failing-migration": (ADDED_MODEL | FAILING_MIGRATION, ("dev",)),
    "wrong-azure": (ADDED_MODEL | WRONG_AZURE, ("dev",)),
}

Done = subprocess.CompletedProcess[str]


@dataclass(frozen=True)
class Release:
    """A checkout with its image; the assembly is in its `cdk.out`."""

    folder: Path
    image: str

    def command(self, module: str, *arguments: str, access: Mapping[str, str]) -> Done:
        """Run an operators' command in this checkout."""
        return _run(self.folder, access, sys.executable, "-m", f"ops.{module}", *arguments)

    def templates(self, environment: str) -> dict[str, Any]:
        """The synthesized templates of an environment, by the stack's name."""
        folder = self.folder / "cdk.out" / f"assembly-{environment}"
        artifacts = json.loads((folder / "manifest.json").read_text())["artifacts"].values()
        return {
            stack["properties"]["stackName"]: json.loads((folder / stack["properties"]["templateFile"]).read_text())
            for stack in artifacts
            if stack["type"] == "aws:cloudformation:stack"
        }


class Company:
    """Two AWS accounts, three environments to be deployed to them, and their releases: a context manager."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        own = load(CHECKOUT / OWN)
        settings = own.environments
        config = settings["dev"].litellm_config(own.config)
        self.outside = outside_of(settings["dev"], config, folder / "outside")
        self.gateways = {
            name: LocalGateway(
                folder / name, own=own, environment=each, outside=self.outside, checkout=folder / "first"
            )
            for name, each in settings.items()
        }
        self._pool = ThreadPoolExecutor()
        self._releases: dict[str, Future[Release]] = {}
        self._running = ExitStack()

    def __enter__(self) -> Self:
        """Have everything that there is before the first release."""
        with ExitStack() as starting:
            starting.enter_context(self._pool)
            starting.enter_context(self.outside)
            self.outside.set_fault(f"{OTHER_AZURE}.openai.azure.com", Fault(status=401))
            databases = starting.enter_context(ExitStack())  # to be ended after the tasks that use them
            self.emulator = start_emulator(self._folder / "aws", self.outside, *self.gateways.values())
            starting.callback(self.emulator.stop)
            for gateway in self.gateways.values():
                gateway.use(self.emulator)
            self._deploy_repository()
            trust = ("--trust", RELEASES_ACCOUNT, "--cloudformation-execution-policies", ADMINISTRATOR)
            steps = (
                self.release("first"),
                self._pool.submit(self._bootstrap, RELEASES_ACCOUNT),
                self._pool.submit(self._bootstrap, OTHER_ACCOUNT, *trust),
            )
            for step in steps:
                step.result()
            self._store_secrets()
            for database in self._pool.map(LocalGateway.start_postgres, self.gateways.values()):
                databases.enter_context(database)
            self._running = starting.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """End it all."""
        self._running.close()

    def release(self, name: str) -> Future[Release]:
        """Have one of `RELEASES` made, once for all who ask for it."""
        if name not in self._releases:
            self._releases[name] = self._pool.submit(self._make, name, *RELEASES[name])
        return self._releases[name]

    def _make(self, name: str, edits: Edits, targets: Iterable[str]) -> Release:
        """Edit a copy of the checkout, build and push its image, and synthesize the targets' stacks with that."""
        folder, access = self._folder / name, self.emulator.environment(RELEASES_ACCOUNT)
        copy_checkout(folder)
        for file, (old, new) in edits.items():
            text = (folder / file).read_text()
            assert old in text, f"{file} does not have {old!r}"
            (folder / file).write_text(text.replace(old, new, 1))
        repository = f"{RELEASES_ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{REPOSITORY}"
        context = str(build_context(folder / "container", folder / OWN / "config.yaml"))
        for command in (("build", "--tag", f"{repository}:{name}", context), ("push", f"{repository}:{name}")):
            _well(_run(folder, access, access["CDK_DOCKER"], *command))
        ecr = self.gateways["dev"].client("ecr")
        (pushed,) = ecr.describe_images(repositoryName=REPOSITORY, imageIds=[{"imageTag": name}])["imageDetails"]
        image = f"{repository}@{pushed['imageDigest']}"
        chosen = ("-c", f"image={image}", "-c", f"environments={','.join(targets)}")
        _well(_run(folder, access, *CDK, "synth", "--quiet", *chosen))
        assets.share(folder / "cdk.out")
        return Release(folder, image)

    def deploy(self, name: str, environment: str) -> Done:
        """Take a release to an environment.

        Whoever does it is of the environment's own account, but for stg's, whose roles the other account assumes.
        """
        roles = ("--assume-roles",) if environment == "stg" else ()
        account = RELEASES_ACCOUNT if roles else self.gateways[environment].environment.account
        target = ("--env", environment, "--app", "cdk.out", "--yes", *roles)
        release = self.release(name).result()
        return release.command("release", "deploy", *target, access=self.emulator.environment(account))

    def destroy(self, environment: str) -> Done:
        """Remove an environment."""
        confirmed = ("--env", environment, "--yes-i-mean", environment, "--app", "cdk.out")
        return self.release("second").result().command("destroy", *confirmed, access=self.gateways[environment].access)

    def _bootstrap(self, account: str, *arguments: str) -> None:
        command = (*CDK, "bootstrap", f"aws://{account}/{REGION}", "--app", "", "--no-notices", *arguments)
        _well(_run(CHECKOUT, self.emulator.environment(account), *command))

    def _deploy_repository(self) -> None:
        """The stack of the images' repository, as `make pipeline` deploys it: its policy lets the accounts pull."""
        app, accounts = App(), frozenset(each.environment.account for each in self.gateways.values())
        stack = ImageStack(app, "Image", accounts=accounts, synthesizer=BootstraplessSynthesizer())
        cloudformation = self.gateways["dev"].client("cloudformation")
        template = app.synth().get_stack_by_name(stack.stack_name).template
        cloudformation.create_stack(StackName=stack.stack_name, TemplateBody=json.dumps(template))
        waiter = cloudformation.get_waiter("stack_create_complete")
        waiter.wait(StackName=stack.stack_name, WaiterConfig={"Delay": 1, "MaxAttempts": 60})

    def _store_secrets(self) -> None:
        for gateway in self.gateways.values():
            gateway.store_secrets()


@dataclass(frozen=True)
class State:
    """What is deployed in an environment, and what it does."""

    templates: Mapping[str, Any]  # by the stack's name, as the rest
    outputs: Mapping[str, Any]
    parameters: Mapping[str, str]
    container: Mapping[str, Any]  # of the running task
    digest: str  # of the image that it runs
    models: frozenset[str]

    @classmethod
    def of(cls, gateway: LocalGateway) -> State:
        """Look at everything, through AWS's API and the gateway's."""
        cloudformation, ecs, ssm = (gateway.client(service) for service in ("cloudformation", "ecs", "ssm"))
        stacks = [
            stack
            for stack in cloudformation.describe_stacks()["Stacks"]
            if stack["StackName"].startswith(f"litellm-{gateway.environment.name}-")
        ]
        pages = ssm.get_paginator("get_parameters_by_path").paginate(
            Path=gateway.environment.parameter_prefix, WithDecryption=True
        )
        cluster = gateway.secret("cluster")
        (arn,) = ecs.list_tasks(cluster=cluster, desiredStatus="RUNNING")["taskArns"]
        (task,) = ecs.describe_tasks(cluster=cluster, tasks=[arn])["tasks"]
        definition = ecs.describe_task_definition(taskDefinition=task["taskDefinitionArn"])["taskDefinition"]
        return cls(
            templates={
                stack["StackName"]: cloudformation.get_template(StackName=stack["StackName"])["TemplateBody"]
                for stack in stacks
            },
            outputs={stack["StackName"]: stack.get("Outputs") for stack in stacks},
            parameters={each["Name"]: each["Value"] for page in pages for each in page["Parameters"]},
            container=definition["containerDefinitions"][0],
            digest=task["containers"][0]["imageDigest"],
            models=frozenset(model["id"] for model in gateway.api("GET", "/v1/models").json()["data"]),
        )


@dataclass(frozen=True)
class History:
    """What happened."""

    done: Mapping[tuple[str, str], Done]  # the deployments by release and environment
    states: Mapping[tuple[str, str], State]  # after them
    statuses: Mapping[str, Sequence[int]]  # of the callers' answers, by environment


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    """What there is before the first release."""
    with Company(tmp_path_factory.mktemp("company")) as company:
        yield company


@pytest.fixture(scope="module")
def history(company: Company) -> History:
    """Promote the releases: each goes from one environment to the next, and is followed by the next one."""
    done: dict[tuple[str, str], Done] = {}
    states: dict[tuple[str, str], State] = {}
    statuses: dict[str, list[int]] = {}

    def deploy(name: str, environment: str, before: Future[None] | None) -> None:
        if before:
            before.result()
        done[name, environment] = company.deploy(name, environment)
        if "stg" in RELEASES[name][1]:
            _well(done[name, environment])
        states[name, environment] = State.of(company.gateways[environment])
        if environment not in statuses:
            gateway = company.gateways[environment]
            key = gateway.user_key("somebody@example.com")
            statuses[environment] = calling.enter_context(callers(gateway, key, pause=PAUSE))

    with ExitStack() as calling:
        # An environment takes one release at a time.
        turns = {name: calling.enter_context(ThreadPoolExecutor(max_workers=1)) for name in EVERYWHERE}
        steps: list[Future[None]] = []
        for name, (_, targets) in RELEASES.items():
            company.release(name)  # made while others are deployed
            before = None
            for environment in targets:
                before = turns[environment].submit(deploy, name, environment, before)
                steps.append(before)
        for step in steps:
            step.result()
    return History(done, states, statuses)


def _run(folder: Path, access: Mapping[str, str], *command: str) -> Done:
    # The rules have a test of their own, and would take as long as the rest of a synthesis.
    own = {"COMPANY": OWN, "CDK_VALIDATION": "false", "CDK_DISABLE_CLI_TELEMETRY": "true"}
    environment = {**os.environ, **own, **access}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def _well(done: Done) -> Done:
    assert done.returncode == 0, f"{done.args}: {done.stdout[-3000:]}{done.stderr[-3000:]}"
    return done


@pytest.mark.parametrize("environment", EVERYWHERE)
@pytest.mark.parametrize("name", ["first", "second"])
def test_a_release_reaches_every_environment_unchanged(
    company: Company, history: History, name: str, environment: str
) -> None:
    release, state = company.release(name).result(), history.states[name, environment]
    assert f"{environment} has the release." in _well(history.done[name, environment]).stdout
    assert state.digest == release.image.partition("@")[2]
    assert state.templates == release.templates(environment)
    assert ("gpt-6-luna-new" in state.models) == (name == "second")


def test_no_request_is_lost(history: History) -> None:
    answers = {environment: {*statuses} for environment, statuses in history.statuses.items()}
    assert answers == {"dev": {200}, "stg": {200}, "prod": {200}}
    assert all(len(statuses) > 50 for statuses in history.statuses.values())


def asked(gateway: LocalGateway, model: str, text: str = "Hello", **more: Any) -> str:  # noqa: ANN401 - any JSON
    body = {"model": model, "messages": [{"role": "user", "content": text}], **more}
    answer = gateway.api("POST", "/v1/chat/completions", json=body)
    assert answer.is_success, answer.text
    return answer.text


@pytest.mark.parametrize("environment", EVERYWHERE)
def test_a_model_of_another_account_is_called_by_its_role(company: Company, history: History, environment: str) -> None:
    asked(company.gateways[environment], "nova-2-lite-elsewhere")
    decided = [json.loads(line) for line in company.emulator.decisions.read_text().splitlines()]
    own = company.gateways[environment].environment
    asked_for = {
        one["action"]
        for one in decided
        if one["resource"] == ELSEWHERE and one["principal"].split("/")[1].startswith(own.task_role.rstrip("*"))
    }
    assert asked_for == {"sts:AssumeRole", "sts:TagSession"}
    assert all(one["allowed"] for one in decided if one["resource"] == ELSEWHERE)


def test_a_profile_that_the_deployment_made_is_called(company: Company, history: History) -> None:
    gateway = company.gateways["prod"]
    asked(gateway, "nova-2-lite-data-eng")
    profiles = gateway.client("bedrock").list_inference_profiles(typeEquals="APPLICATION")["inferenceProfileSummaries"]
    (arn,) = (each["inferenceProfileArn"] for each in profiles if each["inferenceProfileName"] == PROFILE)
    called = [call for call in company.outside.journal.calls() if call.model == arn]
    assert called
    assert company.outside.bills.cost(called[-1])


def test_documents_are_reranked_and_paid_for(company: Company, history: History) -> None:
    documents = ["A cat sleeps.", "The capital of Japan is Tokyo.", "Tokyo is large."]
    body = {"model": "cohere-rerank-v3-5", "query": "capital of Japan", "documents": documents, "top_n": 2}
    answer = company.gateways["prod"].api("POST", "/v1/rerank", json=body)
    assert answer.is_success, answer.text
    assert [each["index"] for each in answer.json()["results"]] == [1, 0]
    assert float(answer.headers["x-litellm-response-cost"]) > 0


@pytest.mark.parametrize("model", ["nova-canvas", "gpt-image-1"])
def test_an_image_is_made_and_paid_for(company: Company, history: History, model: str) -> None:
    answer = company.gateways["prod"].api("POST", "/v1/images/generations", json={"model": model, "prompt": "A pixel"})
    assert answer.is_success, answer.text
    assert answer.json()["data"][0]["b64_json"] == PIXEL
    assert float(answer.headers["x-litellm-response-cost"]) > 0


def told(answer: str) -> str:
    """The text of an answer, of a stream put together."""
    lines = [line.removeprefix("data: ") for line in answer.splitlines() if line.startswith("data: {")]
    events = [json.loads(line) for line in lines] if lines else [json.loads(answer)]
    return "".join(text for event in events for text in _texts(event))


def _texts(node: Any) -> Iterator[str]:  # noqa: ANN401 - any JSON
    for key, value in node.items() if isinstance(node, dict) else ():
        if key in ("content", "delta", "text") and isinstance(value, str):
            yield value
        elif isinstance(value, dict | list):
            yield from _texts(value)
    for value in node if isinstance(node, list) else ():
        yield from _texts(value)


def number(answer: str) -> str:
    """The number in the simulated provider's answer."""
    found = re.search(r"number ([0-9a-f]{12})", told(answer))
    assert found, answer
    return found[1]


MASKED: Mapping[str, tuple[str, dict[str, Any]]] = {
    "chat": ("/v1/chat/completions", {}),
    "chat, streamed": ("/v1/chat/completions", {"stream": True}),
    "messages": ("/v1/messages", {"max_tokens": 100}),
    "messages, streamed": ("/v1/messages", {"max_tokens": 100, "stream": True}),
    "responses": ("/v1/responses", {}),
    "responses, streamed": ("/v1/responses", {"stream": True}),
}


@pytest.mark.parametrize("shape", MASKED)
def test_personal_data_reaches_neither_a_model_nor_a_caller(company: Company, history: History, shape: str) -> None:
    """An answer's number is made of the prompt: that of a masked one is that of the same prompt with the mask."""
    gateway, (route, more) = company.gateways["prod"], MASKED[shape]

    def answer(text: str, **guarded: Any) -> str:  # noqa: ANN401 - any JSON
        prompt = {"input": text} if route.endswith("responses") else {"messages": [{"role": "user", "content": text}]}
        done = gateway.api("POST", route, json={"model": "nova-2-lite", **prompt, **more, **guarded})
        assert done.is_success, done.text
        return done.text

    personal, mask = "電話は03-1234-5678, mail taro@example.com", "電話は{JAPANESE_PHONE}, mail {EMAIL}"
    guarded = {"policies": ["personal-data"]}
    assert number(answer(personal, **guarded)) == number(answer(mask))
    assert number(answer(personal)) != number(answer(mask))
    backwards = "Say backwards: moc.elpmaxe@orat"
    assert "taro@example.com" in told(answer(backwards))
    assert "taro@example.com" not in told(answer(backwards, **guarded))
    assert "{EMAIL}" in told(answer(backwards, **guarded))


def test_a_stream_that_cannot_be_masked_is_ended(company: Company, history: History) -> None:
    """In Google's format: with an error, and without a word of the answer."""
    contents = [{"role": "user", "parts": [{"text": "Say backwards: moc.elpmaxe@orat"}]}]
    route = "/v1beta/models/nova-2-lite:streamGenerateContent"
    body = {"contents": contents, "policies": ["personal-data"]}
    done = company.gateways["prod"].api("POST", route, params={"alt": "sse"}, json=body)
    assert "guardrail_error" in done.text
    assert "taro@example.com" not in done.text
    assert "number" not in done.text


@two_addresses
def test_an_open_path_leads_whoever_has_a_key_to_its_service(company: Company, history: History) -> None:
    """From the office, by way of the web ACL: nobody without a key, and nothing below it or beside it."""
    gateway, user = company.gateways["prod"], "house@example.com"
    key = gateway.user_key(user)

    def ask(path: str, key: str = key) -> httpx.Response:
        with httpx.Client(transport=httpx.HTTPTransport(local_address=OFFICE), timeout=60) as client:
            headers = {"Authorization": f"Bearer {key}"}
            return client.post(f"{gateway.url}{path}", headers=headers, json={"question": "?"})

    answer = ask("/house")
    assert answer.status_code == 200, answer.text
    assert answer.json() == {"answer": ANSWERED, "asked": "POST /", "body": {"question": "?"}}
    assert ask("/house", "sk-nobodys").status_code == 401
    for path in ("/house/below", "/houses", "/user/new"):
        refused = ask(path)
        assert (refused.status_code, refused.headers["server"]) == (403, AWS)

    def spent() -> float:
        return float(gateway.api("GET", "/user/info", params={"user_id": user}).json()["user_info"]["spend"])

    assert eventually(spent) == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        (
            "failing-migration",
            r"the deployment of dev failed \(litellm-dev-gateway: Migration: .*the database migration failed "
            r"\(exit code 3\) and the service stays as it was: read log stream \S+ of log group \S+?(\s+Logs: \S+)?\); "
            r"it is what it was before the release; the smoke test says: passed\.",
        ),
        (
            "wrong-azure",
            r"dev did not pass its smoke test \(completion by azure failed\); it was put back to what it was; the "
            r"smoke test says: passed\.",
        ),
    ],
)
def test_a_bad_release_leaves_everything_as_it_was(
    company: Company, history: History, name: str, sentence: str
) -> None:
    done = history.done[name, "dev"]
    assert done.returncode == 1
    assert re.search(rf"^release: {sentence}$", done.stderr, re.MULTILINE), done.stderr
    assert history.states[name, "dev"] == history.states["second", "dev"]
    for environment in ("stg", "prod"):
        assert State.of(company.gateways[environment]) == history.states["second", environment]


def test_the_wrong_account_is_refused(company: Company, history: History) -> None:
    assert history.done
    release, access = company.release("second").result(), company.emulator.environment(RELEASES_ACCOUNT)
    refused = release.command("release", "deploy", "--env", "prod", "--app", "cdk.out", "--yes", access=access)
    assert refused.returncode == 2
    assert "credentials are of account 111111111111, but prod is in 222222222222" in refused.stderr


# What there may be in an account: service, operation, and where in its answer the names are.
KINDS = {
    "stacks": ("cloudformation", "describe_stacks", "Stacks", "StackName"),
    "buckets": ("s3", "list_buckets", "Buckets", "Name"),
    "log groups": ("logs", "describe_log_groups", "logGroups", "logGroupName"),
    "tables": ("dynamodb", "list_tables", "TableNames", ""),
    "queues": ("sqs", "list_queues", "QueueUrls", ""),
    "topics": ("sns", "list_topics", "Topics", "TopicArn"),
    "functions": ("lambda", "list_functions", "Functions", "FunctionName"),
    "state machines": ("stepfunctions", "list_state_machines", "stateMachines", "name"),
    "rules": ("events", "list_rules", "Rules", "Name"),
    "alarms": ("cloudwatch", "describe_alarms", "MetricAlarms", "AlarmName"),
    "dashboards": ("cloudwatch", "list_dashboards", "DashboardEntries", "DashboardName"),
    "database clusters": ("rds", "describe_db_clusters", "DBClusters", "DBClusterIdentifier"),
    "databases": ("rds", "describe_db_instances", "DBInstances", "DBInstanceIdentifier"),
    "snapshots": ("rds", "describe_db_cluster_snapshots", "DBClusterSnapshots", "DBClusterIdentifier"),
    "subnet groups": ("rds", "describe_db_subnet_groups", "DBSubnetGroups", "DBSubnetGroupName"),
    "keys": ("kms", "list_keys", "Keys", "KeyId"),
    "parameters": ("ssm", "describe_parameters", "Parameters", "Name"),
    "repositories": ("ecr", "describe_repositories", "repositories", "repositoryName"),
    "roles": ("iam", "list_roles", "Roles", "RoleName"),
    "users": ("iam", "list_users", "Users", "UserName"),
    "load balancers": ("elbv2", "describe_load_balancers", "LoadBalancers", "LoadBalancerName"),
    "target groups": ("elbv2", "describe_target_groups", "TargetGroups", "TargetGroupName"),
    "networks": ("ec2", "describe_vpcs", "Vpcs", "CidrBlock"),
    "security groups": ("ec2", "describe_security_groups", "SecurityGroups", "GroupName"),
    "clusters": ("ecs", "list_clusters", "clusterArns", ""),
    "tasks": ("ecs", "list_task_definitions", "taskDefinitionArns", ""),
    "certificates": ("acm", "list_certificates", "CertificateSummaryList", "DomainName"),
    "mail identities": ("sesv2", "list_email_identities", "EmailIdentities", "IdentityName"),
    "configuration sets": ("sesv2", "list_configuration_sets", "ConfigurationSets", ""),
    "namespaces": ("servicediscovery", "list_namespaces", "Namespaces", "Name"),
    "secrets": ("secretsmanager", "list_secrets", "SecretList", "Name"),
}

# The default VPC, and security group; and the roles of services, which an operator makes once.
EVERY_ACCOUNTS = {"172.31.0.0/16", "default", *ROLES.values()}
SUFFIX = re.compile(r"-[0-9a-f]{13}$")  # of a name that CloudFormation has made
# A custom resource's last words come when its log is gone already, and Lambda makes that anew.
MADE_ANEW = re.compile(r"/aws/cloudformation/litellm-\w+-(gateway/Migration|smoke/LiteLlmKey)Logs[0-9A-F]{8}")


def _there(gateway: LocalGateway) -> dict[str, list[str]]:
    """What there is in the account of an environment, by kind; only kinds that there are."""
    found: dict[str, list[str]] = {}
    for kind, (service, operation, items, name) in KINDS.items():
        client = gateway.client(service)
        if client.can_paginate(operation):
            answer = client.get_paginator(operation).paginate().build_full_result()
        else:
            answer = getattr(client, operation)()
        names = [SUFFIX.sub("", item[name] if name else item) for item in answer.get(items, [])]
        found[kind] = sorted(each for each in names if each not in EVERY_ACCOUNTS and not MADE_ANEW.fullmatch(each))
    kms = gateway.client("kms")
    keys = [kms.describe_key(KeyId=key)["KeyMetadata"] for key in found["keys"]]
    found["keys"] = [key["Description"] for key in keys if key["KeyState"] == "Enabled"]
    return {kind: names for kind, names in found.items() if names}


def _retained(account: str, *removed: Environment) -> dict[str, list[str]]:
    """What is to be there once environments are removed: what was there before them, and what they keep on purpose."""
    place = f"{account}-{REGION}"
    roles = ("cfn-exec", "deploy", "file-publishing", "image-publishing", "lookup")
    return {
        "stacks": ["CDKToolkit", *(["Image"] if account == RELEASES_ACCOUNT else [])],
        "buckets": sorted(
            [f"cdk-hnb659fds-assets-{place}"]
            + [f"litellm-{each.name}-gateway-edgeaccesslogsc159d9ef" for each in removed]
        ),
        "snapshots": sorted(f"litellm-{each.name}" for each in removed),
        "keys": ["Aurora storage, snapshots and Performance Insights of the LLM gateway" for _ in removed],
        "parameters": sorted(
            ["/cdk-bootstrap/hnb659fds/version"]
            + [
                each.parameter(name)
                for each in removed
                for name in required_secrets(each, CHECKOUT / OWN / "config.yaml")
            ]
        ),
        "repositories": [f"cdk-hnb659fds-container-assets-{place}"]
        + ([REPOSITORY] if account == RELEASES_ACCOUNT else []),
        "roles": [f"cdk-hnb659fds-{role}-role-{place}" for role in roles],
    }


def test_nothing_is_left_but_what_is_kept_on_purpose(company: Company, history: History) -> None:
    assert history.done
    with ThreadPoolExecutor() as pool:
        for environment, done in zip(EVERYWHERE, pool.map(company.destroy, EVERYWHERE), strict=True):
            assert f"{environment} is removed." in _well(done).stdout
            assert f"litellm-{environment}-final-snapshot" in done.stdout
    dev, stg, prod = (company.gateways[name] for name in EVERYWHERE)
    assert _there(dev) == _retained(RELEASES_ACCOUNT, dev.environment)
    assert _there(prod) == _retained(OTHER_ACCOUNT, stg.environment, prod.environment)
    for gateway in (dev, stg, prod):
        zone = gateway.environment.hosted_zone.id
        records = gateway.client("route53").list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
        assert {record["Type"] for record in records} == {"NS", "SOA"}
    assert company.emulator.not_emulated() == []
