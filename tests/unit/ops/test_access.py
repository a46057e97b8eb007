"""ops/access.py: whose credentials a command works with."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any, cast

import boto3
import pytest
from botocore import exceptions as aws

from ops.access import ENOUGH, OpsError, Role, connect
from stacks.company import environments

DEV = environments()["dev"]
OTHER = "444444444444"


class FakeSession:
    """Credentials of an account, and AWS STS for them."""

    def __init__(self, account: str, *, refused: bool = False) -> None:
        self.account = account
        self.refused = refused
        self.assumed: list[str] = []

    def client(self, service: str) -> FakeSession:
        assert service == "sts"
        return self

    def get_partition_for_region(self, _: str) -> str:
        return "aws"

    def get_caller_identity(self) -> dict[str, str]:
        return {"Account": self.account}

    def assume_role(self, *, RoleArn: str, RoleSessionName: str) -> dict[str, Any]:  # noqa: N803 - boto3's names
        assert RoleSessionName
        self.assumed.append(RoleArn)
        if self.refused:
            raise aws.ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "AssumeRole")
        return {"Credentials": {"AccessKeyId": "AKIA", "SecretAccessKey": "secret", "SessionToken": "token"}}


def _session(account: str, *, refused: bool = False) -> tuple[FakeSession, boto3.Session]:
    fake = FakeSession(account, refused=refused)
    return fake, cast("boto3.Session", fake)


def test_own_credentials_are_used_as_they_are() -> None:
    fake, session = _session(DEV.account)
    assert connect(DEV, session).acting_as("deploy") is session
    assert not fake.assumed


def test_the_wrong_account_is_refused() -> None:
    _, session = _session(OTHER)
    with pytest.raises(OpsError, match=f"of account {OTHER}, but dev is in {DEV.account}: set AWS_PROFILE"):
        connect(DEV, session)


@pytest.mark.parametrize("account", [OTHER, DEV.account], ids=["another account", "the same account"])
@pytest.mark.parametrize("role", ["lookup", "deploy", "file-publishing"])
def test_with_roles_the_bootstraps_are_assumed_in_any_account(account: str, role: Role) -> None:
    fake, session = _session(account)
    given = connect(DEV, session, assume_roles=True).acting_as(role)
    place = f"{DEV.account}-{DEV.region}"
    assert fake.assumed == [f"arn:aws:iam::{DEV.account}:role/cdk-hnb659fds-{role}-role-{place}"]
    credentials = given.get_credentials()
    assert credentials is not None
    assert (credentials.access_key, credentials.token, given.region_name) == ("AKIA", "token", DEV.region)


@pytest.mark.parametrize(("account", "trust"), [(OTHER, f" --trust {OTHER}"), (DEV.account, "")])
def test_a_role_that_may_not_be_assumed(account: str, trust: str) -> None:
    _, session = _session(account, refused=True)
    access = connect(DEV, session, assume_roles=True)
    with pytest.raises(OpsError, match=r"\(AccessDenied\): bootstrap the account of dev") as raised:
        access.acting_as("lookup")
    assert f"`cdk bootstrap{trust}`" in str(raised.value)


def test_who_reads_has_enough() -> None:
    """As `make about | head`: no stack trace, and the exit code that a shell gives a program which that signal ends."""
    reader, writer = os.pipe()
    os.close(reader)
    command = "import sys; from ops.access import run; sys.exit(run('it', lambda: print('x' * 100_000) or 0))"
    ended = subprocess.run(
        [sys.executable, "-c", command],
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writer)
    assert (ended.returncode, ended.stderr) == (ENOUGH, "")
