import asyncio
import json
from typing import Any

import httpx
import pytest

from pointsman.loadgen.serving import serving_models

BIG = "gpt-4o-reasoning"
SMALL = "llama-3-8b-instruct"
PATH = "/v1/chat/completions"
TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}


def body(text: str = "Why is the sky blue?", **fields: Any) -> dict[str, Any]:
    return {"model": SMALL, "messages": [{"role": "user", "content": text}], **fields}


def events(response: httpx.Response) -> list[dict[str, Any]]:
    lines = [line.removeprefix("data: ") for line in response.text.split("\n\n") if line]
    assert lines[-1] == "[DONE]"
    return [json.loads(line) for line in lines[:-1]]


async def test_models_and_profiles_are_listed(models: httpx.AsyncClient) -> None:
    listed = (await models.get("/v1/models")).json()
    assert {entry["id"] for entry in listed["data"]} == {SMALL, BIG}
    declared = (await models.get("/profiles")).json()
    assert declared["speed"] == 1000
    assert all(profile["weaknesses"] for profile in declared["profiles"])


async def test_answer_declares_that_it_is_simulated(models: httpx.AsyncClient) -> None:
    response = await models.post(PATH, json=body())
    assert response.headers["x-simulated"] == "true"
    answer = response.json()
    assert answer["system_fingerprint"] == "simulated"
    assert answer["model"] == SMALL
    usage = answer["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


async def test_stream_gives_the_same_words_and_usage_as_a_whole_answer(
    models: httpx.AsyncClient,
) -> None:
    whole = (await models.post(PATH, json=body())).json()
    asked = body(stream=True, stream_options={"include_usage": True})
    *chunks, last = events(await models.post(PATH, json=asked))
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    said = "".join(delta.get("content") or "" for delta in deltas)
    assert said == whole["choices"][0]["message"]["content"]
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
    assert last["choices"] == []
    assert last["usage"] == whole["usage"]


async def test_stream_cuts_a_placeholder_between_chunks(models: httpx.AsyncClient) -> None:
    chunks = events(
        await models.post(PATH, json=body("Call <EMAIL_ADDRESS_1> about it", stream=True))
    )
    pieces = [chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks]
    assert "<EMAIL_ADDRESS_1>" in "".join(pieces)
    assert not any("<EMAIL_ADDRESS_1>" in piece for piece in pieces)


async def test_stream_without_include_usage_has_none(models: httpx.AsyncClient) -> None:
    chunks = events(await models.post(PATH, json=body(stream=True)))
    assert not any("usage" in chunk for chunk in chunks)


async def test_tool_call_arrives_in_fragments(models: httpx.AsyncClient) -> None:
    asked = body("What is the weather in Paris?", model=BIG, tools=[TOOL], stream=True)
    chunks = events(await models.post(PATH, json=asked))
    fragments = [
        fragment
        for chunk in chunks
        for fragment in chunk["choices"][0]["delta"].get("tool_calls", [])
    ]
    assert fragments[0]["function"]["name"] == "get_weather"
    assert len(fragments) > 2
    arguments = "".join(fragment["function"]["arguments"] for fragment in fragments)
    assert json.loads(arguments) == {"city": "Paris"}
    assert chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (body(model="gpt-5"), 404),
        ({"model": SMALL, "messages": []}, 400),
        ({"model": SMALL, "messages": "hello"}, 400),
    ],
)
async def test_bad_request_gets_an_openai_error(
    models: httpx.AsyncClient, sent: dict[str, Any], status: int
) -> None:
    response = await models.post(PATH, json=sent)
    assert response.status_code == status
    assert response.json()["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize(("fault", "status"), [("429", 429), ("500", 500)])
async def test_error_fault_answers_with_its_status(
    models: httpx.AsyncClient, fault: str, status: int
) -> None:
    response = await models.post(PATH, json=body(), headers={"x-fault": fault})
    assert response.status_code == status
    assert "error" in response.json()
    assert (response.headers.get("retry-after") is not None) == (status == 429)


async def test_planned_fault_hits_its_model_as_often_as_ordered(
    models: httpx.AsyncClient,
) -> None:
    order = {"model": BIG, "mode": "500", "count": 2}
    assert (await models.post("/control/faults", json=order)).status_code == 200
    statuses = [(await models.post(PATH, json=body(model=BIG))).status_code for _ in range(3)]
    assert statuses == [500, 500, 200]
    assert (await models.post(PATH, json=body())).status_code == 200
    stats = (await models.get("/control/stats")).json()
    assert stats["models"][BIG]["calls"] == 3
    assert stats["models"][BIG]["faults"] == {"500": 2}
    assert stats["calls"] == 4


async def test_fault_plan_can_be_cleared_and_figures_reset(models: httpx.AsyncClient) -> None:
    await models.post("/control/faults", json={"mode": "500", "count": 5})
    await models.post("/control/reset")
    assert (await models.post(PATH, json=body())).status_code == 200
    bad = await models.post("/control/faults", json={"mode": "explode"})
    assert bad.status_code == 400
    assert (await models.post(PATH, json=body(), headers={"x-fault": "?"})).status_code == 400


@pytest.mark.parametrize("stream", [False, True])
async def test_wrong_json_cannot_be_parsed(models: httpx.AsyncClient, stream: bool) -> None:
    headers = {"x-fault": "wrong_json"}
    response = await models.post(PATH, json=body(stream=stream), headers=headers)
    with pytest.raises(ValueError):
        json.loads(response.text) if not stream else events(response)


@pytest.mark.parametrize("stream", [False, True])
async def test_cut_stream_closes_the_connection_early(stream: bool) -> None:
    async with serving_models(speed=1000) as address, httpx.AsyncClient(trust_env=False) as client:
        headers = {"x-fault": "cut_stream"}
        with pytest.raises(httpx.RemoteProtocolError):
            await client.post(address + PATH, json=body(stream=stream), headers=headers)


@pytest.mark.parametrize("stream", [False, True])
async def test_client_that_leaves_is_counted_and_its_work_ends(stream: bool) -> None:
    async with serving_models() as address, httpx.AsyncClient(trust_env=False) as client:
        patience = httpx.Timeout(5, read=0.05)
        headers = {"x-fault": "hang"}
        with pytest.raises(httpx.ReadTimeout):
            await client.post(
                address + PATH, json=body(stream=stream), headers=headers, timeout=patience
            )
        async with asyncio.timeout(5):
            while True:
                stats = (await client.get(address + "/control/stats")).json()
                if stats["active"] == 0:
                    break
    assert stats["models"][SMALL] | {"faults": {}} == {
        "calls": 1,
        "active": 0,
        "most_active": 1,
        "completed": 0,
        "cancelled": 1,
        "tokens_sent": 0,
        "faults": {},
    }


async def test_speed_divides_the_declared_pace() -> None:
    async def duration(speed: float, **headers: str) -> float:
        loop = asyncio.get_running_loop()
        async with (
            serving_models(speed=speed) as address,
            httpx.AsyncClient(trust_env=False) as client,
        ):
            begun = loop.time()
            await client.post(address + PATH, json=body(), headers=headers)
            return loop.time() - begun

    # The small model declares about 0.15 s to the first token and 90 tokens/s: about 1 s in all.
    assert 0.03 < await duration(20) < 0.5
    assert await duration(20, **{"x-fault": "slow"}) > 0.3


async def test_three_hundred_requests_run_at_once() -> None:
    limits = httpx.Limits(max_connections=300)
    async with (
        serving_models(speed=1) as address,
        httpx.AsyncClient(trust_env=False, limits=limits, timeout=30) as client,
    ):
        sent = [client.post(address + PATH, json=body(stream=True)) for _ in range(300)]
        responses = await asyncio.gather(*sent)
        stats = (await client.get(address + "/control/stats")).json()
    assert all(response.text.endswith("data: [DONE]\n\n") for response in responses)
    assert stats["models"][SMALL]["completed"] == 300
    assert stats["models"][SMALL]["most_active"] >= 250
