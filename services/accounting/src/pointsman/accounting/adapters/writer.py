"""The ledger's writer: many handlers append, one thread commits.

Messages that wait at the same time share a transaction: a busy service syncs once a batch.
A handler goes on only after the commit that holds its postings; what fails is told to the handler.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from pointsman.accounting.adapters.postings import (
    ROW_ERRORS,
    Conflict,
    Written,
    write,
    write_apart,
)
from pointsman.accounting.adapters.tables import open_engine
from pointsman.accounting.domain import Entry, Posting
from pointsman.contracts.errors import Rejected, Retryable

log = structlog.get_logger()

GATHER_S = 0.05
"""How long the first message waits for others to share its transaction, unless it is full before.

A transaction costs as much CPU as dozens of rows, and a sync. No client waits for it, and the bus
gives a message ten seconds.
"""

FULL_MESSAGES = 32
"""A transaction is full with half the messages that accounting's consumer lets run at once."""


@dataclass(frozen=True, kw_only=True)
class _Waiting:
    postings: Sequence[Posting]
    committed: "asyncio.Future[int]"


class LedgerWriter:
    """Keeps postings, in batches. Made by ``open_writer``, which also runs it.

    What waits is bounded by how many handlers run at once.
    """

    def __init__(self, engine: Engine, *, batch_rows: int, write_timeout: timedelta) -> None:
        self._engine = engine
        self._batch_rows = batch_rows
        self._write_timeout = write_timeout
        self._waiting: deque[_Waiting] = deque()
        self._wake = asyncio.Event()
        self._is_full = asyncio.Event()
        self._problem: str | None = None
        self._is_closed = False

    @property
    def problem(self) -> str | None:
        return self._problem

    async def append(self, postings: Sequence[Posting]) -> int:
        if not postings:
            return 0
        if self._is_closed:
            raise Retryable("the ledger is closing")
        committed: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(postings=postings, committed=committed))
        self._wake.set()
        self._look_if_full()
        try:
            async with asyncio.timeout(self._write_timeout.total_seconds()):
                return await committed
        except TimeoutError as error:
            raise Retryable("the ledger did not commit in time") from error

    async def run(self) -> None:
        """Commit what is appended until ``close``; what was appended before is committed first."""
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="ledger") as thread:
            while self._waiting or not self._is_closed:
                await self._wake.wait()
                self._wake.clear()
                while self._waiting:
                    await self._gather()
                    if batch := self._next_batch():
                        await self._commit(thread, batch)

    def close(self) -> None:
        self._is_closed = True
        self._wake.set()
        self._look_if_full()

    def _look_if_full(self) -> None:
        rows = sum(len(waiting.postings) for waiting in self._waiting)
        if self._is_closed or rows >= self._batch_rows or len(self._waiting) >= FULL_MESSAGES:
            self._is_full.set()
        else:
            self._is_full.clear()

    async def _gather(self) -> None:
        try:
            async with asyncio.timeout(GATHER_S):
                await self._is_full.wait()
        except TimeoutError:
            pass

    def _next_batch(self) -> list[_Waiting]:
        """The messages that waited longest, together ``batch_rows`` or just above."""
        batch: list[_Waiting] = []
        rows = 0
        while self._waiting and rows < self._batch_rows:
            waiting = self._waiting.popleft()
            if not waiting.committed.done():  # else its handler has given up
                batch.append(waiting)
                rows += len(waiting.postings)
        self._look_if_full()
        return batch

    async def _commit(self, thread: ThreadPoolExecutor, batch: Sequence[_Waiting]) -> None:
        loop = asyncio.get_running_loop()
        postings = [posting for waiting in batch for posting in waiting.postings]
        try:
            try:
                written = await loop.run_in_executor(thread, write, self._engine, postings)
            except ROW_ERRORS as error:
                log.warning("ledger.batch_split", rows=len(postings), error=type(error).__name__)
                written = await loop.run_in_executor(thread, write_apart, self._engine, postings)
        except SQLAlchemyError as error:
            self._fail(batch, error)
        else:
            self._problem = None
            for conflict in written.conflicts:
                _warn(conflict)
            _settle(batch, written)

    def _fail(self, batch: Sequence[_Waiting], error: SQLAlchemyError) -> None:
        if self._problem is None:
            log.warning("ledger.unavailable", error=type(error).__name__, messages=len(batch))
        self._problem = f"the last write failed: {type(error).__name__}"
        for waiting in batch:
            if not waiting.committed.done():
                retryable = Retryable(f"ledger unavailable: {type(error).__name__}")
                retryable.__cause__ = error
                waiting.committed.set_exception(retryable)


@asynccontextmanager
async def open_writer(
    url: str,
    *,
    batch_rows: int,
    write_timeout: timedelta,
    lock_timeout: timedelta,
) -> AsyncGenerator[LedgerWriter]:
    """Open the ledger at ``url`` and keep a writer on it; on exit, what was appended is committed.

    Raises: UnusableLedger.
    """
    engine = await asyncio.to_thread(open_engine, url, lock_timeout=lock_timeout, for_writing=True)
    writer = LedgerWriter(engine, batch_rows=batch_rows, write_timeout=write_timeout)
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(writer.run())
            try:
                yield writer
            finally:
                writer.close()
    finally:
        engine.dispose()


def _settle(batch: Sequence[_Waiting], written: Written) -> None:
    """Tell each handler what became of its postings."""
    start = 0
    for waiting in batch:
        end = start + len(waiting.postings)
        rejected = [error for place, error in written.rejected.items() if start <= place < end]
        if waiting.committed.done():
            pass
        elif rejected:
            what = f"the ledger cannot hold {len(rejected)} rows: {type(rejected[0]).__name__}"
            refusal = Rejected(what)
            refusal.__cause__ = rejected[0]
            waiting.committed.set_exception(refusal)
        else:
            waiting.committed.set_result(sum(written.rows[start:end]))
        start = end


def _warn(conflict: Conflict) -> None:
    posting = conflict.posting
    is_entry = isinstance(posting, Entry)
    log.warning(
        "ledger.entry_conflict" if is_entry else "ledger.outcome_conflict",
        request_id=posting.request_id,
        redrive=posting.redrive,
        stage=posting.stage if is_entry else None,
        attempt=posting.attempt if is_entry else None,
        stood=conflict.stood,
        offered=conflict.offered,
        cost_usd=str(posting.cost_usd),
    )
