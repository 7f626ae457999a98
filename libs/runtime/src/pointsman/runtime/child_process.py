"""Child processes of this one: started so that they end with it, awaited, ended.

Owns what a laptop and tests need of them; which programs run is the caller's.
"""

import asyncio
import ctypes
import signal
import socket
import sys

PR_SET_PDEATHSIG = 1
"""Source: prctl(2)."""

POLL_S = 0.02


class ChildEnded(RuntimeError):
    """The child ended before it answered."""


def die_with_parent() -> None:
    """Run in a child before it becomes its program: end it when its parent is killed (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def free_port() -> int:
    """Return a TCP port on loopback that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def answering(process: asyncio.subprocess.Process, port: int, *, patience_s: float) -> None:
    """Wait until ``process`` listens on a port of loopback.

    Raises: ChildEnded, TimeoutError.
    """
    async with asyncio.timeout(patience_s):
        while True:
            if process.returncode is not None:
                raise ChildEnded(f"exit status {process.returncode}")
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(POLL_S)
            else:
                writer.close()
                await writer.wait_closed()
                return


async def end(
    process: asyncio.subprocess.Process,
    *,
    patience_s: float,
    how: signal.Signals = signal.SIGTERM,
) -> None:
    """End a child with ``how``, and at once if it takes longer than ``patience_s``."""
    if process.returncode is not None:
        return
    process.send_signal(how)
    try:
        async with asyncio.timeout(patience_s):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
