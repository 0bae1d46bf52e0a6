"""The forms of sigmoid cross-entropy: values, algebra, types, shapes, limits, refusals, digits, and TensorFlow beside."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from helpers.binary import max_abs_cross_entropy, naive_cross_entropy, sigmoid_cross_entropy_with_logits
from helpers.precision import EXACT, exact_sigmoid_cross_entropy, overflow_threshold

STABLE = [max_abs_cross_entropy, sigmoid_cross_entropy_with_logits]
FORMS = [naive_cross_entropy, *STABLE]
DTYPES = [np.float16, np.float32, np.float64]
INF, NAN = np.inf, np.nan

forms = pytest.mark.parametrize("loss", FORMS)
stable_forms = pytest.mark.parametrize("loss", STABLE)
dtypes = pytest.mark.parametrize("dtype", DTYPES)

# Multiples of 1/256 are exact in every type, and so is 1 - z.
exact_labels = st.integers(0, 256).map(lambda k: k / 256)


@st.composite
def typed_logits(draw, count=1):
    """Draw a floating-point type, and sorted logits of it that overflow ``exp`` with neither sign."""
    dtype = draw(st.sampled_from(DTYPES))
    limit = float(int(overflow_threshold(dtype)))
    width = np.dtype(dtype).itemsize * 8
    return dtype, sorted(dtype(draw(st.floats(-limit, limit, width=width))) for _ in range(count))


def allowance(dtype, x):
    """Return how far rounding may take any of the forms from the exact loss while ``exp`` does not overflow.

    Each has at most four roundings, of half an eps each, of numbers no larger than |x| + 1: that is half of what is given
    here. The other half is for exp and log, which NumPy does not round correctly, the narrow types' least.
    """
    return 4 * float(np.finfo(dtype).eps) * (np.abs(np.asarray(x, float)) + 1)


@forms
@pytest.mark.parametrize(
    ("label", "logit", "expected"),
    [(0, 0, np.log(2)), (1, 0, np.log(2)), (0.5, 0, np.log(2)), (1, 1, 0.313261687518), (0, 1, 1.313261687518)],
)
def test_known_losses(loss, label, logit, expected):
    assert loss(label, logit) == pytest.approx(expected, rel=1e-12)  # the digits that are written here


@stable_forms
@given(label=st.floats(0, 1), logit=st.floats(allow_nan=False, allow_infinity=False))
def test_stable_losses_are_never_negative(loss, label, logit):
    assert loss(label, logit) >= 0


@forms
@given(label=exact_labels, typed=typed_logits(count=3))
def test_losses_are_convex_in_the_logit(loss, label, typed):
    dtype, logits = typed
    low, at, high = (EXACT.mpf(float(loss(dtype(label), x))) for x in logits)
    left, middle, right = (EXACT.mpf(float(x)) for x in logits)
    share = (middle - left) / (right - left) if right > left else EXACT.zero
    # the chord is computed exactly: what rounding there is lies in its ends, and in the point below it
    assert at <= (1 - share) * low + share * high + 2 * allowance(dtype, logits).max()


@forms
@given(label=exact_labels, typed=typed_logits())
def test_every_form_is_exact_up_to_its_rounding_where_exp_does_not_overflow(loss, label, typed):
    dtype, [x] = typed
    assert abs(float(loss(dtype(label), x)) - exact_sigmoid_cross_entropy(label, x)) <= allowance(dtype, x)


@forms
@pytest.mark.parametrize(
    ("label_type", "logit_type", "expected"),
    [
        (np.float16, np.float16, np.float16),
        (np.float32, np.float32, np.float32),
        (np.float64, np.float64, np.float64),
        (np.float16, np.float32, np.float32),
        (np.float64, np.float32, np.float64),
        (np.int64, np.float32, np.float32),
        (np.bool_, np.float16, np.float16),
        (np.uint8, np.int32, np.float64),
        (np.bool_, np.bool_, np.float64),
    ],
)
def test_floats_keep_their_type_and_integers_adapt(loss, label_type, logit_type, expected):
    for shape in [(), (2,)]:
        assert loss(np.ones(shape, label_type), np.ones(shape, logit_type)).dtype == expected


@forms
def test_lists_and_scalars_are_taken_as_float64(loss):
    assert loss([0, 1], [2, 3]).dtype == loss(1, 2.0).dtype == loss(True, 2).dtype == np.float64


@forms
@pytest.mark.parametrize("shape", [(), (0,), (3, 0), (5,), (2, 3, 4)])
def test_the_loss_has_the_shape_of_its_arguments(loss, shape):
    assert loss(np.ones(shape), np.ones(shape)).shape == shape


@forms
def test_an_empty_list_has_an_empty_loss(loss):
    assert loss([], []).shape == (0,)


@forms
def test_memory_layout_makes_no_difference_and_arguments_stay_as_they_were(loss):
    z, x = np.linspace(0, 1, 24).reshape(4, 6), np.linspace(-5, 5, 24).reshape(4, 6)
    z_before, x_before = z.copy(), x.copy()
    np.testing.assert_array_equal(loss(z[::-2, ::3], x[::-2, ::3]), loss(z, x)[::-2, ::3])
    np.testing.assert_array_equal(loss(np.asfortranarray(z), x.T.copy().T), loss(z, x))
    np.testing.assert_array_equal((z, x), (z_before, x_before))


@dtypes
@pytest.mark.parametrize(
    ("label", "logit", "limit"),
    [(0, INF, INF), (0, -INF, 0), (1, INF, 0), (1, -INF, INF), (0.5, INF, INF), (0.5, -INF, INF)],
)
def test_infinite_logits_give_the_limit_of_the_loss(dtype, label, logit, limit):
    assert sigmoid_cross_entropy_with_logits(dtype(label), dtype(logit)) == limit


@stable_forms
@dtypes
def test_nan_stays_at_its_place(loss, dtype):
    z, x = np.array([0, NAN, 1, NAN, 0.5], dtype), np.array([2, 1, NAN, INF, -3], dtype)
    computed = loss(z, x)
    assert np.isnan(computed).tolist() == [False, True, True, True, False]
    np.testing.assert_array_equal(computed[[0, 4]], loss(z[[0, 4]], x[[0, 4]]))


@stable_forms
@dtypes
def test_stable_forms_never_warn(loss, dtype):
    largest, tiny = np.finfo(dtype).max, np.finfo(dtype).smallest_subnormal
    x = np.array([0, tiny, 1, 12, 100, 1000, largest, INF], dtype)
    with np.errstate(all="raise"):
        for label in [0, tiny, 0.5, 1, NAN]:
            loss(np.full(x.shape, label, dtype), x)
            loss(np.full(x.shape, label, dtype), -x)
        loss(2.0, NAN, check_labels=False)


@dtypes
def test_the_naive_form_overflows_with_numpys_own_warning(dtype):
    beyond = dtype(-overflow_threshold(dtype) - 1)
    with pytest.warns(RuntimeWarning, match="overflow encountered in exp"):
        assert naive_cross_entropy(dtype(0), beyond) == INF


@dtypes
def test_the_naive_form_has_no_limit_at_infinity(dtype):
    z, x = np.array([0, 0, 1, 1, 0.5], dtype), np.array([INF, -INF, INF, -INF, INF], dtype)
    with np.errstate(all="ignore"):
        assert np.isnan(naive_cross_entropy(z, x)).all()


@forms
@pytest.mark.parametrize(
    ("labels", "logits", "error", "message"),
    [
        (np.zeros(4), np.zeros((4, 1)), ValueError, r"labels and logits must have the same shape, got \(4,\) and \(4, 1\)"),
        (0.0, [1.0], ValueError, r"labels and logits must have the same shape, got \(\) and \(1,\)"),
        ([0.0, 1.5], [1.0, 1.0], ValueError, r"labels must lie in \[0, 1\], got 1\.5 at index \(1,\)$"),
        ([[0, 1], [-2, 1]], np.ones((2, 2)), ValueError, r"labels must lie in \[0, 1\], got -2\.0 at index \(1, 0\)$"),
        ([NAN, INF], [1.0, 1.0], ValueError, r"labels must lie in \[0, 1\], got inf at index \(1,\)$"),
        (1 + 2**-52, 1.0, ValueError, r"labels must lie in \[0, 1\], got 1\.0000000000000002$"),
        (["cat", "dog"], [1.0, 1.0], TypeError, "labels must hold booleans, integers or float16, float32, float64, got <U3"),
        ([0.0], ["1.0"], TypeError, "logits must hold booleans, integers or float16, float32, float64, got <U3"),
        ([0.0], [1 + 2j], TypeError, "logits must hold .*, got complex128"),
        (None, 1.0, TypeError, "labels must hold .*, got object"),
        ([[0.0], [1.0, 0.0]], [1.0, 2.0], ValueError, "labels must be a rectangular array of numbers"),
    ],
    ids=["shapes", "scalar", "above", "below", "beside-nan", "one-ulp", "strings", "digits", "complex", "none", "ragged"],
)
def test_bad_input_is_refused_by_name(loss, labels, logits, error, message):
    with pytest.raises(error, match=message):
        loss(labels, logits)


@forms
@pytest.mark.parametrize(("label", "logit", "expected"), [(2, 3.0, -2.951412648), (-1, 3.0, 6.048587352)])
def test_labels_outside_the_unit_interval_pass_when_asked_to(loss, label, logit, expected):
    assert loss(label, logit, check_labels=False) == pytest.approx(expected, rel=1e-9)  # the digits that are written here


@stable_forms
@pytest.mark.parametrize("label", [0, 0.3, 1])
def test_float16_is_the_float32_loss_rounded_once(loss, label):
    x = np.arange(2**16, dtype=np.uint16).view(np.float16)  # every float16 there is
    z = np.full_like(x, label)
    expected = loss(z.astype(np.float32), x.astype(np.float32)).astype(np.float16)
    np.testing.assert_array_equal(loss(z, x), expected, strict=True)


@pytest.mark.parametrize(("dtype", "limit"), [(np.float16, 9), (np.float32, 85), (np.float64, 700)])
def test_hard_labels_match_tensorflow(dtype, limit):
    z, x = np.meshgrid(np.array([0, 1], dtype), np.linspace(-limit, limit, 301, dtype=dtype))
    # 4 eps for either side: nothing cancels for hard labels. float16 is rounded by TensorFlow after each operation, so its
    # exponential alone carries half an eps into log1p.
    np.testing.assert_allclose(
        sigmoid_cross_entropy_with_logits(z, x),
        tf.nn.sigmoid_cross_entropy_with_logits(labels=z, logits=x),
        rtol=8 * np.finfo(dtype).eps,
        strict=True,
    )


@stable_forms
@dtypes
def test_soft_labels_match_tensorflow_up_to_its_cancellation(loss, dtype):
    z, x = np.meshgrid(np.linspace(0, 1, 21, dtype=dtype), np.linspace(-1000, 1000, 301, dtype=dtype))
    apart = np.abs(loss(z, x).astype(float) - tf.nn.sigmoid_cross_entropy_with_logits(labels=z, logits=x).numpy())
    assert np.all(apart <= 2 * allowance(dtype, x))  # either side is rounded


def test_tensorflow_and_its_documented_form_give_nan_for_infinite_logits():
    z, x = np.array([0, 0, 1, 1, 0.5, 0.5]), np.array([INF, -INF] * 3)
    expected = [NAN, NAN, NAN, INF, NAN, INF]
    np.testing.assert_array_equal(tf.nn.sigmoid_cross_entropy_with_logits(labels=z, logits=x), expected)
    np.testing.assert_array_equal(max_abs_cross_entropy(z, x), expected)
