"""MLPs in integers: the formula, the same in C, and ONNX Runtime's quantizer."""

import itertools
import math

import numpy as np
import pytest
import torch
from helpers import needs
from torch import nn

from evidence import int8
from evidence.benchmark import languages
from kanbook import MLP

WAYS = [*itertools.product((torch.relu, torch.tanh), (8, 16))]


def made(activation, bits, widths=(3, 6, 5, 2), seed=0):
    """An MLP with large and small weights, samples, and its integers."""
    model = MLP([*widths], activation, generator=seed, dtype=torch.float64)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for layer in model:
            if isinstance(layer, nn.Linear):
                sizes = torch.logspace(-1, 0.5, layer.out_features).double()
                layer.weight.mul_(sizes[:, None])
                layer.bias.copy_(torch.randn(layer.out_features, generator=generator))
    x = 2 * torch.rand(400, widths[0], generator=generator, dtype=torch.float64) - 1
    return model, x, int8.to_integers(model, x, bits=bits)


def one_by_one(integers, row):
    """The outputs for one row in Python's integers, as the documentation has them."""
    values = [int(number) for number in row]
    for layer in integers.layers:
        sums = [
            int(b) + sum(int(w) * v for w, v in zip(weights, values, strict=True))
            for weights, b in zip(layer.weight, layer.bias, strict=True)
        ]
        assert all(abs(a) < 2**31 for a in sums)
        values = sums if layer.multiplier is None else []
        turned = () if layer.multiplier is None else zip(layer.multiplier, layer.shift, strict=True)
        for a, (m, s) in zip(sums, turned, strict=layer.multiplier is not None):
            size = abs(a) if integers.tanh else max(a, 0)
            place = min((size * int(m) + 2 ** (int(s) - 1)) // 2 ** int(s), layer.last)
            if integers.tanh:
                k, r = divmod(place, 1024)
                low, high = (int(int8.TANH[j]) for j in (k, k + 1))
                place = low + (high - low) * r // 1024
                place = place if integers.bits == 16 else (place + 128) // 256
                place = -place if a < 0 else place
            values.append(place)
    return values


@pytest.mark.parametrize("activation, bits", WAYS)
def test_integers_are_those_of_the_formula(activation, bits):
    _, x, integers = made(activation, bits)
    q = integers.scale_inputs(x[:50])
    assert q.min() >= 0 and q.max() <= 2**bits - 1
    y = integers.run(q)
    assert y.dtype == np.int32 and y.tolist() == [one_by_one(integers, row) for row in q]


@pytest.mark.parametrize("activation, bits", WAYS)
def test_numbers_are_those_of_the_rounded_weights(activation, bits):
    model, x, integers = made(activation, bits)
    exact = model(x).detach().numpy()
    linear = [layer for layer in model if isinstance(layer, nn.Linear)]
    for layer, whole in zip(linear, integers.layers, strict=True):
        most = layer.weight.detach().abs().amax(1, keepdim=True)
        scale = most / 127 if whole.multiplier is not None else most.max() / 127
        rounded = torch.from_numpy(whole.weight.astype(float)) * scale
        assert (rounded - layer.weight).abs().max() <= 0.5001 * scale.max()
        layer.weight.data = rounded
    y, spread = integers.predict(x), exact.std()
    off = np.sqrt(np.mean((y - model(x).detach().numpy()) ** 2)) / spread  # by activations alone
    assert off < (0.02 if bits == 8 else 1e-3)
    assert np.sqrt(np.mean((y - exact) ** 2)) / spread < 0.03
    assert off > 0 and integers.predict(10 * x).max() < 1e3  # far inputs are cut off


@needs("cc")
@pytest.mark.parametrize("activation, bits", WAYS)
def test_c_gives_the_same_integers(activation, bits):
    _, _, integers = made(activation, bits)
    random = np.random.default_rng(0)
    q = random.integers(0, 2**bits, (5000, 3), dtype=np.int32)
    q[:8] = [*itertools.product((0, 2**bits - 1), repeat=3)]
    text = integers.to_c("kan") + "enum { kan_inputs = 3, kan_outputs = 2 };\n"
    y = languages.run_text(text, q, "-Wno-conversion", "-fsanitize=undefined")
    assert np.array_equal(y, integers.run(q))


def test_lines_for_tanh_are_close_to_it():
    h, v = 5 / 64, np.linspace(0, 5, 6400, endpoint=False)
    k = (v / h).astype(int)
    line = int8.TANH[k] + (int8.TANH[k + 1] - int8.TANH[k]) * (v / h - k)
    off = line / (127 * 256) - np.tanh(v)
    assert np.sqrt(np.mean(off**2)) < 1e-4 and np.abs(off).max() < 4e-4
    assert off.mean() < 2e-5 and 1 - math.tanh(5) < 1e-4


def test_bytes_are_those_of_all_numbers():
    _, _, integers = made(torch.relu, 8)
    nodes, weights = 6 + 5, 18 + 30 + 10
    assert integers.nbytes == weights + 4 * (nodes + 2) + 5 * nodes
    assert made(torch.tanh, 16)[2].nbytes == integers.nbytes + 2 * 65
    plane = MLP([3, 1], generator=0, dtype=torch.float64)
    x = torch.rand(9, 3).double()
    assert int8.to_integers(plane, x).nbytes == 3 + 4


def test_dead_nodes_and_large_biases_do_no_harm():
    model, x, _ = made(torch.relu, 8)
    with torch.no_grad():
        model[0].weight[0] = 0
        model[0].bias[0] = 0
        model[2].weight[1] = 1e-9
        model[2].bias[1] = 3
    for bits in (8, 16):
        integers = int8.to_integers(model, x, bits=bits)
        exact = model(x).detach().numpy()
        assert np.abs(integers.predict(x) - exact).max() < 0.1 * np.abs(exact).max()


def test_other_activations_are_refused():
    with pytest.raises(ValueError, match="expected tanh or ReLU"):
        int8.to_integers(MLP([2, 3, 1], torch.sin, generator=0), torch.rand(5, 2))


def test_weights_and_errors_are_those_of_onnx_runtime(tmp_path):
    onnx = pytest.importorskip("onnx")
    quantization = pytest.importorskip("onnxruntime.quantization")
    import onnxruntime

    model, x, integers = made(torch.relu, 8, (3, 8, 8, 1), 1)
    linear = [layer for layer in model if isinstance(layer, nn.Linear)]
    nodes, numbers, before = [], [], "x"
    for n, layer in enumerate(linear):
        for name, value in (("w", layer.weight), ("b", layer.bias)):
            array = value.detach().numpy().astype(np.float32)
            numbers.append(onnx.numpy_helper.from_array(array, f"{name}{n}"))
        parts = [before, f"w{n}", f"b{n}"]
        nodes.append(onnx.helper.make_node("Gemm", parts, [f"a{n}"], name=f"gemm{n}", transB=1))
        before = f"a{n}"
        if layer is not linear[-1]:
            nodes.append(onnx.helper.make_node("Relu", [before], [f"h{n}"], name=f"relu{n}"))
            before = f"h{n}"
    kind = onnx.TensorProto.FLOAT
    ends = [onnx.helper.make_tensor_value_info(*end) for end in (("x", kind, ["n", 3]),)]
    out = [onnx.helper.make_tensor_value_info(before, kind, ["n", 1])]
    graph = onnx.helper.make_graph(nodes, "mlp", ends, out, numbers)
    opset = [onnx.helper.make_opsetid("", 17)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=8), tmp_path / "a")
    given = x.numpy().astype(np.float32)

    class Reader(quantization.CalibrationDataReader):
        left = [{"x": given}]

        def get_next(self):
            return self.left.pop() if self.left else None

    quantization.quantize_static(
        tmp_path / "a",
        tmp_path / "b",
        Reader(),
        per_channel=True,
        weight_type=quantization.QuantType.QInt8,
        activation_type=quantization.QuantType.QUInt8,
    )
    stored = onnx.load(tmp_path / "b").graph.initializer
    theirs = {one.name: onnx.numpy_helper.to_array(one) for one in stored}
    for n, layer in enumerate(integers.layers):
        assert np.abs(theirs[f"w{n}_quantized"].astype(int) - layer.weight).max() <= 1
        assert (theirs[f"w{n}_quantized"] == layer.weight).mean() > 0.98  # but for halves
    session = onnxruntime.InferenceSession(tmp_path / "b", providers=["CPUExecutionProvider"])
    y, exact = session.run(None, {"x": given})[0], model(x).detach().numpy()
    ours, others = (np.sqrt(np.mean((p - exact) ** 2)) for p in (integers.predict(x), y))
    assert 0.5 * others < ours < 1.2 * others  # its output is rounded, too
