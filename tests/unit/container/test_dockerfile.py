"""container/: the image's definition, its root certificates, and verify-image.sh with cosign and curl played."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from stacks import CHECKOUT
from stacks.company import environments

CONTAINER = CHECKOUT / "container"
DOCKERFILE = (CONTAINER / "Dockerfile").read_text()
DIGEST = f"sha256:{'0123456789abcdef' * 4}"
# Who signs LiteLLM's image, as its release notes say in their `cosign verify`.
OLD_KEY = "litellm/0112e53046018d726492c814b3644b7d376029d0/cosign.pub"
NEW_KEY = "litellm/e82a3c646908ba0a6ee0beddc4310d7a6cac4065/cosign.pub"
WORKFLOW = "project-releaser/.github/workflows/release.yml@refs/heads/main"


def version() -> str:
    found = re.findall(r"^ARG LITELLM_VERSION=(\d+\.\d+\.\d+)$", DOCKERFILE, re.MULTILINE)
    assert len(found) == 1
    return str(found[0])


def instructions(name: str) -> list[str]:
    """The arguments of each `name` instruction, in the file's order."""
    return re.findall(rf"^{name} +(.*)$", DOCKERFILE.replace("\\\n", " "), re.MULTILINE)


def certificates() -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates((CONTAINER / "rds-ca-bundle.pem").read_bytes())


def common_name(certificate: x509.Certificate) -> str:
    return str(certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)


def test_the_local_run_has_the_images_version() -> None:
    pinned = re.findall(
        r"^litellm(?:\[proxy\])?==([^\s;]+)", (CHECKOUT / "local" / "litellm.txt").read_text(), re.MULTILINE
    )
    assert pinned == [version()]


def test_the_image_is_the_official_one_at_that_version_and_if_given_that_digest() -> None:
    assert instructions("FROM") == [
        "ghcr.io/berriai/litellm:v${LITELLM_VERSION}${LITELLM_DIGEST:+@${LITELLM_DIGEST}}",
    ]
    assert "LITELLM_DIGEST=" in instructions("ARG")


def test_it_runs_as_a_numeric_user_that_is_not_root() -> None:
    assert instructions("USER")[-1] == "65532:65532"


def test_its_writable_folders_are_volumes_made_before_they_are_declared() -> None:
    assert instructions("VOLUME") == ['["/tmp", "/var/lib/litellm"]']
    assert DOCKERFILE.index("chown 65532:65532 /var/lib/litellm") < DOCKERFILE.index("\nVOLUME")


def test_its_user_may_read_every_file_and_write_none() -> None:
    modes = [re.findall(r"--chmod=0([0-7]{3})\b", line) for line in instructions("COPY")]
    assert modes == [["444"], ["555"]]


def test_signals_reach_the_command() -> None:
    assert instructions("ENTRYPOINT") == ['["/app/entrypoint.sh"]']
    assert instructions("CMD") == ['["litellm", "--config", "config.yaml"]']
    assert instructions("STOPSIGNAL") == ["SIGTERM"]


MODULES = {
    *("affinity.py", "answers.py", "budgets.py", "capacity.py", "errors.py", "faults.py", "masking.py", "prices.py"),
    *("reach.py", "records.py", "routing.py"),
}


def compiling() -> list[str]:
    """The commands that compile bytecode."""
    return [command for command in instructions("RUN") if "compileall" in command]


def test_bytecode_is_compiled_as_root_once_what_it_is_of_is_there() -> None:
    packages, modules = compiling()
    where = [DOCKERFILE.index(marker) for marker in ("-q -j 0", "COPY", "-q --invalidation", "USER 65532")]
    assert where == sorted(where)
    assert ".venv/lib" in packages
    assert set(modules.split()) >= MODULES
    assert {name for line in instructions("COPY") for name in line.split() if name.endswith(".py")} == MODULES
    assert instructions("WORKDIR") == ["/app"]


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """A folder like the image's /app: LiteLLM, a package with a file of another Python, and our own modules."""
    site = tmp_path / ".venv" / "lib" / "python3.13" / "site-packages"
    for name, source in {
        "litellm/proxy/proxy_server.py": "answer = 42\n",
        "old/old.py": "print 'no Python 3'\n",
    }.items():
        (site / name).parent.mkdir(parents=True)
        (site / name).write_text(source)
    for name in MODULES:
        shutil.copy(CONTAINER / name, tmp_path)
    return tmp_path


