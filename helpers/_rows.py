"""The blocks in which the helpers work through their arguments, and what the losses of rows of logits share.

A formula of the helpers is a small function that computes in the type of the arrays that it is given. The helpers never call
one on a whole array: :func:`elementwise` and :func:`by_rows` cut the arguments into blocks that fit the cache, widen float16
and float32 to float64, and round each result once, as it is stored. So the temporary arrays are as small as a block, and a
float32 result is the exact one rounded once, whatever the errors of the processor's ``exp`` are.

A block of rows is cut between rows, never inside one, so that no sum depends on the size of the blocks.
"""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import DTypeLike, NDArray

Floats = NDArray[np.floating]

BLOCK = 16_384  # elements: a few float64 arrays of this size stay in the second-level cache
SHORT = 64  # classes: NumPy's loops over a row take longer to start than to run through fewer


def elementwise(formula: Callable[..., Floats], *arguments: Floats, dtype: DTypeLike) -> Floats:
    """Return ``formula(*arguments)``, element by element, computed in float64 and rounded once to the type.

    The first argument has the shape of the result; each of the others has it too, or is a single number.
    """
    result = np.empty_like(arguments[0], dtype)  # in the memory order of the argument, as NumPy's own functions do
    access = [["readonly"]] * len(arguments) + [["writeonly"]]
    blocks = np.nditer(
        [*arguments, result],
        ["external_loop", "buffered", "zerosize_ok"],
        access,
        op_dtypes=[np.float64] * len(access),
        casting="same_kind",
        buffersize=BLOCK,
    )
    with np.errstate(all="ignore"), blocks:
        for *block, rounded in blocks:
            rounded[...] = formula(*block)
    return result[()]


def by_rows(formula: Callable[..., Floats], *arguments: NDArray, dtype: DTypeLike, entries: bool = False) -> Floats:
    """Return ``formula(*arguments)`` for rows of logits, computed in float64 and rounded once to the type.

    The last argument holds the rows, the others have its shape, with or without the last axis. The formula gives a number
    for each row, or for each entry of it.
    """
    rows = arguments[-1]
    result = np.empty(rows.shape if entries else rows.shape[:-1], dtype)
    flat = result.reshape(-1, rows.shape[-1]) if entries else result.reshape(-1)
    with np.errstate(all="ignore"):
        for part, block in blocks_of_rows(*arguments):
            flat[part] = formula(*block)
    return result


def blocks_of_rows(*arguments: NDArray) -> Iterator[tuple[slice, list[NDArray]]]:
    """Yield the place of some rows among all, and these rows of each argument, floating-point numbers as float64.

    Long rows lie in one piece each, because NumPy adds such rows in pairs, but others term after term. Short rows come with
    their columns in one piece, so that NumPy's loops run over the rows.
    """
    *axes, width = arguments[-1].shape
    count = int(np.prod(axes))
    flat = [a.reshape(count, *a.shape[len(axes) :]) for a in arguments]
    step, order = max(1, BLOCK // width), "F" if width < SHORT else "C"
    for start in range(0, count, step):
        part = slice(start, start + step)
        yield part, [a[part] if a.dtype.kind in "biu" else np.asarray(a[part], np.float64, order=order) for a in flat]


def at(x: Floats, columns: NDArray[np.integer]) -> Floats:
    """Return the entry of each row in its column."""
    return x.reshape(-1, x.shape[-1])[np.arange(columns.size), columns.reshape(-1)].reshape(columns.shape)


def largest(x: Floats) -> tuple[NDArray[np.bool_], Floats]:
    """Return a mask of the largest number of each row, one place even in a tie, and the number; NaN has no place."""
    m = x.max(axis=-1, keepdims=True)
    top = x == m
    if np.count_nonzero(top) != m.size or np.isnan(m).any():  # a tie, or a NaN that hides one from the count
        top &= np.cumsum(top, axis=-1) == 1
    return top, m


def below_the_largest(x: Floats) -> tuple[NDArray[np.bool_], Floats, Floats]:
    """Return a mask of the largest logit of each row, what it is, and ``x - m``."""
    m = x.max(axis=-1, keepdims=True)
    below = x - m
    top = below == 0  # takes half the time of x == m
    if np.count_nonzero(top) != m.size or not np.isfinite(m).all():  # a tie, a NaN, or an infinite logit
        top, _ = largest(x)
        below[top] = 0  # inf - inf is NaN, but nothing lies below itself
    return top, m[..., 0], below


def sum_of_the_others(terms: Floats, top: NDArray[np.bool_]) -> Floats:
    """Return ``Σ_{j≠a} e^(x_j - m)``: the largest logit's own 1, which log1p adds, would absorb digits of the others.

    In long rows the 1 is taken out of the terms and put back, which takes less time than a difference of two arrays.
    """
    if terms.shape[-1] < SHORT:
        return row_sums(terms - top)
    np.copyto(terms, 0, where=top)
    total = row_sums(terms)
    np.copyto(terms, 1, where=top)
    return total


def row_sums(terms: Floats) -> Floats:
    """Return the sum of each row. NumPy adds long rows in pairs; short ones are added by halves, for all rows at once.

    No term of a short row passes through more additions than in NumPy's order.
    """
    if terms.shape[-1] >= SHORT:
        return terms.sum(axis=-1)
    while (count := terms.shape[-1]) > 1:
        half = count // 2
        last = terms[..., -1]
        terms = terms[..., :half] + terms[..., half : 2 * half]
        if count % 2:
            terms[..., -1] += last
    return terms[..., 0]


def sum_of_terms(linear: Floats, rest: Floats) -> Floats:
    """Return ``rest - linear``, two non-negative terms; an infinite one decides even if several +inf left no rest."""
    return np.where(linear == -np.inf, np.inf, rest - linear)
