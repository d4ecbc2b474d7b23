"""``doctor``, ``targets`` and ``bench`` where something is missing or wrong."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from edgebert.devices import doctor
from edgebert.devices.gpu import GpuReport, Jetson
from tests.cli.command import Result

Edgebert = Callable[..., Result]


def test_doctor_without_a_backend(edgebert: Edgebert, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = doctor.diagnose()
    without = [dataclasses.replace(runtime, version=None, problem="not installed") for runtime in whole.runtimes]
    monkeypatch.setattr(doctor, "diagnose", lambda: dataclasses.replace(whole, runtimes=tuple(without)))
    result = edgebert("doctor")
    assert (result.code, result.err) == (1, "")
    assert "onnx: onnxruntime not usable: not installed\n      pip install" in result.out
    assert json.loads(edgebert("doctor", "--json").out)["usable"] is False


def test_doctor_with_a_backend(edgebert: Edgebert) -> None:
    result = edgebert("doctor")
    assert result.code == 0
    assert "onnx: onnxruntime" in result.out
    assert json.loads(edgebert("doctor", "--json").out)["usable"] is True


def test_doctor_with_a_driver_that_does_not_work(edgebert: Edgebert, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = doctor.diagnose()
    jetson = Jetson("NVIDIA Jetson Orin Nano Developer Kit", "36.4.3", "6")
    broken = GpuReport(True, "the NVIDIA driver does not work: cuInit says 999", "", "540.4.0", (), jetson)
    monkeypatch.setattr(doctor, "diagnose", lambda: dataclasses.replace(whole, gpus=broken))
    assert (
        "  Jetson: NVIDIA Jetson Orin Nano Developer Kit, L4T 36.4.3 (JetPack 6)\n"
        "  NVIDIA driver: 540.4.0, CUDA unknown\n"
        "      no GPU: the NVIDIA driver does not work: cuInit says 999\n"
    ) in edgebert("doctor").out
    assert json.loads(edgebert("doctor", "--json").out)["gpus"]["jetson"]["l4t"] == "36.4.3"
    monkeypatch.setattr(doctor, "diagnose", lambda: dataclasses.replace(whole, gpus=None))
    assert json.loads(edgebert("doctor", "--json").out)["gpus"] is None


def test_targets(edgebert: Edgebert, tmp_path: Path) -> None:
    assert "did you mean 'intel-cpu'" in edgebert("targets", "intel-gpu").refusal()
    (tmp_path / "board").mkdir()
    assert "board/target.toml does not exist" in edgebert("targets", "./board").refusal()
    (tmp_path / "board/target.toml").write_text('name = "board"\n')
    assert "the key is missing" in edgebert("targets", "./board").refusal()
    assert json.loads(edgebert("targets", "intel-cpu", "--json").out)["name"] == "intel-cpu"


def test_bench_tells_the_same_in_its_file(edgebert: Edgebert, bundle: Path, tmp_path: Path) -> None:
    arguments = ["bench", bundle, "--artifact", "onnx-fp32", "--length", "8", "--repetitions", "2", "--rounds", "1"]
    result = edgebert(*arguments, "--json", "--out", "result.json")
    assert result.code == 0
    assert result.err.startswith("round 1 of 1: onnx-fp32\n")
    assert json.loads(result.out) == json.loads((tmp_path / "result.json").read_text())


def test_bench_refuses_before_it_measures(edgebert: Edgebert, bundle: Path, tmp_path: Path) -> None:
    before = sorted(tmp_path.iterdir())
    for options, reason in (
        (["--artifact", "onnx-int8"], "The bundle has no artifact 'onnx-int8'."),
        (["--length", "1000"], "A length of 1000 tokens is above the limit of 64"),
        (["--texts", "absent.txt"], "'absent.txt' cannot be read: No such file or directory."),
        (["--out", "absent/result.json"], "Cannot write 'absent/result.json': No such file or directory."),
        (["--out", str(bundle)], "Is a directory.\nHint: A folder has this name"),
    ):
        result = edgebert("bench", bundle, *options)
        assert reason in result.refusal()
        assert result.out == ""
    assert "--length" in edgebert("bench", bundle, "--length", "1").usage_error()
    assert sorted(tmp_path.iterdir()) == before
