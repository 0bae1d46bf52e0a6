"""One look for the book's figures: naive is vermilion, stable is blue, a library is gray, forbidden regions are hatched."""

import sys
from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from helpers.precision import overflow_threshold

# The Okabe-Ito palette, which readers with any kind of color vision can tell apart.
NAIVE = "#D55E00"
STABLE = "#0072B2"
LIBRARY = "#666666"
ACCENT = "#009E73"
INK = "#333333"
HATCH = "#BBBBBB"

# A region that is forbidden, and the ground under words that would stand on hatching or on a line.
HATCHED = {"facecolor": "none", "edgecolor": HATCH, "hatch": "///", "linewidth": 0}
WHITE = {"facecolor": "white", "edgecolor": "none", "pad": 1}

STYLE = {
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": "medium",
    "figure.constrained_layout.use": True,
    "figure.figsize": (5.8, 3.4),
    "font.size": 11,
    "hatch.color": HATCH,
    "legend.frameon": False,
    "lines.linewidth": 2,
    "savefig.transparent": False,
    "svg.hashsalt": "cross-entropy",  # element ids, and so the files, are the same in every build
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}


def use_style() -> None:
    """Set the book's style for every figure that follows and, in a notebook, SVG as what it shows of them.

    Examples
    --------
    >>> use_style()
    >>> plt.rcParams["axes.spines.top"]
    False
    """
    plt.rcParams.update(STYLE)
    ipython = sys.modules.get("IPython")
    if ipython and ipython.get_ipython():  # set_matplotlib_formats would start a shell where none runs
        from matplotlib_inline.backend_inline import set_matplotlib_formats

        set_matplotlib_formats("svg", metadata={"Date": None})


def forbidden(ax: Axes, left: float, right: float, text: str) -> None:
    """Hatch the part of an axis where a formula fails, and say why.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    left, right : float
        The ends of the region, in the units of the x-axis.
    text : str
        What happens there, written in the middle of the region.

    Examples
    --------
    >>> fig, ax = plt.subplots()
    >>> forbidden(ax, -1000, -709.78, "exp overflows")
    >>> plt.close(fig)
    """
    ax.axvspan(left, right, zorder=0, **HATCHED)
    ax.text(
        (left + right) / 2,
        0.5,
        text,
        transform=ax.get_xaxis_transform(),
        ha="center",
        va="center",
        fontsize="small",
        zorder=0.5,
        bbox=WHITE,
    )


def naive_against_stable(curves: Mapping[str, tuple[NDArray, NDArray, NDArray]]) -> Figure:
    """Draw the naive and the stable loss of one label against the logit, a panel for each floating-point type.

    Parameters
    ----------
    curves : mapping
        From a type's name to three arrays: logits, naive losses, stable losses. Where the naive loss is infinite, it is
        drawn at the top edge.

    Returns
    -------
    Figure
        The panels side by side, or two by two if there are four; the region where ``e^-x`` overflows is hatched.

    Examples
    --------
    >>> x = np.linspace(-15, 5, 5)
    >>> fig = naive_against_stable({"float16": (x, np.array([np.inf, 0, 0, 0, 5]), np.logaddexp(0, x))})
    >>> len(fig.axes)
    1
    >>> plt.close(fig)
    """
    rows = 2 if len(curves) == 4 else 1
    columns = len(curves) // rows
    fig, axes = plt.subplots(rows, columns, figsize=(2.1 * columns + 0.5, 2.8 * rows), squeeze=False)
    for ax, (name, (logits, naive, stable)) in zip(axes.flat, curves.items(), strict=True):
        top = 1.25 * np.max(stable)
        forbidden(ax, logits.min(), -overflow_threshold(name), "$e^{-x}$\noverflows")
        ax.plot(logits, np.minimum(naive, top), color=NAIVE, linewidth=4, clip_on=False)
        ax.plot(logits, stable, color=STABLE, linestyle="--", clip_on=False)
        ax.annotate("naive: inf", (logits.min(), top), (0, 5), textcoords="offset points", color=NAIVE)
        ax.annotate("stable", (logits[-1], stable[-1]), (-6, 0), textcoords="offset points", color=STABLE, ha="right")
        ax.set(xlim=(logits.min(), logits.max()), ylim=(-0.04 * top, top), xlabel=f"logit $x$ ({name})")
    for ax in axes[:, 0]:
        ax.set_ylabel("loss (nats)")
    return fig
