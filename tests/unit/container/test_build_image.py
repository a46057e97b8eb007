"""container/build-image.sh with everything around it played: Docker, AWS, the downloads and the tools in them.

The real verify-image.sh runs within it, with a cosign that was downloaded.
"""

import hashlib
import io
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
import yaml

from stacks import CHECKOUT

CONTAINER = CHECKOUT / "container"
CONFIG = "model_list: []\n"
SCRIPT = (CONTAINER / "build-image.sh").read_text()
REPOSITORY = "444444444444.dkr.ecr.ap-northeast-1.amazonaws.com/litellm-gateway"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
BASE = f"sha256:{'b' * 64}"
PUSHED = f"sha256:{'c' * 64}"
NOT_FOUND = "An error occurred (ImageNotFoundException) when calling the DescribeImages operation: not there"
NEEDED = (
    "sh",
    "dirname",
    "sed",
    "awk",
    "sort",
    "tr",
    "uniq",
    "wc",
    "grep",
    "mktemp",
    "rm",
    "cat",
    "cp",
    "chmod",
    "tar",
)


class Machine:
    """A folder of commands that write down how they were called, and a copy of container/ whose checksums fit them."""

    def __init__(self, folder: Path) -> None:
        self.calls = folder / "calls"
        self.calls.touch()
        self.path = folder / "bin"
        self.path.mkdir()
        self.container = folder / "container"
        shutil.copytree(CONTAINER, self.container, ignore=shutil.ignore_patterns("__pycache__"))
        self.script = self.container / "build-image.sh"
        self.built = folder / "built"  # what Docker was last given
        self.config = folder / "company" / "config.yaml"
        self.config.parent.mkdir()
        self.config.write_text(CONFIG)
        self.bom = folder / "bom.cdx.json"
        self.downloads = folder / "downloads"
        self.downloads.mkdir()
        self.state = folder / "state"  # the digest of the image that the repository has
        for name in (*NEEDED, "sha256sum", "gzip", "touch"):
            (self.path / name).symlink_to(str(shutil.which(name)))
        self.command("uname", "echo Linux aarch64")
        self.command(
            "curl",
            f"""while [ "$1" != -o ]; do shift; done
for url; do :; done
case $2 in
    https:*) exit 2 ;;
esac
case $url in
    *global-bundle.pem | *.pem) cp "{self.container}/rds-ca-bundle.pem" "$2" ;;
    *) cp "{self.downloads}/${{url##*/}}" "$2" ;;
esac""",
        )
        self.command(
            "aws",
            f"""case "$1 $2" in
    'ecr get-login-password') echo secret-password ;;
    'ecr describe-images') [ ! -s "{self.state}" ] || exec cat "{self.state}"; echo "{NOT_FOUND}" >&2; exit 254 ;;
esac""",
        )
        self.docker()
        self.tool("cosign", f"""echo '[{{"docker-manifest-digest":"{BASE}"}}]'""")
        self.tool("syft", 'for each; do case $each in cyclonedx-json=*) echo "{}" >"${each#*=}" ;; esac; done')
        self.tool("grype", "echo no findings")

    def command(self, name: str, script: str) -> None:
        self._write(self.path / name, self._program(name, script))

    def docker(self, **answers: str) -> None:
        """Docker, whose commands (`login`, `build`, `pull`, `push`) do what `answers` says instead."""
        given = {
            "login": "cat >/dev/null",
            "build": f'for folder; do :; done; rm -rf "{self.built}"; cp -R "$folder" "{self.built}"',
            "push": f'printf %s {PUSHED} >"{self.state}"; echo {REPOSITORY}',
        } | answers
        self.command(
            "docker", "case $1 in\n" + "\n".join(f"{name}) {does} ;;" for name, does in given.items()) + "\nesac"
        )

    def tool(self, name: str, script: str) -> None:
        """Offer a program for download, for both processors, and have the script know its checksum."""
        program = self._program(name, script).encode()
        for processor in ("arm64", "amd64"):
            if name == "cosign":
                file, content = self.downloads / f"cosign-linux-{processor}", program
            else:
                version = re.findall(rf"^{name}_version=(.*)$", SCRIPT, re.MULTILINE)[0]
                file = self.downloads / f"{name}_{version}_linux_{processor}.tar.gz"
                content = self._archive(name, program)
            file.write_bytes(content)
            self.know(f"{name}_{processor}", hashlib.sha256(content).hexdigest())

    def know(self, variable: str, checksum: str) -> None:
        self._write(self.script, re.sub(rf"(?m)^{variable}=.*$", f"{variable}={checksum}", self.script.read_text()))

    def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self.script), *(arguments or (REPOSITORY, COMMIT, str(self.bom)))],
            cwd=self.path.parent,
            env={"PATH": str(self.path), "HOME": str(self.path.parent), "TMPDIR": str(self.path.parent), **variables},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    def refused(self, *arguments: str) -> str:
        """The last line with which the script refused; nothing else would pass for a digest."""
        result = self.run(*arguments)
        assert (result.returncode, result.stdout) == (1, ""), result
        *_, line = result.stderr.splitlines()
        return line

    def called(self, *starts: str) -> list[str]:
        """The calls that begin with one of these, in order."""
        return [line for line in self.calls.read_text().splitlines() if line.startswith(starts)]

    def _program(self, name: str, script: str) -> str:
        return f'#!/bin/sh\nprintf "%s\\n" "{name} $*" >>"{self.calls}"\n{script}\n'

    @staticmethod
    def _archive(name: str, program: bytes) -> bytes:
        with io.BytesIO() as stream:
            with tarfile.open(fileobj=stream, mode="w:gz") as archive:
                member = tarfile.TarInfo(name)
                member.size, member.mode = len(program), 0o755
                archive.addfile(member, io.BytesIO(program))
            return stream.getvalue()

    @staticmethod
    def _write(file: Path, text: str) -> None:
        file.write_text(text)
        file.chmod(0o755)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_the_digest_alone_is_printed(machine: Machine) -> None:
    result = machine.run()
    assert (result.returncode, result.stdout) == (0, f"{PUSHED}\n"), result
    assert machine.bom.read_text() == "{}\n"


