"""How wire values behave, whatever message they are in."""

import json
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from pointsman.contracts.wire import Content, Wire, content_fields, redacted_json


class Words(Wire):
    text: Content[str] = ""
    count: int = 0


class Page(Wire):
    title: str
    best: Words | None = None
    all: tuple[Words, ...] = ()
    hidden: Content[Words | None] = None
    raw: Content[bytes] = b""


def test_a_value_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        Words().count = 1  # pyright: ignore[reportAttributeAccessIssue]  # it is the point


def test_an_unknown_field_is_ignored_so_that_consumers_may_be_older() -> None:
    assert Words.model_validate({"count": 2, "from_the_future": True}) == Words(count=2)


def test_a_missing_field_and_a_wrong_type_are_errors() -> None:
    with pytest.raises(ValidationError):
        Page.model_validate({})
    with pytest.raises(ValidationError):
        Words.model_validate({"count": "many"})


def test_content_is_known_by_its_marker() -> None:
    assert content_fields(Words) == {"text"}
    assert content_fields(Page) == {"hidden", "raw"}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Words(text="secret", count=3), {"count": 3}),
        (
            Page(title="t", best=Words(text="secret", count=1)),
            {"title": "t", "best": {"count": 1}, "all": []},
        ),
        (
            Page(title="t", all=(Words(text="secret"), Words(text="secret", count=2))),
            {"title": "t", "best": None, "all": [{"count": 0}, {"count": 2}]},
        ),
        (
            Page(title="t", hidden=Words(count=9), raw=b"secret"),
            {"title": "t", "best": None, "all": []},
        ),
    ],
    ids=["own field", "nested", "in a tuple", "whole value"],
)
def test_content_is_removed_at_any_depth(value: BaseModel, expected: dict[str, Any]) -> None:
    assert json.loads(redacted_json(value)) == expected


def test_bytes_survive_json() -> None:
    page = Page(title="t", raw=bytes(range(256)))
    assert Page.model_validate_json(page.model_dump_json()) == page
