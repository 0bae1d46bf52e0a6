"""The trial finds every mutant, passes every good implementation, and reports whatever a loss does."""

import importlib
import json
import subprocess
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import keras
import ml_dtypes
import numpy as np
import pytest
import tensorflow as tf

from helpers import binary, categorical, mutants, precision, records, trial
from helpers.recipes import jax_losses, keras_losses, tensorflow_losses
from measure import questions as libraries
from measure import trial as written

RECORD = records.load("trial")
ROOT = Path(__file__).parents[2]
MUTANTS = list(mutants.MUTANTS.values())
LOSSES = {
    "binary": binary.sigmoid_cross_entropy_with_logits,
    "index": categorical.sparse_softmax_cross_entropy_with_logits,
    "rows": categorical.softmax_cross_entropy_with_logits,
}
GRADIENTS = {
    "binary": binary.sigmoid_cross_entropy_gradient,
    "index": categorical.sparse_softmax_cross_entropy_gradient,
    "rows": categorical.softmax_cross_entropy_gradient,
}
RECIPES = {"binary": "sigmoid_cross_entropy", "index": "sparse_softmax_cross_entropy", "rows": "softmax_cross_entropy"}


def widened(function):
    """Return a function that gets float32 in place of 16 bits, as a good implementation computes."""

    def wide(*arrays):
        return function(*(np.asarray(a, np.float32) if a.dtype.itemsize == 2 else a for a in arrays))

    return wide


# --- the record --------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_record_holds_what_400_bits_give_today():
    assert json.loads(json.dumps(written.record()))["questions"] == RECORD["questions"]


@pytest.mark.parametrize("kind", trial.KINDS)
def test_questions_have_names_of_their_own_and_chapters_that_exist(kind):
    questions = trial.questions(kind)
    assert len({str(question) for question in questions}) == len(questions) >= 20
    assert not [q.name for q in questions if not (ROOT / "chapters" / f"{q.chapter}.ipynb").exists()]


@pytest.mark.parametrize("dtype", precision.FORMATS)
@pytest.mark.parametrize("kind", trial.KINDS)
def test_a_type_holds_the_numbers_of_its_questions_exactly(kind, dtype):
    questions = trial.questions(kind, dtype)
    assert len(questions) >= 15
    for question in questions:
        for given, stored in zip(question.inputs(dtype), (question.labels, question.logits), strict=True):
            np.testing.assert_array_equal(given.astype(np.float64), stored.astype(np.float64))


def test_float32_is_enough_inside_for_the_bound_of_16_bits():
    """Half an eps for the rounding, and the float32 bound, must stay below 1 eps of float16, the narrower of the two."""
    for question in RECORD["questions"]:
        assert 0.5 + max(question["bound"]["loss"], question["bound"]["gradient"]) * 2.0**-13 < 1


@pytest.mark.parametrize("kind", trial.KINDS)
def test_a_question_of_the_record_of_libraries_has_the_same_numbers(kind):
    """So that an answer in that record is an answer here."""
    named = {q.name: q for q in libraries.QUESTIONS if written.FORMS[kind] in q.forms and q.asks == "losses"}
    shared = [question for question in trial.questions(kind) if question.name in named]
    assert len(shared) >= 5
    for question in shared:
        labels, logits = libraries.arrays(named[question.name], written.FORMS[kind])
        np.testing.assert_array_equal(labels.astype(np.float64), question.labels.astype(np.float64))
        np.testing.assert_array_equal(logits.astype(np.float64), question.logits.astype(np.float64))


def test_long_rows_are_stored_by_runs():
    assert records.path("trial").stat().st_size < 150_000


# --- good implementations ----------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", precision.FORMATS)
@pytest.mark.parametrize("kind", trial.KINDS)
def test_the_helpers_fail_nothing(kind, dtype):
    wide = widened if dtype == "bfloat16" else lambda function: function  # NumPy's own types end at float16
    report = trial.ask(wide(LOSSES[kind]), kind, dtype=dtype, gradient=wide(GRADIENTS[kind]))
    assert {answer.verdict for answer in report.answers} == {trial.RIGHT}, str(report)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("kind", trial.KINDS)
