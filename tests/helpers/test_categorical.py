"""The losses over several classes: digits, algebra, types, shapes, limits, labels to ignore."""

from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers import binary
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
from helpers.precision import EXACT, error_in_eps, exact_softmax_cross_entropy

DTYPES = [np.float16, np.float32, np.float64]
INF, NAN = np.inf, np.nan

dtypes = pytest.mark.parametrize("dtype", DTYPES)
wide_dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])


# Every function of logits alone, then the two losses with some label of a row, as functions of logits.
of_logits = pytest.mark.parametrize("function", [log_sum_exp, softmax, log_softmax])
each_loss = pytest.mark.parametrize(
    "loss",
    [lambda x: sparse(np.zeros(x.shape[:-1], int), x), lambda x: dense(np.full(x.shape, 0.25, x.dtype), x)],
    ids=["sparse", "dense"],
)


@st.composite
def typed_rows(draw, largest=1000):
    """Draw a row of up to 8 logits of some type; small integers among them make ties likely."""
    dtype = draw(st.sampled_from(DTYPES))
    width = np.dtype(dtype).itemsize * 8
    logit = st.integers(-3, 3) | st.floats(-largest, largest, width=width)
    return np.array(draw(st.lists(logit, min_size=1, max_size=8)), dtype)


def allowance(logits):
    """Return the error in eps promised for each row: 4, and what the rounding of ``x - m`` becomes in its exponential."""
    x = np.asarray(logits, float)
    return 4 + np.max(x.max(axis=-1, keepdims=True) - x, axis=-1)


# --- digits ---

exact_value = np.frompyfunc(lambda value: EXACT.mpf(float(value)), 1, 1)


def adversarial_rows(dtype):
    """Yield logits of every kind that costs digits somewhere."""
    rng = np.random.default_rng(0)
    for scale in (0.01, 1, 10, 30):
        for n, classes in [(40, 2), (40, 10), (4, 300)]:
            yield rng.normal(0, scale, (n, classes)).astype(dtype)
    tied = rng.normal(0, 10, (40, 10)).astype(dtype)
    tied[:, [2, 7]] = tied.max(axis=-1, keepdims=True)
    yield tied
    confident = np.zeros((40, 5), dtype)
    confident[:, 3] = np.linspace(1, 80, 40)  # losses down to 4 e^-80, a normal number in float32
    yield confident
    yield np.where(np.eye(5), 10.0 ** np.arange(5), rng.normal(size=(5, 5))).astype(dtype)  # gaps up to 10,000
    yield rng.normal(12345, 1000, (20, 4)).astype(dtype)  # all logits far from 0
    yield np.zeros((1, 1000), dtype)
    masked = rng.normal(0, 10, (30, 20)).astype(dtype)
    masked[:, ::3] = np.repeat([-INF, -1e9, -1e4], 10)[:, np.newaxis]
    yield masked


def exact_losses(x, classes=slice(None)):
    """Return the exact loss of every row and class: that of the largest logit, and the distance from it."""
    a = x.argmax(axis=-1)
    of_largest = [[exact_softmax_cross_entropy(int(j), row)] for j, row in zip(a, x, strict=True)]
    return np.array(of_largest) + (exact_value(x.max(axis=-1, keepdims=True)) - exact_value(x[:, classes]))


@cache
def exact_rows(dtype):
    return [(x, exact_losses(x)) for x in adversarial_rows(dtype)]


@pytest.fixture
def assert_accurate(ulps):
    """Return a function that holds float32 to half a unit in the last place, and float64 to what is allowed where normal."""

    def check(computed, exact, x):
        if x.dtype == np.float32:
            assert ulps(computed, exact).max() <= 0.5 + 1e-6
        else:
            error = error_in_eps(computed, exact, x.dtype)
            assert np.all((error <= allowance(x)) | (abs(exact) < float(np.finfo(float).smallest_normal)))

    return check


@wide_dtypes
def test_sparse_losses_keep_their_digits(assert_accurate, dtype):
    for x, losses in exact_rows(dtype):
        for y in {0, x.shape[1] - 1} | set(x.argmax(axis=1).tolist()):
            assert_accurate(sparse(np.full(len(x), y), x), losses[:, y], x)


@wide_dtypes
def test_dense_losses_keep_their_digits(assert_accurate, dtype):
    rng = np.random.default_rng(1)
    for x, losses in exact_rows(dtype):
        w = rng.random(x.shape) ** 4
        near_one_hot = np.where(x == x.max(axis=-1, keepdims=True), 1 - 1e-6, 1e-9)
        for labels in (w / w.sum(axis=-1, keepdims=True), w, near_one_hot):
            labels = np.where(x == -INF, 0, labels).astype(dtype)
            exact = (exact_value(labels) * np.where(labels == 0, 0, losses)).sum(axis=-1)
            assert_accurate(dense(labels, x), exact, x)


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


