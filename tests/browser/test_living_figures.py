"""Living figures: their numbers in Node beside kanbook's, and what a reader sees and does."""

import copy
import re

import numpy as np
import pytest
import torch
from helpers import float64
from lab_node import run
from matplotlib.figure import Figure as Still
from scipy.interpolate import BSpline
from test_every_page import AXE, RUN
from visitor import DESKTOP, PHONE, swipe

from kanbook import KAN, KANLayer, splines, tasks, training, update_grid
from kanbook.lab import living, transfer

TWO_FRAMES = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
BOTH = pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])


# --- numbers


@pytest.mark.parametrize("seed", [0, 5])
def test_rates_are_those_of_kanbook(seed):
    """The figure's runs, its still's (all rates at once) and, at one rate, `fit`'s are the same."""
    (found,) = run(
        """async seed => {
          const { sweep } = await import("./living_rates.js"), found = {};
          finish(sweep(seed, found));
          return found;
        }""",
        [seed],
    )
    assert [entry["rate"] for entry in found["kan"]] == list(living.RATES)
    x, y = living.noisy_points(seed)
    for name, values in (("x", x), ("y", y)):
        assert found["task"][name] == pytest.approx(values.flatten().tolist(), rel=1e-12)
    truth = (1.5 * torch.pi * living.LINE).sin()
    kan, mlp = transfer.start([1, 5, 1], seed), transfer.start_rival([1, 7, 7, 1], seed)
    for name, model in (("KAN", kan), ("MLP", mlp)):
        runs = found[name.lower()][:8]  # beyond 0.2 rounding errors grow too large
        error = (living.sweep(name, seed) - truth).square().mean((1, 2)).sqrt()
        expected = (error / truth.std(correction=0))[:8].tolist()
        assert [entry["error"] for entry in runs] == pytest.approx(expected, rel=1e-4)
        training.fit(model, x, y, lr=living.RATES[4], steps=living.STEPS)
        with torch.no_grad():
            curve = model(torch.linspace(-1, 1, 121, dtype=torch.float64).unsqueeze(-1))
        torch.testing.assert_close(float64(runs[4]["curve"]), curve.flatten(), rtol=0, atol=1e-6)


@pytest.mark.parametrize("lr, warm_up", [(0.05, 0), (0.3, 30)])
def test_death_is_that_of_kanbook(lr, warm_up):
    settings, row = {"lr": lr, "warm_up": warm_up, "seed": 2}, living.row()
    (found,) = run(
        """async ([settings, row]) => {
          const { RATES, live, taskOf } = await import("./living_death.js");
          return { rates: RATES, ...finish(live(taskOf(row), settings)) };
        }""",
        [[settings, row.tolist()]],
    )
    assert found["rates"] == list(living.DEATH_RATES)
    model, y = transfer.start([8, 8, 1], 2), row.unsqueeze(-1)
    place = (torch.arange(64, dtype=torch.float64) + 0.5) / 32 - 1
    x, shares = tasks.positional_encoding(place.unsqueeze(-1), 4), []

    def note(*_):
        shares.append((model[0](x).abs() > 2.2).double().mean().item())

    def schedule(t):
        return min(1, (120 * t + 1) / max(1, warm_up))

    note()
    training.fit(model, x, y, lr=lr, steps=120, schedule=schedule, callback=note)
    assert found["shares"] == pytest.approx(shares, abs=1.5 / 512)  # one value at the very knot
    error = ((model(x) - y).square().mean().sqrt() / y.std(correction=0)).item()
    assert found["error"] == pytest.approx(error, rel=1e-3)


