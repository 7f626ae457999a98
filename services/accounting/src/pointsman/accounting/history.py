"""A plausible past for a ledger that is measured: requests one after the other, always the same.

Owns the mix of requests. Half of them bind tools, one in ten falls back, one in twenty is blocked.
"""

import random
import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import chain, islice

from pointsman.accounting.domain import Posting, posting_of
from pointsman.contracts.errors import ErrorCode
from pointsman.contracts.messages import (
    Accepted,
    Blocked,
    Classified,
    Completed,
    Event,
    Executed,
    Judged,
    PublishedFact,
    SafetyChecked,
    ToolsRetrieved,
)
from pointsman.contracts.parts import (
    AttemptSummary,
    RequestContext,
    RouteDecision,
    ServiceName,
    Signals,
    Usage,
    Verdict,
)

START = datetime(2026, 1, 1, tzinfo=UTC)
BETWEEN = timedelta(milliseconds=50)
"""The time between two requests."""

_NAMESPACES = 40

Told = tuple[ServiceName, int, PublishedFact]
"""A service, the attempt, and what it tells."""

_DECISION = RouteDecision(
    route="dynamic", revision="5f2a", target="small", model="m-small", reason="simple"
)
_SIGNALS = Signals(intent="simple", domain="it", complexity=0.2, urgency="normal", safety="safe")
_ACCEPTED: Told = ("ingress", 1, Accepted(model="auto", messages=2, size_bytes=900))
_BLOCKED: Sequence[Told] = (
    _ACCEPTED,
    ("safety", 1, SafetyChecked(is_blocked=True)),
    ("safety", 1, Blocked(request_id="")),
)


def _usage(model: str) -> Usage:
    cost = Decimal("0.000312500000")
    return Usage(model=model, input_tokens=600, output_tokens=90, cost_usd=cost, model_calls=1)


def _completed(*, has_tools: bool, falls_back: bool) -> Sequence[Told]:
    attempt = 2 if falls_back else 1
    model = "m-large" if falls_back else "m-small"
    told: list[Told] = [
        _ACCEPTED,
        ("safety", 1, SafetyChecked(is_blocked=False)),
        ("classifier", 1, Classified(signals=_SIGNALS, decision=_DECISION)),
    ]
    if has_tools:
        tools = ToolsRetrieved(bound_tokens=900, catalogue_tools=800, catalogue_tokens=120_000)
        told.append(("toolrag", 1, tools))
    attempts = (
        AttemptSummary(attempt=attempt, model=model, status="succeeded", usage=_usage(model)),
    )
    if falls_back:
        failed = Executed(
            status="failed",
            model="m-small",
            usage=Usage(model="m-small"),
            error=ErrorCode.UPSTREAM_ERROR,
        )
        told.append(("executor", 1, failed))
    verdict = Verdict(label="accepted", score=9.0)
    completed = Completed(
        request_id="",
        model=model,
        decision=_DECISION,
        finish_reason="stop",
        usage=_usage(model),
        attempts=attempts,
        verdict=verdict,
    )
    executed = Executed(status="succeeded", model=model, usage=_usage(model))
    judged = Judged(model="rules", verdict=verdict, usage=Usage(model="rules"))
    told.append(("executor", attempt, executed))
    told.append(("judge", attempt, judged))
    told.append(("judge", attempt, completed))
    return told


_ANY = RequestContext(
    request_id=str(uuid.UUID(int=0)), namespace="", ingress="i1", accepted_at=START, deadline=START
)
_MIX = (
    *[_completed(has_tools=True, falls_back=False)] * 9,
    *[_completed(has_tools=False, falls_back=False)] * 8,
    *[_completed(has_tools=True, falls_back=True)] * 2,
    _BLOCKED,
)


class History:
    """What the requests of the past tell, in order; ``rows`` counts what it has told so far."""

    def __init__(self) -> None:
        self.rows = 0
        self._chance = random.Random(20260504)
        self._ids: list[str] = []
        self._events = chain.from_iterable(self._requests())
        self._lines = [[posting_of(_event(_ANY, told)) for told in request] for request in _MIX]
        self._postings = chain.from_iterable(self._request_lines())

    @property
    def now(self) -> datetime:
        """The moment of the last request."""
        return START + len(self._ids) * BETWEEN

    def some_ids(self, count: int) -> list[str]:
        """Return requests at random; the last may be open still."""
        return random.Random(count).choices(self._ids, k=count)

    def events(self, count: int) -> tuple[Event, ...]:
        """Return the next events."""
        self.rows += count
        return tuple(islice(self._events, count))

    def postings(self, count: int) -> list[Posting]:
        """Return the next rows; not by way of events, which would take longer than writing them."""
        self.rows += count
        return list(islice(self._postings, count))

    def _request_lines(self) -> Iterator[Sequence[Posting]]:
        while True:
            context = self._context()
            own = {"request_id": context.request_id, "at": self.now, "namespace": context.namespace}
            yield [line._replace(**own) for line in self._chance.choice(self._lines)]

    def _requests(self) -> Iterator[Sequence[Event]]:
        while True:
            context = self._context()
            yield [_event(context, told) for told in self._chance.choice(_MIX)]

    def _context(self) -> RequestContext:
        request_id = str(uuid.UUID(int=self._chance.getrandbits(128), version=4))
        self._ids.append(request_id)
        return RequestContext(
            request_id=request_id,
            namespace=f"team-{len(self._ids) % _NAMESPACES}",
            ingress="i1",
            accepted_at=self.now,
            deadline=self.now,
        )


def _event(context: RequestContext, told: Told) -> Event:
    service, attempt, fact = told
    return Event(
        service=service,
        context=context,
        at=context.accepted_at,
        duration_s=0.01,
        attempt=attempt,
        fact=fact,
    )
