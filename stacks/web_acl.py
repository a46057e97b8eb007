"""The web ACL: which routes answer to whom, before a request reaches LiteLLM."""

from collections.abc import Sequence

from aws_cdk import ArnFormat, RemovalPolicy, Stack
from aws_cdk import aws_logs as logs
from aws_cdk import aws_wafv2 as wafv2
from constructs import Construct

from stacks.settings import Environment

# What everyone who may reach the load balancer may call: LiteLLM's routes for completions, in the formats of OpenAI,
# Anthropic and Google, and its two health routes. Everything else (the admin UI, accounts, keys, routes that a later
# version brings) answers only from the management ranges. Matched after decoding and normalizing the path.
LLM_ROUTES = (
    r"^/(v1/)?(chat/completions|completions|embeddings|moderations|rerank|models(/[^/]+)?|model/info)$",
    r"^/(v1/)?(responses|batches|files)(/[^/]+(/(input_items|cancel|content))?)?$",
    r"^/(v1/)?(images/(generations|edits)|audio/(speech|transcriptions))$",
    r"^/(openai/deployments|engines)/[^/]+/(chat/completions|completions|embeddings)$",
    r"^/v1/messages(/count_tokens)?$",
    r"^/(v1beta/)?models/[^/]+:(countTokens|generateContent|streamGenerateContent)$",
    r"^/health/(liveliness|liveness|readiness)$",
)
# Closed to everyone. Metrics name users and models; the others run code that a caller sends (advisories GHSA of
# LiteLLM before 1.83.10 went through them). Matched in lower case too.
CLOSED_ROUTES = (
    r"^/metrics(/.*)?$",
    r"^(/.*)?/prompts/test(/.*)?$",
    r"^(/.*)?/guardrails/test_custom_code(/.*)?$",
    r"^(/.*)?/mcp-rest/test(/.*)?$",
)
# A way back in a path, decoded but not normalized. LiteLLM's router resolves none: it takes `/ui/../v1/models` for the
# UI, where the other rules see a model route. Clients resolve a way back before they send.
WAY_BACK = r"(^|/)\.\.(/|$)"
# Headers that carry a caller's key in one format or another: never in the web ACL's log.
KEY_HEADERS = (
    *("authorization", "x-api-key", "api-key", "x-goog-api-key", "x-litellm-api-key"),
    *("ocp-apim-subscription-key", "cookie"),
)

_Statement = wafv2.CfnWebACL.StatementProperty


class WebAcl(Construct):
    """A regional web ACL for the load balancer.

    It closes some routes to everyone, keeps management to its ranges, limits each address, and keeps out known bad
    addresses and inputs. It never looks into, or limits, the body of a request to `LLM_ROUTES`: prompts are long and
    full of code. Blocked requests are logged, without the headers that carry keys.
    """

    def __init__(self, scope: Construct, construct_id: str, *, environment: Environment) -> None:
        super().__init__(scope, construct_id)
        management = wafv2.CfnIPSet(
            self,
            "ManagementRanges",
            scope="REGIONAL",
            ip_address_version="IPV4",
            addresses=[str(cidr) for cidr in environment.ingress.management_cidrs],
        )
        from_management = _Statement(ip_set_reference_statement={"arn": management.attr_arn})
        llm_route = _path_in(self._patterns("LlmRoutes", LLM_ROUTES))
        closed_route = _path_in(self._patterns("ClosedRoutes", CLOSED_ROUTES), "LOWERCASE")
        rate = _Statement(
            rate_based_statement=wafv2.CfnWebACL.RateBasedStatementProperty(
                aggregate_key_type="IP", limit=environment.ingress.requests_per_address, evaluation_window_sec=300
            )
        )
        web_acl = wafv2.CfnWebACL(
            self,
            "Default",
            scope="REGIONAL",
            default_action=wafv2.CfnWebACL.DefaultActionProperty(allow={}),
            visibility_config=_visibility("WebAcl"),
            rules=[
                _block(0, "WaysBack", _way_back()),
                _block(1, "ClosedRoutes", closed_route),
                _block(2, "ManagementRoutes", _all(_not(llm_route), _not(from_management))),
                _block(3, "RatePerAddress", rate, status=429),
                _managed(4, "AWSManagedRulesAmazonIpReputationList"),
                # It inspects bodies, so it is kept away from prompts.
                _managed(5, "AWSManagedRulesKnownBadInputsRuleSet", scope_down=_not(llm_route)),
            ],
        )
        self.arn = web_acl.attr_arn
        self._log_blocked(environment)

    def _patterns(self, construct_id: str, routes: Sequence[str]) -> str:
        return wafv2.CfnRegexPatternSet(
            self, construct_id, scope="REGIONAL", regular_expression_list=list(routes)
        ).attr_arn

    def _log_blocked(self, environment: Environment) -> None:
        log_group = logs.LogGroup(
            self,
            "Logs",
            log_group_name=f"aws-waf-logs-litellm-{environment.name}",  # AWS WAF accepts only such names
            retention=logs.RetentionDays.ONE_MONTH,
            removal_policy=RemovalPolicy.DESTROY,
        )
        field = wafv2.CfnLoggingConfiguration.FieldToMatchProperty
        redacted = [field(single_header={"Name": name}) for name in KEY_HEADERS]
        logging = wafv2.CfnLoggingConfiguration(
            self,
            "Logging",
            resource_arn=self.arn,
            log_destination_configs=[
                Stack.of(self).format_arn(
                    service="logs",
                    resource="log-group",
                    resource_name=f"aws-waf-logs-litellm-{environment.name}",
                    arn_format=ArnFormat.COLON_RESOURCE_NAME,
                )
            ],
            # What passes is in the load balancer's log already.
            logging_filter={
                "DefaultBehavior": "DROP",
                "Filters": [
                    {
                        "Behavior": "KEEP",
                        "Requirement": "MEETS_ANY",
                        "Conditions": [{"ActionCondition": {"Action": "BLOCK"}}],
                    }
                ],
            },
            redacted_fields=[*redacted, field(query_string={})],
        )
        logging.node.add_dependency(log_group)


