"""Files of secrets, searched: whatever is in one is read, or refused in a sentence that has no value in it."""

import json
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ops.access import OpsError
from ops.secrets import KNOWN, MAXIMUM_BYTES, checked, read_values
from tests.searched import DEEP, HALF, anything, is_sentence, searched, texts, torn

LINES = (
    "# of dev\n\nLITELLM_MASTER_KEY=sk-0123456789abcdefghij\nUI_PASSWORD=a long enough one\nSLACK_BOT_TOKEN=xoxb-1-a\n"
)
JSON = json.dumps({"LITELLM_MASTER_KEY": "sk-0123456789abcdefghij", "VERTEX_CREDENTIALS": {"type": "service_account"}})
SECRET = "the-marker-of-a-secret"


@searched(200, 20_000)
@example(written=DEEP.replace("[", '{"a":', 1).encode())
@example(written=b'{"A": 1')
@example(written=b"{} {}")
@example(written=b"\xff")
@example(written=b'{"": "a b"}')
@example(written=b'{"A\\nB": "x"}')
@example(written=f'{{"{HALF}": 1}}'.encode("utf-8", "surrogatepass"))
@given(
    written=st.one_of(
        torn(LINES, JSON).map(lambda text: text.encode("utf-8", "surrogatepass")),
        anything.map(json.dumps).map(str.encode),
        st.binary(max_size=60),
    )
)
def test_a_file_is_read_or_refused_in_a_sentence(tmp_path_factory: pytest.TempPathFactory, written: bytes) -> None:
    file = tmp_path_factory.getbasetemp() / "secrets"
    file.write_bytes(written)
    try:
        values = read_values(str(file))
    except OpsError as problem:
        assert is_sentence(str(problem))
        return
    for name, value in values.items():
        assert isinstance(name, str)
        assert isinstance(value, str)
        try:
            stored = checked(name, value)
        except OpsError as problem:
            assert is_sentence(str(problem))
        else:
            assert len(stored.encode()) <= MAXIMUM_BYTES


@searched(300, 30_000)
@example(name="VERTEX_CREDENTIALS", value="~nobody-of-this-name/key.json")
@example(name="VERTEX_CREDENTIALS", value="{" + DEEP)
@example(name="VERTEX_CREDENTIALS", value='{"a":' + DEEP + "}")
@example(name="VERTEX_CREDENTIALS", value="a\x00b")
@example(name="VERTEX_CREDENTIALS", value='{"type": []}')
@example(name="AZURE_API_KEY", value=HALF)
@example(name="UI_PASSWORD", value=HALF * 20)
@given(name=st.sampled_from((*KNOWN, "SOMETHING_ELSE")), value=st.one_of(texts, torn(JSON), st.text(max_size=20)))
def test_a_value_is_taken_or_refused_without_being_told(name: str, value: str) -> None:
    given_ = f"{value}{SECRET}"
    try:
        checked(name, given_).encode()
    except OpsError as problem:
        assert is_sentence(str(problem))
        assert SECRET not in str(problem)


def test_a_path_that_cannot_be_one(tmp_path: Path) -> None:
    for place in ("\x00", str(tmp_path), HALF, "~nobody-of-this-name", "x" * 5000):
        with pytest.raises(OpsError, match="could not be read"):
            read_values(place)
