"""The KAN layer: a learnable curve on every edge, a sum at every output."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps

import torch
from torch import Tensor, nn

from . import splines
from ._checks import as_generator, check_function, check_integer, check_points
from .fast import autocasts, sum_splines

__all__ = ["KANLayer"]


def full_precision(forward: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Make a layer's method compute in the layer's own dtype under ``torch.autocast``."""

    @wraps(forward)
    def in_own_dtype(layer: nn.Module, x: Tensor) -> Tensor:
        if not (isinstance(x, Tensor) and autocasts(x)):
            return forward(layer, x)
        with torch.autocast(x.device.type, enabled=False):
            return forward(layer, x.to(next(layer.parameters()).dtype))

    return in_own_dtype


class SplineLayer(nn.Module):
    """What layers made of splines share: a grid that can change, and be loaded, with its size.

    Attributes:
        degree: degree k of the splines.
        knots: buffer of shape ``(I, G + 2k + 1)``, a knot vector for each input.
        coef: parameter of shape ``(I, O, G + k)``.
        clamp: whether inputs beyond the domain count as its nearest end.
    """

    clamp = False

    def __init__(self, inputs, outputs, grid_size, degree, domain, **factory) -> None:
        super().__init__()
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

    def within(self, x: Tensor) -> Tensor:
        """What x, shape ``(..., I)``, counts as."""
        return x.clamp(*self.domain) if self.clamp else x

    @torch.no_grad()
    def set_grid(self, knots: Tensor, coef: Tensor) -> None:
        """Take over knots and coefficients as they are; ``coef`` stays the parameter if it fits."""
        self.knots = knots.clone()
        if coef.shape == self.coef.shape:
            self.coef.copy_(coef)
            self.coef.grad = None  # it belonged to the old grid
        else:
            self.coef = nn.Parameter(coef.clone(), requires_grad=self.coef.requires_grad)

    def _load_from_state_dict(self, state_dict, prefix, *args) -> None:
        # A grid that has grown: make room for it; PyTorch then copies the numbers, or refuses.
        coef = state_dict.get(prefix + "coef")
        if isinstance(coef, Tensor) and coef.shape[:-1] == self.coef.shape[:-1]:
            knots = self.knots.new_empty(len(coef), coef.shape[-1] + self.degree + 1)
            if knots.shape != self.knots.shape:
                self.set_grid(knots, self.coef.new_empty(coef.shape))
        if prefix + "mask" in state_dict:  # edges that were pruned
            self.mask = torch.empty_like(self.coef[..., 0])
        super()._load_from_state_dict(state_dict, prefix, *args)


def named_spline_layers(model: nn.Module) -> dict[str, SplineLayer]:
    """The spline layers of a model by name, which is the same where the model is compiled."""
    return {
        name.replace("_orig_mod.", ""): module
        for name, module in model.named_modules()
        if isinstance(module, SplineLayer)
    }


@contextmanager
def uncompiled(model: nn.Module) -> Iterator[None]:
    """Run a model's compiled modules as plain Python: inside ``torch.compile`` hooks are silent."""
    kept = []
    for module in model.modules():
        if hasattr(module, "_orig_mod"):  # torch.compile(module)
            kept.append((module, "forward", module.forward))
            module.forward = module._orig_mod.__call__
        elif module._compiled_call_impl is not None:  # module.compile()
            kept.append((module, "_compiled_call_impl", module._compiled_call_impl))
            module._compiled_call_impl = None
    try:
        yield
    finally:
        for module, name, compiled in kept:
            setattr(module, name, compiled)


@torch.no_grad()
def run_and_record(model: nn.Module, x: Tensor) -> tuple[Tensor, list[tuple[SplineLayer, Tensor]]]:
    """Run a model in evaluation mode; return its output, and each (layer, samples (N, I))."""
    calls: list[tuple[SplineLayer, Tensor]] = []

    def note(layer: SplineLayer, args: tuple, kwargs: dict) -> None:
        calls.append((layer, samples_of(args, kwargs)))

    layers = named_spline_layers(model).values()
    hooks = [layer.register_forward_pre_hook(note, with_kwargs=True) for layer in layers]
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        with uncompiled(model):
            return model(x), calls
    finally:
        for hook in hooks:
            hook.remove()
        for module in training:
            module.training = True


