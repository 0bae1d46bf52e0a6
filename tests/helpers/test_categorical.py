"""The losses over several classes and their gradients: digits, algebra, limits, labels to ignore."""

from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.categorical import (
    categorical_crossentropy,
    log_softmax,
    log_sum_exp,
    one_hot,
    softmax,
    softmax_cross_entropy_gradient,
    sparse_categorical_crossentropy,
    sparse_softmax_cross_entropy_gradient,
)
from helpers.categorical import softmax_cross_entropy_with_logits as dense
from helpers.categorical import sparse_softmax_cross_entropy_with_logits as sparse
from helpers.precision import EXACT, error_in_eps, exact_softmax_cross_entropy, exact_softmax_cross_entropy_gradient

DTYPES = [np.float16, np.float32, np.float64]
INF, NAN = np.inf, np.nan

wide_dtypes = pytest.mark.parametrize("dtype", DTYPES[1:])


@st.composite
def typed_rows(draw, largest=1000):
    """Draw a row of up to 8 logits of some type; small integers among them make ties likely."""
    dtype = draw(st.sampled_from(DTYPES))
    logit = st.integers(-3, 3) | st.floats(-largest, largest, width=np.dtype(dtype).itemsize * 8)
    return np.array(draw(st.lists(logit, min_size=1, max_size=8)), dtype)


def allowance(logits):
    """Return the error in eps promised for each row: 4, and what the rounding of ``x - m`` becomes in its exponential."""
    x = np.asarray(logits, float)
    return 4 + np.ptp(np.where(x == -INF, x.max(axis=-1, keepdims=True), x), axis=-1)


# --- digits ---

HALF, TINY = 0.5 + 1e-6, float(np.finfo(float).smallest_normal)
exact_value = np.frompyfunc(lambda value: EXACT.mpf(float(value)), 1, 1)


def hostile_rows(dtype):
    """Yield logits of every kind that costs digits somewhere."""
    rng = np.random.default_rng(0)
    for scale in (0.01, 1, 10, 30):
        for rows, classes in [(20, 2), (20, 10), (2, 300)]:
            yield rng.normal(0, scale, (rows, classes)).astype(dtype)
    tied = rng.normal(0, 10, (20, 10)).astype(dtype)
    tied[:, [2, 7]] = tied.max(axis=-1, keepdims=True)
    yield tied
    yield np.zeros((1, 300), dtype)
    confident = np.zeros((40, 5), dtype)
    confident[:, 3] = np.linspace(1, 80, 40)  # losses and slopes down to 4 e^-80, a normal number in float32
    yield confident
    yield np.where(np.eye(5), 10.0 ** np.arange(5), rng.normal(size=(5, 5))).astype(dtype)  # gaps up to 10,000
    yield rng.normal(12345, 1000, (20, 4)).astype(dtype)  # all logits far from 0
    masked = rng.normal(0, 10, (20, 20)).astype(dtype)
    masked[:, ::3] = np.repeat([-INF, -INF, -1e9, -1e4], 5)[:, np.newaxis]
    yield masked


@cache
def exact_rows(dtype):
    """Return the rows with the exact loss of every class: that of the largest logit, and the distance from it."""
    pairs = []
    for x in hostile_rows(dtype):
        of_largest = [[exact_softmax_cross_entropy(int(row.argmax()), row)] for row in x]
        pairs.append((x, np.array(of_largest) + (exact_value(x.max(axis=-1, keepdims=True)) - exact_value(x))))
    return pairs


@pytest.fixture
def assert_accurate(ulps):
    """Return a function that holds float32 to half a unit in the last place, and float64 to what is allowed in eps."""

    def check(computed, exact, x):
        if x.dtype == np.float32:
            assert ulps(computed, exact).max() <= HALF
            return
        normal = abs(exact) >= TINY
        assert np.all((error_in_eps(computed, exact, "float64") <= allowance(x)) | ~normal)
        assert np.all(np.abs(computed[~normal]) <= 1.01 * TINY)

    return check


def some_labels(x):
    return {0, x.shape[1] - 1} | set(x.argmax(axis=1).tolist())


@wide_dtypes
def test_sparse_losses_keep_their_digits(assert_accurate, dtype):
    for x, losses in exact_rows(dtype):
        for y in some_labels(x):
            assert_accurate(sparse(np.full(len(x), y), x), losses[:, y], x)


