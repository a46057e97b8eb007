"""What AWS WAF does with a request, by the web ACL in a template: the statements that this project uses.

A statement, transformation or managed group that is not known here is an error, so that a new one is thought about.
"""

import ipaddress
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from tests.templates.conftest import Template, only

# Does a group of AWS's managed rules look into bodies? (If so it also refuses those above 8 KB, or may.)
# https://docs.aws.amazon.com/waf/latest/developerguide/aws-managed-rule-groups-list.html
MANAGED_INSPECTS_BODY = {
    "AWSManagedRulesAmazonIpReputationList": False,
    "AWSManagedRulesAnonymousIpList": False,
    "AWSManagedRulesCommonRuleSet": True,
    "AWSManagedRulesKnownBadInputsRuleSet": True,
    "AWSManagedRulesSQLiRuleSet": True,
}
# The units that a managed group takes, by the same page; and a statement and each of its transformations, by
# https://docs.aws.amazon.com/waf/latest/developerguide/waf-rule-statements-list.html
MANAGED_CAPACITY = {"AWSManagedRulesAmazonIpReputationList": 25, "AWSManagedRulesKnownBadInputsRuleSet": 200}
STATEMENT_CAPACITY = {
    "IPSetReferenceStatement": 1,
    "RegexPatternSetReferenceStatement": 25,
    "RegexMatchStatement": 3,
    "RateBasedStatement": 2,
}
TRANSFORMATION_CAPACITY = 10
BODY_FIELDS = {"Body", "JsonBody"}


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


class WebAcl:
    """The one web ACL of a template, with the sets that it refers to.

    Rates are not counted, and a managed group never blocks: what it would look at is asked of `body_inspectors`.
    """

    def __init__(self, template: Template) -> None:
        self._resources = template["Resources"]
        self.acl = only(template, "AWS::WAFv2::WebACL")
        self.rules = sorted(self.acl["Rules"], key=lambda rule: int(rule["Priority"]))

    def verdict(self, request: Request) -> Verdict:
        """What happens to a request, by the first rule that ends its way."""
        for rule in self.rules:
            if "Action" not in rule or not self.matches(rule["Statement"], request):
                continue
            return Verdict(_block_status(rule["Action"]), rule["Name"])
        return Verdict() if "Allow" in self.acl["DefaultAction"] else Verdict(403, "DefaultAction")

    def body_inspectors(self, request: Request) -> set[str]:
        """The rules that would look into this request's body, or limit its size, were it to reach them."""
        return {rule["Name"] for rule in self.rules if self._inspects_body(rule["Statement"], request)}

    def capacity(self) -> int:
        """The web ACL capacity units of all rules, if AWS counts every transformation: it may count fewer."""
        return sum(_capacity(rule["Statement"]) for rule in self.rules)

    def matches(self, statement: dict[str, Any], request: Request) -> bool:
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
                address = ipaddress.ip_address(request.address)
                return any(address in ipaddress.ip_network(cidr) for cidr in self._set(details)["Addresses"])
            case "RegexPatternSetReferenceStatement":
                value = _transformed(details, request)
                return any(re.search(pattern, value) for pattern in self._set(details)["RegularExpressionList"])
            case "RegexMatchStatement":
                return bool(re.search(details["RegexString"], _transformed(details, request)))
            case "RateBasedStatement":
                return False
            case _:
                raise NotImplementedError(f"WAF statement {kind}")

    def _set(self, reference: dict[str, Any]) -> dict[str, Any]:
        logical_id, attribute = reference["Arn"]["Fn::GetAtt"]
        assert attribute == "Arn"
        properties: dict[str, Any] = self._resources[logical_id]["Properties"]
        return properties

    def _inspects_body(self, statement: dict[str, Any], request: Request) -> bool:
        group = statement.get("ManagedRuleGroupStatement", {})
        scope = group.get("ScopeDownStatement")
        if group and MANAGED_INSPECTS_BODY[group["Name"]]:
            return scope is None or self.matches(scope, request)
        return any(not BODY_FIELDS.isdisjoint(field) for field in _fields(statement))


def allows(template: Template, method: str, path: str, address: str) -> bool:
    """Whether the web ACL of a template lets a request from an IPv4 address pass. `path` is encoded, without query."""
    return WebAcl(template).verdict(Request(path, address, method)).status is None


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


def _capacity(statement: dict[str, Any]) -> int:
    ((kind, details),) = statement.items()
    match kind:
        case "AndStatement" | "OrStatement":
            return sum(_capacity(part) for part in details["Statements"])
        case "NotStatement":
            return _capacity(details["Statement"])
        case "ManagedRuleGroupStatement":
            own = MANAGED_CAPACITY[details["Name"]]
        case _:
            own = STATEMENT_CAPACITY[kind]
    steps = [step for step in details.get("TextTransformations", []) if step["Type"] != "NONE"]
    scope = details.get("ScopeDownStatement")
    return own + TRANSFORMATION_CAPACITY * len(steps) + (_capacity(scope) if scope else 0)


def _transformed(statement: dict[str, Any], request: Request) -> str:
    (field,) = statement["FieldToMatch"]
    value = {"UriPath": request.path, "Method": request.method, "Body": request.body}[field]
    for step in sorted(statement["TextTransformations"], key=lambda step: int(step["Priority"])):
        value = TRANSFORMATIONS[step["Type"]](value)
    return value


def _fields(value: Any) -> Iterator[set[str]]:  # noqa: ANN401 - a part of a template is JSON
    """The names of every FieldToMatch below a statement."""
    if isinstance(value, dict):
        if "FieldToMatch" in value:
            yield set(value["FieldToMatch"])
        for part in value.values():
            yield from _fields(part)
    elif isinstance(value, list):
        for part in value:
            yield from _fields(part)


def _block_status(action: dict[str, Any]) -> int | None:
    if "Block" not in action:
        return None
    status: int = action["Block"].get("CustomResponse", {}).get("ResponseCode", 403)
    return status
