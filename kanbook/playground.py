"""The place of :mod:`kanbook.lab` in the first edition."""

from .lab import SplinePlayground

__all__ = ["SplinePlayground"]
