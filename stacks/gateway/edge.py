"""The edge: what stands between a caller and LiteLLM. A load balancer, its certificate and name, and a web ACL."""

from collections.abc import Sequence

from aws_cdk import Acknowledgment, Duration, RemovalPolicy, Validations
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from aws_cdk import aws_route53 as route53
from aws_cdk import aws_route53_targets as targets
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_wafv2 as wafv2
from constructs import Construct

from stacks.gateway.timeouts import Timeouts
from stacks.gateway.web_acl import WebAcl
from stacks.network import GATEWAY_PORT
from stacks.settings import Environment

# What Google's SDK asks for under the version `v1`, its default since google-genai 3 (GOOGLE_AI_API_DEFAULT_VERSION of
# its _api_client.py). LiteLLM has these methods under `/v1beta/models/…` and `/models/…` only
# (proxy/google_endpoints/endpoints.py), and answers 405. The pattern takes a URL to its end, its query too if it has
# one, so that nothing is left to how AWS puts in what matches a part. "If there is no pattern match, the original
# request is sent to the target": Elastic Load Balancing, "Transforms for listener rules".
GOOGLE_V1 = r"^/v1/models/([^/?]+(:|%3[Aa])(generateContent|streamGenerateContent|countTokens)([?].*)?)$"
GOOGLE_V1BETA = "/v1beta/models/$1"


