"""container/entrypoint.sh, run for real in a folder of its own, with a clean environment and small commands.

With this machine's shell and tools, and with BusyBox's, which are those of the image's base; and where this machine
permits it as the image's user, who may write below HOME alone.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
import yaml

from local.confinement import Confinement, possible, user_of
from stacks import CHECKOUT
from stacks.company import EXAMPLE

CONTAINER = CHECKOUT / "container"
PRINT_ENVIRONMENT = (sys.executable, "-c", "import json, os; print(json.dumps(dict(os.environ)))")

ENVIRONMENT = {
    "DATABASE_HOST": "database.example.internal",
    "DATABASE_PORT": "5432",
    "DATABASE_NAME": "litellm",
    "DATABASE_USERNAME": "litellm",
    "DATABASE_PASSWORD": "database-password",
    "LITELLM_MASTER_KEY": "sk-master-key",
    "LITELLM_SALT_KEY": "sk-salt-key",
    "UI_USERNAME": "admin",
    "UI_PASSWORD": "ui-password",
    "PROXY_BASE_URL": "https://llm.example.com",
    "PORT": "4000",
    "AZURE_API_KEY": "azure-key",
    "VERTEX_CREDENTIALS": '{"type": "service_account"}',
}
SECRETS = ("database-password", "sk-master-key", "sk-salt-key", "ui-password", "azure-key", "service_account")

CONFIG = """\
model_list:
  - model_name: one # os.environ/COMMENTED_AT_THE_END
    litellm_params: {api_key: os.environ/AZURE_API_KEY, vertex_credentials: os.environ/VERTEX_CREDENTIALS}
  # api_key: os.environ/COMMENTED
"""


@dataclass(frozen=True)
class Image:
    """A folder like the image's /app: the script, a configuration, the root certificates; and how it is run."""

    folder: Path
    path: str
    shell: tuple[str, ...] = ()  # the script's own where it is empty
    confinement: Confinement | None = None

    @property
    def home(self) -> Path:
        return self.folder.parent / "volume" / "home"

    def argv(self, *command: str) -> list[str]:
        """The command line of the script with this command."""
        argv = [*self.shell, str(self.folder / "entrypoint.sh"), *command]
        return self.confinement.command(argv) if self.confinement else argv