def _path_in(pattern_set_arn: str, *more_transformations: str) -> _Statement:
    """The path, decoded and with `..` and `//` resolved, matches a pattern of the set."""
    return _Statement(
        regex_pattern_set_reference_statement=wafv2.CfnWebACL.RegexPatternSetReferenceStatementProperty(
            arn=pattern_set_arn,
            field_to_match=wafv2.CfnWebACL.FieldToMatchProperty(uri_path={}),
            text_transformations=_transformations("URL_DECODE", "NORMALIZE_PATH", *more_transformations),
        )
    )


def _way_back() -> _Statement:
    return _Statement(
        regex_match_statement=wafv2.CfnWebACL.RegexMatchStatementProperty(
            regex_string=WAY_BACK,
            field_to_match=wafv2.CfnWebACL.FieldToMatchProperty(uri_path={}),
            text_transformations=_transformations("URL_DECODE"),
        )
    )


def _transformations(*kinds: str) -> list[wafv2.CfnWebACL.TextTransformationProperty]:
    return [
        wafv2.CfnWebACL.TextTransformationProperty(priority=priority, type=kind) for priority, kind in enumerate(kinds)
    ]


def _not(statement: _Statement) -> _Statement:
    return _Statement(not_statement=wafv2.CfnWebACL.NotStatementProperty(statement=statement))


def _all(*statements: _Statement) -> _Statement:
    return _Statement(and_statement=wafv2.CfnWebACL.AndStatementProperty(statements=list(statements)))


def _visibility(name: str) -> wafv2.CfnWebACL.VisibilityConfigProperty:
    return wafv2.CfnWebACL.VisibilityConfigProperty(
        cloud_watch_metrics_enabled=True,
        metric_name=name,
        # Samples show whole request headers in the console, keys included.
        sampled_requests_enabled=False,
    )


def _block(priority: int, name: str, statement: _Statement, *, status: int = 403) -> wafv2.CfnWebACL.RuleProperty:
    return wafv2.CfnWebACL.RuleProperty(
        name=name,
        priority=priority,
        statement=statement,
        action=wafv2.CfnWebACL.RuleActionProperty(
            block=wafv2.CfnWebACL.BlockActionProperty(
                custom_response=wafv2.CfnWebACL.CustomResponseProperty(response_code=status)
            )
        ),
        visibility_config=_visibility(name),
    )


def _managed(priority: int, name: str, *, scope_down: _Statement | None = None) -> wafv2.CfnWebACL.RuleProperty:
    return wafv2.CfnWebACL.RuleProperty(
        name=name,
        priority=priority,
        statement=_Statement(
            managed_rule_group_statement=wafv2.CfnWebACL.ManagedRuleGroupStatementProperty(
                vendor_name="AWS", name=name, scope_down_statement=scope_down
            )
        ),
        override_action=wafv2.CfnWebACL.OverrideActionProperty(none={}),
        visibility_config=_visibility(name),
    )
