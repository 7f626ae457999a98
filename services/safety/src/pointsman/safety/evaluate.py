"""``python -m pointsman.safety.evaluate``: how good the detectors are on labelled data.

Owns counting and printing. Reads the folder's files, whose README describes them; keeps nothing.
The rules were written while reading the even lines of the three large kinds of attack
(``READ_IN_HALF``); recall on the odd lines is printed beside, because it is nearer to what new
attacks will meet. Every benign prompt that a rule hit was looked at, so the false-positive rates
are of data seen.
"""

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pointsman.safety.domain import Kind, Policy, assess, find_personal_data, judge

PROMPTS: Final = ("attacks", "obfuscated", "hard_benign", "benign")
READ_IN_HALF: Final = ("jailbreak", "direct_injection", "indirect_document")
SPANS: Final = ("pii", "secrets")
TYPES: Final[dict[str, Kind]] = {
    "EMAIL_ADDRESS": "EMAIL",
    "PHONE_NUMBER": "PHONE",
    "CREDIT_CARD": "CARD",
    "IBAN_CODE": "IBAN",
    "US_SSN": "SSN",
    "IP_ADDRESS": "IP",
}
UNSTRUCTURED: Final = frozenset(
    {"PERSON", "ADDRESS", "LOCATION", "ORGANIZATION", "DATE_TIME", "DOMAIN_NAME", "TITLE"}
    | {"PREFIX", "US_DRIVER_LICENSE", "AGE", "NRP", "ZIP_CODE"}
)
"""Types of the data set that have no form to check and are not looked for."""


@dataclass(frozen=True, kw_only=True)
class Row:
    name: str
    total: int
    blocked: int
    suspected: int
    """Blocked or flagged."""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="pointsman.safety.evaluate", description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/safety"))
    folder: Path = parser.parse_args(arguments).data
    missing = [name for name in (*PROMPTS, *SPANS) if not (folder / f"{name}.jsonl").is_file()]
    if missing:
        sys.stdout.write(f"skipped: {folder} has no {', '.join(missing)} (.jsonl)\n")
        return 0
    for line in (*_prompt_lines(folder), "", *_span_lines(folder)):
        sys.stdout.write(line + "\n")
    return 0


def _prompt_lines(folder: Path) -> Iterator[str]:
    policy = Policy()
    yield f"block at {policy.block_at}, flag at {policy.flag_at}"
    yield f"{'file: kind':38}{'prompts':>8}{'blocked':>10}{'or flagged':>12}"
    count, spent = 0, 0.0
    for name in PROMPTS:
        rows = list(_read(folder / f"{name}.jsonl"))
        started = time.process_time()
        verdicts = [judge(assess([row["text"]]), policy) for row in rows]
        spent += time.process_time() - started
        count += len(rows)
        for row in _rows(name, rows, verdicts):
            blocked, suspected = row.blocked / row.total, row.suspected / row.total
            yield f"{row.name:38}{row.total:8}{blocked:10.2%}{suspected:12.2%}"
    yield f"{1000 * spent / count:.2f} ms of CPU a prompt, mean of {count}, detector alone"


def _rows(name: str, prompts: Sequence[dict[str, Any]], verdicts: Sequence[str]) -> Iterator[Row]:
    labelled = list(zip(prompts, verdicts, strict=True))
    for kind in dict.fromkeys(row["kind"] for row in prompts):
        of_kind = [verdict for row, verdict in labelled if row["kind"] == kind]
        yield _row(f"{name}: {kind}", of_kind)
    if name == "attacks":
        yield _row("attacks: all", verdicts)
        unread = [v for row, v in labelled[1::2] if row["kind"] in READ_IN_HALF]
        yield _row("attacks: lines not read", unread)
    elif name in {"benign", "hard_benign"}:
        yield _row(f"{name}: all", verdicts)


def _row(name: str, verdicts: Sequence[str]) -> Row:
    counts = Counter(verdicts)
    return Row(
        name=name,
        total=len(verdicts),
        blocked=counts["block"],
        suspected=counts["block"] + counts["flag"],
    )


def _span_lines(folder: Path) -> Iterator[str]:
    yield f"{'file: kind':38}{'spans':>8}{'recall':>10}{'precision':>12}{'exact':>10}"
    for name in SPANS:
        wanted, found, hit, exact = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
        for row in _read(folder / f"{name}.jsonl"):
            gold = set(_gold(row["spans"]))
            ours = {(s.kind, s.start, s.end) for s in find_personal_data(row["text"])}
            wanted.update(kind for kind, _, _ in gold)
            found.update(kind for kind, _, _ in ours)
            hit.update(one[0] for one in gold if any(_overlap(one, other) for other in ours))
            exact.update(kind for kind, _, _ in gold & ours)
        for kind in sorted(wanted | found):
            right = min(hit[kind], found[kind])
            yield (
                f"{name + ': ' + kind:38}{wanted[kind]:8}{_share(hit[kind], wanted[kind]):>10}"
                f"{_share(right, found[kind]):>12}{_share(exact[kind], wanted[kind]):>10}"
            )


def _gold(spans: Iterable[dict[str, Any]]) -> Iterator[tuple[str, int, int]]:
    for span in spans:
        if span["type"] not in UNSTRUCTURED:
            yield TYPES.get(span["type"], "SECRET"), span["start"], span["end"]


def _overlap(one: tuple[str, int, int], other: tuple[str, int, int]) -> bool:
    return one[0] == other[0] and one[1] < other[2] and other[1] < one[2]


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "-"


def _read(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


if __name__ == "__main__":
    sys.exit(main())
