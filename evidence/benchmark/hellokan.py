"""PyKAN's first tutorial and ``formulas.discover``, in turns, on the same 1,000 samples.

The tutorial is ``hellokan.ipynb`` at commit ecde4ec of github.com/KindXiaoming/pykan, without its
plots. It looks for exp(sin(pi x1) + x2^2), and knows which ten functions to choose from; all
``discover`` is given are the samples and the widths [2, 5, 1]. Seeds are of the networks.
"""

import time
from itertools import product

import torch

from evidence.runs.recovery import equal
from evidence.runs.trials import rounded
from evidence.tasks.laws import numeric
from kanbook import formulas
from kanbook.rivals import contained

SEEDS = 42, 0, 1, 2, 3  # the tutorial's own, and four more
LIBRARY = ["x", "x^2", "x^3", "x^4", "exp", "log", "sqrt", "tanh", "sin", "abs"]


def samples():
    """The tutorial's: inputs and targets, to learn from and to test on."""
    from kan.utils import create_dataset

    def f(x):
        return torch.exp(torch.sin(torch.pi * x[:, [0]]) + x[:, [1]] ** 2)

    return create_dataset(f, n_var=2)


def pykan(data, seed):  # leaves files in ./model
    from kan import KAN

    model = KAN(width=[2, 5, 1], grid=3, k=3, seed=seed)
    model(data["train_input"])
    model.fit(data, opt="LBFGS", steps=50, lamb=0.001)
    model = model.prune()
    model.fit(data, opt="LBFGS", steps=50)
    model = model.refine(10)
    model.fit(data, opt="LBFGS", steps=50)
    model.auto_symbolic(lib=LIBRARY)
    model.fit(data, opt="LBFGS", steps=50)
    return model.symbolic_formula(var=["x1", "x2"])[0][0]


def kanbook(data, seed):
    widths = [2, 5, 1]
    found = formulas.discover(data["train_input"], data["train_label"], widths, generator=seed)
    return found.expression()


def hellokan(seeds=SEEDS, packages=(pykan, kanbook)):
    """A row for each seed and package: seconds of processor time, and what was found."""
    with contained():
        data, rows = samples(), []
        x, y = data["test_input"].numpy(), data["test_label"][:, 0].numpy()
        for seed, package in product(seeds, packages):
            start = time.process_time()
            formula = package(data, seed)
            seconds = time.process_time() - start
            error = ((numeric(formula, 2)(x) - y) ** 2).mean() ** 0.5
            row = {"package": package.__name__, "seed": seed, "seconds": rounded(seconds, 4)}
            row |= {"error": rounded(error, 4), "equal": equal(str(formula), "exp_sine")}
            rows.append(row | {"formula": str(formula)})
    return {"hellokan": rows}
