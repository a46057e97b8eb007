"""Mail: the identity and its records, what the configuration set asks for, who may send, who may publish events."""

import json
from functools import cache
from typing import Any

import aws_cdk as cdk
import pytest

from stacks.company import environments
from stacks.email import EmailStack
from stacks.gateway.smtp_credentials import SmtpCredentials
from stacks.settings import Email, Environment, HostedZone
from tests.templates.conftest import CHECKOUT, Template, only, resources, statements
from tests.templates.synthesis import resolved, text

ENVIRONMENTS = environments()
PARAMETERS = ("/litellm/dev/SMTP_USERNAME", "/litellm/dev/SMTP_PASSWORD")
Templates = dict[str, dict[str, Template]]
in_every_environment = pytest.mark.parametrize("environment", ENVIRONMENTS.values(), ids=ENVIRONMENTS)
APEX = Environment(
    **dict(ENVIRONMENTS["dev"])
    | {"hosted_zone": HostedZone(id="Z0444444APEXEXAMPLE", name="example.org"), "domain": "example.org"}
)
"""A gateway with a hosted zone to itself."""


@cache
def _with_credentials(label: str = "1") -> dict[str, Template]:
    """The email stack of dev, and a stack with the SMTP credentials that a gateway takes."""
    environment = Environment(**dict(ENVIRONMENTS["dev"]) | {"email": Email(smtp_key=label)})
    app = cdk.App(context=json.loads((CHECKOUT / "cdk.json").read_text())["context"])
    aws = cdk.Environment(account=environment.account, region=environment.region)
    email = EmailStack(app, "Email", environment=environment, env=aws)
    gateway = cdk.Stack(app, "Gateway", env=aws)
    credentials = SmtpCredentials(
        gateway,
        "SmtpCredentials",
        environment=environment,
        configuration_set=email.configuration_set,
    )
    assert credentials.label == label
    assembly = app.synth()
    return {name: assembly.get_stack_by_name(name).template for name in ("Email", "Gateway")}


def _records(template: Template) -> dict[tuple[str, str], tuple[str, ...]]:
    """The values of the stack's DNS records by type and name."""
    found = resources(template, "AWS::Route53::RecordSet").values()
    return {
        (record["Type"], text(record["Name"])): tuple(text(value) for value in record["ResourceRecords"])
        for record in found
    }


# The identity


@in_every_environment
def test_identity(templates: Templates, environment: Environment) -> None:
    identity = only(templates[environment.name]["Email"], "AWS::SES::EmailIdentity")
    assert identity["EmailIdentity"] == environment.domain
    assert identity["DkimSigningAttributes"] == {"NextSigningKeyLength": "RSA_2048_BIT"}
    assert identity["MailFromAttributes"] == {
        "MailFromDomain": f"bounce.{environment.domain}",
        "BehaviorOnMxFailure": "USE_DEFAULT_VALUE",
    }
    assert identity["FeedbackAttributes"] == {"EmailForwardingEnabled": False}
    # LiteLLM's mails by SMTP name no configuration set.
    assert text(identity["ConfigurationSetAttributes"]["ConfigurationSetName"]) == "<ConfigurationSet>"


@in_every_environment
def test_records(templates: Templates, environment: Environment) -> None:
    domain, email = environment.domain, environment.email
    reports = f"; rua=mailto:{email.dmarc_reports}" if email.dmarc_reports else ""
    assert _records(templates[environment.name]["Email"]) == {
        **{
            ("CNAME", f"<Identity.DkimDNSTokenName{number}>"): (f"<Identity.DkimDNSTokenValue{number}>",)
            for number in (1, 2, 3)
        },
        ("MX", f"bounce.{domain}"): (f"10 feedback-smtp.{environment.region}.amazonses.com",),
        ("TXT", f"bounce.{domain}"): ('"v=spf1 include:amazonses.com ~all"',),
        ("TXT", f"_dmarc.{domain}"): (f'"v=DMARC1; p={email.dmarc_policy}{reports}"',),
    }


