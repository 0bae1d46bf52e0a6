"""Softmax cross-entropy with nothing that overflows or cancels, and Keras's arithmetic on probabilities.

The classes lie on the last axis, called a row; any axes may come before it. ``x_j`` is the logit of class ``j`` in its row,
``m`` the largest of them, at the index ``a``, and ``w_j`` a label's weight on the class. Losses are in nats.

Every function returns the floating-point type it is given: float16, float32 or float64 (integers and booleans count as
float64). NaN makes NaN of its own row and of no other. Infinite logits give the limit: -inf means that a class cannot occur.
Where there is no limit, the result is NaN: if all logits of a row are -inf, and for what depends on several that are +inf.

The error bounds in the docstrings are those of float64, as in :mod:`helpers.binary`; float16 and float32 are within half an
ulp, and what cancels within half an ulp or ``1e-15`` of its largest term. In the bounds ``A`` is the largest number of
additions that a term passes through when C terms are summed: at most 5 for 10 classes, 21 for 1,000, 25 for 50,257, and
for more than 128 classes ``25 + log2(C / 128)``. ``M`` is ``min(D, log(n / r))``, with the largest distance
``D`` of a logit below ``m``,
the number ``n`` and the sum ``r`` of the other classes' ``e^(x_j - m)``. A masked class, with a logit so far down that its
term is 0, counts in neither. The bounds hold where no term that counts is subnormal, so for logits less than 708 below the
largest: a sum of many subnormal terms can be a normal number, and it has lost their digits. The difference of two float64
logits near the largest number, of different sign, overflows, and the loss of soft labels with it; float32 logits have no
such difference in float64.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from helpers._checks import (
    as_class_indices,
    as_classes_to_count,
    as_floats,
    below_one_half,
    has_classes,
    in_unit_interval,
    one_label_a_row,
    positive_integer,
    same_shape,
)
from helpers._rows import at, below_the_largest, by_rows, largest, row_sums, sum_of_terms, sum_of_the_others

Floats = NDArray[np.floating]


def log_sum_exp(logits: ArrayLike) -> Floats:
    """Logarithm of the sum of exponentials over the last axis, which is the softmax's denominator.

    ``log Σ_j e^(x_j) = m + log1p(Σ_{j≠a} e^(x_j - m))``

    It lies between ``m`` and ``m + log C``, for C classes.

    Parameters
    ----------
    logits : array_like
        The logits ``x``, of shape (..., C).

    Returns
    -------
    ndarray
        Of shape (...) and the logits' type. The error is at most ``1.01 + A / 2 + log C`` eps, absolute, and the rounding of
        the result, half an eps relative. No relative bound can be promised: where ``m`` is negative the two terms cancel,
        and a result near 0 has few digits of its own. -inf for a row of -inf, the limit of the logarithm.

    Raises
    ------
    ValueError
        If there is no class axis, or no class on it.
    TypeError
        If the logits hold anything but booleans, integers, float16, float32 or float64.

    Examples
    --------
    >>> import numpy as np
    >>> print(log_sum_exp([[1000.0, 1000.0], [-1000.0, 0.0]]))
    [1000.69314718    0.        ]

    References
    ----------
    P. Blanchard, D. J. Higham, N. J. Higham, Accurately computing the log-sum-exp and softmax functions, IMA Journal of
    Numerical Analysis 41(4), 2021.
    """
    x = _logits(logits)
    return by_rows(_log_sum_exp, x, dtype=x.dtype)[()]


def _log_sum_exp(x: Floats) -> Floats:
    top, m, below = below_the_largest(x)
    rest = np.log1p(sum_of_the_others(np.exp(below), top))
    return np.where(np.isinf(m), m, m + rest)  # the rest is NaN beside several +inf, or if all are -inf


def softmax(logits: ArrayLike) -> Floats:
    """Turn logits into probabilities along the last axis.

    ``p_j = e^(x_j - m) / Σ_k e^(x_k - m)``

    Parameters
    ----------
    logits : array_like
        The logits ``x``, of shape (..., C).

    Returns
    -------
    ndarray
        Of the logits' shape and type, each within ``3.01 + (A + log(C / p_j)) / 2`` eps of the exact probability ``p_j``
        where that is a normal number.

    Raises
    ------
    ValueError
        If there is no class axis, or no class on it.
    TypeError
        If the logits hold anything but booleans, integers, float16, float32 or float64.

    Examples
    --------
    >>> import numpy as np
    >>> print(softmax([[1000.0, 1000.0], [0.0, -np.inf]]))
    [[0.5 0.5]
     [1.  0. ]]

    References
    ----------
    Blanchard, Higham and Higham, as in :func:`log_sum_exp`.
    """
    x = _logits(logits)
    return by_rows(_softmax, x, dtype=x.dtype, entries=True)


def _softmax(x: Floats) -> Floats:
    return _probabilities(x)[0]


def log_softmax(logits: ArrayLike) -> Floats:
    """Logarithms of the softmax's probabilities, with the digits that ``log(softmax(x))`` and ``x - log_sum_exp(x)`` lose.

    ``log p_j = -(m - x_j) - log1p(Σ_{k≠a} e^(x_k - m))``

    Parameters
    ----------
    logits : array_like
        The logits ``x``, of shape (..., C).

    Returns
    -------
    ndarray
        Of the logits' shape and type, each within ``2.51 + (A + M) / 2`` eps of the exact logarithm.

    Raises
    ------
    ValueError
        If there is no class axis, or no class on it.
    TypeError
        If the logits hold anything but booleans, integers, float16, float32 or float64.

    Examples
    --------
    >>> import numpy as np
    >>> for log_probability in log_softmax(np.float32([20, 0, 0])):
    ...     print(f"{log_probability:.4e}")
    -4.1223e-09
    -2.0000e+01
    -2.0000e+01

    References
    ----------
    The book derives this form in the chapter *Softmax and log-sum-exp*.
    """
    x = _logits(logits)
    return by_rows(_log_softmax, x, dtype=x.dtype, entries=True)


def _log_softmax(x: Floats) -> Floats:
    top, _, below = below_the_largest(x)
    rest = np.log1p(sum_of_the_others(np.exp(below), top))
    return np.where(below == -np.inf, -np.inf, below - rest[..., np.newaxis])  # beside several +inf too, which leave no rest


def one_hot(labels: ArrayLike, depth: int) -> NDArray[np.int8]:
    """Write class indices as rows with a single 1.

    Parameters
    ----------
    labels : array_like of int
        Class indices in [0, depth), of shape (...).
    depth : int
        The number of classes.

    Returns
    -------
    ndarray of int8
        Of shape (..., depth). Integers adapt to the type of the logits that they meet, and int8 does so in NumPy too:
        beside float32 logits, int64 would make float64 of everything.

    Raises
    ------
    ValueError
        If the depth is no positive integer, or a label is out of range. ``tf.one_hot`` and ``keras.ops.one_hot`` return
        a row of zeros for such a label, for which a loss is 0.
    TypeError
        If the labels are not integers.

    Examples
    --------
    >>> print(one_hot([2, 0], 3))
    [[0 0 1]
     [1 0 0]]

    References
    ----------
    TensorFlow's documentation of ``tf.one_hot``.
    """
    positive_integer(depth=depth)
    y = as_class_indices(labels, depth)
    rows = np.zeros((*y.shape, depth), np.int8)
    np.put_along_axis(rows, y[..., np.newaxis], 1, axis=-1)
    return rows


def softmax_cross_entropy_with_logits(labels: ArrayLike, logits: ArrayLike) -> Floats:
    """Softmax cross-entropy of soft labels as a sum of non-negative terms: nothing overflows, and nothing cancels.

    ``L = Σ_j w_j (m - x_j) + (Σ_j w_j) log1p(Σ_{j≠a} e^(x_j - m))``

    Parameters
    ----------
    labels : array_like
        The weights ``w`` of the classes, each in [0, 1], of the logits' shape. A row need not sum to 1, as for TensorFlow:
        the loss is linear in the labels, so a row that sums to W has W times the loss of the row divided by W, and no digit
        is lost by it. Float32 rows rarely sum to exactly 1 in any case, so a check would have to guess what is meant. Mind
        that a row of zeros costs 0 whatever the logits are.
    logits : array_like
        The logits ``x``, of shape (..., C).

    Returns
    -------
    ndarray
        The losses in nats, of shape (...), of the wider of the two types, within ``3.01 + A + M / 2`` eps of the exact loss.
        A class of weight 0 contributes nothing, even if its logit is -inf.

    Raises
    ------
    ValueError
        If the shapes differ, a label lies outside [0, 1], there is no class axis, or no class on it.
    TypeError
        If an argument holds anything but booleans, integers, float16, float32 or float64.

    Examples
    --------
    >>> import numpy as np
    >>> labels = [[1, 0, 0], [0, 0.5, 0.5], [1, 0, 0]]
    >>> logits = [[20, 0, 0], [1, 2, -1], [1, 2, -np.inf]]
    >>> for loss in softmax_cross_entropy_with_logits(labels, logits):
    ...     print(f"{loss:.10g}")
    4.122307236e-09
    1.849012217
    1.313261688

    References
    ----------
    The book derives this form in the chapter *Softmax and log-sum-exp*.
    """
    w, x = _weights_and_logits(labels, logits)
    return by_rows(_soft_loss, w, x, dtype=x.dtype)[()]


def _soft_loss(w: Floats, x: Floats) -> Floats:
    top, _, below = below_the_largest(x)
    linear = row_sums(w * below)
    if np.isnan(linear).any():  # 0 * -inf is NaN, but a class that cannot occur, and didn't, costs nothing
        linear = row_sums(np.where(w == 0, 0, w * below))
    rest = row_sums(w) * np.log1p(sum_of_the_others(np.exp(below), top))
    return sum_of_terms(linear, rest)


def sparse_softmax_cross_entropy_with_logits(
    labels: ArrayLike, logits: ArrayLike, *, ignore_label: int | None = None
) -> Floats:
    """Softmax cross-entropy of class indices as a sum of non-negative terms: nothing overflows, and nothing cancels.

    ``L = (m - x_y) + log1p(Σ_{j≠a} e^(x_j - m))``

    Parameters
    ----------
    labels : array_like of int
        The classes ``y``, in [0, C), of the logits' shape without its last axis.
    logits : array_like
        The logits ``x``, of shape (..., C).
    ignore_label : int, optional
        A label that marks places to leave out, such as padding; it may lie outside [0, C). The loss there is 0, whatever
        the logits are. To average over the other places, divide by their number and not by that of all, as in the example.

    Returns
    -------
    ndarray
        The losses in nats, of the labels' shape and the logits' type, within ``2.51 + (A + M) / 2`` eps of the exact loss.

    Raises
    ------
    ValueError
        If the shapes don't match, a label is out of range, there is no class axis, or no class on it.
    TypeError
        If the labels or the one to ignore are not integers, or the logits hold anything but booleans, integers, float16,
        float32 or float64.

    Examples
    --------
    >>> import numpy as np
    >>> labels = np.array([0, 2, -1])
    >>> logits = np.float32([[20, 0, 0], [1, 2, -1], [3, 3, 3]])
    >>> losses = sparse_softmax_cross_entropy_with_logits(labels, logits, ignore_label=-1)
    >>> [f"{loss:.4e}" for loss in losses]
    ['4.1223e-09', '3.3490e+00', '0.0000e+00']
    >>> mean = losses.sum() / np.count_nonzero(labels != -1)
    >>> f"{mean:.4f}"
    '1.6745'

    References
    ----------
    The book derives this form in the chapter *Softmax and log-sum-exp*.
    """
    y, ignored, x = _classes_and_logits(labels, logits, ignore_label)
    losses = by_rows(_index_loss, y, x, dtype=x.dtype)
    losses[ignored] = 0
    return losses[()]


def _index_loss(y: NDArray[np.integer], x: Floats) -> Floats:
    top, _, below = below_the_largest(x)
    return sum_of_terms(at(below, y), np.log1p(sum_of_the_others(np.exp(below), top)))


def softmax_cross_entropy_gradient(labels: ArrayLike, logits: ArrayLike) -> Floats:
    """Gradient of :func:`softmax_cross_entropy_with_logits` by the logits, for soft labels.

    ``dL/dx_j = p_j Σ_{k≠j} w_k - w_j Σ_{k≠j} p_k``, with the softmax ``p``

    The usual ``W p_j - w_j``, with ``W = Σ_k w_k``, is the same number, but cancels where the model agrees with the label.

    Parameters
    ----------
    labels : array_like
        The weights ``w`` of the classes, each in [0, 1], of the logits' shape. A row need not sum to 1.
    logits : array_like
        The logits ``x``, of shape (..., C).

    Returns
    -------
    ndarray
        The derivatives, of the logits' shape and of the wider of the two types. For a row of hard labels one of the two
        terms is 0, and each entry is within the relative bound of :func:`sparse_softmax_cross_entropy_gradient`. For soft
        labels the terms may cancel, so the error is measured relative to both together: it is at most
        ``5.51 + (3 A + log(C / p_j)) / 2`` eps of ``p_j Σ_{k≠j} w_k + w_j Σ_{k≠j} p_k`` where all are normal numbers. A
        relative change of each weight by as many eps would move the exact derivative as far.

    Raises
    ------
    ValueError
        If the shapes differ, a label lies outside [0, 1], there is no class axis, or no class on it.
    TypeError
        If an argument holds anything but booleans, integers, float16, float32 or float64.

    Examples
    --------
    >>> import numpy as np
    >>> labels = np.float32([[1, 0, 0], [1 - 2**-20, 2**-20, 0]])
    >>> logits = np.float32([[20, 0, 0], [14, 0, 0]])
    >>> for row in softmax_cross_entropy_gradient(labels, logits):
    ...     print(" ".join(f"{slope:11.4e}" for slope in row))
    -4.1223e-09  2.0612e-09  2.0612e-09
    -7.0938e-07 -1.2215e-07  8.3153e-07

    References
    ----------
    The book derives this form in the chapter *Large vocabularies*.
    """
    w, x = _weights_and_logits(labels, logits)
    return by_rows(_soft_gradient, w, x, dtype=x.dtype, entries=True)


def _soft_gradient(w: Floats, x: Floats) -> Floats:
    p, others_of_top, below = _probabilities(x)
    p_of_others = 1 - p  # safe but for the largest class: each of the others has at most half
    np.copyto(p_of_others, others_of_top[..., np.newaxis], where=below == 0)
    heaviest, w_b = largest(w)  # likewise for the weights: the largest is left out of a sum
    rest = row_sums(w * ~heaviest)[..., np.newaxis]
    w_of_others = (w_b + rest) - w
    np.copyto(w_of_others, rest, where=heaviest)
    w_of_others *= p
    p_of_others *= w
    w_of_others -= p_of_others
    return w_of_others


def sparse_softmax_cross_entropy_gradient(
    labels: ArrayLike, logits: ArrayLike, *, ignore_label: int | None = None
) -> Floats:
    """Gradient of :func:`sparse_softmax_cross_entropy_with_logits` by the logits.

    ``dL/dx_j = p_j``, and ``dL/dx_y = -Σ_{j≠y} p_j``, with the softmax ``p``

    Parameters
    ----------
    labels : array_like of int
        The classes ``y``, in [0, C), of the logits' shape without its last axis.
    logits : array_like
        The logits ``x``, of shape (..., C).
    ignore_label : int, optional
        A label that marks places to leave out; their rows are 0, whatever the logits are.

    Returns
    -------
    ndarray
        The derivatives, of the logits' shape and type, each within ``3.01 + (A + log(C / p_j)) / 2`` eps of the exact one
        where ``p_j`` is a normal number, half an eps more at the label if another logit is the largest, and there within
        ``2.01 + (A + M) / 2`` eps if its own is. ``p_y - 1`` would round the label's entry to a multiple of the eps, and
        from a lead of 17 on to 0 in float32.

    Raises
    ------
    ValueError
        If the shapes don't match, a label is out of range, there is no class axis, or no class on it.
    TypeError
        If the labels are not integers, or the logits hold anything but booleans, integers, float16, float32 or float64.

    Examples
    --------
    >>> import numpy as np
    >>> labels, logits = [0, -1], np.float32([[20, 0, 0], [3, 3, 3]])
    >>> for row in sparse_softmax_cross_entropy_gradient(labels, logits, ignore_label=-1):
    ...     print(" ".join(f"{slope:11.4e}" for slope in row))
    -4.1223e-09  2.0612e-09  2.0612e-09
     0.0000e+00  0.0000e+00  0.0000e+00

    References
    ----------
    The book derives this form in the chapter *Large vocabularies*.
    """
    y, ignored, x = _classes_and_logits(labels, logits, ignore_label)
    gradient = by_rows(_index_gradient, y, x, dtype=x.dtype, entries=True)
    gradient[ignored] = 0
    return gradient


def _index_gradient(y: NDArray[np.integer], x: Floats) -> Floats:
    gradient, others_of_top, below = _probabilities(x)
    # only the largest class can have more than half, where 1 - p would cancel
    others = np.where(at(below, y) == 0, others_of_top, 1 - at(gradient, y))
    np.put_along_axis(gradient, y[..., np.newaxis], 0 - others[..., np.newaxis], axis=-1)  # a plain minus would make -0 of 0
    return gradient


def categorical_crossentropy(labels: ArrayLike, probabilities: ArrayLike, *, epsilon: float = 1e-7) -> Floats:
    """Cross-entropy of soft labels and probabilities by Keras 3's arithmetic, step by step.

    ``L = -Σ_j w_j log clip(p_j / Σ_k p_k, epsilon, 1 - epsilon)``

    It is computed in the type of its arguments, float16 too, so the bounds of the clip are rounded to that type.

    Parameters
    ----------
    labels : array_like
        The weights ``w`` of the classes, each in [0, 1], of the probabilities' shape.
    probabilities : array_like
        The probabilities ``p``, each in [0, 1], of shape (..., C). A row that doesn't sum to 1 is divided by its sum.
    epsilon : float, optional
        How near to 0 and 1 a probability may come, in [0, 0.5).

    Returns
    -------
    ndarray
        The losses in nats, of shape (...), of the wider of the two types. NaN for a row of zeros.

    Raises
    ------
    ValueError
        If the shapes differ, a label or a probability lies outside [0, 1], epsilon outside [0, 0.5), there is no class
        axis, or no class on it.
    TypeError
        If labels or probabilities hold anything but booleans, integers, float16, float32 or float64, or epsilon is not one
        number.

    Examples
    --------
    >>> f"{categorical_crossentropy([0, 1, 0], [0.5, 0.89, 0.6]):.7f}"  # log(1.99 / 0.89)
    '0.8046685'

    References
    ----------
    Keras 3, ``categorical_crossentropy`` in src/backend/tensorflow/nn.py.
    """
    w, p = as_floats(labels=labels, probabilities=probabilities)
    same_shape(labels=w, probabilities=p)
    in_unit_interval(labels=w)
    _are_probabilities(p)
    epsilon = below_one_half(epsilon=epsilon)
    with np.errstate(all="ignore"):
        p = p / p.sum(axis=-1, keepdims=True)
        p = np.clip(p, epsilon, 1 - epsilon)
        return -(w * np.log(p)).sum(axis=-1)


def sparse_categorical_crossentropy(labels: ArrayLike, probabilities: ArrayLike, *, epsilon: float = 1e-7) -> Floats:
    """Cross-entropy of class indices and probabilities by Keras 3's arithmetic, step by step.

    ``x_j = log clip(p_j, epsilon, 1 - epsilon)``, ``L = log(Σ_j e^(x_j - m)) - (x_y - m)``

    The clip comes first here, and the division by the sum last, inside the softmax: near 0 and 1 the result is not that of
    :func:`categorical_crossentropy`. It is computed in the type of its arguments, with a plain logarithm, as Keras does.

    Parameters
    ----------
    labels : array_like of int
        The classes ``y``, in [0, C), of the probabilities' shape without its last axis.
    probabilities : array_like
        The probabilities ``p``, each in [0, 1], of shape (..., C).
    epsilon : float, optional
        How near to 0 and 1 a probability may come, in [0, 0.5).

    Returns
    -------
    ndarray
        The losses in nats, of the labels' shape and the probabilities' type.

    Raises
    ------
    ValueError
        If the shapes don't match, a label is out of range, a probability lies outside [0, 1], epsilon outside [0, 0.5),
        there is no class axis, or no class on it.
    TypeError
        If the labels are not integers, the probabilities hold anything but booleans, integers, float16, float32 or float64,
        or epsilon is not one number.

    Examples
    --------
    >>> import numpy as np
    >>> for dtype in ("float32", "float64"):
    ...     certain = np.array([0, 1, 0], dtype)
    ...     print(f"{sparse_categorical_crossentropy(1, certain):.6e}")
    2.384186e-07
    2.000000e-07

    References
    ----------
    Keras 3, ``sparse_categorical_crossentropy`` in src/backend/tensorflow/nn.py, and the TensorFlow op that it calls.
    """
    [p] = as_floats(probabilities=probabilities)
    _are_probabilities(p)
    y = as_class_indices(labels, p.shape[-1])
    one_label_a_row(y, probabilities=p)
    epsilon = below_one_half(epsilon=epsilon)
    with np.errstate(all="ignore"):
        x = np.log(np.clip(p, epsilon, 1 - epsilon))
        x -= x.max(axis=-1, keepdims=True)
        picked = np.take_along_axis(x, y[..., np.newaxis], axis=-1)[..., 0]
        return np.log(np.exp(x).sum(axis=-1)) - picked


def _logits(logits: ArrayLike) -> Floats:
    [x] = as_floats(logits=logits)
    has_classes(logits=x)
    return x


def _weights_and_logits(labels: ArrayLike, logits: ArrayLike) -> list[Floats]:
    w, x = as_floats(labels=labels, logits=logits)
    same_shape(labels=w, logits=x)
    has_classes(logits=x)
    in_unit_interval(labels=w)
    return [w, x]


def _classes_and_logits(
    labels: ArrayLike, logits: ArrayLike, ignore_label: int | None
) -> tuple[NDArray[np.integer], NDArray[np.bool_], Floats]:
    """Return the classes, which of them to ignore, and the logits."""
    x = _logits(logits)
    y, ignored = as_classes_to_count(labels, x.shape[-1], ignore_label)
    one_label_a_row(y, logits=x)
    return y, ignored, x


def _are_probabilities(p: Floats) -> None:
    has_classes(probabilities=p)
    try:
        in_unit_interval(probabilities=p)
    except ValueError as error:
        raise ValueError(f"{error}; pass logits to the function whose name ends in with_logits") from None


def _probabilities(x: Floats) -> tuple[Floats, Floats, Floats]:
    """Return the softmax, what the classes beside the largest have, ``Σ_{j≠a} p_j``, and ``x - m``."""
    top, m, below = below_the_largest(x)
    terms = np.exp(below)  # the exponent is never positive: nothing to overflow
    rest = sum_of_the_others(terms, top)
    total = 1 + rest
    terms /= total[..., np.newaxis]
    if (m == np.inf).any():
        terms[below == -np.inf] = 0  # several +inf have no limit, but beside them the others have nothing
    return terms, rest / total, below
