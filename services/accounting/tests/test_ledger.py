"""The ledger over SQLite and PostgreSQL: one suite, through the handler."""

import asyncio
import random
import uuid
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import Engine, create_engine, make_url, text
from sqlalchemy import event as sqlalchemy_event
from structlog.testing import capture_logs

from pointsman.accounting.adapters.report import (
    Report,
    ledger_report,
    open_ledger,
    request_entries,
    request_outcomes,
)
from pointsman.accounting.adapters.tables import UnusableLedger
from pointsman.accounting.adapters.writer import LedgerWriter, open_writer
from pointsman.accounting.handler import Deps, record
from pointsman.contracts.errors import ErrorCode, Rejected, Retryable
from pointsman.contracts.messages import (
    Completed,
    Event,
    Events,
    Executed,
    Expired,
    Failed,
    PublishedFact,
)
from pointsman.contracts.parts import (
    AttemptSummary,
    RequestContext,
    RouteDecision,
    ServiceName,
    Usage,
)

AT = datetime(2026, 5, 4, 12, 0, 0, 123456, tzinfo=UTC)
COST = Decimal("0.000123456789")
DECISION = RouteDecision(route="r1", revision="abc", target="small", model="m-small", reason="r")


def request_id(number: int) -> str:
    return str(uuid.UUID(int=number))


def event(
    number: int,
    service: ServiceName,
    fact: PublishedFact,
    *,
    attempt: int = 1,
    redrive: int = 0,
    namespace: str = "team-a",
    at: datetime = AT,
) -> Event:
    context = RequestContext(
        request_id=request_id(number),
        namespace=namespace,
        ingress="i1",
        accepted_at=AT,
        deadline=AT,
        redrive=redrive,
    )
    return Event(
        service=service, context=context, at=at, duration_s=0.25, attempt=attempt, fact=fact
    )


def usage(cost: Decimal = COST, model: str = "m-small", tokens: int = 10) -> Usage:
    return Usage(model=model, input_tokens=tokens, output_tokens=5, cost_usd=cost, model_calls=1)


def executed(cost: Decimal = COST, model: str = "m-small", tokens: int = 10) -> Executed:
    return Executed(status="succeeded", model=model, usage=usage(cost, model, tokens))


def completed(number: int, *costs: Decimal, model: str = "m-small") -> Completed:
    return Completed(
        request_id=request_id(number),
        model=model,
        decision=DECISION,
        finish_reason="stop",
        usage=usage(sum(costs, Decimal(0)), model),
        attempts=tuple(
            AttemptSummary(attempt=n, model=model, status="succeeded", usage=usage(cost, model))
            for n, cost in enumerate(costs, 1)
        ),
    )


@asynccontextmanager
async def writing(
    url: str, *, lock_timeout: timedelta = timedelta(seconds=5)
) -> AsyncGenerator[LedgerWriter]:
    async with open_writer(
        url,
        batch_rows=64,
        write_timeout=timedelta(seconds=20),
        lock_timeout=lock_timeout,
    ) as ledger:
        yield ledger


async def recorded(ledger: LedgerWriter, *events: Event) -> int:
    """Record ``events`` as one message and return the rows it wrote."""
    return (await record(Events(events=events), deps=Deps(ledger=ledger))).rows


async def record_all(url: str, *events: Event) -> list[int]:
    """Record ``events`` one after the other, a message each, and return the rows each wrote."""
    async with writing(url) as ledger:
        return [await recorded(ledger, one) for one in events]


def messages_of(events: Sequence[Event], size: int) -> list[Sequence[Event]]:
    """Cut ``events`` into messages of ``size``."""
    return [events[start : start + size] for start in range(0, len(events), size)]


def report(url: str) -> Report:
    engine = open_ledger(url)
    try:
        return ledger_report(engine)
    finally:
        engine.dispose()


async def test_the_same_event_twice_is_one_charge(ledger_url: str) -> None:
    one = event(1, "executor", executed())

    assert await record_all(ledger_url, one, one) == [1, 0]

    totals = report(ledger_url).totals
    assert (totals.entries, totals.cost_usd) == (1, COST)


