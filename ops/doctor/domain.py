"""The gateway's domain: the hosted zone that its records go into, that the world asks it, and the certificate.

Integrates with Certificate Manager and Route 53, and with dns.google, which is asked for the zone's name servers.
"""

from __future__ import annotations

import json
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from botocore import exceptions as aws

from ops.doctor.account import Account, error_code
from ops.doctor.finding import Finding, Mark, problem, well

DNS: Final = "https://dns.google/resolve"  # developers.google.com/speed/public-dns/docs/doh/json
DNS_PATIENCE: Final = 10.0  # seconds


def hosted_zone(account: Account) -> Iterator[Finding]:
    """The hosted zone is there, public, and what the world's DNS asks."""
    what, zone = "hosted zone", account.environment.hosted_zone
    try:
        answer = account.client("route53").get_hosted_zone(Id=zone.id)
    except aws.ClientError as error:
        if error_code(error) != "NoSuchHostedZone":
            raise
        yield problem(
            what,
            f"the account has no {zone.id}",
            f"run `aws route53 create-hosted-zone --name {zone.name} --caller-reference gateway`, and write its id "
            "into hosted_zone of company/environments.py.",
        )
        return
    name = answer["HostedZone"]["Name"].rstrip(".")
    if name != zone.name or answer["HostedZone"]["Config"].get("PrivateZone"):
        kind = "private zone" if answer["HostedZone"]["Config"].get("PrivateZone") else "zone"
        yield problem(
            what,
            f"{zone.id} is the {kind} {name}",
            f"write the id of the public zone {zone.name} into hosted_zone of company/environments.py.",
        )
        return
    yield well(what, f"{zone.id} is the public zone {name}")
    if account.emulated:
        yield Finding("delegation", Mark.ABSENT, "the world's DNS does not know the zones of an emulated AWS")
        return
    yield _delegation(name, {server.rstrip(".").lower() for server in answer["DelegationSet"]["NameServers"]})


def _delegation(zone: str, own: set[str]) -> Finding:
    """The zone's name servers are those that its parent names."""
    try:
        delegated = name_servers(zone)
    except (OSError, ValueError) as error:
        return Finding("delegation", Mark.UNKNOWN, f"{urlsplit(DNS).hostname} gave no answer ({type(error).__name__})")
    if delegated and delegated <= own:
        return well("delegation", f"{zone} is delegated to {', '.join(sorted(delegated))}")
    parent = zone.partition(".")[2]
    detail = f"to {', '.join(sorted(delegated))}, which is another zone" if delegated else "to nobody"
    return problem(
        "delegation",
        f"{zone} is delegated {detail}",
        f"enter an NS record for {zone} in {parent}, or at its registrar, with {', '.join(sorted(own))}.",
    )


def name_servers(zone: str) -> set[str]:
    """The name servers that the world's DNS finds for a zone, in lower case, without a closing dot; none: no zone.

    Raises
    ------
    OSError, ValueError
        DNS could not be asked, or could not tell.
    """
    query = urllib.parse.urlencode({"name": zone, "type": "NS"})
    with urllib.request.urlopen(f"{DNS}?{query}", timeout=DNS_PATIENCE) as answer:  # noqa: S310 - a fixed https URL
        document = json.load(answer)
    no_error, no_such_name, name_server = 0, 3, 2  # RFC 1035
    if document["Status"] not in (no_error, no_such_name):
        raise ValueError(f"DNS status {document['Status']}")
    return {
        record["data"].rstrip(".").lower() for record in document.get("Answer", []) if record["type"] == name_server
    }


def certificate(account: Account) -> Iterator[Finding]:
    """The certificate of the settings is issued and is the domain's; without one, the deployment makes it."""
    environment = account.environment
    if not environment.certificate_arn:
        return
    what = "certificate"
    try:
        found = account.client("acm").describe_certificate(CertificateArn=environment.certificate_arn)["Certificate"]
    except aws.ClientError as error:
        if error_code(error) != "ResourceNotFoundException":
            raise
        remedy = "correct certificate_arn in company/environments.py, or leave it out: the deployment makes one then."
        yield problem(what, f"there is no {environment.certificate_arn}", remedy)
        return
    names = {found["DomainName"], *found.get("SubjectAlternativeNames", [])}
    if found["Status"] != "ISSUED":
        remedy = (
            "prove that the domain is yours (Certificate Manager's console shows how), or take another certificate."
        )
        yield problem(what, f"it is {found['Status']}", remedy)
    elif not names & {environment.domain, f"*.{environment.domain.partition('.')[2]}"}:
        remedy = (
            f"take one of {environment.domain} for certificate_arn, or leave it out: the deployment makes one then."
        )
        yield problem(what, f"it is of {', '.join(sorted(names))}", remedy)
    else:
        yield well(what, f"issued for {', '.join(sorted(names))}")
