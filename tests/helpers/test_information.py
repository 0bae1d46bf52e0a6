"""Entropy, cross-entropy and divergence: values, inequalities, limits, types, shapes, digits, and rows that sum to 1."""

from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.information import cross_entropy, entropy, kl_divergence
from helpers.precision import EXACT, error_in_eps

DTYPES = [np.float16, np.float32, np.float64]
INF, NAN = np.inf, np.nan

dtypes = pytest.mark.parametrize("dtype", DTYPES)
of_two = pytest.mark.parametrize("function", [cross_entropy, kl_divergence])


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


@given(rows=distributions(count=2))
def test_pinskers_inequality(rows):
    p, q = rows
    bound = sum(abs(exact_value(p) - exact_value(q))) ** 2 / 2
    # the bound holds for exact distributions; these miss 1 by n eps at most, and the divergence is rounded
    assert float(kl_divergence(p, q)) >= bound - 4 * len(p) * float(np.finfo(p.dtype).eps)


@given(rows=distributions(count=2))
def test_cross_entropy_is_entropy_plus_divergence(rows):
    p, q = rows
    whole, floor, rest = (float(part) for part in (cross_entropy(p, q), entropy(p), kl_divergence(p, q)))
    if np.isinf(rest):
        assert whole == INF
    else:
        # each is within 4 eps of what it should be, and the rows' sums, each within n eps of 1, enter the identity by their
        # difference
        eps = float(np.finfo(p.dtype).eps)
        assert abs(whole - floor - rest) <= (4 * (whole + floor + rest) + 2 * len(p)) * eps


@given(rows=distributions(count=2))
def test_no_prediction_costs_less_than_the_entropy(rows):
    p, q = rows
    assert float(cross_entropy(p, q)) >= float(entropy(p)) - (8 * float(entropy(p)) + 2 * len(p)) * float(
        np.finfo(p.dtype).eps
    )


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
    with np.errstate(all="raise"):
        np.testing.assert_array_equal(function(p, q), [INF, 0, 0])


@of_two
@dtypes
def test_nan_stays_in_its_row(function, dtype):
    p = np.array([[0.5, 0.5], [NAN, 0.5], [0.5, 0.5], [0, 1]], dtype)
    q = np.array([[0.5, 0.5], [0.5, 0.5], [0.5, NAN], [NAN, 1]], dtype)
    with np.errstate(all="raise"):
        np.testing.assert_array_equal(np.isnan(function(p, q)), [False, True, True, True])
        np.testing.assert_array_equal(np.isnan(entropy(p)), [False, True, False, False])


@of_two
@pytest.mark.parametrize(
    ("p_type", "q_type", "expected"),
    [
        (np.float16, np.float16, np.float16),
        (np.float32, np.float32, np.float32),
        (np.float64, np.float64, np.float64),
        (np.int64, np.float32, np.float32),
        (np.bool_, np.float16, np.float16),
        (np.float64, np.float32, np.float64),
        (np.int8, np.bool_, np.float64),
    ],
)
def test_floats_keep_their_type_and_integers_adapt(function, p_type, q_type, expected):
    p, q = np.array([0, 1], p_type), np.array([0, 1], q_type)
    assert function(p, q).dtype == function([p], [q]).dtype == expected
    assert entropy(q).dtype == (q_type if np.issubdtype(q_type, np.floating) else np.float64)


@given(cuts=st.lists(st.tuples(st.integers(0, 1024), st.integers(0, 1024)), max_size=6))
def test_float16_is_the_float32_result_rounded_once(cuts):
    ends = np.sort(np.array([(0, 0), *cuts, (1024, 1024)]), axis=0)
    p, q = (np.diff(ends, axis=0) / 1024).astype(np.float16).T  # exact, and so is the sum of each
    for function in (cross_entropy, kl_divergence):
        expected = function(p.astype(np.float32), q.astype(np.float32)).astype(np.float16)
        np.testing.assert_array_equal(function(p, q), expected, strict=True)


@pytest.mark.parametrize("shape", [(2,), (3, 2), (0, 2), (4, 3, 2)])
def test_the_last_axis_is_summed_up(shape):
    p = np.full(shape, 0.5)
    assert entropy(p).shape == cross_entropy(p, p).shape == kl_divergence(p, p).shape == shape[:-1]


@of_two
def test_layout_does_not_matter_and_arguments_are_not_changed(function):
    p, q = np.random.default_rng(0).dirichlet(np.ones(500), (2, 6))
    before = p.copy(), q.copy()
    expected = function(p, q)
    np.testing.assert_array_equal(function(np.asfortranarray(p), q.T.copy().T), expected)
    np.testing.assert_array_equal(function(p[::-2], q[::-2]), expected[::-2])
    np.testing.assert_array_equal((p, q), before)


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
def test_all_three_are_within_4_eps(dtype):
    smallest = float(np.finfo(dtype).smallest_normal)
    checked = 0
    for p, q, exact_p, exact_q, log_p, log_q in hostile_pairs(dtype):
        pairs = [
            (entropy(p), -(exact_p * log_p).sum()),
            (cross_entropy(p, q), -(exact_p * log_q).sum()),
            (kl_divergence(p, q), (exact_p * (log_p - log_q) - exact_p + exact_q).sum()),  # 400 bits: nothing cancels away
        ]
        for computed, true in pairs:
            if true >= smallest:
                assert error_in_eps(computed, true, dtype) <= 4
                checked += 1
    assert checked > 200


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
