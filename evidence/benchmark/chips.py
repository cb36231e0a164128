"""Networks in integers and in floats on two emulated chips, of which one has no floating point.

``python -m evidence.benchmark.chips`` compiles lookup tables, float splines and ReLU MLPs for a
Cortex-M0 and a Cortex-M4F and runs each on 100,000 inputs in QEMU. With ``--save FILE`` the numbers
go where those of ``make bench`` go, as the part "bits"; what the columns mean says
:func:`evidence.reading.load_benchmark`.

Instructions are counted as in ``microcontroller``, and are no cycles: on a Cortex-M0 a load takes
two, a taken branch three. ``error`` is against the network in 64 bits; ``different`` counts outputs
that are not those of NumPy, bit for bit. Networks are not trained, but their knots lie where values
are, and inputs reach all of their range.
"""

import argparse
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pandas
import torch

from evidence import int8
from evidence.benchmark import microcontroller
from evidence.benchmark.microcontroller import run, size
from kanbook import KAN, MLP, update_grid
from kanbook.export import to_c
from kanbook.lookup import to_tables

INPUTS, ROWS, LOOP = (1, 2, 3, 5, 10), 100_000, 100_000
SHARED = "-std=c99 -O2 -mthumb -ffunction-sections -fdata-sections -nostartfiles --specs=nano.specs"
SHARED += " -Wl,--gc-sections"
M0 = "-mcpu=cortex-m0 -mfloat-abi=soft"
M4 = "-mcpu=cortex-m4 -mfloat-abi=hard -mfpu=fpv4-sp-d16"
EMULATE = "-icount shift=0 -semihosting -nographic"
CHIPS = {  # options of the compiler, of QEMU; nanoseconds of a tick; the stack's top; rows a block
    "Cortex-M0": (M0, "-M microbit", 1000 / 16, 0x20004000, 50),
    "Cortex-M4F": (M4, "-M mps2-an386 -cpu cortex-m4", 1000 / 25, 0x20400000, 500),
}
NEAREST = """void program(const int32_t *x, int32_t *y)
{
    int32_t q[%d];
    for (int i = 0; i < %d; i++)
        q[i] = (255 * x[i] + 32768) >> 16;
    inner(q, y);
}
"""


def networks(inputs):
    """A KAN and a ReLU MLP, float64, and samples x that reach both ends of all inputs."""
    x = 2 * torch.rand(5000, inputs, generator=torch.Generator().manual_seed(0)).double() - 1
    x[:2] = torch.tensor([[-1.0], [1.0]])
    kan = KAN([inputs, 5, 1], generator=0, dtype=torch.float64)
    update_grid(kan, x)
    mlp = MLP([inputs, 12, 12, 1], torch.relu, generator=0, dtype=torch.float64)
    return kan, mlp, x


def programs(inputs):
    """For each program: its name, type and text in C, the exact model, and what NumPy has.

    ``what NumPy has`` takes integers (N, I) of 16 bits and returns integers, or is None; then the
    unit of an output, and bytes of data.
    """
    kan, mlp, x = networks(inputs)
    for name, how in {
        "tables, interpolated": {"entries": 33},
        "tables, nearest": {"entries": 256, "interpolate": False},
    }.items():
        made = to_tables(kan, x, **how)
        yield name, "int32_t", to_c(made, "program"), kan, made.run, 2.0**-made.point, made.nbytes
    for bits in (16, 8):
        made = int8.to_integers(mlp, x, bits=bits)
        text, as_numpy = made.to_c("program"), made.run
        if bits == 8:  # of the 16 of an input it takes the nearest
            text = made.to_c("inner").replace("void inner", "static void inner")
            text += NEAREST % (inputs, inputs)

            def as_numpy(q, run=made.run):
                return run(255 * q + 32768 >> 16)

        name = f"MLP, 8 bits a weight, {bits} an activation"
        yield name, "int32_t", text, mlp, as_numpy, made.unit, made.nbytes
    for name, model in (("splines, float", kan), ("MLP, float", mlp)):
        text = to_c(model, "program", dtype=torch.float32)
        count = sum(buffer.numel() for buffer in model.state_dict().values())
        yield name, "float", text, model, None, 1.0, 4 * count


def drawn(rows, inputs):
    """The integers (N, I) that the chip draws."""
    q, state = np.empty(rows * inputs, np.int32), 1
    for n in range(len(q)):
        state ^= state << 13 & 0xFFFFFFFF
        state ^= state >> 17
        state ^= state << 5 & 0xFFFFFFFF
        q[n] = state >> 16
    return q.reshape(rows, inputs)


