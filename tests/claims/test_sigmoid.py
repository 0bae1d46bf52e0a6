"""How many digits of the binary losses are right, against 400-bit arithmetic, and what holds for every label and logit."""

import tracemalloc
from functools import cache

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.binary import (
    max_abs_cross_entropy,
    sigmoid,
    sigmoid_cross_entropy_gradient,
    sigmoid_cross_entropy_with_logits,
    weighted_cross_entropy_with_logits,
)
from helpers.precision import (
    EXACT,
    error_in_eps,
    exact_sigmoid_cross_entropy,
    overflow_threshold,
    saturation_threshold,
    underflow_threshold,
)

DTYPES = ["float32", "float64"]
HARD = (0.0, 1.0)

labels = st.floats(0, 1)
logits = st.floats(-1e6, 1e6)
sixty_fourths = st.integers(0, 64).map(lambda n: n / 64)  # 1 - z is exact for them
short_logits = st.integers(-1024 * 100, 1024 * 100).map(lambda n: n / 1024)  # so is x ± 2**-30 for these


# --- the exact functions and the points where they are compared ---------------------------------------------------------


def exactly(function):
    """Lift a function of mpf to arrays of floats."""
    lifted = np.frompyfunc(lambda *xs: function(*(EXACT.mpf(float(x)) for x in xs)), function.__code__.co_argcount, 1)
    return lambda *arrays: np.asarray(lifted(*arrays), object)


exact_value = exactly(lambda value: value)


@exactly
def exact_sigmoid(x):
    return 1 / (1 + EXACT.exp(-x))


@exactly
def exact_gradient(z, x):
    return (1 - z) / (1 + EXACT.exp(-x)) - z / (1 + EXACT.exp(x))


@exactly
def exact_softplus(x):
    return EXACT.log1p(EXACT.exp(x))


@cache
def hostile_logits(dtype):
    """Return logits of both signs: dense, of all sizes, subnormal, and around the points where exp and 1 + exp give out."""
    info, rng = np.finfo(dtype), np.random.default_rng(0)
    edges = [threshold(dtype) for threshold in (overflow_threshold, underflow_threshold, saturation_threshold)]
    edges += [-float(np.log(info.smallest_normal)), 17.3, 1.0, np.log(2)]
    around = np.asarray(edges)[:, None] * (1 + np.arange(-2, 3) * float(info.eps))
    sizes = 10 ** rng.uniform(np.log10(float(info.eps)) - 2, 6, 150)
    special = [0, float(info.smallest_subnormal), float(info.smallest_normal) / 3, float(info.smallest_normal), 999.0, 1e6]
    magnitudes = np.concatenate([abs(around.ravel()), np.linspace(0, max(edges) + 10, 150), sizes, special])
    return np.unique(np.concatenate([magnitudes, -magnitudes]).astype(dtype))


@cache
def hostile_labels(dtype):
    """Return 0, 1, and what lies between, down to 1e-12 from either (as near to 1 as the type goes)."""
    info = np.finfo(dtype)
    small = np.array([float(info.smallest_subnormal), float(info.smallest_normal), 1e-12, 1e-9, 1e-7, 1e-4, 0.01, 0.3])
    near_one = [1 - float(info.epsneg), 1 - 2 * float(info.epsneg), 0.999999, 0.99]
    return np.unique(np.concatenate([small, 1 - small, near_one, [0.5]]).astype(dtype)), np.array(HARD, dtype)


def grid(dtype, kind):
    soft, hard = hostile_labels(dtype)
    chosen = {"hard": hard, "soft": soft[(soft > 0) & (soft < 1)]}[kind]
    z, x = np.meshgrid(chosen, hostile_logits(dtype))
    return z.ravel(), x.ravel()


@cache
def weighted_terms(dtype, kind):
    """Return the grid with what pos_weight leaves as it is and with what it multiplies."""
    z, x = grid(dtype, kind)
    return z, x, (1 - exact_value(z)) * exact_softplus(x), exact_value(z) * exact_softplus(-x)


def worst_relative_error(computed, exact, dtype, where=True):
    normal = (abs(exact) >= float(np.finfo(dtype).smallest_normal)) & where
    assert normal.any()
    assert computed.dtype == dtype
    return error_in_eps(computed[normal], exact[normal], dtype).max()


