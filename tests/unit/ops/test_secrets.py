"""ops/secrets.py against a parameter store in memory, through botocore's own errors."""

import io
import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import boto3
import pytest
from botocore import exceptions as aws

from ops import secrets
from ops.access import OpsError
from stacks.company import config_file, environments
from stacks.litellm_config import CORE_SECRETS, load_config

DEV = environments()["dev"]
NAMES = secrets.required_secrets(DEV)
RANDOM = {name for name in NAMES if secrets.known(name).make}
GIVEN = {
    "AZURE_API_KEY": "azure-hunter2",
    "DD_API_KEY": "datadog-hunter2",
    "DD_APP_KEY": "datadog-app-hunter2",
    "SLACK_WEBHOOK_URL": "https://hooks.slack.com/services/T0/B0/hunter2",
    "SLACK_BOT_TOKEN": "xoxb-1-2-hunter2",
    "SLACK_SIGNING_SECRET": "0123456789abcdef" * 2,
    "LITELLM_LICENSE": "license-hunter2",
    "WIKI_MCP_TOKEN": "hunter2-of-the-wiki",
    "VERTEX_CREDENTIALS": json.dumps(
        {"type": "service_account", "project_id": "p", "private_key": "hunter2\n", "client_email": "a@example.com"}
    ),
}


