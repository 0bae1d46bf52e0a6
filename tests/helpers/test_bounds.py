"""The proved error bounds, each written once, and that no computed loss or gradient exceeds its own.

The proofs stand in the book's appendix on error bounds. They assume that +, -, * and / round to nearest with unit roundoff
u = eps / 2, underflow gradually, and that exp, log1p and log are off by at most so many eps. For float32 these numbers are
the maxima over every argument, from the record exhaustive. For float64 they are an assumption: a sample has at most
0.7 eps. A bound is a pair: an error relative to the exact result, and an absolute one, in units of the smallest subnormal
number, which matters only where something underflowed.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.lib.introspect import opt_func_info

from helpers import binary, categorical, information, records
from helpers.precision import EXACT, FORMATS, exact_sigmoid_cross_entropy
from helpers.streaming import largest_and_rest, merge_largest_and_rest

RECORD = records.load("exhaustive")
DTYPES = ["float32", "float64"]
dtypes = pytest.mark.parametrize("dtype", DTYPES)
many = settings(max_examples=300)


# --- the model: what one operation may be off by ------------------------------------------------------------------------


class Model(NamedTuple):
    """The parameters of the proofs; a subnormal result of exp or log1p is off by so many smallest subnormal numbers."""

    u: EXACT.mpf
    exp: EXACT.mpf
    log1p: EXACT.mpf
    log: EXACT.mpf
    exp_below: float
    log1p_below: float
    smallest: EXACT.mpf


HERE = {name: opt_func_info(func_name=f"^{name}$", signature="float32")[name] for name in ("exp", "log1p", "log")}
LOOPS = {name: f"NumPy, {next(iter(loops.values()))['current']}" for name, loops in HERE.items()}


@cache
def model(dtype, recorded=False):
    """Return the model of this machine, or of the one where the record was made."""
    t, emin, _ = FORMATS[dtype]
    u = EXACT.mpf(2) ** -t
    loops = RECORD["machine"]["loops"] if recorded else LOOPS
    (exp, exp_below), (log1p, log1p_below), (log, _) = (worst_of(name, dtype, loops[name]) for name in LOOPS)
    eps, smallest = 2 * u, EXACT.mpf(2) ** (emin + 1 - t)
    return Model(u, eps * exp, eps * log1p, eps * log, exp_below, log1p_below, smallest)


def worst_of(name, dtype, loop):
    """Return how far a function may be off: in eps, and below the normal numbers in smallest subnormals."""
    if dtype == "float64":
        return 1.0, 1.0
    rows = [row for row in RECORD["rows"] if (row["quantity"], row["form"], row["type"]) == (name, loop, dtype)]
    rows = [row for row in rows if not row["over"].startswith("[0, 88")]  # no helper takes exp of a positive number
    if not rows:  # a processor that was not recorded: NumPy's own tests allow 4 units in the last place
        return 4.0, 4.0
    # The record is rounded to nine decimals
    return tuple(max((row[kind] or {"error": 0})["error"] for row in rows) + 1e-9 for kind in ("worst", "subnormal"))


# --- the bounds ---------------------------------------------------------------------------------------------------------


def softplus(m):
    """relu(x) + log1p(e^-|x|)."""
    return (1 + m.exp) * (1 + m.log1p) * (1 + m.u) - 1, (m.exp_below * (1 + m.log1p) + m.log1p_below) * (1 + m.u)


def sigmoid_loss(m):
    relative = max((1 + m.u) ** 2, (1 + m.exp) * (1 + m.log1p)) * (1 + m.u) - 1
    return relative, (m.exp_below * (1 + m.log1p) + m.log1p_below + 0.5) * (1 + m.u)


def smaller_sigmoid(m):
    """e^-|x| / (1 + e^-|x|)."""
    return (1 + m.exp) * (1 + m.u) / (1 - m.u) - 1, m.exp_below


def hard_gradient(m):
    relative, below = smaller_sigmoid(m)
    return (1 + relative) * (1 + m.u) - 1, below


def soft_gradient(m):
    """Return an absolute error: the exact gradient may be 0."""
    relative, below = smaller_sigmoid(m)
    return m.u + relative / 2 + below * m.smallest


def weighted_loss(m, z, q):
    relative, below = softplus(m)
    return (1 + relative) * (1 + m.u) ** 3 - 1, (below * (1 - z + z * q) + q / 2 + 1) * (1 + m.u) ** 3


def focal_loss(m, gamma, power):
    """Take the error of the power as well: no run can try all bases and exponents."""
    relative, _ = smaller_sigmoid(m)
    other = (1 + relative) * (1 + m.u) ** 3 - 1
    return (1 + power) * (1 + sigmoid_loss(m)[0]) * (1 + m.u) / (1 - other) ** gamma - 1, 0


@cache
def depth(terms):
    """Return how many additions the first terms of a row pass through in NumPy's pairwise sum."""
    if terms < 8:
        return max(terms - 1, 0)
    if terms <= 128:  # eight running sums, three additions to join them, and what is left over one by one
        return terms // 8 - 1 + 3 + terms % 8
    half = terms // 2 - terms // 2 % 8
    return 1 + max(depth(half), depth(terms - half))


