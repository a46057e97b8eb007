"""ops/slack_manifest.py: what Slack takes, and what the functions that answer Slack expect of it."""

import ast
import json
import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from slack_sdk import WebClient

from ops import access, slack_manifest
from stacks import CHECKOUT
from stacks.company import environments
from stacks.constructs.python_function import BESIDE
from stacks.settings import Environment, Report

FUNCTIONS = CHECKOUT / "lambda"

# The scope that each method of the Web API needs of a bot, "" for none. https://docs.slack.dev/reference/methods
SCOPES = {
    "auth_teams_list": "",
    "auth_test": "",
    "chat_postEphemeral": "chat:write",
    "chat_postMessage": "chat:write",
    "chat_update": "chat:write",
    "files_upload_v2": "files:write",
    "functions_completeError": "",
    "functions_completeSuccess": "",
    "usergroups_users_list": "usergroups:read",
    "users_info": "users:read",
    "users_list": "users:read",
    "views_open": "",
    "views_update": "",
}

# Slack's reference, https://docs.slack.dev/reference/app-manifest, and its published schema, slackapi/manifest-schema:
# the fields that this manifest uses, with their limits.
Url = Annotated[str, StringConstraints(pattern=r"^https://[^/]+/", max_length=3000)]


class Group(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class DisplayInformation(Group):
    name: Annotated[str, StringConstraints(min_length=1, max_length=35)]
    description: Annotated[str, StringConstraints(min_length=1, max_length=140)]


class AppHome(Group):
    home_tab_enabled: bool
    messages_tab_enabled: bool
    messages_tab_read_only_enabled: bool


class BotUser(Group):
    display_name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9._-]+$", max_length=80)]
    always_online: bool


class SlashCommand(Group):
    command: Annotated[str, StringConstraints(pattern=r"^/\S+$", max_length=32)]
    url: Url
    description: Annotated[str, StringConstraints(min_length=1, max_length=2000)]
    should_escape: bool


class ReportFeatures(Group):
    bot_user: BotUser


class Features(ReportFeatures):
    app_home: AppHome
    slash_commands: Annotated[list[SlashCommand], Field(min_length=1, max_length=5)]


class Scopes(Group):
    bot: Annotated[list[Annotated[str, StringConstraints(max_length=50)]], Field(max_length=255)]


class OauthConfig(Group):
    scopes: Scopes


class EventSubscriptions(Group):
    request_url: Url
    bot_events: Annotated[list[Annotated[str, StringConstraints(max_length=50)]], Field(max_length=100)]


class Interactivity(Group):
    is_enabled: bool
    request_url: Url


class Settings(Group):
    event_subscriptions: EventSubscriptions
    interactivity: Interactivity
    org_deploy_enabled: Literal[True]
    socket_mode_enabled: Literal[False]
    token_rotation_enabled: Literal[False]
    function_runtime: Literal["remote"]


class Parameter(Group):
    name: str
    type: Literal["string", "number", "slack#/types/user_id"]
    title: Annotated[str, StringConstraints(min_length=1)]
    description: Annotated[str, StringConstraints(min_length=1)]
    is_required: bool


class Function(Group):
    title: Annotated[str, StringConstraints(min_length=1)]
    description: Annotated[str, StringConstraints(min_length=1)]
    input_parameters: Annotated[dict[str, Parameter], Field(max_length=20)]
    output_parameters: Annotated[dict[str, Parameter], Field(max_length=20)]


class ReportSettings(Group):
    org_deploy_enabled: Literal[False]
    socket_mode_enabled: Literal[False]
    token_rotation_enabled: Literal[False]


class ReportManifest(Group):
    """Of an app that only posts: Slack sends it nothing."""

    display_information: DisplayInformation
    features: ReportFeatures
    oauth_config: OauthConfig
    settings: ReportSettings


class Manifest(Group):
    display_information: DisplayInformation
    features: Features
    oauth_config: OauthConfig
    settings: Settings
    functions: Annotated[dict[str, Function], Field(max_length=50)]


