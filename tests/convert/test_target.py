from __future__ import annotations

import copy
import json
import math
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgebert.convert.target import Target, list_targets, load_target
from edgebert.devices.machine import read_machine
from edgebert.errors import TargetError

from ..devices.trees import recording, write_tree

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[2]
NAMES = ["android", "arm64-linux", "intel-cpu", "jetson-orin", "jetson-thor", "x86-cpu"]

BOARD: dict[str, Any] = {
    "name": "my-board",
    "title": "My board",
    "device": {"architectures": ["aarch64"], "vendor": "ARM", "isa": ["asimd", "asimddp"], "memory_mb": 900},
    "artifact": [{"backend": "tflite", "precision": "int8"}, {"backend": "onnx", "precision": "fp32"}],
    "shapes": {"buckets": [16, 64, 128]},
    "runtime": {"threads": 4, "install": ["sudo apt-get install python3-pip", "pip install edgebert"]},
    "gate": {
        "fp32": {"min_label_agreement": 1.0, "max_metric_drop": 0.0, "max_logit_difference": 1e-4},
        "int8": {"min_label_agreement": 0.975, "max_metric_drop": 0.01},
    },
}


def to_toml(value: Any) -> str:
    """A TOML value; tables are written inline, which TOML reads the same."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{to_toml(key)} = {to_toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(to_toml, value)) + "]"
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return json.dumps(value)


def document(tree: dict[str, Any]) -> str:
    return "".join(f"{to_toml(key)} = {to_toml(value)}\n" for key, value in tree.items())


def to_tree(target: Target) -> dict[str, Any]:
    """The file that means ``target``, defaults left out."""
    device: dict[str, Any] = {"architectures": list(target.device.architectures), "memory_mb": target.device.memory_mb}
    device |= {"isa": list(target.device.isa)} if target.device.isa else {}
    device |= {"vendor": target.device.vendor} if target.device.vendor else {}
    device |= {"accelerator": target.device.accelerator} if target.device.accelerator else {}
    gates = {}
    for precision, limits in target.gates.items():
        gates[precision] = {
            "min_label_agreement": limits.min_label_agreement,
            "max_metric_drop": limits.max_metric_drop,
        }
        if limits.max_logit_difference is not None:
            gates[precision]["max_logit_difference"] = limits.max_logit_difference
    tree: dict[str, Any] = {
        "name": target.name,
        "title": target.title,
        "device": device,
        "artifact": [{"backend": item.backend, "precision": item.precision} for item in target.artifacts],
        "runtime": {"install": list(target.install)},
        "gate": gates,
    }
    tree["runtime"] |= {"threads": target.threads} if target.threads else {}
    tree |= {"tensorrt": {"workspace_mb": target.workspace_mb}} if target.workspace_mb else {}
    return tree | ({"shapes": {"buckets": list(target.buckets)}} if target.buckets else {})


def normal(tree: dict[str, Any]) -> dict[str, Any]:
    """The tree with the two spellings that mean the same brought to one."""
    tree = copy.deepcopy(tree)
    if isinstance(tree["runtime"]["install"], str):
        tree["runtime"]["install"] = [tree["runtime"]["install"]]
    if tree["device"].get("isa") == []:
        del tree["device"]["isa"]
    return tree


def load(tree: dict[str, Any] | str | bytes, folder: Path) -> Target:
    data = tree if isinstance(tree, bytes) else (tree if isinstance(tree, str) else document(tree)).encode()
    (folder / "target.toml").write_bytes(data)
    return load_target(f"{folder}/")


def refusal(tree: dict[str, Any] | str | bytes, folder: Path) -> str:
    with pytest.raises(TargetError) as caught:
        load(tree, folder)
    assert str(folder) in caught.value.message
    assert caught.value.hint
    return str(caught.value)


def changed(path: str, value: Any) -> dict[str, Any]:
    """BOARD with the value at ``a.b.0.c`` replaced; ``...`` removes it."""
    tree = copy.deepcopy(BOARD)
    *parents, last = path.split(".")
    place: Any = tree
    for part in parents:
        place = place[int(part)] if isinstance(place, list) else place[part]
    key: Any = int(last) if isinstance(place, list) else last
    if value is ...:
        del place[key]
    else:
        place[key] = value
    return tree


# The installed targets


def test_the_installed_targets_are_these():
    assert [target.name for target in list_targets()] == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_target_is_found_by_name_by_folder_and_by_file(name, monkeypatch):
    monkeypatch.chdir(ROOT)
    target = load_target(name)
    assert target.name == name
    assert load_target(f"./targets/{name}/") == target
    assert load_target(f"targets/{name}") == target
    assert load_target(str(ROOT / "targets" / name / "target.toml")) == target


@pytest.mark.parametrize("name", NAMES)
def test_a_target_loses_nothing_of_its_file(name):
    tree = tomllib.loads((ROOT / "targets" / name / "target.toml").read_text())
    assert to_tree(load_target(name)) == normal(tree)


@pytest.mark.parametrize("name", NAMES)
def test_a_target_has_a_readme_that_says_what_was_not_verified(name):
    text = (ROOT / "targets" / name / "README.md").read_text()
    assert text.startswith(f"# {name}\n")
    assert "## What was not" in text
    for line in load_target(name).install:
        assert line in text


def test_the_three_first_targets_build_every_format():
    built = {item.id for name in ("x86-cpu", "intel-cpu", "arm64-linux") for item in load_target(name).artifacts}
    assert built == {
        "onnx-fp32",
        "onnx-int8",
        "openvino-fp16",
        "openvino-int8",
        "tflite-fp32",
        "tflite-fp16",
        "tflite-int8",
    }


@pytest.mark.parametrize("name", NAMES)
def test_the_gates_are_those_that_the_project_promises(name):
    target = load_target(name)
    # TensorRT computes in float16; OpenVINO and TFLite keep their weights in it, and compute in float32.
    half = 1e-2 if any(spec.id == "tensorrt-fp16" for spec in target.artifacts) else 2e-3
    for precision, limits in target.gates.items():
        promised = {"fp32": (1.0, 0.0, 1e-4), "fp16": (1.0, 0.0, half), "int8": (0.975, 0.01, None)}[precision]
        assert (limits.min_label_agreement, limits.max_metric_drop, limits.max_logit_difference) == promised


@pytest.mark.parametrize(
    ("machine", "architecture", "fitting"),
    [
        ("raspberry-pi-4", "aarch64", {"android", "arm64-linux"}),
        ("raspberry-pi-5", "aarch64", {"android", "arm64-linux"}),
        ("jetson-orin-nano", "aarch64", {"android", "arm64-linux", "jetson-orin"}),
        ("intel-n100", "x86_64", {"intel-cpu", "x86-cpu"}),
        ("amd-athlon-3000g", "x86_64", {"x86-cpu"}),
    ],
)
def test_the_targets_mean_the_machines_that_they_name(tmp_path, machine, architecture, fitting):
    here = read_machine(write_tree(tmp_path, recording(machine)), architecture=architecture)
    assert fitting == {
        target.name
        for target in list_targets()
        if here.architecture in target.device.architectures
        and here.isa.issuperset(target.device.isa)
        and target.device.vendor in (None, here.vendor)
        and here.memory_bytes >= target.device.memory_mb * 10**6
        and target.device.accelerator in (None, "cuda" if "jetson" in machine else None)
    }


# A user's own target


def test_a_users_board(tmp_path):
    board = load(BOARD, tmp_path)
    assert [item.id for item in board.artifacts] == ["tflite-int8", "onnx-fp32"]
    assert (board.buckets, board.threads) == ((16, 64, 128), 4)
    assert board.install == ("sudo apt-get install python3-pip", "pip install edgebert")
    assert to_tree(board) == BOARD


def test_one_install_line_needs_no_list(tmp_path):
    assert load(changed("runtime.install", "pip install edgebert"), tmp_path).install == ("pip install edgebert",)


def test_what_may_be_left_out(tmp_path):
    tree = copy.deepcopy(BOARD)
    tree["artifact"] = [{"backend": "onnx", "precision": "fp32"}]
    tree["device"] = {"architectures": ["x86_64", "aarch64"], "memory_mb": 1}
    tree["runtime"] = {"install": "pip install edgebert"}
    del tree["shapes"], tree["gate"]["int8"]
    board = load(tree, tmp_path)
    assert (board.device.isa, board.device.vendor, board.device.accelerator) == ((), None, None)
    assert (board.buckets, board.threads) == ((), None)


@pytest.mark.parametrize(
    ("path", "value", "parts"),
    [
        ("name", "My Board", ["name: is not a target's name", "lower-case"]),
        ("title", ..., ["title: the key is missing"]),
        ("title", "two\nlines", ["title: is 'two\\nlines'", "printable"]),
        ("colour", "red", ["colour: there is no such key", "name, title, device"]),
        ("artefact", [], ["artefact: there is no such key (did you mean 'artifact'?)"]),
        ("device", "pi", ["device: is 'pi'", "a table with the keys architectures"]),
        ("device.architectures", ["arm64"], ["device.architectures[0]: 'arm64' is not an architecture", "aarch64"]),
        ("device.architectures", [], ["device.architectures: is empty"]),
        ("device.architectures", ["aarch64", "aarch64"], ["device.architectures[1]", "twice"]),
        ("device.isa.1", "asimdd", ["device.isa[1]: 'asimdd'", "did you mean 'asimddp'?"]),
        ("device.isa.1", "avx2", ["device.isa[1]: 'avx2' is not an ISA feature known on aarch64"]),
        ("device.vendor", "GenuineIntel", ["device.vendor: 'GenuineIntel' is not a CPU vendor on aarch64", "ARM"]),
        ("device.memory_mb", 0, ["device.memory_mb: is 0", "an integer from 1"]),
        ("device.memory_mb", True, ["device.memory_mb: is true"]),
        ("device.memory_mb", 900.0, ["device.memory_mb: is 900.0"]),
        ("device.accelerator", "npu", ["device.accelerator: 'npu' is not an accelerator", "cuda"]),
        ("artifact", [], ["artifact: is empty"]),
        ("artifact", {"backend": "onnx"}, ["artifact: is a table", "[[artifact]]"]),
        ("artifact.0.backend", "coreml", ["artifact[0].backend: 'coreml' is not", "onnx, openvino, tflite, tensorrt"]),
        ("artifact.0.precision", "int4", ["artifact[0].precision: 'int4' is not", "fp32, fp16, int8"]),
        ("artifact.1.precision", "fp16", ["artifact[1].precision: 'fp16' is not a precision that is built for onnx"]),
        ("artifact.1", {"backend": "tflite", "precision": "int8"}, ["artifact[1]: tflite-int8 stands there twice"]),
        ("shapes", ..., ["shapes.buckets: the key is missing, and tflite-int8 needs it"]),
        ("shapes.buckets", [64, 16], ["shapes.buckets[1]: 16 comes after 64", "ascending"]),
        ("shapes.buckets", [1], ["shapes.buckets[0]: is 1", "from 2"]),
        ("shapes.buckets", list(range(2, 70)), ["shapes.buckets: has 68 items"]),
        ("runtime.threads", 0, ["runtime.threads: is 0", "from 1 to 1024"]),
        ("runtime.threads", 2**10000, ["runtime.threads: is an integer of 10001 bits"]),
        ("gate.int8.max_metric_drop", 2**10000, ["gate.int8.max_metric_drop: is an integer of 10001 bits"]),
        ("runtime.threads", "4", ["runtime.threads: is '4'"]),
        ("runtime.install", [], ["runtime.install: is empty"]),
        ("runtime.install.0", "", ["runtime.install[0]: is ''"]),
        ("gate.int8", ..., ["gate.int8: the key is missing"]),
        ("gate.fp16", {}, ["gate.fp16: there is no such key", "int8, fp32"]),
        ("gate.int8.min_label_agreement", 97.5, ["gate.int8.min_label_agreement: is 97.5", "from 0 to 1"]),
        ("gate.int8.max_metric_drop", math.nan, ["gate.int8.max_metric_drop: is nan"]),
        ("gate.int8.max_metric_drop", -0.1, ["gate.int8.max_metric_drop: is -0.1"]),
        ("gate.fp32.max_logit_difference", 0.0, ["gate.fp32.max_logit_difference: is 0.0", "above 0"]),
        ("gate.fp32.max_logit_difference", math.inf, ["gate.fp32.max_logit_difference: is inf"]),
    ],
)
def test_a_wrong_value_is_refused_with_its_key_the_reason_and_what_is_allowed(tmp_path, path, value, parts):
    text = refusal(changed(path, value), tmp_path)
    for part in parts:
        assert part in text
    assert len(text) < 1000


def test_buckets_without_an_artifact_that_needs_them_are_refused(tmp_path):
    tree = changed("artifact", [{"backend": "onnx", "precision": "int8"}, {"backend": "onnx", "precision": "fp32"}])
    assert "shapes: no artifact has fixed input lengths" in refusal(tree, tmp_path)


def test_tensorrt_needs_to_know_how_much_memory_a_kernel_may_use(tmp_path):
    tree = changed("artifact.1", {"backend": "tensorrt", "precision": "fp32"})
    assert "tensorrt.workspace_mb: the key is missing, and tensorrt-fp32 needs it" in refusal(tree, tmp_path)
    assert load(tree | {"tensorrt": {"workspace_mb": 100}}, tmp_path).workspace_mb == 100
    assert "tensorrt.workspace_mb: is 0" in refusal(tree | {"tensorrt": {"workspace_mb": 0}}, tmp_path)
    assert "no artifact is for TensorRT" in refusal(BOARD | {"tensorrt": {"workspace_mb": 100}}, tmp_path)


# Files that are no target


@pytest.mark.parametrize(
    ("data", "part"),
    [
        (b'name = "a"\ntitle = \n', "line 2"),
        (b'name = "a"\nname = "b"\n', "line 2"),
        (b'name = "a"\ntitle = "\xff"\n', "line 2 is not UTF-8"),
        (b"name = " + b"[" * 20000, "nested too deeply"),
        (b"name = " + b"9" * 5000, "is not TOML"),
        (b"", "name: the key is missing"),
        (b"#" * 70000, "larger than 65536 bytes"),
    ],
)
def test_a_file_that_is_no_target_is_refused(tmp_path, data, part):
    assert part in refusal(data, tmp_path)


def test_an_unknown_name_gets_a_guess_and_the_list():
    with pytest.raises(TargetError, match="There is no target 'x86cpu'") as caught:
        load_target("x86cpu")
    assert "(did you mean 'x86-cpu'?)" in str(caught.value)
    assert ", ".join(NAMES) in caught.value.hint


def test_a_folder_given_without_a_separator_gets_the_way_to_write_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my-board").mkdir()
    with pytest.raises(TargetError) as caught:
        load_target("my-board")
    assert "write ./my-board" in caught.value.hint


@pytest.mark.parametrize(
    "name", ["", " ", "\0", "a\0b/", "./nothing/", "/nothing/target.toml", "x" * 5000 + "/", "~none/x"]
)
def test_what_is_nowhere_is_refused(name):
    with pytest.raises(TargetError):
        load_target(name)


def test_a_folder_without_a_description_is_refused(tmp_path):
    with pytest.raises(TargetError, match=r"target\.toml does not exist"):
        load_target(f"{tmp_path}/")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no FIFOs")
def test_a_fifo_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "target.toml")
    with pytest.raises(TargetError, match="not a plain file"):
        load_target(f"{tmp_path}/")


def test_a_directory_in_its_place_is_refused(tmp_path):
    (tmp_path / "target.toml").mkdir()
    with pytest.raises(TargetError):
        load_target(f"{tmp_path}/")


# Properties

_scalars = st.one_of(
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.integers(0, 600),
    st.floats(),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    st.sampled_from(
        ["int8", "fp32", "fp16", "onnx", "openvino", "tflite", "aarch64", "x86_64", "asimd", "avx2", "ARM"]
    ),
)
_values = st.recursive(
    _scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["backend", "precision", "isa", "x y", "buckets", "int8"]), inner, max_size=3),
    ),
    max_leaves=4,
)


def _paths(value: Any, prefix: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    paths = [(*prefix, key) for key, _ in members]
    return paths + [path for key, item in list(members) for path in _paths(item, (*prefix, key))]


def _mutate(data: st.DataObject) -> tuple[dict[str, Any], str]:
    """A single change of BOARD, and the key that the refusal must name."""
    tree = copy.deepcopy(BOARD)
    path = data.draw(st.sampled_from(_paths(BOARD)))
    place: Any = tree
    for part in path[:-1]:
        place = place[part]
    key, kind = path[-1], data.draw(st.sampled_from(["replace", "remove", "rename", "add", "repeat"]))
    if kind == "replace":
        place[key] = data.draw(_values)
    elif kind == "remove" or isinstance(place, list):
        item = place.pop(key)
        if kind == "repeat":
            place += [item, item]
    elif kind == "rename":
        key = data.draw(st.text("abcdefgxyz_ .\n", max_size=8))
        place[key] = place.pop(path[-1])
    else:
        key = data.draw(st.text("abcdefgxyz_ .\n", min_size=1, max_size=8))
        place[key] = data.draw(_values)
    # The first key of the path stands in every message but those about a key that another one needs.
    return tree, str(path[0] if len(path) > 1 else key)


@settings(max_examples=600, deadline=None)
@given(data=st.data())
def test_any_single_change_is_refused_by_name_or_means_what_it_says(data):
    tree, key = _mutate(data)
    with tempfile.TemporaryDirectory() as folder:
        try:
            target = load(tree, Path(folder))
        except TargetError as error:
            named = json.dumps(key)[1:-1] in error.message or key in error.message
            # What is gone shows at the key that is missing, or at the one that now has nothing to refer to.
            by_another = {"artifact": ("gate", "shapes"), "device": ("device",)}.get(key, ())
            missing = [name for name in BOARD if name not in tree]
            assert named or any(f": {name}" in error.message for name in [*by_another, *missing]), error.message
            assert error.hint
        else:
            assert to_tree(target) == normal(tree)


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_damaged_text_is_refused_or_parsed_and_never_crashes(data):
    text = bytearray((ROOT / "targets" / data.draw(st.sampled_from(NAMES)) / "target.toml").read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        where = data.draw(st.integers(0, len(text) - 1))
        text[where : where + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    with tempfile.TemporaryDirectory() as folder:
        try:
            target = load(bytes(text), Path(folder))
        except TargetError as error:
            assert folder in error.message
            assert error.hint
        else:
            assert to_tree(target) == normal(tomllib.loads(text.decode()))
