"""How bytes become events, whatever the boundaries of the network."""

import pytest

from pointsman.executor.adapters.sse import EventReader, MalformedStream

STREAM = (
    b": hello\r\n\r\ndata: one\r\n\r\nevent: x\nid: 7\nretry: 1\ndata:two\ndata: three\n\ndata: 4"
)
EVENTS = [b"one", b"two\nthree", b"4"]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_events_are_whole_wherever_the_bytes_were_split(size: int) -> None:
    reader = EventReader(100)
    parts = [STREAM[start : start + size] for start in range(0, len(STREAM), size)]
    events = [event for part in parts for event in reader.feed(part)]
    assert [*events, *reader.finish()] == EVENTS


@pytest.mark.parametrize(
    "received",
    [b"data: " + b"x" * 200, b"data: 123456789012345678901234567890\n" * 5, b"<html>\n"],
    ids=["a long line", "many lines of one event", "no field"],
)
def test_what_is_no_bounded_event_is_refused(received: bytes) -> None:
    reader = EventReader(100)
    with pytest.raises(MalformedStream):
        list(reader.feed(received))


def test_many_small_events_may_be_longer_together() -> None:
    reader = EventReader(100)
    assert len(list(reader.feed(b"data: 1234567890\n\n" * 50))) == 50
