"""The classifier as it starts, with the real model; that takes seconds to load, so it is once."""

import asyncio
from pathlib import Path

import numpy as np
import pytest

from pointsman.classifier.adapters import MiniLm
from pointsman.classifier.app import build
from pointsman.classifier.handler import classify
from pointsman.classifier.settings import Settings
from pointsman.contracts.errors import Retryable
from pointsman.contracts.messages import Classified
from pointsman.routes.registry import InvalidRegistry
from pointsman.routes.source import InvalidRoute
from pointsman.testing.bus import ScriptedBus

from .doubles import REGISTRY, ROUTE, classify_command

# The talk's prompts and others that are no prototypes: words, intent, needs tools.
PROMPTS = (
    ("Change my account password", "simple", False),
    ("Audit all cluster security logs", "complex", True),
    ("What is the capital of France?", "simple", False),
    ("List three benefits of tea, explain each, and translate the list to French", "simple", False),
    ("Can you recommend a good book about gardening?", "simple", False),
    ("Freeze my bank account", "simple", False),
    ("List EKS clusters", "simple", True),
    ("Which GuardDuty detectors are enabled?", "simple", True),
    ("Find every IAM role that can read the bucket and tell which are unused", "complex", True),
    ("Prove that the square root of 2 is irrational", "complex", False),
    ("Design a distributed job queue with exactly-once semantics", "complex", False),
    ("Compare three database engines for our workload and recommend one", "complex", False),
)  # fmt: skip


def a_bus() -> ScriptedBus:
    return ScriptedBus(lambda _: ())


def settings(folder: Path, *, route: str = ROUTE, registry: str = REGISTRY) -> Settings:
    (folder / "route.yaml").write_text(route, encoding="utf-8")
    (folder / "models.yaml").write_text(registry, encoding="utf-8")
    return Settings(
        route_path=folder / "route.yaml",
        registry_path=folder / "models.yaml",
        state_dir=folder / "state",
    )


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Classified]:
    """What a started classifier says of every prompt."""
    service = build(settings(tmp_path_factory.mktemp("classifier")))

    async def classified() -> dict[str, Classified]:
        async with service.resources(a_bus()) as deps:
            said = {
                text: await classify(classify_command(text), deps=deps) for text, _, _ in PROMPTS
            }
            assert service.problems is not None
            assert service.problems(deps) == {}
            return said

    return asyncio.run(classified())


@pytest.mark.parametrize(("text", "intent", "needs_tools"), PROMPTS)
def test_a_prompt_is_read_as_a_person_would(
    facts: dict[str, Classified], text: str, intent: str, needs_tools: bool
) -> None:
    fact = facts[text]
    assert fact.signals.intent == intent
    assert fact.decision.model == {"simple": "small", "complex": "large"}[intent]
    assert fact.decision.use_tools is needs_tools


def test_vectors_are_normalised_and_near_where_texts_are(facts: dict[str, Classified]) -> None:
    vectors = {text: np.frombuffer(fact.vector, dtype="<f4") for text, fact in facts.items()}
    assert {vector.shape for vector in vectors.values()} == {(384,)}
    assert [float(v @ v) for v in vectors.values()] == pytest.approx([1] * len(vectors), abs=1e-5)
    clusters = vectors["List EKS clusters"]
    near = float(clusters @ vectors["Audit all cluster security logs"])
    assert near > float(clusters @ vectors["What is the capital of France?"])


def test_a_route_with_an_unknown_model_stops_the_start(tmp_path: Path) -> None:
    bad = settings(tmp_path, route=ROUTE.replace("llama-3-8b", "nobody"))
    with pytest.raises(InvalidRoute, match=r"route\.yaml.*targets\[0\]\.model.*'nobody'"):
        build(bad)


def test_a_missing_registry_stops_the_start(tmp_path: Path) -> None:
    bad = settings(tmp_path).model_copy(update={"registry_path": tmp_path / "gone.yaml"})
    with pytest.raises(InvalidRegistry, match=r"gone\.yaml"):
        build(bad)


async def test_a_model_that_does_not_load_is_a_problem_and_retryable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail() -> None:
        raise ImportError("no torch here")

    monkeypatch.setattr("pointsman.classifier.adapters._load_minilm", fail)
    embedder = MiniLm(cached_vectors=1)
    with pytest.raises(Retryable):
        await embedder.embed("hello")
    assert embedder.problem == "the model did not load: ImportError"
    embedder.close()


class CountingModel:
    """Stands where sentence-transformers' model stands; counts what it encodes."""

    def __init__(self) -> None:
        self.encoded: list[str] = []

    def encode(self, texts: list[str], **_: object) -> np.ndarray:
        self.encoded += texts
        return np.ones((len(texts), 384), dtype=np.float32)


async def test_the_last_texts_are_embedded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    model = CountingModel()
    monkeypatch.setattr("pointsman.classifier.adapters._load_minilm", lambda: model)
    embedder = MiniLm(cached_vectors=2)
    for text in ("a", "b", "a", "c", "a", "b"):
        await embedder.embed(text)
    assert model.encoded == ["a", "b", "c", "b"]
    embedder.close()
