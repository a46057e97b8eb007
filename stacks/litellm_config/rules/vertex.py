"""An entry of Google Vertex AI: the service account that may call it."""

from __future__ import annotations

from stacks.litellm_config.file import Place
from stacks.litellm_config.model import Model
from stacks.litellm_config.rules.reading import Reading
from stacks.litellm_config.variables import REFERENCE


def check(reading: Reading, place: Place, model: Model) -> None:
    """Refuse credentials that are a file's name, and warn of a bucket for files, whose routes are closed."""
    if "gcs_bucket_name" in model.parameters:
        reading.warn(
            place,
            "gcs_bucket_name is for files and batches, and the web ACL keeps /v1/files and /v1/batches for the "
            "management ranges: others who call get 403",
            at=("litellm_params", "gcs_bucket_name"),
        )
    for key in model.row.secrets:
        value = model.parameters.get(key)
        if isinstance(value, str) and not value.startswith(REFERENCE) and not value.lstrip().startswith("{"):
            secret = model.row.variables["vertex_credentials"]
            reading.refuse(
                place,
                f"{key} names a file that the image does not have: put the content of Google's key file into the "
                f"secret {secret}, and write {key}: {REFERENCE}{secret}",
                at=("litellm_params", key),
            )
