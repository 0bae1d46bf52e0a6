"""Losses over several classes: digits, algebra, types, shapes, limits, refusals, memory, and TensorFlow and Keras beside."""

import tracemalloc

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import binary
from helpers.categorical import (
    categorical_crossentropy,
    log_softmax,
    log_sum_exp,
    one_hot,
    softmax,
    sparse_categorical_crossentropy,
)
from helpers.categorical import softmax_cross_entropy_with_logits as dense
from helpers.categorical import sparse_softmax_cross_entropy_with_logits as sparse
from helpers.precision import EXACT, error_in_eps, exact_softmax_cross_entropy

DTYPES = [np.float16, np.float32, np.float64]
INF, NAN = np.inf, np.nan

dtypes = pytest.mark.parametrize("dtype", DTYPES)
wide_dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])
property_test = settings(deadline=None, max_examples=100)  # the first call of TensorFlow is slow


# Every function of logits alone, then the two losses with some label of a row, as functions of logits.
of_logits = pytest.mark.parametrize("function", [log_sum_exp, softmax, log_softmax])
losses = pytest.mark.parametrize(
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


@wide_dtypes
def test_sparse_losses_keep_their_digits(dtype):
    worst = 0
    for x in adversarial_rows(dtype):
        for y in {0, x.shape[1] - 1} | set(x.argmax(axis=1).tolist()):
            exact = np.array([exact_softmax_cross_entropy(y, row) for row in x])
            normal = exact >= float(np.finfo(dtype).smallest_normal)
            error = error_in_eps(sparse(np.full(len(x), y), x), exact, dtype)
            assert np.all(error[normal] <= allowance(x)[normal])
            worst = max(worst, error[normal].max(initial=0))
    assert worst > 4  # the gap belongs in the allowance: its rounding is an absolute error in the exponent


@wide_dtypes
def test_dense_losses_keep_their_digits(dtype):
    rng = np.random.default_rng(1)
    for x in adversarial_rows(dtype):
        w = rng.random(x.shape) ** 4
        near_one_hot = np.where(x == x.max(axis=-1, keepdims=True), 1 - 1e-6, 1e-9)
        for labels in (w / w.sum(axis=-1, keepdims=True), w, near_one_hot):
            labels = labels.astype(dtype)
            exact = np.array([exact_softmax_cross_entropy(*pair) for pair in zip(labels, x, strict=True)])
            assert np.all(error_in_eps(dense(labels, x), exact, dtype) <= allowance(x))


@wide_dtypes
def test_probabilities_and_their_logarithms_keep_their_digits(dtype):
    tiny = float(np.finfo(dtype).smallest_normal)
    for x in adversarial_rows(dtype):
        for j in (0, x.shape[1] // 2):
            exact = -np.array([exact_softmax_cross_entropy(j, row) for row in x])
            logarithm = error_in_eps(log_softmax(x)[:, j], exact, dtype)
            assert np.all((logarithm <= allowance(x)) | (-exact < tiny))
            exact = np.array([EXACT.exp(log) for log in exact])
            probability = error_in_eps(softmax(x)[:, j], exact, dtype)
            assert np.all((probability <= allowance(x)) | (exact < tiny))


@wide_dtypes
def test_log_sum_exp_is_within_its_absolute_bound(dtype):
    for x in adversarial_rows(dtype):
        computed = log_sum_exp(x)
        for row, value in zip(x, computed, strict=True):
            exact = EXACT.log(EXACT.fsum(EXACT.exp(EXACT.mpf(float(logit))) for logit in row))
            bound = float(np.finfo(dtype).eps) * (4 + EXACT.log(row.size) + abs(exact) / 2)
            assert abs(float(value) - exact) <= bound


@property_test
@given(row=typed_rows(), data=st.data())
def test_any_row_of_logits_has_losses_within_the_bound(row, data):
    y = data.draw(st.integers(0, row.size - 1))
    exact = exact_softmax_cross_entropy(y, row)
    bound = allowance(row) * float(np.finfo(row.dtype).eps) * exact + float(np.finfo(row.dtype).tiny)
    assert abs(float(sparse(y, row)) - exact) <= bound


def test_tensorflow_loses_a_loss_that_is_kept_here():
    x = np.float32([20, 0, 0])
    assert tf.nn.sparse_softmax_cross_entropy_with_logits(labels=0, logits=x).numpy() == 0
    assert f"{sparse(0, x):.4e}" == "4.1223e-09"


def test_a_tie_for_the_largest_is_left_out_of_the_sum_once():
    np.testing.assert_allclose(sparse([0, 2, 4], np.zeros((3, 5))), np.log(5), rtol=1e-15)  # the digits of float64


# --- algebra ---


@property_test
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


@property_test
@given(row=typed_rows(), data=st.data())
def test_the_order_of_the_classes_makes_no_difference_beyond_rounding(row, data):
    order = np.array(data.draw(st.permutations(range(row.size))))
    eps, tiny = (float(number) for number in (np.finfo(row.dtype).eps, np.finfo(row.dtype).tiny))
    # both are within the allowance of the same exact number
    np.testing.assert_allclose(log_softmax(row[order]), log_softmax(row)[order], rtol=2 * allowance(row) * eps, atol=tiny)


@property_test
@given(row=typed_rows())
def test_probabilities_lie_in_the_unit_interval_and_sum_to_one(row):
    p = softmax(row)
    assert np.all((p >= 0) & (p <= 1))
    # each of up to 8 probabilities is rounded by half an eps of itself, and so is their common denominator
    assert abs(p.sum(dtype=float) - 1) <= 4 * np.finfo(row.dtype).eps


@property_test
@given(row=typed_rows(), data=st.data())
def test_the_gradient_sums_to_zero_and_is_tensorflows(row, data):
    y = data.draw(st.integers(0, row.size - 1))
    gradient = softmax(row) - one_hot(y, row.size)
    assert gradient.dtype == row.dtype
    eps = float(np.finfo(row.dtype).eps)
    assert abs(gradient.sum(dtype=float)) <= 4 * eps  # as the probabilities' sum
    x = tf.constant(row)
    with tf.GradientTape() as tape:
        tape.watch(x)
        loss = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=x)
    # TensorFlow rounds x - m, e^…, sum and quotient in the type itself, float16 too: absolute errors of a few eps
    np.testing.assert_allclose(tape.gradient(loss, x), gradient, atol=8 * eps)


@property_test
@given(row=typed_rows())
def test_class_indices_are_one_hot_rows(row):
    y = np.arange(row.size)
    rows = np.tile(row, (row.size, 1))
    np.testing.assert_array_equal(sparse(y, rows), dense(one_hot(y, row.size), rows), strict=True)
    np.testing.assert_array_equal(sparse(y, rows), -log_softmax(row))


@property_test
@given(label=st.integers(0, 256).map(lambda k: k / 256), logit=st.floats(-80, 80, width=32))
def test_two_classes_are_the_sigmoid_loss(label, logit):
    x, z = np.float32(logit), np.float32(label)  # multiples of 1/256: 1 - z is exact
    of_two = dense(np.array([z, 1 - z]), np.array([x, np.float32(0)]))
    # x - 0 is exact, so each side is within 4 eps
    np.testing.assert_allclose(of_two, binary.sigmoid_cross_entropy_with_logits(z, x), rtol=8 * np.finfo(np.float32).eps)


@property_test
@given(row=typed_rows())
def test_log_sum_exp_lies_between_the_largest_and_log_c_above_it(row):
    assert row.max() <= log_sum_exp(row)
    eps = float(np.finfo(row.dtype).eps)
    top = float(row.max()) + np.log(row.size)
    assert log_sum_exp(row) <= top + eps * (4 + np.log(row.size) + abs(top) / 2)


@property_test
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
def test_sparse_losses_have_the_type_of_the_logits_whatever_the_labels(loss, dtype, label_type):
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


def test_memory_layout_makes_no_difference_and_arguments_stay_as_they_were():
    rng = np.random.default_rng(0)
    x, w, y = rng.normal(size=(6, 40)), rng.random((6, 40)), np.arange(6)
    before = x.copy(), w.copy(), y.copy()
    for function in (log_sum_exp, softmax, log_softmax, lambda logits: sparse(y, logits), lambda logits: dense(w, logits)):
        np.testing.assert_array_equal(function(np.asfortranarray(x)), function(x))
        np.testing.assert_array_equal(function(np.repeat(x, 2, axis=-1)[:, ::2]), function(x))
    np.testing.assert_array_equal(dense(np.asfortranarray(w), x), dense(w, x))
    for array, copy in zip((x, w, y), before, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_float16_is_the_float32_result_rounded_once():
    rng = np.random.default_rng(0)
    x = rng.normal(0, 50, (200, 7)).astype(np.float16)
    w, y = rng.random((200, 7)).astype(np.float16), rng.integers(0, 7, 200)
    wide_w, wide_x = w.astype(np.float32), x.astype(np.float32)
    for function in (log_sum_exp, softmax, log_softmax):
        np.testing.assert_array_equal(function(x), function(wide_x).astype(np.float16), strict=True)
    np.testing.assert_array_equal(sparse(y, x), sparse(y, wide_x).astype(np.float16), strict=True)
    np.testing.assert_array_equal(dense(w, x), dense(wide_w, wide_x).astype(np.float16), strict=True)


def test_one_hot_is_tensorflows_in_range():
    y = np.array([[0, 3], [2, 1]])
    np.testing.assert_array_equal(one_hot(y, 4), tf.one_hot(y, 4, dtype=tf.int8), strict=True)


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
def test_a_class_that_cannot_occur_costs_nothing_without_weight_and_everything_with_it(labels, row, expected):
    np.testing.assert_allclose(dense(labels, np.array(row)), expected, rtol=1e-15)


def test_tensorflow_gives_nan_for_a_masked_class_in_the_dense_op_alone():
    row = np.float32([1, 2, -INF])
    assert np.isnan(tf.nn.softmax_cross_entropy_with_logits(labels=np.float32([1, 0, 0]), logits=row))
    np.testing.assert_allclose(
        tf.nn.sparse_softmax_cross_entropy_with_logits(labels=0, logits=row), sparse(0, row), rtol=1e-6
    )


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
@losses
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


def test_a_class_can_be_ignored_and_other_labels_are_checked_all_the_same():
    x = np.zeros((2, 3))
    np.testing.assert_allclose(sparse([0, 1], x, ignore_label=0), [0, np.log(3)], rtol=1e-15)
    np.testing.assert_array_equal(sparse(np.array([255, 255], np.uint8), x, ignore_label=255), 0)
    with pytest.raises(ValueError, match=r"labels must lie in \[0, 3\), got -1 at index \(1,\)"):
        sparse([-100, -1], x, ignore_label=-100)


def test_the_mean_over_labels_that_count_is_keras_mean_with_ignore_class():
    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(4, 6, 9)).astype(np.float32), rng.integers(-1, 9, (4, 6))
    by_keras = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1)(labels, x).numpy()
    counted = labels != -1
    assert 0 < counted.sum() < counted.size
    ours = sparse(labels, x, ignore_label=-1).sum() / counted.sum()
    np.testing.assert_allclose(ours, by_keras, rtol=8 * np.finfo(np.float32).eps)  # sums of two dozen, in two orders


