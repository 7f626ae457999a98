"""What the report says of a ledger, over SQLite and PostgreSQL."""

import uuid
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import event

from pointsman.accounting.adapters.postings import write
from pointsman.accounting.adapters.report import Dimension, Report, ledger_report, open_ledger
from pointsman.accounting.adapters.tables import open_engine
from pointsman.accounting.domain import Entry, OutcomeEntry, OutcomeKind, Posting
from pointsman.contracts.parts import ServiceName

AT = datetime(2026, 5, 4, 12, tzinfo=UTC)
COST = Decimal("0.000123456789")

Reporting = Callable[..., Report]


def request_id(number: int) -> str:
    return str(uuid.UUID(int=number))


def entry(
    number: int,
    cost: Decimal = COST,
    *,
    stage: ServiceName = "executor",
    attempt: int = 1,
    redrive: int = 0,
    namespace: str = "team-a",
    model: str | None = "m-small",
    saved: int = 0,
    at: datetime = AT,
) -> Entry:
    return Entry(
        request_id=request_id(number),
        redrive=redrive,
        stage=stage,
        attempt=attempt,
        namespace=namespace,
        status="succeeded",
        at=at,
        duration_s=0.25,
        model=model,
        input_tokens=10,
        output_tokens=5,
        cost_usd=cost,
        model_calls=1 if model else 0,
        catalogue_tokens=saved + 100 if saved else 0,
        bound_tokens=100 if saved else 0,
    )


def outcome(
    number: int,
    cost: Decimal = COST,
    *,
    kind: OutcomeKind = "completed",
    redrive: int = 0,
    flagged: bool = False,
    at: datetime = AT,
) -> OutcomeEntry:
    return OutcomeEntry(
        request_id=request_id(number),
        redrive=redrive,
        namespace="team-a",
        kind=kind,
        at=at,
        route="r1" if kind == "completed" else None,
        flagged=flagged,
        cost_usd=cost,
    )


@pytest.fixture
def reporting(ledger_url: str) -> Iterator[Reporting]:
    """Write postings, then report on them as another process would."""
    writer = open_engine(ledger_url, lock_timeout=timedelta(seconds=5), for_writing=True)
    reader = open_ledger(ledger_url)

    def report_on(
        *postings: Posting, since: datetime | None = None, by: Dimension | None = None
    ) -> Report:
        write(writer, postings)
        return ledger_report(reader, since=since, by=by)

    yield report_on
    reader.dispose()
    writer.dispose()


def test_an_empty_ledger_reports_zero(reporting: Reporting) -> None:
    result = reporting()

    assert (result.totals.requests, result.totals.cost_usd) == (0, Decimal(0))
    assert (result.outcomes, result.consistency.is_consistent) == ({}, True)


def test_a_redriven_request_counts_once_with_its_last_outcome(reporting: Reporting) -> None:
    result = reporting(
        entry(1),
        outcome(1, kind="failed"),
        entry(1, attempt=2, redrive=1),
        outcome(1, 2 * COST, redrive=1),
    )

    assert result.outcomes == {"completed": 1}
    assert (result.totals.requests, result.totals.cost_usd) == (1, 2 * COST)
    assert result.consistency.is_consistent


def test_open_requests_and_costs_that_do_not_add_up_are_named(reporting: Reporting) -> None:
    found = reporting(entry(1), entry(2), outcome(2, 2 * COST), outcome(3, Decimal(0))).consistency

    assert [(o.request_id, o.last_at) for o in found.open_requests] == [(request_id(1), AT)]
    [mismatch] = found.cost_mismatches
    assert mismatch.request_id == request_id(2)
    assert (mismatch.outcome_cost_usd, mismatch.entries_cost_usd) == (2 * COST, COST)
    assert found.outcomes_without_entries == (request_id(3),)
    assert not found.is_consistent


