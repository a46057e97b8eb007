"""What a caller is told of a failure: the provider's own words, or one sentence, and nothing of the server's inside.

LiteLLM answers with the text of an exception. Of its own code's that can be a stack trace, a path, a variable's name
(`set the OPENAI_API_KEY`), or the list of deployments that are left out. Before it answers, it shows its callbacks the
exception (`ProxyLogging.post_call_failure_hook`), and takes what they return, on some routes only; on all of them
(`rerank_endpoints`, `openai_files_endpoints`, `moderations` among them) it takes the message from the exception that it
has shown. So the words are put there; what its type is, and what a provider has said of a request, stay as they are.

config.yaml names `errors.told` as a callback; LiteLLM imports this module from the folder of the file.
"""

import logging
import re
from http import HTTPStatus
from typing import Any

import reach
from fastapi import HTTPException
from litellm.integrations.custom_logger import CustomLogger

# Python's own words of a value that is not of the form that LiteLLM takes for granted.
OTHER_FORM = (
    r"\w+'? object (?:has no attribute|is not \w+)|'NoneType'|not supported between instances of"
    r"|indices must be integers|unhashable type|is not iterable|got multiple values|does not support item assignment"
    r"|dictionary update sequence|could not convert string to|<class '|Expecting (?:value|property name|',' delimiter)"
    r"|zero-length, empty document|validation errors? for|Received Messages="
)
# What is of the inside: Python's words, a path of a module, a variable's or parameter's name, the Router's own notes.
INSIDE = re.compile(
    rf"{OTHER_FORM}|"
    r"Traceback \(most recent call last\)|File \"|/[\w.-]+/[\w./-]*\.py\b|object at 0x|NoneType|Router\("
    r"|unexpected keyword argument|required positional argument"
    r"|\[Errno \d+\]|Deployment Info|cooldown_list=|pre-call-checks="
    r"|\b(?:litellm|general|router)_settings\b|Rejected Request:|File an issue"
    r"|\b(?:[A-Z][A-Z0-9]+_)+(?:KEY|KEYS|TOKEN|BASE|SECRET|PROJECT|REGION|CREDENTIALS|LICENSE|URL)\b"
    r"|environment variable|\bUI_(?:USERNAME|PASSWORD)\b"
    r"|custom_llm_provider(?! is not for a request)|api_key client option|Missing credentials|premium user"
    r"|\barn:aws[a-z-]*:(?:sts|iam):"
    r"|converting to valid response block|Unable to get json response"
)
REJECTED = re.compile(r"Rejected Request: (\S+) (?:is not allowed in|holds a secret reference)")
# What it is about, the first that fits: whether the gateway has what is asked for at all, or the request is wrong.
CAUSES = (
    (
        # LiteLLM's own list of what would lead a call elsewhere, at which it looks with the key.
        REJECTED,
        reach.WORDS.format(r"\1"),
        400,
    ),
    (
        re.compile(r"(?:was|were) not issued by this proxy"),
        "There is no such response of this gateway.",
        None,
    ),
    (
        re.compile(r"Unmapped prompt format"),
        "The request could not be read: its format is not that of this operation.",
        400,
    ),
    (
        # Forms are kept in a file while they are read. The last is Python's, of a process that has kept none before.
        re.compile(r"No space left on device|Too many open files|No usable temporary directory found"),
        "The gateway has no room for this request now. Try again later.",
        503,
    ),
    (re.compile(r"\bUI_USERNAME\b"), "The e-mail address or the password is wrong.", 401),
    (
        # The role, the session and the account are nothing for a caller; the log has them.
        re.compile(r"\barn:aws[a-z-]*:(?:sts|iam):.* is not authorized to perform"),
        "The gateway's role is not permitted this: a model or a guardrail that is not in its config.yaml.",
        403,
    ),
    (
        re.compile(r"premium user|Enterprise user"),
        "This operation needs a licence of LiteLLM, which this gateway does not have.",
        403,
    ),
    (
        re.compile(r"Missing credentials|api_key client option|API_KEY\b|custom_llm_provider' must be set"),
        "No provider of this gateway has this operation. GET /v1/models tells which models there are.",
        404,
    ),
    (
        re.compile(r"converting to valid response block|Unable to get json response"),
        "The provider's answer could not be read. Try again later.",
        502,
    ),
    (
        re.compile(rf"{OTHER_FORM}|Unsupported response_format|BadRequestError: Invalid Message"),
        "The request could not be read: its format is not that of this operation.",
        400,
    ),
    (
        re.compile(
            r"Unable to determine \w+ \w+ provider"
            r"|[Uu]nsupported provider|[Uu]nmapped|[Ii]nvalid provider|Provider NOT provided|(?:not|n't) support"
        ),
        "The model does not have this operation.",
        400,
    ),
    (re.compile(r"Cannot connect to host"), "The provider could not be reached. Try again later.", None),
)
OTHERWISE = (
    "The gateway could not carry out this request. Look whether its format is right; if it is, an operator finds the "
    "reason in the gateway's log."
)

_log = logging.getLogger("LiteLLM")


class Told(CustomLogger):
    """Says it in a sentence."""

    async def async_post_call_failure_hook(
        self,
        request_data: dict[str, Any],
        original_exception: Exception,
        user_api_key_dict: Any,  # noqa: ANN401 - LiteLLM's UserAPIKeyAuth
        traceback_str: str | None = None,
    ) -> HTTPException | None:
        """Put other words, and the status that goes with them, into an exception that tells of the inside.

        What is found wrong together with the key has no status of its own, and LiteLLM would say 401, as of a wrong
        key: for that another exception is returned, which LiteLLM takes there.
        """
        try:
            status = _status(original_exception)
            found = sentence(_text(original_exception), status or 500, original_exception)
            if found is not None:
                _say(original_exception, *found)
                if status is None and found[1] == HTTPStatus.BAD_REQUEST:
                    return HTTPException(status_code=found[1], detail=found[0])
        except Exception:
            _log.exception("What a caller is told could not be looked at")
        return None


def sentence(text: str, status: int, error: object = None) -> tuple[str, int] | None:
    """Return what to tell, with the status of the answer; None if the text may be told as it is."""
    if not INSIDE.search(text):
        return None
    if isinstance(seconds := getattr(error, "cooldown_time", None), int | float):
        return f"The model is busy, or out, at each of its providers. Try again in {seconds:.0f} seconds.", status
    for pattern, words, right in CAUSES:
        if found := pattern.search(text):
            return found.expand(words), right or status
    return OTHERWISE, status


def _text(error: Exception) -> str:
    return f"{getattr(error, 'message', '')} {getattr(error, 'detail', '')} {error}"


def _status(error: Exception) -> int | None:
    for name in ("status_code", "code"):
        found = getattr(error, name, None)
        if isinstance(found, int) or (isinstance(found, str) and found.isdecimal()):
            return int(found)
    return None


def _say(error: Any, words: str, status: int) -> None:  # noqa: ANN401 - whichever of LiteLLM's, OpenAI's or Python's
    error.message = words
    error.args = (words,)
    if hasattr(error, "detail"):
        error.detail = words
    if isinstance(getattr(error, "code", None), str):  # LiteLLM's ProxyException has the status as text
        error.code = str(status)
    error.status_code = status


told = Told()
