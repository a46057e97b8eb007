"""A region that is gone: nothing that is asked of its services is answered.

Whoever asks signs for a region. What is everywhere, as Route 53 and IAM, is signed for us-east-1.
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

from __future__ import annotations

import re
from pathlib import Path

from local.settled import Application, Message, Receive, Send

SIGNED_FOR = re.compile(rb"Credential=[^/]+/\d{8}/([a-z0-9-]+)/")


def but_lost(application: Application, lost: Path) -> Application:
    """The ASGI application, which gives no answer to who asks a region that the folder `lost` has a file of."""

    async def answering(scope: Message, receive: Receive, send: Send) -> None:
        signed = SIGNED_FOR.search(dict(scope.get("headers", ())).get(b"authorization", b""))
        if signed and (lost / signed[1].decode()).exists():
            await send({"type": "http.response.start", "status": 503, "headers": []})
            await send({"type": "http.response.body", "body": b""})
            return
        await application(scope, receive, send)

    return answering
