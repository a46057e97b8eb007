"""Accounts that people ask for in Slack: from the form to the first completion, and to the day on which they leave."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from local.gateway import LocalGateway
from local.outside.mailbox import Mailbox
from local.outside.records import Fault
from local.outside.slack import SlackWorkspace
from tests.e2e.conftest import RESULTS, eventually, new_page, sdk
from tests.e2e.slack_requests import BAD_REQUESTS, BadRequest
from tests.templates.waf import allows

# Seconds: what fails for a moment is tried again after 30, 60, 120, … (lambda/onboarding/worker.py).
PATIENCE = 600.0
expect.set_options(timeout=120_000)
PASSWORD = "Correct-horse-9-battery"  # as LiteLLM's policy wants it: of every kind of character
SOMEWHERE = "198.51.100.7"  # an address that accounts are not managed from
MODEL = "nova-2-lite"


@pytest.fixture
def slack(gateway: LocalGateway) -> SlackWorkspace:
    return gateway.outside.slack_workspace


@pytest.fixture
def mailbox(gateway: LocalGateway) -> Mailbox:
    return gateway.outside.mailbox


@pytest.fixture
def newcomer(slack: SlackWorkspace, request: pytest.FixtureRequest) -> str:
    """A person of the company whom nobody has seen before; the id."""
    name = hashlib.sha256(request.node.name.encode()).hexdigest()[:12]
    return str(slack.add_person(f"new-{name}", "Newcomer", email=f"new-{name}@example.com").id)


def ask(slack: SlackWorkspace, who: str, *, max_budget: float | None = None) -> str:
    """Run the workflow's step and wait for its end; the status that it gives back."""
    return status(slack, slack.run_step(who, "platform", "Tests", max_budget))


def status(slack: SlackWorkspace, execution: str) -> str:
    ended = slack.wait_for(lambda: slack.execution(execution).status != "running", timeout=PATIENCE)
    assert ended
    outputs = slack.execution(execution).outputs
    assert outputs is not None, slack.execution(execution).error
    return str(outputs["status"])


def address(slack: SlackWorkspace, who: str) -> str:
    return str(slack.person(who).email)


def account(gateway: LocalGateway, email: str) -> dict[str, Any] | None:
    answer = gateway.api("GET", "/user/info", params={"user_id": email})
    return None if answer.status_code == 404 else answer.json()["user_info"]


# --- The whole way --------------------------------------------------------------------------------------------------


def test_from_the_form_to_spend_under_the_persons_name(
    gateway: LocalGateway, slack: SlackWorkspace, mailbox: Mailbox, newcomer: str, chromium: Browser
) -> None:
    email = address(slack, newcomer)
    assert ask(slack, newcomer) == "created"

    (mail,) = mailbox.wait_for(email, timeout=PATIENCE)
    assert (mail.via, mail.sender) == ("ses", f"LLM gateway <{gateway.environment.mail_sender}>")
    (link,) = {link for link in mail.links if "invitation_id" in link}
    assert link.startswith(f"{gateway.url}/ui")
    assert "sk-" not in mail.text + mail.html
    assert eventually(lambda: any(newcomer in message.all_text for message in slack.audit()))
    assert slack.dms(newcomer)

    template = gateway.client("cloudformation").get_template(StackName="litellm-local-gateway")["TemplateBody"]
    key = accept_invitation(chromium, link, email, lambda method, path: allows(template, method, path, SOMEWHERE))
    answer = sdk(gateway, key).chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "Hello"}])
    assert answer.choices[0].message.content
    assert eventually(lambda: (account(gateway, email) or {})["spend"] > 0)
    made = account(gateway, email)
    assert made is not None
    settings = gateway.environment.onboarding
    assert settings
    assert (made["user_role"], made["max_budget"], made["budget_duration"], made["teams"]) == (
        "internal_user",
        settings.max_budget,
        settings.budget_duration,
        ["platform"],
    )


