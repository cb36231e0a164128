"""The KAN layer: a learnable curve on every edge, a sum at every output."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

import torch
from torch import Tensor, nn

from . import splines
from ._checks import (
    as_generator,
    check_dtype,
    check_features,
    check_flag,
    check_integer,
    check_points,
)
from .fast import autocasts, sum_splines

__all__ = ["KANLayer", "TanhLayer"]

# A TanhLayer's values of edges: fewer than FEW are computed the plain way, CHUNK at a time at most.
FEW, CHUNK = 2**15, 2**20


def full_precision(forward: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Make a layer's method compute in the layer's own dtype under ``torch.autocast``.

    On a fine grid autocast's 8 bits of mantissa are too few to tell where in its interval a number
    lies.
    """

    @wraps(forward)
    def run(layer: nn.Module, x: Tensor) -> Tensor:
        if not (isinstance(x, Tensor) and autocasts(x)):
            return forward(layer, x)
        with torch.autocast(x.device.type, enabled=False):
            return forward(layer, x.to(next(layer.parameters()).dtype))

    return run


class SplineLayer(nn.Module):
    """What layers made of splines share: a grid that can change, and be loaded, with its size.

    Attributes:
        degree: degree k of the splines.
        knots: buffer of shape ``(I, G + 2k + 1)``, a knot vector for each input.
        coef: parameter of shape ``(I, O, G + k)``.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        grid_size: int,
        degree: int,
        domain: tuple[float, float],
        device: torch.device | str | None,
        dtype: torch.dtype | None,
    ) -> None:
        super().__init__()
        factory = {"device": device, "dtype": dtype}
        knots = splines.uniform_knots(grid_size, degree, domain, **factory)
        self.degree = degree
        self.register_buffer("knots", knots.repeat(inputs, 1))
        self.coef = nn.Parameter(torch.empty(inputs, outputs, grid_size + degree, **factory))

    @property
    def grid_size(self) -> int:
        """Number of grid intervals G on the domain."""
        return self.knots.shape[-1] - 2 * self.degree - 1

    @property
    def domain(self) -> tuple[Tensor, Tensor]:
        """Its ends for each input, both of shape ``(I,)``."""
        return self.knots[:, self.degree], self.knots[:, -self.degree - 1]

    @torch.no_grad()
    def set_grid(self, knots: Tensor, coef: Tensor) -> None:
        """Take over knots and coefficients of any grid size, as they are, without checks.

        ``coef`` stays the same parameter if its shape does not change. Its gradient is dropped:
        it belonged to the old grid.
        """
        self.knots = knots.clone()
        if coef.shape == self.coef.shape:
            self.coef.copy_(coef)
            self.coef.grad = None
        else:
            self.coef = nn.Parameter(coef.clone(), requires_grad=self.coef.requires_grad)

    def _load_from_state_dict(self, state_dict, prefix, *args) -> None:
        # A grid that has grown: make room for it; PyTorch then copies the numbers.
        knots, coef = (state_dict.get(prefix + name) for name in ("knots", "coef"))
        if isinstance(knots, Tensor) and isinstance(coef, Tensor):
            inputs, outputs, _ = self.coef.shape
            size = coef.shape[-1] - self.degree if coef.ndim == 3 else 0
            shapes = (inputs, size + 2 * self.degree + 1), (inputs, outputs, size + self.degree)
            if size >= 1 and size != self.grid_size and (knots.shape, coef.shape) == shapes:
                self.set_grid(self.knots.new_empty(knots.shape), self.coef.new_empty(coef.shape))
        if prefix + "mask" in state_dict:  # edges that were pruned
            self.mask = torch.empty_like(self.coef[..., 0])
        super()._load_from_state_dict(state_dict, prefix, *args)


@torch.no_grad()
def run_and_record(model: nn.Module, x: Tensor) -> tuple[Tensor, list[tuple[SplineLayer, Tensor]]]:
    """Run a model in evaluation mode; return its output, and what reached its spline layers.

    Returns:
        The output, and a list of (layer, samples of shape (N, I)) in the order of the calls.
    """
    calls: list[tuple[SplineLayer, Tensor]] = []

    def note(layer: SplineLayer, args: tuple, kwargs: dict) -> None:
        inputs = args[0] if args else kwargs["x"]
        calls.append((layer, inputs.reshape(-1, inputs.shape[-1])))

    layers = [module for module in model.modules() if isinstance(module, SplineLayer)]
    hooks = [layer.register_forward_pre_hook(note, with_kwargs=True) for layer in layers]
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        return model(x), calls
    finally:
        for hook in hooks:
            hook.remove()
        for module in training:
            module.training = True


class KANLayer(SplineLayer):
    r"""A layer whose edges are splines: :math:`y_o = \sum_i \varphi_{i,o}(x_i)`.

    With every option off this is the minimal KAN,
    :math:`\varphi_{i,o}(x) = s_{i,o}(x) = \sum_j c_{i,o,j} B_j(x)`. Each option adds one term:

    .. math::
        y_o = \sum_i \bigl( w_{i,o}\, s_{i,o}(x_i) + u_{i,o}\, g(x_i) \bigr) + \beta_o

    with :math:`w` the ``spline_weight``, :math:`g` the ``base`` function, :math:`u` its
    ``base_weight`` and :math:`\beta` the ``bias``.

    **Initialization.** Every edge starts as a straight line, :math:`\varphi_{i,o}(x) = r_{i,o}
    (x - \bar x) + \bar x / I`, with random slopes :math:`r_{i,o} \sim N(0, 1/I)` and
    :math:`\bar x` the center of the domain. A spline is the line :math:`x` when each coefficient
    is the mean of the k knots inside the support of its basis function. So the layer starts as a
    linear layer that keeps the spread of its signal in both directions. Measured on 8 layers of
    width 16 (cubic, inputs uniform on [-1, 1], mean of 5 seeds): the standard deviation of the
    signal goes from 0.58 at the input to 0.45 at the output with G=5 and to 0.36 with G=20; that
    of the gradient grows 1.3 and 7.5 times from output to input. Independent normal coefficients
    of the same output variance keep the signal as well (0.58 and 0.56), but neighboring
    coefficients differ, the curves are steep, and the gradient grows 67 times (G=5) and 3.9
    million times (G=20). ``tests/kanbook/test_layers.py`` holds this experiment. The options start
    as no-ops: bias 0, spline weights 1, base weights 0. Degree 0 is a staircase: no gradient passes
    through it to earlier layers.

    **Saving and loading.** The knots are part of the ``state_dict``. A layer that loads one with
    another grid size takes over that size, with a new parameter ``coef``: load before you make an
    optimizer. :func:`kanbook.grids.update_grid` and :func:`kanbook.grids.extend_grid` change the
    grid.

    **Precision.** Under ``torch.autocast`` the layer keeps to its own dtype.

    **Speed.** ``torch.compile(model)`` makes training faster, after some seconds of compiling: for
    the first batch, once more for a second batch size, and for each new grid size. Inside it there
    are no second derivatives and no ``torch.func`` transforms.

    Args:
        in_features: number of inputs I, at least 1.
        out_features: number of outputs O, at least 1.
        grid_size: number of grid intervals G on the domain.
        degree: degree k of the splines, 0 to 7.
        domain: interval (a, b) on which the knots lie. Beyond it the splines fade to zero.
        bias: add a learnable number to each output.
        spline_weight: multiply each edge's spline by a learnable number.
        base: a function applied to each input, ``torch.nn.functional.silu`` say, that is added to
            each edge with a learnable weight.
        device, dtype: of parameters and knots.
        generator: source of the random numbers, on the same device, or a number to start one from;
            PyTorch's global one if not given.

    Attributes:
        knots: buffer of shape ``(I, G + 2k + 1)``.
        coef: parameter of shape ``(I, O, G + k)``.
        spline_weight, base_weight: parameters of shape ``(I, O)``, or None.
        bias: parameter of shape ``(O,)``, or None.
        mask: buffer of shape ``(I, O)``, 0 for edges that are missing and 1 for the others, or
            None: all are there. :func:`kanbook.formulas.prune` takes edges away.

    Shape:
        ``(..., I)`` to ``(..., O)``.

    Raises:
        TypeError, ValueError: an argument is of the wrong type or out of range; in ``forward``, x
            has another last dimension, dtype or device than the layer.

    Example:
        >>> layer = KANLayer(2, 3, grid_size=4)
        >>> layer(torch.zeros(10, 2)).shape
        torch.Size([10, 3])

    Source: Liu et al., "KAN: Kolmogorov-Arnold Networks" (2024), section 2. In the book: chapter 3.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        grid_size: int = 5,
        degree: int = 3,
        domain: tuple[float, float] = (-1.0, 1.0),
        bias: bool = False,
        spline_weight: bool = False,
        base: Callable[[Tensor], Tensor] | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        generator: int | torch.Generator | None = None,
    ) -> None:
        check_integer("in_features", in_features, 1)
        check_integer("out_features", out_features, 1)
        check_flag("bias", bias)
        check_flag("spline_weight", spline_weight)
        if base is not None and not callable(base):
            raise TypeError(f"base={base!r}; expected a function of a tensor, or None")
        super().__init__(in_features, out_features, grid_size, degree, domain, device, dtype)
        self.in_features = in_features
        self.out_features = out_features
        self.base = base
        edges, factory = (in_features, out_features), {"device": device, "dtype": dtype}
        self.spline_weight = nn.Parameter(torch.empty(edges, **factory)) if spline_weight else None
        self.base_weight = nn.Parameter(torch.empty(edges, **factory)) if base is not None else None
        self.bias = nn.Parameter(torch.empty(out_features, **factory)) if bias else None
        self.register_buffer("mask", None)
        self.reset_parameters(generator)

    @torch.no_grad()
    def reset_parameters(self, generator: int | torch.Generator | None = None) -> None:
        """Make every edge a straight line of random slope, and every option a no-op."""
        generator = as_generator(generator, self.coef.device)
        a, b = self.domain
        center = ((a + b) / 2).unsqueeze(1)
        # The coefficients of the line x: the mean of the k knots inside each support.
        if self.degree == 0:
            line = (self.knots[:, :-1] + self.knots[:, 1:]) / 2
        else:
            line = self.knots[:, 1:-1].unfold(-1, self.degree, 1).mean(-1)
        slope = torch.empty_like(self.coef[..., :1])
        slope.normal_(0, self.in_features**-0.5, generator=generator)
        self.coef.copy_(
            slope * (line - center).unsqueeze(1) + (center / self.in_features).unsqueeze(1)
        )
        if self.spline_weight is not None:
            self.spline_weight.fill_(1)
        if self.base_weight is not None:
            self.base_weight.zero_()
        if self.bias is not None:
            self.bias.zero_()

    @full_precision
    def forward(self, x: Tensor) -> Tensor:
        check_points(x, self.knots)
        coef = self.coef
        for weight in (self.spline_weight, self.mask):
            if weight is not None:
                coef = coef * weight.unsqueeze(-1)
        y = sum_splines(x, coef, self.knots, self.degree)
        if self.base_weight is not None:
            base, weight = self._base(x), self._masked(self.base_weight)
            y = torch.addmm(y, base, weight) if base.ndim == 2 else y + base @ weight
        if self.bias is not None:
            y = y + self.bias
        return y

    def _masked(self, edges: Tensor) -> Tensor:
        return edges if self.mask is None else edges * self.mask

    def fixed_numbers(self) -> int:
        """How many numbers belong to edges that are missing."""
        if self.mask is None:
            return 0
        weights = sum(w is not None for w in (self.spline_weight, self.base_weight))
        return int((self.mask == 0).sum()) * (self.coef.shape[-1] + weights)

    @torch.no_grad()
    def jacobian(self, x: Tensor, slopes: Tensor) -> Tensor:
        """Return how a number that depends on the outputs changes with the layer's own parameters.

        A coefficient's derivative is its basis function's value times the slope in the output.

        Args:
            x: inputs, shape ``(N, I)``.
            slopes: derivatives of the number in the layer's outputs, shape ``(N, O)``.

        Returns:
            Shape ``(N, P)``, in the order of ``parameters()``; those of a ``base`` are not the
            layer's own.
        """
        bias = slopes
        slopes = self._masked(slopes.unsqueeze(1).expand(-1, self.in_features, -1))  # (N, I, O)
        one = torch.eye(self.coef.shape[-1]).to(x).unsqueeze(0)  # of each basis function
        pairs = zip(x.split(1, 1), self.knots.split(1), strict=True)
        bases = torch.stack([sum_splines(v, one, t, self.degree) for v, t in pairs], 1)  # (N, I, n)
        weighted = slopes if self.spline_weight is None else slopes * self.spline_weight
        parts = [weighted.unsqueeze(-1) * bases.unsqueeze(-2)]  # (N, I, O, n)
        if self.spline_weight is not None:
            parts.append(torch.einsum("nij,ioj->nio", bases, self.coef) * slopes)
        if self.base_weight is not None:
            parts.append(self._base(x).unsqueeze(-1) * slopes)
        if self.bias is not None:
            parts.append(bias)
        return torch.cat([part.flatten(1) for part in parts], 1)

    @full_precision
    def edges(self, x: Tensor) -> Tensor:
        """Return every edge function's value, shape ``(..., I, O)``; 0 for a missing edge.

        The sum over the inputs, plus the bias if there is one, is the layer's output.
        """
        check_points(x, self.knots)
        bases = splines.cox_de_boor(x, self.knots, self.degree)
        phi = torch.einsum("...in,ion->...io", bases, self.coef)
        if self.spline_weight is not None:
            phi = phi * self.spline_weight
        if self.base_weight is not None:
            phi = phi + self._base(x).unsqueeze(-1) * self.base_weight
        return self._masked(phi)

    def _base(self, x: Tensor) -> Tensor:
        value = self.base(x)
        if not isinstance(value, Tensor):
            raise TypeError(f"base returned a {type(value).__name__}; expected a torch.Tensor")
        if (value.shape, value.dtype) != (x.shape, x.dtype):
            raise ValueError(
                f"base returned {value.dtype} of shape {tuple(value.shape)}; expected {x.dtype} of "
                f"shape {tuple(x.shape)}, as its argument x"
            )
        return value

    def extra_repr(self) -> str:
        parts = [f"{self.in_features}, {self.out_features}"]
        parts.append(f"grid_size={self.grid_size}, degree={self.degree}")
        parts += [
            f"{name}=True" for name in ("bias", "spline_weight") if getattr(self, name) is not None
        ]
        if self.base is not None:
            parts.append(f"base={getattr(self.base, '__name__', type(self.base).__name__)}")
        return ", ".join(parts)