def test_what_the_mutants_change_fails_nothing(kind, dtype):
    loss, gradient = mutants.GOOD[kind]
    report = trial.ask(loss, kind, dtype=dtype, gradient=gradient)
    assert not report.failed, str(report)


def float64_inside(kind):
    """Return the textbook's formulas in float64, which are good enough for float32: nothing else is done about digits."""

    def doubles(labels, logits):
        z, x = labels.astype(np.float64), logits.astype(np.float64)
        if kind != "index":
            binary.max_abs_cross_entropy(z, x)  # for its errors: shapes and labels
        elif labels.shape != x.shape[:-1] or (labels.size and not 0 <= labels.min() <= labels.max() < x.shape[-1]):
            raise ValueError("labels")
        return z, x

    def shifted(x):
        m = x.max(axis=-1, keepdims=True, initial=-np.inf)
        return np.where(x == m, 0, x - m)

    def loss(labels, logits):
        z, x = doubles(labels, logits)
        if kind == "binary":
            terms = ((z, np.logaddexp(0, -x)), (1 - z, np.logaddexp(0, x)))
            return sum(np.where(weight == 0, 0, weight * term) for weight, term in terms).astype(np.float32)
        logs = np.log(np.exp(shifted(x)).sum(axis=-1, keepdims=True)) - shifted(x)
        if kind == "index":
            return np.take_along_axis(logs, labels[..., np.newaxis].astype(int), -1)[..., 0].astype(np.float32)
        return np.where(z == 0, 0, z * logs).sum(axis=-1).astype(np.float32)

    def gradient(labels, logits):
        z, x = doubles(labels, logits)
        if kind == "binary":
            return (1 / (1 + np.exp(-x)) - z).astype(np.float32)
        e = np.exp(shifted(x))
        p = e / e.sum(axis=-1, keepdims=True)
        if kind == "index":
            z = labels[..., np.newaxis] == np.arange(x.shape[-1])
        return (p * z.sum(axis=-1, keepdims=True) - z).astype(np.float32)

    return loss, gradient


@pytest.mark.parametrize("kind", trial.KINDS)
def test_float64_inside_fails_nothing(kind):
    loss, gradient = float64_inside(kind)
    report = trial.ask(loss, kind, gradient=gradient)
    assert not report.failed, str(report)


def tensorflow_gradient(loss):
    def by_logits(labels, logits):
        x = tf.constant(logits)
        with tf.GradientTape() as tape:
            tape.watch(x)
            losses = loss(labels, x)
        return tape.gradient(losses, x)

    return by_logits


def jax_gradient(loss):
    return jax.jit(jax.grad(lambda labels, logits: loss(labels, logits).sum(), argnums=1))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("kind", trial.KINDS)
def test_the_tensorflow_losses_to_copy_fail_nothing(kind, dtype):
    recipe = getattr(tensorflow_losses, RECIPES[kind])
    loss = lambda labels, logits: recipe(tf.constant(labels), tf.constant(logits))  # noqa: E731
    report = trial.ask(widened(loss), kind, dtype=dtype, gradient=widened(tensorflow_gradient(loss)))
    assert not report.failed, str(report)


@pytest.mark.slow
@pytest.mark.parametrize("kind", trial.KINDS)
def test_the_jax_losses_to_copy_fail_nothing(kind):
    recipe = getattr(jax_losses, RECIPES[kind])
    report = trial.ask(widened(jax.jit(recipe)), kind, gradient=widened(jax_gradient(recipe)))
    assert not report.failed, str(report)


