"""CloudFormation's answers wait for what is under way, so that nobody polls for it.

The CDK CLI looks every five seconds whether a change set is made or a stack deployed. On this machine most are ready in
less, and a deployment would be waiting for the most part. So a question about one that is in progress is answered when
it is settled, or after a while with what there is: AWS's own answer, later. Only a function of the stack itself is
answered at once: what is under way may be waiting for it.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]

QUESTIONS = ("DescribeChangeSet", "DescribeStacks")
# A stack in review waits for somebody to execute its change set.
UNDER_WAY = re.compile(rb"<(?:Stack)?Status>(?!REVIEW_)\w+_(?:IN_PROGRESS|PENDING)</")
LONGEST = 20.0  # seconds, well below any client's patience
LOOK = 0.25  # seconds between two looks, each of which costs a whole answer
# How a client in a Lambda function names its place (AWS_EXECUTION_ENV) in the header User-Agent.
IN_A_FUNCTION = b"exec-env/AWS_Lambda"


def when_settled(application: Application, longest: float = LONGEST) -> Application:
    """The ASGI application, whose answers about one stack or change set in progress wait until it is settled."""

    async def answering(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST" or scope["path"] != "/":
            await application(scope, receive, send)
            return
        body = await body_of(receive)
        asked = parse_qs(body.decode("latin-1"))
        waits = asked.get("Action", [""])[0] in QUESTIONS and "StackName" in asked and not _in_a_function(scope)
        end = time.monotonic() + (longest if waits else 0.0)
        answer = await _ask(application, scope, body)
        while _under_way(answer) and time.monotonic() < end:
            await asyncio.sleep(LOOK)
            answer = await _ask(application, scope, body)
        for message in answer:
            await send(message)

    return answering


def _in_a_function(scope: Message) -> bool:
    return any(name.lower() == b"user-agent" and IN_A_FUNCTION in value for name, value in scope.get("headers", ()))


async def body_of(receive: Receive) -> bytes:
    """The whole body of a request."""
    pieces, more = list[bytes](), True  # of a body that may be large
    while more:
        message = await receive()
        pieces.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(pieces)


async def _ask(application: Application, scope: Message, body: bytes) -> list[Message]:
    """The whole answer to a request with this body."""
    answer: list[Message] = []
    asked = False

    async def receive() -> Message:
        nonlocal asked
        if asked:
            return {"type": "http.disconnect"}
        asked = True
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        answer.append(message)

    await application(dict(scope), receive, send)
    return answer


def _under_way(answer: list[Message]) -> bool:
    return bool(UNDER_WAY.search(b"".join(message.get("body", b"") for message in answer)))
