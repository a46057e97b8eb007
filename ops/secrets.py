"""Lists, creates and checks an environment's secrets: `make secrets ENV=dev`.

Which secrets an environment needs is derived from `company/config.yaml` and the environment's settings. Each is an
SSM SecureString `/litellm/<environment>/<NAME>`. The random ones are made here; the others are asked for without echo,
or read from a file. No value is ever read back or printed. Those that the deployment itself makes are left to it.

Integrates with AWS Systems Manager Parameter Store and AWS STS, through boto3's own credentials and settings
(AWS_PROFILE, AWS_ENDPOINT_URL, …).

Exit codes: 0 every secret is present; 1 some are missing; 2 a mistake or an error, in one sentence; 130 interrupted.
"""

from __future__ import annotations

import argparse
import getpass
import json
import re
import secrets
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import boto3

from ops.access import ADVICE, OpsError, connect, environment_named, run
from stacks.company import config_file
from stacks.settings import Environment

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

MAXIMUM_BYTES: Final = 8192  # of an Advanced parameter's value; a Standard one takes 4096

MADE_BY_DEPLOYMENT: Final = ("ONBOARDING_KEY", "SMOKE_KEY", "SMTP_PASSWORD", "SMTP_USERNAME", "USAGE_KEY")
"""Secrets that custom resources make and store: no person has them, and the first deployment needs none."""

NAME: Final = re.compile(r"[A-Z_][A-Z0-9_]*")
"""Of a secret, which is also the name of a variable of the task's."""

Ask = Callable[[str], str]
"""Asks for one line without echo, given the prompt: `getpass.getpass`."""


# --- What is known of each secret -----------------------------------------------------------------------------------


def _matching(pattern: str, otherwise: str) -> Callable[[str], str]:
    """A check that the whole value matches the pattern, and says `otherwise` if not."""

    def check(value: str) -> str:
        if not re.fullmatch(pattern, value, re.DOTALL):
            raise OpsError(otherwise)
        return value

    return check


_one_word = _matching(r"\S*", "it must not contain white space")
_litellm_key = _matching(
    r"sk-[!-~]{20,}", 'it must begin with "sk-", with at least 20 more characters: LiteLLM refuses weak ones'
)
# Amazon Aurora PostgreSQL's own rule for a master password.
_database_password = _matching(
    r'(?!.*[/"@])[!-~]{8,128}', 'it must have 8 to 128 printable ASCII characters, without / " @ and space'
)
# ElastiCache's rule for an AUTH token, "Authenticating with the AUTH command".
_cache_password = _matching(
    r"[A-Za-z0-9!&#$^<>-]{16,128}", "it must have 16 to 128 letters, digits and characters of ! & # $ ^ < > -"
)
_long_enough = _matching(r".{12,}", "it must have at least 12 characters")
_anthropic_key = _matching(r"sk-ant-\S+", 'it must begin with "sk-ant-", as Anthropic\'s keys do')
_openai_key = _matching(r"sk-(?!ant-)\S+", 'it must begin with "sk-", as OpenAI\'s keys do')
# Google's standard keys begin with AIza; AI Studio makes authorization keys, AQ.…, since 2026, and the Gemini API is to
# refuse the others: https://ai.google.dev/gemini-api/docs/api-key
_gemini_key = _matching(
    r"(AQ\.|AIza)\S+", 'it must begin with "AQ." or, if it is a standard key from before, with "AIza"'
)
_slack_webhook = _matching(
    r"https://hooks\.slack\.com/\S+", "it must be an incoming web hook, https://hooks.slack.com/…"
)
_slack_bot_token = _matching(
    r"xoxb-[A-Za-z0-9-]+", 'it must begin with "xoxb-": the Bot User OAuth Token, and no other of Slack\'s tokens'
)
_slack_signing_secret = _matching(
    r"[0-9a-f]{32}", "it must have 32 hexadecimal digits in lower case, as Slack shows the Signing Secret"
)


# OpenAI's own example of one is sk-admin-1234abcd ("Admin API keys" of the API reference). Of Anthropic's, those of a
# workspace begin with sk-ant-api, and read no costs; beside an admin key, one of a member may that is bound to no
# workspace: "Create an Admin API key" and "Usage and Cost API" of its documentation.
_openai_admin_key = _matching(
    r"sk-admin-[A-Za-z0-9_-]+",
    'it must begin with "sk-admin-": an admin key of the organization, which calls no models',
)
_anthropic_admin_key = _matching(
    r"sk-ant-(?!api)[A-Za-z0-9_-]+",
    'it must begin with "sk-ant-admin": an admin key of the organization, as one of a workspace (sk-ant-api…) reads no '
    "costs",
)


