"""One environment on this machine, of the several that one emulated AWS may have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Place:
    """What the emulator is told of an environment before it is deployed.

    Parameters
    ----------
    account, region
        Whose it is.
    domain
        The gateway's host name. No DNS answers for it here: 127.0.0.1:`port` is where it leads.
    port
        Where the environment's load balancer listens.
    parameter_prefix
        Where its parameters are in Parameter Store.
    hosted_zone
        Id and name of the zone that is there before the first deployment; None for none.
    certificate
        The ARN of the certificate that is there before the first deployment; None for none.
    roles
        The roles of other accounts that an operator has made before the first deployment, by ARN: the trust policy and
        the policy of each.
    cluster, data
        The name of its database cluster, and the folder that PostgreSQL has the data of it in; none if it has none.
    callers
        The networks that the loopback addresses stand for (`local.callers`); where there are none, each is itself.
    containers
        What differs from AWS for its containers: set over whatever ECS hands over; None takes a variable away.
    functions
        What differs from AWS for its Lambda functions: values for the variables that a function is deployed with.
    """

    account: str
    region: str
    domain: str
    port: int
    parameter_prefix: str
    hosted_zone: tuple[str, str] | None = None
    certificate: str | None = None
    roles: Mapping[str, tuple[Mapping[str, Any], Mapping[str, Any]]] = field(default_factory=dict)
    cluster: str = ""
    data: str = ""
    callers: Mapping[str, str] = field(default_factory=dict)
    containers: Mapping[str, str | None] = field(default_factory=dict)
    functions: Mapping[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Where the gateway answers."""
        return f"http://127.0.0.1:{self.port}"

    def has(self, variables: Mapping[str, str]) -> bool:
        """Whether a container or a function with these variables is of this environment: one of them names it.

        In its region, as an environment may have moved.
        """
        here = variables.get("AWS_REGION", self.region) == self.region
        return here and not {f"https://{self.domain}", self.parameter_prefix}.isdisjoint(variables.values())
