"""What LiteLLM can be asked for, a row an operation: its routes, the models that serve it, and what it takes of AWS.

The web ACL opens the routes, the task's role has the permissions, and the reader, `make doctor` and the tests ask the
same rows. Where an entry is called, and with which credentials, is in stacks/litellm_config/providers.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from stacks.litellm_config.bedrock import (
    ASSUME_ACTION,
    BEDROCK_ACTIONS,
    COUNT_ACTION,
    GUARDRAIL_ACTION,
    MANTLE_COUNT_ACTION,
    TAG_ACTION,
)
from stacks.litellm_config.model import Model
from stacks.litellm_config.provider import Address


class Account(NamedTuple):
    """The account that the task runs in; both may be CDK tokens."""

    partition: str
    id: str


class Permission(NamedTuple):
    """A statement of the task's role: what it may do, on what, by ARN."""

    actions: tuple[str, ...]
    resources: tuple[str, ...]


class Guardrail(NamedTuple):
    """A guardrail of Bedrock that calls are checked by."""

    name: str  # its id or ARN
    region: str
    role: str | None = None  # the ARN of the role that the task's role assumes to ask it; None if it does not
    external_id: str | None = None  # with which it does


def _nowhere(model: Model) -> Iterator[Address]:
    del model
    yield from ()


class Take(NamedTuple):
    """What an operation takes at a provider: permissions of the task's role, and other addresses than the entry's."""

    permissions: Callable[[Model, Account], Iterable[Permission]]
    hosts: Callable[[Model], Iterable[Address]] = _nowhere


# --- Routes ---------------------------------------------------------------------------------------------------------
# Patterns of the path, in which {} are the routes of every open operation of this form. Matched after decoding and
# normalizing. AWS WAF takes ten patterns in a set, and 200 characters in each (stacks/gateway/web_acl.py).

PLAIN: Final = "plain"
KEPT: Final = "kept"  # what is kept has an id, and may be looked at
MEDIA: Final = "media"
DEPLOYMENTS: Final = "deployments"  # Azure's SDK
MESSAGES: Final = "messages"  # Anthropic's
GOOGLE: Final = "google"
FORMS: Final[Mapping[str, str]] = {
    PLAIN: r"^/(v1/)?({})$",
    KEPT: r"^/(v1/)?({})(/[^/]+(/(input_items|cancel|content))?)?$",
    MEDIA: r"^/(v1/)?({})$",
    DEPLOYMENTS: r"^/(openai/deployments|engines)/[^/]+/({})$",
    MESSAGES: r"^/v1/{}$",
    GOOGLE: r"^/(v1beta/)?models/[^/]+:({})$",
}

# --- What Bedrock takes ---------------------------------------------------------------------------------------------


def _invoked(model: Model, account: Account) -> Iterator[Permission]:
    """What is invoked, in every region that it routes to."""
    if model.by_role:
        arns = model.bedrock_resources(partition=account.partition, account=account.id)
        yield Permission(BEDROCK_ACTIONS, tuple(arns))


def _counted(model: Model, account: Account) -> Iterator[Permission]:
    """The model that LiteLLM has tokens counted with, at either endpoint."""
    if counted := model.counted:
        partition, region = account.partition, counted.region
        yield Permission((COUNT_ACTION,), (f"arn:{partition}:bedrock:{region}::foundation-model/{counted.model}",))
        project = f"arn:{partition}:bedrock-mantle:{region}:{account.id}:project/default"
        yield Permission((MANTLE_COUNT_ACTION,), (project,))


def _counted_at(model: Model) -> Iterator[Address]:
    if counted := model.counted:
        yield Address(f"bedrock-runtime.{counted.region}.amazonaws.com")
        yield Address(f"bedrock-mantle.{counted.region}.api.aws")


def _applied(guardrail: Guardrail, account: Account) -> Iterator[Permission]:
    """A guardrail, which is permitted by itself, whoever asks it: LiteLLM, or a call that names it."""
    name = guardrail.name
    arn = f"arn:{account.partition}:bedrock:{guardrail.region}:{account.id}:guardrail/{name}"
    if not guardrail.role:
        yield Permission((GUARDRAIL_ACTION,), (name if name.startswith("arn:") else arn,))


def _assumed(models: Iterable[Model], guardrails: Iterable[Guardrail]) -> Iterator[Permission]:
    """The roles of other accounts, which are all that calling there takes of the task's own."""
    models = tuple(models)
    for role in sorted({each.role for each in (*models, *guardrails) if each.role}):
        yield Permission((ASSUME_ACTION,), (role,))
    for role in sorted({each.role for each in models if each.role and each.parameters.get("aws_session_tags")}):
        yield Permission((TAG_ACTION,), (role,))


