"""The mail that invites: a link to LiteLLM's page where a password is chosen. It never has an API key in it."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from html import escape
from typing import TYPE_CHECKING
from urllib.parse import quote

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from onboarding.environment import Places
from onboarding.errors import RefusedError, UnavailableError, harmless
from onboarding.people import Person
from onboarding.texts import say

if TYPE_CHECKING:
    from mypy_boto3_sesv2 import SESV2Client

# SES refuses for now; every other answer below 500 is for good.
# https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendEmail.html#API_SendEmail_Errors
_LATER = {
    "TooManyRequestsException",
    "LimitExceededException",
    "ThrottlingException",
    "Throttling",
    "SendingPausedException",
}


class MailRefusedError(RefusedError):
    """SES does not take the mail: the address, the sender or the account is at fault."""


@cache
def ses() -> SESV2Client:
    """Return SES's client. It tries once: after a timeout the mail may be out, and a second try be a second mail."""
    return boto3.client("sesv2", config=Config(connect_timeout=3, read_timeout=15, retries={"total_max_attempts": 1}))


def link(gateway_url: str, invitation_id: str) -> str:
    """Return the address of LiteLLM's onboarding page.

    With the slash before the query: without it LiteLLM answers with a redirect, whose host it takes from the request.
    """
    return f"{gateway_url.rstrip('/')}/ui/onboarding/?invitation_id={quote(invitation_id, safe='')}"


def send(places: Places, person: Person, invitation_id: str, expires_at: datetime) -> None:
    """Mail the invitation, in the person's language.

    Raises
    ------
    MailRefusedError
        SES does not take the mail.
    UnavailableError
        SES did not answer, or is being asked too often.
    """
    address = link(places.gateway_url, invitation_id)
    text, html = _bodies(person.language, address, person.local(expires_at))
    message = {
        "FromEmailAddress": f"LLM gateway <{places.mail_sender}>",
        "Destination": {"ToAddresses": [person.email]},
        "Content": {
            "Simple": {
                "Subject": {"Data": say("mail_subject", person.language), "Charset": "UTF-8"},
                "Body": {"Text": {"Data": text, "Charset": "UTF-8"}, "Html": {"Data": html, "Charset": "UTF-8"}},
            }
        },
    }
    if places.mail_reply_to:
        message["ReplyToAddresses"] = [places.mail_reply_to]
    if places.mail_configuration_set:
        message["ConfigurationSetName"] = places.mail_configuration_set
    try:
        answer = ses().send_email(**message)  # type: ignore[arg-type]
    except ClientError as error:
        code, status = error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]
        if status >= 500 or code in _LATER:
            raise UnavailableError(f"SES did not take the mail now ({code})") from error
        said = harmless(error.response["Error"].get("Message", ""))
        raise MailRefusedError(f"SES refused the mail ({code}): {said}", status=status, reason=code) from error
    except BotoCoreError as error:
        raise UnavailableError(f"SES did not answer ({type(error).__name__})") from error
    if not answer.get("MessageId"):  # whoever said so is not SES
        raise UnavailableError("SES's answer has no MessageId, so that no mail is known to be out")


def _bodies(language: str, address: str, until: str) -> tuple[str, str]:
    greeting, action, again, reason = (
        say(key, language) for key in ("mail_greeting", "mail_action", "mail_again", "mail_reason")
    )
    valid = say("mail_until", language, until=until)
    text = f"{greeting}\n\n{action}\n\n{address}\n\n{valid}\n{again}\n\n{reason}\n"
    href = escape(address)
    html = f"""<!doctype html>
<html lang="{language}">
<head><meta charset="utf-8"><title>{escape(say("mail_subject", language))}</title></head>
<body style="font-family: sans-serif; line-height: 1.6; color: #1a1a1a">
<p>{escape(greeting)}</p>
<p>{escape(action)}</p>
<p><a href="{href}" style="display: inline-block; padding: 10px 18px; background: #1a56db; color: #ffffff;
text-decoration: none; border-radius: 6px">{escape(say("mail_button", language))}</a></p>
<p><a href="{href}">{href}</a></p>
<p>{escape(valid)}<br>{escape(again)}</p>
<p style="color: #5f5f5f; font-size: 90%">{escape(reason)}</p>
</body>
</html>
"""
    return text, html
