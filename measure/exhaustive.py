"""Try every float32 logit and every pair of 16-bit numbers, and write how large the errors get to the record ``exhaustive``.

    python -m measure.exhaustive [--output FILE]

- float32: every logit from 2^-30 to 104 in magnitude, with the labels 0 and 1. LEFT_OUT says why the others need no trial.
  The rows of "any label" are bounds: the largest error that a theorem of the appendix allows a label in [0, 1] at any logit.
- float16 and bfloat16: every finite logit with every label in [0, 1].
- exp, log1p and log, of which the forms consist: every float32 argument, at each SIMD level that NumPy can use here; and
  the book's forms at each of these levels.
- "rounded once" is what the helpers do: the book's form in float64, rounded to the type at the end. Results that are not the
  nearest numbers of the type are counted; a result near the middle of two numbers is compared with 400 bits.
- float64 is sampled, and its rows say so: the largest error of a sample is no bound.

Errors are in eps of the type, relative to the exact result. Where that is below the normal numbers, they are in units of the
smallest subnormal number. The gradient of a soft label passes through 0; its error is absolute, in eps.

The truth is computed in float64, and in the 80-bit long double for float64. NumPy's float64 exp and log1p are off by less
than 4 units in the last place, and the exact loss is a sum of two non-negative terms, so this truth is off by less than
10 * 2^-52, which is 2e-8 eps of float32. Every worst error is computed again with 400 bits by mpmath before it is written.

TensorFlow is given tensors of 65,536 elements, or a multiple of 16 for the pairs. It computes what is left over from a
multiple of 8 or 16 by other functions, so that the last digits of short tensors differ.
"""

import argparse
import json
import multiprocessing
import os
import platform
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import mpmath
import numpy as np
import tensorflow as tf
from numpy.lib.introspect import opt_func_info
from numpy.typing import DTypeLike, NDArray

from helpers import binary, records
from helpers.precision import EXACT, FORMATS, exact_sigmoid_cross_entropy, exact_sigmoid_cross_entropy_gradient
from measure.machine import about

NEAREST, FURTHEST = 2.0**-30, 104
LEFT_OUT = {
    "|x| < 2^-30": "exp(-|x|) is 1, tried for each x. Adding x to log1p(1) = 0.693 changes no digit, so each result is "
    "that at 0, and each exact loss or gradient is within 0.006 eps of that at 0.",
    "|x| >= 104": "exp(-|x|) is 0, tried for each x. So each loss is |x| or 0, each gradient 1, -1 or 0, without an error; "
    "only the naive loss is inf for x < 0.",
}
CHUNK = 2**16  # elements at a time, which stay in the cache
JOB = 2**22  # numbers in a job, a few seconds of one core
SAMPLES = 2**5 if np.finfo(np.longdouble).eps < 2.0**-60 else 0  # chunks of float64 numbers, if anything is wider
LIMITS = 1, 2, 4  # eps, above which the points are counted
EVERY, ANY = "every label", "any label"
BOOK, ONCE = "the book's form", "rounded once"
LEVELS = {"X86_V4": "AVX-512", "X86_V3": "AVX2", "baseline(X86_V2)": "neither"}  # by NumPy's loop for exp in float32
TYPES = {name: np.dtype(name) for name in ("float16", "float32", "float64")}
TYPES["bfloat16"] = np.dtype(tf.bfloat16.as_numpy_dtype)


# --- what is tried: functions of labels and logits that broadcast ----------------------------------------------------------


def of_one_shape(function: Callable) -> Callable:
    """Let a function that wants labels and logits of one shape broadcast."""
    return lambda z, x: function(*np.broadcast_arrays(z, x))


def unchecked(function: Callable) -> Callable:
    """Call one of the helpers, which need not look for labels outside [0, 1] again and again."""
    return of_one_shape(lambda z, x: function(z, x, check_labels=False))


def max_abs(z: NDArray, x: NDArray) -> NDArray:
    """Return the loss by TensorFlow's form, in the type of its arguments."""
    return np.maximum(x, 0) - x * z + np.log1p(np.exp(-np.abs(x)))


