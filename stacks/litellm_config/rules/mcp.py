"""mcp_servers: whose tools callers may use, with a credential of the company's that they never see."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from stacks.litellm_config.catalog import catalog
from stacks.litellm_config.features import MCP, McpServer
from stacks.litellm_config.file import Place
from stacks.litellm_config.rules.addresses import check_address
from stacks.litellm_config.rules.keys import check_keys
from stacks.litellm_config.rules.modules import check_module
from stacks.litellm_config.rules.reading import Reading
from stacks.litellm_config.rules.routes import provider_route
from stacks.litellm_config.variables import REFERENCE, SECRET_SUFFIXES
from stacks.litellm_config.words import suggestion

ROUTE: Final = "/mcp"
MASKING: Final = "masking.datadog"
"""The callback that keeps tools' arguments out of LiteLLM's database (container/masking.py)."""
TRANSPORTS: Final = ("http", "sse")
"""How a server is spoken to; LiteLLM's third, stdio, starts it as a program."""

_NAME: Final = re.compile(r"[A-Za-z0-9_]{1,64}")
"""Of a server, which begins those of its tools: the interfaces of models take letters, digits, underscores and hyphens
in the name of a tool, and LiteLLM takes no hyphen in that of a server (`validate_mcp_server_name`)."""
_PART: Final = re.compile(r"[\w.-]+", re.ASCII)
"""What may be a part of a path as it is."""


class _Way(NamedTuple):
    """How a credential of a server is sent: in which header, after what."""

    header: str
    scheme: str


_STATIC: Final = {
    "api_key": _Way("x-api-key", ""),
    "authorization": _Way("authorization", ""),
    "basic": _Way("authorization", "Basic "),
    "bearer_token": _Way("authorization", "Bearer "),
    "token": _Way("authorization", "token "),
}
"""Kinds of `auth_type` with a credential in the file (`MCPClient._get_auth_headers` of LiteLLM)."""

_OTHERS: Final = ("none", "oauth2", "aws_sigv4", "oauth2_token_exchange", "oauth2_id_jag")
_FORWARDED: Final = ("oauth_delegate", "true_passthrough")
"""The rest of LiteLLM's `MCPAuth`."""


def check(reading: Reading) -> tuple[McpServer, ...]:
    """The servers that nothing is wrong with."""
    _check_tools(reading)
    place: Place = ("mcp_servers",)
    given = reading.document.get("mcp_servers")
    servers = reading.mapping(place, given)
    if servers and MCP not in reading.opened:
        reading.warn(
            place,
            f"the web ACL keeps {ROUTE} for the management ranges, so others who call get 403: name {MCP!r} in "
            "ingress.also_open of the environment to open it",
        )
    callbacks = reading.section("litellm_settings").get("callbacks")
    if servers and MASKING not in (callbacks if isinstance(callbacks, list) else ()):
        reading.warn(
            place,
            f"there is no {MASKING} in litellm_settings.callbacks, so LiteLLM keeps in its database what tools are "
            "given",
        )
    return tuple(found for name, server in servers.items() if (found := _server(reading, name, server)))


def _server(reading: Reading, name: str, given: object) -> McpServer | None:
    place: Place = ("mcp_servers", name)
    before = reading.findings.count
    if not isinstance(given, dict):
        reading.refuse(place, "it must be a mapping, as in {url: https://mcp.example.com/mcp}")
        return None
    server = reading.mapping(place, given)
    check_keys(reading, place, server, catalog()["settings"]["mcp_servers"])
    names = tuple(_names(reading, place, name, server))
    transport = server.get("transport", "http")
    if transport == "stdio" or server.get("command"):
        reading.refuse(
            place,
            "it would be started as a program in the task, which has none but LiteLLM, and keeps nothing: let it run "
            "elsewhere and answer by HTTP, and write its url",
            at=("transport" if "transport" in server else "command",),
        )
    elif transport not in TRANSPORTS:
        reading.refuse((*place, "transport"), f"LiteLLM knows no {transport!r}: use one of {', '.join(TRANSPORTS)}")
    else:
        _check_addresses(reading, place, server)
    way = _way(reading, place, server)
    _check_variables(reading, place, server)
    if reading.findings.count != before:
        return None
    credential = str(server.get("authentication_token") or server.get("auth_value") or "") if way else ""
    tools = server.get("allowed_tools")
    return McpServer(
        name=name,
        names=names,
        url=str(server.get("url") or ""),
        transport=str(transport),
        header=str(server.get("upstream_token_header") or way.header).lower() if way and credential else "",
        scheme=way.scheme if way else "",
        credential=credential,
        tools=tuple(map(str, tools)) if isinstance(tools, list) else (),
    )


