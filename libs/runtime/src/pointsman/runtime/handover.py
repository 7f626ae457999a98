"""What this process wrote to the bus and reads back itself: the value, so that no byte is parsed.

The bus stays what makes it durable and what delivers it; this only spares the reader the parsing.
Values are few, small and not for long: they hold what a request says.
"""

import asyncio
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
    """A value on its way through the bus.

    ``is_stored`` tells whether its PubAck came, beyond doubt; the bus may deliver it before that.
    """

    value: BusCommand | Events
    until: float
    is_stored: "asyncio.Future[bool]"


class Handover:
    """Values by publish id; ``readers`` are the services of this process."""

    def __init__(self, readers: Collection[ServiceName] = ()) -> None:
        self._readers = frozenset(readers)
        self._kept: OrderedDict[str, Kept] = OrderedDict()

    def keep(
        self, message_id: str, value: BusCommand | Events, reader: ServiceName, *, size_bytes: int
    ) -> Kept | None:
        """Keep what is about to be published for ``reader``, if that one is here."""
        now = time.monotonic()
        while self._kept and next(iter(self._kept.values())).until < now:
            self._kept.popitem(last=False)
        if reader not in self._readers or size_bytes > MAX_BYTES:
            return None
        kept = self._kept[message_id] = Kept(
            value=value,
            until=now + MAX_AGE_S,
            is_stored=asyncio.get_running_loop().create_future(),
        )
        if len(self._kept) > MAX_VALUES:
            self._kept.popitem(last=False)
        return kept

    def take(self, message_id: str | None) -> Kept | None:
        """Return what was kept under this id, once; another delivery is parsed."""
        return None if message_id is None else self._kept.pop(message_id, None)