# --- refusals ---


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: sparse([[0, 11]], np.zeros((1, 2, 9))),
            ValueError,
            r"labels must lie in \[0, 9\), got 11 at index \(0, 1\)$",
        ),
        (lambda: sparse(-1, np.zeros(9)), ValueError, r"labels must lie in \[0, 9\), got -1$"),
        (lambda: sparse([1.0], np.zeros((1, 3))), TypeError, "labels must hold integers, got float64"),
        (lambda: sparse([True], np.zeros((1, 3))), TypeError, "labels must hold integers, got bool"),
        (lambda: sparse(None, np.zeros(3)), TypeError, "labels must hold integers, got object"),
        (lambda: sparse([[0], [1, 2]], np.zeros((2, 3))), ValueError, "labels must be a rectangular array"),
        (
            lambda: sparse([[0]], np.zeros((1, 3))),
            ValueError,
            r"labels must have the shape of logits .*, \(1,\), got \(1, 1\)",
        ),
        (lambda: sparse(0, 1.0), ValueError, r"logits must have at least one class on its last axis, got the shape \(\)"),
        (lambda: sparse([0], np.zeros((1, 0))), ValueError, r"logits must have at least one class .* \(1, 0\)"),
        (lambda: sparse([0], [["1", "2"]]), TypeError, "logits must hold booleans, .*, got <U1"),
        (lambda: dense([0, 1.5], [1.0, 2.0]), ValueError, r"labels must lie in \[0, 1\], got 1\.5 at index \(1,\)"),
        (
            lambda: dense([1, 0], [[1.0, 2.0]]),
            ValueError,
            r"labels and logits must have the same shape, got \(2,\) and \(1, 2\)",
        ),
        (lambda: dense(1, 1.0), ValueError, "logits must have at least one class"),
        (lambda: dense([1, 0], [1j, 2]), TypeError, "logits must hold .*, got complex128"),
        (lambda: softmax([]), ValueError, r"logits must have at least one class on its last axis, got the shape \(0,\)"),
        (lambda: log_softmax(2.0), ValueError, "logits must have at least one class"),
        (lambda: log_sum_exp(["a"]), TypeError, "logits must hold booleans, .*, got <U1"),
        (lambda: one_hot([0, 3], 3), ValueError, r"labels must lie in \[0, 3\), got 3 at index \(1,\)"),
        (lambda: one_hot([0.0], 3), TypeError, "labels must hold integers, got float64"),
        (lambda: one_hot([0], 0), ValueError, "depth must be a positive integer, got 0"),
        (lambda: one_hot([0], 2.0), ValueError, r"depth must be a positive integer, got 2\.0"),
        (
            lambda: categorical_crossentropy([0, 1, 0], [-1, 2, -3]),
            ValueError,
            r"probabilities must lie in \[0, 1\], got -1\.0 at index \(0,\); pass logits to the function .* with_logits",
        ),
        (lambda: sparse_categorical_crossentropy(1, [0.5, 2]), ValueError, r"probabilities must .* got 2\.0 .* with_logits"),
        (lambda: sparse_categorical_crossentropy(2, [0.5, 0.5]), ValueError, r"labels must lie in \[0, 2\), got 2$"),
        (
            lambda: sparse_categorical_crossentropy([0], [0.5, 0.5]),
            ValueError,
            "labels must have the shape of probabilities",
        ),
        (lambda: categorical_crossentropy([1, 2], [0.5, 0.5]), ValueError, r"labels must lie in \[0, 1\], got 2\.0"),
        (lambda: categorical_crossentropy([1], [0.5, 0.5]), ValueError, "labels and probabilities must have the same shape"),
        (lambda: categorical_crossentropy([], []), ValueError, "probabilities must have at least one class"),
    ],
)
def test_bad_input_is_refused_by_name(call, error, message):
    with pytest.raises(error, match=message):
        call()


