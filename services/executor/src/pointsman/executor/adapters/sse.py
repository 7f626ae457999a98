"""Splits a byte stream of server-sent events into the data of each event, with bounded memory.

Stricter than the specification where a model server can only be broken: an unknown field is an
error, not ignored. Source: WHATWG HTML, section 9.2.6.
"""

from collections.abc import Iterator


class MalformedStream(ValueError):
    """The bytes are no event stream, or one of its events is too long."""


class EventReader:
    """Feed it bytes as they arrive; it yields the data of every event that is complete."""

    def __init__(self, max_event_bytes: int) -> None:
        self._max = max_event_bytes
        self._tail = b""
        self._data: list[bytes] = []
        self._size = 0

    def feed(self, received: bytes) -> Iterator[bytes]:
        """Yield the data of the events that ``received`` completes. Raises: MalformedStream."""
        lines = (self._tail + received).split(b"\n")
        self._tail = lines.pop()
        for line in lines:
            if line and line != b"\r":
                self._take_line(line.removesuffix(b"\r"))
            elif self._data:
                yield self._event()
        if self._size + len(self._tail) > self._max:
            raise MalformedStream("an event is too long")

    def finish(self) -> Iterator[bytes]:
        """Yield what is left at the end; some servers leave out the last empty line."""
        if self._tail:
            self._take_line(self._tail.removesuffix(b"\r"))
            self._tail = b""
        if self._data:
            yield self._event()

    def _event(self) -> bytes:
        data = self._data[0] if len(self._data) == 1 else b"\n".join(self._data)
        self._data, self._size = [], 0
        return data

    def _take_line(self, line: bytes) -> None:
        field, _, value = line.partition(b":")
        if field == b"data":
            self._size += len(value)
            if self._size > self._max:
                raise MalformedStream("an event is too long")
            self._data.append(value.removeprefix(b" "))
        elif field not in {b"", b"event", b"id", b"retry"}:  # an empty field is a comment
            raise MalformedStream("a line is no field of an event")
