"""Settings of every test: no window, one thread, and under CI=true no silent skip."""

import os

import matplotlib
import pytest

matplotlib.use("Agg")  # here and not in MPLBACKEND, which the kernels of notebooks would inherit
os.environ.setdefault("OMP_NUM_THREADS", "1")


def refuse_skip(report):
    """Turns a skip into a failure when CI=true: there, everything that tests need is installed."""
    if os.environ.get("CI") != "true" or not report.skipped or hasattr(report, "wasxfail"):
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
    report.outcome = "failed"
    report.longrepr = f"{report.nodeid}: skipped, a failure with CI=true: {reason}"


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport():
    outcome = yield
    refuse_skip(outcome.get_result())


@pytest.hookimpl(hookwrapper=True)
def pytest_make_collect_report():
    outcome = yield
    refuse_skip(outcome.get_result())
