"""Write the questions of the trial, with exact answers from 400 bits, to the record ``trial``.

    python -m measure.trial [--output FILE]

helpers/trial.py asks them of any loss. A question that the record of libraries asks as well is taken from questions.py by
its name, so that it is defined once. The run is deterministic; a test repeats it and compares.

**What the bounds allow.** A good float32 implementation computes a sum of terms that cannot cancel. Its exp and log1p are
off by at most 2 eps each (the largest errors of NumPy's are 1.8 and 1.7, see the record ``exhaustive``), and every other
operation by half an eps. By the theorems of the appendix *Error bounds* its loss is then within

- 2 + 2 + 1/2 eps for a binary label, rounded up to 5, and
- 2 + 2 + 1/2 + (D + A) / 2 eps for a class, where D is the mean distance of the other logits below the largest one, weighted
  by their exponentials, and A the largest number of additions that a term passes through. A = 2 √C is that of a sum in √C
  blocks of √C terms: pairwise and parallel sums have less. One running sum over a long row may exceed it.

A 16-bit implementation computes this in float32 and rounds once, to within half an eps of its type: 1 eps is allowed.
"""

import argparse
import functools
import itertools
import json
from pathlib import Path
from typing import Any, NamedTuple

import mpmath
import numpy as np
from numpy.typing import NDArray

from helpers import precision, records
from measure import questions

FORMS = {"binary": "sigmoid", "index": "index", "rows": "one-hot"}  # what questions.py calls the three kinds
INF, NAN = np.inf, np.nan
ERROR = "error"
ABSORBED = "even float64 inside gives 0: 1 absorbs the rest"
SUM_ONE = "the gradient of rows whose labels sum to 1"
FORMULA = "the formula, which holds for any label: labels are not checked"
LINED_UP = "labels and logits are lined up"
INTEGERS = "integers are refused"
EMPTY = "an empty batch is refused"
HALF = "16-bit logits are refused"
SEQUENCES = "a sequence axis is refused: flatten it first"
PADDING = "-100 marks padding, which costs 0"
CAPPED = "an infinite loss is capped at a finite number"


class Draft(NamedTuple):
    """A question before its exact answers. ``labels`` and ``logits`` of float64 take the type that is asked for."""

    name: str
    kind: str
    labels: NDArray
    logits: NDArray
    chapter: str
    tests: str
    error: bool = False  # the right answer is an error
    gradient: bool = True  # asked for the gradient, too
    types: tuple[str, ...] | None = None  # where not every type that holds the numbers will do
    by_design: tuple[dict, ...] = ()


def own(name: str, kind: str, labels: Any, logits: Any, chapter: str, tests: str, **more: Any) -> Draft:
    """Return a question that the record of libraries does not ask."""
    labels = np.asarray(labels, None if hasattr(labels, "dtype") else np.int64 if kind == "index" else np.float64)
    return Draft(name, kind, labels, np.asarray(logits, getattr(logits, "dtype", np.float64)), chapter, tests, **more)


def taken(name: str, kind: str, chapter: str, tests: str, **more: Any) -> Draft:
    """Return a question of questions.py, with its numbers as the libraries get them."""
    question = next(question for question in questions.QUESTIONS if question.name == name)
    labels, logits = questions.arrays(question, FORMS[kind])
    logits = logits.astype(np.float64)
    return Draft(name, kind, labels if kind == "index" else labels.astype(np.float64), logits, chapter, tests, **more)


def choice(because: str, loss: Any = None, gradient: Any = None) -> dict:
    """Return an answer that is accepted as a choice: numbers of the exact answer's shape, or an error."""
    return {"because": because, "loss": loss, "gradient": gradient}


# --- exact answers ---------------------------------------------------------------------------------


@functools.cache  # the questions by index and by one-hot rows have the same answers
def exact_row(label: int | tuple[float, ...], logits: tuple[float, ...]) -> tuple[float, list[float]]:
    """Return the exact loss of a row, and its gradient by the logits, rounded once from 400 bits."""
    gradient = list(map(float, precision.exact_softmax_cross_entropy_gradient(label, logits)))
    return float(precision.exact_softmax_cross_entropy(label, logits)), gradient


