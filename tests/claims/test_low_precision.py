"""What float16 and bfloat16 do to losses, means and gradients in TensorFlow, Keras and NumPy, as the chapter tells it.

Failures of the libraries are asserted as failures: a version that mends one makes its test fail, and the chapter due for a
change.
"""

import keras
import ml_dtypes
import numpy as np
import pytest
import tensorflow as tf

from helpers.precision import FORMATS

BFLOAT16 = ml_dtypes.bfloat16
TYPES = {"float16": np.float16, "bfloat16": BFLOAT16, "float32": np.float32}
VOCABULARY = 50_257


@pytest.fixture
def policy():
    """Return what sets Keras's global policy, and set it back afterwards."""
    before = keras.config.dtype_policy()
    yield keras.config.set_dtype_policy
    keras.config.set_dtype_policy(before)


# --- means and sums -------------------------------------------------------------------------------------------------------


def mean_of(count, dtype, mean=tf.reduce_mean):
    return float(mean(np.full(count, np.log(2)).astype(dtype)))


def test_tensorflows_float16_mean_of_many_losses_is_0_then_nan():
    assert mean_of(65_519, np.float16) == pytest.approx(np.log(2), rel=0.01)  # thousands of float16 roundings
    assert mean_of(65_520, np.float16) == 0
    assert np.isnan(mean_of(100_000, np.float16))


@pytest.mark.parametrize("count", [65_520, 100_000])
@pytest.mark.parametrize(
    ("dtype", "mean"),
    [(BFLOAT16, tf.reduce_mean), (np.float16, keras.ops.mean), (BFLOAT16, keras.ops.mean), (np.float16, np.mean)],
)
def test_means_that_are_summed_in_float32_are_right(count, dtype, mean):
    # log 2 and the mean are each rounded to the type, whose eps is at most 2**-7
    assert mean_of(count, dtype, mean) == pytest.approx(np.log(2), rel=2**-7)


def test_tensorflow_adds_bfloat16_in_float32_and_float16_in_float16():
    assert tf.reduce_sum(np.full(6, 10_000, np.float16)).numpy() < 60_000 == np.float16(60_000)
    losses = np.full(10_000, np.log(2)).astype(BFLOAT16)
    exact = 10_000 * float(losses[0])
    assert float(tf.reduce_sum(losses)) == pytest.approx(exact, rel=2**-8)  # one rounding to bfloat16


@pytest.mark.parametrize("loss", [np.log(2), 0.25, 3.0])
@pytest.mark.parametrize("name", ["float16", "bfloat16"])
def test_a_running_sum_stops_at_the_derived_power_of_two(name, loss):
    sums = np.cumsum(np.full(5000, loss).astype(TYPES[name])).astype(float)
    assert sums[-1] == sums[-2] == 2.0 ** np.ceil(np.log2(loss * 2 ** FORMATS[name].significand_bits))


def test_numpy_s_bfloat16_mean_is_the_stopped_sum_divided_by_the_count():
    assert mean_of(65_536, BFLOAT16, np.mean) == 256 / 65_536


# --- the loss on its grid -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "printed"), [("float16", 10.828125), ("bfloat16", 10.8125), ("float32", 10.824905)])
def test_the_uniform_loss_lies_on_the_grid_of_the_type(name, printed):
    logits = tf.zeros((1, VOCABULARY), TYPES[name])
    [loss] = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=[3], logits=logits).numpy().astype(float)
    if name == "float32":
        assert loss == pytest.approx(printed, rel=2e-7)
    else:
        assert loss == printed


def test_keras_s_loss_classes_compute_in_float32_and_its_functions_do_not():
    logits, label = tf.zeros((1, VOCABULARY), tf.bfloat16), np.array([3])
    of_class = keras.losses.SparseCategoricalCrossentropy(from_logits=True)(label, logits)
    of_function = keras.losses.sparse_categorical_crossentropy(label, logits, from_logits=True)
    assert (of_class.dtype, of_function.dtype) == (tf.float32, tf.bfloat16)
    assert float(of_class) == pytest.approx(np.log(VOCABULARY), rel=1e-6)
    assert float(of_function[0]) == 10.8125


def test_a_float16_probability_of_1_is_nan_unless_keras_casts_it():
    one = np.ones((1, 1), np.float16)
    assert float(keras.losses.BinaryCrossentropy()(one, one)) == np.float32(2**-23)  # the clip of float32
    assert np.isnan(keras.losses.binary_crossentropy(one, one).numpy()).all()
    keras.config.set_floatx("float16")
    try:
        assert np.isnan(float(keras.losses.BinaryCrossentropy()(one, one)))
    finally:
        keras.config.set_floatx("float32")


