"""Joins files of this folder into the one script and the one style sheet that anywidget takes."""

import re
from pathlib import Path

FOLDER = Path(__file__).parent
IMPORT = re.compile(r'^import \{[^}]*\} from "\./(.+)";\n', re.MULTILINE)


def script(name: str) -> str:
    """A module and, before it, those that it imports: one module without imports.

    Only ``name`` exports anything then, and all share their top-level names.
    """
    texts = {}

    def add(name):
        text = (FOLDER / name).read_text(encoding="utf-8")
        for needed in IMPORT.findall(text):
            if needed not in texts:
                add(needed)
        texts[name] = IMPORT.sub("", text)

    add(name)
    *needed, last = texts.values()
    return "\n".join([*(re.sub(r"^export ", "", t, flags=re.MULTILINE) for t in needed), last])


def style(*names: str) -> str:
    return "\n".join((FOLDER / name).read_text(encoding="utf-8") for name in names)
