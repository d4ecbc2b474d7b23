"""EdgeBERT: DistilBERT on edge devices, with evidence that it is still the same model.

>>> import edgebert
>>> model = edgebert.load("sst2.edgebert")
>>> model("A charming journey.")
[{'label': 'POSITIVE', 'score': 0.9993}]
"""

from __future__ import annotations

from edgebert._version import __version__
from edgebert.errors import (
    BackendError,
    BackendFallbackWarning,
    BundleError,
    CheckpointError,
    ConversionError,
    DataError,
    EdgebertError,
    GateError,
    InputError,
    IntegrityError,
    ManifestError,
    OptionError,
    OutputError,
    PlanError,
    RankingWarning,
    SelectionError,
    SelfTestError,
    SlowBackendWarning,
    TargetError,
    TrainingError,
)
from edgebert.runtime import Explanation, Model, load

__all__ = [
    "BackendError",
    "BackendFallbackWarning",
    "BundleError",
    "CheckpointError",
    "ConversionError",
    "DataError",
    "EdgebertError",
    "Explanation",
    "GateError",
    "InputError",
    "IntegrityError",
    "ManifestError",
    "Model",
    "OptionError",
    "OutputError",
    "PlanError",
    "RankingWarning",
    "SelectionError",
    "SelfTestError",
    "SlowBackendWarning",
    "TargetError",
    "TrainingError",
    "__version__",
    "load",
]
