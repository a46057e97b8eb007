"""A region that is gone gives no answer, and the others do."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from local.lost import but_lost
from local.settled import Message, Receive, Send


async def _all(scope: Message, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"here"})


def status(lost: Path, authorization: bytes) -> int:
    """Of the answer to a request with this header."""
    sent: list[Any] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {}

    scope = {"type": "http", "headers": [(b"authorization", authorization)] if authorization else []}

    async def ask() -> None:
        await but_lost(_all, lost)(scope, receive, send)

    asyncio.run(ask())
    return int(sent[0]["status"])


@pytest.mark.parametrize(
    ("region", "answered"), [("ap-northeast-1", 503), ("ap-northeast-3", 200), ("us-east-1", 200), ("", 200)]
)
def test_a_region_that_is_gone_answers_nobody(tmp_path: Path, region: str, answered: int) -> None:
    signed = f"AWS4-HMAC-SHA256 Credential=1/20261129/{region}/rds/aws4_request, SignedHeaders=host, Signature=0"
    authorization = signed.encode() if region else b""
    assert status(tmp_path, authorization) == 200
    (tmp_path / "ap-northeast-1").touch()
    assert status(tmp_path, authorization) == answered