def test_verified_then_built_then_scanned_then_pushed(machine: Machine) -> None:
    machine.run()
    calls = machine.called("cosign", "docker", "syft", "grype")
    assert [" ".join(call.split()[:2]) for call in calls] == [
        "docker login",
        "cosign verify",
        "docker build",
        "syft scan",
        "grype --config",
        "docker push",
    ]


def test_the_build_is_of_the_base_that_was_verified_and_for_the_tasks_processor(machine: Machine) -> None:
    machine.run()
    (build,) = machine.called("docker build")
    assert f"--build-arg LITELLM_DIGEST={BASE} " in build
    assert "--platform linux/arm64 " in build
    assert f"--tag {REPOSITORY}:{COMMIT} " in build
    assert f"--label org.opencontainers.image.revision={COMMIT} " in build
    assert build.endswith("/context")
    assert (machine.built / "config.yaml").read_text() == CONFIG
    assert (machine.built / "Dockerfile").read_text() == (CONTAINER / "Dockerfile").read_text()


def test_the_build_is_of_the_company_that_is_named(machine: Machine) -> None:
    other = machine.config.parent.parent / "tests" / "companies" / "other"
    other.mkdir(parents=True)
    (other / "config.yaml").write_text("model_list: [other]\n")
    assert machine.run(COMPANY="tests/companies/other").returncode == 0
    assert (machine.built / "config.yaml").read_text() == "model_list: [other]\n"


def test_a_checkout_without_a_companys_files(machine: Machine) -> None:
    machine.config.unlink()
    assert machine.refused() == "build-image.sh: company/config.yaml is missing: make init writes the company's files."
    assert not machine.called("curl", "docker", "aws")


def test_what_was_built_is_what_is_listed_scanned_and_pushed(machine: Machine) -> None:
    machine.run()
    assert machine.called("syft", "grype", "docker push") == [
        f"syft scan --quiet --output cyclonedx-json={machine.bom} docker:{REPOSITORY}:{COMMIT}",
        f"grype --config {machine.container}/grype.yaml sbom:{machine.bom}",
        f"docker push --quiet {REPOSITORY}:{COMMIT}",
    ]


