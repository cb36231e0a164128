"""What chapters 3 and 15 say that a reader will see in the KAN Lab."""

from statistics import median

import pytest
from lab_node import run

SEEDS = range(5)
RUN = """([settings, actions]) => {
  const race = new Race(settings), notes = [];
  for (const [steps, action] of actions) {
    for (let s = 0; s < steps; s++) race.step();
    const before = race.errors();
    if (action === "fade") race.set({ fade: true });
    else if (action) race[action]();
    const outside = outsideOf(race.kan, race.task).at(-1);
    const counts = { count: race.kan.count(), mlpCount: race.mlp.count() };
    notes.push({ ...before, ...counts, after: race.errors().kan,
      edges: race.kan.layers.reduce((sum, layer) => sum + layer.kind.filter(one => one).length, 0),
      outside: outside.reduce((sum, share) => sum + share) / outside.length });
  }
  return notes;
}"""


def races(actions, seeds=SEEDS, **settings):
    """Notes of races: before each action, and what it did."""
    return run(RUN, [[settings | {"seed": seed}, actions] for seed in seeds])


def zigzag(actions=((1000, ""),), **settings):
    return races([*actions], task="zigzag", widths=[1, 5, 1], **settings)


@pytest.fixture(scope="module")
def plain():
    """Notes after a thousand steps and after two."""
    return zigzag([(1000, ""), (1000, "")])


def errors(found, name="kan"):
    return [notes[-1][name] for notes in found]


def test_degree_1_wins_or_loses(plain):
    cubic, straight = [one["kan"] for one, _ in plain], errors(zigzag(degree=1))
    assert (
        min(cubic) > 0.055 and max(cubic) < 0.085 and median(cubic) == pytest.approx(0.07, abs=0.01)
    )
    assert 0.02 < min(straight) < 0.045 and 0.08 < max(straight) < 0.11


@pytest.mark.parametrize("extra", ["bias", "spline_weight", "base"])
def test_extras_change_little(extra):
    found = errors(zigzag(seeds=range(2), **{extra: True}))
    assert min(found) > 0.05 and max(found) < 0.11


def test_a_rate_of_1_throws_values_off_their_knots_and_an_update_mends_it():
    found = zigzag([(500, ""), (0, "update"), (500, "")], lr=1.0, follow=False)
    for dead, _, alive in found:
        assert dead["outside"] > 0.75 and 0.15 < dead["kan"] < 0.75
        assert alive["kan"] < 0.1
    assert median(errors(found, "mlp")) > 0.9


def test_more_knots_keep_the_error_and_then_lower_it(plain):
    falls = []
    for (fine, later), (_, without) in zip(
        zigzag([(1000, "extend"), (1000, "")]), plain, strict=True
    ):
        assert fine["after"] == pytest.approx(fine["kan"], rel=0.005)
        assert without["kan"] > 0.8 * fine["kan"]
        assert (fine["count"], later["count"]) == (130, 130) and later["mlpCount"] == 78
        falls.append(later["kan"] / fine["kan"])
    assert sorted(falls)[3] < 0.5 and max(falls) < 0.8


def test_two_velocities_fade_to_few_edges():
    actions = [(200, "fade"), (2800, "prune"), (0, "")]
    for *_, pruned in races(actions, seeds=range(2), task="velocities"):
        assert pruned["edges"] in (3, 6)
