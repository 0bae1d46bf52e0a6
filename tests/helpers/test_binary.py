"""The losses of one logit and one label: values, digits, algebra and limits."""

from functools import cache
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.binary import (
    binary_crossentropy,
    focal_cross_entropy_with_logits,
    max_abs_cross_entropy,
    naive_cross_entropy,
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

DTYPES = [np.float16, np.float32, np.float64]
INF, NAN = np.inf, np.nan


def weighted(labels, logits, **options):
    return weighted_cross_entropy_with_logits(labels, logits, 3.0, **options)


def focal(labels, logits):
    return focal_cross_entropy_with_logits(labels, logits, 0.5)


FORMS = [naive_cross_entropy, max_abs_cross_entropy, sigmoid_cross_entropy_with_logits]
STABLE = [max_abs_cross_entropy, sigmoid_cross_entropy_with_logits, weighted, focal]
GAMMAS = [0.0, 0.1, 0.5, 1.0, 2.0, 5.0, 10.0]

forms = pytest.mark.parametrize("loss", FORMS)
dtypes = pytest.mark.parametrize("dtype", DTYPES)
wide_dtypes = pytest.mark.parametrize("dtype", DTYPES[1:])
kinds = pytest.mark.parametrize("kind", ["hard", "soft"])

labels = st.floats(0, 1)
exact_labels = st.integers(0, 256).map(lambda k: k / 256)  # 1 - z is exact too


# --- values -------------------------------------------------------------------------------------------------------------


@forms
@pytest.mark.parametrize(
    ("label", "logit", "expected"),
    [(0, 0, np.log(2)), (1, 0, np.log(2)), (0.5, 0, np.log(2)), (1, 1, 0.313261687518), (0, 1, 1.313261687518)],
)
def test_known_losses_of_logits(loss, label, logit, expected):
    assert loss(label, logit) == pytest.approx(expected, rel=1e-12)  # the digits that are written here


@pytest.mark.parametrize(
    ("label", "probability", "expected"),
    [(1, 0.5, np.log(2)), (0, 0.5, np.log(2)), (1, 0.2, np.log(5)), (0, 0.2, np.log(1.25)), (0.25, 0.5, np.log(2))],
)
def test_known_losses_of_probabilities(label, probability, expected):
    assert binary_crossentropy(label, probability) == pytest.approx(expected, rel=1e-15)


# --- digits: float32 is rounded once, float64 has the bounds of the docstrings -------------------------------------------


def exactly(function):
    """Lift a function of mpf to arrays of floats."""
    lifted = np.frompyfunc(lambda x: function(EXACT.mpf(float(x))), 1, 1)
    return lambda array: np.asarray(lifted(array), object)


exact_value = exactly(lambda value: value)
exact_softplus = exactly(lambda x: EXACT.log1p(EXACT.exp(x)))
exact_sigmoid = exactly(lambda x: 1 / (1 + EXACT.exp(-x)))


@cache
def hostile_logits(dtype):
    """Return logits of both signs: dense, of all sizes, subnormal, and where exp overflows or 1 + exp rounds to 1."""
    info, rng = np.finfo(dtype), np.random.default_rng(0)
    edges = [threshold(dtype) for threshold in (overflow_threshold, underflow_threshold, saturation_threshold)]
    edges += [-float(np.log(info.smallest_normal)), 17.3, 1.0, np.log(2)]
    around = np.asarray(edges)[:, None] * (1 + np.arange(-2, 3) * float(info.eps))
    sizes = 10 ** rng.uniform(np.log10(float(info.eps)) - 2, 6, 150)
    special = [0, float(info.smallest_subnormal), float(info.smallest_normal) / 3, float(info.smallest_normal), 999.0, 1e6]
    magnitudes = np.concatenate([abs(around.ravel()), np.linspace(0, max(edges) + 10, 150), sizes, special])
    return np.unique(np.concatenate([magnitudes, -magnitudes]).astype(dtype))


def hostile_labels(dtype, kind):
    """Return 0 and 1, or what lies between, down to 1e-12 from either (as near to 1 as the type goes)."""
    if kind == "hard":
        return np.array([0, 1], dtype)
    info = np.finfo(dtype)
    small = np.array([float(info.smallest_subnormal), float(info.smallest_normal), 1e-12, 1e-9, 1e-7, 1e-4, 0.01, 0.3])
    near_one = [1 - float(info.epsneg), 1 - 2 * float(info.epsneg), 0.999999, 0.99]
    soft = np.unique(np.concatenate([small, 1 - small, near_one, [0.5]]).astype(dtype))
    return soft[(soft > 0) & (soft < 1)]


class Points(NamedTuple):
    """Labels and logits, and what the exact functions of them are made of."""

    labels: np.ndarray
    logits: np.ndarray
    negative: np.ndarray  # (1 - z) softplus(x), what pos_weight leaves as it is
    positive: np.ndarray  # z softplus(-x), what it multiplies
    right: np.ndarray  # (1 - z) σ(x)
    left: np.ndarray  # z σ(-x)


@cache
def grid(dtype, kind):
    """Pair every label with every logit; each exponential, which is what takes time, is computed once."""
    x = hostile_logits(dtype)
    z = hostile_labels(dtype, kind)[:, None]
    exact_z = exact_value(z)
    parts = [(1 - exact_z) * exact_softplus(x), exact_z * exact_softplus(-x)]
    parts += [(1 - exact_z) * exact_sigmoid(x), exact_z * exact_sigmoid(-x)]
    return Points(*(part.ravel() for part in (*np.broadcast_arrays(z, x), *parts)))


@pytest.fixture
def assert_accurate(ulps):
    """Return a function that holds float32 to half a unit in the last place, and float64 to so many eps."""

    def check(computed, exact, eps, normal=True):
        if computed.dtype == np.float32:
            assert ulps(computed, exact).max() <= HALF
        else:
            normal = normal & (abs(exact) >= TINY)
            assert normal.sum() > 100
            assert error_in_eps(computed[normal], exact[normal], "float64").max() <= eps

    return check


HALF = 0.5 + 1e-6
TINY = float(np.finfo(float).smallest_normal)


@wide_dtypes
def test_sigmoid_is_accurate(assert_accurate, dtype):
    x = hostile_logits(dtype)
    assert_accurate(sigmoid(x), exact_sigmoid(x), 2)
    assert sigmoid(-720.0) == np.exp(-720.0) > 0  # subnormal; 1 / (1 + e^720) is 0


@wide_dtypes
@kinds
def test_loss_is_accurate_for_every_label(assert_accurate, dtype, kind):
    points = grid(dtype, kind)
    computed = sigmoid_cross_entropy_with_logits(points.labels, points.logits)
    assert_accurate(computed, points.negative + points.positive, 2.5)


@wide_dtypes
@kinds
@pytest.mark.parametrize("weight", [0.0, 1e-3, 0.3, 1.0, 3.0, 1e3, "one for each element"])
def test_weighted_loss_is_accurate_for_every_label(assert_accurate, dtype, kind, weight):
    # every third point, since there are 28 cases
    z, x, negative, positive, *_ = (part[::3] for part in grid(dtype, kind))
    q = np.random.default_rng(0).lognormal(0, 2, x.size) if isinstance(weight, str) else np.asarray(weight)
    exact = negative + exact_value(q) * positive
    # a weight above 1 lifts digits that are already lost: those of a positive part among the subnormal numbers
    intact = (z == 0) | (positive >= TINY)
    assert_accurate(weighted_cross_entropy_with_logits(z, x, q), exact, 4, intact)


@wide_dtypes
@kinds
@pytest.mark.parametrize("gamma", GAMMAS)
def test_focal_loss_is_accurate_for_every_label(assert_accurate, dtype, kind, gamma):
    points = Points(*(part[::3] for part in grid(dtype, kind)))
    exact = (points.right + points.left) ** EXACT.mpf(gamma) * (points.negative + points.positive)
    # NumPy's own tests allow its power 4 eps
    assert_accurate(focal_cross_entropy_with_logits(points.labels, points.logits, gamma), exact, 3.5 * gamma + 3 + 4)


@wide_dtypes
def test_gradient_of_hard_labels_is_accurate(assert_accurate, dtype):
    points = grid(dtype, "hard")
    computed = sigmoid_cross_entropy_gradient(points.labels, points.logits)
    assert_accurate(computed, points.right - points.left, 2.5)


@wide_dtypes
def test_gradient_of_soft_labels_is_accurate_absolutely(dtype):
    points = grid(dtype, "soft")
    exact = points.right - points.left
    difference = abs(sigmoid_cross_entropy_gradient(points.labels, points.logits) - exact)
    # it passes through 0, where no digit can be asked for
    allowed = HALF * np.spacing(abs(exact).astype(dtype)) + 1e-15 if dtype == np.float32 else 1.5 * 2.0**-52
    assert np.all(difference <= allowed)


# --- what holds for every label and logit -------------------------------------------------------------------------------


@st.composite
def typed_points(draw, loss):
    """Draw a floating-point type, a label and a logit of it: for the naive form, one whose ``exp`` is finite."""
    dtype = draw(st.sampled_from(DTYPES))
    width = np.dtype(dtype).itemsize * 8
    limit = float(int(overflow_threshold(dtype))) if loss is naive_cross_entropy else 6e4 if width == 16 else 1e6
    return dtype, *(dtype(draw(st.floats(*ends, width=width))) for ends in ((0, 1), (-limit, limit)))


def allowance(dtype, x):
    """Return how far rounding may take any of the forms from the exact loss while ``exp`` does not overflow.

    Each has at most four roundings, of half an eps each, of numbers no larger than |x| + 1: that is half of what is given
    here. The other half is for exp and log, which NumPy does not round correctly, the narrow types' least.
    """
    return 4 * float(np.finfo(dtype).eps) * (np.abs(np.asarray(x, float)) + 1)


@forms
@given(data=st.data())
def test_each_form_is_exact_up_to_its_rounding(loss, data):
    dtype, z, x = data.draw(typed_points(loss))
    assert abs(float(loss(z, x)) - exact_sigmoid_cross_entropy(z, x)) <= allowance(dtype, x)


@pytest.mark.parametrize("loss", STABLE)
@given(label=labels, logit=st.floats(allow_nan=False, allow_infinity=False))
def test_stable_losses_are_never_negative(loss, label, logit):
    assert loss(label, logit) >= 0


@pytest.mark.parametrize(
    ("function", "sign"), [(sigmoid_cross_entropy_with_logits, 1), (focal, 1), (sigmoid_cross_entropy_gradient, -1)]
)
@given(label=exact_labels, logit=st.floats(allow_nan=False))
def test_swapping_the_classes_changes_no_bit(function, sign, label, logit):
    assert function(label, logit) == sign * function(1 - label, -logit)


@given(labels, st.integers(-1024 * 100, 1024 * 100).map(lambda n: n / 1024))  # x ± 2^-30 is exact for these
def test_gradient_is_the_slope_of_the_exact_loss(z, x):
    h = 2.0**-30
    slope = (exact_sigmoid_cross_entropy(z, x + h) - exact_sigmoid_cross_entropy(z, x - h)) / (2 * h)
    # h^2 / 6 times the third derivative, at most 1/10, is far below an eps
    assert abs(sigmoid_cross_entropy_gradient(z, x) - slope) <= 2 * 2.0**-52


@dtypes
def test_a_weight_cannot_overflow_what_the_label_leaves_out(dtype):
    assert weighted_cross_entropy_with_logits(0, -np.finfo(dtype).max, 3) == 0


@given(label=labels, logit=st.floats(allow_nan=False, allow_infinity=False))
def test_gamma_zero_is_the_cross_entropy(label, logit):
    assert focal_cross_entropy_with_logits(label, logit, 0) == sigmoid_cross_entropy_with_logits(label, logit)


@given(label=labels, logit=st.floats(-1e6, 1e6), gamma=st.floats(0, 10))
def test_focus_raises_no_loss_and_makes_none_negative(label, logit, gamma):
    focused, loss = focal_cross_entropy_with_logits(label, logit, gamma), sigmoid_cross_entropy_with_logits(label, logit)
    # the focal factor is at most 1, apart from the roundings of its two terms, which the power multiplies
    assert 0 <= focused <= loss * (1 + 4 * (1 + gamma) * np.finfo(float).eps)


@pytest.mark.parametrize("function", [*FORMS, weighted, sigmoid_cross_entropy_gradient])
@pytest.mark.parametrize("label", [2.0, -1.0])
def test_labels_outside_the_unit_interval_pass_on_demand(function, label):
    x = 3.0
    exact = {
        weighted: lambda z: (1 - z) * exact_softplus(x) + 3 * z * exact_softplus(-x),
        sigmoid_cross_entropy_gradient: lambda z: exact_sigmoid(x) - z,
    }.get(function, lambda z: exact_sigmoid_cross_entropy(z, x, check_labels=False))
    # four roundings of terms of at most 12, in float64
    assert abs(function(label, x, check_labels=False) - exact(label)) <= 2 * 12 * np.finfo(float).eps


# --- infinities ---------------------------------------------------------------------------------------------------------

ENDS = [0, 0, 1, 1, 0.25, 0.25, 1 - 2**-10, NAN, 0.25], [INF, -INF, INF, -INF, INF, -INF, INF, INF, NAN]
OF_THE_LOSS = [INF, 0, 0, INF, INF, INF, INF, NAN, NAN]


@dtypes
@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda z, x: sigmoid(x), [1, 0, 1, 0, 1, 0, 1, 1, NAN]),
        (sigmoid_cross_entropy_gradient, [1, 0, 0, -1, 0.75, -0.25, 2**-10, NAN, NAN]),
        (sigmoid_cross_entropy_with_logits, OF_THE_LOSS),
        (weighted, OF_THE_LOSS),
        # a positive part of weight 0 costs nothing, however wrong
        (lambda z, x: weighted_cross_entropy_with_logits(z, x, 0), [INF, 0, 0, 0, INF, 0, INF, NAN, NAN]),
        (lambda z, x: focal_cross_entropy_with_logits(z, x, 0), OF_THE_LOSS),
        (focal, OF_THE_LOSS),
        (lambda z, x: focal_cross_entropy_with_logits(z, x, 2), OF_THE_LOSS),
        # the power underflows where the loss is infinite
        (lambda z, x: focal_cross_entropy_with_logits(z, x, 1000), OF_THE_LOSS),
    ],
    ids=["sigmoid", "gradient", "loss", "weight 3", "weight 0", "gamma 0", "gamma 0.5", "gamma 2", "gamma 1000"],
)
def test_infinite_logits_give_the_limit(dtype, function, expected):
    z, x = np.array(ENDS, dtype)
    np.testing.assert_array_equal(function(z, x), np.array(expected, dtype), strict=True)


