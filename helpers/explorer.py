"""Figures that readers push on, in a notebook and on a built page alike.

Each is an HTML element, the script that draws it, and what all of them share, ``explorers/core.js``. The scripts compute
every number in the page: no library, no kernel, no network. Where scripts don't run, a sentence stands in the figure's
place.
"""

from html import escape
from math import inf
from pathlib import Path

from helpers._checks import is_integer, one_number

SCRIPTS = {path.stem: path.read_text(encoding="utf8") for path in Path(__file__).parent.glob("explorers/*.js")}
DTYPES = ("float16", "bfloat16", "float32", "float64")


class Explorer:
    """A piece of HTML that notebooks display."""

    def __init__(self, html: str) -> None:
        self.html = html

    def _repr_html_(self) -> str:
        return self.html


def show(logit: float = -810.0, label: float = 0.0, dtype: str = "float64") -> Explorer:
    """Show the sigmoid cross-entropy of one logit and one label in three forms, and let the reader change all of it.

    The forms are those of :mod:`helpers.binary`, here with every operation rounded to the type, float16 too:

    | naive: ``x - x z + log(1 + e^-x)``
    | max/abs: ``max(x, 0) - x z + log1p(e^-|x|)``
    | book's: ``relu(x) (1 - z) + relu(-x) z + log1p(e^-|x|)``

    Beside them stand the exact loss, to 17 digits, and the slope ``σ(x) - z``, in the type. Errors are in units of the
    type's eps times the exact loss or, if that is larger, times the smallest normal number; where the loss and the computed
    one are both below it, the figure says "underflow". The region where ``e^-x`` overflows is hatched.

    Parameters
    ----------
    logit : float, optional
        The logit ``x`` to begin with. It is rounded to the type.
    label : float, optional
        The label ``z`` to begin with, in [0, 1]. It is rounded to the type.
    dtype : {"float16", "bfloat16", "float32", "float64"}, optional
        The type to begin with.

    Returns
    -------
    Explorer
        What a notebook displays as the figure.

    Raises
    ------
    ValueError
        If the logit is NaN, the label lies outside its range, or the type is another one.
    TypeError
        If the logit or the label is not a number.

    Examples
    --------
    >>> print(show(logit=-12, label=0.1, dtype="float16").html[:69])
    <loss-explorer data-logit='-12' data-label='0.1' data-dtype='float16'

    References
    ----------
    The formulas' sources stand in :mod:`helpers.binary`. The exact loss is computed with integers, to 50 digits or more.
    """
    _between(-inf, inf, logit=logit)
    _between(0, 1, label=label)
    return _explorer("loss", logit=logit, label=label, dtype=_dtype(dtype))


def show_divergence(p: float = 0.3, q: float = 0.5) -> Explorer:
    """Show a cross-entropy as an entropy plus a divergence, and let the reader change both probabilities.

    ``H(p, q) = H(p) + KL(p || q)``, with ``H(p) = -p log p - (1 - p) log(1 - p)`` and
    ``KL(p || q) = p log(p / q) + (1 - p) log((1 - p) / (1 - q))``, in nats; ``0 log 0 = 0``.

    Parameters
    ----------
    p : float, optional
        The true probability to begin with, in [0, 1].
    q : float, optional
        The predicted probability to begin with, in [0, 1].

    Returns
    -------
    Explorer
        What a notebook displays as the figure.

    Raises
    ------
    ValueError
        If a probability lies outside [0, 1].
    TypeError
        If a probability is not a number.

    Examples
    --------
    >>> print(show_divergence(p=0.1).html[:47])
    <divergence-explorer data-p='0.1' data-q='0.5'>

    References
    ----------
    Both quantities, for any number of outcomes, are in :mod:`helpers.information`.
    """
    _between(0, 1, p=p, q=q)
    return _explorer("divergence", p=p, q=q)


