"""The place of :mod:`kanbook.fast` in the first edition."""

from .experiments.rivals import apply_splines
from .fast import sum_splines

__all__ = ["apply_splines", "sum_splines"]
