"""The limits of a floating-point type, the exact losses, and the error of a computed loss.

The exact losses come from mpmath with 400 bits. They take the binary numbers that they are given as exact: the float32
nearest to 0.999999 is the label 0.99999898672103881835…, not 0.999999.
"""

from collections.abc import Callable, Sequence
from functools import cache
from numbers import Real
from typing import NamedTuple

import mpmath
import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from helpers._checks import as_array, as_class_indices, as_floats, in_unit_interval, same_shape

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

    ``log(2^(emin - t))``. Subnormal numbers are counted, as in IEEE 754; hardware that flushes them to zero gives 0 earlier.

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


def exact_sigmoid_cross_entropy(
    labels: ArrayLike, logits: ArrayLike, *, check_labels: bool = True
) -> NDArray[np.object_] | mpmath.mpf:
    """Return the exact sigmoid cross-entropy, to 400 bits.

    ``L = relu(x) (1 - z) + relu(-x) z + log1p(e^-|x|)``, in nats.

    Parameters
    ----------
    labels, logits : array_like
        Labels ``z`` in [0, 1] and logits ``x``, of one shape, or one of them a scalar; float16, bfloat16 (of ml_dtypes),
        float32 or float64, booleans or integers.
    check_labels : bool, optional
        False lets labels outside [0, 1] pass; the formula holds for them.

    Returns
    -------
    mpf, or ndarray of mpf
        The losses; the limit for infinite logits, NaN for NaN.

    Raises
    ------
    ValueError
        If two arrays differ in shape, or a label lies outside [0, 1].
    TypeError
        If an argument holds numbers of any other type.

    Examples
    --------
    >>> import mpmath
    >>> mpmath.nstr(exact_sigmoid_cross_entropy(1.0, 23.0), 10)
    '1.026187963e-10'

    References
    ----------
    mpmath, https://mpmath.org.
    """
    return _elementwise(_exact_sigmoid_cross_entropy, *_labels_and_logits(labels, logits, check_labels))[()]


def exact_softmax_cross_entropy(labels: int | Sequence[float], logits: Sequence[float]) -> mpmath.mpf:
    """Return the exact softmax cross-entropy of one row of logits, to 400 bits.

    ``L = Σ_j w_j (log Σ_k e^(x_k) - x_j)``, in nats.

    Parameters
    ----------
    labels : int or sequence of float
        The class, in [0, C), or one weight ``w_j`` in [0, 1] for each class.
    logits : sequence of float
        The logits ``x_j`` of C classes, of the types of :func:`exact_sigmoid_cross_entropy`; -inf means that a class cannot
        occur.

    Returns
    -------
    mpf
        The loss, NaN for NaN; a class of weight 0 contributes nothing, even if its logit is -inf.

    Raises
    ------
    ValueError
        If the logits are not one row, the class is out of range, the weights are not one for each class, or a weight lies
        outside [0, 1].
    TypeError
        If the class is not an integer, or an argument holds numbers of any other type.

    Examples
    --------
    >>> import mpmath
    >>> mpmath.nstr(exact_softmax_cross_entropy(0, [20.0, 0.0, 0.0]), 5)
    '4.1223e-9'
    """
    weights, row = _weights_and_row(labels, logits)
    if np.isnan(row).any() or np.isnan(weights).any():
        return EXACT.nan
    x = [EXACT.mpf(logit) for logit in row.tolist()]
    a = int(row.argmax())  # the largest is left out of the sum: log1p keeps what 1 would absorb
    below = [x[a] - logit if j != a else EXACT.zero for j, logit in enumerate(x)]  # 0, where inf - inf would be NaN
    exp = cache(EXACT.exp)  # rows of equal logits are common, and exponentials are what takes time
    rest = EXACT.log1p(EXACT.fsum(exp(-distance) for j, distance in enumerate(below) if j != a))
    return EXACT.fsum(EXACT.mpf(w) * (below[j] + rest) for j, w in enumerate(weights.tolist()) if w)


