"""docs/access.md: what is written is read again, and each kind of difference is told by its route."""

from tests.access import EDGES, EVERYONE, PAGE, Row, changed, document, path_of, read

EVERYWHERE, MANAGEMENT, NOWHERE = EDGES
ROWS = [
    Row("GET /health/liveliness", EVERYWHERE, (EVERYONE,)),
    Row("GET /key/list", EVERYWHERE, ("person",)),
    Row("DELETE /v1/files/{file_id}", EVERYWHERE, ("person",)),
    Row("GET /v1/files/{file_id}", EVERYWHERE, ("person",)),
    Row("POST /user/new", MANAGEMENT, ("onboarding",)),
    Row("POST /config/update", MANAGEMENT, ()),
    Row("POST /prompts/test", NOWHERE, ()),
]


def test_what_is_written_is_read() -> None:
    assert sorted(read(document(ROWS))) == sorted(ROWS)


def test_the_page_is_in_its_form() -> None:
    text = PAGE.read_text("utf-8")
    assert document(read(text)) == text


def test_a_difference_is_told_by_its_route() -> None:
    opened = Row("POST /config/update", EVERYWHERE, ("person",))
    now = [*ROWS[1:-2], opened, ROWS[-1], Row("GET /new", MANAGEMENT, (EVERYONE,))]
    assert changed(ROWS, ROWS) == []
    assert changed(ROWS, now) == [
        "new: GET /new, from the management ranges only, without a key",
        "gone: GET /health/liveliness, from everywhere that the load balancer lets in, without a key",
        "was POST /config/update, from the management ranges only, administrators; "
        "is POST /config/update, from everywhere that the load balancer lets in, administrators, person",
    ]


def test_a_path_has_no_parameters_left() -> None:
    assert path_of("GET /v1/files/{file_id}/{path:path}") == "/v1/files/none-such/none-such"