def rows_of_labels(x, dtype):
    """Yield rows of weights: some that sum to 1 and some that don't, and some that nearly are one-hot."""
    w = np.random.default_rng(1).random(x.shape) ** 4
    for labels in (w / w.sum(axis=-1, keepdims=True), w, np.where(x == x.max(axis=-1, keepdims=True), 1 - 1e-6, 1e-9)):
        yield labels.astype(dtype)


@wide_dtypes
def test_dense_losses_keep_their_digits(assert_accurate, dtype):
    for x, losses in exact_rows(dtype):
        for labels in rows_of_labels(x, dtype):
            labels[x == -INF] = 0
            exact = (exact_value(labels) * np.where(labels == 0, 0, losses)).sum(axis=-1)
            assert_accurate(dense(labels, x), exact, x)


@wide_dtypes
def test_gradients_of_class_indices_keep_their_digits(assert_accurate, dtype):
    for x, _ in exact_rows(dtype):
        for y in some_labels(x):
            gradient = sparse_softmax_cross_entropy_gradient(np.full(len(x), y), x)
            for computed, row in zip(gradient, x, strict=True):
                assert_accurate(computed, np.array(exact_softmax_cross_entropy_gradient(y, row)), row)


@wide_dtypes
def test_gradients_of_soft_labels_are_within_the_bound_of_their_two_terms(dtype):
    for x, losses in exact_rows(dtype):
        for labels in (*rows_of_labels(x, dtype), softmax(x)):
            gradients = softmax_cross_entropy_gradient(labels, x)
            for computed, weights, row, loss in zip(gradients, labels, x, losses, strict=True):
                exact, w = np.array(exact_softmax_cross_entropy_gradient(weights, row)), exact_value(weights)
                others, top = w.sum() - w, int(weights.argmax())
                others[top] = np.delete(w, top).sum()  # which even 400 bits may absorb
                pull = np.array([EXACT.exp(-of_class) for of_class in loss]) * others  # p_j Σ_{k≠j} w_k
                both = 2 * pull - exact  # and w_j Σ_{k≠j} p_k, which is subtracted from it
                if dtype == np.float32:
                    allowed = HALF * np.spacing(abs(exact).astype(dtype)) + 1e-15 * both
                else:
                    allowed = (4 + allowance(row)) * 2.0**-52 * both + TINY
                assert np.all(abs(exact_value(computed) - exact) <= allowed)