def rest(m, classes, spread):
    """Σ_{j≠a} e^(x_j - m), where no x_j lies farther than the spread below m."""
    grown = (1 + m.u) ** depth(classes)
    return EXACT.exp(m.u * spread) * (1 + m.exp) * grown - 1, (classes - 1) * m.exp_below * grown


def sparse_loss(m, classes, spread):
    """Hold the loss of an index, and each entry of log_softmax."""
    relative, below = rest(m, classes, spread)
    return (1 + relative) * (1 + m.log1p) * (1 + m.u) - 1, (below * (1 + m.log1p) + m.log1p_below) * (1 + m.u)


def dense_loss(m, classes, spread, total):
    relative, below = rest(m, classes, spread)
    grown = (1 + m.u) ** depth(classes)
    relative = max((1 + m.u) ** 2 * grown, (1 + relative) * (1 + m.log1p) * grown * (1 + m.u)) * (1 + m.u) - 1
    below = total * (below * (1 + m.log1p) + m.log1p_below) * grown * (1 + m.u)
    return relative, (below + (classes * grown + 1) / 2) * (1 + m.u)


def log_sum_exp(m, classes, spread, exact):
    """Return an absolute error: m may cancel the logarithm."""
    relative, below = rest(m, classes, spread)
    shift = m.u * EXACT.log(classes) * EXACT.exp(m.u * spread)  # instead of u * spread: far logits weigh little
    relative = (1 + shift) * (1 + m.exp) * (1 + m.u) ** depth(classes) - 1
    relative /= 1 - relative  # log(1 - c) is a little farther from 0 than c
    logarithm = (relative + m.log1p * (EXACT.log(classes) + relative)) + (below + m.log1p_below) * m.smallest
    return logarithm + m.u * (abs(exact) + logarithm)


def probability(m, classes, spread):
    relative, below = rest(m, classes, spread)
    numerator = EXACT.exp(m.u * spread) * (1 + m.exp) * (1 + m.u)
    return numerator / ((1 - relative) * (1 - m.u)) - 1, below + m.exp_below + 1


def slope_at_the_label(m, classes, spread):
    """-Σ_{j≠y} p_j for the largest class, r / (1 + r)."""
    relative, below = rest(m, classes, spread)
    return (1 + relative) * (1 + m.u) / (1 - m.u) - 1, below + 1


def merged_rest(m, gap, r, other_r):
    """Return what a merge adds to the errors of the two rests."""
    relative = EXACT.exp(m.u * gap) * (1 + m.exp) * (1 + m.u) ** 3 - 1
    return relative, ((1 + r + other_r) * m.exp_below + 1) * (1 + m.u) ** 3


def cross_entropy(m, outcomes):
    return (1 + m.log) * (1 + m.u) ** (1 + depth(outcomes)) - 1, outcomes * (1 + m.u) ** depth(outcomes)


def streamed_rest(m, widest, blocks, spread):
    """Return the rest after a chain of merges: its shifts add up to the one shift of the direct formula."""
    chain = (1 + m.u) ** (depth(widest) + 3 * (blocks - 1))
    return EXACT.exp(m.u * spread) * (1 + m.exp) ** blocks * chain - 1


def share(computed, exact, bound, m):
    """Return the error as a share of its bound."""
    relative, below = bound
    error = abs(EXACT.mpf(float(computed)) - exact)
    allowed = relative * abs(exact) + below * m.smallest
    return float(error / allowed) if error else 0.0


# --- one logit ----------------------------------------------------------------------------------------------------------


def floats(dtype, *ends):
    return st.floats(*ends, width=int(dtype[5:]))


def logits(dtype):
    """Draw logits of all sizes, many of them where exp or the loss is subnormal."""
    edge = floats(dtype, *{"float32": (86, 105), "float64": (707, 746)}[dtype])
    return floats(dtype, -40, 40) | edge | edge.map(lambda x: -x) | floats(dtype, -(2.0**100), 2.0**100)


def labels(dtype):
    return st.sampled_from([0.0, 1.0]) | floats(dtype, 0, 1) | floats(dtype, 0, 2.0**-100)


