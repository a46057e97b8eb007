"""What a second region needs beside the copy of the database: the secrets' values, and the domain's records.

Integrates with AWS Backup, AWS Systems Manager Parameter Store and Amazon Route 53.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

import boto3
from botocore import exceptions as aws

from ops.access import OpsError
from ops.assembly import StackArtifact
from ops.restoring.clusters import Copy
from ops.secrets import Parameter, Store
from stacks.settings import Environment

if TYPE_CHECKING:
    from mypy_boto3_route53.type_defs import ResourceRecordSetOutputTypeDef


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


class Records:
    """The domain's records in Route 53, which is everywhere: those of the region that is gone are in the way."""

    def __init__(self, session: boto3.Session, environment: Environment) -> None:
        self._client = session.client("route53")
        self._zone = environment.hosted_zone.id

    def in_the_way(self, stacks: Iterable[StackArtifact]) -> list[ResourceRecordSetOutputTypeDef]:
        """Records that these stacks are to make, and that are there: CloudFormation makes none over another."""
        wanted = set()
        for stack in stacks:
            for resource in stack.template()["Resources"].values():
                properties = resource.get("Properties", {})
                if resource["Type"] == "AWS::Route53::RecordSet" and isinstance(properties["Name"], str):
                    wanted.add((properties["Name"].rstrip("."), properties["Type"]))
        pages = self._client.get_paginator("list_resource_record_sets").paginate(HostedZoneId=self._zone)
        return [
            record
            for page in pages
            for record in page["ResourceRecordSets"]
            if (record["Name"].rstrip("."), record["Type"]) in wanted
        ]

    def remove(self, records: Iterable[ResourceRecordSetOutputTypeDef]) -> None:
        """Remove them, all in one change."""
        changes: list[Any] = [{"Action": "DELETE", "ResourceRecordSet": record} for record in records]
        if changes:
            self._client.change_resource_record_sets(HostedZoneId=self._zone, ChangeBatch={"Changes": changes})
