"""Instructions and bytes of one prediction on a Cortex-M4F, which is emulated.

``python -m evidence.benchmark.microcontroller`` compiles networks that
:func:`kanbook.export.to_c` wrote, tables and a plane, and runs them in QEMU. With
``--save FILE`` the numbers go where those of ``make bench`` go; what the columns mean
says :func:`evidence.reading.load_benchmark`.

With ``-icount shift=0`` an instruction takes 1 ns of QEMU's virtual clock, which SysTick shows: the
numbers are counts, and come out again on any computer with the same compiler. **They are no cycles
and no times**: on a real Cortex-M4 most instructions take one cycle, a load or a taken branch two
or so, a division of floats 14, and waiting for flash comes on top. Networks are not trained, but
knots lie where values are, as after a grid update.
"""

import argparse
import datetime
import itertools
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pandas
import torch

from evidence import engine
from evidence.benchmark import speed
from kanbook import KAN, MLP, TanhKAN, count_operations, count_parameters, update_grid
from kanbook.export import to_c

ROWS, LOOP = 500, 1_000_000  # predictions; turns of a loop of two instructions
HIDDEN = {2: (7, 11), 3: (10, 10), 10: (12, 22)}  # of an MLP as large as the KAN, by inputs
TICK = 40  # instructions between ticks: the board's clock has 25 MHz
CC = "arm-none-eabi-gcc -std=c99 -mcpu=cortex-m4 -mthumb -mfloat-abi=hard -mfpu=fpv4-sp-d16"
CC += " -ffunction-sections -nostartfiles --specs=nano.specs -Wl,--gc-sections"
QEMU = "qemu-system-arm -M mps2-an386 -cpu cortex-m4 -icount shift=0 -semihosting -nographic"
INSTALL = "apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm"
C_TYPES = {"float32": "float", "float64": "double"}
LINK = """SECTIONS {
    .text 0 : { KEEP(*(.vectors)) *(.text* .rodata*) }
    .ARM.exidx : { *(.ARM.exidx*) }
    .data 0x20000000 : { *(.data*) }
    .bss : { *(.bss* COMMON) }
}"""


def listed(numbers):
    return ", ".join(f"{number}f" for number in np.asarray(numbers, np.float32).ravel().tolist())


def table(dims, places):
    """C that interpolates a product of lines in a table, which is exact."""
    values = 1.0
    for axis in np.meshgrid(*[np.linspace(-1, 1, places)] * dims, indexing="ij"):
        values = values * (1 + axis / 2)
    lines = [f"static const float numbers[] = {{{listed(values)}}};"]
    lines.append("void one_program(const float *x, float *y) { const float *t = numbers;")
    for i in range(dims):
        lines += [f"float u{i} = (x[{i}] + 1.0f) * {(places - 1) / 2}f;", f"int c{i} = (int)u{i};"]
        lines += [f"c{i} = c{i} < 0 ? 0 : c{i} > {places - 2} ? {places - 2} : c{i};"]
        lines += [f"u{i} -= (float)c{i};", f"t += {places ** (dims - 1 - i)} * c{i};"]
    steps = [places ** (dims - 1 - i) for i in range(dims)]
    parts = [f"t[{np.dot(c, steps)}]" for c in itertools.product((0, 1), repeat=dims)]
    for i in reversed(range(dims)):  # two neighbours along input i make one
        pairs = zip(parts[::2], parts[1::2], strict=True)
        lines += [f"float a{i}{q} = {a} + u{i} * ({b} - {a});" for q, (a, b) in enumerate(pairs)]
        parts = [f"a{i}{q}" for q in range(2**i)]
    return "\n".join([*lines, f"y[0] = {parts[0]}; }}"])


def networks(inputs):
    widths = [inputs, 5, 1] if inputs > 1 else [1, 1]
    found = {f"KAN, degree {k}": KAN(widths, degree=k, generator=0) for k in (3, 2, 1)}
    for model in found.values():
        x = 2 * torch.rand(5000, inputs, generator=torch.Generator().manual_seed(0)) - 1
        update_grid(model, x)
    if inputs > 1:
        mlp = [inputs, *HIDDEN[inputs], 1]
        hidden = round(count_parameters(found["KAN, degree 3"]) / (2 * (inputs + 1)))
        found["MLP, tanh"] = MLP(mlp, generator=0)
        found["MLP, ReLU"] = MLP(mlp, torch.relu, generator=0)
        found["tanh KAN"] = TanhKAN([inputs, hidden, 1], generator=0)
    return found


def widths_of(model):
    layers = [layer for layer in model if hasattr(layer, "in_features")]
    return [layers[0].in_features, *(layer.out_features for layer in layers)]


