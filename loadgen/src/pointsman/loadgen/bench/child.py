"""Child processes of the benchmark: started so that they end with it, each with a log file.

The rules are those of the platform's own child processes, which the demo rig may not import.
"""

import asyncio
import contextlib
import ctypes
import os
import signal
import socket
import sys
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

PR_SET_PDEATHSIG = 1
"""Source: prctl(2)."""

STOP_S = 15.0
POLL_S = 0.02
LINE_BYTES = 4 * 1024 * 1024


class ChildFailed(RuntimeError):
    """A child ended or did not answer in time; the message ends with the last lines it wrote."""


class Child:
    """A process in a group of its own."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, log_path: Path) -> None:
        self.name = name
        self._process = process
        self._log_path = log_path

    @property
    def pid(self) -> int:
        return self._process.pid

    def log_tail(self, chars: int = 500) -> str:
        return self._log_path.read_text(errors="replace")[-chars:]

    def fail_if_ended(self) -> None:
        """Raises: ChildFailed."""
        if self._process.returncode is not None:
            raise ChildFailed(
                f"{self.name} ended with {self._process.returncode}: {self.log_tail()}"
            )

    def write(self, data: bytes) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(data)

    async def readline(self) -> bytes:
        assert self._process.stdout is not None
        return await self._process.stdout.readline()

    async def wait(self) -> int:
        return await self._process.wait()

    async def listening(self, port: int, *, patience_s: float) -> None:
        """Wait until something answers on a port of loopback. Raises: ChildFailed."""
        try:
            async with asyncio.timeout(patience_s):
                while True:
                    self.fail_if_ended()
                    with contextlib.suppress(OSError):
                        _, writer = await asyncio.open_connection("127.0.0.1", port)
                        writer.close()
                        await writer.wait_closed()
                        return
                    await asyncio.sleep(POLL_S)
        except TimeoutError as error:
            raise ChildFailed(f"{self.name} does not listen: {self.log_tail()}") from error

    async def end(self) -> None:
        """End the process, and its group at once if it takes longer than ``STOP_S``."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()
            try:
                async with asyncio.timeout(STOP_S):
                    await self._process.wait()
            except TimeoutError:
                pass
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        await self._process.wait()


@asynccontextmanager
async def child(
    name: str,
    command: Sequence[str],
    *,
    log_dir: Path,
    environment: Mapping[str, str] | None = None,
    talks: bool = False,
) -> AsyncGenerator[Child]:
    """Run ``command`` inside the block. One that ``talks`` keeps its pipes; the others log."""
    log_dir.mkdir(parents=True, exist_ok=True)
    log_path = log_dir / f"{name}.log"
    pipe = asyncio.subprocess.PIPE
    with log_path.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=pipe if talks else asyncio.subprocess.DEVNULL,
            stdout=pipe if talks else output,
            stderr=output,
            env=None if environment is None else dict(environment),
            limit=LINE_BYTES,
            start_new_session=True,
            preexec_fn=_die_with_parent,
        )
    started = Child(name, process, log_path)
    try:
        yield started
    finally:
        await started.end()


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def free_port() -> int:
    """Return a TCP port on loopback that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
