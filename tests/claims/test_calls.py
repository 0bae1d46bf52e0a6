"""The calls that the book recommends give the exact loss, and Keras's weights do what the page says.

The record ``libraries`` holds each call's answers, for rows and sequences, in float32 and from 16-bit logits, eagerly and
compiled; test_libraries.py asks the libraries that are installed again.
"""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import jax
import keras
import numpy as np
import optax
import pytest
import tensorflow as tf

from helpers import records
from helpers.recipes import calls
from measure.questions import BATCHES, QUESTIONS, call_inputs, direction, exact_call, weighed

pytestmark = pytest.mark.slow

EPS = 2.0**-23
PYTORCH = Path(__file__).parents[2] / "_build" / "libraries" / "bin" / "python"  # of make libraries
EXACT = {question.name: exact_call(question) for question in QUESTIONS if question.asks == "call"}
ANSWERS = [
    answer
    for answer in records.load("libraries")["answers"]
    if answer["device"] == "cpu" and answer["question"].startswith("call: ")
]
PADDED = [name for name, task in calls.TASKS.items() if "padded index" in task.inputs.values() and "exact" in task.calls]
TRAINED_PADDED = [name for name in PADDED if "batches" not in name]
LIVE = {"keras": tf.convert_to_tensor, "tensorflow": tf.convert_to_tensor, "optax": jax.numpy.asarray}  # run here


def live(library, name, **given):
    """Run a call on arrays, eagerly."""
    task = calls.TASKS[name]
    numbers = {key: value for key, value in task.inputs.items() if isinstance(value, float)}
    names = [key for key in task.inputs if key not in numbers]
    function = calls.function(library, task.calls[library], names, task.before, **numbers)
    return function(**{key: LIVE[library](given[key]) for key in names})


def loss_and_slope(library, name, by, **given):
    """Return a call's result, and the slope of its sum by one of the inputs."""
    if library == "optax":
        slope = jax.grad(lambda x: live(library, name, **given | {by: x}).sum())(given[by])
        return live(library, name, **given), np.asarray(slope)
    x = tf.constant(given[by])
    with tf.GradientTape() as tape:
        tape.watch(x)
        loss = live(library, name, **given | {by: x})
    return loss, tape.gradient(loss, x).numpy()


def keras_elsewhere(backend, code):
    """Run code with Keras on another backend, and return what it prints."""
    python = PYTORCH if backend == "torch" else sys.executable
    if not Path(python).exists():
        pytest.skip("PyTorch is not installed: make libraries")
    command = [python, "-c", f"import keras\nimport numpy as np\n{code}"]
    run = subprocess.run(
        command, capture_output=True, encoding="utf8", check=False, env=os.environ | {"KERAS_BACKEND": backend}
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.split()


# --- the calls ----------------------------------------------------------------------------------------------------------


def test_every_task_has_a_call_for_every_library():
    for name, task in calls.TASKS.items():
        assert list(task.calls) == ["exact", "keras", "tensorflow", "torch", "optax"] or list(task.calls) == ["keras"], name
        assert set(task.notes) <= set(task.calls)


def test_a_line_of_a_call_fits_a_sheet():
    lines = [
        line
        for task in calls.TASKS.values()
        for key, call in task.calls.items()
        if key != "exact"
        for line in call.split("\n")
    ]
    assert max(map(len, lines)) <= 110


def test_every_call_is_recorded_eagerly_and_compiled_on_every_backend():
    recorded = {(answer["question"], answer["library"], answer["function"], answer["how"]) for answer in ANSWERS}
    for name, task in calls.TASKS.items():
        ways = ("eager", "jit") if task.compiled else ("eager",)
        places = {"keras": ("keras/tensorflow", "keras/jax", "keras/torch")}
        expected = {
            (f"call: {name}", place, text, how)
            for library, text in task.calls.items()
            for place in places.get(library, (library,))
            for how in ways
            if library != "exact" and "exact" in task.calls
        }
        if "exact" in task.calls:
            expected |= {(f"call: {name}", "keras/numpy", task.calls["keras"], "")}
        assert expected <= recorded


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: f"{answer['library']}, {answer['question']}, {answer['how']}")
def test_a_call_gives_the_exact_loss_and_slope_of_rows_and_sequences_in_three_types(answer):
    exact = EXACT[answer["question"]]
    result = np.array(answer["result"], float)
    assert len(result) == 6 if answer["library"] == "keras/numpy" else len(result) == len(exact)
    # A sum of up to 12 losses, each of a few eps; the inputs are the same numbers in every type.
    np.testing.assert_allclose(result[:6], exact[:6], rtol=8 * EPS)
    # A sum of up to 96 entries of a gradient, each wrong by an eps or two.
    np.testing.assert_allclose(result[6:], exact[6 : len(result)], rtol=1e-5, atol=200 * EPS)


