"""Keras's losses from probabilities and its divergence: their arithmetic, their caps and their failures."""

import keras
import ml_dtypes
import numpy as np
import pytest
import tensorflow as tf

from helpers.binary import binary_crossentropy
from helpers.categorical import categorical_crossentropy, one_hot, softmax, sparse_categorical_crossentropy
from helpers.information import kl_divergence

INF, NAN = np.inf, np.nan

dtypes = pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
wide_dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])


# --- binary -------------------------------------------------------------------------------------------------------------


@dtypes
def test_keras_has_the_same_binary_losses_and_failures(dtype):
    small = np.concatenate([[0, 1e-12], np.geomspace(1e-9, 0.5, 60)])  # dense near 0 and, as 1 - p, near 1
    z, p = np.meshgrid(np.linspace(0, 1, 9, dtype=dtype), np.unique(np.concatenate([small, 1 - small]).astype(dtype)))
    keras_losses = keras.ops.convert_to_numpy(keras.ops.binary_crossentropy(z, p))
    # the same operations in the same type; the two libraries' logarithms may differ in their last bit
    np.testing.assert_allclose(binary_crossentropy(z, p), keras_losses, rtol=2 * np.finfo(dtype).eps, strict=True)
    failed = ~np.isfinite(keras_losses)
    assert np.array_equal(failed, p == 1 if dtype == np.float16 else np.zeros(p.shape, bool))


@dtypes
def test_keras_accepts_labels_outside_the_unit_interval(dtype):
    z, p = np.meshgrid(np.array([-2, -1, 1.5, 2, 255], dtype), np.linspace(0.01, 0.99, 99, dtype=dtype))
    losses = binary_crossentropy(z, p, check_labels=False)
    # the two terms have opposite signs here: what counts is the rounding of the larger
    atol = 4 * np.finfo(dtype).eps * (abs(z * np.log(p)) + abs((1 - z) * np.log(1 - p)))
    assert np.all(abs(losses - keras.ops.convert_to_numpy(keras.ops.binary_crossentropy(z, p))) <= atol)
    assert losses.min() < 0


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_a_right_prediction_in_16_bits_is_nan_in_keras(dtype):
    losses = keras.ops.binary_crossentropy(tf.constant([0, 1], dtype), tf.constant([1, 1], dtype))
    np.testing.assert_array_equal(np.asarray(losses, np.float32), [INF, NAN])


def test_the_clip_takes_the_gradient_where_the_model_is_most_wrong():
    x = tf.constant([-20.0, -17.0, -15.0])
    with tf.GradientTape() as tape:
        tape.watch(x)
        losses = keras.ops.binary_crossentropy(tf.ones(3), tf.sigmoid(x))
    # σ and its derivative are rounded a few times each
    np.testing.assert_allclose(tape.gradient(losses, x), [0, 0, -1], rtol=1e-6)
    np.testing.assert_allclose(binary_crossentropy(np.ones(3, np.float32), tf.sigmoid(x)), losses, rtol=2.4e-7)
    assert losses[0] == losses[1]


# --- several classes ----------------------------------------------------------------------------------------------------


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
def test_keras_has_the_same_losses_of_several_classes(dtype, label):
    p, y = probability_rows(dtype), np.full(50, label)
    w = one_hot(y, 5)
    by_keras = keras.ops.categorical_crossentropy(w.astype(dtype), p).numpy()
    sparse_by_keras = keras.ops.sparse_categorical_crossentropy(y, p).numpy()
    eps = np.finfo(dtype).eps
    # the same operations in the same order: what is left is the rounding of log and exp in two libraries, of each size that
    # passes through them, up to 16
    np.testing.assert_allclose(categorical_crossentropy(w, p), by_keras, rtol=4 * eps, strict=True)
    ours = sparse_categorical_crossentropy(y, p)
    np.testing.assert_allclose(ours, sparse_by_keras, rtol=4 * eps, atol=4 * eps, strict=True)


@wide_dtypes
def test_keras_has_the_same_losses_of_soft_labels_and_any_epsilon(dtype):
    p = probability_rows(dtype)
    w = softmax(np.random.default_rng(1).normal(size=p.shape).astype(dtype))
    for epsilon in (1e-7, 1e-3):
        keras.config.set_epsilon(epsilon)
        try:
            by_keras = keras.ops.categorical_crossentropy(w, p).numpy()
        finally:
            keras.config.set_epsilon(1e-7)
        computed = categorical_crossentropy(w, p, epsilon=epsilon)
        np.testing.assert_allclose(computed, by_keras, rtol=8 * np.finfo(dtype).eps)  # sums of five


def test_a_row_of_zeros_is_nan_by_weights_and_uniform_by_index():
    zeros = np.zeros(3, np.float32)
    for loss in (categorical_crossentropy, keras.ops.categorical_crossentropy):
        assert np.isnan(loss(np.float32([1, 0, 0]), zeros))
    for loss in (sparse_categorical_crossentropy, keras.ops.sparse_categorical_crossentropy):
        np.testing.assert_allclose(loss(0, zeros), np.log(3), rtol=1e-6)


# --- divergence ---------------------------------------------------------------------------------------------------------


@wide_dtypes
def test_keras_has_the_same_divergence_where_it_clips_nothing(dtype):
    p, q = np.random.default_rng(0).dirichlet(np.ones(5), (2, 20)).astype(dtype)
    assert min(p.min(), q.min()) > 1e-7
    # Keras's sum cancels: its terms, of the size of the logarithms, are rounded a few times each
    atol = 4 * np.finfo(dtype).eps * np.sum(p * abs(np.log(p / q)) + p, axis=-1).max()
    np.testing.assert_allclose(keras.losses.kl_divergence(p, q), kl_divergence(p, q), rtol=0, atol=atol)


def test_keras_gives_an_infinite_divergence_a_finite_value():
    p, q = np.float32([0.5, 0.5]), np.float32([0, 1])
    # log(0.5 / 1e-7) / 2 + log(0.5) / 2, in a few roundings
    np.testing.assert_allclose(keras.losses.kl_divergence(p, q), 7.365901, rtol=4 * np.finfo(np.float32).eps)
    assert kl_divergence(p, q) == INF


def test_keras_gives_negative_divergences_of_rows_that_do_not_sum_to_1():
    p, q = np.float32([0.2, 0.2]), np.float32([0.6, 0.6])
    assert keras.losses.kl_divergence(p, q) < 0
    with pytest.raises(ValueError, match=r"^p must sum to 1 "):
        kl_divergence(p, q)
