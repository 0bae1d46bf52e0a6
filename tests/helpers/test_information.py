"""Entropy, cross-entropy and divergences, from probabilities and from logits.

Values, inequalities, limits, digits, and rows that sum to 1.
"""

import itertools
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.categorical import softmax
from helpers.information import (
    cross_entropy,
    entropy,
    entropy_from_logits,
    jensen_shannon,
    k3,
    kl_divergence,
    kl_from_logits,
)
from helpers.precision import EXACT, error_in_eps

DTYPES = [np.float16, np.float32, np.float64]
INF, NAN = np.inf, np.nan

dtypes = pytest.mark.parametrize("dtype", DTYPES)
of_two = pytest.mark.parametrize("function", [cross_entropy, kl_divergence, jensen_shannon])


@st.composite
def distributions(draw, count=1):
    """Draw distributions of one length, from uniform to one-hot, with the floating-point type they were normalized in."""
    dtype = draw(st.sampled_from(DTYPES))
    n = draw(st.integers(2, 8))
    logits = st.lists(st.floats(-30, 30, width=16), min_size=n, max_size=n)
    rows = []
    for _ in range(count):
        x = np.array(draw(logits), dtype)
        weights = np.exp(x - x.max())
        rows.append(weights / weights.sum())
    return rows


exact_value = np.frompyfunc(lambda value: EXACT.mpf(float(value)), 1, 1)
exact_log = np.frompyfunc(lambda value: EXACT.log(value) if value else EXACT.zero, 1, 1)  # 0 log 0 is 0


def pairs_of_rows(dtype):
    """Yield distributions without zeros in q: far apart, nearly equal, at the factor of two, and with tiny values."""
    rng, eps = np.random.default_rng(0), float(np.finfo(dtype).eps)
    tiny = float(np.finfo(dtype).smallest_subnormal)
    yield np.array([0.0, 1.0], dtype), np.array([tiny, 1.0], dtype)
    yield np.array([0.5, 0.5], dtype), np.array([tiny, 1.0], dtype)
    yield np.array([1.0, 0.0], dtype), np.array([tiny, 1.0], dtype)
    for n in (2, 3, 10, 300):
        for concentration in (0.1, 1, 30):
            for distance in (0, eps, 8 * eps, np.sqrt(eps), 1e-3, 0.03, 0.3, 0.69, 3):
                p = rng.dirichlet(np.full(n, concentration))
                q = p * np.exp(distance * rng.choice([-1, 1], n) * rng.uniform(0.9, 1.1, n))
                p, q = p.astype(dtype), (q / q.sum()).astype(dtype)
                if q.all():
                    yield p, q


@cache
def hostile_pairs(dtype):
    """Return the pairs of rows, as they are given, exactly, and their exact logarithms, which are what takes time."""
    exact = [(p, q, exact_value(p), exact_value(q)) for p, q in pairs_of_rows(dtype)]
    return [(*rows, exact_log(rows[2]), exact_log(rows[3])) for rows in exact]


@pytest.mark.parametrize(
    ("computed", "expected"),
    [
        (entropy([0.5, 0.5]), np.log(2)),
        (entropy(np.full(1000, 1e-3)), np.log(1000)),
        (entropy([0.7, 0.3]), 0.6108643020548935),
        (entropy([0.1, 0.2, 0.7]), 0.8018185525433373),
        (cross_entropy([0.1, 0.2, 0.7], [0.2, 0.3, 0.5]), 0.8869413785005589),
        (kl_divergence([0.1, 0.2, 0.7], [0.2, 0.3, 0.5]), 0.0851228259572216),
        (kl_divergence([0.2, 0.3, 0.5], [0.1, 0.2, 0.7]), 0.0920328502338319),
    ],
)
def test_known_values(computed, expected):
    assert computed == pytest.approx(expected, rel=1e-14)  # the digits that are written here


@given(rows=distributions(count=2))
def test_gibbs_inequality(rows):
    p, q = rows
    assert kl_divergence(p, q) >= 0
    assert kl_divergence(p, p) == 0


@given(rows=distributions())
def test_entropy_lies_between_0_and_that_of_the_uniform(rows):
    (p,) = rows
    assert 0 <= float(entropy(p)) <= np.log(len(p)) + 2 * len(p) * float(np.finfo(p.dtype).eps)


