"""What this process wrote to the bus and reads back itself: the value, so that no byte is parsed.

The bus stays what makes it durable and what delivers it; this only spares the reader the parsing.
Values are few, small and not for long: they hold what a request says.
"""

import time
from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass

from pointsman.contracts.messages import BusCommand, Events
from pointsman.contracts.parts import ServiceName

MAX_VALUES = 256
MAX_BYTES = 64 * 1024
MAX_AGE_S = 5.0
"""What another process has read, nobody takes here."""


@dataclass(kw_only=True)
class Kept:
    """A value on its way through the bus. ``is_stored`` once its PubAck has come."""

    value: BusCommand | Events
    until: float
    is_stored: bool = False


class Handover:
    """Values by publish id; ``readers`` are the services of this process."""

    def __init__(self, readers: Collection[ServiceName] = ()) -> None:
        self._readers = frozenset(readers)
        self._kept: OrderedDict[str, Kept] = OrderedDict()

    def keep(
        self, message_id: str, value: BusCommand | Events, reader: ServiceName, *, size_bytes: int
    ) -> None:
        """Keep what is about to be published for ``reader``, if that one is here."""
        now = time.monotonic()
        while self._kept and next(iter(self._kept.values())).until < now:
            self._kept.popitem(last=False)
        if reader not in self._readers or size_bytes > MAX_BYTES:
            return
        self._kept[message_id] = Kept(value=value, until=now + MAX_AGE_S)
        if len(self._kept) > MAX_VALUES:
            self._kept.popitem(last=False)

    def stored(self, message_id: str) -> None:
        """The broker has confirmed it: there is no doubt that it was published, once."""
        if kept := self._kept.get(message_id):
            kept.is_stored = True

    def take(self, message_id: str | None) -> Kept | None:
        """Return what was kept under this id, once; another delivery is parsed."""
        return None if message_id is None else self._kept.pop(message_id, None)