# --- accuracy: 4 eps are asked for. exp and log1p are allowed up to about 2 eps by NumPy, the rest are single roundings ----


@pytest.mark.parametrize("dtype", DTYPES)
def test_sigmoid_is_accurate(dtype):
    x = hostile_logits(dtype)
    assert worst_relative_error(sigmoid(x), exact_sigmoid(x), dtype) <= 4


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", ["hard", "soft"])
def test_loss_is_accurate_for_every_label(dtype, kind):
    z, x = grid(dtype, kind)
    exact = exact_sigmoid_cross_entropy(z, x)
    assert worst_relative_error(sigmoid_cross_entropy_with_logits(z, x), exact, dtype) <= 4


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", ["hard", "soft"])
@pytest.mark.parametrize("weight", [0.0, 1e-3, 0.3, 1.0, 3.0, 1e3, "one for each element"])
def test_weighted_loss_is_accurate_for_every_label(dtype, kind, weight):
    z, x, negative, positive = weighted_terms(dtype, kind)
    q = (np.random.default_rng(0).lognormal(0, 2, x.size) if isinstance(weight, str) else np.asarray(weight)).astype(dtype)
    exact = negative + exact_value(q) * positive
    # A weight above 1 lifts digits that are already lost: those of a positive part among the subnormal numbers
    intact = (z == 0) | (positive >= float(np.finfo(dtype).smallest_normal))
    assert worst_relative_error(weighted_cross_entropy_with_logits(z, x, q), exact, dtype, where=intact) <= 4


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", ["hard", "soft"])
def test_weight_one_is_the_sigmoid_loss(dtype, kind):
    z, x = grid(dtype, kind)
    loss, weighted = sigmoid_cross_entropy_with_logits(z, x), weighted_cross_entropy_with_logits(z, x, 1)
    # Both share exp and log1p; apart from them each loss has at most four roundings of half an eps
    np.testing.assert_allclose(weighted, loss, rtol=4 * float(np.finfo(dtype).eps), atol=0)


@pytest.mark.parametrize("dtype", DTYPES)
def test_gradient_of_hard_labels_is_accurate(dtype):
    z, x = grid(dtype, "hard")
    assert worst_relative_error(sigmoid_cross_entropy_gradient(z, x), exact_gradient(z, x), dtype) <= 4


@pytest.mark.parametrize("dtype", DTYPES)
def test_gradient_of_soft_labels_is_accurate_absolutely(dtype):
    z, x = grid(dtype, "soft")
    difference = abs(sigmoid_cross_entropy_gradient(z, x) - exact_gradient(z, x))
    assert float(difference.max()) <= 2 * float(np.finfo(dtype).eps)  # it passes through 0, where no digit can be asked for


@pytest.mark.parametrize(
    "function",
    [
        lambda z, x: sigmoid(x),
        sigmoid_cross_entropy_with_logits,
        sigmoid_cross_entropy_gradient,
        lambda z, x: weighted_cross_entropy_with_logits(z, x, 0.3),
    ],
    ids=["sigmoid", "loss", "gradient", "weighted"],
)
@pytest.mark.parametrize("label", [0.0, 1.0, 0.3, 0.9995])
def test_float16_is_float32_rounded_once(function, label):
    x = np.arange(2**16, dtype=np.uint16).view(np.float16)  # all there are, NaN and infinities among them
    z = np.full_like(x, label)
    with np.errstate(over="ignore"):
        once = function(z.astype(np.float32), x.astype(np.float32)).astype(np.float16)
    half = function(z, x)
    assert half.dtype == np.float16
    np.testing.assert_array_equal(half, once)


# --- what holds for every label and logit -------------------------------------------------------------------------------


@given(labels, st.floats(allow_nan=False))
def test_loss_is_never_negative(z, x):
    assert sigmoid_cross_entropy_with_logits(z, x) >= 0
    assert weighted_cross_entropy_with_logits(z, x, 3.0) >= 0