# --- memory ---


@pytest.mark.parametrize(
    ("function", "arrays"),
    [
        (lambda x: sparse(np.zeros(len(x), int), x), 1),  # x - m, overwritten by its exponentials
        (log_sum_exp, 1),
        (lambda x: dense(x, x), 2.25),  # the weighted terms beside, and which weights are 0
        (softmax, 2.25),
        (log_softmax, 2.25),
    ],
    ids=["sparse", "log_sum_exp", "dense", "softmax", "log_softmax"],
)
def test_no_more_memory_is_taken_than_the_arithmetic_needs(function, arrays):
    x = np.random.default_rng(0).random((100, 2000), np.float32)
    function(x)
    tracemalloc.start()
    function(x)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak <= (arrays + 0.1) * x.nbytes  # a tenth for what there is of each row, and Python's own


# --- TensorFlow and Keras ---


@dtypes
def test_losses_match_tensorflow_up_to_its_cancellation(dtype):
    rng = np.random.default_rng(0)
    for scale in (0.1, 1, 10, 100):
        x = rng.normal(0, scale, (100, 10)).astype(dtype)
        y, w = rng.integers(0, 10, 100), rng.random((100, 10)).astype(dtype)
        # TensorFlow subtracts x_y - m from log(1 + …): an absolute error of an eps of either, and one of log 10 on top;
        # for float16 each of its ten terms is rounded as well
        gap = np.ptp(x.astype(float), axis=-1)
        apart = 8 * float(np.finfo(dtype).eps) * (gap + np.log(10))
        theirs = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=x).numpy()
        assert np.all(np.abs(sparse(y, x).astype(float) - theirs) <= apart)
        theirs = tf.nn.softmax_cross_entropy_with_logits(labels=w, logits=x).numpy()
        assert np.all(np.abs(dense(w, x).astype(float) - theirs) <= 10 * apart)  # a sum of ten of them


