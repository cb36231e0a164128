"""Living figures in Python: their settings, and what is refused."""

import pytest
import traitlets

from kanbook.lab import living


def test_settings_are_traits():
    figure = living.figure("rates", kan_rate=0.1, seed=3)
    assert isinstance(figure, living.Rates)
    assert (figure.kan_rate, figure.mlp_rate, figure.linked, figure.seed) == (0.1, 0.001, True, 3)
    assert not {"kan_rate", "lr"} <= set(living.Death().trait_names(sync=True))


@pytest.mark.parametrize(
    "name, settings, error, message",
    [
        ("nudge", {}, ValueError, r"name='nudge'; expected one of rates, death"),
        ("rates", {"lr": 1}, TypeError, r"Rates\(\) got an unexpected keyword argument 'lr'"),
        ("death", {"_row": [1]}, TypeError, r"Death\(\) .* '_row'"),
        ("rates", {"kan_rate": 0.03}, traitlets.TraitError, r"'kan_rate'.*0\.03"),
        ("rates", {"seed": -1}, traitlets.TraitError, r"seed=-1; expected an integer"),
        ("death", {"warm_up": 101}, traitlets.TraitError, "101"),
        ("death", {"step": 1.5}, traitlets.TraitError, r"1\.5"),
    ],
)
def test_wrong_settings_are_named(name, settings, error, message):
    with pytest.raises(error, match=message):
        living.figure(name, **settings)
