"""Transforms of a listener's rules: a URL is rewritten as AWS documents it; what it does not document is refused."""

import asyncio
from typing import Any

import pytest

from local.balancer import Balancer
from local.ecs import ministack
from local.transforms import rewritten


def _transforms(regex: str, replace: str) -> list[dict[str, Any]]:
    return [{"Type": "url-rewrite", "UrlRewriteConfig": {"Rewrites": [{"Regex": regex, "Replace": replace}]}}]


@pytest.mark.parametrize(
    ("path", "query", "expected"),
    [
        ("/old/a%2Fb", "", ("/new/a%2Fb", "")),
        ("/old/a", "x=1&y", ("/new/a", "x=1&y")),
        ("/other", "x=1", ("/other", "x=1")),
    ],
)
def test_a_url_that_matches_is_rewritten(path: str, query: str, expected: tuple[str, str]) -> None:
    assert rewritten(_transforms("^/old/(.+)$", "/new/$1"), path, query) == expected


def test_a_query_may_be_made() -> None:
    """The example of the documentation."""
    assert rewritten(_transforms("^/dp/([A-Za-z0-9]+)/?$", "/product.php?id=$1"), "/dp/B09G3HRMW", "") == (
        "/product.php",
        "id=B09G3HRMW",
    )


@pytest.mark.parametrize(
    ("transforms", "query"),
    [
        (_transforms("^/old/([a-z]+)$", "/new/$1"), "x=1"),  # of the path alone it matches, of all it does not
        (_transforms("^/old", "/new"), ""),  # a part
        ([{"Type": "host-header-rewrite", "HostHeaderRewriteConfig": {"Rewrites": []}}], ""),
    ],
)
def test_what_aws_does_not_say_is_refused(transforms: list[dict[str, Any]], query: str) -> None:
    with pytest.raises(NotImplementedError):
        rewritten(transforms, "/old/a", query)


def test_the_rule_that_applies_transforms(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another rule's transforms are not its own."""
    alb = ministack("services.alb")
    asked: list[tuple[str, str]] = []

    async def execute(*_rest: object, raw_path: str, raw_query_string: str) -> tuple[int, dict[str, str], bytes]:
        asked.append((raw_path, raw_query_string))
        return 200, {}, b""

    for name in ("_match_condition", "_proxy_http_target"):
        monkeypatch.setattr(alb, name, getattr(alb, name))
    monkeypatch.setattr(alb, "_execute_actions", execute)
    plain: list[object] = []
    rules = {"other": {"Actions": []}, "rule": {"Actions": plain, "Transforms": _transforms("^/old/(.+)$", "/new/$1")}}
    monkeypatch.setattr(alb, "_rules", rules)
    balancer = Balancer([])
    for actions in (plain, []):
        asyncio.run(balancer._transformed(actions, "GET", "/old/a", raw_path="/old/a", raw_query_string="x"))
    assert asked == [("/new/a", "x"), ("/old/a", "x")]