@wide_dtypes
def test_softmax_its_logarithm_and_log_sum_exp_match_tensorflow(dtype):
    x = np.random.default_rng(0).normal(0, 10, (100, 10)).astype(dtype)
    eps = float(np.finfo(dtype).eps)
    largest = float(np.abs(x).max())
    np.testing.assert_allclose(
        softmax(x), tf.nn.softmax(x), rtol=(8 + 2 * largest) * eps
    )  # the rounding of x - m, on each side
    np.testing.assert_allclose(log_softmax(x), tf.nn.log_softmax(x), atol=(8 + 2 * largest) * eps)
    np.testing.assert_allclose(log_sum_exp(x), tf.reduce_logsumexp(x, axis=-1), atol=(8 + largest) * eps)


def probability_rows(dtype):
    rng = np.random.default_rng(0)
    p = rng.random((50, 5))
    p[:25] /= p[:25].sum(axis=-1, keepdims=True)  # the other half doesn't sum to 1
    p[:5] = np.eye(5)  # the clip, on both sides
    p[5:10] = 1 - np.eye(5)
    p[10:15] *= 1e-9  # Keras divides by such a sum; the sparse loss clips first
    return p.astype(dtype)


@wide_dtypes
@pytest.mark.parametrize("label", range(5))
def test_losses_of_probabilities_are_keras_own(dtype, label):
    p, y = probability_rows(dtype), np.full(50, label)
    w = one_hot(y, 5)
    by_keras = keras.ops.categorical_crossentropy(w.astype(dtype), p).numpy()
    sparse_by_keras = keras.ops.sparse_categorical_crossentropy(y, p).numpy()
    eps = np.finfo(dtype).eps
    # the same operations in the same order: what is left is the rounding of log and exp in two libraries, of each size that
    # passes through them, up to 16
    np.testing.assert_allclose(categorical_crossentropy(w, p), by_keras, rtol=4 * eps, strict=True)
    np.testing.assert_allclose(
        sparse_categorical_crossentropy(y, p), sparse_by_keras, rtol=4 * eps, atol=4 * eps, strict=True
    )


