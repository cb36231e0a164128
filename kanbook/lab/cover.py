"""The cover of the book: a short race of two networks, drawn by the scripts of this folder."""

from . import bundle
from .kan_lab import KANLab
from .widget import checked

TASKS = "zigzag", "drawn", "noisy"  # of one input, each with a truth to draw


class KANCover(KANLab):
    """KAN and MLP of equal size over one plot: twelve seconds of training, then a sentence.

    Arguments are those of :class:`~kanbook.lab.kan_lab.KANLab`; ``task`` is one of ``TASKS``.
    """

    _esm = bundle.script("cover")
    _css = bundle.style("page", "lab", "cover")

    @checked("task")
    def _check_task(self, task, name):
        if task not in TASKS:
            raise ValueError(f"task={task!r}; expected one of {TASKS}, which a cover can draw")
        return task
