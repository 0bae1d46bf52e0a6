"""The losses to copy are right in a real training, or raise a clear error; PyTorch's by what the record says."""

import ast
import contextlib
import functools
from pathlib import Path

import jax
import jax.numpy as jnp
import keras
import nbformat
import numpy as np
import optax
import pytest
import tensorflow as tf

from helpers import recipes, records
from helpers.categorical import sparse_softmax_cross_entropy_with_logits
from helpers.recipes import jax_losses, jax_sharded, keras_losses, tensorflow_blocked, tensorflow_losses
from measure.questions import STEPS, sequences

pytestmark = pytest.mark.slow

EPS = np.finfo(np.float32).eps
FILES = sorted(Path(recipes.__file__).parent.glob("*_losses.py"))
LOSSES = ["sigmoid_cross_entropy", "sparse_softmax_cross_entropy", "softmax_cross_entropy"]
RECORD = records.load("libraries")
EXACT = {question["question"]: question["exact"] for question in RECORD["questions"]}
LIVE = [tensorflow_losses, keras_losses, jax_losses]
RNG = np.random.default_rng(0)
LOGITS = RNG.normal(0, 5, (4, 6, 9)).astype(np.float32)
LABELS = RNG.integers(9, size=(4, 6))
PADDED = np.where(np.arange(6) < np.array([[6], [4], [1], [0]]), LABELS, -100)


def functions(path):
    """Return the functions of a file, and their lines after the docstring."""
    source = path.read_text(encoding="utf8")
    nodes = [node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)]
    return {node.name: source.splitlines()[node.body[0].end_lineno : node.end_lineno] for node in nodes}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_loss_to_copy_has_at_most_ten_lines_that_fit_the_column(path):
    assert list(functions(path)) == ["aligned", *LOSSES]
    for name, lines in functions(path).items():
        assert len([line for line in lines if not line.lstrip().startswith("#")]) <= 10, name
        assert max(map(len, lines)) <= 88, name


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_chapter_shows_the_code_that_is_tested(path):
    chapter = Path(__file__).parents[2] / "chapters" / "one-loss-many-libraries.ipynb"
    cells = [cell.source for cell in nbformat.read(chapter, as_version=4).cells if cell.cell_type == "markdown"]
    code = path.read_text(encoding="utf8").split('"""', 2)[2].strip()
    assert sum(f"```python\n{code}\n```" in cell for cell in cells) == 1


def compiled(module, loss):
    return jax.jit(loss) if module is jax_losses else tf.function(loss, jit_compile=True)


@pytest.fixture(params=["eager", "jit"])
def how(request):
    return (lambda module, loss: loss) if request.param == "eager" else compiled


def array(module, numbers, dtype=None):
    return jnp.asarray(numbers, dtype) if module is jax_losses else tf.constant(numbers, dtype)


def slope(module, loss, labels, logits):
    """Return the gradient of the sum by the logits."""
    if module is jax_losses:
        return np.asarray(jax.grad(lambda x: loss(labels, x).sum())(logits))
    with tf.GradientTape() as tape:
        tape.watch(logits)
        losses = loss(labels, logits)
    return tape.gradient(losses, logits).numpy()


each = pytest.mark.parametrize("module", LIVE, ids=lambda module: module.__name__.rpartition(".")[2])


@each
@pytest.mark.parametrize("last", [(), (1,)])
def test_labels_of_sequences_may_have_a_last_axis_of_one(module, last, how):
    losses = how(module, module.sparse_softmax_cross_entropy)(
        array(module, LABELS.reshape(4, 6, *last)), array(module, LOGITS)
    )
    # each exponent, up to 45, is rounded by half an eps of it; the other roundings are those of nine terms
    np.testing.assert_allclose(losses, sparse_softmax_cross_entropy_with_logits(LABELS, LOGITS), rtol=(45 / 2 + 12) * EPS)


SHAPES = {
    "sparse_softmax_cross_entropy": [
        ((6, 4), (4, 6, 9)),
        ((1,), (4, 9)),
        ((4, 9), (4, 9)),
        ((4, 6, 1, 1), (4, 6, 9)),
        ((), (4, 9)),
    ],
    "softmax_cross_entropy": [((4, 1), (4, 9)), ((9,), (4, 9)), ((9, 4), (4, 9))],
    "sigmoid_cross_entropy": [((4,), (4, 1)), ((2, 3), (3, 2)), ((1,), (4,)), ((), (4,))],
}