@pytest.mark.parametrize("kind", trial.KINDS)
def test_the_keras_losses_to_copy_fail_nothing(kind):
    recipe = getattr(keras_losses, RECIPES[kind])
    loss = lambda labels, logits: recipe(keras.ops.convert_to_tensor(labels), keras.ops.convert_to_tensor(logits))  # noqa: E731
    report = trial.ask(widened(loss), kind, gradient=widened(tensorflow_gradient(loss)))
    assert not report.failed, str(report)


@pytest.mark.parametrize("kind", trial.KINDS)
def test_the_pytorch_losses_to_copy_fail_nothing(kind):
    torch = pytest.importorskip("torch", reason="PyTorch is not among the chapters' libraries")
    recipe = getattr(importlib.import_module("helpers.recipes.torch_losses"), RECIPES[kind])

    def loss(labels, logits):
        return recipe(torch.tensor(labels), torch.tensor(logits))

    def gradient(labels, logits):
        x = torch.tensor(logits).requires_grad_()
        return torch.autograd.grad(recipe(torch.tensor(labels), x).sum(), x)[0]

    report = trial.ask(widened(loss), kind, gradient=widened(gradient))
    assert not report.failed, str(report)


def test_a_trial_takes_less_than_ten_seconds_on_numpy():
    start = time.perf_counter()
    for kind in trial.KINDS:
        trial.ask(LOSSES[kind], kind, gradient=GRADIENTS[kind])
    assert time.perf_counter() - start < 10


# --- mutants -----------------------------------------------------------------------------------------


def test_mutants_are_many_of_all_kinds_each_with_its_source():
    assert len(MUTANTS) >= 30
    assert {(m.kind, m.what) for m in MUTANTS} == {(kind, what) for kind in trial.KINDS for what in ("loss", "gradient")}
    for m in MUTANTS:
        assert m.fault.endswith(".")
        assert m.source.count("/") >= 1
        assert m.source.count("#") + m.source.count("@") == 1


@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_every_mutant_is_found_and_right_about_something(mutant):
    good, _ = mutants.GOOD[mutant.kind]
    gradient = mutant.function if mutant.what == "gradient" else None
    report = trial.ask(good if gradient else mutant.function, mutant.kind, gradient=gradient)
    assert report.failed
    # so that it is found by a question, and not because it never works
    answers = [a for a in report.answers if ("gradient" in a.name) == bool(gradient) and "error" not in a.exact]
    assert any(answer.verdict == trial.RIGHT for answer in answers)


# --- whatever a loss does ----------------------------------------------------------------------------


def raises(labels, logits):
    raise RuntimeError("no kernel for this type")


def of_another_shape(labels, logits):
    return np.zeros((7, 5), logits.dtype)


ODD = {
    "raises": (raises, trial.REFUSED, "no kernel for this type"),
    "another shape": (of_another_shape, trial.WRONG, "the shape is (7, 5)"),
    "complex": (lambda labels, logits: LOSSES["binary"](labels, logits) + 0j, trial.WRONG, "not of real numbers"),
    "list": (lambda labels, logits: LOSSES["binary"](labels, logits).tolist(), trial.WRONG, "a list came"),
    "nothing": (lambda labels, logits: None, trial.WRONG, "a NoneType came"),
    "words": (lambda labels, logits: np.array(["one"] * logits.size), trial.WRONG, "which is no array"),
    "objects": (lambda labels, logits: np.array([object()]), trial.WRONG, "not of real numbers"),
    "nan": (lambda labels, logits: np.full(logits.shape, np.nan), trial.WRONG, ""),
}


@pytest.mark.parametrize("name", ODD)
def test_an_odd_loss_is_reported_question_by_question(name):
    loss, verdict, detail = ODD[name]
    report = trial.ask(loss, "binary", gradient=loss)
    questions = trial.questions("binary", "float32")
    assert len(report.answers) == len(questions) + sum(question.gradient is not None for question in questions)
    answers = {answer.name: answer for answer in report.answers}
    assert answers["ordinary"].verdict == answers["ordinary (gradient)"].verdict == verdict
    assert detail in answers["ordinary"].detail
    assert "ordinary" in report.failed
    assert str(report)
    assert "<table" in report._repr_html_()


