"""How long each on a call's way waits for the next one, all reckoned from config.yaml's `request_timeout`.

Each waits longer than what is behind it, so that who knows the reason ends a call. The table of all time-outs, with the
rule that each obeys, is in docs/design.md; tests/templates/test_timeouts.py holds it.
"""

from dataclasses import dataclass
from typing import Final

MARGIN_SECONDS: Final = 30
"""How much longer than what is behind it each waits."""

MOST_IDLE_SECONDS: Final = 4000
"""The longest idle timeout of a load balancer.
https://docs.aws.amazon.com/elasticloadbalancing/latest/application/edit-load-balancer-attributes.html"""


@dataclass(frozen=True)
class Timeouts:
    """Seconds, given those that LiteLLM waits for a provider."""

    request: int

    @property
    def deregistration(self) -> int:
        """How long a task that goes has for its last answers; ECS sends SIGTERM only when this is over."""
        return self.request

    @property
    def idle(self) -> int:
        """How long a connection through the load balancer may be silent, on either side."""
        return self.request + MARGIN_SECONDS

    @property
    def keep_alive(self) -> int:
        """How long LiteLLM keeps an idle connection of the load balancer's.

        Longer than the load balancer does: if LiteLLM were the first to close one, a request might just be on its way,
        and its caller would get 502. (Elastic Load Balancing, "Edit attributes for your Application Load Balancer",
        connection idle timeout.)
        """
        return self.idle + MARGIN_SECONDS
