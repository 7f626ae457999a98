"""The reference over a real nats-server: what it counts has passed every hop."""

from pathlib import Path

from pointsman.loadgen.bench.contenders import Place, bare


async def test_requests_pass_every_durable_hop(tmp_path: Path) -> None:
    place = Place(work=tmp_path, litellm=tmp_path, ready_made=tmp_path)
    async with bare(place) as contender:
        assert contender.driver is not None
        result = await contender.driver.run(
            {"concurrency": 8, "warmup_s": 0.05, "duration_s": 0.3},
            begin=lambda: None,
            end=contender.meter.refresh,
        )
        reading = contender.meter.read()
    assert result["errors"] == {}
    assert result["completed"] > 8
    assert reading.nats_cpu_s > 0
    assert 0 < reading.nats_rss_bytes < reading.rss_bytes
