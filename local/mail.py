"""What Amazon SES does with a mail given to its API (version 2) and ministack's leaves out.

ministack accepts mails of verified identities and relays them. Here they keep their Reply-To and headers, their
configuration set must exist, and what becomes of them is published to the set's event destinations: a mail to
SES's mailbox simulator bounces or is complained about, every other is delivered.

A new account is in SES's sandbox: it sends to verified identities and to the mailbox simulator only. It leaves it by
PutAccountDetails, which AWS answers within a day, and this at once.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextvars import ContextVar
from datetime import UTC, datetime
from email.utils import parseaddr
from typing import Any

from local.ecs import Json, ministack
from local.place import Place

_sending: ContextVar[Json] = ContextVar("sending")


# https://docs.aws.amazon.com/ses/latest/dg/request-production-access.html
SANDBOX_QUOTA = {"Max24HourSend": 200.0, "MaxSendRate": 1.0}


def leave_sandbox(place: Place) -> None:
    """Take the place's account out of the sandbox, as an operator has AWS do it before people get mails."""
    with ministack("core.responses").request_scope(place.account, place.region):
        ministack("services.ses")._account_details["account"] = {"ProductionAccessEnabled": True}


def _in_sandbox() -> bool:
    account = ministack("services.ses")._account_details.get("account") or {}
    return not account.get("ProductionAccessEnabled", False)


def mend_mail() -> None:
    """Put all of this into the imported ministack."""
    ministack("services.ses")._production_access_enabled = lambda: not _in_sandbox()
    ses = ministack("services.ses_v2")
    handle, build = ses.handle_request, ses._build_mime_message

    def build_message(*arguments: object) -> str:
        request = _sending.get({})
        extra = [(header["Name"], header["Value"]) for header in _simple(request).get("Headers") or []]
        if request.get("ReplyToAddresses"):
            extra.append(("Reply-To", ", ".join(request["ReplyToAddresses"])))
        return "".join(f"{name}: {value}\n" for name, value in extra) + str(build(*arguments))

    async def handle_request(method: str, path: str, headers: Json, body: bytes, query: Json) -> Any:  # noqa: ANN401 - ministack's response
        if method == "GET" and path.rstrip("/") == "/v2/email/account":
            return _account(await handle(method, path, headers, body, query))
        if method != "POST" or path.rstrip("/") != "/v2/email/outbound-emails":
            return await handle(method, path, headers, body, query)
        request = json.loads(body)
        name = request.get("ConfigurationSetName")
        if name and name not in ses._config_sets:
            return ses._missing_config_set(name)
        token = _sending.set(request)
        try:
            answer = await handle(method, path, headers, body, query)
        finally:
            _sending.reset(token)
        if name and answer[0] == 200:
            ministack("core.concurrency").spawn_background(_publish, request, json.loads(answer[2])["MessageId"])
        return answer

    ses._build_mime_message = build_message
    ses.handle_request = handle_request


def _account(answer: Any) -> Any:  # noqa: ANN401 - ministack's response
    """The answer of GetAccount, as it is for an account in the sandbox if it is."""
    status, headers, body = answer
    if not _in_sandbox():
        return answer
    document = json.loads(body)
    document["ProductionAccessEnabled"] = False
    document["SendQuota"] |= SANDBOX_QUOTA
    return status, headers, json.dumps(document).encode()


def _simple(request: Json) -> Json:
    content: Json = request.get("Content", {}).get("Simple") or {}
    return content


def _publish(request: Json, message_id: str) -> None:
    """Publish the events of a mail to the topics of its configuration set."""
    sets, publish = ministack("services.ses_v2")._config_sets, ministack("services.ses")._publish_notification
    destinations = (sets[request["ConfigurationSetName"]].get("EventDestinations") or {}).values()
    for event in events(request, message_id):
        for destination in destinations:
            topic = (destination.get("SnsDestination") or {}).get("TopicArn")
            if topic and destination["Enabled"] and event["eventType"].upper() in destination["MatchingEventTypes"]:
                publish(topic, event)


def events(request: Json, message_id: str) -> Iterator[Json]:
    """What SES publishes about a mail, in order.

    The form is that of docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-contents.html.
    """
    ses = ministack("services.ses")
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    destination = request["Destination"]
    kinds = ("ToAddresses", "CcAddresses", "BccAddresses")
    recipients = [parseaddr(address)[1] for kind in kinds for address in destination.get(kind) or []]
    sender = request["FromEmailAddress"]
    mail = {
        "timestamp": now,
        "source": sender,
        "sendingAccountId": ministack("core.responses").get_account_id(),
        "messageId": message_id,
        "destination": recipients,
        "headersTruncated": False,
        "headers": [],
        "commonHeaders": {
            "from": [sender],
            "to": destination.get("ToAddresses") or [],
            "messageId": message_id,
            "subject": _simple(request).get("Subject", {}).get("Data", ""),
        },
        "tags": {
            "ses:configuration-set": [request["ConfigurationSetName"]],
            **{tag["Name"]: [tag["Value"]] for tag in request.get("EmailTags") or []},
        },
    }
    yield {"eventType": "Send", "mail": mail, "send": {}}
    for recipient in recipients:
        local, _, domain = recipient.partition("@")
        outcomes = (("Delivery", None),)
        if domain.lower() == ses._SIMULATOR_DOMAIN:
            outcomes = ses._SIMULATOR_OUTCOMES.get(local.lower().partition("+")[0], outcomes)
        for kind, subtype in outcomes:
            yield {"eventType": kind, "mail": mail, **ses._notification_detail(kind, recipient, now, subtype)}
