"""A convolution in ONNX Runtime: on NCHW arrays, and in the order that its own kernels like best."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from convjit.bench import onnx_model
from convjit.bench.candidate import BLOCKED, Array, Arrays, Builder, Candidate, channels_first, library, output_shape
from convjit.errors import Unavailable
from convjit.runtime.detect import host
from convjit.runtime.placement import aligned, empty
from convjit.spec.conv import ConvSpec

NCHWC = "com.microsoft.nchwc"
"""The domain of the operators on blocks of channels, [N, C/b, H, W, b]."""


def versions() -> str:
    """ONNX Runtime's version."""
    return str(library("onnxruntime").__version__)


def builders(spec: ConvSpec, given: Arrays, threads: int) -> dict[str, Builder]:
    """With all optimisations it reorders to blocks and back; without those of the order it does not; `blocked` is what it
    runs between two reorderings."""
    runtime = library("onnxruntime")
    arrays = channels_first(spec, given)
    levels, model = runtime.GraphOptimizationLevel, _model(spec, arrays)
    made: dict[str, Builder] = {
        "onnxruntime": partial(_plain, runtime, spec, model, arrays[0], threads, levels.ORT_ENABLE_ALL),
        "onnxruntime unblocked": partial(_plain, runtime, spec, model, arrays[0], threads, levels.ORT_ENABLE_EXTENDED),
    }
    if len(spec.spatial) == 2 and not spec.then:
        made[f"onnxruntime{BLOCKED}"] = partial(_blocked, runtime, spec, model, arrays[0], threads)
    return made


def _model(spec: ConvSpec, arrays: tuple[Array, Array, Array | None]) -> bytes:
    x, w, bias = arrays
    attributes = onnx_model.window(spec.stride, spec.dilation, spec.pad, spec.groups)
    constants = {"w": w, "b": bias} if bias is not None else {"w": w}
    return onnx_model.convolution(x.shape, output_shape(spec), constants, attributes, relu=bool(spec.then))


def _values(onnx: Any, *described: tuple[str, tuple[int, ...]]) -> list[Any]:
    kind = onnx.TensorProto.FLOAT
    return [onnx.helper.make_tensor_value_info(name, kind, shape) for name, shape in described]


def session(runtime: Any, model: bytes, threads: int, level: Any, save: str = "") -> Any:
    """Ready to run, optimised up to a level; what came of that is stored where `save` says."""
    options = runtime.SessionOptions()
    options.intra_op_num_threads, options.graph_optimization_level = threads, level
    options.log_severity_level = 3  # it warns of every optimised model that it saves
    if save:
        options.optimized_model_filepath = save
    return runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _plain(runtime: Any, spec: ConvSpec, model: bytes, x: Array, threads: int, level: Any) -> Candidate:
    call, out = bound(session(runtime, model, threads, level), x, output_shape(spec))
    return Candidate(call, lambda: _after(call, out), lambda: out.fill(np.nan))


def bound(made: Any, x: Array, shape: tuple[int, ...], dtype: type[np.generic] = np.float32) -> tuple[Any, Array]:
    """A call of a session on fixed memory, in which nothing is allocated or copied; and the output's memory."""
    out = empty(shape, dtype)
    binding = made.io_binding()
    binding.bind_cpu_input(made.get_inputs()[0].name, x)
    binding.bind_output(made.get_outputs()[0].name, "cpu", 0, dtype, shape, out.ctypes.data)
    return partial(_run, made, binding, x), out


def _run(made: Any, binding: Any, _x: Array) -> None:
    made.run_with_iobinding(binding)


def _after(call: Any, out: Array) -> Array:
    call()
    return out


def _blocked(runtime: Any, spec: ConvSpec, model: bytes, x: Array, threads: int) -> Candidate:
    """The optimised graph without what reorders at its ends; the input is reordered beforehand."""
    onnx = library("onnx")
    levels = runtime.GraphOptimizationLevel
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "optimised.onnx"
        session(runtime, model, threads, levels.ORT_ENABLE_ALL, str(path))
        graph = onnx.load(str(path))
    nodes = {node.op_type: node for node in graph.graph.node if node.domain == NCHWC}
    if "Conv" not in nodes:
        raise Unavailable.of("ONNX Runtime does not take this convolution to blocks of channels.")
    convolution, held = nodes["Conv"], list(graph.graph.initializer)
    block = _block()
    oc = -(-int(spec.out_channels) // block) * block
    n, _, *space = output_shape(spec)
    if "ReorderInput" in nodes:
        x = _to_blocks(x, block)
    shape = (n, oc, *space)
    values = _values(onnx, (convolution.input[0], x.shape), (convolution.output[0], shape))
    inner = onnx.helper.make_graph([convolution], "conv", values[:1], values[1:], held)
    bare = onnx.helper.make_model(inner, opset_imports=graph.opset_import, ir_version=graph.ir_version)
    call, out = bound(session(runtime, bare.SerializeToString(), threads, levels.ORT_DISABLE_ALL), x, shape)
    channels = int(spec.out_channels)

    def result() -> Array:
        return _from_blocks(_after(call, out), block)[:, :channels]

    return Candidate(call, result, lambda: out.fill(np.nan), blocked=True)


def _block() -> int:
    """Channels of a block: 16 with AVX-512, 8 otherwise. The runtime's own choice, from the processor that it sees."""
    return 16 if host().runs(["avx512f"]) else 8


def _to_blocks(x: Array, block: int) -> Array:
    """NCHW to [N, C/b, H, W, b], under NCHW's shape."""
    n, c, h, w = x.shape
    parts = x.reshape(n, c // block, block, h, w).transpose(0, 1, 3, 4, 2)
    return aligned(parts).reshape(x.shape)


def _from_blocks(y: Array, block: int) -> Array:
    """And back."""
    n, c, h, w = y.shape
    parts = y.reshape(n, c // block, h, w, block).transpose(0, 1, 4, 2, 3)
    return np.ascontiguousarray(parts).reshape(y.shape)
