"""Safety's pure decisions: what is an attack, what is personal data, what follows from either."""

from pointsman.safety.domain.injection import Assessment, assess
from pointsman.safety.domain.masking import Masked, mask
from pointsman.safety.domain.personal_data import find_personal_data
from pointsman.safety.domain.policy import (
    GUARD_ERROR,
    GuardFailed,
    InjectionGuard,
    PersonalDataGuard,
    Policy,
    Vault,
    Verdict,
    attack_findings,
    failure_finding,
    judge,
    mask_findings,
)
from pointsman.safety.domain.spans import KINDS, Kind, Span
from pointsman.safety.domain.texts import texts_of, untrusted_texts

__all__ = [
    "GUARD_ERROR",
    "KINDS",
    "Assessment",
    "GuardFailed",
    "InjectionGuard",
    "Kind",
    "Masked",
    "PersonalDataGuard",
    "Policy",
    "Span",
    "Vault",
    "Verdict",
    "assess",
    "attack_findings",
    "failure_finding",
    "find_personal_data",
    "judge",
    "mask",
    "mask_findings",
    "texts_of",
    "untrusted_texts",
]