def test_an_exception_is_right_where_an_error_is_due():
    answers = {answer.name: answer.verdict for answer in trial.ask(raises, "index").answers}
    assert answers["label-too-large"] == trial.RIGHT
    assert answers["ordinary"] == trial.REFUSED


def test_digits_lost_are_told_from_a_wrong_number():
    verdicts = {a.name: a.verdict for a in trial.ask(mutants.plain_logarithm, "binary").answers}
    assert verdicts["absorption"] == trial.LOST
    assert {a.verdict for a in trial.ask(mutants.sigmoid_twice, "binary").answers if a.name == "ordinary"} == {trial.WRONG}


def test_a_number_is_a_failure_where_an_error_is_due():
    verdicts = {a.name: a.verdict for a in trial.ask(mutants.label_from_the_end, "index").answers}
    assert verdicts["label-negative"] == trial.ACCEPTED
    assert verdicts["label-too-large"] == trial.RIGHT


@pytest.mark.parametrize("reduce", [np.mean, np.sum])
def test_a_reduced_loss_differs_by_design(reduce):
    loss = lambda labels, logits: reduce(LOSSES["index"](labels, logits))  # noqa: E731
    of_mean = lambda labels, logits: GRADIENTS["index"](labels, logits) / len(labels)  # noqa: E731
    report = trial.ask(loss, "index", gradient=of_mean if reduce is np.mean else GRADIENTS["index"])
    answers = {answer.name: answer.verdict for answer in report.answers}
    assert answers["ordinary"] == trial.BY_DESIGN
    assert answers["ordinary (gradient)"] == (trial.BY_DESIGN if reduce is np.mean else trial.RIGHT)
    assert not {"ordinary", "ordinary (gradient)", "leads", "leads (gradient)"} & set(report.failed)


def test_digits_are_lost_in_a_mean_as_well():
    def mean(labels, logits):
        return mutants.one_absorbs_the_rest(labels, logits).mean()

    answers = {answer.name: answer for answer in trial.ask(mean, "index").answers}
    assert answers["ordinary"].verdict == trial.BY_DESIGN
    assert answers["confident"].verdict == trial.LOST
    assert answers["confident"].detail == trial.MEAN


def test_choices_are_shown_and_not_counted():
    report = trial.ask(tf.nn.softmax_cross_entropy_with_logits, "rows", gradient=None)
    of_zero_row = lambda labels, logits: mutants._softmax(logits) - labels  # noqa: E731
    gradients = trial.ask(mutants.good_rows, "rows", gradient=of_zero_row)
    [zero_row] = [answer for answer in gradients.answers if answer.name == "zero-row (gradient)"]
    assert zero_row.verdict == trial.BY_DESIGN
    assert "zero-row (gradient)" not in gradients.failed
    assert "sum to 1" in str(gradients)
    assert report.answers


def test_a_loss_may_overwrite_its_inputs():
    def overwriting(labels, logits):
        losses = LOSSES["binary"](labels, logits)
        labels[...], logits[...] = 0, 0
        return losses

    assert not trial.ask(overwriting, "binary").failed


def test_a_loss_that_warns_is_not_refused():
    assert "overflow" not in trial.ask(mutants.overflowing_exponential, "binary").failed  # the warning alone is no fault


@pytest.mark.parametrize(
    ("framework", "dtype"),
    [(tf.constant, "float32"), (tf.constant, "bfloat16"), (jnp.asarray, "float32"), (jnp.asarray, "bfloat16")],
)
def test_arrays_of_frameworks_are_read(framework, dtype):
    good = widened(LOSSES["binary"])
    kept = ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype
    report = trial.ask(lambda z, x: framework(good(z, x).astype(kept)), "binary", dtype=dtype)
    assert not report.failed, str(report)


