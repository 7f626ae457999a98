"""Accept one validated request: from here on it is never lost."""

from dataclasses import dataclass

from pointsman.contracts.messages import Accept, Accepted
from pointsman.ingress.domain import Gate


@dataclass(frozen=True, kw_only=True)
class Deps:
    gate: Gate


async def accept(command: Accept, *, deps: Deps) -> Accepted:
    """Make the request durable.

    Raises: Retryable if the bus does not confirm it; it may have been stored all the same.
    """
    fact = Accepted(
        model=command.request.model,
        messages=len(command.request.messages),
        size_bytes=sum(len(message.text.encode()) for message in command.request.messages),
    )
    await deps.gate.accept(command, fact)
    return fact