@dtypes
def test_the_naive_form_has_no_limit_at_infinity(dtype):
    z, x = np.array([0, 0, 1, 1, 0.5], dtype), np.array([INF, -INF, INF, -INF, INF], dtype)
    with np.errstate(all="ignore"):
        assert np.isnan(naive_cross_entropy(z, x)).all()


@dtypes
def test_the_max_abs_form_has_the_limit_of_one_infinity(dtype):
    z, x = np.array([0, 0, 1, 1, 0.5, 0.5], dtype), np.array([INF, -INF] * 3, dtype)
    np.testing.assert_array_equal(max_abs_cross_entropy(z, x), [NAN, NAN, NAN, INF, NAN, INF])


@dtypes
def test_the_naive_form_overflows_with_numpys_own_warning(dtype):
    beyond = dtype(-overflow_threshold(dtype) - 1)
    with pytest.warns(RuntimeWarning, match="overflow encountered in exp"):
        assert naive_cross_entropy(dtype(0), beyond) == INF


# --- from probabilities, by Keras's arithmetic --------------------------------------------------------------------------


@given(label=labels, probability=st.floats(1e-7, 1 - 1e-7))
def test_between_the_clips_the_loss_is_the_definition(label, probability):
    z, p = EXACT.mpf(label), EXACT.mpf(probability)
    exact = -z * EXACT.log(p) - (1 - z) * EXACT.log(1 - p)
    # a few roundings of terms that don't cancel, and that of 1 - p, at most eps / 2, which the logarithm divides by 1 - p
    allowed = 4 * np.finfo(float).eps * (exact + (1 - z) / (1 - p))
    assert abs(EXACT.mpf(float(binary_crossentropy(label, probability))) - exact) <= allowed