def show_sums(lead: float = 17.0, lanes: int = 16, place: int = 0, classes: int = 50_257) -> Explorer:
    """Show how much of a softmax loss running sums absorb, for one logit ahead of equal ones, in float32.

    The terms of the sum are a 1 and ``classes - 1`` times ``e^-lead``. Running sum ``l`` of ``n`` adds the terms ``l``,
    ``l + n``, ``l + 2 n``, and so on; the ``n`` sums are then added as NumPy adds an array, in pairs.

    Parameters
    ----------
    lead : float, optional
        How far the label's logit lies above the others, in [0, 80].
    lanes : int, optional
        The number of running sums, from 1 to 4096.
    place : int, optional
        The label's class, in [0, classes).
    classes : int, optional
        The length of the row, at most 300,000. Readers cannot change it.

    Returns
    -------
    Explorer
        What a notebook displays as the figure.

    Raises
    ------
    ValueError
        If an argument lies outside its range.
    TypeError
        If the lead is not a number, or another argument not an integer.

    Examples
    --------
    >>> print(show_sums(lanes=8).html[:49])
    <sums-explorer data-lead='17.0' data-lanes='8' da

    References
    ----------
    The chapter on softmax and log-sum-exp runs the same sums in NumPy.
    """
    _between(0, 80, lead=lead)
    _whole(1, 300_000, classes=classes)
    _whole(1, 4096, lanes=lanes)
    _whole(0, classes - 1, place=place)
    return _explorer("sums", lead=lead, lanes=lanes, place=place, classes=classes)


def show_bits(x: float = 30.0, dtype: str = "float64") -> Explorer:
    """Show the bits of ``e^-x``, ``1 + e^-x``, ``log(1 + e^-x)`` and ``log1p(e^-x)``, and let the reader change ``x``.

    Parameters
    ----------
    x : float, optional
        The number to begin with, in [0, 700].
    dtype : {"float16", "bfloat16", "float32", "float64"}, optional
        The type to begin with.

    Returns
    -------
    Explorer
        What a notebook displays as the figure.

    Raises
    ------
    ValueError
        If ``x`` lies outside its range, or the type is another one.
    TypeError
        If ``x`` is not a number.

    Examples
    --------
    >>> print(show_bits(x=14, dtype="float32").html[:48])
    <bits-explorer data-x='14' data-dtype='float32'>

    References
    ----------
    The exact loss is that of :func:`helpers.precision.exact_sigmoid_cross_entropy`, for the label 1.
    """
    _between(0, 700, x=x)
    return _explorer("bits", x=x, dtype=_dtype(dtype))


def show_clip(epsilon: float = 1e-7, dtype: str = "float32") -> Explorer:
    """Show the numbers just below 1, the one that ``1 - epsilon`` is rounded to, and the losses at both bounds of the clip.

    Parameters
    ----------
    epsilon : float, optional
        The lower bound of the clip, in [0, 0.5].
    dtype : {"float16", "bfloat16", "float32", "float64"}, optional
        The type to begin with.

    Returns
    -------
    Explorer
        What a notebook displays as the figure.

    Raises
    ------
    ValueError
        If epsilon lies outside its range, or the type is another one.
    TypeError
        If epsilon is not a number.

    Examples
    --------
    >>> print(show_clip().html[:56])
    <clip-explorer data-epsilon='1e-07' data-dtype='float32'

    References
    ----------
    The losses are those of :func:`helpers.binary.binary_crossentropy`.
    """
    _between(0, 0.5, epsilon=epsilon)
    return _explorer("clip", epsilon=epsilon, dtype=_dtype(dtype))


def show_kink(smax: float = 1.0, sabs: float = 0.0, label: float = 0.3) -> Explorer:
    """Show the slope of the max/abs form at the logit 0, for given slopes of ``max(x, 0)`` and ``|x|`` there.

    The slope is ``smax - z - sabs / 2``; the right one is ``1/2 - z``.

    Parameters
    ----------
    smax : float, optional
        The slope of ``max(x, 0)`` at 0, in [0, 1].
    sabs : float, optional
        The slope of ``|x|`` at 0, in [-1, 1].
    label : float, optional
        The label ``z``, in [0, 1].

    Returns
    -------
    Explorer
        What a notebook displays as the figure.

    Raises
    ------
    ValueError
        If an argument lies outside its range.
    TypeError
        If an argument is not a number.

    Examples
    --------
    >>> print(show_kink().html[:44])
    <kink-explorer data-smax='1.0' data-sabs='0.

    References
    ----------
    The chapter on gradients derives the slope and names the slopes of the libraries.
    """
    _between(0, 1, smax=smax)
    _between(-1, 1, sabs=sabs)
    _between(0, 1, label=label)
    return _explorer("kink", smax=smax, sabs=sabs, label=label)