def _google_credentials(value: str) -> str:
    if not value.lstrip().startswith("{"):
        try:
            value = Path(value).expanduser().read_text()
        except (OSError, ValueError, RuntimeError):  # the last of a person whose home nobody knows
            raise OpsError("it must be JSON, or the path of a JSON key file that can be read") from None
    try:
        document = json.loads(value)
    except (ValueError, RecursionError):
        raise OpsError("it must be the JSON of a Google key file, unchanged") from None
    kind = document.get("type") if isinstance(document, dict) else None
    if kind == "service_account":
        if missing := [name for name in ("project_id", "private_key", "client_email") if not document.get(name)]:
            raise OpsError(f"the service account's JSON lacks {', '.join(missing)}")
    elif kind != "external_account":
        raise OpsError("it must be the JSON of a service account or of a workload identity (external_account)")
    return json.dumps(document)  # on one line: shorter, and easier to carry in an environment variable


@dataclass(frozen=True)
class Secret:
    """What is known of one secret, beside its name."""

    description: str
    check: Callable[[str], str] = _one_word  # returns the value as it is stored, or raises OpsError
    make: Callable[[], str] | None = None  # makes a random one
    if_replaced: str = ""  # what a replacement breaks
    confirm: bool = False  # asked for twice: nothing but a second look could find a mistake
    hint: str = ""


def _random_key() -> str:
    return f"sk-{secrets.token_urlsafe(32)}"


KNOWN: Final[Mapping[str, Secret]] = {
    "LITELLM_MASTER_KEY": Secret(
        "LiteLLM's administrator key", _litellm_key, _random_key, "whoever uses the old one is refused"
    ),
    "LITELLM_SALT_KEY": Secret(
        "Encrypts the provider credentials in LiteLLM's database; never to be changed",
        _litellm_key,
        _random_key,
        "the salt key must never be replaced: the provider credentials in the database become unreadable",
    ),
    "DATABASE_PASSWORD": Secret(
        "Password of the database's master user",
        _database_password,
        lambda: secrets.token_urlsafe(32),
        "the database keeps its old password until that is changed too, and new tasks cannot connect before",
    ),
    "REDIS_PASSWORD": Secret(
        "Password of the cache, which the tasks sign in to it with",
        _cache_password,
        lambda: secrets.token_hex(32),
        "the cache keeps its old password until that is changed too, and each new task counts for itself before",
    ),
    "UI_PASSWORD": Secret("Password of the admin UI", _long_enough, lambda: secrets.token_urlsafe(24)),
    "VERTEX_CREDENTIALS": Secret(
        "Google credentials for Vertex AI",
        _google_credentials,
        hint=" (path of the JSON key file, or JSON on one line)",
    ),
    "SLACK_WEBHOOK_URL": Secret("Slack's incoming web hook for alerts", _slack_webhook),
    "AZURE_API_KEY": Secret("Key of the Azure OpenAI resource", confirm=True),
    "AZURE_AI_API_KEY": Secret("Key of the Azure AI Foundry resource", confirm=True),
    "ANTHROPIC_API_KEY": Secret(
        "Anthropic's API key", _anthropic_key, confirm=True, hint=" (platform.claude.com, Settings, API keys)"
    ),
    "OPENAI_API_KEY": Secret(
        "OpenAI's API key", _openai_key, confirm=True, hint=" (platform.openai.com, API keys: one of a project)"
    ),
    "GEMINI_API_KEY": Secret(
        "Key of the Gemini API", _gemini_key, confirm=True, hint=" (aistudio.google.com/apikey: an authorization key)"
    ),
    "MISTRAL_API_KEY": Secret("Mistral's API key", confirm=True, hint=" (console.mistral.ai, API keys)"),
    "HOSTED_VLLM_API_KEY": Secret("Key of your server of models, as vLLM's --api-key has it", confirm=True),
    "OLLAMA_API_KEY": Secret("Key of what stands before your Ollama, which asks for none itself", confirm=True),
    "DD_API_KEY": Secret("Datadog's API key", confirm=True),
    "DD_APP_KEY": Secret(
        "Datadog's application key",
        confirm=True,
        hint=" (Organization Settings, Application Keys; of a service account that may write dashboards, monitors and "
        "log-based metrics)",
    ),
    "AZURE_BILLING_SECRET": Secret("Client secret of the app that may read Azure's costs", confirm=True),
    "GOOGLE_BILLING_CREDENTIALS": Secret(
        "Google credentials for the billing export",
        _google_credentials,
        hint=" (path of the JSON key file, or JSON on one line)",
    ),
    "OPENAI_ADMIN_KEY": Secret(
        "OpenAI's admin key that may read costs",
        _openai_admin_key,
        hint=" (platform.openai.com, Organization, Admin keys: restricted to reading usage)",
    ),
    "ANTHROPIC_ADMIN_KEY": Secret(
        "Anthropic's admin key that reads costs",
        _anthropic_admin_key,
        hint=" (platform.claude.com, Settings, Admin keys)",
    ),
    "SLACK_BOT_TOKEN": Secret(
        "Token of the Slack app's bot",
        _slack_bot_token,
        hint=" (api.slack.com/apps, the app, OAuth & Permissions: Bot User OAuth Token)",
    ),
    "SLACK_SIGNING_SECRET": Secret(
        "What Slack signs its requests with",
        _slack_signing_secret,
        hint=" (api.slack.com/apps, the app, Basic Information: Signing Secret)",
    ),
    "LITELLM_LICENSE": Secret("LiteLLM's licence", confirm=True),
}