@each
@pytest.mark.parametrize(("name", "shapes"), [(name, shapes) for name, all_of in SHAPES.items() for shapes in all_of])
def test_labels_of_another_shape_are_an_error(module, name, shapes, how):
    labels, logits = (np.zeros(shape, np.float32) for shape in shapes)
    with pytest.raises(ValueError, match=r"do not fit|incompatible|not compatible"):
        how(module, getattr(module, name))(array(module, labels), array(module, logits))


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("module", [tensorflow_losses, keras_losses])
def test_sizes_that_a_graph_does_not_know_are_checked_when_it_runs(module, jit):
    """They are an error or, where a compiler drops the assertion or a label would be repeated, nan."""
    unknown = [tf.TensorSpec([None, None], tf.int64), tf.TensorSpec([None, None, None], tf.float32)]
    loss = tf.function(module.sparse_softmax_cross_entropy, input_signature=unknown, jit_compile=jit)
    np.testing.assert_allclose(loss(LABELS, LOGITS), sparse_softmax_cross_entropy_with_logits(LABELS, LOGITS), rtol=35 * EPS)
    for labels in (LABELS.T, LABELS[:1], LABELS[:, :1], LABELS[:1, :1], LABELS.reshape(-1, 1), LABELS.reshape(1, -1)):
        with contextlib.suppress(tf.errors.InvalidArgumentError):
            assert np.isnan(loss(labels, LOGITS)).all()


@pytest.mark.parametrize("shape", [(6,), (3, 2), (1, 3), (2, 1)])
def test_labels_of_another_shape_than_the_hidden_states_are_an_error(shape):
    hidden, embedding = np.zeros((2, 3, 4), np.float32), np.zeros((5, 4), np.float32)
    with pytest.raises(ValueError, match="incompatible"):
        tensorflow_blocked.blocked_cross_entropy(tf.constant(hidden), tf.constant(embedding), tf.zeros(shape, tf.int32))


@pytest.mark.parametrize("count", [1, 4, 7])
def test_other_labels_than_those_of_all_tokens_are_an_error(count):
    mesh = jax.make_mesh((1,), ("shards",), axis_types=(jax.sharding.AxisType.Auto,))
    spread, whole = jax.P("shards"), jax.P()
    device = functools.partial(jax_sharded.sharded_cross_entropy, classes=5, axis="shards")
    losses = jax.shard_map(device, mesh=mesh, in_specs=(spread, spread, whole), out_specs=whole)
    hidden, rows = jnp.zeros((6, 4)), jnp.zeros((5, 4))
    np.testing.assert_allclose(losses(hidden, rows, jnp.zeros(6, int)), np.log(5), rtol=4 * EPS)
    with pytest.raises(ValueError, match="do not fit"):
        losses(hidden, rows, jnp.zeros(count, int))


def test_padding_does_not_stop_a_search_for_nan():
    """`enable_check_numerics` stops at an infinite number anywhere, so none stands for padding."""
    tf.debugging.enable_check_numerics()
    try:
        model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(3)])
        model.compile("sgd", keras_losses.sparse_softmax_cross_entropy)
        model.fit(np.ones((4, 5)), np.array([0, 1, 2, -100]), verbose=0)
        with pytest.raises(tf.errors.InvalidArgumentError):
            model.fit(np.ones((4, 5)), np.array([0, 1, 2, -1]), verbose=0)
    finally:
        tf.debugging.disable_check_numerics()
    jax.config.update("jax_debug_nans", True)
    jax.config.update("jax_debug_infs", True)
    try:
        assert (np.asarray(jax_losses.sparse_softmax_cross_entropy(PADDED, LOGITS)) == 0).tolist() == (PADDED < 0).tolist()
    finally:
        jax.config.update("jax_debug_nans", False)
        jax.config.update("jax_debug_infs", False)


@each
def test_an_empty_batch_has_no_losses(module, how):
    loss = how(module, module.sparse_softmax_cross_entropy)
    assert loss(array(module, np.zeros(0, np.int32)), array(module, np.zeros((0, 5), np.float32))).shape == (0,)


