"""What float16 and bfloat16 do to losses, means and gradients in TensorFlow, Keras and NumPy, as the chapter tells it.

Failures of the libraries are asserted as failures: a version that corrects one makes its test fail, and then the
chapter must change.
"""

import keras
import ml_dtypes
import numpy as np
import pytest
import tensorflow as tf

from helpers import records
from helpers.binary import sigmoid_cross_entropy_with_logits
from helpers.categorical import softmax, sparse_softmax_cross_entropy_with_logits
from helpers.precision import EXACT, FORMATS

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


@pytest.mark.parametrize(("name", "sparse", "dense"), [("float16", 11.15625, 11.15625), ("bfloat16", 11.125, 11.1875)])
def test_of_the_softmax_ops_only_the_sparse_one_in_bfloat16_does_not_cast(name, sparse, dense):
    equal, label = tf.zeros((1, 70_000), TYPES[name]), tf.one_hot([3], 70_000, dtype=TYPES[name])  # 70,000 exceeds float16
    assert float(TYPES[name](np.log(70_000))) == dense
    assert float(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=[3], logits=equal)[0]) == sparse
    assert float(tf.nn.softmax_cross_entropy_with_logits(labels=label, logits=equal)[0]) == dense


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


# --- one token, two engines -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def engines():
    """Return float64 logits of 256 tokens, and tokens drawn from their softmax."""
    rng = np.random.default_rng(1)
    hidden, head = rng.standard_normal((256, 64)).astype(BFLOAT16), (0.5 * rng.standard_normal((8192, 64))).astype(BFLOAT16)
    logits = hidden.astype(float) @ head.astype(float).T
    return logits, (logits + rng.gumbel(size=logits.shape)).argmax(axis=-1)


def log_probabilities(tokens, logits):
    return -sparse_softmax_cross_entropy_with_logits(tokens, logits)


@pytest.mark.parametrize("name", TYPES)
def test_ratio_of_two_engines_is_bounded_by_the_rounding_of_the_logits(engines, name):
    logits, tokens = engines
    rounded = logits.astype(TYPES[name]).astype(float)
    delta = log_probabilities(tokens, rounded) - log_probabilities(tokens, logits)
    # the loss is a difference of two logits' averages, so it moves by no more than twice the largest rounding error
    off = np.abs(rounded - logits).max(axis=-1)
    assert np.all(np.abs(delta) <= 2 * off + 1e-14)
    estimate = np.mean(np.expm1(delta) - delta)
    assert estimate > 0
    # half of the variance of delta, to first order
    assert estimate == pytest.approx(np.mean(delta**2) / 2, rel=0.1)


def test_float16_logits_are_eight_times_closer_than_bfloat16_ones(engines):
    logits, tokens = engines
    spread = {}
    for name in ("float16", "bfloat16"):
        rounded = logits.astype(TYPES[name]).astype(float)
        spread[name] = (log_probabilities(tokens, rounded) - log_probabilities(tokens, logits)).std()
    # three bits; a standard deviation from 256 numbers is off by 1 / sqrt(512) of itself, five of these on each side
    assert spread["bfloat16"] / spread["float16"] == pytest.approx(8, rel=0.5)


def test_renormalized_log_probabilities_differ_by_the_mass_that_was_kept(engines):
    logits, _ = engines
    probabilities = softmax(logits)
    allowed = probabilities >= np.quantile(probabilities, 0.99, axis=-1, keepdims=True)
    tokens = np.where(allowed, logits, -np.inf).argmax(axis=-1)
    ratio = np.exp(log_probabilities(tokens, logits) - log_probabilities(tokens, np.where(allowed, logits, -np.inf)))
    np.testing.assert_allclose(ratio, (probabilities * allowed).sum(axis=-1), rtol=1e-12)


def test_preference_losses_are_the_sigmoid_loss_of_the_label_1():
    margin = np.float32([-200, -1, 0, 1, 20, 80])  # the last loss is still a normal number
    exact = [float(EXACT.log1p(EXACT.exp(-EXACT.mpf(float(x))))) for x in margin]
    np.testing.assert_allclose(sigmoid_cross_entropy_with_logits(np.ones(6, np.float32), margin), exact, rtol=4 * 2**-23)
    with np.errstate(all="ignore"):
        by_steps = -np.log(1 / (1 + np.exp(-margin)))
    assert by_steps[0] == np.inf  # exact 200
    assert by_steps[4] == 0  # exact 2.06e-9


def test_pytorch_s_chunked_loss_is_bfloat16_under_autocast_too():
    name = "linear_cross_entropy, chunks as PyTorch chooses"
    for shown in (name, f"{name}, under autocast"):
        loss, *_, exact = map(float, records.answer("chunked-bfloat16", "torch", shown)["result"])
        assert loss == 10.75 == float(BFLOAT16(loss))
        assert exact > 11.8