@given(labels, logits, logits, st.floats(0, 1))
def test_loss_is_convex_in_the_logit(z, a, b, t):
    middle = sigmoid_cross_entropy_with_logits(z, t * a + (1 - t) * b)
    chord = t * sigmoid_cross_entropy_with_logits(z, a) + (1 - t) * sigmoid_cross_entropy_with_logits(z, b)
    # The point in the middle is rounded three times, with a slope of at most 1; each loss and the chord, by a few eps
    assert middle <= chord * (1 + 12 * 2.0**-52) + 3 * 2.0**-52 * max(abs(a), abs(b))


@given(sixty_fourths, logits)
def test_swapping_the_classes_changes_no_bit(z, x):
    assert sigmoid_cross_entropy_with_logits(z, x) == sigmoid_cross_entropy_with_logits(1 - z, -x)
    assert sigmoid_cross_entropy_gradient(z, x) == -sigmoid_cross_entropy_gradient(1 - z, -x)


@given(labels, short_logits)
@settings(deadline=None)
def test_gradient_is_the_slope_of_the_exact_loss(z, x):
    h = 2.0**-30
    slope = (exact_sigmoid_cross_entropy(z, x + h) - exact_sigmoid_cross_entropy(z, x - h)) / (2 * h)
    # h^2 / 6 times the third derivative, at most 1/10, is far below an eps
    assert abs(sigmoid_cross_entropy_gradient(z, x) - slope) <= 2 * 2.0**-52


@given(logits)
def test_sigmoid_is_the_gradient_for_label_zero(x):
    # Two routes to one number: for x > 0 a division, or 1 less the small part
    np.testing.assert_allclose(sigmoid(x), sigmoid_cross_entropy_gradient(0.0, x), rtol=4 * 2.0**-52, atol=0)


@pytest.mark.parametrize("dtype", DTYPES)
def test_gradient_agrees_with_tensorflow_for_hard_labels(dtype):
    z, x = grid(dtype, "hard")
    tensor = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(tensor)
        loss = tf.nn.sigmoid_cross_entropy_with_logits(labels=z, logits=tensor)
    normal = np.exp(-abs(x.astype(np.float64))) >= np.finfo(dtype).smallest_normal  # TensorFlow makes subnormals 0
    mine, theirs = sigmoid_cross_entropy_gradient(z, x), tape.gradient(loss, tensor).numpy()
    # 4 eps for each side
    np.testing.assert_allclose(mine[normal], theirs[normal], rtol=8 * float(np.finfo(dtype).eps), atol=0)


# --- infinities and NaN -------------------------------------------------------------------------------------------------

INF, NAN = np.inf, np.nan


@pytest.mark.parametrize("dtype", ["float16", *DTYPES])
def test_infinite_logits_give_the_limits(dtype):
    z = np.array([0, 0, 1, 1, 0.25, 0.25, NAN, 0.25], dtype)
    x = np.array([INF, -INF, INF, -INF, INF, -INF, INF, NAN], dtype)
    np.testing.assert_array_equal(sigmoid(x), np.array([1, 0, 1, 0, 1, 0, 1, NAN], dtype))
    np.testing.assert_array_equal(sigmoid_cross_entropy_gradient(z, x), [1, 0, 0, -1, 0.75, -0.25, NAN, NAN])
    np.testing.assert_array_equal(weighted_cross_entropy_with_logits(z, x, 3), [INF, 0, 0, INF, INF, INF, NAN, NAN])
    # A positive part of weight 0 costs nothing, however wrong
    np.testing.assert_array_equal(weighted_cross_entropy_with_logits(z, x, 0), [INF, 0, 0, 0, INF, 0, NAN, NAN])


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_weight_cannot_overflow_what_the_label_leaves_out(dtype):
    largest = np.finfo(dtype).max
    assert weighted_cross_entropy_with_logits(0, -largest, 3) == 0


def test_scalars_stay_scalars_of_their_type():
    for value in (
        sigmoid(np.float32(1)),
        sigmoid_cross_entropy_gradient(np.float32(1), np.float32(1)),
        weighted_cross_entropy_with_logits(np.float32(1), np.float32(1), 2.5),  # a weight doesn't widen the type
    ):
        assert isinstance(value, np.float32)


