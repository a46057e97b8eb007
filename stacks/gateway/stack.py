"""The gateway: LiteLLM as a Fargate service behind the edge, migrated before it changes."""

from collections.abc import Sequence
from typing import Any

from aws_cdk import Acknowledgment, Duration, RemovalPolicy, Size, Stack, Validations
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecr_assets as ecr_assets
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_rds as rds
from aws_cdk import aws_servicediscovery as servicediscovery
from aws_cdk import aws_ses as ses
from aws_cdk import aws_ssm as ssm
from constructs import Construct

from stacks import CHECKOUT
from stacks.constructs.parameter_secret import ParameterSecret
from stacks.gateway.bedrock import BedrockResources
from stacks.gateway.capacity import Capacity
from stacks.gateway.edge import Edge
from stacks.gateway.migration import Migration
from stacks.gateway.sleep import DATABASE_CONNECT_SECONDS, Sleeping
from stacks.gateway.smtp_credentials import SmtpCredentials
from stacks.gateway.timeouts import Timeouts
from stacks.litellm_config import MAX_IN_FLIGHT, SERVED_AS, LiteLlmConfig, image_version
from stacks.network import CACHE_PORT, GATEWAY_PORT, POSTGRES_PORT, as_it_is
from stacks.releases.image import build_context, by_digest
from stacks.settings import DATABASE_NAME, DATABASE_USERNAME, Environment

CONTAINER = CHECKOUT / "container"
CONTAINER_NAME = "litellm"
SERVE = ("litellm", "--config", "config.yaml")
MIGRATE = (*SERVE, "--skip_server_startup")
# Asked with what the image has: Python, and no curl. The workers answer it themselves, and may be busy.
HEALTH_CHECK = (
    "import os, urllib.request; "
    "urllib.request.urlopen(f'http://127.0.0.1:{os.environ[\"PORT\"]}/health/liveliness', timeout=10)"
)
# The only places that the container can write to; its root file system is read-only.
WRITABLE = {"state": "/var/lib/litellm", "tmp": "/tmp"}  # noqa: S108 - the container's, not this machine's
PRIVATE_NAME = "gateway"
# Until the first answer: measured on two cores with the bytecode that the image has too (container/Dockerfile). A task
# may have one core: what waits for a start waits for several times this.
START_SECONDS = 45