def exact_sigmoid_cross_entropy_gradient(
    labels: ArrayLike, logits: ArrayLike, *, check_labels: bool = True
) -> NDArray[np.object_] | mpmath.mpf:
    """Return the exact derivative of the sigmoid cross-entropy by the logits, to 400 bits.

    ``dL/dx = (1 - z) σ(x) - z σ(-x)``

    Parameters
    ----------
    labels, logits : array_like
        As for :func:`exact_sigmoid_cross_entropy`.
    check_labels : bool, optional
        False lets labels outside [0, 1] pass.

    Returns
    -------
    mpf, or ndarray of mpf
        The derivatives; the limit for infinite logits, NaN for NaN.

    Raises
    ------
    ValueError
        If two arrays differ in shape, or a label lies outside [0, 1].
    TypeError
        If an argument holds numbers of any other type.

    Examples
    --------
    >>> import mpmath
    >>> mpmath.nstr(exact_sigmoid_cross_entropy_gradient(1.0, 40.0), 5)
    '-4.2484e-18'

    References
    ----------
    mpmath, https://mpmath.org.
    """
    z, x = _labels_and_logits(labels, logits, check_labels)

    def derivative(label: float, logit: float) -> mpmath.mpf:
        weight, e = EXACT.mpf(label), EXACT.exp(-EXACT.mpf(logit))
        return (1 - weight) / (1 + e) - (weight / (1 + 1 / e) if e else EXACT.zero)

    return _elementwise(derivative, z, x)[()]


def exact_softmax_cross_entropy_gradient(labels: int | Sequence[float], logits: Sequence[float]) -> list[mpmath.mpf]:
    """Return the exact derivatives of the softmax cross-entropy of one row by its logits, to 400 bits.

    ``dL/dx_j = p_j Σ_{k≠j} w_k - w_j Σ_{k≠j} p_k`` with the softmax ``p``, a difference of two terms of which one is 0 for a
    hard label.

    Parameters
    ----------
    labels : int or sequence of float
        The class, or one weight in [0, 1] for each class, as for :func:`exact_softmax_cross_entropy`.
    logits : sequence of float
        The logits of C classes.

    Returns
    -------
    list of mpf
        C derivatives, NaN for NaN and where several infinite logits leave no limit.

    Raises
    ------
    ValueError, TypeError
        As :func:`exact_softmax_cross_entropy`.

    Examples
    --------
    >>> import mpmath
    >>> [mpmath.nstr(slope, 5) for slope in exact_softmax_cross_entropy_gradient(0, [20.0, 0.0, 0.0])]
    ['-4.1223e-9', '2.0612e-9', '2.0612e-9']

    References
    ----------
    mpmath, https://mpmath.org.
    """
    weights, row = _weights_and_row(labels, logits)
    tied = np.isinf(row.max()) and np.count_nonzero(row == row.max()) > 1  # inf - inf: the softmax has no limit
    if tied or np.isnan(row).any() or np.isnan(weights).any():
        return [EXACT.nan] * row.size
    m = EXACT.mpf(row.max())
    exp = cache(lambda logit: EXACT.exp(EXACT.mpf(logit) - m) if logit != m else EXACT.one)
    e = list(map(exp, row.tolist()))
    w = list(map(EXACT.mpf, weights.tolist()))
    total, weight = EXACT.fsum(e), EXACT.fsum(w)
    # What the others have is summed without the class itself: 400 bits, too, can absorb it.
    others = [EXACT.fsum(e[:j] + e[j + 1 :]) if e[j] > total / 2 else total - e[j] for j in range(len(e))]
    rest = [EXACT.fsum(w[:j] + w[j + 1 :]) if w[j] > weight / 2 else weight - w[j] for j in range(len(w))]
    return [(e[j] * rest[j] - w[j] * others[j]) / total for j in range(len(e))]


