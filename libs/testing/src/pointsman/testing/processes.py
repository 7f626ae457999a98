"""The seven services as processes, one each or several together, to be killed and started again.

Owns starting, killing and ending them; every one is stopped when the block ends.
"""

import asyncio
import sys
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from pointsman.contracts.parts import ServiceName
from pointsman.runtime.child_process import end

STOP_TIMEOUT_S = 10.0


class Processes:
    """Child processes by name, each with its log file in ``log_dir``."""

    def __init__(self, log_dir: Path, environment: Mapping[str, str]) -> None:
        self._log_dir = log_dir
        self._environment = dict(environment)
        self._children: dict[str, asyncio.subprocess.Process] = {}
        log_dir.mkdir(parents=True, exist_ok=True)

    async def start(self, name: str, services: Sequence[ServiceName]) -> None:
        """Run ``services`` in one process under ``name``, as their images or an operator would."""
        alone = (f"pointsman.{services[0]}",)
        together = ("pointsman.cli.main", "run", *services)
        with (self._log_dir / f"{name}.log").open("ab") as output:
            self._children[name] = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                *(alone if len(services) == 1 else together),
                env=self._environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    async def kill(self, name: str) -> None:
        """End a child at once, as a crash would."""
        child = self._children.pop(name)
        child.kill()
        await child.wait()

    def ended(self) -> dict[str, int]:
        """Return the children that ended by themselves, and how."""
        return {n: c.returncode for n, c in self._children.items() if c.returncode is not None}

    def log(self, name: str, *, last: int = 4000) -> str:
        """Return the end of a child's log."""
        return (self._log_dir / f"{name}.log").read_text(errors="replace")[-last:]

    async def stop(self) -> None:
        """End every child in good order, then at once."""
        children = self._children.values()
        await asyncio.gather(*(end(child, patience_s=STOP_TIMEOUT_S) for child in children))


@asynccontextmanager
async def processes(log_dir: Path, environment: Mapping[str, str]) -> AsyncGenerator[Processes]:
    """Run child processes inside the block."""
    running = Processes(log_dir, environment)
    try:
        yield running
    finally:
        await running.stop()
