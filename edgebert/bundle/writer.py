"""Writing a bundle so that a crash at any moment leaves the old bundle or none, never half of one."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from edgebert.bundle import disk, rename
from edgebert.bundle.limits import MAX_FILE_BYTES
from edgebert.bundle.manifest import dump_manifest, parse_manifest
from edgebert.bundle.output import FULL, output_error
from edgebert.bundle.paths import path_fault
from edgebert.bundle.reader import read_manifest
from edgebert.bundle.schema import MANIFEST_NAME, FileRef, Manifest
from edgebert.bundle.staging import Staging, recover
from edgebert.errors import BundleError, OutputError


class BundleWriter:
    """Builds a bundle in a temporary folder beside ``out`` and moves it into place whole.

    ::

        with BundleWriter(Path("sst2.edgebert")) as writer:
            tokenizer = writer.write("tokenizer.json", data)
            export(writer.staging / "artifacts/onnx-fp32/model.onnx")
            model = writer.ref("artifacts/onnx-fp32/model.onnx")
            writer.commit(manifest)

    Leaving the block without ``commit``, by whatever exception, leaves ``out`` as it was and nothing beside it.

    Args:
        out: the bundle to write; its folder must exist.
        overwrite: replace an older bundle. Anything that is not a bundle, or holds files of somebody else, is refused.
    """

    def __init__(self, out: Path, *, overwrite: bool = False) -> None:
        # Absolute, should the working directory change; not resolved, which would follow a link at `out` itself.
        self._out = Path(os.path.abspath(out))  # noqa: PTH100
        self._overwrite = overwrite
        self._staging: Staging | None = None

    @property
    def staging(self) -> Path:
        """The folder in which the bundle grows; exporters write ``artifacts/<id>/...`` here directly."""
        return self._active().new

    def __enter__(self) -> BundleWriter:
        """Makes the temporary folder.

        Raises:
            OutputError: ``out`` exists and may not be replaced, or its folder is missing or not writable.
        """
        try:
            if not self._out.parent.is_dir():
                kind = "is not a folder" if os.path.lexists(self._out.parent) else "does not exist"
                raise OutputError(
                    f"Cannot write '{self._out}': '{self._out.parent}' {kind}.",
                    hint="Create the folder first, or choose another.",
                )
            recover(self._out)
            self._check_out()
            self._staging = Staging(self._out)
        except OSError as error:
            raise output_error(error, self._out) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Removes the temporary folder; a disk that ran full in the block becomes an ``OutputError``."""
        staging, self._staging = self._staging, None
        if staging is None:
            return
        failure: OutputError | None = None
        if isinstance(error, OSError) and error.errno in (*FULL, errno.EROFS, errno.EFBIG):
            # Before the folder goes, while the disk is still as full as it was.
            elsewhere = isinstance(error.filename, str) and not Path(error.filename).is_relative_to(staging.root)
            failure = output_error(error, error.filename if elsewhere else self._out)
        staging.close()
        if failure is not None:
            raise failure from error

    def write(self, path: str, data: bytes) -> FileRef:
        """Writes a new file into the bundle.

        Args:
            path: POSIX path relative to the bundle.
            data: its content.

        Raises:
            OutputError: the path is not one that a bundle may name, the file exists, or it cannot be written.
        """
        target = self.staging / self._checked(path)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("xb") as file:
                file.write(data)
        except OSError as error:
            if not isinstance(error, FileExistsError):
                with contextlib.suppress(OSError):
                    target.unlink()
            raise output_error(error, self._out / path, needed=len(data)) from error
        return self.ref(path)

    def ref(self, path: str) -> FileRef:
        """Size and SHA-256 of a file that is already in ``staging``.

        Raises:
            OutputError: the path is not one that a bundle may name.
            IntegrityError: the file is missing, a link, or larger than a bundle's file may be.
        """
        ref = disk.stream(self.staging, self._checked(path), lambda piece: None, MAX_FILE_BYTES)
        if ref.size > MAX_FILE_BYTES:
            raise disk.fault(path, f"has more than {MAX_FILE_BYTES} bytes")
        return ref

    def remove(self, path: str) -> None:
        """Drops a file or folder from ``staging``, as when an artifact failed; what is not there is no error.

        Raises:
            OutputError: the path is not one that a bundle may name, or cannot be removed.
        """
        target = self.staging / self._checked(path)
        try:
            if target.is_dir() and not target.is_symlink():
                shutil.rmtree(target)
            else:
                target.unlink(missing_ok=True)
        except OSError as error:
            raise output_error(error, self._out / path) from error

    def commit(self, manifest: Manifest, *, check: Callable[[Path], None] | None = None) -> None:
        """Checks that ``staging`` is exactly what the manifest says, makes it durable and moves it to ``out``.

        A writer commits once; afterwards only the end of the block is left.

        Args:
            manifest: the whole description of what is in ``staging``.
            check: called with the complete bundle before it is moved; an exception leaves ``out`` as it was.

        Raises:
            ManifestError: the manifest breaks the format.
            IntegrityError: a file is missing from ``staging``, differs from its entry, or is not named.
            OutputError: the disk is full or failed, or ``out`` has appeared meanwhile.
        """
        staging = self._active()
        data = dump_manifest(manifest)
        try:
            self._check_files(manifest)
            self._sync(data)
            if check is not None:
                check(staging.new)
            self._check_out()
            self._publish(staging)
            rename.sync_folder(self._out.parent)
        except FileExistsError as error:
            raise self._exists() from error
        except OSError as error:
            raise output_error(error, self._out, needed=len(data)) from error

    def _active(self) -> Staging:
        if self._staging is None:
            raise RuntimeError("a BundleWriter is used in a with statement")
        return self._staging

    def _checked(self, path: str) -> str:
        fault = path_fault(path)
        if fault is not None:
            raise OutputError(f"Cannot write {path!a} into a bundle: {fault}.")
        return path

    def _check_files(self, manifest: Manifest) -> None:
        strangers = set(disk.scan(self.staging)) - {ref.path for ref in manifest.files}
        if strangers:
            raise disk.fault(min(strangers), "lies in the new bundle and is not named by its manifest")
        for ref in manifest.files:
            disk.check(self.staging, ref, lambda piece: None)

    def _sync(self, data: bytes) -> None:
        # Whoever may read the bundle may read every file; some converters write theirs for their owner alone.
        mode = self.staging.stat().st_mode & 0o666
        for path in disk.scan(self.staging):
            descriptor = os.open(self.staging / path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                if os.fstat(descriptor).st_mode & 0o666 != mode:
                    os.fchmod(descriptor, mode)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        # Last, so that a folder with a manifest is a folder whose files are on the disk.
        with (self.staging / MANIFEST_NAME).open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        for folder, _, _ in os.walk(self.staging, topdown=False):
            rename.sync_folder(Path(folder))

    def _publish(self, staging: Staging) -> None:
        if not os.path.lexists(self._out):
            rename.move(staging.new, self._out)
            return
        if rename.exchange(staging.new, self._out):
            return
        # Not atomic: between the two steps there is no bundle. Staging.close and recover put the old one back.
        self._out.rename(staging.old)
        rename.move(staging.new, self._out)

    def _check_out(self) -> None:
        if not os.path.lexists(self._out):
            return
        reason = self._foreign()
        if not self._overwrite:
            raise self._exists(replaceable=reason is None)
        if reason is not None:
            raise OutputError(
                f"'{self._out}' exists and is not replaced: {reason}.",
                hint="Nothing was changed. Choose another output, or move it out of the way yourself.",
            )

    def _foreign(self) -> str | None:
        # Why replacing `out` might destroy what EdgeBERT did not write.
        if self._out.is_symlink():
            return "it is a symbolic link"
        if not self._out.is_dir():
            return "it is not a folder"
        try:
            manifest = parse_manifest(read_manifest(self._out))
        except BundleError as error:
            return error.message.rstrip(".")
        named = {MANIFEST_NAME, *(ref.path for ref in manifest.files)}
        strangers = set(disk.scan(self._out)) - named
        return f"it holds {min(strangers)!a}, which is not part of the bundle" if strangers else None

    def _exists(self, *, replaceable: bool = False) -> OutputError:
        hint = "Choose another output" + (", or allow it to be replaced (--overwrite)." if replaceable else ".")
        return OutputError(f"'{self._out}' exists already.", hint=hint)