def error_in_eps(computed: ArrayLike, exact: ArrayLike, dtype: DTypeLike) -> NDArray[np.float64] | float:
    """Return the relative error of a computed number, in units of a type's eps.

    ``|computed - exact| / (|exact| eps)`` with ``eps = 2^(1-t)``, the distance from 1 to the next number of the type.
    A result rounded correctly is at most half an eps off, a result of 0 is 1 / eps off, and above 0.1 / eps no digit is
    right.

    Parameters
    ----------
    computed : array_like
        Numbers of the types of :func:`exact_sigmoid_cross_entropy`.
    exact : array_like
        What they should be, as mpf or as numbers, of the same shape; or one of the two is a scalar.
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
        If two arrays differ in shape, or the type is another one.
    TypeError
        If what is computed or exact holds anything else.

    Examples
    --------
    >>> import numpy as np
    >>> round(float(error_in_eps(np.float32(0.1), 0.1, np.float32)), 3)
    0.125
    """
    eps = EXACT.mpf(2) ** (1 - _format(dtype).significand_bits)
    computed, exact = _doubles(computed=computed), as_array("exact", exact)
    exact = exact if exact.dtype == object else _doubles(exact=exact)
    if computed.ndim and exact.ndim:
        same_shape(computed=computed, exact=exact)

    def error(c: float, e: float | mpmath.mpf) -> float:
        if not isinstance(e, Real):
            raise TypeError(f"exact must hold mpf or other real numbers, got {e!r}")
        c, e = EXACT.mpf(c), EXACT.convert(e)
        if EXACT.isnormal(e):  # neither 0, nor infinite, nor NaN
            return float(abs(c - e) / (abs(e) * eps))
        if EXACT.isnan(c) or EXACT.isnan(e):
            return float("nan")
        return 0.0 if c == e else float("inf")

    return _elementwise(error, computed, exact).astype(np.float64)[()]


def _format(dtype: DTypeLike) -> Format:
    name = np.dtype(dtype).name if isinstance(dtype, type | np.dtype) else dtype  # NumPy takes None for float64
    if not isinstance(name, str) or name not in FORMATS:
        raise ValueError(f"dtype must be one of {', '.join(FORMATS)}, got {name!r}")
    return FORMATS[name]


def _doubles(**argument: ArrayLike) -> NDArray[np.float64]:
    """Return the argument as float64, which holds every number of the book's types, bfloat16 among them."""
    [(name, value)] = argument.items()
    array = as_array(name, value)
    [floats] = as_floats(**{name: array.astype(np.float32) if array.dtype.name == "bfloat16" else array})
    return floats.astype(np.float64)


def _labels_and_logits(labels: ArrayLike, logits: ArrayLike, check_labels: bool) -> tuple[NDArray, NDArray]:
    z, x = _doubles(labels=labels), _doubles(logits=logits)
    if z.ndim and x.ndim:
        same_shape(labels=z, logits=x)
    if check_labels:
        in_unit_interval(labels=z)
    return z, x


def _weights_and_row(labels: ArrayLike, logits: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    row = _doubles(logits=logits)
    if row.ndim != 1 or not row.size:
        raise ValueError(f"logits must be one row of at least one class, got the shape {row.shape}")
    return _weights(as_array("labels", labels), row), row


def _weights(labels: NDArray, logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the weight of each class, which is 1 for a class that is given by its index."""
    if not labels.ndim:
        weights = np.zeros(logits.size)
        weights[as_class_indices(labels, logits.size)] = 1
        return weights
    weights = _doubles(labels=labels)
    same_shape(labels=weights, logits=logits)
    in_unit_interval(labels=weights)
    return weights


def _elementwise(function: Callable, *arrays: ArrayLike) -> NDArray[np.object_]:
    with np.errstate(invalid="ignore"):  # NumPy would warn of the NaN that is meant
        return np.asarray(np.frompyfunc(function, len(arrays), 1)(*arrays), object)


def _exact_sigmoid_cross_entropy(label: float, logit: float) -> mpmath.mpf:
    z, x = EXACT.mpf(label), EXACT.mpf(logit)
    distance = abs(x)
    wrong_side = 1 - z if x >= 0 else z
    linear = distance * wrong_side if wrong_side else EXACT.zero
    return linear + EXACT.log1p(EXACT.exp(-distance))
