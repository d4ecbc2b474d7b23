"""The command line as a user meets it: a process, its exit code, what it prints where, and what it leaves behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

for package in ("torch", "transformers", "optimum", "onnxscript", "onnxruntime", "rich"):
    pytest.importorskip(package)

from edgebert.bundle import BundleWriter, open_bundle  # noqa: E402
from tests.convert import models, ruin  # noqa: E402

TEXT = "a charming film"


def edgebert(*arguments: object, stdin: str | bytes = b"", **environment: str) -> subprocess.CompletedProcess[str]:
    data = stdin.encode() if isinstance(stdin, str) else stdin
    done = subprocess.run(
        [sys.executable, "-m", "edgebert", *map(str, arguments)],
        input=data, capture_output=True, check=False, env={**os.environ, **environment}, timeout=300,
    )  # fmt: skip
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def refusal(done: subprocess.CompletedProcess[str], code: int = 1) -> str:
    """The one message of a failed command."""
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert "Internal error" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith(("Error:", "Hint:"))]
    assert [line.partition(":")[0] for line in lines] in (["Error"], ["Error", "Hint"])
    return done.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint, a target, calibration texts, an evaluation file, and the bundle made of them."""
    folder = tmp_path_factory.mktemp("cli")
    models.save(models.trained_model(), folder / "checkpoint")
    models.write_target(folder / "board", ["onnx-fp32", "onnx-int8"])
    models.write_texts(folder / "texts.txt", models.opinions(48))
    models.write_eval(folder / "dev.tsv", models.opinions(40, seed=7))
    done = convert(folder, "sst.edgebert", "--eval", folder / "dev.tsv")
    assert done.returncode == 0, done.stderr
    (folder / "convert.out").write_text(done.stdout)
    (folder / "convert.err").write_text(done.stderr)
    return folder


