"""How AWS fails a function, and how that is told: never with what was sent, which AWS's messages may repeat."""

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

FAILURES = (BotoCoreError, ClientError, ResponseParserError, LookupError)
"""What a call raises, not sent, refused, or not readable; and looking into an answer that lacks what belongs there."""


def what_failed(error: Exception) -> str:
    """One of `FAILURES` as a part of a sentence: which call it was, and AWS's code."""
    if isinstance(error, ClientError):
        return f"{error.operation_name} failed with {error.response['Error']['Code']}"
    if isinstance(error, LookupError):
        return f"an answer of AWS lacks {error}"
    return f"AWS could not be asked ({type(error).__name__})"
