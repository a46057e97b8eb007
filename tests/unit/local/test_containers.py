"""Containers as local processes: what a task's process gets, and how it starts, stops and ends."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from pathlib import Path

import psutil
import pytest

from local.confinement import Confinement, ids, possible, user_of
from local.containers import Container, Definition, HealthCheck, Image
from local.docker_client import LocalDocker
from local.health import Health
from local.ports import free_ports
from local.preloaded import Preloaded
from stacks import CHECKOUT

Run = Callable[..., Container]


def image_in(folder: Path, user: str = "") -> Callable[[str], Image]:
    def known(uri: str) -> Image:
        if uri != "image":
            raise LookupError(f"no image {uri}")
        return Image("sha256:0", ("/bin/sh", "-c"), folder, user)

    return known


@pytest.fixture
def definition() -> Definition:
    return Definition()


@pytest.fixture
def differences() -> Mapping[str, str | None]:
    return {}


@pytest.fixture
def preloaded() -> Preloaded | None:
    return None


@pytest.fixture
def user() -> str:
    """The image's."""
    return ""


@pytest.fixture
def stops() -> list[str]:
    return []


@pytest.fixture
def docker(
    tmp_path: Path,
    definition: Definition,
    differences: Mapping[str, str | None],
    stops: list[str],
    preloaded: Preloaded | None,
    user: str,
) -> Iterator[LocalDocker]:
    docker = LocalDocker(
        tmp_path / "state",
        definition_of=lambda _: definition,
        image_of=image_in(tmp_path, user),
        differences_of=lambda _: differences,
        before_stop=lambda container: stops.append(container.name),
        preloaded=preloaded,
    )
    yield docker
    docker.stop_all()


@pytest.fixture
def run(docker: LocalDocker) -> Run:
    names = (f"task-app{number or ''}" for number in count())  # no two have one, as one that ends removes its folder

    def run(script: str, **environment: str) -> Container:
        name = next(names)
        return docker.containers.run(
            "image", [script], detach=True, environment=environment, name=name, labels={}, platform="linux/arm64"
        )

    return run