class Tensor:
    """What trial knows of PyTorch's tensors."""

    def __init__(self, array):
        """Keep the array."""
        self.array = array

    def detach(self):
        """Return the tensor without its graph."""
        return self

    def cpu(self):
        """Return the tensor in the memory of the processor."""
        return self

    def is_complex(self):
        """Tell whether the numbers are complex."""
        return False

    def double(self):
        """Return float64, which NumPy reads."""
        return self.array.astype(np.float64)


def test_a_tensor_of_pytorch_is_detached_and_widened():
    assert not trial.ask(lambda z, x: Tensor(LOSSES["binary"](z, x)), "binary").failed


# --- bad input ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["softmax", "", None, 3])
def test_an_unknown_kind_is_refused(kind):
    with pytest.raises(ValueError, match=f"kind must be one of binary, index, rows, got {kind!r}"):
        trial.questions(kind)
    with pytest.raises(ValueError, match="kind must be one of"):
        trial.ask(LOSSES["binary"], kind)


@pytest.mark.parametrize("dtype", ["float8", "double", None, np.float32])
def test_an_unknown_type_is_refused(dtype):
    with pytest.raises(ValueError, match="dtype must be one of float16, bfloat16, float32, float64, got"):
        trial.ask(LOSSES["binary"], "binary", dtype=dtype)


def test_a_type_that_does_not_hold_a_question_is_refused():
    [question] = [question for question in trial.questions("binary") if question.name == "soft-label"]
    with pytest.raises(ValueError, match="one of float32, float64 for the question soft-label, got 'float16'"):
        trial.ask(LOSSES["binary"], question, dtype="float16")


@pytest.mark.parametrize(("argument", "functions"), [("loss", (None, None)), ("gradient", (LOSSES["binary"], 3))])
def test_what_cannot_be_called_is_refused(argument, functions):
    loss, gradient = functions
    with pytest.raises(TypeError, match=f"{argument} must be a function of labels and logits, got"):
        trial.ask(loss, "binary", gradient=gradient)


# --- how it is used ----------------------------------------------------------------------------------


@pytest.mark.parametrize("question", trial.questions("index", "float32"), ids=str)
def test_pytest_can_ask_one_question_at_a_time(question):
    assert not trial.ask(LOSSES["index"], question, gradient=GRADIENTS["index"]).failed


def test_a_report_names_what_a_failure_tests_and_where_it_is_explained():
    text = str(trial.ask(mutants.max_minus_product, "binary"))
    assert "max(x, 0) - xz cancels for a label near 1" in text
    assert "See the-last-digits." in text
    assert text.splitlines()[-1].startswith("max_minus_product, float32, ")
    assert max(map(len, text.split("\n\n", maxsplit=1)[0].splitlines())) < 110


def test_html_escapes_what_a_loss_says():
    def shouting(labels, logits):
        raise ValueError("<script>")

    page = trial.ask(shouting, "binary")._repr_html_()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def run(*arguments, cwd=ROOT):
    command = [sys.executable, "-m", "helpers.trial", *arguments]
    return subprocess.run(command, capture_output=True, encoding="utf8", check=False, cwd=cwd)


def test_the_command_exits_with_0_for_a_good_loss():
    name = "helpers.binary:sigmoid_cross_entropy_"
    done = run(f"{name}with_logits", "--kind", "binary", "--gradient", f"{name}gradient")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "right" in done.stdout


def test_the_command_exits_with_1_for_a_wrong_loss():
    done = run("helpers.mutants:no_shift", "--kind", "index", "--dtype", "bfloat16")
    assert done.returncode == 1, done.stderr
    assert "far-apart" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["helpers.binary", "--kind", "binary"], "must be package.module:function"),
        (["helpers.binary:missing", "--kind", "binary"], "cannot be imported"),
        (["helpers.binary:sigmoid", "--kind", "softmax"], "invalid choice"),
    ],
)
def test_the_command_says_what_it_needs(arguments, message):
    done = run(*arguments)
    assert done.returncode == 2
    assert message in done.stderr
