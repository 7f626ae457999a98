"""Applies ``topology.py`` to a broker: the one place that creates streams, consumers and buckets.

Run once before the services (``task provision``); running it again changes only what differs.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nats.js.errors
import structlog
from nats.js import JetStreamContext, api
from nats.js.manager import JetStreamManager

from pointsman.contracts.topology import (
    BUCKETS,
    CONSUMERS,
    STREAMS,
    Bucket,
    Consumer,
    Stream,
    bucket_stream,
)
from pointsman.runtime.nats_transport import NatsTransport

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class Provisioning:
    """How the topology is laid out on this broker.

    ``replicas`` is 3 in a cluster of three. ``share`` of each size in the topology is reserved:
    the server refuses streams whose sizes add up to more than its disk.
    """

    replicas: int = 1
    share: float = 1.0

    def sized(self, max_bytes: int) -> int:
        return int(max_bytes * self.share)


TOPOLOGY_BYTES = sum(item.max_bytes for item in (*STREAMS, *BUCKETS))


def share_of_disk(folder: Path) -> float:
    """Return the share of the topology's sizes that fits half of what is free below ``folder``."""
    return min(1.0, shutil.disk_usage(folder).free / 2 / TOPOLOGY_BYTES)


def stream_config(stream: Stream, provisioning: Provisioning) -> api.StreamConfig:
    """Return the server's configuration of ``stream``."""
    return api.StreamConfig(
        name=stream.name,
        subjects=list(stream.subjects),
        retention=(
            api.RetentionPolicy.WORK_QUEUE
            if stream.retention == "workqueue"
            else api.RetentionPolicy.LIMITS
        ),
        discard=api.DiscardPolicy.NEW if stream.discard_new else api.DiscardPolicy.OLD,
        discard_new_per_subject=stream.discard_new and stream.max_msgs_per_subject > 0,
        max_bytes=provisioning.sized(stream.max_bytes),
        max_msgs_per_subject=stream.max_msgs_per_subject,
        max_msg_size=stream.max_msg_size,
        max_age=stream.max_age.total_seconds() if stream.max_age else None,
        duplicate_window=stream.duplicate_window.total_seconds(),
        storage=api.StorageType.FILE,
        num_replicas=provisioning.replicas,
        allow_direct=True,
    )


def consumer_config(consumer: Consumer) -> api.ConsumerConfig:
    """Return the server's configuration of ``consumer``."""
    return api.ConsumerConfig(
        durable_name=consumer.durable,
        filter_subject=consumer.subject,
        ack_policy=api.AckPolicy.EXPLICIT,
        ack_wait=consumer.ack_wait.total_seconds(),
        max_deliver=consumer.max_deliver,
        max_ack_pending=consumer.max_ack_pending,
        deliver_policy=api.DeliverPolicy.ALL,
    )


async def provision(transport: NatsTransport, provisioning: Provisioning) -> list[str]:
    """Create or update everything in the topology; return what was done, a line each.

    Raises: nats.js.errors.APIError if the broker refuses a change.
    """
    jetstream = transport.jetstream
    done: list[str] = []
    for stream in STREAMS:
        config = stream_config(stream, provisioning)
        done.append(await _apply_stream(jetstream, config))
    for bucket in BUCKETS:
        done.append(await _apply_bucket(jetstream, bucket, provisioning))
    for consumer in CONSUMERS:
        # Creating a durable that exists updates it.
        await jetstream.add_consumer(consumer.stream, config=consumer_config(consumer))
        done.append(f"consumer {consumer.durable} on {consumer.stream}")
    log.info("topology.provisioned", streams=len(STREAMS), consumers=len(CONSUMERS))
    return done


async def _apply_stream(manager: JetStreamManager, config: api.StreamConfig) -> str:
    name = str(config.name)
    try:
        await manager.stream_info(name)
    except nats.js.errors.NotFoundError:
        await manager.add_stream(config)
        return f"stream {name} created"
    await manager.update_stream(config)
    return f"stream {name} updated"


async def _apply_bucket(
    jetstream: JetStreamContext, bucket: Bucket, provisioning: Provisioning
) -> str:
    config: dict[str, Any] = {
        "bucket": bucket.name,
        "ttl": bucket.ttl.total_seconds(),
        "max_bytes": provisioning.sized(bucket.max_bytes),
        "replicas": provisioning.replicas,
        "history": 1,
        "direct": True,
    }
    try:
        info = await jetstream.stream_info(bucket_stream(bucket))
    except nats.js.errors.NotFoundError:
        await jetstream.create_key_value(**config)
        return f"bucket {bucket.name} created"
    info.config.max_age = config["ttl"]
    info.config.max_bytes = config["max_bytes"]
    info.config.num_replicas = provisioning.replicas
    await jetstream.update_stream(info.config)
    return f"bucket {bucket.name} updated"
