"""The bundles of a cascade: each in a folder of the one before it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

from edgebert.bundle import MANIFEST_NAME, Bundle, Cascade, open_bundle
from edgebert.errors import BundleError


def open_bigger(bundle: Bundle, cascade: Cascade) -> Bundle:
    """The bigger bundle inside a bundle.

    Raises:
        BundleError: it cannot be read, is not the one that was measured, or answers another question.
    """
    name = f"{cascade.bundle}/{MANIFEST_NAME}"
    bundle.verify(ref for ref in cascade.files if ref.path == name)
    bigger = open_bundle(bundle.path / cascade.bundle)
    if bigger.manifest.task != bundle.manifest.task:
        raise BundleError(
            f"'{bundle.path}' is a cascade of two tasks: {_task(bundle)}, and {_task(bigger)} in '{cascade.bundle}'.",
            hint="Make it again with `edgebert cascade`, of bundles with the same task and labels.",
        )
    return bigger


def stages(bundle: Bundle) -> Iterator[tuple[str, Bundle]]:
    """A bundle, then the bigger ones behind it: the folder of each, relative to the first (empty for itself).

    Raises:
        BundleError: as :func:`open_bigger`.
    """
    folder = PurePosixPath()
    while True:
        yield ("" if folder == PurePosixPath() else f"{folder}/"), bundle
        cascade = bundle.manifest.cascade
        if cascade is None:
            return
        folder /= cascade.bundle
        bundle = open_bigger(bundle, cascade)


def _task(bundle: Bundle) -> str:
    task = bundle.manifest.task
    return f"{task.name} with the labels {', '.join(task.labels[:8])}"
