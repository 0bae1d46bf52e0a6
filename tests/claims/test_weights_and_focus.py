"""What TensorFlow and Keras make of weights, smoothing and focus, as the chapter tells it.

Failures of the libraries are asserted as failures: a version that corrects one makes its test fail, and then the
chapter must change.
"""

from pathlib import Path

import keras
import nbformat
import numpy as np
import pytest
import tensorflow as tf

from helpers.binary import (
    focal_cross_entropy_with_logits,
    sigmoid_cross_entropy_with_logits,
    weighted_cross_entropy_with_logits,
)
from helpers.categorical import (
    one_hot,
    softmax_cross_entropy_with_logits,
    sparse_softmax_cross_entropy_with_logits,
)
from helpers.information import entropy

EPS = float(np.finfo(np.float32).eps)


def loss_and_slope(loss, labels, logits):
    x = tf.constant(logits, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = loss(tf.constant(labels, tf.float32), x)
    return value.numpy(), tape.gradient(value, x).numpy()


def keras_focal(gamma, **options):
    """Return Keras's loss for each element: it averages over the last axis, which is made one element long."""
    return lambda z, x: keras.losses.binary_focal_crossentropy(
        z[..., None], x[..., None], gamma=gamma, from_logits=True, **options
    )


# --- Keras's focal losses: where they are right -------------------------------------------------------------------------


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0, 5.0])
def test_focal_loss_is_keras_own_where_1_minus_p_keeps_its_digits(gamma):
    z, x = np.meshgrid(np.float32([0, 0.25, 1]), np.linspace(-8, 8, 65, dtype=np.float32))
    theirs = keras_focal(gamma)(z, x).numpy()
    wrong = (1 - z) / (1 + np.exp(-x)) + z / (1 + np.exp(x))
    # 1 - p_t is rounded by half an eps of 1 at each of up to four operations: relative to 1 - p_t, and gamma times
    allowed = (4 * (1 + gamma) + 2 * gamma / wrong) * EPS
    assert np.all(np.abs(theirs / focal_cross_entropy_with_logits(z, x, gamma) - 1) <= allowed)


def test_keras_balances_classes_by_a_plain_weight():
    z, x = np.float32([0, 1, 1]), np.float32([0.5, -2, 1])
    theirs = keras_focal(2.0, apply_class_balancing=True, alpha=0.25)(z, x).numpy()
    ours = (0.25 * z + 0.75 * (1 - z)) * focal_cross_entropy_with_logits(z, x)
    np.testing.assert_allclose(theirs, ours, rtol=32 * EPS)  # 1 - p_t is at least 1/4: the allowance of the test above


# --- and where they are not ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gamma", [0.0, 0.1, 0.5, 0.9])
def test_keras_focal_gradient_is_nan_for_gamma_below_1_once_sigmoid_is_1(gamma):
    x = np.float32([16.6, 16.7, 19, 100])  # the sigmoid rounds to 1 at 16.64
    value, slope = loss_and_slope(keras_focal(gamma), np.ones(4), x)
    assert np.all(np.isfinite(value))
    assert np.isnan(slope).tolist() == [False, True, True, True]


def test_keras_focal_value_is_zero_where_the_sigmoid_is_one():
    x = np.float32([16.5, 17, 20])
    theirs = keras_focal(2.0)(np.ones(3, np.float32), x).numpy()
    assert (theirs == 0).tolist() == [False, True, True]
    assert np.all(focal_cross_entropy_with_logits(np.ones(3, np.float32), x) > 0)


def test_one_confident_right_answer_makes_keras_focal_weights_nan():
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")])
    model.compile("sgd", keras.losses.BinaryFocalCrossentropy(gamma=0.5, from_logits=True))
    model.fit(np.float32([[-1], [17]]), np.float32([[0], [1]]), batch_size=2, verbose=0)
    assert np.isnan(model.get_weights()[0]).all()


