"""int8 with a scale per channel: right in ai-edge-litert, zeros in tflite-runtime 2.14. Run it in the first, then both.

python tflite_zeros.py FOLDER
"""

import sys
from pathlib import Path

import numpy as np

try:
    import flatbuffers
    from ai_edge_litert import schema_py_generated as tfl
    from ai_edge_litert.interpreter import Interpreter
except ImportError:  # the old runtime: it runs the files that the new one's schema wrote
    from tflite_runtime.interpreter import Interpreter

rng = np.random.default_rng(0)
weights, scales = rng.integers(-127, 128, (4, 8), np.int8), rng.uniform(0.01, 0.02, 4).astype(np.float32)
x, ids = rng.normal(size=(2, 8)).astype(np.float32), np.array([3, 1], np.int32)
cases = {"FULLY_CONNECTED": (x, x @ (weights.T * scales)), "EMBEDDING_LOOKUP": (ids, weights[ids] * scales[ids, None])}
for kind, (given, wanted) in cases.items():
    file = Path(sys.argv[1], f"{kind}.tflite")
    if "tfl" in globals():
        make = lambda table, **fields: vars(made := getattr(tfl, table + "T")()).update(fields) or made  # noqa: E731
        channels = make("QuantizationParameters", scale=scales, zeroPoint=np.zeros(4, np.int64))
        tensors = [make("Tensor", name="given", shape=given.shape, type=0 if kind == "FULLY_CONNECTED" else 2)]
        tensors += [make("Tensor", name="weights", shape=weights.shape, type=9, buffer=1, quantization=channels)]
        tensors += [make("Tensor", name="out", shape=wanted.shape, type=0)]
        code = make("OperatorCode", builtinCode=getattr(tfl.BuiltinOperator, kind), version=3)
        code.deprecatedBuiltinCode = code.builtinCode
        one = make("SubGraph", tensors=tensors, inputs=[0], outputs=[2])
        one.operators = [make("Operator", inputs=[0, 1], outputs=[2])]
        buffers = [make("Buffer"), make("Buffer", data=weights.view(np.uint8).ravel())]
        builder = flatbuffers.Builder()
        model = make("Model", version=3, operatorCodes=[code], subgraphs=[one], buffers=buffers)
        builder.Finish(model.Pack(builder), b"TFL3")
        file.write_bytes(builder.Output())
    interpreter = Interpreter(str(file))
    interpreter.allocate_tensors()
    interpreter.set_tensor(0, given)
    interpreter.invoke()
    legacy = [detail["quantization"] for detail in interpreter.get_tensor_details()[1:2]]
    print(f"{kind}: the one scale and zero point of the weights, as older kernels read them, are {legacy[0]}")
    print("  numpy  ", wanted.astype(float).round(2).tolist())
    print("  runtime", interpreter.get_tensor(2).astype(float).round(2).tolist())