@given(label=labels, probability=st.floats(0, 1), epsilon=st.floats(1e-12, 0.4))
def test_the_loss_is_capped_by_epsilon(label, probability, epsilon):
    loss = binary_crossentropy(label, probability, epsilon=epsilon)
    nearest = min(epsilon, 1 - (1 - epsilon))  # 1 - epsilon is rounded
    assert 0 <= loss <= -np.log(nearest) * (1 + 4 * np.finfo(float).eps)


@pytest.mark.parametrize(
    ("dtype", "low", "high"),
    [(np.float32, 16.118095, 15.942385), (np.float64, 16.11809565095832, 16.118095651484676)],
)
def test_the_caps_on_both_sides(dtype, low, high):
    caps = binary_crossentropy(np.array([1, 0], dtype), np.array([0, 1], dtype))
    np.testing.assert_allclose(caps, np.array([low, high], dtype), rtol=np.finfo(dtype).eps)  # the digits written here
    assert caps[0] != caps[1]  # 1 - 1e-7 is rounded to the type, 1e-7 hardly


def test_the_upper_clip_of_float32_is_1_minus_2_to_the_minus_23():
    assert np.float32(1 - 1e-7) == 1 - np.float32(2**-23)
    cap = binary_crossentropy(np.float32(0), np.float32(1))
    assert cap == binary_crossentropy(np.float32(0), np.float32(1 - 2**-23)) == -np.log(np.float32(2**-23))


def test_a_right_float16_prediction_is_nan():
    np.testing.assert_array_equal(binary_crossentropy(np.float16([0, 0.5, 1]), np.float16([1, 1, 1])), [INF, INF, NAN])
    assert np.float16(1 - 1e-7) == 1  # so the clip does nothing there


def test_probabilities_in_float16_are_computed_in_float16():
    p = np.float16(0.999)
    wide = binary_crossentropy(np.float32(0), np.float32(p))
    assert binary_crossentropy(np.float16(0), p) == wide.astype(np.float16)  # 1 - p is exact here, and rounded once
    z, p = np.meshgrid(np.linspace(0, 1, 33, dtype=np.float16), np.linspace(0.01, 0.99, 99, dtype=np.float16))
    once = binary_crossentropy(z.astype(np.float32), p.astype(np.float32)).astype(np.float16)
    assert np.any(binary_crossentropy(z, p) != once)


def test_an_epsilon_of_zero_clips_nothing():
    np.testing.assert_array_equal(binary_crossentropy([1, 0], [0, 1], epsilon=0), [INF, INF])
    np.testing.assert_array_equal(binary_crossentropy([0, 1], [0, 1], epsilon=0), [NAN, NAN])  # 0 * inf, as in a textbook
