"""Safety's pure decisions: what is an attack, what is personal data, what follows from either."""

from pointsman.safety.domain.examination import Examined, examine
from pointsman.safety.domain.injection import Assessment, assess
from pointsman.safety.domain.masking import Masked, mask
from pointsman.safety.domain.personal_data import find_personal_data
from pointsman.safety.domain.policy import (
    GUARD_ERROR,
    INJECTION,
    PERSONAL_DATA,
    Checked,
    Guard,
    GuardFailure,
    Policy,
    Spans,
    Vault,
    Verdict,
    judge,
)
from pointsman.safety.domain.spans import KINDS, Kind, Span
from pointsman.safety.domain.texts import texts_of, untrusted_texts, work_of

__all__ = [
    "GUARD_ERROR",
    "INJECTION",
    "KINDS",
    "PERSONAL_DATA",
    "Assessment",
    "Checked",
    "Examined",
    "Guard",
    "GuardFailure",
    "Kind",
    "Masked",
    "Policy",
    "Span",
    "Spans",
    "Vault",
    "Verdict",
    "assess",
    "examine",
    "find_personal_data",
    "judge",
    "mask",
    "texts_of",
    "untrusted_texts",
    "work_of",
]
