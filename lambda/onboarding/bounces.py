"""Tells the audit channel of mails that did not arrive: bounces, complaints and rejects that SES reports through SNS.

The line names the recipient's address: whoever acts on it needs the address, and nothing else tells whose it is. The
log has SES's message id only.

Integrates with SNS, Parameter Store and Slack (chat.postMessage).
"""

from __future__ import annotations

import json
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext
from shared.slack import part, slack_errors

from onboarding.environment import settings
from onboarding.people import client
from onboarding.texts import plain

WHAT_TO_DO = {
    "Bounce": "have the address in their Slack profile checked, then let them ask for the account again",
    "Complaint": "SES sends nothing more to this address: ask them, and take it off the account's suppression list",
    "Reject": "SES found malware in the mail: look into the configuration set's events",
}

logger = Logger()


@logger.inject_lambda_context(log_event=False, clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> None:
    """Write a line for each report.

    Raises
    ------
    UnavailableError, RefusedError
        Slack did not take it: SNS's retries bring it again.
    """
    for record in event["Records"]:
        line = line_of(record["Sns"]["Message"])
        if not line:
            logger.warning("not a report that is told", sns_message=record["Sns"].get("MessageId"))
            continue
        with slack_errors("chat.postMessage"):
            answer = client().api_call("chat.postMessage", json={"channel": settings().audit_channel, "text": line})
        part(answer, "ts", "chat.postMessage")
        logger.info("told", sns_message=record["Sns"].get("MessageId"))


def line_of(message: str) -> str | None:
    """Return the line for one event of SES, or None if it is of another kind.

    The event's shape: https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-contents.html
    """
    try:
        report = json.loads(message)
        kind = report["eventType"]
        todo = WHAT_TO_DO[kind]
        detail = report.get(kind.lower()) or {}
        recipients = {
            "Bounce": [one["emailAddress"] for one in detail.get("bouncedRecipients", ())],
            "Complaint": [one["emailAddress"] for one in detail.get("complainedRecipients", ())],
        }.get(kind) or report["mail"]["destination"]
        to = plain(", ".join(recipients))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    types = (detail.get(name) for name in ("bounceType", "bounceSubType", "complaintFeedbackType", "reason"))
    why = " ".join(str(type_) for type_ in types if type_)
    why = plain(why) or "no reason given"
    return f"`{kind.lower()}` A mail of the LLM gateway to {to} did not get through ({why}): {todo}."