def samples_of(args: tuple, kwargs: dict) -> Tensor:
    """What a hook of a layer is told, as samples of its inputs, shape (N, I)."""
    x = args[0] if args else kwargs["x"]
    return x.reshape(-1, x.shape[-1])


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
    :math:`\bar x` the center of the domain: a linear layer that keeps the spread of its signal in
    both directions. The options start as no-ops. Degree 0 passes no gradient on.

    **Loading.** The knots are part of the ``state_dict``. A layer that loads one with another grid
    size takes over that size, with a new parameter ``coef``: load before you make an optimizer.

    **Precision and speed.** Under ``torch.autocast`` the layer keeps to its own dtype. Inside
    ``torch.compile`` there are no second derivatives and no ``torch.func`` transforms.

    Args:
        in_features, out_features: numbers of inputs I and outputs O.
        grid_size, degree: number of grid intervals G on the domain, degree k of the splines, 0-7.
        domain: interval (a, b) on which the knots lie. Beyond it the splines fade to zero, so that
            what the layer gives there is no prediction of anything.
        clamp: beyond the domain, let splines keep the values of its ends; a base function goes on.
        bias: add a learnable number to each output.
        spline_weight: multiply each edge's spline by a learnable number.
        base: a function applied to each input, ``torch.nn.functional.silu`` say, that is added to
            each edge with a learnable weight.
        device, dtype: of parameters and knots.
        generator: source of the random numbers, on the same device, or a number to start one from;
            PyTorch's global one if not given.

    Attributes:
        knots, coef: as of a :class:`SplineLayer`.
        spline_weight, base_weight: parameters of shape ``(I, O)``, or None.
        bias: parameter of shape ``(O,)``, or None.
        mask: buffer of shape ``(I, O)``, 0 for edges that are missing and 1 for the others, or
            None: all are there. :func:`kanbook.formulas.prune` takes edges away.

    Shape:
        ``(..., I)`` to ``(..., O)``.

    Raises:
        TypeError, ValueError: an argument is of the wrong type or out of range; x does not fit.

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
        clamp: bool = False,
        bias: bool = False,
        spline_weight: bool = False,
        base: Callable[[Tensor], Tensor] | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        generator: int | torch.Generator | None = None,
    ) -> None:
        check_integer("in_features", in_features, 1)
        check_integer("out_features", out_features, 1)
        if not isinstance(clamp, bool):
            raise TypeError(f"clamp={clamp!r}; expected True or False")
        if base is not None:
            check_function("base", base)
        factory = {"device": device, "dtype": dtype}
        super().__init__(in_features, out_features, grid_size, degree, domain, **factory)
        self.in_features, self.out_features, self.base = in_features, out_features, base
        self.clamp = clamp
        edges = in_features, out_features
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
        for option, start in ((self.spline_weight, 1), (self.base_weight, 0), (self.bias, 0)):
            if option is not None:
                option.fill_(start)

    @full_precision
    def forward(self, x: Tensor) -> Tensor:
        check_points(x, self.knots)
        y = sum_splines(self.within(x), self.weighted_coef(), self.knots, self.degree)
        if self.base_weight is not None:
            base, weight = self._base(x), self.masked(self.base_weight)
            y = torch.addmm(y, base, weight) if base.ndim == 2 else y + base @ weight
        return y if self.bias is None else y + self.bias

    def weighted_coef(self) -> Tensor:
        """The coefficients of the edges' splines, times spline weights and mask."""
        weighted = self.coef
        for weight in (self.spline_weight, self.mask):
            if weight is not None:
                weighted = weighted * weight.unsqueeze(-1)
        return weighted

    def masked(self, edges: Tensor) -> Tensor:
        """Numbers of the edges, 0 where an edge is missing."""
        return edges if self.mask is None else edges * self.mask

    def fixed_numbers(self) -> int:
        """How many numbers belong to edges that are missing."""
        if self.mask is None:
            return 0
        weights = sum(w is not None for w in (self.spline_weight, self.base_weight))
        return int((self.mask == 0).sum()) * (self.coef.shape[-1] + weights)

    @torch.no_grad()
    def jacobian(self, x: Tensor, slopes: Tensor) -> Tensor:
        """Derivatives of a number in the layer's own parameters, shape (N, P), in their order.

        ``slopes``, of shape (N, O), are the number's derivatives in the outputs at x (N, I).
        """
        edges = self.masked(slopes.unsqueeze(1).expand(-1, self.in_features, -1))  # (N, I, O)
        unit = torch.eye(self.coef.shape[-1]).to(x).unsqueeze(0)  # each basis function alone
        columns = zip(self.within(x).split(1, 1), self.knots.split(1), strict=True)
        bases = [sum_splines(v, unit, t, self.degree) for v, t in columns]
        bases = torch.stack(bases, 1)  # (N, I, n)
        weighted = edges if self.spline_weight is None else edges * self.spline_weight
        parts = [weighted.unsqueeze(-1) * bases.unsqueeze(-2)]  # (N, I, O, n)
        if self.spline_weight is not None:
            parts.append(torch.einsum("nij,ioj->nio", bases, self.coef) * edges)
        if self.base_weight is not None:
            parts.append(self._base(x).unsqueeze(-1) * edges)
        if self.bias is not None:
            parts.append(slopes)
        return torch.cat([part.flatten(1) for part in parts], 1)

    @full_precision
    def edges(self, x: Tensor) -> Tensor:
        """Return every edge function's value, shape ``(..., I, O)``; 0 for a missing edge."""
        check_points(x, self.knots)
        bases = splines.cox_de_boor(self.within(x), self.knots, self.degree)
        phi = torch.einsum("...in,ion->...io", bases, self.coef)
        if self.spline_weight is not None:
            phi = phi * self.spline_weight
        if self.base_weight is not None:
            phi = phi + self._base(x).unsqueeze(-1) * self.base_weight
        return self.masked(phi)

    def _base(self, x: Tensor) -> Tensor:
        value = self.base(x)
        if (value.shape, value.dtype) != (x.shape, x.dtype):
            raise ValueError(
                f"base returned {value.dtype} of shape {tuple(value.shape)}; expected {x.dtype} of "
                f"shape {tuple(x.shape)}, as its argument x"
            )
        return value

    def extra_repr(self) -> str:
        parts = [f"{self.in_features}, {self.out_features}, grid_size={self.grid_size}"]
        parts.append(f"degree={self.degree}")
        parts += ["clamp=True"] if self.clamp else []
        options = "bias", "spline_weight"
        parts += [f"{name}=True" for name in options if getattr(self, name) is not None]
        if self.base is not None:
            parts.append(f"base={getattr(self.base, '__name__', type(self.base).__name__)}")
        return ", ".join(parts)
