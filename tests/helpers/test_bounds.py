"""No computed loss or gradient exceeds its proved bound, and the appendix states the bounds as they are.

The bounds are those of measure.bounds, for the formulas in their own type; measure.search hunts for counterexamples with
millions of points, and here with fewer. What the helpers make of float16 and float32 is held to half an ulp beside them.
"""

import re
from pathlib import Path

import numpy as np
import pytest

from helpers import _rows, binary, categorical, information, streaming
from helpers.precision import (
    EXACT,
    exact_sigmoid_cross_entropy,
    exact_sigmoid_cross_entropy_gradient,
    exact_softmax_cross_entropy,
)
from measure import bounds, search

LEVEL = bounds.level_here()
DTYPES = ["float32", "float64"] if np.finfo(np.longdouble).eps < 2.0**-60 else ["float32"]  # no type is wider
APPENDIX = Path(__file__).parents[2] / "chapters" / "error-bounds.md"
dtypes = pytest.mark.parametrize("dtype", DTYPES)


# --- NumPy's sum --------------------------------------------------------------------------------------------------------


@dtypes
@pytest.mark.parametrize("classes", [1, 2, 7, 8, 9, 15, 100, 127, 128, 129, 255, 257, 1000, 3001, 50_257])
def test_rows_are_summed_in_the_order_that_the_depth_assumes(dtype, classes):
    terms = np.exp(np.random.default_rng(classes).normal(0, 3, (2, 3, classes))).astype(dtype)
    expected = [[bounds.sum_in_pairs(row) for row in rows] for rows in terms]
    np.testing.assert_array_equal(terms.sum(axis=-1), expected)


class Depth(int):
    """How many additions the terms of a sum have passed through."""

    def __add__(self, other):
        return Depth(1 + max(int(self), int(other)))


@pytest.mark.parametrize("classes", range(1, 70))
def test_the_helpers_add_short_rows_with_no_more_additions(classes):
    row = np.array([[Depth(0)] * classes], object)
    if classes < _rows.SHORT:
        assert _rows.row_sums(row)[0] <= bounds.depth(classes)
    terms = np.exp(np.random.default_rng(classes).normal(0, 3, (5, classes)))
    np.testing.assert_allclose(_rows.row_sums(terms), terms.sum(axis=-1), rtol=2.0**-52 * classes)


def test_depth_is_that_of_the_tree():
    for terms in (1, 2, 7, 8, 10, 100, 127, 128, 129, 1000):
        assert bounds.sum_in_pairs(np.array([Depth(0)] * terms, object)) == bounds.depth(terms)
    assert [bounds.depth(n) for n in (10, 100, 127, 128, 1000, 50_257, 256_000)] == [5, 18, 24, 18, 21, 25, 29]
    assert all(bounds.depth(n) <= 25 + np.log2(max(n / 128, 1)) for n in range(1, 60_000, 7))


# --- hunting for counterexamples ------------------------------------------------------------------------------------------

LEAST = {  # the share of its bound that a hunt of this size reaches: a bound far above its errors is vacuous
    "focal loss, gamma 2": 0.3,  # its power is allowed 4 eps
    "merge": 0.4,
}


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(search, "SIZE", 2**14)


@dtypes
@pytest.mark.parametrize("name", search.SCALARS)
def test_no_logit_exceeds_its_bound(small, name, dtype):
    if dtype not in search.SCALARS[name][2]:
        pytest.skip("the helper computes it in float64 only")
    with np.errstate(all="ignore"):
        found = search.climb(name, dtype, bounds.model(dtype, LEVEL))
    assert found["share"] <= 1
    if dtype == "float32" and LEVEL != "unknown":
        assert found["share"] > LEAST.get(name, 0.7)


@dtypes
@pytest.mark.parametrize("kind", search.KINDS)
def test_no_row_exceeds_its_bound(kind, dtype):
    for classes in (2, 3, 7, 10, 31, 127, 1000):
        rng = np.random.default_rng(classes)
        with np.errstate(all="ignore"):
            rows = search.exactly(search.draw_rows(kind, 40, classes, dtype, 0), dtype, rng)
            for name, found in search.try_rows(dtype, bounds.model(dtype, LEVEL), rows, rng):
                assert found.share.max() <= 1, (name, classes)
                assert np.isfinite(found.share).all(), (name, classes)


