"""What can go wrong with LiteLLM, Slack and the clouds' billing: later it may work, or it never will."""

from shared.errors import RefusedError, UnavailableError, harmless

__all__ = ["RefusedError", "UnavailableError", "harmless"]
