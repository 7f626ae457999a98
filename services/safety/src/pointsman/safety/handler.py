"""Checks one request: blocks attacks, masks personal data."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from pointsman.contracts.errors import Rejected
from pointsman.contracts.messages import CheckSafety, SafetyChecked
from pointsman.contracts.parts import Finding
from pointsman.runtime.placeholders import InvalidSeal, seal
from pointsman.safety.domain import (
    GuardFailed,
    InjectionGuard,
    PersonalDataGuard,
    Policy,
    Span,
    Vault,
    attack_findings,
    failure_finding,
    judge,
    mask,
    mask_findings,
    texts_of,
    untrusted_texts,
)

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class Deps:
    injection: InjectionGuard
    personal_data: PersonalDataGuard
    vault: Vault
    policy: Policy


async def check_safety(command: CheckSafety, *, deps: Deps) -> SafetyChecked:
    """Return the masked request, or no request when it is blocked.

    Raises: Rejected if the vault key is no key; Retryable if the vault does not answer.
    """
    findings = await _look_for_attacks(command, deps)
    if _blocks(findings):
        return _blocked(findings, deps.policy)
    spans, failures = await _look_for_personal_data(command, deps)
    findings = (*findings, *failures)
    if _blocks(findings):
        return _blocked(findings, deps.policy)
    # Rewriting a long request takes milliseconds: off the event loop, as the guards' detectors are.
    masked = await asyncio.to_thread(mask, command.request, spans)
    if masked.values:
        await _keep(command, masked.values, deps.vault)
    return SafetyChecked(
        is_blocked=False,
        is_suspicious=any(finding.action == "flag" for finding in findings),
        findings=(*findings, *mask_findings(masked.counts)),
        masked=masked.counts,
        request=masked.request,
    )


async def _look_for_attacks(command: CheckSafety, deps: Deps) -> tuple[Finding, ...]:
    try:
        assessment = await deps.injection.assess(untrusted_texts(command.request))
    except GuardFailed as failure:
        return (_failed(failure, deps.policy),)
    return attack_findings(assessment, judge(assessment, deps.policy))


async def _look_for_personal_data(
    command: CheckSafety, deps: Deps
) -> tuple[Sequence[Sequence[Span]], tuple[Finding, ...]]:
    try:
        return await deps.personal_data.find(texts_of(command.request)), ()
    except GuardFailed as failure:
        return (), (_failed(failure, deps.policy),)


def _failed(failure: GuardFailed, policy: Policy) -> Finding:
    # The class alone: a guard's message may quote the text.
    log.warning("guard.failed", guard=failure.guard, error=type(failure.__cause__).__name__)
    return failure_finding(failure.guard, policy)


def _blocks(findings: Sequence[Finding]) -> bool:
    return any(finding.action == "block" for finding in findings)


def _blocked(findings: Sequence[Finding], policy: Policy) -> SafetyChecked:
    return SafetyChecked(is_blocked=True, findings=tuple(findings), message=policy.block_message)


async def _keep(command: CheckSafety, values: dict[str, str], vault: Vault) -> None:
    """Seal the values and keep them until the answer; a second delivery only overwrites them."""
    try:
        sealed = seal(command.vault_key, values)
    except InvalidSeal as error:
        raise Rejected("the vault key is no Fernet key") from error
    await vault.put_vault(command.context, sealed)
