"""How long a call can be silent: LiteLLM's attempts, retries and fallbacks, reckoned from config.yaml."""

from typing import Any

import pytest

from stacks.company import EXAMPLE
from stacks.gateway.timeouts import CALLERS_PATIENCE
from stacks.litellm_config import load_config
from stacks.litellm_config.waiting import PAUSE, Silence
from tests.unit.litellm_config.documents import VARIABLES, Load, changed

GPT, CLAUDE = "gpt__litellm_params__", "claude__litellm_params__"
ONCE = {"TimeoutErrorRetries": 0}


def settings(**more: Any) -> dict[str, Any]:  # noqa: ANN401 - LiteLLM's
    """`router_settings` with one attempt for each model."""
    return {"router_settings": {"disable_cooldowns": True, "retry_policy": ONCE, **more}}


@pytest.mark.parametrize(
    ("changes", "claude"),
    [
        # Nothing said: three attempts, and a pause after each.
        ({}, Silence(3 * 600 + 3 * PAUSE, 3 * 600 + 3 * PAUSE)),
        ({"litellm_settings__num_retries": 1}, Silence(2 * 600 + 2 * PAUSE, 2 * 600 + 2 * PAUSE)),
        (settings(num_retries=9), Silence(600, 600)),
        (settings(stream_timeout=60), Silence(600, 60)),
        (settings(stream_timeout=60) | {f"{CLAUDE}timeout": 90}, Silence(90, 60)),
        (settings(stream_timeout=60) | {f"{CLAUDE}stream_timeout": 30}, Silence(600, 30)),
        (settings() | {f"{CLAUDE}timeout": 90}, Silence(90, 90)),
        (settings(timeout=5) | {f"{CLAUDE}timeout": 90}, Silence(90, 600)),
        (settings(model_group_retry_policy={"claude": {"TimeoutErrorRetries": 1}}), Silence(1218, 1218)),
        (settings(retry_policy={"DefaultRetries": 1}), Silence(1218, 1218)),
        (settings(fallbacks=[{"claude": ["gpt"]}]) | {f"{GPT}timeout": 10}, Silence(610, 610)),
        (settings(fallbacks=[{"claude": ["gpt"]}], max_fallbacks=0), Silence(600, 600)),
        # Each is asked once, whatever falls back to what.
        (settings(fallbacks=[{"claude": ["gpt"]}, {"gpt": ["claude"]}]), Silence(1200, 1200)),
        (settings(default_fallbacks=["gpt"]), Silence(1200, 1200)),
        # What a variable says is not known here.
        (settings() | {f"{CLAUDE}timeout": "os.environ/SMTP_PORT"}, Silence(600, 600)),
    ],
)
def test_the_whole_is_the_sum(load: Load, changes: dict[str, Any], claude: Silence) -> None:
    assert load(changed(**changes)).silences["claude"] == claude


def test_a_fallback_of_a_fallback_counts_where_it_is_asked(load: Load) -> None:
    chain = [{"claude": ["gpt"]}, {"gpt": ["third"]}]
    document = changed(**settings(fallbacks=chain))
    document["model_list"].append({**document["model_list"][0], "model_name": "third"})
    assert load(document).silences["claude"].plain == 1800
    document["router_settings"]["max_fallbacks"] = 1
    assert load(document).silences["claude"].plain == 1200


@pytest.mark.parametrize(("model", "seconds"), [("vertex_ai/gemini-4-argon", 600), ("azure/gpt-6-luna", 60)])
def test_a_stream_of_geminis_has_no_time_out_of_its_own(load: Load, model: str, seconds: int) -> None:
    parameters = {
        "vertex_ai/gemini-4-argon": {"vertex_project": "p", "vertex_location": "global", "vertex_credentials": "{}"},
        "azure/gpt-6-luna": {"api_base": "os.environ/AZURE_API_BASE", "api_key": "os.environ/AZURE_API_KEY"},
    }[model]
    parameters = (
        parameters | {"vertex_credentials": "os.environ/VERTEX_CREDENTIALS"} if "vertex" in model else parameters
    )
    entry = {"model_name": "claude", "litellm_params": {"model": model, **parameters}}
    assert load(changed(model_list=[entry], **settings(stream_timeout=60))).silences["claude"].streamed == seconds


def test_the_examples_are_over_before_a_callers_sdk_is() -> None:
    silences = load_config(EXAMPLE / "config.yaml", provided=VARIABLES, opened=("mcp",)).silences
    assert max(each.longest for each in silences.values()) <= CALLERS_PATIENCE
    # A stream for which another provider steps in is begun, or over, sooner.
    assert silences["claude-opus-5-5"] == Silence(600, 360)