def emulate(chip, text, number, inputs, rows):
    """Outputs (N, 1) of a program on a chip, and what was counted."""
    compiler, board, tick, stack, block = CHIPS[chip]
    command = ["arm-none-eabi-gcc", *SHARED.split(), *compiler.split()]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "program.c").write_text(text)
        as_input = "(float)(v) * (2.0f / 65535.0f) - 1.0f" if number == "float" else "(int32_t)(v)"
        lines = [f"#define AS_INPUT(v) ({as_input})", f'#define FILE_NAME "{folder}/y"']
        lines.append(f"typedef {number} number;\nvoid program(const number *x, number *y);")
        sizes = {"ROWS": rows, "BLOCK": block, "INPUTS": inputs, "OUTPUTS": 1, "LOOP": LOOP}
        lines += [f"#define {key} {value}" for key, value in (sizes | {"STACK": stack}).items()]
        (folder / "program.h").write_text("\n".join(lines) + "\n")
        (folder / "link.ld").write_text(microcontroller.LINK)
        run(*command, folder / "program.c", "-Wl,-e,program", "-o", folder / "alone", "-lm")
        sources = [Path(__file__).with_suffix(".c"), folder / "program.c", "-I", folder, "-lm"]
        run(*command, *sources, "-T", folder / "link.ld", "-o", folder / "all")
        emulator = ["qemu-system-arm", *board.split(), *EMULATE.split()]
        run(*emulator, "-kernel", folder / "all", timeout=3600)
        content = (folder / "y").read_bytes()
        columns = run("arm-none-eabi-size", folder / "alone").splitlines()[1].split()
        flash = size(folder / "alone")
    loop, ticks, empty, stack = np.frombuffer(content[-16:], np.uint32).tolist()
    if abs(loop * tick / (2 * LOOP) - 1) > 2e-3:
        raise RuntimeError(f"a loop of {2 * LOOP} instructions took {loop} ticks of {tick} ns")
    y = np.frombuffer(content[:-16], np.float32 if number == "float" else np.int32)
    counted = {"instructions": round((ticks - empty) * tick / rows), "flash": flash}
    counted["ram"] = sum(map(int, columns[1:3])) + stack  # variables, and the stack below the call
    return y.reshape(rows, 1), counted


@torch.no_grad()
def measure(chips=tuple(CHIPS), counts=INPUTS, rows=ROWS):
    """Rows: each program on each chip."""
    for command in ("arm-none-eabi-gcc", "qemu-system-arm"):
        if not shutil.which(command):
            install = microcontroller.INSTALL
            raise SystemExit(f"There is no {command} here. On Debian or Ubuntu: {install}")
    for inputs in counts:
        q = drawn(rows, inputs)
        x = torch.from_numpy(q * (2 / 65535) - 1)
        for name, number, text, model, as_numpy, unit, data in programs(inputs):
            exact = torch.cat([model(part) for part in x.split(10_000)]).numpy()
            for chip in chips:
                y, counted = emulate(chip, text, number, inputs, rows)
                row = {"chip": chip, "program": name, "inputs": inputs, "data": data} | counted
                off = (y * unit - exact) / exact.std()
                row |= {"error": float(np.sqrt(np.mean(off**2))), "worst": float(np.abs(off).max())}
                if as_numpy is not None:
                    row["different"] = int((y != as_numpy(q)).sum())
                yield row


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--save", type=Path, metavar="FILE", help="keep the numbers, as JSON")
    parser.add_argument("--rows", type=int, default=ROWS, help="inputs of each program")
    options = parser.parse_args(arguments)
    rows = [*measure(rows=options.rows)]
    print(pandas.DataFrame(rows).to_string(index=False, na_rep=""))
    if options.save:
        command = f"python -m evidence.benchmark.chips --save {options.save}"
        how = ["an emulated " + " / ".join(CHIPS)]
        how += [" / ".join(f"arm-none-eabi-gcc {SHARED} {chip[0]}" for chip in CHIPS.values())]
        how += [" / ".join(f"qemu-system-arm {chip[1]} {EMULATE}" for chip in CHIPS.values())]
        microcontroller.save(options.save, {"bits": rows}, command, *how)


if __name__ == "__main__":
    main()