@wide_dtypes
def test_the_bound_holds_for_a_vocabulary(assert_accurate, dtype):
    """The bounds leave the additions of C terms out of account: NumPy adds in pairs."""
    for scale in (0.1, 3):
        x = np.random.default_rng(0).normal(0, scale, (1, 50_257)).astype(dtype)
        classes = [0, int(x[0].argmax())]
        with EXACT.workprec(160):  # far more than the 53 bits that are judged
            losses = exact_losses(x, classes)
        for y, exact in zip(classes, losses.T, strict=True):
            assert_accurate(sparse(np.array([y]), x), exact, x)


@given(row=typed_rows(), data=st.data())
def test_any_row_of_logits_has_losses_within_the_bound(row, data):
    y = data.draw(st.integers(0, row.size - 1))
    exact = exact_softmax_cross_entropy(y, row)
    bound = allowance(row) * float(np.finfo(row.dtype).eps) * exact + float(np.finfo(row.dtype).tiny)
    assert abs(float(sparse(y, row)) - exact) <= bound


def test_a_tie_for_the_largest_is_left_out_of_the_sum_once():
    np.testing.assert_allclose(sparse([0, 2, 4], np.zeros((3, 5))), np.log(5), rtol=1e-15)  # the digits of float64


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


@given(row=typed_rows(), data=st.data())
def test_the_order_of_the_classes_changes_rounding_alone(row, data):
    order = np.array(data.draw(st.permutations(range(row.size))))
    eps, tiny = (float(number) for number in (np.finfo(row.dtype).eps, np.finfo(row.dtype).tiny))
    # both are within the allowance of the same exact number
    np.testing.assert_allclose(log_softmax(row[order]), log_softmax(row)[order], rtol=2 * allowance(row) * eps, atol=tiny)


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


@given(label=st.integers(0, 256).map(lambda k: k / 256), logit=st.floats(-80, 80, width=32))
def test_two_classes_are_the_sigmoid_loss(label, logit):
    x, z = np.float32(logit), np.float32(label)  # multiples of 1/256: 1 - z is exact
    of_two = dense(np.array([z, 1 - z]), np.array([x, np.float32(0)]))
    # x - 0 is exact, so each side is within 4 eps
    np.testing.assert_allclose(of_two, binary.sigmoid_cross_entropy_with_logits(z, x), rtol=8 * np.finfo(np.float32).eps)


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


# --- types and shapes ---


@of_logits
@pytest.mark.parametrize(
    ("given_type", "expected"),
    [*((dtype, dtype) for dtype in DTYPES), (np.int64, np.float64), (np.uint8, np.float64), (np.bool_, np.float64)],
)
def test_functions_of_logits_keep_their_type(function, given_type, expected):
    for shape in [(3,), (2, 3)]:
        assert function(np.ones(shape, given_type)).dtype == expected


@pytest.mark.parametrize("loss", [dense, categorical_crossentropy])
@pytest.mark.parametrize(
    ("label_type", "type_beside", "expected"),
    [
        *((dtype, dtype, dtype) for dtype in DTYPES),
        (np.float64, np.float32, np.float64),
        (np.int8, np.float16, np.float16),
        (np.int64, np.float32, np.float32),
        (np.bool_, np.bool_, np.float64),
    ],
)
def test_dense_losses_have_the_wider_type_and_integers_adapt(loss, label_type, type_beside, expected):
    for shape in [(3,), (2, 3)]:
        assert loss(np.ones(shape, label_type), np.ones(shape, type_beside)).dtype == expected


@pytest.mark.parametrize("loss", [sparse, sparse_categorical_crossentropy])
@dtypes
@pytest.mark.parametrize("label_type", [np.int8, np.uint8, np.int32, np.int64, np.uint64])
def test_sparse_losses_have_the_type_of_the_logits(loss, dtype, label_type):
    x = np.array([[0.25, 0.75], [0.5, 0.5]], dtype)
    assert loss(np.array([1, 0], label_type), x).dtype == loss(label_type(1), x[0]).dtype == dtype


@pytest.mark.parametrize("shape", [(1,), (3,), (0, 3), (5, 1), (2, 3), (2, 0, 3), (2, 3, 4)])
def test_the_class_axis_is_the_last_and_any_may_come_before_it(shape):
    x = np.linspace(0, 1, int(np.prod(shape))).reshape(shape)
    y = np.zeros(shape[:-1], int)
    assert softmax(x).shape == log_softmax(x).shape == one_hot(y, shape[-1]).shape == shape
    for result in (log_sum_exp(x), sparse(y, x), dense(x, x), sparse_categorical_crossentropy(y, x)):
        assert result.shape == shape[:-1]
    for index in np.ndindex(shape[:-1]):
        assert sparse(y, x)[index] == sparse(0, x[index])
        assert dense(x, x)[index] == dense(x[index], x[index])


