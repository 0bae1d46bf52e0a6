"""The cures of the field guide, each tried where it is said to work: eagerly or compiled, in the libraries that it names.

What PyTorch and other backends of Keras do is asserted of the record.
"""

import json
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

pytestmark = pytest.mark.slow

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


ONE_OUTPUT = """
import keras, numpy as np
x = np.random.default_rng(0).normal(size=(64, 2)).astype("float32")
y = (x[:, :1] > 0).astype("float32")
keras.utils.set_random_seed(0)
model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, activation="softmax")])
model.compile("sgd", "binary_crossentropy", metrics=["accuracy"])
history = model.fit(x, y, epochs=3, verbose=0).history
print(float(y.mean()), *history["loss"], *history["accuracy"])
"""


@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_a_softmax_of_one_output_has_the_accuracy_of_the_share_of_ones(backend):
    if backend == "torch" and not PYTORCH.exists():
        pytest.skip("PyTorch is not here: run make libraries")
    python = PYTORCH if backend == "torch" else sys.executable
    environment = os.environ | {"KERAS_BACKEND": backend}
    run = subprocess.run(
        [python, "-W", "default", "-c", ONE_OUTPUT], env=environment, capture_output=True, encoding="utf8", check=True
    )
    share, *printed = (float(word) for word in run.stdout.split())
    losses, accuracies = printed[:3], printed[3:]
    np.testing.assert_allclose(accuracies, share, rtol=1e-6)
    assert "This axis has size 1" in run.stderr
    if backend == "tensorflow":  # the loss is computed from the logit
        assert losses[0] > losses[1] > losses[2]
    else:
        np.testing.assert_allclose(losses, 15.942385 * (1 - share), rtol=1e-5)


# --- the lines to copy: each is run in its library, where the loss or the slope failed without it ------------------

ROOT = Path(__file__).parents[2]
PYTORCH = ROOT / "_build" / "libraries" / "bin" / "python"  # of make libraries
LINES = {
    (entry, library): lines
    for cell in GUIDE.cells
    if (entry := "".join(re.findall(r"\A\(guide-([\w-]+)\)=", cell.source)))
    for library, lines in re.findall(r'<section data-tab="(\w+)">\n\n```python\n(.+?)```', cell.source, re.DOTALL)
}
LOGITS = np.float32([[2, 1, -1], [0, 3, 1], [1, -2, 0]])
LABELS, NO, INF = np.array([0, 2, 1]), np.array([False, False]), np.inf
LOG_P = LOGITS - np.log(np.exp(LOGITS.astype(float)).sum(axis=1, keepdims=True))
LOSSES = -LOG_P[np.arange(3), LABELS]
TEACHER = np.log(np.float32([[0.2, 0.5, 0.3], [0.1, 0.1, 0.8], [0.6, 0.2, 0.2]]))
SMOOTHED = 0.9 * np.eye(3)[LABELS] + 0.1 / 3
MASKED = np.where(np.eye(3)[::-1] == 1, -INF, LOGITS).astype(np.float32)  # never the label
# For each entry: the array to take the slope by, its value, the other arrays, and the result.
TRIALS = {
    "label": ("logits", LOGITS, {"labels": np.array([0, -1, 1])}, LOSSES[[0, 2]].mean()),
    "attention": ("x", np.float32([0.5, -0.1]), {"mask": NO}, [0.5, 0.5]),
    "norm": ("x", np.zeros(2, np.float32), {}, 1e-6),
    "log-p": ("logits", np.float32([20, -3]), {"labels": np.float32([1, 0])}, np.log1p(np.exp([-20, -3])).mean()),
    "clip16": ("logits", LOGITS.astype(np.float16), {"labels": LABELS}, LOSSES.mean()),
    "masked": (
        "logits",
        MASKED,
        {"mask": np.isfinite(MASKED), "labels": LABELS},
        (np.log(np.exp(MASKED.astype(float)).sum(axis=1)) - LOGITS[np.arange(3), LABELS]).mean(),
    ),
    "entropy": ("x", np.float32([0, 0, -INF]), {}, np.log(2)),
    "padding": ("losses", np.float32([0.3, 2]), {"mask": np.zeros(2, np.float32)}, 0),
    "where": ("x", np.float32(1e10), {}, 0),
    "clamp": ("x", np.float32(100), {}, np.exp(2)),
    "divergence": (
        "logits",
        LOGITS,
        {"teacher": TEACHER},
        (np.exp(TEACHER) * (TEACHER - LOG_P)).sum(axis=1).mean(),
    ),
    "smoothing": (
        "logits",
        LOGITS,
        {"labels": LABELS, "weights": np.float32([1, 100, 10]), "smoothing": 0.1, "classes": 3},
        (np.array([1, 100, 10])[LABELS] * -(SMOOTHED * LOG_P).sum(axis=1)).mean(),
    ),
    "denominator": ("logits", LOGITS, {"labels": LABELS, "mask": np.float32([1, 0, 1])}, LOSSES[[0, 2]].mean()),
}


