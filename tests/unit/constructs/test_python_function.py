"""How the package of the functions is put together, without Docker."""

import ast
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest

from stacks.company import environments
from stacks.constructs import python_function
from stacks.constructs.python_function import BESIDE, LAMBDA, BundlingError, PythonFunction, PythonPackage, bundle

LOCKED = "typing-extensions==4.16.0 --hash=sha256:"
HASH = "481caa481374e813c1b176ada14e97f1f67a4539ce9cfeb3f350d78d6370c2e8"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package with one dependency and one beside it, where the packages are."""
    monkeypatch.setattr(python_function, "LAMBDA", tmp_path / "lambda")
    monkeypatch.setattr(python_function, "BESIDE", {"example": ("shared",)})
    folder = tmp_path / "lambda" / "example"
    for name in (
        *("receiver.py", "requirements.txt", "tests/test_receiver.py", "__pycache__/receiver.pyc"),
        *("../shared/slack.py", "../shared/__pycache__/slack.pyc", "../other/handler.py"),
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    (folder / "requirements.txt").write_text(LOCKED + HASH)
    return folder


def _files(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_package_is_the_same_each_time(package: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        bundle(package, tmp_path / name)
    files = _files(tmp_path / "one")
    assert files == _files(tmp_path / "two")
    assert {"typing_extensions.py", "example/receiver.py"} <= set(files)
    ours = {name for name in files if name.startswith(("example/", "shared/", "other/"))}
    assert ours == {"example/receiver.py", "shared/slack.py"}
    assert not [name for name in files if "__pycache__" in name or name.startswith(("bin/", "."))]


@pytest.mark.parametrize("name", sorted(path.parent.name for path in LAMBDA.glob("*/requirements.txt")))
def test_what_is_compiled_is_for_lambdas_processor(tmp_path: Path, name: str) -> None:
    bundle(LAMBDA / name, tmp_path)
    compiled = {file.name: file.read_bytes()[:20] for file in tmp_path.rglob("*.so*")}
    assert bool(compiled) is (name == "usage")  # a picture, and signatures for Google
    # An ELF file of 64 bits for AArch64: e_ident, and e_machine 183 at byte 18.
    assert {(head[:5], head[18:]) for head in compiled.values()} <= {(b"\x7fELF\x02", b"\xb7\x00")}


def _asset(package: Path, outdir: Path, context: dict[str, Any]) -> str:
    """The key of the file that two functions are deployed from."""
    app = cdk.App(outdir=str(outdir), context=context)
    stack = cdk.Stack(app, "Stack")
    shared = PythonPackage(package.name)
    for name in ("One", "Two"):
        PythonFunction(stack, name, package=shared, module="receiver", environment=environments()["dev"], variables={})
    resources = app.synth().get_stack_by_name("Stack").template["Resources"].values()
    (key,) = {each["Properties"]["Code"]["S3Key"] for each in resources if each["Type"] == "AWS::Lambda::Function"}
    return str(key)


def test_key_is_known_without_bundling(package: Path, tmp_path: Path) -> None:
    bundled = _asset(package, tmp_path / "a", {})
    assert (tmp_path / "a" / f"asset.{bundled.removesuffix('.zip')}" / "typing_extensions.py").exists()
    assert _asset(package, tmp_path / "b", {"aws:cdk:bundling-stacks": []}) == bundled


@pytest.mark.parametrize("name", ["receiver.py", "requirements.txt", "../shared/slack.py"])
def test_key_changes_with_source_and_requirements(package: Path, tmp_path: Path, name: str) -> None:
    context = {"aws:cdk:bundling-stacks": list[str]()}
    before = _asset(package, tmp_path / "a", context)
    for other in ("tests/test_receiver.py", "../other/handler.py", "../shared/__pycache__/slack.pyc"):
        (package / other).write_text("# not deployed")
    assert _asset(package, tmp_path / "b", context) == before
    with (package / name).open("a") as file:
        file.write("\n# changed\n")
    assert _asset(package, tmp_path / "c", context) != before


def test_what_a_package_imports_is_beside_it() -> None:
    folders = {path.name for path in LAMBDA.iterdir() if path.is_dir()}
    found: dict[str, set[str]] = {}
    for file in sorted(LAMBDA.rglob("*.py")):
        package, tree = file.relative_to(LAMBDA).parts[0], ast.parse(file.read_text())
        names = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
        names |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        found.setdefault(package, set()).update(name.partition(".")[0] for name in names)
    others = {package: tuple(sorted(names & folders - {package})) for package, names in found.items()}
    assert {package: beside for package, beside in others.items() if beside} == BESIDE


def test_another_file_than_was_locked(package: Path, tmp_path: Path) -> None:
    (package / "requirements.txt").write_text(LOCKED + "0" * 64)
    with pytest.raises(BundlingError, match=r"^lambda/example/requirements.txt could not be .*[Hh]ash") as error:
        bundle(package, tmp_path / "target")
    assert "\n" not in str(error.value)


def test_without_uv(package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(python_function, "find_uv_bin", lambda: str(tmp_path / "uv"))
    with pytest.raises(BundlingError, match=r"^lambda/example needs uv, which did not start \(.*\): run make setup$"):
        bundle(package, tmp_path / "target")


def test_the_problem_comes_through_the_cdk(package: Path, tmp_path: Path) -> None:
    """As the one sentence, not as a trace of jsii's."""
    (package / "requirements.txt").write_text(LOCKED + "0" * 64)
    with pytest.raises(BundlingError, match=r"^lambda/example/requirements.txt could not be installed"):
        _asset(package, tmp_path / "a", {})
