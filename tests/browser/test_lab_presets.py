"""The small labs tell what they are said to: their settings and scripts, run in Node."""

import functools
import json

import lab_node
import pytest

from kanbook.lab import PRESETS, KANLab

RUN = """([settings, until]) => {
  const race = new Race(settings), script = [...settings.script], notes = {};
  const beyond = () => outsideOf(race.kan, race.task).slice(1);
  for (; race.steps < until; race.step()) {
    while (script[0]?.[0] === race.steps) {
      const [, action] = script.shift();
      if (action === "fade") race.set({ fade: true });
      else race[action]();
    }
    if (race.steps % 100 === 0) notes[race.steps] = {
      error: race.errors().kan, mlp: race.errors().mlp, beyond: beyond().flatMap(one => [...one]),
      edges: race.kan.layers.reduce((sum, layer) => sum + layer.kind.filter(one => one).length, 0),
      grid_size: race.kan.layers[0].grid_size };
  }
  return notes;
}"""


@functools.cache
def raced(values, until):
    (notes,) = lab_node.run(RUN, [[json.loads(values), until]])
    return {int(step): note for step, note in notes.items()}


def run(preset, until, **changes):
    """What is noted at every hundredth step."""
    lab = KANLab(**PRESETS[preset] | changes)
    names = ["task", "widths", "grid_size", "lr", "follow", "fade", "seed", "script"]
    return raced(json.dumps({name: getattr(lab, name) for name in names}), until)


def test_values_leave_their_knots():
    notes = run("leaving", 601)
    assert max(notes[0]["beyond"]) < 0.4 < 0.6 < max(notes[300]["beyond"])
    kept = run("leaving", 301, follow=True)
    assert max(kept[300]["beyond"]) < 0.1


def test_update_by_hand_costs_first_and_pays_then():
    notes = run("leaving", 601)
    moved = run("leaving", 601, script=[[300, "update"]])
    errors = [notes[300]["error"], *(moved[step]["error"] for step in (300, 400, 600))]
    assert [f"{e:.3f}" for e in errors] == ["0.023", "0.045", "0.011", "0.006"]
    assert f"{notes[600]['error']:.3f}" == "0.015"
    assert [f"{n[600]['mlp']:.3f}" for n in (moved, notes)] == ["0.024", "0.036"]  # its optimizer


def test_doubling_before_an_update_throws_the_network_back():
    scripts = [[300, "extend"]], [[300, "update"], [300, "extend"]]
    plain, careful = (run("leaving", 601, script=script) for script in scripts)
    for notes, told in ((plain, ["0.6", "0.02", "0.02"]), (careful, ["0.05", "0.004", "0.002"])):
        assert [f"{notes[step]['error']:.1g}" for step in (300, 400, 600)] == told  # chapter 8
    assert f"{plain[600]['error']:.3f}" == "0.015"


def test_update_brings_the_knots_to_the_values():
    notes, without = run("update", 601), run("update", 601, script=[])
    assert notes[100] == without[100]
    assert max(notes[100]["beyond"]) > 0.6 and max(notes[200]["beyond"]) < 0.01
    assert notes[600]["error"] < 0.5 * without[600]["error"]


def test_extensions_lower_the_error():
    notes, without = run("extension", 1201), run("extension", 1201, script=[])
    assert [notes[step]["grid_size"] for step in (0, 500, 800, 1200)] == [3, 6, 12, 24]
    errors = [notes[step]["error"] for step in (200, 500, 800, 1200)]
    assert all(after < 0.6 * before for before, after in zip(errors, errors[1:], strict=False))
    assert errors[-1] < 0.15 * without[1200]["error"]


def test_death_at_a_rate_of_one():
    notes, alive = run("death", 601), run("death", 601, lr=0.05)
    assert 0.5 < notes[300]["error"] < 1.02 * notes[600]["error"]  # it learns no more
    assert min(notes[300]["beyond"]) > 0.5  # of most samples no hidden value has a curve
    assert alive[600]["error"] < 0.1
    saved = run("death", 601, script=[[200, "update"]])
    assert saved[600]["error"] < 0.3 * notes[600]["error"]


def test_fade_leaves_few_edges():
    notes = run("fade", 2201)
    assert notes[1900]["edges"] == 15 and notes[2000]["edges"] <= 6
    assert notes[2200]["error"] < 0.02


@pytest.mark.parametrize("name", PRESETS)
def test_preset_is_a_small_lab(name):
    lab = KANLab(**PRESETS[name])
    assert lab.size == "small" and lab.actions and not lab.playing
