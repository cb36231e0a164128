r"""MLPs in integers: eight bits a weight, as most runtimes for small chips have them.

Weights are symmetric, with a scale for each hidden node; activations are calibrated on samples;
sums have 32 bits. A hidden node's sum becomes an activation by a multiplier of 32 bits and a shift.

Source: Jacob et al., "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference" (CVPR 2018), section 2, but with a scale for each hidden
node where they have one a layer, as became usual later.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from kanbook.networks import Activation

LINES, REACH = 64, 5.0  # of the table of tanh, over its half of the range
PLACE = 10  # bits of the place between two of its entries
TOP = 127 * 256  # what stands for tanh = 1; without the last eight bits, 127
TANH = np.tanh(REACH / LINES * np.arange(LINES + 1))
# Lines between values lie below the curve, by h^2 / 12 times its second derivative in the mean.
TANH = np.rint(TOP * (TANH + (REACH / LINES) ** 2 / 6 * TANH * (1 - TANH**2))).astype(np.int32)


@dataclass(frozen=True, eq=False)
class IntegerLayer:
    r"""A layer of sums, from integers q, shape (N, I), to integers, shape (N, O).

    With :math:`a = b + W q`, a node without ``multiplier`` m gives a; ReLU, with the shift s,

    .. math:: \min(\lfloor (\max(a, 0) \, m + 2^{s-1}) / 2^s \rfloor, \mathrm{last})

    and tanh takes that of |a| as a place in its table, in which it interpolates, and the sign of a.

    Attributes:
        weight: shape (O, I), int8.
        bias: shape (O,), int32.
        multiplier, shift: shape (O,), int32 and uint8; None for the last layer.
        last: the largest place in the table of tanh, or the largest output.
    """

    weight: np.ndarray
    bias: np.ndarray
    multiplier: np.ndarray | None = None
    shift: np.ndarray | None = None
    last: int = 0


@dataclass(frozen=True, eq=False)
class IntegerMLP:
    """An MLP in integers, which :func:`to_integers` makes.

    Attributes:
        layers: an :class:`IntegerLayer` for each.
        bits: of an activation, 8 or 16.
        tanh: whether that is the activation; else it is ReLU.
        low, step: an input q stands for the number low + step q.
        unit: an output y stands for the number unit y.
    """

    layers: list[IntegerLayer]
    bits: int
    tanh: bool
    low: float
    step: float
    unit: float

    @property
    def nbytes(self) -> int:
        """Bytes that weights, biases, multipliers, shifts and the table of tanh take."""
        parts = [(one.weight, one.bias, one.multiplier, one.shift) for one in self.layers]
        numbers = sum(part.nbytes for layer in parts for part in layer if part is not None)
        return numbers + 2 * len(TANH) * (self.tanh and len(self.layers) > 1)

    def scale_inputs(self, x: Tensor) -> np.ndarray:
        """The integers, int32, nearest to numbers x, both (N, I); the ends for those beyond."""
        q = (x.detach().double().numpy() - self.low) / self.step
        return np.rint(q).clip(0, 2**self.bits - 1).astype(np.int32)

    def run(self, q: np.ndarray) -> np.ndarray:
        """The outputs (N, O), int32, for inputs q, integers (N, I)."""
        q = np.asarray(q, np.int64)
        for layer in self.layers:
            q = layer.bias + q @ layer.weight.T.astype(np.int64)
            if layer.multiplier is not None:
                sums = np.abs(q) if self.tanh else q.clip(0)
                half = np.int64(1) << (layer.shift.astype(np.int64) - 1)
                place = sums * layer.multiplier + half >> layer.shift.astype(np.int64)
                place = place.clip(max=layer.last)
                q = np.where(q < 0, -1, 1) * self._tanh(place) if self.tanh else place
        return q.astype(np.int32)

    def _tanh(self, place: np.ndarray) -> np.ndarray:
        k, r = place >> PLACE, place & (1 << PLACE) - 1
        y = TANH[k] + ((TANH[k + 1] - TANH[k]) * r >> PLACE)
        return y if self.bits == 16 else y + 128 >> 8

    def predict(self, x: Tensor) -> np.ndarray:
        """The outputs (N, O), float64, for numbers x, (N, I)."""
        return self.run(self.scale_inputs(x)) * self.unit

    def to_c(self, name: str = "mlp") -> str:
        """It as C99, ``void mlp(const int32_t *x, int32_t *y)``, bit for bit as ``run``."""
        text = ["#include <stdint.h>"]
        if self.tanh and len(self.layers) > 1:
            text.append(_array("uint16_t", "tanh_table", TANH))
        calls, before = [], "x"
        for n, layer in enumerate(self.layers):
            parts = {"int8_t": ("w", layer.weight), "int32_t": ("b", layer.bias)}
            text += [_array(kind, f"{letter}{n}", v) for kind, (letter, v) in parts.items()]
            outputs, inputs = layer.weight.shape
            hidden = layer.multiplier is not None
            after = f"h{n}" if hidden else "y"
            finish = ""
            if hidden:
                text += [_array("int32_t", f"m{n}", layer.multiplier)]
                text += [_array("uint8_t", f"s{n}", layer.shift)]
                calls.append(f"int32_t h{n}[{outputs}];")
                finish = self._finish(n, layer.last)
            calls.append(LOOP % (outputs, n, inputs, n, inputs, before, finish, after))
            before = after
        body = "\n".join(calls)
        return "\n".join([*text, f"void {name}(const int32_t *x, int32_t *y)\n{{\n{body}\n}}\n"])

    def _finish(self, n: int, last: int) -> str:
        size = "a < 0 ? -a : a" if self.tanh else "a < 0 ? 0 : a"
        lines = [f"uint64_t p = (uint64_t)({size}) * (uint32_t)m{n}[o];"]
        lines.append(f"p = (p + ((uint64_t)1 << (s{n}[o] - 1))) >> s{n}[o];")
        lines.append(f"const int32_t u = p > {last} ? {last} : (int32_t)p;")
        if not self.tanh:
            return "\n        ".join([*lines, "a = u;"])
        lines.append(f"const int32_t k = u >> {PLACE}, r = u & {(1 << PLACE) - 1};")
        lines.append("int32_t t = tanh_table[k + 1] - tanh_table[k];")
        lines.append(f"t = tanh_table[k] + (t * r >> {PLACE});")
        if self.bits == 8:
            lines.append("t = (t + 128) >> 8;")
        return "\n        ".join([*lines, "a = a < 0 ? -t : t;"])


LOOP = """    for (int o = 0; o < %d; o++) {
        int32_t a = b%d[o];
        for (int i = 0; i < %d; i++)
            a += w%d[%d * o + i] * %s[i];
        %s
        %s[o] = a;
    }"""


def _array(kind: str, name: str, values: np.ndarray) -> str:
    numbers = ", ".join(map(str, np.asarray(values).ravel().tolist()))
    return f"static const {kind} {name}[] = {{{numbers}}};"


@torch.no_grad()
def to_integers(model: nn.Sequential, x: Tensor, *, bits: int = 16) -> IntegerMLP:
    """Make integers of a trained MLP, calibrated on samples x (N, I) of its inputs.

    The last layer has one scale for all outputs, so that these can be compared; its sums stay as
    they are.

    Args:
        model: ``nn.Linear`` layers with ReLU or tanh between them, as ``kanbook.MLP``.
        bits: of an activation, 8 or 16.
    """
    linear = [layer for layer in model if isinstance(layer, nn.Linear)]
    functions = {layer.function for layer in model if isinstance(layer, Activation)}
    if not functions <= {torch.relu} and not functions <= {torch.tanh}:
        raise ValueError(f"model has activations {functions}; expected tanh or ReLU")
    tanh, values, levels = torch.tanh in functions, x.double(), 2**bits - 1
    low = values.min().item()
    step = max((values.max().item() - low) / levels, 2.0**-40)
    zero, unit, layers = low, step, []
    for layer in linear:
        weight, bias = layer.weight.double(), layer.bias.double()
        scale = torch.maximum(weight.abs().amax(1) / 127, bias.abs() / (2**30 * unit))
        hidden = layer is not linear[-1]
        scale = (scale if hidden else scale.max().expand_as(scale)).clamp(min=1e-30)
        rounded = (weight / scale[:, None]).round()
        bias = bias / scale + zero * rounded.sum(1)  # of the first layer, q = 0 is not 0
        own = [rounded.numpy().astype(np.int8), (bias / unit).round().numpy().astype(np.int32)]
        if not hidden:
            layers.append(IntegerLayer(*own))
            break
        values = values @ layer.weight.double().T + layer.bias.double()
        if tanh:
            after, last = REACH / (LINES << PLACE), (LINES << PLACE) - 1
            values = values.tanh()
        else:
            values = values.relu()
            after, last = max(values.max().item() / levels, 2.0**-40), levels
        fraction, exponent = np.frexp((scale * unit / after).numpy())
        shift = 31 - exponent
        multiplier = np.rint(fraction * 2**31).clip(max=2**31 - 1) * (shift < 63)
        turned = multiplier.astype(np.int32), shift.clip(1, 62).astype(np.uint8)
        layers.append(IntegerLayer(*own, *turned, last))
        zero, unit = 0.0, (1 / (127 if bits == 8 else TOP)) if tanh else after
    return IntegerMLP(layers, bits, tanh, low, step, (scale * unit)[0].item())
