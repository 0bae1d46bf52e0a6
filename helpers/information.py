"""Entropy, cross-entropy and Kullback-Leibler divergence of discrete distributions.

Throughout, ``p`` and ``q`` are arrays whose last axis lists the probabilities of all outcomes, and the results are in nats:

    H(p, q) = H(p) + KL(p || q)

An outcome with ``p = 0`` contributes nothing, whatever ``q`` is; one with ``q = 0 < p`` makes the result infinite.
Every function returns the floating-point type it is given: float16, float32 or float64 (integers and booleans count as
float64). NaN in gives NaN out, in that row only.

A row must sum to 1 as far as rounding lets it. If it was normalized in its own type, the additions and the division leave
it off by at most about n eps / 2, and adding it up again to check costs no more than that: the tolerance is n eps.
"""

import numpy as np
from numpy.polynomial.polynomial import polyval
from numpy.typing import ArrayLike, NDArray

from helpers._checks import as_floats, in_unit_interval, same_shape

Floats = NDArray[np.floating]

# artanh(s) = s + s^3/3 + s^5/5 + ...: for |s| <= 1/3 the terms after these don't reach float64's last bit
_ARTANH = 1 / np.arange(3, 35, 2)


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
    dtype, p, q = _distributions(p, q)
    with np.errstate(all="ignore"):
        log_loss = -np.log(q)
        terms = np.where((p == 0) & (q == 0), 0, p * log_loss)  # 0 * inf is NaN, 0 log 0 is 0
        return terms.sum(axis=-1).astype(dtype)[()]


def kl_divergence(p: ArrayLike, q: ArrayLike) -> Floats:
    """Return the nats that a prediction ``q`` costs beyond the entropy of ``p``, accurately even where ``q`` is near ``p``.

    ``KL(p || q) = Σ_j p_j log(p_j / q_j) = Σ_j (p_j log(p_j / q_j) - p_j + q_j)``

    The second sum is the one computed. Its terms are non-negative, and if rounding leaves the rows at sums ``1 + a`` and
    ``1 + b``, it is off by ``a KL + (a - b)^2 / 2``, where the first sum is off by ``a - b``. If ``q_j`` is within a factor
    of two of ``p_j``, then ``d = q_j - p_j`` is exact, and with ``s = d / (p_j + q_j)`` the term is computed as
    ``d s - 2 p_j (s^3/3 + s^5/5 + ...)``.

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
        an outcome that happens was given no chance. In the tests' samples they are within 4 eps of the exact second sum
        where that is a normal number.

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
    dtype, p, q = _distributions(p, q)
    with np.errstate(all="ignore"):
        d = q - p
        s = d / (p + q)
        near = d * s - 2 * p * s**3 * polyval(s * s, _ARTANH.astype(p.dtype))
        ratio = p / q
        log_ratio = np.where(np.isinf(ratio), np.log(p) - np.log(q), np.log(ratio))  # q may be too small to divide by
        far = np.where(p == 0, q, p * log_ratio + d)
        return np.where(abs(s) < 1 / 3, near, far).sum(axis=-1).astype(dtype)[()]


def _distributions(p: ArrayLike, q: ArrayLike) -> tuple[np.dtype, Floats, Floats]:
    """Check the arguments; return their common type, and both as arrays of the type to compute in."""
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
            at = f" in row {place}" if place else ""
            raise ValueError(f"{name} must sum to 1 within {tolerance:.1e}, got a sum of {float(total[place])!r}{at}")
    p, q = as_floats(p=p, q=q)
    same_shape(p=p, q=q)
    wide = np.result_type(p, np.float32)  # float16 is computed in float32
    # in C order NumPy adds up each row pairwise, whatever order the rows came in
    return p.dtype, p.astype(wide, order="C", copy=False), q.astype(wide, order="C", copy=False)