def test_one_pico_usd_of_difference_is_found(reporting: Reporting) -> None:
    pico = Decimal("0.000000000001")

    found = reporting(entry(1, COST), outcome(1, COST + pico)).consistency

    assert len(found.cost_mismatches) == 1


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ("namespace", {"team-a": (1, 2 * COST), "team-b": (1, COST)}),
        ("model", {"m-small": (2, 2 * COST), "m-big": (1, COST), None: (1, Decimal(0))}),
        ("route", {"r1": (1, 2 * COST), None: (1, COST)}),
    ],
)
def test_report_groups_by(
    reporting: Reporting, by: Dimension, expected: dict[str | None, tuple[int, Decimal]]
) -> None:
    result = reporting(
        entry(1, Decimal(0), stage="toolrag", model=None, saved=900),
        entry(1),
        entry(1, attempt=2, model="m-big"),
        outcome(1, 2 * COST, flagged=True),
        entry(2, namespace="team-b"),
        by=by,
    )

    groups = {group.key: (group.requests, group.cost_usd) for group in result.groups[by]}
    assert groups == expected
    assert (result.totals.saved_tokens, result.flagged) == (900, 1)


def test_since_leaves_out_what_is_older(reporting: Reporting) -> None:
    later = AT + timedelta(hours=1)

    result = reporting(
        entry(1),
        outcome(1),
        entry(2, Decimal(0), stage="safety", model=None, at=later),
        outcome(2, Decimal(0), kind="blocked", at=later),
        since=later,
    )

    assert result.outcomes == {"blocked": 1}
    assert (result.totals.requests, result.totals.cost_usd) == (1, Decimal(0))
    assert result.consistency.is_consistent


def test_a_request_that_began_before_since_is_checked_whole(reporting: Reporting) -> None:
    later = AT + timedelta(hours=1)

    result = reporting(entry(1), outcome(1, at=later), since=later)

    assert result.consistency.is_consistent


def test_sums_of_any_size_are_exact(reporting: Reporting) -> None:
    large = Decimal("8999999.999999999999")  # in pico-USD, two of them are beyond 64 bits
    count = 30

    result = reporting(
        *(entry(number, large) for number in range(count)),
        *(outcome(number, large) for number in range(count)),
    )

    assert result.totals.cost_usd == count * large
    assert [group.cost_usd for group in result.groups["model"]] == [count * large]
    assert result.consistency.is_consistent


def test_counts_of_any_size_are_exact(reporting: Reporting) -> None:
    entries = [entry(number)._replace(input_tokens=2**62 + 1) for number in range(5)]

    assert reporting(*entries).totals.input_tokens == 5 * (2**62 + 1)


def test_a_request_that_cost_more_than_one_row_can_hold_is_a_mismatch(
    reporting: Reporting,
) -> None:
    large = Decimal(8_000_000)

    found = reporting(entry(1, large), entry(1, large, attempt=2), outcome(1, large)).consistency

    [mismatch] = found.cost_mismatches
    assert (mismatch.outcome_cost_usd, mismatch.entries_cost_usd) == (large, 2 * large)


def test_a_report_since_a_moment_walks_no_whole_table(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    open_engine(url, lock_timeout=timedelta(seconds=5), for_writing=True).dispose()
    engine = open_ledger(url)
    asked: list[tuple[str, Sequence[object]]] = []

    @event.listens_for(engine, "before_cursor_execute")
    def note(_c: object, _k: object, statement: str, values: Sequence[object], *_: object) -> None:
        asked.append((statement, values))

    ledger_report(engine, since=AT)
    ledger_report(engine, since=AT, by="route")
    queries = [(q, v) for q, v in asked if "FROM entries" in q or "FROM outcomes" in q]

    with engine.connect() as connection:
        steps = [
            str(step.detail)
            for query, values in queries
            for step in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}", tuple(values))
        ]
    engine.dispose()

    assert len(queries) == 13
    assert any("entries_at" in step for step in steps)
    walked = [step for step in steps if step.startswith("SCAN") and step != "SCAN recent"]
    assert walked == []


def test_the_report_is_one_json_document_with_exact_money(reporting: Reporting) -> None:
    document = reporting(entry(1), outcome(1)).model_dump(mode="json")

    assert document["totals"]["cost_usd"] == "0.000123456789"
    assert document["consistency"]["is_consistent"] is True