def exact(draft: Draft) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the exact losses and the exact gradient of their sum by the logits."""
    if draft.kind == "binary":
        losses = precision.exact_sigmoid_cross_entropy(draft.labels, draft.logits, check_labels=False)
        slopes = precision.exact_sigmoid_cross_entropy_gradient(draft.labels, draft.logits, check_labels=False)
        return np.asarray(losses).astype(np.float64), np.asarray(slopes).astype(np.float64)
    rows = draft.logits.reshape(-1, draft.logits.shape[-1])
    labels = draft.labels.ravel() if draft.kind == "index" else draft.labels.reshape(rows.shape)
    answers = [exact_row(as_label(label), tuple(row.tolist())) for label, row in zip(labels, rows, strict=True)]
    losses = np.array([loss for loss, _ in answers], np.float64).reshape(draft.logits.shape[:-1])
    return losses, np.array([gradient for _, gradient in answers], np.float64).reshape(draft.logits.shape)


def as_label(label: NDArray) -> int | tuple[float, ...]:
    """Return a class index for an index or a one-hot row, and any other row of labels as it is."""
    if not label.ndim:
        return int(label)
    one_hot = np.count_nonzero(label) == 1 and label.max() == 1
    return int(label.argmax()) if one_hot else tuple(label.tolist())


def bounds(draft: Draft) -> dict[str, Any]:
    """Return the bounds of a float32 implementation in eps, as the text above derives them."""
    hard = draft.kind == "index" or bool(np.isin(draft.labels, (0, 1)).all())
    if draft.kind == "binary":
        # One exponential, the sum 1 + e^-|x|, the quotient and the product with the label; absolute for soft labels.
        return {"loss": 5, "gradient": 5, "gradient_error": "relative" if hard else "absolute"}
    rows = draft.logits.reshape(-1, draft.logits.shape[-1]).astype(np.float64)
    rows = rows[np.isfinite(rows.max(axis=-1, initial=-INF))]
    distance = rows.max(axis=-1, keepdims=True, initial=-INF) - rows
    weight = np.exp(-distance)
    weight[np.arange(len(rows)), rows.argmax(axis=-1)] = 0  # the largest logit is not shifted
    far = np.where(weight > 0, weight * np.where(weight > 0, distance, 0), 0).sum(axis=-1)
    mean = float(np.max(far / np.maximum(weight.sum(axis=-1), np.finfo(float).tiny), initial=0))
    seen = float(
        np.max(distance[weight > 0], initial=0, where=distance[weight > 0] < 88)
    )  # beyond, e^-D is no normal number
    sums = float(np.sqrt(rows.shape[-1]))
    soft = 0 if hard else 1 + sums  # the products with the labels, and their sum
    return {
        "loss": int(np.ceil(4.5 + mean / 2 + sums + soft)),
        "gradient": int(np.ceil(2 * 2 + 1.5 + (mean + seen) / 2 + sums + soft)),  # an exponential above and one below
        "gradient_error": "relative" if hard else "absolute",
    }


def types(draft: Draft) -> list[str]:
    """Return the types that hold every number of a question."""

    def holds(dtype: str, array: NDArray) -> bool:
        if array.dtype != np.float64:
            return True  # a question with a type of its own
        bits, emin, emax = precision.FORMATS[dtype]
        finite = array[np.isfinite(array) & (array != 0)]
        _, exponent = np.frexp(finite)
        grid = np.ldexp(1.0, np.maximum(exponent - 1, emin) - bits + 1)
        return bool(np.all(finite % grid == 0) and np.all(exponent - 1 <= emax))

    return [
        dtype
        for dtype in draft.types or ("float32", "float16", "bfloat16", "float64")
        if holds(dtype, draft.labels) and holds(dtype, draft.logits)
    ]


# --- the record ------------------------------------------------------------------------------------


def encoded(array: Any) -> Any:
    """Return an array by its shape, its type and the runs of its numbers; an error and None stay as they are."""
    if array is None or isinstance(array, str):
        return array
    array = np.asarray(array)
    kind = "float" if array.dtype == np.float64 else array.dtype.name
    runs = [[len(list(run)), number] for number, run in itertools.groupby(float(x).hex() for x in array.ravel())]
    return {"shape": list(array.shape), "type": kind, "runs": runs}


def described(draft: Draft) -> dict[str, Any]:
    """Return a question as it stands in the record."""
    loss, gradient = (None, None) if draft.error else exact(draft)
    return {
        "name": draft.name,
        "kind": draft.kind,
        "types": types(draft),
        "labels": encoded(draft.labels),
        "logits": encoded(draft.logits),
        "loss": encoded(loss),
        "gradient": encoded(gradient) if draft.gradient else None,
        "bound": bounds(draft) if not draft.error else {"loss": 8, "gradient": 8, "gradient_error": "relative"},
        "by_design": [
            {"because": c["because"], "loss": encoded(c["loss"]), "gradient": encoded(c["gradient"])}
            for c in draft.by_design
        ],
        "tests": draft.tests,
        "chapter": draft.chapter,
    }


def record() -> dict[str, Any]:
    """Return the whole record."""
    return {
        "format": 1,
        "described_in": "chapters/trial-format.md",
        "exact": f"mpmath {mpmath.__version__}, {precision.EXACT.prec} bits, rounded once to float64",
        "questions": [described(draft) for draft in drafts()],
    }


# --- the questions ---------------------------------------------------------------------------------


def binary() -> list[Draft]:
    """Return the questions about a label and a logit, element by element."""
    of_formula = choice(FORMULA)  # its numbers are filled in by drafts()
    zero = (choice(ABSORBED, loss=np.zeros(1), gradient=np.zeros(1)),)
    far, lead = [1000, 1000, -1000, -1000], [6, 8, 12, 16, 20]
    mine = lambda name, *rest, **more: own(name, "binary", *rest, **more)  # noqa: E731
    of_record = lambda name, *rest, **more: taken(name, "binary", *rest, **more)  # noqa: E731
    sequences = np.array([[[0.5, -3, 2], [4, 0, -0.25]], [[1, 2, 3], [-1, -2, -3]]])
    return [
        mine("ordinary", [0, 1, 1, 0, 0.25, 0.75], [-1.5, 0.5, 3, 2, -2, 4], "deriving-the-stable-form", "ordinary numbers"),
        of_record("overflow", "where-the-naive-form-overflows", "e^810 overflows, the loss is 0"),
        mine("far", [0, 1, 0, 1], far, "deriving-the-stable-form", "exponentials overflow and underflow on both sides"),
        mine("wrong-by-100", [1, 0], [-100, 100], "clipped-probabilities", "a clip ends the loss at 16, and its gradient"),
        of_record("absorption", "matching-tensorflow", "log(1 + e^-23) is 0 in float32, log1p(e^-23) is not"),
        of_record("confident-negative", "one-loss-many-libraries", "the sum cancels for a right answer with the label 0"),
        mine(
            "leads", [1] * 5 + [0] * 5, lead + [-x for x in lead], "matching-tensorflow", "right answers, ever more certain"
        ),
        of_record("soft-label", "the-last-digits", "max(x, 0) - xz cancels for a label near 1"),
        of_record("soft-label-negative", "one-loss-many-libraries", "(1 - z)x - log σ(x) cancels for a label near 0"),
        mine(
            "soft-labels-16-bit",
            [1 - 2**-8, 2**-8, 2**-8, 1 - 2**-8],
            far,
            "the-last-digits",
            "labels near 0 and 1 that 16 bits hold",
        ),
        of_record("kink", "gradients", "max and |x| have a kink at 0, the loss has none"),
        mine("kinks", [0, 0.25, 0.5, 1, 1], [0, 0, -0.0, 0, -0.0], "gradients", "the slope at 0 for five labels"),
        of_record(
            "saturated-slope",
            "gradients",
            "σ(40) - 1 is 0, the slope is -4e-18",
            types=("float32", "float16", "bfloat16"),
            by_design=zero,
        ),
        mine("saturated-float64", [1, 0], [40, -40], "gradients", "σ(x) - z is 0 in float64, too", types=("float64",)),
        mine("infinities-right", [1, 0], [INF, -INF], "matching-tensorflow", "0 times infinity is nan, the loss is 0"),
        mine(
            "infinities-wrong",
            [0, 1],
            [INF, -INF],
            "clipped-probabilities",
            "the loss is infinite",
            gradient=False,
            by_design=(choice(CAPPED, loss="finite"),),
        ),
        mine("nan-in-place", [1, 0, 1, 0], [NAN, 2, -3, NAN], "matching-tensorflow", "nan stays where it is"),
        mine(
            "integer-labels",
            np.array([0, 1, 1]),
            [-1, 2, 0.5],
            "keras-losses-by-hand",
            "labels of type int64",
            by_design=(choice(INTEGERS, loss=ERROR, gradient=ERROR),),
        ),
        mine(
            "integer-logits",
            np.array([0, 1, 1]),
            np.array([-1, 2, 3]),
            "keras-losses-by-hand",
            "integers everywhere: a result in their type is truncated",
            by_design=(choice(INTEGERS, loss=ERROR),),
            gradient=False,  # integers have no slope
            types=("float32",),  # nothing in it depends on the type that is asked for
        ),
        mine(
            "float16-logits",
            np.float16([0, 1, 0, 1]),
            np.float16([12, -12, 60, -60]),
            "low-precision",
            "e^12 overflows float16",
            by_design=(choice(HALF, loss=ERROR, gradient=ERROR),),
        ),
        mine("sequences", (sequences > 0) * 1.0, sequences, "language-model-losses", "a batch of shape (2, 2, 3)"),
        mine(
            "empty",
            np.zeros(0),
            np.zeros(0),
            "weights-smoothing-and-focus",
            "a batch without examples has no losses",
            by_design=(choice(EMPTY, loss=ERROR, gradient=ERROR),),
        ),
        of_record(
            "label-outside",
            "labels-outside-the-unit-interval",
            "the label 2 is a mistake",
            error=True,
            by_design=(of_formula,),
        ),
        mine(
            "labels-of-signs",
            [-1, 1],
            [0.5, 2],
            "labels-outside-the-unit-interval",
            "labels -1 and 1 instead of 0 and 1",
            error=True,
            by_design=(of_formula,),
        ),
        of_record(
            "shapes",
            "keras-losses-by-hand",
            "labels (4,) and logits (4, 1) broadcast to 16 losses",
            error=True,
            by_design=(choice(LINED_UP),),
        ),
    ]


def rows_of(row: list[float], places: list[int]) -> NDArray[np.float64]:
    """Return a row whose first number stands at each of the places in turn."""
    return np.array([np.insert(row[1:], place, row[0]) for place in places], np.float64)


def classes(kind: str) -> list[Draft]:
    """Return the questions about rows of logits, with the class as an index or as a row of labels."""

    def mine(name: str, labels: Any, logits: Any, *rest: Any, **more: Any) -> Draft:
        logits = np.asarray(logits, getattr(logits, "dtype", np.float64))
        one_hot = (np.asarray(labels)[..., np.newaxis] == np.arange(logits.shape[-1])).astype(np.float64)
        if logits.dtype == np.float16:
            one_hot = one_hot.astype(np.float16)
        return own(name, kind, np.asarray(labels, np.int64) if kind == "index" else one_hot, logits, *rest, **more)

    of_record = lambda name, *rest, **more: taken(name, kind, *rest, **more)  # noqa: E731
    lead, v = [6, 8, 12, 16, 20], questions.VOCABULARY
    places = [0, 1, 2, 0, 1]
    confident = [questions.LEAD] + [0] * (v - 1)
    sequences = [[[2, -1, 0.5], [0, 3, 1], [-2, 0, 1]], [[4, 1, 2], [1, 1, -1], [0.25, -0.5, 6]]]
    shared = [
        mine(
            "ordinary",
            [1, 0, 3, 2],
            [[1, 2, -1, 0.5], [0.5, -0.5, 3, 1], [0, 1.5, 0.25, -2], [3, 1, 2, 0]],
            "softmax-and-log-sum-exp",
            "ordinary numbers",
        ),
        of_record("far-apart", "softmax-and-log-sum-exp", "e^1000 overflows"),
        mine(
            "far-right", [0, 2], [[1000, 0, 0], [0, 0, 1000]], "softmax-and-log-sum-exp", "e^1000 overflows, the loss is 0"
        ),
        mine("far-below", [0], [[-1000, -1000, -1000]], "softmax-and-log-sum-exp", "all exponentials underflow to 0"),
        mine(
            "rows-apart",
            [0, 1],
            [[1000, 1008, 1004], [-1000, -1008, -1004]],
            "softmax-and-log-sum-exp",
            "each row has a largest logit of its own",
        ),
        of_record("confident", "the-last-digits", "log-sum-exp minus the logit is 0, the loss is 4e-9"),
        mine(
            "leads",
            places,
            [np.roll([x, 0, 0], p) for x, p in zip(lead, places, strict=True)],
            "the-last-digits",
            "right answers, ever more certain: 1 absorbs the rest, p - 1 cancels",
        ),
        mine(
            "deep-lead",
            [0],
            [[60, 0, 0]],
            "the-last-digits",
            "a lead of 60, where the loss is 2e-26",
            types=("float32", "float16", "bfloat16"),
            by_design=(choice(ABSORBED, loss=np.zeros(1), gradient="zero at the label"),),
        ),
        mine("deep-lead-float64", [0], [[40, 0, 0]], "the-last-digits", "1 absorbs the rest in float64", types=("float64",)),
        mine("wrong-by-100", [0], [[-100, 0, 0]], "clipped-probabilities", "a clip ends the loss at 16, and its gradient"),
        of_record("common-offset", "the-last-digits", "10,000 is added to every logit"),
        *(
            mine(
                f"offset-{name}",
                [2, 0],
                [[offset, offset, offset], [offset, offset + step, offset + 2 * step]],
                "the-last-digits",
                f"{offset:,.0f} is added to every logit",
            )
            for name, offset, step in (("1e6", 1e6, 1), ("1e8", 1e8, 8), ("-1e6", -1e6, 1), ("16-bit", 1024, 8))
        ),
        mine("ties", [0, 2, 1], [[5, 5, 0], [5, 5, 0], [7, 7, 7]], "softmax-and-log-sum-exp", "several largest logits"),
        mine("one-class", [0, 0], [[3], [-40]], "softmax-and-log-sum-exp", "one class: the loss is 0"),
        *(
            mine(
                f"long-row-{name}",
                [place],
                rows_of(confident, [place]),
                "large-vocabularies",
                f"50,257 classes, the {name} one 17 above the others: the order of the sum",
            )
            for name, place in (("first", 0), ("middle", v // 2), ("last", v - 1))
        ),
        of_record("bfloat16-uniform", "low-precision", "50,257 equal logits"),
        of_record("masked", "language-model-losses", "a masked class: 0 times infinity is nan"),
        mine(
            "masked-but-one",
            [0],
            [[1, -INF, -INF]],
            "language-model-losses",
            "all other classes are masked: the loss is 0",
        ),
        mine(
            "masked-block",
            [v - 1],
            rows_of([1] + [-INF] * (v - 1), [v - 1]),
            "large-vocabularies",
            "whole blocks of a long row are masked: infinity minus infinity",
        ),
        mine("masked-by-1e9", [0, 1], [[1, 2, -1e9], [-1e9, 3, -1e9]], "language-model-losses", "masked by -1e9"),
        mine("masked-16-bit", [0, 1], [[1, 2, -32768], [-32768, 3, -32768]], "language-model-losses", "masked by -32,768"),
        of_record(
            "masked-wrong",
            "language-model-losses",
            "the class of the label is masked: the loss is infinite",
            gradient=False,
            by_design=(choice(CAPPED, loss="finite"),),
        ),
        of_record("infinite-class", "softmax-and-log-sum-exp", "infinity minus infinity is nan, the loss is 0"),
        mine(
            "nan-in-place",
            [0, 1, 1],
            [[1, 2, 3], [NAN, 1, 2], [3, 2, 1]],
            "matching-tensorflow",
            "nan stays in its row",
        ),
        mine(
            "empty",
            np.zeros(0, int),
            np.zeros((0, 3)),
            "weights-smoothing-and-focus",
            "a batch without rows has no losses",
            by_design=(choice(EMPTY, loss=ERROR, gradient=ERROR),),
        ),
        mine(
            "sequences",
            [[0, 1, 0], [2, 1, 0]],
            sequences,
            "language-model-losses",
            "batches of sequences (2, 3, 3): the classes are on the last axis",
            by_design=(choice(SEQUENCES, loss=ERROR, gradient=ERROR),),
        ),
        mine(
            "integer-logits",
            [0, 1],
            np.array([[1, 2, 0], [0, 3, 2]]),
            "keras-losses-by-hand",
            "logits of type int64: a result in their type is truncated",
            by_design=(choice(INTEGERS, loss=ERROR),),
            gradient=False,  # integers have no slope
            types=("float32",),  # nothing in it depends on the type that is asked for
        ),
        mine(
            "float16-logits",
            [0, 1],
            np.float16([[12, 0, -12], [0, -60, 60]]),
            "low-precision",
            "e^12 overflows float16",
            by_design=(choice(HALF, loss=ERROR, gradient=ERROR),),
        ),
        mine(
            "float16-many",
            [0],
            np.zeros((1, 70_000), np.float16),
            "low-precision",
            "70,000 ones add up to more than float16 holds",
            by_design=(choice(HALF, loss=ERROR, gradient=ERROR),),
        ),
    ]
    return shared + (of_indices() if kind == "index" else of_rows())


def of_indices() -> list[Draft]:
    """Return the questions about class indices alone."""
    row = [[1, 2, 3]]
    mine = lambda name, *rest, **more: own(name, "index", *rest, **more)  # noqa: E731
    of_record = lambda name, *rest, **more: taken(name, "index", *rest, **more)  # noqa: E731
    return [
        mine(
            "small-labels",
            np.uint8([99, 0, 99]),
            np.array([[2.0] + [0] * 98 + [4], [3.0] + [0] * 99, [0.0] * 99 + [5]]),
            "keras-losses-by-hand",
            "labels of type uint8: a flat index beyond 255 overflows",
            by_design=(choice("labels of type uint8 are refused", loss=ERROR, gradient=ERROR),),
        ),
        of_record("label-too-large", "one-loss-many-libraries", "class 3 of 3", error=True),
        of_record("label-negative", "one-loss-many-libraries", "class -1 of 3", error=True),
        of_record(
            "label-minus-100",
            "one-loss-many-libraries",
            "class -100 of 3",
            error=True,
            by_design=(choice(PADDING, loss=np.zeros(1)),),
        ),
        mine(
            "padding-only",
            [-100, -100],
            row * 2,
            "language-model-losses",
            "nothing but padding",
            error=True,
            by_design=(choice(PADDING, loss=np.zeros(2)),),
        ),
        mine(
            "shapes",
            [[0], [1], [2], [1]],
            row * 4,
            "one-loss-many-libraries",
            "labels (4, 1) and logits (4, 3) broadcast to 16 losses",
            error=True,
            by_design=(choice(LINED_UP),),
        ),
    ]


def of_rows() -> list[Draft]:
    """Return the questions about rows of labels alone."""
    mine = lambda name, *rest, **more: own(name, "rows", *rest, **more)  # noqa: E731
    of_record = lambda name, *rest, **more: taken(name, "rows", *rest, **more)  # noqa: E731
    many = np.full((1, 8192), 2.0**-17)  # 1/16 shared out, as label smoothing does
    many[0, 0] = 0.9375
    near_one = [[1 - 2**-7, 2**-8, 2**-8], [2**-8, 2**-8, 1 - 2**-7]]
    return [
        mine("soft", [[0.75, 0.125, 0.125], [0, 0.25, 0.75]], [[1, 2, -1], [0.5, -0.5, 3]], "soft-labels", "soft labels"),
        of_record("soft-row", "the-last-digits", "labels near a one-hot row"),
        mine(
            "soft-rows-16-bit",
            near_one,
            [[1000, 0, 0], [0, 0, 1000]],
            "the-last-digits",
            "labels near a one-hot row that 16 bits hold",
        ),
        mine(
            "smoothed-many",
            many,
            np.zeros((1, 8192)),
            "weights-smoothing-and-focus",
            "smoothing over 8,192 classes: a sum of their losses overflows float16",
        ),
        of_record(
            "zero-row",
            "keras-losses-by-hand",
            "a row of zeros as a mask: loss 0, slope 0",
            by_design=(choice(SUM_ONE, gradient="sum one"),),
        ),
        of_record("two-hot", "soft-labels", "labels whose sum is 2", by_design=(choice(SUM_ONE, gradient="sum one"),)),
        mine(
            "padding-only",
            np.zeros((2, 3)),
            [[1, 2, 3], [3, 2, 1]],
            "language-model-losses",
            "nothing but rows of zeros",
            by_design=(choice(SUM_ONE, gradient="sum one"),),
        ),
        mine(
            "integer-labels",
            np.array([[1, 0, 0], [0, 0, 1]]),
            [[1, 2, -1], [0.5, -0.5, 3]],
            "keras-losses-by-hand",
            "one-hot rows of type int64",
            by_design=(choice(INTEGERS, loss=ERROR, gradient=ERROR),),
        ),
        mine(
            "labels-outside",
            [[1.5, -0.5, 0]],
            [[1, 2, 3]],
            "labels-outside-the-unit-interval",
            "labels below 0 and above 1",
            error=True,
            by_design=(choice(FORMULA),),
        ),
        mine(
            "shapes",
            [0.75, 0.125, 0.125],
            [[1, 2, 3]] * 4,
            "one-loss-many-libraries",
            "one row of labels and four of logits",
            error=True,
            by_design=(choice("one row of labels serves all rows of logits"),),
        ),
    ]


def drafts() -> list[Draft]:
    """Return all questions, with the numbers of the choices that follow from them."""
    return [completed(draft) for draft in (*binary(), *classes("index"), *classes("rows"))]


def completed(draft: Draft) -> Draft:
    """Return a question whose choices are numbers: what the formula, or labels that are lined up, give."""

    def numbers(alternative: dict) -> dict:
        because, loss, gradient = alternative.values()
        if loss is None and gradient is None:
            labels, logits = draft.labels, draft.logits
            if because == FORMULA and draft.kind == "rows":  # the exact loss refuses these labels
                shift = logits - logits.max(axis=-1, keepdims=True)
                loss = -(labels * (shift - np.log(np.exp(shift).sum(axis=-1, keepdims=True)))).sum(axis=-1)
            elif draft.kind == "rows":
                loss, _ = exact(draft._replace(labels=np.broadcast_to(labels, logits.shape)))
            elif draft.kind == "index":
                loss, _ = exact(draft)
            else:
                loss, _ = exact(draft._replace(labels=labels.reshape(logits.shape)))
        if isinstance(gradient, str) and gradient != ERROR:
            _, gradient = exact(draft)
            if alternative["gradient"] == "sum one":
                total = draft.labels.sum(axis=-1, keepdims=True)
                _, one = exact(draft._replace(labels=np.eye(draft.logits.shape[-1])[[0] * len(draft.logits)]))
                probabilities = one + np.eye(draft.logits.shape[-1])[0]
                gradient = gradient + (1 - total) * probabilities
            else:
                gradient[..., 0] = 0
        return choice(because, loss, gradient)

    return draft._replace(by_design=tuple(numbers(alternative) for alternative in draft.by_design))


def main() -> None:
    """Write the record."""
    parser = argparse.ArgumentParser(description="Write the questions of helpers.trial with their exact answers.")
    parser.add_argument("--output", type=Path, default=records.path("trial"))
    options = parser.parse_args()
    about = record()
    lines = ",\n".join(json.dumps(question) for question in about.pop("questions"))
    text = json.dumps(about, indent=1).removesuffix("\n}")
    options.output.write_text(f'{text},\n "questions": [\n{lines}\n ]\n}}\n', encoding="utf8")


if __name__ == "__main__":
    main()