def accept_invitation(chromium: Browser, link: str, email: str, allowed: Callable[[str, str], bool]) -> str:
    """Set a password behind the link, sign in with it, and make a key: what a person does in the browser."""
    with a_page(chromium, allowed) as page:
        page.goto(link)
        expect(page.get_by_role("textbox", name="Email Address")).to_have_value(email)
        page.get_by_role("textbox", name="Password").fill(PASSWORD)
        page.screenshot(path=RESULTS / "invitation.png")
        page.get_by_role("button", name="Sign Up", exact=True).click()
        expect(page.get_by_text("Create New Virtual Key").first).to_be_visible()
    with a_page(chromium, allowed) as page:
        page.goto(f"{link.partition('/ui')[0]}/ui/")
        page.get_by_placeholder("Enter your username").fill(email)
        page.get_by_placeholder("Enter your password").fill(PASSWORD)
        page.get_by_role("button", name="Login", exact=True).click()
        page.get_by_role("link", name="Virtual Keys").click()
        new_key = page.get_by_role("button", name="Create New Key")
        new_key.or_(page.get_by_role("button", name="Create New Virtual Key")).first.click()
        dialog = page.get_by_role("dialog")
        dialog.locator("#key_alias").fill("laptop")
        dialog.get_by_role("button", name="Create Key", exact=True).click()
        expect(page.get_by_role("dialog").last).to_contain_text(re.compile(r"sk-\S{10,}"))
        (key,) = set(re.findall(r"sk-[A-Za-z0-9_-]{10,}", page.get_by_role("dialog").last.inner_text()))
        return str(key)


@contextmanager
def a_page(chromium: Browser, allowed: Callable[[str, str], bool]) -> Iterator[Page]:
    """A page of a fresh browser, whose requests are asked of the web ACL: nothing else enforces it on this machine."""

    def pass_web_acl(route: Route) -> None:
        if allowed(route.request.method, urlsplit(route.request.url).path):
            route.continue_()
        else:
            route.fulfill(status=403, body="")

    page = new_page(chromium)
    page.route("**/*", pass_web_acl)
    yield page
    page.close()


# --- Once, whatever happens -----------------------------------------------------------------------------------------


def test_retries_double_submits_and_concurrent_runs_make_one_account_and_one_mail(
    gateway: LocalGateway, slack: SlackWorkspace, mailbox: Mailbox, newcomer: str
) -> None:
    execution = slack.run_step(newcomer, "platform", "Tests")
    assert slack.retry().is_success
    others = [slack.run_step(newcomer, "platform", "Tests") for _ in range(3)]
    assert status(slack, execution) == "created"
    assert [status(slack, other) for other in others] == ["exists"] * 3
    assert slack.retry().is_success
    assert ask(slack, newcomer) == "exists"
    assert len(mailbox.mails(address(slack, newcomer))) == 1


def test_the_command_opens_a_form_that_makes_an_account(
    gateway: LocalGateway, slack: SlackWorkspace, mailbox: Mailbox, newcomer: str
) -> None:
    assert slack.command(newcomer).is_success
    (view,) = slack.views(newcomer)
    assert view.payload["title"]["text"] == "LLMゲートウェイのアカウント"
    assert slack.submit(view, {"team": "product", "purpose": "Tests"}).is_success
    (mail,) = mailbox.wait_for(address(slack, newcomer), timeout=PATIENCE)
    assert "invitation_id" in mail.text
    assert eventually(lambda: slack.dms(newcomer))
    made = account(gateway, address(slack, newcomer))
    assert made
    assert made["teams"] == ["product"]


@pytest.mark.parametrize("locale", ["ja-JP", "en-GB"])
def test_the_answer_is_in_the_persons_language(slack: SlackWorkspace, mailbox: Mailbox, locale: str) -> None:
    who = slack.add_person(f"reads-{locale}", "Reader", email=f"{locale.lower()}@example.com", locale=locale).id
    assert ask(slack, who) == "created"
    (mail,) = mailbox.wait_for(address(slack, who), timeout=PATIENCE)
    japanese = re.compile(r"[\u3040-\u30ff]")
    answers = [mail.text, mail.subject, *(message.all_text for message in slack.dms(who))]
    assert [bool(japanese.search(text)) for text in answers] == [locale == "ja-JP"] * len(answers)


@pytest.mark.parametrize("role", ["unconfirmed", "single_sign_on"])
def test_who_signs_in_by_single_sign_on_gets_an_account(slack: SlackWorkspace, mailbox: Mailbox, role: str) -> None:
    person = slack.person(role)
    assert ask(slack, person.id) == "created"
    assert len(mailbox.mails(str(person.email))) == 1


