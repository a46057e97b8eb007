"""An app that is installed for an organization: accounts, approvals and the sweep, in the simulated Slack of one.

Its token is good for several workspaces, and Slack refuses it wherever the workspace has to be named and is not.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from onboarding import sweep
from onboarding.requests import Create, Decide
from slack_sdk import WebClient

from local.outside.slack import SlackWorkspace
from local.outside.slack_workspace import ExampleWorkspace
from local.outside.world import OutsideWorld
from tests.unit.onboarding.fake_services import SETTINGS, Context, World

WORKSPACE = ExampleWorkspace(workspace="E0123456789")
RULES = replace(
    SETTINGS,
    workspace=WORKSPACE.workspace,
    audit_channel=WORKSPACE.audit_channel,
    approver_group=WORKSPACE.approver_group,
    mail_domains=WORKSPACE.mail_domains,
    teams=WORKSPACE.teams,
)
CONTEXT: Any = Context()


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[OutsideWorld]:
    with OutsideWorld(tmp_path, slack_workspace=WORKSPACE) as running:
        yield running


@pytest.fixture
def slack(outside: OutsideWorld) -> SlackWorkspace:
    return outside.slack_workspace


@pytest.fixture
def world(outside: OutsideWorld, monkeypatch: pytest.MonkeyPatch) -> World:
    """The functions, as clients of the simulated Slack."""
    world = World(monkeypatch, RULES)
    context = ssl.create_default_context(cafile=str(outside.ca_file))
    token = outside.credentials.slack_bot_token
    world.slack = WebClient(token, proxy=outside.proxy_url, ssl=context, retry_handlers=[])  # type: ignore[assignment]
    return world


def asked(who: str, **more: Any) -> Create:  # noqa: ANN401
    return Create(id="V0123456789", who=who, requester=who, team="platform", purpose="Tests", **more)


def test_an_account(world: World, slack: SlackWorkspace) -> None:
    person = slack.person("japanese")
    assert world.run(asked(person.id)) == 1
    assert list(world.litellm.users) == [person.email]
    assert "created" in slack.messages(WORKSPACE.audit_channel)[-1].text


def test_who_is_not_of_the_organisation_gets_none(world: World, slack: SlackWorkspace) -> None:
    world.run(asked(slack.person("stranger").id))
    assert world.litellm.users == {}


@pytest.mark.parametrize(("by", "budget"), [("approver", 500.0), ("english", None)])
def test_an_approval(world: World, slack: SlackWorkspace, by: str, budget: float | None) -> None:
    """The approvers' group is in another workspace than the one that its member's user object has."""
    person = slack.person("japanese")
    world.run(asked(person.id, max_budget=500.0))
    (message,) = (one for one in slack.messages(WORKSPACE.audit_channel) if one.buttons)
    request = Create(**json.loads(message.buttons[0]["value"]))
    clicker = slack.person(by).id
    slack.add_channel(WORKSPACE.audit_channel, "llm-accounts")  # whoever clicks is in it
    world.run(
        Decide(id="C1:1.1", approve=True, by=clicker, channel=message.channel, message=message.ts, request=request)
    )
    assert {user["max_budget"] for user in world.litellm.users.values()} == ({budget} if budget else set())


def test_the_sweep(world: World, slack: SlackWorkspace) -> None:
    left = slack.add_person("left", deleted=True)
    world.litellm.add(str(left.email), metadata={"onboarding": {"slack_user": left.id}})
    assert sweep.handler({}, CONTEXT) == {"accounts": 1, "leaving": 1, "unknown": 0, "closed": 1}
