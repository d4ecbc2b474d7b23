"""The trackers: each gives its library one record, as that library's own examples do."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from edgebert.bench.tracking.record import Record
from edgebert.errors import OutputError

_GROUP = "edgebert"
"""The project or experiment of a run, where the tracker's own environment variable names none."""


class Tracker:
    """One tracker, its library imported.

    Args:
        name: one of :data:`TRACKERS`.
        library: its module.
    """

    def __init__(self, name: str, library: Any) -> None:  # noqa: ANN401 (a module)
        self.name = name
        self._library = library

    def log(self, record: Record) -> str:
        """Log the record as a run of its own.

        Returns:
            Where the run is, as the tracker says it.

        Raises:
            OutputError: the tracker refused; its reason is in the message.
        """
        with tempfile.TemporaryDirectory(prefix="edgebert-log-") as folder:
            paths = []
            for name, content in record.files.items():
                path = Path(folder, name)
                path.write_bytes(content)
                paths.append(path)
            try:
                return _LOGGERS[self.name](self._library, record, paths)
            except Exception as error:  # whatever a library, its server or its disk raises
                reason = " ".join(str(error).split()) or type(error).__name__
                raise OutputError(
                    f"The report was not logged to {self.name}: {reason.rstrip('.')}.",
                    hint=f"Check what {self.name} needs, its variables and its server, and log the report again.",
                ) from error


def open_tracker(name: str) -> Tracker:
    """The tracker of this name, before anything is measured for it.

    Args:
        name: one of :data:`TRACKERS`.

    Raises:
        OutputError: its library is not installed.
    """
    try:
        return Tracker(name, import_module(name))
    except ImportError as error:
        raise OutputError(
            f"Logging to {name} needs a package that cannot be imported: {error}.",
            hint=f'Install it: pip install "edgebert[{name}]"',
        ) from error


def _log_to_wandb(wandb: Any, record: Record, paths: list[Path]) -> str:  # noqa: ANN401
    # An argument would win over the variable.
    project = None if os.environ.get("WANDB_PROJECT") else _GROUP
    run = wandb.init(
        project=project,
        name=record.name,
        job_type="benchmark",
        config=dict(record.config),
        settings={"quiet": True},  # not all figures once more on the terminal
    )
    try:
        run.log(dict(record.metrics))
        # Not as an artifact: offline, its files lie in the user's cache until the run is synced, and a run's folder
        # that is brought from a device to be synced elsewhere would lack them.
        for path in paths:
            shutil.copy(path, run.dir)
            run.save(str(Path(run.dir, path.name)), base_path=run.dir, policy="now")
    except BaseException:
        run.finish(exit_code=1)
        raise
    run.finish()
    return str(Path(run.dir).parent if run.offline else run.url)


def _log_to_mlflow(mlflow: Any, record: Record, paths: list[Path]) -> str:  # noqa: ANN401
    if not (os.environ.get("MLFLOW_EXPERIMENT_NAME") or os.environ.get("MLFLOW_EXPERIMENT_ID")):
        mlflow.set_experiment(_GROUP)
    # The context ends the run as failed when something is raised.
    with mlflow.start_run(run_name=record.name) as run:
        mlflow.log_params(dict(record.config))
        mlflow.log_metrics(dict(record.metrics))
        for path in paths:
            mlflow.log_artifact(str(path))
        return f"run {run.info.run_id} in {mlflow.get_tracking_uri()}"


_LOGGERS: Mapping[str, Callable[[Any, Record, list[Path]], str]] = {"wandb": _log_to_wandb, "mlflow": _log_to_mlflow}

TRACKERS = tuple(_LOGGERS)
"""The names of the trackers, which are also those of their modules and extras."""