@pytest.mark.parametrize("library", LIVE)
@pytest.mark.parametrize("name", [question.removeprefix("call: ") for question in EXACT])
def test_the_slope_is_right_where_a_new_model_starts(library, name):
    """All its logits are 0 there, where max, abs and relu have a kink."""
    task = calls.TASKS[name]
    if not task.half or not task.compiled:
        pytest.skip("no slope")
    given, [by, *_] = call_inputs(task, (3, 4)), task.half
    given[by] = np.zeros_like(given[by])
    way = direction(given[by])
    _, slope = loss_and_slope(library, name, by, **given)
    exact = calls.function("exact", task.calls["exact"], list(task.inputs))
    wide = {key: value.astype(float) if np.asarray(value).dtype == np.float32 else value for key, value in given.items()}
    ahead, behind = (np.sum(exact(**wide | {by: step * way})) for step in (1e-4, -1e-4))
    # the difference is wrong by 1e-8 and a few eps of float64 over 1e-4; a slope in float32 by some eps an entry
    np.testing.assert_allclose(np.vdot(slope, way), (ahead - behind) / 2e-4, rtol=1e-5, atol=200 * EPS)


@pytest.mark.parametrize("library", LIVE)
@pytest.mark.parametrize("name", TRAINED_PADDED)
@pytest.mark.parametrize("batch", BATCHES)
def test_a_batch_of_padding_costs_nothing_and_moves_nothing(library, name, batch):
    given = call_inputs(calls.TASKS[name], batch)
    given["labels"] = np.full_like(given["labels"], -1)
    assert not np.any(live(library, name, **given))
    _, slope = loss_and_slope(library, name, "logits", **given)
    assert not np.any(slope)


@pytest.mark.parametrize("library", LIVE)
@pytest.mark.parametrize("dtype", ["bool", "int32", "float32"])
def test_a_mask_may_have_any_type(library, dtype):
    name = next(name for name in calls.TASKS if "a mask" in name)
    given = call_inputs(calls.TASKS[name], (3, 4))
    result = live(library, name, **given | {"mask": given["mask"].astype(dtype)})
    np.testing.assert_allclose(result, EXACT[f"call: {name}"][3], rtol=8 * EPS)


@pytest.mark.parametrize("library", LIVE)
@pytest.mark.parametrize("name", [name for name in calls.TASKS if "labels" in calls.TASKS[name].inputs])
def test_labels_of_time_and_batch_are_refused(library, name):
    """They are not taken for labels of batch and time."""
    if library not in calls.TASKS[name].calls or "exact" not in calls.TASKS[name].calls:
        pytest.skip("no such call")
    given = call_inputs(calls.TASKS[name], (3, 4))
    given["labels"] = np.swapaxes(given["labels"], 0, 1)
    with pytest.raises((ValueError, TypeError, tf.errors.InvalidArgumentError, AssertionError)):
        live(library, name, **given)


BROADCAST = {
    "Padding, for any loss: a mask of the elements that count": {"mask": (3, 1)},
    "Weights: positives count q times": {"labels": (3, 1)},
    "Yes or no, for one label or several at once (binary, multi-label)": {"labels": (3, 1)},
    "Rows of soft labels, each with the sum 1": {"labels": (1, 4, 5)},
    "Label smoothing, with padding": {"labels": (3, 1)},
    "One of C classes, by its index": {"labels": (1, 4)},
    "Focal loss, for an exponent of at least 1": {"labels": (1, 4)},
    "Masked classes: only those that are allowed can occur": {"labels": (1, 4)},
    "100,000 classes: from hidden states and an embedding, in parts": {"labels": (1, 4)},
    "Weights: one for each class": {"weights": (4,)},
    "Distillation: cross-entropy to a teacher, at the temperature T": {"teacher": (1, 4, 5)},
    "KL(teacher ‖ student): forward, mean over rows": {"teacher": (1, 4, 5)},
    "KL(student ‖ teacher): reverse, mean over rows": {"teacher": (1, 4, 5)},
    "Contrastive, CLIP: similarities of n pairs, (n, n)": {"similarity": (3, 1)},
    "Contrastive, SigLIP: similarities of n pairs, (n, n)": {"similarity": (3, 1)},
    "Preferences: a reward model's scores of the chosen and the rejected": {"chosen": (3, 1)},
    "Preferences: DPO": {"old_chosen": (3, 1)},
}


