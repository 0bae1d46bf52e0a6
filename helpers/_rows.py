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

    They lie in one piece, since NumPy sums such rows in pairs, but others term after term.
    """
    *axes, width = arguments[-1].shape
    count = int(np.prod(axes))
    flat = [a.reshape(count, *a.shape[len(axes) :]) for a in arguments]
    step = max(1, BLOCK // width)
    for start in range(0, count, step):
        part = slice(start, start + step)
        yield part, [a[part] if a.dtype.kind in "biu" else np.ascontiguousarray(a[part], np.float64) for a in flat]


def below_the_largest(x: Floats) -> tuple[NDArray[np.intp], Floats, Floats]:
    """Return where the largest logit of each row is, what it is, and ``x - m``."""
    a = np.argmax(x, axis=-1, keepdims=True)  # one place even in a tie; that of a NaN if there is one
    m = np.take_along_axis(x, a, axis=-1)
    below = x - m
    np.put_along_axis(below, a, np.where(np.isnan(m), m, 0), axis=-1)  # inf - inf is NaN, but nothing lies below itself
    return a, m[..., 0], below


def sum_of_the_others(terms: Floats, a: NDArray[np.intp]) -> Floats:
    """Return ``Σ_{j≠a} e^(x_j - m)`` from the terms of all, which are overwritten."""
    largest = np.take_along_axis(terms, a, axis=-1)  # 1, or NaN
    np.put_along_axis(terms, a, largest - 1, axis=-1)  # that 1 would absorb the others' digits: log1p adds it
    return terms.sum(axis=-1)


def sum_of_terms(linear: Floats, rest: Floats) -> Floats:
    """Return ``rest - linear``, two non-negative terms; an infinite one decides even if several +inf left no rest."""
    return np.where(linear == -np.inf, np.inf, rest - linear)