@each
def test_padding_costs_0_and_has_the_slope_0(module, how):
    logits = LOGITS.copy()
    logits[3] = -np.inf  # all classes of a sequence that is all padding are masked
    loss = how(module, module.sparse_softmax_cross_entropy)
    losses = np.asarray(loss(array(module, PADDED), array(module, logits)))
    slopes = slope(module, loss, array(module, PADDED), array(module, logits))
    counted = PADDED != -100
    assert not losses[~counted].any()
    assert not slopes[~counted].any()
    np.testing.assert_allclose(
        losses[counted], sparse_softmax_cross_entropy_with_logits(LABELS, LOGITS)[counted], rtol=35 * EPS
    )
    assert (losses[counted] > 0).all()


@each
@pytest.mark.parametrize("label", [9, -1, 255, 1.5])
def test_a_label_that_is_no_class_costs_nan_and_has_the_slope_0(module, label, how):
    labels = array(module, np.array([label, 2], np.float32))
    logits = array(module, LOGITS[0, :2])
    loss = how(module, module.sparse_softmax_cross_entropy)
    assert np.isnan(loss(labels, logits)).tolist() == [True, False]
    slopes = slope(module, loss, labels, logits)
    assert not slopes[0].any()
    assert slopes[1].all()


@each
def test_another_mark_for_padding_can_be_named(module, how):
    labels = np.where(PADDED < 0, 255, PADDED).astype(np.uint8)
    loss = how(module, functools.partial(module.sparse_softmax_cross_entropy, ignore=255))
    losses = np.asarray(loss(array(module, labels), array(module, LOGITS)))
    assert (losses == 0).tolist() == (PADDED < 0).tolist()


@each
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_logits_of_16_bits_are_computed_in_float32(module, dtype, how):
    logits = array(module, LOGITS, dtype)
    given = np.asarray(logits).astype(np.float32)
    losses = how(module, module.sparse_softmax_cross_entropy)(array(module, LABELS), logits)
    assert losses.dtype == "float32"
    np.testing.assert_allclose(losses, sparse_softmax_cross_entropy_with_logits(LABELS, given), rtol=35 * EPS)


@each
def test_rows_may_be_integers_and_numbers_may_be_pythons(module, how):
    rows, logits = np.eye(9, dtype=np.int32)[LABELS], array(module, LOGITS)
    losses = how(module, module.softmax_cross_entropy)(array(module, rows), logits)
    np.testing.assert_allclose(losses, sparse_softmax_cross_entropy_with_logits(LABELS, LOGITS), rtol=35 * EPS)
    assert abs(float(module.sigmoid_cross_entropy(1.0, 2)) - np.log1p(np.exp(-2))) < EPS
    assert abs(float(module.sparse_softmax_cross_entropy(0, [0.0, 0.0])) - np.log(2)) < EPS


@each
def test_a_row_of_zeros_costs_0_even_beside_a_masked_class(module, how):
    logits = array(module, np.float32([[1, 2, -np.inf], [1, 2, -np.inf]]))
    rows = array(module, np.float32([[0, 0, 0], [1, 0, 0]]))
    loss = how(module, module.softmax_cross_entropy)
    np.testing.assert_allclose(loss(rows, logits), [0, np.log1p(np.e)], rtol=4 * EPS)
    slopes = slope(module, loss, rows, logits)
    assert not slopes[0].any()
    np.testing.assert_allclose(slopes[1], [1 / (1 + np.e) - 1, np.e / (1 + np.e), 0], rtol=4 * EPS)
    masked = np.full((2, 3), -np.inf, np.float32)
    masked[1] = np.nan
    assert not slope(module, loss, array(module, np.zeros((2, 3), np.float32)), array(module, masked)).any()


@each
def test_the_slope_by_a_label_is_right_where_the_label_is_0(module):
    z, x = array(module, np.float32([0, 1])), array(module, np.float32([-2, 3]))
    rows, logits = array(module, np.float32([[0, 1, 0]])), array(module, np.float32([[1, 2, 4]]))
    swapped = {name: lambda x, z, name=name: getattr(module, name)(z, x) for name in LOSSES}
    assert slope(module, swapped["sigmoid_cross_entropy"], x, z).tolist() == [2, -3]
    losses = np.log(np.exp(np.array([[1.0, 2, 4]])).sum()) - np.array([[1.0, 2, 4]])  # of each class
    np.testing.assert_allclose(slope(module, swapped["softmax_cross_entropy"], logits, rows), losses, rtol=8 * EPS)