def _names(reading: Reading, place: Place, name: str, server: Mapping[str, Any]) -> Iterator[str]:
    """Yield what its route may call it."""
    aliases = reading.section("litellm_settings").get("mcp_aliases")
    mapped = [alias for alias, of in aliases.items() if of == name] if isinstance(aliases, dict) else []
    alias = server.get("alias")
    for each, at in ((name, ()), *([(alias, ("alias",))] if alias else []), *((other, ()) for other in mapped)):
        if isinstance(each, str) and _NAME.fullmatch(each):
            if taken := provider_route(f"/{each}/mcp"):
                told = f"LiteLLM takes /{each}/mcp for a way to a provider ({taken}), and fails: use another name"
                reading.refuse(place, told, at=at)
            yield each
        else:
            told = f"{each!r} begins the names of its tools, of which models take some only: use letters, digits and _"
            reading.refuse(place, told, at=at)
    groups = server.get("access_groups")
    if groups is None:
        return
    if isinstance(groups, list) and all(isinstance(group, str) for group in groups):
        yield from (group for group in groups if _PART.fullmatch(group))
    else:
        reading.refuse((*place, "access_groups"), "it must be a list of names, as in [research]")


def _check_addresses(reading: Reading, place: Place, server: Mapping[str, Any]) -> None:
    """Refuse a server without an address, and addresses that the task cannot reach."""
    spec = server.get("spec_path")
    if not server.get("url") and not spec:
        reading.refuse(place, "it has no url: LiteLLM needs it, as in https://mcp.example.com/mcp")
    if isinstance(spec, str) and "://" not in spec and not spec.startswith(REFERENCE):
        reading.refuse(
            (*place, "spec_path"), "the image has no such file: write the address of the OpenAPI document, https://…"
        )
    elif spec:
        check_address(reading, place, server, "spec_path", at=("spec_path",))
    for key in ("url", "token_url", "authorization_url", "registration_url", "issuer", "token_exchange_endpoint"):
        if server.get(key):
            check_address(reading, place, server, key, at=(key,))


def _way(reading: Reading, place: Place, server: Mapping[str, Any]) -> _Way | None:
    """How its credential is sent, if it has one in the file; refuses a kind that cannot work."""
    kind = server.get("auth_type")
    if kind is None or kind in _STATIC:
        return _STATIC.get(str(kind))
    at: Place = (*place, "auth_type")
    if kind not in _OTHERS and kind not in _FORWARDED:
        known = suggestion(str(kind), (*_STATIC, *_OTHERS, *_FORWARDED), f"use one of {', '.join(_STATIC)}")
        reading.refuse(at, f"LiteLLM knows no {kind!r}: {known}")
    elif kind == "true_passthrough":
        reading.refuse(at, "LiteLLM would ask nobody for a key, and let everybody through: use oauth_delegate")
    elif kind == "aws_sigv4" and not server.get("aws_access_key_id"):
        reading.refuse(
            at,
            "the task's role may call no agent or gateway of Amazon Bedrock AgentCore, so every call fails: it would "
            "take the server's permission in stacks/gateway/stack.py",
        )
    elif kind == "oauth2":
        _check_flow(reading, place, server)
    elif kind in ("oauth2_token_exchange", "oauth2_id_jag") and not reading.licensed:
        reading.warn(at, "it exchanges the token that a caller signs in with, and sign-in by tokens takes a licence")
    return None


def _check_flow(reading: Reading, place: Place, server: Mapping[str, Any]) -> None:
    flow, known = server.get("oauth2_flow"), ("authorization_code", "client_credentials")
    if flow not in known:
        reading.refuse(
            place, f"auth_type oauth2 takes oauth2_flow, without which LiteLLM does not start: {' or '.join(known)}"
        )
    elif flow == "client_credentials" and not (server.get("client_id") and server.get("client_secret")):
        reading.refuse(place, "oauth2_flow client_credentials takes client_id and client_secret", at=("oauth2_flow",))
    elif flow == "authorization_code":
        reading.warn(
            (*place, "oauth2_flow"),
            "people sign in to it at /authorize, /token, /register and /callback, which the web ACL keeps for the "
            "management ranges",
        )


def _check_variables(reading: Reading, place: Place, server: Mapping[str, Any]) -> None:
    """Refuse a secret among `env_vars`, which have their names beside them; warn of a caller's key that goes on."""
    variables = server.get("env_vars")
    for index, each in enumerate(variables if isinstance(variables, list) else ()):
        name, value = (each.get("name"), each.get("value")) if isinstance(each, dict) else (None, None)
        if str(name).endswith(SECRET_SUFFIXES) and isinstance(value, str) and value and not value.startswith(REFERENCE):
            told = "a secret in plain text: write os.environ/NAME and put the value into the secret NAME"
            reading.refuse((*place, "env_vars", index), told, at=("value",))
    headers = server.get("extra_headers")
    if isinstance(headers, list) and any(str(header).lower() == "authorization" for header in headers):
        reading.warn(
            (*place, "extra_headers"),
            "a caller's Authorization goes on to the server, so callers have to send their key of this gateway in "
            "x-litellm-api-key",
        )


def _check_tools(reading: Reading) -> None:
    """Refuse tools of the gateway's own whose module the image does not have: LiteLLM does not start without."""
    tools = reading.document.get("mcp_tools")
    for index, tool in enumerate(tools if isinstance(tools, list) else ()):
        if isinstance(tool, dict):
            check_module(reading, ("mcp_tools", index, "handler"), tool.get("handler"))
    if tools and MCP not in reading.opened:
        reading.warn(("mcp_tools",), f"the web ACL keeps {ROUTE} for the management ranges: others who call get 403")
