"""The command line: ``python -m evidence``."""

from __future__ import annotations

import argparse
import math
import os
import secrets
import shlex
import sys
from pathlib import Path

from . import engine, reading, statistics, verification
from .design import RATES
from .experiments import EXPERIMENTS, get
from .table import FOLDER, ResultsError


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m evidence",
        description="List, run, verify or show the experiments behind the book's numbers.",
    )
    parser.add_argument("--folder", type=Path, help="of the tables; evidence/rows if not given")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="name, question, chapters, runs and cost of each")
    run = commands.add_parser("run", help="make the runs that are not stored yet")
    run.add_argument("name")
    run.add_argument("--seeds", type=int, metavar="N", help="instead of the usual number")
    run.add_argument("--device", default="cpu", metavar="D", help="cpu, cuda, ...")
    run.add_argument("--scheduler", metavar="ADDRESS", help="of a Dask cluster; else this machine")
    run.add_argument("--processes", type=int, metavar="N", help="instead of one a core")
    verify = commands.add_parser("verify", help="make stored runs again and compare")
    verify.add_argument("name", nargs="?", help="every stored table if not given")
    verify.add_argument("--rows", type=int, metavar="N", help="so many, at random; else all")
    verify.add_argument("--seed", type=int, metavar="S", help="of the draw, to repeat one")
    verify.add_argument("--cheapest", action="store_true", help="the quickest rows, not any")
    verify.add_argument(
        "--seconds", type=float, default=math.inf, metavar="S", help="for each row, at most"
    )
    verify.add_argument("--device", default="cpu", metavar="D", help="cpu, cuda, ...")
    table = commands.add_parser("table", help="show medians and ranges")
    table.add_argument("name")
    return parser.parse_args(arguments)


def show_list(options: argparse.Namespace) -> int:
    for name, design in EXPERIMENTS.items():
        runs = design.total()
        stored = len(engine.table_of(design, options.folder).runs)
        state = "stored" if stored >= runs else f"{stored} stored"
        chapters = ", ".join(map(str, design.chapters))
        print(f"{name}: {design.question}")
        print(
            f"    {len(design.settings)} settings, {design.seeds} seeds, {runs} runs with "
            f"tuning ({state}); about {design.minutes} core minutes; for chapters {chapters}"
        )
    return 0


def make_runs(options: argparse.Namespace) -> int:
    table = engine.run(
        get(options.name),
        seeds=options.seeds,
        device=options.device,
        scheduler=options.scheduler,
        processes=options.processes,
        folder=options.folder,
        command="python -m evidence " + shlex.join(options.arguments),
        progress=True,
    )
    print(f"{table.path}: {len(table.runs)} runs")
    return 0


def verify(options: argparse.Namespace) -> int:
    engine.check_device(options.device)
    names = [options.name] if options.name else reading.names(options.folder)
    if not names:
        raise engine.EngineError(f"{options.folder or FOLDER} holds no tables")
    if options.seed is None:
        options.seed = secrets.randbelow(10**6)
    if options.rows is not None and not options.cheapest:
        print(f"rows drawn with --seed {options.seed}")
    return max([verify_table(name, options) for name in names])


def verify_table(name: str, options: argparse.Namespace) -> int:
    design = get(name)
    table = engine.table_of(design, options.folder)
    engine.check_settings(design, table)
    if not table.runs:
        raise engine.EngineError(f"{table.path} holds no runs yet; `python -m evidence run {name}`")
    print(f"{name}:")
    wrong = False
    rows, how = design.verifiable(table), {"seconds": options.seconds, "device": options.device}
    drawn = {"seed": options.seed, "cheapest": options.cheapest}
    for row in verification.sample(rows, options.rows, **drawn):
        verify = design.measured_by(row["settings"]).verify
        good, why = verify(design.maker(row), table, row, **how)
        wrong = wrong or not good
        print(f"{'agrees' if good else 'DIFFERS'}: run {row['run']}, {why}", flush=True)
    return int(wrong)


def show_table(options: argparse.Namespace) -> int:
    frame = reading.load(get(options.name).name, folder=options.folder)
    said = "test errors of the seeds: median, least, largest"
    if "contest" in frame:
        summary = statistics.medians(frame)
    elif "prediction_seconds" in frame:
        summary, said = statistics.paces(frame), "means of the configurations of a family"
    else:
        summary = reading.summarize(frame)
        rates = {name: rates for name, rates in RATES.items() if len(rates) > 1}
        said = f"learning rates by the rule from {rates}; losses: median, least, largest of the "
        said += "seeds"
    print(summary.to_string(index=False, na_rep="", float_format=lambda x: f"{x:.3g}"))
    print(f"\n{said}")
    return 0


COMMANDS = {"list": show_list, "run": make_runs, "verify": verify, "table": show_table}


def main(arguments: list[str] | None = None) -> int:
    options = parse(arguments)
    options.arguments = sys.argv[1:] if arguments is None else arguments
    try:
        status = COMMANDS[options.command](options)
        sys.stdout.flush()
        return status
    except BrokenPipeError:  # who read the output has gone, such as head: there is nobody to tell
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (ResultsError, engine.EngineError, ImportError, ValueError) as error:
        print(f"evidence: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(
            "\ninterrupted; what was made is stored, and the same command goes on", file=sys.stderr
        )
        return 130


if __name__ == "__main__":
    sys.exit(main())