@pytest.mark.parametrize("s_curve, bump, nudge", [(6, 5, 0.4), (10, 1, -0.25), (1, 8, 0.6)])
def test_nudge_is_that_of_scipy(s_curve, bump, nudge):
    """In the page and in the still; what the sentence says is what moved."""
    (found,) = run(
        """async given => {
          const { SUMS, sentence } = await import("./living_nudge.js");
          return { ...SUMS, said: sentence(...given) };
        }""",
        [[s_curve, bump, nudge]],
    )
    x, knots, still = np.linspace(-1, 1, 401), np.arange(-7, 8) / 4, Still()
    s_curves = np.tanh(5 * (x[:, None] - np.arange(-11, 10, 2) / 10))
    s_curves[:, 0] = 1
    sums = {"mlp": (s_curves, s_curve), "kan": (BSpline.design_matrix(x, knots, 3).toarray(), bump)}
    living.Nudge(s_curve=s_curve, bump=bump, nudge=nudge)._draw(still)
    moved = {}
    for panel, (name, (parts, at)) in zip(still.axes, sums.items(), strict=True):
        weights = np.linalg.lstsq(parts, 0.6 * np.sin(3 * x + 0.8))[0]
        assert found[name]["weights"] == pytest.approx(weights, abs=1e-9)
        assert found[name]["curve"] == pytest.approx(parts @ weights, abs=1e-9)
        weights[at] += nudge
        new = panel.lines[1].get_ydata()
        assert new == pytest.approx(parts @ weights, abs=1e-9)
        moved[name] = new - found[name]["curve"]
    assert (abs(moved["mlp"]) < 1e-9).sum() == 1 and "but one point" in found["said"]
    left, right = (f"{'down' if by < 0 else 'up'} by {abs(by):.2g}" for by in moved["mlp"][[0, -1]])
    assert f"the left end {left}, the right end {right}." in found["said"]
    intervals = sum(abs(moved["kan"][50 * g : 50 * g + 50]).max() > 1e-9 for g in range(8))
    assert f"moved {intervals} of the 8 intervals, and nothing else." in found["said"]


def silu(x):
    return x / (1 + np.exp(-x))


@pytest.mark.parametrize("bias, w, u", [(0.6, 1, 0), (-0.4, 0.5, 1), (0, -0.7, -0.3)])
def test_undo_of_the_desk_is_least_squares(bias, w, u):
    """SciPy's, in page and still; the sentence says what is left, also beyond the knots."""
    old, x = np.random.default_rng(0).normal(size=8).tolist(), np.linspace(-1, 1, 401)
    (found,) = run(
        """async ([old, [bias, spline_weight, base_weight]]) => {
          const { refitted, sentence } = await import("./living_desk.js");
          const coef = refitted(old, [bias, spline_weight, base_weight]);
          const state = { coef, bias, spline_weight, base_weight, zoomed: true, _old: old };
          return { coef, said: sentence(state) };
        }""",
        [[old, [bias, w, u]]],
    )
    knots = np.arange(-11, 12, 2) / 5
    bumps = BSpline.design_matrix(x, knots, 3).toarray()
    wanted = bumps @ old - bias - u * silu(x)
    coef = np.linalg.lstsq(w * bumps, wanted)[0]
    assert found["coef"] == pytest.approx(coef, abs=1e-9)
    off = abs(w * bumps @ coef - wanted).max()
    left = (
        f"off by at most {np.format_float_positional(float(f'{off:.1e}'))}" if u else "what it was"
    )
    assert f"On the domain the refitted curve is {left}." in found["said"]
    low, high = (f"{bias + u * silu(at):.3g}".replace("-", "−") for at in (-4, 4))
    assert (
        f"{low} at −4 and {high} at 4, instead of 0." in found["said"] if u else "says 0.6 instead"
    )
    still = Still()
    living.Desk(coef=old, bias=bias, spline_weight=w, base_weight=u)._draw(still)
    curve = still.axes[1].lines[1].get_ydata()[150:251]
    assert curve == pytest.approx(w * bumps[::4] @ coef + bias + u * silu(x[::4]), abs=1e-9)