class ParameterStore:
    """SSM and STS in memory: the calls that the command makes, with their rules, two parameters a page."""

    def __init__(self) -> None:
        self.parameters: dict[str, dict[str, Any]] = {}
        self.account = DEV.account
        self.failure: Exception | None = None
        self.before_put: Callable[[str], None] = lambda name: None

    def client(self, service: str) -> "ParameterStore":
        assert service in ("ssm", "sts")
        return self

    def get_caller_identity(self) -> dict[str, str]:
        if self.failure:
            raise self.failure
        return {"Account": self.account}

    def get_paginator(self, operation: str) -> "ParameterStore":
        assert operation == "describe_parameters"
        return self

    def paginate(self, ParameterFilters: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:  # noqa: N803 - boto3's
        assert ParameterFilters == [{"Key": "Path", "Option": "OneLevel", "Values": [DEV.parameter_prefix]}]
        found = list(self.parameters.items())
        for start in range(0, len(found) + 1, 2):
            yield {
                "Parameters": [
                    {"Name": name, "LastModifiedDate": datetime(2026, 11, 24, 10, tzinfo=UTC)}
                    | {key: parameter[key] for key in ("Type", "Version")}
                    for name, parameter in found[start : start + 2]
                ]
            }

    def put_parameter(self, **request: Any) -> None:  # noqa: ANN401 - boto3's
        name = request.pop("Name")
        self.before_put(name)
        existing = self.parameters.get(name)
        overwrite = request.pop("Overwrite", False)
        assert not (overwrite and "Tags" in request), "AWS refuses tags with Overwrite"
        if existing and not overwrite:
            raise client_error("ParameterAlreadyExists", "PutParameter")
        self.parameters[name] = request | {"Version": existing["Version"] + 1 if existing else 1}

    def values(self) -> dict[str, str]:
        return {name.removeprefix("/litellm/dev/"): p["Value"] for name, p in self.parameters.items()}

    def has(self, **values: str) -> None:
        for name, value in values.items():
            self.put_parameter(Name=DEV.parameter(name), Value=value, Type="SecureString")


def client_error(code: str, operation: str = "GetCallerIdentity") -> aws.ClientError:
    return aws.ClientError({"Error": {"Code": code, "Message": "hunter2 of AWS's message"}}, operation)


class Command:
    """Runs the command against a store and keeps what it printed."""

    def __init__(self, store: ParameterStore, capsys: pytest.CaptureFixture[str]) -> None:
        self.store = store
        self._capsys = capsys
        self.out = self.err = ""

    def __call__(self, *arguments: str, ask: secrets.Ask | None = None, env: str = "dev") -> int:
        code = secrets.main(["--env", env, *arguments], session=cast("boto3.Session", self.store), ask=ask)
        self.out, self.err = self._capsys.readouterr()
        printed = self.out + self.err
        assert "hunter2" not in printed
        assert not [name for name, value in self.store.values().items() if value in printed]
        return code

    def refused(self, *arguments: str, ask: secrets.Ask | None = None, env: str = "dev") -> str:
        assert self(*arguments, ask=ask, env=env) == 2
        assert self.err.count("\n") == 1
        return self.err


@pytest.fixture
def store() -> ParameterStore:
    return ParameterStore()


@pytest.fixture
def command(store: ParameterStore, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    return Command(store, capsys)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "secrets.json"
    path.write_text(json.dumps({name: value for name, value in GIVEN.items() if name in NAMES}))
    return path


def answers(**values: str | list[str]) -> secrets.Ask:
    """What a person types: a value, or one after another, by the name in the prompt; nothing for other names."""
    left = {name: [value] * 9 if isinstance(value, str) else value for name, value in values.items()}

    def ask(prompt: str) -> str:
        return left.get(re.split(r"[:,]", prompt)[0], [""] * 9).pop(0)

    return ask


def test_what_is_needed_is_what_the_configuration_needs() -> None:
    assert set(CORE_SECRETS) <= set(NAMES)
    assert tuple(sorted(set(NAMES))) == NAMES
    assert {"LITELLM_MASTER_KEY", "LITELLM_SALT_KEY", "DATABASE_PASSWORD", "UI_PASSWORD"} == RANDOM


def test_where_tasks_share_a_cache_they_need_its_password() -> None:
    assert "REDIS_PASSWORD" in secrets.required_secrets(environments()["prod"])
    assert "REDIS_PASSWORD" not in NAMES


def test_a_cache_takes_the_password_that_is_made_for_it() -> None:
    """https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/auth.html"""
    known = secrets.known("REDIS_PASSWORD")
    assert known.make
    assert re.fullmatch(r"[A-Za-z0-9!&#$^<>-]{16,128}", known.make())
    for value in ("short", "with_underscores_and_more", "at@at@at@at@at@at@", "x" * 129):
        with pytest.raises(OpsError, match="16 to 128"):
            secrets.checked("REDIS_PASSWORD", value)


def test_what_the_deployment_makes_is_not_asked_for() -> None:
    config = load_config(config_file(), provided=DEV.plain_variables)
    assert {"SMTP_PASSWORD", "SMTP_USERNAME"} <= set(config.secrets)  # the task needs them all the same
    assert not set(secrets.MADE_BY_DEPLOYMENT) & {*NAMES, *secrets.KNOWN}


def test_the_secrets_of_functions_are_needed_where_these_are_only() -> None:
    assert set(DEV.function_secrets) <= set(NAMES)
    without = DEV.model_copy(update={"onboarding": None, "datadog": None, "report": None})
    gone = {"SLACK_BOT_TOKEN", "SLACK_SIGNING_SECRET", "DD_APP_KEY"}  # LiteLLM itself needs DD_API_KEY
    assert set(NAMES) - set(secrets.required_secrets(without)) == gone


@pytest.mark.parametrize(
    ("name", "where"),
    [
        ("SLACK_BOT_TOKEN", "OAuth & Permissions"),
        ("SLACK_SIGNING_SECRET", "Basic Information"),
        ("DD_APP_KEY", "Application Keys"),
    ],
)
def test_the_question_says_where_it_is_shown(command: Command, name: str, where: str) -> None:
    prompts: list[str] = []

    def ask(prompt: str) -> str:
        prompts.append(prompt)
        return ""

    command(ask=ask)
    (prompt,) = (prompt for prompt in prompts if prompt.startswith(name))
    assert where in prompt


def test_check_passes_before_the_first_deployment(command: Command, store: ParameterStore, file: Path) -> None:
    command("--file", str(file))
    assert not set(secrets.MADE_BY_DEPLOYMENT) & store.values().keys()
    assert command("--check") == 0


def test_what_the_deployment_makes_cannot_be_replaced(command: Command) -> None:
    sentence = command.refused("--replace", "SMTP_PASSWORD", "ONBOARDING_KEY")
    assert (
        "--replace: leave out ONBOARDING_KEY, SMTP_PASSWORD: the deployment makes and stores that itself." in sentence
    )


def test_check_names_what_is_missing_and_stores_nothing(command: Command, store: ParameterStore) -> None:
    store.has(UI_PASSWORD="hunter2-long-enough")
    before = dict(store.parameters)
    assert command("--check") == 1
    missing = re.search(r"^Missing: (.*)$", command.out, re.MULTILINE)
    assert missing is not None
    assert missing[1].split(", ") == [name for name in NAMES if name != "UI_PASSWORD"]
    assert re.search(r"UI_PASSWORD +present +version 1, 2026-11-24 10:00 UTC", command.out)
    assert store.parameters == before


def test_a_file_and_random_ones_complete_an_environment(command: Command, store: ParameterStore, file: Path) -> None:
    assert command("--file", str(file)) == 0
    assert command("--check") == 0
    values = store.values()
    assert values.keys() == set(NAMES)
    for name in values.keys() - RANDOM - {"VERTEX_CREDENTIALS"}:
        assert values[name] == GIVEN[name]
    for name in RANDOM:
        assert secrets.checked(name, values[name]) == values[name]
    assert len({values[name] for name in RANDOM}) == len(RANDOM)


def test_how_they_are_stored(command: Command, store: ParameterStore) -> None:
    command()
    stored = store.parameters["/litellm/dev/LITELLM_MASTER_KEY"]
    assert (stored["Type"], stored["Tier"]) == ("SecureString", "Intelligent-Tiering")
    assert stored["Description"]
    assert {tag["Key"]: tag["Value"] for tag in stored["Tags"]} == DEV.tags


def test_every_random_key_is_another(command: Command) -> None:
    assert len({secrets.known("LITELLM_MASTER_KEY").make() for _ in range(9)}) == 9  # type: ignore[misc]


def test_what_exists_is_kept(command: Command, store: ParameterStore, file: Path) -> None:
    command("--file", str(file))
    before = dict(store.parameters)
    assert command("--file", str(file)) == 0
    assert store.parameters == before
    assert "Kept as they are" in command.out


def test_replace_stores_anew(command: Command, store: ParameterStore, file: Path) -> None:
    store.has(AZURE_API_KEY="old-value-of-it", UI_PASSWORD="old-password-of-it")
    command("--file", str(file), "--replace", "AZURE_API_KEY", "UI_PASSWORD")
    assert store.values()["AZURE_API_KEY"] == GIVEN["AZURE_API_KEY"]
    assert store.values()["UI_PASSWORD"] != "old-password-of-it"
    assert store.parameters["/litellm/dev/UI_PASSWORD"]["Version"] == 2


@pytest.mark.parametrize("typed", ["", "y\n", "litellm_salt_key\n"])
def test_a_replacement_of_the_salt_key_is_confirmed_by_its_name(
    command: Command, store: ParameterStore, monkeypatch: pytest.MonkeyPatch, typed: str
) -> None:
    store.has(LITELLM_SALT_KEY="sk-old")
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    assert "was not confirmed, so nothing was changed" in command.refused("--replace", "LITELLM_SALT_KEY")
    assert "must never be replaced" in command.out
    assert store.values() == {"LITELLM_SALT_KEY": "sk-old"}


def test_confirmed_it_is_replaced(command: Command, store: ParameterStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.has(LITELLM_SALT_KEY="sk-old")
    monkeypatch.setattr("sys.stdin", io.StringIO("LITELLM_SALT_KEY\n"))
    command("--replace", "LITELLM_SALT_KEY")
    once = store.values()["LITELLM_SALT_KEY"]
    command("--replace", "LITELLM_SALT_KEY", "--yes")
    assert len({"sk-old", once, store.values()["LITELLM_SALT_KEY"]}) == 3


def test_an_unknown_name_to_replace_is_refused(command: Command) -> None:
    assert "dev has no secret OTHER" in command.refused("--replace", "OTHER")


def test_typed_values_are_stored_and_skipped_ones_stay_missing(command: Command, store: ParameterStore) -> None:
    assert command(ask=answers(AZURE_API_KEY="typed-hunter2")) == 1
    assert store.values().keys() == RANDOM | {"AZURE_API_KEY"}
    assert store.values()["AZURE_API_KEY"] == "typed-hunter2"


def test_without_a_terminal_nothing_is_asked(command: Command, store: ParameterStore) -> None:
    assert command() == 1
    assert store.values().keys() == RANDOM


def test_a_typed_value_is_asked_for_again_until_it_can_be_right(command: Command, store: ParameterStore) -> None:
    command(
        ask=answers(
            SLACK_WEBHOOK_URL=["https://example.com/hunter2", GIVEN["SLACK_WEBHOOK_URL"]],
            AZURE_API_KEY=["hunter2", "hunter3", "two words of hunter2", "hunter2", "hunter2"],
        )
    )
    assert store.values()["SLACK_WEBHOOK_URL"] == GIVEN["SLACK_WEBHOOK_URL"]
    assert store.values()["AZURE_API_KEY"] == "hunter2"
    assert "The two are not the same." in command.out


def test_the_end_of_the_input_skips(command: Command, store: ParameterStore) -> None:
    def ask(prompt: str) -> str:
        raise EOFError

    assert command(ask=ask) == 1
    assert store.values().keys() == RANDOM


def test_google_credentials_are_taken_from_a_path(command: Command, store: ParameterStore, tmp_path: Path) -> None:
    key = tmp_path / "key.json"
    key.write_text(json.dumps(json.loads(GIVEN["VERTEX_CREDENTIALS"]), indent=2))
    command(ask=answers(VERTEX_CREDENTIALS=str(key)))
    assert json.loads(store.values()["VERTEX_CREDENTIALS"])["private_key"] == "hunter2\n"
    assert "\n" not in store.values()["VERTEX_CREDENTIALS"]


def test_lines_are_read_from_standard_input(
    command: Command, store: ParameterStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = "# a comment\n\nAZURE_API_KEY=a=b#hunter2\nDD_API_KEY=\n"
    monkeypatch.setattr("sys.stdin", io.StringIO(lines))
    assert command("--file", "-") == 1
    assert store.values()["AZURE_API_KEY"] == "a=b#hunter2"
    assert "DD_API_KEY" not in store.values()


def test_an_object_in_a_json_file_is_taken_as_json(command: Command, store: ParameterStore, tmp_path: Path) -> None:
    file = tmp_path / "secrets.json"
    file.write_text(json.dumps({"VERTEX_CREDENTIALS": json.loads(GIVEN["VERTEX_CREDENTIALS"])}))
    command("--file", str(file))
    assert json.loads(store.values()["VERTEX_CREDENTIALS"]) == json.loads(GIVEN["VERTEX_CREDENTIALS"])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("AZURE_API_KEY hunter2", "line 1: that is not NAME=value"),
        ("# x\nazure key=hunter2", "line 2: that is not NAME=value"),
        ('{"AZURE_API_KEY": hunter2}', "line 1: that is not valid JSON"),
        ("OTHER=hunter2", "has no secret OTHER"),
        ("SMTP_USERNAME=AKIAHUNTER2\nSMTP_PASSWORD=hunter2", "leave out SMTP_PASSWORD, SMTP_USERNAME: the deployment"),
        ("ONBOARDING_KEY=sk-hunter2", "leave out ONBOARDING_KEY: the deployment"),
        ("SLACK_BOT_TOKEN=xoxp-1-2-hunter2", 'it must begin with "xoxb-"'),
        ("SLACK_BOT_TOKEN=xoxb-", 'it must begin with "xoxb-"'),
        ("SLACK_SIGNING_SECRET=hunter2", "it must have 32 hexadecimal digits in lower case"),
        ("SLACK_SIGNING_SECRET=" + "0123456789ABCDEF" * 2, "it must have 32 hexadecimal digits in lower case"),
        ("SLACK_SIGNING_SECRET=" + "0" * 33, "it must have 32 hexadecimal digits in lower case"),
        ("AZURE_API_KEY=two words hunter2", "AZURE_API_KEY is not valid: it must not contain white space"),
        ("LITELLM_MASTER_KEY=sk-hunter2", 'must begin with "sk-", with at least 20'),
        ("LITELLM_MASTER_KEY=hunter2-hunter2-hunter2-hunter2", 'must begin with "sk-"'),
        ("DATABASE_PASSWORD=hunter2", "8 to 128"),
        ("DATABASE_PASSWORD=hunter2@hunter2", "8 to 128"),
        ("DATABASE_PASSWORD=hunter2ハンター", "8 to 128"),
        ("UI_PASSWORD=hunter2", "at least 12 characters"),
        ("SLACK_WEBHOOK_URL=http://hooks.slack.com/hunter2", "https://hooks.slack.com/"),
        ("VERTEX_CREDENTIALS={hunter2}", "must be the JSON of a Google key file"),
        ("VERTEX_CREDENTIALS=/nowhere/hunter2.json", "the path of a JSON key file"),
        ('VERTEX_CREDENTIALS={"type": "service_account", "project_id": "hunter2"}', "lacks private_key, client_email"),
        ('VERTEX_CREDENTIALS={"type": "authorized_user"}', "service account or of a workload identity"),
        ("AZURE_API_KEY=" + "hunter2" * 2000, "at most 8192 bytes"),
        (
            "LITELLM_MASTER_KEY=sk-hunter2-hunter2-hunter2\nLITELLM_SALT_KEY=sk-hunter2-hunter2-hunter2",
            "not be the same",
        ),
    ],
)
def test_a_file_with_a_mistake_stores_nothing(
    command: Command, store: ParameterStore, tmp_path: Path, text: str, words: str
) -> None:
    file = tmp_path / "secrets.env"
    file.write_text(text)
    assert words in command.refused("--file", str(file))
    assert store.parameters == {}


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("OPENAI_ADMIN_KEY", "sk-admin-Hunter_2-x", ""),
        ("OPENAI_ADMIN_KEY", "sk-proj-hunter2", 'must begin with "sk-admin-": an admin key'),
        ("OPENAI_ADMIN_KEY", "sk-admin-", 'must begin with "sk-admin-"'),
        ("ANTHROPIC_ADMIN_KEY", "sk-ant-admin01-Hunter_2-x", ""),
        ("ANTHROPIC_ADMIN_KEY", "sk-ant-usr01-hunter2", ""),  # of a member, bound to no workspace
        ("ANTHROPIC_ADMIN_KEY", "sk-ant-api03-hunter2", "one of a workspace (sk-ant-api…) reads no costs"),
        ("ANTHROPIC_ADMIN_KEY", "hunter2", 'must begin with "sk-ant-admin"'),
    ],
)
def test_a_key_of_an_organization_is_told_from_one_that_calls_models(name: str, value: str, sentence: str) -> None:
    if not sentence:
        assert secrets.checked(name, value) == value
        return
    with pytest.raises(OpsError) as problem:
        secrets.checked(name, value)
    assert sentence in str(problem.value)
    assert "hunter2" not in str(problem.value)


