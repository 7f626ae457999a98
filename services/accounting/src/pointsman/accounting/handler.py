"""Record the events of one message in the ledger."""

from dataclasses import dataclass

from pointsman.accounting.domain import Ledger, postings_of
from pointsman.contracts.messages import Events, Recorded


@dataclass(frozen=True, kw_only=True)
class Deps:
    ledger: Ledger


async def record(events: Events, *, deps: Deps) -> Recorded:
    """Return once every event's line is on disk; a line that was there before counts as recorded.

    Raises: Retryable if the database is away, Rejected if it can never take one of the events; the
    others are on disk then, and driving the message again writes none of them twice.
    """
    postings, rejected = postings_of(events)
    rows = await deps.ledger.append(postings)
    if rejected is not None:
        raise rejected
    return Recorded(rows=rows)
