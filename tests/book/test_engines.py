"""The benchmark of chapter 20's engines: JAX, Tinygrad, Node and clang. `make test-all` runs it.

The chapter itself, which every `make test` runs, uses them all and compares what they compute.
"""

import pytest
from helpers import needs

import evidence
from evidence.benchmark import speed


@needs("node", "clang")
def test_the_engines_of_chapter_20(tmp_path):
    for name in ("jax", "tinygrad"):
        pytest.importorskip(name)
    found = speed.run_job("engines", rounds=2)
    speed.save(path := tmp_path / "benchmark.json", found, {})
    frame = evidence.load_benchmark("engines", path=path).set_index("engine")
    assert [*frame.index] == [*evidence.load_benchmark("engines").engine]
    assert (frame.milliseconds > 0).all() and (frame.compile_seconds >= 0).all()
    assert frame.compile_seconds["JAX"] > 10 * frame.compile_seconds["NumPy"]
