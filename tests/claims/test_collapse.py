"""The record of the trainings says what the chapter claims of it, and a slice of it is measured again."""

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from helpers import categorical, records
from measure import collapse

pytestmark = pytest.mark.slow

RECORD = records.load("collapse")
CURVES = {(row["run"], row["seed"]): row for row in RECORD["rows"]}
FIRST, ACCURATE = "small: p - 1", "small: minus the others"


@pytest.fixture(autouse=True)
def one_thread():
    with threadpool_limits(1):  # as the record was measured
        yield


def test_the_record_holds_every_run():
    assert set(CURVES) == {(name, seed) for name, run in collapse.RUNS.items() for seed in run.seeds}
    for (name, _), curve in CURVES.items():
        run = collapse.RUNS[name]
        assert curve["step"] == list(range(0, run.steps + 1, run.every))
        assert {len(values) for key, values in curve.items() if key not in ("run", "seed")} == {collapse.POINTS + 1}


@pytest.mark.parametrize("run", [FIRST, ACCURATE])
def test_a_slice_of_the_record_is_measured_again(run):
    # Another order of additions (OpenBLAS's kernels for Haswell; the pairs permuted) moves the lead by up to 0.05 and the
    # share by up to 0.02; four times that is allowed
    again = collapse.curves(run, 0, until=1500)
    place = again["step"].index(1500)
    recorded = CURVES[run, 0]
    assert again["lead"][place] == pytest.approx(recorded["lead"][place], abs=0.2)
    assert again["zero"][place] == pytest.approx(recorded["zero"][place], abs=0.08)
    assert (again["zero"][place] > 0.3) == (run == FIRST)
    assert (again["lead"][place] < 18) == (run == FIRST)


def test_the_two_formulas_differ_in_their_rounding_only():
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(0, 3, (200, 47)), rng.integers(0, 47, 200)
    first, accurate = (collapse.slopes(logits, labels, form) for form in ("p - 1", "minus the others"))
    np.testing.assert_allclose(first, accurate, rtol=0, atol=4 * 2.0**-52)  # eps of 1, from which p - 1 is subtracted
    np.testing.assert_allclose(accurate, categorical.sparse_softmax_cross_entropy_gradient(labels, logits), rtol=1e-14)


@pytest.mark.parametrize(("dtype", "bits"), [("float32", 24), ("float64", 53)])
@pytest.mark.parametrize("classes", [2, 47, 1000])
def test_the_slope_is_zero_between_the_two_leads(dtype, bits, classes):
    first = bits * np.log(2)
    last = first + np.log(classes - 1)
    leads = np.concatenate([np.linspace(first - 5, first - 1e-3, 50), np.linspace(last + 1e-3, last + 5, 50)])
    for others in (0, -30):  # the other logits are equal, or one of them is ahead of the rest
        logits = np.full((100, classes), others, dtype)
        logits[:, 0], logits[:, 1] = leads, 0
        slopes = collapse.slopes(logits, np.zeros(100, int), "p - 1")[:, 0]
        assert np.all(slopes[:50] != 0)
        assert np.all(slopes[50:] == 0)


@pytest.mark.parametrize("optimizer", collapse.UPDATES)
@pytest.mark.parametrize("form", ["p - 1", "minus the others"])
def test_a_scale_of_the_loss_changes_no_bit(optimizer, form, monkeypatch):
    run = collapse.Run(form, optimizer=optimizer, steps=20 * collapse.POINTS)
    scaled = list(collapse.in_numpy(run, seed=0, until=20))[-1]
    monkeypatch.setattr(collapse, "SCALE", 1.0)
    plain = list(collapse.in_numpy(run, seed=0, until=20))[-1]
    for one, other in zip(scaled[0], plain[0], strict=True):
        assert np.array_equal(one, other)


def test_adam_is_the_one_of_its_authors():
    run, rng = collapse.Run("p - 1", eps=1e-3), np.random.default_rng(0)
    weights, means, roots = [np.ones(5)], [np.zeros(5)], [np.zeros(5)]
    expected, m, v = np.ones(5), 0, 0
    for step in range(10):
        g = rng.normal(size=5)
        weights, means, roots = collapse.adam(run, weights, means, roots, [g * collapse.SCALE], step)
        m, v = 0.9 * m + 0.1 * g, 0.99 * v + 0.01 * g**2
        expected = expected - 0.002 * (m / (1 - 0.9 ** (step + 1))) / (np.sqrt(v / (1 - 0.99 ** (step + 1))) + 1e-3)
    np.testing.assert_allclose(weights[0], expected, rtol=1e-13)  # some tens of roundings
