"""What the answers mean: the settings that they come to.

Answers that are not there yet have a stand-in that refuses nothing, so that each answer is checked by the settings' own
rules as soon as it is given. Where all of them are there, no stand-in is left.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ops.init.answers import Answers
from ops.init.models import deployments, server_place
from stacks.settings import Environment, Releases, Sleep, by_name

# What a size means, but for what has its default: of the service, of the database, and how long logs are kept.
SIZES: Final[Mapping[str, Mapping[str, Any]]] = {
    "small": {"log_retention_days": 14},
    "medium": {"gateway": {"min_tasks": 2, "max_tasks": 4}, "database": {"max_capacity": 4}},
    "large": {
        "gateway": {"min_tasks": 3, "max_tasks": 12},
        "database": {"min_capacity": 1, "max_capacity": 16, "reader": True, "backup_days": 35},
        "log_retention_days": 365,
    },
}
# A task must start while the way to the internet is down: its image, its secrets and its log.
ENDPOINTS: Final = ("ecr.api", "ecr.dkr", "ssm", "logs")

Tree = dict[str, Any]


def environment_of(answers: Answers, name: str) -> Environment:
    """An environment's settings.

    Raises
    ------
    ValidationError
        They cannot work.
    """
    company, own = answers.company, answers.of(name)
    account, region = own.get("account", "0" * 12), own.get("region", "us-east-1")
    zone = own.get("hosted_zone") or own.get("domain") or f"{name}.example.com"
    tree: Tree = {
        "name": name,
        "account": account,
        "region": region,
        "hosted_zone": {"id": own.get("hosted_zone_id", "Z00000"), "name": zone},
        "domain": own.get("domain", zone),
        "network": _network(own, region),
        "ingress": _ingress(own),
        **SIZES[own.get("size", "small")],
        **_parts(company, own),
        "cache": {} if own.get("cache") else None,
        "sleep": _sleep(own),
        "deletion_protection": own.get("deletion_protection", True),
        "tags": {"service": "litellm-gateway", "environment": name},
    }
    if own.get("gateway"):
        tree["gateway"] = own["gateway"]
    if own.get("variables"):
        tree["variables"] = own["variables"]
    if own.get("certificate_arn") and "account" in own and "region" in own:
        tree["certificate_arn"] = own["certificate_arn"]
    return Environment.model_validate({key: value for key, value in tree.items() if value is not None})


def _network(own: Mapping[str, Any], region: str) -> Tree:
    zones = own.get("zones") if "region" in own else None
    network: Tree = {"zones": zones or [f"{region}a", f"{region}b"], "cidr": own.get("cidr", "10.0.0.0/16")}
    if own.get("vpc"):
        lists = {f"{kind}_subnet_ids": own.get(f"vpc.{kind}_subnets") for kind in ("public", "private", "isolated")}
        if own.get("vpc.id") and zones and all(lists.values()):
            network["vpc"] = {"id": own["vpc.id"], **lists}
            if own.get("vpc.nat_addresses"):
                network["vpc"]["nat_addresses"] = own["vpc.nat_addresses"]
    elif own.get("size") == "large":
        network |= {"nat_gateways": len(network["zones"]), "interface_endpoints": ENDPOINTS}
    return network


def _ingress(own: Mapping[str, Any]) -> Tree:
    cidrs = own.get("cidrs")
    managers = own.get("management_cidrs") if cidrs else None
    stand_in = ["10.0.0.0/8"]
    return {
        "public": own.get("public", False),
        "cidrs": cidrs or stand_in,
        "management_cidrs": managers or cidrs or stand_in,
    }


def _sleep(own: Mapping[str, Any]) -> Tree | None:
    """When it is awake, as far as that is not the default; None if it always is."""
    if not own.get("sleep"):
        return None
    if not (awake := own.get("sleep.awake")):
        return {}
    usual, days, zone = Sleep(), own.get("sleep.days"), own.get("sleep.timezone")
    return {
        "awake": awake,
        **_given(
            days=days if tuple(days or ()) != usual.days else None,
            timezone=zone if zone != usual.timezone else None,
        ),
    }


def _parts(company: Mapping[str, Any], own: Mapping[str, Any]) -> Tree:
    """What an environment has only if it was asked for; None if not."""
    emails = company.get("alarm_emails")
    channel = own.get("alarm_channel")
    alarms = _given(
        emails=emails,
        workspace=company.get("slack.workspace") if channel else None,
        channel=channel,
        monthly_budget=own.get("monthly_budget"),
    )
    notify = own.get("datadog_notify")
    reply_to = company.get("reply_to")
    return {
        "providers": _providers(company, own) or None,
        "email": {"reply_to": reply_to} if reply_to else None,
        "onboarding": _onboarding(company, own),
        "alarms": alarms or None,
        "datadog": _given(notify=notify) if company.get("datadog") else None,
        "report": _report(company, own),
        "bill": _bill(company, own),
    }


def _given(**values: Any) -> Tree:  # noqa: ANN401 - settings of any type
    """Those that are answered with something."""
    return {name: value for name, value in values.items() if value not in (None, [], ())}


def _providers(company: Mapping[str, Any], own: Mapping[str, Any]) -> Tree:
    location, site = company.get("vertex.location"), company.get("datadog.site")
    return _given(
        azure_api_base=own.get("azure_api_base"),
        azure_ai_api_base=own.get("azure_ai_api_base"),
        vertexai_project=own.get("vertex_project"),
        vertexai_location=location if location != "global" else None,
        dd_site=site,
        servers=_servers(company, own),
    )


def _servers(company: Mapping[str, Any], own: Mapping[str, Any]) -> list[Tree]:
    """The way to a server of one's own, if it takes one."""
    if not (place := server_place(company)):
        return []
    host, port = place
    peer = own.get("server_peer", "10.0.0.0/8")
    return [{"host": host, "port": port, "security_group_id" if peer.startswith("sg-") else "cidr": peer}]


