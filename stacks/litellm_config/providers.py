"""Every provider that the gateway serves, a row each.

What an entry must have, whom it reaches, by whose credentials, how its price is found and whether its bill is compared
follows from its provider's row: for the reader, the task's secrets, the picture, the smoke test and the comparison with
the bill. What an operation takes, of AWS above all, is in stacks/litellm_config/routes.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from stacks.litellm_config.bedrock import BEDROCK_ARN, geography_of
from stacks.litellm_config.model import Model
from stacks.litellm_config.provider import Address, Bill, Provider, Way, address
from stacks.litellm_config.rules import bedrock, own_hosts, servers, vertex
from stacks.litellm_config.variables import REFERENCE, resolve

# --- Amazon Bedrock -------------------------------------------------------------------------------------------------

_OWN_CREDENTIALS: Final = ("aws_access_key_id", "api_key", "aws_role_name")


def _bedrock_by_role(model: Model) -> bool:
    return not any(key in model.parameters for key in _OWN_CREDENTIALS)


def _bedrock_hosts(model: Model, variables: Mapping[str, str]) -> Iterator[Address]:
    endpoint = model.parameter("aws_bedrock_runtime_endpoint")
    yield from address(endpoint or f"https://bedrock-runtime.{model.region}.amazonaws.com", variables)


def _bedrock_listed(model: Model) -> Iterator[str]:
    if model.path_region:  # by which LiteLLM asks the list first
        yield from (f"bedrock/{model.path_region}/{model.id}", model.id)
        return
    for name in (str(model.parameters.get("model_id") or model.id), model.id, model.base):
        yield from (f"bedrock/{model.region}/{name}", name, f"bedrock/{name}", geography_of(name)[1])
    if arn := BEDROCK_ARN.fullmatch(model.id):  # of which it takes the last part, without the geography
        yield geography_of(arn["id"])[1]


# --- Azure OpenAI ---------------------------------------------------------------------------------------------------

_ENTRA: Final = Way(("tenant_id", "client_id", "client_secret"), "an application of Entra ID")
# https://docs.litellm.ai/docs/providers/azure and https://docs.litellm.ai/docs/providers/azure_ai
_AZURE_WAYS: Final = (
    Way(("api_key",)),
    Way(("azure_ad_token",)),
    _ENTRA,
    Way(("azure_username", "azure_password", "client_id")),
)
_PASSWORDS: Final = frozenset({"client_secret", "azure_password"})


def _azure_sign_in(model: Model) -> Iterator[Address]:
    if _PASSWORDS & model.parameters.keys():
        yield Address("login.microsoftonline.com")


def _listed_without_a_route(model: Model) -> Iterator[str]:
    """An id may have a route before it, as in azure/responses/gpt-6.1-sol or openai/responses/gpt-6.1-sol."""
    yield from (model.model, f"{model.provider}/{model.id.rpartition('/')[2]}", model.id)


# --- Google Vertex AI -----------------------------------------------------------------------------------------------

_LOCATION: Final = ("vertex_location", "vertex_ai_location")
_CREDENTIALS: Final = ("vertex_credentials", "vertex_ai_credentials")


def _vertex_hosts(model: Model, variables: Mapping[str, str]) -> Iterator[Address]:
    location = resolve(model.parameter(*_LOCATION), variables)
    if location == "global":
        yield Address("aiplatform.googleapis.com")
    elif "-" in location:
        yield Address(f"{location}-aiplatform.googleapis.com")
    elif location:  # the multi-regions eu and us
        yield Address(f"aiplatform.{location}.rep.googleapis.com")


def _vertex_sign_in(model: Model) -> Iterator[Address]:
    del model
    yield Address("oauth2.googleapis.com")


# --- Providers with an API of their own, and servers ---------------------------------------------------------------

_AZURE_AI_BASE: Final = "AZURE_AI_API_BASE"


def _at_its_host(model: Model, variables: Mapping[str, str]) -> Iterator[Address]:
    """Where calls go that no `api_base` sends elsewhere."""
    yield from address(model.parameter("api_base") or f"https://{model.row.host}", variables)


def _azure_ai_hosts(model: Model, variables: Mapping[str, str]) -> Iterator[Address]:
    yield from address(model.parameter("api_base") or f"{REFERENCE}{_AZURE_AI_BASE}", variables)


def _of_api(name: str, title: str, host: str, bill: Bill | None = None) -> Provider:
    """A row of a provider with one host and one key, which LiteLLM takes from its variable by itself."""
    return Provider(
        name=name,
        title=title,
        variables={"api_key": f"{name.upper()}_API_KEY"},
        implied=("api_key",),
        settings={},
        host=host,
        check=own_hosts.check,
        hosts=_at_its_host,
        priced_as=(name,),
        listed=_listed_without_a_route,
        bill=bill or Bill(title, why_not="no interface to its bill is known here"),
    )


# --- The table ------------------------------------------------------------------------------------------------------

ROWS: Final = (
    Provider(
        name="bedrock",
        title="Amazon Bedrock",
        ways=(),  # the task's role, unless an entry has credentials of its own
        secrets=(),
        variables={},
        settings={},
        addresses=("aws_bedrock_runtime_endpoint",),
        check=bedrock.check,
        hosts=_bedrock_hosts,
        by_role=_bedrock_by_role,
        region=("aws_region_name",),
        priced_as=("bedrock", "bedrock_converse"),
        listed=_bedrock_listed,
        folders=("anthropic", "bedrock"),
        parameters=("guardrailConfig", "model_id", "performanceConfig"),
        bill=Bill("AWS (Bedrock)", "Bedrock"),
    ),
    Provider(
        name="azure",
        title="Azure OpenAI",
        needs=(("api_base",),),
        ways=_AZURE_WAYS,
        variables={"api_key": "AZURE_API_KEY", "api_base": "AZURE_API_BASE"},
        settings={"AZURE_API_BASE": "azure_api_base"},
        texts=("azure_scope",),
        sign_in=_azure_sign_in,
        priced_as=("azure", "azure_text"),
        listed=_listed_without_a_route,
        bill=Bill("Azure (OpenAI)", "Azure", setting="azure"),
    ),
    Provider(
        name="vertex_ai",
        title="Vertex AI",
        needs=(("vertex_project", "vertex_ai_project"), _LOCATION, _CREDENTIALS),
        ways=(),
        secrets=_CREDENTIALS,
        variables={
            "vertex_credentials": "VERTEX_CREDENTIALS",
            "vertex_project": "VERTEXAI_PROJECT",
            "vertex_location": "VERTEXAI_LOCATION",
        },
        # The location has a default; it is given where there is a project.
        settings={"VERTEXAI_LOCATION": "vertexai_project", "VERTEXAI_PROJECT": "vertexai_project"},
        addresses=(),
        check=vertex.check,
        hosts=_vertex_hosts,
        sign_in=_vertex_sign_in,
        region=_LOCATION,
        priced_as=("vertex_ai",),
        parameters=("safety_settings",),
        bill=Bill("Google (Vertex AI)", "VertexAi", setting="google"),
        # Google's bills are of Pacific time: Cloud Billing, Structure of Standard data export, `invoice.month`.
        zone="America/Los_Angeles",
    ),
    _of_api("anthropic", "Anthropic", "api.anthropic.com", Bill("Anthropic", "Anthropic", setting="anthropic")),
    _of_api("openai", "OpenAI", "api.openai.com", Bill("OpenAI", "OpenAi", setting="openai")),
    _of_api(
        "gemini",
        "Gemini (AI Studio)",
        "generativelanguage.googleapis.com",
        Bill("Google (Gemini API)", "Gemini", setting="gemini"),
    ),
    Provider(
        name="azure_ai",
        title="Azure AI Foundry",
        needs=(("api_base",),),
        ways=_AZURE_WAYS,
        variables={"api_key": "AZURE_AI_API_KEY", "api_base": _AZURE_AI_BASE},
        implied=("api_key", "api_base"),
        settings={_AZURE_AI_BASE: "azure_ai_api_base"},
        texts=("azure_scope",),
        hosts=_azure_ai_hosts,
        sign_in=_azure_sign_in,
        priced_as=("azure_ai",),
        # What Azure sells itself is on the bill of the resource; Claude is not:
        # https://platform.claude.com/docs/en/build-with-claude/claude-in-microsoft-foundry
        bill=Bill(
            "Azure AI Foundry (Claude)",
            why_not="the Azure Marketplace bills it in units of Anthropic's, which are no meters of the Azure resource",
            models="claude",
            others="azure",
        ),
    ),
    _of_api(
        "mistral",
        "Mistral",
        "api.mistral.ai",
        Bill("Mistral", why_not="Mistral shows what was used in its console alone"),
    ),
    # What a company runs itself: at the address that each entry has, with a key or without. A server that speaks
    # OpenAI's format is as well called by openai/ and its own api_key.
    Provider(
        name="hosted_vllm",
        title="vLLM",
        ways=(),
        variables={"api_key": "HOSTED_VLLM_API_KEY"},
        settings={},
        check=servers.check,
        priced_as=(),
        bill=None,
    ),
    Provider(
        name="ollama_chat",
        more_names=("ollama",),
        title="Ollama",
        ways=(),
        variables={"api_key": "OLLAMA_API_KEY"},
        settings={},
        check=servers.check,
        priced_as=("ollama",),
        folders=("ollama",),
        bill=None,
    ),
)
"""In the order in which people are told of them."""

BY_NAME: Final[Mapping[str, Provider]] = {name: row for row in ROWS for name in row.names}
"""The row of each prefix that an entry's model may begin with."""

PROVIDERS: Final = tuple(sorted(BY_NAME))
"""Those prefixes."""

HOSTS: Final = {row.name: row.host for row in ROWS if row.host}
"""Where each provider is that has one host for all, which its key is for."""

BILLS: Final[Mapping[str, Bill]] = {row.name: row.bill for row in ROWS if row.bill and not row.bill.why_not}
"""The bills that are compared, by the names of their rows."""

PROVIDER_SETTINGS: Final = {name: setting for row in ROWS for name, setting in row.settings.items()}
"""The settings of an environment's `providers` that give a plain variable."""
