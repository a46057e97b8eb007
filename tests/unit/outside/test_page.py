"""The page for people shows what the environment has to do with, and nothing else."""

from pathlib import Path

import httpx
import pytest

from local.outside.page import Parts
from local.outside.slack_workspace import ExampleWorkspace
from local.outside.world import OutsideWorld

WORDS = {
    "accounts": ("Ask for an account as", "Workflow steps", "#llm-accounts"),
    "slack": ('id="slack"', 'id="people"', "yuki.sato@example.ie"),
    "mail": ('id="mails"', 'href="#mails"'),
    "dashboard": ('href="/dashboard"',),
}


@pytest.mark.parametrize(
    "left_out", [(), ("accounts",), ("accounts", "slack"), ("mail",), ("dashboard",), tuple(WORDS)]
)
def test_only_what_there_is(tmp_path: Path, left_out: tuple[str, ...]) -> None:
    parts = Parts(**dict.fromkeys(left_out, False))
    workspace = ExampleWorkspace(mail_domains=("example.ie", "example.eu"))
    with OutsideWorld(tmp_path, parts=parts, slack_workspace=workspace) as world:
        page = httpx.get(world.control_url, trust_env=False).text
    for part, words in WORDS.items():
        assert [word for word in words if word in page] == ([] if part in left_out else list(words)), part
    assert "Records and faults" in page
    assert "example.com" not in page


def test_people_are_of_the_companys_mail_domains(tmp_path: Path) -> None:
    workspace = ExampleWorkspace(mail_domains=("example.ie", "example.eu"))
    slack = OutsideWorld(tmp_path, slack_workspace=workspace).slack_workspace
    domains = {str(person.email).partition("@")[2] for person in slack.people() if person.email}
    assert domains == {"example.ie", "example.eu", "mail.example.net"}  # the last is of somebody's own mail
    assert slack.domain == "example"


def test_a_workspace_of_an_organisation(tmp_path: Path) -> None:
    """People are of a workspace in it, and say which organisation."""
    slack = OutsideWorld(tmp_path, slack_workspace=ExampleWorkspace(workspace="E0123456789")).slack_workspace
    person, stranger = slack.person("japanese"), slack.person("stranger")
    assert person.user(with_locale=False, with_email=True)["enterprise_user"]["enterprise_id"] == "E0123456789"
    assert person.team.startswith("T")
    assert "enterprise_user" not in stranger.user(with_locale=False, with_email=True)


def test_a_channel_that_is_there_keeps_its_name_and_members(tmp_path: Path) -> None:
    """One channel may be for accounts and reports."""
    slack = OutsideWorld(tmp_path).slack_workspace
    before = slack.channel(slack.audit_channel)
    slack.add_channel(slack.audit_channel, "llm-usage")
    after = slack.channel(slack.audit_channel)
    assert after.name == before.name
    assert before.members <= after.members
