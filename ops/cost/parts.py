"""What an environment's resources are billed for: at rest, and under a load."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from ops.cost.load import WORK_HOURS, Load
from ops.cost.prices import HOURS, NODES, SPOT, Prices
from ops.cost.sleep import awake
from ops.templates import Facts
from stacks.settings.gateway import LEAST_CAPACITY

NETWORK, EDGE, SERVICE, DATABASE, CACHE, WATCHING, KEYS = (
    *("Network", "Load balancer and web ACL", "LiteLLM", "Database", "Cache"),
    *("Logs, metrics and alarms", "Keys and names"),
)
PARTS: Final = (NETWORK, EDGE, SERVICE, DATABASE, CACHE, WATCHING, KEYS)
"""The parts of a bill, in its order."""

BY_USE: Final[Mapping[str, str]] = {
    "AWS::ApiGatewayV2::Api": "a millionth of some dollars for each click in Slack",
    "AWS::Backup::BackupVault": "what is kept of the copies, at the second region's price of Aurora's backups, which "
    "is without a price here (docs/operations/region-gone.md)",
    "AWS::DynamoDB::Table": "on demand: a few writes for each account",
    "AWS::EC2::FlowLog": "priced under a load, as logs that AWS writes",
    "AWS::Lambda::Function": "cents: accounts, reports and deployments call them, requests do not",
    "AWS::Logs::LogGroup": "priced under a load",
    "AWS::S3::Bucket": "priced under a load: the access logs",
    "AWS::SES::EmailIdentity": "0.10 USD for a thousand mails",
    "AWS::SQS::Queue": "cents: a message for each account and each mail that comes back",
    "AWS::Athena::WorkGroup": "5 USD for each TB that somebody's query reads",
    "AWS::StepFunctions::StateMachine": "cents, while something is deployed",
}
"""Types that cost by use, with what of it: nothing at rest."""

FREE: Final[Mapping[str, str]] = {
    "AWS::ApplicationAutoScaling::": "free itself; its alarms are counted",
    "AWS::Athena::NamedQuery": "a text",
    "AWS::Backup::": "part of the vault",
    "AWS::ApiGatewayV2::": "part of the API",
    "AWS::Budgets::Budget": "free without actions",
    "AWS::CloudWatch::AlarmMuteRule": "AWS names no price of it",
    "AWS::CertificateManager::Certificate": "public certificates are free",
    "AWS::Chatbot::": "free",
    "AWS::EC2::": "free: subnets, routes, groups, and endpoints of the kind Gateway",
    "AWS::ECS::": "free itself; its tasks are counted",
    "AWS::ElasticLoadBalancingV2::": "part of the load balancer",
    "AWS::ElastiCache::SubnetGroup": "free",
    "AWS::Events::Rule": "AWS's own events are free",
    "AWS::Glue::": "the first million objects are free",
    "AWS::IAM::": "free",
    "AWS::Lambda::": "part of the function",
    "AWS::Logs::MetricFilter": "counted as metrics",
    "AWS::Logs::QueryDefinition": "a text",
    "AWS::RDS::": "free itself; its capacity is counted",
    "AWS::Route53::RecordSet": "part of the zone, which is the company's",
    "AWS::S3::BucketPolicy": "free",
    "AWS::SES::": "part of the identity",
    "AWS::SNS::": "mail and functions as subscribers: the first thousands are free",
    "AWS::SQS::QueuePolicy": "free",
    "AWS::SSM::Parameter": "standard parameters are free",
    "AWS::Scheduler::Schedule": "the first 14 million calls a month are free",
    "AWS::ServiceDiscovery::Service": "ECS registers its tasks free of charge",
    "AWS::WAFv2::": "part of the web ACL",
    "Custom::": "work that a function does once",
}
"""Types, or how their names begin, that cost nothing, with the reason."""


@dataclass(frozen=True)
class Line:
    """One line of a month's bill."""

    part: str
    what: str
    usage: str
    """By its name in `ops/cost/prices.py`."""
    quantity: float
    """In the unit of the price."""


