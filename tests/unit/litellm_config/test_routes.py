"""Which routes are open, by what the models of a file are for, and what each operation takes."""

import re
from collections.abc import Iterable
from typing import Any

import pytest

from stacks import CHECKOUT
from stacks.litellm_config import LiteLlmConfig
from stacks.litellm_config.catalog import modes
from stacks.litellm_config.routes import FORMS, OPERATIONS, PLAIN, Operation, patterns
from tests.unit.handlers import load_handler
from tests.unit.litellm_config.documents import CLAUDE, Load, bedrock, changed, permitted

INSTALLED = next(CHECKOUT.glob(".tools/litellm/lib/python*/site-packages/litellm"), None)

TEXT = ("/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages", "/v1/messages/count_tokens")
DEPLOYMENTS = ("/openai/deployments/m/chat/completions", "/engines/m/completions")
GOOGLE = ("/v1beta/models/m:generateContent", "/v1beta/models/m:streamGenerateContent", "/v1beta/models/m:countTokens")
CHAT = {*TEXT, *DEPLOYMENTS, *GOOGLE, "/responses/resp_1/input_items", "/chat/completions"}
EMBEDDINGS = {"/v1/embeddings", "/openai/deployments/m/embeddings"}
IMAGES = {"/v1/images/generations", "/images/edits"}
# LiteLLM does not know whose they are.
FILES = {"/v1/files", "/v1/batches/batch_1/cancel", "/files/file-1/content"}
OTHERS = {
    "moderation": {"/v1/moderations"},
    "rerank": {"/v1/rerank", "/rerank"},
    "audio_speech": {"/v1/audio/speech"},
    "audio_transcription": {"/v1/audio/transcriptions"},
}
ALWAYS = {"/v1/models", "/models/m", "/v1/model/info"}
PATHS = CHAT | EMBEDDINGS | IMAGES | ALWAYS | {path for paths in OTHERS.values() for path in paths}


def _open(config: LiteLlmConfig) -> set[str]:
    return {path for path in PATHS | FILES if any(re.match(pattern, path) for pattern in config.llm_routes)}


def _azure(**info: str) -> dict[str, Any]:
    """The smallest document with only a deployment of Azure's, of which LiteLLM's list has nothing."""
    document = changed(gpt__litellm_params__model="azure/ours", gpt__model_info=info)
    del document["model_list"][0]
    return document


def _vertex(**parameters: str) -> dict[str, Any]:
    """The smallest document with only a model of Vertex AI."""
    needed = {"project": "example-1234", "location": "global", "credentials": "os.environ/VERTEX_CREDENTIALS"}
    given = {f"vertex_{name}": value for name, value in needed.items()}
    entry = {"model": "vertex_ai/gemini-3.8-flash", **given, **parameters}
    return changed(model_list=[{"model_name": "m", "litellm_params": entry}])


@pytest.mark.parametrize(
    ("document", "found"),
    [
        (bedrock(CLAUDE, "us-west-2"), CHAT),
        (bedrock("bedrock/amazon.titan-embed-text-v2:0", "us-west-2"), EMBEDDINGS),
        (bedrock("bedrock/amazon.nova-canvas-v1:0", "us-east-1"), CHAT | IMAGES),
        (bedrock(CLAUDE, "us-west-2", model_info={"mode": "embedding"}), EMBEDDINGS),
        (_azure(base_model="azure/gpt-6-luna"), CHAT),
        (_azure(mode="responses"), CHAT),
        *((_azure(mode=mode), paths) for mode, paths in OTHERS.items()),
        (_azure(mode="image_edit"), IMAGES),
        (_azure(mode="realtime"), set()),
        (_vertex(), CHAT),
        (_vertex(gcs_bucket_name="acme-batches"), CHAT),
        (_azure(mode="batch"), set()),
        # Of what nobody says what it is for, everything is open, as is of a word that LiteLLM does not know.
        (_azure(), PATHS - ALWAYS),
        (_azure(mode="imag"), PATHS - ALWAYS),
        (changed(gpt__litellm_params__model="azure/*"), PATHS - ALWAYS),
        (bedrock(CLAUDE, "us-west-2") | {"files_settings": [{"custom_llm_provider": "openai"}]}, CHAT),
    ],
)
def test_a_route_is_open_if_a_listed_model_may_serve_it(load: Load, document: dict[str, Any], found: set[str]) -> None:
    assert _open(load(document)) == found | ALWAYS


