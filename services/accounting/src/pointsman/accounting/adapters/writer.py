"""The ledger's writer: many handlers append, one thread commits.

Postings that wait at the same time share a transaction: a busy service syncs once a batch.
A handler goes on only after the commit that holds its posting; what fails is told to the handler.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import DataError, IntegrityError, SQLAlchemyError

from pointsman.accounting.adapters.postings import Conflict, write
from pointsman.accounting.adapters.tables import open_engine
from pointsman.accounting.domain import Entry, Posting
from pointsman.contracts.errors import Rejected, Retryable

log = structlog.get_logger()

_ROW_ERRORS = (DataError, IntegrityError, ValueError, ArithmeticError)
"""The database will never take this row: a NUL in a name, a count beyond 64 bits."""


@dataclass(frozen=True, kw_only=True)
class _Waiting:
    posting: Posting
    committed: "asyncio.Future[int]"


class LedgerWriter:
    """Keeps postings, in batches. Made by ``open_writer``, which also runs it."""

    def __init__(
        self, engine: Engine, *, batch_rows: int, queue_rows: int, write_timeout: timedelta
    ) -> None:
        self._engine = engine
        self._batch_rows = batch_rows
        self._write_timeout = write_timeout
        self._queue: asyncio.Queue[_Waiting | None] = asyncio.Queue(queue_rows)
        self._problem: str | None = None
        self._is_closed = False

    @property
    def problem(self) -> str | None:
        return self._problem

    async def append(self, posting: Posting) -> int:
        if self._is_closed:
            raise Retryable("the ledger is closing")
        waiting = _Waiting(posting=posting, committed=asyncio.get_running_loop().create_future())
        try:
            async with asyncio.timeout(self._write_timeout.total_seconds()):
                await self._queue.put(waiting)
                return await waiting.committed
        except TimeoutError as error:
            raise Retryable("the ledger did not commit in time") from error

    async def run(self) -> None:
        """Commit what is appended until ``close``; what was appended before is committed first."""
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="ledger") as thread:
            while batch := await self._next_batch():
                await self._commit(thread, batch)

    async def close(self) -> None:
        self._is_closed = True
        await self._queue.put(None)

    async def _next_batch(self) -> list[_Waiting]:
        """Everything that waits now, at most ``batch_rows``; empty once closed and drained."""
        batch: list[_Waiting] = []
        item = await self._queue.get()
        while item is not None:
            if not item.committed.done():  # its handler has given up
                batch.append(item)
            if len(batch) >= self._batch_rows or (self._queue.empty() and batch):
                return batch
            item = await self._queue.get()
        if batch:
            self._queue.put_nowait(None)
        return batch

    async def _commit(self, thread: ThreadPoolExecutor, batch: Sequence[_Waiting]) -> None:
        loop = asyncio.get_running_loop()
        postings = [waiting.posting for waiting in batch]
        try:
            written = await loop.run_in_executor(thread, write, self._engine, postings)
        except _ROW_ERRORS as error:
            await self._commit_apart(thread, batch, error)
        except SQLAlchemyError as error:
            self._fail(batch, error)
        else:
            self._problem = None
            for conflict in written.conflicts:
                _warn(conflict)
            for waiting, rows in zip(batch, written.rows, strict=True):
                if not waiting.committed.done():
                    waiting.committed.set_result(rows)

    async def _commit_apart(
        self, thread: ThreadPoolExecutor, batch: Sequence[_Waiting], error: Exception
    ) -> None:
        """One row spoiled the transaction: commit each alone, so that it fails alone."""
        if len(batch) > 1:
            log.warning("ledger.batch_split", rows=len(batch), error=type(error).__name__)
            for waiting in batch:
                if not waiting.committed.done():
                    await self._commit(thread, [waiting])
            return
        committed = batch[0].committed
        if not committed.done():
            rejected = Rejected(f"the ledger cannot hold this row: {type(error).__name__}")
            rejected.__cause__ = error
            committed.set_exception(rejected)

    def _fail(self, batch: Sequence[_Waiting], error: SQLAlchemyError) -> None:
        if self._problem is None:
            log.warning("ledger.unavailable", error=type(error).__name__, rows=len(batch))
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
    queue_rows: int,
    write_timeout: timedelta,
    lock_timeout: timedelta,
) -> AsyncGenerator[LedgerWriter]:
    """Open the ledger at ``url`` and keep a writer on it; on exit, what was appended is committed.

    Raises: UnusableLedger.
    """
    engine = await asyncio.to_thread(open_engine, url, lock_timeout=lock_timeout, for_writing=True)
    writer = LedgerWriter(
        engine, batch_rows=batch_rows, queue_rows=queue_rows, write_timeout=write_timeout
    )
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(writer.run())
            try:
                yield writer
            finally:
                await writer.close()
    finally:
        engine.dispose()


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
