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
    RERANK_ACTION,
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
# normalizing.

PLAIN: Final = r"^/(v1/)?({})$"
KEPT: Final = r"^/(v1/)?({})(/[^/]+(/(input_items|cancel|content))?)?$"  # what is kept has an id, and may be looked at
DEPLOYMENTS: Final = r"^/(openai/deployments|engines)/[^/]+/({})$"  # of Azure's SDK
ANTHROPIC: Final = r"^/v1/({})$"
GOOGLE: Final = r"^/(v1beta/)?models/[^/]+:({})$"
FORMS: Final = (PLAIN, KEPT, DEPLOYMENTS, ANTHROPIC, GOOGLE)

LONGEST: Final = 200
"""Characters of a pattern that AWS WAF takes at most.
https://docs.aws.amazon.com/waf/latest/developerguide/limits.html"""

# --- What Bedrock takes ---------------------------------------------------------------------------------------------


def _invoked(model: Model, account: Account) -> Iterator[Permission]:
    """What is invoked, in every region that it routes to."""
    if model.by_role and not model.reranks:
        arns = model.bedrock_resources(partition=account.partition, account=account.id)
        yield Permission(BEDROCK_ACTIONS, tuple(arns))


def _reranked(model: Model, account: Account) -> Iterator[Permission]:
    """The model that Bedrock invokes for Rerank, and Rerank itself, which is permitted as such."""
    if model.by_role and model.reranks:
        arns = model.bedrock_resources(partition=account.partition, account=account.id)
        yield Permission((BEDROCK_ACTIONS[0],), tuple(arns))
        yield Permission((RERANK_ACTION,), ("*",))


def _reranked_at(model: Model) -> Iterator[Address]:
    """Where LiteLLM asks for it (`_prepare_request` in its llms/bedrock/rerank/handler.py)."""
    if model.reranks:
        yield Address(f"bedrock-agent-runtime.{model.region}.amazonaws.com")


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
    roles = {*(model.role for model in models), *(guardrail.role for guardrail in guardrails)}
    for role in sorted(filter(None, roles)):
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
    """What a model that serves it is for, as in `model_info.mode` and LiteLLM's list of prices."""
    takes: Mapping[str, Take] = field(default_factory=dict)
    """What it takes beside the entry's own address and credentials, by the provider's name."""

    def is_open(self, models: Iterable[Model]) -> bool:
        """Whether one of the models may serve it, or it needs none. What nobody says the mode of may serve anything."""
        return not self.modes or any(model.mode is None or model.mode in self.modes for model in models)


_INVOKE: Final = {"bedrock": Take(_invoked)}
# LiteLLM's list has models that make images in a chat as image_generation.
_TEXT: Final = ("chat", "completion", "responses", "anthropic_messages", "image_generation")

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
    # LiteLLM has the provider count, or counts by itself.
    Operation(
        name="counting tokens",
        routes={ANTHROPIC: ("messages/count_tokens",), GOOGLE: ("countTokens",)},
        modes=_TEXT,
        takes={"bedrock": Take(_counted, _counted_at)},
    ),
    Operation(name="messages", routes={ANTHROPIC: ("messages",)}, modes=_TEXT, takes=_INVOKE),
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
    Operation(
        name="reranking",
        routes={PLAIN: ("rerank",)},
        modes=("rerank",),
        takes={"bedrock": Take(_reranked, _reranked_at)},
    ),
    Operation(
        name="images",
        routes={PLAIN: ("images/(generations|edits)",)},
        modes=("image_generation", "image_edit"),
        takes=_INVOKE,
    ),
    Operation(name="speech", routes={PLAIN: ("audio/speech",)}, modes=("audio_speech",)),
    Operation(name="transcriptions", routes={PLAIN: ("audio/transcriptions",)}, modes=("audio_transcription",)),
    # A name may have a colon, so this is Google's form without v1beta too.
    Operation(name="models", routes={PLAIN: ("models(/[^/]+)?", "model/info")}),
)
"""In the order in which the role's statements come."""


def opened(models: Sequence[Model]) -> tuple[Operation, ...]:
    """The operations that one of the models may serve."""
    return tuple(each for each in OPERATIONS if each.is_open(models))


def patterns(operations: Iterable[Operation]) -> tuple[str, ...]:
    """The patterns of the paths that these operations are asked for by, each as long as AWS WAF takes it."""
    routes: dict[str, dict[str, None]] = {form: {} for form in FORMS}
    for operation in operations:
        for form, own in operation.routes.items():
            routes[form] |= dict.fromkeys(own)
    return tuple(pattern for form, own in routes.items() for pattern in _patterns(form, list(own)))


def _patterns(form: str, routes: Sequence[str]) -> Iterator[str]:
    while routes:
        count = next(n for n in range(len(routes), 0, -1) if n == 1 or len(_pattern(form, routes[:n])) <= LONGEST)
        yield _pattern(form, routes[:count])
        routes = routes[count:]


def _pattern(form: str, routes: Sequence[str]) -> str:
    return form.replace("{}", "|".join(routes))


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
            if (take := operation.takes.get(model.row.name)) and operation.is_open((model,)):
                yield take, model