@pytest.fixture(scope="session")
def busybox(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A PATH whose every program but Python is BusyBox's, as in the image."""
    folder = tmp_path_factory.mktemp("busybox")
    program = shutil.which("busybox")
    if program is None:
        needed = os.environ.get("CI") and sys.platform == "linux"
        (pytest.fail if needed else pytest.skip)("BusyBox, whose tools the image has, is not installed")
    for applet in subprocess.check_output([program, "--list"], cwd=folder, text=True).split():
        (folder / applet).symlink_to(program)
    (folder / "python3").symlink_to(sys.executable)
    return str(folder)


@pytest.fixture(params=["this machine's tools", "BusyBox", "Fargate"])
def image(tmp_path: Path, request: pytest.FixtureRequest) -> Image:
    folder = tmp_path / "the app's folder"
    folder.mkdir()
    volume = tmp_path / "volume"
    volume.mkdir()
    for name in ("entrypoint.sh", "rds-ca-bundle.pem"):
        shutil.copy(CONTAINER / name, folder)
    (folder / "config.yaml").write_text(CONFIG)
    if request.param == "this machine's tools":
        return Image(folder, f"{Path(sys.executable).parent}:/usr/bin:/bin")
    path = request.getfixturevalue("busybox")
    confinement = None
    if request.param == "Fargate":
        if not possible():
            pytest.skip("only root on Linux can be another user, on a file system that is read-only")
        confinement = Confinement(user=user_of(CONTAINER / "Dockerfile"), writable=(volume,))
        confinement.own(volume)
    return Image(folder, path, (f"{path}/sh",), confinement)


def environment(image: Image, **changes: str | None) -> dict[str, str]:
    """The whole environment of the script: a complete one with `changes`; None takes a name out."""
    base = {"PATH": image.path, "HOME": str(image.home)}
    return {name: value for name, value in (base | ENVIRONMENT | changes).items() if value is not None}


def execute(image: Image, argv: Sequence[str], **changes: str | None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        argv,
        env=environment(image, **changes),
        cwd=image.folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def run(image: Image, *command: str, **changes: str | None) -> subprocess.CompletedProcess[str]:
    return execute(image, image.argv(*(command or PRINT_ENVIRONMENT)), **changes)


def refused(result: subprocess.CompletedProcess[str]) -> str:
    """The one sentence with which the script refused, without a secret in it."""
    assert result.returncode == 78, result
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert not any(secret in result.stderr for secret in SECRETS)
    return result.stderr


def seen(result: subprocess.CompletedProcess[str]) -> dict[str, str]:
    """The environment that the command had."""
    assert (result.returncode, result.stderr) == (0, "")
    environment = json.loads(result.stdout)
    assert isinstance(environment, dict)
    return environment


@pytest.mark.parametrize("name", sorted(ENVIRONMENT))
@pytest.mark.parametrize("value", [None, ""])
def test_a_missing_or_empty_variable_is_named(image: Image, name: str, value: str | None) -> None:
    assert f"environment: {name}; secrets" in refused(run(image, **{name: value}))


def test_all_missing_variables_are_named_in_one_sentence_each_once(image: Image) -> None:
    sentence = refused(run(image, **dict.fromkeys(ENVIRONMENT)))
    assert {name: sentence.count(f" {name}") for name in ENVIRONMENT} == dict.fromkeys(ENVIRONMENT, 1)


def test_names_in_comments_of_the_configuration_are_not_required(image: Image) -> None:
    assert "COMMENTED" not in refused(run(image, **dict.fromkeys(ENVIRONMENT)))


def test_every_name_of_the_real_configuration_is_required(image: Image) -> None:
    text = (EXAMPLE / "config.yaml").read_text()
    (image.folder / "config.yaml").write_text(text)
    names = set(re.findall(r"os\.environ/(\w+)", json.dumps(yaml.safe_load(text))))
    assert names
    assert names <= set(re.findall(r"\w+", refused(run(image, **dict.fromkeys(ENVIRONMENT)))))


def test_no_configuration_is_refused(image: Image) -> None:
    (image.folder / "config.yaml").unlink()
    assert "config.yaml is missing" in refused(run(image))


def test_no_command_is_refused(image: Image) -> None:
    assert "no command" in refused(execute(image, image.argv()))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"LITELLM_MASTER_KEY": "master-key"}, 'LITELLM_MASTER_KEY must begin with "sk-"'),
        ({"LITELLM_MASTER_KEY": "sk-"}, 'LITELLM_MASTER_KEY must begin with "sk-"'),
        ({"LITELLM_SALT_KEY": "sk-master-key"}, "LITELLM_SALT_KEY must not be the same"),
        ({"PORT": "four thousand"}, "must be numbers"),
        ({"DATABASE_PORT": "5432/x"}, "must be numbers"),
        ({"DATABASE_NAME": "lite/llm"}, "DATABASE_NAME must"),
        ({"DATABASE_HOST": "database:5432"}, "DATABASE_HOST must"),
        ({"VERTEX_CREDENTIALS": "service_account"}, "VERTEX_CREDENTIALS is not"),
        ({"VERTEX_CREDENTIALS": '{"project_id": "service_account"}'}, "VERTEX_CREDENTIALS is not"),
        ({"VERTEX_CREDENTIALS": '{"type": "service_account\n"}'}, "VERTEX_CREDENTIALS is not"),
        ({"DATABASE_CA_FILE": "/nowhere/ca.pem"}, "from /nowhere/ca.pem"),
        ({"HOME": "/dev/null/home"}, "mount a volume"),
    ],
)
def test_a_wrong_value_is_refused_without_printing_it(image: Image, changes: dict[str, str], words: str) -> None:
    result = run(image, **changes)
    # mkdir says which folder and why, then the sentence says what to do.
    result.stderr = "".join(line for line in result.stderr.splitlines(True) if not line.startswith("mkdir:"))
    assert words in refused(result)


