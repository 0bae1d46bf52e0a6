"""The cures of the field guide, each tried where it is said to work: eagerly or compiled, in the libraries that it names.

What PyTorch and other backends of Keras do is asserted of the record.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import keras
import nbformat
import numpy as np
import optax
import pytest
import tensorflow as tf

from helpers import records

EPS = np.finfo(np.float32).eps
GUIDE = nbformat.read(Path(__file__).parents[2] / "chapters" / "why-is-my-loss-nan.ipynb", as_version=4)
TEXT = "\n".join(cell.source for cell in GUIDE.cells if cell.cell_type == "markdown")
F = "torch.nn.functional."
SPARSE = keras.losses.SparseCategoricalCrossentropy


def recorded(question, library, function, how="eager"):
    return records.answer(question, library, function, how)["result"]


def tf_slope(function, value):
    x = tf.constant(value, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(x)
        result = function(x)
    return tape.gradient(result, x).numpy()


def classifier(*layers, inputs=2, classes=3):
    return keras.Sequential([keras.Input((inputs,)), *layers, keras.layers.Dense(classes)])


# --- labels --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("mapped", "finite"), [(False, False), (True, True)])
def test_labels_of_minus_1_and_1_end_in_nan_unless_they_are_mapped(mapped, finite):
    keras.utils.set_random_seed(0)
    x = np.random.default_rng(0).normal(size=(512, 20)).astype(np.float32)
    labels = np.where(x[:, 0] > 0, 1.0, -1.0).astype(np.float32)
    hidden = [keras.layers.Dense(32, "relu") for _ in range(3)]
    model = classifier(*hidden, inputs=20, classes=1)
    model.compile(keras.optimizers.SGD(0.1), keras.losses.BinaryCrossentropy(from_logits=True))
    losses = model.fit(x, (labels + 1) / 2 if mapped else labels, epochs=2, verbose=0).history["loss"]
    assert np.isfinite(losses).tolist() == [True, finite]


@pytest.mark.parametrize(("jit", "error"), [(False, tf.errors.InvalidArgumentError), (True, None)])
def test_a_label_that_is_no_class_stops_fit_unless_it_is_compiled(jit, error):
    """By XLA, as `fit` is by default on a GPU. An assertion in the loss is left out as well."""

    def loss(y, x):
        tf.debugging.assert_less(y, 3.0)
        return keras.losses.sparse_categorical_crossentropy(y, x, from_logits=True)

    for of in (loss, SPARSE(from_logits=True)):
        model = classifier()
        model.compile("sgd", of, jit_compile=jit)
        if error:
            with pytest.raises(error):
                model.fit(np.ones((2, 2)), np.array([0, 5]), verbose=0)
        else:
            model.fit(np.ones((2, 2)), np.array([0, 5]), verbose=0)
            assert np.isnan(model.layers[-1].kernel).all()


@pytest.mark.parametrize(("devices", "compiled"), [(["CPU"], False), (["CPU", "GPU"], True)])
def test_fit_is_compiled_by_default_where_there_is_a_gpu(devices, compiled, monkeypatch):
    found = [tf.config.PhysicalDevice(name, name) for name in devices]
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind=None: found)
    model = classifier()
    model.compile("sgd", "mse")
    assert model.jit_compile == compiled
    model.compile("sgd", "mse", jit_compile=False)
    assert not model.jit_compile


def test_pytorch_checks_labels_and_probabilities_eagerly_only():
    function = f"{F}binary_cross_entropy"
    for question, compiled in (
        ("label-outside-certain", -50),
        ("label-outside-probability", 2.0512707),
        ("probability-outside", np.nan),
    ):
        assert recorded(question, "torch", function) == "error: RuntimeError"
        np.testing.assert_allclose(float(recorded(question, "torch", function, "jit")), compiled, rtol=EPS)


# --- tools ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("jit", "message"), [(False, "CheckNumerics"), (True, "DebugNumericSummary")])
def test_check_numerics_names_the_operation_unless_fit_is_compiled(jit, message):
    """Compiled, the error is about the check itself, which XLA does not have."""
    tf.debugging.enable_check_numerics()
    try:
        model = classifier(keras.layers.Lambda(lambda x: tf.math.log(0 * x)))
        model.compile("sgd", SPARSE(from_logits=True), jit_compile=jit)
        with pytest.raises(tf.errors.InvalidArgumentError, match=message):
            model.fit(np.ones((2, 2)), np.array([0, 1]), verbose=0)
    finally:
        tf.debugging.disable_check_numerics()


@pytest.mark.parametrize(("steps", "named"), [(1, 2), (2, 3), (4, 3)])
def test_terminate_on_nan_names_the_last_batch_of_an_execution(steps, named, capsys):
    x = np.ones((8, 1), np.float32)
    x[2] = np.nan
    model = classifier(inputs=1)
    model.compile("sgd", SPARSE(from_logits=True), steps_per_execution=steps)
    stop = keras.callbacks.TerminateOnNaN()
    model.fit(x, np.zeros(8), batch_size=1, shuffle=False, verbose=0, callbacks=[stop])
    assert f"Batch {named}: Invalid loss" in capsys.readouterr().out


def test_a_model_gives_its_loss_and_gradients_without_fit():
    model = classifier()
    model.compile("sgd", SPARSE(from_logits=True))
    x, y = np.ones((4, 2), np.float32), np.array([0, 1, 2, 0])
    with tf.GradientTape() as tape:
        logits = model(x)
        loss = model.compute_loss(y=y, y_pred=logits)
    assert all(gradient is not None for gradient in tape.gradient(loss, model.trainable_variables))
    np.testing.assert_allclose(loss, model.evaluate(x, y, verbose=0), rtol=2 * EPS)


def test_the_hooks_of_the_guide_name_an_lstm_an_attention_and_a_layer():
    """The record's question runs the lines of the page, on modules that return tuples."""
    assert recorded("hooks", "torch", "the guide's hooks") == ["1.0", "1.0", "1.0"]


