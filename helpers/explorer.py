"""Figures that readers push on, in a notebook and on a built page alike.

Each is an HTML element and ``explorer.js``, the script that draws it and computes its numbers in the page: no library, no
kernel, no network. Where scripts don't run, a sentence stands in its place.
"""

import json
from pathlib import Path

from helpers._checks import one_number

SCRIPT = Path(__file__).with_suffix(".js").read_text(encoding="utf8")
RANGES = {"float16": 20, "float32": 120, "float64": 1000}  # the largest |logit|: past the overflow and underflow of exp


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
    type's eps times the exact loss or, if that is larger, times the smallest normal number. The region where ``e^-x``
    overflows is hatched.

    Parameters
    ----------
    logit : float, optional
        The logit ``x`` to begin with: at most 20 from zero in float16, 120 in float32, 1000 in float64.
    label : float, optional
        The label ``z`` to begin with, in [0, 1].
    dtype : {"float16", "float32", "float64"}, optional
        The type to begin with.

    Returns
    -------
    Explorer
        What a notebook displays as the figure.

    Raises
    ------
    ValueError
        If the logit or the label lies outside its range, or the type is another one.
    TypeError
        If the logit or the label is not a number.

    Examples
    --------
    >>> print(show(logit=-12, label=0.1, dtype="float16").html[:69])
    <loss-explorer data-logit='-12' data-label='0.1' data-dtype='float16'

    References
    ----------
    The formulas' sources stand in :mod:`helpers.binary`. The exact loss is computed with integers, to 40 digits or more.
    """
    if not isinstance(dtype, str) or dtype not in RANGES:
        raise ValueError(f"dtype must be one of {', '.join(RANGES)}, got {dtype!r}")
    _between(-RANGES[dtype], RANGES[dtype], logit=logit)
    _between(0, 1, label=label)
    return _explorer("loss-explorer", logit=logit, label=label, dtype=dtype, ranges=json.dumps(RANGES))


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
    return _explorer("divergence-explorer", p=p, q=q)


def _between(least: float, most: float, **numbers: float) -> None:
    one_number(**numbers)
    for name, number in numbers.items():
        if not least <= number <= most:
            raise ValueError(f"{name} must lie in [{least}, {most}], got {number!r}")


def _explorer(element: str, **data: float | str) -> Explorer:
    attributes = " ".join(f"data-{name}='{value}'" for name, value in data.items())
    no_script = "This figure is drawn by a script, and scripts don't run here."
    return Explorer(f"<{element} {attributes}>{no_script}</{element}>\n<script>\n{SCRIPT}</script>")
