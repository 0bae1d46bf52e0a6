"""Sigmoid cross-entropy in the forms that the book compares.

Throughout, ``x`` is a logit, ``z`` its label in [0, 1], ``σ(x) = 1 / (1 + e^-x)`` the sigmoid, and the loss

    L(z, x) = -z log σ(x) - (1 - z) log(1 - σ(x))

is in nats. Every function works element by element on arrays of any shape and on scalars, and returns the floating-point
type it is given: float16, float32 or float64 (integers and booleans count as float64). NaN in gives NaN out, at that place
only. Infinite logits give the limit of the loss, except in the naive and the max-abs form.

Float16 and float32 are computed in float64 and rounded once, so each result is within half an ulp, and a millionth of an ulp
more, of the exact one, subnormal results included where the processor keeps them; a gradient that cancels is within half an
ulp or ``1e-15``. The bounds in the docstrings are those of float64. The book's appendix *Error bounds* proves them if
NumPy's float64 exp and log1p are within 1 eps, as they are in every sample; nobody can try every argument. It also bounds
the same formulas in float32. All are bounds for exactly the labels and logits given.

Three functions compute in the type of their arguments, float16 too, because the book shows where they fail: the naive form,
the max-abs form, and :func:`binary_crossentropy`, which imitates Keras.
"""

from functools import partial

import numpy as np
from numpy.typing import ArrayLike, NDArray

from helpers._checks import (
    as_floats,
    below_one_half,
    finite_and_non_negative,
    in_unit_interval,
    one_number,
    same_shape,
)
from helpers._rows import elementwise

Floats = NDArray[np.floating]


def sigmoid(logits: ArrayLike) -> Floats:
    """Return the probabilities of logits, accurate for the smallest probabilities as well.

    ``σ(x) = 1 / (1 + e^-x) = e^min(x, 0) / (1 + e^-|x|)``

    Parameters
    ----------
    logits : array_like
        The logits ``x``.

    Returns
    -------
    ndarray
        The probabilities, of the logits' shape and type, within 2.01 eps of the exact ones where those are normal numbers.

    Raises
    ------
    TypeError
        If the argument holds anything but booleans, integers, float16, float32 or float64.

    Examples
    --------
    >>> print(sigmoid([-800.0, -40.0, 0.0, 40.0]))
    [0.00000000e+00 4.24835426e-18 5.00000000e-01 1.00000000e+00]

    References
    ----------
    P. Blanchard, D. J. Higham and N. J. Higham, "Accurately computing the log-sum-exp and softmax functions", IMA Journal of
    Numerical Analysis 41(4), 2021: this is softmax for the two logits ``x`` and 0, shifted by the larger one.
    """
    [x] = as_floats(logits=logits)
    return elementwise(_sigmoid, x, dtype=x.dtype)


def _sigmoid(x: Floats) -> Floats:
    return np.exp(np.minimum(x, 0)) / (1 + np.exp(-np.abs(x)))  # neither exponent is positive


def naive_cross_entropy(labels: ArrayLike, logits: ArrayLike, *, check_labels: bool = True) -> Floats:
    """Sigmoid cross-entropy by the naive formula, whose exponential overflows.

    ``L = x - x z + log(1 + e^-x)``

    It is computed in the type of its arguments, float16 too, and NumPy's overflow warning is not silenced, because the book
    shows where this formula fails.

    Parameters
    ----------
    labels : array_like
        The labels ``z``, in [0, 1].
    logits : array_like
        The logits ``x``, of the same shape.
    check_labels : bool, optional
        False lets labels outside [0, 1] pass.

    Returns
    -------
    ndarray
        The losses in nats, of the arguments' shape and type: inf where ``e^-x`` overflows, 0 where the loss is smaller than
        half the distance between floating-point numbers near 1 or near ``x``, and NaN for infinite logits.

    Raises
    ------
    ValueError
        If the shapes differ, or a label lies outside [0, 1].
    TypeError
        If an argument holds anything but booleans, integers, float16, float32 or float64.

    Examples
    --------
    >>> import numpy as np
    >>> with np.errstate(over="ignore"):
    ...     print(naive_cross_entropy([1.0, 0.0], [1.0, -810.0]))
    [0.31326169        inf]

    References
    ----------
    The last line of the first derivation in TensorFlow's documentation of ``tf.nn.sigmoid_cross_entropy_with_logits``.
    """
    z, x = _labels_and_logits(labels, logits, check_labels)
    return x - x * z + np.log(1 + np.exp(-x))


