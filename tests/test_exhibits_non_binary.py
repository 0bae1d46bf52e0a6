"""The question on labels that are not binary: its numbers, from three generations of Keras, and why two of them agree."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.keras import backend as keras_2  # Keras 2's losses, which TensorFlow still carries

from helpers.binary import binary_crossentropy
from helpers.exhibits import NON_BINARY
from helpers.information import cross_entropy

DTYPE = np.dtype(NON_BINARY["dtype"])
EPS = float(np.finfo(DTYPE).eps)

CASES = [
    (np.array(case["labels"], DTYPE), np.array(case["probabilities"], DTYPE), DTYPE.type(case["printed"]))
    for case in NON_BINARY["cases"]
]
cases = pytest.mark.parametrize(("labels", "probabilities", "printed"), CASES)
TESTS = CASES[:3]


def keras_1(labels, probabilities):
    """Compute as Keras did with TensorFlow 1: clip, turn back into logits, and let TensorFlow's op do the rest."""
    epsilon = probabilities.dtype.type(1e-7)
    p = tf.clip_by_value(probabilities, epsilon, 1 - epsilon)
    return tf.nn.sigmoid_cross_entropy_with_logits(labels=labels, logits=tf.math.log(p / (1 - p)))


@cases
def test_the_printed_losses_come_out_again(labels, probabilities, printed):
    ours = np.mean(binary_crossentropy(labels, probabilities, check_labels=False))
    theirs = keras.losses.binary_crossentropy(labels, probabilities)
    # the last digit of a float32 depends on the build: the logarithms may differ by a bit, and their sum with them
    np.testing.assert_allclose([ours, theirs], np.full(2, printed), rtol=EPS)


@pytest.mark.parametrize("case", TESTS, ids=["test 1", "test 2", "test 3"])
def test_keras_of_tensorflow_1_printed_the_question(case):
    labels, probabilities, printed = case
    # log, exp and log1p, each good to a bit
    np.testing.assert_allclose(np.mean(keras_1(labels, probabilities)), printed, rtol=2 * EPS)


@pytest.mark.parametrize(("test", "printed"), [(0, 0.69314694), (1, 7.6895466), (2, 0.69314694)])
def test_keras_2_prints_other_numbers(test, printed):
    labels, probabilities, published = TESTS[test]
    loss = np.mean(keras_2.binary_crossentropy(labels, probabilities))
    np.testing.assert_allclose(loss, DTYPE.type(printed), rtol=EPS)
    assert loss < published  # the second epsilon, inside the logarithm, makes each loss a little smaller


def test_test_2_is_the_mean_of_two_caps_each_halved():
    labels, probabilities, printed = CASES[1]
    halves = binary_crossentropy(labels, probabilities)
    np.testing.assert_allclose(halves, np.array([15.942385, 16.118095], DTYPE)[::-1] / 2, rtol=EPS)
    assert np.mean(halves) == pytest.approx((16.118095 + 15.942385) / 4, rel=EPS)
    assert np.mean(halves) == pytest.approx(float(printed), rel=EPS)
    in_float64 = binary_crossentropy(labels.astype(float), probabilities.astype(float))
    assert np.mean(in_float64) == pytest.approx(8.059047876, abs=1e-9)  # the digits that are written here
    assert cross_entropy([0.5, 0.5], [0.0, 1.0]) == np.inf  # what it would be without the clip


def test_tests_1_and_3_agree_because_at_one_half_no_label_matters():
    p = np.full(5, 0.5, DTYPE)
    labels = np.array([-2, 0, 0.3, 1, 2], DTYPE)
    losses = binary_crossentropy(labels, p, check_labels=False)
    np.testing.assert_allclose(losses, np.log(2), rtol=2 * EPS)  # two products and a sum, of numbers up to 2 log 2


@cases
def test_clipping_the_labels_would_give_other_numbers_wherever_they_matter(labels, probabilities, printed):
    clipped = np.mean(binary_crossentropy(np.clip(labels, 0, 1), probabilities))
    expected = {"2.0512707": 1.2039728, "-1.3379208": 0.35667497}  # -log 0.3 and -log 0.7
    np.testing.assert_allclose(clipped, DTYPE.type(expected.get(str(printed), printed)), rtol=2 * EPS)