def known(name: str) -> Secret:
    """What is known of the secret; a name that only config.yaml knows is one word that is asked for twice."""
    return KNOWN.get(name) or Secret(f"{name} of company/config.yaml", confirm=True)


def required_secrets(environment: Environment, config: Path | None = None) -> tuple[str, ...]:
    """Names of the secrets that people give the environment's tasks and functions, sorted.

    `config` is another config.yaml than that of the company in force.

    Raises
    ------
    ConfigError
        `company/config.yaml` has a mistake.
    """
    read = environment.litellm_config(config or config_file())
    return tuple(sorted({*read.secrets, *environment.function_secrets} - set(MADE_BY_DEPLOYMENT)))


def refuse_made_by_deployment(names: Iterable[str], source: str) -> None:
    """Refuse names whose value a person would only spoil.

    Raises
    ------
    OpsError
        `source` (a file, or an argument) has one of `MADE_BY_DEPLOYMENT`.
    """
    if made := sorted(set(names) & set(MADE_BY_DEPLOYMENT)):
        raise OpsError(f"{source}: leave out {', '.join(made)}: the deployment makes and stores that itself.")


# --- The parameter store --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Parameter:
    """What the parameter store tells of a parameter without its value."""

    type: str
    version: int
    modified: datetime

    @property
    def is_secret(self) -> bool:
        """Whether its value is encrypted."""
        return self.type == "SecureString"


@dataclass
class Store:
    """An environment's secrets in the parameter store of its account and region."""

    environment: Environment
    client: SSMClient
    stored: list[str] = field(default_factory=list)  # names put by this run, in order

    def parameters(self, names: Iterable[str]) -> dict[str, Parameter]:
        """Those of `names` that exist."""
        prefix = f"{self.environment.parameter_prefix}/"
        pages = self.client.get_paginator("describe_parameters").paginate(
            ParameterFilters=[{"Key": "Path", "Option": "OneLevel", "Values": [prefix.rstrip("/")]}]
        )
        found = {
            parameter["Name"].removeprefix(prefix): Parameter(
                parameter["Type"], parameter["Version"], parameter["LastModifiedDate"]
            )
            for page in pages
            for parameter in page["Parameters"]
        }
        return {name: found[name] for name in names if name in found}

    def put(self, name: str, value: str, *, replace: bool) -> None:
        """Store a secret; over an existing one only with `replace`."""
        parameter = self.environment.parameter(name)
        description = known(name).description
        # Intelligent-Tiering: Advanced, which costs, only for a value over 4 KB. With AWS's own key, aws/ssm.
        if replace:  # the API takes no tags then; the parameter keeps those that it has
            self.client.put_parameter(
                Name=parameter,
                Value=value,
                Type="SecureString",
                Tier="Intelligent-Tiering",
                Description=description,
                Overwrite=True,
            )
        else:
            self.client.put_parameter(
                Name=parameter,
                Value=value,
                Type="SecureString",
                Tier="Intelligent-Tiering",
                Description=description,
                Tags=[{"Key": key, "Value": text} for key, text in self.environment.tags.items()],
            )
        self.stored.append(name)