def _onboarding(company: Mapping[str, Any], own: Mapping[str, Any]) -> Tree | None:
    if not company.get("onboarding"):
        return None
    budget = company.get("budget", 100)
    ceiling = company.get("onboarding.budget_ceiling") or max(1000, budget)
    return {
        "command": own.get("slack_command", "/llm-account"),
        "workspace": company.get("slack.workspace", "T000000"),
        "audit_channel": company.get("onboarding.audit_channel", "C000000"),
        "mail_domains": company.get("onboarding.mail_domains") or ["example.com"],
        "teams": company.get("onboarding.teams") or ["everyone"],
        **_given(
            approver_group=company.get("onboarding.approver_group"),
            max_budget=budget if budget != 100 else None,
            budget_ceiling=ceiling if ceiling != 1000 else None,
        ),
    }


def _report(company: Mapping[str, Any], own: Mapping[str, Any]) -> Tree | None:
    if not company.get("report"):
        return None
    hour = company.get("report.hour", 23)
    return {
        "channel": own.get("report_channel", "C000000"),
        "timezone": company.get("report.timezone", "UTC"),
        **({"hour": hour} if hour != 9 else {}),
        **_given(plans=company.get("report.plans")),
    }


def _bill(company: Mapping[str, Any], own: Mapping[str, Any]) -> Tree | None:
    if not company.get("bill"):
        return None
    azure = {name: company.get(f"bill.azure.{name}") for name in ("tenant", "client", "subscription")}
    google, gemini = (_export(company, bill) for bill in ("google", "gemini"))
    gemini |= {"project": company.get("bill.gemini.project")}
    return _given(
        azure=azure if company.get("bill.azure") and all(azure.values()) else None,
        google=google if google["table"] and own.get("vertex_project") else None,
        gemini=gemini if all(gemini.values()) else None,
        openai=_given(projects=company.get("bill.openai.projects")) if company.get("bill.openai") else None,
        anthropic=_given(workspaces=company.get("bill.anthropic.workspaces"))
        if company.get("bill.anthropic")
        else None,
    )


def _export(company: Mapping[str, Any], bill: str) -> Tree:
    """Where one of Google's bills is; without a table as long as it is not known, or not asked for."""
    table = company.get(f"bill.{bill}.table") if company.get(f"bill.{bill}") else None
    location = company.get(f"bill.{bill}.location", "US")
    return {"table": table, **({"location": location} if location != "US" else {})}


def releases_of(answers: Answers) -> Releases | None:
    """How releases are promoted; None if people deploy by hand, or as long as there is no connection to GitHub.

    Raises
    ------
    ValidationError, SettingsError
        It cannot work.
    """
    company = answers.company
    by, connection = company.get("releases.by"), company.get("releases.connection_arn")
    if not company.get("releases") or not (connection or by == "github"):
        return None
    channel = company.get("releases.channel")
    last = list(answers.named[-1:])
    approved = company.get("releases.approved", last) or []
    tree = {
        "account": company.get("releases.account", "0" * 12),
        "region": company.get("releases.region", "us-east-1"),
        "repository": company.get("releases.repository", "owner/name"),
        "approved": approved if approved != last else None,
        **_given(
            branch=company.get("releases.branch") if company.get("releases.branch") != "main" else None,
            connection_arn=connection if by == "codepipeline" else None,
            github_actions=True if by == "github" else None,
            oidc_provider=company.get("releases.oidc_provider") or None,
            emails=company.get("releases.emails"),
            workspace=company.get("slack.workspace") if channel else None,
            channel=channel,
        ),
    }
    found = Releases.model_validate({key: value for key, value in tree.items() if value is not None})
    found.among(answers.named)
    return found


def check(answers: Answers) -> None:
    """Refuse answers that cannot work together, as far as they are there.

    Raises
    ------
    ValidationError, SettingsError
        What is wrong, in the settings' words.
    """
    made = [(environment_of(answers, name), own) for name, own in answers.environments.items()]
    names = {each.name for _, found in deployments(answers.company) for each in found}
    for environment, _ in made if not answers.company.get("own_config") else ():
        environment.check_models(names)
    by_name(environment for environment, own in made if {"domain", "cidr"} <= own.keys())
    releases_of(answers)