def exact_gradient(z, x):
    z, x = EXACT.mpf(z), EXACT.mpf(x)
    return (1 - z) / (1 + EXACT.exp(-x)) - z / (1 + EXACT.exp(x))


def exact_softplus(x):
    return exact_sigmoid_cross_entropy(0.0, x)


@dtypes
@given(data=st.data())
@many
def test_sigmoid_loss_stays_within_its_bound(dtype, data):
    z, x = data.draw(labels(dtype)), data.draw(logits(dtype))
    loss = binary.sigmoid_cross_entropy_with_logits(np.array(z, dtype), np.array(x, dtype))
    m = model(dtype)
    assert share(loss, exact_sigmoid_cross_entropy(z, x), sigmoid_loss(m), m) <= 1


@dtypes
@given(data=st.data())
@many
def test_gradient_stays_within_its_bound(dtype, data):
    z, x = data.draw(labels(dtype)), data.draw(logits(dtype))
    gradient = binary.sigmoid_cross_entropy_gradient(np.array(z, dtype), np.array(x, dtype))
    exact, m = exact_gradient(z, x), model(dtype)
    assert abs(EXACT.mpf(float(gradient)) - exact) <= soft_gradient(m)
    if z in (0, 1):
        assert share(gradient, exact, hard_gradient(m), m) <= 1


@dtypes
@given(data=st.data())
@many
def test_weighted_loss_stays_within_its_bound(dtype, data):
    z, x = data.draw(labels(dtype)), data.draw(logits(dtype))
    q = data.draw(st.sampled_from([0.0, 1.0]) | floats(dtype, 2.0**-10, 2.0**10))
    loss = binary.weighted_cross_entropy_with_logits(np.array(z, dtype), np.array(x, dtype), np.array(q, dtype))
    exact = (1 - EXACT.mpf(z)) * exact_softplus(x) + EXACT.mpf(q) * z * exact_softplus(-x)
    m = model(dtype)
    assert share(loss, exact, weighted_loss(m, z, q), m) <= 1


@dtypes
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0, 5.0])
def test_focal_loss_stays_within_its_bound(dtype, gamma):
    x, m = np.linspace(-12, 12, 241).astype(dtype), model(dtype)
    for z in np.array([0, 1, 0.3, 0.999999], dtype):
        losses = binary.focal_cross_entropy_with_logits(np.full_like(x, z), x, gamma)
        for logit, loss in zip(x, losses, strict=True):
            s = 1 / (1 + EXACT.exp(-EXACT.mpf(float(logit))))
            exact = ((1 - EXACT.mpf(float(z))) * s + float(z) * (1 - s)) ** gamma * exact_sigmoid_cross_entropy(z, logit)
            # NumPy's own tests allow the power 4 units in the last place
            assert share(loss, exact, focal_loss(m, gamma, 8 * m.u), m) <= 1


@dtypes
def test_a_dense_scan_stays_within_the_bounds(dtype):
    x = np.linspace(-20, 20, 4001).astype(dtype)
    m = model(dtype)
    for z in np.array([0, 1, 0.3, 0.999999], dtype):
        loss = binary.sigmoid_cross_entropy_with_logits(np.full_like(x, z), x)
        exact = exact_sigmoid_cross_entropy(np.full_like(x, z), x)
        worst = max(share(*pair, sigmoid_loss(m), m) for pair in zip(loss, exact, strict=True))
        assert 0.1 < worst <= 1  # the bound is not vacuous either


# --- NumPy's sum --------------------------------------------------------------------------------------------------------


def sum_in_pairs(terms):
    """Add as numpy/_core/src/umath/loops_utils.h.src does: the depth above is that of this tree."""
    if len(terms) < 8:
        total = terms[0]
        for term in terms[1:]:
            total += term
        return total
    if len(terms) <= 128:
        whole = len(terms) - len(terms) % 8
        sums = terms[:8].copy()
        for start in range(8, whole, 8):
            sums += terms[start : start + 8]
        total = ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]))
        for term in terms[whole:]:
            total += term
        return total
    half = len(terms) // 2 - len(terms) // 2 % 8
    return sum_in_pairs(terms[:half]) + sum_in_pairs(terms[half:])


@dtypes
@pytest.mark.parametrize("classes", [1, 2, 7, 8, 9, 15, 100, 127, 128, 129, 255, 257, 1000, 3001, 50_257])
def test_rows_are_summed_in_the_order_that_the_depth_assumes(dtype, classes):
    terms = np.exp(np.random.default_rng(classes).normal(0, 3, (2, 3, classes))).astype(dtype)
    expected = [[sum_in_pairs(row) for row in rows] for rows in terms]
    np.testing.assert_array_equal(terms.sum(axis=-1), expected)


