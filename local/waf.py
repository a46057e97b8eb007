"""What AWS WAF does with a request, by a web ACL as it was deployed: the statements that this project uses.

A statement or a transformation that is not known here is an error, so that a new one is thought about. The groups of
rules that AWS manages never block here: what is in them only AWS knows.
"""

from __future__ import annotations

import re
import time
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from local.callers import within

Json = Mapping[str, Any]

FORBIDDEN = 403
BLOCKED = (
    "<html>\r\n<head><title>403 Forbidden</title></head>\r\n"
    "<body>\r\n<center><h1>403 Forbidden</h1></center>\r\n</body>\r\n</html>\r\n"
)
"""What a load balancer answers when its web ACL blocks a request."""


@dataclass(frozen=True)
class Request:
    """What WAF sees of an HTTP request. `path` is as it was sent: encoded, without the query."""

    path: str
    address: str
    method: str = "POST"
    body: str = ""
    host: str = "llm.example.com"


@dataclass(frozen=True)
class Verdict:
    """`status` is what WAF answers with by itself, None if it lets the request pass; `rule` is what blocked it."""

    status: int | None = None
    rule: str | None = None


class Rates:
    """The requests of each address that a rate-based rule has seen within its window.

    https://docs.aws.amazon.com/waf/latest/developerguide/waf-rule-statement-type-rate-based.html
    WAF looks every few seconds, and so lets more through than this does.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: defaultdict[tuple[str, str], deque[float]] = defaultdict(deque)

    def exceeded(self, rule: str, address: str, limit: int, window: float) -> bool:
        """Count one more request, and tell whether there were more than `limit` in the last `window` seconds."""
        now, seen = self._clock(), self._seen[rule, address]
        seen.append(now)
        while seen and seen[0] <= now - window:
            seen.popleft()
        return len(seen) > limit


class WebAcl:
    """A web ACL.

    Parameters
    ----------
    properties
        Its CloudFormation properties.
    set_of
        The properties of the set of addresses or patterns that a reference's `Arn` names.
    rates
        Counts for its rate-based rules; without, they never block.
    """

    def __init__(self, properties: Json, set_of: Callable[[Any], Json], rates: Rates | None = None) -> None:
        self.acl = properties
        self.rules = sorted(properties["Rules"], key=lambda rule: int(rule["Priority"]))
        self._set_of = set_of
        self._rates = rates

    def verdict(self, request: Request) -> Verdict:
        """What happens to a request, by the first rule that ends its way."""
        for rule in self.rules:
            if "Action" in rule and self._applies(rule, request):
                return Verdict(_block_status(rule["Action"]), rule["Name"])
        return Verdict() if "Allow" in self.acl["DefaultAction"] else Verdict(FORBIDDEN, "DefaultAction")

    def _applies(self, rule: Json, request: Request) -> bool:
        rate = rule["Statement"].get("RateBasedStatement")
        if rate is None:
            return self.matches(rule["Statement"], request)
        scope = rate.get("ScopeDownStatement")
        if self._rates is None or (scope and not self.matches(scope, request)):
            return False
        limit, window = int(rate["Limit"]), float(rate.get("EvaluationWindowSec", 300))
        return self._rates.exceeded(rule["Name"], request.address, limit, window)

    def matches(self, statement: Json, request: Request) -> bool:
        """Whether a statement is true of a request."""
        ((kind, details),) = statement.items()
        match kind:
            case "AndStatement":
                return all(self.matches(part, request) for part in details["Statements"])
            case "OrStatement":
                return any(self.matches(part, request) for part in details["Statements"])
            case "NotStatement":
                return not self.matches(details["Statement"], request)
            case "IPSetReferenceStatement":
                return within(request.address, self._set_of(details["Arn"])["Addresses"])
            case "RegexPatternSetReferenceStatement":
                value = _transformed(details, request)
                return any(re.search(regex, value) for regex in self._set_of(details["Arn"])["RegularExpressionList"])
            case "RegexMatchStatement":
                return bool(re.search(details["RegexString"], _transformed(details, request)))
            case _:
                raise NotImplementedError(f"WAF statement {kind}")


class Deployed:
    """The web ACLs of the emulated AWS, by the load balancers that they protect."""

    KEPT = ("AWS::WAFv2::WebACL", "AWS::WAFv2::IPSet", "AWS::WAFv2::RegexPatternSet", "AWS::WAFv2::WebACLAssociation")

    def __init__(self) -> None:
        self._resources: dict[str, Json] = {}  # properties by ARN, or by physical id for what has none
        self._rates: defaultdict[str, Rates] = defaultdict(Rates)

    def keep(self, physical_id: str, attributes: Mapping[str, str], properties: Json) -> None:
        """Remember a resource as it was deployed or changed."""
        self._resources[attributes.get("Arn", physical_id)] = properties

    def of(self, load_balancer: str) -> WebAcl | None:
        """The web ACL of the load balancer with this ARN."""
        arns = [
            properties["WebACLArn"]
            for properties in self._resources.values()
            if properties.get("ResourceArn") == load_balancer and "WebACLArn" in properties
        ]
        if not arns or arns[-1] not in self._resources:
            return None
        return WebAcl(self._resources[arns[-1]], self._resources.__getitem__, self._rates[arns[-1]])


def normalize_path(path: str) -> str:
    """NORMALIZE_PATH: without `//`, `.` and `..`, except for a `..` that nothing comes before.

    https://docs.aws.amazon.com/waf/latest/developerguide/waf-rule-statement-transformation.html
    """
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == ".." and kept and kept[-1] != "..":
            kept.pop()
        elif segment not in ("", "."):
            kept.append(segment)
    closing = "/" if kept and path.endswith(("/", "/.", "/..")) else ""
    return "/" + "/".join(kept) + closing


TRANSFORMATIONS: dict[str, Callable[[str], str]] = {
    "NONE": str,
    "URL_DECODE": unquote,  # once
    "NORMALIZE_PATH": normalize_path,
    "LOWERCASE": str.lower,
}


def _transformed(statement: Json, request: Request) -> str:
    (field,) = statement["FieldToMatch"]
    value = {"UriPath": request.path, "Method": request.method, "Body": request.body}[field]
    for step in sorted(statement["TextTransformations"], key=lambda step: int(step["Priority"])):
        value = TRANSFORMATIONS[step["Type"]](value)
    return value


def _block_status(action: Json) -> int | None:
    if "Block" not in action:
        return None
    return int(action["Block"].get("CustomResponse", {}).get("ResponseCode", FORBIDDEN))
