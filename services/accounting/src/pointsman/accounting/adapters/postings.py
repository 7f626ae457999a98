"""How postings become rows: one transaction, idempotent, nothing ever overwritten that has a price.

Owns the statements. Runs in a thread; knows no event loop and no bus.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Engine, Table, select, text, tuple_
from sqlalchemy.dialects import postgresql, sqlite

from pointsman.accounting.adapters.tables import conflicts, entries, outcomes
from pointsman.accounting.domain import UNCHARGED_STATUSES, Entry, OutcomeEntry, Posting

Key = tuple[Any, ...]


@dataclass(frozen=True, kw_only=True)
class Conflict:
    """A posting that was refused because a different one stands under its key."""

    posting: Posting
    stood: str
    offered: str


@dataclass(kw_only=True)
class Written:
    """What one transaction did: rows per posting, in their order, and conflicts seen first now."""

    rows: list[int]
    conflicts: list[Conflict] = field(default_factory=list[Conflict])


@dataclass(frozen=True, kw_only=True)
class _Book:
    """One table: its key, and the columns in which two postings of one key must agree."""

    table: Table
    key: tuple[str, ...]
    compared: tuple[str, ...]

    def key_of(self, posting: Posting) -> Key:
        return tuple(getattr(posting, name) for name in self.key)

    def values_of(self, posting: Posting) -> Key:
        return tuple(getattr(posting, name) for name in self.compared)


_ENTRIES = _Book(
    table=entries,
    key=("request_id", "redrive", "stage", "attempt"),
    compared=("status", "model", "input_tokens", "output_tokens", "cost_usd", "model_calls"),
)
_OUTCOMES = _Book(
    table=outcomes,
    key=("request_id", "redrive"),
    compared=(
        "kind", "code", "model", "route", "revision", "target", "attempts", "score", "flagged",
        "cost_usd",
    ),
)  # fmt: skip

# Written out, because an executemany takes no bound parameters beside its rows.
_STANDS_FREE = " OR ".join(f"entries.status = '{status}'" for status in UNCHARGED_STATUSES)
_IS_REPLACED_BY_CHARGE = f"({_STANDS_FREE}) AND excluded.model_calls > 0"

Numbered = tuple[int, Posting]


def write(engine: Engine, postings: Sequence[Posting]) -> Written:
    """Keep ``postings`` in one transaction; those that were there before write nothing.

    Raises: SQLAlchemyError, ValueError or ArithmeticError; then nothing was written.
    """
    written = Written(rows=[0] * len(postings))
    numbered = list(enumerate(postings))
    with engine.begin() as connection:
        for book in (_ENTRIES, _OUTCOMES):
            own = [item for item in numbered if _book_of(item[1]) is book]
            if own:
                _write_book(connection, book, own, written)
    return written


def _book_of(posting: Posting) -> _Book:
    return _ENTRIES if isinstance(posting, Entry) else _OUTCOMES


def _write_book(
    connection: Connection, book: _Book, numbered: Iterable[Numbered], written: Written
) -> None:
    chosen, losers = _one_per_key(book, numbered)
    inserted = _insert(connection, book, [posting for _, posting in chosen.values()])
    for key, (number, posting) in chosen.items():
        if key in inserted:
            written.rows[number] = 1
        else:
            losers.append(posting)
    contested = [posting for posting in losers if _may_contest(posting)]
    if contested:
        written.conflicts += _refuse(connection, book, contested)


def _one_per_key(
    book: _Book, numbered: Iterable[Numbered]
) -> tuple[dict[Key, Numbered], list[Posting]]:
    """The first posting of each key, except that a free one gives way to a charge."""
    chosen: dict[Key, Numbered] = {}
    losers: list[Posting] = []
    for number, posting in numbered:
        key = book.key_of(posting)
        stands = chosen.get(key)
        if stands is None:
            chosen[key] = (number, posting)
        elif _gives_way(stands[1], posting):
            losers.append(stands[1])
            chosen[key] = (number, posting)
        else:
            losers.append(posting)
    return chosen, losers


def _gives_way(stands: Posting, offered: Posting) -> bool:
    return (
        isinstance(stands, Entry)
        and isinstance(offered, Entry)
        and stands.status in UNCHARGED_STATUSES
        and offered.model_calls > 0
    )


def _may_contest(posting: Posting) -> bool:
    return isinstance(posting, OutcomeEntry) or posting.model_calls > 0 or posting.cost_usd != 0


def _insert(connection: Connection, book: _Book, postings: Sequence[Posting]) -> set[Key]:
    """Insert what is new and return its keys. In key order, so that two writers cannot deadlock."""
    table = book.table
    statement = _insert_into(connection, table)
    if table is entries:
        offered = statement.excluded
        statement = statement.on_conflict_do_update(
            index_elements=list(book.key),
            set_={name: offered[name] for name in table.c.keys() if name not in book.key},  # noqa: SIM118 (a column collection iterates columns)
            where=text(_IS_REPLACED_BY_CHARGE),
        )
    else:
        statement = statement.on_conflict_do_nothing(index_elements=list(book.key))
    keys = [table.c[name] for name in book.key]
    ordered = sorted(postings, key=book.key_of)
    result = connection.execute(statement.returning(*keys), [vars(row) for row in ordered])
    return {tuple(row) for row in result}


def _insert_into(connection: Connection, table: Table) -> postgresql.Insert | sqlite.Insert:
    if connection.dialect.name == "postgresql":
        return postgresql.insert(table)
    return sqlite.insert(table)


def _refuse(connection: Connection, book: _Book, postings: Sequence[Posting]) -> list[Conflict]:
    """Note postings that differ from what stands under their key; return those not yet noted."""
    standing = _standing(connection, book, {book.key_of(posting) for posting in postings})
    refused = {
        (book.key_of(posting), _fingerprint(book, posting)): posting
        for posting in postings
        if book.values_of(posting) != standing[book.key_of(posting)]
    }
    if not refused:
        return []
    statement = _insert_into(connection, conflicts).on_conflict_do_nothing()
    rows = [_conflict_row(book, posting) for posting in refused.values()]
    returned = connection.scalars(statement.returning(conflicts.c.fingerprint), rows)
    new = set(returned)
    return [
        Conflict(
            posting=posting,
            stood=str(standing[key][0]),
            offered=str(book.values_of(posting)[0]),
        )
        for (key, fingerprint), posting in refused.items()
        if fingerprint in new
    ]


def _standing(connection: Connection, book: _Book, keys: set[Key]) -> dict[Key, Key]:
    columns = [book.table.c[name] for name in book.key]
    compared = [book.table.c[name] for name in book.compared]
    query = select(*columns, *compared).where(tuple_(*columns).in_(sorted(keys)))
    size = len(columns)
    return {tuple(row[:size]): tuple(row[size:]) for row in connection.execute(query)}


def _conflict_row(book: _Book, posting: Posting) -> dict[str, Any]:
    is_entry = isinstance(posting, Entry)
    return {
        "request_id": posting.request_id,
        "redrive": posting.redrive,
        "stage": posting.stage if is_entry else "outcome",
        "attempt": posting.attempt if is_entry else 0,
        "fingerprint": _fingerprint(book, posting),
        "status": posting.status if is_entry else posting.kind,
        "model": posting.model,
        "cost_usd": posting.cost_usd,
        "at": posting.at,
    }


def _fingerprint(book: _Book, posting: Posting) -> str:
    content = (*book.key_of(posting), *book.values_of(posting))
    return hashlib.sha256(repr(content).encode()).hexdigest()
