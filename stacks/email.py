"""Email: the domain that the gateway's mails come from, and what becomes of mails that do not arrive."""

from typing import Any

from aws_cdk import Acknowledgment, Duration, RemovalPolicy, Stack, Validations
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_route53 as route53
from aws_cdk import aws_ses as ses
from aws_cdk import aws_sns as sns
from constructs import Construct

from stacks.settings import Environment

# What does not arrive, and what SES refused to send: the bounces function tells of these.
EVENTS = (ses.EmailSendingEvent.BOUNCE, ses.EmailSendingEvent.COMPLAINT, ses.EmailSendingEvent.REJECT)
SECONDS = "300"  # that a resolver may keep a record


class EmailStack(Stack):
    """SES for the environment's own domain: its identity and DNS records, a configuration set, a topic of events.

    Only names at and below `environment.domain` are written, so that a company's own mail, at the zone's apex, goes on
    as it was. (A domain that is the apex itself takes its `_dmarc` record: there must be none yet.)

    - `identity`: signed by Easy DKIM (2048 bits), with `bounce.<domain>` as MAIL FROM. DMARC passes by either.
    - `configuration_set`: TLS or no delivery, reputation metrics, a suppression list. It is the identity's default, so
      that LiteLLM's mails by SMTP, which name none, go through it too.
    - `events`: bounces, complaints and rejects, as SES's event records in JSON. They hold mail addresses and subjects.

    Suppression: an address that bounced or complained is put on the account's list, and mails to it are not sent. The
    configuration set says so for its own mails, whatever the account's setting is; that setting (which CloudFormation
    does not know, and which new accounts have on) stays as it is, since other senders of the account share it.

    DMARC reports to an address outside of the domain's organization need that organization's consent in its DNS (RFC
    7489, 7.1). A new account is in SES's sandbox until AWS grants production access: nothing in a template can ask.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        environment: Environment,
        **kwargs: Any,  # noqa: ANN401 - a stack's own properties
    ) -> None:
        super().__init__(scope, construct_id, **kwargs)
        self._environment = environment
        self.events = self._topic()
        self.configuration_set = ses.ConfigurationSet(
            self,
            "ConfigurationSet",
            tls_policy=ses.ConfigurationSetTlsPolicy.REQUIRE,
            reputation_metrics=True,
            sending_enabled=True,
            suppression_reasons=ses.SuppressionReasons.BOUNCES_AND_COMPLAINTS,
        )
        # The CDK lets SES publish to the topic for this account and this configuration set only.
        self.configuration_set.add_event_destination(
            "Events", destination=ses.EventDestination.sns_topic(self.events), events=list(EVENTS)
        )
        mail_from = f"bounce.{environment.domain}"
        self.identity = ses.EmailIdentity(
            self,
            "Identity",
            # Not the hosted zone, which would make the zone's apex the identity.
            identity=ses.Identity.domain(environment.domain),
            configuration_set=self.configuration_set,
            dkim_identity=ses.DkimIdentity.easy_dkim(ses.EasyDkimSigningKeyLength.RSA_2048_BIT),
            mail_from_domain=mail_from,
            # While its MX record cannot be read (also just after the first deployment), SES uses a name of its own:
            # DKIM alone lets DMARC pass, and who waits for an invitation gets it. To refuse would only lose mails.
            mail_from_behavior_on_mx_failure=ses.MailFromBehaviorOnMxFailure.USE_DEFAULT_VALUE,
            # Nobody reads the sender's mailbox: a bounce that SES mailed to it would bounce as well.
            feedback_forwarding=False,
        )
        self._records(mail_from)
        # Version 2.0 imports it in other stacks. Nothing does any more, since it changes with the domain.
        self.export_value(self.identity.email_identity_name)

    def _topic(self) -> sns.Topic:
        """The topic of events, encrypted: they are personal data.

        SES cannot publish through AWS's own key for SNS, whose policy nobody can change, so that the topic has a key
        of its own, with the policy that AWS writes for this. Who may publish is for the topic's policy to say.
        https://docs.aws.amazon.com/ses/latest/dg/configure-sns-notifications.html
        """
        key = kms.Key(
            self,
            "EventsKey",
            description="Events of the LLM gateway's mails",
            enable_key_rotation=True,
            # Nothing is kept in the topic: without it there is nothing left to decrypt.
            removal_policy=RemovalPolicy.DESTROY,
            pending_window=Duration.days(7),
        )
        key.add_to_resource_policy(
            iam.PolicyStatement(
                sid="SesPublishesEncrypted",
                principals=[iam.ServicePrincipal("ses.amazonaws.com")],
                actions=["kms:GenerateDataKey", "kms:Decrypt"],
                resources=["*"],  # this key
            )
        )
        return sns.Topic(self, "Events", display_name="Mails of the LLM gateway", master_key=key, enforce_ssl=True)

    def _records(self, mail_from: str) -> None:
        """The DNS records that SES and the receivers of mails look for."""
        for number, record in enumerate(self.identity.dkim_records, start=1):
            self._record(f"Dkim{number}", "CNAME", record.name, record.value)
        self._record("MailFromMx", "MX", mail_from, f"10 feedback-smtp.{self._environment.region}.amazonses.com")
        self._record("MailFromSpf", "TXT", mail_from, '"v=spf1 include:amazonses.com ~all"')
        email = self._environment.email
        reports = f"; rua=mailto:{email.dmarc_reports}" if email.dmarc_reports else ""
        domain = self._environment.domain
        self._record("Dmarc", "TXT", f"_dmarc.{domain}", f'"v=DMARC1; p={email.dmarc_policy}{reports}"')

    def _record(self, construct_id: str, record_type: str, name: str, value: str) -> None:
        # Not the CDK's own records: they would put the zone's name behind a DKIM name, which is a token at synthesis.
        route53.CfnRecordSet(
            self,
            construct_id,
            hosted_zone_id=self._environment.hosted_zone.id,
            type=record_type,
            name=name,
            resource_records=[value],
            ttl=SECONDS,
        )


def let_send(
    sender: iam.User | lambda_.Function,
    action: str,
    *,
    environment: Environment,
    configuration_set: ses.IConfigurationSet,
) -> None:
    """Let a user or a function send mails as `environment.mail_sender`, and as nobody else.

    SES asks for the sender's identity and for its configuration set; while the account is in SES's sandbox also for the
    recipient's identity, which has to be verified there ("not authorized to perform ses:SendRawEmail on resource
    …:identity/<recipient>": GSA/data.gov issue 3810, aws/aws-sdk-js issue 3641). Who that is nobody knows beforehand;
    the condition is what says whom a mail may be from.
    """
    stack = Stack.of(sender)

    def arn(resource: str, name: str) -> str:
        return stack.format_arn(service="ses", resource=resource, resource_name=name)

    identities = arn("identity", "*")
    sender.grant_principal.add_to_principal_policy(
        iam.PolicyStatement(
            actions=[action],
            resources=[identities, arn("configuration-set", configuration_set.configuration_set_name)],
            conditions={"StringEquals": {"ses:FromAddress": environment.mail_sender}},
        )
    )
    Validations.of(sender).acknowledge(
        Acknowledgment(
            id=f"AwsSolutions-IAM5[Resource::{identities}]",
            reason="SES's sandbox asks for the recipient's identity too; the condition pins the sender",
        )
    )