# --- mixed precision ------------------------------------------------------------------------------------------------------


def one_weight(*layers, from_logits, weight=20.3, eager=False, **options):
    model = keras.Sequential([keras.Input((1,)), *layers])
    loss = keras.losses.BinaryCrossentropy(from_logits=from_logits)
    model.compile(keras.optimizers.SGD(1.0), loss, run_eagerly=eager, **options)
    model.set_weights([np.float32([[weight]])])
    return model


def dense(**options):
    return keras.layers.Dense(1, use_bias=False, **options)


@pytest.mark.parametrize("eager", [False, True])
@pytest.mark.parametrize(("name", "rounded"), [("float32", 20.3), ("mixed_float16", 20.296875), ("mixed_bfloat16", 20.25)])
def test_only_a_last_layer_in_float32_keeps_the_logit(policy, name, rounded, eager):
    policy(name)
    sigmoid, wide_sigmoid = keras.layers.Activation("sigmoid"), keras.layers.Activation("sigmoid", dtype="float32")
    clipped = 20.3 if name == "float32" else 23 * np.log(2)
    endings = [
        ([dense(), sigmoid], False, clipped),
        ([dense(), wide_sigmoid], False, rounded),
        ([dense()], True, rounded),
        ([dense(dtype="float32")], True, 20.3),
    ]
    one, zero = np.ones((1, 1), np.float32), np.zeros((1, 1), np.float32)
    for layers, from_logits, expected in endings:
        model = one_weight(*layers, from_logits=from_logits, eager=eager)
        assert model.evaluate(one, zero, verbose=0) == pytest.approx(expected, rel=2e-7)  # two eps of float32


@pytest.mark.parametrize(("activation", "moves"), [("sigmoid", 0), (None, -1)])
def test_a_clipped_sigmoid_has_no_gradient_for_a_loss_scale_to_lift(policy, activation, moves):
    policy("mixed_float16")
    model = one_weight(dense(activation=activation), from_logits=activation is None)
    model.fit(np.ones((1, 1), np.float32), np.zeros((1, 1), np.float32), verbose=0)
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    assert model.get_weights()[0].item() - np.float32(20.3) == pytest.approx(moves, abs=1e-5)


@pytest.mark.parametrize(("logit", "survives"), [(9.0, True), (9.1, False)])
def test_a_float16_slope_underflows_and_a_loss_scale_keeps_it(policy, logit, survives):
    policy("mixed_float16")
    many = np.ones((4096, 1), np.float32)
    for scaled in (False, True):
        model = one_weight(dense(), from_logits=True, weight=logit, auto_scale_loss=scaled)
        model.optimizer.learning_rate = 1e4
        model.fit(many, many, batch_size=4096, verbose=0)
        moved = model.get_weights()[0].item() - np.float32(logit)
        if scaled:  # the logit is rounded to float16, 1/256 apart here, and the slope once more
            assert moved == pytest.approx(1e4 / (1 + np.exp(logit)), rel=1e-2)
        else:
            assert (moved > 0) == survives


def test_loss_scaling_comes_with_the_global_policy_for_float16_alone(policy):
    for name, expected in (("mixed_float16", True), ("mixed_bfloat16", False), ("float32", False)):
        policy(name)
        model = one_weight(dense(), from_logits=True)
        assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer) == expected
    model = one_weight(dense(dtype="mixed_float16"), from_logits=True)
    assert isinstance(model.optimizer, keras.optimizers.SGD)


@pytest.mark.parametrize(("dtype", "steps"), [(None, 0), ("float32", 5)])
def test_an_overflowed_logit_halves_the_loss_scale_at_every_step(policy, dtype, steps):
    policy("mixed_float16")
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(3, use_bias=False, dtype=dtype)])
    model.compile(keras.optimizers.SGD(1e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.set_weights([np.float32([[300, 0, 0]])])
    history = model.fit(np.float32([[300], [1]]), np.array([1, 1]), epochs=5, verbose=0).history["loss"]
    assert model.optimizer.iterations.numpy() == steps
    assert model.optimizer.dynamic_scale.numpy() == 2.0 ** (15 - 5 + steps)
    assert np.isnan(history).all() == (steps == 0)
