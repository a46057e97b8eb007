"""The web ACL: which routes answer to whom, before a request reaches LiteLLM."""

from collections.abc import Sequence

from aws_cdk import ArnFormat, Duration, Fn, RemovalPolicy, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_logs as logs
from aws_cdk import aws_wafv2 as wafv2
from constructs import Construct

from stacks.settings import Environment

# What everyone who may reach the load balancer may call, with any method, beside the routes of models: LiteLLM's health
# routes. Besides these and the self-service routes, everything (accounts, teams, models, settings, routes that no model
# of config.yaml can serve, routes that a later version brings) answers only from the management ranges.
# Matched after decoding and normalizing the path.
#
# Claude Code asks for the last when it starts, to have a connection before it needs one: LiteLLM's 404 will do.
HEALTH_ROUTES = r"^/(health/(liveliness|liveness|readiness)|api/hello)$"
# What LiteLLM's UI needs to let people look after themselves, for everyone who may reach the load balancer: open an
# invitation, sign in and out, change one's password, make, list and delete one's own keys (also for one's teams), see
# one's usage and the models, and try them. LiteLLM checks whose data it is. The UI asks for more (banners, its license,
# guardrails, tags, …) and does without. Recorded with LiteLLM 1.106.12: UI_REQUESTS in tests/templates/test_web_acl.py.
# Two lists, by method, so that what may be read cannot be written.
SELF_SERVICE_READS = (  # GET and HEAD
    r"^/ui(/.*)?$",  # static files, like the next; LiteLLM has no other route below
    r"^(/litellm-asset-prefix)?/_next/.+$",
    r"^(/litellm)?/\.well-known/litellm-ui-config$",
    r"^/get_(image|favicon)$",
    r"^/onboarding/get_token$",
    r"^/key/list$",
    r"^/(v2/)?team/list$",
    r"^/v2/(user|model)/info$",
    r"^/user/daily/activity/aggregated(/keys)?$",
    r"^/(model_group/info|public/litellm_(model_cost_map|blog_posts))$",
)
SELF_SERVICE_WRITES = (  # POST
    r"^/onboarding/claim_token$",
    r"^/(v2/login|session/logout|user/password/change)$",
    r"^/key/(generate|delete)$",
)
# Where someone could try passwords and invitations; /login and /v3/login answer management only.
SIGN_IN_ROUTES = r"^/(login|v[23]/login|v3/login/exchange|onboarding/(get|claim)_token|user/password/change)$"
# The most that one address, maybe of a whole office, may send to SIGN_IN_ROUTES in five minutes; an invitation takes
# two. LiteLLM itself turns an address away for five minutes after ten wrong passwords in one (auth/login_throttle.py).
SIGN_INS_PER_ADDRESS = 100
# Closed to everyone. Metrics name users and models; the next run code that a caller sends (advisories GHSA of LiteLLM
# before 1.83.10 went through them). The two after them tell everybody with a key the sums of the whole gateway. The
# last lead straight through to a provider, with the gateway's own credentials and any key: past the list of models, its
# prices, and what the key may use (`mapped_pass_through_routes` of LiteLLM's proxy/_types.py); of those below /openai,
# the deployments are Azure's form of the routes of models. Matched in lower case too.
CLOSED_ROUTES = (
    r"^/metrics(/.*)?$",
    r"^(/.*)?/prompts/test(/.*)?$",
    r"^(/.*)?/guardrails/test_custom_code(/.*)?$",
    r"^(/.*)?/mcp-rest/test(/.*)?$",
    r"^/(spend/tags|global/activity/cache_hits)/?$",
    r"^/openai/([^d]|d[^e])",
    r"^/(openai_passthrough|azure(_ai|_speech)?|bedrock|vertex[_-]ai|gemini|anthropic|mistral|langfuse)(/|$)",
    r"^/(cohere|cursor|(eu\.)?assemblyai|vllm|openrouter|milvus|gigachat|watsonx|nvidia_nim|deepgram)(/|$)",
    r"^/(fal_ai|tinyfish|typesafe|laya|bespoke|transcribe|comprehendmedical|backend-api/codex|plugin-proxy)(/|$)",
)
# A way back in a path, decoded but not normalized. LiteLLM's router resolves none: it takes `/ui/../v1/models` for the
# UI, where the other rules see a model route. Clients resolve a way back before they send.
WAY_BACK = r"(^|/)\.\.(/|$)"
# Headers that carry a caller's key in one format or another: never in the web ACL's log.
KEY_HEADERS = (
    *("authorization", "x-api-key", "api-key", "x-goog-api-key", "x-litellm-api-key"),
    *("ocp-apim-subscription-key", "cookie"),
)

# https://docs.aws.amazon.com/waf/latest/developerguide/limits.html
LONGEST_REGEX = 200
# What is done to a path before it is matched.
NORMAL = ("URL_DECODE", "NORMALIZE_PATH")

_Statement = wafv2.CfnWebACL.StatementProperty