# --- Refused --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "role", ["single_channel_guest", "multi_channel_guest", "bot", "stranger", "foreign_mail", "deactivated"]
)
def test_who_is_no_member_of_the_company_gets_no_account(
    gateway: LocalGateway, slack: SlackWorkspace, mailbox: Mailbox, role: str
) -> None:
    assert ask(slack, slack.person(role).id) == "refused"
    email = slack.person(role).email
    assert not email or account(gateway, email) is None
    assert not email or not mailbox.mails(email)


@pytest.mark.parametrize("bad", BAD_REQUESTS, ids=lambda bad: bad.name)
def test_a_bad_request_is_answered_with_one_sentence_and_changes_nothing(
    gateway: LocalGateway, slack: SlackWorkspace, bad: BadRequest
) -> None:
    queue = gateway.client("sqs")
    urls = queue.list_queues().get("QueueUrls", [])
    assert urls

    def waiting() -> list[str]:
        counts = ["ApproximateNumberOfMessages"]
        found = (queue.get_queue_attributes(QueueUrl=url, AttributeNames=counts)["Attributes"] for url in urls)
        return [url for url, each in zip(urls, found, strict=True) if each[counts[0]] != "0"]

    assert eventually(lambda: waiting() == [])  # whatever a test before has begun
    response = bad.send(slack)
    assert (response.status_code, response.json().get("error") or response.json().get("message")) == (
        bad.status,
        bad.sentence,
    )
    assert waiting() == []


# --- A larger budget ------------------------------------------------------------------------------------------------


def test_a_larger_budget_waits_for_an_approver(
    gateway: LocalGateway, slack: SlackWorkspace, mailbox: Mailbox, newcomer: str
) -> None:
    email = address(slack, newcomer)
    assert ask(slack, newcomer, max_budget=400) == "pending"
    asked = slack.wait_for(
        lambda: next((m for m in slack.audit() if m.buttons and newcomer in m.all_text), None), timeout=PATIENCE
    )
    assert asked
    assert account(gateway, email) is None

    assert slack.click(asked, "approve_account", newcomer).is_success  # not by themselves
    assert slack.click(asked, "approve_account", slack.person("english").id).is_success  # nor by anybody
    assert not mailbox.mails(email)
    assert slack.click(asked, "approve_account", slack.person("approver").id).is_success
    mailbox.wait_for(email, timeout=PATIENCE)
    made = account(gateway, email)
    assert made
    assert made["max_budget"] == 400
    assert eventually(lambda: not next(m for m in slack.audit() if m.ts == asked.ts).buttons)
    assert len(mailbox.mails(email)) == 1


# --- When something is down -----------------------------------------------------------------------------------------


def test_a_request_outlives_an_outage_of_litellm(
    gateway: LocalGateway, slack: SlackWorkspace, mailbox: Mailbox, newcomer: str
) -> None:
    ecs = gateway.client("ecs")
    (cluster,) = ecs.list_clusters()["clusterArns"]
    (service,) = ecs.list_services(cluster=cluster)["serviceArns"]
    ecs.update_service(cluster=cluster, service=service, desiredCount=0)
    assert eventually(lambda: gateway.api("GET", "/health/liveliness").status_code >= 500)
    try:
        execution = slack.run_step(newcomer, "platform", "Tests")
        assert eventually(lambda: slack.dms(newcomer))  # that it is kept
        assert slack.execution(execution).status == "running"
    finally:
        ecs.update_service(cluster=cluster, service=service, desiredCount=1)
    assert eventually(lambda: gateway.api("GET", "/health/liveliness").is_success, patience=PATIENCE)
    assert status(slack, execution) == "created"
    assert len(mailbox.mails(address(slack, newcomer))) == 1


def test_slack_is_throttled_and_the_account_is_made_all_the_same(
    gateway: LocalGateway, slack: SlackWorkspace, mailbox: Mailbox, newcomer: str
) -> None:
    gateway.outside.set_fault("slack.com", Fault(status=429, count=2, retry_after_seconds=1))
    try:
        assert ask(slack, newcomer) == "created"
    finally:
        gateway.outside.clear_fault("slack.com")
    assert len(mailbox.mails(address(slack, newcomer))) == 1


