"""Where a floating-point type gives out, what the exact losses are, and how far from them a computed one is.

The exact losses come from mpmath with 400 bits. They take the binary numbers that they are given as exact: the float32
nearest to 0.999999 is the label 0.99999898672103881835…, not 0.999999.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import mpmath
import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

EXACT = mpmath.MPContext()  # a context of our own: importing the book must not change anyone's mpmath.mp
EXACT.prec = 400


class Format(NamedTuple):
    """A binary floating-point format: bits of the significand (the hidden one included), and extreme exponents."""

    significand_bits: int
    min_exponent: int
    max_exponent: int


#: What each format of the book can hold, by its name; the chapters call the three numbers t, emin and emax.
FORMATS = {
    "float16": Format(11, -14, 15),
    "bfloat16": Format(8, -126, 127),
    "float32": Format(24, -126, 127),
    "float64": Format(53, -1022, 1023),
}


def overflow_threshold(dtype: DTypeLike) -> float:
    """Return the logarithm of the largest finite number of a type: ``exp`` overflows above it.

    ``log((2 - 2^(1-t)) 2^emax)``, with t bits in the significand and the largest exponent emax.

    Parameters
    ----------
    dtype : dtype_like
        float16, bfloat16 (as a name or as ml_dtypes' type), float32 or float64.

    Returns
    -------
    float
        The threshold, rounded to float64.

    Raises
    ------
    ValueError
        If the type is another one.

    Examples
    --------
    >>> overflow_threshold("float64")
    709.782712893384
    >>> overflow_threshold("float16")
    11.089866488461016

    References
    ----------
    The formats are those of IEEE 754-2019; bfloat16 keeps float32's exponents and 8 bits of its significand.
    """
    t, _, emax = _format(dtype)
    return float(EXACT.log((2 - EXACT.mpf(2) ** (1 - t)) * EXACT.mpf(2) ** emax))


def underflow_threshold(dtype: DTypeLike) -> float:
    """Return the logarithm of half the smallest positive number of a type: ``exp`` rounds to 0 below it.

    ``log(2^(emin - t))``. Subnormal numbers are counted: they are the last to go.

    Parameters
    ----------
    dtype : dtype_like
        float16, bfloat16, float32 or float64, as in :func:`overflow_threshold`.

    Returns
    -------
    float
        The threshold, rounded to float64.

    Raises
    ------
    ValueError
        If the type is another one.

    Examples
    --------
    >>> underflow_threshold("float64")
    -745.1332191019412
    """
    t, emin, _ = _format(dtype)
    return float((emin - t) * EXACT.ln2)


def saturation_threshold(dtype: DTypeLike) -> float:
    """Return the logit from which ``1 + e^-x`` rounds to 1, and with it the computed sigmoid.

    ``t log 2``, with t bits in the significand: there ``e^-x`` is half the distance from 1 to its upper neighbor, and a
    tie rounds to 1.

    Parameters
    ----------
    dtype : dtype_like
        float16, bfloat16, float32 or float64, as in :func:`overflow_threshold`.

    Returns
    -------
    float
        The threshold, rounded to float64.

    Raises
    ------
    ValueError
        If the type is another one.

    Examples
    --------
    >>> saturation_threshold("float32")
    16.635532333438686
    """
    return float(_format(dtype).significand_bits * EXACT.ln2)


def exact_sigmoid_cross_entropy(labels: ArrayLike, logits: ArrayLike) -> NDArray[np.object_] | mpmath.mpf:
    """Return the exact sigmoid cross-entropy, to 400 bits.

    ``L = relu(x) (1 - z) + relu(-x) z + log1p(e^-|x|)``, in nats.

    Parameters
    ----------
    labels, logits : array_like
        Labels ``z`` and logits ``x`` of any floating-point type, of shapes that broadcast.

    Returns
    -------
    mpf, or ndarray of mpf
        The losses; the limit for infinite logits, NaN for NaN.

    Examples
    --------
    >>> import mpmath
    >>> mpmath.nstr(exact_sigmoid_cross_entropy(1.0, 23.0), 10)
    '1.026187963e-10'

    References
    ----------
    mpmath, https://mpmath.org.
    """
    return _elementwise(_exact_sigmoid_cross_entropy, labels, logits)[()]


def exact_softmax_cross_entropy(labels: int | Sequence[float], logits: Sequence[float]) -> mpmath.mpf:
    """Return the exact softmax cross-entropy of one row of logits, to 400 bits.

    ``L = Σ_j w_j (log Σ_k e^(x_k) - x_j)``, in nats.

    Parameters
    ----------
    labels : int or sequence of float
        The class, or one weight ``w_j`` for each class.
    logits : sequence of float
        The logits ``x_j``, one for each class; -inf means that a class cannot occur.

    Returns
    -------
    mpf
        The loss; a class of weight 0 contributes nothing, whatever its logit.

    Examples
    --------
    >>> import mpmath
    >>> mpmath.nstr(exact_softmax_cross_entropy(0, [20.0, 0.0, 0.0]), 5)
    '4.1223e-9'
    """
    x = [EXACT.mpf(float(logit)) for logit in logits]
    weights = [float(j == labels) for j in range(len(x))] if np.ndim(labels) == 0 else [float(w) for w in labels]
    a = max(range(len(x)), key=x.__getitem__)  # the largest is left out of the sum: log1p keeps what 1 would absorb
    rest = EXACT.log1p(EXACT.fsum(EXACT.exp(x[k] - x[a]) for k in range(len(x)) if k != a))
    return EXACT.fsum(EXACT.mpf(w) * (x[a] - x[j] + rest) for j, w in enumerate(weights) if w)


def error_in_eps(computed: ArrayLike, exact: ArrayLike, dtype: DTypeLike) -> NDArray[np.float64] | float:
    """Return the relative error of a computed number, in units of a type's eps.

    ``|computed - exact| / (|exact| eps)`` with ``eps = 2^(1-t)``, the distance from 1 to the next number of the type.
    A result rounded correctly is at most half an eps off, a result of 0 is 1 / eps off, and above 0.1 / eps no digit is
    right.

    Parameters
    ----------
    computed : array_like
        Numbers of any floating-point type.
    exact : array_like
        What they should be, as mpf or as numbers, of a shape that broadcasts.
    dtype : dtype_like
        The type whose eps is the unit: float16, bfloat16, float32 or float64.

    Returns
    -------
    float, or ndarray of float64
        The errors: 0 where both are equal, infinities included; inf where only one of them is infinite, or only the exact
        number is 0; NaN where one is NaN.

    Raises
    ------
    ValueError
        If the type is another one.

    Examples
    --------
    >>> import numpy as np
    >>> round(float(error_in_eps(np.float32(0.1), 0.1, np.float32)), 3)
    0.125
    """
    eps = EXACT.mpf(2) ** (1 - _format(dtype).significand_bits)

    def error(c: float, e: float | mpmath.mpf) -> float:
        c, e = EXACT.mpf(float(c)), EXACT.convert(e)
        if EXACT.isnormal(e):  # neither 0, nor infinite, nor NaN
            return float(abs(c - e) / (abs(e) * eps))
        if EXACT.isnan(c) or EXACT.isnan(e):
            return float("nan")
        return 0.0 if c == e else float("inf")

    return _elementwise(error, computed, exact).astype(np.float64)[()]


def _format(dtype: DTypeLike) -> Format:
    name = dtype if isinstance(dtype, str) else np.dtype(dtype).name
    if name not in FORMATS:
        raise ValueError(f"dtype must be one of {', '.join(FORMATS)}, got {name}")
    return FORMATS[name]


def _elementwise(function: Callable, *arrays: ArrayLike) -> NDArray[np.object_]:
    with np.errstate(invalid="ignore"):  # NumPy would warn of the NaN that is meant
        return np.asarray(np.frompyfunc(function, len(arrays), 1)(*arrays), object)


def _exact_sigmoid_cross_entropy(label: float, logit: float) -> mpmath.mpf:
    z, x = EXACT.mpf(float(label)), EXACT.mpf(float(logit))
    distance = abs(x)
    wrong_side = 1 - z if x >= 0 else z
    linear = distance * wrong_side if wrong_side else EXACT.zero
    return linear + EXACT.log1p(EXACT.exp(-distance))
