"""Entropy, cross-entropy and divergence: values, inequalities, limits, types, shapes, refusals, digits, and Keras beside."""

import keras
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from helpers.information import cross_entropy, entropy, kl_divergence
from helpers.precision import EXACT, error_in_eps

DTYPES = [np.float16, np.float32, np.float64]
INF, NAN = np.inf, np.nan

dtypes = pytest.mark.parametrize("dtype", DTYPES)
of_two = pytest.mark.parametrize("function", [cross_entropy, kl_divergence])


@st.composite
def distributions(draw, count=1, zeros=True):
    """Draw distributions of one length, from uniform to one-hot, with the floating-point type they were normalized in."""
    dtype = draw(st.sampled_from(DTYPES))
    n = draw(st.integers(2, 8))
    logits = st.lists(st.floats(-30, 30, width=16), min_size=n, max_size=n)
    rows = []
    for _ in range(count):
        x = np.array(draw(logits), dtype)
        weights = np.exp(x - x.max())
        rows.append(weights / weights.sum())
        assume(zeros or rows[-1].all())
    return rows


def exact(row):
    return [EXACT.mpf(float(value)) for value in row]


def exact_cross_entropy(p, q):
    return EXACT.fsum(-a * EXACT.log(b) for a, b in zip(exact(p), exact(q), strict=True) if a)


def exact_sum_of_non_negative_terms(p, q):
    return EXACT.fsum((a * EXACT.log(a / b) if a else 0) - a + b for a, b in zip(exact(p), exact(q), strict=True))


def exact_divergence(p, q):
    """Return the divergence of the rows divided by their exact sums."""
    p, q = exact(p), exact(q)
    p, q = [a / EXACT.fsum(p) for a in p], [b / EXACT.fsum(q) for b in q]
    return EXACT.fsum(a * EXACT.log(a / b) for a, b in zip(p, q, strict=True) if a)


def hostile_pairs(dtype):
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
    bound = EXACT.fsum(abs(a - b) for a, b in zip(exact(p), exact(q), strict=True)) ** 2 / 2
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
def test_entropy_lies_between_that_of_certainty_and_that_of_the_uniform(rows):
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
def test_what_happens_against_all_expectation_costs_infinitely_much_and_nothing_warns(function, dtype):
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
def test_memory_layout_makes_no_difference_and_arguments_stay_as_they_were(function):
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
    ("p", "q", "error", "message"),
    [
        (0.5, 0.5, ValueError, "p must list the probabilities of all outcomes along its last axis, got a scalar"),
        ([1.0], 1.0, ValueError, "q must list the probabilities of all outcomes along its last axis, got a scalar"),
        ([0.3], [0.3], ValueError, r"p must sum to 1 within 2\.2e-16, got a sum of 0\.3$"),
        ([0.5, 0.5], [0.5, 0.6], ValueError, r"q must sum to 1 within 4\.4e-16, got a sum of 1\.1$"),
        ([[1, 0], [1, 1]], np.eye(2), ValueError, r"p must sum to 1 within 4\.4e-16, got a sum of 2\.0 in row \(1,\)$"),
        (np.float32([0.3, 0.699999]), [0, 1], ValueError, r"p must sum to 1 within 2\.4e-07, got a sum of 0\.99999898672"),
        ([], [], ValueError, r"p must sum to 1 within 0\.0e\+00, got a sum of 0\.0$"),
        ([-0.5, 1.5], [0.5, 0.5], ValueError, r"p must lie in \[0, 1\], got -0\.5 at index \(0,\)$"),
        ([0.5, 0.5], [1.5, -0.5], ValueError, r"q must lie in \[0, 1\], got 1\.5 at index \(0,\)$"),
        ([0.5, 0.5], np.full((2, 2), 0.5), ValueError, r"p and q must have the same shape, got \(2,\) and \(2, 2\)"),
        (["a", "b"], [0.5, 0.5], TypeError, "p must hold booleans, integers or float16, float32, float64, got <U1"),
        ([0.5, 0.5], [0.5 + 0j, 0.5], TypeError, "q must hold .*, got complex128"),
    ],
    ids=["scalar", "scalar-q", "coin", "sum", "row", "float32", "empty", "below", "above", "shapes", "strings", "complex"],
)
def test_bad_input_is_refused_by_name(function, p, q, error, message):
    with pytest.raises(error, match=message):
        function(p, q)


def test_entropy_refuses_what_is_no_distribution():
    with pytest.raises(ValueError, match=r"p must sum to 1 within 4\.4e-16, got a sum of 0\.9"):
        entropy([0.4, 0.5])


@dtypes
def test_all_three_are_within_4_eps(dtype):
    smallest = float(np.finfo(dtype).smallest_normal)
    checked = 0
    for p, q in hostile_pairs(dtype):
        pairs = [
            (entropy(p), exact_cross_entropy(p, p)),
            (cross_entropy(p, q), exact_cross_entropy(p, q)),
            (kl_divergence(p, q), exact_sum_of_non_negative_terms(p, q)),
        ]
        for computed, true in pairs:
            if true >= smallest:
                assert error_in_eps(computed, true, dtype) <= 4
                checked += 1
    assert checked > 200


@dtypes
def test_the_divergence_forgives_rows_that_miss_1_by_a_rounding(dtype):
    eps = float(np.finfo(dtype).eps)
    for p, q in hostile_pairs(dtype):
        a, b = EXACT.fsum(exact(p)) - 1, EXACT.fsum(exact(q)) - 1
        true = exact_divergence(p, q)
        slack = (4 * eps + 2 * abs(a)) * true + (a - b) ** 2 + float(np.finfo(dtype).smallest_subnormal)
        assert abs(EXACT.mpf(float(kl_divergence(p, q))) - true) <= slack  # twice the first-order bounds


def test_near_equality_the_textbook_sum_loses_every_digit_and_ours_none():
    p, q = np.array([0.3, 0.7]), np.array([0.3 + 1e-9, 0.7 - 1e-9])
    true = exact_sum_of_non_negative_terms(p, q)
    assert error_in_eps(np.sum(p * np.log(p / q)), true, "float64") > 0.1 / np.finfo(float).eps
    assert error_in_eps(kl_divergence(p, q), true, "float64") <= 4


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_keras_agrees_where_it_clips_nothing(dtype):
    p, q = np.random.default_rng(0).dirichlet(np.ones(5), (2, 20)).astype(dtype)
    assert min(p.min(), q.min()) > 1e-7
    # Keras's sum cancels: its terms, of the size of the logarithms, are rounded a few times each
    atol = 4 * np.finfo(dtype).eps * np.sum(p * abs(np.log(p / q)) + p, axis=-1).max()
    np.testing.assert_allclose(keras.losses.kl_divergence(p, q), kl_divergence(p, q), rtol=0, atol=atol)


def test_keras_gives_an_infinite_divergence_a_finite_value():
    p, q = np.float32([0.5, 0.5]), np.float32([0, 1])
    # log(0.5 / 1e-7) / 2 + log(0.5) / 2, in a few roundings
    np.testing.assert_allclose(keras.losses.kl_divergence(p, q), 7.365901, rtol=4 * np.finfo(np.float32).eps)
    assert kl_divergence(p, q) == INF


def test_keras_gives_negative_divergences_for_what_are_no_distributions():
    assert keras.losses.kl_divergence(np.float32([0.2, 0.2]), np.float32([0.6, 0.6])) < 0
    with pytest.raises(ValueError, match="p must sum to 1"):
        kl_divergence(np.float32([0.2, 0.2]), np.float32([0.6, 0.6]))
