"""Figures: the same file from the same data, and the hatch where the naive formula gives out."""

import io

import matplotlib.pyplot as plt
import numpy as np
import pytest
from IPython.core.interactiveshell import InteractiveShell
from matplotlib.patches import Rectangle
from traitlets.config import Config

from helpers.binary import naive_cross_entropy, sigmoid_cross_entropy_with_logits
from helpers.figures import NAIVE, STABLE, STYLE, forbidden, naive_against_stable, use_style
from helpers.precision import overflow_threshold


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


@pytest.fixture
def curves():
    def curve(dtype):
        x = np.linspace(-1.2 * overflow_threshold(dtype), 10, 50, dtype=dtype)
        with np.errstate(over="ignore"):
            return x, naive_cross_entropy(np.zeros_like(x), x), sigmoid_cross_entropy_with_logits(np.zeros_like(x), x)

    return {dtype: curve(dtype) for dtype in ("float16", "float32", "float64")}


def hatched(ax):
    return [patch for patch in ax.patches if isinstance(patch, Rectangle) and patch.get_hatch()]


def test_use_style_sets_the_books_settings():
    use_style()
    assert {name: plt.rcParams[name] for name in STYLE} == {**STYLE, "figure.figsize": list(STYLE["figure.figsize"])}


def test_the_same_drawing_is_the_same_svg_file(curves):
    use_style()
    files = [io.BytesIO(), io.BytesIO()]
    for file in files:
        naive_against_stable(curves).savefig(file, format="svg", metadata={"Date": None})
    assert files[0].getvalue() == files[1].getvalue()


def test_a_notebook_shows_a_figure_as_svg_without_its_date(notebook, curves):
    use_style()
    shown, _ = notebook.display_formatter.format(naive_against_stable(curves))
    assert "image/png" not in shown
    assert "<svg" in shown["image/svg+xml"]
    assert "<dc:date>" not in shown["image/svg+xml"]


def test_outside_a_notebook_use_style_starts_no_notebook():
    use_style()
    assert not InteractiveShell.initialized()


def test_forbidden_hatches_its_region_behind_the_curves_and_says_why():
    _, ax = plt.subplots()
    ax.plot([-5, 0], [0, 1])
    forbidden(ax, -4, -1, "here be dragons")
    [region], [text] = hatched(ax), ax.texts
    assert (region.get_x(), region.get_x() + region.get_width()) == (-4, -1)
    assert (text.get_text(), text.get_position()[0]) == ("here be dragons", -2.5)
    assert max(region.get_zorder(), text.get_zorder()) < ax.lines[0].get_zorder()


def test_naive_against_stable_hatches_a_panel_for_each_type(curves):
    fig = naive_against_stable(curves)
    assert len(fig.axes) == len(curves)
    for ax, (name, (x, naive, stable)) in zip(fig.axes, curves.items(), strict=True):
        [region] = hatched(ax)
        assert region.get_x() == x.min()
        assert region.get_x() + region.get_width() == pytest.approx(-overflow_threshold(name), rel=1e-12)  # left + width
        drawn = {line.get_color(): line.get_data() for line in ax.lines}
        np.testing.assert_array_equal(drawn[STABLE], (x, stable))
        finite = np.isfinite(naive)
        assert 0 < finite.sum() < len(x)
        np.testing.assert_array_equal(np.array(drawn[NAIVE])[:, finite], (x[finite], naive[finite]))
        np.testing.assert_array_equal(drawn[NAIVE][1][~finite], ax.get_ylim()[1])
        assert name in ax.get_xlabel()
