"""The command line: ``python -m kanbook.experiments``."""

from __future__ import annotations

import argparse
import math
import shlex
import sys
from pathlib import Path

from tqdm import tqdm

from .. import results
from . import engine
from .definitions import EXPERIMENTS, RATES


def positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number from 1 up")
    return value


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m kanbook.experiments",
        description="List, run, verify or show the experiments behind the book's numbers.",
    )
    parser.add_argument("--folder", type=Path, help="of the tables; that of kanbook if not given")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="name, question, chapters, runs and cost of each")
    run = commands.add_parser("run", help="make the runs that are not stored yet")
    run.add_argument("name")
    run.add_argument("--seeds", type=positive, metavar="N", help="instead of the usual number")
    run.add_argument("--device", default="cpu", metavar="D", help="cpu, cuda, ...")
    run.add_argument("--scheduler", metavar="ADDRESS", help="of a Dask cluster; else this machine")
    run.add_argument("--processes", type=positive, metavar="N", help="instead of one a core")
    verify = commands.add_parser("verify", help="make stored runs again and compare")
    verify.add_argument("name")
    verify.add_argument("--rows", type=positive, metavar="N", help="so many; all if not given")
    verify.add_argument("--cheapest", action="store_true", help="the quickest rows, not any")
    verify.add_argument("--seconds", type=float, default=math.inf, help="for each row, at most")
    verify.add_argument("--device", default="cpu", metavar="D", help="cpu, cuda, ...")
    table = commands.add_parser("table", help="show medians and ranges")
    table.add_argument("name")
    return parser.parse_args(arguments)


def show_list(options: argparse.Namespace) -> int:
    for name, experiment in EXPERIMENTS.items():
        runs = engine.total(experiment)
        try:
            stored = len(engine.table_of(experiment, options.folder).runs)
            state = "stored" if stored >= runs else f"{stored} stored"
        except results.ResultsError:
            state = "not readable"
        chapters = ", ".join(map(str, experiment.chapters))
        print(f"{name}: {experiment.question}")
        print(
            f"    {len(experiment.settings)} settings, {experiment.seeds} seeds, {runs} runs with "
            f"tuning ({state}); about {experiment.cost} core minutes; for chapters {chapters}"
        )
    return 0


def run(options: argparse.Namespace) -> int:
    experiment = engine.get(options.name)
    command = "python -m kanbook.experiments " + shlex.join(options.arguments)
    with tqdm(unit="run", desc=experiment.name, smoothing=0.05) as bar:

        def report(done: int, total: int) -> None:
            if bar.total != total:
                bar.reset(total)
                bar.initial = done - 1  # rows of earlier calls cost no time
            bar.n = done
            bar.refresh()

        table = engine.run(
            experiment,
            seeds=options.seeds,
            device=options.device,
            scheduler=options.scheduler,
            processes=options.processes,
            folder=options.folder,
            command=command,
            report=report,
        )
    print(f"{table.path}: {len(table.runs)} runs")
    return 0


def verify(options: argparse.Namespace) -> int:
    experiment = engine.get(options.name)
    table = engine.table_of(experiment, options.folder)
    engine.check_settings(experiment, table)
    if not table.runs:
        raise engine.EngineError(
            f"{table.path} holds no runs yet; `python -m kanbook.experiments run {options.name}`"
        )
    print(
        f"allowed: {experiment.early:.1%} in the losses of the first 30 evaluations, a difference "
        f"of {experiment.late:.0%} in the last"
    )
    wrong = 0
    for stored in engine.sample(table, options.rows, cheapest=options.cheapest):
        found = engine.rerun(stored, seconds=options.seconds, device=options.device)
        bad = found["early"] > experiment.early or found["late"] > experiment.late
        wrong += bad
        word = "DIFFERS" if bad else "identical" if found["identical"] else "agrees"
        print(
            f"{word}: run {stored['run']}, seed {stored['seed']}, {found['steps']} of "
            f"{stored['settings'].get('steps', 0)} steps; first losses {found['early']:.1e}, last "
            f"{found['late']:.1e}"
        )
    return 1 if wrong else 0


def show_table(options: argparse.Namespace) -> int:
    import pandas

    experiment = engine.get(options.name)
    frame = results.load(experiment.name, folder=options.folder)
    summary = results.summarize(frame)
    with pandas.option_context("display.width", 200, "display.max_rows", None):
        print(summary.to_string(index=False, float_format=lambda x: f"{x:.3g}"))
    rates = {name: rates for name, rates in RATES.items() if len(rates) > 1}
    print(f"\nlearning rates by the rule from {rates}; losses: median, least, largest of the seeds")
    return 0


COMMANDS = {"list": show_list, "run": run, "verify": verify, "table": show_table}


def main(arguments: list[str] | None = None) -> int:
    options = parse(arguments)
    options.arguments = sys.argv[1:] if arguments is None else arguments
    try:
        return COMMANDS[options.command](options)
    except (results.ResultsError, engine.EngineError, ValueError) as error:
        print(f"kanbook.experiments: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(
            "\ninterrupted; what was made is stored, and the same command goes on", file=sys.stderr
        )
        return 130


if __name__ == "__main__":
    sys.exit(main())
