"""EdgeBERT's own wheel: whole, put together again from what is installed, and for devices."""

from __future__ import annotations

import base64
import csv
import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from edgebert.convert.wheelhouse.device_wheel import write_device_wheel

BUILD = """
import sys
from pathlib import Path
from edgebert.convert.wheelhouse.pip import Pip
from edgebert.convert.wheelhouse.project import build_project_wheel
from edgebert.errors import EdgebertError
folder = Path(sys.argv[1])
try:
    print(build_project_wheel(Pip(folder), folder))
except EdgebertError as error:
    print(f"{type(error).__name__}: {error.message}")
"""


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def check_record(wheel: Path) -> None:
    files = contents(wheel)
    [record] = [name for name in files if name.endswith(".dist-info/RECORD")]
    rows = {path: (digest, size) for path, digest, size in csv.reader(files.pop(record).decode().splitlines())}
    assert rows.pop(record) == ("", "")
    assert rows == {
        name: (
            "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode(),
            str(len(data)),
        )
        for name, data in files.items()
    }


@pytest.fixture(scope="module")
def device_wheel(whole_wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_device_wheel(whole_wheel, tmp_path_factory.mktemp("device"))


@pytest.fixture
def site(whole_wheel: Path, tmp_path: Path) -> Path:
    return install(whole_wheel, tmp_path / "site")


def install(wheel: Path, site: Path) -> Path:
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", site, wheel],
        check=True,
    )
    return site


def run_in(site: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """With the EdgeBERT of ``site`` in place of the one that is tested."""
    environment = {**os.environ, "PYTHONPATH": str(site)}
    return subprocess.run(
        [sys.executable, *arguments], cwd=site.parent, env=environment, capture_output=True, text=True
    )


def rebuild(site: Path) -> str:
    (site.parent / "again").mkdir()
    done = run_in(site, "-c", BUILD, site.parent / "again")
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_device_wheel_lacks_the_embedded_checkpoint_alone(whole_wheel: Path, device_wheel: Path) -> None:
    whole = {name for name in contents(whole_wheel) if ".dist-info/" not in name}
    device = {name for name in contents(device_wheel) if ".dist-info/" not in name}
    assert {str(Path(name).parent) for name in whole - device} == {"edgebert/assets/default"}
    assert device < whole
    assert "edgebert/assets/calibration.txt" in device
    assert any(name.endswith("default/model.safetensors") for name in whole)
    assert device_wheel.stat().st_size < whole_wheel.stat().st_size / 5
    check_record(device_wheel)


def test_the_device_wheel_says_what_it_is(whole_wheel: Path, device_wheel: Path, tmp_path: Path) -> None:
    version = whole_wheel.name.split("-")[1]
    assert device_wheel.name == f"edgebert-{version}+device-py3-none-any.whl"
    site = install(device_wheel, tmp_path / "site")
    done = run_in(site, "-c", "from importlib.metadata import version; print(version('edgebert'))")
    assert done.stdout.strip() == f"{version}+device"
    assert (site / "bin/edgebert").is_file()


def test_it_is_the_same_each_time(whole_wheel: Path, device_wheel: Path, tmp_path: Path) -> None:
    assert write_device_wheel(whole_wheel, tmp_path).read_bytes() == device_wheel.read_bytes()
    (tmp_path / "again").mkdir()
    again = write_device_wheel(device_wheel, tmp_path / "again")
    assert (again.name, again.read_bytes()) == (device_wheel.name, device_wheel.read_bytes())


def test_the_demo_without_its_checkpoint_is_one_error(device_wheel: Path, tmp_path: Path) -> None:
    for name in ("torch", "rich"):
        pytest.importorskip(name, reason="the demo converts")
    done = run_in(install(device_wheel, tmp_path / "site"), "-m", "edgebert", "demo")
    assert done.returncode == 1
    assert "Error: This installation has no embedded checkpoint: the wheel for devices leaves it out." in done.stderr
    assert done.stderr.count("Error") == 1
    assert "\nHint: Run this on a build host" in done.stderr


def test_an_installed_wheel_is_put_together_again(whole_wheel: Path, site: Path) -> None:
    subprocess.run([sys.executable, "-m", "compileall", "-q", site / "edgebert/bundle"], check=True)
    again = Path(rebuild(site))
    assert again.name == whole_wheel.name
    check_record(again)
    before, after = contents(whole_wheel), contents(again)
    [record] = [name for name in before if name.endswith("RECORD")]
    assert after.keys() == before.keys()
    assert {name for name in before if before[name] != after[name]} <= {record}


@pytest.mark.parametrize("fault", ["altered", "missing"])
def test_an_installation_that_is_not_whole_is_refused(site: Path, fault: str) -> None:
    path = site / "edgebert/compress/trim.py"
    if fault == "missing":
        path.unlink()
    else:
        path.write_text(path.read_text() + "\n")
    wrong = "is missing" if fault == "missing" else "is not the one that was installed"
    said = rebuild(site)
    assert said == f"OutputError: EdgeBERT's own wheel cannot be made: its file edgebert/compress/trim.py {wrong}."


def test_files_that_nobody_installed_are_refused(site: Path) -> None:
    [metadata] = site.glob("edgebert-*.dist-info")
    shutil.rmtree(metadata)
    said = rebuild(site)
    assert said.startswith("OutputError: EdgeBERT's own wheel cannot be made: ")
