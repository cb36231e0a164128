"""Living figures in Python: their settings, and what is refused."""

import pytest
import traitlets

from kanbook.lab import living


def test_settings_are_traits():
    figure = living.Rates(kan_rate=0.1, seed=3)
    assert (figure.kan_rate, figure.mlp_rate, figure.linked, figure.seed) == (0.1, 0.001, True, 3)


@pytest.mark.parametrize(
    "kind, settings, error, message",
    [
        (living.Rates, {"lr": 1}, TypeError, r"Rates\(\) got an unexpected keyword argument 'lr'"),
        (living.Death, {"_row": [1]}, TypeError, r"Death\(\) .* '_row'"),
        (living.Rates, {"kan_rate": 0.03}, traitlets.TraitError, r"'kan_rate'.*0\.03"),
        (living.Rates, {"seed": -1}, traitlets.TraitError, r"'seed'.*-1"),
        (living.Death, {"warm_up": 101}, traitlets.TraitError, "101"),
        (living.Death, {"step": 1.5}, traitlets.TraitError, r"1\.5"),
        (living.Nudge, {"seed": 1}, TypeError, r"Nudge\(\) .* 'seed'"),
        (living.Nudge, {"bump": 10}, traitlets.TraitError, "10"),
        (living.Desk, {"coef": [0.5] * 7}, traitlets.TraitError, "'coef'.*length 8"),
        (living.Desk, {"base_weight": 1.1}, traitlets.TraitError, "'base_weight'.*1.1"),
        (living.Knots, {"width": 0.1}, traitlets.TraitError, "'width'.*0.1"),
        (living.Bits, {"entries": 34}, traitlets.TraitError, "'entries'.*34"),
        (living.Waves, {"pixels": 50}, traitlets.TraitError, "'pixels'.*50"),
    ],
)
def test_wrong_settings_are_named(kind, settings, error, message):
    with pytest.raises(error, match=message):
        kind(**settings)
