"""AWS WAF in the emulated AWS; what its statements mean is tested with the web ACL of the templates."""

from typing import Any

from local.waf import Deployed, Rates, Request, Verdict

BALANCER, ACL, RANGES = "arn:of:balancer", "arn:of:acl", "arn:of:ranges"


def acl(*rules: dict[str, Any]) -> dict[str, Any]:
    return {"DefaultAction": {"Allow": {}}, "Rules": [{**rule, "Priority": at} for at, rule in enumerate(rules)]}


def block(name: str, statement: dict[str, Any], status: int) -> dict[str, Any]:
    return {
        "Name": name,
        "Statement": statement,
        "Action": {"Block": {"CustomResponse": {"ResponseCode": status}}},
    }


NOT_THERE = block("Ranges", {"NotStatement": {"Statement": {"IPSetReferenceStatement": {"Arn": RANGES}}}}, 403)


def deployed() -> Deployed:
    web_acls = Deployed()
    web_acls.keep("ranges", {"Arn": RANGES}, {"Addresses": ["10.0.0.0/8"]})
    web_acls.keep("acl", {"Arn": ACL}, acl(NOT_THERE))
    web_acls.keep("association", {}, {"ResourceArn": BALANCER, "WebACLArn": ACL})
    return web_acls


def test_a_load_balancer_has_the_web_acl_that_it_was_given() -> None:
    found = deployed().of(BALANCER)
    assert found
    assert found.verdict(Request("/", "10.1.2.3")) == Verdict()
    assert found.verdict(Request("/", "11.1.2.3")) == Verdict(403, "Ranges")
    assert deployed().of("arn:of:another") is None


def test_what_is_changed_holds_at_once() -> None:
    web_acls = deployed()
    web_acls.keep("ranges", {"Arn": RANGES}, {"Addresses": ["11.0.0.0/8"]})
    found = web_acls.of(BALANCER)
    assert found
    assert found.verdict(Request("/", "11.1.2.3")) == Verdict()


def test_a_rate_is_an_addresss_own_and_ends_with_its_window() -> None:
    now = 0.0
    rates = Rates(lambda: now)
    assert [rates.exceeded("Rate", "10.0.0.1", 2, 300) for _ in range(3)] == [False, False, True]
    assert not rates.exceeded("Rate", "10.0.0.2", 2, 300)
    assert not rates.exceeded("Other", "10.0.0.1", 2, 300)
    now = 301.0
    assert not rates.exceeded("Rate", "10.0.0.1", 2, 300)


def test_a_rate_counts_what_its_scope_takes() -> None:
    sign_in = {
        "RegexMatchStatement": {
            "RegexString": "^/login$",
            "FieldToMatch": {"UriPath": {}},
            "TextTransformations": [{"Priority": 0, "Type": "NONE"}],
        }
    }
    web_acls = deployed()
    rate = {"RateBasedStatement": {"Limit": 1, "AggregateKeyType": "IP", "ScopeDownStatement": sign_in}}
    web_acls.keep("acl", {"Arn": ACL}, acl(block("SignIns", rate, 429)))
    found = web_acls.of(BALANCER)
    assert found
    paths = ("/login", "/v1/models", "/v1/models", "/login")
    assert [found.verdict(Request(path, "10.0.0.1")).status for path in paths] == [None, None, None, 429]
