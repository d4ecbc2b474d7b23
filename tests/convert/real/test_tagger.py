"""The real tagger on 200 sentences: every artifact's answer for every token, against ``transformers`` itself."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

for _library in ("torch", "transformers", "optimum", "onnx", "onnxscript", "onnxruntime", "openvino", "nncf"):
    pytest.importorskip(_library)
for _library in ("litert_torch", "ai_edge_litert"):
    pytest.importorskip(_library)

from edgebert.bundle import open_bundle  # noqa: E402
from tests.convert.real import tagger  # noqa: E402
from tests.convert.real.tagger import INT8, MIN_INT8_AGREEMENT, ROOT, SCORES, Answers  # noqa: E402

SHARED = Path(os.environ.get("EDGEBERT_SHARED", ROOT / ".." / "shared")).absolute()

# Converts 65 million parameters seven times and runs 200 texts eight times: minutes, not seconds.
pytestmark = pytest.mark.full


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tagger.find_checkpoint(SHARED, tmp_path_factory.mktemp("tagger") / "checkpoint")


@pytest.fixture(scope="module")
def bundle(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tagger.convert(checkpoint, tmp_path_factory.mktemp("bundle") / "tagger.edgebert")


@pytest.fixture(scope="module")
def texts() -> list[str]:
    return tagger.sentences()


@pytest.fixture(scope="module")
def expected(checkpoint: Path, texts: list[str]) -> Answers:
    return tagger.expected_answers(checkpoint, texts)


@pytest.fixture(scope="module")
def answers(bundle: Path, texts: list[str]) -> dict[str, Answers]:
    return {artifact: tagger.artifact_answers(bundle, artifact, texts) for artifact in (*SCORES, *INT8)}


def test_the_sentences_are_200_different_ones(texts: list[str]) -> None:
    assert len(set(texts)) == 200
    assert all(text.strip() for text in texts)


def test_the_bundle_holds_all_seven(bundle: Path) -> None:
    opened = open_bundle(bundle)
    opened.verify(opened.manifest.files)
    assert {artifact.id for artifact in opened.manifest.artifacts} == {*SCORES, *INT8}
    assert len(opened.manifest.task.labels) == 213
    evidence = json.loads((bundle / "evidence.json").read_bytes())
    assert {outcome["status"] for outcome in evidence["artifacts"]} == {"passed"}


@pytest.mark.parametrize("artifact", SCORES)
def test_float_artifacts_answer_as_transformers(artifact: str, answers: dict[str, Answers], expected: Answers) -> None:
    agreement = tagger.compare(answers[artifact], expected)
    assert not tagger.disagreements(answers[artifact], expected)
    assert agreement.places_equal and agreement.edits_equal
    assert agreement.max_score_diff <= SCORES[artifact]


@pytest.mark.parametrize("artifact", INT8)
def test_int8_artifacts_agree_on_99_percent_of_tokens(
    artifact: str, answers: dict[str, Answers], expected: Answers
) -> None:
    agreement = tagger.compare(answers[artifact], expected)
    assert agreement.places_equal
    assert agreement.share >= MIN_INT8_AGREEMENT, "\n".join(tagger.disagreements(answers[artifact], expected))


@pytest.mark.parametrize("artifact", (*SCORES, *INT8))
def test_their_going_home_needs_theyre(
    artifact: str, answers: dict[str, Answers], expected: Answers, texts: list[str]
) -> None:
    place = texts.index("Their going home.")
    for given in (expected, answers[artifact]):
        (edit,) = given.edits[place]
        assert edit["entity_group"] == "$REPLACE_They're"
        assert (edit["word"], edit["start"], edit["end"]) == ("Their", 0, 5)