def test_keras_categorical_focal_loss_is_a_quarter_and_clips_logits():
    x, y = tf.constant([[20.0, 0, 0]]), np.float32([[0, 1, 0]])
    for alpha, expected in ((0.25, 16.118095 / 4), (1.0, 16.118095)):
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = keras.losses.categorical_focal_crossentropy(y, x, gamma=0, alpha=alpha, from_logits=True)
        np.testing.assert_allclose(loss, [expected], rtol=2 * EPS)  # -log(1e-7), not 20
        assert not tape.gradient(loss, x).numpy().any()
    assert keras.losses.CategoricalFocalCrossentropy().alpha == 0.25


# --- weights ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pos_weight", [0.5, 3.0])
def test_tensorflows_weighted_loss_loses_digits_for_negative_logits(pos_weight):
    x = np.linspace(0, 60, 121, dtype=np.float32)
    for z in (np.zeros_like(x), np.ones_like(x)):
        theirs = tf.nn.weighted_cross_entropy_with_logits(labels=z, logits=x, pos_weight=pos_weight).numpy()
        # exp and log1p on each side, and a sum and a product or two
        np.testing.assert_allclose(theirs, weighted_cross_entropy_with_logits(z, x, pos_weight), rtol=6 * EPS)
    theirs = tf.nn.weighted_cross_entropy_with_logits(
        labels=[0.0, 0.0], logits=[-17.0, -20.0], pos_weight=pos_weight
    ).numpy()
    assert not theirs.any()
    assert np.all(weighted_cross_entropy_with_logits(np.zeros(2), [-17, -20], pos_weight) > 0)


LOGITS, LABELS = np.float32([[-2], [-1], [0], [1]]), np.float32([[1], [0], [0], [0]])
WEIGHTS = np.float32([3, 1, 1, 0])
REDUCTIONS = tf.compat.v1.losses.Reduction


def weighted_by_metric(losses):
    metric = keras.metrics.BinaryCrossentropy(from_logits=True)
    metric.update_state(LABELS, LOGITS, sample_weight=WEIGHTS)
    return metric.result()


def weighted_by_keras(reduction):
    loss = keras.losses.BinaryCrossentropy(from_logits=True, reduction=reduction)
    return lambda losses: loss(LABELS, LOGITS, sample_weight=WEIGHTS)


def weighted_by_tf1(reduction):
    return lambda losses: tf.compat.v1.losses.compute_weighted_loss(losses, WEIGHTS, reduction=reduction)


@pytest.mark.parametrize(
    ("reduce", "divisor"),
    [
        (weighted_by_keras("sum_over_batch_size"), 4),
        (weighted_by_keras("mean_with_sample_weight"), WEIGHTS.sum()),
        (weighted_by_metric, WEIGHTS.sum()),
        (weighted_by_tf1(REDUCTIONS.SUM_OVER_BATCH_SIZE), 4),
        (weighted_by_tf1(REDUCTIONS.SUM_BY_NONZERO_WEIGHTS), 3),
        (weighted_by_tf1(REDUCTIONS.MEAN), WEIGHTS.sum()),
        (lambda losses: tf.nn.compute_average_loss(losses, sample_weight=WEIGHTS, global_batch_size=4), 4),
        (lambda losses: np.average(losses, weights=WEIGHTS), WEIGHTS.sum()),
    ],
)
def test_a_weighted_mean_divides_by_one_of_three_counts(reduce, divisor):
    losses = sigmoid_cross_entropy_with_logits(LABELS, LOGITS)[:, 0]
    expected = (losses * WEIGHTS).sum() / divisor
    np.testing.assert_allclose(reduce(losses), expected, rtol=4 * EPS)  # three additions, a division, and the losses' own


