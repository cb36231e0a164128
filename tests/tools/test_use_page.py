"""The blocks of the page "Use kanbook in your project" run, one after the other."""

import re
from pathlib import Path

import torch

PAGE = Path(__file__).parents[2] / "book" / "use_in_your_project.md"


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