def compiled(app: Path) -> dict[str, bytes]:
    return {file.parent.parent.name + "/" + file.name: file.read_bytes() for file in app.rglob("*.pyc")}


def run_compiling(app: Path) -> list[int]:
    """The exit status of each command."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {"PATH": path, "PYTHONDONTWRITEBYTECODE": "1"}  # as in the image
    return [subprocess.run(["sh", "-c", each], cwd=app, env=environment).returncode for each in compiling()]  # noqa: S607


def test_bytecode_is_used_without_a_look_at_the_source_and_has_no_time_in_it(app: Path) -> None:
    assert run_compiling(app) == [0, 0]
    first = compiled(app)
    modules = {f"{app.name}/{Path(name).stem}" for name in MODULES}
    assert {name.split(".")[0] for name in first} == {"proxy/proxy_server"} | modules
    assert {int.from_bytes(content[4:8], "little") for content in first.values()} == {0b01}  # PEP 552: unchecked hash
    for source in app.rglob("*.py"):
        os.utime(source, (0, 0))
    for file in app.rglob("*.pyc"):
        file.unlink()
    run_compiling(app)
    assert compiled(app) == first


def test_an_image_without_litellms_bytecode_is_not_built(app: Path) -> None:
    (proxy,) = app.rglob("proxy_server.py")
    proxy.write_text("no Python at all\n")
    assert run_compiling(app)[0] != 0


def test_the_bases_prisma_settings_are_left_alone() -> None:
    assert not re.search(r"PRISMA_\w+=", DOCKERFILE)


def test_everything_that_is_copied_is_in_the_build_context_and_nothing_else() -> None:
    copied = {word for line in instructions("COPY") for word in line.split() if not word.startswith(("--", "./"))}
    ignored = (CONTAINER / ".dockerignore").read_text().splitlines()
    assert {line.removeprefix("!") for line in ignored if line.startswith("!")} == copied
    assert "*" in ignored


def test_the_scripts_can_be_executed() -> None:
    for name in ("entrypoint.sh", "verify-image.sh"):
        assert (CONTAINER / name).stat().st_mode & 0o111, name


def test_the_root_certificates_are_amazons_own_and_cover_every_environments_region() -> None:
    for certificate in certificates():
        certificate.verify_directly_issued_by(certificate)
        assert common_name(certificate).startswith("Amazon RDS ")
    names = {common_name(certificate) for certificate in certificates()}
    assert len(names) == len(certificates())
    for environment in environments().values():
        assert {
            f"Amazon RDS {environment.region} Root CA {kind} G1" for kind in ("RSA2048", "RSA4096", "ECC384")
        } <= names, f"container/rds-ca-bundle.pem has no root certificates for {environment.region}"


class Tools:
    """A copy of container/ to verify, and a PATH whose cosign and curl answer as a test says."""

    def __init__(self, folder: Path) -> None:
        self.container = folder / "container"
        self.path = folder / "bin"
        self.calls = folder / "calls"
        self.published = folder / "published.pem"
        shutil.copytree(CONTAINER, self.container, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(CONTAINER / "rds-ca-bundle.pem", self.published)
        self.path.mkdir()
        self.command("cosign", f"""printf '[{{"critical":{{"image":{{"docker-manifest-digest":"{DIGEST}"}}}}}}]\\n'""")
        self.command("curl", f'while [ "$1" != -o ]; do shift; done; cp "{self.published}" "$2"')

    def command(self, name: str, script: str) -> None:
        file = self.path / name
        file.write_text(f'#!/bin/sh\necho {name} "$@" >>"{self.calls}"\n{script}\n')
        file.chmod(0o755)

    def version(self, version: str) -> None:
        file = self.container / "Dockerfile"
        file.write_text(re.sub(r"(?m)^(ARG LITELLM_VERSION=).*$", rf"\g<1>{version}", file.read_text()))

    def run(self) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self.container / "verify-image.sh")],
            cwd=self.container,
            env={"PATH": f"{self.path}:/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    def refused(self) -> str:
        result = self.run()
        assert (result.returncode, result.stdout) == (1, "")
        return result.stderr


@pytest.fixture
def tools(tmp_path: Path) -> Tools:
    return Tools(tmp_path)


def test_verified_prints_the_digest_alone_for_a_build_argument(tools: Tools) -> None:
    result = tools.run()
    assert (result.returncode, result.stdout) == (0, f"{DIGEST}\n")
    assert f"ghcr.io/berriai/litellm:v{version()}" in result.stderr


@pytest.mark.parametrize(
    ("version", "signer"),
    [
        ("1.106.2", OLD_KEY),
        ("1.106.3", NEW_KEY),
        ("1.106.10", NEW_KEY),
        ("1.106.11", WORKFLOW),
        ("1.106.12", WORKFLOW),
        ("1.108.5", NEW_KEY),
        ("1.108.9", NEW_KEY),
        ("1.108.10", WORKFLOW),
        ("1.108.13", WORKFLOW),
    ],
)
def test_each_version_is_verified_against_its_own_signer(tools: Tools, version: str, signer: str) -> None:
    tools.version(version)
    assert tools.run().returncode == 0
    call = next(line for line in tools.calls.read_text().splitlines() if line.startswith("cosign"))
    assert signer in call
    assert call.endswith(f" ghcr.io/berriai/litellm:v{version}")


def test_a_version_without_a_known_signer_is_refused(tools: Tools) -> None:
    tools.version("9.0.0")
    assert "no signer is known for LiteLLM 9.0.0" in tools.refused()
    assert not tools.calls.exists()


@pytest.mark.parametrize("name", ["cosign", "curl"])
def test_a_missing_tool_is_named(tools: Tools, name: str) -> None:
    # Everything else that the script needs, and not the tool, even where this machine has it.
    for command in ("sh", "dirname", "sed", "awk", "sort", "tr", "uniq", "wc", "grep", "mktemp", "rm"):
        (tools.path / command).symlink_to(str(shutil.which(command)))
    (tools.path / name).unlink()
    result = subprocess.run(
        ["/bin/sh", str(tools.container / "verify-image.sh")],
        cwd=tools.container,
        env={"PATH": str(tools.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert f"{name} is not installed" in result.stderr


@pytest.mark.parametrize("answer", ["exit 1", "echo '[]'", f"echo '{DIGEST}'"])
def test_an_image_that_is_not_verified_is_refused(tools: Tools, answer: str) -> None:
    tools.command("cosign", answer)
    assert "do not build from it" in tools.refused()


def test_two_digests_are_refused(tools: Tools) -> None:
    other = DIGEST.replace("0", "f")
    tools.command(
        "cosign",
        f"""echo '[{{"docker-manifest-digest":"{DIGEST}"}}, {{"docker-manifest-digest": "{other}"}}]'""",
    )
    assert "not exactly one digest" in tools.refused()


def test_a_root_certificate_that_aws_does_not_publish_is_refused(tools: Tools) -> None:
    text = tools.published.read_text()
    end = "-----END CERTIFICATE-----\n"
    tools.published.write_text(text[: text.rindex("-----BEGIN")] + text[text.rindex(end) + len(end) :])
    assert "1 certificate(s) of rds-ca-bundle.pem are not among those" in tools.refused()


def test_more_published_certificates_in_other_line_ends_are_no_reason_to_refuse(tools: Tools) -> None:
    text = (tools.container / "rds-ca-bundle.pem").read_text()
    tools.published.write_bytes(text.replace("\n", "\r\n").encode())
    (tools.container / "rds-ca-bundle.pem").write_text(text[: text.rindex("\n# Amazon RDS")] + "\n")
    assert tools.run().returncode == 0


def test_aws_out_of_reach_is_refused(tools: Tools) -> None:
    tools.command("curl", "exit 6")
    assert "could not be read" in tools.refused()