def run_lines(lines, names, by, value):
    """Run lines, and return what they call y or loss."""
    names |= {by: value}
    exec(lines, names)
    return names.get("y", names.get("loss"))


def run_keras(lines, by, value, others):
    names = {"keras": keras, **{name: tf.constant(array) if np.ndim(array) else array for name, array in others.items()}}
    variable = tf.constant(value)
    with tf.GradientTape() as tape:
        tape.watch(variable)
        result = run_lines(lines, names, by, variable)
    return result.numpy(), tape.gradient(result, variable).numpy()


def run_jax(lines, by, value, others):
    arrays = {name: jnp.asarray(array) if np.ndim(array) else array for name, array in others.items()}

    def of(variable):
        result = run_lines(lines, {"jax": jax, "jnp": jnp, "optax": optax, **arrays}, by, variable)
        return result.sum(), result

    slope, result = jax.grad(of, has_aux=True)(jnp.asarray(value))
    return np.asarray(result), np.asarray(slope)


IN_PYTORCH = """
import json, sys, torch
from_text = lambda value: torch.tensor(value[1], dtype=getattr(torch, value[0])) if isinstance(value, list) else value
answers = {}
for entry, (lines, by, value, others) in json.load(sys.stdin).items():
    names = {"torch": torch, **{name: from_text(array) for name, array in others.items()}}
    names[by] = variable = from_text(value).requires_grad_()
    exec(lines, names)
    result = names.get("y", names.get("loss"))
    result.sum().backward()
    answers[entry] = result.tolist(), variable.grad.tolist()
print(json.dumps(answers))
"""


def ask_pytorch(program, given=None):
    """Run a program in the environment of `make libraries`, and return the JSON that it prints."""
    if not PYTORCH.exists():
        pytest.skip("PyTorch is not here: run make libraries")
    words = json.dumps(given)
    run = subprocess.run([PYTORCH, "-c", program], input=words, capture_output=True, encoding="utf8", check=False)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


@pytest.fixture(scope="module")
def of_pytorch():
    def text(array):
        return [str(array.dtype), array.tolist()] if hasattr(array, "dtype") else array

    trials = {
        entry: (LINES[entry, "PyTorch"], by, text(np.asarray(value)), {name: text(array) for name, array in others.items()})
        for entry, (by, value, others, _) in TRIALS.items()
    }
    return ask_pytorch(IN_PYTORCH, trials)


def test_every_line_to_copy_is_tried():
    """Those of two entries set something: the next tests run them."""
    assert {entry for entry, _ in LINES} == {*TRIALS, "diverges", "devices"}


@pytest.mark.parametrize("library", ["Keras", "JAX", "PyTorch"])
@pytest.mark.parametrize("entry", TRIALS)
def test_the_lines_of_a_cure_give_the_right_value_and_a_finite_slope(entry, library, request):
    by, value, others, expected = TRIALS[entry]
    if library == "PyTorch":
        result, slope = request.getfixturevalue("of_pytorch")[entry]
    else:
        result, slope = {"Keras": run_keras, "JAX": run_jax}[library](LINES[entry, library], by, value, others)
    # ten roundings in float32; in float16 only the slope is rounded to it
    np.testing.assert_allclose(result, expected, rtol=10 * EPS, atol=1e-9)
    assert np.isfinite(np.float64(slope)).all()


def test_the_lines_that_clip_leave_a_gradient_of_norm_1():
    names = {"keras": keras, "optax": optax, "rate": 1.0}
    exec(LINES["diverges", "Keras"], names)
    weight = keras.Variable([0.0, 0.0])
    names["optimizer"].build([weight])
    names["optimizer"].apply([tf.constant([3.0, 4.0])])
    np.testing.assert_allclose(weight, [-0.6, -0.8], rtol=4 * EPS)
    exec(LINES["diverges", "JAX"], names)
    update, _ = names["optimizer"].update(jnp.array([3.0, 4.0]), names["optimizer"].init(jnp.zeros(2)))
    np.testing.assert_allclose(update, [-0.6, -0.8], rtol=4 * EPS)
    program = (
        "import json, torch; model = torch.nn.Linear(2, 1, bias=False); model.weight.grad = torch.tensor([[3.0, 4.0]])\n"
    )
    clipped = ask_pytorch(program + LINES["diverges", "PyTorch"] + "print(json.dumps(model.weight.grad.tolist()[0]))")
    np.testing.assert_allclose(clipped, [0.6, 0.8], rtol=1e-5)  # PyTorch adds 1e-6 to the norm