def test_dmarc_of_the_settings(templates: Templates) -> None:
    policies = {name: _records(stacks["Email"]) for name, stacks in templates.items()}
    assert policies["dev"]["TXT", f"_dmarc.{ENVIRONMENTS['dev'].domain}"] == ('"v=DMARC1; p=quarantine"',)
    assert policies["prod"]["TXT", f"_dmarc.{ENVIRONMENTS['prod'].domain}"] == (
        '"v=DMARC1; p=reject; rua=mailto:sre@example.com"',
    )


@in_every_environment
def test_the_zone_s_own_mail_is_left_alone(templates: Templates, environment: Environment) -> None:
    records = resources(templates[environment.name]["Email"], "AWS::Route53::RecordSet").values()
    assert {record["HostedZoneId"] for record in records} == {environment.hosted_zone.id}
    names = [record["Name"] for record in records if isinstance(record["Name"], str)]
    assert names
    assert all(name.endswith(f".{environment.domain}") for name in names)
    assert environment.domain != environment.hosted_zone.name


def test_domain_with_a_zone_of_its_own() -> None:
    app = cdk.App()
    EmailStack(app, "Email", environment=APEX)
    records = _records(app.synth().get_stack_by_name("Email").template)
    assert {("MX", "bounce.example.org"), ("TXT", "_dmarc.example.org")} <= records.keys()


# The configuration set


@in_every_environment
def test_configuration_set(templates: Templates, environment: Environment) -> None:
    configuration_set = only(templates[environment.name]["Email"], "AWS::SES::ConfigurationSet")
    assert {key: value for key, value in configuration_set.items() if key != "Tags"} == {
        "DeliveryOptions": {"TlsPolicy": "REQUIRE"},
        "ReputationOptions": {"ReputationMetricsEnabled": True},
        "SendingOptions": {"SendingEnabled": True},
        "SuppressionOptions": {"SuppressedReasons": ["BOUNCE", "COMPLAINT"]},
    }


@in_every_environment
def test_events(templates: Templates, environment: Environment) -> None:
    destination = only(templates[environment.name]["Email"], "AWS::SES::ConfigurationSetEventDestination")
    assert text(destination["ConfigurationSetName"]) == "<ConfigurationSet>"
    events = destination["EventDestination"]
    assert (events["Enabled"], events["MatchingEventTypes"]) == (True, ["bounce", "complaint", "reject"])
    assert text(events["SnsDestination"]["TopicARN"]) == "<Events>"


@in_every_environment
def test_only_this_configuration_set_publishes(templates: Templates, environment: Environment) -> None:
    policy = only(templates[environment.name]["Email"], "AWS::SNS::TopicPolicy")
    by_effect = {statement["Effect"]: statement for statement in policy["PolicyDocument"]["Statement"]}
    assert len(policy["PolicyDocument"]["Statement"]) == 2
    allowed, denied = by_effect["Allow"], by_effect["Deny"]
    assert (allowed["Principal"], allowed["Action"]) == ({"Service": "ses.amazonaws.com"}, "sns:Publish")
    assert text(allowed["Resource"]) == "<Events>"
    (conditions,) = allowed["Condition"].items()
    operator, condition = conditions
    source = f"arn:<AWS::Partition>:ses:{environment.region}:{environment.account}:configuration-set/<ConfigurationSet>"
    assert operator == "StringEquals"
    assert {key: text(value) for key, value in condition.items()} == {
        "AWS:SourceAccount": environment.account,
        "AWS:SourceArn": source,
    }
    assert (denied["Principal"], denied["Condition"]) == ("*", {"Bool": {"aws:SecureTransport": "false"}})


@in_every_environment
def test_events_are_encrypted_with_a_key_that_ses_may_use(templates: Templates, environment: Environment) -> None:
    template = templates[environment.name]["Email"]
    assert text(only(template, "AWS::SNS::Topic")["KmsMasterKeyId"]) == "<EventsKey.Arn>"
    key = only(template, "AWS::KMS::Key")
    assert key["EnableKeyRotation"] is True
    others = [each for each in key["KeyPolicy"]["Statement"] if "AWS" not in each["Principal"]]
    assert [(each["Principal"], set(each["Action"])) for each in others] == [
        ({"Service": "ses.amazonaws.com"}, {"kms:GenerateDataKey", "kms:Decrypt"})
    ]