def test_the_repository_is_asked_in_its_own_account_and_region(machine: Machine) -> None:
    machine.run()
    for call in machine.called("aws ecr describe-images"):
        assert "--region ap-northeast-1 --registry-id 444444444444 --repository-name litellm-gateway " in call
        assert f"imageTag={COMMIT}" in call
    assert machine.called("aws ecr get-login-password") == ["aws ecr get-login-password --region ap-northeast-1"]


def test_the_password_is_in_no_argument(machine: Machine) -> None:
    result = machine.run()
    assert "secret-password" not in machine.calls.read_text() + result.stdout + result.stderr
    assert machine.called("docker login") == [
        f"docker login --username AWS --password-stdin {REPOSITORY.split('/', maxsplit=1)[0]}"
    ]


def test_an_image_that_is_there_is_not_built_again_but_scanned_again(machine: Machine) -> None:
    machine.state.write_text(PUSHED)
    result = machine.run()
    assert (result.returncode, result.stdout) == (0, f"{PUSHED}\n"), result
    assert machine.called("docker pull") == [f"docker pull --quiet --platform linux/arm64 {REPOSITORY}@{PUSHED}"]
    assert not machine.called("docker build", "docker push", "cosign")
    assert len(machine.called("syft", "grype")) == 2
    assert machine.bom.exists()


def test_findings_stop_an_image_before_it_is_pushed(machine: Machine) -> None:
    machine.tool("grype", "echo example 1.2.3 CVE-2026-00000 Critical; exit 2")
    assert "has critical findings that a newer version mends" in machine.refused()
    assert not machine.called("docker push")


def test_findings_stop_an_image_that_is_there(machine: Machine) -> None:
    machine.state.write_text(PUSHED)
    machine.tool("grype", "exit 2")
    assert "container/grype.yaml with its reason" in machine.refused()


def test_an_image_that_could_not_be_scanned_is_not_pushed(machine: Machine) -> None:
    machine.tool("grype", "exit 1")
    assert "could not be scanned" in machine.refused()
    assert not machine.called("docker push")


def test_an_image_that_is_not_verified_is_not_built(machine: Machine) -> None:
    machine.tool("cosign", "exit 1")
    assert "do not build from it" in machine.refused()
    assert not machine.called("docker build")


@pytest.mark.parametrize("tool", ["cosign", "syft", "grype"])
@pytest.mark.parametrize("processor", ["aarch64", "x86_64"])
def test_a_tool_that_is_not_what_was_pinned_is_not_run(machine: Machine, tool: str, processor: str) -> None:
    machine.command("uname", f"echo Linux {processor}")
    (name,) = (each for each in machine.downloads.iterdir() if _is(each, tool, processor))
    name.write_bytes(name.read_bytes() + b"\n")
    assert "is not the file whose checksum is in this script" in machine.refused()
    assert not machine.called(tool, "docker")


def _is(file: Path, tool: str, processor: str) -> bool:
    return file.name.startswith(tool) and {"aarch64": "arm64", "x86_64": "amd64"}[processor] in file.name


def test_each_processor_has_its_own_tools(machine: Machine) -> None:
    machine.command("uname", "echo Linux x86_64")
    assert machine.run().returncode == 0
    urls = [call.split()[-1] for call in machine.called("curl") if "github.com" in call and "releases" in call]
    assert [url.rsplit("/", 1)[-1] for url in urls] == [
        each.name
        for tool in ("cosign", "syft", "grype")
        for each in machine.downloads.iterdir()
        if _is(each, tool, "x86_64")
    ]
    assert all(url.startswith("https://github.com/") for url in urls)


@pytest.mark.parametrize("system", ["Linux riscv64", "Darwin arm64"])
def test_another_system_is_refused(machine: Machine, system: str) -> None:
    machine.command("uname", f"echo {system}")
    (machine.path / "sha256sum").unlink()  # some have none: that is not the reason
    assert f"there are no tools for {system}" in machine.refused()


@pytest.mark.parametrize("name", ["docker", "aws", "curl", "tar", "sha256sum"])
def test_a_missing_command_is_named(machine: Machine, name: str) -> None:
    (machine.path / name).unlink()
    assert f"{name} is not installed" in machine.refused()


