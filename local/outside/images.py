"""Images as the simulated providers make them: always the same one, a pixel.

Formats: the user guide of Amazon Bedrock, "Amazon Nova Canvas" and "Amazon Titan Image Generator" (TEXT_IMAGE), "Stable
Image" and "Stable Diffusion 3.5"; Azure OpenAI's reference, image generation with the gpt-image models.
"""

from __future__ import annotations

import time
from typing import Final

from local.outside.completion import IMAGE_TOKENS, count_tokens
from local.outside.exchange import Answer, ApiError
from local.outside.records import Json

PIXEL: Final = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII="
"""A PNG, in base64."""

MOST: Final = {"amazon": 5, "gpt-image": 10}
"""Images of one request: numberOfImages of Nova Canvas and Titan, n of gpt-image."""


def is_bedrocks(model: str) -> bool:
    """Whether a model of Bedrock's makes images."""
    return "nova-canvas" in model or "titan-image" in model or "stability." in model


def bedrocks(model: str, body: Json) -> Answer:
    """What InvokeModel answers of a model that makes images.

    Raises
    ------
    ApiError
        The request is not one for an image by a text.
    """
    if "stability." in model:
        if not body.get("prompt"):
            raise ApiError(400, message="prompt is required.")
        return Answer.of_json({"seeds": [0], "finish_reasons": [None], "images": [PIXEL]})
    if body.get("taskType") != "TEXT_IMAGE" or not body.get("textToImageParams", {}).get("text"):
        raise ApiError(400, message="The simulated model takes the taskType TEXT_IMAGE with a text.")
    number = _number(body.get("imageGenerationConfig", {}).get("numberOfImages", 1), "amazon")
    return Answer.of_json({"images": [PIXEL] * number, "error": None})


def openais(body: Json) -> Answer:
    """What OpenAI's image generation answers, with the tokens that it counts.

    Raises
    ------
    ApiError
        There is no prompt, or too many images are asked for.
    """
    if not body.get("prompt"):
        raise ApiError(400, message="Missing required parameter: 'prompt'.")
    if body.get("stream"):
        raise ApiError(400, message="The simulated image comes as a whole, and not streamed.")
    number = _number(body.get("n") or 1, "gpt-image")
    text, images = count_tokens(str(body["prompt"])), number * IMAGE_TOKENS
    usage = {
        "input_tokens": text,
        "input_tokens_details": {"text_tokens": text, "image_tokens": 0},
        "output_tokens": images,
        "total_tokens": text + images,
    }
    return Answer.of_json({"created": int(time.time()), "data": [{"b64_json": PIXEL}] * number, "usage": usage})


def _number(asked: object, whose: str) -> int:
    if not isinstance(asked, int) or not 1 <= asked <= MOST[whose]:
        raise ApiError(400, message=f"The number of images must be from 1 to {MOST[whose]}.")
    return asked