def max_abs_cross_entropy(labels: ArrayLike, logits: ArrayLike, *, check_labels: bool = True) -> Floats:
    """Sigmoid cross-entropy by the form that TensorFlow computes; its documentation writes ``log(1 + …)`` for ``log1p``.

    ``L = max(x, 0) - x z + log1p(e^-|x|)``

    No logit can overflow it, but ``max(x, 0) - x z`` cancels for positive logits and soft labels near 1: compare
    :func:`sigmoid_cross_entropy_with_logits`.

    Parameters
    ----------
    labels : array_like
        The labels ``z``, in [0, 1].
    logits : array_like
        The logits ``x``, of the same shape.
    check_labels : bool, optional
        False lets labels outside [0, 1] pass.

    Returns
    -------
    ndarray
        The losses in nats, computed in the arguments' type, float16 too, and of their shape. Infinite logits give NaN where
        TensorFlow gives NaN.

    Raises
    ------
    ValueError
        If the shapes differ, or a label lies outside [0, 1].
    TypeError
        If an argument holds anything but booleans, integers, float16, float32 or float64.

    Examples
    --------
    >>> import numpy as np
    >>> print(max_abs_cross_entropy([1.0, 0.0], [1.0, -810.0]))
    [0.31326169 0.        ]
    >>> # The exact loss is 0.00101328.
    >>> print(max_abs_cross_entropy(np.float32(0.999999), np.float32(1000)))
    0.0010375977

    References
    ----------
    TensorFlow's documentation of ``tf.nn.sigmoid_cross_entropy_with_logits``.
    """
    z, x = _labels_and_logits(labels, logits, check_labels)
    with np.errstate(all="ignore"):
        return np.maximum(x, 0) - x * z + np.log1p(np.exp(-np.abs(x)))


def sigmoid_cross_entropy_with_logits(labels: ArrayLike, logits: ArrayLike, *, check_labels: bool = True) -> Floats:
    """Sigmoid cross-entropy as a sum of non-negative terms, in which nothing overflows or cancels.

    ``L = relu(x) (1 - z) + relu(-x) z + log1p(e^-|x|)``

    Only one of the two ``relu`` terms differs from zero: the distance ``|x|`` times the weight of the label on the wrong
    side, ``1 - z`` for a positive logit and ``z`` for a negative one.

    Parameters
    ----------
    labels : array_like
        The labels ``z``, in [0, 1].
    logits : array_like
        The logits ``x``, of the same shape.
    check_labels : bool, optional
        False lets labels outside [0, 1] pass; the formula holds for them, but its terms change sign and cancel.

    Returns
    -------
    ndarray
        The losses in nats, of the arguments' shape and type, within 2.51 eps of the exact loss where that is a normal number
        and the label a normal number or 0. A subnormal loss is within 1.6 times the smallest subnormal number, which may be
        all of it.

    Raises
    ------
    ValueError
        If the shapes differ, or a label lies outside [0, 1].
    TypeError
        If an argument holds anything but booleans, integers, float16, float32 or float64.

    Examples
    --------
    >>> import numpy as np
    >>> print(sigmoid_cross_entropy_with_logits([1.0, 0.0], [1.0, -810.0]))
    [0.31326169 0.        ]
    >>> print(sigmoid_cross_entropy_with_logits(np.float32(0.999999), np.float32(1000)))
    0.001013279

    References
    ----------
    The book derives this form in the chapters *Deriving the stable form* and *The last digits*.
    """
    z, x = _labels_and_logits(labels, logits, check_labels)
    return elementwise(_loss, z, x, dtype=x.dtype)


def _loss(z: Floats, x: Floats) -> Floats:
    linear = x * ((x > 0) - z)  # relu(x)(1 - z) + relu(-x)z bit for bit, in half the time; nothing to cancel
    loss = linear + np.log1p(np.exp(-np.abs(x)))  # the exponent is never positive: nothing to overflow
    if np.isinf(x).any():  # inf * 0 is NaN, but an infinite logit on the right side of a hard label costs nothing
        loss = np.where((x == np.inf) & (z == 1) | (x == -np.inf) & (z == 0), 0, loss)
    return loss


