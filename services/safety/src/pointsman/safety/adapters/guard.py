"""The detectors as guardrails-ai Guards that tell nobody and remember nothing.

Owns the ports' implementations: joining a request's texts into one Guard call, and reading its
outcome. The framework is behind ``validators``; what is detected is in ``domain``.
Importing this module costs nothing; ``open_guards`` imports the framework.
"""

import asyncio
import warnings
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pointsman.safety.domain import (
    KINDS,
    Assessment,
    GuardFailed,
    Kind,
    Span,
    assess,
    find_personal_data,
)

if TYPE_CHECKING:
    from guardrails import AsyncGuard

SEPARATOR: Final = "\x1e"
"""Stands between the texts of one Guard call (ASCII record separator); a space inside them."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One failed place of a validated value; ``reason`` is a rule or a kind, never matched text."""

    start: int
    end: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class Report:
    """What one validator found; it fails the value when there are faults."""

    summary: str = ""
    faults: tuple[Fault, ...] = ()


Detector = Callable[[str], Report]


def report_attack(value: str) -> Report:
    """Report the worst of the joined texts: the score as summary, a fault for each rule."""
    found = assess(value.split(SEPARATOR))
    return Report(
        summary=str(found.score),
        faults=tuple(Fault(start=0, end=len(value), reason=rule) for rule in found.rules),
    )


def report_personal_data(value: str) -> Report:
    """Report every place to mask in the joined texts."""
    return Report(summary="personal data", faults=tuple(_faults(value.split(SEPARATOR))))


def _faults(texts: Sequence[str]) -> Iterator[Fault]:
    offset = 0
    for text in texts:
        for span in find_personal_data(text):
            yield Fault(start=offset + span.start, end=offset + span.end, reason=span.kind)
        offset += len(text) + 1


def joined(texts: Sequence[str]) -> str:
    return SEPARATOR.join(text.replace(SEPARATOR, " ") for text in texts)


@dataclass(frozen=True, kw_only=True)
class Guards:
    injection: "GuardedInjection"
    personal_data: "GuardedPersonalData"


@asynccontextmanager
async def open_guards(
    *,
    threads: int = 1,
    attack: Detector = report_attack,
    personal_data: Detector = report_personal_data,
) -> AsyncGenerator[Guards]:
    """Import the framework, build both Guards, and end their threads afterwards."""
    with ThreadPoolExecutor(threads, thread_name_prefix="safety") as executor:
        yield await asyncio.to_thread(_build, executor, attack, personal_data)


def _build(executor: Executor, attack: Detector, personal_data: Detector) -> Guards:
    with warnings.catch_warnings():
        # typer, which the framework imports for its command line, uses names that click 9 drops.
        warnings.simplefilter("ignore", DeprecationWarning)
        from pointsman.safety.adapters import validators
    validators.silence_framework()
    injection = validators.InjectionValidator(attack, executor)
    masking = validators.PersonalDataValidator(personal_data, executor)
    return Guards(
        injection=GuardedInjection(validators.guard_of("injection", injection)),
        personal_data=GuardedPersonalData(validators.guard_of("personal_data", masking)),
    )


class GuardedInjection:
    """The InjectionGuard port, over one Guard call for all texts."""

    def __init__(self, guard: "AsyncGuard[str]") -> None:
        self._guard = guard

    async def assess(self, texts: Sequence[str]) -> Assessment:
        report = await _validate(self._guard, joined(texts))
        if not report.faults:
            return Assessment()
        return Assessment(
            score=float(report.summary), rules=tuple(fault.reason for fault in report.faults)
        )


class GuardedPersonalData:
    """The PersonalDataGuard port, over one Guard call for all texts."""

    def __init__(self, guard: "AsyncGuard[str]") -> None:
        self._guard = guard

    async def find(self, texts: Sequence[str]) -> tuple[tuple[Span, ...], ...]:
        report = await _validate(self._guard, joined(texts))
        remaining = iter(report.faults)
        fault = next(remaining, None)
        found: list[tuple[Span, ...]] = []
        offset = 0
        for text in texts:
            spans: list[Span] = []
            while fault is not None and fault.end <= offset + len(text):
                start, end = fault.start - offset, fault.end - offset
                spans.append(Span(start=start, end=end, kind=_KIND[fault.reason]))
                fault = next(remaining, None)
            found.append(tuple(spans))
            offset += len(text) + 1
        return tuple(found)


_KIND: Final[dict[str, Kind]] = {kind: kind for kind in KINDS}


async def _validate(guard: "AsyncGuard[str]", value: str) -> Report:
    """Run one Guard call.

    Its bookkeeping stays on the event loop, about a millisecond; the validator moves the
    detector itself to a thread, because a long prompt takes a tenth of a second.
    """
    if not value.strip():
        return Report()
    try:
        outcome: Any = await guard.validate(value)
    except Exception as error:
        raise GuardFailed(guard.name) from error
    summaries = outcome.validation_summaries or ()
    if outcome.validation_passed is None or (not outcome.validation_passed and not summaries):
        raise GuardFailed(guard.name)
    return Report(
        summary=next((summary.failure_reason for summary in summaries), ""),
        faults=tuple(
            Fault(start=span.start, end=span.end, reason=span.reason)
            for summary in summaries
            for span in summary.error_spans or ()
        ),
    )
