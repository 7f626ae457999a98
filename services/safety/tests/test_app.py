"""Settings become the policy, and the built service says what it is."""

import threading
from typing import Any

import pytest
from pydantic import ValidationError

from pointsman.runtime.service import never
from pointsman.safety.app import build, policy_of
from pointsman.safety.settings import Settings


def test_settings_become_the_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAFETY_BLOCK_THRESHOLD", "2")
    monkeypatch.setenv("SAFETY_MASKING_FAIL_OPEN", "true")
    policy = policy_of(Settings())
    assert (policy.block_at, policy.flag_at) == (2.0, 0.5)
    assert policy.fails_open == {"personal_data"}


def test_guards_fail_closed_by_default() -> None:
    assert policy_of(Settings()).fails_open == frozenset()


def test_flag_threshold_above_the_block_one_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAFETY_FLAG_THRESHOLD", "1.5")
    with pytest.raises(ValidationError, match="SAFETY_FLAG_THRESHOLD"):
        Settings()


def test_service_is_named_and_not_memoized() -> None:
    service = build(Settings())
    assert service.name == "safety"
    assert service.is_memoized is never


async def test_what_takes_long_runs_in_the_services_thread_which_ends_with_it() -> None:
    no_bus: Any = None
    async with build(Settings()).resources(no_bus) as deps:
        assert deps.aside is not None
        name = deps.aside.submit(lambda: threading.current_thread().name).result()
    assert name.startswith("safety")
    assert name not in {thread.name for thread in threading.enumerate()}
