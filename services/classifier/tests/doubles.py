"""Doubles of the classifier's ports, and requests."""

import asyncio
import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from pointsman.classifier.adapters import read_prototype_groups
from pointsman.classifier.domain.ports import DIMENSIONS, Array
from pointsman.classifier.domain.prototypes import prototypes
from pointsman.classifier.domain.reading import Known
from pointsman.contracts.chat import ChatRequest
from pointsman.contracts.messages import Classify
from pointsman.contracts.parts import RequestContext
from pointsman.routes.registry import ModelRegistry
from pointsman.routes.source import RouteRevision, load_route

ROUTE = """
apiVersion: ai.gateway/v1
kind: SemanticRoute
metadata: {name: test}
spec:
  signals: [intent]
  targets:
  - {model: llama-3-8b, condition: intent == simple}
  - {model: reasoning-frontier, condition: intent == complex}
  evaluator: {minScore: 8}
"""
REGISTRY = """
models:
- id: small
  aliases: [llama-3-8b]
  provider: test
  base_url: http://127.0.0.1:9/v1
  context_window: 8192
  token_cost: {input: 0.000001, output: 0.000002}
- id: large
  aliases: [reasoning-frontier]
  provider: test
  base_url: http://127.0.0.1:9/v1
  context_window: 8192
  token_cost: {input: 0.00001, output: 0.00003}
"""


class WordHashEmbedder:
    """A vector from the words' hashes: texts that share words are near. Counts its calls."""

    model = "word-hash"
    problem = None

    def __init__(self, *, identity: str = "word-hash-1") -> None:
        self.identity = identity
        self.embedded: list[str] = []

    async def embed(self, text: str) -> Array:
        return (await self.embed_all([text]))[0]

    async def embed_all(self, texts: Sequence[str]) -> Array:
        await asyncio.sleep(0)
        self.embedded += texts
        return np.stack([_vector(text) for text in texts])


def _vector(text: str) -> Array:
    vector = np.zeros(DIMENSIONS, dtype=np.float32)
    for word in text.lower().split() or [""]:
        vector[int.from_bytes(hashlib.sha256(word.encode()).digest()[:4]) % DIMENSIONS] += 1
    return (vector / np.linalg.norm(vector)).astype(np.float32)


class FixedRoute:
    """The route in force, set by the test."""

    problem = None

    def __init__(self, text: str = ROUTE) -> None:
        self._current = load_route(text)

    @property
    def current(self) -> RouteRevision:
        return self._current


def registry() -> ModelRegistry:
    import yaml

    return ModelRegistry.model_validate(yaml.safe_load(REGISTRY))


def known() -> Known:
    """The shipped prototypes, in the double's vectors, and no learned scorer."""
    groups = read_prototype_groups()
    vectors = np.stack([_vector(t) for group in groups for t in group.texts])
    return Known(prototypes=prototypes(groups, vectors))


def classify_command(*user_turns: str, suspicious: bool = False, **request: Any) -> Classify:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    context = RequestContext(
        request_id="00000000-0000-7000-8000-000000000001",
        namespace="test",
        ingress="test",
        accepted_at=now,
        deadline=now + timedelta(minutes=1),
    )
    messages = [{"role": "user", "content": turn} for turn in user_turns]
    body = {"model": "auto", "messages": messages, **request}
    return Classify(
        context=context, request=ChatRequest.model_validate(body), is_suspicious=suspicious
    )
