"""LiteLLM's Router of this worker, which our callbacks look at."""

from typing import Any


def router() -> Any:  # noqa: ANN401 - LiteLLM's Router
    """Return it; None until LiteLLM has read config.yaml."""
    from litellm.proxy import proxy_server  # it imports the modules of our callbacks

    return proxy_server.llm_router
