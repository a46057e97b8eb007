"""The outside world of a local run: an HTTPS proxy on loopback that answers for the providers.

`OutsideWorld` starts it; `Fault` says how a host misbehaves; `Credentials` are the secrets that it accepts. Amazon
Bedrock, Azure OpenAI, Google's token endpoint and Vertex AI, Datadog and Slack answer in their own wire formats, so
that the gateway's configuration is the deployed one. Every other host is refused and reported. Its
`slack_workspace` has the people who ask for accounts, its `mailbox` every mail.
"""

from local.outside.completion import COMPLETION_PHRASE, TOOL_MARKER, count_tokens
from local.outside.credentials import Credentials
from local.outside.mailbox import Mail, Mailbox
from local.outside.page import Parts
from local.outside.records import Call, Fault, Refusal, Usage
from local.outside.slack import SlackWorkspace
from local.outside.world import OutsideWorld

__all__ = [
    "COMPLETION_PHRASE",
    "TOOL_MARKER",
    "Call",
    "Credentials",
    "Fault",
    "Mail",
    "Mailbox",
    "OutsideWorld",
    "Parts",
    "Refusal",
    "SlackWorkspace",
    "Usage",
    "count_tokens",
]
