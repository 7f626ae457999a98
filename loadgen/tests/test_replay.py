"""Recordings in, the same letters out: over HTTP, and from files that are wrong."""

import asyncio
import gzip
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from pointsman.loadgen.__main__ import main
from pointsman.loadgen.recordings import InvalidRecordings, Recordings, read_recordings
from pointsman.loadgen.serving import serving_models
from pointsman.loadgen.simulated import build

PATH = "/v1/chat/completions"
LLAMA, GPT = "llama-3-8b-instruct", "gpt-4o"
PROMPT = "What is 2 + 2?\n(A) 3\n(B) 4"
MAIL = "Who is ada@example.org, and why?\n(A) nobody\n(B) somebody"
LONG = "Say it again"
SAID = "Two and two\n\n  are four, so  the answer is (B).\n"
LOOP = "again and again, " * 2000


def recorded(text: str | None, tokens: int = 12, extracted: str | None = "B") -> dict[str, Any]:
    return {"text": text, "extracted": extracted, "correct": True, "output_tokens": tokens}


ROWS: list[dict[str, Any]] = [
    {"prompt": PROMPT + "\n", "answers": {LLAMA: recorded(SAID), GPT: recorded("B", 1)}},
    {"prompt": MAIL, "answers": {LLAMA: recorded("Ada.", 3), GPT: None}},
    {"prompt": LONG, "answers": {LLAMA: recorded(LOOP, 6000, None), GPT: recorded("", 0, None)}},
    {"prompt": PROMPT, "answers": {LLAMA: recorded("never said: it comes second")}},
]


