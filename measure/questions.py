"""What libraries.py asks of every cross-entropy loss, and the exact answers.

A question is an entry of QUESTIONS, at the end. Its exact answer is computed by mpmath, with 400 bits, from the very numbers
that the libraries get: labels and inputs are rounded to the type of the question first.
"""

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import mpmath
import numpy as np

from helpers import precision
from helpers.precision import EXACT
from helpers.recipes import calls

# What a function takes. A class is named by its index, or by a one-hot row that is made of the index.
SIGMOID, PROBABILITY, BY_HAND = ("sigmoid",), ("probability",), ("sigmoid by hand",)
INDEX, ONE_HOT, CLASSES = ("index",), ("one-hot",), ("index", "one-hot")
CLASS_PROBABILITIES = ("index, probabilities", "one-hot, probabilities")

VOCABULARY = 50_257  # of GPT-2
LEAD = 17  # of the largest logit of a confident row, whose other logits are 0
WEIGHTS = (1, 3)
SMOOTHING = 0.1

# The parts that a run may be asked for, by what the questions ask.
QUICK = ("losses", "mean", "slope", "label's slope", "mean's slope", "as given", "call")
SLOW = ("trained", "trained on sequences", "trained in 16 bits", "error over logit", "error over classes")
SLOW += ("error over distance", "chunked")
PARTS = {"quick": QUICK, "full": QUICK + SLOW, "speed": ("speed", "memory")}


def arrays(question: "Question", form: str, mark: int | None = None) -> tuple[np.ndarray, ...]:
    """Return labels, as the form takes them, and inputs; a label None becomes the function's mark for padding."""
    rounded = "float32" if question.dtype == "bfloat16" else question.dtype  # NumPy has none; no input here needs rounding
    inputs = np.array(question.inputs, rounded)
    labels = np.array([mark if label is None else label for label in question.labels])
    if form.startswith("one-hot") and labels.ndim == 1:
        labels = labels[:, np.newaxis] == np.arange(inputs.shape[-1])
    of_class = form.startswith("index") or form in (
        "ignoring",
        "weighted",
        "smoothed",
        "smoothed and weighted",
        "integer rows",
        "all ignored",
        "half a mask",
    )
    return labels if of_class else labels.astype(rounded), inputs


def exact_answers(question: "Question") -> list:
    """Return the exact losses, their mean or the slopes by the inputs."""
    form, *_ = question.forms
    slope, binary = question.asks.endswith("slope"), form in SIGMOID + PROBABILITY + BY_HAND
    counted = question._replace(labels=[label for label in question.labels if label is not None])  # padding comes last
    answers = []
    for labels, inputs in zip(*arrays(counted, form if binary else "one-hot"), strict=False):
        if form in PROBABILITY:
            z, p = EXACT.mpf(float(labels)), EXACT.mpf(float(inputs))
            loss = EXACT.fsum(k * -EXACT.log(q) for k, q in ((z, p), (1 - z, 1 - p)) if k)  # 0 log 0 is 0
            answers.append((p - z) / (p * (1 - p)) if slope else loss)
        elif binary:
            exact = precision.exact_sigmoid_cross_entropy_gradient if slope else precision.exact_sigmoid_cross_entropy
            answers.append(exact(labels, inputs))
        elif slope:
            answers += precision.exact_softmax_cross_entropy_gradient(labels, inputs)
        else:
            answers.append(precision.exact_softmax_cross_entropy(labels, inputs))
    if question.asks == "mean":
        return [EXACT.fsum(answers) / len(answers)]
    return answers[:1] if question.asks == "label's slope" else answers


def exact_from_logits(question: "Question") -> list:
    """Return the exact losses where the inputs are logits although the functions take probabilities."""
    return exact_answers(question._replace(forms=INDEX))


def exact_smoothed(question: "Question") -> list:
    """Return the exact losses of smoothed one-hot rows."""
    one_hot, inputs = arrays(question, "one-hot")
    smoothed = one_hot.astype(float) * (1 - SMOOTHING) + SMOOTHING / inputs.shape[-1]
    return exact_answers(question._replace(forms=ONE_HOT, labels=list(smoothed)))


