"""Recorded answers of real models: the file's shape, its faults, and the way from words to a row.

Owns reading and finding. What is said with an answer, and how fast, is in ``replay``.
Source of the format: the README beside ``replay.jsonl.gz``.
"""

import gzip
import re
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

_MASKED = re.compile(r"<[A-Z]{2,16}_[1-9][0-9]{0,5}>")
"""How the platform masks a value before a model reads it; the row holds the value itself."""


class InvalidRecordings(ValueError):
    """A file of recordings cannot be used. ``line`` counts from 1; 0 where it is the whole file."""

    def __init__(self, path: Path, line: int, reason: str) -> None:
        where = f"{path}: line {line}" if line else str(path)
        super().__init__(f"{where}: {reason}")
        self.path = path
        self.line = line
        self.reason = reason


def _wrong_if_null(value: object) -> object:
    return False if value is None else value


class RecordedAnswer(BaseModel):
    """What a model once said. ``extracted`` is the answer that was read out of it, if any was."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    text: str
    extracted: str | None
    correct: Annotated[bool, BeforeValidator(_wrong_if_null)]
    output_tokens: int = Field(ge=0)


_NOTHING = {"text": "", "extracted": None, "correct": False, "output_tokens": 0}


def _answer(value: object) -> object:
    """An answer that was recorded as null, or whose text was, is an empty one and wrong."""
    if value is None:
        return _NOTHING
    if isinstance(value, dict) and "text" in value and value["text"] is None:
        return _NOTHING
    return value  # pyright: ignore[reportUnknownVariableType] (pydantic looks at it next)


class Recording(BaseModel):
    """One prompt and what each model answered. ``prompt_tokens`` counts the prompt alone."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str
    category: str
    prompt: str = Field(min_length=1)
    prompt_tokens: int = Field(ge=0)
    answers: dict[str, Annotated[RecordedAnswer, BeforeValidator(_answer)]] = Field(min_length=1)


@dataclass(frozen=True, kw_only=True)
class ModelRecordings:
    """What a file holds of one model: its answers, and those that a scorer must count as wrong."""

    answers: int
    null_extractions: int
    empty_texts: int


@dataclass(frozen=True, kw_only=True)
class Recordings:
    """The rows of one file. Of rows with the same prompt the first is replayed."""

    file: str
    rows: tuple[Recording, ...]

    @cached_property
    def _by_prompt(self) -> Mapping[str, Recording]:
        return {_key(row.prompt): row for row in reversed(self.rows)}

    def find(self, text: str) -> Recording | None:
        """Return the row with this prompt, whatever space it ends in.

        Masked values match anything; where that leaves more than one row, none is found.
        """
        key = _key(text)
        exact = self._by_prompt.get(key)
        if exact is not None or not _MASKED.search(key):
            return exact
        pieces = _MASKED.split(key)
        fitting = [row for prompt, row in self._by_prompt.items() if _fits(prompt, pieces)]
        return fitting[0] if len(fitting) == 1 else None

    @property
    def repeated_prompts(self) -> int:
        """How many rows are never replayed, because an earlier one has the same prompt."""
        return len(self.rows) - len(self._by_prompt)

    @cached_property
    def models(self) -> Mapping[str, ModelRecordings]:
        """What is recorded of each model, by its name."""
        answers: Counter[str] = Counter()
        null: Counter[str] = Counter()
        empty: Counter[str] = Counter()
        for row in self.rows:
            for model, answer in row.answers.items():
                answers[model] += 1
                null[model] += answer.extracted is None
                empty[model] += not answer.text
        return {
            model: ModelRecordings(
                answers=count, null_extractions=null[model], empty_texts=empty[model]
            )
            for model, count in answers.items()
        }


def read_recordings(path: Path) -> Recordings:
    """Read a file of recordings, JSON Lines, as gzip where its name ends in ``.gz``.

    Raises: InvalidRecordings, with the line that cannot be used.
    """
    rows = tuple(_rows(path))
    if not rows:
        raise InvalidRecordings(path, 0, "holds no recording")
    return Recordings(file=path.name, rows=rows)


def _rows(path: Path) -> Iterator[Recording]:
    for number, line in _lines(path):
        try:
            yield Recording.model_validate_json(line)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            reason = f"{where}: {first['msg']}" if where else first["msg"]
            raise InvalidRecordings(path, number, reason) from error


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines that are not blank, with their numbers from 1."""
    number = 0
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield number, line
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        # The line that could not be read is the one after the last that was.
        raise InvalidRecordings(path, number + 1, f"not whole gzip: {error}") from error
    except OSError as error:
        raise InvalidRecordings(path, 0, error.strerror or str(error)) from error


def _key(prompt: str) -> str:
    return prompt.rstrip()


def _fits(prompt: str, pieces: Sequence[str]) -> bool:
    """Whether ``prompt`` is the pieces in order with something between any two of them."""
    first, last = pieces[0], pieces[-1]
    if not (prompt.startswith(first) and prompt.endswith(last)):
        return False
    at = len(first)
    for piece in pieces[1:-1]:
        found = prompt.find(piece, at + 1)
        if found < 0:
            return False
        at = found + len(piece)
    return at < len(prompt) - len(last)