def test_keras_class_weight_of_several_labels_is_the_first_largests():
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(3, kernel_initializer="zeros")])
    model.compile("sgd", keras.losses.BinaryCrossentropy(from_logits=True))
    history = model.fit(np.zeros((1, 1)), np.float32([[0, 1, 1]]), class_weight={0: 3.0, 1: 5.0, 2: 7.0}, verbose=0)
    assert history.history["loss"][0] == pytest.approx(5 * np.log(2), rel=2 * EPS)


# --- smoothing ----------------------------------------------------------------------------------------------------------


def test_keras_smooths_labels_toward_one_half_and_rows_toward_uniform():
    rng = np.random.default_rng(0)
    z, x = rng.integers(0, 2, 50).astype(np.float32), rng.normal(0, 3, 50).astype(np.float32)
    theirs = keras.losses.binary_crossentropy(z[:, None], x[:, None], from_logits=True, label_smoothing=0.1)
    smoothed = z * np.float32(0.9) + np.float32(0.05)
    # TensorFlow's form cancels: 10 eps for labels 0.05 away from 0 or 1, as the chapter on the last digits derives
    np.testing.assert_allclose(theirs, sigmoid_cross_entropy_with_logits(smoothed, x), rtol=16 * EPS)

    y, rows = rng.integers(0, 7, 50), rng.normal(0, 3, (50, 7)).astype(np.float32)
    theirs = keras.losses.categorical_crossentropy(one_hot(y, 7), rows, from_logits=True, label_smoothing=0.1)
    toward_uniform = 0.9 * sparse_softmax_cross_entropy_with_logits(y, rows) + 0.1 * np.mean(
        [sparse_softmax_cross_entropy_with_logits(np.full(50, j), rows) for j in range(7)], axis=0
    )
    # sums of seven terms, logits up to about 10, losses from 0.4 on
    np.testing.assert_allclose(theirs, toward_uniform, rtol=64 * EPS)


@pytest.mark.parametrize("classes", [2, 10, 1000])
def test_smoothing_puts_a_floor_under_the_loss_at_a_finite_lead(classes):
    alpha = 0.1
    row = np.full(classes, alpha / classes)
    row[0] += 1 - alpha
    rows = np.zeros((3, classes), np.float64)
    rows[:, 0] = np.log(1 + classes * (1 - alpha) / alpha) + np.array([0, -0.01, 0.01])
    label = np.zeros((3, classes))
    label[:, 0] = 1
    losses = keras.losses.categorical_crossentropy(label, rows, from_logits=True, label_smoothing=alpha).numpy()
    np.testing.assert_allclose(losses[0], entropy(row), rtol=1e-12)  # float64, a thousand terms
    assert np.all(losses[1:] > losses[0])


def test_the_two_definitions_of_smoothing_differ_by_a_factor():
    alpha, classes = 0.1, 3
    row = np.array([2.0, 0.0, -1.0])
    of_others = np.array([1 - alpha, *2 * [alpha / (classes - 1)]])
    theirs = keras.losses.CategoricalCrossentropy(
        from_logits=True, label_smoothing=alpha * classes / (classes - 1), dtype="float64"
    )
    np.testing.assert_allclose(
        theirs(np.eye(1, classes), row[np.newaxis]), softmax_cross_entropy_with_logits(of_others, row), rtol=1e-15
    )


# --- the functions that the chapter tells readers to use ----------------------------------------------------------------


def from_chapter(name):
    """Return a function as the chapter defines it."""
    chapter = nbformat.read(Path(__file__).parents[2] / "chapters" / "weights-smoothing-and-focus.ipynb", as_version=4)
    [source] = [cell.source for cell in chapter.cells if cell.source.startswith(f"def {name}(")]
    names = {"tf": tf, "np": np}
    exec(source.partition("\n\n\n")[0], names)
    return names[name]


WAYS = pytest.mark.parametrize(
    ("policy", "compiled"), [("float32", True), ("mixed_bfloat16", False), ("mixed_float16", True)]
)
RNG = np.random.default_rng(0)
CLASSES = RNG.integers(5, size=(16, 3))
ROWS = RNG.integers(-16, 17, size=(16, 3, 5)) / 4  # few enough bits for every type


