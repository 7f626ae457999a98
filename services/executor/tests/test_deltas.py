"""How text travels to the client: at once, in order, and never in the way of the answer."""

import asyncio

from pointsman.executor.deltas import DeltaStream

from .doubles import RecordingClient, a_command

PATIENCE_S = 5.0


def ends_at(seconds: float = PATIENCE_S) -> float:
    return asyncio.get_running_loop().time() + seconds


async def test_text_that_arrives_while_a_frame_leaves_travels_in_one_frame() -> None:
    client = RecordingClient()
    client.may_pass.clear()
    async with DeltaStream(client, a_command(stream=True), model="m", delivery=1) as deltas:
        deltas.push("first ")
        await asyncio.wait_for(client.arrived.get(), PATIENCE_S)
        for number in range(50):
            deltas.push(f"{number} ")
        client.may_pass.set()
        await deltas.finish((), ends_at=ends_at())
    first, second = client.frames
    assert (first.text, first.sequence) == ("first ", 0)
    assert second.sequence == 1
    assert second.text.split() == [str(number) for number in range(50)]


async def test_what_was_not_sent_when_an_attempt_fails_never_leaves() -> None:
    client = RecordingClient()
    async with DeltaStream(client, a_command(stream=True), model="m", delivery=1) as deltas:
        deltas.push("too late")
    assert client.frames == []
    assert not deltas.has_sent


async def test_a_way_back_that_hangs_does_not_hold_the_answer_past_its_time() -> None:
    client = RecordingClient()
    client.may_pass.clear()
    async with DeltaStream(client, a_command(stream=True), model="m", delivery=1) as deltas:
        deltas.push("text")
        async with asyncio.timeout(PATIENCE_S):
            await deltas.finish((), ends_at=ends_at(0.05))
    assert deltas.has_sent
    assert client.frames == []
