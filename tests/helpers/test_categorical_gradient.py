"""Gradients by the logits: digits on hostile rows, limits, types, shapes, refusals, and TensorFlow beside."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from helpers.categorical import one_hot, softmax
from helpers.categorical import softmax_cross_entropy_gradient as dense
from helpers.categorical import sparse_softmax_cross_entropy_gradient as sparse
from helpers.precision import EXACT, error_in_eps

DTYPES = [np.float16, np.float32, np.float64]
INF, NAN = np.inf, np.nan

dtypes = pytest.mark.parametrize("dtype", DTYPES)
wide_dtypes = pytest.mark.parametrize("dtype", DTYPES[1:])


def exponentials(logits):
    """Return ``e^(x_j - m)`` for each class, to 400 bits."""
    x = [EXACT.mpf(float(logit)) for logit in logits]
    m = max(x)
    return [EXACT.exp(logit - m) for logit in x]


def exact_hard(label, logits):
    e = exponentials(logits)
    total = EXACT.fsum(e)
    e[label] = -EXACT.fsum(e[:label] + e[label + 1 :])
    return np.array([number / total for number in e])


def sums_of_the_others(numbers):
    """Return ``Σ_{k≠j} n_k`` for each j, to 400 bits; the largest number, beside which others vanish, isn't subtracted."""
    a = max(range(len(numbers)), key=numbers.__getitem__)
    rest = EXACT.fsum(numbers[:a] + numbers[a + 1 :])
    return [rest if j == a else numbers[a] + (rest - numbers[j]) for j in range(len(numbers))]


def exact_soft(labels, logits):
    """Return ``p_j Σ_{k≠j} w_k`` and ``w_j Σ_{k≠j} p_k`` for each class; their difference is the gradient."""
    w, e = [EXACT.mpf(float(weight)) for weight in labels], exponentials(logits)
    total = EXACT.fsum(e)
    pull = [e_j * others / total for e_j, others in zip(e, sums_of_the_others(w), strict=True)]
    push = [w_j * others / total for w_j, others in zip(w, sums_of_the_others(e), strict=True)]
    return np.array(pull), np.array(push)


def spread(logits):
    """Return ``max_j |x_j - m|`` over the classes that can occur, for each row."""
    x = np.asarray(logits, float)
    return np.ptp(np.where(x == -INF, x.max(axis=-1, keepdims=True), x), axis=-1)


def hostile_rows(dtype):
    """Yield logits of every kind that costs a gradient digits somewhere."""
    rng = np.random.default_rng(0)
    for scale in (0.01, 1, 10, 30):
        for rows, classes in [(20, 2), (20, 10), (2, 300)]:
            yield rng.normal(0, scale, (rows, classes)).astype(dtype)
    tied = rng.normal(0, 10, (20, 10)).astype(dtype)
    tied[:, [2, 7]] = tied.max(axis=-1, keepdims=True)
    yield tied
    yield np.zeros((1, 300), dtype)
    confident = np.zeros((40, 5), dtype)
    confident[:, 3] = np.linspace(1, 80, 40)  # slopes down to 4 e^-80, a normal number in float32
    yield confident
    masked = rng.normal(0, 10, (20, 6)).astype(dtype)
    masked[:, [0, 4]] = -INF
    yield masked
    yield np.where(np.eye(5), 10.0 ** np.arange(5), rng.normal(size=(5, 5))).astype(dtype)  # gaps up to 10,000
    yield rng.normal(12345, 1000, (20, 4)).astype(dtype)  # all logits far from 0


# --- digits ---


@pytest.fixture
def assert_accurate(ulps):
    """Return a function that holds float32 to half a unit in the last place, and float64 to 4 + max|x - m| eps."""

    def check(computed, exact, logits):
        if logits.dtype == np.float32:
            assert ulps(computed, exact).max() <= 0.5 + 1e-6
            return
        normal = abs(exact) >= float(np.finfo(float).smallest_normal)
        assert np.all(error_in_eps(computed, exact, "float64")[normal] <= 4 + spread(logits))
        assert np.all(np.abs(computed[~normal]) <= 1.01 * np.finfo(float).smallest_normal)

    return check


