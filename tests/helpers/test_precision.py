"""The thresholds against each type's own ``exp``, the exact losses against other formulas, and the unit of errors."""

import itertools

import ml_dtypes
import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.precision import (
    EXACT,
    error_in_eps,
    exact_sigmoid_cross_entropy,
    exact_sigmoid_cross_entropy_gradient,
    exact_softmax_cross_entropy,
    exact_softmax_cross_entropy_gradient,
    overflow_threshold,
    saturation_threshold,
    underflow_threshold,
)

INF, NAN = np.inf, np.nan

types = pytest.mark.parametrize("number", [np.float16, ml_dtypes.bfloat16, np.float32, np.float64])
thresholds = pytest.mark.parametrize("threshold", [overflow_threshold, underflow_threshold, saturation_threshold])


def neighbors(threshold, number):
    """Return the type's two numbers around a threshold, which is irrational and so never one of them."""
    nearest = number(threshold)
    below = nearest if float(nearest) <= threshold else np.nextafter(nearest, number(-INF))
    return below, np.nextafter(below, number(INF))


@types
def test_exp_overflows_from_the_overflow_threshold_on(number):
    below, above = neighbors(overflow_threshold(number), number)
    with np.errstate(over="ignore"):
        assert np.isfinite(np.exp(below))
        assert np.exp(above) == INF


@types
def test_exp_is_zero_up_to_the_underflow_threshold(number):
    below, above = neighbors(underflow_threshold(number), number)
    with np.errstate(under="ignore"):
        assert np.exp(below) == 0
        assert np.exp(above) == np.nextafter(number(0), number(1))


@types
def test_the_sigmoid_is_one_from_the_saturation_threshold_on(number):
    # exact to the grid point: the neighbors' e^-x lie further from half an eps than exp can be wrong
    below, above = neighbors(saturation_threshold(number), number)
    one = number(1)
    assert one / (one + np.exp(-below)) < 1
    assert one / (one + np.exp(-above)) == 1


@thresholds
@types
def test_a_type_may_be_given_by_name(threshold, number):
    assert threshold(np.dtype(number).name) == threshold(np.dtype(number)) == threshold(number)


@pytest.mark.parametrize(
    ("label", "logit", "digits"),
    [
        (1.0, 1.0, "0.3132616875"),
        (0.0, 12.0, "12.00000614"),
        (1.0, 23.0, "1.026187963e-10"),
        (0.0, -810.0, "1.665212485e-352"),  # far below float64's smallest number
        (np.float32(0.999999), np.float32(1000), "0.001013278961"),
    ],
)
def test_exact_sigmoid_cross_entropy_has_the_known_digits(label, logit, digits):
    assert mpmath.nstr(exact_sigmoid_cross_entropy(label, logit), 10) == digits


@given(label=st.floats(0, 1), logit=st.floats(-500, 500))
def test_exact_sigmoid_cross_entropy_is_the_definition(label, logit):
    with mpmath.workprec(2000):  # 1 - σ(500) begins after 722 bits, and 400 are compared
        z, p = mpmath.mpf(label), 1 / (1 + mpmath.exp(-mpmath.mpf(logit)))
        defined = -z * mpmath.log(p) - (1 - z) * mpmath.log(1 - p)
        # 400 bits, less a handful for the roundings of its terms
        assert abs(mpmath.mpf(exact_sigmoid_cross_entropy(label, logit)) - defined) <= defined * mpmath.mpf(2) ** -390


@pytest.mark.parametrize(
    ("label", "logit", "limit"),
    [(0, INF, INF), (0, -INF, 0), (1, INF, 0), (1, -INF, INF), (0.5, INF, INF), (0.5, -INF, INF)],
)
def test_exact_sigmoid_cross_entropy_has_the_limit_at_infinity(label, logit, limit):
    assert exact_sigmoid_cross_entropy(label, logit) == limit


@pytest.mark.parametrize(("label", "logit"), [(NAN, 1.0), (0.0, NAN), (NAN, INF)])
def test_exact_sigmoid_cross_entropy_of_nan_is_nan(label, logit):
    assert EXACT.isnan(exact_sigmoid_cross_entropy(label, logit))


def test_exact_sigmoid_cross_entropy_takes_arrays_and_a_scalar_beside():
    losses = exact_sigmoid_cross_entropy([[0.0, 1.0]], [[1.0, 2.0]])
    assert losses.shape == (1, 2)
    assert losses[0, 1] == exact_sigmoid_cross_entropy(1.0, [0.0, 2.0])[1] == exact_sigmoid_cross_entropy([1.0], 2.0)[0]


@pytest.mark.parametrize(("label", "logit", "digits"), [(2, 3.0, "-2.951412648"), (-1, 3.0, "6.048587352")])
def test_exact_sigmoid_cross_entropy_looks_outside_on_demand(label, logit, digits):
    assert mpmath.nstr(exact_sigmoid_cross_entropy(label, logit, check_labels=False), 10) == digits


def test_the_exact_losses_take_every_bfloat16_as_it_is():
    halves = np.array([0.5, 0.25], ml_dtypes.bfloat16)
    assert np.all(exact_sigmoid_cross_entropy(halves, -halves) == exact_sigmoid_cross_entropy([0.5, 0.25], [-0.5, -0.25]))
    assert exact_softmax_cross_entropy(halves, -halves) == exact_softmax_cross_entropy([0.5, 0.25], [-0.5, -0.25])
    assert np.all(error_in_eps(halves, halves, "bfloat16") == 0)


