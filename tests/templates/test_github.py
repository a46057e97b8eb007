"""GitHub's roles: which token of GitHub's becomes which role, and what each role may do."""

import json
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

import aws_cdk as cdk
import pytest

import app
from stacks.company import company
from stacks.releases.github import github_stacks
from stacks.settings import Environment, Releases
from tests.templates.conftest import CHECKOUT, Template, resources, statements
from tests.templates.synthesis import text

ENVIRONMENTS = company().environments
RELEASES = Releases(account="444444444444", repository="example/litellm-gateway", github_actions=True)
PROMOTED = list(ENVIRONMENTS.values())
in_every_environment = pytest.mark.parametrize("environment", PROMOTED, ids=lambda each: each.name)
ISSUER = "token.actions.githubusercontent.com"
BRANCH = "refs/heads/main"


def _synthesized(releases: Releases, known: Mapping[str, Environment] | None = None) -> dict[str, Template]:
    """The template for each account, with every rule applied."""
    cdk_app = cdk.App(context=json.loads((CHECKOUT / "cdk.json").read_text())["context"])
    known = known or ENVIRONMENTS
    github_stacks(cdk_app, releases.among(known), known)
    app.apply_rules(cdk_app)
    return {stack.environment.account: stack.template for stack in cdk_app.synth().stacks}


@pytest.fixture(scope="module")
def templates() -> dict[str, Template]:
    return _synthesized(RELEASES)


def _token(environment: str | None = None, *, numbers: bool = False, **claims: str) -> dict[str, str]:
    """The claims of a job's token; with `numbers` as repositories have it that were made since 2026-07-15."""
    token = {"aud": "sts.amazonaws.com", "repository": "example/litellm-gateway", "ref": BRANCH} | claims
    name = token["repository"]
    if numbers:
        name = "@12345/".join(name.split("/")) + "@67890"
    context = f"environment:{environment}" if environment else f"ref:{token['ref']}"
    if environment:
        token["environment"] = environment
    return {"sub": f"repo:{name}:{context}"} | token


def _may(templates: Mapping[str, Template], token: Mapping[str, str]) -> set[str]:
    """Names of the roles that the token may become."""
    return {
        role["RoleName"]
        for template in templates.values()
        for role in resources(template, "AWS::IAM::Role").values()
        if all(_meets(token, *each) for each in _conditions(role))
    }