# --- masks ---------------------------------------------------------------------------------------


def test_index_labels_cure_a_masked_class_in_some_libraries_only():
    sparse = "keras.losses.SparseCategoricalCrossentropy(from_logits=True)"
    right = {
        "tensorflow": "tf.nn.sparse_softmax_cross_entropy_with_logits",
        "torch": f"{F}cross_entropy",
        "optax": "optax.losses.softmax_cross_entropy_with_integer_labels",
        "keras/tensorflow": sparse,
    }
    for library, function in right.items():
        np.testing.assert_allclose(float(recorded("masked", library, function)), np.log1p(np.e), rtol=4 * EPS)
    for library in ("keras/jax", "keras/numpy"):
        assert recorded("masked", library, sparse) == "nan"
    for library in ("tensorflow", "torch", "jax", "keras"):
        answered = "keras/jax" if library == "keras" else library
        loss = recorded("masked", answered, f"{library}_losses.softmax_cross_entropy")
        np.testing.assert_allclose(float(loss), np.log1p(np.e), rtol=4 * EPS)


def test_optaxs_safe_loss_is_safe_in_reverse_mode_only():
    def loss(x):
        return optax.losses.safe_softmax_cross_entropy(x, jnp.array([1.0, 0, 0]))

    masked = jnp.array([1.0, 2, -jnp.inf])
    assert np.isfinite(jax.grad(loss)(masked)).all()
    assert np.isnan(jax.jacfwd(loss)(masked)).all()


def test_a_mask_of_minus_1e9_is_an_error_in_pytorchs_float16():
    assert recorded("masked-half", "torch", "cross_entropy of masked_fill(mask, -1e9)") == "error: RuntimeError"
    assert abs(float(recorded("masked-half", "torch", "cross_entropy of masked_fill(mask, -1e4)")) - np.log1p(np.e)) < 2e-3


def test_a_batch_of_padding_is_nan_in_pytorch_and_its_slope_is_0():
    assert recorded("all-ignored", "torch", f"{F}cross_entropy(ignore_index=-100)") == "nan"
    assert recorded("all-ignored-slope", "torch", f"{F}cross_entropy(ignore_index=-1)") == ["0.0"] * 3


