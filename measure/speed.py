"""Measure the speed, memory and accuracy of losses and gradients beside TensorFlow's, and write the record ``speed``.

    python -m measure.speed [--elements N] [--output FILE]

- Time: the processor's time of this process, which has one thread, so that other programs on the machine are not counted.
  It is the median of rounds in which every form has its turn. The helpers' label checks are timed with them. TensorFlow is
  given tensors and hands back a tensor: no copy is counted. Its gradient comes from a tape, and the loss with it.
- Memory: how far the process's resident memory rises during one call on the largest array, the result included. TensorFlow
  has no such figure for a CPU, so the kernel is asked, for all forms alike. Only Linux tells; elsewhere the column is empty.
- Error: the worst one of a loss in units of eps over a fixed sample, against mpmath, where the exact loss is normal. 1 / eps
  stands for no correct digit.

"The book's form" is the formula in the type of its arguments, computed in one piece. "Rounded once" is the helper: the same
formula in float64, in blocks, and its result rounded to the type.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"  # read at import

import argparse
import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import DTypeLike, NDArray

from helpers import binary, categorical, precision, records
from measure.machine import about, peak_bytes

Arrays = tuple[NDArray, ...]
ELEMENTS = 2 * 10**6  # in the rows of logits together


class Loss(NamedTuple):
    """A loss or a gradient to measure: its forms in NumPy, TensorFlow's op, and where to try them."""

    name: str
    forms: dict[str, Callable]
    tensorflow: Callable
    arguments: Callable[[int, DTypeLike], Arrays]  # of so many elements, or of rows of so many classes, to time
    sizes: tuple[int, ...]
    classes: bool = False  # whether the sizes are numbers of classes
    exact: Callable | None = None
    samples: Callable[[DTypeLike], dict[str, Arrays]] = lambda dtype: {}  # by kind of label, to compare with the exact loss


def binary_arguments(size: int, dtype: DTypeLike) -> Arrays:
    """Return soft labels and logits in [-100, 100]."""
    rng = np.random.default_rng(0)
    return rng.random(size).astype(dtype), rng.uniform(-100, 100, size).astype(dtype)


def binary_samples(dtype: DTypeLike) -> dict[str, Arrays]:
    """Return labels and logits where forms fail: logits up to 1e6, soft labels as near as 1e-12 to 0 and 1."""
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.uniform(0, 4, 600), rng.uniform(0, 100, 200), 10 ** rng.uniform(-6, 6, 200)])
    x = np.concatenate([x, -x]).astype(dtype)
    tiny = 10 ** rng.uniform(-12, -0.3, x.size)
    near_one = np.minimum((1 - tiny).astype(dtype), 1 - np.finfo(dtype).epsneg)  # not 1 itself in float32
    return {
        "hard": (rng.integers(0, 2, x.size).astype(dtype), x),
        "soft": (np.where(rng.random(x.size) < 0.5, tiny.astype(dtype), near_one), x),
    }


