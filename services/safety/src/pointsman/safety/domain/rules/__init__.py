"""The attack rules, as data: a name, a weight, a pattern, and words without which it cannot match.

Owns the table only; ``rulebook`` matches it and ``injection`` adds the weights up. At 1.0 the
default policy blocks, at 0.5 it flags, so a rule of 1.0 must be unmistakable alone and most rules
need company.
To add one: write it in its family's module, run ``python -m pointsman.safety.evaluate``.
"""

from typing import Final

from pointsman.safety.domain.rules.exfiltration import EXFILTRATION
from pointsman.safety.domain.rules.extraction import EXTRACTION
from pointsman.safety.domain.rules.indirect import INDIRECT
from pointsman.safety.domain.rules.languages import LANGUAGES
from pointsman.safety.domain.rules.override import OVERRIDE
from pointsman.safety.domain.rules.persona import PERSONA
from pointsman.safety.domain.rules.rule import Rule
from pointsman.safety.domain.rules.unbound import UNBOUND

__all__ = ["RULES", "Rule"]

RULES: Final[tuple[Rule, ...]] = (
    *OVERRIDE,
    *PERSONA,
    *UNBOUND,
    *EXTRACTION,
    *EXFILTRATION,
    *INDIRECT,
    *LANGUAGES,
)
