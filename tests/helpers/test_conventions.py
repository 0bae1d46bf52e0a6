"""What all helpers do alike: types, shapes, layouts, NaN, infinite logits, and no warning."""

import numpy as np
import pytest

from helpers import binary, categorical, information, streaming
from helpers.precision import exact_softmax_cross_entropy, exact_softmax_cross_entropy_gradient

DTYPES = [np.float16, np.float32, np.float64]
INF, NAN = np.inf, np.nan


def streamed_loss(labels, logits):
    blocks = ((start, logits[..., start : start + 2]) for start in range(0, logits.shape[-1], 2))
    return streaming.streaming_softmax_cross_entropy(labels, blocks, logits.shape[-1])


def streamed_gradient(labels, logits):
    blocks = [(start, logits[..., start : start + 2]) for start in range(0, logits.shape[-1], 2)]
    pieces = streaming.streaming_softmax_cross_entropy_gradient(labels, lambda: blocks, logits.shape[-1])
    return np.concatenate([gradient for _, gradient in pieces], axis=-1)


ELEMENTWISE = {  # of labels and logits, or probabilities
    "naive": binary.naive_cross_entropy,
    "max_abs": binary.max_abs_cross_entropy,
    "sigmoid loss": binary.sigmoid_cross_entropy_with_logits,
    "weight 3": lambda z, x, **options: binary.weighted_cross_entropy_with_logits(z, x, 3.0, **options),
    "gamma 0.5": lambda z, x: binary.focal_cross_entropy_with_logits(z, x, 0.5),
    "sigmoid gradient": binary.sigmoid_cross_entropy_gradient,
    "binary": binary.binary_crossentropy,
}
OF_WEIGHTS = {  # of rows of labels and rows of logits
    "soft loss": categorical.softmax_cross_entropy_with_logits,
    "soft gradient": categorical.softmax_cross_entropy_gradient,
}
OF_PROBABILITIES = {  # of two rows of probabilities
    "categorical": categorical.categorical_crossentropy,
    "cross_entropy": information.cross_entropy,
    "kl_divergence": information.kl_divergence,
    "jensen_shannon": information.jensen_shannon,
}
OF_INDICES = {  # of class indices and rows of logits
    "index loss": categorical.sparse_softmax_cross_entropy_with_logits,
    "index gradient": categorical.sparse_softmax_cross_entropy_gradient,
    "streamed loss": streamed_loss,
    "streamed gradient": streamed_gradient,
}
ALONE = {  # of rows of logits
    "log_sum_exp": categorical.log_sum_exp,
    "softmax": categorical.softmax,
    "log_softmax": categorical.log_softmax,
    "entropy_from_logits": information.entropy_from_logits,
}
ROWS = OF_WEIGHTS | OF_PROBABILITIES | {"kl_from_logits": information.kl_from_logits}
ROWS |= {name: lambda p, x, f=f: f(p.argmax(axis=-1), x) for name, f in OF_INDICES.items()}
ROWS |= {"sparse categorical": lambda p, q: categorical.sparse_categorical_crossentropy(p.argmax(axis=-1), q)}
ROWS |= {name: lambda p, x, f=f: f(x) for name, f in {**ALONE, "entropy": information.entropy}.items()}
ENTRIES = {name for name in ROWS if "gradient" in name} | {"softmax", "log_softmax"}  # a number for each entry of a row
SINGLE = {"sigmoid": lambda z, x: binary.sigmoid(x), "k3": lambda z, x: information.k3(x)}
ALL = ELEMENTWISE | SINGLE | ROWS

dtypes = pytest.mark.parametrize("dtype", DTYPES)


def each(table):
    return pytest.mark.parametrize("name", table)


def distributions(shape, seed=0):
    """Draw two arrays of rows that sum to 1, which can stand for labels, logits and probabilities."""
    p, q = np.random.default_rng(seed).random((2, *shape)) + 0.1
    return p / p.sum(axis=-1, keepdims=True), q / q.sum(axis=-1, keepdims=True)


