"""TensorFlow's and Keras's softmax losses: where they agree with the book's, and where they lose digits.

Failures of the libraries are asserted as failures: a version that corrects one makes its test fail, and then the
chapter must change.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

from helpers.categorical import (
    log_softmax,
    log_sum_exp,
    one_hot,
    softmax,
    softmax_cross_entropy_gradient,
    sparse_softmax_cross_entropy_gradient,
)
from helpers.categorical import softmax_cross_entropy_with_logits as dense
from helpers.categorical import sparse_softmax_cross_entropy_with_logits as sparse

DTYPES = [np.float16, np.float32, np.float64]


def tf_sparse(labels, logits):
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits).numpy()


def tf_dense(labels, logits):
    return tf.nn.softmax_cross_entropy_with_logits(labels=labels, logits=logits).numpy()


@pytest.mark.parametrize("dtype", DTYPES)
def test_losses_match_tensorflow_up_to_its_cancellation(dtype):
    rng = np.random.default_rng(0)
    for scale in (0.1, 1, 10, 100):
        x = rng.normal(0, scale, (100, 10)).astype(dtype)
        y, w = rng.integers(0, 10, 100), rng.random((100, 10)).astype(dtype)
        # TensorFlow subtracts x_y - m from log(1 + …): an absolute error of an eps of either, and one of log 10 on top;
        # for float16 each of its ten terms is rounded as well
        gap = np.ptp(x.astype(float), axis=-1)
        apart = 8 * float(np.finfo(dtype).eps) * (gap + np.log(10))
        assert np.all(np.abs(sparse(y, x).astype(float) - tf_sparse(y, x)) <= apart)
        assert np.all(np.abs(dense(w, x).astype(float) - tf_dense(w, x)) <= 10 * apart)  # a sum of ten of them


def tf_gradient(loss, labels, logits):
    x = tf.constant(logits)
    with tf.GradientTape() as tape:
        tape.watch(x)
        losses = loss(labels=labels, logits=x)
    return tape.gradient(losses, x).numpy()


@pytest.mark.parametrize("dtype", DTYPES)
def test_gradients_match_tensorflow_up_to_its_cancellation(dtype):
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(0, scale, (100, 8)) for scale in (0.1, 1, 10, 300)]).astype(dtype)
    x[::2] = np.round(x[::2])  # ties
    y, w = rng.integers(0, 8, len(x)), softmax(rng.normal(size=x.shape).astype(dtype))
    # TensorFlow rounds x - m, e^…, sum and quotient in the type itself, float16 too, and subtracts the label: absolute
    # errors of a few eps
    atol = 8 * float(np.finfo(dtype).eps)
    by_index = tf_gradient(tf.nn.sparse_softmax_cross_entropy_with_logits, y, x)
    np.testing.assert_allclose(by_index, sparse_softmax_cross_entropy_gradient(y, x), rtol=0, atol=atol)
    by_row = tf_gradient(tf.nn.softmax_cross_entropy_with_logits, w, x)
    np.testing.assert_allclose(by_row, softmax_cross_entropy_gradient(w, x), rtol=0, atol=atol)


@pytest.mark.parametrize("dtype", DTYPES[1:])
def test_softmax_and_log_sum_exp_match_tensorflow(dtype):
    x = np.random.default_rng(0).normal(0, 10, (100, 10)).astype(dtype)
    largest, eps = float(np.abs(x).max()), float(np.finfo(dtype).eps)
    # x - m is rounded on each side
    np.testing.assert_allclose(softmax(x), tf.nn.softmax(x), rtol=(8 + 2 * largest) * eps)
    np.testing.assert_allclose(log_softmax(x), tf.nn.log_softmax(x), atol=(8 + 2 * largest) * eps)
    np.testing.assert_allclose(log_sum_exp(x), tf.reduce_logsumexp(x, axis=-1), atol=(8 + largest) * eps)


def test_one_hot_is_tensorflows_in_range():
    y = np.array([[0, 3], [2, 1]])
    np.testing.assert_array_equal(one_hot(y, 4), tf.one_hot(y, 4, dtype=tf.int8), strict=True)


def test_the_mean_over_labels_that_count_is_keras_mean_with_ignore_class():
    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(4, 6, 9)).astype(np.float32), rng.integers(-1, 9, (4, 6))
    by_keras = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1)(labels, x).numpy()
    counted = labels != -1
    assert 0 < counted.sum() < counted.size
    ours = sparse(labels, x, ignore_label=-1).sum() / counted.sum()
    np.testing.assert_allclose(ours, by_keras, rtol=8 * np.finfo(np.float32).eps)  # sums of two dozen, in two orders


def test_tensorflow_loses_a_small_loss_and_its_slope_that_are_kept_here():
    x = np.float32([20, 0, 0])
    assert tf_sparse(0, x) == tf_gradient(tf.nn.sparse_softmax_cross_entropy_with_logits, 0, x)[0] == 0
    assert f"{sparse(0, x):.4e}" == "4.1223e-09"
    assert f"{sparse_softmax_cross_entropy_gradient(0, x)[0]:.4e}" == "-4.1223e-09"


def test_tensorflow_gives_nan_for_a_masked_class_by_weights_alone():
    row = np.float32([1, 2, -np.inf])
    assert np.isnan(tf_dense(np.float32([1, 0, 0]), row))
    np.testing.assert_allclose([tf_sparse(0, row), dense([1, 0, 0], row)], sparse(0, row), rtol=1e-6)
