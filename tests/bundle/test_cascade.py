"""The manifest of a cascade: a bigger bundle inside a bundle, its files checked like every other."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from edgebert.bundle import (
    BundleWriter,
    Cascade,
    CascadeHeadline,
    FileRef,
    dump_manifest,
    open_bundle,
    parse_manifest,
)
from edgebert.errors import IntegrityError, ManifestError
from tests.bundle import samples

HEADLINE = CascadeHeadline(436, "accuracy", 0.89, 0.891, 0.2)


NAMED = FileRef("bigger/manifest.json", 7, "0" * 64)


def cascade(*files: FileRef) -> Cascade:
    evidence, report = samples.file_ref("cascade.json", b"{}"), samples.file_ref("cascade.html", b"<p>")
    return Cascade("bigger", files or (NAMED,), 1.5, 0.9, HEADLINE, evidence, report)


def named(path: str) -> dict[str, Any]:
    return {"path": path, "size": 1, "sha256": "0" * 64}


def manifest_json() -> dict[str, Any]:
    return samples.manifest_json(cascade=cascade())


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """The tiny bundle with itself as the bigger one."""
    inner = {**samples.contents(), "manifest.json": dump_manifest(samples.manifest())}
    with BundleWriter(tmp_path / "cascade.edgebert") as writer:
        for path, data in samples.contents().items():
            writer.write(path, data)
        writer.write("cascade.json", b"{}")
        writer.write("cascade.html", b"<p>")
        files = tuple(writer.write(f"bigger/{path}", data) for path, data in inner.items())
        writer.commit(samples.manifest(cascade=cascade(*files)))
    return tmp_path / "cascade.edgebert"


def test_both_bundles_are_read_as_any_other(bundle: Path) -> None:
    outer, inner = open_bundle(bundle), open_bundle(bundle / "bigger")
    outer.verify_all()
    inner.verify_all()
    assert outer.manifest.cascade is not None and inner.manifest == samples.manifest()
    named = {ref.path: ref.sha256 for ref in outer.manifest.cascade.files}
    assert named["bigger/manifest.json"] == inner.digest
    assert named["bigger/golden.npz"] == hashlib.sha256(samples.contents()["golden.npz"]).hexdigest()


def test_a_file_of_the_bigger_bundle_that_changed_is_found(bundle: Path) -> None:
    path = bundle / "bigger/artifacts/onnx-fp32/model.onnx"
    path.write_bytes(path.read_bytes()[::-1])
    with pytest.raises(IntegrityError, match=r"bigger/artifacts/onnx-fp32/model\.onnx"):
        open_bundle(bundle).verify_all()


def test_a_file_of_the_bigger_bundle_that_is_missing_is_found_at_opening(bundle: Path) -> None:
    (bundle / "bigger/manifest.json").unlink()
    with pytest.raises(IntegrityError, match=r"bigger/manifest\.json.* is missing"):
        open_bundle(bundle)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("bundle", "..", r"cascade\.bundle: is '\.\.'"),
        ("bundle", "a/b", r"cascade\.bundle: is 'a/b'"),
        ("files", [], r"cascade\.files: has 0 items"),
        ("files", [named("bigger/a")], r"cascade\.files: lacks 'bigger/manifest\.json'"),
        ("files", [named("other/manifest.json")], r"cascade\.files\[0\]\.path: is 'other"),
        ("temperature", 0, r"cascade\.temperature: is 0"),
        ("temperature", -1, r"cascade\.temperature: is -1"),
        ("threshold", 1.01, r"cascade\.threshold: is 1\.01"),
        ("threshold", None, r"cascade\.threshold: is null"),
        ("headline", None, r"cascade\.headline: "),
        ("evidence", None, r"cascade\.evidence: "),
        ("rule", 1, r"cascade\.rule: unknown key"),
    ],
)
def test_what_breaks_the_format_is_refused(key: str, value: object, said: str) -> None:
    document = manifest_json()
    document["cascade"][key] = value
    with pytest.raises(ManifestError, match=said):
        parse_manifest(json.dumps(document).encode())


@pytest.mark.parametrize("key", ["texts", "metric", "value", "reference", "escalated"])
def test_each_part_of_the_evidence_must_be_there(key: str) -> None:
    document = manifest_json()
    del document["cascade"]["headline"][key]
    with pytest.raises(ManifestError, match=rf"cascade\.headline\.{key}: missing key"):
        parse_manifest(json.dumps(document).encode())


def test_a_file_of_the_bigger_bundle_cannot_hide_one_of_this() -> None:
    document = manifest_json()
    document["golden"]["path"] = "bigger/Manifest.json"
    with pytest.raises(ManifestError, match=r"cascade\.files\[0\]\.path: 'bigger/manifest\.json' collides"):
        parse_manifest(json.dumps(document).encode())


def test_a_task_without_one_confidence_has_no_cascade() -> None:
    document = manifest_json()
    document["task"]["problem_type"] = "regression"
    with pytest.raises(ManifestError, match="cascade: is given for regression; allowed: null, but for single_label"):
        parse_manifest(json.dumps(document).encode())
