"""What is drawn: every card and label of an environment's picture, with numbers that are read from its templates.

What the templates do not hold comes from the company's settings and its config.yaml: the VPC that was there already,
the providers, their regions and hosts. Nothing here knows where in the picture it goes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ops.diagram.cards import Card
from ops.diagram.words import number, ranges
from ops.templates import Facts, Properties
from stacks.litellm_config import ROWS, LiteLlmConfig, Provider
from stacks.observability.watched import FOLDER
from stacks.settings import Environment


@dataclass(frozen=True)
class Contents:
    """What the picture of an environment says."""

    environment: Environment
    config: LiteLlmConfig
    facts: Facts

    # Who calls, and what stands before the VPC

    def everyone(self) -> Card:
        """Who may use the gateway: the ranges that the load balancer lets in."""
        lines = ("applications, agents,", "SDKs; their own keys", *ranges(self.facts.callers()))
        return Card("people", "Everyone", lines)

    def operators(self) -> Card:
        """Who may manage it: the ranges that the web ACL lets to the administrators' pages."""
        management = self.facts.only("AWS::WAFv2::IPSet")["Addresses"]
        return Card("people", "Operators", ("admin UI, accounts,", "keys, everything", *ranges(management)))

    def protocol(self) -> str:
        """What they speak, by the ports that answer: HTTPS serves, HTTP only redirects."""
        ports = {item["Port"] for item in self.facts.resources("AWS::ElasticLoadBalancingV2::Listener").values()}
        return "HTTPS" if 443 in ports else "HTTP"

    def edge(self) -> tuple[Card, ...]:
        """What the load balancer is reached and guarded by: the name, the certificate, the web ACL."""
        rules = self.facts.only("AWS::WAFv2::WebACL")["Rules"]
        host = self.facts.only("AWS::Route53::RecordSet", "EdgeAlias")["Name"].rstrip(".")
        made = any(name.startswith("Gateway/") for name in self.facts.resources("AWS::CertificateManager::Certificate"))
        return (
            Card("network", "Route 53", (f"alias {host}",)),
            Card("security", "Certificate Manager", (f"TLS certificate, {'validated by DNS' if made else 'given'}",)),
            Card("security", "AWS WAF", (f"web ACL of {number(len(rules), 'rule')}",)),
        )

    # In the VPC

    def vpc(self) -> str:
        """The VPC and its range. One that was there already is not in the templates."""
        if existing := self.environment.network.vpc:
            return f"VPC {existing.id}, {self.environment.network.cidr}"
        return f"VPC {self.facts.only('AWS::EC2::VPC')['CidrBlock']}"

    def tier(self, name: str) -> str:
        """A tier of subnets, with their size where they are new."""
        sizes = sorted({one["CidrBlock"].split("/")[1] for one in self.facts.subnets(name).values()})
        return f"{name} subnets{f', /{sizes[0]}' if sizes else ''}"

    def balancer(self) -> Card:
        """The load balancer: which side it is on, and how long it waits."""
        facing = self.facts.only("AWS::ElasticLoadBalancingV2::LoadBalancer")["Scheme"]
        idle = self.facts.attribute("idle_timeout.timeout_seconds")
        words = f"{facing}; HTTPS for its own host name only; idle for up to {idle} s"
        return Card("network", "Application Load Balancer", (words,))

    def tasks(self) -> Card:
        """The service: how many tasks of which size, and when there are more."""
        scaling = self.facts.only("AWS::ApplicationAutoScaling::ScalableTarget")
        task = self.facts.only("AWS::ECS::TaskDefinition", "/Task")
        least, most = scaling["MinCapacity"], scaling["MaxCapacity"]
        cpu = self.facts.scaling_target("ECSServiceAverageCPUUtilization")
        in_flight = self.facts.scaling_target("InFlight")
        machine = task["RuntimePlatform"]["CpuArchitecture"]
        more = f"a task more at {cpu} % CPU or {in_flight} requests in hand; " if most > least else ""
        providers = self.facts.only("AWS::ECS::Service")["CapacityProviderStrategy"]
        spot = any(one["CapacityProvider"] == "FARGATE_SPOT" for one in providers)
        return Card(
            "compute",
            f"Amazon ECS on Fargate{' Spot' * spot}: LiteLLM {self.facts.parameter('litellmversion')}",
            (
                f"{f'{least} to ' if most > least else ''}{number(most, 'task')} of {int(task['Cpu']) / 1024:g} vCPU "
                f"and {int(task['Memory']) / 1024:g} GiB ({machine}), read-only, not root",
                f"{more}a failed deployment rolls back",
            ),
        )

    def _container(self) -> Properties:
        task = self.facts.only("AWS::ECS::TaskDefinition", "/Task")
        return dict(task["ContainerDefinitions"][0])

    def container_port(self) -> str:
        """What the load balancer asks the tasks by."""
        return f"HTTP {self._container()['PortMappings'][0]['ContainerPort']}"

    def migration(self) -> Card:
        """The task that changes the database's tables."""
        assert self.facts.only("Custom::DatabaseMigration")  # noqa: S101 - the box is drawn because of it
        return Card("compute", "Migration task", ("before the service changes",))

    def database_port(self) -> str:
        """What the tasks ask the database by."""
        port = self.facts.only("AWS::EC2::SecurityGroupIngress", "DatabaseGroup")["ToPort"]
        return f"TLS {port}"

    def cluster(self) -> str:
        """The database: its version, its size, its backups."""
        cluster = self.facts.only("AWS::RDS::DBCluster")
        scaling = cluster["ServerlessV2ScalingConfiguration"]
        days = number(cluster["BackupRetentionPeriod"], "day")
        return (
            f"Aurora PostgreSQL {cluster['EngineVersion']} Serverless v2, {scaling['MinCapacity']:g} to "
            f"{scaling['MaxCapacity']:g} ACU, own key, TLS only, restorable for {days}"
        )

    def instances(self) -> Iterator[tuple[str, str]]:
        """The zone of each of the database's instances, and what it is there for."""
        for name, instance in self.facts.resources("AWS::RDS::DBInstance").items():
            yield instance["AvailabilityZone"], "Writer" if "Writer" in name else "Reader, for failover"

    # Accounts on request

    def has_accounts(self) -> bool:
        """Whether people get accounts by asking in Slack."""
        return self.facts.function("onboarding.receiver") is not None

    def _function(self, module: str) -> Properties:
        found = self.facts.function(module)
        if found is None:
            raise LookupError(f"no function is {module}: ops/diagram must be told what took its place")
        return found

    def request(self) -> tuple[Card, ...]:
        """The way of a request for an account, from Slack to the function that asks LiteLLM."""
        receiver, worker = (self._function(f"onboarding.{name}") for name in ("receiver", "worker"))
        assert "VpcConfig" in worker  # noqa: S101 - the picture says so
        assert "VpcConfig" not in receiver  # noqa: S101
        called = (
            self.facts.only("AWS::ApiGatewayV2::DomainName")["DomainName"],
            self.facts.only("AWS::ApiGatewayV2::Route")["RouteKey"],
        )
        worked = ("in the private subnets;", f"retries; {worker['Timeout']} s, {worker['MemorySize']} MB")
        return (
            Card("network", "API Gateway: HTTP", called),
            Card("compute", "Lambda: receiver", ("checks the signature,", f"answers; {receiver['MemorySize']} MB")),
            Card("storage", "Amazon SQS, FIFO", (f"{self.facts.attempts()} attempts, then the", "dead-letter queue")),
            Card("compute", "Lambda: worker", worked),
        )

    def beside_requests(self) -> tuple[Card, ...]:
        """What else looks after accounts."""
        schedule = self.facts.only("AWS::Scheduler::Schedule", "Onboarding/")["ScheduleExpression"]
        return (
            Card("compute", "Lambda: sweep", (f"EventBridge, {schedule}:", "closes accounts of who has left")),
            Card("compute", "Lambda: bounces", ("mail that did not arrive, by", "Amazon SNS to the audit channel")),
            Card("database", "Amazon DynamoDB", ("requests that were done,", "so that each is done once")),
        )

    def slack(self) -> Card:
        """Where people ask for an account."""
        assert self.environment.onboarding  # noqa: S101 - there are its functions
        return Card("outside", "Slack", (f"form, {self.environment.onboarding.command},", "buttons; who has left"))

    # Usage

    def alarms(self) -> Card:
        """CloudWatch, and who hears of its alarms."""
        told = [
            *(["mail"] if self.facts.told_by_mail() else []),
            *(["Slack"] if self.facts.told_in_slack() else []),
        ]
        alarms = number(len(self.facts.resources("AWS::CloudWatch::Alarm")), "alarm")
        return Card(
            "management",
            "CloudWatch",
            (f"{alarms}, a dashboard;", f"SNS: {' and '.join(told)}" if told else "SNS: nobody listens yet"),
        )

    def datadog(self) -> list[Card]:
        """The function that makes what Datadog has of the gateway, if it has anything."""
        if not self.facts.resources("Custom::DatadogDashboard"):
            return []
        metrics, monitors = (
            number(len(self.facts.resources(f"Custom::Datadog{kind}")), word)
            for kind, word in (("LogsMetric", "metric"), ("Monitor", "monitor"))
        )
        return [Card("compute", "Lambda: Datadog", (f"{metrics}, {monitors},", "a dashboard, as code"))]

    def usage_functions(self) -> list[Card]:
        """The functions that ask LiteLLM for usage; an arrow to it is drawn because they are in the VPC."""
        found = {name: self.facts.function(f"usage.{name}") for name in ("report", "bill")}
        assert all("VpcConfig" in one for one in found.values() if one)  # noqa: S101
        cards = []
        if found["report"] and (report := self.environment.report):
            periods = " and ".join(name for name, on in (("week", report.weekly), ("month", report.monthly)) if on)
            advice = "who fits a flat rate" if report.plans else "who used most"
            cards.append(Card("compute", "Lambda: report", (f"{periods}: usage,", advice)))
        if found["bill"]:
            cards.append(Card("compute", "Lambda: bill", ("monthly: costs against", "the clouds' bills")))
        return cards

    # What all of it stands on

    def services(self) -> tuple[Card, ...]:
        """The services of AWS that the rest makes use of."""
        days = self.facts.only("AWS::S3::Bucket")["LifecycleConfiguration"]["Rules"][0]["ExpirationInDays"]
        image = (f"image: LiteLLM {self.facts.parameter('litellmversion')}", "with our config.yaml")
        return (
            self._parameters(),
            self._logs(),
            Card("storage", "Amazon S3", ("access logs of the balancer,", number(days, "day"))),
            Card("compute", "Amazon ECR", image),
            self._helpers(),
            self._keys(),
        )

    def _parameters(self) -> Card:
        watched = f"{self.environment.parameter_prefix}/{FOLDER}/"  # what one stack writes for another of ours
        written = self.facts.resources("AWS::SSM::Parameter").values()
        published = [each for each in written if not str(each["Name"]).startswith(watched)]
        of_slack = ", and Slack's" if self.environment.onboarding or self.environment.report else ""
        secrets = f"{len(self._container()['Secrets'])} secrets of the tasks{of_slack}"
        return Card("management", "SSM Parameter Store", (secrets, f"{len(published)} values for other systems"))

    def _logs(self) -> Card:
        groups = self.facts.resources("AWS::Logs::LogGroup")
        flows = "flows, " if self.facts.resources("AWS::EC2::FlowLog") else ""
        kept = f"{flows}WAF, functions; {self.facts.retention()} days"
        return Card("management", "CloudWatch Logs", (f"{len(groups)} log groups: tasks, database,", kept))

    def _helpers(self) -> Card:
        functions = [name for name in self.facts.resources("AWS::Lambda::Function") if "/Migration" in name]
        machines = len(self.facts.resources("AWS::StepFunctions::StateMachine"))
        logins = ", mail logins" if self.facts.resources("Custom::SmtpCredentials") else ""
        counted = f"{number(len(functions), 'function')}, {number(machines, 'state machine')}: the"
        return Card("compute", "Lambda and Step Functions", (counted, f"migration, keys{logins}"))

    def _keys(self) -> Card:
        keys = self.facts.resources("AWS::KMS::Key")
        owners = ", ".join(dict.fromkeys(name.split("/")[0].lower() for name in keys))
        rotated = all(key["EnableKeyRotation"] for key in keys.values())
        own = f"{len(keys)} of our own: {owners},"
        return Card("security", "AWS KMS", (own, "rotated yearly" if rotated else "not rotated"))

    # Outside of the account

    def called(self) -> Iterator[Card]:
        """What is called outside of the account: the providers of config.yaml, and whoever gets messages."""
        hosts = self.config.hosts(self.environment.plain_variables)
        for row in ROWS:
            if lines := self._provider(row):
                yield Card("outside", row.title, lines)
        if datadog := next((host for host in hosts if "datadog" in host), None):
            yield Card("outside", "Datadog", ("usage, without prompts", datadog))
        if told := self._told_in_slack():
            yield Card("outside", "Slack", (", ".join(told),))
        yield self._mail()

    def _provider(self, row: Provider) -> tuple[str, ...]:
        """How many of a provider's models are called, and where; nothing if none is."""
        models = [model for model in self.config.models if model.row == row]
        if not models:
            return ()
        count = number(len({model.name for model in models}), "model")
        if any(model.by_role for model in models):
            regions = sorted({model.region for model in models if model.region})
            return f"{count}, in", ", ".join(regions), "by the role of the task"
        variables = self.environment.plain_variables
        called = sorted({address.host for model in models for address in model.called_at(variables)})
        more = [f"and {len(called) - 1} more"] if len(called) > 1 else []
        return count, *called[:1], *more

    def _told_in_slack(self) -> list[str]:
        told = {
            "answers": self.environment.onboarding,
            "audit": self.environment.onboarding,
            "reports": self.environment.report,
            "alerts for operators": "slack" in self.config.alerting,
        }
        return [name for name, on in told.items() if on]

    def _mail(self) -> Card:
        domain = self.facts.only("AWS::SES::EmailIdentity")["EmailIdentity"]
        mails = [
            *(["invitations by its API"] if self.environment.onboarding else []),
            *(["notices by SMTP, port 587"] if self.facts.resources("Custom::SmtpCredentials") else []),
        ]
        return Card("outside", "Amazon SES", (f"mail of {domain}", *mails))