@wide_dtypes
def test_probabilities_and_their_logarithms_keep_their_digits(assert_accurate, dtype):
    for x, losses in exact_rows(dtype):
        for j in (0, x.shape[1] // 2):
            exact = -losses[:, j]
            assert_accurate(log_softmax(x)[:, j], exact, x)
            assert_accurate(softmax(x)[:, j], np.array([EXACT.exp(log) for log in exact]), x)


@wide_dtypes
def test_log_sum_exp_is_within_its_absolute_bound(dtype):
    for x, losses in exact_rows(dtype):
        exact = losses[:, 1] + exact_value(x[:, 1])
        if dtype == np.float32:
            bound = (0.5 + 1e-6) * np.spacing(abs(exact).astype(dtype)) + 1e-15 * abs(x).max(
                axis=-1, where=x > -1e4, initial=1
            )
        else:
            bound = 2.0**-52 * (4 + np.log(x.shape[1]) + abs(exact) / 2)
        assert np.all(abs(exact_value(log_sum_exp(x)) - exact) <= bound)


@cache
def exact_vocabulary(scale):
    """Return a row of 50,257 float32 logits, its largest class, and the exact slopes if that is the label."""
    x = np.random.default_rng(0).normal(0, scale, 50_257).astype(np.float32)
    x = x if scale else np.where(np.arange(x.size) == 0, 17, x)
    with EXACT.workprec(160):  # far more than the 53 bits that are judged
        return x, int(x.argmax()), np.array(exact_softmax_cross_entropy_gradient(int(x.argmax()), x))


@wide_dtypes
@pytest.mark.parametrize("scale", [0, 3])
def test_the_bound_holds_for_a_vocabulary(assert_accurate, dtype, scale):
    """The bounds leave the additions of C terms out of account: NumPy adds in pairs."""
    x, y, slopes = exact_vocabulary(scale)  # p - 1 would lose the slope of this label
    loss, x, some = -EXACT.log1p(slopes[y]), x.astype(dtype), [y, *range(1, x.size, 16)]
    assert_accurate(sparse_softmax_cross_entropy_gradient(y, x)[some], slopes[some], x)
    for label, exact in ((y, loss), (1, loss + (exact_value(x[y]) - exact_value(x[1])))):
        assert_accurate(sparse([label], x[np.newaxis]), np.array([exact]), x)


@given(row=typed_rows(), data=st.data())
def test_any_row_of_logits_has_losses_within_the_bound(row, data):
    y = data.draw(st.integers(0, row.size - 1))
    exact = exact_softmax_cross_entropy(y, row)
    bound = allowance(row) * float(np.finfo(row.dtype).eps) * exact + float(np.finfo(row.dtype).tiny)
    assert abs(float(sparse(y, row)) - exact) <= bound


@pytest.mark.parametrize(
    ("row", "label", "epsilon", "expected", "sparse_expected"),
    [
        ([0.5, 0.89, 0.6], 1, 1e-7, np.log(1.99 / 0.89), np.log(1.99 / 0.89)),  # each divides by the sum
        ([0, 1, 0], 0, 1e-7, -np.log(1e-7), np.log((1 + 1e-7) / 1e-7)),  # one after, one before the clip
        ([0, 1, 0], 1, 1e-7, -np.log(1 - 1e-7), np.log((1 + 1e-7) / (1 - 1e-7))),
        ([0, 1, 0], 0, 0.25, np.log(4), np.log(5)),
        ([0, 1, 0], 1, 0.25, np.log(4 / 3), np.log(5 / 3)),
        ([0, 0, 0], 0, 1e-7, NAN, np.log(3)),
    ],
)
def test_known_losses_of_probabilities(row, label, epsilon, expected, sparse_expected):
    rtol = 1e-8  # 2e-7 is what remains of numbers near 1, which float64 rounds by 1e-16
    ours = categorical_crossentropy(one_hot(label, 3), row, epsilon=epsilon)
    np.testing.assert_allclose(ours, expected, rtol=rtol)
    np.testing.assert_allclose(sparse_categorical_crossentropy(label, row, epsilon=epsilon), sparse_expected, rtol=rtol)


def test_the_loss_of_probabilities_is_linear_in_the_labels():
    row, weights = [0.2, 0.3, 0.5], [0.5, 0.25, 0.0]
    np.testing.assert_allclose(categorical_crossentropy(weights, row), -np.dot(weights, np.log(row)), rtol=1e-15)


# --- algebra ---


@given(row=st.lists(st.integers(-2048, 2048), min_size=1, max_size=8), shift=st.integers(-16, 16))
def test_a_shift_that_is_exact_changes_no_bit(row, shift):
    x = np.array(row, np.float32) / 64  # multiples of 1/64 below 64 in size: sums with the shift are exact
    y = np.arange(x.size)
    rows = np.tile(x, (x.size, 1))
    for function in (
        softmax,
        log_softmax,
        lambda logits: sparse(y, logits),
        lambda logits: dense(one_hot(y, x.size), logits),
    ):
        np.testing.assert_array_equal(function(rows + np.float32(shift)), function(rows))


@given(row=typed_rows())
def test_probabilities_lie_in_the_unit_interval_and_sum_to_one(row):
    p = softmax(row)
    assert np.all((p >= 0) & (p <= 1))
    # each of up to 8 probabilities is rounded by half an eps of itself, and so is their common denominator
    assert abs(p.sum(dtype=float) - 1) <= 4 * np.finfo(row.dtype).eps


@given(row=typed_rows())
def test_class_indices_are_one_hot_rows(row):
    y = np.arange(row.size)
    rows = np.tile(row, (row.size, 1))
    np.testing.assert_array_equal(sparse(y, rows), dense(one_hot(y, row.size), rows), strict=True)
    np.testing.assert_array_equal(sparse(y, rows), -log_softmax(row))
    by_class, by_row = sparse_softmax_cross_entropy_gradient, softmax_cross_entropy_gradient
    np.testing.assert_array_equal(by_row(one_hot(y, row.size), rows), by_class(y, rows), strict=True)


@given(row=typed_rows())
def test_log_sum_exp_lies_between_the_largest_and_log_c_above_it(row):
    assert row.max() <= log_sum_exp(row)
    eps = float(np.finfo(row.dtype).eps)
    top = float(row.max()) + np.log(row.size)
    assert log_sum_exp(row) <= top + eps * (4 + np.log(row.size) + abs(top) / 2)


@given(row=typed_rows(largest=50), share=st.integers(1, 255).map(lambda k: k / 256))
def test_the_dense_loss_is_linear_in_the_labels(row, share):
    w = np.zeros(row.size, row.dtype)
    w[0] = share
    eps, tiny = (float(number) for number in (np.finfo(row.dtype).eps, np.finfo(row.dtype).tiny))
    np.testing.assert_allclose(dense(w, row), share * sparse(0, row).astype(float), rtol=4 * eps, atol=tiny)


def test_a_row_of_zero_labels_costs_nothing():
    np.testing.assert_array_equal(dense(np.zeros((2, 3)), [[1.0, 2.0, 3.0], [1000.0, 0.0, -INF]]), 0)
    np.testing.assert_array_equal(softmax_cross_entropy_gradient(np.zeros(3), [1.0, 2, 3]), 0)  # TensorFlow's is softmax
    assert np.isnan(dense([0.0], [NAN]))


def test_empty_lists_of_labels_have_empty_losses():
    assert sparse([], np.zeros((0, 3))).shape == (0,)
    assert one_hot([], 3).shape == (0, 3)


def test_the_difference_of_probability_and_label_breaks_the_bound_for_soft_labels():
    x, w = np.float32([16, 0, 0]), np.float32([1 - 2**-20, 2**-20, 0])
    exact = exact_softmax_cross_entropy_gradient(w, x)[0]
    allowed = (8 + 16) * 2.0**-23 * 2.0**-19  # twice p_j Σ_{k≠j} w_k, at least the sum of the two terms
    assert abs(float(softmax_cross_entropy_gradient(w, x)[0]) - exact) <= allowed
    assert abs(float(softmax(x)[0] - w[0]) - exact) > 1000 * allowed


@given(row=typed_rows(), data=st.data())
def test_only_the_label_has_a_negative_slope_and_all_slopes_sum_to_zero(row, data):
    y = data.draw(st.integers(0, row.size - 1))
    gradient = sparse_softmax_cross_entropy_gradient(y, row).astype(float)
    assert gradient[y] <= 0
    assert not np.signbit(gradient[np.arange(row.size) != y]).any()
    # every entry has its relative bound, and float16 a rounding more
    eps = np.finfo(np.result_type(row, np.float32)).eps
    allowed = (allowance(row) * eps + np.finfo(row.dtype).eps / 2) * np.abs(gradient).sum()
    assert abs(gradient.sum()) <= allowed + row.size * np.finfo(row.dtype).smallest_subnormal


def test_a_label_equal_to_the_softmax_is_a_minimum():
    x = np.random.default_rng(0).normal(0, 3, (20, 10))
    p = softmax(x)
    assert np.all(np.abs(softmax_cross_entropy_gradient(p, x)) <= (4 + allowance(x))[:, np.newaxis] * 2.0**-51 * p)


# --- infinities ---


@pytest.mark.parametrize(
    ("row", "expected"),
    [([INF, INF, 0], INF), ([INF, -INF], INF), ([-INF, -INF], -INF), ([-INF], -INF), ([-INF, 0], 0), ([INF, NAN], NAN)],
)
def test_log_sum_exp_has_a_limit_for_all_infinite_logits(row, expected):
    np.testing.assert_array_equal(log_sum_exp(row), expected)


@pytest.mark.parametrize(
    ("labels", "row", "expected"),
    [([0.5, 0.5, 0], [0, 0, -INF], np.log(2)), ([0.5, 0.25, 0.25], [0, 0, -INF], INF), ([0, 0.5, 0.5], [INF, 0, 0], INF)],
)
def test_an_impossible_class_costs_nothing_without_weight_else_inf(labels, row, expected):
    np.testing.assert_allclose(dense(labels, np.array(row)), expected, rtol=1e-15)


# --- labels to ignore ---


@pytest.mark.parametrize("ignored", [-100, 1])
def test_ignored_rows_cost_nothing_and_have_no_slope_whatever_their_logits(ignored):
    x = np.array([[1.0, 2.0], [NAN, 0.0], [3.0, 1.0], [INF, INF], [-INF, -INF]])
    labels, counted = np.array([0, ignored, 0, ignored, ignored]), [0, 2]
    for function in (sparse, sparse_softmax_cross_entropy_gradient):
        expected = np.zeros((5, *function(0, x[0]).shape))
        expected[counted] = function([0, 0], x[counted])
        computed = function(labels, x, ignore_label=ignored)
        np.testing.assert_array_equal(computed, expected)
        assert not np.signbit(np.delete(computed, counted, axis=0)).any()
    assert not np.signbit(sparse_softmax_cross_entropy_gradient([0], [[5.0]])).any()


def test_a_class_can_be_ignored():
    np.testing.assert_array_equal(sparse(np.array([255, 0], np.uint8), np.zeros((2, 1)), ignore_label=255), 0)