REFUSED: Final[Mapping[str, str]] = {
    **ADVICE,
    **dict.fromkeys(
        ("AccessDenied", "AccessDeniedException"),
        "these AWS credentials may not do it: they need sts:GetCallerIdentity, ssm:DescribeParameters, "
        "ssm:PutParameter, ssm:AddTagsToResource, and kms:Encrypt with the key aws/ssm",
    ),
    "TooManyUpdates": "AWS takes no more requests for now: wait a minute and run it again",
    "ParameterAlreadyExists": "somebody else created it meanwhile: run it again",
    "ParameterLimitExceeded": "the account has its maximum of parameters in this region: ask AWS for more",
}
"""What to do about an error code of Parameter Store's."""


# --- Values ---------------------------------------------------------------------------------------------------------


def checked(name: str, value: str) -> str:
    """The value as it is stored.

    Raises
    ------
    OpsError
        It cannot be right; the sentence names the secret and not the value.
    """
    try:
        value = known(name).check(value)
        if value.encode(errors="ignore").decode() != value:  # JSON can carry half a pair of surrogates
            raise OpsError("it has half a character in it, which nothing can store")
        if len(value.encode()) > MAXIMUM_BYTES:
            raise OpsError(f"it must have at most {MAXIMUM_BYTES} bytes, which is what a parameter takes")
    except OpsError as error:
        raise OpsError(f"{name} is not valid: {error}.") from None
    return value


def read_values(source: str) -> dict[str, str]:
    """Values by name from a file, or from standard input if `source` is "-".

    Either one JSON object, or lines `NAME=value`, the value taken as it is; blank lines and lines that begin with # are
    left out, and so is a name without a value.

    Raises
    ------
    OpsError
        The file cannot be read, or a line is none of these.
    """
    try:
        text = sys.stdin.read() if source == "-" else Path(source).read_text()
    except (OSError, ValueError):
        raise OpsError(f"{source} could not be read: give the path of a text file, or - for standard input.") from None
    if text.lstrip().startswith("{"):
        try:
            document = json.loads(text)
        except RecursionError:
            raise OpsError(f"{source}: it is nested too deeply to be read.") from None
        except ValueError as error:
            line = error.lineno if isinstance(error, json.JSONDecodeError) else 1
            raise OpsError(f"{source}, line {line}: that is not valid JSON.") from None
        if odd := [name for name in document if not NAME.fullmatch(name)]:
            raise OpsError(f"{source}: {odd[0]!r} is no name of a secret: these have capitals, digits and underscores.")
        return {
            name: value if isinstance(value, str) else json.dumps(value) for name, value in document.items() if value
        }
    values = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, equals, value = line.partition("=")
        if not equals or not NAME.fullmatch(name.strip()):
            raise OpsError(f"{source}, line {number}: that is not NAME=value.")
        if value:
            values[name.strip()] = value
    return values


def ask_for(name: str, ask: Ask) -> str | None:
    """The value that is typed or pasted, or None if that is nothing."""
    secret = known(name)
    while value := _line(ask, f"{name}: {secret.description}{secret.hint}, empty to skip: "):
        try:
            value = checked(name, value)
        except OpsError as error:
            print(f"  {error}")
            continue
        if not secret.confirm or _line(ask, f"{name}, once more: ") == value:
            return value
        print("  The two are not the same.")
    return None


def _line(ask: Ask, prompt: str) -> str:
    try:
        return ask(prompt).strip()
    except EOFError:
        print()
        return ""


# --- The command ----------------------------------------------------------------------------------------------------


def table(names: Iterable[str], parameters: Mapping[str, Parameter]) -> str:
    """One line a secret: present with version and time, missing, or of the wrong type."""
    names = tuple(names)
    width = max(map(len, names))
    return "\n".join(f"  {name:{width}}  {_state(parameters.get(name))}" for name in names)


def _state(parameter: Parameter | None) -> str:
    if parameter is None:
        return "missing"
    if not parameter.is_secret:
        return f"wrong type: {parameter.type}, which is not encrypted"
    return f"present     version {parameter.version}, {parameter.modified.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def refuse_wrong_types(environment: Environment, parameters: Mapping[str, Parameter]) -> None:
    """Refuse parameters that are not SecureStrings: their values were readable, and their type cannot be changed."""
    if wrong := [environment.parameter(name) for name, parameter in parameters.items() if not parameter.is_secret]:
        raise OpsError(
            f"{', '.join(wrong)}: not a SecureString, so its value may have been seen: delete it "
            "(aws ssm delete-parameter --name …), run this again, and give it a new value."
        )


