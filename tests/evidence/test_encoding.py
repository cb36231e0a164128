"""Part V: the same functions in other coordinates, and the judges of what they do."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from pandas import DataFrame, concat
from running import can_train
from sklearn.pipeline import Pipeline

from evidence import EXPERIMENTS, contests
from evidence.families import fitted
from evidence.runs import contest_run, coordinates, encoding, slices, timing, trials
from evidence.settings import parameters
from evidence.verdicts import encoding as judges
from evidence.verdicts.registry import JUDGES
from kanbook import count_parameters
from kanbook.tasks import positional_encoding

TASK = encoding.whole_pictures(encoding.SIZES[1])[0] | {
    "contest": "parameters",
    "family": "",
    "lr": 0.01,
}
WHY = encoding.coordinates()


def of(name, **more):
    return fitted(TASK | WHY[name] | more)


@pytest.fixture(scope="module")
def waves():
    return contest_run.make_split(of("encoded"), 0).train[0]


# Coordinates


@pytest.mark.parametrize("name", ["turned", "white"])
def test_other_coordinates_start_as_the_same_function(name, waves):
    """On the pixels, by 67 of 180 directions; and every coordinate has a use."""
    settings = of(name, dtype="float64")
    before, after = (trials.make_model(settings, generator=3) for _ in range(2))
    coordinates.change(after, settings, waves.double())
    assert torch.allclose(after(waves.double()), before(waves.double()), atol=1e-6)
    learned = after[0].parametrizations.coef.original
    assert learned.shape == (67, settings["widths"][1])
    assert count_parameters(after) == parameters(settings, settings["widths"])
    basis = after[0].parametrizations.coef[0].basis
    bumps = trials.layers.splines.basis(waves.double(), before[0].knots, 3).flatten(1)
    gram = (bumps @ basis).T @ (bumps @ basis) / len(waves)
    assert torch.allclose(gram, gram.diagonal().diag(), atol=1e-6)
    sizes = gram.diagonal()
    assert torch.allclose(sizes, torch.ones_like(sizes)) == (name == "white")
    assert torch.linalg.matrix_rank(bumps, rtol=1e-6) == 67


def test_the_narrow_one_is_as_wide_as_the_encoded():
    assert of("turned, as narrow")["widths"] == of("encoded")["widths"]
    assert of("turned")["widths"] > of("encoded")["widths"]


@pytest.mark.parametrize("least", [1.0, 0.01])
def test_a_mixture_has_these_singular_values(least):
    matrix = coordinates.mixed(torch.eye(20, dtype=torch.float64), least)
    wanted = torch.tensor(np.geomspace(1, least, 20))
    assert torch.allclose(torch.linalg.svdvals(matrix), wanted)
    assert matrix.abs().max() < 0.9, "it mixes"


def test_copies_rise_with_their_input_and_stay_in_the_domain():
    x = torch.linspace(-1, 1, 101).repeat(2, 1).T
    many = coordinates.with_copies(x)
    assert many.shape == (101, 2 * (1 + coordinates.COPIES)) and torch.equal(many[:, :2], x)
    assert (many.diff(dim=0) > 0).all() and many.abs().max() == 1
    assert len({round(column[75].item(), 4) for column in many.T}) == 2 * coordinates.COPIES + 1


TURNING = [name for name in ("encoded, SOAP", "encoded, Muon", "MLP, SOAP") if can_train(of(name))]


@pytest.mark.parametrize("name", TURNING)
def test_optimizers_that_turn_get_matrices(name, waves):
    settings = of(name, steps=20)
    model, watch = trials.train_once(settings, 0, (waves[::64], waves[::64, :1] * waves[::64, 5:6]))
    if name.startswith("encoded"):
        assert all(parameter.ndim == 2 for parameter in model.parameters())
    assert watch.history.loss[-1] < watch.history.loss[0]


# Data and settings


def test_all_pixels_are_learned_and_their_borders_differ():
    split = contest_run.make_split(TASK | {"frequencies": 3}, 0)
    x, y = split.train
    assert len(x) == 64**2 and torch.equal(split.validation[1], y) and len(split.test[0]) == 128**2
    assert y.mean().abs() < 1e-6 and y.std().item() == pytest.approx(1)
    side = x.view(64, 64, -1)
    assert (side[:, 0] - side[:, -1]).abs().max() > 0.05
    centers = (2 * torch.arange(64) + 1) / 64 - 1
    columns = torch.cartesian_prod(centers, centers).flip(1)
    assert torch.allclose(x, positional_encoding(columns, 3), atol=1e-5)


def test_tuples_are_what_is_chosen_from():
    contest = EXPERIMENTS["encoding"]
    cells = {cell.family: cell for cell in contest.parts()[0]}
    for family, name, values in (
        ("KAN, plain", "first_grid", (16, 32, 64)),
        ("MLP sine, plain", "input_scale", (3, 10, 30)),
        ("MLP SiLU, encoded", "frequencies", (3, 4, 5)),
    ):
        tried = contest._candidates(cells[family])
        assert {(s[name], s["lr"]) for s in tried} == {
            (v, lr) for v in values for lr in contest.rates
        }
        assert len(tried) == 18
    seconds = [cell for cell in contest.settings if cell.contest == "seconds"]
    assert {cell.task["size"] for cell in seconds} == {encoding.SIZES[1]} and len(seconds) == 12
    assert contest.total() == (3 * 6 * 8 + 12) * (18 + 5)


@pytest.mark.parametrize("name", ["encoding", "encoding-why"])
def test_all_have_as_many_parameters(name):
    contest = EXPERIMENTS[name]
    for cell in contest.settings:
        if cell.contest == "parameters" and cell.task["task"].endswith("portrait"):
            for settings in contest._candidates(cell):
                assert abs(parameters(settings, settings["widths"]) / settings["size"] - 1) < 0.01


def test_at_equal_seconds_steps_are_those_of_the_plain_kan(monkeypatch):
    (pace,) = EXPERIMENTS["pace-encoding"].settings
    names = [model["family"] for model in pace["models"]]
    timed = timing.time_steps(pace | {"pixels": 16}, rounds=1)
    assert len(timed["step_seconds"]) == 3 and names == ["KAN, plain", *encoding.QUICK]
    monkeypatch.setattr(
        contests, "pace", lambda task: dict(zip(names, (4.0, 1.0, 2.0), strict=True))
    )
    contest = EXPERIMENTS["encoding"]
    steps = {
        cell.family: {settings["steps"] for settings in contest._candidates(cell)}
        for cell in contest.settings
        if cell.contest == "seconds"
    }
    assert steps == {names[1]: {4000}, names[2]: {2000}}


def test_without_waves_slices_are_plain():
    x, which = 2 * torch.rand(5, 2) - 1, torch.tensor([0, 1, 2, 7, 7])
    plain = slices.encode(x, which, 8)
    assert torch.allclose(plain[:, 1:], x) and plain[:, 0].tolist()[-1] == 1
    for settings in EXPERIMENTS["encoding-post"].settings:
        assert slices.inputs_of(settings) == settings["widths"][0] == 3
        found = trials.run_trial(settings | {"steps": 2, "positions": 600}, 0)
        assert found["parameters"] == parameters(settings, settings["widths"])
        assert math.isfinite(found["test_loss"])


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("task", ["real:saratoga", "table:sunspots"])
def test_words_and_lags_get_other_columns(task, monkeypatch):
    seen = {}

    def told(model, parts, classes):
        X, y, U, v = parts
        steps = model[:-1].fit(X, y) if isinstance(model, Pipeline) else None
        seen[name] = X if steps is None else np.asarray(steps.transform(X))
        return {}

    monkeypatch.setattr(encoding.defaults, "told", told)
    every = [s for s in EXPERIMENTS["encoding-tables"].settings if s["task"] == task]
    for settings in every:
        name = settings["family"]
        encoding.fit_encoded(settings, 0)
    if task.startswith("real"):
        widths = {name: seen[f"KAN, {name}"].shape[1] for name in encoding.ENCODERS}
        assert max(widths["ordinal"], widths["target"]) < widths["one-hot"]
        assert not np.array_equal(seen["KAN, ordinal"], seen["KAN, target"])
    else:
        assert np.allclose(
            np.cov(seen["KAN, turned"].T), np.diag(seen["KAN, turned"].var(0, ddof=1))
        )
        assert not np.allclose(
            np.corrcoef(seen["KAN, raw"].T), np.eye(seen["KAN, raw"].shape[1]), atol=0.5
        )


# Judges


def rows(errors, *, kinds=("",), tasks=4, seeds=5, **columns):
    """Results of families with these errors, on the pixels and between them, a little apart."""
    r = np.random.default_rng(0)
    return DataFrame(
        {"contest": "parameters", "family": family, "kind": kind, "task": f"picture:{task}"}
        | {"seed": seed, "diverged": False, "stage": "result", "lr": 0.02}
        | {"validation_error": noisy, "test_error": 2 * noisy}
        | columns
        for family, error in errors.items()
        for kind in kinds
        for task in range(tasks)
        for seed in range(seeds)
        for noisy in [error * math.exp(0.02 * r.normal())]
    )


SIZES = [f"{size} parameters" for size in encoding.SIZES]
MAIN = {"KAN, encoded": 0.2, "KAN, plain": 0.1}
MAIN |= {"MLP tanh, encoded": 0.1, "MLP SiLU, encoded": 0.09, "MLP sine, encoded": 0.1}
MAIN |= {"MLP tanh, plain": 0.3, "MLP SiLU, plain": 0.3, "MLP sine, plain": 0.1}
REASONS = dict.fromkeys(WHY, 0.1) | {"encoded": 0.2, "turned": 0.12, "turned, as narrow": 0.15}
REASONS |= {"MLP, stretched": 0.2, "plain": 0.09, "copies": 0.2, "MLP, SOAP": 0.09}
REASONS |= {"encoded, updated": 0.16, "encoded, extras": 0.16, "plain, extras": 0.09}
REASONS["plain, updated"] = 0.09


def found(label, *frames):
    """The claims of a hypothesis in made-up rows: false if once so."""
    claims = {}
    for _, judge in JUDGES[label]:
        for claimed, said in judge(*frames):
            assert str(said)
            for name, so in claimed.items():
                claims.setdefault(name, []).append(so)
    return [all(so) for so in claims.values()]


@pytest.mark.parametrize(
    ("label", "other"),
    [
        ("V 1", {"KAN, encoded": 0.1}),
        ("V 2", {"KAN, encoded": 0.1}),
        ("V 3", {"KAN, plain": 0.2}),
        ("V 4", {"MLP tanh, plain": 0.1, "MLP SiLU, plain": 0.09, "MLP sine, plain": 0.3}),
        ("V 6", {"KAN, plain": 0.2}),
    ],
)
def test_who_wins(label, other):
    assert all(found(label, rows(MAIN, kinds=SIZES)))
    assert not any(found(label, rows(MAIN | other, kinds=SIZES)))


def test_who_wins_at_equal_seconds():
    for error, wanted in ((0.05, True), (0.1, False)):
        quick = rows(dict.fromkeys(encoding.QUICK, error), kinds=SIZES[1:2], size=encoding.SIZES[1])
        slow = rows(MAIN, kinds=SIZES[1:2], size=encoding.SIZES[1])
        assert found("V 5", concat([slow, quick.assign(contest="seconds")])) == [wanted] * 2


@pytest.mark.parametrize(
    ("label", "other"),
    [
        ("V 7", {"turned": 0.2, "white": 0.2}),
        ("V 8", {"white": 0.15}),
        ("V 9", {"turned, as narrow": 0.2}),
        ("V 10", {"MLP, mixed": 0.2, "MLP, stretched": 0.1}),
        ("V 11", {"copies": 0.09, "copies, turned": 0.2}),
        ("V 12", {"encoded, SOAP": 0.2, "encoded, Muon": 0.2}),
        ("V 13", {"encoded, updated": 0.2, "plain": 0.2}),
        ("V 14", {"plain, updated": 0.05, "plain, extras": 0.05}),
    ],
)
def test_why(label, other):
    assert all(found(label, rows(REASONS)))
    assert not any(found(label, rows(REASONS | other)))


def test_shares_need_a_gap():
    frame = rows(REASONS | {"encoded": 0.05})
    assert found("V 8", frame) == [False] and judges.at_least(judges.share(1, -1), 0.5) is None


def test_to_the_end():
    ends = {"KAN, plain": 0.13, "MLP SiLU, encoded": 0.1}
    assert found("V 15", rows(ends)) == [True, True]
    assert found("V 15", rows(ends | {"KAN, plain": 0.09})) == [False, True]
    assert found("V 15", rows(ends | {"KAN, plain": 0.3})) == [True, False]
    portrait = rows(ends).assign(task="picture:portrait")
    for error, wanted in ((0.4, True), (0.2, False)):
        race = DataFrame({"contestant": "KAN", "loss": [(error * judges.luminance()) ** 2] * 5})
        assert found("V 16", portrait, race) == [wanted]


def ended(errors):
    """Results of a contest on slices, with these errors by contestant and steps."""
    return DataFrame(
        {"contestant": name, "steps": steps, "final": (error * (1 + 0.01 * seed)) ** 2}
        for (name, steps), error in errors.items()
        for seed in range(5)
    )


def test_the_post():
    finale = {("MLP", 2000): 0.05, ("MLP", 20_000): 0.03, ("splines + all three", 2000): 0.04}
    finale = ended(finale)
    names = [("B-splines, finer", 2000), ("B-splines, finer", 20_000)]
    names += [("his splines", 2000), ("his splines, finer", 2000)]
    plain = dict(zip(names, (0.03, 0.02, 0.06, 0.06), strict=True))
    assert found("V 17", ended(plain), finale) == found("V 18", ended(plain), finale) == [True] * 2
    plain = dict(zip(names, (0.06, 0.06, 0.03, 0.03), strict=True))
    assert found("V 17", ended(plain), finale) == found("V 18", ended(plain), finale) == [False] * 2


@pytest.mark.parametrize(
    ("label", "kind", "ours", "others"),
    [
        ("V 19", "real", ["KAN, ordinal", "KAN, target"], "KAN, one-hot"),
        ("V 20", "table", ["KAN, turned"], "KAN, raw"),
    ],
)
def test_tables(label, kind, ours, others):
    for error, wanted in ((0.5, True), (0.2, False)):
        frame = rows(dict.fromkeys(ours, error) | {others: 0.5})
        frame["task"] = frame["task"].str.replace("picture", kind)
        assert found(label, frame) == [wanted] * len(ours)


def test_rates_inside():
    assert found("V 21", rows(MAIN, kinds=SIZES)) == [True, True]
    assert found("V 21", rows(MAIN, kinds=SIZES).assign(lr=0.16)) == [False, False]
