"""What a rule says of an answer it is not content with."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Fault:
    """``severity`` is above 0 and at most 1; ``critique`` tells the next model what was missing."""

    severity: float
    critique: str
