"""pytest plugin for the nbval run: adds up each notebook's time and fails when it is over budget.

    PYTHONPATH=tests/notebooks python -m pytest -p notebook_budget --nbval notebooks

The budget stands in the notebook's metadata as kanbook.budget_seconds. On a slow machine, set
KANBOOK_BUDGET_FACTOR, say to 3. Starting the kernel is not counted.
"""

import json
from collections import defaultdict

import pytest

SECONDS = defaultdict(float)  # of each notebook


def pytest_runtest_logreport(report):
    notebook = report.nodeid.split("::")[0]
    if report.when == "call" and notebook.endswith(".ipynb"):
        SECONDS[notebook] += report.duration


def over_budget(config):
    from run_notebooks import budget_factor  # found once pytest has set its path

    problems, factor = [], budget_factor()
    for notebook, seconds in SECONDS.items():
        text = (config.rootpath / notebook).read_text(encoding="utf-8")
        budget = json.loads(text)["metadata"]["kanbook"]["budget_seconds"]
        if seconds > budget * factor:
            allowed = f"{budget:g} s x {factor:g}"
            problems.append(f"{notebook}: took {seconds:.1f} s, its time budget is {allowed}")
    return problems


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session):
    if over_budget(session.config) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter, config):
    for notebook, seconds in SECONDS.items():
        terminalreporter.write_line(f"{seconds:6.1f} s  {notebook}")
    for problem in over_budget(config):
        terminalreporter.write_line(f"OVER BUDGET {problem}", red=True)