def test_empty_lists_of_labels_have_empty_losses():
    assert sparse([], np.zeros((0, 3))).shape == (0,)
    assert one_hot([], 3).shape == (0, 3)


def test_arguments_are_not_changed():
    rng = np.random.default_rng(0)
    x, w, y = rng.normal(size=(6, 40)), rng.random((6, 40)), np.arange(6)
    before = x.copy(), w.copy(), y.copy()
    for function in (log_sum_exp, softmax, log_softmax):
        function(x)
    for loss in (sparse, sparse_softmax_cross_entropy_gradient):
        loss(y, x)
    for loss in (dense, softmax_cross_entropy_gradient):
        loss(w, x)
    for array, copy in zip((x, w, y), before, strict=True):
        np.testing.assert_array_equal(array, copy)


# --- infinities and NaN ---


@dtypes
@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ([1, 2, -INF], [1.31326168752, 0.31326168752, INF]),  # a class that cannot occur
        ([INF, 0, 1], [0, INF, INF]),
        ([INF, 0, -INF], [0, INF, INF]),
        ([INF, INF, 0], [NAN, NAN, INF]),  # which of the two wins is open, but the third has lost
        ([-INF, -INF], [NAN, NAN]),
        ([-INF], [0]),  # the only class is certain
        ([INF], [0]),
        ([NAN, 0], [NAN, NAN]),
        ([INF, NAN], [NAN, NAN]),
        ([NAN], [NAN]),
    ],
)
def test_infinite_logits_give_the_limit_where_there_is_one(dtype, row, expected):
    row, classes = np.array(row, dtype), len(row)
    rows, y = np.tile(row, (classes, 1)), np.arange(classes)
    rtol = 4 * np.finfo(dtype).eps + 1e-11  # the functions' error, and the digits that are written here
    np.testing.assert_allclose(sparse(y, rows), expected, rtol=rtol)
    np.testing.assert_allclose(dense(one_hot(y, classes), rows), expected, rtol=rtol)
    np.testing.assert_allclose(-log_softmax(row), expected, rtol=rtol)
    np.testing.assert_allclose(softmax(row), np.exp(-np.array(expected)), rtol=rtol)


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


@dtypes
def test_nan_stays_in_its_row(dtype):
    x = np.tile(np.array([1, 2, -INF], dtype), (5, 1))
    w, y = np.tile(np.array([0.5, 0.5, 0], dtype), (5, 1)), np.array([0, 1, 0, 1, 0])
    clean = {"dense": dense(w, x), "sparse": sparse(y, x), "softmax": softmax(x)}
    x[1, 0] = x[2, 2] = NAN
    others = [0, 3, 4]
    assert np.isnan(softmax(x)[[1, 2]]).all()
    assert np.isnan(sparse(y, x)[[1, 2]]).all()
    assert np.isnan(dense(w, x)[[1, 2]]).all()
    np.testing.assert_array_equal(sparse(y, x)[others], clean["sparse"][others])
    np.testing.assert_array_equal(softmax(x)[others], clean["softmax"][others])
    w[3, 1] = NAN
    assert np.isnan(dense(w, x)).tolist() == [False, True, True, True, False]
    np.testing.assert_array_equal(dense(w, x)[[0, 4]], clean["dense"][[0, 4]])
    assert np.isnan(dense(np.zeros(1, dtype), np.array([NAN], dtype)))  # even without weight or rival


@dtypes
@each_loss
def test_losses_never_warn(loss, dtype):
    largest, tiny = np.finfo(dtype).max, np.finfo(dtype).smallest_subnormal
    numbers = np.array([0, tiny, 1, 12, 1000, largest, -1000, -largest, INF, -INF, NAN], dtype)
    rows = np.stack([a.ravel() for a in np.meshgrid(numbers, numbers, numbers)], axis=-1)
    with np.errstate(all="raise"):
        loss(rows)
        for function in (log_sum_exp, softmax, log_softmax):
            function(rows)


# --- labels to ignore ---


def test_ignored_labels_cost_nothing_whatever_their_logits():
    x = np.array([[1.0, 2.0], [NAN, 0.0], [3.0, 1.0], [INF, INF]])
    labels = np.array([0, -100, 1, -100])
    np.testing.assert_array_equal(sparse(labels, x, ignore_label=-100), [*sparse([0], x[:1]), 0, *sparse([1], x[2:3]), 0])


def test_a_class_can_be_ignored():
    x = np.zeros((2, 3))
    np.testing.assert_allclose(sparse([0, 1], x, ignore_label=0), [0, np.log(3)], rtol=1e-15)
    np.testing.assert_array_equal(sparse(np.array([255, 255], np.uint8), x, ignore_label=255), 0)
