"""What TensorRT says, kept for the error message: it returns nothing where it fails, and tells its logger why."""

from __future__ import annotations

import re
from collections import deque
from typing import Any, Protocol

from edgebert.errors import BackendError
from edgebert.runtime.nvidia.cudart import MEMORY_HINT, OUT_OF_MEMORY, CudaError

_KEPT = 8
_MEMORY = re.compile(r"out ?of ?memory|insufficient workspace|alloc(ation)? failed", re.IGNORECASE)


class Log(Protocol):
    """A ``tensorrt.ILogger`` that keeps the last errors."""

    def errors(self) -> str:
        """The last errors, one after the other; says so when there are none."""
        ...


def make_log(tensorrt: Any) -> Any:  # noqa: ANN401 - a class of a module that only a device has
    """A logger for the objects of the module ``tensorrt``, which has the method of :class:`Log`.

    It must outlive every object that is made with it. Warnings are left out: a build has hundreds that mean nothing.
    """
    severities = (tensorrt.ILogger.Severity.INTERNAL_ERROR, tensorrt.ILogger.Severity.ERROR)

    class ErrorLog(tensorrt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            tensorrt.ILogger.__init__(self)
            self._errors: deque[str] = deque(maxlen=_KEPT)

        def log(self, severity: object, msg: str) -> None:
            if severity in severities:
                self._errors.append(" ".join(msg.split()).rstrip("."))

        def errors(self) -> str:
            return "; ".join(dict.fromkeys(self._errors)) or "it does not say why"

    return ErrorLog()


def is_about_memory(errors: str) -> bool:
    """Whether what TensorRT said is that memory did not suffice."""
    return _MEMORY.search(errors) is not None


def refusal(log: Log, what: str) -> BackendError:
    """The error for something that TensorRT did not do; a :class:`CudaError` where memory was what it lacked."""
    errors = log.errors()
    if is_about_memory(errors):
        return CudaError(f"TensorRT {what}: {errors}.", hint=MEMORY_HINT, number=OUT_OF_MEMORY)
    return BackendError(
        f"TensorRT {what}: {errors}.", hint="Build the plan again: `edgebert build-plan --force` with the bundle."
    )
