"""The stub and the load client, for real, and the answers that judges accept."""

import re
import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx
import pytest

from pointsman.loadgen.bench.child import ChildFailed, child, free_port
from pointsman.loadgen.bench.commands import Command, output_of
from pointsman.loadgen.bench.contenders import Contender
from pointsman.loadgen.bench.exchange import CLOCK_PROMPT
from pointsman.loadgen.bench.meter import Meter
from pointsman.loadgen.bench.points import Bench, Load
from pointsman.loadgen.bench.stub import answer_to, last_words
from pointsman.loadgen.bench.workers import Worker, worker

START_S = 20.0
CLOCK_TOKENS = 5


@pytest.fixture
async def stub(tmp_path: Path) -> AsyncGenerator[Contender]:
    port = free_port()
    command = (
        *(sys.executable, "-m", "pointsman.loadgen.bench.stub", "--port", str(port)),
        *("--clock-tokens", str(CLOCK_TOKENS), "--clock-delay-ms", "2"),
    )
    async with child("stub", command, log_dir=tmp_path) as process:
        await process.listening(port, patience_s=START_S)
        yield Contender(name="direct", port=port, meter=Meter([process.pid]))


@pytest.fixture
async def client(tmp_path: Path) -> AsyncGenerator[Worker]:
    async with worker("client", "--data", str(tmp_path), log_dir=tmp_path) as running:
        yield running


def load(prompts: str, **given: Any) -> Load:
    return Load(case="test", prompts=prompts, warmup_s=0.05, duration_s=0.2, **given)


def body(text: str, **given: Any) -> dict[str, Any]:
    return {"model": "auto", "messages": [{"role": "user", "content": text}], **given}


async def test_a_closed_loop_counts_what_the_stub_answered(stub: Contender, client: Worker) -> None:
    bench = Bench(client, stub.port)
    point = await bench.point(stub, load("distinct", concurrency=4), section="closed", number=1)
    assert point.is_clean
    assert point.rate > 0
    assert 0 < point.latency_ms["p50"] <= point.latency_ms["p99"] <= point.latency_ms["max"]
    assert point.upstream_calls == 1.0
    assert point.cpu_ms >= 0
    assert point.peak_rss_mb > 1


async def test_an_open_loop_sends_at_its_rate(stub: Contender, client: Worker) -> None:
    bench = Bench(client, stub.port)
    point = await bench.point(stub, load("plumbing", rate=100.0), section="open", number=1)
    assert point.is_clean
    assert 10 <= point.completed <= 30


async def test_a_stream_of_the_clock_tells_the_way_of_every_token(
    stub: Contender, client: Worker
) -> None:
    bench = Bench(client, stub.port)
    point = await bench.point(
        stub, load("clock", concurrency=1, is_stream=True), section="stream", number=1
    )
    assert point.is_clean
    assert point.first_token_ms["p50"] >= 1.0
    assert 0 < point.token_delay_ms["p50"] < point.latency_ms["p50"]


async def test_what_is_not_answered_200_is_an_error_and_no_latency(
    stub: Contender, client: Worker
) -> None:
    nobody = Contender(name="nobody", port=free_port(), meter=stub.meter)
    job = {
        **{"contender": nobody.name, "port": nobody.port, "model": "auto", "prompts": "plumbing"},
        **{"concurrency": 0, "rate": 50.0, "warmup_s": 0.0, "duration_s": 0.2, "stream": False},
    }
    seen: list[str] = []
    result = await client.run(
        job, begin=lambda: seen.append("begin"), end=lambda: seen.append("end")
    )
    assert seen == ["begin", "end"]
    assert result["completed"] == 0
    assert "ConnectionRefusedError" in result["errors"]


async def test_the_stub_speaks_openai_whole_and_streamed(stub: Contender) -> None:
    url = f"http://127.0.0.1:{stub.port}/v1"
    async with httpx.AsyncClient(trust_env=False) as http:
        listed = (await http.get(f"{url}/models")).json()
        whole = (await http.post(f"{url}/chat/completions", json=body("Why is it so?"))).json()
        streamed = await http.post(
            f"{url}/chat/completions",
            json=body("Why is it so?", stream=True, stream_options={"include_usage": True}),
        )
        timed = await http.post(f"{url}/chat/completions", json=body(CLOCK_PROMPT, stream=True))
        counts = (await http.get(f"{url}/counts")).json()
    assert [model["id"] for model in listed["data"]] == ["stub"]
    text = whole["choices"][0]["message"]["content"]
    assert text == answer_to("Why is it so?")
    assert whole["usage"]["completion_tokens"] == len(text.split(" "))
    assert "".join(_contents(streamed.text)) == text
    assert '"usage"' in streamed.text
    assert '"usage"' not in timed.text
    assert len(_contents(timed.text)) == CLOCK_TOKENS
    assert all(stamp.strip().isdigit() for stamp in _contents(timed.text))
    assert streamed.text.endswith("data: [DONE]\n\n")
    assert (counts["calls"], counts["streams"], counts["with_tools"]) == (3, 2, 0)


def _contents(stream: str) -> list[str]:
    return re.findall(r'"content":"((?:[^"\\]|\\.)+)"', stream)


def test_an_answer_repeats_the_words_asked_and_brings_no_number() -> None:
    answer = answer_to("List 3 uses of a lamp, and say why 40 watts are enough.")
    assert set(re.findall(r"\d+", answer)) == {"3", "40"}
    assert {"lamp", "watts", "uses"} <= set(re.findall(r"\w+", answer))
    assert answer.endswith(".")


def test_an_answer_to_a_long_prompt_stays_short() -> None:
    assert len(answer_to("word " * 100_000 + "end")) < 1000


def test_the_last_words_of_a_conversation_are_the_users() -> None:
    parts = [{"type": "text", "text": "first"}, {"type": "text", "text": "second"}]
    assert last_words([{"role": "user", "content": parts}, {"role": "assistant"}]) == "first second"
    assert last_words([{"role": "system", "content": "alone"}]) == ""


async def test_a_command_of_the_report_is_run_and_its_failure_told(tmp_path: Path) -> None:
    calendar = Command(what="calendar", arguments=("calendar", "2026", "1"))
    assert "January 2026" in await output_of(calendar, data=tmp_path, log_dir=tmp_path)
    absent = Command(what="absent", arguments=("no_such_module",))
    with pytest.raises(ChildFailed, match="status"):
        await output_of(absent, data=tmp_path, log_dir=tmp_path)