@pytest.mark.parametrize("image", ["Fargate"], indirect=True)
def test_a_home_without_a_volume_is_refused(image: Image) -> None:
    result = run(image, HOME=str(image.folder))
    mkdir, _, sentence = result.stderr.partition("\n")
    assert (result.returncode, "mount a volume" in sentence) == (78, True), result
    assert "Read-only file system" in mkdir


@pytest.mark.parametrize(
    "password",
    [
        "@/:%#?&+ '\"\\`$(exit 1)${PATH}!*;|<>~^[]{}=,",
        "%40%2F",
        "-n -e \\n\\x41",
        " leading and trailing ",
        "two\nlines\n",
        "日本語のパスワード 🔑 é",
        "".join(map(chr, range(1, 127))),
    ],
)
def test_a_hostile_password_arrives_in_the_url_as_it_is(image: Image, password: str) -> None:
    url = urlsplit(seen(run(image, DATABASE_PASSWORD=password, DATABASE_USERNAME="us:er@/"))["DATABASE_URL"])
    assert (url.scheme, url.hostname, url.port, url.path) == (
        "postgresql",
        "database.example.internal",
        5432,
        "/litellm",
    )
    assert unquote(url.password or "") == password
    assert unquote(url.username or "") == "us:er@/"


def test_tls_is_verified_against_the_certificates_beside_the_script(image: Image) -> None:
    query = parse_qs(urlsplit(seen(run(image))["DATABASE_URL"]).query)
    encrypted = {"sslmode": ["verify-full"], "sslrootcert": [str(image.folder / "rds-ca-bundle.pem")]}
    assert query == {**encrypted, "socket_timeout": ["20"]}
    # A statement of a migration may take longer.
    migrating = parse_qs(urlsplit(seen(run(image, DISABLE_SCHEMA_UPDATE="false"))["DATABASE_URL"]).query)
    assert migrating == encrypted


def test_a_connection_is_waited_for_where_the_database_may_be_paused(image: Image) -> None:
    query = parse_qs(urlsplit(seen(run(image, DATABASE_CONNECT_TIMEOUT="60"))["DATABASE_URL"]).query)
    assert query["connect_timeout"] == ["60"]
    assert query["sslmode"] == ["verify-full"]


def test_tls_is_verified_against_another_file_where_one_is_named(image: Image) -> None:
    file = image.folder.parent / "own & only ca.pem"
    file.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    query = parse_qs(urlsplit(seen(run(image, DATABASE_CA_FILE=str(file)))["DATABASE_URL"]).query)
    assert query["sslrootcert"] == [str(file)]


def test_the_command_has_every_variable_as_it_was_but_the_password(image: Image) -> None:
    credentials = json.dumps({"type": "service_account", "private_key": "-----BEGIN\nline\n"}, indent=2) + "\n"
    environment = seen(run(image, VERTEX_CREDENTIALS=credentials))
    assert environment["VERTEX_CREDENTIALS"] == credentials
    assert "DATABASE_PASSWORD" not in environment
    assert {name: environment[name] for name in ENVIRONMENT if name != "DATABASE_PASSWORD"} == {
        name: value
        for name, value in (ENVIRONMENT | {"VERTEX_CREDENTIALS": credentials}).items()
        if name != "DATABASE_PASSWORD"
    }


def test_credentials_are_not_asked_for_where_the_configuration_has_none(image: Image) -> None:
    (image.folder / "config.yaml").write_text("model_list: []\n")
    assert "VERTEX_CREDENTIALS" not in seen(run(image, VERTEX_CREDENTIALS=None, AZURE_API_KEY=None))