def test_empty_arrays_stay_empty():
    nothing = np.zeros((0, 3), np.float32)
    for value in (
        sigmoid(nothing),
        sigmoid_cross_entropy_gradient(nothing, nothing),
        weighted_cross_entropy_with_logits(nothing, nothing, 1),
    ):
        assert (value.shape, value.dtype) == ((0, 3), np.float32)


# --- bad input ----------------------------------------------------------------------------------------------------------


def test_bad_input_is_named():
    z, x = np.zeros((2, 2)), np.zeros((2, 2))
    with pytest.raises(ValueError, match=r"pos_weight must be non-negative, and finite in float64, got -1\.0$"):
        weighted_cross_entropy_with_logits(z, x, -1)
    with pytest.raises(ValueError, match=r"pos_weight must be .*, got nan at index \(1, 0\)"):
        weighted_cross_entropy_with_logits(z, x, [[1, 1], [NAN, 1]])
    with pytest.raises(ValueError, match=r"finite in float32, got 1e\+300$"):
        weighted_cross_entropy_with_logits(z.astype(np.float32), x.astype(np.float32), 1e300)
    with pytest.raises(ValueError, match=r"pos_weight and logits must have the same shape, got \(2,\) and \(2, 2\)"):
        weighted_cross_entropy_with_logits(z, x, [1, 2])
    with pytest.raises(TypeError, match=r"pos_weight must hold .*, got <U5"):
        weighted_cross_entropy_with_logits(z, x, "heavy")
    with pytest.raises(TypeError, match=r"logits must hold .*, got complex128"):
        sigmoid(1j)
    for function in (sigmoid_cross_entropy_gradient, lambda *args: weighted_cross_entropy_with_logits(*args, 1)):
        with pytest.raises(ValueError, match=r"labels and logits must have the same shape, got \(4,\) and \(4, 1\)"):
            function(np.zeros(4), np.zeros((4, 1)))
        with pytest.raises(ValueError, match=r"labels must lie in \[0, 1\], got 1\.5 at index \(1,\)"):
            function([0, 1.5], [0.0, 0.0])


def test_labels_outside_the_unit_interval_pass_on_demand():
    assert sigmoid_cross_entropy_gradient(2.0, 0.0, check_labels=False) == -1.5
    # Both softplus are log 2 at x = 0
    assert weighted_cross_entropy_with_logits(2.0, 0.0, 3.0, check_labels=False) == pytest.approx(5 * np.log(2), rel=1e-15)


# --- memory -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "function",
    [
        lambda z, x: sigmoid(x),
        max_abs_cross_entropy,
        sigmoid_cross_entropy_with_logits,
        sigmoid_cross_entropy_gradient,
        lambda z, x: weighted_cross_entropy_with_logits(z, x, 3.0),
    ],
    ids=["sigmoid", "max_abs", "loss", "gradient", "weighted"],
)
def test_at_most_three_arrays_of_the_inputs_size(function, dtype):
    rng = np.random.default_rng(0)
    x, z = rng.uniform(-100, 100, 500_000).astype(dtype), rng.random(500_000).astype(dtype)
    tracemalloc.start()
    try:
        function(z, x)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak <= 3 * x.nbytes + 2**16  # the result is one of the three; 64 KiB are for the rest


# --- TensorFlow's digits: these tests fail on the day that TensorFlow finds them ------------------------------------------

MENDED = f"TensorFlow {tf.__version__} no longer does what the book shows: the chapters on it need a new word"


def tf_loss(z, x):
    return tf.nn.sigmoid_cross_entropy_with_logits(labels=z, logits=x).numpy()


def test_tensorflow_is_2_percent_off_for_a_soft_label():
    z, x = np.float32(0.999999), np.float32(1000)
    exact = exact_sigmoid_cross_entropy(z, x)
    assert float(exact) == pytest.approx(0.00101328, rel=5e-6)  # to the six digits shown
    assert tf_loss(z, x) == pytest.approx(0.0010376, rel=5e-6), MENDED  # likewise
    assert error_in_eps(sigmoid_cross_entropy_with_logits(z, x), exact, "float32") <= 4


