"""Bedrock's own rules: which actions a call needs, and which regions an inference profile routes to."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from stacks.endpoints import all_partitions, regions_of

BEDROCK_ACTIONS: Final = ("bedrock:InvokeModel", "bedrock:InvokeModelWithResponseStream")
"""Converse and ConverseStream have no action of their own: they need these two.
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html"""

COUNT_ACTION: Final = "bedrock:CountTokens"
"""Counts the tokens of a call before it is made, on a foundation model; it takes no inference profile. LiteLLM asks it
for /v1/messages/count_tokens (stacks/litellm_config/counting.py).
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_CountTokens.html"""

MANTLE_COUNT_ACTION: Final = "bedrock-mantle:CountTokens"
"""The same at the endpoint bedrock-mantle, to which LiteLLM goes on where CountTokens refuses one of Anthropic's
models, as it does with several that are called through inference profiles only. It is permitted by project, not by
model; LiteLLM names none, which is the account's default project.
https://docs.aws.amazon.com/bedrock/latest/userguide/count-tokens.html#count-tokens-mantle
https://docs.aws.amazon.com/service-authorization/latest/reference/list_bedrock-mantle.html
https://docs.litellm.ai/docs/count_tokens#bedrock-claude-models"""

BEDROCK_ROUTES: Final = ("converse", "invoke", "chat_completions")
"""What LiteLLM may be told before a model's id, and needs no other action for."""

FORMATS: Final = ("deepseek_r1", "llama", "moonshot", "nova", "nova-2", "openai", "qwen2", "qwen3")
"""The same before the ARN of an imported or a customized model: in whose format LiteLLM speaks to it.
https://docs.litellm.ai/docs/providers/bedrock_imported"""

OTHER_ROUTES: Final = {
    "agent": "calls bedrock:InvokeAgent",
    "agentcore": "calls bedrock-agentcore:InvokeAgentRuntime",
    "async_invoke": "has the answer written to Amazon S3",
    "claude_platform": "calls Anthropic's platform in AWS, aws-external-anthropic",
    "converse_like": "calls an address of its own",
    "mantle": "calls the endpoint bedrock-mantle for more than counting",
}
"""LiteLLM's other routes (`get_bedrock_route` in its llms/bedrock/common_utils.py), which the role permits none of."""

GUARDRAIL_ACTION: Final = "bedrock:ApplyGuardrail"
"""Needed on a guardrail that a call names, or that LiteLLM asks by itself.
https://docs.aws.amazon.com/bedrock/latest/userguide/guardrails-permissions-id.html"""

RERANK_ACTION: Final = "bedrock:Rerank"
"""Needed to rerank, beside bedrock:InvokeModel on the model; it knows no resources.
https://docs.aws.amazon.com/bedrock/latest/userguide/rerank-prereq.html
https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonbedrock.html"""

ASSUME_ACTION: Final = "sts:AssumeRole"
"""Needed on a role of another account that calls Bedrock there. LiteLLM asks STS for a session of `aws_role_name` with
the credentials of the task, and calls with that (`get_credentials` in its llms/bedrock/base_aws_llm.py)."""

TAG_ACTION: Final = "sts:TagSession"
"""Needed beside it where `aws_session_tags` are handed over, of who assumes and in the role's trust.
https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html#id_session-tags_permissions-required"""


class Geography(NamedTuple):
    """Where an inference profile may be called, and the regions of its models beside the calling region."""

    callers: tuple[str, ...]  # beginnings of region names
    destinations: tuple[str, ...]


GEOGRAPHIES: Final = {
    "us": Geography(("us-east-", "us-west-", "ca-"), ("us-east-1", "us-east-2", "us-west-2")),
    "eu": Geography(
        ("eu-", "il-"), ("eu-central-1", "eu-north-1", "eu-south-1", "eu-south-2", "eu-west-1", "eu-west-3")
    ),
    "apac": Geography(
        ("ap-", "me-"),
        (
            *("ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-south-2"),
            *("ap-southeast-1", "ap-southeast-2", "ap-southeast-4"),
        ),
    ),
    "jp": Geography(("ap-northeast-1", "ap-northeast-3"), ("ap-northeast-1", "ap-northeast-3")),
    "au": Geography(("ap-southeast-2", "ap-southeast-4", "ap-southeast-6"), ("ap-southeast-2", "ap-southeast-4")),
    "ca": Geography(("ca-",), ("ca-central-1", "ca-west-1")),
    "in": Geography(("ap-south-1", "ap-south-2"), ("ap-south-1", "ap-south-2")),
    "us-gov": Geography(("us-gov-",), ("us-gov-east-1", "us-gov-west-1")),
    # No region of its own: the model is allowed in the calling region and once without a region.
    "global": Geography(("",), ("",)),
}
"""By the first label of a cross-region inference profile's id. A role needs the profile in the calling region and the
model in that region and every region that the profile routes to; for a global profile, the model's ARN without region:
https://docs.aws.amazon.com/bedrock/latest/userguide/inference-profiles-support.html
https://docs.aws.amazon.com/bedrock/latest/userguide/geographic-cross-region-inference.html
https://docs.aws.amazon.com/bedrock/latest/userguide/global-cross-region-inference.html
A profile of an older model may route to fewer regions; then a listed ARN is one that Bedrock never asks for."""

BEDROCK_ARN: Final = re.compile(
    r"arn:(?P<partition>aws[a-z-]*):bedrock:(?P<region>[a-z0-9-]*):\d*:(?P<kind>[a-z-]+)/(?P<id>[^/*]+)"
)


def bedrock_regions() -> frozenset[str]:
    """Every region with a Bedrock endpoint, from the list inside botocore."""
    return regions_of("bedrock", *all_partitions())


def geography_of(name: str) -> tuple[str | None, str]:
    """Split an inference profile's id into geography and model id; a model id has no geography."""
    first, _, rest = name.partition(".")
    return (first, rest) if first in GEOGRAPHIES else (None, name)


def profile_or_model(invoked: str) -> str | None:
    """The id whose geography counts: what is invoked, unless it is an ARN that does not tell it."""
    arn = BEDROCK_ARN.fullmatch(invoked)
    if not arn:
        return invoked
    return arn["id"] if arn["kind"] in ("inference-profile", "foundation-model") else None
