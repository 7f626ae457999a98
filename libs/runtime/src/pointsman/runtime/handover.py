"""What this process wrote to the bus and reads back itself: the value, so that no byte is parsed.

The bus stays what makes it durable and what delivers it; this only spares the reader the parsing.
"""

from collections import OrderedDict
from collections.abc import Collection

from pointsman.contracts.messages import BusCommand, Events
from pointsman.contracts.parts import ServiceName

MAX_VALUES = 1024
"""Past it the oldest is forgotten, and parsed when it comes."""


class Handover:
    """Values by publish id; ``readers`` are the services of this process."""

    def __init__(self, readers: Collection[ServiceName] = ()) -> None:
        self._readers = frozenset(readers)
        self._values: OrderedDict[str, BusCommand | Events] = OrderedDict()

    def keep(self, message_id: str, value: BusCommand | Events, reader: ServiceName) -> None:
        """Keep what is about to be published for ``reader``, if that one is here."""
        if reader not in self._readers:
            return
        self._values[message_id] = value
        if len(self._values) > MAX_VALUES:
            self._values.popitem(last=False)

    def take(self, message_id: str | None) -> BusCommand | Events | None:
        """Return what was kept under this id, once; another delivery is parsed."""
        return None if message_id is None else self._values.pop(message_id, None)
