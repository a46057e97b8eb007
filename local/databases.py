"""What Amazon RDS does with Aurora's clusters and ministack's leaves out: they are restored, and take new names.

A cluster that CloudFormation made is the PostgreSQL of its environment (`local/postgres.py`). One that was restored is
a server of its own, on a copy of the other's data as of one instant, and runs once it has an instance. Tasks find a
server by the cluster's address, which follows from its name: who takes the name gets the tasks.

What RDS refuses is refused by its codes, as its API reference lists them for each operation. A second of the past,
other than the latest, cannot be restored here.
https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_RestoreDBClusterFromSnapshot.html
https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_RestoreDBClusterToPointInTime.html
https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_ModifyDBCluster.html
https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_ModifyDBInstance.html
"""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from local import postgres
from local.ecs import Json, Provisioned, ministack
from local.place import Place
from local.ports import free_ports
from stacks.settings import DATABASE_NAME, DATABASE_USERNAME

Request = Mapping[str, Any]
Cluster = dict[str, Any]
Answer = Any  # ministack's: status, headers, body
NAME, LONGEST = re.compile(r"[a-z](?:-?[a-z0-9])*"), 63
"""Of a cluster or an instance. https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/CHAP_Limits.html (naming
constraints)"""


class RefusedError(Exception):
    """Of RDS: its code, and what it says."""

    def __init__(self, code: str, says: str) -> None:
        super().__init__(says)
        self.code = code