@each
def test_the_slope_of_the_right_class_is_minus_the_sum_of_the_others(module, how):
    """Even where the loss is far below eps, on the right class and on the wrong one."""
    logits = np.float32([[40, 0, 1], [0, 1, 60]])
    for name, labels in (("sparse_softmax_cross_entropy", np.array([0, 1])), ("softmax_cross_entropy", np.eye(3)[:2])):
        slopes = slope(module, how(module, getattr(module, name)), array(module, labels), array(module, logits))
        assert (slopes != 0).tolist() == [[True] * 3] * 2
        others = slopes.astype(float).sum(axis=1) - slopes[[0, 1], [0, 1]]
        np.testing.assert_allclose(slopes[[0, 1], [0, 1]], -others, rtol=2 * EPS)


def by_keras(loss, policy, jit, tmp_path):
    """Return a model's loss before and after it was trained on padded sequences, and after it was saved and loaded."""
    x, y = sequences(-100)
    dense = keras.layers.Dense(3, use_bias=False, kernel_initializer="zeros", dtype=policy)
    model = keras.Sequential([keras.Input((4, 2)), dense])
    model.compile(keras.optimizers.SGD(0.5), loss, jit_compile=jit, run_eagerly=not jit)
    before = model.evaluate(x, y, batch_size=24, verbose=0)
    model.fit(x, y, batch_size=24, epochs=STEPS, shuffle=False, verbose=0)
    after = model.evaluate(x, y, batch_size=24, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    return before, after, loaded.evaluate(x, y, batch_size=24, verbose=0)


def by_tensorflow(loss, dtype, jit):
    x, y = sequences(-100)
    weights = tf.Variable(tf.zeros((2, 3)))

    def step():
        with tf.GradientTape() as tape:
            mean = tf.reduce_mean(loss(y, tf.cast(x, dtype) @ tf.cast(weights, dtype)))
        weights.assign_sub(0.5 * tape.gradient(mean, weights))
        return mean

    step = tf.function(step, jit_compile=True) if jit else step
    means = [float(step()) for _ in range(STEPS + 1)]
    return means[0], means[-1]


def by_jax(loss, dtype, jit):
    x, y = sequences(-100)
    optimizer = optax.sgd(0.5)

    def step(weights, state):
        def mean(w):
            return loss(jnp.asarray(y), jnp.asarray(x, dtype) @ w.astype(dtype)).mean()

        value, slopes = jax.value_and_grad(mean)(weights)
        updates, state = optimizer.update(slopes, state)
        return value, optax.apply_updates(weights, updates), state

    step = jax.jit(step) if jit else step
    weights, means = jnp.zeros((2, 3)), []
    state = optimizer.init(weights)
    for _ in range(STEPS + 1):
        value, weights, state = step(weights, state)
        means.append(float(value))
    return means[0], means[-1]


# A logit of 16 bits is wrong by half an eps of it at most, which is 2^-8 in bfloat16, 2^-11 in float16. The logits of the
# trained model are below 8, and an error of a logit changes the loss by less than itself.
TOLERANCES = {"float32": 1e-5, "mixed_bfloat16": 8 * 2.0**-8, "mixed_float16": 8 * 2.0**-11}


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of Keras, when it saves weights
@pytest.mark.parametrize("jit", [False, True], ids=["eager", "jit"])
@pytest.mark.parametrize("policy", TOLERANCES)
@pytest.mark.parametrize("trained", [by_keras, by_tensorflow, by_jax], ids=lambda trained: trained.__name__)
def test_a_loss_to_copy_trains_on_padded_sequences(trained, policy, jit, tmp_path):
    exact = np.array(EXACT["trained-padded"], float)
    if trained is by_keras:
        *means, loaded = by_keras(keras_losses.sparse_softmax_cross_entropy, policy, jit, tmp_path)
        assert loaded == means[-1]
    else:
        module = tensorflow_losses if trained is by_tensorflow else jax_losses
        means = trained(module.sparse_softmax_cross_entropy, policy.removeprefix("mixed_"), jit)
    np.testing.assert_allclose(means, exact, rtol=0, atol=TOLERANCES[policy])


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of Keras, when it saves weights
@pytest.mark.parametrize("name", ["sigmoid_cross_entropy", "softmax_cross_entropy"])
def test_a_saved_keras_model_finds_its_loss(name, tmp_path):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    model.compile("sgd", getattr(keras_losses, name))
    x, z = np.ones((5, 4), np.float32), np.eye(3)[[0, 1, 2, 0, 1]]
    model.fit(x, z, verbose=0)
    model.save(tmp_path / "model.keras")
    assert keras.saving.load_model(tmp_path / "model.keras").evaluate(x, z, verbose=0) == model.evaluate(x, z, verbose=0)


def test_a_weight_of_0_and_a_label_that_is_no_class_leave_finite_weights():
    """The loss is nan, and says so; with the label -100 it is finite as well."""
    x, y = np.ones((4, 4), np.float32), np.array([0, 1, -1, 2])
    for labels, finite in ((y, False), (np.where(y == -1, -100, y), True)):
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
        model.compile("sgd", keras_losses.sparse_softmax_cross_entropy)
        history = model.fit(x, labels, sample_weight=np.float32(y >= 0), verbose=0)
        assert np.isfinite(history.history["loss"][0]) == finite
        assert np.isfinite(model.layers[-1].kernel).all()


def test_weights_make_the_mean_of_keras_that_of_the_tokens_that_count():
    model = keras.Sequential([keras.Input((6, 9)), keras.layers.Dense(9, kernel_initializer="identity")])
    model.compile("sgd", keras_losses.sparse_softmax_cross_entropy)
    mask = PADDED != -100
    exact = sparse_softmax_cross_entropy_with_logits(LABELS, LOGITS)
    for weights, mean in ((None, exact[mask].sum() / mask.size), (mask / mask.mean(), exact[mask].mean())):
        [loss] = model.fit(LOGITS, PADDED, sample_weight=weights, epochs=1, verbose=0).history["loss"]
        assert loss == pytest.approx(mean, rel=float(35 * EPS))
        model.layers[-1].set_weights([np.eye(9), np.zeros(9)])


def test_a_classifier_of_keras_trains_on_integer_one_hot_and_column_labels():
    x, y = np.float32(np.eye(6)), np.arange(6) % 3
    forms = {
        "sparse_softmax_cross_entropy": [y, y[:, None], y.astype(np.uint8)],
        "softmax_cross_entropy": [np.eye(3, dtype=int)[y]],
    }
    ends = []
    for name, labels in [(name, labels) for name, all_of in forms.items() for labels in all_of]:
        model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(3, kernel_initializer="zeros")])
        model.compile("sgd", getattr(keras_losses, name))
        ends.append(model.fit(x, labels, epochs=3, shuffle=False, verbose=0).history["loss"])
    np.testing.assert_allclose(ends, ends[:1] * 4, rtol=4 * EPS)
    for z in (y > 0, (y > 0)[:, None]):
        binary = keras.Sequential([keras.Input((6,)), keras.layers.Dense(1, kernel_initializer="zeros")])
        binary.compile("sgd", keras_losses.sigmoid_cross_entropy)
        assert binary.evaluate(x, z, verbose=0) == pytest.approx(np.log(2), rel=float(EPS))


