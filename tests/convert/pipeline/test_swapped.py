"""A ruined artifact with a right hash, as somebody makes it who knows the format: the self-test refuses it."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("optimum")
pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")

import edgebert
from edgebert.bundle import BundleWriter, open_bundle
from edgebert.convert.report import Report
from tests.convert import models, ruin
from tests.convert.pipeline.support import EXAMPLES, Harm


def swap(bundle: Path, artifact_id: str, damage: Harm, folder: Path) -> None:
    """Replace an artifact by a ruined one with a right hash, as somebody who knows the format would."""
    old = open_bundle(bundle).manifest
    with BundleWriter(folder / "swapped.edgebert") as writer:
        shutil.copytree(bundle, writer.staging, dirs_exist_ok=True)
        (writer.staging / "manifest.json").unlink()
        target = writer.staging / "artifacts" / artifact_id
        damage(target)
        refs = tuple(writer.ref(f"artifacts/{artifact_id}/{path.name}") for path in sorted(target.iterdir()))
        artifacts = tuple(replace(a, files=refs) if a.id == artifact_id else a for a in old.artifacts)
        writer.commit(replace(old, artifacts=artifacts))


@pytest.mark.parametrize("damage", [ruin.scale_weights, ruin.zero_scales])
@pytest.mark.parametrize("name", models.ALL_ARTIFACTS)
def test_a_ruined_artifact_with_a_right_hash_is_refused_at_load(
    name: str, damage: Harm, good: tuple[Path, Report, Any], tmp_path: Path
) -> None:
    swap(good[0], name, damage, tmp_path)
    path = tmp_path / "swapped.edgebert"
    with pytest.raises(edgebert.BackendError) as caught:  # some backends refuse a scale of zero when they open it
        edgebert.load(path, artifact=name, strict=True)
    assert isinstance(caught.value, edgebert.SelfTestError) or damage is ruin.zero_scales
    with pytest.raises(edgebert.SelectionError, match=f"{name}: "):
        edgebert.load(path, artifact=name)


def test_another_artifact_serves_instead(good: tuple[Path, Report, Any], tmp_path: Path) -> None:
    first = edgebert.load(good[0], strict=True)
    expected = [result["label"] for result in first([text for text, _ in EXAMPLES])]
    chosen = first.artifact
    first.close()
    swap(good[0], chosen, ruin.scale_weights, tmp_path)
    with pytest.warns(edgebert.BackendFallbackWarning, match=rf"{chosen} .*fails its self-test"):
        model = edgebert.load(tmp_path / "swapped.edgebert")
    with model:
        assert model.artifact != chosen
        answers = [result["label"] for result in model([text for text, _ in EXAMPLES])]
    assert np.mean([one == other for one, other in zip(answers, expected, strict=True)]) >= 0.9
