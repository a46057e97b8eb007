"""The answer to a service that is simulated outside the emulated AWS: may whoever signed a request do what it asks?

A question with a `guardrail`, its id or ARN and its `version`, is answered with what was deployed of it as well. One
that is about a `profile` alone, an application inference profile by its ARN, with the `model` that it is of.

Asked by `local.outside.permissions`. The question is the request as it came, with what it does in the header QUESTION:
its `method`, `path` and `headers`, the `region`, and the `checks`, each an action and a resource, in whose ARN ACCOUNT
stands for the caller's. A mail by SMTP has no signature: its question has the `key` that is the sender's user name, and
the `mail`, as SES's API would be told of it. The answer is `{}`, or the refusal's `code` and `message`.
"""

from __future__ import annotations

import json
from typing import Any, Final

from local.ecs import Json, ministack
from local.iam.decisions import about, identity_of
from local.settled import Application, Message, Receive, Send, body_of

PATH: Final = "/_local/iam"
QUESTION: Final = "x-question"
ACCOUNT: Final = "{account}"


def answering(application: Application) -> Application:
    """The ASGI application, which answers such questions too."""

    async def serve(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != PATH:
            await application(scope, receive, send)
            return
        headers = {name.decode().lower(): value.decode() for name, value in scope["headers"]}
        answer = json.dumps(refusal(json.loads(headers[QUESTION]), await body_of(receive))).encode()
        started = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]}
        await send(started)
        await send({"type": "http.response.body", "body": answer})

    return serve


def refusal(question: Json, body: bytes) -> dict[str, Any]:
    """The code and message with which AWS refuses, and nothing if it does not."""
    if "profile" in question:
        return _profile(question["profile"])
    return _of_mail(question) if "mail" in question else _of_request(question, body)


def _of_mail(question: Json) -> dict[str, str]:
    """Of a mail by SMTP, which goes with the configuration set that its sender's identity has by default.

    https://docs.aws.amazon.com/ses/latest/dg/managing-configuration-sets-default-adding.html
    """
    evaluator = ministack("core.iam_evaluator")
    key, mail = str(question["key"]), dict(question["mail"])
    account = evaluator.find_iam_access_key_account(key) or ""
    with ministack("core.responses").request_scope(account, question["region"]):
        identity = identity_of(mail["FromEmailAddress"])
        found = ministack("services.ses_v2")._identities.get(identity) or {}
        about(mail | {"ConfigurationSetName": found.get("ConfigurationSetName", "")})
        action = "ses:SendRawEmail"
        refused = evaluator.enforce(key, action, "ses", question["region"])
        return _worded(refused, action, f"identity/{identity}") if refused is not None else {}


def _of_request(question: Json, body: bytes) -> dict[str, Any]:
    evaluator, responses = ministack("core.iam_evaluator"), ministack("core.responses")
    headers: dict[str, str] = question["headers"]
    key = ministack("core.router").extract_access_key_id(headers, {}) or ""
    account = responses._account_from_sts_session(key) or evaluator.find_iam_access_key_account(key) or key
    with responses.request_scope(account, question["region"]):
        raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
        evaluator.pin_signed_request(question["method"], question["path"], {}, raw)
        evaluator.pin_signed_body(body)
        about({})
        for action, resource in question["checks"]:
            arn, service = resource.replace(ACCOUNT, account), action.partition(":")[0]
            refused = evaluator.enforce(key, action, service, question["region"], resource_arn=arn)
            if refused is not None:
                return _worded(refused, action, arn)
        return _guardrail(question["guardrail"], question["version"]) if "guardrail" in question else {}


def _profile(arn: str) -> dict[str, str]:
    """The id of what an application inference profile is of, a model or a profile; nothing if there is none."""
    _, _, _, region, account, name = arn.split(":", 5)
    known = ministack("services.bedrock")._inference_profiles_apps
    found = known.get_scoped(account, region, name.rpartition("/")[2])
    return {"model": found["Models"][0]["ModelArn"].rpartition("/")[2]} if found else {}


def _guardrail(identifier: str, version: str) -> dict[str, Any]:
    """A guardrail of the caller's account and region, as Bedrock's API answers it; nothing if there is none."""
    name = identifier.rpartition("/")[2]
    status, _, body = ministack("services.bedrock")._get_guardrail(name, {"guardrailVersion": [version]})
    return {"guardrail": json.loads(body) if status < 300 else None}


def _worded(refused: Any, action: str, arn: str) -> dict[str, str]:  # noqa: ANN401 - ministack's
    if isinstance(refused, ministack("core.iam_evaluator").AuthError):
        return {"code": refused.code, "message": refused.message}
    message = ministack("core.iam_actions").identity_denial_message(
        action, refused.principal_arn, arn, refused.decision == "Deny"
    )
    return {"code": "AccessDeniedException", "message": message}