def max_abs_plain_log(z: NDArray, x: NDArray) -> NDArray:
    """Return TensorFlow's form as its documentation writes it."""
    return np.maximum(x, 0) - x * z + np.log(1 + np.exp(-np.abs(x)))


def logaddexp(z: NDArray, x: NDArray) -> NDArray:
    """Return the loss by NumPy's own softplus."""
    zero = x.dtype.type(0)
    return z * np.logaddexp(zero, -x) + (1 - z) * np.logaddexp(zero, x)


@of_one_shape
def tensorflow_loss(z: NDArray, x: NDArray) -> NDArray:
    """Return the loss by TensorFlow's op, eagerly."""
    return tf.nn.sigmoid_cross_entropy_with_logits(labels=z, logits=x).numpy()


@of_one_shape
def tensorflow_gradient(z: NDArray, x: NDArray) -> NDArray:
    """Return the derivative of the loss by TensorFlow's tape."""
    x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        loss = tf.nn.sigmoid_cross_entropy_with_logits(labels=z, logits=x)
    return tape.gradient(loss, x).numpy()


NUMPY = "float16", "float32", "float64"
WITHOUT_HALF = "float32", "float64"  # nobody computes the book's form in float16 when float32 is at hand
FORMS = {  # by quantity and name, with the types to try
    ("loss", "naive"): (unchecked(binary.naive_cross_entropy), NUMPY),
    ("loss", "max/abs"): (max_abs, NUMPY),
    ("loss", "max/abs, plain log"): (max_abs_plain_log, NUMPY),
    ("loss", "logaddexp"): (logaddexp, NUMPY),
    ("loss", BOOK): (binary._loss, WITHOUT_HALF),
    ("loss", ONCE): (unchecked(binary.sigmoid_cross_entropy_with_logits), ("float16", "float32")),
    ("loss", "TensorFlow"): (tensorflow_loss, (*NUMPY, "bfloat16")),
    ("gradient", "1 / (1 + e^-x) - z"): (lambda z, x: 1 / (1 + np.exp(-x)) - z, NUMPY),
    ("gradient", "sigmoid(x) - z"): (lambda z, x: binary._sigmoid(x) - z, WITHOUT_HALF),
    ("gradient", BOOK): (binary._gradient, WITHOUT_HALF),
    ("gradient", ONCE): (unchecked(binary.sigmoid_cross_entropy_gradient), ("float16", "float32")),
    ("gradient", "TensorFlow"): (tensorflow_gradient, (*NUMPY, "bfloat16")),
}
AT_EACH_LEVEL = [("gradient", "sigmoid(x) - z"), *((quantity, form) for quantity, form in FORMS if form in (BOOK, ONCE))]
FUNCTIONS = {
    "NumPy": {"exp": np.exp, "log1p": np.log1p, "log": np.log},
    "TensorFlow": {"exp": lambda x: tf.exp(x).numpy(), "log1p": lambda x: tf.math.log1p(x).numpy()},
}
DOMAINS = {  # where the forms call each function
    "exp": [(-FURTHEST, 0), (0, 88.72283)],
    "log1p": [(0, 1), (1, float(np.finfo(np.float32).max))],
    "log": [(2.0**-149, 1), (1, 2), (2, float(np.finfo(np.float32).max))],
}


def truth(z: NDArray, x: NDArray, wide: DTypeLike = np.float64) -> dict[str, NDArray]:
    """Return loss and gradient, computed in a wider type."""
    z, x = z.astype(wide), x.astype(wide)
    small = np.exp(-np.abs(x))
    loss = np.maximum(x, 0) * (1 - z) + np.maximum(-x, 0) * z + np.log1p(small)
    large, small = 1 / (1 + small), small / (1 + small)
    return {"loss": loss, "gradient": (1 - z) * np.where(x > 0, large, small) - z * np.where(x > 0, small, large)}


def truth_to_400_bits(quantity: str, *arguments: float) -> mpmath.mpf:
    """Return the exact loss or gradient for a label and a logit, or the value of a function."""
    if quantity == "loss":
        return exact_sigmoid_cross_entropy(*arguments)
    if quantity == "gradient":
        return exact_sigmoid_cross_entropy_gradient(*arguments)
    return getattr(EXACT, quantity)(EXACT.mpf(*arguments))


# --- what is counted -------------------------------------------------------------------------------------------------------