def convert(folder: Path, out: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return edgebert(
        "convert", folder / "checkpoint", "-o", folder / out, "-t", folder / "board",
        "--calibration", folder / "texts.txt", *arguments,
    )  # fmt: skip


def left_behind(folder: Path, name: str) -> list[str]:
    return [path.name for path in folder.iterdir() if name in path.name]


def test_convert_shows_its_stages_and_a_table(folder: Path) -> None:
    out, err = (folder / "convert.out").read_text(), (folder / "convert.err").read_text()
    for stage in ("reading the checkpoint", "onnx-fp32: exporting", "onnx-int8: measuring", "onnx-int8: passed"):
        assert stage in err
    assert "onnx-int8" in out
    assert "accuracy" in out
    assert "evidence.html" in out
    assert "Warning" not in err


def test_convert_json_is_one_document(folder: Path) -> None:
    done = convert(folder, "json.edgebert", "--json", "--quiet")
    assert done.returncode == 0
    assert done.stderr == ""
    report = json.loads(done.stdout)
    assert report["format"] == "edgebert-evidence/1"
    assert [artifact["status"] for artifact in report["artifacts"]] == ["passed", "passed"]


def test_the_gate_refuses_with_the_table_and_exit_code_3(folder: Path) -> None:
    done = convert(folder, "gate.edgebert", "--max-logit-difference", "1e-9")
    assert "2 of 2 artifacts did not pass" in refusal(done, 3)
    assert "refused" in done.stdout
    assert "max |diff|" in done.stdout
    assert left_behind(folder, "gate.edgebert") == []


def test_convert_refuses_an_output_that_exists(folder: Path) -> None:
    before = open_bundle(folder / "sst.edgebert").digest
    assert "exists already" in refusal(convert(folder, "sst.edgebert"))
    assert open_bundle(folder / "sst.edgebert").digest == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("convert", "nowhere", "-o", "x.edgebert", "-t", "x86-cpu"), "nowhere"),
        (("convert", "checkpoint", "-o", "x.edgebert", "-t", "x86-cup"), "did you mean"),
        (("convert", "checkpoint", "-o", "missing/x.edgebert", "-t", "board/"), "does not exist"),
        (("convert", "checkpoint", "-o", "x.edgebert", "-t", "./board", "--eval", "none.tsv"), "none.tsv"),
        (("predict", "nowhere.edgebert", "x"), "nowhere.edgebert"),
        (("predict", "checkpoint", "x"), "looks like a Hugging Face checkpoint"),
        (("predict", "sst.edgebert", "--artifact", "onnx-int4", "x"), "onnx-int4"),
        (("predict", "sst.edgebert", "--backend", "openvino", "x"), "openvino"),
        (("predict", "sst.edgebert", "--truncation", "error", "good " * 200), "limit"),
        (("inspect", "board"), "not a bundle"),
        (("verify", "board"), "not a bundle"),
        (("targets", "arm64"), "arm64"),
        (("bench", "sst.edgebert", "--artifact", "tflite-int8"), "tflite-int8"),
    ],
)
def test_refusals(folder: Path, arguments: tuple[str, ...], message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    assert message in refusal(edgebert(*arguments))
    assert left_behind(folder, "x.edgebert") == []


def test_wrong_usage_has_exit_code_2(folder: Path) -> None:
    assert edgebert("convert", "x").returncode == 2
    assert edgebert("no-such-verb").returncode == 2
    assert edgebert("predict", folder / "sst.edgebert", "x", "--top-k", "2", "--all").returncode == 2


def test_predict_arguments_and_standard_input_alike(folder: Path) -> None:
    bundle = folder / "sst.edgebert"
    from_arguments = edgebert("predict", bundle, TEXT, "dull")
    assert from_arguments.returncode == 0
    lines = from_arguments.stdout.splitlines()
    assert len(lines) == 2
    label, score = lines[0].split("\t")
    assert label in models.LABELS
    assert 0 < float(score) <= 1
    assert edgebert("predict", bundle, stdin=f"{TEXT}\ndull\n").stdout == from_arguments.stdout
    (folder / "in.txt").write_text(f"{TEXT}\r\ndull")
    assert edgebert("predict", bundle, "--file", folder / "in.txt").stdout == from_arguments.stdout


def test_predict_jsonl_and_ranked_labels(folder: Path) -> None:
    (folder / "in.jsonl").write_text(json.dumps(TEXT) + "\n" + json.dumps({"text": "dull", "text_pair": TEXT}) + "\n")
    done = edgebert("predict", folder / "sst.edgebert", "-f", folder / "in.jsonl", "--format", "jsonl", "--all")
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [sorted(entry["label"] for entry in answer) for answer in answers] == [sorted(models.LABELS)] * 2
    top = edgebert("predict", folder / "sst.edgebert", "--top-k", "2", TEXT).stdout.split("\t")
    assert len(top) == 4


def test_predict_odd_texts(folder: Path) -> None:
    texts = ["", "  ", "\u202eright to left\u202c שלום", "🎬👍🏽", "a\0b", "good " * 20_000]
    done = edgebert("predict", folder / "sst.edgebert", stdin="\n".join(texts) + "\n")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == len(texts)
    raw = subprocess.run(  # an argument that is not UTF-8 arrives as lone surrogates
        [sys.executable, "-m", "edgebert", "predict", str(folder / "sst.edgebert"), b"good \xff"],
        capture_output=True, check=False,
    )  # fmt: skip
    assert raw.returncode == 0, raw.stderr


def test_predict_tells_the_line_that_cannot_be_read(folder: Path) -> None:
    done = edgebert("predict", folder / "sst.edgebert", stdin=b"good\nb\xffd\n")
    assert "line 2" in refusal(done)
    assert len(done.stdout.splitlines()) == 1  # what came before is answered
    (folder / "bad.jsonl").write_text('"good"\n{"text": 7}\n')
    assert "line 2" in refusal(edgebert("predict", folder / "sst.edgebert", "-f", folder / "bad.jsonl"))


def test_a_reader_that_goes_away_is_no_error(folder: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "edgebert", "predict", str(folder / "sst.edgebert")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    try:
        process.stdin.write(b"good\n" * 50_000)
        process.stdin.close()
    except BrokenPipeError:
        pass
    error = process.stderr.read().decode()
    process.wait()
    assert "Error" not in error
    assert "Traceback" not in error


def test_inspect_and_targets(folder: Path) -> None:
    shown = edgebert("inspect", folder / "sst.edgebert").stdout
    assert "onnx-int8" in shown
    assert "any to 64" in shown
    data = json.loads(edgebert("inspect", folder / "sst.edgebert", "--json").stdout)
    assert data["digest"] == open_bundle(folder / "sst.edgebert").digest
    assert "arm64-linux" in edgebert("targets").stdout
    assert "buckets: 16" in edgebert("targets", "arm64-linux").stdout
    assert {target["name"] for target in json.loads(edgebert("targets", "--json").stdout)} >= {"x86-cpu", "android"}


def test_doctor(folder: Path) -> None:
    done = edgebert("doctor")
    assert done.returncode == 0
    assert "onnx: onnxruntime" in done.stdout
    assert json.loads(edgebert("doctor", "--json").stdout)["usable"] is True


def test_verify(folder: Path, tmp_path: Path) -> None:
    done = edgebert("verify", folder / "sst.edgebert")
    assert done.returncode == 0
    assert done.stdout.count("passed") == 2

    damaged = tmp_path / "damaged.edgebert"
    shutil.copytree(folder / "sst.edgebert", damaged)
    data = bytearray((damaged / "artifacts/onnx-int8/model.onnx.data").read_bytes())
    data[100] ^= 1
    (damaged / "artifacts/onnx-int8/model.onnx.data").write_bytes(data)
    assert "model.onnx.data" in refusal(edgebert("verify", damaged))

    ruined = tmp_path / "ruined.edgebert"
    old = open_bundle(folder / "sst.edgebert").manifest
    with BundleWriter(ruined) as writer:
        shutil.copytree(folder / "sst.edgebert", writer.staging, dirs_exist_ok=True)
        (writer.staging / "manifest.json").unlink()
        ruin.scale_weights(writer.staging / "artifacts/onnx-int8")
        paths = sorted((writer.staging / "artifacts/onnx-int8").iterdir())
        refs = tuple(writer.ref(f"artifacts/onnx-int8/{path.name}") for path in paths)
        artifacts = tuple(replace(a, files=refs) if a.id == "onnx-int8" else a for a in old.artifacts)
        writer.commit(replace(old, artifacts=artifacts))
    done = edgebert("verify", ruined)
    assert done.returncode == 4
    assert "onnx-int8: failed" in done.stdout
    assert "onnx-fp32: passed" in done.stdout
    warned = edgebert("predict", ruined, TEXT)
    assert warned.returncode == 0
    assert "Warning" in warned.stderr or "onnx-fp32" in edgebert("predict", ruined, TEXT, "--explain").stderr


def test_bench(folder: Path, tmp_path: Path) -> None:
    done = edgebert(
        "bench", folder / "sst.edgebert", "--length", "16", "--repetitions", "2", "--rounds", "1", "--texts",
        folder / "texts.txt", "--out", tmp_path / "bench.json", "--quiet",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "onnx-int8" in done.stdout
    assert json.loads((tmp_path / "bench.json").read_bytes())


@pytest.mark.parametrize("stage", ["loading the conversion", "reading", "building", "exporting", "measuring"])
def test_ctrl_c_leaves_nothing_behind(folder: Path, stage: str) -> None:
    process = subprocess.Popen(
        [
            sys.executable, "-u", "-m", "edgebert", "convert", str(folder / "checkpoint"), "-o",
            str(folder / "interrupted.edgebert"), "-t", str(folder / "board"),
        ],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    seen = ""
    while stage not in seen:
        line = process.stderr.readline()
        assert line, seen
        seen += line
    time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    rest = process.stderr.read()
    process.wait(60)
    assert process.returncode == 130, rest
    assert "Interrupted" in rest
    assert "Traceback" not in rest
    assert left_behind(folder, "interrupted") == []