def test_compiled_tensorflow_keeps_the_digits_by_a_fused_multiply_add():
    rng = np.random.default_rng(0)
    x = (10 ** rng.uniform(2.1, 6, 1000)).astype(np.float32)  # e^-x is 0 in float32
    z = (1 - 10 ** rng.uniform(-7, -0.3, 1000)).astype(np.float32)
    # float64 holds the product of two float32 exactly: x - x z is rounded once, as a fused multiply-add does
    rounded_once = (x.astype(np.float64) - x.astype(np.float64) * z).astype(np.float32)
    compiled = tf.function(tf.nn.sigmoid_cross_entropy_with_logits, jit_compile=True)
    np.testing.assert_array_equal(compiled(labels=z, logits=x).numpy(), rounded_once)
    np.testing.assert_array_equal(tf_loss(z, x), x - x * z, err_msg=MENDED)


def test_tensorflows_weighted_loss_of_weight_one_is_not_its_loss():
    x = np.array([-10, -17, -20], np.float32)
    z = np.zeros_like(x)
    exact = exact_sigmoid_cross_entropy(z, x)
    np.testing.assert_allclose(exact.astype(float), [4.53989e-5, 4.14e-8, 2.06e-9], rtol=2e-3)  # to the digits shown
    theirs = tf.nn.weighted_cross_entropy_with_logits(labels=z, logits=x, pos_weight=1.0).numpy()
    np.testing.assert_allclose(theirs, [4.5776e-5, 0, 0], rtol=1e-5, atol=0, err_msg=MENDED)
    mine = weighted_cross_entropy_with_logits(z, x, 1.0)
    assert error_in_eps(mine, exact, "float32").max() <= 4


def test_sigmoid_minus_label_cancels_where_the_gradient_does_not():
    z, x = np.float32(1), np.float32(40)
    assert tf.sigmoid(x).numpy() - z == 0, MENDED
    assert float(exact_gradient(z, x)) == pytest.approx(-4.248e-18, rel=1e-4)
    assert sigmoid_cross_entropy_gradient(z, x) == pytest.approx(-4.248e-18, rel=1e-4)


def test_tensorflows_loss_of_infinite_logits_is_nan():
    z, x = np.float32([0, 0, 1, 1]), np.float32([INF, -INF, INF, -INF])
    np.testing.assert_array_equal(tf_loss(z, x), [NAN, NAN, NAN, INF], err_msg=MENDED)
    np.testing.assert_array_equal(sigmoid_cross_entropy_with_logits(z, x), [INF, 0, 0, INF])


# --- the table of lost digits: the worst error in eps over 4,000 random points with x in [-100, 100] ----------------------


def log_of_one_plus(z, x):
    return np.maximum(x, 0) - x * z + np.log(1 + np.exp(-np.abs(x)))


def log_add_exp(z, x):
    return np.logaddexp(x.dtype.type(0), x) - x * z


@cache
def sample(dtype, kind):
    rng = np.random.default_rng(0)
    x = rng.uniform(-100, 100, 4000).astype(dtype)
    hard = rng.integers(0, 2, 4000)
    z = np.abs(hard - (10 ** rng.uniform(-7, -1, 4000) if kind == "soft" else 0)).astype(dtype)
    return z, x, exact_sigmoid_cross_entropy(z, x)


LOST = {"float32": 2.0**23, "float64": 2.0**52}  # 1 / eps: no digit is right


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("form", "hard", "soft"),
    [
        # Between these bounds. 1 + e^-|x| absorbs the exponential, whatever the type
        (log_of_one_plus, (LOST, LOST), (1e6, 1e7)),
        (log_add_exp, (LOST, LOST), (1e6, 1e7)),
        # x z is rounded to the eps of x, which may be 1e7 times the loss
        (tf_loss, (0, 4), (1e6, 1e7)),
        (max_abs_cross_entropy, (0, 4), (1e6, 1e7)),
        (sigmoid_cross_entropy_with_logits, (0, 4), (0, 4)),
    ],
)
def test_table_of_lost_digits(form, hard, soft, dtype):
    for kind, (low, high) in {"hard": hard, "soft": soft}.items():
        z, x, exact = sample(dtype, kind)
        worst = worst_relative_error(form(z, x), exact, dtype)
        low, high = (bound[dtype] if bound is LOST else bound for bound in (low, high))
        assert low <= worst <= high