class TanhLayer(nn.Module):
    r"""A KAN layer without splines: every edge is a tanh of a parabola through the origin.

    .. math::
        y_o = \sum_i \tanh(a_{i,o}\, x_i^2 + b_{i,o}\, x_i) + \beta_o

    with two numbers per edge, and the ``bias`` :math:`\beta` only if it is asked for. Every edge
    is 0 at x = 0, so a network of such layers without biases is 0 there too, whatever it learned.

    ``tanh="sum"`` takes one tanh at every node instead, after the sum,
    :math:`y_o = \tanh(\sum_i (a_{i,o}\, x_i^2 + b_{i,o}\, x_i) + \beta_o)`, and ``tanh=None``
    takes none: the edges are parabolas, and the layer is two matrix products.

    With ``tanh="edge"`` it computes a value for every edge of every sample, and keeps them all
    while it is trained: memory for batch * I * O numbers on a CPU, for several times as many
    elsewhere. Without gradients, a CPU holds those of a part of the batch at a time.

    **Initialization.** :math:`b_{i,o} \sim N(0, 1/I)` and :math:`a_{i,o} \sim N(0, 1/(16 I))`: near
    zero an edge is the line :math:`b x`, so the layer starts close to a linear layer that keeps
    the spread of its signal, with a slight curvature that makes no two edges mirror images.
    Measured on 8 layers of width 16 (inputs uniform on [-1, 1], mean of 5 seeds): the standard
    deviation of the signal goes from 0.58 at the input to 0.50 at the output; that of the gradient
    is 0.95 times as large at the input as at the output. With a as wide as b the signal grows to
    1.9 and the gradient 12 times; with standard normal a and b, to 3.2 and 600 times. A tanh of
    the sum shrinks the signal more, so there :math:`b_{i,o} \sim N(0, 4/(3I))`: the signal of a
    :class:`~kanbook.networks.TanhKAN` goes to 0.41, the gradient 0.93 times; with 1/I to 0.23 and
    0.46 times. Many layers without any tanh are a polynomial of high degree, and may explode.
    ``tests/kanbook/test_layers.py`` holds this experiment. The bias starts as 0.

    Args:
        in_features: number of inputs I, at least 1.
        out_features: number of outputs O, at least 1.
        bias: add a learnable number to each output, or to the sum inside its tanh.
        tanh: where it is taken: at every ``"edge"``, of the ``"sum"``, or nowhere, None.
        device, dtype, generator: as :class:`KANLayer`.

    Attributes:
        a, b: parameters of shape ``(I, O)``.
        bias: parameter of shape ``(O,)``, or None.

    Shape:
        ``(..., I)`` to ``(..., O)``.

    Raises:
        TypeError, ValueError: an argument is of the wrong type or out of range; in ``forward``, x
            has another last dimension, dtype or device than the layer.

    Example:
        >>> layer = TanhLayer(2, 3)
        >>> layer(torch.zeros(1, 2)).shape, layer.edges(torch.zeros(1, 2)).shape
        (torch.Size([1, 3]), torch.Size([1, 2, 3]))

    Source of ``"sum"``: the code of Casey Primozic's post "Exploring the Kolmogorov-Arnold Network"
    (2024). In the book: chapter 12.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        bias: bool = False,
        tanh: str | None = "edge",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        generator: int | torch.Generator | None = None,
    ) -> None:
        super().__init__()
        check_integer("in_features", in_features, 1)
        check_integer("out_features", out_features, 1)
        check_flag("bias", bias)
        if tanh not in ("edge", "sum", None):
            raise ValueError(f"tanh={tanh!r}; expected 'edge', 'sum' or None")
        check_dtype(dtype)
        factory = {"device": device, "dtype": dtype}
        self.in_features = in_features
        self.out_features = out_features
        self.tanh = tanh
        self.a = nn.Parameter(torch.empty(in_features, out_features, **factory))
        self.b = nn.Parameter(torch.empty(in_features, out_features, **factory))
        self.bias = nn.Parameter(torch.empty(out_features, **factory)) if bias else None
        self.reset_parameters(generator)

    @torch.no_grad()
    def reset_parameters(self, generator: int | torch.Generator | None = None) -> None:
        """Make every edge nearly a straight line of random slope, and the bias 0."""
        generator = as_generator(generator, self.a.device)
        self.a.normal_(0, self.in_features**-0.5 / 4, generator=generator)
        gain = (4 / 3) ** 0.5 if self.tanh == "sum" else 1
        self.b.normal_(0, gain * self.in_features**-0.5, generator=generator)
        if self.bias is not None:
            self.bias.zero_()

    def forward(self, x: Tensor) -> Tensor:
        # The backward pass of autocast would round products.
        products = isinstance(x, Tensor) and not autocasts(x)
        if products and self.tanh != "edge":
            y = self._sum_parabolas(x)
        elif (
            products
            and not torch.compiler.is_compiling()
            and x.device.type == "cpu"
            and self.out_features > 1  # products with vectors: slower
            and x.numel() * self.out_features >= FEW
        ):
            y = self._sum_products(x)
        else:
            y = self._sum_edges(x)
        y = y if self.bias is None else y + self.bias
        return torch.tanh(y) if self.tanh == "sum" else y

    def _sum_parabolas(self, x: Tensor) -> Tensor:
        check_features(x, self.in_features, "a", self.a)
        y = x @ self.b
        return torch.addmm(y, x**2, self.a) if x.ndim == 2 else y + x**2 @ self.a

    @full_precision
    def _sum_edges(self, x: Tensor) -> Tensor:
        return self.edges(x).sum(-2)

    def _sum_products(self, x: Tensor) -> Tensor:
        """The same by way of matrix products.

        The parabolas of an input are the matrix product of its powers, (batch, 2), and of the
        numbers a and b, (2, O); their gradients are products, too. A part of the batch at a time
        stays in the processor's cache.
        """
        check_features(x, self.in_features, "a", self.a)
        powers = torch.stack([x**2, x], -1).view(-1, self.in_features, 2).transpose(0, 1)
        weights = torch.stack([self.a, self.b], 1)  # (I, 2, O)
        rows = max(1, CHUNK // self.a.numel())
        y = torch.cat([(part @ weights).tanh_().sum(0) for part in powers.split(rows, 1)])
        return y.view(*x.shape[:-1], self.out_features)

    @torch.no_grad()
    def jacobian(self, x: Tensor, slopes: Tensor) -> Tensor:
        """As :meth:`KANLayer.jacobian`."""
        if self.tanh == "sum":
            slopes = slopes * (1 - self(x).square())
        inside = slopes.unsqueeze(1)
        if self.tanh == "edge":
            inside = inside * (1 - self.edges(x).square())  # (N, I, O)
        x = x.unsqueeze(-1)
        parts = [inside * x**2, inside * x] + ([] if self.bias is None else [slopes])
        return torch.cat([part.flatten(1) for part in parts], 1)

    @full_precision
    def edges(self, x: Tensor) -> Tensor:
        """Return every edge function's value, shape ``(..., I, O)``.

        The sum over the inputs, plus the bias if there is one, is the layer's output, or with
        ``tanh="sum"`` what the tanh is taken of.
        """
        check_features(x, self.in_features, "a", self.a)
        x = x.unsqueeze(-1)
        parabolas = self.a * x**2 + self.b * x
        return torch.tanh(parabolas) if self.tanh == "edge" else parabolas

    def extra_repr(self) -> str:
        bias = "" if self.bias is None else ", bias=True"
        tanh = "" if self.tanh == "edge" else f", tanh={self.tanh!r}"
        return f"{self.in_features}, {self.out_features}{bias}{tanh}"
