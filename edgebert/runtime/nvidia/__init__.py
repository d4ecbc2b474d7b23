"""The GPU of this process: its driver, the CUDA runtime, and TensorRT. Nothing of them is loaded by importing this.

TensorRT is given nothing to do before NVIDIA's driver has answered: TensorRT 8.6 ends the process where there is none.
"""

from edgebert.runtime.nvidia.cudart import CudaError, CudaRuntime
from edgebert.runtime.nvidia.host import Host, open_host

__all__ = ["CudaError", "CudaRuntime", "Host", "open_host"]
