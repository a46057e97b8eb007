"""config.yaml as text, searched: whatever stands in the file is read, or refused in sentences that name the place.

`tests/templates/test_search.py` draws files that are YAML, and near to what works; here they need not be.
"""

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stacks.company import EXAMPLE
from stacks.litellm_config import ConfigError, load_config
from tests.searched import DEEP, searched, torn

CONFIG = (EXAMPLE / "config.yaml").read_text("utf-8")
SMALL = """\
model_list:
  - model_name: a
    litellm_params: {model: bedrock/us.amazon.nova-2-lite-v1:0, aws_region_name: us-west-2}
"""
PROVIDED = ("AZURE_API_BASE", "VERTEXAI_PROJECT", "VERTEXAI_LOCATION")


@searched(150, 20_000)
@example(written=b"")
@example(written=b"\xff\xfe\x00")
@example(written=b"\x00")
@example(written=DEEP.encode())
@example(written=b"a: !!python/object/apply:os.system [true]")
@example(written=b"a: !!timestamp 2026-99-99")
@example(written=b"a: !!int x")
@example(written=b"a: !!float x")
@example(written=b"a: !!binary x")
@example(written=b"a: !!omap [1]")
@example(written=b"a: !!pairs [1]")
@example(written=b"a: !!set [1]")
@example(written=b"? [a, b]\n: c")
@example(written=b"<<: 5")
@example(written=b"a: &b [*b]")
@example(written=b"%YAML 9.9\n---\na: b")
@example(written=b"a: b\n---\nc: d")
@example(written=f"model_list: {'9' * 5000}".encode())
@given(
    written=st.one_of(
        torn(CONFIG, SMALL, SMALL).map(lambda text: text.encode("utf-8", "surrogatepass")),
        st.binary(max_size=60),
        st.text(max_size=60).map(str.encode),
    )
)
def test_a_file_is_read_or_refused_in_sentences(tmp_path_factory: pytest.TempPathFactory, written: bytes) -> None:
    file = tmp_path_factory.getbasetemp() / "searched.yaml"
    file.write_bytes(written)
    try:
        load_config(file, provided=PROVIDED)
    except ConfigError as problem:
        of_the_file(str(problem), file)


def of_the_file(told: str, file: Path) -> None:
    """Each line names the file, ends as a sentence does, and is told once."""
    lines = told.splitlines()
    assert lines
    assert len(set(lines)) == len(lines)
    assert [line for line in lines if not line.startswith(f"{file}: ") or not line.endswith(".")] == []
    assert all(line.isprintable() for line in lines)