def test_the_truth_of_the_hunt_is_that_of_400_bits():
    rng = np.random.default_rng(0)
    z, x = (array.astype(np.longdouble) for array in search.pairs(rng, 300, "float64"))
    with np.errstate(all="ignore"):
        loss, slope = search.exact_loss(z, x), search.exact_gradient(z, x)
    for label, logit, near_loss, near_slope in zip(z.astype(float), x.astype(float), loss, slope, strict=True):
        exact = exact_sigmoid_cross_entropy(label, logit)
        assert abs(to_mpf(near_loss) - exact) <= EXACT.mpf(2) ** -60 * exact + EXACT.mpf(2) ** -1080
        assert abs(to_mpf(near_slope) - exact_sigmoid_cross_entropy_gradient(label, logit)) <= EXACT.mpf(2) ** -60


def to_mpf(number):
    """Return a long double exactly: as a float64 and what that leaves."""
    high = float(number)
    return EXACT.mpf(high) + EXACT.mpf(float(number - np.longdouble(high)))


# --- single rows that were once outside a bound -----


def row_bound(function, row, *arguments, dtype="float32"):
    distances = np.where(np.arange(row.size) == row.argmax(), np.inf, row.max().astype(float) - row)
    return function(bounds.model(dtype, LEVEL), bounds.row_of(distances, dtype), *arguments)


def eps_off(computed, exact):
    return float(abs(EXACT.mpf(float(computed)) - exact) / abs(exact) * 2**23)


@pytest.mark.parametrize("mask", [-np.inf, -1e9, -1e4])
def test_masked_classes_do_not_loosen_the_bound(mask):
    row = np.zeros(1000, np.float32)
    row[0], row[500:] = 12, mask
    bound = row_bound(bounds.index_loss, row)
    assert bound.relative * 2**23 < 4 + (bounds.depth(1000) + 12) / 2 + 0.01
    assert eps_off(categorical._index_loss(np.array(0), row), exact_softmax_cross_entropy(0, row)) < bound.relative * 2**23


@pytest.mark.skipif(bounds.RECORD["machine"]["level"] != LEVEL, reason="the appendix quotes another processor")
def test_the_rows_of_the_appendix():
    text = APPENDIX.read_text(encoding="utf8")
    row = np.zeros(50_257, np.float32)
    for lead, digits in ((17, 2), (98, 0)):  # at 98 every other term is subnormal
        row[0] = lead
        off = eps_off(categorical._index_loss(np.array(0), row), exact_softmax_cross_entropy(0, row))
        assert f"{off:,.{digits}f} eps" in text
        bound = row_bound(bounds.index_loss, row)
        assert off <= (bound.relative + bound.below * 2.0**-149 / float(exact_softmax_cross_entropy(0, row))) * 2**23
    row[0] = 17
    assert f"{row_bound(bounds.index_loss, row).relative * 2**23:.1f} eps" in text


def test_a_quotient_that_underflows_is_covered():
    row = np.zeros(50_257, np.float32)
    row[-1] = -86.92
    computed = categorical._softmax(row)[-1]
    exact = EXACT.exp(EXACT.mpf(float(row[-1]))) / (50_256 + EXACT.exp(EXACT.mpf(float(row[-1]))))
    bound = row_bound(bounds.probability, row, 86.92)
    assert abs(EXACT.mpf(float(computed)) - exact) <= bound.relative * exact + bound.below * 2.0**-149
    if bounds.RECORD["machine"]["level"] == LEVEL:
        assert f"{eps_off(computed, exact):,.0f} eps" in APPENDIX.read_text(encoding="utf8")