@given(rows=distributions(count=2), where=st.integers(0, 8))
def test_an_outcome_that_neither_expects_adds_nothing(rows, where):
    p, q = (np.insert(row, min(where, len(row)), 0) for row in rows)
    # inserting a zero changes the order of the additions and nothing else
    rtol = 4 * np.finfo(p.dtype).eps
    np.testing.assert_allclose(entropy(p), entropy(rows[0]), rtol=rtol)
    np.testing.assert_allclose(cross_entropy(p, q), cross_entropy(*rows), rtol=rtol)
    np.testing.assert_allclose(kl_divergence(p, q), kl_divergence(*rows), rtol=rtol)


@dtypes
def test_certainty_has_entropy_zero_and_no_negative_zero(dtype):
    for one_hot in ([1], [0, 1], [0, 0, 1]):
        for value in (entropy(np.array(one_hot, dtype)), cross_entropy(np.array(one_hot, dtype), np.array(one_hot, dtype))):
            assert value == 0
            assert not np.signbit(value)


@of_two
@dtypes
def test_an_outcome_predicted_impossible_costs_inf_without_warning(function, dtype):
    p, q = np.array([[0.5, 0.5], [1, 0], [0, 1]], dtype), np.array([[0, 1], [1, 0], [0, 1]], dtype)
    first = 0.75 * np.log(4 / 3) if function is jensen_shannon else INF  # finite: the average is never 0
    with np.errstate(all="raise"):
        np.testing.assert_allclose(function(p, q), [first, 0, 0], rtol=np.finfo(dtype).eps)


@dtypes
@pytest.mark.parametrize("n", [2, 10, 1000, 50257])
def test_rows_that_were_normalized_in_their_type_are_accepted(dtype, n):
    rng = np.random.default_rng(n)
    for scale in (0, 1, 5):
        weights = np.exp(-rng.exponential(scale, n)).astype(dtype)
        one_by_one = np.add.accumulate(weights, dtype=np.float32 if dtype == np.float16 else dtype)[-1]
        for p in (weights / weights.sum(dtype=one_by_one.dtype), weights / one_by_one):
            assert entropy(p.astype(dtype)) >= 0


@of_two
@pytest.mark.parametrize(
    ("p", "q", "message"),
    [
        (0.5, 0.5, "p must list the probabilities of all outcomes along its last axis, got a scalar"),
        ([1.0], 1.0, "q must list the probabilities of all outcomes along its last axis, got a scalar"),
        ([0.3], [0.3], r"p must sum to 1 within 2\.2e-16, got a sum of 0\.3$"),
        ([0.5, 0.5], [0.5, 0.6], r"q must sum to 1 within 4\.4e-16, got a sum of 1\.1$"),
        ([[1, 0], [1, 1]], np.eye(2), r"p must sum to 1 within 4\.4e-16, got a sum of 2\.0 in row \(1,\)$"),
        (np.float32([0.3, 0.699999]), [0, 1], r"p must sum to 1 within 2\.4e-07, got a sum of 0\.99999898672"),
        ([], [], r"p must sum to 1 within 0\.0e\+00, got a sum of 0\.0$"),
    ],
    ids=["scalar", "scalar q", "coin", "sum", "row", "float32", "empty"],
)
def test_rows_that_are_no_distributions_are_refused(function, p, q, message):
    with pytest.raises(ValueError, match=message):
        function(p, q)


def test_entropy_refuses_rows_that_do_not_sum_to_1():
    with pytest.raises(ValueError, match=r"p must sum to 1 within 4\.4e-16, got a sum of 0\.9"):
        entropy([0.4, 0.5])


@dtypes
def test_sums_over_probabilities_are_within_their_bounds(dtype):
    smallest = float(np.finfo(dtype).smallest_normal)
    # float16 and float32 are computed in float64 and rounded once: half an eps, and what float64 adds
    allowed = {entropy: 4, cross_entropy: 4, kl_divergence: 8, jensen_shannon: 8}
    allowed = allowed if dtype == np.float64 else dict.fromkeys(allowed, 0.5 + 1e-6)
    checked = 0
    for p, q, exact_p, exact_q, log_p, log_q in hostile_pairs(dtype):
        middle = exact_log((exact_p + exact_q) / 2)
        pairs = [
            (entropy, (p,), -(exact_p * log_p).sum()),
            (cross_entropy, (p, q), -(exact_p * log_q).sum()),
            # 400 bits: nothing cancels away
            (kl_divergence, (p, q), (exact_p * (log_p - log_q) - exact_p + exact_q).sum()),
            (jensen_shannon, (p, q), (exact_p * (log_p - middle) + exact_q * (log_q - middle)).sum() / 2),
        ]
        for function, rows, true in pairs:
            if true >= smallest:
                assert error_in_eps(function(*rows), true, dtype) <= allowed[function], function
                checked += 1
    assert checked > 250


