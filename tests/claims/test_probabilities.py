"""Keras's loss from probabilities: its values, its caps and its failures, each beside Keras itself."""

import keras
import ml_dtypes
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from helpers.binary import binary_crossentropy
from helpers.precision import EXACT

DTYPES = [np.float16, np.float32, np.float64]
INF, NAN = np.inf, np.nan

dtypes = pytest.mark.parametrize("dtype", DTYPES)


def grid(dtype):
    """Return every pair of a label and a probability, the probabilities dense near 0 and near 1."""
    small = np.concatenate([[0, 1e-12], np.geomspace(1e-9, 0.5, 60)])
    return np.meshgrid(np.linspace(0, 1, 9, dtype=dtype), np.unique(np.concatenate([small, 1 - small]).astype(dtype)))


@pytest.mark.parametrize(
    ("label", "probability", "expected"),
    [(1, 0.5, np.log(2)), (0, 0.5, np.log(2)), (1, 0.2, np.log(5)), (0, 0.2, np.log(1.25)), (0.25, 0.5, np.log(2))],
)
def test_known_losses(label, probability, expected):
    assert binary_crossentropy(label, probability) == pytest.approx(expected, rel=1e-15)


@given(label=st.floats(0, 1), probability=st.floats(1e-7, 1 - 1e-7))
def test_between_the_clips_it_is_the_definition(label, probability):
    z, p = EXACT.mpf(label), EXACT.mpf(probability)
    exact = -z * EXACT.log(p) - (1 - z) * EXACT.log(1 - p)
    # a few roundings of terms that don't cancel, and that of 1 - p, at most eps / 2, which the logarithm divides by 1 - p
    allowed = 4 * np.finfo(float).eps * (exact + (1 - z) / (1 - p))
    assert abs(EXACT.mpf(float(binary_crossentropy(label, probability))) - exact) <= allowed


@given(label=st.floats(0, 1), probability=st.floats(0, 1), epsilon=st.floats(1e-12, 0.4))
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


def test_in_float32_the_upper_clip_is_1_minus_2_to_the_minus_23():
    assert np.float32(1 - 1e-7) == 1 - np.float32(2**-23)
    cap = binary_crossentropy(np.float32(0), np.float32(1))
    assert cap == binary_crossentropy(np.float32(0), np.float32(1 - 2**-23)) == -np.log(np.float32(2**-23))


@dtypes
def test_keras_gives_the_same_losses_and_the_same_failures(dtype):
    z, p = grid(dtype)
    keras_losses = keras.ops.convert_to_numpy(keras.ops.binary_crossentropy(z, p))
    # the same operations in the same type; the two libraries' logarithms may differ in their last bit
    np.testing.assert_allclose(binary_crossentropy(z, p), keras_losses, rtol=2 * np.finfo(dtype).eps, strict=True)
    failed = ~np.isfinite(keras_losses)
    assert np.array_equal(failed, p == 1 if dtype == np.float16 else np.zeros(p.shape, bool))


@dtypes
def test_keras_lets_labels_outside_the_unit_interval_pass_and_so_do_we_when_asked_to(dtype):
    z, p = np.meshgrid(np.array([-2, -1, 1.5, 2, 255], dtype), np.linspace(0.01, 0.99, 99, dtype=dtype))
    losses = binary_crossentropy(z, p, check_labels=False)
    # the two terms have opposite signs here: what counts is the rounding of the larger
    atol = 4 * np.finfo(dtype).eps * (abs(z * np.log(p)) + abs((1 - z) * np.log(1 - p)))
    assert np.all(abs(losses - keras.ops.convert_to_numpy(keras.ops.binary_crossentropy(z, p))) <= atol)
    assert losses.min() < 0


def test_in_float16_a_correct_prediction_is_nan():
    np.testing.assert_array_equal(binary_crossentropy(np.float16([0, 0.5, 1]), np.float16([1, 1, 1])), [INF, INF, NAN])
    assert np.float16(1 - 1e-7) == 1  # so the clip does nothing there


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_in_16_bits_kerass_correct_prediction_is_nan(dtype):
    losses = keras.ops.binary_crossentropy(tf.constant([0, 1], dtype), tf.constant([1, 1], dtype))
    np.testing.assert_array_equal(np.asarray(losses, np.float32), [INF, NAN])


