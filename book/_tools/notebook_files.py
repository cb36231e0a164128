"""What the tools share: where the notebooks are, and how a notebook is read and written.

Standard library only, so that bake_repo.py runs before anything is installed.
"""

import json
import os
import shutil
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def find(root=ROOT):
    """All notebooks of the book, in reading order: the chapters, then the solutions."""
    folder = Path(root) / "notebooks"
    return sorted(folder.glob("*.ipynb")) + sorted(folder.glob("solutions/*.ipynb"))


def read(path):
    """The notebook as plain dictionaries; every text is one string."""
    try:
        notebook = json.loads(Path(path).read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is not a notebook: {error}") from None
    for cell in notebook["cells"]:
        if isinstance(cell["source"], list):
            cell["source"] = "".join(cell["source"])
    return notebook


def dump(notebook):
    """The text of a notebook file, in nbformat's layout: one line of source, one line of text."""
    notebook = json.loads(json.dumps(notebook))
    for cell in notebook["cells"]:
        if isinstance(cell["source"], str):
            cell["source"] = cell["source"].splitlines(keepends=True)
    return json.dumps(notebook, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def write(path, text):
    """Replaces the file in one step: a reader, or an interruption, sees the old or the new text."""
    path = Path(path)
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", newline="\n", dir=path.parent, prefix=".", delete=False
    ) as file:
        file.write(text)
    try:
        if path.exists():
            shutil.copymode(path, file.name)
        else:
            os.chmod(file.name, 0o644)
        os.replace(file.name, path)
    except BaseException:
        os.unlink(file.name)
        raise


def is_tagged(cell, tag):
    return tag in cell.get("metadata", {}).get("tags", [])
