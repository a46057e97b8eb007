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

from ops.access import OpsError, environment_named, run
from stacks.settings import Environment, Onboarding

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


def manifest(environment: Environment) -> dict[str, Any]:
    """The manifest of the environment's Slack app: it answers requests for accounts, posts reports of usage, or both.

    Raises
    ------
    OpsError
        The environment has neither onboarding nor a report, and so no Slack app.
    """
    if not environment.onboarding and not environment.report:
        raise OpsError(
            f"{environment.name} has no Slack app: give it onboarding=Onboarding(…) or report=Report(…) in "
            "company/environments.py first."
        )
    subjects = {"accounts": environment.onboarding, "reports of usage": environment.report}
    subject = " and ".join(name for name, made in subjects.items() if made)
    app: dict[str, Any] = {
        "display_information": {
            "name": f"LLM gateway ({environment.name})",
            "description": f"{subject[0].upper()}{subject[1:]} of the LLM gateway, environment {environment.name}",
        },
        "features": {"bot_user": {"display_name": f"llm-gateway-{environment.name}", "always_online": True}},
        "oauth_config": {"scopes": {"bot": scopes(environment)}},
        "settings": {"org_deploy_enabled": False, "socket_mode_enabled": False, "token_rotation_enabled": False},
    }
    return _with_accounts(app, environment, environment.onboarding) if environment.onboarding else app


def _with_accounts(app: dict[str, Any], environment: Environment, onboarding: Onboarding) -> dict[str, Any]:
    """The manifest with all that Slack sends to the app: the command, the events and the workflow's step."""
    url = f"https://{environment.slack_domain}{PATH}"
    features = {
        # Without its Messages tab Slack refuses an app's direct messages; nobody need write to the app there.
        "app_home": {
            "home_tab_enabled": False,
            "messages_tab_enabled": True,
            "messages_tab_read_only_enabled": True,
        },
        "slash_commands": [
            {
                "command": onboarding.command,
                "url": url,
                "description": "Ask for an account of the LLM gateway",
                "should_escape": False,
            }
        ],
    }
    settings = {
        "event_subscriptions": {"request_url": url, "bot_events": list(EVENTS)},
        "interactivity": {"is_enabled": True, "request_url": url},
        "org_deploy_enabled": True,  # Slack offers custom steps only of apps that an organization may deploy
        "function_runtime": "remote",
    }
    step = {
        "title": "Create LLM gateway account",
        "description": "Makes an account of the LLM gateway, and sends an invitation by mail",
        "input_parameters": _parameters(INPUTS),
        "output_parameters": _parameters(OUTPUTS),
    }
    return app | {
        "features": app["features"] | features,
        "settings": app["settings"] | settings,
        "functions": {STEP: step},
    }


def scopes(environment: Environment) -> list[str]:
    """The bot's OAuth scopes: no more than the functions' calls of the Web API need.

    `chat:write` reaches a person by direct message, and the channels that the bot was invited to. So it must be invited
    to the channels of accounts and of reports: `chat:write.public` would let it write to every public channel, and not
    to a private one.
    """
    onboarding, report = environment.onboarding, environment.report
    seats = report is not None and any(plan.seats for plan in report.plans)
    needed = {
        "chat:write": True,  # chat.postMessage, chat.postEphemeral, chat.update
        "commands": onboarding,  # the slash command
        "files:write": report,  # files.getUploadURLExternal, files.completeUploadExternal: tables and picture
        # usergroups.users.list: who may approve, who has a seat
        "usergroups:read": (onboarding and onboarding.approver_group) or seats,
        "users:read": onboarding or seats,  # users.info, users.list, and the event user_change
        "users:read.email": onboarding or seats,  # the mail address in the profile
    }
    return [scope for scope, why in needed.items() if why]


def _parameters(parameters: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Parameters by name, each with its name once more, as Slack wants it."""
    return {name: {"name": name, **parameter} for name, parameter in parameters.items()}


def main(argv: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m ops.slack_manifest", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--env", required=True, metavar="NAME", help="an environment of company/environments.py")
    name = parser.parse_args(argv).env

    def work() -> int:
        print(json.dumps(manifest(environment_named(name)), indent=2, ensure_ascii=False))
        return 0

    return run("slack-manifest", work)


if __name__ == "__main__":
    sys.exit(main())