def test_float16_is_computed_in_float16():
    p = np.float16(0.999)
    wide = binary_crossentropy(np.float32(0), np.float32(p))
    assert binary_crossentropy(np.float16(0), p) == wide.astype(np.float16)  # 1 - p is exact here, and rounded once
    z, p = np.meshgrid(np.linspace(0, 1, 33, dtype=np.float16), np.linspace(0.01, 0.99, 99, dtype=np.float16))
    once = binary_crossentropy(z.astype(np.float32), p.astype(np.float32)).astype(np.float16)
    assert np.any(binary_crossentropy(z, p) != once)


def test_the_clip_takes_the_gradient_where_the_model_is_most_wrong():
    x = tf.constant([-20.0, -17.0, -15.0])
    with tf.GradientTape() as tape:
        tape.watch(x)
        losses = keras.ops.binary_crossentropy(tf.ones(3), tf.sigmoid(x))
    # σ and its derivative are rounded a few times each
    np.testing.assert_allclose(tape.gradient(losses, x), [0, 0, -1], rtol=1e-6)
    np.testing.assert_allclose(binary_crossentropy(np.ones(3, np.float32), tf.sigmoid(x)), losses, rtol=2.4e-7)
    assert losses[0] == losses[1]


def test_without_epsilon_nothing_is_clipped():
    np.testing.assert_array_equal(binary_crossentropy([1, 0], [0, 1], epsilon=0), [INF, INF])
    np.testing.assert_array_equal(binary_crossentropy([0, 1], [0, 1], epsilon=0), [NAN, NAN])  # 0 * inf, as in a textbook


@dtypes
def test_nan_stays_at_its_place_and_nothing_warns(dtype):
    z, p = np.array([0, NAN, 1, 0.5], dtype), np.array([0.5, 0.5, NAN, 1], dtype)
    with np.errstate(all="raise"):
        np.testing.assert_array_equal(np.isnan(binary_crossentropy(z, p)), [False, True, True, False])


@pytest.mark.parametrize(
    ("label_type", "probability_type", "expected"),
    [
        (np.float16, np.float16, np.float16),
        (np.float32, np.float32, np.float32),
        (np.float64, np.float64, np.float64),
        (np.int64, np.float32, np.float32),
        (np.bool_, np.float16, np.float16),
        (np.float64, np.float32, np.float64),
        (np.bool_, np.int8, np.float64),
    ],
)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3, 4)])
def test_types_and_shapes_are_kept(label_type, probability_type, expected, shape):
    losses = binary_crossentropy(np.ones(shape, label_type), np.zeros(shape, probability_type))
    assert (losses.dtype, losses.shape) == (expected, shape)


@pytest.mark.parametrize(
    ("labels", "probabilities", "options", "error", "message"),
    [
        (np.zeros(4), np.zeros((4, 1)), {}, ValueError, r"labels and probabilities must have .*, got \(4,\) and \(4, 1\)"),
        ([0.0, 2.0], [0.5, 0.5], {}, ValueError, r"labels must lie in \[0, 1\], got 2\.0 at index \(1,\)$"),
        ([0.0, 1.0], [0.5, 3.0], {}, ValueError, r"probabilities must lie in \[0, 1\], got 3\.0 at index \(1,\)$"),
        (-2, -1, {"check_labels": False}, ValueError, r"probabilities must lie in \[0, 1\], got -1\.0$"),
        (0, 0.5, {"epsilon": 0.5}, ValueError, r"epsilon must lie in \[0, 0\.5\), got 0\.5$"),
        (0, 0.5, {"epsilon": -1e-7}, ValueError, r"epsilon must lie in \[0, 0\.5\), got -1e-07$"),
        (0, 0.5, {"epsilon": NAN}, ValueError, r"epsilon must lie in \[0, 0\.5\), got nan$"),
        ("no", 0.5, {}, TypeError, "labels must hold booleans, integers or float16, float32, float64, got <U2"),
        (0, 0.5j, {}, TypeError, "probabilities must hold .*, got complex128"),
    ],
    ids=["shapes", "label", "logit", "probability", "half", "negative", "nan", "string", "complex"],
)
def test_bad_input_is_refused_by_name(labels, probabilities, options, error, message):
    with pytest.raises(error, match=message):
        binary_crossentropy(labels, probabilities, **options)