@pytest.mark.parametrize("ratio", [0.25, 0.4999, 2.0001, 4, 100, 1e-6])
def test_the_ends_of_the_series_are_the_worst_ratios(ratio):
    for level in bounds.LOOPS:
        m = bounds.model("float32", level)
        assert bounds.far_term(m, ratio) < max(bounds.far_term(m, 0.5), bounds.far_term(m, 2.0))


@pytest.mark.parametrize("outcomes", [1, 2, 3, 10, 127, 500])
def test_entropies_stay_within_their_bound(outcomes):
    rng, m = np.random.default_rng(outcomes), bounds.model("float64", LEVEL)
    bound, smallest = bounds.cross_entropy(m, outcomes), EXACT.mpf(m.smallest)
    for _ in range(20):
        p, q = rng.dirichlet(np.full(outcomes, 0.5), 2)
        terms = [(EXACT.mpf(float(a)), EXACT.mpf(float(b))) for a, b in zip(p, q, strict=True)]
        for computed, other in ((information.entropy(p), 0), (information.cross_entropy(p, q), 1)):
            exact = -EXACT.fsum(pair[0] * EXACT.log(pair[other]) for pair in terms if pair[0])
            assert abs(EXACT.mpf(float(computed)) - exact) <= bound.relative * abs(exact) + bound.below * smallest


# --- what the appendix says -----


def stated():
    """Return the cells of the table: bounds on four kinds of processor, the largest error found, and the proof."""
    lines = APPENDIX.read_text(encoding="utf8").splitlines()
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in lines if line.startswith("| `")]
    return {row[0].strip(): [cell.strip() for cell in row[1:]] for row in rows if len(row) == 8}


def expected(m):
    """Return the constants of each bound in eps, without the terms that depend on the row."""
    eps = 2 * m.u
    log_e, e, ln = m.log1p / eps, m.exp / eps, m.log / eps
    return {
        "sigmoid": [bounds.smaller_sigmoid(m).relative / eps],
        "sigmoid loss": [bounds.sigmoid_loss(m).relative / eps],
        "gradient, hard labels": [bounds.hard_gradient(m).relative / eps],
        "gradient, soft labels": [bounds.soft_gradient(m) / eps],
        "weighted loss": [bounds.weighted_loss(m, 0.5, 1).relative / eps],
        "focal loss, gamma 2": [bounds.smaller_sigmoid(m).relative / eps + 1.5, bounds.sigmoid_loss(m).relative / eps + 0.5],
        "log_sum_exp": [e, max(0.5, log_e)],
        "softmax, other classes": [2 * e + 1],
        "slope at the label": [e + 1],
        "index loss": [e + log_e + 0.5],
        "label loss": [e + log_e + 1],
        "label gradient": [2 * e + 3.5],
        "merge": [e + 1.5],
        "streamed loss": [e + 1.5, log_e - 1],
        "streamed gradient": [e + 1.5, e - 0.5],
        "cross-entropy": [ln + 0.5],
        "divergence": [max(bounds.far_term(m, 0.5), bounds.far_term(m, 2.0)) / eps],
    }


ROWS = {  # the function of each row of the table, and the search that it quotes
    "`sigmoid`": "sigmoid",
    "`sigmoid_cross_entropy_with_logits`": "sigmoid loss",
    "`sigmoid_cross_entropy_gradient`, hard labels": "gradient, hard labels",
    "`sigmoid_cross_entropy_gradient`, soft, absolute": "gradient, soft labels",
    "`weighted_cross_entropy_with_logits`": "weighted loss",
    "`focal_cross_entropy_with_logits`": "focal loss, gamma 2",
    "`log_sum_exp`, absolute": "log_sum_exp",
    "`softmax`, index gradient": "softmax, other classes",
    "`sparse_softmax_cross_entropy_gradient`, at the label": "slope at the label",
    "`log_softmax`, index loss": "index loss",
    "`softmax_cross_entropy_with_logits`": "label loss",
    "`softmax_cross_entropy_gradient`": "label gradient",
    "`merge_largest_and_rest` adds": "merge",
    "`streaming_softmax_cross_entropy`": "streamed loss",
    "`streaming_softmax_cross_entropy_gradient`": "streamed gradient",
    "`entropy`, `cross_entropy`": "cross-entropy",
    "`kl_divergence`": "divergence",
}
COLUMNS = [("float32", "AVX-512"), ("float32", "AVX2"), ("float32", "neither"), ("float64", "any")]


