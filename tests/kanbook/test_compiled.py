"""Layers inside torch.compile against the same layers outside, which test_fast.py checks."""

import copy

import pytest
import torch
from helpers import needs
from test_fast import KINDS, make_knots, make_points

from kanbook import KAN, KANLayer, compiled, extend_grid, splines, update_grid
from kanbook.fast import sum_splines

pytestmark = pytest.mark.filterwarnings("ignore")  # the compiler's own
WAYS = {"dense": 1000, "gathered": 1}  # from how many functions on to gather


@pytest.mark.parametrize(
    "way, grid_size, degree",
    [("dense", 1, 3), *((way, 12, degree) for way in WAYS for degree in (0, 1, 3))],
)
def test_values_and_gradients_equal_the_eager_ones(way, grid_size, degree, monkeypatch):
    monkeypatch.setattr(compiled, "MANY", WAYS[way])
    monkeypatch.setattr(compiled, "_one_thread", lambda: True)
    torch.compiler.reset()
    function = torch.compile(sum_splines, backend="aot_eager", fullgraph=True)
    for kind in KINDS:
        generator = torch.Generator().manual_seed(degree)
        knots = make_knots(kind, 3, grid_size, degree, generator)
        far = torch.tensor([[torch.inf], [-torch.inf], [1e30]]).double().expand(3, 3)
        x = torch.cat([make_points(knots, 40, generator), far]).requires_grad_()
        coef = torch.randn(3, 2, grid_size + degree, generator=generator).double()
        coef.requires_grad_()
        upstream = torch.randn(len(x), 2, generator=generator).double()
        y, expected = (f(x, coef, knots, degree) for f in (function, sum_splines))
        torch.testing.assert_close(y, expected, rtol=0, atol=1e-12)
        grads, references = (torch.autograd.grad(v, (x, coef), upstream) for v in (y, expected))
        for value, reference in zip(grads, references, strict=True):
            scale = reference.abs().max().clamp(min=1)
            torch.testing.assert_close(value / scale, reference / scale, rtol=0, atol=1e-12)
        spoiled = x.detach().clone()
        spoiled[1, 1] = torch.nan
        y = function(spoiled.requires_grad_(), coef, knots, degree)  # else it is compiled again
        assert y.isnan().nonzero()[:, 0].tolist() == [1, 1]


def counting_backend():
    """A backend that runs graphs as they are, and the list of those that it got."""
    graphs = []

    def backend(graph, inputs):
        graphs.append(graph)
        return graph.forward

    return backend, graphs


def test_compiled_again_for_a_second_batch_size_and_for_a_new_grid_size_only():
    backend, graphs = counting_backend()
    model = KAN([3, 2], base=torch.nn.functional.silu, bias=True, generator=0)
    torch.compiler.reset()
    function = torch.compile(model, backend=backend, fullgraph=True)

    def train(*batches):
        optimizer = torch.optim.Adam(model.parameters())
        for batch in batches:
            optimizer.zero_grad()
            function(torch.rand(batch, 3)).square().mean().backward()
            optimizer.step()
        return len(graphs)

    assert train(10, 10) == 1
    assert train(20, 30, 40) == 2
    update_grid(model, torch.rand(50, 3))
    assert train(40, 50) == 2
    extend_grid(model, torch.rand(50, 3), 7)
    assert train(50, 60, 60) == 3


def test_autocast_leaves_the_layer_its_precision():
    model = KAN([3, 4, 2], generator=0)
    x = torch.rand(6, 3)
    expected = model(x)
    torch.compiler.reset()
    function = torch.compile(model, backend="eager", fullgraph=True)
    with torch.autocast("cpu", torch.bfloat16):
        y = function(x)
    torch.testing.assert_close(y, expected)
    assert y.dtype == torch.float32


def test_second_derivatives_are_refused_and_exported_programs_are_the_same():
    layer = KANLayer(2, 2, generator=0)
    x = torch.rand(5, 2, requires_grad=True)
    torch.compiler.reset()
    y = torch.compile(layer, backend="aot_eager")(x)
    with pytest.raises(RuntimeError, match="double backward"):
        (slope,) = torch.autograd.grad(y.square().sum(), x, create_graph=True)
        torch.autograd.grad(slope.square().sum(), x)
    program = torch.export.export(layer, (x.detach(),))
    torch.testing.assert_close(program.module()(x), layer(x))


@pytest.mark.parametrize("grid_size", [5, 40])
def test_exported_programs_have_other_rows_and_nothing_that_onnx_lacks(grid_size, monkeypatch):
    monkeypatch.setattr(compiled, "_one_thread", lambda: True)
    model = KAN([3, 2], grid_size=grid_size, generator=0)
    x = 2.4 * torch.rand(50, 3, generator=torch.Generator().manual_seed(0)) - 1.2
    rows = ({0: torch.export.Dim("rows")},)
    program = torch.export.export(model, (x[:3],), dynamic_shapes=rows).run_decompositions()
    assert not any("nextafter" in str(node.target) for node in program.graph.nodes)
    with torch.no_grad():
        torch.testing.assert_close(program.module()(x), model(x))


@needs("g++", "Python.h")
@pytest.mark.parametrize("grid_size", [5, 40])
def test_machine_code_is_as_accurate_as_its_numbers(grid_size):
    """What the default backend makes of it, in float32, against the plain formula in float64."""
    layer = KANLayer(17, 3, grid_size=grid_size, base=torch.nn.functional.silu, generator=0)
    random = torch.Generator().manual_seed(0)
    layer.knots += 0.2 / grid_size * torch.rand(layer.knots.shape, generator=random)
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, generator=random)
    exact = copy.deepcopy(layer).double()
    torch.compiler.reset()
    function = torch.compile(layer, fullgraph=True)
    x = torch.cat([2.4 * torch.rand(33, 17, generator=random) - 1.2, layer.knots.T])
    z = x.requires_grad_().detach().double().requires_grad_()
    y = function(x)
    bases = splines.cox_de_boor(z, exact.knots, 3)
    expected = torch.einsum("bin,ion->bo", bases, exact.coef)
    expected = expected + torch.nn.functional.silu(z) @ exact.base_weight
    grads = torch.autograd.grad(y.sum(), (x, layer.coef))
    references = torch.autograd.grad(expected.sum(), (z, exact.coef))
    for value, reference in zip((y, *grads), (expected, *references), strict=True):
        assert (value.double() - reference).abs().max() < 1e-5 * reference.abs().max()
    spoiled = x.detach().clone()
    spoiled[2, 3] = torch.nan
    y = function(spoiled.requires_grad_())
    assert y.isnan().any(1).nonzero().flatten().tolist() == [2]