def show_merge(row: str = "20, 0, 0", cut: int = 1, dtype: str = "float32") -> Explorer:
    """Show two blocks of a row merge as pairs (m, s) and as pairs (m, r), where ``s = 1 + r`` contains the largest term.

    Parameters
    ----------
    row : str, optional
        The logits to begin with, 2 to 64 of them, separated by commas.
    cut : int, optional
        The number of logits in the first block.
    dtype : {"float16", "bfloat16", "float32", "float64"}, optional
        The type to begin with.

    Returns
    -------
    Explorer
        What a notebook displays as the figure.

    Raises
    ------
    ValueError
        If the type is another one, or the first block has no logit or all of them.
    TypeError
        If the row is not a string, or the cut not an integer.

    Examples
    --------
    >>> print(show_merge().html[:39])
    <merge-explorer data-row='20, 0, 0' dat

    References
    ----------
    The merge of pairs (m, r) is :func:`helpers.streaming.merge_largest_and_rest`.
    """
    _text(row=row)
    _whole(1, row.count(","), cut=cut)
    return _explorer("merge", row=row, cut=cut, dtype=_dtype(dtype))


def show_row(row: str = "17, 50256 × 0", label: int = 0, dtype: str = "float32") -> Explorer:
    """Show the exact loss and slope of a row of logits that the reader pastes, what each form gives, and what to look at.

    Parameters
    ----------
    row : str, optional
        The logits to begin with, as NumPy, TensorFlow or PyTorch print them; ``50256 × 0`` stands for equal ones.
    label : int, optional
        The right class, counted from 0.
    dtype : {"float16", "bfloat16", "float32", "float64"}, optional
        The type to begin with.

    Returns
    -------
    Explorer
        What a notebook displays as the figure.

    Raises
    ------
    ValueError
        If the label is negative, or the type is another one.
    TypeError
        If the row is not a string, or the label not an integer.

    Examples
    --------
    >>> print(show_row(row="20, 0, 0").html[:49])
    <row-explorer data-row='20, 0, 0' data-label='0'

    References
    ----------
    The exact loss is that of :func:`helpers.precision.exact_softmax_cross_entropy`.
    """
    _text(row=row)
    _whole(0, inf, label=label)
    return _explorer("row", row=row, label=label, dtype=_dtype(dtype))


def _between(least: float, most: float, **numbers: float) -> None:
    one_number(**numbers)
    for name, number in numbers.items():
        if not least <= number <= most:
            raise ValueError(f"{name} must lie in [{least}, {most}], got {number!r}")


def _whole(least: float, most: float, **numbers: int) -> None:
    for name, number in numbers.items():
        if not is_integer(number):
            raise TypeError(f"{name} must be an integer, got {number!r}")
    _between(least, most, **numbers)


def _text(**texts: str) -> None:
    for name, text in texts.items():
        if not isinstance(text, str):
            raise TypeError(f"{name} must be a string, got {text!r}")


def _dtype(dtype: str) -> str:
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise ValueError(f"dtype must be one of {', '.join(DTYPES)}, got {dtype!r}")
    return dtype


def _explorer(name: str, **data: float | str) -> Explorer:
    attributes = " ".join(f"data-{key}='{escape(str(value))}'" for key, value in data.items())
    element, no_script = f"{name}-explorer", "This figure is drawn by a script, and scripts don't run here."
    return Explorer(
        f"<{element} {attributes}>{no_script}</{element}>\n<script>\n{SCRIPTS['core']}\n{SCRIPTS[name]}</script>"
    )
