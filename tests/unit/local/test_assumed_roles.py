"""A role of another account: who may assume it, and what may be called with it, by the policies printed for it.

The entry of config.yaml, the permission of the task's role, the printed policies, STS and the simulated Bedrock are put
together here as they are deployed; LiteLLM itself is in tests/e2e.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from local.aws import Emulator, Settings
from local.outside.bedrock import Bedrock
from local.outside.exchange import ApiError, Request
from local.outside.permissions import Permissions
from local.place import Place
from local.ports import free_ports
from stacks.company import environments
from stacks.litellm_config import LiteLlmConfig, load_config

OWN, OTHER, REGION = "111111111111", "222233334444", "us-west-2"
ROLE = f"arn:aws:iam::{OTHER}:role/teams/bedrock-caller"
HAIKU, OPUS = "us.anthropic.claude-haiku-5-5", "us.anthropic.claude-opus-5-5"
EXTERNAL_ID = "acme-gateway"
CONFIG = f"""
model_list:
  - model_name: haiku
    litellm_params:
      model: bedrock/{HAIKU}
      aws_region_name: {REGION}
      litellm_credential_name: other
credential_list:
  - credential_name: other
    credential_info: {{}}
    credential_values:
      aws_role_name: {ROLE}
      aws_external_id: {EXTERNAL_ID}
      aws_session_tags: [{{Key: team, Value: a}}]