def confirm_replacements(names: Iterable[str]) -> None:
    """Ask for each name to be typed whose replacement breaks something."""
    for name in names:
        if not (warning := known(name).if_replaced):
            continue
        print(f"Replacing {name}: {warning}.")
        try:
            typed = input(f"Type {name} to replace it all the same: ")
        except EOFError:
            typed = ""
        if typed.strip() != name:
            raise OpsError(f"{name} was not confirmed, so nothing was changed: type its name, or use --yes.")


def complete(
    store: Store, wanted: Iterable[str], given: Mapping[str, str], replace: Iterable[str], ask: Ask | None
) -> None:
    """Store each of `wanted`: as given, else a random one, else as asked for (with `ask` None, left out)."""
    for name in wanted:
        make = known(name).make
        value = given.get(name)
        if value is None:
            value = make() if make else ask_for(name, ask) if ask else None
        if value is None:
            continue
        store.put(name, value, replace=name in replace)
        how = "as given" if name in given else "random" if make else "as typed"
        print(f"  stored {name} ({how})")


def manage(arguments: argparse.Namespace, store: Store, names: tuple[str, ...], ask: Ask | None) -> int:
    """List, and unless only a check is wanted, complete the environment's secrets; returns the exit code."""
    environment = store.environment
    print(f"{environment.name}: {environment.parameter_prefix} in account {environment.account}, {environment.region}")
    parameters = store.parameters(names)
    print(table(names, parameters), flush=True)
    if not arguments.check:
        refuse_wrong_types(environment, parameters)
        given = _given(arguments.file, names) if arguments.file else {}
        replace = {name for name in arguments.replace if name in parameters}
        if kept := [name for name in given if name in parameters and name not in replace]:
            print(f"Kept as they are (name them with --replace to change them): {', '.join(kept)}")
        if not arguments.yes:
            confirm_replacements(sorted(replace))
        complete(store, [n for n in names if n not in parameters or n in replace], given, replace, ask)
        parameters = store.parameters(names)
    if missing := [name for name in names if name not in parameters or not parameters[name].is_secret]:
        print(f"Missing: {', '.join(missing)}")
        return 1
    print("Every secret is present.")
    return 0


def _given(source: str, names: tuple[str, ...]) -> dict[str, str]:
    """The values of a file, all checked before the first one is stored."""
    values = read_values(source)
    refuse_made_by_deployment(values, source)
    if unknown := sorted(values.keys() - set(names)):
        raise OpsError(f"{source}: this environment has no secret {', '.join(unknown)}: it has {', '.join(names)}.")
    values = {name: checked(name, value) for name, value in values.items()}
    salt = values.get("LITELLM_SALT_KEY")
    if salt is not None and salt == values.get("LITELLM_MASTER_KEY"):
        raise OpsError("LITELLM_SALT_KEY must not be the same as LITELLM_MASTER_KEY (CVE-2026-114612).")
    return values


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    result = argparse.ArgumentParser(prog="python -m ops.secrets", description=(__doc__ or "").split("\n\n")[0])
    result.add_argument("--env", required=True, metavar="NAME", help="an environment of company/environments.py")
    result.add_argument("--check", action="store_true", help="only list them, and exit with 1 if one is missing")
    result.add_argument("--file", metavar="FILE", help="NAME=value lines or a JSON object; - for standard input")
    result.add_argument("--replace", nargs="+", default=[], metavar="NAME", help="store these anew though they exist")
    result.add_argument("--yes", action="store_true", help="do not ask before a replacement that breaks something")
    return result


def main(argv: list[str] | None = None, *, session: boto3.Session | None = None, ask: Ask | None = None) -> int:
    """Run the command and return its exit code. Tests give the session and what answers the questions."""
    arguments = parser().parse_args(argv)
    if ask is None and not arguments.file and sys.stdin.isatty():
        ask = getpass.getpass
    stored: list[str] = []

    def work() -> int:
        environment = environment_named(arguments.env)
        names = required_secrets(environment)
        refuse_made_by_deployment(arguments.replace, "--replace")
        if unknown := [name for name in arguments.replace if name not in names]:
            raise OpsError(f"--replace: {environment.name} has no secret {', '.join(unknown)}.")
        # Not by the roles of `cdk bootstrap`: none of them may store a parameter.
        access = connect(environment, session)
        store = Store(environment, access.session.client("ssm"), stored)
        return manage(arguments, store, names, ask)

    return run(
        "secrets", work, advice=REFUSED, done=lambda: f" Stored before that: {', '.join(stored)}." if stored else ""
    )


if __name__ == "__main__":
    sys.exit(main())