# --- PyTorch, and Keras on other backends, from the record -----------------------------------------

QUESTIONS = {question["question"]: question for question in RECORD["questions"]}
COPIED = [answer for answer in RECORD["answers"] if answer["device"] == "cpu" and "_losses." in answer["function"]]


def of_type(answer):
    """Return the type that an answer has, or that its question has where the record does not say more."""
    return answer.get("type", QUESTIONS[answer["question"]]["type"])


def agree(one, other, tolerance):
    """Return whether two results are the same numbers to a relative tolerance."""
    one, other = (np.array(result if isinstance(result, list) else [result], float) for result in (one, other))
    return one.shape == other.shape and np.allclose(one, other, rtol=tolerance, atol=0, equal_nan=True)


def allowed_error(answer):
    """Return the relative error that a loss to copy may have.

    8 eps are for the exponentials, logarithms and products. A sum of C exponentials, in an order that is the library's,
    loses up to C - 1 roundings of eps / 2.
    """
    [row, *_] = QUESTIONS[answer["question"]]["inputs"]
    classes = 1 if isinstance(row, str) else sum(int(entry.split(" × ")[0]) if " × " in entry else 1 for entry in row)
    return (8 + (classes - 1) / 2) * (EPS if of_type(answer) == "float32" else 2.0**-52)


