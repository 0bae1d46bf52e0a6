"""Entropy, cross-entropy and divergences of discrete distributions, from probabilities and from logits.

Throughout, ``p`` and ``q`` are arrays whose last axis lists the probabilities of all outcomes, and the results are in nats:

    H(p, q) = H(p) + KL(p || q)

An outcome with ``p = 0`` contributes nothing, whatever ``q`` is; one with ``q = 0 < p`` makes the result infinite.
Every function returns the floating-point type it is given: float16, float32 or float64 (integers and booleans count as
float64). float16 and float32 are computed in float64 and rounded once; the error bounds are those of float64. NaN in gives
NaN out, in that row only.

A row of probabilities must sum to 1 as far as rounding lets it. If it was normalized in its own type, the additions and the
division leave it off by at most about n eps / 2, and adding it up again to check costs no more than that: the tolerance is
n eps. In a row of logits -inf stands for a class that cannot occur, and one +inf for a class that is certain. A row of
nothing but -inf, or with several +inf, is no distribution: its result is NaN.
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.polynomial.polynomial import polyval
from numpy.typing import ArrayLike, NDArray

from helpers._checks import as_floats, has_classes, in_unit_interval, same_shape
from helpers._rows import Floats, at, by_rows, elementwise, row_sums

# artanh(s) = s + s^3/3 + s^5/5 + ...: for |s| <= 1/3 the terms after these don't reach float64's last bit
_ARTANH = 1 / np.arange(3, 35, 2)
# (e^d - 1 - d) / d^2 = 1/2! + d/3! + d^2/4! + ...: likewise for |d| <= 1
_K3 = 1 / np.array([math.factorial(k) for k in range(2, 20)], float)
# ((1 + s) log(1 + s) + (1 - s) log(1 - s)) / s^2 = 1 + s^2/6 + s^4/15 + ...: likewise for s^2 <= 1/4
_JENSEN_SHANNON = np.array([1 / (k * (2 * k - 1)) for k in range(1, 25)])


def entropy(p: ArrayLike) -> Floats:
    """Return the entropy of distributions, which is the smallest cross-entropy that a prediction can have.

    ``H(p) = -Σ_j p_j log p_j``

    Parameters
    ----------
    p : array_like
        The distributions, along the last axis. A coin is ``[1 - p, p]``.

    Returns
    -------
    ndarray
        The entropies in nats, of the argument's type and of its shape without the last axis, as accurate as
        :func:`cross_entropy`.

    Raises
    ------
    ValueError
        If the argument is a scalar, a value lies outside [0, 1], or a row doesn't sum to 1.
    TypeError
        If the argument holds anything but booleans, integers, float16, float32 or float64.

    Examples
    --------
    >>> print(entropy([[0.5, 0.5], [0.0, 1.0]]))
    [0.69314718 0.        ]

    References
    ----------
    Thomas M. Cover and Joy A. Thomas, *Elements of Information Theory*, 2nd edition, Wiley, 2006, chapter 2.
    """
    return cross_entropy(p, p)


def cross_entropy(p: ArrayLike, q: ArrayLike) -> Floats:
    """Return the mean loss of the prediction ``q`` when outcomes follow ``p``.

    ``H(p, q) = -Σ_j p_j log q_j``

    Parameters
    ----------
    p : array_like
        The true distributions, or soft labels, along the last axis.
    q : array_like
        The predicted distributions, of the same shape.

    Returns
    -------
    ndarray
        The cross-entropies in nats, of the arguments' type and of their shape without the last axis: inf where an outcome
        that happens was given no chance. They are within ``2.8 + A / 2`` eps of the exact ones where every product is a
        normal number or 0, with ``A`` and the proof as in :mod:`helpers.categorical`: 3.3 eps for two outcomes.

    Raises
    ------
    ValueError
        If the shapes differ, an argument is a scalar, a value lies outside [0, 1], or a row doesn't sum to 1.
    TypeError
        If an argument holds anything but booleans, integers, float16, float32 or float64.

    Examples
    --------
    >>> print(cross_entropy([0.1, 0.2, 0.7], [0.2, 0.3, 0.5]))
    0.886941378500559
    >>> print(cross_entropy([0.5, 0.5], [0.0, 1.0]))
    inf

    References
    ----------
    Thomas M. Cover and Joy A. Thomas, *Elements of Information Theory*, 2nd edition, Wiley, 2006, chapters 2 and 5.
    """

    def formula(p: Floats, q: Floats) -> Floats:
        log_loss = 0 - np.log(q)  # the minus sign would make -0 of 0
        return row_sums(np.where((p == 0) & (q == 0), 0, p * log_loss))  # 0 * inf is NaN, 0 log 0 is 0

    return _of_distributions(formula, p, q)


def kl_divergence(p: ArrayLike, q: ArrayLike) -> Floats:
    """Return the nats that a prediction ``q`` costs beyond the entropy of ``p``, accurately even where ``q`` is near ``p``.

    ``KL(p || q) = Σ_j p_j log(p_j / q_j) = Σ_j (p_j log(p_j / q_j) - p_j + q_j)``

    The second sum is the one computed. Its terms are non-negative, and if rounding leaves the rows at sums ``1 + a`` and
    ``1 + b``, it is off by ``a KL + (a - b)^2 / 2``, where the first sum is off by ``a - b``. If ``q_j`` is within a factor
    of two of ``p_j``, then ``d = q_j - p_j`` is exact, and with ``s = d / (p_j + q_j)`` the term is computed as
    ``d s - 2 p_j (s^3/3 + s^5/5 + ...)``. It cannot undo the rounding of the probabilities themselves: use
    :func:`kl_from_logits` where there are logits.

    Parameters
    ----------
    p : array_like
        The true distributions, or soft labels, along the last axis.
    q : array_like
        The predicted distributions, of the same shape.

    Returns
    -------
    ndarray
        The divergences in nats, of the arguments' type and of their shape without the last axis, never negative: inf where
        an outcome that happens was given no chance. In the tests' samples float64 is within 8 eps of the exact second sum,
        where that is a normal number; the largest errors stand where ``q_j`` is just outside the factor of two.

    Raises
    ------
    ValueError
        If the shapes differ, an argument is a scalar, a value lies outside [0, 1], or a row doesn't sum to 1.
    TypeError
        If an argument holds anything but booleans, integers, float16, float32 or float64.

    Examples
    --------
    >>> print(kl_divergence([0.1, 0.2, 0.7], [0.2, 0.3, 0.5]))
    0.08512282595722162
    >>> # The exact divergence rounds to 2^-59.
    >>> print(kl_divergence([0.5, 0.5], [0.5 - 2**-30, 0.5 + 2**-30]), 2**-59)
    1.734723475976807e-18 1.734723475976807e-18

    References
    ----------
    S. Kullback and R. A. Leibler, "On information and sufficiency", Annals of Mathematical Statistics 22(1), 1951. The
    series: C. Loader, "Fast and accurate computation of binomial probabilities", 2000, who calls the term bd0.
    """

    def formula(p: Floats, q: Floats) -> Floats:
        d = q - p
        s = d / (p + q)
        near = d * s - 2 * p * s**3 * polyval(s * s, _ARTANH)
        ratio = p / q
        log_ratio = np.where(np.isinf(ratio), np.log(p) - np.log(q), np.log(ratio))  # q may be too small to divide by
        far = np.where(p == 0, q, p * log_ratio + d)
        return row_sums(np.where(abs(s) < 1 / 3, near, far))

    return _of_distributions(formula, p, q)


def jensen_shannon(p: ArrayLike, q: ArrayLike) -> Floats:
    """Return the mean divergence of two distributions from their average, which is symmetric and never above log 2.

    ``JS(p, q) = KL(p || m) / 2 + KL(q || m) / 2`` with ``m = (p + q) / 2``

    With ``s = (q_j - p_j) / (p_j + q_j)`` a term is ``m_j ((1 + s) log(1 + s) + (1 - s) log(1 - s)) / 2``, in which the
    first-order parts have canceled on paper: it is ``m_j / 2`` times ``s^2 + s^4/6 + s^6/15 + ...``.

    Parameters
    ----------
    p, q : array_like
        Distributions along the last axis, of the same shape.

    Returns
    -------
    ndarray
        The divergences in nats, of the arguments' type and of their shape without the last axis, never negative; the square
        root is a metric. In the tests' samples float64 is within 8 eps of the exact sum where that is a normal number.

    Raises
    ------
    ValueError
        If the shapes differ, an argument is a scalar, a value lies outside [0, 1], or a row doesn't sum to 1.
    TypeError
        If an argument holds anything but booleans, integers, float16, float32 or float64.

    Examples
    --------
    >>> print(jensen_shannon([[1, 0], [0.5, 0.5]], [[0, 1], [0.5, 0.5]]))
    [0.69314718 0.        ]
    >>> print(jensen_shannon([0.5, 0.5], [0.5 - 2**-30, 0.5 + 2**-30]), 2**-61)
    4.336808689942018e-19 4.336808689942018e-19

    References
    ----------
    J. Lin, "Divergence measures based on the Shannon entropy", IEEE Transactions on Information Theory 37(1), 1991. The
    metric: D. M. Endres and J. E. Schindelin, IEEE Transactions on Information Theory 49(7), 2003.
    """

    def formula(p: Floats, q: Floats) -> Floats:
        total, less, more = p + q, np.minimum(p, q), np.maximum(p, q)
        s = (more - less) / total
        near = total * s * s * polyval(s * s, _JENSEN_SHANNON) / 4
        of_less = np.where(less == 0, 0, less * np.log(2 * less / total))  # 0 log 0 is 0
        far = np.where(total == 0, 0, (more * np.log(2 * more / total) + of_less) / 2)
        return row_sums(np.where(s < 1 / 2, near, far))

    return _of_distributions(formula, p, q)


def k3(log_ratio: ArrayLike) -> Floats:
    """Return the k3 estimate of a divergence from one sample: never negative, and right on average.

    ``k3(d) = e^d - 1 - d``

    If a sample has the probability p under the distribution it was drawn from and q under the other, and
    ``d = log q - log p``, then the mean of ``k3(d)`` over many samples tends to KL(p || q), where p > 0 wherever q > 0. Near
    0 the three terms cancel, and so do ``expm1(d)`` and ``d``; the series ``d^2 (1/2! + d/3! + d^2/4! + ...)`` is taken
    where ``d`` is between -1 and 1.

    Parameters
    ----------
    log_ratio : array_like
        The logarithms ``d`` of ratios of probabilities, of any shape.

    Returns
    -------
    ndarray
        Of the argument's shape and type, within 4 eps wherever the result is a normal number, if ``expm1`` is within an eps
        (the proof is in the appendix *Error bounds*); inf only if ``d`` is infinite or the result is larger than the type's
        largest number.

    Raises
    ------
    TypeError
        If the argument holds anything but booleans, integers, float16, float32 or float64.

    Examples
    --------
    >>> import numpy as np
    >>> print(k3(np.float32([1e-6, -1e-6, 80])))  # e^d - d - 1 gives -6e-8 for the first in float32
    [5.0000016e-13 4.9999984e-13 5.5406225e+34]

    References
    ----------
    John Schulman, "Approximating KL divergence", 2020, http://joschu.net/blog/kl-approx.html.
    """
    [d] = as_floats(log_ratio=log_ratio)
    return elementwise(_k3, d, dtype=d.dtype)


def entropy_from_logits(logits: ArrayLike) -> Floats:
    """Return the entropy of the softmax of logits as a sum of non-negative terms.

    ``H = log1p(Σ_{j≠a} e^(x_j - m)) + Σ_j p_j (m - x_j)``, with the largest logit ``m`` at the class ``a``

    Parameters
    ----------
    logits : array_like
        The logits ``x``, of shape (..., C).

    Returns
    -------
    ndarray
        The entropies in nats, of shape (...) and the logits' type. float64 is within ``6.5 + A`` eps, with the depth ``A``
        of a sum as in :mod:`helpers.categorical`, if ``exp`` and ``log1p`` are within an eps and no term that matters is
        subnormal; the proof is in the appendix *Error bounds*. A class with the logit -inf contributes nothing.

    Raises
    ------
    ValueError
        If there is no class axis, or no class on it.
    TypeError
        If the logits hold anything but booleans, integers, float16, float32 or float64.

    Examples
    --------
    >>> import numpy as np
    >>> print(entropy_from_logits([[0, 0, -np.inf], [1, -np.inf, -np.inf]]))
    [0.69314718 0.        ]

    References
    ----------
    The book derives this form in the chapter *KL divergence with all its digits*.
    """

    def formula(x: Floats) -> Floats:
        _, below, p, rest = _softmax(_certain(x))
        return np.log1p(rest)[:, 0] + row_sums(np.where(p == 0, 0, -p * below))  # 0 * inf is NaN

    [x] = as_floats(logits=logits)
    has_classes(logits=x)
    return by_rows(formula, x, dtype=x.dtype)[()]


def kl_from_logits(logits_p: ArrayLike, logits_q: ArrayLike) -> Floats:
    """Return the divergence of the softmaxes of two rows of logits, in which nothing cancels however close the rows are.

    ``KL(p || q) = Σ_j p_j (e^(δ_j) - 1 - δ_j)`` with ``δ_j = (y_j - x_j) - c`` and ``c = log Σ_j p_j e^(y_j - x_j)``

    ``x`` are the logits of ``p`` and ``y`` those of ``q``, so ``δ_j`` is ``log(q_j / p_j)``. It is the difference of the
    logits and not of log-probabilities, which carry rounding errors of their own. The sum is smallest at the exact ``c``, so
    an error ``ε`` of ``c`` adds no more than about ``ε^2 / 2``. Where q_j is more than e^3 times p_j, the term is computed
    as ``q_j - p_j (1 + δ_j)``, which cannot overflow.

    Parameters
    ----------
    logits_p : array_like
        The logits ``x`` of the true distributions, or of the teacher, of shape (..., C).
    logits_q : array_like
        The logits ``y`` of the predicted distributions, or of the student, of the same shape.

    Returns
    -------
    ndarray
        The divergences in nats, of shape (...) and the arguments' type, never negative. A class that p excludes (-inf) adds
        q_j, which is 0 if q excludes it, too; a class that only q excludes makes the result infinite. In the tests'
        samples float64 is within ``16 + A`` eps, with the depth ``A`` of a sum as in :mod:`helpers.categorical`, where no
        probability that matters is subnormal; the largest error found is 6 eps. An offset ``o`` between the rows enters the
        ``δ_j`` by an error of about ``eps^2 o``, so rows that differ by nothing else give exactly 0. Logits must differ by
        less than the type's largest number, beyond which the result is inf or NaN.

    Raises
    ------
    ValueError
        If the shapes differ, there is no class axis, or no class on it.
    TypeError
        If an argument holds anything but booleans, integers, float16, float32 or float64.

    Examples
    --------
    >>> import numpy as np
    >>> teacher = np.array([3.0, 1.0, 0.0])
    >>> for h in (1e-3, 1e-6, 1e-9, 1e-12):  # the student's first logit is off by h
    ...     print(f"{kl_from_logits(teacher, teacher + [h, 0, 0]) / ((teacher[0] + h) - teacher[0])**2:.10f}")
    0.0658874868
    0.0659025752
    0.0659025903
    0.0659025903
    >>> print(kl_from_logits([[1, 2, -np.inf], [1, 2, 3]], [[1, 2, 3], [1001, 1002, 1003]]))
    [1.09434428 0.        ]

    References
    ----------
    The book derives this form in the chapter *KL divergence with all its digits*.
    """
    x, y = as_floats(logits_p=logits_p, logits_q=logits_q)
    has_classes(logits_p=x)
    same_shape(logits_p=x, logits_q=y)
    return by_rows(_divergence_of_logits, x, y, dtype=x.dtype)[()]


def _divergence_of_logits(x: Floats, y: Floats) -> Floats:
    x, y = _certain(x), _certain(y)
    a, _, p, rest_p = _softmax(x)
    b, _, q, rest_q = _softmax(y)
    never = x == -np.inf
    excluded = ~never & (y == -np.inf)
    d, lost = _difference(np.where(never | excluded, 0, y), np.where(never | excluded, 0, x))
    d, lost = _shifted(d, lost, at(d, a), at(lost, a))  # an offset between the rows is gone

    # c is first taken from the normalizers, which is too coarse for rows that are close, and then from the differences
    rough = at(y, b) - at(y, a) + (np.log1p(rest_q) - np.log1p(rest_p))
    close = abs(rough) < 0.5
    d, lost = _shifted(d, lost, np.where(close, 0, rough))
    q_over_p = np.exp(np.where(close, rough, 0))
    gain = row_sums(np.where(never | (d > 1), q * q_over_p - p, p * np.expm1(d + lost)))
    d, lost = _shifted(d, lost, np.log1p(gain)[:, np.newaxis])
    delta = d + lost

    far = np.maximum(q - p * (1 + delta), 0)  # negative only where q and p are subnormal, and rounded to a few bits
    divergence = row_sums(np.where(never, q, np.where(delta < 3, p * _k3(delta), far)))
    no_rows = np.isnan(rest_p + rest_q)[:, 0]
    return np.where(no_rows, np.nan, np.where(excluded.any(axis=-1), np.inf, divergence))


def _of_distributions(formula: Callable[[Floats, Floats], Floats], p: ArrayLike, q: ArrayLike) -> Floats:
    p, q = _distributions(p, q)
    return by_rows(formula, p, q, dtype=p.dtype)[()]


def _distributions(p: ArrayLike, q: ArrayLike) -> list[Floats]:
    """Check the arguments, and return them as arrays of one type."""
    for name, value in {"p": p, "q": q}.items():
        (rows,) = as_floats(**{name: value})  # each by itself: the tolerance is that of the type it was normalized in
        if not rows.ndim:
            raise ValueError(f"{name} must list the probabilities of all outcomes along its last axis, got a scalar")
        in_unit_interval(**{name: rows})
        total = np.asarray(rows.sum(axis=-1, dtype=np.float64))
        tolerance = rows.shape[-1] * np.finfo(rows.dtype).eps
        wrong = abs(total - 1) > tolerance  # false for NaN
        if wrong.any():
            place = tuple(int(i) for i in np.argwhere(wrong)[0])
            row = f" in row {place}" if place else ""
            raise ValueError(f"{name} must sum to 1 within {tolerance:.1e}, got a sum of {float(total[place])!r}{row}")
    p, q = as_floats(p=p, q=q)
    same_shape(p=p, q=q)
    return [p, q]


def _certain(x: Floats) -> Floats:
    """Return 0 for the only +inf of a row and -inf beside it; NaN if there are several."""
    top = x == np.inf
    if not top.any():
        return x
    count = top.sum(axis=-1, keepdims=True)
    alone = np.where(np.isnan(x), x, np.where(top, 0, -np.inf))
    return np.where(count == 0, x, np.where(count == 1, alone, np.nan))


def _difference(a: Floats, b: Floats) -> tuple[Floats, Floats]:
    """Return ``a - b`` rounded, and its rounding error, so that the two add up to it exactly (Knuth's TwoSum)."""
    d = a - b
    minus_b = d - a
    error = (a - (d - minus_b)) - (b + minus_b)
    return d, np.where(np.isfinite(error), error, 0)


def _shifted(d: Floats, lost: Floats, c: Floats, lost_c: Floats | float = 0) -> tuple[Floats, Floats]:
    """Return ``d + lost - (c + lost_c)`` in the same two parts."""
    d, more = _difference(d, c)
    return d, lost - lost_c + more


def _softmax(x: Floats) -> tuple[NDArray[np.intp], Floats, Floats, Floats]:
    """Return where the largest logit m of each row is, ``x - m``, the softmax, and ``Σ_{j≠a} e^(x_j - m)``."""
    a = np.argmax(x, axis=-1, keepdims=True)
    m = at(x, a)
    below, lost = _difference(x, m)
    terms = np.exp(below) * (1 + lost)  # what x - m lost in rounding: at -100 it is 50 eps of the exponential
    np.put_along_axis(terms, a, 0, axis=-1)
    rest = row_sums(terms)[:, np.newaxis] + 0 * m  # NaN if all logits are -inf, or one is NaN
    np.put_along_axis(terms, a, 1, axis=-1)
    return a, below, terms / (1 + rest), rest


def _k3(d: Floats) -> Floats:
    far = np.where(d == np.inf, d, np.expm1(d) - d)  # inf - inf is NaN
    return np.where(abs(d) <= 1, d * d * polyval(d, _K3), far)
