"""The benchmark runs, and the figures that the book shows are the ones that it claims."""

import datetime
import json
import subprocess
import sys
from pathlib import Path

import pytest

from helpers import records

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
COMMITTED = records.load("speed")
BOTH = ["the book's form", "rounded once", "TensorFlow", "TensorFlow, jit_compile"]
FORMS = ["naive", "max/abs", "logaddexp", *BOTH]
CASES = {  # the forms of each loss, and its kinds of labels
    "sigmoid": (FORMS, {"hard", "soft"}),
    "sigmoid gradient": (BOTH, set()),
    "sparse softmax": (["log-sum-exp - logit", *BOTH], {"hard"}),
    "sparse softmax gradient": (BOTH, set()),
    "softmax": (BOTH, {"soft"}),
    "softmax gradient": (BOTH, set()),
}
LONG = ["100000", "1000000", "10000000"]
SIZES = {"sigmoid": ["1000", "10000", *LONG], "sigmoid gradient": LONG}
WIDTHS = ["10", "1000", "50257"]
EPS = {"float32": 2.0**-23, "float64": 2.0**-52}


def check(results, sizes=None):
    """Check that a table is whole, and that what must be positive is."""
    assert set(results) == {"measured", "versions", "machine", "rows"}
    assert datetime.date.fromisoformat(results["measured"])
    assert set(results["versions"]) == {"Python", "NumPy", "TensorFlow", "Keras"}
    assert results["machine"]["cores_used"] == 1
    assert results["machine"]["processor"]
    cases = [(row["loss"], row["dtype"], row["form"]) for row in results["rows"]]
    assert cases == [(loss, dtype, form) for loss, (forms, _) in CASES.items() for dtype in EPS for form in forms]
    for row in results["rows"]:
        expected = WIDTHS if row["loss"] not in SIZES else sizes or SIZES[row["loss"]]
        assert list(row["ns_per_element"]) == list(row["times_tensorflow"]) == expected
        assert row["sizes_are"] == ("elements" if row["loss"] in SIZES else "classes")
        assert all(ns > 0 for ns in row["ns_per_element"].values())
        assert row["form"] != "TensorFlow" or set(row["times_tensorflow"].values()) == {1.0}
        assert set(row["worst_error_in_eps"]) == CASES[row["loss"]][1]
        assert all(0 < error <= 1 / EPS[row["dtype"]] for error in row["worst_error_in_eps"].values())


def row(dtype, form, loss="sigmoid"):
    return next(row for row in COMMITTED["rows"] if (row["loss"], row["dtype"], row["form"]) == (loss, dtype, form))


def test_benchmark_runs(tmp_path):
    # In a process of its own: TensorFlow takes its number of threads before its first operation only
    command = [sys.executable, "-m", "measure.speed", "--elements", "60000", "--output", tmp_path / "results.json"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf8", check=True)
    check(json.loads((tmp_path / "results.json").read_text(encoding="utf8")), ["60000"])
    assert run.stdout.count("rounded once") == len(EPS) * len(CASES)


def test_committed_results_are_whole():
    check(COMMITTED)


@pytest.mark.parametrize("loss", CASES)
@pytest.mark.parametrize("dtype", EPS)
def test_committed_helpers_take_no_longer_than_tensorflow(loss, dtype):
    ratios = row(dtype, "rounded once", loss)["times_tensorflow"]
    # A float32 loss of soft labels is computed in float64 here, labels too, and in float32 there.
    soft = {("softmax", "float32"): 1.25, ("softmax gradient", "float32"): 1.25}
    most = ({("sigmoid", "float64"): 0.5} | soft).get((loss, dtype), 1.0)
    assert all(ratio <= most for size, ratio in ratios.items() if size in WIDTHS or int(size) >= 10**5)


@pytest.mark.parametrize("loss", SIZES)
@pytest.mark.parametrize("dtype", EPS)
def test_committed_cost_and_memory_of_an_element_do_not_grow(loss, dtype):
    helper = row(dtype, "rounded once", loss)
    times = [helper["ns_per_element"][size] for size in LONG]
    assert max(times) <= 1.25 * min(times)
    assert helper["peak_bytes_per_element"] <= int(dtype[-2:]) // 8 + 0.5  # the result, and 5 megabytes beside 10^7 elements


@pytest.mark.parametrize("dtype", EPS)
def test_committed_errors_are_the_ones_told(dtype):
    error = {form: row(dtype, form)["worst_error_in_eps"] for form in FORMS}
    assert max(error["the book's form"].values()) <= 4
    assert max(error["rounded once"].values()) <= (0.5 if dtype == "float32" else 4)
    assert min(error["naive"].values()) > 0.1 / EPS[dtype]  # all digits lost
    assert error["TensorFlow"]["hard"] <= 4
    assert error["TensorFlow"]["soft"] > 1e6
    # The fused multiply-add that the page names: it is there on processors that have one
    assert error["TensorFlow, jit_compile"]["soft"] <= 4