def test_a_file_that_cannot_be_read_is_refused(command: Command, tmp_path: Path) -> None:
    assert "could not be read" in command.refused("--file", str(tmp_path / "none"))


def test_a_parameter_that_is_not_encrypted_is_refused_with_its_name(command: Command, store: ParameterStore) -> None:
    store.put_parameter(Name="/litellm/dev/AZURE_API_KEY", Value="hunter2", Type="String")
    assert "/litellm/dev/AZURE_API_KEY: not a SecureString" in command.refused()
    assert "wrong type: String" in command.out
    assert command("--check") == 1
    assert "AZURE_API_KEY" in command.out.splitlines()[-1]


def test_other_parameters_of_the_environment_do_not_matter(command: Command, store: ParameterStore, file: Path) -> None:
    store.put_parameter(Name="/litellm/dev/BASE_URL", Value="https://llm.example.com", Type="String")
    assert command("--file", str(file)) == 0
    assert "BASE_URL" not in command.out


def test_another_account_is_refused(command: Command, store: ParameterStore) -> None:
    store.account = "999999999999"
    sentence = command.refused("--check")
    assert "999999999999" in sentence
    assert DEV.account in sentence


def test_an_unknown_environment_is_refused_with_those_that_there_are(command: Command) -> None:
    assert "no environment nowhere: company/environments.py has dev, stg, prod" in command.refused(env="nowhere")


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (aws.NoCredentialsError(), "there are no AWS credentials"),
        (aws.PartialCredentialsError(provider="env", cred_var="x"), "there are no AWS credentials"),
        (aws.ProfileNotFound(profile="x"), "AWS_PROFILE names a profile"),
        (aws.UnauthorizedSSOTokenError(), "sign in again"),
        (aws.EndpointConnectionError(endpoint_url="https://x"), "could not be reached"),
        (aws.ConnectTimeoutError(endpoint_url="https://x"), "could not be reached"),
        (aws.ReadTimeoutError(endpoint_url="https://x"), "could not be reached"),
        (aws.SSLError(endpoint_url="https://x", error=OSError()), "could not be reached"),
        (aws.NoRegionError(), "cannot go on (NoRegionError)"),
        (client_error("ExpiredToken"), "have expired"),
        (client_error("InvalidClientTokenId"), "does not know these credentials"),
        (client_error("AccessDenied"), "may not do it"),
        (client_error("ThrottlingException"), "wait a minute"),
        (client_error("ValidationException"), "AWS refused GetCallerIdentity (ValidationException)"),
    ],
)
def test_an_error_of_aws_is_one_sentence(
    command: Command, store: ParameterStore, failure: Exception, words: str
) -> None:
    store.failure = failure
    assert words in command.refused("--check")


