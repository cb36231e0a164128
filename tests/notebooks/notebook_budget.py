"""pytest plugin for the nbval run: adds up each notebook's time and fails when it is over budget.

    python -m pytest -p tests.notebooks.notebook_budget --nbval notebooks

The budget stands in the notebook's metadata as kanbook.budget_seconds. On a slow machine, set
KANBOOK_BUDGET_FACTOR, say to 3. Starting the kernel is not counted.
"""

import json
from pathlib import Path

import pytest


class NotebookBudget:
    def __init__(self, root, factor):
        self.root = Path(root)
        self.factor = factor
        self.seconds = {}

    def pytest_runtest_logreport(self, report):
        notebook = report.nodeid.split("::")[0]
        if report.when == "call" and notebook.endswith(".ipynb"):
            self.seconds[notebook] = self.seconds.get(notebook, 0.0) + report.duration

    def budget(self, notebook):
        metadata = json.loads((self.root / notebook).read_text(encoding="utf-8"))["metadata"]
        return metadata["kanbook"]["budget_seconds"]

    def over_budget(self):
        problems = []
        for notebook, seconds in self.seconds.items():
            budget = self.budget(notebook)
            if seconds > budget * self.factor:
                allowed = f"{budget:g} s" + (f" x {self.factor:g}" if self.factor != 1 else "")
                problems.append(f"{notebook}: took {seconds:.1f} s, its time budget is {allowed}")
        return problems

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session):
        if self.over_budget() and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter):
        if self.seconds:
            terminalreporter.section("time of each notebook")
            for notebook, seconds in self.seconds.items():
                terminalreporter.write_line(f"{seconds:6.1f} s  {notebook}")
        for problem in self.over_budget():
            terminalreporter.write_line(f"OVER BUDGET {problem}", red=True)


def pytest_configure(config):
    from run_notebooks import budget_factor  # found once pytest has set its path

    budget = NotebookBudget(config.rootpath, budget_factor())
    config.pluginmanager.register(budget, "notebook_budget_run")