def at_rest(facts: Facts, *, every: bool = False) -> list[Line]:
    """What an environment is billed for without a request: fewest tasks, least capacity.

    What it has nothing of is left out, unless `every` line is asked for.
    """
    return [line for line in (*_network(facts), *_edge(facts), *_others(facts)) if line.quantity or every]


def under(facts: Facts, load: Load) -> list[Line]:
    """What a month of use adds."""
    used = load.used
    tasks, cpu, memory, share = _tasks(facts)
    added = max(0.0, load.tasks - tasks * cpu) * WORK_HOURS * share
    kept_months = _log_days(facts) / 30
    flow_logs, nat = used["Logs that AWS writes"], bool(facts.resources("AWS::EC2::NatGateway"))

    def line(part: str, what: str, usage: str, times: float = 1) -> Line:
        return Line(part, what, usage, used[usage] * times)

    found = (
        line(NETWORK, "Data through NAT gateways", "NAT gateway, data", nat),
        line(NETWORK, "Data to the internet", "Data to the internet"),
        line(EDGE, "What the load balancer does", "Load balancer, LCU"),
        line(EDGE, "Requests through the web ACL", "Web ACL, requests"),
        Line(SERVICE, "More tasks in hours of work, vCPU", "Fargate ARM, vCPU", added),
        Line(SERVICE, "More tasks in hours of work, GB", "Fargate ARM, GB", added * memory / cpu),
        line(DATABASE, "What is written", "Aurora, I/O"),
        line(DATABASE, "What is kept, of one month", "Aurora, storage"),
        # Each copy is of all that is kept.
        Line(
            DATABASE,
            "Its copies in the second region",
            "Data to another region",
            used["Aurora, storage"] * 30 * _copies_a_day(facts),
        ),
        line(WATCHING, "Flow logs", "Logs that AWS writes"),
        Line(WATCHING, "Flow logs, kept", "Logs, stored", flow_logs * kept_months),
        line(WATCHING, "Access logs, kept", "S3, stored", kept_months),
    )
    return [each for each in found if each.quantity]


def independence(facts: Facts) -> list[tuple[Line, str]]:
    """What is there only so that something else may fail: each with the setting that would do without it."""
    nat = len(facts.resources("AWS::EC2::NatGateway"))
    instances, capacity = _instances(facts)
    tasks, cpu, memory, share = _tasks(facts)
    one = "network.nat_gateways=1"
    found = (
        (Line(NETWORK, "NAT gateways beside the first", "NAT gateway", max(0, nat - 1) * HOURS), one),
        (Line(NETWORK, "Their addresses", "Public IPv4 address", max(0, nat - 1) * HOURS), one),
        (
            Line(NETWORK, "Interface endpoints", "Interface endpoint", _endpoints(facts) * HOURS),
            "network.interface_endpoints=()",
        ),
        (
            Line(DATABASE, "The reader", "Aurora Serverless v2, ACU", max(0, instances - 1) * capacity * HOURS),
            "database.reader=False",
        ),
        (
            Line(KEYS, "The key of copies in another region", "KMS key", bool(_copies_a_day(facts))),
            "database.copies=None",
        ),
        *(
            (
                Line(CACHE, "The cache's replica", f"Cache node, {node}", _nodes(facts, node)[1] * HOURS),
                "cache=Cache(replica=False)",
            )
            for node in NODES
        ),
        (
            Line(SERVICE, "Tasks beside the first, vCPU", "Fargate ARM, vCPU", (tasks - 1) * cpu * share * HOURS),
            "gateway.min_tasks=1",
        ),
        (
            Line(SERVICE, "Tasks beside the first, GB", "Fargate ARM, GB", (tasks - 1) * memory * share * HOURS),
            "gateway.min_tasks=1",
        ),
    )
    return [(line, setting) for line, setting in found if line.quantity > 0]


def without_price(facts: Facts) -> list[str]:
    """The types of resources of which nothing is known here, sorted: neither a price nor that there is none."""
    kinds = {resource["Type"] for template in facts.templates.values() for resource in template["Resources"].values()}
    return sorted(kind for kind in kinds if kind not in (*PRICED, *BY_USE) and not kind.startswith(tuple(FREE)))


