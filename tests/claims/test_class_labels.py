"""What TensorFlow, Keras and optax make of wrong labels, masks, weights and a forgotten softmax.

Failures of the libraries are asserted as failures: a version without the failure makes its test fail, and the chapter is due
for a change.
"""

import warnings

import keras
import numpy as np
import optax
import pytest
import tensorflow as tf

from helpers.categorical import log_softmax, one_hot, softmax

EPS = np.finfo(np.float32).eps
SPARSE, DENSE = keras.losses.SparseCategoricalCrossentropy, keras.losses.CategoricalCrossentropy
LOGITS = np.random.default_rng(0).normal(size=(3, 8, 9)).astype(np.float32)
COUNTED = np.arange(8) < np.array([[8], [5], [2]])
LABELS = np.where(COUNTED, np.arange(24).reshape(3, 8) % 9, 0)


def per_token():
    losses = -np.take_along_axis(log_softmax(LOGITS), LABELS[..., None], axis=-1)[..., 0]
    return losses[COUNTED].sum() / COUNTED.sum(), losses[COUNTED].sum() / COUNTED.size


def test_optax_reads_a_large_label_as_nan_and_minus_one_as_the_last():
    losses = np.asarray(optax.softmax_cross_entropy_with_integer_labels(np.float32([[1, 2, 3]] * 3), np.array([5, -1, 2])))
    assert np.isnan(losses[0])
    assert losses[1] == losses[2]


def test_keras_masks_and_ignored_classes_divide_by_what_counts():
    counted, _ = per_token()
    model = keras.Sequential([keras.Input((8, 9)), keras.layers.Masking()])
    model.compile(loss=SPARSE(from_logits=True))
    by_mask = model.evaluate(LOGITS * COUNTED[..., None], LABELS, verbose=0)
    by_class = SPARSE(from_logits=True, ignore_class=-1)(np.where(COUNTED, LABELS, -1), LOGITS)
    np.testing.assert_allclose([by_mask, by_class], [counted, counted], rtol=8 * EPS)
    assert SPARSE(from_logits=True, ignore_class=-1)(np.full((3, 8), -1), LOGITS) == 0


@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "mean"])
def test_keras_weights_divide_by_all_positions(reduction):
    counted, all_positions = per_token()
    weights = COUNTED.astype(np.float32)
    loss = SPARSE(from_logits=True, reduction=reduction)(LABELS, LOGITS, sample_weight=weights)
    np.testing.assert_allclose(loss, all_positions, rtol=8 * EPS)
    loss = SPARSE(from_logits=True, reduction="mean_with_sample_weight")(LABELS, LOGITS, sample_weight=weights)
    np.testing.assert_allclose(loss, counted, rtol=8 * EPS)


@pytest.mark.parametrize("compiled", [False, True])
def test_the_slope_of_a_zero_row_is_p_in_tensorflow_from_logits(compiled):
    def slope(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.nn.softmax_cross_entropy_with_logits(labels=tf.zeros((1, 3)), logits=x)
        return tape.gradient(loss, x)

    x = tf.constant([[1.0, 2.0, -1.0]])
    slope = tf.function(slope, jit_compile=True) if compiled else slope
    np.testing.assert_allclose(slope(x), softmax(x.numpy()), rtol=4 * EPS)


def test_the_slope_of_a_zero_row_is_zero_in_keras_from_probabilities():
    x = tf.constant([[1.0, 2.0, -1.0]])
    with tf.GradientTape() as tape:
        tape.watch(x)
        loss = DENSE()(np.zeros((1, 3), np.float32), tf.nn.softmax(x))
    assert not np.any(tape.gradient(loss, x))


def test_a_masked_class_by_weights_is_right_once_compiled():
    masked, row = np.float32([[1, 2, -np.inf]]), np.float32([[1, 0, 0]])
    compiled = tf.function(tf.nn.softmax_cross_entropy_with_logits, jit_compile=True)
    np.testing.assert_allclose(compiled(labels=row, logits=masked), np.log1p(np.exp([1])), rtol=4 * EPS)


def test_a_zero_head_without_from_logits_is_log_c_or_nan_and_never_learns():
    zeros = tf.zeros((1, 10))
    with tf.GradientTape() as tape:
        tape.watch(zeros)
        loss = SPARSE()(np.array([1]), zeros)
    np.testing.assert_allclose(loss, np.log(10), rtol=2 * EPS)
    assert not np.any(tape.gradient(loss, zeros))
    assert np.isnan(DENSE()(one_hot([1], 10).astype(np.float32), zeros))


@pytest.mark.parametrize(("of", "seen"), [(keras.activations.softmax, "always"), (tf.nn.softmax, "compiled")])
def test_keras_finds_the_softmax_behind_its_input(of, seen):
    row, loss = tf.constant([[-1.0, 2.0, -3.0]]), SPARSE(from_logits=True)
    right = loss(np.array([1]), row).numpy()
    for compiled in (False, True):
        call = tf.function(lambda x: loss(np.array([1]), of(x))) if compiled else lambda x: loss(np.array([1]), of(x))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            found = abs(call(row).numpy() - right) <= 4 * EPS
        assert found == bool(caught) == (compiled or seen == "always")


def test_keras_drops_a_last_axis_of_length_one_and_refuses_other_shapes():
    logits = np.zeros((3, 10), np.float32)
    assert SPARSE(from_logits=True, reduction=None)(np.zeros((3, 1), int), logits).shape == (3,)
    for shape in ((2,), (3, 10)):
        with pytest.raises(ValueError, match="must have"):
            SPARSE(from_logits=True)(np.zeros(shape, int), logits)
    with pytest.raises(ValueError, match="must equal"):
        tf.nn.sparse_softmax_cross_entropy_with_logits(labels=np.zeros((3, 1), int), logits=logits)