def _conditions(role: Mapping[str, Any]) -> Iterator[tuple[str, str, Sequence[str]]]:
    (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert (statement["Effect"], statement["Action"]) == ("Allow", "sts:AssumeRoleWithWebIdentity")
    for operator, claims in statement["Condition"].items():
        for key, values in claims.items():
            yield operator, key.removeprefix(f"{ISSUER}:"), [values] if isinstance(values, str) else values


def _meets(token: Mapping[str, str], operator: str, claim: str, values: Sequence[str]) -> bool:
    """As IAM compares: a claim that is not there meets no condition; `*` stands for any characters."""
    given = token.get(claim)
    if given is None:
        return False
    if operator == "StringEquals":
        return given in values
    assert operator == "StringLike"
    assert not any("?" in value or "[" in value for value in values)
    return any(fnmatchcase(given, value) for value in values)


# --- Which token becomes which role -----------------------------------------------------------------------------------


@pytest.mark.parametrize("numbers", [False, True], ids=["of names", "with numbers"])
@pytest.mark.parametrize(
    ("environment", "roles"),
    [
        ("dev", {"litellm-dev-github-check", "litellm-dev-github"}),
        ("dev-approval", {"litellm-dev-github"}),
        ("stg", {"litellm-stg-github-check", "litellm-stg-github"}),
        ("stg-approval", {"litellm-stg-github"}),
        ("prod", {"litellm-prod-github-check"}),  # and nothing deploys to prod without approval
        ("prod-approval", {"litellm-prod-github"}),
        (None, {"litellm-github-build"}),
        ("production", set()),
    ],
)
def test_roles_of_a_job(
    templates: dict[str, Template], environment: str | None, roles: set[str], numbers: bool
) -> None:
    assert _may(templates, _token(environment, numbers=numbers)) == roles


@pytest.mark.parametrize("environment", [None, "dev", "dev-approval", "prod", "prod-approval"])
@pytest.mark.parametrize(
    "claims",
    [
        {"repository": "example/litellm-gateway-fork"},
        {"repository": "somebody/litellm-gateway"},
        {"repository": "example@1/litellm-gateway"},
        {"ref": "refs/heads/feature"},
        {"ref": "refs/pull/1/merge"},
        {"ref": "refs/tags/main"},
        {"aud": "https://github.com/example"},
    ],
    ids=lambda claims: "-".join(claims.values()),
)
def test_no_role_for_anything_else(
    templates: dict[str, Template], environment: str | None, claims: dict[str, str]
) -> None:
    for numbers in (False, True):
        assert not _may(templates, _token(environment, numbers=numbers, **claims))


def test_a_subject_of_another_repository_is_not_enough(templates: dict[str, Template]) -> None:
    """The wildcards of the subject would match it; the repository's name, compared by itself, does not."""
    token = _token("dev") | {"sub": "repo:example@1/other@2/litellm-gateway@3:environment:dev"}
    assert _may(templates, token)
    assert not _may(templates, token | {"repository": "example/other"})


def test_a_pull_request_has_no_role(templates: dict[str, Template]) -> None:
    token = _token() | {"sub": "repo:example/litellm-gateway:pull_request", "ref": "refs/pull/7/merge"}
    assert not _may(templates, token)
    assert not _may(templates, token | {"ref": BRANCH})


def test_another_branch_of_the_settings() -> None:
    templates = _synthesized(RELEASES.model_copy(update={"branch": "release"}))
    assert not _may(templates, _token("dev"))
    assert _may(templates, _token("dev", ref="refs/heads/release")) == {
        "litellm-dev-github-check",
        "litellm-dev-github",
    }


# --- What the roles may do --------------------------------------------------------------------------------------------


def _allowed(template: Template, role_name: str) -> dict[str, set[str]]:
    """The resources of each action that the role may do."""
    (logical_id,) = (
        name for name, role in resources(template, "AWS::IAM::Role").items() if role["RoleName"] == role_name
    )
    assert not {"ManagedPolicyArns", "Policies"} & resources(template, "AWS::IAM::Role")[logical_id].keys()
    own = {
        policy_id
        for policy_id, policy in resources(template, "AWS::IAM::Policy").items()
        if {"Ref": logical_id} in policy["Roles"]
    }
    allowed: dict[str, set[str]] = {}
    for policy_id, statement in statements(template):
        if policy_id in own:
            assert statement["Effect"] == "Allow"
            actions, found = statement["Action"], statement["Resource"]
            for action in [actions] if isinstance(actions, str) else actions:
                names = found if isinstance(found, list) else [found]
                allowed.setdefault(action, set()).update(map(text, names))
    return allowed


def _bootstrap(environment: Environment, *roles: str) -> set[str]:
    place = f"{environment.account}-{environment.region}"
    return {f"arn:aws:iam::{environment.account}:role/cdk-hnb659fds-{role}-role-{place}" for role in roles}


@in_every_environment
def test_the_check_may_only_read(templates: dict[str, Template], environment: Environment) -> None:
    allowed = _allowed(templates[environment.account], f"litellm-{environment.name}-github-check")
    assert allowed == {"sts:AssumeRole": _bootstrap(environment, "lookup")}


@in_every_environment
def test_the_deployment_acts_by_the_bootstraps_roles(templates: dict[str, Template], environment: Environment) -> None:
    allowed = _allowed(templates[environment.account], f"litellm-{environment.name}-github")
    function = f"function:litellm-{environment.name}-smoke"
    assert allowed == {
        "sts:AssumeRole": _bootstrap(environment, "lookup", "deploy", "file-publishing"),
        "lambda:InvokeFunction": {f"arn:aws:lambda:{environment.region}:{environment.account}:{function}"},
    }


def test_the_build_may_push_to_the_one_repository(templates: dict[str, Template]) -> None:
    allowed = _allowed(templates[RELEASES.account], "litellm-github-build")
    assert allowed.pop("ecr:GetAuthorizationToken") == {"*"}
    repository = f"arn:aws:ecr:{RELEASES.region}:{RELEASES.account}:repository/litellm-gateway"
    assert set().union(*allowed.values()) == {repository}
    assert not {action for action in allowed if not action.startswith("ecr:") or "Delete" in action}


def test_sessions_last_as_long_as_a_deployment(templates: dict[str, Template]) -> None:
    lasts = {
        role["MaxSessionDuration"]
        for template in templates.values()
        for role in resources(template, "AWS::IAM::Role").values()
    }
    assert lasts == {7200}


# --- A stack an account -----------------------------------------------------------------------------------------------


def test_every_account_has_one_provider_of_its_own(templates: dict[str, Template]) -> None:
    assert templates.keys() == {RELEASES.account, *(each.account for each in PROMOTED)}
    for template in templates.values():
        (provider,) = resources(template, "AWS::IAM::OIDCProvider").values()
        assert provider == {"ClientIdList": ["sts.amazonaws.com"], "Url": f"https://{ISSUER}"}


def test_an_account_of_everything_has_one_stack_and_one_provider() -> None:
    known = {
        name: environment.model_copy(update={"account": RELEASES.account}) for name, environment in ENVIRONMENTS.items()
    }
    (template,) = _synthesized(RELEASES, known).values()
    assert len(resources(template, "AWS::IAM::OIDCProvider")) == 1
    assert len(resources(template, "AWS::IAM::Role")) == 2 * len(PROMOTED) + 1


def test_a_provider_that_is_there_is_used() -> None:
    for account, template in _synthesized(RELEASES.model_copy(update={"oidc_provider": True})).items():
        assert not resources(template, "AWS::IAM::OIDCProvider")
        for role in resources(template, "AWS::IAM::Role").values():
            (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
            assert text(statement["Principal"]["Federated"]) == f"arn:aws:iam::{account}:oidc-provider/{ISSUER}"


def test_roles_trust_nobody_but_the_provider(templates: dict[str, Template]) -> None:
    for template in templates.values():
        (provider,) = resources(template, "AWS::IAM::OIDCProvider")
        for role in resources(template, "AWS::IAM::Role").values():
            (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
            assert statement["Principal"] == {"Federated": {"Ref": provider}}