class Databases:
    """The clusters' servers, put under ministack's RDS."""

    def __init__(self, places: Iterable[Place], state: Path) -> None:
        self._places = {(place.account, place.region, place.cluster): place for place in places if place.cluster}
        self._state = state
        self._rds, self._responses = ministack("services.rds"), ministack("core.responses")
        self._servers: dict[str, postgres.Postgres] = {}  # by the cluster's resource id, which no new name changes

    # --- What ECS asks ------------------------------------------------------------------------------------------------

    def of_container(self, variables: Mapping[str, str]) -> dict[str, str | None]:
        """Where a container's database is: at the port of the cluster whose address it was given, or nowhere."""
        host = variables.get("DATABASE_HOST")
        if not host or not self._places:
            return {}
        for _, cluster in self._rds._clusters.all_items():
            if cluster["Endpoint"] == host:
                return {"DATABASE_PORT": str(cluster["_port"])} if "_port" in cluster else {"DATABASE_HOST": host}
        return {"DATABASE_HOST": host}  # which no name server knows

    def stop(self) -> None:
        """End the servers of what was restored."""
        for server in self._servers.values():
            server.stop()

    # --- RDS ----------------------------------------------------------------------------------------------------------

    def mend(self) -> None:
        """Put all of this into the imported ministack."""
        actions, handlers = self._rds._ACTION_MAP, ministack("services.cloudformation.provisioners")._RESOURCE_HANDLERS
        modify_cluster, modify_instance = actions["ModifyDBCluster"], actions["ModifyDBInstance"]
        create_instance, delete_cluster = actions["CreateDBInstance"], actions["DeleteDBCluster"]
        actions["RestoreDBClusterFromSnapshot"] = self._refusing(self._restore_snapshot)
        actions["RestoreDBClusterToPointInTime"] = self._refusing(self._restore_latest)
        actions["ModifyDBCluster"] = self._refusing(lambda p: self._modify_cluster(p, modify_cluster))
        actions["ModifyDBInstance"] = self._refusing(lambda p: self._modify_instance(p, modify_instance))
        actions["CreateDBInstance"] = self._refusing(lambda p: self._create_instance(p, create_instance))
        actions["DeleteDBCluster"] = self._refusing(lambda p: self._delete_cluster(p, delete_cluster))
        for kind, mend in (("AWS::RDS::DBCluster", self._made_cluster), ("AWS::RDS::DBInstance", self._made_instance)):
            handlers[kind] = _completed(handlers[kind], mend)
        self._rds._sync_cluster_endpoints = self._address  # which ministack has be that of its own containers
        told, told_instance = self._rds._cluster_xml, self._rds._instance_xml
        self._rds._cluster_xml = lambda cluster: told(cluster) + _more_of_cluster(cluster)
        self._rds._instance_xml = lambda instance: told_instance(instance) + _more_of_instance(instance)

    def _refusing(self, action: Callable[[Request], Answer]) -> Callable[[Request], Answer]:
        def asked(request: Request) -> Answer:
            try:
                return action(request)
            except RefusedError as refused:
                return self._rds._error(refused.code, str(refused), 404 if "NotFound" in refused.code else 400)

        return asked

    def _made_cluster(self, provisioned: Provisioned, properties: Json) -> Provisioned:
        """Complete the record of a cluster that CloudFormation made."""
        name, _ = provisioned
        cluster: Cluster = self._rds._clusters[name]
        logs = properties.get("EnableCloudwatchLogsExports") or []
        cluster |= {
            "DBClusterParameterGroup": properties.get("DBClusterParameterGroupName", ""),
            "KmsKeyId": properties.get("KmsKeyId", ""),
            "EnabledCloudwatchLogsExports": [*logs],
            "TagList": [*properties.get("Tags", [])],
        }
        self._address(cluster)
        place = self._places.get((self._responses.get_account_id(), self._responses.get_region(), name))
        if place and "_data" not in cluster:
            cluster |= {"_data": place.data, "_port": int(place.containers["DATABASE_PORT"] or 0), "_place": place}
        return name, ministack("services.cloudformation.provisioners")._rds_db_cluster_attrs(cluster)

    def _made_instance(self, provisioned: Provisioned, properties: Json) -> Provisioned:
        instance = self._rds._instances[provisioned[0]]
        if properties.get("EnablePerformanceInsights"):
            instance |= {
                "PerformanceInsightsKMSKeyId": properties.get("PerformanceInsightsKMSKeyId", ""),
                "PerformanceInsightsRetentionPeriod": properties.get("PerformanceInsightsRetentionPeriod", 7),
            }
        return provisioned

    def _address(self, cluster: Cluster) -> None:
        """Give a cluster the addresses that follow from its name: the rest is the same for an account in a region."""
        place = f"{self._responses.get_account_id()}{self._responses.get_region()}"
        rest = f"c{hashlib.sha256(place.encode()).hexdigest()[:11]}.{self._responses.get_region()}.rds.amazonaws.com"
        name = cluster["DBClusterIdentifier"]
        cluster |= {"Endpoint": f"{name}.cluster-{rest}", "ReaderEndpoint": f"{name}.cluster-ro-{rest}"}

    def _restore_snapshot(self, request: Request) -> Answer:
        asked = self._rds._p(request, "SnapshotIdentifier")
        snapshots = self._rds._db_cluster_snapshots
        found = next((each for name, each in snapshots.items() if asked in (name, each["DBClusterSnapshotArn"])), None)
        if found is None:
            raise RefusedError("DBClusterSnapshotNotFoundFault", f"DBClusterSnapshot not found: {asked}")
        for needed in ("Engine", "EngineVersion"):
            if self._rds._p(request, needed) != found[needed]:
                raise RefusedError("InvalidRestoreFault", f"{needed} of the snapshot is {found[needed]}")
        return self._restore(request, found)

    def _restore_latest(self, request: Request) -> Answer:
        source = self._available(self._rds._p(request, "SourceDBClusterIdentifier"))
        if self._rds._p(request, "UseLatestRestorableTime") != "true":
            raise RefusedError("InvalidRestoreFault", "A second of the past is not emulated: only the latest is there.")
        if "_place" not in source:
            raise RefusedError("InvalidRestoreFault", f"{source['DBClusterIdentifier']} has no PostgreSQL here.")
        return self._restore(request, {**source, "_data": self._copy(source, f"latest-{uuid.uuid4().hex}")})

    def _restore(self, request: Request, source: Mapping[str, Any]) -> Answer:
        """A cluster of its own, without an instance yet, and with the password that the source had."""
        rds, name = self._rds, self._free(self._rds._p(request, "DBClusterIdentifier"))
        if (group := rds._p(request, "DBSubnetGroupName")) not in rds._subnet_groups:
            raise RefusedError("DBSubnetGroupNotFoundFault", f"DB subnet group '{group}' does not exist.")
        if (key := rds._p(request, "KmsKeyId")) and not self._key_is_there(key):
            raise RefusedError("KMSKeyNotAccessibleFault", f"The specified KMS key [{key}] does not exist.")
        wanted = {
            **request,
            "Engine": [source["Engine"]],
            "EngineVersion": [source["EngineVersion"]],
            "MasterUsername": [source["MasterUsername"]],
            "MasterUserPassword": [source["_MasterUserPassword"]],
            "DatabaseName": [source.get("DatabaseName") or DATABASE_NAME],
            "StorageEncrypted": ["true"],
        }
        answer = rds._create_db_cluster(wanted)
        if answer[0] >= 400:
            return answer
        cluster = rds._clusters[name]
        logs = rds._parse_member_list(request, "EnableCloudwatchLogsExports")
        cluster |= {"EnabledCloudwatchLogsExports": logs, "_data": source["_data"], "_place": source["_place"]}
        self._address(cluster)
        return self._told(rds._p(request, "Action"), cluster)

    def _told(self, action: str, cluster: Cluster) -> Answer:
        said = f"<{action}Result><DBCluster>{self._rds._cluster_xml(cluster)}</DBCluster></{action}Result>"
        return self._rds._xml(200, f"{action}Response", said)

    def _key_is_there(self, key: str) -> bool:
        return key.rpartition("/")[2] in ministack("services.kms")._keys

    def _modify_cluster(self, request: Request, modify: Callable[[Request], Answer]) -> Answer:
        cluster, to = self._available(self._rds._p(request, "DBClusterIdentifier")), self._new_name(request, "Cluster")
        before = cluster["DBClusterIdentifier"]
        if to:
            self._free(to)
        answer = modify(request)
        if not to or answer[0] >= 400:
            return answer
        self._rds._clusters[to] = self._rds._clusters.pop(before)
        cluster |= {"DBClusterIdentifier": to, "DBClusterArn": _renamed(cluster["DBClusterArn"], to)}
        self._address(cluster)
        for member in cluster["DBClusterMembers"]:
            self._rds._instances[member["DBInstanceIdentifier"]]["DBClusterIdentifier"] = to
        return self._told("ModifyDBCluster", cluster)

    def _modify_instance(self, request: Request, modify: Callable[[Request], Answer]) -> Answer:
        name, to = self._rds._p(request, "DBInstanceIdentifier"), self._new_name(request, "Instance")
        if to and to in self._rds._instances:
            raise RefusedError("DBInstanceAlreadyExists", f"DB instance {to} already exists")
        answer = modify(request)
        if not to or answer[0] >= 400:
            return answer
        instance = self._rds._instances[to] = self._rds._instances.pop(name)
        instance |= {"DBInstanceIdentifier": to, "DBInstanceArn": _renamed(instance["DBInstanceArn"], to)}
        instance["Endpoint"]["Address"] = to + instance["Endpoint"]["Address"].removeprefix(name)
        for member in self._rds._clusters[instance["DBClusterIdentifier"]]["DBClusterMembers"]:
            if member["DBInstanceIdentifier"] == name:
                member["DBInstanceIdentifier"] = to
        return answer

    def _new_name(self, request: Request, of: str) -> str:
        name = str(self._rds._p(request, f"NewDB{of}Identifier"))
        if name and self._rds._p(request, "ApplyImmediately") != "true":
            raise RefusedError("InvalidParameterCombination", "A new name by and by is not emulated.")
        return _valid(name) if name else ""

    def _create_instance(self, request: Request, create: Callable[[Request], Answer]) -> Answer:
        """With the first instance of a cluster that was restored there is somebody to connect to."""
        name = _valid(self._rds._p(request, "DBInstanceIdentifier"))
        answer = create(request)
        cluster = self._rds._clusters.get(self._rds._p(request, "DBClusterIdentifier"))
        if answer[0] < 400 and cluster:
            kept = ("AvailabilityZone", "PerformanceInsightsKMSKeyId", "PerformanceInsightsRetentionPeriod")
            self._rds._instances[name] |= {key: given for key in kept if (given := self._rds._p(request, key))}
            if "_place" in cluster and "_port" not in cluster:
                self._start(cluster)
        return answer

    def _delete_cluster(self, request: Request, delete: Callable[[Request], Answer]) -> Answer:
        cluster = self._rds._clusters.get(self._rds._p(request, "DBClusterIdentifier")) or {}
        answer = delete(request)
        if answer[0] < 400 and (server := self._servers.pop(cluster.get("DbClusterResourceId", ""), None)):
            server.stop()
        return answer

    def _start(self, cluster: Cluster) -> None:
        own, place = cluster["DbClusterResourceId"], cluster["_place"]
        (cluster["_port"],) = free_ports(1)
        data = self._state / "databases" / own
        postgres.copy(Path(cluster["_data"]), data)
        ca = Path(str(place.containers["DATABASE_CA_FILE"]))
        login = postgres.Login(database=DATABASE_NAME, user=DATABASE_USERNAME, password=cluster["_MasterUserPassword"])
        self._servers[own] = postgres.start(
            data,
            port=cluster["_port"],
            login=login,
            ca_certificate=ca,
            ca_key=ca.with_name("ca.key"),
            log=data.with_suffix(".log"),
        )
        cluster["_data"] = str(data)

    def snapshot(self, cluster: Mapping[str, Any], name: str) -> Cluster:
        """Take a snapshot of a cluster, by this name."""
        made: Cluster = self._rds._create_cluster_snapshot_internal(name, cluster)
        made |= {key: cluster[key] for key in ("_place", "_MasterUserPassword", "DatabaseName")}
        made["_data"] = self._copy(cluster, name.replace(":", "-"))
        return made

    def _copy(self, cluster: Mapping[str, Any], name: str) -> str:
        """The folder of a copy of a cluster's storage, as of one instant, with all that it has answered for."""
        to, ca = self._state / "snapshots" / name, str(cluster["_place"].containers["DATABASE_CA_FILE"])
        login = postgres.Login(database=DATABASE_NAME, user=DATABASE_USERNAME, password=cluster["_MasterUserPassword"])
        postgres.flush(port=cluster["_port"], login=login, ca_certificate=Path(ca))
        postgres.copy(Path(cluster["_data"]), to)
        return str(to)

    def _available(self, name: str) -> Cluster:
        cluster: Cluster | None = self._rds._clusters.get(name)
        if cluster is None:
            raise RefusedError("DBClusterNotFoundFault", f"DBCluster {name} not found.")
        if cluster["Status"] != "available":
            raise RefusedError("InvalidDBClusterStateFault", f"{name} is not in available state")
        return cluster

    def _free(self, name: str) -> str:
        if _valid(name) in self._rds._clusters:
            raise RefusedError("DBClusterAlreadyExistsFault", f"DB cluster {name} already exists.")
        return name


def _completed(handler: dict[str, Any], mend: Callable[[Provisioned, Json], Provisioned]) -> dict[str, Any]:
    """A CloudFormation handler whose creation is followed by `mend(provisioned, properties)`."""

    def create(logical_id: str, properties: Json, *rest: object) -> Provisioned:
        return mend(handler["create"](logical_id, properties, *rest), properties)

    return {**handler, "create": create}


def _valid(name: str) -> str:
    if len(name) > LONGEST or not NAME.fullmatch(name):
        raise RefusedError("InvalidParameterValue", f"{name} is not a valid identifier.")
    return name


def _renamed(arn: str, to: str) -> str:
    return f"{arn.rpartition(':')[0]}:{to}"


def _more_of_cluster(cluster: Cluster) -> str:
    logs = "".join(f"<member>{each}</member>" for each in cluster.get("EnabledCloudwatchLogsExports") or [])
    return f"<EnabledCloudwatchLogsExports>{logs}</EnabledCloudwatchLogsExports>"


def _more_of_instance(instance: Cluster) -> str:
    key = instance.get("PerformanceInsightsKMSKeyId")
    return f"<PerformanceInsightsKMSKeyId>{key}</PerformanceInsightsKMSKeyId>" if key else ""
