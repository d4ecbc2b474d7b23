"""Opening the GPU: NVIDIA's driver first, then the CUDA runtime and TensorRT, and what a plan is bound to here."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from edgebert.bundle.interrupt import hold_interrupt
from edgebert.devices import describe_machine, libcuda
from edgebert.devices.backends import Runtime
from edgebert.devices.gpu import DRIVER, cuda_version
from edgebert.errors import BackendError
from edgebert.runtime.nvidia.cudart import CudaRuntime, find_cudart
from edgebert.runtime.plans.key import PlanKey


@dataclass(frozen=True, slots=True)
class Host:
    """The GPU that this process works on, and what it works with.

    Attributes:
        tensorrt: the module ``tensorrt``.
        version: of TensorRT, as the module says it.
        cuda: the CUDA runtime.
        cuda_driver: the newest CUDA that the driver serves, such as ``12.6``.
        gpu: the GPU's name.
        compute_capability: of the GPU, (major, minor).
    """

    tensorrt: Any
    version: str
    cuda: CudaRuntime
    cuda_driver: str
    gpu: str
    compute_capability: tuple[int, int]

    def key(self, artifact: str, recipe: str) -> PlanKey:
        """What a plan is bound to here, which is made from what has these digests."""
        machine = describe_machine()
        return PlanKey(
            artifact=artifact,
            recipe=recipe,
            gpu=self.gpu,
            compute_capability=self.compute_capability,
            tensorrt=self.version,
            cuda_driver=self.cuda_driver,
            cuda_runtime=self.cuda.version,
            system=machine.system,
            architecture=machine.architecture,
        )


def open_host(runtime: Runtime) -> Host:
    """Ask the driver, in this process, and only when it has a GPU import TensorRT; makes no object of it.

    Call it where :func:`edgebert.devices.gpu.find_gpus`, which keeps a broken driver out of this process, has found a
    GPU. The GPU is the first of CUDA's order; ``CUDA_VISIBLE_DEVICES`` chooses another.

    Raises:
        BackendError: there is no GPU, or TensorRT or the CUDA runtime cannot be loaded.
    """
    told = libcuda.ask(DRIVER)
    if not told["driver"]:
        raise BackendError(
            f"There is no NVIDIA driver ({DRIVER}) on this machine.", hint="`edgebert doctor` tells what it has."
        )
    if told["problem"] is not None or not told["gpus"]:
        reason = told["problem"] or "it finds no GPU"
        raise BackendError(f"The NVIDIA driver cannot be used: {reason}.", hint="`nvidia-smi` may say more.")
    try:
        with hold_interrupt():
            tensorrt = import_module(runtime.module)
    except ImportError as error:  # a shared library that it needs
        raise BackendError(
            f"{runtime.distribution} {runtime.version} cannot be imported: {error}.",
            hint=f"Install it again ({runtime.install}), or let LD_LIBRARY_PATH name the folder of the library.",
        ) from error
    cuda_driver = cuda_version(told["cuda"])
    gpu = told["gpus"][0]
    return Host(
        tensorrt=tensorrt,
        version=str(tensorrt.__version__),
        cuda=CudaRuntime(find_cudart(cuda_driver)),
        cuda_driver=cuda_driver,
        gpu=gpu["name"],
        compute_capability=(gpu["capability"][0], gpu["capability"][1]),
    )
