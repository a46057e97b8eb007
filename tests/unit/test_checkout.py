"""tests/checkout.py: which files are the checkout's own, whether it is a clone or not."""

import py_compile
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from stacks import CHECKOUT
from tests.checkout import copy_checkout, own_files

FILES = {
    ".gitignore": "# what is made\n.venv/\n__pycache__/\n*.egg-info/\n",
    "app.py": "",
    "stacks/one.py": "",
    ".github/workflows/test.yml": "",
}
MADE = (".venv/bin/python", "stacks/__pycache__/one.pyc", "x.egg-info/PKG-INFO")


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """A checkout that is no clone, with what the commands make."""
    for name in (*FILES, *MADE):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(FILES.get(name, ""))
    return tmp_path


def test_an_archives(archive: Path) -> None:
    assert sorted(own_files(archive)) == sorted(FILES)


def test_a_clones_with_what_is_not_committed_yet(archive: Path) -> None:
    git = shutil.which("git")
    if not git:
        pytest.skip("Git is not installed, and so nothing here is a clone")
    for command in (("init", "--quiet"), ("add", "app.py")):
        subprocess.run([git, *command], cwd=archive, check=True)
    assert sorted(own_files(archive)) == sorted(FILES)


def test_a_clone_that_git_refuses(archive: Path) -> None:
    (archive / ".git").write_text("gitdir: /nowhere\n")
    assert sorted(own_files(archive)) == sorted(FILES)


def test_a_clone_without_git(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (archive / ".git").mkdir()
    monkeypatch.setenv("PATH", "")
    assert sorted(own_files(archive)) == sorted(FILES)


def test_a_copy_is_the_same_checkout_and_runs_as_it(tmp_path: Path) -> None:
    copy_checkout(tmp_path, without=("company/", "docs/"))
    assert not {"company", "docs", ".git", ".cache"} & {path.name for path in tmp_path.iterdir()}
    for name in (".ci/run", "local/docker", "local/preload/litellm", "stacks/company.py"):
        assert (tmp_path / name).read_bytes() == (CHECKOUT / name).read_bytes()
        assert (tmp_path / name).stat().st_mode == (CHECKOUT / name).stat().st_mode
    assert (tmp_path / ".venv").resolve() == (CHECKOUT / ".venv").resolve()


def test_what_is_compiled_need_not_be_compiled_again_in_a_copy(archive: Path, tmp_path: Path) -> None:
    source, folder = archive / "stacks" / "one.py", tmp_path / "copy"
    source.write_text("def where():\n    return where.__code__.co_filename\n")
    compiled = Path(py_compile.compile(str(source), doraise=True) or "")
    copy_checkout(folder, checkout=archive)
    copied = folder / compiled.relative_to(archive)
    assert copied.read_bytes() == compiled.read_bytes()
    program = "import stacks.one; print(stacks.one.where())"
    run = subprocess.run([sys.executable, "-v", "-c", program], cwd=folder, capture_output=True, text=True, check=True)
    assert f"matches {folder / 'stacks' / 'one.py'}" in run.stderr  # and so is what runs
    assert run.stdout == f"{folder / 'stacks' / 'one.py'}\n"