@pytest.mark.parametrize("curves", [True, False])
@pytest.mark.parametrize("frequencies, pixels", [(5, 64), (5, 32), (3, 16), (1, 128)])
def test_waves_add_to_each_other_as_ranks_do(frequencies, pixels, curves):
    """New functions add to the rank; what the waves before leave of one, by least squares."""
    settings = {"frequencies": frequencies, "pixels": pixels, "curves": curves}
    (found,) = run(
        """async settings => {
          const { left, sentence } = await import("./living_waves.js"), waves = left(settings);
          const shown = { ...settings, wave: 9, bump: 4 };
          return { added: waves.map(({ added }) => added), said: sentence(waves, shown),
            rest: waves.at(-1).functions.map(({ share }) => share) };
        }""",
        [settings],
    )
    x = (np.arange(pixels) + 0.5) / pixels * 2 - 1
    waves = [f(2**p * np.pi * x) for p in range(frequencies) for f in (np.sin, np.cos)]
    knots = np.arange(-12, 13, 2) / 6
    columns = [BSpline.design_matrix(w.clip(-1, 1), knots, 3).toarray() for w in waves]
    columns = columns if curves else [w[:, None] for w in waves]
    kept, added = np.zeros((pixels, 0)), []
    for functions in columns:
        before = kept
        sizes = np.maximum(np.linalg.norm(functions, axis=0), 1e-6)
        for column, size in zip(functions.T, sizes, strict=True):
            rest = column - kept @ np.linalg.lstsq(kept, column)[0]
            if np.linalg.norm(rest) > 1e-3 * size:
                kept = np.column_stack([kept, column])
        added.append(kept.shape[1] - before.shape[1])
    assert found["added"] == added
    assert sum(added) == np.linalg.matrix_rank(np.hstack(columns), tol=1e-6)
    rest = functions - before @ np.linalg.lstsq(before, functions)[0]
    assert found["rest"] == pytest.approx(np.linalg.norm(rest, axis=0) / sizes, abs=1e-6)
    assert f"{sum(found['added'])} are independent on {pixels} pixels." in found["said"]
    still = Still()
    living.Waves(**settings)._draw(still)
    assert [bar.get_height() for bar in still.axes[0].patches[len(waves) :]] == found["added"]


@pytest.mark.parametrize("own", [True, False])
@pytest.mark.parametrize("bits, entries", [(8, 33), (5, 9), (2, 5), (12, 65)])
def test_bits_are_lost_as_on_paper(bits, entries, own):
    """Tables, rounding and reading by NumPy; the network by kanbook; the still says the same."""
    figure = living.Bits(bits=bits, entries=entries, own=own, edge=8)
    settings = {name: getattr(figure, name) for name in ("bits", "entries", "own", "edge", "_coef")}
    (found,) = run(
        """async settings => {
          const { missed, sentence, tables } = await import("./living_bits.js");
          const all = tables(settings), said = sentence(all, settings);
          return { missed: missed(all), said, rounded: all.map(({ rounded }) => rounded) };
        }""",
        [settings],
    )
    model = KAN([2, 3, 1], grid_size=3, dtype=torch.float64)
    with torch.no_grad():
        for layer, coef in zip(model, (figure._coef[:6], figure._coef[6:]), strict=True):
            layer.coef.copy_(float64(coef).view(layer.coef.shape))
        x, v = (grid.ravel() for grid in np.meshgrid(*[np.linspace(-1, 1, 41)] * 2))
        truth, at = (1 - (2 * x) ** 2) * 3 * v / np.sqrt(4.6), torch.tensor(np.stack([x, v], 1))
        whole = model(at).flatten().numpy()
        ends = model[0](at).aminmax(dim=0)
    assert np.sqrt(np.mean((whole - truth) ** 2)) < 1e-3
    lows, highs = ([-end, -end, *side.tolist()] for end, side in ((1, ends[0]), (-1, ends[1])))
    hidden, read = [0, 0, 0], found["rounded"]
    levels = 2**bits if own else 2**bits - 1
    for n, table in enumerate(read):
        assert len({round(value, 9) for value in table}) <= levels
        i = n // 3 if n < 6 else n - 4
        at = np.linspace(lows[i], highs[i], entries)
        if n < 6:
            hidden[n % 3] = hidden[n % 3] + np.interp((x, v)[i], at, table)
        else:
            hidden[i - 2] = np.interp(hidden[i - 2], at, table)
    missed = np.sqrt(np.mean((sum(hidden) - truth) ** 2))
    assert found["missed"] == pytest.approx(missed, rel=1e-9)
    assert f"take {9 * entries * (1 + (bits > 8))} bytes" in found["said"]
    still = Still()
    figure._draw(still)
    assert f"{100 * missed:.2g} % missed" in still.axes[1].get_title()


