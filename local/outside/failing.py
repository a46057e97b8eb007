"""How an answer fails that has begun well: status 200, and then an error, or what no provider sends."""

import json

from local.outside.event_stream import EVENT_STREAM, encoded

PAGE = "<!doctype html><title>Maintenance</title><p>We are back soon.</p>"
"""What a proxy before a provider may put in its place."""
_EVENTS = "text/event-stream"


def in_stream(kind: str, error: bytes) -> bytes | None:
    """Return a provider's error as it comes within a stream of this content type; None if it is none.

    Of AWS a message that is an exception and no event (Bedrock's API reference, `ConverseStream`, `ResponseStream`); of
    Anthropic an event of that name ("Streaming messages", error events); of the others data like any other.
    """
    if kind.startswith(EVENT_STREAM):
        headers = {
            ":exception-type": "serviceUnavailableException",
            ":content-type": "application/json",
            ":message-type": "exception",
        }
        return encoded(headers, error)
    if kind.startswith(_EVENTS):
        name = b"event: error\n" if json.loads(error).get("type") == "error" else b""
        return name + b"data: " + error + b"\n\n"
    return None