async def test_a_restarted_writer_knows_what_was_recorded(ledger_url: str) -> None:
    await record_all(ledger_url, event(1, "executor", executed()))

    again = await record_all(
        ledger_url, event(1, "executor", executed()), event(1, "executor", executed(), attempt=2)
    )

    assert again == [0, 1]
    assert report(ledger_url).totals.cost_usd == 2 * COST


@pytest.mark.parametrize("message_size", [1, 50, 500])
async def test_a_thousand_concurrent_events_with_duplicates_sum_exactly(
    ledger_url: str, message_size: int
) -> None:
    chance = random.Random(20260504)
    costs = {number: Decimal(chance.randrange(1, 10**11)).scaleb(-12) for number in range(500)}
    charges = [event(number, "executor", executed(cost)) for number, cost in costs.items()]
    ends = [event(number, "judge", completed(number, cost)) for number, cost in costs.items()]
    unique = [*charges, *ends]
    events = [*unique, *chance.choices(unique, k=500)]
    chance.shuffle(events)

    async with writing(ledger_url) as ledger:
        rows = await asyncio.gather(
            *(recorded(ledger, *message) for message in messages_of(events, message_size))
        )

    assert sum(rows) == len(unique) == 1000
    result = report(ledger_url)
    assert result.totals.cost_usd == sum(costs.values())
    assert (result.totals.entries, result.totals.requests) == (500, 500)
    assert result.outcomes == {"completed": 500}
    assert result.consistency.is_consistent


async def test_messages_that_wait_together_share_a_transaction(ledger_url: str) -> None:
    commits: list[object] = []
    count = commits.append
    sqlalchemy_event.listen(Engine, "commit", count)
    try:
        async with writing(ledger_url) as ledger:
            commits.clear()  # the schema's own
            await asyncio.gather(
                *(recorded(ledger, event(number, "executor", executed())) for number in range(640))
            )
    finally:
        sqlalchemy_event.remove(Engine, "commit", count)

    assert len(commits) <= 20  # 640 rows in batches of 64 are 10


async def test_a_second_different_outcome_never_overwrites_and_is_counted_once(
    ledger_url: str,
) -> None:
    first = event(1, "judge", completed(1, COST))
    second = event(
        1, "executor", Failed(request_id=request_id(1), code=ErrorCode.CANCELLED, stage="executor")
    )

    with capture_logs() as lines:
        rows = await record_all(ledger_url, event(1, "executor", executed()), first, second, second)

    assert rows == [1, 1, 0, 0]
    warnings = [line for line in lines if line["event"] == "ledger.outcome_conflict"]
    assert [(line["stood"], line["offered"]) for line in warnings] == [("completed", "failed")]
    result = report(ledger_url)
    assert result.outcomes == {"completed": 1}
    assert [(refused.stage, refused.status) for refused in result.consistency.refused] == [
        ("outcome", "failed")
    ]
    assert not result.consistency.is_consistent


async def test_the_same_outcome_published_again_later_is_no_conflict(ledger_url: str) -> None:
    outcome = completed(1, COST)
    later = AT + timedelta(seconds=30)

    with capture_logs() as lines:
        await record_all(
            ledger_url,
            event(1, "executor", executed()),
            event(1, "judge", outcome),
            event(1, "judge", outcome, at=later),
        )

    assert not lines
    assert report(ledger_url).consistency.is_consistent


async def test_a_model_that_ran_twice_is_charged_once_and_the_second_bill_is_noted(
    ledger_url: str,
) -> None:
    again = event(1, "executor", executed(cost=2 * COST))

    with capture_logs() as lines:
        rows = await record_all(ledger_url, event(1, "executor", executed()), again)

    assert rows == [1, 0]
    assert [line["event"] for line in lines] == ["ledger.entry_conflict"]
    result = report(ledger_url)
    assert result.totals.cost_usd == COST
    assert [refused.cost_usd for refused in result.consistency.refused] == [2 * COST]


