"""Prints the manifest of an environment's Slack app, in JSON: `make slack-manifest ENV=dev`.

It is what https://api.slack.com/apps takes under "Create New App", "From a manifest". An app is of one environment: its
requests go to that environment's own URL. The fields are those of Slack's reference,
https://docs.slack.dev/reference/app-manifest.

Exit codes: 0 printed; 2 the environment has no Slack app, or its settings have a mistake, in one sentence.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from typing import Any, Final

from stacks.environments import environments
from stacks.settings import Environment, Onboarding, SettingsError

PATH: Final = "/slack/events"
STEP: Final = "create_account"
EVENTS: Final = ("function_executed", "user_change")

INPUTS: Final[Mapping[str, Mapping[str, Any]]] = {
    "who": {
        "type": "slack#/types/user_id",
        "title": "Who",
        "description": "The person the account is for",
        "is_required": True,
    },
    "team": {
        "type": "string",
        "title": "Team",
        "description": "The team that the usage counts for: one of those that the gateway's settings name",
        "is_required": True,
    },
    "purpose": {
        "type": "string",
        "title": "Purpose",
        "description": "What the account is for, in a sentence",
        "is_required": True,
    },
    "max_budget": {
        "type": "number",
        "title": "Budget",
        "description": "In US dollars per budget period; empty for the usual one. More than that may need an approval",
        "is_required": False,
    },
}
OUTPUTS: Final[Mapping[str, Mapping[str, Any]]] = {
    "status": {
        "type": "string",
        "title": "Status",
        "description": "created, exists, pending (waits for an approval), refused or failed",
        "is_required": True,
    },
    "message": {
        "type": "string",
        "title": "Message",
        "description": "What happened, in a sentence for the person who asked",
        "is_required": True,
    },
}


class ManifestError(Exception):
    """A mistake, in one sentence that says what to do."""


def manifest(environment: Environment) -> dict[str, Any]:
    """The manifest of the environment's Slack app.

    Raises
    ------
    ManifestError
        The environment has no onboarding, and so no Slack app.
    """
    if environment.onboarding is None:
        raise ManifestError(
            f"{environment.name} has no Slack app: give it onboarding=Onboarding(…) in stacks/environments.py first."
        )
    url = f"https://{environment.slack_domain}{PATH}"
    return {
        "display_information": {
            "name": f"LLM gateway ({environment.name})",
            "description": f"Accounts of the LLM gateway, environment {environment.name}",
        },
        "features": {
            # Without its Messages tab Slack refuses an app's direct messages; nobody need write to the app there.
            "app_home": {
                "home_tab_enabled": False,
                "messages_tab_enabled": True,
                "messages_tab_read_only_enabled": True,
            },
            "bot_user": {"display_name": f"llm-gateway-{environment.name}", "always_online": True},
            "slash_commands": [
                {
                    "command": environment.onboarding.command,
                    "url": url,
                    "description": "Ask for an account of the LLM gateway",
                    "should_escape": False,
                }
            ],
        },
        "oauth_config": {"scopes": {"bot": scopes(environment.onboarding)}},
        "settings": {
            "event_subscriptions": {"request_url": url, "bot_events": list(EVENTS)},
            "interactivity": {"is_enabled": True, "request_url": url},
            "org_deploy_enabled": True,  # Slack offers custom steps only of apps that an organization may deploy
            "socket_mode_enabled": False,
            "token_rotation_enabled": False,
            "function_runtime": "remote",
        },
        "functions": {
            STEP: {
                "title": "Create LLM gateway account",
                "description": "Makes an account of the LLM gateway, and sends an invitation by mail",
                "input_parameters": _parameters(INPUTS),
                "output_parameters": _parameters(OUTPUTS),
            }
        },
    }


def scopes(onboarding: Onboarding) -> list[str]:
    """The bot's OAuth scopes: no more than the functions' calls of the Web API need.

    `chat:write` reaches a person by direct message, and the channels that the bot was invited to. So it must be invited
    to the audit channel: `chat:write.public` would let it write to every public channel, and not to a private one.
    """
    groups = ["usergroups:read"] if onboarding.approver_group else []  # usergroups.users.list: who may approve
    return [
        "chat:write",  # chat.postMessage, chat.postEphemeral, chat.update
        "commands",  # the slash command
        *groups,
        "users:read",  # users.info, users.list, and the event user_change
        "users:read.email",  # the mail address in the profile
    ]


def _parameters(parameters: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Parameters by name, each with its name once more, as Slack wants it."""
    return {name: {"name": name, **parameter} for name, parameter in parameters.items()}


def main(argv: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m ops.slack_manifest", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--env", required=True, metavar="NAME", help="an environment of stacks/environments.py")
    name = parser.parse_args(argv).env
    try:
        if name not in environments():
            raise ManifestError(
                f"there is no environment {name}: stacks/environments.py has {', '.join(environments())}."
            )
        print(json.dumps(manifest(environments()[name]), indent=2, ensure_ascii=False))
    except (ManifestError, SettingsError) as error:
        print(f"slack-manifest: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
