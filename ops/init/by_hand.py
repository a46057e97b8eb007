"""What a person has to do elsewhere before the gateway can be deployed, with the commands for the answers given."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ops.doctor.bootstrap import bootstrap_command
from ops.init.answers import Answers
from ops.init.models import APIS, deployments, server_place
from ops.secrets import KNOWN, required_secrets
from stacks.company import Company
from stacks.litellm_config.providers import BY_NAME
from stacks.settings import Environment, Releases


class Step(NamedTuple):
    """Something to do: what and where, and the commands or values for it."""

    what: str
    lines: tuple[str, ...] = ()


def steps(answers: Answers, own: Company) -> Iterator[Step]:
    """Yield what applies to these answers, in the order in which it is best done."""
    environments = tuple(own.environments.values())
    yield from _accounts(environments, own.releases)
    yield from _names(environments)
    yield from _models(answers, environments, own.config)
    yield from _slack(answers, environments)
    yield from _datadog(answers)
    yield from _bills(answers)
    yield from _mail(environments)
    yield from _releases(answers, own)
    yield from _here(environments, own)


def told(found: Iterator[Step]) -> str:
    """The steps as text, numbered."""
    lines = ["What is left to do by hand:"]
    for number, step in enumerate(found, start=1):
        lines += ["", f"{number:2}. {step.what}", *(f"      {line}" for line in step.lines)]
    return "\n".join(lines)


def _accounts(environments: tuple[Environment, ...], releases: Releases | None) -> Iterator[Step]:
    # One bootstrap has to do for all environments of an account and region: that which trusts who releases, if any.
    commands: dict[tuple[str, str], str] = {}
    for environment in environments:
        place = environment.account, environment.region
        commands[place] = max(commands.get(place, ""), bootstrap_command(environment, releases), key=len)
    if releases:
        commands.setdefault(
            (releases.account, releases.region), f"cdk bootstrap aws://{releases.account}/{releases.region}"
        )
    accounts = ", ".join(dict.fromkeys(account for account, _ in commands))
    yield Step(
        f"The AWS accounts have to be there: {accounts}. Bootstrap each, with an administrator's credentials of it.",
        ('export PATH="$PWD/.venv/bin:$PWD/node_modules/.bin:$PATH"', *commands.values()),
    )


def _names(environments: tuple[Environment, ...]) -> Iterator[Step]:
    zones = dict.fromkeys((each.hosted_zone.id, each.hosted_zone.name) for each in environments)
    yield Step(
        "Each hosted zone has to be delegated: enter an NS record for it in the zone above, or at its registrar, with "
        "its name servers.",
        tuple(
            f"aws route53 get-hosted-zone --id {id_} --query DelegationSet.NameServers  # {name}" for id_, name in zones
        ),
    )
    for environment in environments:
        if environment.certificate_arn:
            yield Step(
                f"{environment.name}: the certificate has to be issued, for {environment.domain}.",
                (
                    f"aws acm describe-certificate --region {environment.region} "
                    f"--certificate-arn {environment.certificate_arn} --query Certificate.Status",
                ),
            )


def _models(answers: Answers, environments: tuple[Environment, ...], config: Path) -> Iterator[Step]:
    if answers.company.get("own_config"):
        yield from _own_models(environments, config)
        return
    used = {
        provider: list(dict.fromkeys(each.model for each in found)) for provider, found in deployments(answers.company)
    }
    if "bedrock" in used:
        ids = [model.removeprefix("bedrock/") for model in used["bedrock"]]
        accounts = ", ".join(dict.fromkeys(each.account for each in environments))
        anthropic = " Anthropic asks for the use case too." if any("anthropic." in id_ for id_ in ids) else ""
        yield Step(
            f"Bedrock: accept the models' terms in the model catalog of its console, once in each of {accounts}."
            f"{anthropic} A service control policy must permit these regions: "
            f"{', '.join(answers.company['bedrock.regions'])}.",
            tuple(ids),
        )
    if "azure" in used:
        bases = ", ".join(dict.fromkeys(str(each.providers.azure_api_base) for each in environments))
        yield Step(
            f"Azure OpenAI: make these deployments in {bases}; the key of each resource is the secret AZURE_API_KEY.",
            tuple(model.removeprefix("azure/") for model in used["azure"]),
        )
    if "vertex" in used:
        yield from _vertex(environments)
    for provider in APIS:
        if provider in used:
            yield _api(provider, tuple(model.partition("/")[2] for model in used[provider]), environments)
    if "server" in used:
        let_in = ", and that it lets the tasks in on that port" if server_place(answers.company) else ""
        yield Step(
            f"{answers.company['server.address']}: see that it has these models{let_in}.",
            tuple(model.partition("/")[2] for model in used["server"]),
        )


def _api(provider: str, ids: tuple[str, ...], environments: tuple[Environment, ...]) -> Step:
    row = BY_NAME[provider]
    secret = row.variables["api_key"]
    if provider == "azure_ai":
        bases = ", ".join(dict.fromkeys(str(each.providers.azure_ai_api_base) for each in environments))
        return Step(f"{row.title}: make these deployments in {bases}; the key of each resource is {secret}.", ids)
    return Step(
        f"{row.title}: a key for each environment that may call these models, and a limit of what it may spend a month;"
        f" it is the secret {secret}{KNOWN[secret].hint}.",
        ids,
    )


def _own_models(environments: tuple[Environment, ...], config: Path) -> Iterator[Step]:
    """Of a config.yaml that was not written from the answers: what it lists, by provider."""
    models = environments[0].litellm_config(config).models
    for provider in dict.fromkeys(model.provider for model in models):
        listed = tuple(dict.fromkeys(model.model for model in models if model.provider == provider))
        accounts = f" in {', '.join(dict.fromkeys(each.account for each in environments))}"
        yield Step(
            f"{provider}: see that these can be called{accounts if provider == 'bedrock' else ''}, "
            "with their terms accepted and quotas for what they are to serve; make doctor looks at what it can.",
            listed,
        )


def _vertex(environments: tuple[Environment, ...]) -> Iterator[Step]:
    for project in dict.fromkeys(str(each.providers.vertexai_project) for each in environments):
        user = f"llm-gateway@{project}.iam.gserviceaccount.com"
        yield Step(
            f"Vertex AI, {project}: a service account that may call it; its key is the secret VERTEX_CREDENTIALS.",
            (
                f"gcloud services enable aiplatform.googleapis.com --project {project}",
                f"gcloud iam service-accounts create llm-gateway --project {project}",
                f"gcloud projects add-iam-policy-binding {project} --member serviceAccount:{user} "
                "--role roles/aiplatform.user",
                f"gcloud iam service-accounts keys create vertex.json --project {project} --iam-account {user}",
            ),
        )


def _slack(answers: Answers, environments: tuple[Environment, ...]) -> Iterator[Step]:
    workspace = answers.company.get("slack.workspace")
    if answers.company.get("slack.alerts"):
        yield Step(
            f"Slack: an incoming web hook of {workspace} for LiteLLM's alerts (api.slack.com/apps, an app, Incoming "
            "Webhooks); its address is the secret SLACK_WEBHOOK_URL."
        )
    for environment in environments:
        if environment.onboarding:
            channels = [environment.onboarding.audit_channel, environment.report and environment.report.channel]
            invited = " and ".join(dict.fromkeys(channel for channel in channels if channel))
            yield Step(
                f"Slack, {environment.name}: make the app on api.slack.com/apps from its manifest, install it, and "
                f"invite it to {invited}. Once the gateway is deployed, have Slack verify the request URL "
                f"https://{environment.slack_domain}/slack/events under Event Subscriptions.",
                (f"make slack-manifest ENV={environment.name}",),
            )
    served = [each for each in environments if each.alarms.channel]
    accounts = dict.fromkeys(each.account for each in served)
    releasing = answers.company.get("releases.channel") and answers.company.get("releases.account")
    if releasing:
        accounts[releasing] = None
    if accounts:
        yield Step(
            f"Slack: let Amazon Q Developer in chat applications into {workspace}, in its console "
            f"(https://console.aws.amazon.com/chatbot/), once in each of {', '.join(accounts)}; invite @Amazon Q into "
            "private channels."
        )


def _datadog(answers: Answers) -> Iterator[Step]:
    if answers.company.get("datadog"):
        yield Step(
            f"Datadog ({answers.company['datadog.site']}): an API key (the secret DD_API_KEY), and an application key "
            "of a service account with dashboards_write, monitors_write, logs_generate_metrics and those to read the "
            "same (DD_APP_KEY). An index has to keep the logs of service:litellm-gateway."
        )


def _bills(answers: Answers) -> Iterator[Step]:
    company = answers.company
    if company.get("bill.azure"):
        yield Step(
            "Azure's bill: the app registration may read the subscription's costs; its client secret is the secret "
            "AZURE_BILLING_SECRET.",
            (
                f"az role assignment create --assignee {company['bill.azure.client']} "
                f'--role "Cost Management Reader" --scope /subscriptions/{company["bill.azure.subscription"]}',
            ),
        )
    exports = [company[f"bill.{bill}.table"] for bill in ("google", "gemini") if company.get(f"bill.{bill}")]
    for table in dict.fromkeys(exports):
        yield Step(
            f"Google's bill: turn on the detailed export to BigQuery, into {table}; a service account with BigQuery "
            "Data Viewer on the table and BigQuery Job User on the project, whose key is the secret "
            "GOOGLE_BILLING_CREDENTIALS: one account for all tables."
        )
    if company.get("bill.openai"):
        yield Step(
            "OpenAI's bill: an owner of the organization makes an admin key that is restricted to reading usage "
            "(platform.openai.com, Organization, Admin keys), which is the secret OPENAI_ADMIN_KEY."
        )
    if company.get("bill.anthropic"):
        yield Step(
            "Anthropic's bill: an admin of the organization makes an admin key (platform.claude.com, Settings, Admin "
            "keys), which is the secret ANTHROPIC_ADMIN_KEY. It can do more than read, which docs/usage.md is about."
        )


def _mail(environments: tuple[Environment, ...]) -> Iterator[Step]:
    places: dict[tuple[str, str], Environment] = {}
    for environment in environments:
        places[environment.account, environment.region] = environment  # the last one's address is the company's
    yield Step(
        "Mail: in SES's sandbox it reaches verified addresses only. Ask to leave it, once in each account and region.",
        tuple(
            f"aws sesv2 put-account-details --region {region} --production-access-enabled --mail-type TRANSACTIONAL "
            f"--website-url https://{environment.domain}  # in {account}"
            for (account, region), environment in places.items()
        ),
    )


def _releases(answers: Answers, own: Company) -> Iterator[Step]:
    company = answers.company
    if not company.get("releases"):
        return
    repository = company["releases.repository"]
    if company["releases.by"] == "codepipeline":
        name = "litellm-gateway"
        if not own.releases:
            yield Step(
                f"CodePipeline: make the connection to {repository} in {company['releases.account']}, confirm it in "
                "the console (Developer Tools, Settings, Connections), and answer releases.connection_arn by its ARN: "
                "run make init again. Until then the file has no releases.",
                (
                    "aws codeconnections create-connection --provider-type GitHub "
                    f"--connection-name {name} --region {company['releases.region']} "
                    "--query ConnectionArn --output text",
                ),
            )
        else:
            yield Step(
                f"CodePipeline: see that the connection is AVAILABLE, and deploy the pipeline with credentials of "
                f"{own.releases.account}.",
                (
                    f"aws codeconnections get-connection --connection-arn {own.releases.connection_arn} "
                    "--query Connection.ConnectionStatus",
                    "make pipeline",
                ),
            )
    elif own.releases:
        yield from _github(own, own.releases)


def _github(own: Company, releases: Releases) -> Iterator[Step]:
    from stacks.releases.github import approval  # it loads the CDK, which takes seconds, and only this step needs it

    accounts = dict.fromkeys(own.environments[name].account for name in releases.environments)
    others = [account for account in accounts if account != releases.account]
    yield Step(
        "GitHub Actions: deploy the roles, with an administrator's credentials of each account.",
        (
            f"cdk deploy Image GitHub-{releases.account}",
            *(f"cdk deploy GitHub-{account}" for account in others),
        ),
    )
    yield Step(
        f"GitHub Actions: make these environments in {releases.repository}, each for the branch {releases.branch} "
        f"only, those that end in {approval('')} with required reviewers, and let the workflows in.",
        (
            *(
                f"gh api --method PUT repos/{releases.repository}/environments/{each}"
                for name in releases.environments
                for each in (name, approval(name))
            ),
            f"gh variable set PROMOTE_WITH --repo {releases.repository} --body github",
        ),
    )


def _here(environments: tuple[Environment, ...], own: Company) -> Iterator[Step]:
    yield Step(
        "Here: see that it synthesizes, and accept the templates and what holds data.",
        ("make synth", "make snapshots", "make stateful ARGS=--accept"),
    )
    yield Step(
        "See what it costs a month, and what each part of it is for.",
        tuple(f"make cost ENV={environment.name}" for environment in environments),
    )
    for environment in environments:
        asked = ", ".join(required_secrets(environment, own.config))
        yield Step(
            f"{environment.name}: store its secrets ({asked}), check its account, and deploy it, with credentials of "
            f"{environment.account}.",
            tuple(f"make {command} ENV={environment.name}" for command in ("secrets", "doctor", "diff", "deploy")),
        )
