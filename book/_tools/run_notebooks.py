"""Runs notebooks top to bottom and stores their outputs, so that a re-run changes no line.

    python book/_tools/run_notebooks.py                            all notebooks of the book
    python book/_tools/run_notebooks.py notebooks/01_splines.ipynb

The only tool that stores outputs (`make notebooks` calls it). What differs between two runs of the
same code is made equal: cell ids, execution counts, widget ids, memory addresses, time stamps.
"""

import argparse
import hashlib
import json
import os
import re
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

from notebook_files import dump, find, is_tagged, read, write

KERNELSPEC = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
LANGUAGE_INFO = {
    "codemirror_mode": {"name": "ipython", "version": 3},
    "file_extension": ".py",
    "mimetype": "text/x-python",
    "name": "python",
    "nbconvert_exporter": "python",
    "pygments_lexer": "ipython3",
}  # as Jupyter writes it, without the version of Python
NOTEBOOK_METADATA = ("kanbook", "widgets")  # kept; what editors and Colab add besides is dropped
CELL_METADATA = ("tags", "mystnb")
WIDGET_STATE = "application/vnd.jupyter.widget-state+json"
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
MODEL = "IPY_MODEL_"  # before the id of another widget, in a widget's state

ADDRESS = re.compile(r"\bat 0x[0-9a-fA-F]{8,16}\b")
WIDGET_ID = re.compile("[0-9a-f]{32}")
KERNEL_FILE = re.compile(r"[\w./~-]*/ipykernel_\d+/\d+\.py")


class NotebookError(Exception):
    """A notebook that cannot be stored; the message says which, where and why."""


def budget_seconds(notebook, name):
    budget = notebook["metadata"].get("kanbook", {}).get("budget_seconds")
    if not isinstance(budget, int | float) or isinstance(budget, bool) or budget <= 0:
        raise NotebookError(
            f"{name}: states no time budget; add to the notebook's metadata, for example, "
            '"kanbook": {"budget_seconds": 60}'
        )
    return budget


def budget_factor():
    """How much slower than the budget a machine may be, from KANBOOK_BUDGET_FACTOR."""
    return float(os.environ.get("KANBOOK_BUDGET_FACTOR", "1"))


def add_cell_ids(notebook):
    """Ids for the cells that have none, from position and text; ids that are there stay."""
    taken = {cell["id"] for cell in notebook["cells"] if cell.get("id")}
    for position, cell in enumerate(notebook["cells"]):
        salt = 0
        while not cell.get("id"):
            seed = f"{position}/{salt}/{cell['source']}"
            candidate = hashlib.sha256(seed.encode()).hexdigest()[:8]
            if candidate not in taken:
                cell["id"] = candidate
                taken.add(candidate)
            salt += 1
    notebook["nbformat"], notebook["nbformat_minor"] = 4, 5


def execute(notebook, name, folder, budget):
    """Runs the cells in a fresh kernel; returns the notebook with outputs, and the seconds."""
    node = nbformat.reads(dump(notebook), as_version=4)
    running = {}

    def note(cell, cell_index):
        running.setdefault("start", time.perf_counter())  # the kernel's own start is not counted
        first_line = (cell["source"].strip().splitlines() or [""])[0]
        running["where"] = f"{name}: cell {cell_index + 1}, which begins with {first_line!r},"

    client = NotebookClient(
        node,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
        timeout=max(1, round(budget)),  # of one cell; the sum is compared below
        record_timing=False,
        extra_arguments=["--log-level=ERROR"],  # else each kernel warns that its port is local TCP
        on_cell_start=note,
    )
    client.widget_registry = {}  # mirroring Output widgets can lose the kernel's reply to a cell
    try:
        client.execute()
    except CellTimeoutError:
        raise NotebookError(f"{running['where']} did not end within {budget:g} s") from None
    except CellExecutionError as error:
        what = f"{error.ename}: {error.evalue}\n\n{error.traceback}"
        raise NotebookError(f"{running['where']} failed with {what}") from None
    except DeadKernelError:
        raise NotebookError(f"{running.get('where', name)} ended the kernel") from None
    seconds = time.perf_counter() - running["start"]
    if seconds > budget:
        raise NotebookError(
            f"{name}: took {seconds:.1f} s, its time budget is {budget:g} s; make it quicker, "
            "raise the budget, or on a slow machine set KANBOOK_BUDGET_FACTOR"
        )
    # Not nbformat.writes: it sorts, and the widgets are still in their order of creation.
    return json.loads(json.dumps(nbformat.v4.rwbase.split_lines(node))), seconds


def merge_streams(outputs):
    """Joins neighbouring pieces of one stream: where a print is cut depends on timing."""
    merged = []
    for output in outputs:
        last = merged[-1] if merged else {}
        if output["output_type"] == "stream" and output["name"] == last.get("name"):
            text = "".join(last["text"]) + "".join(output["text"])
            last["text"] = text.splitlines(keepends=True)
        else:
            merged.append(output)
    return merged


