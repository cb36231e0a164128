"""The house: what may import what, what a user sees, and what an installation needs."""

import ast
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import kanbook

FOLDER = Path(kanbook.__file__).parent
FILES = sorted(FOLDER.rglob("*.py"))
NEEDED = {"torch", "numpy", "matplotlib", "tqdm", "ipywidgets", "anywidget", "traitlets"}
OF_RACE = {"joblib", "pandas", "scipy", "sklearn", "skrub"}
NEEDS_RACE = {
    f"kanbook.{name}"
    for name in ("_estimator", "_samples", "estimators", "importances", "racing", "rivals")
}
OPTIONAL = {"sympy", "IPython", "matplotlib_inline"}  # imported where they are used


def imported(path):
    """The packages, or this package's modules, that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(FOLDER)))
def test_the_library_imports_what_it_declares_and_nothing_of_the_laboratory(path):
    names = {name.split(".")[0] for name in imported(path)} - set(sys.stdlib_module_names)
    assert names <= NEEDED | OF_RACE | OPTIONAL | {"kanbook"}


def test_a_user_sees_names_that_are_there():
    assert dir(kanbook) == sorted(kanbook.__all__)
    assert all(getattr(kanbook, name) is not None for name in kanbook.__all__)
    with pytest.raises(AttributeError, match="no attribute 'KAM'"):
        kanbook.KAM  # noqa: B018


def test_every_other_module_can_be_imported_without_what_the_race_needs():
    every = {info.name for info in pkgutil.walk_packages(kanbook.__path__, "kanbook.")}
    modules = sorted(every - NEEDS_RACE)
    code = f"import importlib, sys; sys.modules.update(dict.fromkeys({OF_RACE}))\n"
    code += f"for name in {modules}: importlib.import_module(name)\n"
    code += "import kanbook\n"
    code += "try: kanbook.race\n"
    code += "except ImportError as error: assert 'pip install' in str(error), error\n"
    code += "else: raise AssertionError"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
