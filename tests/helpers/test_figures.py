"""Figures: the same file from the same data, and the hatch where the naive formula fails."""

import io

import matplotlib.pyplot as plt
import numpy as np
import pytest
from IPython.core.interactiveshell import InteractiveShell
from matplotlib.patches import Rectangle
from traitlets.config import Config

from helpers.figures import STYLE, forbidden, strips, use_style


@pytest.fixture(autouse=True)
def clean_matplotlib():
    with plt.rc_context():
        yield
        plt.close("all")


@pytest.fixture
def notebook(tmp_path):
    """Start an IPython that keeps its files to itself, in the place of a notebook's kernel."""
    shell = InteractiveShell.instance(config=Config({"HistoryManager": {"enabled": False}}), ipython_dir=str(tmp_path))
    yield shell
    InteractiveShell.clear_instance()


def drawing():
    fig, ax = plt.subplots()
    ax.plot([-5, 0], [0, 1])
    forbidden(ax, -4, -1, "exp overflows")
    return fig


def hatched(ax):
    return [patch for patch in ax.patches if isinstance(patch, Rectangle) and patch.get_hatch()]


def test_use_style_sets_the_books_settings():
    use_style()
    assert {name: plt.rcParams[name] for name in STYLE} == {**STYLE, "figure.figsize": list(STYLE["figure.figsize"])}


def test_the_same_drawing_is_the_same_svg_file():
    use_style()
    files = [io.BytesIO(), io.BytesIO()]
    for file in files:
        drawing().savefig(file, format="svg", metadata={"Date": None})
    assert files[0].getvalue() == files[1].getvalue()


def test_a_notebook_shows_a_figure_as_svg_without_its_date(notebook):
    use_style()
    shown, _ = notebook.display_formatter.format(drawing())
    assert "image/png" not in shown
    assert "<svg" in shown["image/svg+xml"]
    assert "<dc:date>" not in shown["image/svg+xml"]


def test_outside_a_notebook_use_style_starts_no_notebook():
    use_style()
    assert not InteractiveShell.initialized()


def test_forbidden_hatches_its_region_behind_the_curves_and_says_why():
    [ax] = drawing().axes
    [region], [text] = hatched(ax), ax.texts
    assert (region.get_x(), region.get_x() + region.get_width()) == (-4, -1)
    assert (text.get_text(), text.get_position()[0]) == ("exp overflows", -2.5)
    assert max(region.get_zorder(), text.get_zorder()) < ax.lines[0].get_zorder()


def test_strips_hold_0_and_inf_and_leave_other_losses_where_they_are():
    _, ax = plt.subplots()
    place = strips(ax, 1e-46, 1e4, step=10)
    losses = np.array([0, np.inf, np.nan, 1e-45, 100], np.float32)
    zero, infinite, *others = place(losses)
    bottom, top = ax.get_ylim()
    assert bottom < zero < 1e-46 < 1e4 < infinite < top
    np.testing.assert_array_equal(others, losses[2:])
    assert dict(zip(ax.get_yticks(), (tick.get_text() for tick in ax.get_yticklabels()), strict=True))[zero] == "0"
    assert [tick.get_text() for tick in ax.get_yticklabels()][-1] == "inf"
