"""How long each on a call's way waits for the next one, all reckoned from config.yaml's `request_timeout`.

Each waits longer than what is behind it, so that who knows the reason ends a call. The table of all time-outs, with the
rule that each obeys, is in docs/design.md; tests/templates/test_timeouts.py holds it. How long all attempts of a call
take together, if nobody answers, is reckoned in stacks/litellm_config/waiting.py; what that comes to is in
docs/reliability.md.
"""

from dataclasses import dataclass
from typing import Final

MARGIN_SECONDS: Final = 30
"""How much longer than what is behind it each waits."""

CALLERS_PATIENCE: Final = 600
"""Seconds that OpenAI's and Anthropic's SDKs wait for the next byte (`DEFAULT_TIMEOUT` of either): what takes longer
has lost its caller. So long a call may be silent, with all its attempts, and so long a task that goes may take."""

MOST_IDLE_SECONDS: Final = 4000
"""The longest idle timeout of a load balancer.
https://docs.aws.amazon.com/elasticloadbalancing/latest/application/edit-load-balancer-attributes.html"""


@dataclass(frozen=True)
class Timeouts:
    """Seconds, given those that LiteLLM waits for one attempt at a provider."""

    request: int

    @property
    def call(self) -> int:
        """How long a call may be silent, with all its attempts."""
        return max(self.request, CALLERS_PATIENCE)

    @property
    def deregistration(self) -> int:
        """How long a task that goes has for its last answers; ECS sends SIGTERM only when this is over."""
        return self.call

    @property
    def idle(self) -> int:
        """How long a connection through the load balancer may be silent, on either side."""
        return self.call + MARGIN_SECONDS

    @property
    def keep_alive(self) -> int:
        """How long LiteLLM keeps an idle connection of the load balancer's.

        Longer than the load balancer does: if LiteLLM were the first to close one, a request might just be on its way,
        and its caller would get 502. (Elastic Load Balancing, "Edit attributes for your Application Load Balancer",
        connection idle timeout.)
        """
        return self.idle + MARGIN_SECONDS