@wide_dtypes
def test_soft_labels_and_another_epsilon_are_keras_own_too(dtype):
    p = probability_rows(dtype)
    w = softmax(np.random.default_rng(1).normal(size=p.shape).astype(dtype))
    for epsilon in (1e-7, 1e-3):
        keras.config.set_epsilon(epsilon)
        by_keras = keras.ops.categorical_crossentropy(w, p).numpy()
        keras.config.set_epsilon(1e-7)
        computed = categorical_crossentropy(w, p, epsilon=epsilon)
        np.testing.assert_allclose(computed, by_keras, rtol=8 * np.finfo(dtype).eps)  # sums of five


def test_a_row_of_zeros_is_nan_dense_and_uniform_sparse_as_in_keras():
    zeros = np.zeros(3, np.float32)
    assert np.isnan(categorical_crossentropy([1, 0, 0], zeros))
    assert np.isnan(keras.ops.categorical_crossentropy(np.float32([1, 0, 0]), zeros))
    np.testing.assert_allclose(sparse_categorical_crossentropy(0, zeros), np.log(3), rtol=1e-6)


@pytest.mark.parametrize("epsilon", [-1e-7, 0.5, 2, np.nan])
def test_an_epsilon_that_leaves_no_interval_is_refused_by_name(epsilon):
    with pytest.raises(ValueError, match=rf"epsilon must lie in \[0, 0\.5\), got {epsilon}"):
        categorical_crossentropy([0, 1], [0.5, 0.5], epsilon=epsilon)
    with pytest.raises(ValueError, match=rf"epsilon must lie in \[0, 0\.5\), got {epsilon}"):
        sparse_categorical_crossentropy(1, [0.5, 0.5], epsilon=epsilon)


@wide_dtypes
def test_the_bound_holds_for_a_vocabulary(dtype):
    """The bounds leave the additions of C terms out of account: NumPy adds in pairs."""
    for scale in (0.1, 3):
        x = np.random.default_rng(0).normal(0, scale, (2, 50_257)).astype(dtype)
        for y in (0, int(x[0].argmax())):
            exact = np.array([exact_softmax_cross_entropy(y, row) for row in x])
            assert np.all(error_in_eps(sparse(np.full(2, y), x), exact, dtype) <= allowance(x))
