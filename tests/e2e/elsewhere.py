"""Models of providers with an API of their own and of servers, which tests have the example's gateway serve.

They are added as in the admin UI, of which LiteLLM makes what it makes of config.yaml's.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from local.gateway import LocalGateway
from local.outside.credentials import Credentials
from local.outside.servers import Server
from tests.e2e.costs import OF_SERVERS, Json

FOUNDRY, FOUNDRY_CLAUDE, ENDPOINT = (
    "https://example.services.ai.azure.com",
    "https://example-claude.services.ai.azure.com",
    "https://example.eastus2.models.ai.azure.com",
)
VLLM = Server("vllm.example.com", 443, plain=False, provider="hosted_vllm", models=frozenset({"qwen3"}), keyed=True)
HOUSE = Server("house-llm.example.com", 443, plain=False, provider="openai", models=frozenset({"house"}), keyed=True)
OLLAMA = Server(
    "ollama.example.com", 443, plain=False, provider="ollama_chat", models=frozenset({"llama4"}), keyed=True
)


def entries(keys: Credentials) -> Mapping[str, Json]:
    """The models by their names, each with its `litellm_params`."""

    def at(server: Server, model: str, path: str = "/v1") -> Json:
        return {
            "model": model,
            "api_key": keys.server_api_key,
            "api_base": f"https://{server.host}{path}",
            **OF_SERVERS,
        }

    azure = {"api_key": keys.azure_api_key}
    return {
        "elsewhere-anthropic": {"model": "anthropic/claude-sonnet-5-5", "api_key": keys.anthropic_api_key},
        "elsewhere-openai": {"model": "openai/gpt-6.1-sol", "api_key": keys.openai_api_key},
        "elsewhere-openai-embeddings": {"model": "openai/text-embedding-3-large", "api_key": keys.openai_api_key},
        "elsewhere-openai-images": {"model": "openai/gpt-image-2", "api_key": keys.openai_api_key},
        "elsewhere-gemini": {"model": "gemini/gemini-4-argon", "api_key": keys.gemini_api_key},
        "elsewhere-gemini-embeddings": {"model": "gemini/gemini-embedding-001", "api_key": keys.gemini_api_key},
        "elsewhere-mistral": {
            "model": "mistral/mistral-large-4",
            "api_key": keys.mistral_api_key,
            "allowed_openai_params": ["prompt_cache_key"],  # which LiteLLM would drop
        },
        "elsewhere-mistral-embeddings": {"model": "mistral/mistral-embed", "api_key": keys.mistral_api_key},
        "elsewhere-foundry": {"model": "azure_ai/grok-4.7", "api_base": FOUNDRY, **azure},
        "elsewhere-foundry-claude": {
            "model": "azure_ai/claude-sonnet-5-5",
            "api_base": f"{FOUNDRY_CLAUDE}/anthropic",
            **azure,
        },
        "elsewhere-foundry-embeddings": {"model": "azure_ai/embed-v-4-0", "api_base": ENDPOINT, **azure},
        "elsewhere-foundry-rerank": {"model": "azure_ai/cohere-rerank-v4.0-fast", "api_base": ENDPOINT, **azure},
        "elsewhere-vllm": at(VLLM, "hosted_vllm/qwen3"),
        "elsewhere-house": at(HOUSE, "openai/house"),
        "elsewhere-ollama": at(OLLAMA, "ollama_chat/llama4", ""),
    }


@contextmanager
def models(gateway: LocalGateway, added: Mapping[str, Json]) -> Iterator[None]:
    """Have these models for a while, and the servers for good."""
    for server in (VLLM, HOUSE, OLLAMA):
        gateway.outside.add_server(server)
    made = []
    for name, parameters in added.items():
        answer = gateway.api("POST", "/model/new", json={"model_name": name, "litellm_params": parameters})
        assert answer.is_success, answer.text
        made.append(answer.json()["model_info"]["id"])
    try:
        yield
    finally:
        for one in made:
            assert gateway.api("POST", "/model/delete", json={"id": one}).is_success
