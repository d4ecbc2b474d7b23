"""What a wheelhouse holds, and that the pip of a board installs from it without network."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgebert.convert.target import ArtifactSpec, Target, list_targets
from edgebert.convert.wheelhouse import make_wheelhouse
from edgebert.convert.wheelhouse.platforms import pip_options
from edgebert.convert.wheelhouse.wanted import wanted_requirements
from edgebert.devices.wheels import PythonHost
from edgebert.errors import EdgebertError, OutputError, TargetError
from tests.convert.wheelhouse import index

pytestmark = pytest.mark.usefixtures("offline")
FULL = {"click", "edgebert", "httpx", "hub", "litert", "numpy", "tokenizers", "tqdm"}


@pytest.fixture
def make(target: Target, project: Path, tmp_path: Path) -> Callable[..., Path]:
    def run(name: str = "house", **options: Any) -> Path:
        settings = {"target": target, "project": project, "pythons": ["3.11"], **options}
        return make_wheelhouse(tmp_path / name, **settings).path

    return run


def pins(house: Path) -> dict[str, str]:
    """Of requirements.txt: name and version -> marker."""
    text = (house / "requirements.txt").read_text().replace("\\\n", "")
    found = {}
    for line in text.splitlines():
        pin, _, marker = line.partition(" --hash=")[0].strip().partition(" ; ")
        found[pin] = marker
    return found


def names(house: Path) -> set[str]:
    return {pin.partition("==")[0] for pin in pins(house)}


def install(house: Path, site: Path, host: PythonHost, *wanted: str) -> set[str]:
    """What the pip of such a board installs, by the names of the modules."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--find-links", str(house)]
    command += ["--target", str(site), *pip_options(host), *wanted]
    environment = {name: value for name, value in os.environ.items() if name != "PIP_FIND_LINKS"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return {path.name for path in site.iterdir() if (path / "__init__.py").exists()}


def test_it_holds_wheels_their_hashes_and_the_commands(make: Callable[..., Path], tmp_path: Path) -> None:
    house = make()
    files = {path.name for path in house.iterdir()}
    wheels = {name for name in files if name.endswith(".whl")}
    assert files - wheels == {"requirements.txt", "INSTALL.txt"}
    assert names(house) == FULL
    assert set(pins(house).values()) == {""}
    said = set(re.findall(r"--hash=sha256:([0-9a-f]{64})", (house / "requirements.txt").read_text()))
    assert said == {hashlib.sha256((house / name).read_bytes()).hexdigest() for name in wheels}
    assert 'pip install --no-index --find-links house "edgebert[tflite]"' in (house / "INSTALL.txt").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["house"]


def test_a_board_installs_by_the_list_and_by_name(make: Callable[..., Path], tmp_path: Path) -> None:
    house, host = make(), PythonHost((3, 11), "Linux", "aarch64", "glibc")
    listed = install(house, tmp_path / "1", host, "--no-deps", "-r", str(house / "requirements.txt"))
    assert listed == FULL
    assert "# numpy 2.4 " in (tmp_path / "1/numpy/__init__.py").read_text()
    assert install(house, tmp_path / "2", host, "edgebert[tflite]") == FULL
    assert (tmp_path / "2/edgebert-0.1.0+device.dist-info").is_dir()


def test_an_altered_wheel_is_refused(make: Callable[..., Path], tmp_path: Path) -> None:
    house = make()
    with next(house.glob("numpy-*.whl")).open("ab") as file:
        file.write(b"\0")
    with pytest.raises(AssertionError, match="DO NOT MATCH THE HASHES"):
        install(
            house, tmp_path / "site", PythonHost((3, 11), "Linux", "aarch64", "glibc"),
            "--no-deps", "-r", str(house / "requirements.txt"),
        )  # fmt: skip


def test_markers_are_those_of_the_board(make: Callable[..., Path], tmp_path: Path) -> None:
    """``groups`` is for Pythons before 3.11, ``intel`` for x86-64: pip would ask the Python that runs it."""
    house = make(pythons=["3.10"])
    assert names(house) == FULL | {"groups"}
    host = PythonHost((3, 10), "Linux", "aarch64", "glibc")
    listed = install(house, tmp_path / "site", host, "--no-deps", "-r", str(house / "requirements.txt"))
    assert listed == FULL | {"groups"}


def test_one_folder_for_several_pythons(make: Callable[..., Path], tmp_path: Path) -> None:
    house = make(pythons=["3.10", "3.11", "3.11", "3.12"])
    some = {pin: marker for pin, marker in pins(house).items() if marker}
    assert some == {
        "groups==1.3": 'python_version == "3.10"',
        "numpy==1.26": 'python_version == "3.10"',
        "numpy==2.4": 'python_version == "3.11" or python_version == "3.12"',
    }
    assert len(list(house.glob("litert-*.whl"))) == 3
    text = (house / "INSTALL.txt").read_text()
    assert "Python 3.10 and 3.11 and 3.12 on aarch64" in text
    assert "zipfile" not in text  # which unpacks one wheel of each alone
    assert "python3 -m zipfile -e" in (make("one") / "INSTALL.txt").read_text()


def test_where_tensorrt_is_the_systems_the_environment_sees_it(make: Callable[..., Path], target: Target) -> None:
    plain = (make("plain") / "INSTALL.txt").read_text()
    assert "python3 -m venv edgebert-env\n" in plain
    assert "TensorRT" not in plain and "build-plan" not in plain
    jetson = dataclasses.replace(target, artifacts=(ArtifactSpec("tensorrt", "fp16"), *target.artifacts))
    house = make("jetson", target=jetson)
    text = (house / "INSTALL.txt").read_text()
    assert "python3 -m venv --system-site-packages edgebert-env\n" in text
    assert "TensorRT belongs to the device's system" in text
    assert "edgebert-env/bin/edgebert build-plan sst2.edgebert\n" in text
    assert names(house) == FULL


def test_one_folder_for_two_architectures(
    make: Callable[..., Path], make_target: Callable[[str], Target], offline: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("PIP_FIND_LINKS", f"{offline} {tmp_path / 'more'}")
    (tmp_path / "more").mkdir()
    index.write(tmp_path / "more", "numpy", "2.5", "cp311-cp311-manylinux_2_17_x86_64")
    index.write(tmp_path / "more", "intel", "1.0")
    target = make_target("'pip install numpy groups'")
    both = dataclasses.replace(target.device, architectures=("aarch64", "x86_64"))
    house = make(target=dataclasses.replace(target, device=both), project=index.write(tmp_path, "edgebert", "0.1.0"))
    on = 'python_version == "3.11" and platform_machine == '
    assert pins(house) == {
        "edgebert==0.1.0+device": "",
        "groups==1.3": "",
        "intel==1.0": f'{on}"x86_64"',
        "numpy==2.4": f'{on}"aarch64"',
        "numpy==2.5": f'{on}"x86_64"',
    }
    host = PythonHost((3, 11), "Linux", "x86_64", "glibc")
    assert install(house, tmp_path / "site", host, "numpy") == {"numpy"}
    assert "# numpy 2.5 " in (tmp_path / "site/numpy/__init__.py").read_text()


def test_lean_leaves_out_what_requirements_require(make: Callable[..., Path]) -> None:
    house = make(lean=True)
    assert names(house) == {"click", "edgebert", "litert", "numpy", "tokenizers"}
    text = (house / "INSTALL.txt").read_text()
    assert "--no-deps --find-links house -r house/requirements.txt" in text
    assert "edgebert[tflite]" not in text


def test_lean_without_tokenizers_on_the_old_runtime(make: Callable[..., Path]) -> None:
    house = make(lean=True, tokenizers=False, runtimes=["tflite-runtime"])
    assert set(pins(house)) == {"click==8.1", "edgebert==0.1.0+device", "numpy==1.26", "tflite-runtime==2.14.0"}
    with pytest.raises(ValueError, match="lean"):
        make(tokenizers=False)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pythons": ["3.12"], "runtimes": ["tflite-runtime"]},
         r"^There is no wheel of numpy<2 for Python 3\.12 on aarch64 with glibc\. .*, 3\.10, 3\.11 have one\."),
        ({"libc": "musl"},
         r"^There is no wheel of litert>=2 for Python 3\.11 on aarch64 with musl\. No Python from 3\.10 to 3\.14 has"),
        ({"pythons": ["3.9"]}, r"EdgeBERT 0\.1\.0\+device does not run on Python 3\.9: it needs >=3\.10"),
        ({"pythons": ["3.11", "three"]}, "^'three' is no version of Python"),
        ({"pythons": ["3.١"]}, "is no version of Python"),
        ({"runtimes": ["torch"]}, "^There is no runtime 'torch'"),
    ],
)  # fmt: skip
def test_what_cannot_be_had_is_named(
    make: Callable[..., Path], tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(TargetError, match=message) as refused:
        make(**options)
    assert refused.value.hint
    assert list(tmp_path.iterdir()) == []


def test_conflicting_constraints_are_told(
    make: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pip's own settings hold."""
    monkeypatch.setenv("PIP_CONSTRAINT", str(tmp_path / "constraints.txt"))
    (tmp_path / "constraints.txt").write_text("numpy==1.26\n")
    assert "numpy==1.26" in pins(make())
    (tmp_path / "constraints.txt").write_text("numpy==1.0\n")
    with pytest.raises(EdgebertError, match="numpy"):
        make("other")
    assert not (tmp_path / "other").exists()


def test_what_exists_stays(make: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "house").mkdir()
    (tmp_path / "house/mine.txt").write_text("mine")
    with pytest.raises(OutputError, match="exists already"):
        make()
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(OutputError, match="exists already"):
        make("link")
    with pytest.raises(OutputError, match="No such file or directory"):
        make("no/such/folder")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["house", "link"]
    assert (tmp_path / "house/mine.txt").read_text() == "mine"


def test_what_appears_meanwhile_stays(make: Callable[..., Path], tmp_path: Path) -> None:
    def interfere(line: str) -> None:
        (tmp_path / "house").mkdir(exist_ok=True)

    with pytest.raises(OutputError, match="exists already"):
        make(progress=interfere)
    assert list((tmp_path / "house").iterdir()) == []


def test_a_full_disk(make: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What pip says when it cannot write becomes the error of every full disk, and names the folder to make."""
    said = "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device\n"
    done = subprocess.CompletedProcess[str]([], 1, "", said)
    monkeypatch.setattr(subprocess, "run", lambda *args, **options: done)
    with pytest.raises(OutputError, match=f"^Cannot write '{tmp_path / 'house'}': No space left on device") as refused:
        make()
    assert "MB are free" in refused.value.hint
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("step", ["choosing", "downloading"])
def test_an_interrupted_run_leaves_nothing(make: Callable[..., Path], tmp_path: Path, step: str) -> None:
    def interrupt(line: str) -> None:
        if step in line:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make(progress=interrupt)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("target", list_targets(), ids=lambda target: target.name)
def test_every_target_has_one_or_says_why_not(target: Target) -> None:
    if target.name == "android":
        with pytest.raises(TargetError, match="no wheelhouse for android: nothing is installed with pip"):
            wanted_requirements(target, [])
        return
    wanted = wanted_requirements(target, [])
    backends = {extra for requirement in wanted for extra in requirement.extras}
    assert {requirement.name for requirement in wanted} == {"edgebert"}
    assert backends and backends <= {artifact.backend for artifact in target.artifacts}


@pytest.mark.parametrize("word", ["--pre", "-r", "./folder", "https://host/x.whl"])
def test_lines_that_cannot_be_followed_are_refused(
    make: Callable[..., Path], make_target: Callable[[str], Target], word: str
) -> None:
    with pytest.raises(TargetError, match=f"{re.escape(repr(word))} in the line"):
        make(target=make_target(f"'pip install edgebert {word}'"))
