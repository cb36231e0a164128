"""Makes an environment with Colab's versions, those of colab.txt, for test_colab.py.

    python tests/notebooks/colab_environment.py    into _build/colab; `make colab` calls it

PyTorch is not installed again but linked from the environment that this runs in: a second copy can
take gigabytes, and each machine keeps the build that fits it.
"""

import shutil
import subprocess
import sys
import sysconfig
import venv
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "_build" / "colab"
VERSIONS = ROOT / "tests" / "notebooks" / "colab.txt"
INSTALLED = FOLDER / "installed.txt"  # a copy of it, written last
LINKS = FOLDER / "torch"


def packages(folder):
    """The folder that holds the packages of an environment with this Python."""
    return Path(sysconfig.get_path("purelib", vars={"base": str(folder)}))


def with_requirements(requirement, found):
    """`found`, by name, with the installed package that is required and all that it requires."""
    if requirement.name not in found:
        found[requirement.name] = metadata.distribution(requirement.name)
    for text in found[requirement.name].requires or ():
        needed = Requirement(text)
        applies = needed.marker is None or any(
            needed.marker.evaluate({"extra": extra}) for extra in ("", *requirement.extras)
        )
        if applies and (needed.name not in found or needed.extras):
            with_requirements(needed, found)
    return found


def link_torch():
    LINKS.mkdir()
    for package in with_requirements(Requirement("torch"), {}).values():
        for name in {file.parts[0] for file in package.files} - {"..", "__pycache__"}:
            if not (LINKS / name).exists():
                (LINKS / name).symlink_to(package.locate_file(name))


def python(*arguments):
    subprocess.run([FOLDER / "bin" / "python", *arguments], check=True)


def main():
    shutil.rmtree(FOLDER, ignore_errors=True)
    venv.create(FOLDER, symlinks=True, with_pip=True)
    link_torch()
    (packages(FOLDER) / "torch.pth").write_text(f"{LINKS}\n", encoding="utf-8")
    python("-m", "pip", "install", "--quiet", "--requirement", VERSIONS)
    python("-c", "import matplotlib.font_manager")  # lists fonts now: in a notebook it might print
    shutil.copy(VERSIONS, INSTALLED)


if __name__ == "__main__":
    sys.exit(main())