def normalise_text(value):
    """Zeroes memory addresses and names of temporary files in a text, or in a list of lines."""
    if isinstance(value, list):
        return [normalise_text(line) for line in value]
    return KERNEL_FILE.sub("/tmp/ipykernel_0/0.py", ADDRESS.sub("at 0x000000000000", value))


def normalise_output(output):
    if output["output_type"] == "error":
        # The frames name files and lines of this machine; the last line is what a reader needs.
        output["traceback"] = [f"{output['ename']}: {output['evalue']}"]
    data = output.get("data", {})
    for place, key in [(output, "text"), (output, "evalue"), (output, "traceback")] + [
        (data, kind) for kind in data if kind.startswith("text/")
    ]:
        if key in place:
            place[key] = normalise_text(place[key])
    return output


def keep_living(notebook):
    """Drops what a page without a kernel cannot show.

    That is the output of cells tagged `live-only`, and the state of all widgets but the anywidgets
    that are shown, which bring their own script, and their layouts.
    """
    for cell in notebook["cells"]:
        if is_tagged(cell, "live-only"):
            cell["outputs"] = []
    widgets = notebook["metadata"].get("widgets", {}).get(WIDGET_STATE)
    if widgets is None:
        return notebook
    shown = {
        output["data"][WIDGET_VIEW]["model_id"]
        for cell in notebook["cells"]
        for output in cell.get("outputs", [])
        if WIDGET_VIEW in output.get("data", {})
    }
    living = {
        name: model
        for name, model in widgets["state"].items()
        if name in shown and model["model_module"] == "anywidget"
    }
    layouts = {model["state"].get("layout", "").removeprefix(MODEL) for model in living.values()}
    widgets["state"] = {
        name: model for name, model in widgets["state"].items() if name in living or name in layouts
    }
    if not living:
        del notebook["metadata"]["widgets"]
    return notebook


def renumber_widgets(notebook):
    """Gives the widgets, which draw their ids by chance, the ids 1, 2, ... in order of creation."""
    state = notebook["metadata"].get("widgets", {}).get(WIDGET_STATE, {}).get("state", {})
    text = json.dumps(notebook)
    for number, drawn in enumerate(filter(WIDGET_ID.fullmatch, state), start=1):
        text = text.replace(drawn, f"{number:032x}")
    return json.loads(text)


def normalise(notebook):
    """The notebook without what differs between two runs of the same code."""
    kept = {k: v for k, v in notebook["metadata"].items() if k in NOTEBOOK_METADATA}
    notebook["metadata"] = kept | {"kernelspec": KERNELSPEC, "language_info": LANGUAGE_INFO}
    count = 0
    for cell in notebook["cells"]:
        cell["metadata"] = {k: v for k, v in cell["metadata"].items() if k in CELL_METADATA}
        if cell["cell_type"] != "code":
            continue
        count += 1
        cell["execution_count"] = count
        cell["outputs"] = [normalise_output(out) for out in merge_streams(cell["outputs"])]
        for output in cell["outputs"]:
            if "execution_count" in output:
                output["execution_count"] = count
    return renumber_widgets(keep_living(notebook))


def run(path, factor=1.0):
    """Executes one notebook; returns its new text, the seconds that it took and its budget."""
    path = Path(path)
    name = os.path.relpath(path)
    notebook = read(path)
    budget = budget_seconds(notebook, name)
    add_cell_ids(notebook)
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            if not cell["source"].strip():
                raise NotebookError(f"{name}: cell {cell['id']} is empty; remove it")
            cell["outputs"], cell["execution_count"] = [], None
    notebook["metadata"].pop("widgets", None)
    executed, seconds = execute(notebook, name, path.parent, budget * factor)
    return dump(normalise(executed)), seconds, budget


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("notebooks", nargs="*", type=Path, help="default: all of the book")
    options = parser.parse_args(arguments)

    # For the kernels: one thread, this environment's own kernel, figures inside the notebook.
    os.environ["OMP_NUM_THREADS"] = "1"
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"
    os.environ.pop("MPLBACKEND", None)

    paths = options.notebooks or find()
    try:
        factor = budget_factor()
        for path in paths:
            if not path.is_file():
                raise NotebookError(f"{path}: no such notebook")
        for path in paths:
            print(f"{os.path.relpath(path)} ... ", end="", flush=True)
            text, seconds, budget = run(path, factor)
            changed = text != path.read_text(encoding="utf-8")
            if changed:
                write(path, text)
            state = "stored" if changed else "unchanged"
            print(f"{state}, {seconds:.1f} s of {budget:g} s", flush=True)
    except (NotebookError, ValueError) as error:
        print("failed")
        print(f"run_notebooks: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; this notebook's file is as before")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
