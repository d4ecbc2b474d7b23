"""OpenVINO on the CPU."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from edgebert.bundle.interrupt import hold_interrupt
from edgebert.bundle.schema import Artifact, Shapes
from edgebert.devices.backends import Runtime
from edgebert.runtime.engines.base import (
    EngineFacts,
    Execution,
    Operator,
    Tensors,
    cast_inputs,
    count_operators,
    only_file,
)

if TYPE_CHECKING:
    from openvino import ConstOutput

_NOT_EXECUTED = ("Const", "Input", "Output")


def import_openvino() -> ModuleType:
    """``import openvino`` without its usage statistics.

    Importing the package imports its conversion tools, and these send an event over the network and write a client id
    into the home directory if ``openvino_telemetry`` is installed, which pip does by default
    (``openvino/tools/ovc/__init__.py``). When that package cannot be imported they fall back to a stub that does
    nothing, so it is hidden while they load.
    """
    name = "openvino_telemetry"
    if "openvino" in sys.modules or name in sys.modules:
        import openvino
    else:
        sys.modules[name] = None  # type: ignore[assignment]  # the documented way to make an import fail
        try:
            with hold_interrupt():
                import openvino
        finally:
            del sys.modules[name]
    return openvino  # type: ignore[no-any-return]


class OpenVinoEngine:
    """An OpenVINO IR, compiled for the CPU with one stream of ``threads`` threads.

    Activations are computed in float32: left alone, the CPU plugin takes bfloat16 or float16 where the CPU has them,
    and answers differ from one machine to the next. Each concurrent call has an infer request of its own; requests
    are reused.
    """

    def __init__(self, artifact: Artifact, files: list[Path], threads: int, runtime: Runtime) -> None:
        ov = import_openvino()
        path = only_file(files, ".xml", artifact.id)
        settings = {
            "INFERENCE_PRECISION_HINT": "f32",
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
            "INFERENCE_NUM_THREADS": threads,
        }
        self._compiled = ov.Core().compile_model(path, "CPU", settings)
        self._dtypes = {_input_name(port): port.get_element_type().to_dtype() for port in self._compiled.inputs}
        self._outputs = [port.get_names() for port in self._compiled.outputs]
        self._idle: list[Any] = []
        self.shapes: Shapes = artifact.shapes
        precision = self._compiled.get_property("INFERENCE_PRECISION_HINT")
        self.facts = EngineFacts(
            artifact=artifact.id,
            backend="openvino",
            distribution=runtime.distribution,
            version=str(runtime.version),
            threads=int(self._compiled.get_property("INFERENCE_NUM_THREADS")),
            device=", ".join(self._compiled.get_property("EXECUTION_DEVICES")),
            details={
                "inference precision": precision.get_type_name(),
                "streams": str(self._compiled.get_property("NUM_STREAMS")),
            },
        )

    def run(self, inputs: Tensors) -> dict[str, NDArray[Any]]:
        """See :meth:`edgebert.runtime.engines.base.Engine.run`."""
        feeds = cast_inputs(inputs, self._dtypes, self.facts.artifact)
        try:
            request = self._idle.pop()  # list.pop and list.append are atomic: no lock is needed
        except IndexError:
            request = self._compiled.create_infer_request()
        results = request.infer(feeds, share_inputs=True, share_outputs=False)
        outputs = {name: results[index] for index, names in enumerate(self._outputs) for name in names}
        self._idle.append(request)  # a request whose run failed is not used again
        return outputs

    def execution(self, inputs: Tensors) -> Execution:
        """See :meth:`edgebert.runtime.engines.base.ArtifactEngine.execution`.

        Kernels for free dimensions are chosen while running, so that one run precedes. A kernel that the plugin does
        not name (``unknown``) is one that moves data or works in place.
        """
        self.run(inputs)
        operators = []
        for node in self._compiled.get_runtime_model().get_ops():
            told = {key: node.get_rt_info()[key].astype(str) for key in ("layerType", "primitiveType")}
            if told["layerType"] in _NOT_EXECUTED:
                continue
            given, made = (
                " x ".join(name for port in ports if (name := port.get_element_type().get_type_name()) != "dynamic")
                for ports in (node.inputs(), node.outputs())
            )
            operators.append(Operator(1, told["layerType"], f"{given} -> {made}", told["primitiveType"]))
        return Execution(count_operators(operators))

    def close(self) -> None:
        """See :meth:`edgebert.runtime.engines.base.Engine.close`."""
        self._idle.clear()
        del self._compiled


def _input_name(port: ConstOutput) -> str:
    """A tensor bears the names of all the tensors that were folded into it; the input's own is that of its node."""
    name: str = port.get_node().get_friendly_name()
    return name if name in port.get_names() else port.get_any_name()
