"""Whether the roles that config.yaml names can be assumed, as far as it shows from here.

Integrates with IAM and STS.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from botocore import exceptions as aws

from ops.access import explain
from ops.doctor.account import Account, error_code
from ops.doctor.finding import Finding, Mark, problem, well
from stacks.company import config_file
from stacks.litellm_config import AssumedRole

_SESSION = "litellm-doctor"


def assumed_roles(account: Account) -> Iterator[Finding]:
    """A line for each role of `aws_role_name`.

    One of the environment's own account is looked at. Of another account nobody can look at a role: it is tried to be
    assumed, as the operator, whom its trust need not name.
    """
    environment = account.environment
    for role in environment.litellm_config(config_file()).assumed_roles:
        yield _own(account, role) if role.account == environment.account else _of_another(account, role)


def _remedy(account: Account) -> str:
    return f"`make about ENV={account.environment.name}` prints the trust policy and the policy that it needs."


def _own(account: Account, role: AssumedRole) -> Finding:
    what, environment = f"role {role.arn}", account.environment
    try:
        found = account.client("iam").get_role(RoleName=role.arn.rpartition("/")[2])["Role"]
    except aws.ClientError as error:
        if error_code(error) == "NoSuchEntity":
            return problem(what, "there is no such role", f"make it: {_remedy(account)}")
        return Finding(what, Mark.UNKNOWN, explain(error))
    trust = json.dumps(found["AssumeRolePolicyDocument"])
    if environment.account in trust or environment.task_role.rstrip("*") in trust:
        return well(what, "it is there, and its trust names this account")
    return problem(what, "its trust does not name this account", f"change it: {_remedy(account)}")


def _of_another(account: Account, role: AssumedRole) -> Finding:
    what = f"role {role.arn}"
    external = {"ExternalId": role.external_ids[0]} if role.external_ids else {}
    try:
        account.client("sts").assume_role(RoleArn=role.arn, RoleSessionName=_SESSION, **external)
    except aws.ClientError as error:
        if error_code(error) != "AccessDenied":
            return Finding(what, Mark.UNKNOWN, explain(error))
        return Finding(
            what,
            Mark.UNKNOWN,
            f"it may not be assumed by you, whom its trust need not name: {_remedy(account)} `make smoke` and a call "
            "of its models show the rest",
        )
    return well(what, "it is there, and its trust lets more in than the task's role, as you were")