@pytest.mark.parametrize("eps", [0.02, 1])
def test_knots_follow_as_by_update_grid(eps):
    """One move after another; the sentence counts as SciPy does, before and after."""
    figure, layer = living.Knots(), KANLayer(1, 1, dtype=torch.float64, generator=0)
    layer.set_grid(living.KNOTS.view(1, -1), float64([[living.WAVE]]))
    first, original = figure.get_state(["_cloud", "_knots", "_coef"]), copy.deepcopy(layer)
    places = [(-1.2, 0.5), (-0.9, 1.1), (2.8, 0.3)]
    (found,) = run(
        """async ([first, eps, places]) => {
          const { follow, sentence } = await import("./living_knots.js");
          let now = first;
          return places.map(([center, width]) => {
            const before = { ...now, center, width };
            now = { ...before, ...follow(before, first._cloud.map(z => center + width * z), eps) };
            return { ...now, said: [sentence(before, first), sentence(now, first)] };
          });
        }""",
        [[first, eps, places]],
    )
    for (center, width), step in zip(places, found, strict=True):
        values = center + width * float64(living.CLOUD)
        for said in step["said"]:
            knots = layer.knots[0].numpy()
            beyond = [
                f"{((values < t[0]) | (values > t[-1])).double().mean():.0%}".replace("%", " %")
                for t in (knots[3:-3], knots)
            ]
            away = f"{beyond[0]} of the values lie beyond the domain, {beyond[1]} beyond the last"
            assert said.startswith("All values lie" if beyond[0] == "0 %" else away)
            bumps = (BSpline.basis_element(knots[j : j + 5], extrapolate=False) for j in range(8))
            felt = sum((bump(values) > 0).any() for bump in bumps)
            assert f"They feel {({0: 'no', 8: 'all'}).get(felt, felt)} " in said
            update_grid(layer, values.unsqueeze(-1), grid_eps=eps)
        assert step["_knots"] == pytest.approx(layer.knots[0].tolist(), abs=1e-12)
        x = torch.linspace(*map(torch.Tensor.item, layer.domain), 201, dtype=torch.float64)
        curve = splines.evaluate(x, float64(step["_coef"]), float64(step["_knots"]), 3)
        with torch.no_grad():
            expected, at_first = (net(x.unsqueeze(-1)).flatten() for net in (layer, original))
        torch.testing.assert_close(curve, expected, rtol=0, atol=1e-6)
        off = (expected - at_first).abs().max()
        kept = f"off by at most {off:.2g} from what it was at first." if off > 1e-9 else "flat zero"
        assert kept in step["said"][1]


def runs(*errors):
    return [{"rate": 10**n, "error": error} for n, error in enumerate(errors)]


def test_sentence_of_rates():
    """It follows from the numbers, whoever wins."""
    first = {"kan": runs(0.6, 0.2), "mlp": runs(0.3, 0.8)}
    second = {"kan": runs(0.1, 0.4), "mlp": runs(0.3, 0.1)}
    cases = [[first, [first], 0, 0], [first, [first], 1, 1], [second, [first, second], 1, 0]]
    said = run('async given => (await import("./living_rates.js")).sentence(...given)', cases)
    assert said[0] == (
        "At 0.0005 and 0.0005 the MLP wins by a factor of 2.0. At each one's best rate, 10 for the "
        "KAN and 1 for the MLP, the KAN wins by a factor of 1.5. This is one start."
    )
    assert said[1].startswith("At 0.001 and 0.001 the KAN wins by a factor of 4.0.")
    assert said[2].endswith(
        "the two are equal. The KAN won in 1 of 2 starts at these rates, in 1 at the best ones."
    )


def test_sentence_of_death():
    said = run(
        """async ([shares, error, step]) =>
          (await import("./living_death.js")).sentence({ shares, error }, step)""",
        [[[0, 0.917], 1.618, 1], [[0.2], 0.5, 0], [[0.1], 0.0123, 0]],
    )
    assert "At step 1, 92 % of the hidden values" in said[0] and "no way back" in said[0]
    assert said[0].endswith("dead: its error is 1.6 (an even gray has 1).")
    assert "no way back" not in said[1] and "learned a part: its error is 0.5 (" in said[1]
    assert "it has learned the row: its error is 0.012 (" in said[2]


# --- in a page