def test_the_divergence_keeps_its_bound_at_the_factor_of_two():
    rng = np.random.default_rng(0)
    p = 10 ** rng.uniform(-6, -1, 500)
    q = p * 2.0 ** rng.choice([-1, 1], 500) * rng.uniform(0.98, 1.02, 500)
    for pair in np.stack([p, q], axis=-1):
        rows = [np.array([value, 1 - value]) for value in pair]
        (a, log_a), (b, log_b) = ((exact_value(row), exact_log(exact_value(row))) for row in rows)
        assert error_in_eps(kl_divergence(*rows), (a * (log_a - log_b) - a + b).sum(), "float64") <= 8
    # within 0.5 eps in float32, where the formula in its own type was 6.07 eps off
    rows = np.float32([2.3726851e-4, 0.99976271]), np.float32([1.1424756e-4, 0.99988574])
    (a, log_a), (b, log_b) = ((exact_value(row), exact_log(exact_value(row))) for row in rows)
    assert error_in_eps(kl_divergence(*rows), (a * (log_a - log_b) - a + b).sum(), "float32") <= 0.5 + 1e-6


@dtypes
def test_the_divergence_forgives_rows_that_miss_1_by_a_rounding(dtype):
    eps = float(np.finfo(dtype).eps)
    for p, q, exact_p, exact_q, log_p, log_q in hostile_pairs(dtype):
        sum_p, sum_q = exact_p.sum(), exact_q.sum()
        a, b = sum_p - 1, sum_q - 1
        # the divergence of the rows divided by their exact sums
        true = (exact_p * (log_p - log_q)).sum() / sum_p - EXACT.log(sum_p / sum_q)
        slack = (4 * eps + 2 * abs(a)) * true + (a - b) ** 2 + float(np.finfo(dtype).smallest_subnormal)
        assert abs(EXACT.mpf(float(kl_divergence(p, q))) - true) <= slack  # twice the first-order bounds


def test_near_equality_the_textbook_sum_loses_every_digit():
    p, q = np.array([0.3, 0.7]), np.array([0.3 + 1e-9, 0.7 - 1e-9])
    exact_p, exact_q = exact_value(p), exact_value(q)
    true = (exact_p * exact_log(exact_p / exact_q) - exact_p + exact_q).sum()
    assert error_in_eps(np.sum(p * np.log(p / q)), true, "float64") > 0.1 / np.finfo(float).eps
    assert error_in_eps(kl_divergence(p, q), true, "float64") <= 4


# --- from logits --------------------------------------------------------------------------------------------------------


def exact_softmax(x):
    """Return the exact exponentials divided by their sum, and the logarithm of the sum."""
    terms = [EXACT.exp(logit) for logit in x]  # mpmath's exponents have no end
    total = EXACT.fsum(terms)
    return [term / total for term in terms], EXACT.log(total)


def exact_kl_from_logits(x, y):
    """Return the exact divergence as a sum of non-negative terms, in which 400 bits last however close the rows are."""
    a = int(np.argmax(x))
    x, y = ([EXACT.mpf(float(logit)) for logit in row] for row in (x, y))
    if any(x_j > -EXACT.inf and y_j == -EXACT.inf for x_j, y_j in zip(x, y, strict=True)):
        return EXACT.inf
    (p, log_p), (q, _) = exact_softmax(x), exact_softmax(y)
    d = [(y_j - y[a]) - (x_j - x[a]) if p_j else None for p_j, x_j, y_j in zip(p, x, y, strict=True)]
    new = EXACT.fsum(EXACT.exp(y_j - y[a] + x[a] - log_p) for y_j, d_j in zip(y, d, strict=True) if d_j is None)
    c = EXACT.log1p(EXACT.fsum(p_j * EXACT.expm1(d_j) for p_j, d_j in zip(p, d, strict=True) if p_j) + new)
    terms = zip(p, q, d, strict=True)
    return EXACT.fsum(p_j * (EXACT.expm1(d_j - c) - (d_j - c)) if p_j else q_j for p_j, q_j, d_j in terms)


def exact_entropy_from_logits(x):
    a = int(np.argmax(x))
    below = [EXACT.mpf(float(logit)) - float(x[a]) for logit in x]
    p, _ = exact_softmax(below)
    rest = EXACT.fsum(EXACT.exp(d) for j, d in enumerate(below) if j != a)  # beside 1 it would lose its digits
    return EXACT.log1p(rest) - EXACT.fsum(p_j * d for p_j, d in zip(p, below, strict=True) if p_j)