@wide_dtypes
def test_each_entry_for_a_hard_label_keeps_its_digits(assert_accurate, dtype):
    for x in hostile_rows(dtype):
        for y in {0, x.shape[1] - 1} | set(x.argmax(axis=1).tolist()):
            gradient = sparse(np.full(len(x), y), x)
            for computed, row in zip(gradient, x, strict=True):
                assert_accurate(computed, exact_hard(y, row), row)


@wide_dtypes
def test_each_entry_for_50257_classes_keeps_its_digits(assert_accurate, dtype):
    rng = np.random.default_rng(0)
    lead = np.zeros(50_257, dtype)
    lead[0] = 17
    for x in (lead, rng.normal(0, 3, 50_257).astype(dtype)):
        y = int(x.argmax())  # the label whose slope p - 1 would lose
        with EXACT.workprec(160):  # far more than the 53 bits that are judged
            assert_accurate(sparse(y, x), exact_hard(y, x), x)


@wide_dtypes
def test_entries_for_soft_labels_are_within_the_bound_of_their_two_terms(dtype):
    rng, eps, tiny = np.random.default_rng(1), float(np.finfo(dtype).eps), float(np.finfo(dtype).smallest_normal)
    for x in hostile_rows(dtype):
        w = rng.random(x.shape) ** 4
        near_one_hot = np.where(x == x.max(axis=-1, keepdims=True), 1 - 1e-6, 1e-9)
        for labels in (w / w.sum(axis=-1, keepdims=True), w, near_one_hot, softmax(x)):
            labels = labels.astype(dtype)
            for computed, weights, row in zip(dense(labels, x), labels, x, strict=True):
                pull, push = exact_soft(weights, row)
                error = np.abs([EXACT.mpf(float(c)) - e for c, e in zip(computed, pull - push, strict=True)])
                if dtype == np.float32:
                    allowed = (0.5 + 1e-6) * np.spacing(abs(pull - push).astype(dtype)) + 1e-15 * (pull + push)
                else:
                    allowed = (8 + spread(row)) * eps * (pull + push) + tiny
                assert np.all(error <= allowed)


def test_the_difference_of_probability_and_label_breaks_the_bound_for_soft_labels():
    x, w = np.float32([16, 0, 0]), np.float32([1 - 2**-20, 2**-20, 0])
    pull, push = exact_soft(w, x)
    exact = (pull - push)[0]
    allowed = (8 + 16) * np.finfo(np.float32).eps * (pull + push)[0]
    assert abs(float(dense(w, x)[0]) - exact) <= allowed
    assert abs(float(softmax(x)[0] - w[0]) - exact) > 1000 * allowed


def test_tensorflow_loses_a_slope_that_is_kept_here():
    x = tf.constant([20.0, 0, 0])
    with tf.GradientTape() as tape:
        tape.watch(x)
        loss = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=0, logits=x)
    assert tape.gradient(loss, x).numpy()[0] == 0
    assert f"{sparse(0, x.numpy())[0]:.4e}" == "-4.1223e-09"


@dtypes
def test_gradients_match_tensorflow_up_to_its_cancellation(dtype):
    rng = np.random.default_rng(0)
    for scale in (0.1, 1, 10):
        logits = rng.normal(0, scale, (50, 10)).astype(dtype)
        y = rng.integers(0, 10, 50)
        w = softmax(rng.normal(size=(50, 10)).astype(dtype))
        x = tf.constant(logits)
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(x)
            by_index = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=x)
            by_weight = tf.nn.softmax_cross_entropy_with_logits(labels=w, logits=x)
        # TensorFlow rounds each probability once in float16, and subtracts the label: absolute errors of a few eps
        atol = (8 + spread(logits).max() / 4) * float(np.finfo(dtype).eps)
        np.testing.assert_allclose(tape.gradient(by_index, x), sparse(y, logits), atol=atol, rtol=0)
        np.testing.assert_allclose(tape.gradient(by_weight, x), dense(w, logits), atol=atol, rtol=0)


# --- algebra ---


@st.composite
def typed_rows(draw):
    """Draw a row of up to 8 logits of some type; small integers among them make ties likely."""
    dtype = draw(st.sampled_from(DTYPES))
    logit = st.integers(-3, 3) | st.floats(-1000, 1000, width=np.dtype(dtype).itemsize * 8)
    return np.array(draw(st.lists(logit, min_size=1, max_size=8)), dtype)


