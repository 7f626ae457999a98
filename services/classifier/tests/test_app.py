"""The classifier as it starts, with the real model."""

import asyncio
from pathlib import Path

import numpy as np
import pytest

from pointsman.classifier.adapters import MiniLm
from pointsman.classifier.app import build
from pointsman.classifier.domain.wording import embedded_part
from pointsman.classifier.handler import classify
from pointsman.classifier.settings import Settings
from pointsman.contracts.errors import Retryable
from pointsman.contracts.messages import Classified
from pointsman.embedding import open_encoder
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
        # The one of set-up; made there once where it is absent.
        embedder_dir=Path(".state/embedder"),
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


def test_the_embedder_lies_in_the_state_folder_unless_told_otherwise(tmp_path: Path) -> None:
    assert Settings(state_dir=tmp_path).embedder_dir == tmp_path / "embedder"
    assert Settings(state_dir=tmp_path, embedder_dir=Path("x")).embedder_dir == Path("x")


async def test_a_model_that_cannot_be_made_is_a_retryable_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing(_: str) -> None: ...

    monkeypatch.setattr("pointsman.embedding.artefact.find_spec", nothing)
    async with open_encoder(tmp_path / "embedder", cached_vectors=1) as encoder:
        embedder = MiniLm(encoder)
        with pytest.raises(Retryable):
            await embedder.embed("hello")
        assert embedder.problem == "the model did not load: ModelAbsent"


async def test_of_a_long_text_both_ends_are_embedded() -> None:
    async with open_encoder(Path(".state/embedder"), cached_vectors=4) as encoder:
        embedder = MiniLm(encoder)
        long = f"Audit the logs. {'filler ' * 1_000} Then find the root cause."
        assert await embedder.embed(long) is await encoder.embed(embedded_part(long))