def depth(classes):
    """Return the largest number of additions of a term when NumPy adds up fewer than 128 classes, eight by eight."""
    return max(classes - 1, 0) if classes < 8 else classes // 8 - 1 + 3 + classes % 8


def allowed_from_logits(dtype, classes, constant=16):
    """Return the eps that a divergence or an entropy may be off."""
    return constant + depth(classes) if dtype == np.float64 else 0.5 + 1e-6


def pairs_of_logits(dtype):
    """Yield rows at every distance, with an offset between them, and with one class that moves alone."""
    rng = np.random.default_rng(0)
    offsets = itertools.cycle((0, -17.3, 1e4 if dtype == np.float16 else 1e9, 0))  # in turn: exact answers take time
    for classes in (2, 3, 10, 100):
        for scale in (0, 2, 50):
            for distance in (1e-15, 1e-12, 1e-9, 1e-6, 1e-3, 0.03, 0.3, 1, 3, 10, 30, 100):
                x = scale * rng.normal(size=classes)
                alone = np.arange(classes) == rng.integers(classes)
                for step in (rng.normal(size=classes), alone, rng.choice([-1, 1], classes) + 100 * alone):
                    yield x.astype(dtype), (x.astype(dtype) + distance * step + next(offsets)).astype(dtype)


@dtypes
def test_the_divergence_of_logits_keeps_its_digits_at_every_distance(dtype):
    smallest, checked = float(np.finfo(dtype).smallest_normal), 0
    for x, y in pairs_of_logits(dtype):
        true = exact_kl_from_logits(x, y)
        if true >= smallest and np.isfinite(y).all():
            assert error_in_eps(kl_from_logits(x, y), true, dtype) <= allowed_from_logits(dtype, len(x)), (x, y)
            checked += 1
    assert checked > 140


HOSTILE = [
    [0, -1e9, 3],  # a finite mask
    [0, -INF, 3],
    [-INF, 0, -INF],
    [0, 0, -104],
    [1e4, 1e4 + 2, 1e4 - 1],
    [88, -88, 700],
    [-700, 0, 40],
    [5, 5, 5],
    [1, 2, 3],
    [1.5, 2, 3.5],
]


@dtypes
@pytest.mark.parametrize("first", HOSTILE)
@pytest.mark.parametrize("second", HOSTILE)
def test_hostile_rows_keep_their_digits_without_a_warning(dtype, first, second):
    with np.errstate(over="ignore"):
        x, y = np.array(first).astype(dtype), np.array(second).astype(dtype)  # -1e9 is -inf in float16
    with np.errstate(all="raise"):
        computed, of_x = kl_from_logits(x, y), entropy_from_logits(x)
    true = exact_kl_from_logits(x, y)
    if true == INF or true <= np.finfo(dtype).max:
        assert_close(computed, true, dtype, 3)
    assert_close(of_x, exact_entropy_from_logits(x), dtype, 3, constant=6.5)


def assert_close(computed, true, dtype, classes, constant=16):
    """Compare within the bound, or within half the smallest number where a result underflows."""
    if true == INF:
        assert computed == INF
    elif true >= float(np.finfo(dtype).smallest_normal):
        assert error_in_eps(computed, true, dtype) <= allowed_from_logits(dtype, classes, constant)
    else:  # float64 rounds each product, too
        assert abs(EXACT.mpf(float(computed)) - true) <= 4 * classes * float(np.finfo(dtype).smallest_subnormal)


@st.composite
def rows_of_logits(draw):
    """Draw two rows of logits, the second far from the first or near it, with masked classes in either."""
    dtype = draw(st.sampled_from(DTYPES))
    n = draw(st.integers(1, 8))
    # widths of 16 bits keep the exponents of the exact answer small
    logits = st.lists(st.floats(-100, 100, width=16), min_size=n, max_size=n)
    x = np.array(draw(logits), dtype)
    step = np.array(draw(logits), dtype) * dtype(draw(st.sampled_from([0, 2**-14, 2**-7, 1])))
    y = x + step + dtype(draw(st.sampled_from([0, 1, -1000])))
    masks = [np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n))) for _ in range(2)]
    if draw(st.booleans()):
        x, y = (np.where(mask & (np.arange(n) > 0), -INF, row) for mask, row in zip(masks, (x, y), strict=True))
    return x.astype(dtype), y.astype(dtype)