# --- Leaving --------------------------------------------------------------------------------------------------------


def key_of(gateway: LocalGateway, email: str) -> str:
    answer = gateway.api("POST", "/key/generate", json={"user_id": email})
    assert answer.is_success, answer.text
    return str(answer.json()["key"])


def closed(gateway: LocalGateway, key: str) -> Callable[[], bool]:
    return lambda: gateway.api("GET", "/v1/models", key=key).status_code == 401


def test_who_leaves_loses_the_keys_and_keeps_the_history(
    gateway: LocalGateway, slack: SlackWorkspace, newcomer: str
) -> None:
    email = address(slack, newcomer)
    assert ask(slack, newcomer) == "created"
    key = key_of(gateway, email)
    assert gateway.api("GET", "/v1/models", key=key).is_success
    slack.deactivate(newcomer)
    assert eventually(closed(gateway, key))
    kept = account(gateway, email)
    assert kept
    assert kept["metadata"]["scim_active"] is False
    assert eventually(lambda: sum(newcomer in message.all_text for message in slack.audit()) >= 2)


def test_a_mail_that_does_not_arrive_is_told_to_the_audit_channel(gateway: LocalGateway, slack: SlackWorkspace) -> None:
    mails = gateway.client("sesv2")
    (name,) = mails.list_configuration_sets()["ConfigurationSets"]
    mails.send_email(
        FromEmailAddress=gateway.environment.mail_sender,
        Destination={"ToAddresses": ["bounce@simulator.amazonses.com"]},
        Content={"Simple": {"Subject": {"Data": "Invitation"}, "Body": {"Text": {"Data": "Welcome"}}}},
        ConfigurationSetName=name,
    )
    assert eventually(lambda: any("bounce@simulator" in message.all_text for message in slack.audit()))


def test_the_daily_sweep_finds_whom_slack_did_not_report(
    gateway: LocalGateway, slack: SlackWorkspace, newcomer: str
) -> None:
    assert ask(slack, newcomer) == "created"
    key = key_of(gateway, address(slack, newcomer))
    slack.change_person(newcomer, deleted=True)
    functions = gateway.client("lambda")
    names = [
        f["FunctionName"] for f in functions.list_functions()["Functions"] if f["Handler"].endswith("sweep.handler")
    ]
    answer = functions.invoke(FunctionName=names[0], Payload=b"{}")
    assert "FunctionError" not in answer
    assert eventually(closed(gateway, key))


# --- LiteLLM's own mails --------------------------------------------------------------------------------------------


def test_litellms_own_mails_go_out_by_smtp_and_carry_no_key(gateway: LocalGateway, mailbox: Mailbox) -> None:
    """An invitation that an administrator has LiteLLM send: with the login that the deployment made."""
    email = f"invited-{time.monotonic_ns()}@example.com"
    made = gateway.api(
        "POST",
        "/user/new",
        json={"user_id": email, "user_email": email, "send_invite_email": True, "auto_create_key": False},
    )
    assert made.is_success, made.text
    (mail,) = mailbox.wait_for(email, timeout=PATIENCE)
    assert (mail.via, mail.sender) == ("smtp", gateway.environment.mail_sender)
    assert "sk-" not in mail.text + mail.html
    assert gateway.url in mail.html


def test_no_secret_and_no_form_text_is_in_the_functions_logs(
    gateway: LocalGateway, slack: SlackWorkspace, newcomer: str
) -> None:
    marker = "PURPOSE-MARKER-7391"
    assert status(slack, slack.run_step(newcomer, "platform", marker)) == "created"
    # Of a log that is being written the last character may be there in part.
    texts = [file.read_text(errors="replace") for file in gateway.emulator.logs.glob("*.log")]
    names = ("SLACK_BOT_TOKEN", "SLACK_SIGNING_SECRET", "ONBOARDING_KEY", "SMTP_PASSWORD", "LITELLM_MASTER_KEY")
    hidden = [marker, address(slack, newcomer), *map(gateway.secret, names)]
    assert any('"service":"onboarding"' in text for text in texts)
    assert not [word for word in hidden if any(word in text for text in texts)]