class Worst(NamedTuple):
    """A large error, the result that has it, and the arguments."""

    error: float = 0.0
    computed: float = 0.0
    arguments: tuple[float, ...] = ()


Key = tuple[str, str, str, str]  # the quantity, its form, the type, and over what


@dataclass
class Tally:
    """What was seen of one form: the worst points, and how many there were of each kind."""

    points: int
    worst: Worst  # where the exact result is a normal number
    subnormal: Worst  # where it is below them
    above: tuple[int, ...]  # each of the limits
    zeros: int  # where the number nearest to the exact result is not 0
    not_finite: int
    not_nearest: int | None = None  # where another number of the type is nearer to the exact result, if that was counted

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(
            self.points + other.points,
            max(self.worst, other.worst, key=lambda worst: worst.error),  # the first of equal ones
            max(self.subnormal, other.subnormal, key=lambda worst: worst.error),
            tuple(map(sum, zip(self.above, other.above, strict=True))),
            self.zeros + other.zeros,
            self.not_finite + other.not_finite,
            None if self.not_nearest is None else self.not_nearest + other.not_nearest,
        )


Tallies = dict[Key, Tally]


def steps(dtype: str) -> tuple[float, float]:
    """Return a type's eps and its smallest subnormal number."""
    t, emin, _ = FORMATS[dtype]
    return 2.0 ** (1 - t), 2.0 ** (emin + 1 - t)


def tally(
    dtype: str, computed: NDArray, exact: NDArray, *arguments: NDArray, absolute: bool = False, adapt: Callable | None = None
) -> Tally:
    """Compare results with the truth, and adapt the errors of normal ones. The arguments broadcast to their shape."""
    eps, smallest = steps(dtype)
    # The two units are equal at the smallest normal number, which is smallest / eps
    error = np.abs(computed.astype(exact.dtype) - exact) / (eps if absolute else np.maximum(np.abs(exact) * eps, smallest))
    not_finite = 0
    if not np.isfinite(error.max()):
        lost = ~np.isfinite(error)
        not_finite, error[lost] = int(np.count_nonzero(lost)), 0
    below = np.abs(exact) < smallest / eps
    some_below = not absolute and below.any()
    normal = adapt(error, np.abs(exact)) if adapt else error
    normal = np.where(below, 0, normal) if some_below else normal

    def worst(error: NDArray) -> Worst:
        if not error.any():
            return Worst()
        place = np.unravel_index(error.argmax(), error.shape)
        at = tuple(float(np.broadcast_to(argument, error.shape)[place]) for argument in arguments)
        return Worst(float(error[place]), float(computed[place]), at)

    return Tally(
        points=error.size,
        worst=worst(normal),
        subnormal=worst(np.where(below, error, 0)) if some_below else Worst(),
        above=tuple(int(np.count_nonzero(normal > limit)) for limit in LIMITS),
        zeros=int(np.count_nonzero((computed == 0) & (np.abs(exact) > smallest / 2))),
        not_finite=not_finite,
    )


def not_nearest(quantity: str, computed: NDArray, exact: NDArray, z: NDArray, x: NDArray) -> int:
    """Count the results that are not the nearest numbers of their type to the exact ones."""
    off = exact - computed  # exact is a float64 near the exact result
    neighbor = np.nextafter(computed, np.copysign(np.inf, off).astype(computed.dtype))
    half = np.abs(neighbor.astype(np.float64) - computed) / 2
    doubtful = np.abs(off) >= half - 10 * 2.0**-52 * np.abs(exact)
    candidates = zip(computed[doubtful], neighbor[doubtful], z[doubtful], x[doubtful], strict=True)
    wrong = 0
    for here, there, *arguments in candidates:
        truly = truth_to_400_bits(quantity, *map(float, arguments))
        wrong += abs(EXACT.mpf(float(there)) - truly) < abs(EXACT.mpf(float(here)) - truly)
    return wrong