def test_a_bucket_for_files_is_told_to_be_for_operators(load: Load) -> None:
    (told,) = (text for text in load(_vertex(gcs_bucket_name="acme-batches")).warnings if "gcs_bucket_name" in text)
    assert "the web ACL keeps /v1/files and /v1/batches for the management ranges" in told


def test_the_routes_of_several_models_are_those_of_each(load: Load) -> None:
    document = changed(gpt__model_info={"base_model": "azure/text-embedding-3-large"})
    assert _open(load(document)) == CHAT | EMBEDDINGS | ALWAYS


def test_a_mode_that_litellm_does_not_know_is_told(load: Load) -> None:
    (told,) = (text for text in load(_azure(mode="image_genertion")).warnings if "no mode" in text)
    assert "knows no mode 'image_genertion', so no route is closed for want of a model: did you mean 'image_gen" in told


# The rows


@pytest.mark.parametrize("operation", OPERATIONS, ids=[each.name for each in OPERATIONS])
def test_a_row_is_of_known_forms_and_modes(operation: Operation) -> None:
    assert operation.routes.keys() <= set(FORMS)
    assert set(operation.modes) <= modes()
    assert any(_opens([operation], path) for path in PATHS)


def test_no_two_operations_have_the_same_route() -> None:
    for path in PATHS:
        assert len([each.name for each in OPERATIONS if _opens([each], path)]) == 1, path


def test_patterns_are_as_long_as_they_may_be_and_no_longer() -> None:
    many = Operation(name="many", routes={PLAIN: tuple(f"{'route' * 5}{number}" for number in range(20))})
    found = patterns([*OPERATIONS, many])
    assert all(len(pattern) <= 200 for pattern in found)
    assert all(any(re.match(pattern, f"/v1/{'route' * 5}{number}") for pattern in found) for number in range(20))
    assert len(patterns(OPERATIONS)) + 1 <= 10  # with that of the health routes


def _opens(operations: Iterable[Operation], path: str) -> bool:
    return any(re.match(pattern, path) for pattern in patterns(operations))


@pytest.mark.skipif(INSTALLED is None, reason="LiteLLM is not installed in .tools/litellm; `make setup` installs it")
def test_the_modes_are_litellms() -> None:
    """Of its health check, which knows more than its list."""
    assert INSTALLED
    source = (INSTALLED / "litellm_core_utils" / "health_check_helpers.py").read_text("utf-8")
    literal = re.search(r"def get_mode_handlers\(.*?Literal\[(.*?)\]", source, re.DOTALL)
    assert literal
    assert set(re.findall(r'"(\w+)"', literal[1])) <= modes()


# What repeats them


def test_the_smoke_test_asks_a_route_of_the_mode() -> None:
    """lambda/ imports nothing of stacks/."""
    for mode, asked in load_handler("smoke").MODES.items():
        (operation,) = (each for each in OPERATIONS if _opens([each], asked.path))
        assert mode in operation.modes


# What they take


def test_a_model_takes_what_its_operations_take(load: Load) -> None:
    """One that only makes vectors has no tokens counted, whoever made it."""
    found = permitted(load(bedrock(CLAUDE, "us-west-2", model_info={"mode": "embedding"})))
    assert set(found) == {"bedrock:InvokeModel", "bedrock:InvokeModelWithResponseStream"}


def test_counting_is_asked_at_two_endpoints(load: Load) -> None:
    hosts = load(bedrock(CLAUDE, "us-west-2")).hosts({})
    assert {"bedrock-runtime.us-east-1.amazonaws.com", "bedrock-mantle.us-east-1.api.aws"} <= set(hosts)