@given(row=typed_rows())
def test_a_one_hot_row_gives_the_very_gradient_of_its_class(row):
    y = np.arange(row.size)
    rows = np.tile(row, (row.size, 1))
    np.testing.assert_array_equal(dense(one_hot(y, row.size), rows), sparse(y, rows), strict=True)


@given(row=typed_rows(), data=st.data())
def test_only_the_label_has_a_negative_slope_and_all_slopes_sum_to_zero(row, data):
    y = data.draw(st.integers(0, row.size - 1))
    gradient = sparse(y, row).astype(float)
    assert gradient[y] <= 0
    assert not np.signbit(gradient[np.arange(row.size) != y]).any()
    # every entry has its relative bound, and float16 a rounding more
    eps = np.finfo(np.result_type(row, np.float32)).eps
    allowed = ((4 + spread(row)) * eps + np.finfo(row.dtype).eps / 2) * np.abs(gradient).sum()
    assert abs(gradient.sum()) <= allowed + row.size * np.finfo(row.dtype).smallest_subnormal


def test_labels_that_do_not_sum_to_one_scale_the_gradient():
    x, w = np.float64([1, 2, 3]), np.float64([0.5, 0.25, 0])
    np.testing.assert_allclose(dense(w, x), 0.75 * softmax(x) - w, rtol=1e-14)
    np.testing.assert_array_equal(dense(np.zeros(3), x), 0)  # TensorFlow's dense op returns the softmax


def test_a_label_equal_to_the_softmax_is_a_minimum():
    x = np.random.default_rng(0).normal(0, 3, (20, 10))
    p = softmax(x)
    assert np.all(np.abs(dense(p, x)) <= (8 + spread(x))[:, np.newaxis] * np.finfo(float).eps * 2 * p)


# --- infinities and NaN ---


@dtypes
@pytest.mark.parametrize(
    ("row", "probabilities"),
    [
        ([1, 2, -INF], [0.26894142137, 0.73105857863, 0]),  # a class that cannot occur
        ([INF, 0, 1], [1, 0, 0]),
        ([INF, 0, -INF], [1, 0, 0]),
        ([INF, INF, 0], [NAN, NAN, 0]),  # which of the two wins is open, but the third has lost
        ([-INF, -INF], [NAN, NAN]),
        ([-INF], [1]),  # the only class is certain
        ([INF], [1]),
        ([NAN, 0], [NAN, NAN]),
        ([INF, NAN], [NAN, NAN]),
        ([NAN], [NAN]),
    ],
)
def test_infinite_logits_give_the_limit_where_there_is_one(dtype, row, probabilities):
    row, classes = np.array(row, dtype), len(row)
    rows, y = np.tile(row, (classes, 1)), np.arange(classes)
    expected = np.array(probabilities) - np.eye(classes)
    rtol = 4 * np.finfo(dtype).eps + 1e-10  # the functions' error, and the digits that are written here
    np.testing.assert_allclose(sparse(y, rows), expected, rtol=rtol)
    np.testing.assert_allclose(dense(np.eye(classes, dtype=dtype), rows), expected, rtol=rtol)


@dtypes
def test_nan_stays_in_its_row(dtype):
    x = np.tile(np.array([1, 2, -INF], dtype), (5, 1))
    w, y = np.tile(np.array([0.5, 0.5, 0], dtype), (5, 1)), np.array([0, 1, 0, 1, 0])
    clean = {"dense": dense(w, x), "sparse": sparse(y, x)}
    x[1, 0] = x[2, 2] = NAN
    w[3, 1] = NAN
    assert np.isnan(sparse(y, x)[[1, 2]]).all()
    assert np.isnan(dense(w, x)[[1, 2, 3]]).all()
    np.testing.assert_array_equal(sparse(y, x)[[0, 3, 4]], clean["sparse"][[0, 3, 4]])
    np.testing.assert_array_equal(dense(w, x)[[0, 4]], clean["dense"][[0, 4]])


