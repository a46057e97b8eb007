"""Redis, of which the tasks reach only the deployment's own, and the caches that LiteLLM keeps elsewhere."""

from __future__ import annotations

from typing import Final

from stacks.litellm_config.rules.reading import Reading

NO_REDIS: Final = (
    "what the tasks share is in the Valkey that cache of the environment's settings makes (docs/config.md), which the "
    "task is told of by itself, and they reach no other Redis: {}"
)

_GENERAL: Final = ("coordination_redis", "use_redis_transaction_buffer", "use_shared_health_check")
_LITELLM: Final = ("enable_redis_auth_cache",)
_CACHES: Final = {
    "local": "",
    "redis": NO_REDIS.format("remove cache and cache_params"),
    "redis-semantic": NO_REDIS.format("remove cache and cache_params"),
    "valkey-semantic": NO_REDIS.format("remove cache and cache_params"),
    "s3": "the task's role may use no bucket: remove cache and cache_params",
    "gcs": "the task has no bucket of Google's: remove cache and cache_params",
    "azure-blob": "the task has no storage of Azure's: remove cache and cache_params",
    "qdrant-semantic": "this gateway has no Qdrant: remove cache and cache_params",
    "disk": "the image has no diskcache, and the task keeps nothing: remove cache and cache_params",
}
"""`LiteLLMCacheType`, and why it cannot work; nothing where it can: in the memory of each worker."""


def check(reading: Reading) -> None:
    """Refuse what LiteLLM would call and not reach."""
    for section, keys in (("general_settings", _GENERAL), ("litellm_settings", _LITELLM)):
        for key in keys:
            if reading.section(section).get(key):
                reading.refuse((section, key), NO_REDIS.format("remove it"))
    settings = reading.section("litellm_settings")
    if settings.get("cache") is not True:
        return
    parameters = reading.mapping(("litellm_settings", "cache_params"), settings.get("cache_params"))
    kind = parameters.get("type", "redis")
    if reason := _CACHES.get(str(kind), f"LiteLLM knows no cache {kind!r}: remove cache and cache_params"):
        reading.refuse(("litellm_settings", "cache"), reason)
        reading.findings.settle(("litellm_settings", "cache_params"))