# --- The table ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One row."""

    name: str
    routes: Mapping[str, tuple[str, ...]]
    """The routes, by one of FORMS."""
    modes: tuple[str, ...] = ()
    """`model_info.mode` of the models that serve it, as in LiteLLM's list of prices; none if it needs no model."""
    takes: Mapping[str, Take] = field(default_factory=dict)
    """What it takes beside the entry's own address and credentials, by the provider's name."""


_INVOKE: Final = {"bedrock": Take(_invoked)}
_TEXT: Final = ("chat", "completion", "responses")

OPERATIONS: Final = (
    Operation(
        name="chat completions",
        routes={
            PLAIN: ("chat/completions", "completions"),
            DEPLOYMENTS: ("chat/completions", "completions"),
        },
        modes=_TEXT,
        takes=_INVOKE,
    ),
    Operation(name="responses", routes={KEPT: ("responses",)}, modes=_TEXT, takes=_INVOKE),
    # LiteLLM asks the provider to count, or counts by itself.
    Operation(
        name="counting tokens",
        routes={MESSAGES: ("messages(/count_tokens)?",), GOOGLE: ("countTokens",)},
        modes=_TEXT,
        takes={"bedrock": Take(_counted, _counted_at)},
    ),
    Operation(name="messages", routes={MESSAGES: ("messages(/count_tokens)?",)}, modes=_TEXT, takes=_INVOKE),
    Operation(
        name="generating content",
        routes={GOOGLE: ("generateContent", "streamGenerateContent")},
        modes=_TEXT,
        takes=_INVOKE,
    ),
    Operation(
        name="embeddings",
        routes={PLAIN: ("embeddings",), DEPLOYMENTS: ("embeddings",)},
        modes=("embedding",),
        takes=_INVOKE,
    ),
    Operation(name="moderations", routes={PLAIN: ("moderations",)}, modes=("moderation",)),
    Operation(name="reranking", routes={PLAIN: ("rerank",)}, modes=("rerank",)),
    Operation(name="models", routes={PLAIN: ("models(/[^/]+)?", "model/info")}),
    Operation(name="batches", routes={KEPT: ("batches",)}),
    Operation(name="files", routes={KEPT: ("files",)}),
    Operation(name="images", routes={MEDIA: ("images/(generations|edits)",)}, modes=("image_generation", "image_edit")),
    Operation(
        name="audio",
        routes={MEDIA: ("audio/(speech|transcriptions)",)},
        modes=("audio_speech", "audio_transcription"),
    ),
)
"""In the order in which the role's statements come."""


def patterns(operations: Sequence[Operation] = OPERATIONS) -> tuple[str, ...]:
    """The patterns of the paths that these operations are asked for by."""
    routes: dict[str, dict[str, None]] = {form: {} for form in FORMS}
    for operation in operations:
        for form, own in operation.routes.items():
            routes[form] |= dict.fromkeys(own)
    return tuple(FORMS[form].replace("{}", "|".join(own)) for form, own in routes.items() if own)


def permissions(models: Iterable[Model], guardrails: Iterable[Guardrail], account: Account) -> tuple[Permission, ...]:
    """What the task's role needs, a statement for all that the same actions are needed on."""
    models, guardrails = tuple(models), tuple(guardrails)
    found: dict[tuple[str, ...], set[str]] = {}
    needed = [
        *(each for take, model in _taken(models) for each in take.permissions(model, account)),
        *(each for guardrail in guardrails for each in _applied(guardrail, account)),
        *_assumed(models, guardrails),
    ]
    for actions, resources in needed:
        found.setdefault(actions, set()).update(resources)
    return tuple(Permission(actions, tuple(sorted(resources))) for actions, resources in found.items())


def addresses(models: Iterable[Model], guardrails: Iterable[Guardrail]) -> frozenset[Address]:
    """Where operations go beside the entries' own addresses."""
    by_models = {each for take, model in _taken(models) for each in take.hosts(model)}
    return frozenset(by_models | {Address(f"bedrock-runtime.{each.region}.amazonaws.com") for each in guardrails})


def _taken(models: Iterable[Model]) -> Iterator[tuple[Take, Model]]:
    """Yield what each operation takes for each of the models, in the order of the table."""
    models = tuple(models)
    for operation in OPERATIONS:
        for model in models:
            if take := operation.takes.get(model.row.name):
                yield take, model
