"""guardrails-ai itself: its switches, our registered validators, Guards built from them.

The only module that imports the framework, which takes seconds; ``guard`` imports it when needed.
Each switch here is closed in code because the documented ones read a file in the user's home, and
``settings.rc.enable_metrics`` is read again from that file whenever a Guard is configured.
Source: guardrails-ai 0.11, ``guard.py``, ``utils/hub_telemetry_utils.py``, ``logger.py``.
"""

import asyncio
import logging
from concurrent.futures import Executor
from typing import Any

from guardrails import AsyncGuard
from guardrails.classes.generic.stack import Stack
from guardrails.classes.rc import RC
from guardrails.settings import settings as framework_settings
from guardrails.types.on_fail import OnFailAction
from guardrails.utils.hub_telemetry_utils import HubTelemetry
from guardrails.validator_base import (
    Validator,
    register_validator,  # pyright: ignore[reportUnknownVariableType] - annotated in part only
)
from guardrails_ai.types import ErrorSpan, FailResult, PassResult, ValidationResult

from pointsman.safety.adapters.guard import Detector


def silence_framework() -> None:
    """Close every way in which the framework would tell others or remember.

    Vendor telemetry: the singleton that would open an exporter is put in place without one.
    Tracing: the process's own spans would carry prompts. Logging: its handler keeps all records.
    """
    framework_settings.rc = _closed_rc()
    framework_settings.disable_tracing = True
    logging.getLogger("guardrails-ai").disabled = True
    if HubTelemetry._instance is None:  # pyright: ignore[reportPrivateUsage] - there is no public way
        HubTelemetry._instance = object.__new__(HubTelemetry)  # pyright: ignore[reportPrivateUsage, reportAttributeAccessIssue] - declared None


def _closed_rc() -> RC:
    return RC.from_dict({"enable_metrics": False, "use_remote_inferencing": False})


class _ClosedGuard(AsyncGuard[str]):
    """A Guard that does not read the switches of the user's home when it is configured."""

    def _load_rc(self) -> None:
        framework_settings.rc = _closed_rc()


class _Forgetful(Stack[Any]):
    """A history that keeps nothing: calls hold the whole text."""

    def push(self, item: Any) -> None:
        del item


class _DetectorValidator(Validator):
    """Runs one detector in the executor and reports its faults as error spans."""

    def __init__(self, detector: Detector, executor: Executor) -> None:
        super().__init__(on_fail=OnFailAction.NOOP)
        self._detector = detector
        self._executor = executor

    def _validate(self, value: Any, metadata: dict[str, Any]) -> ValidationResult:
        del metadata
        report = self._detector(value)
        if not report.faults:
            return PassResult()
        return FailResult(
            error_message=report.summary,
            error_spans=[
                ErrorSpan(start=fault.start, end=fault.end, reason=fault.reason)
                for fault in report.faults
            ],
        )

    async def async_validate(self, value: Any, metadata: dict[str, Any]) -> ValidationResult:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, self.validate, value, metadata)


class InjectionValidator(_DetectorValidator):
    """Fails on texts that attack the model's instructions or ask for secrets."""


class PersonalDataValidator(_DetectorValidator):
    """Fails on texts that hold structured personal data or credentials."""


# Called rather than written as decorators, which the framework types as "some validator".
for _name, _validator in (
    ("pointsman/injection", InjectionValidator),
    ("pointsman/personal_data", PersonalDataValidator),
):
    register_validator(name=_name, data_type="string")(_validator)  # pyright: ignore[reportUnknownMemberType]


def guard_of(name: str, validator: Validator) -> AsyncGuard[str]:
    """Return a Guard over one validator, silent and without memory."""
    guard = _ClosedGuard.for_string([validator], name=name)
    guard.history = _Forgetful()
    return guard
