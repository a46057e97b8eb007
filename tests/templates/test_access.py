"""Who gets to each of LiteLLM's routes is as docs/access.md says, which somebody has read."""

from typing import Any

import pytest

from stacks.company import environments
from tests import access
from tests.templates.waf import WebAcl

WHAT_TO_DO = """
docs/access.md does not say this. Of each route, read what it does (LiteLLM's source) and decide who may have it: \
docs/security.md, "Every route". Then write the page with `COMPANY=tests/companies/tokyo python -m tests.access`, and \
read its difference.
"""


@pytest.fixture(scope="module")
def page() -> list[access.Row]:
    """What the page says."""
    return [*access.read(access.PAGE.read_text("utf-8"))]


@pytest.fixture(scope="module")
def web_acl(templates: dict[str, Any]) -> WebAcl:
    return WebAcl(templates["prod"]["Gateway"])


@pytest.mark.skipif(not access.PYTHON.exists(), reason="LiteLLM is not installed in .tools/litellm; see `make setup`")
def test_every_route_answers_whom_the_page_says(web_acl: WebAcl, page: list[access.Row]) -> None:
    """A version of LiteLLM that has another route, or opens one, fails here."""
    now = access.rows(web_acl, environments()["prod"])
    assert len(now) > 1000  # of 1.106.12: an application that has not loaded its routes has fewer
    different = access.changed(page, now)
    assert different == [], "\n".join([*different, WHAT_TO_DO])
    assert access.PAGE.read_text("utf-8") == access.document(now), WHAT_TO_DO


def test_without_a_key_nobody_has_more_than_health_and_the_way_in(page: list[access.Row]) -> None:
    """Of the routes that ask for no key, people's network has these; what those of MCP ask for is tried by e2e."""
    ways = {*access.EDGES}
    assert {row.edge for row in page} == ways
    found = {row.route for row in page if row.edge.startswith("From everywhere") and row.through == (access.EVERYONE,)}
    assert found - {route for route in found if "/mcp" in route} == {
        *("GET /health/liveliness", "GET /health/liveness", "GET /health/readiness"),
        *("GET /.well-known/litellm-ui-config", "GET /litellm/.well-known/litellm-ui-config"),
        *("GET /get_favicon", "GET /get_image"),
        *("GET /public/litellm_blog_posts", "GET /public/litellm_model_cost_map"),
        *("GET /onboarding/get_token", "POST /onboarding/claim_token", "POST /v2/login"),
    }


def test_a_services_key_has_its_own_routes_and_no_others(page: list[access.Row]) -> None:
    """LiteLLM takes each of its routes for the beginning of others too: of which there are only these."""
    longer = {"/v1/responses"}
    for name in ("onboarding", "usage", "smoke"):
        own = access.CALLERS[name]["routes"]
        assert isinstance(own, tuple)
        paths = {row.route.partition(" ")[2] for row in page if name in row.through}
        beyond = {path for path in paths if path not in own}
        assert beyond == {path for path in beyond if any(path.startswith(f"{one}/") for one in longer & {*own})}
