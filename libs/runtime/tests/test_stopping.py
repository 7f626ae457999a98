"""What a process that stops still begins."""

from dataclasses import dataclass, field
from datetime import timedelta

from faststream.nats import NatsBroker

from pointsman.contracts.messages import CheckSafety, Execute, Executed
from pointsman.contracts.parts import ServiceName
from pointsman.contracts.topology import consumers_of
from pointsman.runtime.delivery import Delivery
from pointsman.runtime.process_bus import ProcessBus
from pointsman.runtime.settings import ServiceSettings
from pointsman.runtime.stage import Stage
from pointsman.runtime.wiring import MemoryTransport
from pointsman.testing.requests import chat, context
from pointsman.testing.stages import answer_echo, scripted_pipeline


@dataclass
class Message:
    """A delivery that remembers how it was settled."""

    data: bytes
    subject: str = "llm.work.safety"
    stream: str = "LLM_WORK"
    stream_sequence: int = 1
    deliveries: int = 1
    headers: dict[str, str] = field(default_factory=dict[str, str])
    settled: list[str] = field(default_factory=list[str])

    async def ack(self) -> None:
        self.settled.append("ack")

    async def nak(self, delay: timedelta) -> None:
        self.settled.append(f"nak {delay.total_seconds():g}")

    async def term(self) -> None:
        self.settled.append("term")

    async def in_progress(self) -> None: ...


async def test_a_process_that_stops_hands_a_request_back_before_it_is_paid_for() -> None:
    paid: list[str] = []

    async def answer(command: Execute) -> Executed:
        paid.append(command.model)
        return await answer_echo(command)

    bus = ProcessBus(MemoryTransport(NatsBroker()))
    stages: dict[ServiceName, Stage] = {
        service.name: Stage(service=service, deps=None, publisher=bus.publisher(service.name))
        for service in scripted_pipeline(ServiceSettings(), executor=answer)
    }
    delivery = Delivery(
        stage=stages["safety"],
        consumer=consumers_of("safety")[0],
        fused=stages,
        handover=bus.handover,
        is_stopping=lambda: True,
    )
    command = CheckSafety(context=context(), request=chat(), vault_key="")
    message = Message(command.model_dump_json().encode())
    await delivery(message)
    assert message.settled == ["nak 0"]
    assert paid == []