def with_any_label(quantity: str, error: NDArray | float, exact: NDArray | float) -> NDArray | float:
    """Return the error that a theorem allows any label at a logit, from that of log1p(e^-|x|) or e^-|x| / (1 + e^-|x|).

    The loss adds a linear term of at most 1 eps to the logarithm, and a last rounding of half a spacing: the worst linear
    term is the smallest one, or leads to the next power of two. The gradient is absolute, with two roundings of 1/4 eps.
    """
    if quantity == "gradient":
        return error * exact + 0.5
    fraction, _ = np.frexp(exact.astype(np.float64) if isinstance(exact, np.ndarray) else float(exact))
    return np.maximum(error + 0.25 / fraction, 1.5 + (error - 1) * fraction)


def tally_forms(dtype: str, over: str, z: NDArray, x: NDArray, wide: DTypeLike = np.float64, level: str = "") -> Tallies:
    """Try every form of loss and gradient at labels and logits that broadcast, or those of a SIMD level."""
    exact, tallies, at = truth(z, x, wide), {}, f", {level}" if level else ""
    for quantity, form in AT_EACH_LEVEL if level else FORMS:
        function, dtypes = FORMS[quantity, form]
        if dtype not in dtypes:
            continue
        computed = function(z, x)
        one = tally(dtype, computed, exact[quantity], z, x, absolute=(quantity, over) == ("gradient", EVERY))
        if form == ONCE and over != EVERY:
            one.not_nearest = not_nearest(quantity, computed, exact[quantity], z, x)
        tallies[quantity, form + at, dtype, over] = one
        if form == BOOK and over == "label 0" and x.max() <= 0 and dtype == "float32":  # the small term alone
            allowed = tally(dtype, computed, exact[quantity], z, x, adapt=partial(with_any_label, quantity))
            tallies[quantity, form + at, dtype, ANY] = allowed
    return tallies


def total(tallies: Iterable[Tallies]) -> Tallies:
    """Add up what was counted of the same form."""
    sums = {}
    for some in tallies:
        for key, one in some.items():
            sums[key] = sums[key] + one if key in sums else one
    return sums


# --- the jobs: each takes a few seconds of one core ------------------------------------------------------------------------


def float32_numbers(start: int, stop: int) -> Iterator[NDArray]:
    """Yield the non-negative float32 numbers whose bits, as integers, are start, start + 1, … below stop."""
    for first in range(start, stop, CHUNK):
        yield np.arange(first, min(first + CHUNK, stop), dtype=np.uint32).view(np.float32)


def hard_labels_float32(start: int, stop: int, level: str = "") -> Tallies:
    """Try the labels 0 and 1 with the logits of these bits, of both signs.

    At another SIMD level the label 0 suffices, because the forms compute L(1, x) as L(0, -x).
    """
    return total(
        tally_forms("float32", f"label {label}", np.full_like(x, label), x, level=level)
        for a in float32_numbers(start, stop)
        for x in (a, -a)
        for label in ((0,) if level else (0, 1))
    )


def exponentials_are(value: int, start: int, stop: int) -> Tallies:
    """Raise an error unless exp(-|x|) is this value for the logits of these bits, to NumPy and TensorFlow."""
    for a in float32_numbers(start, stop):
        naive = np.exp(a[a < 1])  # the naive forms take e^|x| for a negative x, which is 1 as well near 0
        if not all(np.all(result == value) for result in (np.exp(-a), tf.exp(-a).numpy(), naive)):
            raise AssertionError(f"exp is not {value} somewhere in [{a[0]}, {a[-1]}]: these logits must be tried as well")
    return {}


