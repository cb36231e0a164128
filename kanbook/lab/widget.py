"""What the widgets of this folder share: errors of traits, and what a notebook stores of them."""

from __future__ import annotations

import base64
import io
from contextlib import contextmanager
from numbers import Real
from typing import Any

import anywidget
import traitlets
from matplotlib.figure import Figure

from .._checks import check_domain

MAX_DEGREE = 5


class Number(traitlets.Float):
    """Any real number, NumPy's too, kept as a Python float."""

    def validate(self, obj, value):
        return super().validate(obj, float(value) if isinstance(value, Real) else value)


@contextmanager
def trait_errors():
    """Inside, the errors of kanbook's checks become those that traits raise."""
    try:
        yield
    except (TypeError, ValueError) as error:
        raise traitlets.TraitError(str(error)) from None


def checked(*names: str):
    """Decorate a method of (value, name) that returns what these traits become, or raises."""

    def decorate(check):
        def validate(widget, proposal):
            with trait_errors():
                return check(widget, proposal.value, proposal.trait.name)

        return traitlets.validate(*names)(validate)

    return decorate


class PicturedWidget(anywidget.AnyWidget):
    """A widget whose output also holds a picture, for those who see a notebook without scripts."""

    def notify_change(self, change):
        with self.hold_sync():  # what follows from a change travels in one message with it
            super().notify_change(change)

    def _ipython_display_(self):
        # So IPython asks _repr_mimebundle_ instead; ipywidgets 7 would show no picture.
        raise NotImplementedError

    def _repr_mimebundle_(self, **kwargs):
        data, metadata = super()._repr_mimebundle_(**kwargs)
        return data | {"image/png": base64.b64encode(self.picture()).decode()}, metadata

    def picture(self) -> bytes:
        """The picture as a PNG file."""
        figure = Figure(figsize=(6.4, 3.6), dpi=100, layout="constrained")
        self._draw(figure)
        file = io.BytesIO()
        figure.savefig(file, format="png", metadata={"Software": None})
        return file.getvalue()


class LivingFigure(PicturedWidget):
    """What the figures share: their settings are traits."""

    def __init__(self, **settings: Any):
        for name in settings:
            if name not in self.trait_names(sync=True) or name.startswith("_"):
                raise TypeError(
                    f"{type(self).__name__}() got an unexpected keyword argument {name!r}"
                )
        super().__init__(**settings)

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


def check_page_domain(domain: tuple[float, float]) -> tuple[float, float]:
    """One that the page's numbers can tell and its axes can show."""
    a, b = check_domain(domain)
    if max(abs(a), abs(b)) > 1000 or b - a < 0.01:
        raise ValueError(
            f"domain={domain!r}; expected numbers from -1000 to 1000, the second larger by 0.01 "
            "at least"
        )
    return a, b