def eventually(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end, "it has not come true within 120 s"
        time.sleep(0.02)


def lines(container: Container) -> list[str]:
    container.wait(120)
    output = container.logs()
    assert isinstance(output, bytes)
    return output.decode().splitlines()


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


class TestEnvironment:
    @pytest.fixture
    def definition(self) -> Definition:
        return Definition.from_ecs(
            {
                "environment": [{"name": name} for name in ("PORT", "HOME", "DATABASE_HOST", "DATABASE_PORT", "GONE")],
                "portMappings": [{"containerPort": 4000}],
                "mountPoints": [
                    {"containerPath": "/var/lib/litellm", "readOnly": False},
                    {"containerPath": "/certificates", "readOnly": True},
                ],
            }
        )

    @pytest.fixture
    def differences(self) -> Mapping[str, str | None]:
        return {"DATABASE_HOST": "127.0.0.1", "GONE": None}

    def test_is_what_ecs_hands_over_with_the_differences_and_nothing_of_this_process(
        self, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("OF_THE_MACHINE", "1")
        container = run(
            "env",
            PORT="4000",
            DATABASE_HOST="db.internal",
            DATABASE_PORT="5432",
            GONE="1",
            SECRET="/var/lib/litellm/@:%#? b",
            AWS_ENDPOINT_URL="http://host.docker.internal:4566",
            AWS_CONTAINER_CREDENTIALS_FULL_URI="http://host.docker.internal:4566/v2/credentials/x",
        )
        environment = dict(line.split("=", 1) for line in lines(container))
        assert environment["PORT"] == str(container.ports[4000])
        assert environment["DATABASE_HOST"] == "127.0.0.1"
        assert environment["DATABASE_PORT"] == "5432"
        assert environment["SECRET"] == "/var/lib/litellm/@:%#? b"  # a secret's value is nobody's path
        assert environment["AWS_CONTAINER_CREDENTIALS_FULL_URI"] == "http://127.0.0.1:4566/v2/credentials/x"
        assert environment["HOST"] == "127.0.0.1"
        assert not {"GONE", "AWS_ENDPOINT_URL", "OF_THE_MACHINE"} & environment.keys()

    def test_writable_places_are_folders_of_the_container_and_go_with_it(self, run: Run, tmp_path: Path) -> None:
        container = run(
            'touch "$HOME/kept" "$TMPDIR/scratch"; pwd; echo "$HOME"; ls "$HOME"', HOME="/var/lib/litellm/h"
        )
        assert container.environment["HOME"] == str(container.folder / "var/lib/litellm/h")
        assert lines(container)[-2:] == [str(container.folder / "var/lib/litellm/h"), *lines(container)[-1:]]
        assert str(tmp_path) in lines(container)
        assert not container.folder.exists()

    def test_the_port_is_moved_and_two_containers_never_share_one(self, run: Run) -> None:
        first, second = run("env", PORT="4000"), run("env", PORT="4000")
        assert first.ports.keys() == second.ports.keys() == {4000}
        assert first.ports[4000] != second.ports[4000]
        assert first.environment["PORT"] == str(first.ports[4000])


def test_the_exit_code_is_the_first_process_own(run: Run) -> None:
    container = run("exit 3")
    assert container.wait(120) == {"StatusCode": 3}
    assert container.status == "exited"


def test_a_container_ends_with_its_first_process(run: Run) -> None:
    container = run("sleep 600 & echo $!")
    eventually(lambda: gone(int(lines(container)[0])))


def test_output_is_streamed_as_lines_until_the_end(run: Run) -> None:
    container = run("echo one; echo two >&2; printf three")
    streamed = container.logs(stream=True, follow=True)
    assert not isinstance(streamed, bytes)
    assert [*streamed] == [b"one\n", b"two\n", b"three"]
    assert container.logs(tail=1) == b"three"


class TestStop:
    @pytest.fixture(params=[120.0])  # seconds: what listens has the time that a slow machine needs
    def definition(self, request: pytest.FixtureRequest) -> Definition:
        return Definition(stop_timeout=request.param)

    def test_leaves_the_load_balancer_then_gets_sigterm(self, run: Run, stops: list[str]) -> None:
        container = run("trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.05; done")
        eventually(lambda: b"ready" in container.log.read_bytes())
        container.stop(timeout=5)
        container.remove(v=True)
        assert lines(container) == ["ready", "bye"]
        assert container.wait() == {"StatusCode": 0}
        assert stops == ["task-app"]

    @pytest.mark.parametrize("definition", [0.3], indirect=True)
    def test_is_killed_with_all_its_processes_when_it_does_not_listen(self, run: Run) -> None:
        container = run("trap '' TERM; sleep 600 & echo $!; while :; do wait; done")
        eventually(lambda: container.logs())
        container.stop()
        assert container.wait(120) == {"StatusCode": 128 + signal.SIGKILL}
        eventually(lambda: gone(int(lines(container)[0])))

    def test_nothing_starts_after_stop_all(self, docker: LocalDocker, run: Run) -> None:
        container = run("sleep 600")
        docker.stop_all()
        assert container.status == "exited"
        with pytest.raises(RuntimeError, match="being stopped"):
            run("true")


def test_an_image_that_was_never_pushed_does_not_start(docker: LocalDocker) -> None:
    with pytest.raises(LookupError, match="no image other"):
        docker.containers.run("other", [], environment={}, name="x", labels={})
    with pytest.raises(LookupError, match="no container"):
        docker.containers.get("")


def test_nothing_outlives_the_killed_parent(tmp_path: Path) -> None:
    program = textwrap.dedent("""
        import os, pathlib, signal, sys
        from local.confinement import Confinement
        from local.containers import Definition, Image
        from local.docker_client import LocalDocker
        from local.preloaded import Preloaded
        docker = LocalDocker(
            pathlib.Path(sys.argv[1]), definition_of=lambda _: Definition(),
            image_of=lambda uri: Image(uri, ("/bin/sh", "-c"), pathlib.Path("/")),
            preloaded=Preloaded(pathlib.Path(sys.argv[2]), Confinement()))
        container = docker.containers.run("i", ["sleep 600"], environment={}, name="x", labels={})
        print(container.process_group, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    """)
    sockets = tmp_path / "sockets"
    sockets.mkdir()
    command = [sys.executable, "-c", program, str(tmp_path / "state"), str(sockets)]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    eventually(lambda: gone(int(done.stdout)))
    eventually(lambda: not sockets.exists())


class TestHealth:
    @pytest.fixture
    def definition(self) -> Definition:
        check = HealthCheck(("/bin/sh", "-c", 'test -e "$HOME"'), interval=0.1, timeout=5, retries=2, start_period=0)
        return Definition(environment=frozenset({"HOME"}), writable=("/data",), health_check=check)

    def test_the_check_sees_the_container_environment(self, run: Run) -> None:
        container = run("sleep 600", HOME="/data/up")
        health = container.health
        assert health is not None
        Path(container.environment["HOME"]).touch()
        eventually(lambda: health.state == "healthy")
        Path(container.environment["HOME"]).unlink()
        eventually(lambda: health.state == "unhealthy")

    def test_a_failing_check_says_nothing_within_the_grace_period(self) -> None:
        left = [0] * 5
        health = Health(lambda: False, interval=0, failures=0, grace=3600)
        health.watch(lambda: bool(left and not left.pop()))
        assert health.state == "starting"

    def test_changes_are_told(self) -> None:
        results = [False, True, True, False]
        states: list[str] = []
        health = Health(lambda: results.pop(0), interval=0, failures=0, grace=0)
        health.watch(lambda: bool(results), lambda: states.append(health.state))
        assert states == ["unhealthy", "healthy", "unhealthy"]


def test_an_entry_point_that_is_missing_is_an_error(tmp_path: Path) -> None:
    docker = LocalDocker(
        tmp_path, definition_of=lambda _: Definition(), image_of=lambda uri: Image(uri, ("/nothing/here",), tmp_path)
    )
    with pytest.raises(FileNotFoundError, match="/nothing/here"):
        docker.containers.run("image", [], environment={}, name="x", labels={})
    docker.stop_all()


ECS = {
    "readonlyRootFilesystem": "true",
    "environment": [{"name": "HOME"}],
    "mountPoints": [{"containerPath": "/var/lib/litellm"}, {"containerPath": "/tmp", "readOnly": "false"}],  # noqa: S108 - inside it
}
as_on_fargate = pytest.mark.skipif(not possible(), reason="only root on Linux can be another user")


@as_on_fargate
class TestConfinement:
    @pytest.fixture(params=[{}])
    def definition(self, request: pytest.FixtureRequest) -> Definition:
        return Definition.from_ecs({**ECS, **request.param})

    @pytest.fixture
    def user(self) -> str:
        return "65532:65532"

    @pytest.fixture
    def elsewhere(self, tmp_path: Path) -> Path:
        """A folder where everybody may write."""
        folder = tmp_path / "elsewhere"
        folder.mkdir()
        folder.chmod(0o777)
        return folder

    def test_it_is_the_images_user_without_groups_and_capabilities_of_a_container(self, run: Run) -> None:
        container = run("id -u; id -g; id -G; grep -E 'Cap(Prm|Eff|Bnd)|NoNewPrivs' /proc/self/status")
        user, group, groups, *capabilities = lines(container)
        assert (user, group, groups) == ("65532", "65532", "65532")
        # Only what lets it pass folders of this machine that are closed to others: number 2.
        assert capabilities == [f"Cap{name}:\t{4:016x}" for name in ("Prm", "Eff", "Bnd")] + ["NoNewPrivs:\t1"]

    def test_it_writes_to_its_volumes(self, run: Run) -> None:
        container = run(
            'touch "$HOME/a" "$TMPDIR/b" && echo written >/dev/shm/$$ && rm /dev/shm/$$', HOME="/var/lib/litellm"
        )
        assert (container.wait(120), lines(container)) == ({"StatusCode": 0}, [])

    def test_it_writes_nowhere_else(self, run: Run, elsewhere: Path, tmp_path: Path) -> None:
        container = run(
            f'touch "{elsewhere}/a"; touch "{tmp_path}/a"; touch "$HOME/../a"; exit 0', HOME="/var/lib/litellm"
        )
        endings = [line.rpartition(": ")[2] for line in lines(container)]
        assert endings == ["Read-only file system", "Read-only file system", "Permission denied"]
        assert not [*elsewhere.iterdir()]

    def test_what_is_mounted_is_read_only_too_unless_it_is_its_own(self, tmp_path: Path) -> None:
        mounted, own = tmp_path / "another disk", tmp_path / "own"
        for folder in (mounted, own):
            folder.mkdir()
        write = Confinement(user="1000", writable=(own,)).command(["touch", str(mounted / "a"), str(own / "a")])
        mount = 'for folder; do mount -t tmpfs -o mode=1777,nosuid none "$folder"; done'
        script = [*("unshare", "--mount", "sh", "-c"), f"{mount}; exec {shlex.join(write)}", "sh"]
        command = [*script, str(mounted), str(own)]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.stderr == f"touch: cannot touch '{mounted / 'a'}': Read-only file system\n"

    @pytest.mark.parametrize("definition", [{"mountPoints": []}], indirect=True)
    def test_where_there_is_no_volume_it_writes_nowhere(self, run: Run) -> None:
        assert lines(run('touch "$TMPDIR/a"'))[0].endswith("Permission denied")

    @pytest.mark.parametrize("definition", [{"readonlyRootFilesystem": False}], indirect=True)
    def test_without_a_read_only_root_it_writes_where_its_user_may(
        self, run: Run, elsewhere: Path, tmp_path: Path
    ) -> None:
        container = run(f'touch "{elsewhere}/a" "$TMPDIR/b"; touch "{tmp_path}/a"')
        assert [line.rpartition(": ")[2] for line in lines(container)] == ["Permission denied"]
        assert (elsewhere / "a").stat().st_uid == 65532

    @pytest.mark.parametrize("definition", [{"user": "0"}, {"user": "root"}], indirect=True)
    def test_a_definition_that_says_root_gets_root_with_dockers_capabilities(self, run: Run, elsewhere: Path) -> None:
        container = run(f'id -u; id -g; grep CapEff /proc/self/status; touch "{elsewhere}/a"; mount -o remount,rw /')
        user, group, capabilities, refused, *_ = lines(container)
        assert (user, group, capabilities) == ("0", "0", "CapEff:\t00000000a80425fb")
        assert refused.endswith("Read-only file system")
        assert container.wait()["StatusCode"] != 0

    @pytest.mark.parametrize("definition", [{"user": "1000:2000"}], indirect=True)
    def test_the_definitions_user_is_taken_before_the_images_but_owns_no_volume(self, run: Run) -> None:
        container = run('id -u; id -g; touch "$TMPDIR/a"')
        assert lines(container)[:2] == ["1000", "2000"]
        assert lines(container)[2].endswith("Permission denied")

    @pytest.mark.parametrize(
        "definition", [{"healthCheck": {"command": ["CMD-SHELL", 'id -u >"$TMPDIR/who"']}}], indirect=True
    )
    def test_the_health_check_is_the_same_user(self, run: Run) -> None:
        container = run("sleep 600")
        health, who = container.health, Path(container.environment["TMPDIR"]) / "who"
        assert health is not None
        eventually(lambda: health.state == "healthy")
        assert (who.read_text(), who.stat().st_uid) == ("65532\n", 65532)

    def test_it_is_stopped_as_any_other(self, run: Run) -> None:
        container = run("trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.05; done")
        eventually(lambda: b"ready" in container.log.read_bytes())
        container.stop()
        assert lines(container) == ["ready", "bye"]


class TestPreloaded:
    @pytest.fixture(params=[{}])
    def definition(self, request: pytest.FixtureRequest) -> Definition:
        return Definition.from_ecs({**ECS, **request.param})

    @pytest.fixture
    def preloaded(self, tmp_path: Path) -> Preloaded:
        writable = (tmp_path / "state" / "containers", tmp_path / "sockets")
        writable[1].mkdir()
        return Preloaded(writable[1], Confinement(user="65532:65532", writable=writable))

    @pytest.fixture
    def user(self) -> str:
        return "65532:65532"

    def test_who_is_confined_alike_is_told_of_them(self, run: Run, tmp_path: Path) -> None:
        assert lines(run('echo "$LITELLM_PRELOAD"')) == [str(tmp_path / "sockets")]

    @pytest.mark.parametrize("definition", [{"user": "0"}, {"readonlyRootFilesystem": False}], indirect=True)
    def test_who_is_not_is_not(self, run: Run) -> None:
        assert lines(run('echo "${LITELLM_PRELOAD-none}"')) == ["none"]


def test_where_the_machine_does_not_permit_it_a_container_runs_as_whoever_starts_it(
    run: Run, definition: Definition, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("local.confinement.possible", lambda: False)
    confinement = Confinement(user="65532:65532", writable=(Path("/nowhere"),))
    assert confinement.command(["id", "-u"]) == ["id", "-u"]
    confinement.own(Path("/nowhere"))
    assert lines(run("id -u")) == [str(os.geteuid())]


def test_users_as_ecs_and_dockerfiles_give_them(tmp_path: Path) -> None:
    users = {"": (0, 0), "root": (0, 0), "1000": (1000, 0), "1000:2000": (1000, 2000), "nonroot": (65532, 65532)}
    assert {user: ids(user) for user in users} == users
    with pytest.raises(ValueError, match="unable to find user litellm"):
        ids("litellm")
    (tmp_path / "Dockerfile").write_text("FROM scratch\nUSER 0\nRUN true\nUSER 65532:65532\nCMD true\n")
    assert user_of(tmp_path / "Dockerfile") == "65532:65532"
    assert user_of(tmp_path / "none") == ""


def test_a_user_that_is_not_known_does_not_start(tmp_path: Path) -> None:
    docker = LocalDocker(
        tmp_path, definition_of=lambda _: Definition(user="litellm"), image_of=image_in(tmp_path, "65532:65532")
    )
    with pytest.raises(ValueError, match="give it as UID:GID"):
        docker.containers.run("image", ["true"], environment={}, name="x", labels={})
    docker.stop_all()


def test_a_container_definition_is_read_as_the_api_spells_it() -> None:
    definition = Definition.from_ecs(
        {
            "stopTimeout": 110,
            "healthCheck": {"command": ["CMD-SHELL", "true"], "interval": 10, "startPeriod": 60},
        }
    )
    assert definition.stop_timeout == 110
    assert definition.health_check == HealthCheck(("/bin/sh", "-c", "true"), 10, 5, 3, 60)
    assert Definition.from_ecs({}) == Definition()


def test_free_ports_are_outside_the_range_of_outgoing_connections() -> None:
    ports = free_ports(20)
    assert len({*ports}) == 20
    assert all(20000 <= port < 32000 for port in ports)


def test_a_port_that_another_process_has_been_given_is_given_to_none() -> None:
    """Though nothing listens on it yet."""
    (port,) = free_ports(1)
    program = (
        "import secrets, sys; from local import ports; numbers = [int(sys.argv[1]) - 20000];"
        "below = secrets.randbelow; secrets.randbelow = lambda count: numbers.pop() if numbers else below(count);"
        "print(*ports.free_ports(1))"
    )
    done = subprocess.run([sys.executable, "-c", program, str(port)], cwd=CHECKOUT, capture_output=True, check=True)
    assert int(done.stdout) != port