def test_the_lines_for_full_float32_are_settings_of_their_libraries():
    names = {"tf": tf, "jax": jax}
    try:
        exec(LINES["devices", "Keras"], names)
        exec(LINES["devices", "JAX"], names)
        assert not tf.config.experimental.tensor_float_32_execution_enabled()
        assert jax.config.jax_default_matmul_precision == "highest"
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(True)
        jax.config.update("jax_default_matmul_precision", None)
    program = f"import json, torch\n{LINES['devices', 'PyTorch']}print(json.dumps(torch.get_float32_matmul_precision()))"
    assert ask_pytorch(program) == "highest"


# --- what the guide says of messages, and of PyTorch ----------------------------------------------------------------

MESSAGES = """
import json, torch, torch.nn.functional as F
x, b, label, floats = torch.ones(4, 3), torch.ones(4, 1), torch.tensor([0, 1, 2, 1]), torch.tensor([0., 1, 2, 1])
calls = [
    lambda: F.cross_entropy(x, floats),
    lambda: F.cross_entropy(x, label[:, None]),
    lambda: F.cross_entropy(torch.ones(2, 5, 7), torch.zeros(2, 5, dtype=torch.long)),
    lambda: F.cross_entropy(x, label[:2]),
    lambda: F.binary_cross_entropy_with_logits(b, floats),
    lambda: F.binary_cross_entropy(5 * b, b),
    lambda: F.binary_cross_entropy(b, label[:, None]),
    lambda: F.binary_cross_entropy_with_logits(b, label[:, None]),
    lambda: F.cross_entropy(x, label).backward(),
    lambda: torch.nn.Embedding(10, 2)(torch.tensor([10])),
]
said = []
for call in calls:
    try:
        call()
    except Exception as error:
        said.append(str(error))
print(json.dumps(said))
"""


def test_the_guide_quotes_what_pytorch_says():
    said = ask_pytorch(MESSAGES)
    assert len(said) == 10
    assert [message for message in said if message.partition("\n")[0] not in TEXT] == []


@pytest.mark.parametrize(
    ("labels", "of"), [([0, 1], "CategoricalCrossentropy"), (np.eye(2), "SparseCategoricalCrossentropy")]
)
def test_the_guide_quotes_what_keras_says_of_labels_of_another_rank(labels, of):
    with pytest.raises(ValueError, match="rank") as error:
        getattr(keras.losses, of)()(np.asarray(labels), np.full((2, 2), 0.5, np.float32))
    assert str(error.value).partition(". Received")[0].removesuffix(" (ndim)") in TEXT


def test_the_guide_quotes_what_tensorflow_says_of_shapes():
    with pytest.raises(ValueError, match="must have the same shape") as error:
        tf.nn.sigmoid_cross_entropy_with_logits(tf.zeros((4, 1)), tf.zeros((4,)))
    assert str(error.value).partition(",")[0].replace("`", "") in TEXT


WEIGHTS = """
import json, torch
try:
    torch.nn.functional.cross_entropy(torch.zeros(4, 7), torch.arange(4), weight=torch.ones(4))
except RuntimeError as error:
    print(json.dumps(str(error)))
"""


def test_the_guide_quotes_what_pytorch_says_of_class_weights():
    assert ask_pytorch(WEIGHTS).partition(" but got")[0] in TEXT


FACTS = """
import json, torch, torch.nn.functional as F
def smoothed(classes):
    return F.cross_entropy(torch.zeros(1, classes, dtype=torch.float16), torch.tensor([0]), label_smoothing=0.1).item()
x = torch.tensor([[0.15966, 0.84034]]).log().requires_grad_()  # .95 and .05 * 100, normalized
F.cross_entropy(x, torch.tensor([0]), weight=torch.tensor([1.0, 100]), label_smoothing=0.1).backward()
nll = F.nll_loss(torch.tensor([[3.0, 1, 0]]).softmax(-1), torch.tensor([0])).item()
print(json.dumps([smoothed(7300), smoothed(7360), x.grad.abs().max().item(), nll]))
"""


def test_what_the_guide_says_of_pytorchs_smoothing_and_nll_loss():
    finite, infinite, slope, nll = ask_pytorch(FACTS)
    assert finite < 9
    assert infinite == np.inf
    assert slope < 1e-3  # the weights are about 1 and 5: the best prediction for the label 0 is mostly class 1
    assert -1 < nll < 0


def test_scikit_learn_takes_several_labels_for_one_of_many_classes():
    from sklearn.metrics import log_loss

    z, p = np.array([[1, 1, 0]]), np.array([[0.5, 0.25, 0.25]])
    np.testing.assert_allclose(log_loss(z, p), -np.log([0.5, 0.25]).sum())
    with pytest.raises(ValueError, match="y_true contains only one label"):
        log_loss([1, 1], [0.9, 0.8])
    two_of_three = [0, 1], [[0.2, 0.8, 0.0], [0.2, 0.8, 0.0]]
    with pytest.raises(ValueError, match="number of classes") as error:
        log_loss(*two_of_three)
    assert str(error.value).partition(":")[0] in TEXT
    assert log_loss(*two_of_three, labels=[0, 1, 2]) > 0