def row(index: int, fields: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": f"r{index}",
        "category": "math",
        "prompt_tokens": 20 + index,
        "gold": "B",
    } | fields


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write lines, or the rows above, into a gzip file of recordings."""

    def write_lines(*lines: str) -> Path:
        rows = lines or [json.dumps(row(index, fields)) for index, fields in enumerate(ROWS)]
        path = tmp_path / "recorded.jsonl.gz"
        path.write_bytes(gzip.compress("\n".join(rows).encode()))
        return path

    return write_lines


@pytest.fixture
def recordings(write: Callable[..., Path]) -> Recordings:
    return read_recordings(write())


@asynccontextmanager
async def served(recordings: Recordings, **options: Any) -> AsyncGenerator[httpx.AsyncClient]:
    app = build(speed=100_000, recordings=recordings, **options)
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://models") as client:
        yield client


@pytest.fixture
async def models(recordings: Recordings) -> AsyncGenerator[httpx.AsyncClient]:
    async with served(recordings) as client:
        yield client


def body(text: str = PROMPT, model: str = LLAMA, **fields: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": text}], **fields}


def chunks_of(response: httpx.Response) -> list[dict[str, Any]]:
    lines = [line.removeprefix("data: ") for line in response.text.split("\n\n") if line]
    assert lines[-1] == "[DONE]"
    return [json.loads(line) for line in lines[:-1]]


async def test_recorded_prompt_gets_the_recorded_answer(models: httpx.AsyncClient) -> None:
    response = await models.post(PATH, json=body())
    assert response.headers["x-simulated"] == response.headers["x-replayed"] == "true"
    answer = response.json()
    assert answer["choices"][0]["message"]["content"] == SAID
    assert answer["system_fingerprint"] == "replayed"
    assert answer["usage"]["prompt_tokens"] == 20
    assert answer["usage"]["completion_tokens"] == 12


@pytest.mark.parametrize("text", [PROMPT, PROMPT + " \n\n"])
async def test_stream_joins_to_the_recorded_letters(models: httpx.AsyncClient, text: str) -> None:
    asked = body(text, stream=True, stream_options={"include_usage": True})
    response = await models.post(PATH, json=asked)
    *chunks, last = chunks_of(response)
    pieces = [chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks]
    assert "".join(pieces) == SAID
    assert len(pieces) > 5
    assert response.headers["x-replayed"] == "true"
    assert last["usage"]["completion_tokens"] == 12
    stats = (await models.get("/control/stats")).json()
    assert stats["models"][LLAMA]["tokens_sent"] == 12


async def test_system_text_is_counted_and_changes_no_letter(models: httpx.AsyncClient) -> None:
    noted = body()
    noted["messages"].insert(0, {"role": "system", "content": "An earlier attempt was too weak."})
    answer = (await models.post(PATH, json=noted)).json()
    assert answer["choices"][0]["message"]["content"] == SAID
    assert 20 + 7 <= answer["usage"]["prompt_tokens"] <= 20 + 14


async def test_masked_prompt_finds_its_recording(models: httpx.AsyncClient) -> None:
    masked = MAIL.replace("ada@example.org", "<EMAIL_1>")
    answer = (await models.post(PATH, json=body(masked))).json()
    assert answer["choices"][0]["message"]["content"] == "Ada."
    ambiguous = await models.post(PATH, json=body("<EMAIL_1>"))
    assert ambiguous.status_code == 404


@pytest.mark.parametrize(
    ("text", "model"),
    [("What is 2 + 3?", LLAMA), (PROMPT + " Say why.", GPT), (LONG, "phi-3-mini-4k")],
)
async def test_unrecorded_prompt_has_no_answer(
    models: httpx.AsyncClient, text: str, model: str
) -> None:
    response = await models.post(PATH, json=body(text, model))
    assert response.status_code == 404
    error = response.json()["error"]
    assert error["code"] == ("recording_not_found" if model in {LLAMA, GPT} else None)
    assert text not in response.text


async def test_simulated_profile_answers_the_rest_only_where_it_is_told_to(
    recordings: Recordings,
) -> None:
    async with served(recordings, simulates_rest=True) as models:
        replayed = await models.post(PATH, json=body())
        simulated = await models.post(PATH, json=body("Why is the sky blue?"))
        unrecorded = await models.post(PATH, json=body("Why is the sky blue?", GPT))
    assert replayed.headers["x-replayed"] == "true"
    assert simulated.status_code == 200
    assert "x-replayed" not in simulated.headers
    assert unrecorded.status_code == 404


async def test_null_and_empty_answers_are_replayed_empty_and_declared(
    models: httpx.AsyncClient,
) -> None:
    for prompt in (MAIL, LONG):
        answer = (await models.post(PATH, json=body(prompt, GPT))).json()
        assert answer["choices"][0]["message"]["content"] is None
        assert answer["usage"]["completion_tokens"] == 0
    declared = (await models.get("/profiles")).json()
    gpt = next(each for each in declared["replayed"] if each["model"] == GPT)
    assert (gpt["source"], gpt["rows"]) == ("recorded.jsonl.gz", 3)
    assert (gpt["null_extractions"], gpt["empty_texts"], gpt["repeated_prompts"]) == (2, 2, 1)
    assert LLAMA not in {profile["model"] for profile in declared["profiles"]}
    listed = (await models.get("/v1/models")).json()
    assert {entry["id"] for entry in listed["data"]} == {LLAMA, GPT, "gpt-4o-reasoning"}


async def test_limit_cuts_the_recorded_answer(models: httpx.AsyncClient) -> None:
    answer = (await models.post(PATH, json=body(LONG, max_tokens=600))).json()
    assert answer["choices"][0]["finish_reason"] == "length"
    assert answer["choices"][0]["message"]["content"] == LOOP[: len(LOOP) // 10]
    assert answer["usage"]["completion_tokens"] == 600


async def test_client_that_has_read_enough_stops_the_answer(recordings: Recordings) -> None:
    async with (
        serving_models(speed=5, recordings=recordings) as address,
        httpx.AsyncClient(trust_env=False) as client,
    ):
        asked = body(LONG, stream=True)
        async with client.stream("POST", address + PATH, json=asked) as response:
            async for line in response.aiter_lines():
                if "again" in line:
                    break
        async with asyncio.timeout(5):
            while True:
                stats = (await client.get(address + "/control/stats")).json()
                if stats["active"] == 0:
                    break
    assert stats["models"][LLAMA]["cancelled"] == 1
    # At 400 tokens/s the whole answer takes 15 s; the client left at its first words.
    assert 0 < stats["models"][LLAMA]["tokens_sent"] < 5000


async def test_client_stops_an_answer_that_is_played_at_once(recordings: Recordings) -> None:
    app = build(speed=1_000_000, recordings=recordings)
    sent: list[bytes] = []
    has_enough = asyncio.Event()
    asked = [{"type": "http.request", "body": json.dumps(body(LONG, stream=True)).encode()}]

    async def receive() -> dict[str, Any]:
        if asked:
            return asked.pop()
        await has_enough.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message.get("body", b""))
        if len(sent) > 3:
            has_enough.set()

    await app({"type": "http", "method": "POST", "path": PATH, "headers": []}, receive, send)
    assert 3 < len(sent) < 10
    assert max(len(piece) for piece in sent) < 10_000
    assert b"[DONE]" not in b"".join(sent)


def test_answer_that_nobody_scored_is_wrong(write: Callable[..., Path]) -> None:
    unscored = recorded("x") | {"correct": None}
    path = write(json.dumps(row(0, {"prompt": "p", "answers": {GPT: unscored, LLAMA: None}})))
    answers = read_recordings(path).rows[0].answers
    assert [answers[model].correct for model in (GPT, LLAMA)] == [False, False]
    assert answers[GPT].text == "x"


@pytest.mark.parametrize(
    ("lines", "line", "said"),
    [
        ([], 0, "no recording"),
        (['{"id": "a"'], 2, "JSON"),
        (["[]"], 2, "object"),
        ([json.dumps(row(0, {"prompt": "p", "answers": {}}))], 2, "answers"),
        ([json.dumps(row(0, {"prompt": "", "answers": {GPT: None}}))], 2, "prompt"),
        ([json.dumps(row(0, {"answers": {GPT: None}}))], 2, "prompt"),
        ([json.dumps(row(0, {"prompt": "p", "answers": {GPT: {"text": "x"}}}))], 2, GPT),
        ([json.dumps(row(0, {"prompt": "p", "answers": {GPT: recorded("x", -1)}}))], 2, GPT),
    ],
)
def test_malformed_recordings_name_the_line(
    write: Callable[..., Path], lines: list[str], line: int, said: str
) -> None:
    sound = json.dumps(row(0, ROWS[0]))
    path = write(sound, *lines) if lines else write("", "")
    with pytest.raises(InvalidRecordings, match=said) as caught:
        read_recordings(path)
    assert caught.value.line == line
    assert (f"line {line}" in str(caught.value)) == bool(line)


@pytest.mark.parametrize("damage", ["cut", "not gzip"])
def test_damaged_file_is_refused(write: Callable[..., Path], damage: str) -> None:
    path = write()
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2] if damage == "cut" else b'{"id": "a"}\n')
    with pytest.raises(InvalidRecordings, match=r"line \d: not whole gzip"):
        read_recordings(path)


def test_server_does_not_start_on_a_malformed_file(write: Callable[..., Path]) -> None:
    path = write(json.dumps(row(0, ROWS[0])), "{}")
    result = CliRunner().invoke(main, ["models", "--port", "0", "--replay", str(path)])
    assert result.exit_code == 1
    assert "line 2" in result.output
    assert "ready" not in result.output


def test_plain_lines_are_read_too(tmp_path: Path) -> None:
    path = tmp_path / "recorded.jsonl"
    path.write_text("\n".join(json.dumps(row(i, fields)) for i, fields in enumerate(ROWS)) + "\n\n")
    assert len(read_recordings(path).rows) == len(ROWS)


def test_every_recorded_prompt_of_the_data_folder_finds_its_row(data_dir: Path) -> None:
    path = data_dir / "routing" / "replay.jsonl.gz"
    if not path.is_file():
        pytest.skip(f"no {path.name} in the data folder")
    recordings = read_recordings(path)
    found = {row.id for row in recordings.rows if recordings.find(row.prompt + "\n") is row}
    assert len(found) == len(recordings.rows) - recordings.repeated_prompts
    assert GPT in recordings.models
