"""Load generators as processes: a job a line in, what happened a line out.

Owns both ends of that line protocol. A worker says ``begin`` before its first request and ``end``
after the last answer, so that its caller can read the contender's CPU at these moments.
"""

import asyncio
import json
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from pointsman.loadgen.bench.child import Child, child

Job = dict[str, Any]
Result = dict[str, Any]
Say = Callable[[str], None]
Run = Callable[[Job, Say], Awaitable[Result]]

LINE_BYTES = 4 * 1024 * 1024
PATIENCE_S = 240.0


class WorkerFailed(RuntimeError):
    """A load generator ended or said something else than was agreed."""


async def serve_jobs(run: Run) -> None:
    """Run the jobs that standard input brings, one after the other, until it closes."""
    reader = asyncio.StreamReader(limit=LINE_BYTES)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    _say("ready")
    while line := await reader.readline():
        result = await run(json.loads(line), _say)
        _put({"result": result})


def _say(event: str) -> None:
    _put({"event": event})


def _put(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


class Worker:
    """The caller's end of one load generator."""

    def __init__(self, process: Child) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        return self._process.pid

    async def ready(self) -> None:
        await self._expect("ready")

    async def run(self, job: Job, *, begin: Callable[[], None], end: Callable[[], None]) -> Result:
        """Run one job; ``begin`` is called before its first request, ``end`` after the last answer.

        Raises: WorkerFailed.
        """
        self._process.write(json.dumps(job).encode() + b"\n")
        async with asyncio.timeout(PATIENCE_S + float(job.get("duration_s", 0))):
            await self._expect("begin")
            begin()
            await self._expect("end")
            end()
            message = await self._message()
        return message["result"]

    async def _expect(self, event: str) -> None:
        message = await self._message()
        if message.get("event") != event:
            raise WorkerFailed(f"{self._process.name} said {message} instead of {event}")

    async def _message(self) -> dict[str, Any]:
        line = await self._process.readline()
        if not line:
            raise WorkerFailed(f"{self._process.name} ended: {self._process.log_tail()}")
        return json.loads(line)


@asynccontextmanager
async def worker(module: str, *arguments: str, log_dir: Path) -> AsyncGenerator[Worker]:
    """Run ``python -m pointsman.loadgen.bench.MODULE`` as a load generator inside the block."""
    command = (sys.executable, "-m", f"pointsman.loadgen.bench.{module}", *arguments)
    async with child(module, command, log_dir=log_dir, talks=True) as process:
        running = Worker(process)
        await running.ready()
        yield running
