"""What readers can touch: widgets for notebooks, and for pages without a kernel."""

from . import living
from .kan_lab import PRESETS, KANLab
from .playground import SplinePlayground

__all__ = ["PRESETS", "KANLab", "SplinePlayground", "living"]
