"""What an exception may say in a log: where it happened, not what it was about."""

import pytest

from pointsman.runtime.observability import frames_of_exception


def fail(text: str) -> None:
    raise ValueError(f"input_value={text!r}")


def test_logged_exception_tells_class_and_places_without_its_words() -> None:
    with pytest.raises(ValueError, match="SSN") as caught:
        fail("my SSN is 078-05-1120")
    said = frames_of_exception(None, "error", {"exc_info": caught.value})
    assert said["exception"].startswith("ValueError at test_observability.py:")
    assert "fail" in said["exception"]
    assert "SSN" not in str(said)


def test_exception_being_handled_is_found() -> None:
    said: list[str] = []
    try:
        fail("x")
    except ValueError:
        said.append(frames_of_exception(None, "error", {"exc_info": True})["exception"])
    assert "ValueError" in said[0]


def test_line_without_exception_stays_as_it_is() -> None:
    assert frames_of_exception(None, "info", {"event": "x"}) == {"event": "x"}