@pytest.mark.parametrize(
    ("command", "script", "sentence"),
    [
        ("curl", "exit 6", "could not be downloaded"),
        ("aws", "exit 255", "AWS gave no password"),
        ("aws", "case $2 in get*) echo p ;; *) echo AccessDeniedException >&2; exit 254 ;; esac", "could not be read"),
    ],
)
def test_a_failure_is_said(machine: Machine, command: str, script: str, sentence: str) -> None:
    machine.command(command, script)
    assert sentence in machine.refused()
    assert not machine.called("docker build", "docker push")


@pytest.mark.parametrize(
    ("step", "sentence"),
    [("login", "could not sign in"), ("build", "could not be built"), ("push", "could not be pushed")],
)
def test_a_failure_of_docker_is_said(machine: Machine, step: str, sentence: str) -> None:
    machine.docker(**{step: "exit 1"})
    assert sentence in machine.refused()


def test_an_image_that_cannot_be_pulled_is_said(machine: Machine) -> None:
    machine.state.write_text(PUSHED)
    machine.docker(pull="exit 1")
    assert "could not be pulled" in machine.refused()


def test_packages_that_cannot_be_listed_are_said(machine: Machine) -> None:
    machine.tool("syft", "exit 1")
    assert "could not be listed" in machine.refused()
    assert not machine.called("docker push")


def test_a_push_that_the_repository_does_not_know_of_is_said(machine: Machine) -> None:
    machine.docker(push="true")
    assert f"has no image with the tag {COMMIT} after the push" in machine.refused()


@pytest.mark.parametrize(
    ("repository", "sentence"),
    [
        ("litellm-gateway", "give ACCOUNT.dkr.ecr.REGION"),
        ("ghcr.io/berriai/litellm", "give ACCOUNT.dkr.ecr.REGION"),
        (f"{REPOSITORY}:latest", "leave out the tag"),
        (f"{REPOSITORY}@{PUSHED}", "leave out the tag"),
        (REPOSITORY.split("/", maxsplit=1)[0], "give ACCOUNT.dkr.ecr.REGION"),
    ],
)
def test_what_is_no_repository_is_refused(machine: Machine, repository: str, sentence: str) -> None:
    assert sentence in machine.refused(repository, COMMIT, str(machine.bom))
    assert not machine.called("curl", "docker", "aws")


@pytest.mark.parametrize("tag", ["", "a b", "a:b", "$(true)"])
def test_what_is_no_tag_is_refused(machine: Machine, tag: str) -> None:
    assert "is not a tag: give the commit" in machine.refused(REPOSITORY, tag, str(machine.bom))


def test_three_arguments(machine: Machine) -> None:
    assert machine.refused(REPOSITORY, COMMIT) == "build-image.sh: usage: build-image.sh REPOSITORY TAG FILE"


def test_nothing_is_left_behind(machine: Machine) -> None:
    before = set(machine.path.parent.iterdir())
    machine.run()
    assert set(machine.path.parent.iterdir()) - before == {machine.bom, machine.state, machine.built}


def test_it_can_be_executed() -> None:
    assert (CONTAINER / "build-image.sh").stat().st_mode & 0o111


def test_every_checksum_is_a_sha256_and_no_two_are_the_same() -> None:
    checksums = re.findall(r"^(\w+)_(amd64|arm64)=([0-9a-f]{64})$", SCRIPT, re.MULTILINE)
    assert {(tool, processor) for tool, processor, _ in checksums} == {
        (tool, processor) for tool in ("cosign", "syft", "grype") for processor in ("amd64", "arm64")
    }
    assert len({checksum for *_, checksum in checksums}) == 6


def test_the_scan_refuses_critical_findings_that_are_mended_and_every_exception_has_its_reason() -> None:
    policy = yaml.safe_load((CONTAINER / "grype.yaml").read_text())
    assert (policy["fail-on-severity"], policy["only-fixed"]) == ("critical", True)
    for each in policy["ignore"]:
        assert re.fullmatch(r"(CVE|GHSA)-[\w-]+", each["vulnerability"])
        assert each["package"]["name"], each
        assert len(each["reason"]) > 20, each