@pytest.mark.parametrize("compiled", [False, True])
def test_the_entropy_of_masked_logits_is_finite_with_where_alone(compiled):
    def by_where(x):
        p = tf.nn.softmax(x)
        return -tf.reduce_sum(p * tf.where(p > 0, tf.nn.log_softmax(x), 0.0))

    def by_no_nan(x):
        return -tf.reduce_sum(tf.math.multiply_no_nan(tf.nn.log_softmax(x), tf.nn.softmax(x)))

    masked = [0.0, 1, -np.inf]
    for entropy, finite in ((by_where, True), (by_no_nan, False)):
        entropy = tf.function(entropy, jit_compile=True) if compiled else entropy
        assert np.isfinite(entropy(tf.constant(masked)))
        assert np.isfinite(tf_slope(entropy, masked)).all() == finite


# --- values that are right beside slopes that are not ----------------------------------------------


def test_an_exponential_is_clamped_before_it_overflows():
    assert np.isnan(tf_slope(lambda d: tf.clip_by_value(tf.exp(d), 0, 10), 100))
    assert tf_slope(lambda d: tf.exp(tf.clip_by_value(d, -20, 20)), 100) == 0
    for repair in (lambda e: jnp.clip(e, 0, 10), lambda e: jnp.minimum(e, 10), lambda e: jnp.nan_to_num(e, posinf=10)):
        value, slope = jax.value_and_grad(lambda d, repair=repair: repair(jnp.exp(d)))(100.0)
        assert value == 10
        assert np.isnan(slope)
    assert jax.grad(lambda d: jnp.exp(jnp.clip(d, -20, 20)))(100.0) == 0
    assert recorded("clamped-slope", "torch", "x.exp().clamp(max=10)") == "nan"


def test_the_lines_of_the_second_where_run_and_have_a_slope():
    """Those for TensorFlow and JAX; the line for PyTorch is the same but for the order of its words."""
    [tensorflow, jax_line, _] = re.findall(r"`((?:tf|jnp|torch)\S*[^`]*\(x > 0, 0\.0, x\)[^`]*)`", TEXT)
    assert tf_slope(lambda x: eval(tensorflow, {"tf": tf, "x": x}), 1e10) == 0
    assert jax.grad(lambda x: eval(jax_line, {"jnp": jnp, "x": x}))(1e10) == 0


def test_a_typed_loss_of_zero_logits_has_the_slope_0_in_pytorch_by_clamp_only():
    form = "{} - x z + log1p(exp(-abs(x)))"
    assert recorded("kink-by-hand-right", "torch", form.format("max(x, 0)")) == "-0.5"
    assert recorded("kink-by-hand-right", "torch", form.format("x.clamp(min=0)")) == "0.0"
    assert recorded("kink-by-hand-right", "jax", form.format("max(x, 0)")) == "-1.0"
    assert recorded("kink-by-hand-right", "tensorflow", form.format("max(x, 0)")) == "0.0"


# --- floors and constants --------------------------------------------------------------------------


def test_a_sigmoid_of_a_sigmoid_stays_at_log_2_where_most_labels_are_0():
    keras.utils.set_random_seed(0)
    x = np.random.default_rng(0).normal(size=(1000, 10)).astype(np.float32)
    labels = (np.arange(1000) < 30).astype(np.float32)
    x[:30, 0] += 6  # the classes can be told apart
    ends = {}
    for layers in ([], [keras.layers.Activation(tf.sigmoid)]):
        model = keras.Sequential([keras.Input((10,)), keras.layers.Dense(1, kernel_initializer="zeros"), *layers])

        def loss(z, x):
            return tf.nn.sigmoid_cross_entropy_with_logits(labels=z, logits=x)

        model.compile(keras.optimizers.SGD(1.0), loss)
        ends[len(layers)] = model.fit(x, labels[:, None], epochs=20, verbose=0).history["loss"][-1]
    assert ends[0] < 0.1
    assert abs(ends[1] - np.log(2)) < 0.01


