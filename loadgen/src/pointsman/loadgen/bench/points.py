"""One measured point: one contender under one load.

Owns what is read around a load (CPU, memory, upstream calls) and the point's figures. Rates and
latencies are those of a window inside it; CPU is all that was used from the first request to the
last answer, by all of these requests, so that no work is counted without its answer.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import httpx

from pointsman.loadgen.bench.contenders import MODEL, Contender
from pointsman.loadgen.bench.meter import Meter, Reading
from pointsman.loadgen.bench.workers import Job, Worker

MEGABYTE = 1_000_000
SAMPLE_S = 0.2


@dataclass(frozen=True, kw_only=True)
class Load:
    """What is sent: which prompts, how many at once or how often, for how long."""

    case: str
    prompts: str
    warmup_s: float
    duration_s: float
    concurrency: int = 0
    rate: float = 0.0
    is_stream: bool = False

    @property
    def name(self) -> str:
        return f"{self.rate:.0f}/s" if self.rate else f"c={self.concurrency}"


@dataclass(frozen=True, kw_only=True)
class Point:
    """The figures of one window. Times are ms, memory MB of 10^6 bytes, shares from 0 to 1."""

    section: str
    case: str
    contender: str
    load: str
    round: int
    concurrency: int
    asked_rate: float
    completed: int
    rate: float
    latency_ms: Mapping[str, float]
    cpu_ms: float
    nats_cpu_ms: float
    peak_rss_mb: float
    errors: Mapping[str, int]
    escalated: int = 0
    flagged: int = 0
    upstream_calls: float = 0.0
    tool_share: float = 0.0
    first_token_ms: Mapping[str, float] = field(default_factory=dict[str, float])
    token_delay_ms: Mapping[str, float] = field(default_factory=dict[str, float])

    @property
    def is_clean(self) -> bool:
        return not self.errors and self.completed > 0


class Bench:
    """Measures points: one load client, and the stub that all contenders call."""

    def __init__(self, client: Worker, stub_port: int) -> None:
        self._client = client
        self._counts_url = f"http://127.0.0.1:{stub_port}/counts"

    async def point(self, contender: Contender, load: Load, *, section: str, number: int) -> Point:
        """Measure one window.

        Raises: WorkerFailed, or TimeoutError if the load client does not come to an end.
        """
        meter = contender.meter
        meter.refresh()
        readings: list[Reading] = []
        await self._counts()
        peak = Peak(meter)
        sampling = asyncio.create_task(peak.sample())
        try:
            driver = contender.driver or self._client
            result = await driver.run(
                _job(contender, load),
                begin=lambda: readings.append(meter.read()),
                end=lambda: readings.append(meter.read()),
            )
        finally:
            sampling.cancel()
            with suppress(asyncio.CancelledError):
                await sampling
        counts = await self._counts()
        used = max(1, int(result.get("prompts_used", 0)))
        answered = max(1, int(result["answered"]))
        begun, ended = readings
        return Point(
            section=section,
            case=load.case,
            contender=contender.name,
            load=load.name,
            round=number,
            concurrency=load.concurrency,
            asked_rate=load.rate,
            completed=int(result["completed"]),
            rate=float(result["rate"]),
            latency_ms=result["latency_ms"],
            cpu_ms=(ended.cpu_s - begun.cpu_s) * 1000 / answered,
            nats_cpu_ms=(ended.nats_cpu_s - begun.nats_cpu_s) * 1000 / answered,
            peak_rss_mb=peak.rss_bytes / MEGABYTE,
            errors=result["errors"],
            escalated=int(result.get("escalated", 0)),
            flagged=int(result.get("flagged", 0)),
            upstream_calls=counts.get("calls", 0) / used,
            tool_share=counts.get("with_tools", 0) / used,
            first_token_ms=result.get("first_token_ms", {}),
            token_delay_ms=result.get("token_delay_ms", {}),
        )

    async def _counts(self) -> dict[str, Any]:
        async with httpx.AsyncClient(trust_env=False) as client:
            response = await client.get(self._counts_url)
            return response.json()


class Peak:
    """The most resident memory seen while a point ran."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self.rss_bytes = 0

    async def sample(self) -> None:
        while True:
            self.rss_bytes = max(self.rss_bytes, self._meter.read().rss_bytes)
            await asyncio.sleep(SAMPLE_S)


def _job(contender: Contender, load: Load) -> Job:
    return {
        "contender": contender.name,
        "port": contender.port,
        "model": MODEL,
        "prompts": load.prompts,
        "concurrency": load.concurrency,
        "rate": load.rate,
        "warmup_s": load.warmup_s,
        "duration_s": load.duration_s,
        "stream": load.is_stream,
    }