def contestants():
    """Rows, still without what is measured; a function of x, (N, I); one_program in C."""
    for inputs, places in ((1, 64), (2, 32), (3, 16), (10, None)):
        own = {"inputs": inputs, "dtype": "float32", "optimize": "-O2"}
        for name, model in networks(inputs).items():
            row = {"program": name, "widths": str(widths_of(model))}
            row |= {"parameters": count_parameters(model)}
            row |= count_operations(model, "local")._asdict()
            for level in ("-O2", "-O3"):
                text = to_c(model, "one_program", dtype=torch.float32)
                yield own | {"optimize": level} | row, model, text
            if inputs in (2, 10) and name in ("KAN, degree 3", "MLP, tanh", "MLP, ReLU"):
                yield own | {"dtype": "float64"} | row, model, to_c(model, "one_program")
        if places:
            row = {"program": f"table, {' x '.join([str(places)] * inputs)}"}
            row |= {"parameters": places**inputs}
            yield own | row, lambda x: (1 + x / 2).prod(1), table(inputs, places)
        w = torch.arange(inputs + 1) / 8
        text = f"static const float w[] = {{{listed(w)}}};\n"
        text += "void one_program(const float *x, float *y) { y[0] = w[0];"
        text += f"for (int i = 0; i < {inputs}; i++) y[0] += w[i + 1] * x[i]; }}"
        row = {"program": "plane", "parameters": inputs + 1}
        yield own | row, lambda x, w=w: x @ w[1:] + w[0], text


def run(*command, **options):
    return subprocess.check_output([*map(str, command)], text=True, **options)


def size(path):
    """Bytes of code, of constants, and of variables that have a value."""
    text, data = run("arm-none-eabi-size", path).splitlines()[1].split()[:2]
    return int(text) + int(data)


@torch.no_grad()
def measure(found):
    """Compile and run contestants; return their rows."""
    for program in (CC.split()[0], QEMU.split()[0]):
        if not shutil.which(program):
            raise SystemExit(f"There is no {program} here. On Debian or Ubuntu: {INSTALL}")
    rows, found, calls = [], [*found], []
    x = 2 * torch.rand(ROWS * 10, generator=torch.Generator().manual_seed(1)) - 1
    bits = ", ".join(map(str, x.numpy().view(np.uint32)))
    header = f"#define ROWS {ROWS}\n#define NUMBERS {len(x)}\n#define LOOP {LOOP}\n"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for i, (row, _, text) in enumerate(found):
            number, source, program = C_TYPES[row["dtype"]], folder / f"f{i}.c", folder / f"f{i}.o"
            source.write_text(text.replace("one_program", f"f{i}"))
            run(*CC.split(), row["optimize"], "-c", source, "-o", program)
            run(*CC.split(), program, f"-Wl,-e,f{i}", "-o", folder / "alone", "-lm")
            sizes = {"bytes": size(program), "linked_bytes": size(folder / "alone")}
            rows.append(row | sizes)
            header += f"void f{i}(const {number} *x, {number} *y);\n"
            calls.append(f"measure_{number}(f{i}, {row['inputs']});")
        header += f"#define BITS {bits}\n#define CALLS {' '.join(calls)}\n"
        (folder / "programs.h").write_text(header)
        (folder / "link.ld").write_text(LINK)
        sources = [Path(__file__).with_suffix(".c"), "-I", folder, *folder.glob("f*.o"), "-lm"]
        run(*CC.split(), "-O2", *sources, "-T", folder / "link.ld", "-o", folder / "all")
        console = {"stderr": subprocess.STDOUT, "timeout": 300}
        lines = run(*QEMU.split(), "-kernel", folder / "all", **console).splitlines()
    (loop,), *lines = ([int(word, 16) for word in line.split()] for line in lines)
    if abs(loop * TICK / (2 * LOOP) - 1) > 1e-4:
        raise RuntimeError(f"a loop of {2 * LOOP} instructions took {loop} ticks of {TICK}")
    empty = dict(zip(C_TYPES, [line[0] for line in lines[:2]], strict=True))  # loop and call
    for row, (_, function, _), (ticks, *y) in zip(rows, found, lines[2:], strict=True):
        expected = function(x[: ROWS * row["inputs"]].view(ROWS, -1)).ravel()
        y = torch.from_numpy(np.array(y, np.uint32).view(np.float32))
        torch.testing.assert_close(y, expected, rtol=1e-5, atol=1e-5, msg=f"{row} is wrong")
        row["instructions"] = round((ticks - empty[row["dtype"]]) * TICK / ROWS)
    return rows


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--save", type=Path, metavar="FILE", help="keep the numbers, as JSON")
    options = parser.parse_args(arguments)
    rows = measure(contestants())
    print(pandas.DataFrame(rows).to_string(index=False, na_rep=""))
    if options.save:
        command = f"python -m evidence.benchmark.microcontroller --save {options.save}"
        save(options.save, {"microcontroller": rows}, command, "an emulated Cortex-M4F", CC, QEMU)


def save(path, parts, command, processor, compiled, emulated):
    """Write rows of parts of the benchmark, with how they were made."""
    provenance = {"command": command}
    provenance |= {"commit": engine.commit(), "date": datetime.date.today().isoformat()}
    provenance |= {"processor": processor, "cores": 1, "compile": compiled, "emulate": emulated}
    provenance["python"] = engine.machine()["python"]
    names = [text.split()[0] for text in (CC, QEMU)]
    versions = {name: re.search(r"\d+\.\d+\.\d+", run(name, "--version"))[0] for name in names}
    provenance["versions"] = {"torch": torch.__version__} | versions
    speed.save(path, parts, provenance)


if __name__ == "__main__":
    main()
