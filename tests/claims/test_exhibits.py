"""What was published is printed again, by libraries, by hand and by the helpers; the exact value says which is right."""

import keras
import mpmath
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.keras import backend as keras_2  # Keras 2's losses, which TensorFlow still carries

from helpers import binary, categorical, exhibits, information, precision

EPS = float(np.finfo(np.float32).eps)


def arrays(exhibit, *names):
    return [np.array(exhibit[name], int if name == "labels" else exhibit["dtype"]) for name in names]


def numbers(printed):
    return np.array(printed, np.float32)  # from the digits that were printed


# The article on the sigmoid loss.

TABLE = exhibits.SIGMOID_TABLE
z, x = (np.array(TABLE[name], TABLE["dtype"]) for name in ("labels", "logits"))


def naive():
    with np.errstate(over="ignore"):
        return x * (1 - z) + np.log(1 + np.exp(-x))


def max_abs_with_log():
    return np.maximum(x, 0) - x * z + np.log(1 + np.exp(-np.abs(x)))


def tensorflow():
    return tf.nn.sigmoid_cross_entropy_with_logits(labels=z, logits=x).numpy()


@pytest.mark.parametrize(
    ("name", "formula"),
    [("printed_naive", naive), ("printed_max_abs", max_abs_with_log), ("printed_tensorflow", tensorflow)],
)
def test_the_sigmoid_table_is_printed_again_to_the_last_digit(name, formula):
    assert [[f"{value:.8e}" for value in row] for row in formula()] == TABLE[name]


def test_the_last_entry_is_right_with_log1p_and_wrong_with_log():
    truth = precision.exact_sigmoid_cross_entropy(z[-1, -1], x[-1, -1])
    assert mpmath.nstr(truth, 10) == "1.026187963e-10"
    assert f"{np.log1p(np.exp(-23.0)):.9e}" == "1.026187963e-10"
    assert f"{np.log(1 + np.exp(-23.0)):.9e}" == "1.026188023e-10"
    assert mpmath.nstr(truth, 9) == TABLE["printed_tensorflow"][-1][-1] != TABLE["printed_max_abs"][-1][-1]


# The question on losses over several classes, and its answers.


def test_the_mean_of_five_sigmoid_losses():
    logits, labels = arrays(exhibits.BINARY_MEAN, "logits", "labels")
    printed = numbers(exhibits.BINARY_MEAN["printed_mean"])
    by_keras = keras.losses.BinaryCrossentropy(from_logits=True)(labels, logits).numpy()
    ours = binary.sigmoid_cross_entropy_with_logits(labels, logits).mean()
    # each of the five losses, their sum and its fifth are rounded: 2 eps of a mean of about a third
    np.testing.assert_allclose([by_keras, ours], printed, rtol=2 * EPS)
    exact = np.mean(precision.exact_sigmoid_cross_entropy(labels, logits))
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
    exact = precision.exact_softmax_cross_entropy(int(labels[1]), logits[1])
    assert mpmath.nstr(exact, 10) == "0.009281372939"
    ours = categorical.sparse_softmax_cross_entropy_with_logits(labels, logits)
    assert f"{ours[1]:.6g}" == mpmath.nstr(exact, 6) == "0.00928137"
    for name in ("printed_losses", "printed_by_hand"):
        assert precision.error_in_eps(float(exhibits.SPARSE_ROWS[name][1]), exact, "float32") > 20


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
    return labels, logits, np.isnan(numbers(table["printed_losses"]))


def test_the_printouts_of_the_language_model_differ_out_of_range_alone(language_model):
    table, (labels, _, outside) = exhibits.LANGUAGE_MODEL, language_model
    losses, by_hand = numbers(table["printed_losses"]), numbers(table["printed_by_hand"])
    np.testing.assert_array_equal(outside, labels >= table["vocabulary"])
    np.testing.assert_allclose(by_hand[~outside], losses[~outside], rtol=EPS)
    assert np.all(by_hand[outside] == 0)
    assert by_hand.sum() == pytest.approx(float(table["printed_by_hand_sum"]), rel=2 * EPS)


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
    assert np.all(losses[outside] == numbers(exhibits.LANGUAGE_MODEL["printed_by_hand"])[outside])
    assert np.all(losses[~outside] > 0)


# The question on labels that are not binary: three generations of Keras, and why two of its numbers agree.

KEYS = ("labels", "probabilities", "printed")
CASES = [tuple(np.float32(case[key]) for key in KEYS) for case in exhibits.NON_BINARY["cases"]]
cases = pytest.mark.parametrize(("labels", "probabilities", "printed"), CASES)
TESTS = CASES[:3]


def keras_1(labels, probabilities):
    """Compute as Keras did with TensorFlow 1: clip, turn back into logits, and let TensorFlow's op do the rest."""
    epsilon = probabilities.dtype.type(1e-7)
    p = tf.clip_by_value(probabilities, epsilon, 1 - epsilon)
    return tf.nn.sigmoid_cross_entropy_with_logits(labels=labels, logits=tf.math.log(p / (1 - p)))


@cases
def test_the_printed_losses_come_out_again(labels, probabilities, printed):
    ours = np.mean(binary.binary_crossentropy(labels, probabilities, check_labels=False))
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
    np.testing.assert_allclose(loss, np.float32(printed), rtol=EPS)
    assert loss < published  # the second epsilon, inside the logarithm, makes each loss a little smaller


def test_test_2_is_the_mean_of_two_caps_each_halved():
    labels, probabilities, printed = CASES[1]
    halves = binary.binary_crossentropy(labels, probabilities)
    np.testing.assert_allclose(halves, np.array([15.942385, 16.118095], np.float32)[::-1] / 2, rtol=EPS)
    assert np.mean(halves) == pytest.approx((16.118095 + 15.942385) / 4, rel=EPS)
    assert np.mean(halves) == pytest.approx(float(printed), rel=EPS)
    in_float64 = binary.binary_crossentropy(labels.astype(float), probabilities.astype(float))
    assert np.mean(in_float64) == pytest.approx(8.059047876, abs=1e-9)  # the digits that are written here
    assert information.cross_entropy([0.5, 0.5], [0.0, 1.0]) == np.inf  # what it would be without the clip


def test_tests_1_and_3_agree_because_at_one_half_no_label_matters():
    p = np.full(5, 0.5, np.float32)
    labels = np.array([-2, 0, 0.3, 1, 2], np.float32)
    losses = binary.binary_crossentropy(labels, p, check_labels=False)
    np.testing.assert_allclose(losses, np.log(2), rtol=2 * EPS)  # two products and a sum, of numbers up to 2 log 2


@cases
def test_clipping_the_labels_would_give_other_numbers(labels, probabilities, printed):
    clipped = np.mean(binary.binary_crossentropy(np.clip(labels, 0, 1), probabilities))
    expected = {"2.0512707": 1.2039728, "-1.3379208": 0.35667497}  # -log 0.3 and -log 0.7
    np.testing.assert_allclose(clipped, np.float32(expected.get(str(printed), printed)), rtol=2 * EPS)