class WebAcl(Construct):
    """A regional web ACL for the load balancer.

    It closes some routes to everyone, opens LLM and self-service routes to whom the load balancer lets in, with those
    that are `also_open`, and all others to the management ranges only, limits each address (sign-ins more tightly), and
    keeps out known bad addresses and inputs. It never looks into, or limits, the body of a request to `routes`, which
    are those of models, or to what is `also_open`: prompts, and what tools are given, are long and full of code.
    Blocked requests are logged, without the headers that carry keys.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        environment: Environment,
        routes: Sequence[str],
        also_open: Sequence[str] = (),
    ) -> None:
        super().__init__(scope, construct_id)
        management = wafv2.CfnIPSet(
            self,
            "ManagementRanges",
            scope="REGIONAL",
            ip_address_version="IPV4",
            addresses=[str(cidr) for cidr in environment.ingress.management_cidrs],
        )
        from_management = _Statement(ip_set_reference_statement={"arn": management.attr_arn})
        # The one pattern set, as several rules refer to it: an account has ten of them in a region, and environments.
        llm_route = _path_in(self._patterns("LlmRoutes", [*routes, HEALTH_ROUTES]))
        open_route = _any(llm_route, _path_among(also_open)) if also_open else llm_route
        closed_route = _path_among(CLOSED_ROUTES, "LOWERCASE")
        self_service = _any(
            _all(_method("^(GET|HEAD)$"), _path_among(SELF_SERVICE_READS)),
            _all(_method("^POST$"), _path_among(SELF_SERVICE_WRITES)),
        )
        sign_in = _path_among([SIGN_IN_ROUTES])
        rules = [
            _block(0, "WaysBack", _path_like(WAY_BACK, "URL_DECODE")),
            _block(1, "ClosedRoutes", closed_route),
            _block(2, "ManagementRoutes", _all(_not(open_route), _not(self_service), _not(from_management))),
            _block(3, "RatePerAddress", _rate(environment.ingress.requests_per_address), status=429),
            _block(4, "SignInRatePerAddress", _rate(SIGN_INS_PER_ADDRESS, of=sign_in), status=429),
            _managed(5, "AWSManagedRulesAmazonIpReputationList"),
            # It inspects bodies, so it is kept away from prompts.
            _managed(6, "AWSManagedRulesKnownBadInputsRuleSet", scope_down=_not(open_route)),
        ]
        self.rules = tuple(rule.name for rule in rules)
        web_acl = wafv2.CfnWebACL(
            self,
            "Default",
            scope="REGIONAL",
            default_action=wafv2.CfnWebACL.DefaultActionProperty(allow={}),
            visibility_config=_visibility("WebAcl"),
            rules=rules,
        )
        self.arn = web_acl.attr_arn
        self.name = Fn.select(0, Fn.split("|", web_acl.ref))  # from name|id|scope
        self._log_blocked(environment)

    def metric_blocked(self, rule: str = "ALL") -> cloudwatch.Metric:
        """How many requests in five minutes a rule has blocked, or all of them together.

        The dimension WebACL is the web ACL's name; its metric's name is that of the default action, as of a rule.
        """
        return cloudwatch.Metric(
            namespace="AWS/WAFV2",
            metric_name="BlockedRequests",
            dimensions_map={"WebACL": self.name, "Region": Stack.of(self).region, "Rule": rule},
            statistic="Sum",
            period=Duration.minutes(5),
        )

    def _patterns(self, construct_id: str, routes: Sequence[str]) -> str:
        return wafv2.CfnRegexPatternSet(
            self, construct_id, scope="REGIONAL", regular_expression_list=list(routes)
        ).attr_arn

    def _log_blocked(self, environment: Environment) -> None:
        self.log_group = logs.LogGroup(
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
        logging.node.add_dependency(self.log_group)


def _path_in(pattern_set_arn: str) -> _Statement:
    """The path, decoded and with `..` and `//` resolved, matches a pattern of the set."""
    return _Statement(
        regex_pattern_set_reference_statement=wafv2.CfnWebACL.RegexPatternSetReferenceStatementProperty(
            arn=pattern_set_arn,
            field_to_match=wafv2.CfnWebACL.FieldToMatchProperty(uri_path={}),
            text_transformations=_transformations(*NORMAL),
        )
    )


def _path_among(routes: Sequence[str], *more_transformations: str) -> _Statement:
    """The path, decoded and with `..` and `//` resolved, matches one of the patterns."""
    return _any(*(_path_like(regex, *NORMAL, *more_transformations) for regex in _joined(routes)))


def _joined(routes: Sequence[str]) -> list[str]:
    """The patterns in as few regular expressions as AWS WAF's limit allows."""
    joined = list(routes[:1])
    for route in routes[1:]:
        if len(f"{joined[-1]}|{route}") <= LONGEST_REGEX:
            joined[-1] = f"{joined[-1]}|{route}"
        else:
            joined.append(route)
    return joined


def _path_like(regex: str, *transformations: str) -> _Statement:
    return _Statement(
        regex_match_statement=wafv2.CfnWebACL.RegexMatchStatementProperty(
            regex_string=regex,
            field_to_match=wafv2.CfnWebACL.FieldToMatchProperty(uri_path={}),
            text_transformations=_transformations(*transformations),
        )
    )


def _method(regex: str) -> _Statement:
    return _Statement(
        regex_match_statement=wafv2.CfnWebACL.RegexMatchStatementProperty(
            regex_string=regex,
            field_to_match=wafv2.CfnWebACL.FieldToMatchProperty(method={}),
            text_transformations=_transformations("NONE"),
        )
    )


def _rate(limit: int, *, of: _Statement | None = None) -> _Statement:
    """More than `limit` requests in five minutes from one address, of those that match `of`, or of all."""
    return _Statement(
        rate_based_statement=wafv2.CfnWebACL.RateBasedStatementProperty(
            aggregate_key_type="IP", limit=limit, evaluation_window_sec=300, scope_down_statement=of
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


def _any(*statements: _Statement) -> _Statement:
    if len(statements) == 1:  # AWS WAF wants two at least
        return statements[0]
    return _Statement(or_statement=wafv2.CfnWebACL.OrStatementProperty(statements=list(statements)))


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
