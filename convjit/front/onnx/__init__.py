"""Networks in ONNX: their convolutions by convjit's kernels in a chosen arithmetic, everything else by ONNX Runtime.

    model = convjit.front.onnx.load("net.onnx", arithmetic="i8", calibration=[x])
    y = model.run(x)
    print(model.compare(x).table())

Needs the packages `onnx` and `onnxruntime`. docs/onnx.md is the guide.
"""

from convjit.front.onnx.compare import Comparison as Comparison
from convjit.front.onnx.layers import Layer as Layer
from convjit.front.onnx.model import Model as Model
from convjit.front.onnx.model import load as load

__all__ = ["Comparison", "Layer", "Model", "load"]