@pytest.mark.parametrize("is_charge_first", [True, False])
@pytest.mark.parametrize("shared", ["message", "transaction", "nothing"])
async def test_a_charge_survives_an_expiry_of_the_same_attempt(
    ledger_url: str, is_charge_first: bool, shared: str
) -> None:
    pair = [event(1, "executor", executed()), event(1, "executor", Expired(stage="executor"))]
    events = pair if is_charge_first else pair[::-1]

    async with writing(ledger_url) as ledger:
        if shared == "message":
            assert await recorded(ledger, *events) == 1
        elif shared == "transaction":
            assert sum(await asyncio.gather(*(recorded(ledger, one) for one in events))) == 1
        else:
            rows = [await recorded(ledger, one) for one in events]
            assert rows == ([1, 0] if is_charge_first else [1, 1])

    engine = open_ledger(ledger_url)
    [entry] = request_entries(engine, request_id(1))
    engine.dispose()
    assert (entry.status, entry.cost_usd) == ("succeeded", COST)


async def test_rows_come_back_as_they_were_recorded(ledger_url: str) -> None:
    smallest = Decimal("0.000000000001")
    await record_all(
        ledger_url,
        event(1, "executor", executed(cost=smallest)),
        event(1, "judge", completed(1, smallest)),
    )

    engine = open_ledger(ledger_url)
    [entry] = request_entries(engine, request_id(1))
    [outcome] = request_outcomes(engine, request_id(1))
    engine.dispose()

    assert (entry.cost_usd, entry.at, entry.duration_s) == (smallest, AT, 0.25)
    assert (entry.input_tokens, entry.output_tokens, entry.estimated) == (10, 5, False)
    assert (outcome.cost_usd, outcome.at, outcome.target) == (smallest, AT, "small")


def lock_entries(url: str) -> str:
    """The statement that keeps every other writer out until its transaction ends."""
    is_sqlite = make_url(url).get_backend_name() == "sqlite"
    return "BEGIN EXCLUSIVE" if is_sqlite else "LOCK TABLE entries IN ACCESS EXCLUSIVE MODE"


async def test_a_locked_database_is_retryable_and_recovers(ledger_url: str) -> None:
    other = create_engine(ledger_url)
    async with writing(ledger_url, lock_timeout=timedelta(milliseconds=100)) as ledger:
        with other.connect() as connection:
            connection.execute(text(lock_entries(ledger_url)))
            with pytest.raises(Retryable):
                await recorded(ledger, event(1, "executor", executed()))
            assert ledger.problem is not None
            connection.rollback()

        assert await recorded(ledger, event(1, "executor", executed())) == 1
        assert ledger.problem is None
    other.dispose()


async def test_a_message_comes_again_whole_when_the_database_was_away(ledger_url: str) -> None:
    events = [event(number, "executor", executed()) for number in range(30)]
    other = create_engine(ledger_url)
    async with writing(ledger_url, lock_timeout=timedelta(milliseconds=100)) as ledger:
        assert await recorded(ledger, *events[:10]) == 10
        with other.connect() as connection:
            connection.execute(text(lock_entries(ledger_url)))
            with pytest.raises(Retryable):
                await recorded(ledger, *events)
            connection.rollback()

        assert await recorded(ledger, *events) == 20
    other.dispose()
    totals = report(ledger_url).totals
    assert (totals.entries, totals.cost_usd) == (30, 30 * COST)


@pytest.mark.parametrize("size", [1, 15, 16, 17, 63, 64, 65, 100, 500])
async def test_a_message_is_one_transaction_whatever_its_size(ledger_url: str, size: int) -> None:
    commits: list[object] = []
    count = commits.append
    sqlalchemy_event.listen(Engine, "commit", count)
    try:
        async with writing(ledger_url) as ledger:
            commits.clear()  # the schema's own
            rows = await recorded(
                ledger, *(event(number, "executor", executed()) for number in range(size))
            )
    finally:
        sqlalchemy_event.remove(Engine, "commit", count)

    assert (rows, len(commits)) == (size, 1)
    assert report(ledger_url).totals.entries == size


async def test_a_fact_that_is_told_twice_counts_once_however_messages_are_cut(
    ledger_url: str,
) -> None:
    events = [event(number, "executor", executed()) for number in range(40)]

    async with writing(ledger_url) as ledger:
        assert await recorded(ledger, *events[:20], *events[10:30]) == 30
        assert await recorded(ledger, *events[20:], *events[:5]) == 10

    result = report(ledger_url)
    assert (result.totals.entries, result.totals.cost_usd) == (40, 40 * COST)
    assert result.consistency.refused == ()


