"""The look of the figures: the naive form is vermilion, the book's form blue, a library gray, and failures are hatched."""

import sys
from collections.abc import Callable

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

# The Okabe-Ito palette, which readers with any kind of color vision can tell apart.
NAIVE = "#D55E00"
STABLE = "#0072B2"
LIBRARY = "#666666"
ACCENT = "#009E73"
INK = "#333333"
HATCH = "#BBBBBB"

# The dash that goes with a color in every figure, as chapters/notation.md says. Where two curves meet, the dashed one lies
# on the other. Ink has no role, and may have any dash.
DASHES = {NAIVE: "-", STABLE: "--", LIBRARY: "-", ACCENT: "-."}

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
    "figure.figsize": (4.8, 3.4),  # no wider, and no text smaller than "small": a phone shows it at three quarters
    "font.size": 12,
    "hatch.color": HATCH,
    "legend.frameon": False,
    "lines.linewidth": 2,
    "savefig.pad_inches": 0.02,
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


def strips(ax: Axes, low: float, high: float, step: int) -> Callable[[np.ndarray], np.ndarray]:
    """Give a logarithmic axis of losses a strip for 0 and one for inf, which have no place on its scale.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    low, high : float
        The ends of the scale, powers of ten.
    step : int
        Every power of ten between the ends whose exponent this divides has a tick.

    Returns
    -------
    callable
        A function that returns the heights at which to draw losses: in the strips those that are 0 or infinite.

    Examples
    --------
    >>> fig, ax = plt.subplots()
    >>> place = strips(ax, 1e-8, 1e4, step=4)
    >>> [tick.get_text() for tick in ax.get_yticklabels()]
    ['0', '$10^{-4}$', '$10^{0}$', 'inf']
    >>> place(np.array([0.5]))
    array([0.5])
    >>> plt.close(fig)
    """
    half = (high / low) ** 0.05  # of a strip's height
    powers = [k for k in range(round(np.log10(low)) + 1, round(np.log10(high))) if k % step == 0]
    zero, infinite = low / half, high * half
    ax.set(yscale="log", ylim=(zero / half, infinite * half))
    ax.set_yticks([zero, *(10.0**k for k in powers), infinite], ["0", *(f"$10^{{{k}}}$" for k in powers), "inf"])
    ax.minorticks_off()
    for middle in (zero, infinite):
        ax.axhspan(middle / half, middle * half, color="#EEEEEE", zorder=0)
    # in float64, because the strip of 0 lies where a narrower type would underflow
    return lambda losses: np.select([losses == 0, losses == np.inf], [zero, infinite], np.float64(losses))
