"""Writing bundles: whole or not at all, and nobody's folder is destroyed."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edgebert.bundle import BundleWriter, Manifest, open_bundle, output_error, rename
from edgebert.errors import EdgebertError, IntegrityError, ManifestError, OutputError
from tests.bundle import samples

NOBODY = 65534


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "tiny.edgebert"


@pytest.fixture(params=["exchange", "two renames"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways to replace a bundle: file systems without the atomic exchange get two renames."""
    if request.param == "two renames":
        monkeypatch.setattr(rename, "exchange", lambda one, other: False)


def fill(writer: BundleWriter) -> Manifest:
    for path, data in samples.contents().items():
        writer.write(path, data)
    return samples.manifest()


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def check(out: Path, name: str = "tiny") -> None:
    """``out`` is a whole bundle of this name and nothing lies beside it."""
    bundle = open_bundle(out)
    bundle.verify_all()
    assert bundle.manifest.name == name
    assert names(out.parent) == [out.name]


def test_new_bundle(out: Path) -> None:
    with BundleWriter(out) as writer:
        ref = writer.write("tokenizer.json", samples.contents()["tokenizer.json"])
        assert ref == samples.file_ref("tokenizer.json") == writer.ref("tokenizer.json")
        assert (writer.staging / "tokenizer.json").read_bytes() == samples.contents()["tokenizer.json"]
        writer.remove("tokenizer.json")
        writer.commit(fill(writer))
        assert open_bundle(out).manifest == samples.manifest()
    check(out)
    umask = os.umask(0)
    os.umask(umask)
    assert out.stat().st_mode & 0o777 == 0o777 & ~umask


def test_exporters_write_into_staging_directly(out: Path) -> None:
    model = "artifacts/onnx-fp32/model.onnx"
    with BundleWriter(out) as writer:
        manifest = fill(writer)
        writer.remove("artifacts/onnx-fp32")
        (writer.staging / model).parent.mkdir(parents=True)
        (writer.staging / model).write_bytes(samples.contents()[model])
        assert writer.ref(model) == samples.file_ref(model)
        writer.remove("artifacts/never-made")
        writer.commit(manifest)
    check(out)


@pytest.mark.usefixtures("way")
def test_every_file_may_be_read_by_whoever_may_read_the_bundle(out: Path) -> None:
    before = os.umask(0o027)
    try:
        with BundleWriter(out) as writer:
            manifest = fill(writer)
            (writer.staging / "tokenizer.json").chmod(0o600)  # as onnx writes external data
            writer.commit(manifest)
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in out.rglob("*") if path.is_file()} == {0o640}
    assert out.stat().st_mode & 0o777 == 0o750


def test_replacing_a_bundle(out: Path) -> None:
    samples.write_bundle(out, name="old")
    samples.write_bundle(out, overwrite=True, name="new")
    check(out, "new")


def test_existing_bundle_needs_overwrite(out: Path) -> None:
    samples.write_bundle(out, name="old")
    with pytest.raises(OutputError, match="exists already") as caught, BundleWriter(out):
        raise AssertionError("not reached")
    assert "--overwrite" in caught.value.hint
    check(out, "old")


def test_bundle_that_appears_meanwhile_is_not_replaced(out: Path) -> None:
    with pytest.raises(OutputError, match="exists already"), BundleWriter(out) as writer:
        manifest = fill(writer)
        samples.write_bundle(out, name="other")
        writer.commit(manifest)
    check(out, "other")


def plain_folder(out: Path) -> None:
    out.mkdir()
    (out / "thesis.txt").write_text("years of work")


def plain_file(out: Path) -> None:
    out.write_text("years of work")


def link_to_bundle(out: Path) -> None:
    samples.write_bundle(out.with_name("real"))
    out.symlink_to("real")


def broken_link(out: Path) -> None:
    out.symlink_to("nowhere")


def bundle_with_a_stranger(out: Path) -> None:
    samples.write_bundle(out)
    (out / "thesis.txt").write_text("years of work")


def other_format(out: Path) -> None:
    out.mkdir()
    (out / "manifest.json").write_text('{"format": "edgebert/7"}')


def web_extension(out: Path) -> None:
    out.mkdir()
    (out / "manifest.json").write_text('{"manifest_version": 3, "name": "adblock"}')


def empty_folder(out: Path) -> None:
    out.mkdir()


def tree(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else b"" for p in folder.rglob("*")}


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (plain_folder, "has no manifest.json"),
        (plain_file, "is not a folder"),
        (link_to_bundle, "is a symbolic link"),
        (broken_link, "is a symbolic link"),
        (bundle_with_a_stranger, r"holds 'thesis\.txt'"),
        (other_format, "edgebert/7"),
        (web_extension, "unknown key"),
        (empty_folder, "has no manifest.json"),
    ],
)
def test_what_is_not_a_bundle_is_never_replaced(out: Path, make: Callable[[Path], None], reason: str) -> None:
    make(out)
    before = tree(out.parent)
    with pytest.raises(OutputError, match=reason) as caught, BundleWriter(out, overwrite=True):
        raise AssertionError("not reached")
    assert "Nothing was changed" in caught.value.hint
    with pytest.raises(OutputError, match="exists already") as caught, BundleWriter(out):
        raise AssertionError("not reached")
    assert "--overwrite" not in caught.value.hint  # which would be refused as well
    assert tree(out.parent) == before


