"""The look of the figures: the naive form is vermilion, the book's form blue, a library gray, and failures are hatched."""

import sys

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

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