@given(rows=rows_of_logits())
def test_the_divergence_of_any_logits_is_right_and_never_negative(rows):
    x, y = rows
    computed = kl_from_logits(x, y)
    assert computed >= 0
    assert_close(computed, exact_kl_from_logits(x, y), x.dtype, len(x))
    assert_close(entropy_from_logits(x), exact_entropy_from_logits(x), x.dtype, len(x), constant=6.5)


@given(rows=rows_of_logits())
def test_equal_rows_have_no_divergence_whatever_their_offset(rows):
    x, _ = rows
    whole = np.round(x)  # so that the offset is added without rounding
    assert kl_from_logits(whole, whole + x.dtype.type(64)) == 0
    assert kl_from_logits(x, x) == 0


@given(rows=distributions(count=2))
def test_jensen_shannon_is_symmetric_and_at_most_log_2(rows):
    p, q = rows
    assert jensen_shannon(p, q) == jensen_shannon(q, p)
    assert jensen_shannon(p, p) == 0
    # the rows' sums miss 1 by n eps at most
    assert 0 <= float(jensen_shannon(p, q)) <= np.log(2) * (1 + 2 * len(p) * float(np.finfo(p.dtype).eps))


def test_no_random_pair_has_a_negative_divergence():
    rng = np.random.default_rng(0)
    for distance in (0, 1e-8, 1e-6, 1e-4, 1e-2, 1):
        x = 3 * rng.normal(size=(20_000, 10))
        y = x + distance * rng.normal(size=x.shape) + rng.normal(size=(len(x), 1))
        for dtype in DTYPES:
            x_, y_ = x.astype(dtype), y.astype(dtype)
            p, q = softmax(x_), softmax(y_)
            for divergences in (kl_from_logits(x_, y_), kl_divergence(p, q), jensen_shannon(p, q), k3(y_ - x_)):
                assert (divergences >= 0).all()


@dtypes
def test_k3_is_within_4_eps_and_overflows_where_it_is_due(dtype):
    info, rng = np.finfo(dtype), np.random.default_rng(0)
    near = rng.choice([-1, 1], 2000) * 10 ** rng.uniform(np.log10(float(info.smallest_normal)) / 2, 0.5, 2000)
    far = rng.uniform(-1.5, 1, 2000) * np.log(float(info.max))
    d = np.concatenate([near, far, [1, -1, 0, -float(info.max)], np.nextafter(dtype([1, -1]), dtype([2, -2]))]).astype(dtype)
    for log_ratio, computed in zip(d, k3(d), strict=True):
        value = EXACT.mpf(float(log_ratio))
        tiny = value**2 / 2 * (1 + value / 3)  # even 400 bits cancel, but below 1e-50 no other term counts
        true = tiny if abs(value) < 1e-50 else EXACT.expm1(value) - value
        if float(info.smallest_normal) <= true <= float(info.max):
            assert error_in_eps(computed, true, dtype) <= (4 if dtype == np.float64 else 0.5 + 1e-6), log_ratio
    edge = dtype(np.log(float(info.max)))
    last = edge if EXACT.expm1(float(edge)) - float(edge) < float(info.max) else np.nextafter(edge, dtype(0))
    with np.errstate(all="raise"):
        assert np.isfinite(k3(last))
        np.testing.assert_array_equal(
            k3(np.array([INF, -INF, np.nextafter(last, dtype(INF)), NAN, 0], dtype)), [INF, INF, INF, NAN, 0]
        )


@dtypes
def test_rows_of_infinities(dtype):
    x = np.array([[0, -INF], [INF, 0], [INF, INF], [-INF, -INF], [NAN, 0], [0, 0]], dtype)
    uniform = np.zeros_like(x)
    with np.errstate(all="raise"):
        np.testing.assert_allclose(kl_from_logits(x, uniform), [np.log(2)] * 2 + [NAN] * 3 + [0], rtol=np.finfo(dtype).eps)
        np.testing.assert_array_equal(kl_from_logits(uniform, x), [INF, INF, NAN, NAN, NAN, 0])
        np.testing.assert_array_equal(kl_from_logits(x, x), [0, 0, NAN, NAN, NAN, 0])
        np.testing.assert_allclose(entropy_from_logits(x), [0, 0, NAN, NAN, NAN, np.log(2)], rtol=np.finfo(dtype).eps)


def test_the_divergence_of_logits_is_that_of_their_softmaxes():
    x, y = np.random.default_rng(0).normal(size=(2, 50, 7))
    np.testing.assert_allclose(kl_from_logits(x, y), kl_divergence(softmax(x), softmax(y)), rtol=1e-14)
    np.testing.assert_allclose(entropy_from_logits(x), entropy(softmax(x)), rtol=1e-14)