def weighted_cross_entropy_with_logits(
    labels: ArrayLike, logits: ArrayLike, pos_weight: ArrayLike, *, check_labels: bool = True
) -> Floats:
    """Sigmoid cross-entropy whose positive part counts ``q`` times, as a sum of non-negative terms.

    ``L = (1 - z) softplus(x) + q z softplus(-x)`` with ``softplus(x) = log(1 + e^x) = relu(x) + log1p(e^-|x|)``

    Parameters
    ----------
    labels : array_like
        The labels ``z``, in [0, 1].
    logits : array_like
        The logits ``x``, of the same shape.
    pos_weight : array_like
        The weight ``q`` of the positive part, at least 0: one number, or an array of the logits' shape (one weight for each
        class comes to that shape by ``np.broadcast_to``). It is taken as it is given: a float64 weight of 0.1 is not rounded
        to the type of float32 logits.
    check_labels : bool, optional
        False lets labels outside [0, 1] pass; the formula holds for them, but its terms change sign and cancel.

    Returns
    -------
    ndarray
        The losses in nats, of the arguments' shape and type, within 4.01 eps of the exact loss where every product in it is
        a normal number or 0: ``q`` magnifies the error of a subnormal ``z softplus(-x)``.

    Raises
    ------
    ValueError
        If the shapes differ, a label lies outside [0, 1], or a weight is negative, infinite or NaN.
    TypeError
        If an argument holds anything but booleans, integers, float16, float32 or float64.

    Examples
    --------
    >>> import numpy as np
    >>> print(weighted_cross_entropy_with_logits([1.0, 0.0], [1.0, -810.0], pos_weight=3))
    [0.93978506 0.        ]
    >>> # TensorFlow's op gives 0.
    >>> print(weighted_cross_entropy_with_logits(np.float32(0), np.float32(-20), 1))
    2.0611537e-09

    References
    ----------
    TensorFlow's documentation of ``tf.nn.weighted_cross_entropy_with_logits``, whose form cancels for negative logits.
    """
    z, x = _labels_and_logits(labels, logits, check_labels)
    [q] = as_floats(pos_weight=pos_weight)
    if q.ndim:
        same_shape(pos_weight=q, logits=x)
    finite_and_non_negative(np.result_type(x, np.float32), pos_weight=q)
    return elementwise(_weighted, z, x, q, dtype=x.dtype)


def _weighted(z: Floats, x: Floats, q: Floats) -> Floats:
    shared = np.log1p(np.exp(-np.abs(x)))  # what softplus(x) and softplus(-x) have in common
    loss = (np.maximum(x, 0) + shared) * (1 - z) + (np.maximum(-x, 0) + shared) * z * q
    if np.isinf(x).any():  # inf * 0 is NaN, but an infinite logit costs nothing where its label has no weight
        loss = np.where(np.isinf(x) & np.isnan(loss) & ~np.isnan(z), 0, loss)
    return loss


def focal_cross_entropy_with_logits(labels: ArrayLike, logits: ArrayLike, gamma: float = 2.0) -> Floats:
    """Focal loss: sigmoid cross-entropy times a power of the other label's probability, which is small for easy examples.

    ``FL = d^γ L`` with ``d = (1 - z) σ(x) + z σ(-x)``, the probability that the model gives to the other label

    Both factors are sums of non-negative terms. Computed as ``1 - p``, the factor ``d`` is 0 from the logit on where the
    sigmoid rounds to 1, and for ``γ < 1`` its power has an infinite slope there.

    Parameters
    ----------
    labels : array_like
        The labels ``z``, in [0, 1]. Between 0 and 1 the loss is that of Keras, which is not linear in the label.
    logits : array_like
        The logits ``x``, of the same shape.
    gamma : float, optional
        The exponent ``γ``, at least 0, taken as it is given.

    Returns
    -------
    ndarray
        The losses in nats, of the arguments' shape and type, within ``3.51 γ + 3.01`` eps of the exact loss plus the error
        of NumPy's power, where every factor is a normal number and ``γ`` at most 1000.

    Raises
    ------
    ValueError
        If the shapes differ, a label lies outside [0, 1], or gamma is negative, infinite or NaN.
    TypeError
        If labels or logits hold anything but booleans, integers, float16, float32 or float64, or gamma is not one number.

    Examples
    --------
    >>> import numpy as np
    >>> # Keras's loss gives 0 for the second.
    >>> labels, logits = np.float32([1, 1]), np.float32([-5, 20])
    >>> for loss in focal_cross_entropy_with_logits(labels, logits):
    ...     print(f"{loss:.6g}")
    4.93992
    8.75651e-27

    References
    ----------
    T.-Y. Lin, P. Goyal, R. Girshick, K. He and P. Dollár, "Focal loss for dense object detection", ICCV 2017. Its factor α
    is a weight like any other: multiply by it.
    """
    z, x = _labels_and_logits(labels, logits, check_labels=True)
    one_number(gamma=gamma)
    [power] = as_floats(gamma=gamma)
    finite_and_non_negative(np.result_type(x, np.float32), gamma=power)
    return elementwise(partial(_focal, gamma=float(gamma)), z, x, dtype=x.dtype)


def _focal(z: Floats, x: Floats, gamma: float) -> Floats:
    loss = _loss(z, x)
    other = (1 - z) * _sigmoid(x) + z * _sigmoid(-x)  # both products >= 0, where 1 - p would cancel
    return np.where(np.isinf(loss), loss, other**gamma * loss)  # a power may underflow to 0, and 0 * inf is NaN