def softmax_arguments(classes: int, dtype: DTypeLike, elements: int = ELEMENTS) -> Arrays:
    """Return soft labels and logits, as many rows as hold the elements."""
    rng = np.random.default_rng(0)
    shape = max(1, elements // classes), classes
    return rng.dirichlet(np.ones(classes), shape[0]).astype(dtype), rng.normal(0, 10, shape).astype(dtype)


def sparse_arguments(classes: int, dtype: DTypeLike, elements: int = ELEMENTS) -> Arrays:
    """Return class indices and logits; for every other row the index is that of the largest logit."""
    _, x = softmax_arguments(classes, dtype, elements)
    y = np.random.default_rng(1).integers(classes, size=len(x))
    return np.where(np.arange(len(x)) % 2, y, x.argmax(axis=-1)), x


def log_sum_exp_minus_logit(labels: NDArray, logits: NDArray) -> NDArray:
    """Return the sparse loss as it is usually written."""
    m = logits.max(axis=-1)
    log_sum_exp = m + np.log(np.exp(logits - m[:, np.newaxis]).sum(axis=-1))
    return log_sum_exp - np.take_along_axis(logits, labels[:, np.newaxis], axis=-1)[:, 0]


def by_logaddexp(labels: NDArray, logits: NDArray) -> NDArray:
    """Return the sigmoid loss by two calls of NumPy's softplus, which is logaddexp with a 0."""
    zero = logits.dtype.type(0)
    return labels * np.logaddexp(zero, -logits) + (1 - labels) * np.logaddexp(zero, logits)


def gradient_of(op: Callable) -> Callable:
    """Return the gradient of one of TensorFlow's losses by the logits."""

    def gradient(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(logits)
            loss = op(labels, logits)
        return tape.gradient(loss, logits)

    return gradient


def exact_rows(labels: NDArray, logits: NDArray) -> NDArray:
    """Return the exact softmax losses, a row at a time."""
    return np.array([precision.exact_softmax_cross_entropy(*row) for row in zip(labels, logits, strict=True)])


FORM, ONCE = "the book's form", "rounded once"
SIZES = 10**5, 10**6, 10**7
WIDTHS = 10, 1000, 50_257
LOSSES = (
    Loss(
        name="sigmoid",
        forms={
            "naive": binary.naive_cross_entropy,
            "max/abs": binary.max_abs_cross_entropy,
            "logaddexp": by_logaddexp,
            FORM: binary._loss,
            ONCE: binary.sigmoid_cross_entropy_with_logits,
        },
        tensorflow=tf.nn.sigmoid_cross_entropy_with_logits,
        arguments=binary_arguments,
        sizes=(10**3, 10**4, *SIZES),
        exact=precision.exact_sigmoid_cross_entropy,
        samples=binary_samples,
    ),
    Loss(
        name="sigmoid gradient",
        forms={FORM: binary._gradient, ONCE: binary.sigmoid_cross_entropy_gradient},
        tensorflow=gradient_of(tf.nn.sigmoid_cross_entropy_with_logits),
        arguments=binary_arguments,
        sizes=SIZES,
    ),
    Loss(
        name="sparse softmax",
        forms={
            "log-sum-exp - logit": log_sum_exp_minus_logit,
            FORM: categorical._index_loss,
            ONCE: categorical.sparse_softmax_cross_entropy_with_logits,
        },
        tensorflow=tf.nn.sparse_softmax_cross_entropy_with_logits,
        arguments=sparse_arguments,
        sizes=WIDTHS,
        classes=True,
        exact=exact_rows,
        samples=lambda dtype: {"hard": sparse_arguments(10, dtype, 15_000)},
    ),
    Loss(
        name="sparse softmax gradient",
        forms={FORM: categorical._index_gradient, ONCE: categorical.sparse_softmax_cross_entropy_gradient},
        tensorflow=gradient_of(tf.nn.sparse_softmax_cross_entropy_with_logits),
        arguments=sparse_arguments,
        sizes=WIDTHS,
        classes=True,
    ),
    Loss(
        name="softmax",
        forms={FORM: categorical._soft_loss, ONCE: categorical.softmax_cross_entropy_with_logits},
        tensorflow=tf.nn.softmax_cross_entropy_with_logits,
        arguments=softmax_arguments,
        sizes=WIDTHS,
        classes=True,
        exact=exact_rows,
        samples=lambda dtype: {"soft": softmax_arguments(10, dtype, 15_000)},
    ),
    Loss(
        name="softmax gradient",
        forms={FORM: categorical._soft_gradient, ONCE: categorical.softmax_cross_entropy_gradient},
        tensorflow=gradient_of(tf.nn.softmax_cross_entropy_with_logits),
        arguments=softmax_arguments,
        sizes=WIDTHS,
        classes=True,
    ),
)


def calls(loss: Loss, arguments: Arrays) -> dict[str, Callable]:
    """Return each form of a loss as a call without arguments."""
    tensors = [tf.constant(argument) for argument in arguments]
    compiled = tf.function(loss.tensorflow, jit_compile=True)
    return {
        **{name: partial(form, *arguments) for name, form in loss.forms.items()},
        "TensorFlow": partial(loss.tensorflow, *tensors),
        "TensorFlow, jit_compile": partial(compiled, *tensors),
    }


def seconds(forms: dict[str, Callable], repeats: int) -> dict[str, float]:
    """Return the median time of each call over 9 rounds of so many calls in a row; one round comes first, to warm up."""
    times = {name: [] for name in forms}
    for _ in range(1 + 9):
        for name, call in forms.items():
            start = time.process_time()
            for _ in range(repeats):
                call()
            times[name].append((time.process_time() - start) / repeats)
    return {name: float(np.median(measured[1:])) for name, measured in times.items()}


def worst_error(computed: NDArray, exact: NDArray, dtype: DTypeLike) -> float:
    """Return the largest error in units of eps where the exact loss is a normal number, at most 1 / eps."""
    normal = exact >= np.finfo(dtype).smallest_normal
    errors = precision.error_in_eps(np.asarray(computed)[normal], exact[normal], dtype)
    return float(np.fmin(errors, 1 / np.finfo(dtype).eps).max())  # fmin: a NaN has no correct digit either


def measure(loss: Loss, dtype: str, elements: int | None) -> list[dict]:
    """Return one row for each form of a loss in one type, for so many elements if not for the loss's own."""
    if loss.classes:
        sizes = loss.sizes
        arguments = {size: loss.arguments(size, dtype, elements or ELEMENTS) for size in sizes}
    else:
        sizes = (elements,) if elements else loss.sizes
        arguments = {size: loss.arguments(size, dtype) for size in sizes}
    count = {size: logits.size for size, (_, logits) in arguments.items()}
    times = {size: seconds(calls(loss, arguments[size]), repeats=1 + 100_000 // count[size]) for size in sizes}
    memory = {name: peak_bytes(call) for name, call in calls(loss, arguments[sizes[-1]]).items()}
    errors = {}
    for kind, sample in loss.samples(dtype).items():
        sample = tuple(array[:: 10 if elements else 1] for array in sample)  # a trial run need not find the worst error
        exact = loss.exact(*sample)
        errors[kind] = {name: worst_error(call(), exact, dtype) for name, call in calls(loss, sample).items()}
    return [
        {
            "loss": loss.name,
            "dtype": dtype,
            "form": name,
            "sizes_are": "classes" if loss.classes else "elements",
            "ns_per_element": {str(size): round(1e9 * times[size][name] / count[size], 3) for size in sizes},
            "times_tensorflow": {str(size): round(times[size][name] / times[size]["TensorFlow"], 3) for size in sizes},
            "peak_bytes_per_element": peak and round(peak / count[sizes[-1]], 1),
            "worst_error_in_eps": {kind: round(errors[kind][name], 2) for kind in errors},
        }
        for name, peak in memory.items()
    ]


def show(results: dict) -> None:
    """Print the rows as one table for each loss and type."""
    for loss, dtype in dict.fromkeys((row["loss"], row["dtype"]) for row in results["rows"]):
        rows = [row for row in results["rows"] if (row["loss"], row["dtype"]) == (loss, dtype)]
        sizes, kinds = rows[0]["ns_per_element"], rows[0]["worst_error_in_eps"]
        print(f"\n{loss}, {dtype}: ns per element (times TensorFlow's), bytes per element, worst error in eps")
        print(f"{rows[0]['sizes_are']:24}", *(f"{int(n):>15,}" for n in sizes), f"{'bytes':>6}", *(f"{k:>8}" for k in kinds))
        for row in rows:
            speed = [f"{row['ns_per_element'][n]:7.2f} ({row['times_tensorflow'][n]:5.2f})" for n in sizes]
            error = [f"{row['worst_error_in_eps'][kind]:8.2g}" for kind in kinds]
            print(f"{row['form']:24}", *speed, f"{row['peak_bytes_per_element'] or '':>6}", *error)


def main() -> None:
    """Measure all losses, print the table and write the file."""
    parser = argparse.ArgumentParser(description="Measure speed, memory and accuracy beside TensorFlow.")
    parser.add_argument("--elements", type=int, help="how many to time, instead of each loss's own numbers")
    parser.add_argument("--output", type=Path, default=records.path("speed"))
    options = parser.parse_args()

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.get_logger().setLevel("ERROR")  # it warns of one compilation for each shape, which is meant
    with np.errstate(all="ignore"):  # naive overflows
        cases = [(loss, dtype) for loss in LOSSES for dtype in ("float32", "float64")]
        rows = [row for case in cases for row in measure(*case, options.elements)]
    results = about({"NumPy": np, "TensorFlow": tf, "Keras": keras}, cores_used=1) | {"rows": rows}
    options.output.write_text(json.dumps(results, indent=1) + "\n", encoding="utf8")
    show(results)


if __name__ == "__main__":
    main()