@given(
    logits=st.lists(st.floats(-200, 200), min_size=1, max_size=5),
    weights=st.lists(st.floats(0, 1), min_size=5, max_size=5),
)
def test_exact_softmax_cross_entropy_is_the_definition(logits, weights):
    weights = weights[: len(logits)]
    with mpmath.workprec(2000):  # a softmax of 1 - e^-400 begins after 577 bits, and 400 are compared
        exponentials = [mpmath.exp(x) for x in logits]
        defined = [-mpmath.log(e / mpmath.fsum(exponentials)) for e in exponentials]
        mixed = mpmath.fdot(weights, defined)
        tolerance = mpmath.mpf(2) ** -390  # 400 bits, less a handful for the roundings of its terms
        assert abs(mpmath.mpf(exact_softmax_cross_entropy(weights, logits)) - mixed) <= mixed * tolerance
        for label, loss in enumerate(defined):
            assert abs(mpmath.mpf(exact_softmax_cross_entropy(label, logits)) - loss) <= loss * tolerance


def test_exact_softmax_cross_entropy_ignores_the_order_of_the_classes():
    losses = {exact_softmax_cross_entropy(row.index(20.0), row) for row in itertools.permutations([20.0, 0.0, -1.5])}
    assert len(losses) == 1


def test_exact_softmax_cross_entropy_of_two_classes_is_the_sigmoids():
    assert exact_softmax_cross_entropy([0.25, 0.75], [0.0, 3.5]) == exact_sigmoid_cross_entropy(0.75, 3.5)


@pytest.mark.parametrize(
    ("labels", "logits", "expected"),
    [
        ([1, 0, 0], [1.0, 2.0, -INF], "1.313261688"),
        ([0.5, 0.4, 0.1], [1.0, 2.0, -INF], "+inf"),
        ([0, 0], [NAN, 1.0], "nan"),
        ([0, NAN], [0.0, 1.0], "nan"),
    ],
)
def test_exact_softmax_cross_entropy_of_a_class_that_cannot_occur_or_of_nan(labels, logits, expected):
    assert mpmath.nstr(exact_softmax_cross_entropy(labels, logits), 10) == expected


def test_the_exact_losses_leave_mpmaths_own_precision_alone():
    exact_softmax_cross_entropy(0, [1.0, 2.0])
    assert (mpmath.mp.prec, EXACT.prec) == (53, 400)


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(-700, 700)), min_size=1, max_size=9), st.booleans())
def test_exact_gradients_are_the_usual_ones_computed_with_more_bits(pairs, hard):
    """W p - w cancels up to 2,020 bits (e^-1400) of 2,500, so that 480 are left."""
    mp = mpmath.MPContext()
    mp.prec = 2500
    labels, logits = (list(column) for column in zip(*pairs, strict=True))
    labels = [float(j == 0) for j in range(len(labels))] if hard else labels
    e = [mp.exp(logit) for logit in logits]
    for exact, w, term in zip(exact_softmax_cross_entropy_gradient(labels, logits), labels, e, strict=True):
        usual = mp.fsum(labels) * term / mp.fsum(e) - w
        assert abs(exact - usual) <= mp.mpf(2) ** -390 * (abs(usual) if hard else 1)
    usual = 1 / (1 + 1 / e[0]) - mp.mpf(labels[0])
    assert abs(exact_sigmoid_cross_entropy_gradient(labels[0], logits[0]) - usual) <= mp.mpf(2) ** -390 * (
        abs(usual) if hard else 1
    )


@pytest.mark.parametrize(("label", "logit", "slope"), [(1, INF, 0), (0, INF, 1), (1, -INF, -1), (0, -INF, 0), (1, NAN, NAN)])
def test_exact_gradients_at_infinity_are_the_limits(label, logit, slope):
    computed = float(exact_sigmoid_cross_entropy_gradient(label, logit))
    in_a_row = float(exact_softmax_cross_entropy_gradient([1 - label, label], [0.0, logit])[1])
    np.testing.assert_array_equal([computed, in_a_row], slope)


@types
def test_one_unit_of_error_is_the_distance_from_one_to_its_neighbor(number):
    one = number(1)
    above = np.nextafter(one, number(2))
    assert error_in_eps(above, one, number) == 1
    assert error_in_eps(one, one, number) == 0
    assert error_in_eps(-above, -one, np.dtype(number).name) == 1


@pytest.mark.parametrize(
    ("computed", "exact", "error"),
    [(INF, INF, 0), (-INF, -INF, 0), (0.0, 0.0, 0), (0.0, -0.0, 0), (0.0, 1.0, 2**52), (1e-9, 0.0, INF), (INF, 0.0, INF)],
)
def test_error_at_zero_and_infinity(computed, exact, error):
    assert error_in_eps(computed, exact, np.float64) == error


@pytest.mark.parametrize(("computed", "exact"), [(NAN, 1.0), (NAN, NAN), (NAN, 0.0), (1.0, NAN), (NAN, INF)])
def test_error_of_nan_is_nan(computed, exact):
    assert np.isnan(error_in_eps(computed, exact, np.float64))


@pytest.mark.parametrize(("computed", "exact"), [(1.0, INF), (INF, 1.0), (-INF, INF)])
def test_error_of_a_wrong_infinity_is_infinite(computed, exact):
    assert error_in_eps(computed, exact, np.float64) == INF


def test_errors_are_float64_and_take_mpf_and_a_scalar_beside():
    errors = error_in_eps(np.float32([1.0, 2.0, 2.0]), np.array([EXACT.mpf(1), EXACT.mpf(4), mpmath.mpf(1)]), "float32")
    assert errors.dtype == np.float64
    np.testing.assert_array_equal(errors, np.array([0, 0.5, 1]) * 2**23)
    np.testing.assert_array_equal(error_in_eps(np.float32([1.0, 2.0]), EXACT.mpf(2), "float32"), np.array([0.5, 0]) * 2**23)