# --- types --------------------------------------------------------------------------------------------------------------


@each(ELEMENTWISE | OF_WEIGHTS | OF_PROBABILITIES | {"kl_from_logits": 0})
@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        *((dtype, dtype, dtype) for dtype in DTYPES),
        (np.float16, np.float32, np.float32),
        (np.float64, np.float32, np.float64),
        (np.int64, np.float32, np.float32),
        (np.bool_, np.float16, np.float16),
        (np.uint8, np.int32, np.float64),
        (np.bool_, np.bool_, np.float64),
    ],
)
def test_floats_keep_the_wider_type_and_integers_adapt(name, first, second, expected):
    p, q = np.array([0, 1], first), np.array([0, 1], second)
    assert ALL[name](p, q).dtype == ALL[name](p[np.newaxis], q[np.newaxis]).dtype == expected
    if name in ELEMENTWISE:
        assert type(ALL[name](first(1), second(1))) is expected


@each(ALONE | SINGLE | OF_INDICES | {"sparse categorical": 0, "entropy": 0})
@pytest.mark.parametrize(
    ("given", "expected"), [*((dtype, dtype) for dtype in DTYPES), (int, np.float64), (bool, np.float64)]
)
def test_what_takes_one_array_of_numbers_keeps_its_type(name, given, expected):
    x = np.array([0, 1], given)
    assert ALL[name](x, x).dtype == ALL[name](x[np.newaxis], x[np.newaxis]).dtype == expected
    if name in OF_INDICES:
        for label_type in (np.int8, np.uint8, np.int32, np.uint64):
            assert OF_INDICES[name](np.array([1], label_type), x[np.newaxis]).dtype == expected
    if name in SINGLE:
        assert type(ALL[name](None, x[1])) is expected


@each(ELEMENTWISE)
def test_lists_and_python_numbers_count_as_float64(name):
    function = ELEMENTWISE[name]
    for value in (function([0, 1], [1, 0]), function(1, 1.0), function(True, 1), function([], [])):
        assert value.dtype == np.float64


# --- shapes and layouts -------------------------------------------------------------------------------------------------


@each(ELEMENTWISE | SINGLE)
@pytest.mark.parametrize("shape", [(), (0,), (3, 0), (5,), (2, 3, 4)])
def test_elementwise_results_have_the_shape_of_the_arguments(name, shape):
    assert ALL[name](np.ones(shape, np.float32), np.ones(shape, np.float32)).shape == shape


@each(ROWS)
@pytest.mark.parametrize("shape", [(1,), (3,), (0, 3), (5, 1), (2, 3), (2, 0, 3), (2, 3, 4)])
def test_the_class_axis_is_the_last_and_any_may_come_before_it(name, shape):
    p, q = distributions(shape)
    results = ROWS[name](p, q)
    assert results.shape == (shape if name in ENTRIES else shape[:-1])
    for index in np.ndindex(shape[:-1]):
        np.testing.assert_array_equal(results[index], ROWS[name](p[index], q[index]))


@each(ALL)
def test_layout_does_not_matter_and_arguments_are_not_changed(name):
    p, q = distributions((6, 500))
    before, expected = (p.copy(), q.copy()), ALL[name](p, q)
    rtol = 1e-14 if "categorical" in name else 0  # NumPy adds the rows of these two losses, in an order that may differ
    np.testing.assert_allclose(ALL[name](np.asfortranarray(p), q.T.copy().T), expected, rtol=rtol)
    np.testing.assert_array_equal(ALL[name](p[::-2], q[::-2]), expected[::-2])
    np.testing.assert_array_equal((p, q), before)


# --- NaN, infinities and warnings ---------------------------------------------------------------------------------------