@pytest.mark.parametrize("how", ["eager", "jit", ""])
def test_losses_to_copy_and_their_gradients_are_exact(how):
    asked = [
        answer
        for answer in COPIED
        if answer["how"] == how
        and QUESTIONS[answer["question"]]["exact"]
        and QUESTIONS[answer["question"]]["asks"] in ("losses", "slope", "label's slope")
        and QUESTIONS[answer["question"]]["type"] in ("float32", "float64")
    ]
    assert len(asked) >= (100 if how else 10)
    wrong = [
        answer
        for answer in asked
        if not agree(QUESTIONS[answer["question"]]["exact"], answer["result"], allowed_error(answer))
    ]
    assert not wrong


def test_losses_to_copy_are_asked_eagerly_and_compiled_in_each_library():
    ways = {(answer["function"].partition(".")[0], answer["how"]) for answer in COPIED}
    assert ways >= {(f"{name}_losses", how) for name in ("tensorflow", "torch", "jax", "keras") for how in ("eager", "jit")}


def test_losses_to_copy_train_on_three_backends_as_exact_ones_do():
    trained = [answer for answer in COPIED if answer["question"] in ("trained", "trained-classes")]
    for backend in ("tensorflow", "jax", "torch"):
        asked = {answer["function"] for answer in trained if answer["library"] == f"keras/{backend}"}
        assert len(asked) == 4  # two losses for Keras, and two for its backend
    for answer in trained:
        assert agree(QUESTIONS[answer["question"]]["exact"], answer["result"], 1e-5), answer


def recorded(question, library, how, name="sparse_softmax_cross_entropy"):
    module = library.partition("/")[0]
    return records.answer(question, library, f"{module}_losses.{name}", how)


ELSEWHERE = [
    ("torch", "eager"),
    ("torch", "jit"),
    *((f"keras/{backend}", how) for backend in ("jax", "torch") for how in ("eager", "jit")),
]


@pytest.mark.parametrize(("library", "how"), ELSEWHERE)
def test_the_recorded_loss_refuses_shapes_and_survives_labels(library, how):
    assert "do not fit" in recorded("shapes-transposed", library, how)["message"]
    for label in ("label-too-large", "label-negative", "label-fraction"):
        assert recorded(label, library, how)["result"] == "nan"
    assert recorded("label-minus-100", library, how)["result"] == "0.0"
    slopes = np.array(recorded("label-too-large-slope", library, how)["result"], float)
    assert not slopes[:3].any()
    assert np.isfinite(slopes).all()
    slopes = np.array(recorded("ignored-slope", library, how, "sparse_softmax_cross_entropy(ignore=-100)")["result"], float)
    assert not slopes[3:].any()
    assert slopes[:3].all()
    exact = float(EXACT["integer-row"][0])
    row = recorded("integer-row", library, how, "softmax_cross_entropy, integer rows")
    assert float(row["result"]) == pytest.approx(exact, rel=float(4 * EPS))


@pytest.mark.parametrize(("library", "how"), ELSEWHERE)
def test_the_recorded_loss_trains_on_padded_sequences(library, how):
    """In float32 and under autocast to bfloat16; the last loss is that of the model after it was saved and loaded."""
    for question, policy in (("trained-padded", "float32"), ("trained-mixed", "mixed_bfloat16")):
        answer = recorded(question, library, how, "sparse_softmax_cross_entropy(ignore=-100)")["result"]
        np.testing.assert_allclose(
            np.array(answer, float), np.array(EXACT[question], float), rtol=0, atol=TOLERANCES[policy]
        )


def test_torch_and_keras_return_float32_for_16_bits():
    for library, how in ELSEWHERE:
        for question in ("float16-many", "bfloat16-uniform"):
            assert recorded(question, library, how)["type"] == "float32"
