"""Figures that a service prints of itself, called as commands and put into the report verbatim.

How retrieval grows with the catalogue and the ledger with its rows is measured where the code is.
"""

import asyncio
import sys
from dataclasses import dataclass
from pathlib import Path

from pointsman.loadgen.bench.child import ChildFailed, child
from pointsman.loadgen.bench.settings import environment

PATIENCE_S = 900.0
DATA = "DATA"
"""Stands in arguments for the data folder of the run."""


@dataclass(frozen=True, kw_only=True)
class Command:
    """``python -m`` with ``arguments``; what it writes to standard output is the result."""

    what: str
    arguments: tuple[str, ...]

    @property
    def needs_data(self) -> bool:
        return any(DATA in argument for argument in self.arguments)


COMMANDS: tuple[Command, ...] = (
    Command(
        what="Growth of tool retrieval with the catalogue",
        arguments=("pointsman.toolrag.growth", "--data", f"{DATA}/toolrag"),
    ),
    Command(
        what="Growth of the ledger with its rows",
        arguments=("pointsman.accounting.growth",),
    ),
)


async def output_of(command: Command, *, data: Path, log_dir: Path) -> str:
    """Run one command and return what it printed. Raises: ChildFailed, TimeoutError."""
    name = "command-" + "".join(c if c.isalnum() else "-" for c in command.what)
    arguments = (argument.replace(DATA, str(data)) for argument in command.arguments)
    full = (sys.executable, "-m", *arguments)
    async with child(name, full, log_dir=log_dir, environment=environment(), talks=True) as process:
        lines: list[str] = []
        async with asyncio.timeout(PATIENCE_S):
            while line := await process.readline():
                lines.append(line.decode(errors="replace").rstrip("\n"))
            status = await process.wait()
        if status:
            raise ChildFailed(f"{command.what}: status {status}: {process.log_tail()}")
    return "\n".join(lines)