@pytest.mark.parametrize(
    "impossible",
    [executed(tokens=2**70), executed(cost=Decimal("1e30"))],
    ids=["no integer", "no money"],
)
async def test_a_message_with_an_impossible_event_is_rejected_and_its_others_are_kept(
    ledger_url: str, impossible: Executed
) -> None:
    events = [event(number, "executor", executed()) for number in range(20)]
    events[7] = event(7, "executor", impossible)

    async with writing(ledger_url) as ledger:
        for _ in range(2):  # an operator may drive it again
            with pytest.raises(Rejected):
                await recorded(ledger, *events)

    result = report(ledger_url)
    assert (result.totals.entries, result.totals.cost_usd) == (19, 19 * COST)
    assert result.consistency.refused == ()


async def test_a_message_beside_an_impossible_one_is_recorded_once(ledger_url: str) -> None:
    good = [event(number, "executor", executed()) for number in range(10)]
    bad = [event(99, "executor", executed(tokens=2**70)), good[0], event(50, "judge", executed())]

    async with writing(ledger_url) as ledger:
        rows, refusal = await asyncio.gather(
            recorded(ledger, *good), recorded(ledger, *bad), return_exceptions=True
        )

    assert isinstance(refusal, Rejected)
    assert rows == 10
    assert report(ledger_url).totals.entries == 11


async def test_one_impossible_row_does_not_spoil_its_batch(ledger_url: str) -> None:
    events = [event(number, "executor", executed()) for number in range(20)]
    events[7] = event(7, "executor", executed(tokens=2**70))

    async with writing(ledger_url) as ledger:
        results = await asyncio.gather(
            *(recorded(ledger, one) for one in events), return_exceptions=True
        )

    assert [n for n, result in enumerate(results) if isinstance(result, Rejected)] == [7]
    assert report(ledger_url).totals.entries == 19


async def test_what_was_appended_before_the_end_is_committed(ledger_url: str) -> None:
    async with asyncio.TaskGroup() as group, writing(ledger_url) as ledger:
        tasks = [
            group.create_task(recorded(ledger, event(n, "executor", executed()))) for n in range(90)
        ]
        await asyncio.sleep(0)  # every task has appended, none has its commit

    assert [task.result() for task in tasks] == [1] * 90
    with pytest.raises(Retryable):
        await recorded(ledger, event(1, "executor", executed()))


async def test_a_report_reads_while_the_service_writes(ledger_url: str) -> None:
    async with writing(ledger_url) as ledger:
        await recorded(ledger, event(1, "executor", executed()))
        assert (await asyncio.to_thread(report, ledger_url)).totals.entries == 1
        assert await recorded(ledger, event(2, "executor", executed())) == 1


async def test_a_ledger_of_a_newer_version_is_refused(ledger_url: str) -> None:
    await record_all(ledger_url)
    other = create_engine(ledger_url)
    with other.begin() as connection:
        connection.execute(text("UPDATE schema_version SET version = 99"))
    other.dispose()

    with pytest.raises(UnusableLedger, match="99"):
        await record_all(ledger_url)


async def test_two_services_that_start_at_once_share_one_schema(ledger_url: str) -> None:
    async with writing(ledger_url) as one, writing(ledger_url) as two:
        rows = await asyncio.gather(
            *(
                recorded(ledger, event(number, "executor", executed()))
                for number in range(50)
                for ledger in (one, two)
            )
        )

    assert sum(rows) == 50
    assert report(ledger_url).totals.cost_usd == 50 * COST


async def test_a_connection_the_server_closed_is_replaced(postgresql_url: str) -> None:
    other = create_engine(postgresql_url)
    async with writing(postgresql_url) as ledger:
        await recorded(ledger, event(1, "executor", executed()))
        with other.begin() as connection:
            connection.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            )
        assert await recorded(ledger, event(2, "executor", executed())) == 1
    other.dispose()
