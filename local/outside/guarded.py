"""A Converse call that names a guardrail (`guardrailConfig`): what it does to the prompt and to the answer.

- What is looked at: the user guide, "Include a guardrail with the Converse API". The blocks `guardContent` alone, of
  the messages and of the system prompt, where the messages have some; else every text of the messages. No results of
  tools, and no arguments of calls.
- A prompt that is blocked reaches no model: the guardrail's own words are the answer, and no tokens are billed ("How
  Amazon Bedrock Guardrails works").
- An answer that is blocked is replaced by the guardrail's words, one with something masked has the mask; the model has
  been paid for. Either way `stopReason` is guardrail_intervened, and `trace` tells of it only if it is wanted: API
  reference, Converse and `GuardrailTraceAssessment`.
- What Bedrock answers where something is masked in a prompt is said nowhere: that is refused here, and so is the
  stream's `async`, which masks nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final, Self

from local import shapes
from local.outside import guardrails
from local.outside.completion import Completion
from local.outside.exchange import ApiError
from local.outside.records import Json

INTERVENED: Final = "guardrail_intervened"


@dataclass(frozen=True)
class Guarded:
    """What a guardrail has made of a call; of one that names none, nothing."""

    intervened: bool = False
    trace: Json | None = None

    @property
    def end(self) -> Json:
        """What it adds to an answer, or to the last event of a stream."""
        return {"trace": {"guardrail": self.trace}} if self.trace is not None else {}


NOTHING: Final = Guarded()


@dataclass(frozen=True)
class Guard:
    """One guardrail that a call names: its id, its definition, and whether its trace is wanted."""

    name: str
    definition: guardrails.Definition
    traced: bool

    @classmethod
    def of(cls, config: Json, definition: guardrails.Definition | None) -> Self:
        """The one of a `guardrailConfig`, with the definition that was deployed, None if there is none.

        Raises
        ------
        ApiError
            There is no such guardrail, or what it would do is not known here.
        """
        if definition is None:
            message = "The guardrail identifier or version provided in the request does not exist."
            raise ApiError(400, message=message)
        if config.get("streamProcessingMode", "sync") != "sync":
            raise ApiError(400, message="The simulated guardrail looks at a stream as a whole: sync, and not async.")
        name = str(config["guardrailIdentifier"]).rpartition("/")[2]
        return cls(name, definition, config.get("trace", "disabled") != "disabled")

    def prompt(self, body: Json) -> tuple[Completion, Guarded] | None:
        """What is answered in the model's place; None if the prompt may go to it."""
        texts = list(_looked_at(body))
        answer = self._apply("INPUT", texts)
        if answer["action"] == "NONE":
            return None
        if not _blocks(answer):
            raise ApiError(400, message="What Bedrock answers where something is masked in a prompt is not known here.")
        trace = {"inputAssessment": {self.name: answer["assessments"][0]}, "actionReason": "Guardrail blocked."}
        return _saying(answer["outputs"][0]["text"]), Guarded(True, trace if self.traced else None)

    def answer(self, completion: Completion) -> tuple[Completion, Guarded]:
        """The answer as the caller gets it. The arguments of a tool call are not looked at."""
        if completion.tool_call or not completion.text:
            return completion, Guarded(trace={} if self.traced else None)
        answer = self._apply("OUTPUT", [completion.text])
        if answer["action"] == "NONE":
            return completion, Guarded(trace={} if self.traced else None)
        trace = {
            "modelOutput": [completion.text],
            "outputAssessments": {self.name: answer["assessments"]},
            "actionReason": "Guardrail blocked." if _blocks(answer) else "Guardrail masked.",
        }
        said = answer["outputs"][0]["text"]
        return replace(completion, text=said), Guarded(True, trace if self.traced else None)

    def _apply(self, source: str, texts: list[str]) -> Json:
        content = [{"text": {"text": text}} for text in texts if text]
        if not content:
            return {"action": "NONE"}
        return guardrails.apply(self.definition, {"source": source, "content": content})


def check(config: object) -> Json:
    """The `guardrailConfig` of a request, checked by the API's own model; it must name a guardrail and its version.

    Raises
    ------
    ApiError
        It is none.
    """
    try:
        shapes.check("bedrock-runtime", "ConverseStream", {"modelId": "m", "guardrailConfig": config})
    except ValueError as error:
        raise ApiError(400, message=str(error)) from error
    named: Json = dict(config) if isinstance(config, dict) else {}
    if not named.get("guardrailIdentifier") or not named.get("guardrailVersion"):
        raise ApiError(400, message="guardrailConfig must have a guardrailIdentifier and a guardrailVersion.")
    return named


def unmarked(body: Json) -> Json:
    """The request as the model has it, which sees texts where the caller has marked them for the guardrail."""
    messages = [{**each, "content": _unmarked(each["content"])} for each in body["messages"]]
    return {**body, "messages": messages, "system": _unmarked(body.get("system", []))}


def _unmarked(blocks: list[Json]) -> list[Json]:
    return [{"text": each["guardContent"]["text"]["text"]} if "guardContent" in each else each for each in blocks]


def _looked_at(body: Json) -> Iterator[str]:
    messages = [block for message in body["messages"] for block in message["content"]]
    marked = [block for block in [*body.get("system", []), *messages] if "guardContent" in block]
    if any("guardContent" in block for block in messages):
        yield from (str(block["guardContent"]["text"]["text"]) for block in marked)
    else:
        yield from (str(block["text"]) for block in messages if "text" in block)


def _blocks(answer: Json) -> bool:
    found = [each for one in answer["assessments"] for each in one["sensitiveInformationPolicy"].values()]
    return any(each["action"] == "BLOCKED" for kind in found for each in kind)


def _saying(text: str) -> Completion:
    return Completion(text, None, "stop")
