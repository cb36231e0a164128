"""Joins files of this folder into the one script and the one style sheet that anywidget takes."""

import dataclasses
import json
import re
from functools import cache
from pathlib import Path

from ..snapping import SEARCH

FOLDER = Path(__file__).parent
IMPORT = re.compile(r'^import \{([^}]*)\} from "\./(\w+)\.js";.*\n', re.MULTILINE)
# Comments on lines of their own are for who reads the sources: a sixth of what pages would load.
COMMENT = re.compile(r"^ *//.*\n|^ */\*(?s:.*?)\*/\n", re.MULTILINE)
# These and what they import stand first in every script that needs the first of them, so that pages
# can keep them in one file for all widgets.
ENGINE = ("network", "mlp", "optimizers", "tasks", "page")


def module(name: str) -> str:
    """A module's code; that of ``search`` is written here, from the library's own numbers."""
    if name == "search":
        return f"export const SEARCH = {json.dumps(dataclasses.asdict(SEARCH))};\n"
    return COMMENT.sub("", (FOLDER / f"{name}.js").read_text(encoding="utf-8"))


def script(name: str) -> str:
    """A module and, before it, those that it imports, each in a scope of its own."""
    needed = _with_imports(name)
    if ENGINE[0] in needed and name not in ENGINE:
        needed = _with_imports(*ENGINE, name)
    last = needed.pop()
    return "".join([*map(_scope, needed), _linked(last)])


@cache
def engine() -> str:
    """What all scripts that train a network begin with."""
    return "".join(map(_scope, _with_imports(*ENGINE)))


def style(*names: str) -> str:
    texts = ((FOLDER / f"{name}.css").read_text(encoding="utf-8") for name in names)
    return COMMENT.sub("", "\n".join(texts))


def _with_imports(*names: str) -> list[str]:
    """These modules and all that they import, in the order in which they can run."""
    found = []
    for name in names:
        needed = _with_imports(*(needed for _, needed in IMPORT.findall(module(name))))
        found += [one for one in [*needed, name] if one not in found]
    return found


def _linked(name: str) -> str:
    return IMPORT.sub(r"const {\1} = $\2;\n", module(name))


def _scope(name: str) -> str:
    text = re.sub(r"^export ", "", _linked(name), flags=re.MULTILINE)
    return (
        f"const ${name} = (() => {{\n{text}\nreturn {{ {', '.join(_wanted()[name])} }};\n}})();\n\n"
    )


@cache
def _wanted() -> dict[str, list[str]]:
    """By module, the names that others import from it."""
    wanted = {}
    for path in sorted(FOLDER.glob("*.js")):
        for names, needed in IMPORT.findall(path.read_text(encoding="utf-8")):
            wanted.setdefault(needed, {}).update(dict.fromkeys(re.findall(r"\w+", names)))
    return {name: list(names) for name, names in wanted.items()}