def test_damaged_bundle_can_be_replaced(out: Path) -> None:
    samples.write_bundle(out, name="old")
    (out / "tokenizer.json").unlink()
    (out / "golden.npz").write_bytes(b"altered")
    samples.write_bundle(out, overwrite=True, name="new")
    check(out, "new")


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("overwrite", [False, True])
def test_failure_leaves_everything_as_it_was(out: Path, error: type[BaseException], overwrite: bool) -> None:
    if overwrite:
        samples.write_bundle(out, name="old")
    with pytest.raises(error), BundleWriter(out, overwrite=overwrite) as writer:
        fill(writer)
        raise error
    if overwrite:
        check(out, "old")
    else:
        assert names(out.parent) == []


def test_leaving_without_commit_writes_nothing(out: Path) -> None:
    with BundleWriter(out) as writer:
        fill(writer)
    assert names(out.parent) == []


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("error", [OSError(errno.EIO, "Input/output error"), KeyboardInterrupt()])
def test_failing_rename_gives_the_old_bundle_back(
    out: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    samples.write_bundle(out, name="old")

    def fail(*paths: Path) -> bool:
        raise error

    # Whichever step brings the new bundle into place.
    monkeypatch.setattr(rename, "move", fail)
    if rename.exchange.__name__ == "exchange":
        monkeypatch.setattr(rename, "exchange", fail)
    with pytest.raises((OutputError, KeyboardInterrupt)):
        samples.write_bundle(out, overwrite=True, name="new")
    check(out, "old")


def test_commit_refuses_files_that_differ_from_the_manifest(out: Path) -> None:
    def missing(writer: BundleWriter) -> None:
        writer.remove("golden.npz")

    def altered(writer: BundleWriter) -> None:
        (writer.staging / "golden.npz").write_bytes(b"x" * len(samples.contents()["golden.npz"]))

    def longer(writer: BundleWriter) -> None:
        (writer.staging / "golden.npz").write_bytes(samples.contents()["golden.npz"] + b"x")

    def linked(writer: BundleWriter) -> None:
        (writer.staging / "golden.npz").rename(out.parent / "golden.npz")
        (writer.staging / "golden.npz").symlink_to(out.parent / "golden.npz")

    def stranger(writer: BundleWriter) -> None:
        writer.write("artifacts/onnx-fp32/model.onnx.data", b"left over")

    def manifest_by_hand(writer: BundleWriter) -> None:
        (writer.staging / "manifest.json").write_text("{}")

    for spoil, message in (
        (missing, "'golden.npz' is missing"),
        (altered, "'golden.npz' is altered"),
        (longer, "'golden.npz' has more than"),
        (linked, "'golden.npz' is a symbolic link"),
        (stranger, r"'artifacts/onnx-fp32/model\.onnx\.data' lies in the new bundle and is not named"),
        (manifest_by_hand, r"'manifest\.json' lies in the new bundle"),
    ):
        with pytest.raises(IntegrityError, match=message), BundleWriter(out) as writer:
            manifest = fill(writer)
            spoil(writer)
            writer.commit(manifest)
        (out.parent / "golden.npz").unlink(missing_ok=True)
        assert names(out.parent) == []


def test_commit_refuses_a_wrong_manifest(out: Path) -> None:
    with pytest.raises(ManifestError), BundleWriter(out) as writer:
        fill(writer)
        writer.commit(samples.manifest(name=""))
    assert names(out.parent) == []


def test_bad_paths_are_refused(out: Path) -> None:
    with BundleWriter(out) as writer:
        for path in ("", "../x", "/etc/x", "a\\b", "manifest.json", "a/../b"):
            for use in (lambda path: writer.write(path, b""), writer.ref, writer.remove):
                with pytest.raises(OutputError, match="into a bundle: "):
                    use(path)
        with pytest.raises(IntegrityError, match="is missing"):
            writer.ref("absent")
        writer.write("a", b"1")
        with pytest.raises(OutputError, match="File exists"):
            writer.write("a", b"2")
        with pytest.raises(OutputError, match=r"Not a directory|File exists"):
            writer.write("a/b", b"2")
        assert (writer.staging / "a").read_bytes() == b"1"


def test_writer_outside_its_block_is_refused(out: Path) -> None:
    writer = BundleWriter(out)
    with pytest.raises(RuntimeError, match="with statement"):
        writer.commit(samples.manifest())
    with writer:
        pass
    with pytest.raises(RuntimeError, match="with statement"):
        _ = writer.staging


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/dev/null/x", "'/dev/null' is not a folder"),
        ("{tmp}/absent/x", "absent' does not exist"),
        ("/proc/edgebert-test", "Cannot write"),
        ("/sys/edgebert-test", "Cannot write"),
        ("{tmp}/" + "x" * 255, "name too long"),
        ("/", "exists already"),
        ("{tmp}", "exists already"),
        ("{tmp}/..", "exists already"),
    ],
)
def test_output_that_cannot_be_made(tmp_path: Path, path: str, message: str) -> None:
    with pytest.raises(OutputError, match=message) as caught, BundleWriter(Path(path.format(tmp=tmp_path))):
        raise AssertionError("not reached")
    assert caught.value.hint
    assert names(tmp_path) == []


