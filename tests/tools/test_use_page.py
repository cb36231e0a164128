"""What readers copy runs: the page "Use kanbook in your project", the answers of chapter 21."""

import json
import re

import numpy as np
import pytest
import torch

from kanbook import MLP, experiments, tasks
from notebook_files import ROOT

PAGE = ROOT / "book" / "use_in_your_project.md"


def test_its_code_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = {}
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.M | re.S)
    for block in blocks:
        exec(compile(block, PAGE.name, "exec"), names)
    assert 0 < names["history"].validation_loss[-1] < 1e-3
    assert torch.allclose(
        names["program"].module()(names["u"]), names["model"](names["u"]), atol=1e-5
    )
    assert "torch.Size([32, 4]) torch.Size([32, 4])" in capsys.readouterr().out


def test_the_answers_of_the_verdict_can_be_copied():
    pytest.importorskip("sklearn")
    cells = json.loads((ROOT / "notebooks" / "21_verdict.ipynb").read_text("utf-8"))["cells"]
    text = next(text for c in cells if 'class="chooser"' in (text := "".join(c["source"])))
    x = np.random.default_rng(0).uniform(-1, 1, (60, 2))
    y = x[:, :1] * x[:, 1:]
    names = {"baseline": experiments.baselines.fit, "experiments": experiments, "tasks": tasks}
    names |= {"train": (x[:40], y[:40]), "choose": (x[40:], y[40:]), "new": x, "MLP": MLP}
    names |= {"x": torch.tensor(x, dtype=torch.float32), "F": 3}
    lines = set(re.findall(r"^`((?:baseline|MLP).*?)`", text, re.M))
    assert len(lines) >= 4
    for line in lines:
        assert eval(line, names) is not None, line