def fitted(loss, inputs, labels, policy, compiled):
    """Return the loss of `fit` for a model that returns its inputs, in the type of the policy."""
    keras.mixed_precision.set_global_policy(policy)
    try:
        width = inputs.shape[-1]
        layer = keras.layers.Dense(width, kernel_initializer="identity")
        model = keras.Sequential([keras.Input(inputs.shape[1:]), layer])
        model.compile(keras.optimizers.SGD(0.0), loss, jit_compile=compiled)
        return model.fit(inputs.astype(np.float32), labels, batch_size=len(labels), verbose=0).history["loss"][0]
    finally:
        keras.mixed_precision.set_global_policy("float32")


def exact_focal(labels, rows, gamma):
    loss = sparse_softmax_cross_entropy_with_logits(labels, rows)
    return np.mean((-np.expm1(-loss)) ** gamma * loss)


@WAYS
@pytest.mark.parametrize(
    "form",
    [
        lambda labels: labels,
        lambda labels: labels[..., None],
        lambda labels: np.eye(5)[labels],
        lambda labels: np.eye(5, dtype=np.int64)[labels],
    ],
    ids=["index", "column", "one-hot", "integer one-hot"],
)
@pytest.mark.slow
@pytest.mark.parametrize("sequences", [False, True])
def test_categorical_focal_of_the_chapter_trains_from_every_form_of_labels(policy, compiled, form, sequences):
    labels, rows = (CLASSES, ROWS) if sequences else (CLASSES[:, 0], ROWS[:, 0])
    loss = fitted(from_chapter("categorical_focal")(2.0), rows, form(labels), policy, compiled)
    # a log-sum-exp of logits below 4 loses an eps or two of 4, beside losses of about 1
    assert loss == pytest.approx(exact_focal(labels, rows, 2.0), rel=32 * EPS)


@pytest.mark.slow
@WAYS
@pytest.mark.parametrize("dtype", ["int64", "float64", "bool"])
@pytest.mark.parametrize("shape", [(48,), (48, 1), (16, 3)])
def test_focal_loss_of_the_chapter_trains_from_every_type_of_labels(policy, compiled, dtype, shape):
    labels, logits = (CLASSES % 2).reshape(shape), ROWS[..., 0].reshape(shape)
    logits = logits[:, None] if len(shape) == 1 else logits  # Keras lines them up
    loss = fitted(from_chapter("focal_loss")(2.0), logits, labels.astype(dtype), policy, compiled)
    exact = np.mean(focal_cross_entropy_with_logits(labels.ravel(), logits.ravel(), 2.0))
    assert loss == pytest.approx(exact, rel=16 * EPS)


def test_focal_loss_of_the_chapter_refuses_other_shapes_and_soft_labels():
    focal = from_chapter("focal_loss")(2.0)
    for dtype in (np.int64, np.float64):  # in a direct call, too
        assert focal(np.array([1, 0], dtype), tf.constant([2.0, 1.0])) > 0
    with pytest.raises(ValueError, match="incompatible"):
        focal(np.float32([1, 0]), tf.constant([[2.0], [1.0]]))
    for run in (focal, tf.function(focal, jit_compile=True)):
        assert np.isnan(run(tf.constant([[0.6]]), tf.constant([[1.0]])))


def test_a_common_offset_costs_the_chapters_categorical_focal_no_digits():
    focal, labels, rows = from_chapter("categorical_focal")(2.0), CLASSES[:, 0], np.float32(ROWS[:, 0])
    # multiples of 1/4 below 2^22 are float32 numbers, so the sums are exact
    for offset in np.float32([1e4, 1e6]):
        np.testing.assert_array_equal(focal(labels, rows + offset), focal(labels, rows))
