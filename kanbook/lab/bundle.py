"""Joins files of this folder into the one script and the one style sheet that anywidget takes."""

import dataclasses
import json
import re
from pathlib import Path

from ..snapping import SEARCH

FOLDER = Path(__file__).parent
IMPORT = re.compile(r'^import \{([^}]*)\} from "\./(\w+)\.js";.*\n', re.MULTILINE)


def module(name: str) -> str:
    """A module's text; that of ``search`` is written here, from the library's own numbers."""
    if name == "search":
        return f"export const SEARCH = {json.dumps(dataclasses.asdict(SEARCH))};\n"
    return (FOLDER / f"{name}.js").read_text(encoding="utf-8")


def script(name: str) -> str:
    """A module and, before it, those that it imports, each in a scope of its own."""
    texts, wanted = {}, {}

    def add(name):
        text = module(name)
        for names, needed in IMPORT.findall(text):
            wanted.setdefault(needed, {}).update(dict.fromkeys(re.findall(r"\w+", names)))
            if needed not in texts:
                add(needed)
        texts[name] = IMPORT.sub(r"const {\1} = $\2;\n", text)

    add(name)
    last = texts.pop(name)
    scopes = []
    for needed, text in texts.items():
        text = re.sub(r"^export ", "", text, flags=re.MULTILINE)
        names = ", ".join(wanted[needed])
        scopes.append(f"const ${needed} = (() => {{\n{text}\nreturn {{ {names} }};\n}})();\n\n")
    return "".join([*scopes, last])


def style(*names: str) -> str:
    return "\n".join((FOLDER / f"{name}.css").read_text(encoding="utf-8") for name in names)