class Figure:
    def __init__(self, page, name):
        self.page, self.root = page, page.locator(f".kan-{name}")
        page.keyboard.press("Shift")  # a phone waits for a sign
        page.wait_for_function(
            f"/\\.$/.test(document.querySelector('.kan-{name} .sentence')?.textContent)"
        )

    def said(self):
        self.page.evaluate(TWO_FRAMES)
        return self.root.locator(".sentence").inner_text()

    def slider(self, name):
        return self.root.get_by_role("slider", name=name, exact=True)

    def rates(self):
        self.page.evaluate(TWO_FRAMES)
        nets = "KAN", "MLP"
        return tuple(
            float(self.slider(f"learning rate of the {net}").get_attribute("aria-valuenow"))
            for net in nets
        )

    def press(self, name):
        self.root.get_by_role("button", name=name, exact=True).click()
        return self.said()


def middle(handle):
    box = handle.locator(".dot").bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def drag(page, handle, by_x, by_y):
    x, y = middle(handle)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + by_x, y + by_y, steps=4)
    page.mouse.up()
    page.mouse.move(x, y)


def test_rates_by_keyboard(show):
    figure = Figure(show(living.Rates(kan_rate=0.005, mlp_rate=0.005)), "rates")
    kan, mlp = (figure.slider(f"learning rate of the {net}") for net in ("KAN", "MLP"))
    kan.press("ArrowRight")
    assert figure.rates() == (0.01, 0.01)
    kan.press("End")
    kan.press("ArrowRight")
    assert figure.rates() == (2, 2)
    figure.root.get_by_label("the same rate for both").uncheck()
    mlp.press("Home")
    assert figure.rates() == (2, 0.0005)
    assert figure.said().startswith("At 2 and 0.0005 the MLP wins by a factor of ")
    assert re.fullmatch(r"0\.0005: test error [\d.]+", mlp.get_attribute("aria-valuetext"))
    figure.root.get_by_label("the same rate for both").check()
    assert figure.rates() == (2, 2)


def test_rates_by_mouse_and_another_start(show):
    page = show(living.Rates())
    figure = Figure(page, "rates")
    assert figure.said().startswith("At 0.001 and 0.001 the KAN wins by a factor of 6.1.")
    drag(page, figure.slider("learning rate of the KAN"), 200, 40)
    assert figure.rates()[0] > 0.02 and len(set(figure.rates())) == 1
    assert "the MLP wins" in figure.said().split(". ")[0]
    assert figure.said().endswith("This is one start.")
    figure.press("Another start")
    page.wait_for_function("/of 2 starts/.test(document.querySelector('.sentence').textContent)")
    old = figure.root.locator(".old.kan-line").get_attribute("d")
    assert old.count("L") == len(living.RATES) - 1


def test_rates_by_finger(show):
    page = show(living.Rates(), viewport=PHONE, has_touch=True)
    figure = Figure(page, "rates")
    x, y = middle(figure.slider("learning rate of the MLP"))
    swipe(page, [(x, y), (x + 40, y), (x + 80, y), (x + 120, y)])
    assert figure.rates()[0] > 0.01 and page.evaluate("scrollY") == 0


def test_death_and_life(show):
    """The reader saves it by a warm-up, looks back, and plays it."""
    page = show(living.Death(step=120), reduced_motion="reduce")
    figure = Figure(page, "death")
    assert "no way back" in figure.said() and "the network is dead" in figure.said()
    figure.slider("warm-up").fill("30")
    page.wait_for_function("/has learned/.test(document.querySelector('.sentence').textContent)")
    figure.slider("step").fill("0")
    assert figure.said().startswith("At step 0, 0 % of")
    assert not re.findall("V", figure.root.locator(".cursor").get_attribute("d"))[1:]
    said = figure.press("Play")
    assert said.startswith("At step 120, ")  # at once, where motion is reduced
    figure.slider("learning rate").press("End")  # what comes of it hangs on the browser's rounding
    page.wait_for_function("s => document.querySelector('.sentence').innerText !== s", arg=said)
    assert figure.slider("learning rate").get_attribute("aria-valuetext") == "1"