def test_an_error_midway_tells_what_was_stored(command: Command, store: ParameterStore) -> None:
    def deny(name: str) -> None:
        if name.endswith("LITELLM_SALT_KEY"):
            raise client_error("AccessDeniedException", "PutParameter")

    store.before_put = deny
    sentence = command.refused()
    assert "AWS refused PutParameter (AccessDeniedException)" in sentence
    assert sentence.endswith("Stored before that: DATABASE_PASSWORD, LITELLM_MASTER_KEY.\n")


def test_one_that_somebody_else_made_meanwhile_is_not_overwritten(command: Command, store: ParameterStore) -> None:
    def race(name: str) -> None:
        store.parameters.setdefault(name, {"Value": "theirs-of-hunter2", "Type": "SecureString", "Version": 1})

    store.before_put = race
    assert "somebody else created it meanwhile" in command.refused()
    assert set(store.values().values()) == {"theirs-of-hunter2"}


def test_interrupted_it_tells_what_was_stored(command: Command, store: ParameterStore) -> None:
    def ask(prompt: str) -> str:
        if prompt.startswith("VERTEX_CREDENTIALS"):
            raise KeyboardInterrupt
        return ""

    assert command(ask=ask) == 130
    assert "interrupted. Stored before that: DATABASE_PASSWORD, LITELLM_MASTER_KEY, LITELLM_SALT_KEY" in command.err