@pytest.mark.parametrize("library", LIVE)
@pytest.mark.parametrize("name", BROADCAST)
def test_a_shape_that_would_broadcast_to_another_number_is_refused(library, name):
    given = call_inputs(calls.TASKS[name], (3, 4))
    for key, shape in BROADCAST[name].items():
        given[key] = given[key][tuple(slice(length) for length in shape)]
    with pytest.raises((ValueError, TypeError, tf.errors.InvalidArgumentError, AssertionError)):
        live(library, name, **given)


INDEXED = [name for name, task in calls.TASKS.items() if {"index", "padded index"} & set(task.inputs.values())]


@pytest.mark.parametrize("library", LIVE)
@pytest.mark.parametrize("name", [name for name in INDEXED if "exact" in calls.TASKS[name].calls])
@pytest.mark.parametrize("label", [-1, -5, 5, 1000])
def test_a_label_that_is_no_class_is_an_error_or_nan(library, name, label):
    """It is not the last class, and only -1 may be padding."""
    if label == -1 and name in PADDED:
        pytest.skip("padding")
    given = call_inputs(calls.TASKS[name], (3, 4))
    given["labels"][0, 0] = label  # a place that counts
    with contextlib.suppress(tf.errors.InvalidArgumentError):
        assert np.isnan(live(library, name, **given)).any()


@pytest.mark.parametrize("library", LIVE)
@pytest.mark.parametrize("name", [name for name in calls.TASKS if name in TRAINED_PADDED or "a mask" in name])
@pytest.mark.parametrize("damage", [np.nan, -np.inf])
def test_damaged_logits_at_padding_reach_neither_loss_nor_slope(library, name, damage):
    given = call_inputs(calls.TASKS[name], (3, 4))
    padding = given["labels"] == -1 if name in PADDED else ~given["mask"]
    logits = given["logits"].copy()
    logits[padding] = damage
    loss, slope = loss_and_slope(library, name, "logits", **given | {"logits": logits})
    undamaged, exact = loss_and_slope(library, name, "logits", **given)
    assert np.array_equal(loss, undamaged)
    assert np.array_equal(slope, exact)
    assert not slope[padding].any()
    assert slope[~padding].all()


@pytest.mark.parametrize("library", LIVE)
def test_a_float16_mask_may_count_beyond_its_largest_number(library):
    name = next(name for name in calls.TASKS if "a mask" in name)
    count = 70_000
    given = {"labels": np.ones(count, np.float32), "logits": np.zeros(count, np.float32)}
    loss = live(library, name, **given, mask=np.ones(count, np.float16))
    assert float(loss) == pytest.approx(np.log(2), rel=1e-5)  # 70,000 equal terms are added


@pytest.mark.parametrize("library", LIVE)
@pytest.mark.parametrize(("dtype", "yes"), [("bool", True), ("uint8", 255), ("float32", 1.0)])
def test_allowed_classes_may_have_any_type(library, dtype, yes):
    name = next(name for name in calls.TASKS if name.startswith("Masked"))
    given = call_inputs(calls.TASKS[name], (3, 4))
    allowed = np.where(given["allowed"] == 1, yes, 0).astype(dtype)
    np.testing.assert_allclose(live(library, name, **given | {"allowed": allowed}), EXACT[f"call: {name}"][3], rtol=8 * EPS)


@pytest.mark.parametrize("library", ["keras", "tensorflow"])
@pytest.mark.parametrize("graph", [False, True])
@pytest.mark.parametrize("variable", [tf.constant, tf.Variable, keras.Variable])
def test_the_slope_by_a_large_embedding_is_not_doubled(library, graph, variable):
    name = next(name for name in calls.TASKS if name.startswith("100,000"))
    task = calls.TASKS[name]
    given = call_inputs(task, (6,))
    embedding = variable(given["embedding"])
    of = calls.function(library, task.calls[library], list(given))
    labels, hidden = tf.constant(given["labels"]), tf.constant(given["hidden"])

    def slope():
        watched = getattr(embedding, "value", embedding) if variable is keras.Variable else embedding
        with tf.GradientTape() as tape:
            tape.watch(watched)
            loss = of(labels, hidden, embedding)
        return tf.convert_to_tensor(tape.gradient(loss, watched))

    slopes = (tf.function(slope) if graph else slope)()
    exact = jax.grad(
        lambda e: optax.losses.softmax_cross_entropy_with_integer_labels(given["hidden"] @ e.T, given["labels"]).mean()
    )(given["embedding"])
    np.testing.assert_allclose(slopes, exact, rtol=0, atol=8 * EPS)