def test_death_plays(show):
    page = show(living.Death(warm_up=100))
    figure = Figure(page, "death")
    sentence = figure.root.locator(".sentence")
    figure.press("Play")
    assert sentence.get_attribute("aria-live") == "off"  # no screen reader hears of each step
    figure.press("Pause")
    assert sentence.get_attribute("aria-live") == "polite"
    step = int(re.match(r"At step (\d+)", figure.said())[1])
    assert step < 120 and int(figure.slider("step").input_value()) == step


def test_nudge_by_keyboard(show):
    figure = Figure(show(living.Nudge()), "nudge")
    assert figure.said().startswith("Nudged by 0.4, the S-curve at 0.3 moved")
    figure.slider("nudge both by").press("Home")
    figure.slider("S-curve").press("ArrowLeft")
    bump = figure.slider("bump")
    bump.press("End")
    assert figure.said().startswith("Nudged by −0.6, the S-curve at 0.1 moved")
    assert "The bump at 1 moved 2 of the 8 intervals," in figure.said()
    assert bump.get_attribute("aria-valuetext") == "at 1"
    assert figure.press("Back").startswith("Nothing is nudged.")
    old, new = (
        figure.root.locator(f".{name}.kan-line").get_attribute("d") for name in ("old", "new")
    )
    assert old == new


def test_nudge_by_mouse(show):
    page = show(living.Nudge(nudge=0))
    figure = Figure(page, "nudge")
    drag(page, figure.root.locator(".handle.mlp"), 90, -34)
    nudge = float(re.match(r"Nudged by ([\d.]+), the S-curve at 0.3 ", figure.said())[1])
    assert 0.4 <= nudge <= 0.6
    figure.root.locator("svg.kan").click(position={"x": 40, "y": 20})
    assert "The bump at −1 moved" in figure.said()


def test_nudge_by_finger(show):
    page = show(living.Nudge(), viewport=PHONE, has_touch=True)
    figure = Figure(page, "nudge")
    x, y = middle(figure.root.locator(".handle.kan"))
    swipe(page, [(x, y), (x, y + 30), (x, y + 60), (x, y + 90)])
    assert figure.said().startswith("Nudged by −0.6") and page.evaluate("scrollY") == 0


def test_desk_by_keyboard(show):
    """Undo, and what it cannot undo: out there, and a spline weight of 0."""
    figure = Figure(show(living.Desk()), "desk")
    start, zoom = figure.said(), figure.root.get_by_role("button", name="Zoom")
    assert start.startswith("The bias is at 0.6. On the domain the curve is off by at most 0.6.")
    assert zoom.is_disabled()
    assert "the refitted curve is what it was" in figure.press("Undo")
    third = figure.slider("coefficient 3")
    assert float(third.get_attribute("aria-valuenow")) == -0.8
    assert "the edge now says 0.6 instead of 0." in figure.press("Zoom out")
    assert not third.is_visible()
    figure.press("Zoom in")
    third.press("ArrowUp")
    assert "the curve is off by at most 0.0" in figure.said()
    assert third.get_attribute("aria-valuetext") == "−0.75"
    figure.slider("spline weight").fill("10")
    assert "the spline weight at 0. So no coefficient is heard, and none" in figure.press("Undo")
    assert figure.press("Start over") == start and zoom.is_enabled()


def test_desk_by_mouse(show):
    """What is drawn while the sliders are at rest is the curve that Undo brings back."""
    page = show(living.Desk(bias=0.0))
    figure = Figure(page, "desk")
    assert figure.said().startswith("The three sliders are at rest.")
    drag(page, figure.slider("coefficient 5"), 0, 60)
    figure.slider("bias").press("End")
    old, new = (figure.root.locator(f".{name}") for name in ("before", "kan-line"))
    assert "off by at most 1." in figure.said()
    assert old.get_attribute("d") != new.get_attribute("d")
    assert "the refitted curve is what it was" in figure.press("Undo")
    assert old.get_attribute("d") == new.get_attribute("d")


def test_desk_by_finger(show):
    page = show(living.Desk(), viewport=PHONE, has_touch=True)
    figure = Figure(page, "desk")
    fourth = figure.slider("coefficient 4")
    x, y = middle(fourth)
    swipe(page, [(x, y), (x, y + 30), (x, y + 60), (x, y + 90)])
    figure.said()
    assert float(fourth.get_attribute("aria-valuenow")) < 0 and page.evaluate("scrollY") == 0


