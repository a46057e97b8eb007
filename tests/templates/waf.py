"""The web ACL of a template: what it does with a request (`local/waf.py`), what it takes, and what it looks into."""

from collections.abc import Iterator
from typing import Any

from local.waf import Request, Verdict, normalize_path
from local.waf import WebAcl as DeployedWebAcl
from tests.templates.conftest import Template, only

__all__ = ["Request", "Verdict", "WebAcl", "allows", "normalize_path"]

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


class WebAcl(DeployedWebAcl):
    """The one web ACL of a template, with the sets that it refers to.

    Rates are not counted, and a managed group never blocks: what it would look at is asked of `body_inspectors`.
    """

    def __init__(self, template: Template) -> None:
        self._resources = template["Resources"]
        super().__init__(only(template, "AWS::WAFv2::WebACL"), self._set)

    def body_inspectors(self, request: Request) -> set[str]:
        """The rules that would look into this request's body, or limit its size, were it to reach them."""
        return {rule["Name"] for rule in self.rules if self._inspects_body(rule["Statement"], request)}

    def capacity(self) -> int:
        """The web ACL capacity units of all rules, if AWS counts every transformation: it may count fewer."""
        return sum(_capacity(rule["Statement"]) for rule in self.rules)

    def _set(self, reference: dict[str, Any]) -> dict[str, Any]:
        logical_id, attribute = reference["Fn::GetAtt"]
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