def dollars(lines: list[Line], prices: Prices) -> float:
    """US dollars of these lines together."""
    return sum(prices.of(line.usage, line.quantity) for line in lines)


PRICED: Final = frozenset(
    {
        "AWS::CloudWatch::Alarm",
        "AWS::CloudWatch::Dashboard",
        "AWS::EC2::EIP",
        "AWS::EC2::Instance",
        "AWS::EC2::NatGateway",
        "AWS::EC2::VPCEndpoint",
        "AWS::ElastiCache::ReplicationGroup",
        "AWS::ECS::Cluster",
        "AWS::ECS::Service",
        "AWS::ElasticLoadBalancingV2::LoadBalancer",
        "AWS::KMS::Key",
        "AWS::RDS::DBInstance",
        "AWS::ServiceDiscovery::PrivateDnsNamespace",
        "AWS::WAFv2::WebACL",
    }
)
"""Types that `at_rest` counts."""


def _network(facts: Facts) -> Iterator[Line]:
    nat = len(facts.resources("AWS::EC2::NatGateway"))
    balancers = facts.resources("AWS::ElasticLoadBalancingV2::LoadBalancer").values()
    public = sum(len(one["Subnets"]) for one in balancers if one["Scheme"] == "internet-facing")
    machines = facts.resources("AWS::EC2::Instance").values()
    disks = sum(disk["Ebs"]["VolumeSize"] for one in machines for disk in one["BlockDeviceMappings"])
    # A load balancer has one in each zone, and a machine in the place of a NAT gateway its own.
    addresses = len(facts.resources("AWS::EC2::EIP")) + public + len(machines)
    yield Line(NETWORK, "NAT gateways", "NAT gateway", nat * HOURS)
    yield Line(NETWORK, "NAT instance", "NAT instance", len(machines) * HOURS)
    yield Line(NETWORK, "Its disk", "Disk", disks)
    yield Line(NETWORK, "Public IPv4 addresses", "Public IPv4 address", addresses * HOURS)
    yield Line(NETWORK, "Interface endpoints, each per zone", "Interface endpoint", _endpoints(facts) * HOURS)


def _edge(facts: Facts) -> Iterator[Line]:
    acls = facts.resources("AWS::WAFv2::WebACL").values()
    balancers = len(facts.resources("AWS::ElasticLoadBalancingV2::LoadBalancer"))
    yield Line(EDGE, "Application Load Balancer", "Load balancer", balancers * HOURS)
    yield Line(EDGE, "AWS WAF, web ACL", "Web ACL", len(acls))
    yield Line(EDGE, "AWS WAF, rules", "Web ACL, rule", sum(len(acl["Rules"]) for acl in acls))


def _others(facts: Facts) -> Iterator[Line]:
    tasks, cpu, memory, share = _tasks(facts)
    instances, capacity = _instances(facts)
    yield Line(SERVICE, "Fargate on ARM, vCPU", "Fargate ARM, vCPU", tasks * cpu * share * HOURS)
    yield Line(SERVICE, "Fargate on ARM, GB", "Fargate ARM, GB", tasks * memory * share * HOURS)
    yield Line(DATABASE, "Aurora Serverless v2, ACU", "Aurora Serverless v2, ACU", instances * capacity * HOURS)
    for node in NODES:
        yield Line(CACHE, f"Valkey, {node}", f"Cache node, {node}", sum(_nodes(facts, node)) * HOURS)
    yield Line(WATCHING, "CloudWatch alarms", "Alarm", figures_of_alarms(facts))
    yield Line(WATCHING, "CloudWatch metrics of our own", "Custom metric", metrics(facts))
    yield Line(WATCHING, "CloudWatch dashboard", "Dashboard", len(facts.resources("AWS::CloudWatch::Dashboard")))
    # That of the copies is in the second region, by a stack of its own.
    keys = len(facts.resources("AWS::KMS::Key")) + bool(_copies_a_day(facts))
    yield Line(KEYS, "AWS KMS, keys", "KMS key", keys)
    namespaces = len(facts.resources("AWS::ServiceDiscovery::PrivateDnsNamespace"))
    yield Line(KEYS, "Route 53, hosted zone", "Hosted zone", namespaces)


