"""What was published of losses over several classes, computed again: by the libraries, by hand, by the helpers, exactly."""

import keras
import mpmath
import numpy as np
import pytest
import tensorflow as tf

from helpers import categorical, exhibits
from helpers.binary import sigmoid_cross_entropy_with_logits
from helpers.precision import error_in_eps, exact_sigmoid_cross_entropy, exact_softmax_cross_entropy

EPS = np.finfo(np.float32).eps


def arrays(exhibit, *names):
    return [np.array(exhibit[name], int if name == "labels" else exhibit["dtype"]) for name in names]


def numbers(printed):
    return np.array(printed, np.float32)  # from the digits that were printed


def test_the_mean_of_five_sigmoid_losses():
    logits, labels = arrays(exhibits.BINARY_MEAN, "logits", "labels")
    printed = numbers(exhibits.BINARY_MEAN["printed_mean"])
    by_keras = keras.losses.BinaryCrossentropy(from_logits=True)(labels, logits).numpy()
    ours = sigmoid_cross_entropy_with_logits(labels, logits).mean()
    # each of the five losses, their sum and its fifth are rounded: 2 eps of a mean of about a third
    np.testing.assert_allclose([by_keras, ours], printed, rtol=2 * EPS)
    exact = np.mean(exact_sigmoid_cross_entropy(labels, logits))
    assert abs(float(exact) - printed) <= EPS


@pytest.fixture
def sparse_rows():
    return arrays(exhibits.SPARSE_ROWS, "labels", "logits")


def test_the_sparse_losses_by_keras_and_by_hand(sparse_rows):
    labels, logits = sparse_rows
    table = exhibits.SPARSE_ROWS
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="none")
    by_keras = loss(labels, logits).numpy()
    by_hand = -np.log(np.sum(tf.nn.softmax(logits).numpy() * categorical.one_hot(labels, 10), axis=-1))
    # what each loses is an eps of log-sum-exp's 1 + …, not of the loss: hence absolute, and the printed digits alike
    np.testing.assert_allclose(by_keras, numbers(table["printed_losses"]), rtol=2 * EPS, atol=EPS / 2)
    np.testing.assert_allclose(by_hand, numbers(table["printed_by_hand"]), rtol=2 * EPS, atol=EPS)
    np.testing.assert_allclose(by_keras.mean(), float(table["printed_mean"]), rtol=2 * EPS)
    np.testing.assert_allclose(by_keras.sum(), float(table["printed_sum"]), rtol=2 * EPS)
    np.testing.assert_allclose(by_hand.sum(), float(table["printed_by_hand_sum"]), rtol=2 * EPS)


def test_neither_published_number_for_the_middle_row_is_right_and_ours_is(sparse_rows):
    labels, logits = sparse_rows
    exact = exact_softmax_cross_entropy(int(labels[1]), logits[1])
    assert mpmath.nstr(exact, 10) == "0.009281372939"
    ours = categorical.sparse_softmax_cross_entropy_with_logits(labels, logits)
    assert f"{ours[1]:.6g}" == mpmath.nstr(exact, 6) == "0.00928137"
    for name in ("printed_losses", "printed_by_hand"):
        assert error_in_eps(float(exhibits.SPARSE_ROWS[name][1]), exact, "float32") > 20


def test_the_losses_of_the_probability_rows():
    labels, probabilities = arrays(exhibits.PROBABILITY_ROWS, "labels", "probabilities")
    printed = numbers(exhibits.PROBABILITY_ROWS["printed_losses"])
    one_hot = np.eye(3, dtype=np.float32)
    losses = [
        keras.losses.CategoricalCrossentropy(reduction="none")(one_hot, probabilities).numpy(),
        keras.losses.SparseCategoricalCrossentropy(reduction="none")(labels, probabilities).numpy(),
        categorical.categorical_crossentropy(one_hot, probabilities),
        categorical.sparse_categorical_crossentropy(labels, probabilities),
    ]
    for loss in losses:
        # the quotient is rounded, by half an eps of 1 after the logarithm, and the logarithm after that
        np.testing.assert_allclose(loss, printed, rtol=EPS, atol=EPS / 2)
    assert f"{np.log(1.99 / 0.89):.6f}" == f"{printed[1]:.6f}"


@pytest.fixture
def language_model():
    table = exhibits.LANGUAGE_MODEL
    logits = np.random.default_rng(0).normal(size=table["logits_shape"]).astype(table["dtype"])
    labels = np.array(table["labels"])
    return labels, logits, np.isin(labels, table["printed_nan_at_labels"])


def test_labels_out_of_range_are_an_error_in_tensorflow_and_here(language_model):
    labels, logits, _ = language_model
    with pytest.raises(
        tf.errors.InvalidArgumentError, match=r"label value of \d+ which is outside the valid range of \[0, 9\)"
    ):
        tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
    with pytest.raises(ValueError, match=r"labels must lie in \[0, 9\), got 9 at index \(1, 3\)"):
        categorical.sparse_softmax_cross_entropy_with_logits(labels, logits)


def test_labels_out_of_range_are_nan_once_compiled_as_was_printed(language_model):
    labels, logits, outside = language_model
    compiled = tf.function(tf.nn.sparse_softmax_cross_entropy_with_logits, jit_compile=True)
    losses = compiled(labels=labels, logits=logits).numpy()
    np.testing.assert_array_equal(np.isnan(losses), outside)
    ours = categorical.sparse_softmax_cross_entropy_with_logits(labels[~outside], logits[~outside])
    np.testing.assert_allclose(losses[~outside], ours, rtol=8 * EPS)  # no loss is small: nothing cancels


def test_labels_out_of_range_cost_nothing_through_one_hot_as_was_printed(language_model):
    labels, logits, outside = language_model
    losses = tf.nn.softmax_cross_entropy_with_logits(labels=tf.one_hot(labels, 9), logits=logits).numpy()
    assert np.all(losses[outside] == float(exhibits.LANGUAGE_MODEL["printed_one_hot_at_those"]))
    assert np.all(losses[~outside] > 0)
