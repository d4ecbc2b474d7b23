"""A benchmark's report as a run of an experiment tracker: Weights & Biases, or MLflow.

Both are optional (``edgebert[wandb]``, ``edgebert[mlflow]``), and imported only when a report goes there. Where it goes
is the tracker's affair: its own environment variables and settings say which server, folder or database.
"""

from __future__ import annotations

from edgebert.bench.tracking.record import Record, make_record
from edgebert.bench.tracking.trackers import TRACKERS, Tracker, open_tracker

__all__ = ["TRACKERS", "Record", "Tracker", "make_record", "open_tracker"]