def test_a_loss_of_gathered_logits_is_too_high_by_log_w():
    logits = np.random.default_rng(0).normal(size=(4, 9)).astype(np.float32)
    op = tf.nn.sparse_softmax_cross_entropy_with_logits
    once, thrice = op([0, 1, 2, 3], logits), op([0, 1, 2, 3], np.hstack([logits] * 3))
    np.testing.assert_allclose(thrice - once, np.full(4, np.log(3)), rtol=1e-6)


def test_sums_and_counts_of_all_ranks_give_the_mean_over_tokens():
    """Also by gradients that are averaged over ranks, if each rank multiplies by the number of ranks."""
    ranks = [np.array([3.0]), np.array([1.0, 1.0, 1.0])]
    tokens = np.concatenate(ranks)
    count = sum(map(len, ranks))
    assert np.mean([rank.mean() for rank in ranks]) == 2
    assert sum(rank.sum() for rank in ranks) / count == tokens.mean() == 1.5
    assert np.mean([len(ranks) * rank.sum() / count for rank in ranks]) == tokens.mean()


def test_an_offset_costs_optax_its_digits_and_not_tensorflow():
    for offset, loss in ((1e4, 1.0986328), (1e6, 1.125), (1e8, 0)):
        rows, labels = np.full((1, 3), offset, np.float32), np.array([0])
        for call in (
            optax.softmax_cross_entropy_with_integer_labels,
            jax.jit(optax.softmax_cross_entropy_with_integer_labels),
        ):
            np.testing.assert_allclose(call(rows, labels), [loss], rtol=EPS)
        np.testing.assert_allclose(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, rows), [np.log(3)], rtol=2 * EPS)
    assert abs(float(recorded("common-offset", "torch", f"{F}cross_entropy")) - np.log(1 + np.exp(-1) + np.exp(-2))) < 1e-7


def test_pytorchs_smoothing_overflows_in_float16():
    assert recorded("smoothed-float16", "torch", f"{F}cross_entropy(label_smoothing=0.1)") == "inf"
    assert 8000 * np.log(8000) > np.finfo(np.float16).max


# --- Keras and the logits behind a softmax ---------------------------------------------------------


@pytest.mark.parametrize("jit", [False, True])
def test_a_zero_row_moves_weights_behind_a_softmax_layer_as_from_logits(jit):
    moved = []
    for activation, of in (("softmax", {}), (None, {"from_logits": True})):
        keras.utils.set_random_seed(0)
        layer = keras.layers.Dense(3, activation)
        model = keras.Sequential([keras.Input((2,)), layer])
        model.compile(keras.optimizers.SGD(1.0), keras.losses.CategoricalCrossentropy(**of), jit_compile=jit)
        before = layer.kernel.numpy()
        model.fit(np.ones((1, 2)), np.zeros((1, 3)), verbose=0)
        moved.append(layer.kernel.numpy() - before)
    np.testing.assert_allclose(*moved, rtol=1e-5)
    assert np.abs(moved[0]).min() > 0.1


def test_jax_carries_the_logits_of_a_sigmoid_and_its_loss_does_not_look():
    program = (
        "import keras, numpy as np; p = keras.activations.sigmoid(keras.ops.array([100.0]));"
        "print(hasattr(p, '_keras_logits'), float(keras.losses.BinaryCrossentropy()(np.zeros(1), p)))"
    )
    environment = os.environ | {"KERAS_BACKEND": "jax"}
    run = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, encoding="utf8", check=True)
    carried, loss = run.stdout.split()
    assert carried == "True"
    assert abs(float(loss) - 15.942385) < 4e-6


def test_the_guides_cures_name_functions_that_a_reader_can_look_up():
    """The short names of the code cells are explained on the page, and stand in no cure."""
    cures = re.findall(r"\*\*Cure\.\*\* (.+?)\n\n\*\*Where", TEXT, re.DOTALL)
    assert len(cures) >= 30
    assert not [cure for cure in cures if re.search(r"(sigmoid|softmax|sparse)_op", cure)]
