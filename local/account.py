"""What an AWS account has before anything is deployed to it, and ministack does not know.

Quotas, Bedrock's models, and what an operator has made: a hosted zone, a certificate and roles. The quotas are AWS's
published defaults. Of models the account has those that LiteLLM's list of prices knows at Bedrock
(`stacks/litellm_config/catalog.json`), their terms accepted: a model that is not there is as unknown as it is at AWS.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final
from unittest import mock

from local.ecs import ministack
from local.place import Place
from stacks.litellm_config import CATALOG, GEOGRAPHIES

QUOTAS: Final[Mapping[tuple[str, str], float]] = {
    ("ec2", "L-0263D0A3"): 5,  # Elastic IP addresses
    ("fargate", "L-3032A538"): 6,  # On-Demand vCPUs
    ("fargate", "L-36FBB829"): 6,  # Spot vCPUs
    ("rds", "L-952B80B8"): 40,  # Aurora clusters
    ("vpc", "L-F678F1CE"): 5,  # VPCs
}
"""AWS's defaults by service and quota, of those that `ops/doctor/` asks for.
https://docs.aws.amazon.com/general/latest/gr/aws-service-information.html"""


def add_quotas() -> None:
    """Have Service Quotas answer, which ministack does not have, with AWS's default for each quota."""
    responses = ministack("core.responses")

    async def handle(method: str, path: str, headers: Mapping[str, str], body: bytes, query: object) -> Any:  # noqa: ANN401 - ministack's response
        request = json.loads(body or b"{}")
        service, code = request.get("ServiceCode", ""), request.get("QuotaCode", "")
        operation = headers.get("x-amz-target", "").rpartition(".")[2]
        if operation not in ("GetServiceQuota", "GetAWSDefaultServiceQuota"):
            return responses.error_response_json("UnknownOperationException", f"{operation} is not emulated", 400)
        if (service, code) not in QUOTAS:
            return responses.error_response_json("NoSuchResourceException", f"{service} has no quota {code}", 400)
        return responses.json_response(
            {"Quota": {"ServiceCode": service, "QuotaCode": code, "Value": QUOTAS[service, code]}}
        )

    ministack("app").SERVICE_HANDLERS["servicequotas"] = handle


def mend_models() -> None:
    """Have Bedrock know today's models and inference profiles, where ministack's list ends in 2024."""
    bedrock = ministack("services.bedrock")
    listed = {entry[0] for entry in bedrock._CATALOG}
    named = re.compile(r"(?P<maker>[a-z0-9]+)\.[^/]+")  # the form of Bedrock's ids, and of a profile's with a geography
    priced = (named.fullmatch(name) for name in json.loads(CATALOG.read_text())["prices"])
    models = {found[0]: found["maker"] for found in priced if found and found["maker"] not in GEOGRAPHIES}
    bedrock._CATALOG += [
        (name, name, maker, ["TEXT"], ["TEXT"], True) for name, maker in models.items() if name not in listed
    ]
    bedrock._INFERENCE_PROFILE_PREFIXES = tuple(GEOGRAPHIES)
    availability = bedrock._get_foundation_model_availability

    def accepted(model: str) -> Any:  # noqa: ANN401 - as above
        bedrock._model_agreements[model] = True
        return availability(model)

    bedrock._get_foundation_model_availability = accepted


def add_hosted_zone(place: Place, zone_id: str, name: str) -> None:
    """Make the hosted zone that an operator has before a deployment, under the id that the settings name."""
    responses, route53 = ministack("core.responses"), ministack("services.route53")
    request = (
        '<CreateHostedZoneRequest xmlns="https://route53.amazonaws.com/doc/2013-04-01/">'
        f"<Name>{name}</Name><CallerReference>{zone_id}</CallerReference></CreateHostedZoneRequest>"
    )
    scope = responses.request_scope(place.account, place.region)
    with scope, mock.patch.object(route53, "_zone_id", return_value=zone_id):
        route53._create_hosted_zone(request.encode(), {})


def add_certificate(place: Place, arn: str) -> None:
    """Make the certificate that an operator has before a deployment, under the ARN that the settings name."""
    responses, acm = ministack("core.responses"), ministack("services.acm")
    with responses.request_scope(place.account, place.region), mock.patch.object(acm, "_cert_arn", return_value=arn):
        acm._request_certificate({"DomainName": place.domain})


def add_role(place: Place, arn: str) -> None:
    """Make a role that an operator has made before a deployment, in its account: `make about` prints its policies."""
    iam, account, name = ministack("services.iam"), arn.split(":")[4], arn.partition(":role/")[2]
    path, _, own = f"/{name}".rpartition("/")
    trust, policy = map(json.dumps, place.roles[arn])
    with ministack("core.responses").request_scope(account, place.region):
        if own in iam._roles:  # another environment's as well: the trust of the one that came first is not enough
            trust = json.dumps(_both(json.loads(iam._roles[own]["AssumeRolePolicyDocument"]), json.loads(trust)))
            iam._IAM_HANDLERS["UpdateAssumeRolePolicy"]({"RoleName": own, "PolicyDocument": trust})
        else:
            made = {"RoleName": own, "Path": f"{path}/", "AssumeRolePolicyDocument": trust}
            iam._IAM_HANDLERS["CreateRole"](made)
        written = {"RoleName": own, "PolicyName": place.parameter_prefix.rpartition("/")[2], "PolicyDocument": policy}
        iam._IAM_HANDLERS["PutRolePolicy"](written)


def _both(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    return {**one, "Statement": [*one["Statement"], *other["Statement"]]}
