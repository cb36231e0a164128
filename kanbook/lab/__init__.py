"""What readers can touch: widgets for notebooks, and for pages without a kernel."""

from .playground import SplinePlayground

__all__ = ["SplinePlayground"]
