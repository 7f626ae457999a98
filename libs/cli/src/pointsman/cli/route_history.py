"""What recorded events say of requests and of models: tokens, seconds, escalations.

Owns the gathering of facts by request, in any order and each once, however often it is stored. What
a change of route would do is in ``route_comparison``.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal

from pointsman.contracts.messages import Classified, Event, Executed
from pointsman.routes.replay import Replayed, Version, replay
from pointsman.routes.signal_schema import METADATA


@dataclass(frozen=True, kw_only=True, slots=True)
class Work:
    """What a model's answer to one request took: all its calls together."""

    input_tokens: int
    output_tokens: int
    duration_s: float


@dataclass(frozen=True, kw_only=True, slots=True)
class _Attempt:
    number: int
    model: str
    role: str
    has_answered: bool
    input_tokens: int
    output_tokens: int
    duration_s: float


@dataclass(kw_only=True, slots=True)
class RecordedRequest:
    """One request: what both routes make of it, and what its attempts took.

    ``context_tokens`` is the classifier's estimate of the prompt.
    """

    replayed: Replayed | None = None
    context_tokens: int = 0
    is_escalated: bool = False
    attempts: list[_Attempt] = field(default_factory=list[_Attempt])

    def work_of(self, model: str) -> Work | None:
        """Return what ``model``'s answer took; None where it gave none.

        Asking for tools and going on with what they said are one answer.
        """
        own = [attempt for attempt in self.attempts if attempt.model == model]
        if not any(attempt.has_answered for attempt in own):
            return None
        return Work(
            input_tokens=sum(attempt.input_tokens for attempt in own),
            output_tokens=sum(attempt.output_tokens for attempt in own),
            duration_s=sum(attempt.duration_s for attempt in own),
        )

    @property
    def input_tokens(self) -> int | None:
        """The prompt's tokens as the first model counted them, else as estimated before."""
        counted = [attempt for attempt in self.attempts if attempt.input_tokens > 0]
        if counted:
            return min(counted, key=lambda attempt: attempt.number).input_tokens
        return self.context_tokens or None

    @property
    def first_model(self) -> str | None:
        firsts = [attempt for attempt in self.attempts if attempt.role == "first"]
        return min(firsts, key=lambda attempt: attempt.number).model if firsts else None


@dataclass(kw_only=True, slots=True)
class ModelRecord:
    """What was recorded of one model. Sums are over ``answers``, shares over ``first_attempts``."""

    answers: int = 0
    output_tokens: int = 0
    duration_s: float = 0.0
    first_attempts: int = 0
    escalated: int = 0

    def add(self, work: Work) -> None:
        self.answers += 1
        self.output_tokens += work.output_tokens
        self.duration_s += work.duration_s

    @property
    def mean_output_tokens(self) -> Decimal | None:
        return Decimal(self.output_tokens) / self.answers if self.answers else None

    @property
    def mean_duration_s(self) -> float | None:
        return self.duration_s / self.answers if self.answers else None


class History:
    """The recorded requests, gathered event by event, each decided again as it comes."""

    def __init__(self, old: Version, new: Version) -> None:
        self._old, self._new = old, new
        self._requests: dict[tuple[str, int], RecordedRequest] = {}
        self._named: dict[str, set[str]] = defaultdict(set)
        for version in (old, new):
            self._note_keys(version.route.revision, version.route.route.spec.metadata_keys)
        self.shadow_events = 0

    def add(self, event: Event) -> None:
        """Take note of one event; what is of a shadow's copy is nobody's request.

        Raises: UnknownModel if a route names a model that its registry does not have.
        """
        if event.context.shadow_of is not None:
            self.shadow_events += 1
            return
        match event.fact:
            case Classified() as fact:
                self._add_classified(event, fact)
            case Executed() as fact:
                self._add_executed(event, fact)
            case _:
                pass

    def replayed(self) -> Iterator[tuple[RecordedRequest, Replayed]]:
        """Yield the requests that were classified, with what both routes make of them."""
        for request in self._requests.values():
            if request.replayed is not None:
                yield request, request.replayed

    def was_asked_for(self, name: str, revision: str) -> bool:
        """Return whether the route of this revision is known to name ``name``.

        A metadata key that it names and a request lacks was not there, rather than not recorded.
        """
        return name in self._named.get(revision, ())

    def models(self) -> dict[str, ModelRecord]:
        """Return what each model's recorded answers took, by registry id."""
        records: dict[str, ModelRecord] = defaultdict(ModelRecord)
        for request in self._requests.values():
            for model in dict.fromkeys(attempt.model for attempt in request.attempts):
                if work := request.work_of(model):
                    records[model].add(work)
            if first := request.first_model:
                records[first].first_attempts += 1
                records[first].escalated += request.is_escalated
        return records

    def _add_classified(self, event: Event, fact: Classified) -> None:
        request = self._request(event)
        self._note_keys(fact.decision.revision, fact.inputs.metadata)
        request.context_tokens = fact.signals.context_tokens
        request.replayed = replay(
            fact.signals,
            fact.inputs,
            fact.decision,
            request_id=event.context.request_id,
            namespace=event.context.namespace,
            old=self._old,
            new=self._new,
        )

    def _add_executed(self, event: Event, fact: Executed) -> None:
        request = self._request(event)
        if fact.role == "escalation":
            request.is_escalated = True
        # A second opinion is not what a request was answered with.
        if fact.role == "sibling" or fact.status not in {"succeeded", "planned"}:
            return
        if any(attempt.number == event.attempt for attempt in request.attempts):
            return
        request.attempts.append(
            _Attempt(
                number=event.attempt,
                model=fact.model,
                role=fact.role,
                has_answered=fact.status == "succeeded",
                input_tokens=fact.usage.input_tokens,
                output_tokens=fact.usage.output_tokens,
                duration_s=event.duration_s,
            )
        )

    def _note_keys(self, revision: str, keys: Iterable[str]) -> None:
        self._named[revision].update(f"{METADATA}{key}" for key in keys)

    def _request(self, event: Event) -> RecordedRequest:
        # A request that was sent on again from the dead letters was decided again, too.
        key = (event.context.request_id, event.context.redrive)
        found = self._requests.get(key)
        if found is None:
            found = self._requests[key] = RecordedRequest()
        return found
