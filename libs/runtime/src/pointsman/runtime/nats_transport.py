"""The transport over a real nats-server: JetStream publishes, core messages, key-value buckets.

FastStream's broker owns the connection; publishes and reads go through nats-py directly, because
a FastStream publish costs a flush each (docs/adr/0004). Declares no stream: ``provision`` does.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import nats.errors
import nats.js.errors
import structlog
from faststream.nats import NatsBroker
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.kv import KeyValue

from pointsman.contracts.errors import Retryable
from pointsman.contracts.topology import Bucket
from pointsman.runtime.settings import ServiceSettings
from pointsman.runtime.transport import OnFrame

log = structlog.get_logger()

PUBLISH_TIMEOUT_S = 5.0
"""How long a PubAck may take; nats-py's own default of 0.5 s is shorter than a busy disk."""

CONNECT_TIMEOUT_S = 5
MAX_PENDING_BYTES = 16 * 1024 * 1024

Reconnected = Callable[[], Awaitable[None]]


class NatsTransport:
    """``Transport`` over one NATS connection."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.jetstream: JetStreamContext = client.jetstream(timeout=PUBLISH_TIMEOUT_S)
        self._buckets: dict[str, KeyValue] = {}
        self._reconnected: list[Reconnected] = []

    def on_reconnect(self, callback: Reconnected) -> None:
        """Call ``callback`` whenever the connection was lost and is back."""
        self._reconnected.append(callback)

    async def reconnected(self) -> None:
        log.info(
            "nats.reconnected", url=self.client.connected_url and self.client.connected_url.netloc
        )
        for callback in self._reconnected:
            await callback()

    async def publish(
        self, subject: str, payload: bytes, *, stream: str, message_id: str, headers: dict[str, str]
    ) -> None:
        all_headers: dict[str, Any] = {**headers, "Nats-Msg-Id": message_id}
        try:
            await self.jetstream.publish(subject, payload, stream=stream, headers=all_headers)
        except (nats.js.errors.APIError, nats.js.errors.NoStreamResponseError) as error:
            raise Retryable(f"{stream} refused a message: {error}") from error
        except (nats.errors.Error, TimeoutError) as error:
            raise Retryable(f"no PubAck from {stream}: {type(error).__name__}") from error

    async def send(self, subject: str, payload: bytes) -> None:
        try:
            await self.client.publish(subject, payload)
        except nats.errors.Error as error:
            raise Retryable(f"cannot send: {type(error).__name__}") from error

    async def listen(self, subject: str, on_frame: OnFrame) -> None:
        async def forward(message: Msg) -> None:
            await on_frame(message.subject, message.data)

        await self.client.subscribe(subject, cb=forward)

    async def create(self, bucket: Bucket, key: str, value: bytes) -> bool:
        try:
            await (await self._bucket(bucket)).create(key, value)
        except nats.js.errors.KeyWrongLastSequenceError:
            return False
        except (nats.js.errors.Error, nats.errors.Error, TimeoutError) as error:
            raise Retryable(f"bucket {bucket.name} did not store: {error}") from error
        return True

    async def get(self, bucket: Bucket, key: str) -> bytes | None:
        try:
            entry = await (await self._bucket(bucket)).get(key)
        except nats.js.errors.KeyNotFoundError:
            return None
        except (nats.js.errors.Error, nats.errors.Error, TimeoutError) as error:
            raise Retryable(f"bucket {bucket.name} did not answer: {error}") from error
        return entry.value

    async def stream_depth(self, stream: str) -> int:
        """Return how many messages ``stream`` holds."""
        try:
            return (await self.jetstream.stream_info(stream)).state.messages
        except (nats.js.errors.Error, nats.errors.Error, TimeoutError) as error:
            raise Retryable(f"cannot ask about {stream}: {type(error).__name__}") from error

    async def consumer_lag(self, stream: str, durable: str) -> int:
        """Return how many messages a consumer has not settled yet; KEDA scales on the same sum."""
        try:
            info = await self.jetstream.consumer_info(stream, durable)
        except (nats.js.errors.Error, nats.errors.Error, TimeoutError) as error:
            raise Retryable(f"cannot ask about {durable}: {type(error).__name__}") from error
        return (info.num_pending or 0) + (info.num_ack_pending or 0)

    async def delete(self, stream: str, sequence: int) -> None:
        """Take one message out of ``stream``; one that is gone already is fine."""
        try:
            await self.jetstream.delete_msg(stream, sequence)
        except nats.js.errors.NotFoundError:
            return
        except (nats.js.errors.Error, nats.errors.Error, TimeoutError) as error:
            raise Retryable(f"cannot delete from {stream}: {type(error).__name__}") from error

    async def _bucket(self, bucket: Bucket) -> KeyValue:
        if bucket.name not in self._buckets:
            self._buckets[bucket.name] = await self.jetstream.key_value(bucket.name)
        return self._buckets[bucket.name]


@asynccontextmanager
async def connect(settings: ServiceSettings, *, name: str) -> AsyncGenerator[NatsTransport]:
    """Open a connection that reconnects for ever; drained and closed on exit."""
    holder: list[NatsTransport] = []
    is_closing = False

    async def reconnected() -> None:
        for transport in holder:
            await transport.reconnected()

    async def disconnected() -> None:
        if not is_closing:
            log.warning("nats.disconnected", name=name)

    async def failed(error: Exception) -> None:
        # An empty queue of the client is told as an error too; only its class is of use.
        log.debug("nats.error", error=type(error).__name__)

    password = settings.nats_password
    broker = NatsBroker(
        settings.nats_url.split(","),
        name=name,
        connect_timeout=CONNECT_TIMEOUT_S,
        max_reconnect_attempts=-1,
        reconnect_time_wait=1,
        pending_size=MAX_PENDING_BYTES,
        reconnected_cb=reconnected,
        disconnected_cb=disconnected,
        error_cb=failed,
        **_credentials(settings.nats_user, password.get_secret_value() if password else None),
    )
    await broker.connect()
    transport = NatsTransport(broker.connection)
    holder.append(transport)
    try:
        yield transport
    finally:
        is_closing = True
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await broker.stop()
        except (nats.errors.Error, TimeoutError):
            await transport.client.close()


def _credentials(user: str | None, password: str | None) -> dict[str, Any]:
    return {} if user is None else {"user": user, "password": password}