def test_relative_output_stays_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    with BundleWriter(Path("tiny.edgebert")) as writer:
        manifest = fill(writer)
        monkeypatch.chdir(tmp_path / "elsewhere")
        writer.commit(manifest)
    assert names(tmp_path) == ["elsewhere", "tiny.edgebert"]


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """No file of this process may grow beyond ``size``: what a small disk does, without one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_limit_in_write(out: Path) -> None:
    samples.write_bundle(out, name="old")
    message = r"tokenizer\.json' \(100000 bytes\): File too large"
    with (
        pytest.raises(OutputError, match=message) as caught,
        BundleWriter(out, overwrite=True) as writer,
        file_size_limit(1000),
    ):
        writer.write("tokenizer.json", b"x" * 100_000)
    assert "ulimit -f" in caught.value.hint
    check(out, "old")


def test_limit_in_an_exporter(out: Path) -> None:
    with pytest.raises(OutputError, match="File too large"), BundleWriter(out) as writer, file_size_limit(1000):
        (writer.staging / "model.onnx").write_bytes(b"x" * 100_000)
    assert names(out.parent) == []


def test_limit_in_commit(out: Path) -> None:
    with pytest.raises(OutputError, match="File too large"), BundleWriter(out) as writer:
        manifest = fill(writer)
        with file_size_limit(1000):
            writer.commit(manifest)
    assert names(out.parent) == []


def test_failed_write_leaves_no_half_file(out: Path) -> None:
    with BundleWriter(out) as writer:
        with file_size_limit(1000), pytest.raises(OutputError):
            writer.write("tokenizer.json", b"x" * 100_000)
        writer.commit(fill(writer))
    check(out)


FULL_DISK = """
import sys
from pathlib import Path
from edgebert.bundle import BundleWriter
from edgebert.errors import OutputError
out, direct = Path(sys.argv[1]), sys.argv[2] == "direct"
try:
    with BundleWriter(out) as writer:
        if direct:
            (writer.staging / "model.bin").write_bytes(b"x" * 2_000_000)
        writer.write("tokenizer.json", b"x" * 2_000_000)
except OutputError as error:
    print(error.message, error.hint, sorted(out.parent.iterdir()))
"""


@pytest.mark.parametrize("how", ["write", "direct"])
def test_full_disk(tmp_path: Path, how: str) -> None:
    mount = f"mount -t tmpfs -o size=1m none '{tmp_path}'"
    wrap = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--mount"]
    python = [*wrap, "sh", "-c", f'{mount} && exec "$@"', "sh", sys.executable, "-c"]
    try:
        probe = subprocess.run([*python, ""], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("unshare is not installed, so no small disk can be mounted")
    if probe.returncode:
        pytest.skip(f"nothing can be run on a small disk of its own here: {probe.stderr.strip()}")
    run = subprocess.run(
        [*python, FULL_DISK, str(tmp_path / "x"), how],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert "No space left on device" in run.stdout
    assert "MB are free), or write to another disk. []" in run.stdout
    if how == "write":
        assert "(2000000 bytes)" in run.stdout
        assert "Free at least 2.0 MB" in run.stdout


def test_folder_without_permission(tmp_path: Path) -> None:
    """In a child that gives up root, which no permission binds."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o555)
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == os.geteuid() and folder != closed and os.geteuid() == 0:
            folder.chmod(folder.stat().st_mode | 0o011)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            if os.geteuid() == 0:
                os.setgid(NOBODY)
                os.setuid(NOBODY)
            with BundleWriter(closed / "x"):
                status = 2
        except OutputError as error:
            told = "Permission denied" in error.message and "you may write to" in error.hint
            status = 0 if told else 3
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS, errno.EFBIG, errno.EIO])
def test_every_write_error_has_path_reason_and_hint(tmp_path: Path, code: int) -> None:
    error = output_error(OSError(code, os.strerror(code)), tmp_path / "absent/x", needed=123)
    assert isinstance(error, EdgebertError)
    assert error.message == f"Cannot write '{tmp_path}/absent/x' (123 bytes): {os.strerror(code)}."
    assert error.hint


def test_rename_never_replaces(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    with pytest.raises(FileExistsError):
        rename.move(tmp_path / "a", tmp_path / "b")
    rename.move(tmp_path / "a", tmp_path / "c")
    assert names(tmp_path) == ["b", "c"]
