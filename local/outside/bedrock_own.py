"""Models of an account's own at Amazon Bedrock: with provisioned throughput, and imported ones.

Each is called by its ARN alone, and permitted by that alone: user guide, "Identity-based policy examples for
Provisioned Throughput"; service authorization reference, the resource types of bedrock:InvokeModel.

InvokeModel takes two formats of an imported one here, by what a request has: a `prompt`, as of Llama's models, or the
`messages` of OpenAI's chat completions. Each is streamed in chunks.

https://docs.aws.amazon.com/bedrock/latest/userguide/invoke-imported-model.html
https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-meta.html
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Final

from local.outside import openai_format
from local.outside.completion import Completion, Model, Prompt
from local.outside.exchange import ApiError, Target
from local.outside.records import Json, Usage
from local.outside.told import Turn
from stacks.litellm_config.bedrock import BEDROCK_ARN

KINDS: Final = ("custom-model-deployment", "imported-model", "provisioned-model")
"""Of ARN."""
# botocore's `InvokeModelIdentifier` of bedrock-runtime.
_OWN = re.compile(rf"arn:aws[a-z-]*:bedrock:(?P<region>[a-z0-9-]+):\d{{12}}:(?P<kind>{'|'.join(KINDS)})/[a-z0-9]{{12}}")
# Imported models that Converse does not speak to: "Invoke your imported model".
_WITHOUT_CONVERSE = re.compile(r"qwen2|openai")
_STOPS = {"stop": "stop", "length": "length", "tool": "stop"}


def check(target: Target, known: Mapping[str, str], loading: Collection[str]) -> None:
    """Refuse a call of a model of an account's own that is not there, or not yet; in the words of botocore's model.

    Raises
    ------
    ApiError
        It is, or its ARN is none, or Converse does not speak to it.
    """
    arn = BEDROCK_ARN.fullmatch(target.model)
    if not arn or arn["kind"] not in KINDS:
        return
    own = _OWN.fullmatch(target.model)
    if not own:
        raise ApiError(400, message="The provided model identifier is invalid.")
    if own["region"] != target.region or target.model not in known:
        raise ApiError(404, message="The specified resource ARN was not found.")
    if target.model in loading:
        message = "The model specified in the request is not ready to serve inference requests."
        raise ApiError(429, code="ModelNotReadyException", message=message)
    conversed = target.operation.startswith("converse") and own["kind"] == "imported-model"
    if conversed and _WITHOUT_CONVERSE.search(known[target.model]):
        raise ApiError(400, message="This action doesn't support the model that you provided.")


def invoked(model: Model, host: str, name: str, body: Json, *, streamed: bool) -> tuple[list[Json], Usage]:
    """Answer a request to an imported model: the JSON of the answer or, streamed, of each of its chunks.

    Raises
    ------
    ApiError
        The request has neither format.
    """
    if "messages" in body:
        prompt = openai_format.chat_prompt(name, body)
        completion, usage = model.answer(host, prompt)
        return openai_format.chat_parts(prompt, completion, usage, streamed=streamed), usage
    if isinstance(body.get("prompt"), str):
        text = body["prompt"]
        prompt = Prompt(name, text, Turn.of([("asked", text)]), max_tokens=body.get("max_gen_len"))
        completion, usage = model.answer(host, prompt)
        return list(_generated(completion, usage, streamed=streamed)), usage
    raise ApiError(400, message="Malformed input request: it has neither a prompt nor messages. Try again.")


def _generated(completion: Completion, usage: Usage, *, streamed: bool) -> Iterator[Json]:
    """Yield it in Llama's format: of a stream, the first chunk tells the prompt's tokens and the last why it ends."""
    texts = [*completion.chunks(), ""] if streamed else [completion.text]
    for number, text in enumerate(texts):
        last = number == len(texts) - 1
        yield {
            "generation": text,
            "prompt_token_count": usage.input_tokens if number == 0 else None,
            "generation_token_count": usage.output_tokens if last else number + 1,
            "stop_reason": _STOPS[completion.finish] if last else None,
        }