def test_knots_by_keyboard(show):
    figure = Figure(show(living.Knots()), "knots")
    start, center = figure.said(), figure.slider("center of the values")
    assert start == (
        "95 % of the values lie beyond the domain, 10 % beyond the last knots. "
        "They feel 4 of the 8 bumps."
    )
    figure.slider("width of the values").press("Home")
    center.press("End")
    assert "They feel no bump: the curve is flat zero" in figure.said()
    assert "They feel all 8 bumps. On the new domain" in figure.press("Move the knots")
    assert figure.said().endswith("what it was: flat zero, but now training can bend it.")
    center.press("Home")
    assert "no slope and no way back" in figure.said()
    assert center.get_attribute("aria-valuetext") == "−2.8"
    assert figure.press("Start over") == start


def test_knots_by_mouse(show):
    page = show(living.Knots(width=0.5))
    figure = Figure(page, "knots")
    drag(page, figure.slider("center of the values"), 148, 0)  # by 1.6
    assert figure.said() == "All values lie on the domain. They feel 6 of the 8 bumps."
    quantiles, even = (
        re.findall(r"M([\d.]+)", figure.root.locator(".knots").get_attribute("d"))
        for name in ("Move the knots", "Spread evenly")
        if figure.press(name)
    )
    widths = np.diff(np.array([quantiles, even], dtype=float))
    assert np.ptp(widths[0]) > 5 and np.ptp(widths[1]) < 0.5


def test_knots_by_finger(show):
    page = show(living.Knots(), viewport=PHONE, has_touch=True)
    figure = Figure(page, "knots")
    x, y = middle(figure.slider("center of the values"))
    swipe(page, [(x, y), (x + 20, y), (x + 40, y), (x + 60, y)])
    assert (
        figure.said().startswith("All values lie on the domain.") and page.evaluate("scrollY") == 0
    )


@BOTH
@pytest.mark.parametrize("background", ["white", "#14181e"])
def test_figures_fit_and_keep_nobody_out(show, viewport, background):
    page = show(
        *(kind() for kind in living.FIGURES.values()), viewport=viewport, background=background
    )
    page.keyboard.press("Shift")
    for name in living.FIGURES:
        page.locator(f".kan-{name}").scroll_into_view_if_needed()
        figure = Figure(page, name)
        theme = "light" if background == "white" else "dark"
        assert figure.root.get_attribute("data-theme") == theme
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    page.evaluate(AXE)
    found = page.evaluate(RUN, {"rules": {"page-has-heading-one": {"enabled": False}}})
    assert found == []


def test_waves_by_keyboard(show):
    figure = Figure(show(living.Waves()), "waves")
    assert figure.said().startswith("Of the 90 splines on these 10 waves, 34 are independent on 64")
    assert "cos 4πx adds 0 of its 9. The one that is drawn here is a sum" in figure.said()
    figure.slider("wave").press("Home")
    assert "sin πx adds 9 of its 9. The one that is drawn here is new." in figure.said()
    figure.root.get_by_label("curves, not weights").uncheck(force=True)
    assert "Of the 10 weights of these 10 waves, 10 are independent" in figure.said()
    assert figure.slider("spline").is_disabled()
    figure.slider("frequencies").fill("1")
    assert "Of the 4 weights of these 4 waves" in figure.said()


def test_bits_by_keyboard(show):
    figure = Figure(show(living.Bits()), "bits")
    assert figure.said().startswith(
        "Nine tables of 33 entries take 297 bytes. The network misses 2 %"
    )
    assert "The edge from node 3 to answer uses 11 of 254 steps." in figure.said()
    figure.root.get_by_label("own zero, own unit").check(force=True)
    assert "The network misses 1.2 %, and 0.6 %" in figure.said()
    figure.slider("bits").fill("8")
    assert "take 594 bytes. The network misses 0.62 %" in figure.said()
    figure.slider("edge").fill("0")
    figure.slider("entries").fill("0")
    assert "The edge from x to node 1 uses 1023 of 1023 steps." in figure.said()