@dtypes
def test_gradients_never_warn(dtype):
    largest, tiny = np.finfo(dtype).max, np.finfo(dtype).smallest_subnormal
    numbers = np.array([0, tiny, 1, 12, 1000, largest, -1000, -largest, INF, -INF, NAN], dtype)
    rows = np.stack([a.ravel() for a in np.meshgrid(numbers, numbers, numbers)], axis=-1)
    with np.errstate(all="raise"):
        sparse(np.zeros(len(rows), int), rows)
        dense(np.full(rows.shape, 0.25, dtype), rows)


@pytest.mark.parametrize("ignored", [-100, 1])
def test_ignored_rows_are_zero_whatever_their_logits(ignored):
    x = np.array([[1.0, 2.0], [NAN, 0.0], [3.0, 1.0], [INF, INF], [-INF, -INF]])
    gradient = sparse([0, ignored, 0, ignored, ignored], x, ignore_label=ignored)
    np.testing.assert_array_equal(gradient, [*sparse([0], x[:1]), [0, 0], *sparse([0], x[2:3]), [0, 0], [0, 0]])


def test_ignored_rows_are_positive_zeros():
    assert not np.signbit(sparse([-1], [[1.0, 2.0]], ignore_label=-1)).any()
    assert not np.signbit(sparse([0], [[5.0]])).any()


# --- types, shapes ---


@pytest.mark.parametrize(
    ("label_type", "logit_type", "expected"),
    [
        *((dtype, dtype, dtype) for dtype in DTYPES),
        (np.float64, np.float32, np.float64),
        (np.int8, np.float16, np.float16),
        (np.int64, np.float32, np.float32),
        (np.bool_, np.bool_, np.float64),
    ],
)
def test_gradients_have_the_wider_type_and_integers_adapt(label_type, logit_type, expected):
    for shape in [(3,), (2, 3)]:
        assert dense(np.ones(shape, label_type), np.ones(shape, logit_type)).dtype == expected
        of_classes = sparse(np.ones(shape[:-1], int), np.ones(shape, logit_type))
        assert of_classes.dtype == np.result_type(logit_type, np.float16 if logit_type != np.bool_ else np.float64)


@pytest.mark.parametrize("shape", [(1,), (3,), (0, 3), (5, 1), (2, 3), (2, 0, 3), (2, 3, 4)])
def test_gradients_have_the_shape_of_the_logits(shape):
    x = np.linspace(0, 1, int(np.prod(shape))).reshape(shape)
    y = np.zeros(shape[:-1], int)
    assert sparse(y, x).shape == dense(x, x).shape == shape
    for index in np.ndindex(shape[:-1]):
        np.testing.assert_array_equal(sparse(y, x)[index], sparse(0, x[index]))
        np.testing.assert_array_equal(dense(x, x)[index], dense(x[index], x[index]))


# --- refusals ---


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: sparse([[0, 11]], np.zeros((1, 2, 9))),
            ValueError,
            r"labels must lie in \[0, 9\), got 11 at index \(0, 1\)",
        ),
        (lambda: sparse([1.0], np.zeros((1, 3))), TypeError, "labels must hold integers, got float64"),
        (lambda: sparse([[0]], np.zeros((1, 3))), ValueError, r"labels must have the shape of logits .*, got \(1, 1\)"),
        (lambda: sparse(0, 1.0), ValueError, "logits must have at least one class on its last axis"),
        (lambda: sparse([0], np.zeros((1, 0))), ValueError, r"logits must have at least one class .* \(1, 0\)"),
        (lambda: sparse([0], [["1", "2"]]), TypeError, "logits must hold booleans, .*, got <U1"),
        (lambda: dense([0, 1.5], [1.0, 2.0]), ValueError, r"labels must lie in \[0, 1\], got 1\.5 at index \(1,\)"),
        (lambda: dense([1, 0], [[1.0, 2.0]]), ValueError, "labels and logits must have the same shape"),
        (lambda: dense([], []), ValueError, "logits must have at least one class"),
        (lambda: dense([1, 0], [1j, 2]), TypeError, "logits must hold .*, got complex128"),
    ],
)
def test_bad_input_is_refused_by_name(call, error, message):
    with pytest.raises(error, match=message):
        call()