def exact_focal(question: "Question") -> list:
    """Return (1 - p)^2 times the loss, for labels 1, whose slope is p - 1."""
    losses, slopes = (exact_answers(question._replace(forms=SIGMOID, asks=asks)) for asks in ("losses", "slope"))
    return [slope**2 * loss for slope, loss in zip(slopes, losses, strict=True)]


# --- the calls to recommend ----------------------------------------------------------------------

# A call is asked about rows and about sequences, with sizes that all differ, so that no axis can stand for another.
BATCHES, CLASS_COUNT, WIDTH = ((6,), (3, 4)), 5, 2


def sample(kind: str, batch: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Return an input of a call; what a model computes has few enough bits for every type, the product of two as well."""
    index = rng.integers(CLASS_COUNT, size=batch)
    padding = np.arange(index.size).reshape(batch) % 3 == 1  # in every batch that is cut off the first axis
    allowed = rng.integers(2, size=(*batch, CLASS_COUNT)) | (index[..., np.newaxis] == np.arange(CLASS_COUNT))

    def eighths(*shape: int, largest: int = 32) -> np.ndarray:
        return rng.integers(-largest, largest + 1, shape) / 8

    return {
        "index": lambda: index,
        "padded index": lambda: np.where(padding, -1, index),
        "mask": lambda: ~padding,
        "allowed index": lambda: index,
        "allowed": lambda: allowed,
        "weights": lambda: 1.0 + np.arange(CLASS_COUNT),
        "logits": lambda: eighths(*batch, CLASS_COUNT),
        "one logit": lambda: eighths(*batch),
        "yes or no": lambda: rng.choice([0, 0.25, 0.9, 1], size=batch),
        "soft": lambda: rng.dirichlet(np.ones(CLASS_COUNT), size=batch),
        "image": lambda: rng.integers(CLASS_COUNT, size=(batch[0], 2, 4)),
        "image logits": lambda: eighths(batch[0], CLASS_COUNT, 2, 4),
        "square": lambda: eighths(batch[0], batch[0]),
        "log p": lambda: -10 * rng.random(batch),
        "hidden": lambda: eighths(*batch, WIDTH, largest=4),
        "embedding": lambda: eighths(CLASS_COUNT, WIDTH, largest=4) * 4,
    }[kind]()


def call_inputs(task: calls.Task, batch: tuple[int, ...]) -> dict[str, np.ndarray | float]:
    """Return the inputs of a task's calls by name, floats as float32; the kinds of one task agree with each other."""
    given = {
        name: kind if isinstance(kind, float) else sample(kind, batch, _rng(name)) for name, kind in task.inputs.items()
    }
    return {
        name: value.astype(np.float32) if getattr(value, "dtype", 0) == np.float64 else value
        for name, value in given.items()
    }


def _rng(name: str) -> np.random.Generator:
    # "labels" and "allowed" start alike, so that the label is allowed
    return np.random.default_rng(list({"allowed": "labels"}.get(name, name).encode()))


def direction(array: np.ndarray) -> np.ndarray:
    """Return the direction in which a gradient is tested, no entry of which is 0."""
    return np.cos(np.arange(array.size)).reshape(array.shape)


def weighed(result: np.ndarray | float) -> float:
    """Return one number for the result of a call, in which the place of each entry counts."""
    return float(np.dot(np.ravel(result).astype(float), 1 + np.arange(np.size(result))))


def exact_call(question: "Question") -> list:
    """Return what a task's calls must answer.

    It is the result for rows and for sequences in float32, bfloat16 and float16, where the inputs are the same numbers, and
    the slope along `direction` by the first of the ``half`` inputs, as a central difference, whose error is below 1e-7.
    """
    task = calls.TASKS[question.name.removeprefix("call: ")]
    exact = calls.function("exact", task.calls["exact"], list(task.inputs))
    answers, slopes = [], []
    for batch in BATCHES:
        given = {
            name: value.astype(float) if np.asarray(value).dtype == np.float32 else value
            for name, value in call_inputs(task, batch).items()
        }
        answers += [weighed(exact(**given))] * 3
        if task.half and task.compiled:
            [by, *_], step = task.half, 1e-4
            ahead, behind = (weighed(exact(**given | {by: given[by] + s * direction(given[by])})) for s in (step, -step))
            slopes.append((ahead - behind) / (2 * step))
    return answers + slopes


# --- training ------------------------------------------------------------------------------------

# Of a divergence the labels are the rows of p, and the inputs those of q: as logits, or as probabilities. A function of the
# form "divergence by p" takes q first, so that it is differentiated by p.
KL, KL_GIVEN, KL_BY_P, KL_MEAN = ("divergence of logits",), ("divergence",), ("divergence by p",), ("mean divergence",)
JENSEN_SHANNON, ENTROPY = ("jensen-shannon distance",), ("entropy of logits",)


def exact_divergences(question: "Question") -> list:
    """Return the exact divergences, their mean or their slopes by the second argument; 0 log 0 is 0.

    400 bits are many more than what cancels; what is left of them where the rows are equal is set to 0. An entropy has no
    labels.
    """
    mp = EXACT
    [form] = question.forms
    answers = []

    def divergence(p: list, q: list) -> Any:
        return mp.fsum(a * mp.log(a / b) if b else mp.inf for a, b in zip(p, q, strict=True) if a)

    def distribution(row: np.ndarray) -> list:
        numbers = [mp.mpf(float(number)) for number in row]
        if form not in KL + KL_MEAN + ENTROPY:
            return numbers
        terms = [mp.exp(x) for x in numbers]
        return [term / mp.fsum(terms) for term in terms]

    labels, inputs = arrays(question, form)
    rows = (labels if labels.size else inputs), inputs
    for p, q in zip(*(map(distribution, array.reshape(-1, array.shape[-1])) for array in rows), strict=True):
        pairs = list(zip(p, q, strict=True))
        if form in ENTROPY:
            entropy = -mp.fsum(a * mp.log(a) for a in p if a)
            slopes = [-a * (mp.log(a) + entropy) if a else mp.zero for a in p]
            answers += slopes if question.asks == "slope" else [entropy]
        elif question.asks == "slope":
            by = {
                KL: lambda a, b: b - a,
                KL_BY_P: lambda a, b: mp.log(b / a) + 1 if b else -mp.inf,  # q comes first
            }[question.forms]
            answers += [by(a, b) for a, b in pairs]
        elif form in JENSEN_SHANNON:
            m = [(a + b) / 2 for a, b in pairs]
            answers.append(mp.sqrt((divergence(p, m) + divergence(q, m)) / 2))
        else:
            answers.append(mp.chop(divergence(p, q), 1e-100))
    return [mp.fsum(answers) / len(answers)] if question.asks == "mean" else answers


STEPS, RATE = 50, 0.5  # of training


def problem(classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return 96 points of the plane, and the class of each."""
    y = np.arange(96) % classes
    centers = np.array([[1, 0], [-1, 1], [0, -1]])
    return (centers[y] + np.random.default_rng(0).normal(0, 0.7, (96, 2))).astype(np.float32), y


def sequences(mark: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the points as 24 sequences of four, and the classes, of which the first 1 to 4 of each sequence count."""
    x, y = problem(3)
    x, y = x.reshape(24, 4, 2), y.reshape(24, 4)
    return x, np.where(np.arange(4) <= np.arange(24)[:, np.newaxis] % 4, y, mark)


def exact_training(question: "Question") -> list:
    """Return the mean loss before and after gradient descent in float64, whose errors no float32 can show.

    A mean over sequences is that over all positions, those of padding too, which cost 0.
    """
    classes = 2 if "sigmoid" in question.forms else 3
    x, y = problem(classes) if question.asks == "trained" else sequences(-1)
    positions, x, y = y.size, x[y >= 0], y[y >= 0]
    weights, losses = np.zeros((2, classes)), []
    for _ in range(STEPS + 1):
        e = np.exp(x @ weights)
        p = e / e.sum(axis=1, keepdims=True)
        losses.append(-np.log(p[np.arange(len(y)), y]).sum() / positions)
        # The one logit of two classes is the difference of two logits here, so each of them takes half of its step.
        weights -= RATE / (2 if classes == 2 else 1) * x.T @ (p - np.eye(classes)[y]) / positions
    return [losses[0], losses[-1]]


class Question(NamedTuple):
    """Something to ask of every function that has one of the forms.

    ``asks`` is "losses" (one by one), "mean" (as the library forms it), "slope" (by the logits or probabilities),
    "label's slope" (its first entry, that of the right class), "mean's slope", "as given" (the default call, whatever the
    shapes), "call" (a call of calls.py, with the arrays of its task), or one of the measurements of libraries.py. ``exact``
    gives the exact answers; None stands for questions that have none.
    """

    name: str
    forms: tuple[str, ...]
    labels: Any
    inputs: Any
    tells: str
    asks: str = "losses"
    dtype: str = "float32"
    exact: Callable[["Question"], list] | None = exact_answers
    compiled: bool = True  # asked of the compiled function, too


def text(value: Any) -> Any:
    """Return numbers as strings, since they can be infinite, with runs of equal ones counted."""
    if isinstance(value, dict):
        return {name: text(array) for name, array in value.items()}
    if value is None or not np.ndim(value):
        return "padding" if value is None else str(value)
    if np.ndim(value) > 1 or len(value) < 5:
        return [text(entry) for entry in value]
    return [f"{n} × {entry}" if (n := len(list(run))) > 1 else str(entry) for entry, run in itertools.groupby(value)]


def described(question: Question) -> dict:
    """Return a question as the record shows it, with exact answers to 20 digits, more than float64 tells apart."""
    exact = question.exact and [mpmath.nstr(EXACT.mpf(number), 20) for number in question.exact(question)]
    return {
        "question": question.name,
        "asks": question.asks,
        "tells": question.tells,
        "labels": text(question.labels),
        "inputs": text(question.inputs),
        "type": question.dtype,
        "exact": exact and [number.replace("+inf", "inf") for number in exact],
    }


def _row(*logits: float) -> list[tuple[float, ...]]:
    return [logits]


_123, _CONFIDENT = _row(1, 2, 3), _row(LEAD, *[0] * (VOCABULARY - 1))
_MASKED = (-np.inf, -np.inf, -np.inf)
_EAGER = {"compiled": False}
_NO_EXACT = {"exact": None}
_DIVERGENCE = {"exact": exact_divergences}
_NEAR = _row(0, 2, 1), _row(0, 1.9999, 1.0001)
_TEACHER, _STUDENT = [(2, 1, 0), (-1, 0, 4)], [(1, 2, -1), (0.5, -0.5, 3)]
QUESTIONS = [
    # binary, from logits
    Question("overflow", SIGMOID, [0], [-810], "the naive form overflows", **_EAGER),
    Question("absorption", SIGMOID, [1], [23], "log(1 + e^-x) is 0 in float32, log1p(e^-x) is not"),
    Question("absorption-float64", SIGMOID, [1], [23], "log or log1p, by the digits", dtype="float64", **_EAGER),
    Question("soft-label", SIGMOID, [0.999999], [1000], "max(x, 0) - xz cancels near z = 1"),
    Question("soft-label-negative", SIGMOID, [1e-6], [-1000], "(1 - z)x - log σ(x) cancels near z = 0"),
    Question("confident-negative", SIGMOID, [0], [-17], "it cancels at z = 0; log(1 + e^x) absorbs"),
    Question("kink", SIGMOID, [0.3], [0], "autodiff of max and abs at 0, by tie rule", "slope"),
    Question("kink-by-hand", BY_HAND, [0.3], [0], "the tie rules of max and abs", "slope", **_EAGER),
    Question("kink-by-hand-right", BY_HAND, [1], [0], "is it 0, so that a zero head never learns?", "slope", **_EAGER),
    Question("saturated-slope", SIGMOID, [1], [40], "σ(x) - z is 0", "slope"),
    Question("infinite-right", SIGMOID, [1], [np.inf], "0 times infinity is nan"),
    Question("infinite-right-slope", SIGMOID, [1], [np.inf], "so is infinity minus infinity", "slope"),
    Question("infinite-wrong", SIGMOID, [0], [np.inf], "an infinite loss is right"),
    Question("label-outside", SIGMOID, [2], [0.8472979], "accepted or refused", **_NO_EXACT),
    Question("shapes", SIGMOID, [0, 1, 1, 0], [[-1], [2], [-3], [4]], "refused, lined up or 4 × 4", "as given", **_NO_EXACT),
    # binary, from probabilities
    Question("certain-right", PROBABILITY, [1], [1], "a clip costs 1.19e-7", **_EAGER),
    Question("certain-wrong", PROBABILITY, [1], [0], "where p, or log p, is clipped", **_EAGER),
    Question("certain-wrong-upper", PROBABILITY, [0], [1], "1 - 1e-7 is 1 - 2^-23 in float32", **_EAGER),
    Question("certain-wrong-float64", PROBABILITY, [1], [0], "the clip of float64", dtype="float64", **_EAGER),
    Question("tiny-probability", PROBABILITY, [1], [1e-8], "the clip ends the loss", **_EAGER),
    Question("tiny-probability-slope", PROBABILITY, [1], [1e-8], "and the gradient", "slope", **_EAGER),
    Question("half-half", PROBABILITY, [0.5, 0.5], [0, 1], "the published 8.01512", "mean", **_EAGER),
    Question("float16-certain", PROBABILITY, [1], [1], "1 - 1e-7 is 1, so nothing is clipped", dtype="float16", **_EAGER),
    Question("label-outside-probability", PROBABILITY, [2], [0.3], "accepted or refused", **_NO_EXACT),
    Question("label-outside-certain", PROBABILITY, [1.5], [1], "a log that is clipped at -100 comes in", **_NO_EXACT),
    Question("probability-outside", PROBABILITY, [1], [1.5], "refused, clipped or negative", **_NO_EXACT),
    # classes, from logits
    Question("confident", CLASSES, [0], _row(20, 0, 0), "log-sum-exp minus logit cancels"),
    Question("confident-float64", CLASSES, [0], _row(40, 0, 0), "so it does in float64", dtype="float64"),
    Question("confident-slope", CLASSES, [0], _row(20, 0, 0), "p - 1 cancels at the right class", "slope"),
    Question("confident-large", CLASSES, [0], _CONFIDENT, "the error of one token of GPT-2"),
    Question("confident-large-slope", CLASSES, [0], _CONFIDENT, "its p - 1", "label's slope"),
    Question("common-offset", CLASSES, [2], _row(10_000, 10_001, 10_002), "is it subtracted first, or last?"),
    Question("far-apart", CLASSES, [1], _row(1000, 0, 0), "e^1000 overflows"),
    Question("tie-slope", CLASSES, [0], _row(0, 0, 0), "autodiff of max, by tie rule", "slope"),
    Question("soft-row", ONE_HOT, _row(1 - 2e-6, 1e-6, 1e-6), _row(1000, 0, 0), "cancellation near a one-hot row"),
    Question("label-too-large", INDEX, [3], _123, "class 3 of 3", **_NO_EXACT),
    Question("label-negative", INDEX, [-1], _123, "class -1 of 3", **_NO_EXACT),
    Question("label-minus-100", INDEX, [-100], _123, "PyTorch's mark for padding", **_NO_EXACT),
    Question("label-fraction", INDEX, [np.float32(1.7)], _123, "class 1.7 of 3", **_NO_EXACT),
    Question("label-too-large-slope", INDEX, [3, 0], _123 * 2, "does nan reach the weights?", "slope", **_NO_EXACT),
    Question("shapes-transposed", INDEX, [[0, 1, 2]], [_123] * 3, "labels (1, 3), rows (3, 1)", "as given", **_NO_EXACT),
    Question("ignored", ("ignoring",), [0, None], _123 * 2, "the mean over the rows that count", "mean", **_EAGER),
    Question("ignored-slope", ("ignoring",), [0, None], [*_123, _MASKED], "padding, all masked", "slope", **_NO_EXACT),
    Question("all-ignored", ("ignoring",), [None, None], _123 * 2, "0 / 0", "mean", **_NO_EXACT, **_EAGER),
    Question("all-ignored-slope", ("all ignored",), [-1], _123, "loss nan, slope 0", "mean's slope", **_NO_EXACT, **_EAGER),
    Question("masked", CLASSES, [0], _row(1, 2, -np.inf), "0 times infinity is nan"),
    Question("masked-slope", CLASSES, [0], _row(1, 2, -np.inf), "does nan spread to the gradient?", "slope"),
    Question("masked-half", ("half a mask",), [0], _123, "-1e9 in float16", dtype="float16", **_NO_EXACT, **_EAGER),
    Question("masked-wrong", CLASSES, [2], _row(1, 2, -np.inf), "an infinite loss is right"),
    Question("only-class-slope", CLASSES, [0], _row(1, -np.inf, -np.inf), "all other classes are masked", "slope"),
    Question("infinite-class", CLASSES, [0], _row(np.inf, 0, 0), "infinity minus infinity is nan"),
    Question("zero-row", ONE_HOT, _row(0, 0, 0), _123, "an all-zero row used as a mask"),
    Question("zero-row-slope", ONE_HOT, _row(0, 0, 0), _123, "its gradient is 0, or p", "slope"),
    Question("integer-row", ("integer rows",), _row(1, 0, 0), _123, "labels of another type than the logits"),
    Question("two-hot", ONE_HOT, _row(1, 1, 0), _123, "labels whose sum is 2"),
    Question("float16-many", CLASSES, [0], _row(*[0] * 70_000), "float16 ends at 65,504", dtype="float16"),
    Question("bfloat16-uniform", CLASSES, [0], _row(*[0] * VOCABULARY), "the grid of bfloat16", dtype="bfloat16"),
    # classes, from probabilities
    Question(
        "logits-as-probabilities", CLASS_PROBABILITIES, [1], _row(-1, 2, -3), "a mistake", exact=exact_from_logits, **_EAGER
    ),
    Question("zero-head", CLASS_PROBABILITIES, [1], _row(*[0] * 10), "log 10 hides it", exact=exact_from_logits, **_EAGER),
    # variants
    Question("weighted-mean", ("weighted",), [0, 2], _123 * 2, "which denominator", "mean", **_NO_EXACT, **_EAGER),
    Question("weighted-mean-binary", ("weighted sigmoid",), [1, 0], [1, 2], "the same", "mean", **_NO_EXACT, **_EAGER),
    Question(
        "smoothed-and-weighted",
        ("smoothed and weighted",),
        [0, 0, 0],
        [(np.log(0.95 / 5) + k, 0) for k in (-1, 0, 1)],
        "whose weight do the shares of the other classes take?",
        **_NO_EXACT,
        **_EAGER,
    ),
    Question(
        "smoothed-float16", ("smoothed",), [0], _row(*[0] * 8000), "C log C", dtype="float16", exact=exact_smoothed, **_EAGER
    ),
    Question("focal", ("focal",), [1, 1, 1], [2, 15, -20], "from logits, or through p", exact=exact_focal, **_EAGER),
    Question(
        "clamped-slope", ("clamped",), [0], [100], "exp overflows before it is clamped", "slope", **_NO_EXACT, **_EAGER
    ),
    Question("hooks", ("hooks",), [0], [0], "does the guide's hook name the module?", "mean", **_NO_EXACT, **_EAGER),
    # divergences
    Question("kl-near", KL, *_NEAR, "first-order terms cancel", **_DIVERGENCE),
    Question("kl-near-slope", KL, *_NEAR, "q - p cancels", "slope", **_DIVERGENCE),
    Question("kl-near-float64", KL, _row(0, 2, 1), _row(0, 2 - 1e-9, 1 + 1e-9), "the same", dtype="float64", **_DIVERGENCE),
    Question("kl-masked", KL, _row(1, 2, -np.inf), _row(2, 2, -np.inf), "-inf minus -inf is nan", **_DIVERGENCE),
    Question("kl-zero-p", KL_GIVEN, _row(0, 0.25, 0.75), _row(0.25, 0.25, 0.5), "0 log 0 is 0", **_DIVERGENCE, **_EAGER),
    Question("kl-zero-q", KL_GIVEN, _row(0.5, 0.5), _row(0, 1), "infinity is right", **_DIVERGENCE, **_EAGER),
    Question("kl-zero-both", KL_GIVEN, _row(0, 0.25, 0.75), _row(0, 0.5, 0.5), "0 log (0 / 0)", **_DIVERGENCE, **_EAGER),
    Question(
        "kl-zero-p-slope-by-p", KL_BY_P, _row(0.25, 0.25, 0.5), _row(0, 0.25, 0.75), "by p", "slope", **_DIVERGENCE, **_EAGER
    ),
    Question("kl-mean", KL_MEAN, _TEACHER, _STUDENT, "which denominator", "mean", **_DIVERGENCE, **_EAGER),
    Question(
        "kl-mean-time",
        KL_MEAN,
        [[row] * 5 for row in _TEACHER],
        [[row] * 5 for row in _STUDENT],
        "with a time axis of 5",
        "mean",
        **_DIVERGENCE,
        **_EAGER,
    ),
    Question(
        "jensen-shannon-near",
        JENSEN_SHANNON,
        _row(0.3, 0.7),
        _row(0.30001, 0.69999),
        "the root of a negative number",
        **_DIVERGENCE,
        **_EAGER,
    ),
    Question("entropy-masked", ENTROPY, [], _row(0, 0, -np.inf), "0 times infinity is nan", **_DIVERGENCE, **_EAGER),
    Question(
        "error-over-distance", KL, [], [], "divergence, error, share below 0", "error over distance", **_NO_EXACT, **_EAGER
    ),
    # measurements
    Question("trained", (*SIGMOID, "trained sigmoid"), [], [], "loss before and after", "trained", exact=exact_training),
    Question("trained-classes", (*INDEX, "trained index"), [], [], "the same", "trained", exact=exact_training),
    Question("trained-padded", ("ignoring",), [], [], "sequences, padding", "trained on sequences", exact=exact_training),
    Question("trained-mixed", ("ignoring",), [], [], "the same in bfloat16", "trained in 16 bits", exact=exact_training),
    Question("error-over-logit", SIGMOID, [], [], "worst errors in eps", "error over logit", **_NO_EXACT, **_EAGER),
    Question("error-over-classes", CLASSES, [], [], "errors in eps", "error over classes", **_NO_EXACT, **_EAGER),
    Question("chunked-bfloat16", ("hidden",), [], [], "mean loss, errors of gradients", "chunked", **_NO_EXACT, **_EAGER),
    Question("speed", SIGMOID + CLASSES, [], [], "ns per logit, for loss and gradient", "speed", **_NO_EXACT),
    Question("memory", SIGMOID + CLASSES, [], [], "peak, in sizes of the logits", "memory", **_NO_EXACT),
    # calls
    *(
        Question(
            f"call: {name}", (f"call: {name}",), [], task.inputs, "a call", "call", "float32", exact_call, task.compiled
        )
        for name, task in calls.TASKS.items()
        if "exact" in task.calls
    ),
]