@pytest.mark.parametrize("library", ["keras", "tensorflow"])
@pytest.mark.parametrize("name", [name for name, task in calls.TASKS.items() if "exact" in task.calls and task.compiled])
def test_a_call_holds_for_a_batch_whose_size_is_not_known(library, name):
    given = {key: value for key, value in call_inputs(calls.TASKS[name], (3, 4)).items() if not isinstance(value, float)}
    fixed = ("weights", "embedding")
    specs = [
        tf.TensorSpec(value.shape if key in fixed else (None, *value.shape[1:]), value.dtype) for key, value in given.items()
    ]
    graph = tf.function(lambda *arrays: live(library, name, **dict(zip(given, arrays, strict=True))), input_signature=specs)
    np.testing.assert_allclose(
        weighed(graph(*map(tf.constant, given.values())).numpy()), EXACT[f"call: {name}"][3], rtol=8 * EPS
    )


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("batch_size", [14, 4, 1])
@pytest.mark.parametrize("compiled", [False, True])
def test_the_metric_of_compile_is_the_mean_over_all_tokens_at_every_batch_size(policy, batch_size, compiled):
    given = call_inputs(calls.TASKS[PADDED[0]], (14, 4))
    labels, logits = given["labels"], given["logits"]
    keras.mixed_precision.set_global_policy(policy)
    try:
        model = keras.Sequential(
            [keras.Input((4, 5)), keras.layers.Dense(5, kernel_initializer="identity", dtype="float32")]
        )
        call = calls.TASKS["Training by `compile` and `fit`, with padding"].calls["keras"]
        for old, new in (
            ('"adam"', "keras.optimizers.SGD(0.0)"),  # so that all batches meet the same model
            ("[metric])", f"[metric], jit_compile={compiled})"),
            ("=mask)", f"=mask, batch_size={batch_size}, verbose=0)"),
        ):
            call = call.replace(old, new)
        history = calls.function("keras", f"{call}\nhistory = model.history", ["model", "inputs", "labels"])(
            model, logits, labels
        )
    finally:
        keras.mixed_precision.set_global_policy("float32")
    counts = labels != -1
    each = optax.losses.softmax_cross_entropy_with_integer_labels(logits, np.maximum(labels, 0))
    [mean] = history.history["sparse_categorical_crossentropy"]
    np.testing.assert_allclose(mean, np.average(each, weights=counts), rtol=8 * EPS)
    if batch_size == 14:
        np.testing.assert_allclose(history.history["loss"], [mean], rtol=8 * EPS)


def test_keras_metrics_compute_in_the_type_of_the_logits():
    metric = keras.metrics.SparseCategoricalCrossentropy(from_logits=True)
    metric.update_state(tf.constant([0]), tf.constant([[2.0, 0.0]], tf.bfloat16))
    exact = np.log1p(np.exp(-2.0))
    assert 1e-4 < abs(float(metric.result()) / exact - 1) < 0.02


@pytest.mark.parametrize("whole", [True, False])
def test_the_call_for_many_classes_holds_the_logits_of_one_part_only(whole):
    name = next(name for name in calls.TASKS if name.startswith("100,000"))
    call = calls.TASKS[name].calls["optax"].replace("batch_size=1024", "batch_size=64")
    if whole:
        call = f"logits = hidden @ embedding.T\n{calls.TASKS['One of C classes, by its index'].calls['optax']}"
    loss = jax.jit(jax.value_and_grad(calls.function("optax", call, ["labels", "hidden", "embedding"]), argnums=(1, 2)))
    tokens, classes, width = 1024, 100_000, 64
    shapes = (((tokens,), "int32"), ((tokens, width), "float32"), ((classes, width), "float32"))
    compiled = loss.lower(*(jax.ShapeDtypeStruct(*shape) for shape in shapes)).compile()
    logits, gradient = 4 * tokens * classes, 4 * classes * width
    reserved = compiled.memory_analysis().temp_size_in_bytes
    assert reserved >= 2 * logits if whole else reserved <= 2 * logits / 16 + 2 * gradient


# --- what the rules say of Keras ----------------------------------------------------------------------------------------