@pytest.mark.parametrize(("function", "name"), ROWS.items(), ids=lambda text: text.strip("`"))
def test_the_table_states_each_bound_rounded_up(function, name):
    cells = stated()[function][1:5]
    for cell, column in zip(cells, COLUMNS, strict=True):
        numbers = [float(number) for number in re.findall(r"-?\d+\.\d+", cell.replace("- ", "-"))]
        for number, bound in zip(numbers, expected(bounds.model(*column))[name], strict=True):
            assert bound - 1e-6 <= number < bound + 0.0101, (column, bound)


DOCSTRINGS = {
    binary.sigmoid: ["sigmoid"],
    binary.sigmoid_cross_entropy_with_logits: ["sigmoid loss"],
    binary.sigmoid_cross_entropy_gradient: ["gradient, hard labels", "gradient, soft labels"],
    binary.weighted_cross_entropy_with_logits: ["weighted loss"],
    binary.focal_cross_entropy_with_logits: ["focal loss, gamma 2"],
    categorical.log_sum_exp: ["log_sum_exp"],
    categorical.softmax: ["softmax, other classes"],
    categorical.log_softmax: ["index loss"],
    categorical.sparse_softmax_cross_entropy_with_logits: ["index loss"],
    categorical.sparse_softmax_cross_entropy_gradient: ["softmax, other classes", "slope at the label"],
    categorical.softmax_cross_entropy_with_logits: ["label loss"],
    categorical.softmax_cross_entropy_gradient: ["label gradient"],
    streaming.merge_largest_and_rest: ["merge"],
    streaming.streaming_softmax_cross_entropy: ["streamed loss"],
    streaming.streaming_softmax_cross_entropy_gradient: ["streamed gradient"],
}


@pytest.mark.parametrize("function", DOCSTRINGS, ids=lambda function: function.__name__)
def test_docstrings_state_the_bounds_of_float64_rounded_up(function):
    for name in DOCSTRINGS[function]:
        for bound in expected(bounds.model("float64", "any"))[name]:
            assert bound < 1e-9 or f"{bound + 0.01:.2f}" in function.__doc__, (name, bound)


def test_the_appendix_states_how_many_results_are_not_the_nearest():
    text = " ".join(APPENDIX.read_text(encoding="utf8").split())
    rows = {(row["quantity"], row["form"], row["type"], row["over"]): row for row in bounds.RECORD["rows"]}
    suffix = {level: "" if level == bounds.RECORD["machine"]["level"] else f", {level}" for level in bounds.LOOPS}
    for quantity, words in (("loss", "of the losses"), ("gradient", "of its derivatives")):
        found = [rows[quantity, f"rounded once{at}", "float32", "label 0"] for at in suffix.values()]
        first, second, third = (row["not_nearest"] for row in found)
        assert f"{first}, {second} and {third} {words}" in text
        assert f"{found[0]['points']:,} of them" in text


FOUND = {(row["bound"], row["type"], row["level"]): row for row in bounds.RECORD["searched"]["rows"]}


@pytest.mark.parametrize(("function", "name"), ROWS.items(), ids=lambda text: text.strip("`"))
def test_the_table_states_the_largest_error_found(function, name):
    if name == "cross-entropy":
        pytest.skip("float32 is computed in float64 there")
    cell = stated()[function][5]
    dtype = "float64" if name == "divergence" else "float32"
    found = FOUND[name, dtype, bounds.RECORD["machine"]["level"]]
    assert cell == f"{100 * found['share']:.0f} %"


def test_the_search_has_found_no_counterexample():
    assert {level for _, _, level in FOUND} == set(bounds.LOOPS)
    for key, row in FOUND.items():
        assert row["points"] >= 10**6, key
        assert 0 < row["share"] <= 1, key