def sigmoid_cross_entropy_gradient(labels: ArrayLike, logits: ArrayLike, *, check_labels: bool = True) -> Floats:
    """Return the derivative of the sigmoid cross-entropy by the logits, without the cancellation of ``σ(x) - z``.

    ``dL/dx = σ(x) - z = (1 - z) σ(x) - z σ(-x)``, which is ``(1 - z) - σ(-x)`` for ``x >= 0`` and ``σ(x) - z`` for ``x < 0``

    Parameters
    ----------
    labels : array_like
        The labels ``z``, in [0, 1].
    logits : array_like
        The logits ``x``, of the same shape.
    check_labels : bool, optional
        False lets labels outside [0, 1] pass; the formula holds for them.

    Returns
    -------
    ndarray
        The derivatives, of the arguments' shape and type. For labels 0 and 1 they are within 2.51 eps of the exact ones
        where those are normal numbers; for labels in between they pass through zero, and are within 1.51 eps absolutely.

    Raises
    ------
    ValueError
        If the shapes differ, or a label lies outside [0, 1].
    TypeError
        If an argument holds anything but booleans, integers, float16, float32 or float64.

    Examples
    --------
    >>> import numpy as np
    >>> print(sigmoid_cross_entropy_gradient([1.0, 0.0, 0.3], [40.0, 40.0, 0.0]))
    [-4.24835426e-18  1.00000000e+00  2.00000000e-01]
    >>> print(sigmoid(np.float32(40)) - np.float32(1))
    0.0

    References
    ----------
    The book derives this form in the chapter *Gradients*.
    """
    z, x = _labels_and_logits(labels, logits, check_labels)
    return elementwise(_gradient, z, x, dtype=x.dtype)


def _gradient(z: Floats, x: Floats) -> Floats:
    small = np.exp(-np.abs(x))
    small = small / (1 + small)  # σ(-|x|), at most 1/2
    # σ(x) is 1 - σ(-|x|) or σ(-|x|). The label is taken from the 1 or 0, which is exact where it is hard, and only then
    # comes the small part. The sign bit, unlike x >= 0, takes -0.0 with the negative logits, as copysign does.
    return (~np.signbit(x) - z) - np.copysign(small, x)


def binary_crossentropy(
    labels: ArrayLike, probabilities: ArrayLike, *, epsilon: float = 1e-7, check_labels: bool = True
) -> Floats:
    """Binary cross-entropy from probabilities by Keras 3's arithmetic, its errors included.

    ``L = -(z log p' + (1 - z) log(1 - p'))`` with ``p' = min(max(p, epsilon), 1 - epsilon)``

    It is computed in the type of its arguments, float16 too. The two bounds are rounded to that type, so the
    loss is not capped at the same value for the two labels: at 16.118095 and 15.942385 in float32. In float16 the upper
    bound rounds to 1, and ``p = 1`` gives inf for the label 0 and NaN for the label 1.

    Parameters
    ----------
    labels : array_like
        The labels ``z``, in [0, 1].
    probabilities : array_like
        The predicted probabilities ``p``, in [0, 1], of the same shape.
    epsilon : float, optional
        How far from 0 and 1 the probabilities are kept, in [0, 0.5).
    check_labels : bool, optional
        False lets labels outside [0, 1] pass, as Keras does.

    Returns
    -------
    ndarray
        The losses in nats, one for each element (Keras's loss is their mean), of the arguments' shape and type.

    Raises
    ------
    ValueError
        If the shapes differ, a label or a probability lies outside [0, 1], or epsilon outside [0, 0.5).
    TypeError
        If labels or probabilities hold anything but booleans, integers, float16, float32 or float64, or epsilon is not one
        number.

    Examples
    --------
    >>> import numpy as np
    >>> print(binary_crossentropy(np.float32([1, 0]), np.float32([0, 1])))
    [16.118095 15.942385]
    >>> print(binary_crossentropy(np.float16([0, 1]), np.float16([1, 1])))
    [inf nan]

    References
    ----------
    ``binary_crossentropy`` in keras/src/backend/tensorflow/nn.py of Keras 3.
    """
    z, p = as_floats(labels=labels, probabilities=probabilities)
    same_shape(labels=z, probabilities=p)
    if check_labels:
        in_unit_interval(labels=z)
    in_unit_interval(probabilities=p)
    epsilon = below_one_half(epsilon=epsilon)
    with np.errstate(all="ignore"):
        p = np.clip(p, epsilon, 1 - epsilon)  # 1 - epsilon first, then both are rounded to the type
        return -(z * np.log(p) + (1 - z) * np.log(1 - p))


def _labels_and_logits(labels: ArrayLike, logits: ArrayLike, check_labels: bool) -> list[Floats]:
    z, x = as_floats(labels=labels, logits=logits)
    same_shape(labels=z, logits=x)
    if check_labels:
        in_unit_interval(labels=z)
    return [z, x]
