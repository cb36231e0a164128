"""The published runs of "KAN or MLP: A Fairer Comparison", counted with as many tries for both.

``python -m evidence.kanbefair PATH``, where PATH is a checkout of the repository below
at that commit, writes ``evidence/rows/kanbefair.json``, which ``evidence.published`` reads. That
repository has no licence: its runs are not copied, only what is counted here is stored.
"""

import csv
import hashlib
import json
import math
import sys
from datetime import date
from pathlib import Path

import numpy as np

from .statistics import expected_least
from .table import FOLDER

SOURCE = {
    "paper": "Yu, Yu and Wang, KAN or MLP: A Fairer Comparison, arXiv 2407.16674, 2024",
    "repository": "https://github.com/yu-rp/KANbeFair",
    "commit": "70b255e4c0d9ba1504c273c8f7982d1cc7ef9a88",
    "file": "results/results.csv",
    "sha256": "47cf7430183691d735e5a3fc77c17409ff6d04e6f6fc07e2a35a191ab37dad90",
    "license": "none; its rows are not copied, only what was counted in them",
    "left_out": "special functions: its code does not show of which epoch the stored error is",
    "command": "python -m evidence.kanbefair PATH",
}
TABLES = "Bank Bean Card Income Rice Spam Student Telescope Titanic Wine"


def read(text: str) -> dict[tuple[str, str], np.ndarray]:
    """Runs by data and model: epochs, test accuracy in %, parameters. Equal reruns count once."""
    runs: dict = {}
    for _, data, model, *config, train, test, size, _, _, _ in csv.reader(text.splitlines()):
        if not data.startswith("Special"):
            row = int(config[4]), float(test), int(size)
            runs.setdefault((data, model), {})[(*config, train, test)] = row
    return {key: np.array([*rows.values()]) for key, rows in runs.items()}


def count(data: str, kan: np.ndarray, mlp: np.ndarray) -> dict:
    """One row; its columns are those of ``evidence.published``."""
    small = mlp[mlp[:, 2] <= kan[:, 2].max()]
    n, best = len(mlp), mlp[:, 1].max()
    others = math.comb(int((kan[:, 1] <= best).sum()), n)  # draws of n KANs, none of them ahead
    right = np.concatenate([kan, mlp])[:, 1] / 100
    samples = next(
        m for m in range(1, 10**5) if np.allclose(right * m, np.rint(right * m), 0, 1e-6)
    )
    kind = "table" if data in TABLES.split() else "picture"
    row = {"data": data, "kind": kind, "samples": samples}
    row |= {"kans": len(kan), "mlps": n, "short": int((kan[:, 0] < mlp[:, 0].min()).sum())}
    row |= {"kan_best": kan[:, 1].max(), "kan_equal": -expected_least(-kan[:, 1], n)}
    row |= {"mlp_best": best, "chance": 1 - others / math.comb(len(kan), n)}
    row |= {"small_mlps": len(small), "small_mlp_best": small[:, 1].max()}
    row |= {"small_kan_equal": -expected_least(-kan[:, 1], len(small))}
    row |= {"noise": 2 * math.sqrt(2 * best * (100 - best) / samples)}
    return {name: round(v, 4) if isinstance(v, float) else v for name, v in row.items()}


def main(checkout: str) -> None:
    content = (Path(checkout) / SOURCE["file"]).read_bytes()
    if hashlib.sha256(content).hexdigest() != SOURCE["sha256"]:
        raise ValueError(f"PATH={checkout!r}; expected a checkout of commit {SOURCE['commit']}")
    runs = read(content.decode())
    names = sorted({data for data, _ in runs})
    rows = [count(data, runs[data, "KAN"], runs[data, "MLP"]) for data in names]
    how = json.dumps(SOURCE | {"date": str(date.today())}, indent=1)
    text = f'{{"provenance": {how},\n"rows": [\n' + ",\n".join(map(json.dumps, rows)) + "\n]}\n"
    (FOLDER / "kanbefair.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