def printed(capsys: pytest.CaptureFixture[str], environment: str) -> Any:  # noqa: ANN401 - JSON
    assert slack_manifest.main(["--env", environment]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("name", [name for name, made in environments().items() if made.onboarding])
def test_slack_takes_it(capsys: pytest.CaptureFixture[str], name: str) -> None:
    manifest = Manifest.model_validate(printed(capsys, name))
    assert name in manifest.display_information.name
    for parameters in (
        group for f in manifest.functions.values() for group in (f.input_parameters, f.output_parameters)
    ):
        assert all(parameter.name == key for key, parameter in parameters.items())


def longest() -> Environment:
    """An environment whose names are as long as they may be."""
    return environments()["dev"].model_copy(update={"name": "a" * 12, "domain": f"{'a' * 63}.{'b' * 63}.example.com"})


def test_slack_takes_the_longest_names() -> None:
    Manifest.model_validate(slack_manifest.manifest(longest()))


def test_every_url_is_the_environments_own(capsys: pytest.CaptureFixture[str]) -> None:
    urls = re.findall(r"https://[^\"]+", json.dumps(printed(capsys, "dev")))
    assert urls == ["https://slack.llm.dev.example.com/slack/events"] * 3


def test_inputs_and_outputs_of_the_step(capsys: pytest.CaptureFixture[str]) -> None:
    step = printed(capsys, "dev")["functions"]["create_account"]
    types = {name: (p["type"], p["is_required"]) for name, p in step["input_parameters"].items()}
    assert types == {
        "who": ("slack#/types/user_id", True),
        "team": ("string", True),
        "purpose": ("string", True),
        "max_budget": ("number", False),
    }
    assert step["output_parameters"].keys() == {"status", "message"}


def dev(**changes: object) -> Environment:
    return environments()["dev"].model_copy(update=changes)


def without_seats() -> Report:
    report = environments()["dev"].report
    assert report
    return report.model_copy(update={"plans": ()})


def test_groups_are_read_only_if_one_approves_or_has_seats() -> None:
    onboarding = environments()["dev"].onboarding
    assert onboarding
    without = onboarding.model_copy(update={"approver_group": None})
    assert "usergroups:read" in slack_manifest.scopes(dev(onboarding=without))
    assert "usergroups:read" in slack_manifest.scopes(dev(report=without_seats()))
    assert "usergroups:read" not in slack_manifest.scopes(dev(onboarding=without, report=without_seats()))


def test_without_a_report_there_are_no_files() -> None:
    assert "files:write" not in slack_manifest.scopes(dev(report=None))


def test_an_app_that_only_reports() -> None:
    made = slack_manifest.manifest(dev(onboarding=None))
    assert ReportManifest.model_validate(made).oauth_config.scopes.bot == [
        "chat:write",
        "files:write",
        "usergroups:read",
        "users:read",
        "users:read.email",
    ]
    assert "https://" not in json.dumps(made)
    assert slack_manifest.scopes(dev(onboarding=None, report=without_seats())) == ["chat:write", "files:write"]


def test_an_environment_without_an_app_is_refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "environments", lambda: {"dev": dev(onboarding=None, report=None)})
    assert slack_manifest.main(["--env", "dev"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err == (
        "slack-manifest: dev has no Slack app: give it onboarding=Onboarding(…) or report=Report(…) in "
        "company/environments.py first.\n"
    )


def test_an_unknown_environment_is_refused_with_those_that_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert slack_manifest.main(["--env", "nowhere"]) == 2
    assert "no environment nowhere: company/environments.py has dev, stg, prod, local." in capsys.readouterr().err


# --- The functions --------------------------------------------------------------------------------------------------


def nodes(package: str) -> Iterator[ast.AST]:
    """The syntax of the functions' source."""
    for folder in (package, *BESIDE[package]):
        for file in sorted((FUNCTIONS / folder).glob("*.py")):
            yield from ast.walk(ast.parse(file.read_text()))


def called(package: str) -> set[str]:
    """The methods of the Web API that the functions call."""
    methods = {name for name, value in vars(WebClient).items() if callable(value) and "_" in name.strip("_")}
    return {node.attr for node in nodes(package) if isinstance(node, ast.Attribute)} & methods


@pytest.mark.parametrize(
    ("package", "more", "without"),
    [
        ("onboarding", {"commands", "users:read.email"}, {"report": None}),
        ("usage", {"users:read.email"}, {"onboarding": None}),
    ],
)
def test_the_scopes_are_what_the_functions_need(package: str, more: set[str], without: dict[str, None]) -> None:
    calls = called(package)
    assert calls
    assert calls <= SCOPES.keys(), "a call whose scope is not known here: look it up"
    needed = {SCOPES[call] for call in calls} - {""} | more
    assert needed == set(slack_manifest.scopes(dev(**without)))


@pytest.mark.parametrize("value", [slack_manifest.STEP, *slack_manifest.EVENTS])
def test_the_functions_answer_to_it(value: str) -> None:
    syntax = nodes("onboarding")
    texts = {node.value for node in syntax if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    assert value in texts or (value == "function_executed" and slack_manifest.STEP in texts)  # Bolt's app.function