# The SMTP credentials


def test_user_may_only_send_as_the_sender() -> None:
    stacks = _with_credentials()
    template = stacks["Gateway"]
    sends = [
        statement
        for policy in resources(template, "AWS::IAM::Policy").values()
        if policy.get("Users")
        for statement in policy["PolicyDocument"]["Statement"]
    ]
    (send,) = sends
    environment = ENVIRONMENTS["dev"]
    ses = f"arn:aws:ses:{environment.region}:{environment.account}"
    assert (send["Effect"], send["Action"]) == ("Allow", "ses:SendRawEmail")
    assert {text(resource) for resource in resolved(stacks, send["Resource"])} == {
        f"{ses}:identity/*",  # the sender's, and SES's sandbox asks for the recipient's
        f"{ses}:configuration-set/<ConfigurationSet>",
    }
    assert send["Condition"] == {"StringEquals": {"ses:FromAddress": environment.mail_sender}}
    user = only(template, "AWS::IAM::User")
    assert not {"LoginProfile", "ManagedPolicyArns", "Groups", "UserName"} & user.keys()


def test_no_access_key_is_in_the_template() -> None:
    assert not resources(_with_credentials()["Gateway"], "AWS::IAM::AccessKey")
    assert "Outputs" not in _with_credentials()["Gateway"]


def test_function_may_only_what_it_does() -> None:
    environment = ENVIRONMENTS["dev"]
    allowed: dict[str, set[str]] = {}
    for logical_id, statement in statements(_with_credentials()["Gateway"]):
        if logical_id.startswith("SmtpCredentialsMakeServiceRole"):
            found = statement["Resource"]
            names = {text(resource) for resource in (found if isinstance(found, list) else [found])}
            allowed |= dict.fromkeys(statement["Action"], names)
    user = {"<SmtpCredentialsUser.Arn>"}
    parameters = {f"arn:aws:ssm:{environment.region}:{environment.account}:parameter{name}" for name in PARAMETERS}
    assert allowed == {
        "iam:CreateAccessKey": user,
        "iam:DeleteAccessKey": user,
        "iam:ListAccessKeys": user,
        "ssm:DeleteParameters": parameters,
        "ssm:GetParameterHistory": parameters,
        "ssm:PutParameter": parameters,
    }


def test_what_the_custom_resource_is_asked_for() -> None:
    properties = only(_with_credentials()["Gateway"], "Custom::SmtpCredentials")
    environment = ENVIRONMENTS["dev"]
    assert {key: text(value) for key, value in properties.items() if key != "ServiceToken"} == {
        "User": "<SmtpCredentialsUser>",
        "Region": environment.region,
        "UsernameParameter": PARAMETERS[0],
        "PasswordParameter": PARAMETERS[1],
        "Label": "1",
    }


def test_another_label_changes_the_custom_resource_and_nothing_else() -> None:
    before, after = (_with_credentials(label)["Gateway"]["Resources"] for label in ("1", "2"))
    assert before.keys() == after.keys()
    (changed,) = (logical_id for logical_id in before if before[logical_id] != after[logical_id])
    assert after[changed]["Type"] == "Custom::SmtpCredentials"
    assert after[changed]["Properties"]["Label"] == "2"


def test_the_function_s_permissions_outlive_the_custom_resource() -> None:
    """CloudFormation removes in the reverse order: without them the key could not be deleted."""
    (resource,) = (
        each
        for each in _with_credentials()["Gateway"]["Resources"].values()
        if each["Type"] == "Custom::SmtpCredentials"
    )
    assert any(each.startswith("SmtpCredentialsMakeServiceRoleDefaultPolicy") for each in resource["DependsOn"])


def test_parameters_are_those_of_litellm(templates: Templates) -> None:
    """The names that config.yaml's task takes as secrets."""
    task = next(iter(resources(templates["dev"]["Gateway"], "AWS::ECS::TaskDefinition").values()))
    secrets: list[dict[str, Any]] = task["ContainerDefinitions"][0]["Secrets"]
    given = {text(secret["ValueFrom"]).partition(":parameter")[2] for secret in secrets}
    assert set(PARAMETERS) <= given