@each(ELEMENTWISE)
@dtypes
def test_nan_stays_at_its_place(name, dtype):
    z, x = np.array([0, NAN, 1, NAN, 0.5], dtype), np.array([0.25, 1, NAN, 0.5, 0.75], dtype)
    computed = ELEMENTWISE[name](z, x)
    assert np.isnan(computed).tolist() == [False, True, True, True, False]
    np.testing.assert_array_equal(computed[[0, 4]], ELEMENTWISE[name](z[[0, 4]], x[[0, 4]]))


@each(ROWS)
@dtypes
def test_nan_stays_in_its_row(name, dtype):
    p = np.tile(np.array([0.5, 0.5, 0], dtype), (5, 1))
    q = np.tile(np.array([0.25, 0.75, 0] if name in OF_PROBABILITIES else [1, 2, -INF], dtype), (5, 1))
    q = p.copy() if name in ("sparse categorical", "entropy") else q
    expected = ROWS[name](p, q)
    q[1, 0] = q[2, 2] = NAN
    rows = [1, 2]
    if name in OF_WEIGHTS | OF_PROBABILITIES:
        p[3, 1] = NAN
        rows.append(3)
    with np.errstate(all="raise"):
        computed = ROWS[name](p, q)
    assert np.isnan(computed[rows]).all()
    np.testing.assert_array_equal(np.delete(computed, rows, axis=0), np.delete(expected, rows, axis=0))


def hostile(dtype):
    largest, tiny = np.finfo(dtype).max, np.finfo(dtype).smallest_subnormal
    return np.array([0, tiny, 1, 12, 1000, largest, -1000, -largest, INF, -INF, NAN], dtype)


@each([name for name in ELEMENTWISE | SINGLE if name != "naive"])
@dtypes
def test_hostile_numbers_give_no_warning(name, dtype):
    tiny = np.finfo(dtype).smallest_subnormal
    x = np.array([0, tiny, 0.5, 1, NAN], dtype) if name == "binary" else hostile(dtype)
    with np.errstate(all="raise"):
        for label in (0, tiny, 0.5, 1, NAN):
            ALL[name](np.full(x.shape, label, dtype), x)
        if name in ELEMENTWISE and name != "gamma 0.5":
            ELEMENTWISE[name](np.full(x.shape, 2, dtype), x, check_labels=False)


@each(ALONE | OF_INDICES | OF_WEIGHTS)
@dtypes
def test_hostile_rows_give_no_warning(name, dtype):
    x = np.stack([a.ravel() for a in np.meshgrid(*[hostile(dtype)] * 3)], axis=-1)
    with np.errstate(all="raise"):
        ROWS[name](np.full(x.shape, 0.25, dtype), x)


@dtypes
@pytest.mark.parametrize(
    ("row", "probabilities"),
    [
        ([1, 2, -INF], [0.268941421369995, 0.731058578630005, 0]),  # a class that cannot occur
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
    p = np.array(probabilities)
    x, one_hot = np.tile(np.array(row, dtype), (len(row), 1)), np.eye(len(row), dtype=dtype)
    with np.errstate(divide="ignore"):
        losses = 0 - np.log(p)
    expected = {"loss": losses, "gradient": p - one_hot}
    rtol = 4 * np.finfo(dtype).eps + 1e-14  # the functions' error, and the digits that are written here
    np.testing.assert_allclose(categorical.softmax(x[0]), p, rtol=rtol)
    np.testing.assert_allclose(-categorical.log_softmax(x[0]), losses, rtol=rtol)
    for name in OF_INDICES | OF_WEIGHTS:
        computed = ROWS[name](one_hot, x)
        np.testing.assert_allclose(computed, expected[name.split()[1]], rtol=rtol, err_msg=name)
    if row != [INF, INF, 0]:  # the exact functions see no limit at all there
        exact = [exact_softmax_cross_entropy(j, row) for j in range(len(row))]
        slopes = [exact_softmax_cross_entropy_gradient(j, row) for j in range(len(row))]
        np.testing.assert_allclose(np.array(exact, float), losses, rtol=1e-14)
        np.testing.assert_allclose(np.array(slopes, float), expected["gradient"], rtol=1e-14)