def figures_of_alarms(facts: Facts) -> int:
    """How many figures the alarms look at, each of which counts; Application Auto Scaling makes two for each policy."""
    own = sum(
        sum("MetricStat" in metric for metric in alarm["Metrics"]) if "Metrics" in alarm else 1
        for alarm in facts.resources("AWS::CloudWatch::Alarm").values()
    )
    return own + 2 * len(facts.resources("AWS::ApplicationAutoScaling::ScalingPolicy"))


def metrics(facts: Facts) -> int:
    """How many metrics are billed: those of the log's lines, and what Container Insights tells of an ECS cluster.

    That is 8 of a cluster, 11 of a service and 6 of a task definition that runs, as AWS reckons in its own example
    (https://aws.amazon.com/cloudwatch/pricing/, Container Insights for Amazon ECS).
    """
    filters = facts.resources("AWS::Logs::MetricFilter").values()
    own = {(each["MetricNamespace"], each["MetricName"]) for one in filters for each in one["MetricTransformations"]}
    settings = [
        setting
        for cluster in facts.resources("AWS::ECS::Cluster").values()
        for setting in cluster.get("ClusterSettings", ())
        if setting["Name"] == "containerInsights" and setting["Value"] != "disabled"
    ]
    services = len(facts.resources("AWS::ECS::Service"))
    return len(own) + len(settings) * (8 + (11 + 6) * services)


def _endpoints(facts: Facts) -> int:
    found = facts.resources("AWS::EC2::VPCEndpoint").values()
    return sum(len(one["SubnetIds"]) for one in found if one["VpcEndpointType"] == "Interface")


def _tasks(facts: Facts) -> tuple[int, float, float, float]:
    """How many tasks run at least, the vCPU and the GB of each, and what share of the price they cost: less on Spot,
    and for as much of the time as they are awake.

    None without a service, as in a part of an environment's templates.
    """
    services = list(facts.resources("AWS::ECS::Service").values())
    if not services:
        return 0, 1.0, 1.0, 1.0
    fewest = facts.only("AWS::ApplicationAutoScaling::ScalableTarget")["MinCapacity"]
    name = services[0]["TaskDefinition"]["Ref"]
    tasks = facts.resources("AWS::ECS::TaskDefinition").items()
    task = next(found for place, found in tasks if place.endswith(f"/{name}"))
    spot = any(each["CapacityProvider"] == "FARGATE_SPOT" for each in services[0]["CapacityProviderStrategy"])
    share = (SPOT if spot else 1.0) * awake(facts)
    return fewest, int(task["Cpu"]) / 1024, int(task["Memory"]) / 1024, share


def _instances(facts: Facts) -> tuple[int, float]:
    """How many instances the database has, and the least capacity of each in ACU, on average of a month."""
    clusters = facts.resources("AWS::RDS::DBCluster").values()
    scaling = [cluster["ServerlessV2ScalingConfiguration"]["MinCapacity"] for cluster in clusters]
    # One that may pause has 0 while it does, and the usual least while somebody is connected.
    least = sum(capacity or LEAST_CAPACITY * awake(facts) for capacity in scaling)
    return len(facts.resources("AWS::RDS::DBInstance")), float(least)


def _copies_a_day(facts: Facts) -> int:
    """How many copies of the database are made in a second region."""
    plans = facts.resources("AWS::Backup::BackupPlan").values()
    rules = [rule for plan in plans for rule in plan["BackupPlan"]["BackupPlanRule"]]
    return sum(len(rule["ScheduleExpression"].split()[1].split(",")) for rule in rules)


def _nodes(facts: Facts, node: str) -> tuple[int, int]:
    """How many nodes of this type caches have: the first of each, and replicas."""
    groups = facts.resources("AWS::ElastiCache::ReplicationGroup").values()
    counts = [int(group["NumCacheClusters"]) for group in groups if group["CacheNodeType"] == node]
    return len(counts), sum(counts) - len(counts)


def _log_days(facts: Facts) -> int:
    """For how many days the gateway's logs are kept."""
    groups = facts.resources("AWS::Logs::LogGroup").values()
    return max((int(one.get("RetentionInDays", 0)) for one in groups), default=0)
