"""Record one event in the ledger."""

from dataclasses import dataclass

from pointsman.accounting.domain import Ledger, posting_of
from pointsman.contracts.messages import Event, Recorded


@dataclass(frozen=True, kw_only=True)
class Deps:
    ledger: Ledger


async def record(event: Event, *, deps: Deps) -> Recorded:
    """Return once the event's line is on disk; a line that was there before counts as recorded.

    Raises: Retryable if the database is away, Rejected if it can never take this event.
    """
    return Recorded(rows=await deps.ledger.append(posting_of(event)))
