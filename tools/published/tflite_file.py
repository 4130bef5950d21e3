"""A TFLite file, read and run: its convolutions' weights, and what the file itself answers, by Google's interpreter."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Convolution:
    """One convolution of a file: the name of its kernel, the kernel in torch's order of axes, the bias."""

    name: str
    weight: Tensor
    bias: Tensor


def convolutions(content: bytes) -> list[Convolution]:
    """Return the convolutions of a file in the order in which they run; their weights are stored in half precision.

    A kernel lies as out × rows × columns × in, a depthwise one as 1 × rows × columns × channels. The one operator that
    is not TFLite's own is MediaPipe's transposed convolution, out × rows × columns × in as well.
    """
    import tflite

    model = tflite.Model.GetRootAsModel(content, 0)
    graph = model.Subgraphs(0)
    order = {
        tflite.BuiltinOperator.CONV_2D: (0, 3, 1, 2),
        tflite.BuiltinOperator.DEPTHWISE_CONV_2D: (3, 0, 1, 2),
        tflite.BuiltinOperator.CUSTOM: (3, 0, 1, 2),
    }
    halves, found = {}, []
    for index in range(graph.OperatorsLength()):
        operator = graph.Operators(index)
        code = model.OperatorCodes(operator.OpcodeIndex())
        kind = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        if kind == tflite.BuiltinOperator.DEQUANTIZE:
            stored = graph.Tensors(operator.Inputs(0))
            content = model.Buffers(stored.Buffer()).DataAsNumpy().tobytes()
            values = np.frombuffer(content, "<f2").reshape(stored.ShapeAsNumpy())
            halves[operator.Outputs(0)] = torch.from_numpy(values.copy())
        if kind in order:
            kernel, bias = operator.Inputs(1), operator.Inputs(2)
            name = graph.Tensors(kernel).Name().decode()
            found.append(Convolution(name, halves[kernel].permute(order[kind]).contiguous(), halves[bias]))
    return found


def run(content: bytes, picture: Tensor) -> dict[str, Tensor]:
    """Return what a file answers for a picture, 1×3×H×W: its outputs by name, as they are stored there.

    The interpreter is ai-edge-litert, which shares no code with torch.
    """
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content, num_threads=1)
    interpreter.allocate_tensors()
    (given,) = interpreter.get_input_details()
    interpreter.set_tensor(given["index"], np.ascontiguousarray(picture.permute(0, 2, 3, 1).numpy()))
    interpreter.invoke()
    return {one["name"]: torch.tensor(interpreter.get_tensor(one["index"])) for one in interpreter.get_output_details()}