def sample_of_logits(seed: int) -> NDArray:
    """Return positive float64 logits, evenly over three ranges and over all sizes."""
    rng = np.random.default_rng(seed)
    even = [rng.uniform(0, end, CHUNK // 4) for end in (4, 40, 740)]
    return np.concatenate([*even, 2 ** rng.uniform(-60, 9.5, CHUNK // 4)])


def hard_labels_float64(seed: int) -> Tallies:
    """Try the labels 0 and 1 with a sample of logits."""
    a = sample_of_logits(seed)
    return total(
        tally_forms("float64", f"label {label}", np.full_like(x, label), x, np.longdouble)
        for x in (a, -a)
        for label in (0, 1)
    )


def pairs(dtype: str, start: int, stop: int) -> Tallies:
    """Try the labels of these bits with every finite logit."""
    numbers = np.arange(2**16, dtype=np.uint16).view(TYPES[dtype])
    x, labels = numbers[np.isfinite(numbers)], numbers[start:stop]
    return total(tally_forms(dtype, EVERY, labels[i : i + 4, None], x[None, :]) for i in range(0, stop - start, 4))


def function_float32(library: str, name: str, over: str, sign: int, start: int, stop: int) -> Tallies:
    """Try a function with the arguments of this sign and these bits."""
    key = name, at_level(library, name, "float32"), "float32", over
    return total(
        {key: tally("float32", FUNCTIONS[library][name](x), getattr(np, name)(x.astype(np.float64)), x)}
        for a in float32_numbers(start, stop)
        for x in [sign * a]
    )


def function_float64(library: str, name: str, seed: int) -> Tallies:
    """Try a function with a sample of the arguments that the forms give it."""
    small = np.exp(-sample_of_logits(seed))
    x, over = {"exp": (np.log(small), "[-740, 0]"), "log1p": (small, "[0, 1]"), "log": (1 + small, "[1, 2]")}[name]
    exact = getattr(np, name)(x.astype(np.longdouble))
    key = name, at_level(library, name, "float64"), "float64", over
    return {key: tally("float64", FUNCTIONS[library][name](x), exact, x)}


def at_level(library: str, name: str, dtype: str) -> str:
    """Return the library, and which of NumPy's loops this process uses."""
    if library != "NumPy":
        return library
    [loop] = opt_func_info(func_name=f"^{name}$", signature=dtype)[name].values()
    return f"NumPy, {loop['current']}"


def level_of(loop: str) -> str:
    """Return the SIMD level of NumPy's loop for exp, as at_level returns it."""
    return LEVELS.get(loop.removeprefix("NumPy, "), loop)


# --- the run ---------------------------------------------------------------------------------------------------------------

Job = tuple[Callable[..., Tallies], tuple]


def bits(number: float, dtype: DTypeLike = np.float32) -> int:
    """Return the bits of a number of at most 32 bits as an integer."""
    return int(np.array(number, dtype).view(f"u{np.dtype(dtype).itemsize}"))


def slices(start: int, stop: int, size: int) -> Iterator[tuple[int, int]]:
    """Cut a range into pieces."""
    return ((first, min(first + size, stop)) for first in range(start, stop, size))


def function_jobs(library: str, names: Iterable[str] | None = None) -> Iterator[Job]:
    """Yield the jobs that try a library's functions, or some of them."""
    for name in FUNCTIONS[library] if names is None else names:
        for low, high in DOMAINS[name]:
            sign, ends = (-1, (-high, -low)) if low < 0 else (1, (low, high))
            for start, stop in slices(bits(ends[0]), bits(ends[1]) + 1, JOB):
                yield function_float32, (library, name, f"[{low:g}, {high:g}]", sign, start, stop)
        for seed in range(SAMPLES):
            yield function_float64, (library, name, seed)


def level_jobs(level: str) -> Iterator[Job]:
    """Yield the jobs that try the book's forms at a SIMD level."""
    for piece in slices(bits(NEAREST), bits(FURTHEST), JOB):
        yield hard_labels_float32, (*piece, level)


def loss_jobs() -> Iterator[Job]:
    """Yield the jobs that try losses and gradients."""
    for piece in slices(0, bits(NEAREST), 16 * JOB):
        yield exponentials_are, (1, *piece)
    for piece in slices(bits(NEAREST), bits(FURTHEST), JOB):
        yield hard_labels_float32, piece
    for piece in slices(bits(FURTHEST), bits(np.inf), 16 * JOB):
        yield exponentials_are, (0, *piece)
    for dtype in ("float16", "bfloat16"):
        for piece in slices(0, bits(1, TYPES[dtype]) + 1, 64):
            yield pairs, (dtype, *piece)
    for seed in range(SAMPLES):
        yield hard_labels_float64, (seed,)


def workers(*disabled: str, count: int = 2) -> ProcessPoolExecutor:
    """Return processes in which NumPy does without these features of the processor."""
    os.environ["NPY_DISABLE_CPU_FEATURES"] = " ".join(disabled)  # read when a process imports NumPy
    return ProcessPoolExecutor(count, multiprocessing.get_context("spawn"), initializer=prepare)


def prepare() -> None:
    """Keep a worker to one thread, and silence the warnings of the forms that overflow."""
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    np.seterr(all="ignore")


def run(job: Job) -> Tallies:
    """Do a job."""
    function, arguments = job
    return function(*arguments)


def try_everything() -> Tallies:
    """Run all jobs, those of NumPy's functions and the book's forms once for each SIMD level."""
    features = np.show_config(mode="dicts")["SIMD Extensions"].get("found", [])
    with workers() as pool:  # map keeps the order: of equal errors the first one stays
        tallies = total(pool.map(run, [*loss_jobs(), *function_jobs("NumPy"), *function_jobs("TensorFlow")]))
    tried = {level_of(at_level("NumPy", "exp", "float32"))}
    for known in reversed(range(len(features))):
        with workers(*features[known:]) as pool:
            loops = {name: pool.submit(at_level, "NumPy", name, "float32").result() for name in FUNCTIONS["NumPy"]}
            new = [name for name in loops if (name, loops[name]) not in {key[:2] for key in tallies}]
            level = level_of(loops["exp"])
            jobs = [*function_jobs("NumPy", new), *(level_jobs(level) if level not in tried else ())]
            tallies |= total(pool.map(run, jobs))
            tried.add(level)
    return tallies


def point(worst: Worst, quantity: str, dtype: str, *, absolute: bool = False, bound: bool = False) -> dict | None:
    """Return a point for the record, its error computed again from the exact result."""
    if not worst.error:
        return None
    eps, smallest = steps(dtype)
    exact = truth_to_400_bits(quantity, *worst.arguments)
    error = float(abs(EXACT.mpf(worst.computed) - exact) / (eps if absolute else max(abs(exact) * eps, smallest)))
    error = float(with_any_label(quantity, error, abs(exact))) if bound else error
    wide = np.longdouble if dtype == "float64" else np.float64
    if abs(error - worst.error) > 10 * float(np.finfo(wide).eps) / eps * max(1, error):
        raise AssertionError(f"{quantity} at {worst.arguments}: {worst.error} in {wide.__name__}, {error} exactly")
    return {
        "error": round(error, 9),
        "at": [float(str(TYPES[dtype].type(argument))) for argument in worst.arguments],
        "hex": [argument.hex() for argument in worst.arguments],
        "result": worst.computed,
        "exact": mpmath.nstr(exact, 12),
    }


def row(key: Key, tally: Tally) -> dict:
    """Return one line of the record."""
    quantity, form, dtype, over = key
    absolute = (quantity, over) == ("gradient", EVERY)
    return {
        "quantity": quantity,
        "form": form,
        "type": dtype,
        "over": over,
        "points": tally.points,
        "sampled": dtype == "float64",
        "unit": "eps" if absolute or (quantity, over) == ("gradient", ANY) else "eps, relative",
        "worst": point(tally.worst, quantity, dtype, absolute=absolute, bound=over == ANY),
        "above": dict(zip(map(str, LIMITS), tally.above, strict=True)),
        "subnormal": point(tally.subnormal, quantity, dtype),
        "zeros": tally.zeros,
        "not_finite": tally.not_finite,
    } | ({} if tally.not_nearest is None else {"not_nearest": tally.not_nearest})


def main() -> None:
    """Try everything and write the record."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--output", type=Path, default=records.path("exhaustive"))
    options = parser.parse_args()
    rows = [row(*item) for item in try_everything().items()]
    loops = {"loops": {name: at_level("NumPy", name, "float32") for name in FUNCTIONS["NumPy"]}}
    loops["level"] = level_of(loops["loops"]["exp"])
    loops["libc"] = " ".join(platform.libc_ver())
    record = about({"NumPy": np, "TensorFlow": tf}, **loops) | {"left_out": LEFT_OUT, "rows": rows}
    options.output.write_text(json.dumps(record, indent=1) + "\n", encoding="utf8")
    for one in rows:
        worst = one["worst"]
        where = f"{worst['error']:12.6g} at {', '.join(map(str, worst['at']))}" if worst else ""
        print(f"{one['quantity']:9}{one['form']:25}{one['type']:9}{one['over']:20}{where}")


if __name__ == "__main__":
    main()
