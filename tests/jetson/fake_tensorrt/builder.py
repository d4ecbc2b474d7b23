"""``Builder`` and ``IBuilderConfig``: what each version asks for before it builds, and what a build does."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from typing import Any

from tests.jetson.fake_tensorrt import driver
from tests.jetson.fake_tensorrt.events import note, told
from tests.jetson.fake_tensorrt.layers import choose_types, layer_reports
from tests.jetson.fake_tensorrt.network import Network, OptimizationProfile
from tests.jetson.fake_tensorrt.plan import PlanHeader, dump_plan, dump_timings, load_timings
from tests.jetson.fake_tensorrt.strict import Api, complain

_LOW_PRECISIONS = {"HALF": "FP16", "INT8": "INT8", "BF16": "BF16"}


class HostMemory:
    """``IHostMemory``."""

    def __init__(self, api: Api, data: bytes) -> None:
        self.data = data
        self.nbytes = len(data)
        self.dtype = api.enum("DataType", "INT8")


class TimingCache:
    """``ITimingCache``."""

    def __init__(self, api: Api, device: dict[str, Any], entries: dict[str, str]) -> None:
        self._api = api
        self.device = device
        self.entries = entries

    def serialize(self) -> Any:
        return self._api.show("IHostMemory", HostMemory(self._api, dump_timings(self.device, self.entries)))

    def combine(self, input_cache: Any, ignore_mismatch: bool) -> bool:
        other: TimingCache = input_cache._fake
        if other.device != self.device and not ignore_mismatch:
            return False
        self.entries.update(other.entries)
        return True

    def reset(self) -> bool:
        self.entries.clear()
        return True


class Config:
    """``IBuilderConfig``."""

    def __init__(self, api: Api, logger: Any) -> None:
        self._api = api
        self._logger = logger
        tf32 = api.enum("BuilderFlag", "TF32")
        self.flags = 1 << int(tf32)  # on from the start, as in the real one
        self.pools: dict[str, int] = {}
        self.features: set[str] = set()
        self.profiles: list[OptimizationProfile] = []
        self.cache: Any = None
        self.progress_monitor: Any = None
        self.profiling_verbosity = api.enum("ProfilingVerbosity", "LAYER_NAMES_ONLY")
        self.builder_optimization_level = 3
        self.max_aux_streams = -1
        self.avg_timing_iterations = 1
        self.engine_capability = api.enum("EngineCapability", "STANDARD")
        self.hardware_compatibility_level = api.enum("HardwareCompatibilityLevel", "NONE")
        self.default_device_type = api.enum("DeviceType", "GPU")

    @property
    def num_optimization_profiles(self) -> int:
        return len(self.profiles)

    def set_flag(self, flag: Any) -> None:
        self.flags |= 1 << int(flag)

    def clear_flag(self, flag: Any) -> None:
        self.flags &= ~(1 << int(flag))

    def get_flag(self, flag: Any) -> bool:
        return bool(self.flags & (1 << int(flag)))

    def has(self, flag: str) -> bool:
        member = self._api.enum("BuilderFlag", flag)
        return member is not None and self.get_flag(member)

    def flag_names(self) -> list[str]:
        return [name for name in self._api.module.BuilderFlag.__members__ if self.has(name)]

    def set_memory_pool_limit(self, pool: Any, pool_size: int) -> None:
        self.pools[pool.name] = int(pool_size)

    def get_memory_pool_limit(self, pool: Any) -> int:
        return self.pools.get(pool.name, 0)

    def set_preview_feature(self, feature: Any, enable: bool) -> None:
        (self.features.add if enable else self.features.discard)(feature.name)

    def get_preview_feature(self, feature: Any) -> bool:
        return feature.name in self.features

    def add_optimization_profile(self, profile: Any) -> int:
        fake: OptimizationProfile = profile._fake
        if not fake.shapes:
            complain(self._logger, "ERROR", "3: Optimization profile is not valid: it has no shapes")
            return -1
        self.profiles.append(fake)
        return len(self.profiles) - 1

    def create_timing_cache(self, serialized_timing_cache: Any) -> Any:
        data = _bytes(serialized_timing_cache)
        device, entries = _device(self._api), {}
        if data:
            try:
                device, entries = load_timings(data)
            except ValueError as error:
                complain(self._logger, "ERROR", f"1: [serialization.cpp] Error Code 1: Serialization ({error})")
                return None
            if device["version"] != self._api.version:
                text = "the timing cache was made by another version of TensorRT"
                complain(self._logger, "ERROR", f"1: [serialization.cpp] Error Code 1: Serialization ({text})")
                return None
        return self._api.show("ITimingCache", TimingCache(self._api, device, entries))

    def set_timing_cache(self, cache: Any, ignore_mismatch: bool) -> bool:
        if cache._fake.device != _device(self._api) and not ignore_mismatch:
            complain(self._logger, "ERROR", "3: the timing cache was made on another device")
            return False
        self.cache = cache
        return True

    def get_timing_cache(self) -> Any:
        return self.cache


class Builder:
    """``Builder``. Without a driver the real one complains, and its constructor raises."""

    def __init__(self, api: Api, logger: Any) -> None:
        note("Builder")
        code = driver.problem()
        if code:
            driver.complain_of_driver(logger, code)
            raise TypeError("pybind11::init(): factory function returned nullptr")
        self._api = api
        self.logger = logger
        self.error_recorder: Any = None
        self.max_threads = 0
        self.platform_has_tf32 = self.platform_has_fast_fp16 = self.platform_has_fast_int8 = True
        self.max_DLA_batch_size = self.num_DLA_cores = 0

    def create_network(self, flags: int = 0) -> Any:
        names = self._api.module.NetworkDefinitionCreationFlag.__members__
        chosen = [name for name, flag in names.items() if int(flags) & (1 << int(flag))]
        note("create_network", flags=chosen)
        return self._api.show("INetworkDefinition", Network(self._api, self._shown(), int(flags)))  # type: ignore[attr-defined]

    def create_builder_config(self) -> Any:
        return self._api.show("IBuilderConfig", Config(self._api, self.logger))

    def create_optimization_profile(self) -> Any:
        return self._api.show("IOptimizationProfile", OptimizationProfile(self._api))

    def build_serialized_network(self, network: Any, config: Any) -> Any:
        return _Build(self._api, self.logger, network._fake, config._fake).run()


class _Build:
    """One build."""

    def __init__(self, api: Api, logger: Any, network: Network, config: Config) -> None:
        self._api = api
        self._logger = logger
        self._network = network
        self._config = config

    def run(self) -> Any:
        network, config = self._network, self._config
        constraints = {layer.name: layer.precision.name for layer in network.layers if layer.precision_is_set}
        output_types = {
            layer.outputs[index].name: kind.name
            for layer in network.layers
            for index, kind in layer.output_types.items()
        }
        facts = {
            "flags": config.flag_names(),
            "preview": sorted(config.features),
            "strongly_typed": network.strongly_typed,
            "workspace": config.pools.get("WORKSPACE"),
            "verbosity": config.profiling_verbosity.name,
            "profiles": [profile.shapes for profile in config.profiles],
            "precisions": constraints,
            "output_types": output_types,
        }
        wrong = next(self._wrong(), None)
        if wrong is not None:
            note("build", **facts, error=wrong)
            complain(self._logger, "ERROR", wrong)
            return None
        if told("crash-build"):
            note("build", **facts, error="killed")
            os.kill(os.getpid(), signal.SIGKILL)
        kinds = choose_types(network, config)
        reused, timed = self._time(kinds)
        if not self._go_through():
            note("build", **facts, error="cancelled")
            return None
        gpu, capability = driver.gpu()
        assert network.model is not None
        header = PlanHeader(
            version=self._api.version,
            gpu=gpu,
            capability=list(capability),
            strongly_typed=network.strongly_typed,
            shares_profiles=self._api.major >= 10 or "PROFILE_SHARING_0806" in config.features,
            verbosity=config.profiling_verbosity.name,
            workspace=config.pools.get("WORKSPACE", 0),
            flags=config.flag_names(),
            profiles=[profile.shapes for profile in config.profiles],
            constraints=constraints,
            layers=layer_reports(network, kinds, config.profiling_verbosity.name == "DETAILED"),
        )
        plan = dump_plan(header, network.model.SerializeToString())
        note("build", **facts, error=None, timings_reused=reused, timings_made=timed, bytes=len(plan))
        return self._api.show("IHostMemory", HostMemory(self._api, plan))

    def _wrong(self) -> Iterator[str]:
        """Why the real builder would refuse, in its words as far as they are known."""
        network, config = self._network, self._config
        if not network.layers or not network.outputs:
            yield "4: [network.cpp::validate::2882] Error Code 4: Internal Error (Network must have at least one output)"
        if network.strongly_typed:
            for name in ("FP16", "INT8", "BF16", "FP8", "OBEY_PRECISION_CONSTRAINTS", "PREFER_PRECISION_CONSTRAINTS"):
                if config.has(name):
                    yield f"3: [builder.cpp] Error Code 3: API Usage Error (BuilderFlag {name} with a strongly typed network)"
            if any(layer.precision_is_set or layer.output_types for layer in network.layers):
                yield "3: [network.cpp] Error Code 3: API Usage Error (precision set in a strongly typed network)"
        else:
            yield from self._wrong_types()
        yield from self._wrong_profiles()
        if told("oom-build"):
            text = "Requested amount of GPU memory (1073741824 bytes) could not be allocated. There may not be enough"
            complain(self._logger, "WARNING", f"{text} free memory for allocation to succeed.")
            complain(
                self._logger, "ERROR", "2: [virtualMemoryBuffer.cpp::resizePhysical::140] Error Code 2: OutOfMemory"
            )
            yield "10: [optimizer.cpp::computeCosts::3869] Error Code 10: Internal Error (Could not find any implementation)"

    def _wrong_types(self) -> Iterator[str]:
        # A weakly typed network may hold what the flags do not allow only where nothing computes with it.
        for layer in self._network.layers:
            asked = {layer.precision.name} if layer.precision_is_set else set()
            asked |= {kind.name for kind in layer.output_types.values()}
            asked |= {output.kind for output in layer.outputs if layer.kind not in ("CONSTANT", "CAST", "QUANTIZE")}
            for kind in sorted(asked & set(_LOW_PRECISIONS)):
                if not self._config.has(_LOW_PRECISIONS[kind]):
                    what = _LOW_PRECISIONS[kind].lower()
                    yield (
                        f"4: [network.cpp::validate::3015] Error Code 4: Internal Error ({what} precision has been set "
                        f"for a layer or layer output, but {what} is not configured in the builder)"
                    )
            for index, kind in layer.output_types.items():
                is_float = layer.outputs[index].kind in ("FLOAT", "HALF", "BF16")
                if is_float != (kind.name in ("FLOAT", "HALF", "BF16")):
                    yield f"4: [network.cpp::validate] Error Code 4: {layer.name}: output {index} cannot have type {kind.name}"
        if any(layer.kind in ("QUANTIZE", "DEQUANTIZE") for layer in self._network.layers) and not self._config.has(
            "INT8"
        ):
            yield "4: [network.cpp::validate] Error Code 4: Internal Error (Network has Q/DQ layers, but int8 is not configured)"

    def _wrong_profiles(self) -> Iterator[str]:
        dynamic = [one for one in self._network.inputs if any(size < 0 for size in one.sizes)]
        if dynamic and not self._config.profiles:
            yield (
                "4: [network.cpp::validate::3071] Error Code 4: Internal Error (Network has dynamic or shape inputs, but "
                "no optimization profile has been defined.)"
            )
        for profile in self._config.profiles:
            for one in dynamic:
                if one.name not in profile.shapes:
                    yield f"4: [network.cpp::validate] Error Code 4: input {one.name} is missing in the optimization profile"
                for shape in profile.shapes.get(one.name, []):
                    fixed = one.sizes
                    if len(shape) != len(fixed) or any(a not in (-1, b) for a, b in zip(fixed, shape, strict=True)):
                        yield f"4: [network.cpp::validate] Error Code 4: {one.name}: profile shape {shape} does not fit {fixed}"

    def _time(self, kinds: dict[str, str]) -> tuple[int, int]:
        """How many timings the cache had, and how many it had not, which it has from now on."""
        if self._config.cache is None or self._config.has("DISABLE_TIMING_CACHE"):
            return 0, len(self._network.layers)
        entries = self._config.cache._fake.entries
        wanted = {
            f"{layer.kind} {[kinds[one.name] for one in layer.outputs]} {[one.sizes for one in layer.outputs]}"
            for layer in self._network.layers
        }
        missing = wanted - set(entries)
        entries.update(dict.fromkeys(sorted(missing), "0x1"))
        return len(wanted) - len(missing), len(missing)

    def _go_through(self) -> bool:
        """Tells the monitor of the steps, as the real one: phases in phases. Whether it lets the build end."""
        monitor = self._config.progress_monitor
        steps = 8
        pause = float(os.environ.get("FAKE_TENSORRT_BUILD_S", "0")) / (2 * steps)
        outer, inner = "Building Engine", "Computing profile costs"
        phases = [(outer, None)] + [
            (f"{inner} [{index}]", outer) for index in range(max(1, len(self._config.profiles)))
        ]
        goes_on, begun = True, []
        for name, parent in phases:
            if monitor is not None:
                monitor.phase_start(name, parent, steps)
            begun.append(name)
            for step in range(steps if goes_on else 0):
                while told("hang-build"):
                    time.sleep(0.05)
                time.sleep(pause / len(phases))
                if monitor is not None and monitor.step_complete(name, step) is False:
                    goes_on = False
                    break
            if not goes_on:
                break
        for name in reversed(begun):
            if monitor is not None:
                monitor.phase_finish(name)
        return goes_on


def _bytes(data: Any) -> bytes:
    fake = getattr(data, "_fake", None)
    return bytes(data) if fake is None else fake.data


def _device(api: Api) -> dict[str, Any]:
    gpu, capability = driver.gpu()
    return {"version": api.version, "gpu": gpu, "capability": list(capability)}


CLASSES: dict[str, Any] = {"Builder": Builder}