class GatewayStack(Stack):
    """LiteLLM on ECS Fargate: image, task, migration, service, scaling, load balancer and web ACL.

    Nothing in it is state: it can be deleted and made again, and finds its accounts in the database.

    `private_url` is the way for functions in the VPC, past the public edge, its web ACL and its log: a name that only
    the VPC resolves, to the tasks' own addresses. It is plain HTTP, as from the load balancer to the tasks: within the
    VPC, and only for who is in the security groups that the network stack lets in.

    `cache` is the host of the Valkey that the tasks share, if there is one.

    Raises
    ------
    SettingsError
        `image`, the release's, is not given by its digest.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        environment: Environment,
        config: LiteLlmConfig,
        vpc: ec2.IVpc,
        load_balancer_group: ec2.ISecurityGroup,
        gateway_group: ec2.ISecurityGroup,
        database: rds.IDatabaseCluster,
        cache: str | None,
        configuration_set: ses.IConfigurationSet,
        image: str | None = None,
        **kwargs: Any,  # noqa: ANN401 - a stack's own properties
    ) -> None:
        super().__init__(scope, construct_id, **kwargs)
        self._environment = environment
        self._config = config
        self._database = database
        self._cache = cache
        self._group = as_it_is(self, "GatewayGroup", gateway_group)
        self._timeouts = Timeouts(config.request_timeout)
        self.edge = Edge(
            self,
            "Edge",
            environment=environment,
            vpc=vpc,
            security_group=as_it_is(self, "LoadBalancerGroup", load_balancer_group),
            timeouts=self._timeouts,
            routes=config.llm_routes,
            also_open=config.opened_routes(environment.ingress.also_open),
        )
        self.cluster = ecs.Cluster(
            self,
            "Cluster",
            vpc=vpc,
            container_insights_v2=ecs.ContainerInsights.ENABLED,
            # From day one: a service cannot change from a launch type to capacity providers without being replaced.
            enable_fargate_capacity_providers=True,
        )
        self.log_group = logs.LogGroup(
            self,
            "Logs",
            retention=logs.RetentionDays[environment.log_retention],
            removal_policy=RemovalPolicy.RETAIN if environment.deletion_protection else RemovalPolicy.DESTROY,
        )
        self._image = self._container_image(image)
        self.version = image_version(CONTAINER / "Dockerfile")
        self._secrets = {
            name: ParameterSecret(
                ssm.StringParameter.from_secure_string_parameter_attributes(
                    self, f"Secret-{name}", parameter_name=environment.parameter(name)
                )
            )
            for name in config.secrets
        }
        self._smtp = (
            SmtpCredentials(
                self,
                "SmtpCredentials",
                environment=environment,
                configuration_set=configuration_set,
            )
            if "SMTP_USERNAME" in config.secrets
            else None
        )
        self._bedrock = BedrockResources(self, "Bedrock", environment=environment)
        migration = Migration(
            self,
            "Migration",
            cluster=self.cluster,
            task_definition=self._task("MigrationTask", MIGRATE, DISABLE_SCHEMA_UPDATE="false"),
            version=self.version,
            security_group=self._group,
            log_group=self.log_group,
            log_stream_prefix=f"{CONTAINER_NAME}/{CONTAINER_NAME}",
        )
        task = self._task("Task", SERVE, DISABLE_SCHEMA_UPDATE="true")
        self._permit(task)
        self.private_url, registration = self._private_name(vpc)
        self.service = self._service(task, registration)
        # The cluster too: its capacity providers come before the service, and leave after it.
        self.service.node.add_dependency(migration, self.cluster)
        if self._smtp:  # makes two of the tasks' secrets
            migration.node.add_dependency(self._smtp)
            self.service.node.add_dependency(self._smtp)
        self.edge.forward_to(self._target())
        self.capacity = Capacity(
            self, "Capacity", environment=environment, log_group=self.log_group, service=self.service
        )
        self.sleeping = (
            Sleeping(
                self,
                "Sleep",
                environment=environment,
                settings=environment.sleep,
                edge=self.edge,
                cluster=self.cluster,
                service=self.service,
                task=task,
                tasks=self.capacity.tasks,
            )
            if environment.sleep
            else None
        )
        self._publish()

    def _container_image(self, built: str | None) -> ecs.ContainerImage:
        """The release's image, which was built once for every environment; else one that the deployment builds."""
        if built:
            return by_digest(self, "Image", built)
        return ecs.ContainerImage.from_docker_image_asset(
            ecr_assets.DockerImageAsset(
                self,
                "Image",
                directory=str(build_context(CONTAINER, self._config.path)),
                platform=ecr_assets.Platform.LINUX_ARM64,
            )
        )

    def _task(self, construct_id: str, command: Sequence[str], **variables: str) -> ecs.FargateTaskDefinition:
        settings = self._environment.gateway
        task = ecs.FargateTaskDefinition(
            self,
            construct_id,
            cpu=settings.cpu,
            memory_limit_mib=settings.memory,
            runtime_platform=ecs.RuntimePlatform(
                cpu_architecture=ecs.CpuArchitecture.ARM64, operating_system_family=ecs.OperatingSystemFamily.LINUX
            ),
            volumes=[ecs.Volume(name=name) for name in WRITABLE],
        )
        container = task.add_container(
            CONTAINER_NAME,
            image=self._image,
            command=list(command),
            environment=self._variables() | variables,
            secrets=self._secrets,
            port_mappings=[ecs.PortMapping(container_port=GATEWAY_PORT)],
            logging=ecs.LogDrivers.aws_logs(
                stream_prefix=CONTAINER_NAME,
                log_group=self.log_group,
                # A slow log service must not stop answers: lines are dropped once the buffer is full.
                mode=ecs.AwsLogDriverMode.NON_BLOCKING,
                max_buffer_size=Size.mebibytes(25),
            ),
            health_check=ecs.HealthCheck(
                command=["CMD", "python3", "-c", HEALTH_CHECK],
                interval=Duration.seconds(30),
                timeout=Duration.seconds(15),
                retries=3,
                start_period=Duration.seconds(3 * START_SECONDS),
            ),
            readonly_root_filesystem=True,
            linux_parameters=ecs.LinuxParameters(self, f"{construct_id}Linux", init_process_enabled=True),
            stop_timeout=Duration.seconds(120),  # the most that Fargate waits after SIGTERM
        )
        container.add_mount_points(
            *(
                ecs.MountPoint(source_volume=name, container_path=path, read_only=False)
                for name, path in WRITABLE.items()
            )
        )
        Validations.of(task).acknowledge(
            Acknowledgment(
                id="AwsSolutions-ECS2",
                reason="Plain variables are plain (addresses, sizes); every secret is a reference to Parameter Store",
            ),
            Acknowledgment(
                id="AwsSolutions-IAM5[Resource::*]",
                reason="ecr:GetAuthorizationToken, which starting a task needs, and bedrock:Rerank know no resources",
            ),
        )
        return task

    def _variables(self) -> dict[str, str]:
        """The task's plain variables, but for the one that tells a migration from the service."""
        environment, state = self._environment, WRITABLE["state"]
        given = environment.plain_variables | self._bedrock.variables
        needed = {name: given[name] for name in self._config.variables}
        if self._smtp:
            # LiteLLM does not read it. Tasks read secrets when they start: another key starts new ones.
            needed["SMTP_CREDENTIALS_LABEL"] = self._smtp.label
        return needed | {
            "AWS_REGION": environment.region,  # to which config.yaml may refer, and whose STS assumes roles
            "PORT": str(GATEWAY_PORT),
            "NUM_WORKERS": str(environment.gateway.workers),
            # Seconds. With several workers uvicorn ends one that has not answered for 5, as one that imports LiteLLM
            # beside others on a busy machine, again and again.
            "TIMEOUT_WORKER_HEALTHCHECK": str(3 * START_SECONDS),
            MAX_IN_FLIGHT: str(environment.gateway.max_in_flight_requests),
            "KEEPALIVE_TIMEOUT": str(self._timeouts.keep_alive),  # seconds; uvicorn's own would be 5
            **SERVED_AS,
            # Seconds between writes of spend, so that a busy gateway does not write a row per call. Not in config.yaml:
            # a local run is more impatient.
            "PROXY_BATCH_WRITE_AT": "60",
            "PROXY_BASE_URL": self.edge.url,
            **self._asked_by(),
            **self._shared(),
            "DD_VERSION": self.version,
            "UI_USERNAME": "admin",
            "DATABASE_HOST": self._database.cluster_endpoint.hostname,
            "DATABASE_PORT": str(POSTGRES_PORT),
            "DATABASE_NAME": DATABASE_NAME,
            "DATABASE_USERNAME": DATABASE_USERNAME,
            **({"DATABASE_CONNECT_TIMEOUT": str(DATABASE_CONNECT_SECONDS)} if environment.sleep else {}),
            "HOME": state,
        }

    def _asked_by(self) -> dict[str, str]:
        """What container/budgets.py tells people to ask for a larger budget with, where there is such a command."""
        onboarding = self._environment.onboarding
        return {"BUDGET_COMMAND": onboarding.command} if onboarding else {}

    def _shared(self) -> dict[str, str]:
        """Where the tasks find what they share, by LiteLLM's names; container/entrypoint.sh tells LiteLLM to use it.

        Each call waits for it 0.1 s at most, LiteLLM's own REDIS_SOCKET_TIMEOUT. After five failures in a row a worker
        counts for itself, and asks again after a while, by one call.
        """
        if self._cache is None:
            return {}
        return {
            "REDIS_HOST": self._cache,
            "REDIS_PORT": str(CACHE_PORT),
            "REDIS_SSL": "True",
            "REDIS_SOCKET_CONNECT_TIMEOUT": "0.5",  # seconds, TLS included; redis-py's own would be 5
            "REDIS_CIRCUIT_BREAKER_RECOVERY_TIMEOUT": "10",  # seconds; LiteLLM's own would be 60
        }

    def _permit(self, task: ecs.FargateTaskDefinition) -> None:
        """Let the service do what the models and guardrails of config.yaml take, and nothing else."""
        self._bedrock.permit(task, self._config.variables)
        for actions, resources in self._config.permissions(partition=self.partition, account=self._environment.account):
            task.add_to_task_role_policy(iam.PolicyStatement(actions=list(actions), resources=list(resources)))

    def _private_name(self, vpc: ec2.IVpc) -> tuple[str, ecs.CloudMapOptions]:
        """The URL of the service in the VPC, and how its tasks register there."""
        namespace = servicediscovery.PrivateDnsNamespace(
            self,
            "Namespace",
            vpc=vpc,
            name=f"{self._environment.name}.litellm.internal",
            description="LiteLLM's tasks, for the functions that manage accounts",
        )
        registration = ecs.CloudMapOptions(
            cloud_map_namespace=namespace,
            name=PRIVATE_NAME,
            dns_record_type=servicediscovery.DnsRecordType.A,
            dns_ttl=Duration.seconds(10),  # how long a task that has ended may still be asked
        )
        return f"http://{PRIVATE_NAME}.{namespace.namespace_name}:{GATEWAY_PORT}", registration

    def _service(self, task: ecs.FargateTaskDefinition, registration: ecs.CloudMapOptions) -> ecs.FargateService:
        provider = "FARGATE_SPOT" if self._environment.gateway.spot else "FARGATE"
        return ecs.FargateService(
            self,
            "Service",
            cluster=self.cluster,
            task_definition=task,
            capacity_provider_strategies=[ecs.CapacityProviderStrategy(capacity_provider=provider, weight=1)],
            vpc_subnets=ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS),
            security_groups=[self._group],
            cloud_map_options=registration,
            circuit_breaker=ecs.DeploymentCircuitBreaker(rollback=True),
            min_healthy_percent=100,
            max_healthy_percent=200,
            availability_zone_rebalancing=ecs.AvailabilityZoneRebalancing.ENABLED,
            health_check_grace_period=Duration.seconds(4 * START_SECONDS),
            enable_execute_command=False,
            propagate_tags=ecs.PropagatedTagSource.SERVICE,
        )

    def _target(self) -> ecs.IEcsLoadBalancerTarget:
        return self.service.load_balancer_target(container_name=CONTAINER_NAME, container_port=GATEWAY_PORT)

    def _publish(self) -> None:
        """What other systems read of this environment, beside its secrets in Parameter Store."""
        facts = {
            "base-url": self.edge.url,
            "cluster": self.cluster.cluster_name,
            "service": self.service.service_name,
            "litellm-version": self.version,
        }
        for name, value in facts.items():
            ssm.StringParameter(
                self, f"Parameter-{name}", parameter_name=self._environment.parameter(name), string_value=value
            )
