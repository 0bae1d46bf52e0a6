"""Softmax cross-entropy and its gradient from blocks of classes, for vocabularies whose logits are never held whole.

The classes of a row come in blocks, one after the other, in the order of the classes. Each block is reduced to a pair
``(m, r)``, its largest logit and the rest of its sum of exponentials, and the pairs are merged. What holds for the
functions of :mod:`helpers.categorical` holds here as well: nothing overflows or cancels, NaN stays in its row, and infinite
logits give the limit. Blocks may also be bfloat16 (that of ml_dtypes), whose results are float32.

Loss and gradient are computed in float64 whatever the types of the blocks are, and rounded once, to the widest of them: they
are as accurate as those of :mod:`helpers.categorical`, and blocks of several types may be mixed. A pair that
:func:`largest_and_rest` or :func:`merge_largest_and_rest` returns has been rounded to its type, half a unit in the last
place each time; make the pairs of float64 logits where many are to be merged. The bounds below are those of float64.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from helpers._checks import (
    as_array,
    as_classes_to_count,
    as_floats,
    has_classes,
    is_integer,
    non_negative,
    one_label_a_row,
    positive_integer,
    same_shape,
)
from helpers._rows import below_the_largest, blocks_of_rows, by_rows, sum_of_terms, sum_of_the_others

Floats = NDArray[np.floating]
Blocks = Iterable[tuple[int, ArrayLike]]


def largest_and_rest(logits: ArrayLike) -> tuple[Floats, Floats]:
    """Reduce each row to two numbers that pieces of a row can be merged by: its largest logit, and the rest.

    ``m = max_j x_j``, ``r = Σ_{j≠a} e^(x_j - m)``, so that ``log Σ_j e^(x_j) = m + log1p(r)``

    The usual pair has ``s = 1 + r`` in place of ``r``; there the 1 absorbs the digits of a small rest.

    Parameters
    ----------
    logits : array_like
        The logits ``x``, of shape (..., C): all classes of the rows, or some of them.

    Returns
    -------
    m, r : ndarray
        Of shape (...) and the logits' type, float32 for float16 and bfloat16. (-inf, 0) for a row of -inf: classes that
        cannot occur.

    Raises
    ------
    ValueError
        If there is no class axis, or no class on it.
    TypeError
        If the logits hold anything but booleans, integers, float16, bfloat16, float32 or float64.

    Examples
    --------
    >>> import numpy as np
    >>> m, r = largest_and_rest(np.float32([20, 0, 0]))
    >>> print(f"{m:.0f}, {r:.4e}")
    20, 4.1223e-09

    References
    ----------
    The book derives this pair in the chapter *Large vocabularies*.
    """
    x = _logits(logits)
    m, r = (number.astype(_result_type(x), copy=False)[()] for number in _pairs_of(x))
    return m, r


def _largest_and_rest(x: Floats) -> tuple[Floats, Floats]:
    top, m, below = below_the_largest(x)
    rest = sum_of_the_others(np.exp(below), top)
    return m, np.where(m == -np.inf, 0, rest)  # -inf - -inf is NaN, but what cannot occur adds nothing


def merge_largest_and_rest(left: tuple[ArrayLike, ArrayLike], right: tuple[ArrayLike, ArrayLike]) -> tuple[Floats, Floats]:
    """Merge what :func:`largest_and_rest` returned for two sets of classes into what it returns for their union.

    ``(m, r) ⊕ (m', r') = (M, r e^(m - M) + r' e^(m' - M) + e^(-|m - m'|))``, ``M = max(m, m')``

    The block with the smaller maximum contributes one extra term, ``e^(-|m - m'|)``, for its own maximum. The operation is
    associative and commutative, and (-inf, 0), the pair of no class, is its identity: pieces may be merged in any order, one
    after the other or as a tree. Rounded, it remains commutative, and a merge adds at most ``2.51 + |m - m'| / 2`` eps to
    the relative error of the rest, which has no term to cancel, where ``e^(-|m - m'|)`` is a normal number. From the pair of
    a block to that of all classes ``m`` only rises, in a chain as in a tree, so these differences add up to no more than the
    spread of the logits.

    Parameters
    ----------
    left, right : tuple of array_like
        The pairs ``(m, r)`` and ``(m', r')``, four arrays of one shape.

    Returns
    -------
    m, r : ndarray
        The pair of the union, of that shape, in the widest of the types.

    Raises
    ------
    ValueError
        If the shapes differ, or a rest is negative.
    TypeError
        If left or right is no pair, or holds anything but booleans, integers, float16, float32 or float64.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.float32([0, 20, 0, -3])
    >>> m, r = merge_largest_and_rest(largest_and_rest(x[:1]), largest_and_rest(x[1:]))
    >>> whole = largest_and_rest(x)
    >>> print(f"({m:.0f}, {r:.4e}), in one piece ({whole[0]:.0f}, {whole[1]:.4e})")
    (20, 4.2249e-09), in one piece (20, 4.2249e-09)

    References
    ----------
    Milakov and Gimelshein, Online normalizer calculation for softmax, arXiv:1805.02867, 2018, with ``s = 1 + r``.
    """
    m, r = _two_of(left, "left must be a pair (m, r)")
    other_m, other_r = _two_of(right, "right must be a pair (m, r)")
    m, r, other_m, other_r = as_floats(m=m, r=r, other_m=other_m, other_r=other_r)
    for name, array in {"r": r, "other_m": other_m, "other_r": other_r}.items():
        same_shape(**{"m": m, name: array})
    non_negative(r=r, other_r=other_r)
    with np.errstate(all="ignore"):
        merged = _merge(*(number.astype(np.float64, copy=False) for number in (m, r, other_m, other_r)))
        largest, rest = (number.astype(m.dtype, copy=False)[()] for number in merged)
    return largest, rest


def _merge(m: Floats, r: Floats, other_m: Floats, other_r: Floats) -> tuple[Floats, Floats]:
    largest = np.maximum(m, other_m)
    scale = np.exp(-np.abs(m - other_m))  # what the side with the smaller m is multiplied by, its own 1 included
    rest = np.where(m == largest, r, r * scale) + np.where(other_m == largest, other_r, other_r * scale) + scale
    return largest, np.where(largest == -np.inf, 0, rest)  # NaN from two sides without a class, else


def streaming_softmax_cross_entropy(
    labels: ArrayLike, blocks: Blocks, classes: int, *, ignore_label: int | None = None
) -> Floats:
    """Softmax cross-entropy of class indices, from logits that come in blocks of classes and are never held whole.

    ``L = (m - x_y) + log1p(r)``, with ``m`` and ``r`` merged block by block

    Parameters
    ----------
    labels : array_like of int
        The classes ``y``, in [0, classes), of shape (...).
    blocks : iterable of (int, array_like)
        Pairs of a block's first class and its logits, of shape (..., width). The blocks may differ in width; they follow
        one another without a gap. Each is let go before the next is asked for, so a generator can make them as they are
        needed, and the memory taken is that of one block and a few megabytes.
    classes : int
        The number of classes in all blocks together.
    ignore_label : int, optional
        A label that marks places to leave out, as in
        :func:`~helpers.categorical.sparse_softmax_cross_entropy_with_logits`.

    Returns
    -------
    ndarray
        The losses in nats, of the labels' shape and the widest type of the blocks (float32 for bfloat16, whose 8 bits would
        be too few for a loss), within ``2.51 B + (A + M) / 2`` eps of the exact loss, for B blocks, with ``M`` as in
        :mod:`helpers.categorical` and the largest ``A`` of a block.

    Raises
    ------
    ValueError
        If a class is missing or comes twice, the shapes don't match, a label is out of range, or a block has no class.
    TypeError
        If the labels or the one to ignore are not integers, or blocks is no iterable of such pairs.

    Examples
    --------
    >>> import numpy as np
    >>> hidden = np.float32([[1, 2], [3, 0]])
    >>> embedding = np.float32([[4, 8], [-1, 0], [2, 2], [1, 3], [0, 0]])
    >>> blocks = ((k, hidden @ embedding[k : k + 2].T) for k in (0, 2, 4))
    >>> for loss in streaming_softmax_cross_entropy([0, 2], blocks, classes=5):
    ...     print(f"{loss:.4e}")
    3.0947e-06
    6.0026e+00

    References
    ----------
    Wijmans and others, Cut your losses in large-vocabulary language models, ICLR 2025, arXiv:2411.09009, do it inside one
    kernel on a GPU.
    """
    positive_integer(classes=classes)
    y, ignored = as_classes_to_count(labels, classes, ignore_label)
    m, r, x_y, dtype = _reduce(y, blocks, classes)
    with np.errstate(all="ignore"):
        return np.where(ignored, 0, _streamed_loss(m, r, x_y)).astype(dtype, copy=False)[()]


def _streamed_loss(m: Floats, r: Floats, x_y: Floats) -> Floats:
    linear = np.where(x_y == m, 0, x_y - m)  # inf - inf is NaN, but nothing lies below itself
    return sum_of_terms(linear, np.log1p(r))


def streaming_softmax_cross_entropy_gradient(
    labels: ArrayLike, blocks: Callable[[], Blocks], classes: int, *, ignore_label: int | None = None
) -> Iterator[tuple[int, Floats]]:
    """Gradient of :func:`streaming_softmax_cross_entropy` by the logits, block by block, in a second pass over the blocks.

    ``dL/dx_j = p_j = e^(x_j - m) / (1 + r)``, and ``dL/dx_y = -Σ_{j≠y} p_j``

    The others' share of the label's entry is spread over all blocks, but the pair of the first pass knows it: it is
    ``r / (1 + r)`` where the label's logit is the largest. Elsewhere ``p_y`` is at most one half, and ``1 - p_y`` is safe.

    Parameters
    ----------
    labels : array_like of int
        The classes ``y``, in [0, classes), of shape (...).
    blocks : callable
        A function without arguments that returns what :func:`streaming_softmax_cross_entropy` takes as ``blocks``, from the
        start, each time that it is called: once here, and once by the generator.
    classes : int
        The number of classes in all blocks together.
    ignore_label : int, optional
        A label that marks places to leave out; their rows are 0, whatever the logits are.

    Returns
    -------
    generator of (int, ndarray)
        Pairs of a block's first class and the derivatives by its logits, of its shape and of the widest type of the blocks
        (float32 for bfloat16). Each entry is within ``2.51 B + 0.51 + (A + log(C / p_j)) / 2`` eps of the exact one where
        the probability ``p_j`` is a normal number, for B blocks; half an eps more at the label. The memory taken is that of
        two blocks, if the caller deletes a gradient block before it asks for the next; a ``for`` loop keeps it that long,
        and takes three.

    Raises
    ------
    ValueError
        If a class is missing or comes twice, the shapes don't match, a label is out of range, or a block has no class.
    TypeError
        If the labels or the one to ignore are not integers, blocks is no function, or what it returns is no iterable of such
        pairs.

    Examples
    --------
    >>> import numpy as np
    >>> hidden = np.float32([[1, 2], [3, 0]])
    >>> embedding = np.float32([[4, 8], [-1, 0], [2, 2], [1, 3], [0, 0]])
    >>> def blocks():
    ...     return ((k, hidden @ embedding[k : k + 2].T) for k in (0, 2, 4))
    >>> by_hidden, by_embedding = np.zeros_like(hidden), np.zeros_like(embedding)
    >>> for k, gradient in streaming_softmax_cross_entropy_gradient([0, 2], blocks, 5):
    ...     by_hidden += gradient @ embedding[k : k + 2]
    ...     by_embedding[k : k + 2] = gradient.T @ hidden
    >>> for row in by_hidden:
    ...     print(" ".join(f"{slope:11.4e}" for slope in row))
    -8.4561e-06 -1.6313e-05
     1.9947e+00  5.9845e+00

    References
    ----------
    Wijmans and others, as in :func:`streaming_softmax_cross_entropy`.
    """
    if not callable(blocks):
        raise TypeError(f"blocks must be a function that returns a fresh iterator, got {type(blocks).__name__}")
    positive_integer(classes=classes)
    y, ignored = as_classes_to_count(labels, classes, ignore_label)
    m, r, x_y, dtype = _reduce(y, blocks(), classes)
    with np.errstate(all="ignore"):
        slope = np.where(ignored, 0, _slope_at_the_label(m, r, x_y)).astype(dtype)
    return _gradients(y, blocks(), classes, ignored, (m, r), slope)


def _slope_at_the_label(m: Floats, r: Floats, x_y: Floats) -> Floats:
    p_y = np.where(m == np.inf, 0, np.exp(x_y - m) / (1 + r))  # beside a +inf, what is not +inf itself
    return 0 - np.where(x_y == m, r / (1 + r), 1 - p_y)  # a plain minus would make -0 of 0


def _reduce(y: NDArray[np.integer], blocks: Blocks, classes: int) -> tuple[Floats, Floats, Floats, DTypeLike]:
    """Return, in float64, the largest logit, the rest and the label's logit of each row, and the widest type of the blocks.

    Nothing is rounded on the way, so a first block of float32 takes no digit from a second one of float64.
    """
    if not isinstance(blocks, Iterable):
        raise TypeError(f"blocks must be an iterable of pairs, got {type(blocks).__name__}")
    m, r, x_y = (np.full(y.shape, value) for value in (-np.inf, 0.0, -np.inf))
    end, dtype = 0, np.dtype(np.float16)  # no block's type is narrower
    for start, x in map(_first_class_and_logits, blocks):
        end = _next_end(start, x, y, end, classes)
        dtype = np.result_type(dtype, np.float32 if x.dtype.name == "bfloat16" else x)
        with np.errstate(all="ignore"):
            m, r = _merge(m, r, *_pairs_of(x))
        here, place = _label_in_block(y, start, x)
        x_y = np.where(here, np.take_along_axis(x, place, axis=-1)[..., 0].astype(np.float64), x_y)
        del x  # before the next block is made
    _covers_each_class_once(classes, classes, end, classes)
    if classes > 1:  # a single class is certain, even if its logit is -inf
        r = np.where(m == -np.inf, np.nan, r)  # among several, of which none can occur, there is no limit
    return m, r, x_y, dtype


def _pairs_of(x: Floats) -> tuple[Floats, Floats]:
    """Return the largest logit and the rest of each row in float64."""
    m, r = np.empty(x.shape[:-1]), np.empty(x.shape[:-1])
    flat_m, flat_r = m.reshape(-1), r.reshape(-1)
    with np.errstate(all="ignore"):
        for part, [rows] in blocks_of_rows(x):
            flat_m[part], flat_r[part] = _largest_and_rest(rows)
    return m, r


def _gradients(
    y: NDArray[np.integer],
    blocks: Blocks,
    classes: int,
    ignored: NDArray[np.bool_],
    pair: tuple[Floats, Floats],
    slope: Floats,
) -> Iterator[tuple[int, Floats]]:
    """Yield the gradient of each block, from what the first pass knows of all of them."""
    end = 0
    for start, x in map(_first_class_and_logits, blocks):
        end = _next_end(start, x, y, end, classes)
        gradient = by_rows(_probabilities, *pair, x, dtype=slope.dtype, entries=True)
        here, place = _label_in_block(y, start, x)
        picked = np.where(here, slope, np.take_along_axis(gradient, place, axis=-1)[..., 0])
        np.put_along_axis(gradient, place, picked[..., np.newaxis], axis=-1)
        gradient[ignored] = 0
        del x  # before the caller works with the gradient
        yield start, gradient
        del gradient  # before the next block is made
    _covers_each_class_once(classes, classes, end, classes)


def _probabilities(m: Floats, r: Floats, x: Floats) -> Floats:
    """Return the softmax's probabilities of one block's classes, from the pairs of all classes."""
    m, total = m[..., np.newaxis], (1 + r)[..., np.newaxis]
    p = np.exp(x - m) / total
    if (m == np.inf).any():  # beside a +inf the others have nothing; several +inf have a total of NaN
        p = np.where(m == np.inf, np.where(x == np.inf, 1 / total, 0), p)
    return p


def _two_of(pair: Iterable[Any], must: str) -> tuple[Any, Any]:
    try:
        first, second = pair
    except (TypeError, ValueError):
        raise TypeError(f"{must}, got {type(pair).__name__}") from None
    return first, second


def _first_class_and_logits(block: tuple[int, ArrayLike]) -> tuple[int, Floats]:
    start, logits = _two_of(block, "blocks must hold pairs of a first class and logits")
    if not is_integer(start):
        raise TypeError(f"blocks must name their first class by an integer, got {type(start).__name__}")
    return start, _logits(logits)


def _logits(logits: ArrayLike) -> Floats:
    x = as_array("logits", logits)
    if x.dtype.name != "bfloat16":  # it is widened piece by piece, without a copy of the whole block
        [x] = as_floats(logits=x)
    has_classes(logits=x)
    return x


def _result_type(x: Floats) -> DTypeLike:
    """Return the type of a block's pairs: float32 for 16-bit types, in which a rest of 65,536 or more would be infinite."""
    return np.float64 if x.dtype == np.float64 else np.float32


def _next_end(start: int, x: Floats, y: NDArray[np.integer], end: int, classes: int) -> int:
    """Return where a block ends that fits the labels and begins where the last one ended."""
    one_label_a_row(y, logits=x)
    stop = start + x.shape[-1]
    _covers_each_class_once(start, stop, end, classes)
    return stop


def _label_in_block(y: NDArray[np.integer], start: int, x: Floats) -> tuple[NDArray[np.bool_], NDArray[np.integer]]:
    """Return which rows have their label in a block, and at which place; any place of the block for the other rows."""
    here = (y >= start) & (y < start + x.shape[-1])
    return here, np.clip(y - start, 0, x.shape[-1] - 1)[..., np.newaxis]


def _covers_each_class_once(start: int, stop: int, end: int, classes: int) -> None:
    """Raise a ValueError unless the classes from start to stop are the next ones, after those up to end."""
    if start < 0 or stop > classes:
        fault = f"got a block of the classes [{start}, {stop})"
    elif start > end:
        fault = f"the classes [{end}, {start}) are missing"
    elif start < end:
        fault = f"the classes [{start}, {min(stop, end)}) come twice"
    else:
        return
    raise ValueError(f"blocks must hold each class in [0, {classes}) once, in order: {fault}")