litellm_settings: {{request_timeout: 600}}
general_settings: {{database_connection_pool_limit: 10}}
"""


@dataclass
class Accounts:
    """An emulated AWS with the two accounts, and what the file says."""

    emulator: Emulator
    config: LiteLlmConfig
    task: boto3.Session  # as the task has it

    def sts(self, session: boto3.Session) -> Any:  # noqa: ANN401 - boto3's clients have no common type
        return session.client("sts", endpoint_url=self.emulator.endpoint, config=Config(proxies={}))

    def assume(self, session: boto3.Session, role: str = ROLE, **more: Any) -> boto3.Session:  # noqa: ANN401
        given = self.sts(session).assume_role(RoleArn=role, RoleSessionName="gateway", **more)["Credentials"]
        return boto3.Session(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"], REGION)

    def converse(self, session: boto3.Session, model: str) -> str:
        """The error of a call; "" if it is answered."""
        bedrock = Bedrock(permissions=Permissions())
        bedrock._permissions.endpoint = self.emulator.endpoint
        body = json.dumps({"messages": [{"role": "user", "content": [{"text": "Hello"}]}]}).encode()
        url = f"https://bedrock-runtime.{REGION}.amazonaws.com/model/{model}/converse"
        credentials = session.get_credentials()
        assert credentials
        frozen = credentials.get_frozen_credentials()
        assert frozen.access_key
        assert frozen.secret_key
        signed = AWSRequest("POST", url, data=body, headers={"Content-Type": "application/json"})
        SigV4Auth(Credentials(frozen.access_key, frozen.secret_key, frozen.token), "bedrock", REGION).add_auth(signed)
        headers = {name.lower(): value for name, value in signed.prepare().headers.items()}
        headers |= {"host": f"bedrock-runtime.{REGION}.amazonaws.com"}
        request = Request(headers["host"], "POST", f"/model/{model}/converse", {}, headers, body)
        try:
            bedrock.answer(request, bedrock.target(request))
        except ApiError as error:
            return str(error.message)
        return ""


@pytest.fixture(scope="module")
def accounts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Accounts]:
    folder = tmp_path_factory.mktemp("roles")
    file = folder / "config.yaml"
    file.write_text(CONFIG)
    config = load_config(file, region=REGION)
    task_role = environments()["dev"].task_role
    place = Place(
        account=OWN,
        region=REGION,
        domain="llm.example.com",
        port=free_ports(1)[0],
        parameter_prefix="/litellm/dev",
        roles={role.arn: (role.trust(OWN, task_role), role.policy()) for role in config.assumed_roles},
    )
    emulator = Emulator(port=free_ports(1)[0], state=folder / "aws", settings=Settings(places=(place,)))
    emulator.start()
    operator = boto3.Session(OWN, "test", region_name=REGION)
    iam = operator.client("iam", endpoint_url=emulator.endpoint)
    trust = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{OWN}:root"}, "Action": "sts:AssumeRole"}
    permitted = [
        {"Effect": "Allow", "Action": list(actions), "Resource": list(arns)}
        for actions, arns in config.permissions(partition="aws", account=OWN)
    ]
    for name in (task_role.replace("*", "E98524A1-AbCdEfGhIjKl"), "another"):
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps({"Statement": [trust]}))
        document = json.dumps({"Version": "2012-10-17", "Statement": permitted})
        iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=document)
    found = Accounts(emulator, config, operator)
    found.task = found.assume(operator, f"arn:aws:iam::{OWN}:role/{task_role.replace('*', 'E98524A1-AbCdEfGhIjKl')}")
    yield found
    emulator.stop()


ASKED: dict[str, Any] = {"ExternalId": EXTERNAL_ID, "Tags": [{"Key": "team", "Value": "a"}]}


def test_the_task_calls_the_model_of_the_other_account_and_no_other(accounts: Accounts) -> None:
    assumed = accounts.assume(accounts.task, **ASKED)
    assert accounts.converse(assumed, HAIKU) == ""
    assert f"arn:aws:bedrock:{REGION}:{OTHER}:inference-profile/{OPUS}" in accounts.converse(assumed, OPUS)


def test_the_task_itself_may_call_nothing_for_it(accounts: Accounts) -> None:
    permitted = accounts.config.permissions(partition="aws", account=OWN)
    assert permitted == ((("sts:AssumeRole",), (ROLE,)), (("sts:TagSession",), (ROLE,)))
    assert "bedrock:InvokeModel" in accounts.converse(accounts.task, HAIKU)


@pytest.mark.parametrize(
    "more",
    [{}, {"ExternalId": "another"}, {"Tags": ASKED["Tags"]}],
    ids=["no external id", "another external id", "tags alone"],
)
def test_without_its_external_id_nobody_assumes_it(accounts: Accounts, more: dict[str, Any]) -> None:
    with pytest.raises(ClientError, match="AccessDenied"):
        accounts.assume(accounts.task, **more)


def test_another_role_of_the_same_account_does_not_assume_it(accounts: Accounts) -> None:
    another = accounts.assume(boto3.Session(OWN, "test", region_name=REGION), f"arn:aws:iam::{OWN}:role/another")
    with pytest.raises(ClientError, match="AccessDenied"):
        accounts.assume(another, **ASKED)


@pytest.fixture
def tagging(accounts: Accounts) -> boto3.Session:
    """A role that the other account trusts with tags, and that may assume what it likes without."""
    iam = boto3.Session(OWN, "test", region_name=REGION).client("iam", endpoint_url=accounts.emulator.endpoint)
    trust = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{OWN}:root"}, "Action": "sts:AssumeRole"}
    iam.create_role(RoleName="untagged", AssumeRolePolicyDocument=json.dumps({"Statement": [trust]}))
    document = {"Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"}]}
    iam.put_role_policy(RoleName="untagged", PolicyName="own", PolicyDocument=json.dumps(document))
    other = boto3.Session(OTHER, "test", region_name=REGION).client("iam", endpoint_url=accounts.emulator.endpoint)
    for name, actions in (("trusts-tags", ["sts:AssumeRole", "sts:TagSession"]), ("trusts-no-tags", "sts:AssumeRole")):
        trust = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{OWN}:root"}, "Action": actions}
        other.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps({"Statement": [trust]}))
    return accounts.assume(boto3.Session(OWN, "test", region_name=REGION), f"arn:aws:iam::{OWN}:role/untagged")


def test_tags_take_a_permission_of_who_hands_them_over(accounts: Accounts, tagging: boto3.Session) -> None:
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html#id_session-tags_permissions-required"""
    trusting = f"arn:aws:iam::{OTHER}:role/trusts-tags"
    accounts.assume(tagging, trusting)
    with pytest.raises(ClientError, match="sts:TagSession on resource"):
        accounts.assume(tagging, trusting, Tags=ASKED["Tags"])
    iam = boto3.Session(OWN, "test", region_name=REGION).client("iam", endpoint_url=accounts.emulator.endpoint)
    document = {"Statement": [{"Effect": "Allow", "Action": "sts:TagSession", "Resource": "*"}]}
    iam.put_role_policy(RoleName="untagged", PolicyName="tags", PolicyDocument=json.dumps(document))
    accounts.assume(tagging, trusting, Tags=ASKED["Tags"])
    with pytest.raises(ClientError, match="sts:TagSession on resource"):
        accounts.assume(tagging, f"arn:aws:iam::{OTHER}:role/trusts-no-tags", Tags=ASKED["Tags"])


def test_the_task_assumes_no_other_role(accounts: Accounts) -> None:
    iam = boto3.Session(OTHER, "test", region_name=REGION).client("iam", endpoint_url=accounts.emulator.endpoint)
    trust = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{OWN}:root"}, "Action": "sts:*"}
    iam.create_role(RoleName="open", AssumeRolePolicyDocument=json.dumps({"Statement": [trust]}))
    with pytest.raises(ClientError, match="sts:AssumeRole on resource"):
        accounts.assume(accounts.task, f"arn:aws:iam::{OTHER}:role/open")


def test_a_role_that_is_not_there_is_not_assumed(accounts: Accounts, tmp_path: Path) -> None:
    with pytest.raises(ClientError, match="AccessDenied"):
        accounts.assume(accounts.task, f"arn:aws:iam::{OTHER}:role/missing")