def test_depth_grows_with_the_logarithm():
    assert [depth(n) for n in (1, 2, 7, 8, 127, 128, 50_257)] == [0, 1, 6, 3, 24, 18, 25]
    assert all(depth(n) <= 25 + np.log2(max(n / 128, 1)) for n in range(1, 60_000, 7))


# --- rows of logits -----------------------------------------------------------------------------------------------------


def rows(dtype):
    """Yield rows of logits of many kinds: narrow, wide, tied, confident, and with terms that underflow."""
    rng = np.random.default_rng(0)
    for classes in (1, 2, 3, 7, 10, 127, 128, 1000):
        for scale in (0.1, 1, 10, 40):
            yield rng.normal(0, scale, classes).astype(dtype)
        for lead in (0, 1.5, 17, 87.5, 98):
            yield np.where(np.arange(classes) == classes // 2, lead, 0).astype(dtype)
    yield rng.normal(12345, 30, 50).astype(dtype)


class Exact(NamedTuple):
    """A row of logits, and what is exact about it."""

    x: list
    a: int
    below: list
    rest: EXACT.mpf

    @property
    def spread(self):
        return -min(self.below)

    def probability(self, j):
        return EXACT.exp(self.below[j]) / (1 + self.rest)


def exactly(row):
    x = [EXACT.mpf(float(logit)) for logit in row]
    a = int(np.argmax(row))
    below = [logit - x[a] for logit in x]
    return Exact(x, a, below, EXACT.fsum(EXACT.exp(b) for j, b in enumerate(below) if j != a))


@cache
def exact_rows(dtype):
    return [(row, exactly(row)) for row in rows(dtype)]


def classes_to_try(row, exact):
    """Return the largest, the smallest and the first class."""
    return sorted({exact.a, int(np.argmin(row)), 0})


@dtypes
def test_sparse_loss_and_log_softmax_stay_within_their_bound(dtype):
    m, worst = model(dtype), 0
    for row, exact in exact_rows(dtype):
        bound, logarithms = sparse_loss(m, row.size, exact.spread), categorical.log_softmax(row)
        for y in classes_to_try(row, exact):
            loss = -exact.below[y] + EXACT.log1p(exact.rest)
            computed = categorical.sparse_softmax_cross_entropy_with_logits(y, row)
            worst = max(worst, share(computed, loss, bound, m), share(-logarithms[y], loss, bound, m))
    assert 0.1 < worst <= 1


@dtypes
def test_dense_loss_stays_within_its_bound(dtype):
    m, worst, rng = model(dtype), 0, np.random.default_rng(1)
    for row, exact in exact_rows(dtype):
        labels = rng.dirichlet(np.full(row.size, 0.3)).astype(dtype)
        w = [EXACT.mpf(float(weight)) for weight in labels]
        loss = EXACT.fsum(-v * b for v, b in zip(w, exact.below, strict=True)) + sum(w) * EXACT.log1p(exact.rest)
        computed = categorical.softmax_cross_entropy_with_logits(labels, row)
        worst = max(worst, share(computed, loss, dense_loss(m, row.size, exact.spread, sum(w)), m))
    assert 0.05 < worst <= 1


@dtypes
def test_log_sum_exp_stays_within_its_bound(dtype):
    m, worst = model(dtype), 0
    for row, exact in exact_rows(dtype):
        value = exact.x[exact.a] + EXACT.log1p(exact.rest)
        error = abs(EXACT.mpf(float(categorical.log_sum_exp(row))) - value)
        worst = max(worst, float(error / log_sum_exp(m, row.size, exact.spread, value)))
    assert 0.1 < worst <= 1


@dtypes
def test_softmax_stays_within_its_bound(dtype):
    m, worst = model(dtype), 0
    for row, exact in exact_rows(dtype):
        p = categorical.softmax(row)
        for j in classes_to_try(row, exact):
            worst = max(worst, share(p[j], exact.probability(j), probability(m, row.size, exact.spread), m))
    assert 0.1 < worst <= 1


@dtypes
def test_slope_at_the_label_stays_within_its_bound(dtype):
    m, worst = model(dtype), 0
    for row, exact in exact_rows(dtype):
        _, r = largest_and_rest(row)
        bound = slope_at_the_label(m, row.size, exact.spread)
        worst = max(worst, share(r / (1 + r), exact.rest / (1 + exact.rest), bound, m))
    assert 0.1 < worst <= 1


@dtypes
@given(data=st.data())
@many
def test_a_merge_adds_no_more_than_its_bound(dtype, data):
    numbers = floats(dtype, -100, 100), floats(dtype, 0, 2.0**15)
    left, right = (tuple(np.array(data.draw(number), dtype) for number in numbers) for _ in range(2))
    (m1, r1), (m2, r2) = ((EXACT.mpf(float(a)), EXACT.mpf(float(b))) for a, b in (left, right))
    top, gap = max(m1, m2), abs(m1 - m2)
    exact = r1 * EXACT.exp(m1 - top) + r2 * EXACT.exp(m2 - top) + EXACT.exp(-gap)
    largest, computed = merge_largest_and_rest(left, right)
    m = model(dtype)
    assert largest == top
    assert share(computed, exact, merged_rest(m, gap, r1, r2), m) <= 1


@dtypes
def test_streamed_rest_stays_within_its_bound(dtype):
    m, rng, worst = model(dtype), np.random.default_rng(2), 0
    for blocks in (1, 2, 5, 20):
        for scale in (0.1, 3, 12):
            row = np.sort(rng.normal(0, scale, 20 * blocks)).astype(dtype)  # each block raises the largest logit
            exact, pair = exactly(row), np.array([-np.inf, 0], dtype)  # the pair of no class
            for block in row.reshape(blocks, 20):
                pair = merge_largest_and_rest(pair, largest_and_rest(block))
            relative = streamed_rest(m, 20, blocks, exact.spread)
            worst = max(worst, share(pair[1], exact.rest, (relative, 0), m))
    assert 0.01 < worst <= 1  # over so many steps the errors average out


# --- other sums, and what the docstrings make of the bounds ----------------------------------------------------------------


@dtypes
@pytest.mark.parametrize("outcomes", [1, 2, 3, 10, 127, 500])
def test_cross_entropy_stays_within_its_bound(dtype, outcomes):
    rng, m = np.random.default_rng(outcomes), model(dtype)
    for _ in range(20):
        p, q = rng.dirichlet(np.full(outcomes, 0.5), 2).astype(dtype)
        terms = [(EXACT.mpf(float(a)), EXACT.mpf(float(b))) for a, b in zip(p, q, strict=True)]
        for computed, other in ((information.entropy(p), 0), (information.cross_entropy(p, q), 1)):
            exact = -EXACT.fsum(pair[0] * EXACT.log(pair[other]) for pair in terms if pair[0])
            assert share(computed, exact, cross_entropy(m, outcomes), m) <= 1


def test_docstrings_promise_no_less_than_the_bounds():
    m = model("float32", recorded=True)
    eps = 2 * m.u
    assert smaller_sigmoid(m)[0] <= 2.8 * eps
    assert sigmoid_loss(m)[0] <= 4 * eps
    assert sigmoid_loss(m)[1] <= 2.1
    assert hard_gradient(m)[0] <= 3.3 * eps
    assert soft_gradient(m) <= 1.9 * eps
    # every softplus of a float32 was tried: it is the loss of the label 0
    [tried] = [row for row in RECORD["rows"] if list(row.values())[:4] == ["loss", "the book's form", "float32", "label 0"]]
    assert (1 + tried["worst"]["error"] * eps) * (1 + m.u) ** 3 - 1 <= 4.1 * eps
    assert all(focal_loss(m, gamma, 0)[0] <= (4.3 * gamma + 4.5) * eps for gamma in (0, 0.5, 2, 5, 20))
    for classes in (2, 3, 7, 10, 127, 1000, 50_257, 256_000):
        additions = depth(classes)
        assert cross_entropy(m, classes)[0] <= (2.8 + additions / 2) * eps
        for spread in (0, 1, 20, 87):
            assert sparse_loss(m, classes, spread)[0] <= (4 + (additions + spread) / 2) * eps
            assert dense_loss(m, classes, spread, 1)[0] <= (4.5 + additions + spread / 2) * eps
            assert probability(m, classes, spread)[0] <= (5 + additions / 2 + spread) * eps
            assert slope_at_the_label(m, classes, spread)[0] <= (3 + (additions + spread) / 2) * eps
            assert log_sum_exp(m, classes, spread, 0) <= (2 + additions / 2 + 2.2 * np.log(classes)) * eps
            assert merged_rest(m, spread, 1, 1)[0] <= (4 + spread / 2) * eps
            for blocks in (1, 2, 10, 100):
                relative = (1 + streamed_rest(m, classes, blocks, spread)) * (1 + m.log1p) * (1 + m.u) - 1
                assert relative <= (4 * blocks + (additions + spread) / 2) * eps
