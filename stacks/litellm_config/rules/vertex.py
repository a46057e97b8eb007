"""An entry of Google Vertex AI: its project, its place, and the service account that may call it."""

from __future__ import annotations

from stacks.litellm_config.file import Place
from stacks.litellm_config.model import VERTEX, Model
from stacks.litellm_config.rules.reading import Reading
from stacks.litellm_config.variables import REFERENCE


def check(reading: Reading, place: Place, model: Model) -> None:
    """Refuse an entry that lacks what a call takes."""
    given = model.parameters
    if given.get("aws_region_name"):
        reading.refuse(
            place, "aws_region_name means nothing to vertex_ai: remove it", at=("litellm_params", "aws_region_name")
        )
    for names in VERTEX.values():
        for key in names:
            if key in given and not isinstance(given[key], str):
                reading.refuse((*place, "litellm_params"), f"{key} is to be text: put it in quotes", at=(key,))
    if missing := [needed for needed, names in VERTEX.items() if not any(name in given for name in names)]:
        reading.refuse(
            place, f"litellm_params has no {', '.join(missing)}: vertex_ai needs it, as in {_example(missing[0])}"
        )
    for key in VERTEX["vertex_credentials"]:
        value = given.get(key)
        if isinstance(value, str) and not value.startswith(REFERENCE) and not value.lstrip().startswith("{"):
            reading.refuse(
                place,
                f"{key} names a file that the image does not have: put the content of Google's key file into the "
                f"secret VERTEX_CREDENTIALS, and write {key}: {_example('vertex_credentials')}",
                at=("litellm_params", key),
            )


def _example(parameter: str) -> str:
    return f"{REFERENCE}VERTEX_CREDENTIALS" if parameter == "vertex_credentials" else f"{REFERENCE}NAME"
