"""The judges of part J ask what a network forgets that sees its tasks one after the other."""

from __future__ import annotations

from itertools import product

import numpy as np

from .comparisons import Phases, where
from .judging import number, percent
from .registry import judge

ONE, TWO, EXTRAS = "KAN, one layer", "KAN, two layers", "KAN, one layer, extras"


@judge("J 1", "sequence")
def one_spline_keeps_the_peaks_without_extras(frame):
    of = Phases(frame)
    yield {"keeps": not of.forgets("peaks", ONE)}, of.said("peaks", ONE)
    yield {"forgets with extras": of.forgets("peaks", EXTRAS)}, of.said("peaks", EXTRAS)


@judge("J 2", "sequence")
def two_layers_forget_like_the_mlp(frame):
    of = Phases(frame)
    for task, who in product(("peaks", "hills"), (TWO, "MLP")):
        yield {"forget": of.forgets(task, who)}, of.said(task, who)
    for task in ("peaks", "hills"):
        behind = of.ends(task, TWO)[0] / of.ends(task, "MLP")[0]
        said = f"{task}, in turn: two layers / MLP **{number(behind)}**"
        yield {"within a factor 2": 0.5 < behind < 2}, said


@judge("J 3", "sequence")
def one_layer_keeps_hills_and_cannot_learn_them(frame):
    of = Phases(frame)
    least, (turn, once) = min(of.ends("hills", ONE)), of.ends("rotated hills", ONE)
    claimed = {"keeps": not of.forgets("hills", ONE), "cannot learn": least > 0.3}
    yield claimed, of.said("hills", ONE)
    yield {"ends higher, rotated": turn > once}, of.said("rotated hills", ONE)


@judge("J 4", "sequence")
def phases_share_splines_of_the_second_layer(frame):
    for task in ("peaks", "hills", "rotated hills"):
        runs = where(frame, task=f"sequence:{task}", contestant=TWO, way="in turn")
        shares = [
            [probe["shared"] for probe in probes if "shared" in probe] for probes in runs["probes"]
        ]
        first, second = np.median(np.mean(shares, axis=1), axis=0)
        so = first > 1 / 3 if task == "rotated hills" else first < 0.25
        said = f"{task}: first layer **{percent(first)}**, second **{percent(second)}**"
        yield {f"{task}, first": so, f"{task}, second": second > 1 / 3}, said


@judge("J 5", "sequence")
def digits_need_replay(frame):
    right = Phases(frame).accuracy["digits"]
    turn, replay = (right.xs(way, level="way") for way in ("in turn", "replay"))
    said = f"right at most **{percent(turn.max())}** in turn ({turn.idxmax()}), at least "
    said += f"**{percent(replay.min())}** with replay ({replay.idxmin()})"
    yield {"few in turn": turn.max() <= 0.3, "more with replay": replay.min() > 0.6}, said


@judge("J 6", "sequence")
def replay_matters_more_than_the_network(frame):
    of = Phases(frame)
    tasks = "peaks", "hills", "rotated hills", "digits"
    logs = np.log((1 - of.accuracy).fillna(of.errors)).unstack("way").loc[list(tasks)]
    two, mlp = (logs.xs(who, level="contestant") for who in (TWO, "MLP"))
    gain = np.exp(np.mean([who["in turn"] - who["replay"] for who in (two, mlp)]))
    choice = np.exp((two["in turn"] - mlp["in turn"]).abs().mean())
    said = f"in turn / replay **{number(gain)}**; one network / the other **{number(choice)}**"
    yield {"matters more": gain > choice}, said
