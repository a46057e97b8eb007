"""What a second region needs beside the copy of the database: the secrets' values, and what an account has but once.

Integrates with AWS Backup, AWS Budgets, Amazon CloudWatch, Amazon Q Developer in chat applications (`chatbot`), Amazon
Route 53 and AWS Systems Manager Parameter Store.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import boto3
from botocore import exceptions as aws

from ops.access import OpsError
from ops.assembly import StackArtifact
from ops.doctor.messages import CHATBOT_REGION
from ops.restoring.clusters import Copy
from ops.secrets import Parameter, Store
from stacks.settings import Environment

if TYPE_CHECKING:
    from mypy_boto3_route53.type_defs import ResourceRecordSetOutputTypeDef

Step = Callable[[], object]


def whole_copies(
    backup: Any,  # noqa: ANN401 - its types are not among the locked ones
    environment: Environment,
    to: datetime | None = None,
) -> list[Copy]:
    """The copies in the environment's vault that are whole, none after `to`; the client is of the vault's region."""
    pages = backup.get_paginator("list_recovery_points_by_backup_vault")
    asked: dict[str, Any] = {"ByCreatedBefore": to} if to else {}
    return [
        Copy(point["RecoveryPointArn"], point["CreationDate"])
        for page in pages.paginate(BackupVaultName=environment.copies_vault, **asked)
        for point in page["RecoveryPoints"]
        if point["Status"] == "COMPLETED"
    ]


def newest_copy(session: boto3.Session, environment: Environment, to: datetime | None) -> Copy:
    """The newest copy in the environment's region, none after `to`.

    Raises
    ------
    OpsError
        There is no vault of copies there, or no whole copy in it that is old enough.
    """
    client = session.client("backup", region_name=environment.region)
    where = f"{environment.copies_vault} in {environment.region}"
    try:
        copies = whole_copies(client, environment, to)
    except aws.ClientError as error:
        # AWS Backup answers either for a vault that is not there: it does not tell strangers which there are.
        if error.response["Error"]["Code"] not in ("ResourceNotFoundException", "AccessDeniedException"):
            raise
        raise OpsError(
            f"the vault {where} is not there, or these credentials may not see it: copies are made by database.copies."
        ) from None
    if not copies:
        raise OpsError(f"{where} has no whole copy{f' of before {to:%Y-%m-%d %H:%M} UTC' if to else ''}.")
    return max(copies, key=lambda copy: copy.taken)


def carry_over(store: Store, other: Store, names: Iterable[str]) -> Iterator[str]:
    """Store each secret in `other` as it is in `store`, and yield the names of those that were not so.

    Raises
    ------
    OpsError
        One is not in `store`, so there is nothing to carry over yet.
    """
    wanted = tuple(names)
    there = other.parameters(wanted)
    for name in wanted:
        value = _value(store, name)
        if value is None:
            raise OpsError(
                f"{store.environment.name} has no {name} yet: store it with make secrets ENV={store.environment.name}."
            )
        if name in there and _value(other, name) == value:
            continue
        other.put(name, value, replace=name in there)
        yield name


def _value(store: Store, name: str) -> str | None:
    try:
        answer = store.client.get_parameter(Name=store.environment.parameter(name), WithDecryption=True)
    except aws.ClientError as error:
        if error.response["Error"]["Code"] == "ParameterNotFound":
            return None
        raise
    return answer["Parameter"]["Value"]


def missing(store: Store, names: Iterable[str]) -> list[str]:
    """Secrets that are not there."""
    wanted = tuple(names)
    found: dict[str, Parameter] = store.parameters(wanted)
    return [name for name in wanted if name not in found]


class Once:
    """What an account has but once, whatever the region: the domain's records, and by their names the dashboard, the
    budget and what posts the alarms in Slack. Those of the region that is gone are in the way: CloudFormation makes
    none over another.

    A dashboard is global: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/
    aws-resource-cloudwatch-dashboard.html. So is a configuration of Slack's, by its name and by its channel:
    aws-samples/aws-securityhub-to-slack#11, hashicorp/terraform-provider-awscc#1011.
    """

    def __init__(self, session: boto3.Session, environment: Environment) -> None:
        self._session = session
        self._route53 = session.client("route53")
        self._zone, self._account = environment.hosted_zone.id, environment.account

    def in_the_way(self, stacks: Iterable[StackArtifact]) -> dict[str, Step]:
        """What these stacks are to make and is there, in words, each with what removes it."""
        resources = [resource for stack in stacks for resource in stack.template()["Resources"].values()]
        found = self._records(resources)
        for resource in resources:
            own = resource.get("Properties", {})
            match resource["Type"]:
                case "AWS::CloudWatch::Dashboard":
                    found |= self._dashboard(own["DashboardName"])
                case "AWS::Budgets::Budget":
                    found |= self._budget(own["Budget"]["BudgetName"])
                case "AWS::Chatbot::SlackChannelConfiguration":
                    found |= self._slack(own["ConfigurationName"])
        return found

    def _records(self, resources: Iterable[Mapping[str, Any]]) -> dict[str, Step]:
        sets = [each["Properties"] for each in resources if each["Type"] == "AWS::Route53::RecordSet"]
        wanted = {(own["Name"].rstrip("."), own["Type"]) for own in sets if isinstance(own["Name"], str)}
        pages = self._route53.get_paginator("list_resource_record_sets").paginate(HostedZoneId=self._zone)
        return {
            f"record {record['Name']} {record['Type']}": partial(self._remove, record)
            for page in pages
            for record in page["ResourceRecordSets"]
            if (record["Name"].rstrip("."), record["Type"]) in wanted
        }

    def _remove(self, record: ResourceRecordSetOutputTypeDef) -> None:
        changes: list[Any] = [{"Action": "DELETE", "ResourceRecordSet": record}]
        self._route53.change_resource_record_sets(HostedZoneId=self._zone, ChangeBatch={"Changes": changes})

    def _dashboard(self, name: str) -> dict[str, Step]:
        client = self._session.client("cloudwatch")
        there = client.list_dashboards(DashboardNamePrefix=name).get("DashboardEntries", [])
        if name not in {each["DashboardName"] for each in there}:
            return {}
        return {f"dashboard {name}": partial(client.delete_dashboards, DashboardNames=[name])}

    def _budget(self, name: str) -> dict[str, Step]:
        client, which = self._session.client("budgets"), {"AccountId": self._account, "BudgetName": name}
        try:
            client.describe_budget(**which)
        except aws.ClientError as error:
            if error.response["Error"]["Code"] != "NotFoundException":
                raise
            return {}
        return {f"budget {name}": partial(client.delete_budget, **which)}

    def _slack(self, name: str) -> dict[str, Step]:
        client = self._session.client("chatbot", region_name=CHATBOT_REGION)
        arn = f"arn:aws:chatbot::{self._account}:chat-configuration/slack-channel/{name}"
        if not client.describe_slack_channel_configurations(ChatConfigurationArn=arn)["SlackChannelConfigurations"]:
            return {}
        remove = partial(client.delete_slack_channel_configuration, ChatConfigurationArn=arn)
        return {f"configuration {name} of Slack": remove}
