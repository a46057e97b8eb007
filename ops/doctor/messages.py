"""Whether the gateway's messages arrive: its mail, and its alarms in Slack.

Integrates with SES and Chatbot (Amazon Q Developer in chat applications).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ops.doctor.account import Account
from ops.doctor.finding import Finding, problem, well
from ops.numbers import written

CHATBOT_REGION: Final = "us-east-2"  # one of the few with its API, which knows the workspaces of all


def mail(account: Account) -> Iterator[Finding]:
    """SES sends to anybody, and has not been stopped."""
    what, environment = "mail", account.environment
    found = account.client("sesv2").get_account()
    day, second = (written(found["SendQuota"][name]) for name in ("Max24HourSend", "MaxSendRate"))
    quota = f"{day} mails a day, {second} a second"
    if not found["ProductionAccessEnabled"]:
        yield problem(
            what,
            f"SES is in its sandbox ({quota}): only verified addresses get invitations",
            f"run `aws sesv2 put-account-details --region {environment.region} --production-access-enabled "
            f"--mail-type TRANSACTIONAL --website-url https://{environment.domain}`; AWS answers within a day.",
        )
    elif not found["SendingEnabled"] or found.get("EnforcementStatus", "HEALTHY") != "HEALTHY":
        yield problem(
            what,
            f"SES has the account under {found.get('EnforcementStatus', 'review')}, and sending is "
            f"{'on' if found['SendingEnabled'] else 'off'}",
            "see the reputation page of SES's console for the reason, mend it, and answer the case of AWS Support.",
        )
    else:
        yield well(what, f"SES is out of its sandbox: {quota}")


def slack_workspace(account: Account) -> Iterator[Finding]:
    """Amazon Q Developer may post to the workspace of the alarms: a person has to let it in, in the console."""
    workspace = account.environment.alarms.workspace
    if not workspace:
        return
    what = "Slack workspace"
    found = account.client("chatbot", CHATBOT_REGION).describe_slack_workspaces()["SlackWorkspaces"]
    if workspace in {each["SlackTeamId"] for each in found if each.get("State", "ENABLED") == "ENABLED"}:
        yield well(what, f"{workspace} has let Amazon Q Developer in chat applications in")
        return
    yield problem(
        what,
        f"{workspace}, of alarms, has not let Amazon Q Developer in chat applications in",
        "open its console, choose Configure new client, Slack, and allow it for the workspace; the deployment fails "
        "without.",
    )