class Edge(Construct):
    """An HTTPS load balancer with the environment's name and certificate, behind a web ACL.

    It answers for its own host name only (403 otherwise), redirects HTTP, logs every access to a bucket, and keeps a
    connection as long as the longest request. The web ACL opens `routes`, those of models, to everyone it lets in.

    Public and internal load balancers are two, each with a target group, since `ingress.public` may change where this
    is deployed: AWS cannot move a load balancer, and a target group belongs to one at a time ("cannot be associated
    with more than one load balancer"; aws/aws-cdk issue 33253). So CloudFormation makes the other pair, leads service
    and name to it, and removes the old one; a protected load balancer it leaves, without listeners and in no stack.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        environment: Environment,
        vpc: ec2.IVpc,
        security_group: ec2.ISecurityGroup,
        timeouts: Timeouts,
        routes: Sequence[str],
        also_open: Sequence[str],
    ) -> None:
        super().__init__(scope, construct_id)
        self._environment = environment
        self._kind = "" if environment.ingress.public else "Internal"  # of load balancer, in the ids
        self._timeouts = timeouts
        self.url = f"https://{environment.domain}"
        self.load_balancer = self._load_balancer(vpc, security_group)
        zone = route53.HostedZone.from_hosted_zone_attributes(
            self, "HostedZone", hosted_zone_id=environment.hosted_zone.id, zone_name=environment.hosted_zone.name
        )
        self._listener = self._https_listener(zone)
        self._redirect_http()
        route53.ARecord(
            self,
            "Alias",
            zone=zone,
            record_name=f"{environment.domain}.",
            target=route53.RecordTarget.from_alias(targets.LoadBalancerTarget(self.load_balancer)),
        )
        self.web_acl = WebAcl(self, "WebAcl", environment=environment, routes=routes, also_open=also_open)
        wafv2.CfnWebACLAssociation(
            self,
            "WebAclAssociation",
            resource_arn=self.load_balancer.load_balancer_arn,
            web_acl_arn=self.web_acl.arn,
        )

    def forward_to(self, target: elbv2.IApplicationLoadBalancerTarget) -> elbv2.ApplicationTargetGroup:
        """Send the requests for the gateway's own host name to `target`, and check its health."""
        self.targets = group = elbv2.ApplicationTargetGroup(
            self,
            f"{self._kind}Targets",
            vpc=self.load_balancer.vpc,
            port=GATEWAY_PORT,
            protocol=elbv2.ApplicationProtocol.HTTP,
            target_type=elbv2.TargetType.IP,
            targets=[target],
            # The longest answer still ends on the old task.
            deregistration_delay=Duration.seconds(self._timeouts.deregistration),
            load_balancing_algorithm_type=elbv2.TargetGroupLoadBalancingAlgorithmType.LEAST_OUTSTANDING_REQUESTS,
            health_check=elbv2.HealthCheck(
                # Alive, not ready: readiness asks the database, and a failover of Aurora must not restart every task.
                path="/health/liveliness",
                interval=Duration.seconds(15),
                # The workers answer it themselves, and may be busy with long prompts.
                timeout=Duration.seconds(10),
                healthy_threshold_count=2,
                unhealthy_threshold_count=4,
            ),
        )
        rule = elbv2.ApplicationListenerRule(
            self._listener,
            "OwnHostNameRule",
            listener=self._listener,
            priority=1,
            conditions=[elbv2.ListenerCondition.host_headers([self._environment.domain])],
            action=elbv2.ListenerAction.forward([group]),
        )
        self._translate_google_v1(rule)
        self.forwards = rule
        return group

    def answer_instead(self, body: str) -> elbv2.ApplicationListenerRule:
        """Make a rule that answers its own host name with 503 and `body`, JSON. It comes after the one that forwards,
        and so does nothing until somebody puts it before that.
        """
        return elbv2.ApplicationListenerRule(
            self._listener,
            "AsleepRule",
            listener=self._listener,
            priority=2,
            conditions=[elbv2.ListenerCondition.host_headers([self._environment.domain])],
            action=elbv2.ListenerAction.fixed_response(503, content_type="application/json", message_body=body),
        )

    def _translate_google_v1(self, rule: elbv2.ApplicationListenerRule) -> None:
        """Have the rule lead Google's methods under `/v1` to where LiteLLM has them. (The CDK's own rule has none.)"""
        resource = rule.node.default_child
        if not isinstance(resource, elbv2.CfnListenerRule):
            raise TypeError(f"{rule.node.path} is made of {resource}, and no ListenerRule to add a transform to")
        resource.transforms = [
            elbv2.CfnListenerRule.TransformProperty(
                type="url-rewrite",
                url_rewrite_config=elbv2.CfnListenerRule.RewriteConfigObjectProperty(
                    rewrites=[
                        elbv2.CfnListenerRule.RewriteConfigProperty(regex=GOOGLE_V1, replace=GOOGLE_V1BETA),
                    ]
                ),
            )
        ]

    def metric_targets(
        self, name: str, statistic: str, period: Duration, label: str | None = None
    ) -> cloudwatch.Metric:
        """A figure of the tasks behind the load balancer. (The CDK's own would take its name out of a listener's.)"""
        return self.load_balancer.metrics.custom(
            name,
            dimensions_map={
                "LoadBalancer": self.load_balancer.load_balancer_full_name,
                "TargetGroup": self.targets.target_group_full_name,
            },
            statistic=statistic,
            period=period,
            label=label,
        )

    def _load_balancer(self, vpc: ec2.IVpc, security_group: ec2.ISecurityGroup) -> elbv2.ApplicationLoadBalancer:
        public = self._environment.ingress.public
        load_balancer = elbv2.ApplicationLoadBalancer(
            self,
            f"{self._kind}LoadBalancer",
            vpc=vpc,
            internet_facing=public,
            vpc_subnets=ec2.SubnetSelection(
                subnet_type=ec2.SubnetType.PUBLIC if public else ec2.SubnetType.PRIVATE_WITH_EGRESS
            ),
            security_group=security_group,
            deletion_protection=self._environment.deletion_protection,
            # A completion may be silent for as long as LiteLLM waits for it. The default of 60 s would cut it.
            idle_timeout=Duration.seconds(self._timeouts.idle),
            drop_invalid_header_fields=True,
        )
        self.access_logs = self._access_logs()
        load_balancer.log_access_logs(self.access_logs)
        return load_balancer

    def _access_logs(self) -> s3.Bucket:
        bucket = s3.Bucket(
            self,
            "AccessLogs",
            encryption=s3.BucketEncryption.S3_MANAGED,  # the only kind that load balancers write to
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            enforce_ssl=True,
            lifecycle_rules=[s3.LifecycleRule(expiration=Duration.days(self._environment.log_retention_days))],
            # Kept when the gateway goes: who called is asked for afterwards. The rule above empties it.
            removal_policy=RemovalPolicy.RETAIN,
        )
        Validations.of(bucket).acknowledge(
            Acknowledgment(
                id="AwsSolutions-S1",
                reason="It holds access logs itself; who reads them is in CloudTrail",
            )
        )
        return bucket

    def _https_listener(self, zone: route53.IHostedZone) -> elbv2.ApplicationListener:
        arn = self._environment.certificate_arn
        self.certificate = (
            acm.Certificate.from_certificate_arn(self, "Certificate", arn)
            if arn
            else acm.Certificate(
                self,
                "Certificate",
                domain_name=self._environment.domain,
                validation=acm.CertificateValidation.from_dns(zone),
            )
        )
        return self.load_balancer.add_listener(
            "Https",
            port=443,
            protocol=elbv2.ApplicationProtocol.HTTPS,
            certificates=[self.certificate],
            # TLS 1.3, and 1.2 with forward secrecy, with post-quantum key exchange where the caller has it.
            ssl_policy=elbv2.SslPolicy.TLS13_12_RES_PQ,
            open=False,
            default_action=elbv2.ListenerAction.fixed_response(
                403, content_type="text/plain", message_body="This gateway answers only for its own host name.\n"
            ),
        )

    def _redirect_http(self) -> None:
        self.load_balancer.add_listener(
            "Http",
            port=80,
            protocol=elbv2.ApplicationProtocol.HTTP,
            open=False,
            default_action=elbv2.ListenerAction.redirect(
                protocol="HTTPS", port="443", host=self._environment.domain, permanent=True
            ),
        )