RNG = np.random.default_rng(0)
B, T, C = 4, 7, 5
LABELS, LOGITS = RNG.integers(C, size=(B, T)), RNG.normal(size=(B, T, C)).astype(np.float32)
MEAN = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="mean_with_sample_weight")
EACH = keras.losses.sparse_categorical_crossentropy(LABELS, LOGITS, from_logits=True).numpy()


def test_one_weight_a_sequence_makes_the_weighted_mean_t_times_too_large():
    weights = np.ones((B, 1), np.float32)
    np.testing.assert_allclose(MEAN(LABELS, LOGITS, sample_weight=weights), T * EACH.mean(), rtol=8 * EPS)


def test_a_vector_of_weights_is_refused_or_goes_along_the_time():
    weights = np.float32([1, 0, 0, 0])
    with pytest.raises(tf.errors.InvalidArgumentError):
        MEAN(LABELS, LOGITS, sample_weight=weights)
    square = MEAN(LABELS[:, :B], LOGITS[:, :B], sample_weight=weights)
    np.testing.assert_allclose(square, EACH[:, 0].sum(), rtol=8 * EPS)


@pytest.mark.parametrize("method", ["fit", "train_on_batch"])
def test_the_class_weight_of_a_sequence_is_that_of_the_position_of_its_largest_label(method):
    model = keras.Sequential([keras.Input((T, C)), keras.layers.Dense(C, kernel_initializer="zeros")])
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    given = np.zeros((1, T, C)), np.array([[0, 0, 2, 0, 0, 1, 0]])
    weights = {position: 10.0**position for position in range(T)}
    if method == "fit":
        [loss] = model.fit(*given, class_weight=weights, verbose=0).history["loss"]
    else:
        loss = model.train_on_batch(*given, class_weight=weights)
    np.testing.assert_allclose(loss, 10**2 * np.log(C), rtol=8 * EPS)  # the label 2 stands at position 2


def test_a_keras_loss_inside_a_strategy_is_the_mean_divided_by_the_replicas():
    [inside, outside] = keras_elsewhere(
        "tensorflow",
        "import tensorflow as tf\n"
        "cpu = tf.config.list_physical_devices('CPU')[0]\n"
        "tf.config.set_logical_device_configuration(cpu, 2 * [tf.config.LogicalDeviceConfiguration()])\n"
        "loss = keras.losses.BinaryCrossentropy(from_logits=True)\n"
        "given = np.float32([[1], [0]]), np.float32([[2], [1]])\n"
        "strategy = tf.distribute.MirroredStrategy(['CPU:0', 'CPU:1'])\n"
        "print(float(strategy.run(lambda: loss(*given)).values[0]), float(loss(*given)))",
    )
    assert float(inside) == float(outside) / 2


CLIPPING = (
    "z, x = np.float32([[0, 1, 0]]), np.float32([[20, 0, 0]])\n"
    "print(*(float(loss(*given)) for loss, given in (\n"
    "    (keras.losses.BinaryCrossentropy(from_logits=True), (np.float32([[1]]), np.float32([[-20]]))),\n"
    "    (keras.losses.BinaryFocalCrossentropy(gamma=0, from_logits=True), (np.float32([[1]]), np.float32([[-20]]))),\n"
    "    (keras.losses.CategoricalFocalCrossentropy(alpha=1.0, gamma=0, from_logits=True), (z, x)))))"
)


@pytest.mark.parametrize(
    ("backend", "clips"),
    [
        ("tensorflow", (False, False, True)),
        ("jax", (False, True, True)),
        ("torch", (False, True, True)),
        ("numpy", (True, True, True)),
    ],
)
def test_three_losses_of_keras_clip_in_spite_of_from_logits(backend, clips):
    losses = [float(loss) for loss in keras_elsewhere(backend, CLIPPING)]
    np.testing.assert_allclose(losses, [-np.log(1e-7) if clip else 20 for clip in clips], rtol=1e-6)


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_a_floatx_of_16_bits_rounds_the_class_that_a_label_names(backend):
    rounded, kept = keras_elsewhere(
        backend,
        "x = np.zeros((1, 300), 'float32')\n"
        "x[0, 257] = 10\n"
        "keras.config.set_floatx('bfloat16')\n"
        "for dtype in (None, 'float32'):\n"
        "    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, dtype=dtype)\n"
        "    print(float(loss(np.array([257]), x)))",
    )
    assert float(rounded) > 9 > 0.1 > float(kept)