def test_writable_folders_are_made_below_home_for_the_user_alone(image: Image) -> None:
    environment = seen(run(image))
    home = image.home
    folders = {
        "LITELLM_MIGRATION_DIR": home / "migrations",
        "LITELLM_UI_PATH": home / "ui",
        "LITELLM_ASSETS_PATH": home / "assets",
        "XDG_CACHE_HOME": home / "cache",
    }
    assert {name: environment[name] for name in folders} == {name: str(path) for name, path in folders.items()}
    assert {path.stat().st_mode & 0o777 for path in folders.values()} == {0o700}


def test_writable_folders_are_where_the_task_definition_says(image: Image) -> None:
    elsewhere = image.home / "elsewhere" / "ui"
    assert seen(run(image, LITELLM_UI_PATH=str(elsewhere)))["LITELLM_UI_PATH"] == str(elsewhere)
    assert elsewhere.is_dir()


def test_nothing_is_printed_and_the_exit_code_and_arguments_are_the_commands_own(image: Image) -> None:
    result = run(image, "sh", "-c", 'printf "[%s]" "$@"; exit 7', "sh", "a b", "$HOME", "")
    assert (result.returncode, result.stdout, result.stderr) == (7, "[a b][$HOME][]", "")


def test_the_script_becomes_the_command_which_gets_sigterm(image: Image) -> None:
    program = (
        "import os, signal; signal.signal(signal.SIGTERM, lambda *_: os._exit(42)); print(os.getpid(), flush=True)\n"
    )
    program += "while True: signal.pause()"
    with subprocess.Popen(
        image.argv(sys.executable, "-c", program),
        env=environment(image),
        cwd=image.folder,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert int(process.stdout.readline()) == process.pid
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(timeout=120) == 42


def test_it_runs_with_every_shell_that_an_image_may_have(image: Image) -> None:
    for shell in filter(None, map(shutil.which, ("dash", "bash"))):
        result = execute(image, [shell, "entrypoint.sh", *PRINT_ENVIRONMENT])
        assert urlsplit(seen(result)["DATABASE_URL"]).hostname == "database.example.internal", shell


SHARED = {"REDIS_HOST": "cache.example.internal", "REDIS_PORT": "6379", "REDIS_PASSWORD": "cache-password"}
TOLD = {"coordination_redis": {"host": "os.environ/REDIS_HOST"}, "use_redis_transaction_buffer": True}
PRINT_FILE = (
    *(sys.executable, "-c"),
    "import json, os, sys, yaml; p = sys.argv[1];"
    "print(json.dumps([yaml.safe_load(open(p)), sorted(os.listdir(os.path.dirname(os.path.abspath(p))))]))",
    "config.yaml",
)


def test_a_shared_valkey_is_told_to_litellm_by_its_configuration(image: Image) -> None:
    (image.folder / "masking.py").write_text("datadog = None\n")
    document, beside = json.loads(run(image, *PRINT_FILE, **SHARED).stdout)
    own = yaml.safe_load((image.folder / "config.yaml").read_text())
    assert document == own | {"general_settings": TOLD}
    assert "masking.py" in beside  # where LiteLLM looks for the modules that the file names


def test_what_the_file_says_beside_a_shared_valkey_is_kept(image: Image) -> None:
    text = CONFIG + 'general_settings: {alerting: [slack], n: "2026-12-01"}\n'
    (image.folder / "config.yaml").write_text(text)
    document, _ = json.loads(run(image, *PRINT_FILE, **SHARED).stdout)
    assert document["general_settings"] == {
        "alerting": ["slack"],
        "n": "2026-12-01",
        **TOLD,
    }


def test_without_a_shared_valkey_the_file_is_as_it_is(image: Image) -> None:
    document, _ = json.loads(run(image, *PRINT_FILE).stdout)
    assert document == yaml.safe_load((image.folder / "config.yaml").read_text())


@pytest.mark.parametrize("name", ["REDIS_PORT", "REDIS_PASSWORD"])
def test_a_shared_valkey_needs_its_port_and_its_password(image: Image, name: str) -> None:
    done = run(image, **SHARED | {name: ""})
    assert done.returncode == 78
    assert name in done.stderr and "cache-password" not in done.stdout + done.stderr
