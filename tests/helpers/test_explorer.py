"""What a notebook shows for an explorer: two small scripts, whatever the numbers; the browser's part is in tests/book."""

import gzip
import re

import numpy as np
import pytest

from helpers import explorer

FIGURES = {name.removeprefix("show_"): getattr(explorer, name) for name in dir(explorer) if name.startswith("show_")}
FIGURES["loss"] = explorer.show


def test_every_script_is_small():
    sizes = {name: len(gzip.compress(script.encode())) for name, script in explorer.SCRIPTS.items()}
    assert {name: size for name, size in sizes.items() if size > (8 if name == "core" else 6) * 1024} == {}


def test_every_figure_has_a_script_of_its_own_beside_the_core():
    assert FIGURES.keys() | {"core"} == explorer.SCRIPTS.keys()


@pytest.mark.parametrize("name", FIGURES)
def test_an_explorer_carries_the_core_and_its_script_alone(name):
    html = FIGURES[name]()._repr_html_()
    assert len(re.findall("</script", html)) == 1
    assert re.findall(r'customElements\.define\("([\w-]+)"', html) == [f"{name}-explorer"]
    assert html.startswith(f"<{name}-explorer data-")


@pytest.mark.parametrize("name", FIGURES)
def test_an_explorer_describes_its_picture(name):
    [alt] = re.findall(r'^ +alt = "(.+)";$', explorer.SCRIPTS[name], re.MULTILINE)
    assert len(alt) >= 40


def test_numpy_scalars_are_numbers():
    assert "data-logit='-3.5' data-label='1.0'" in explorer.show(np.float32(-3.5), np.float64(1)).html


def test_a_quote_in_a_row_does_not_end_the_attribute():
    assert "data-row='&#x27;1, 2' data-label" in explorer.show_row("'1, 2").html


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: explorer.show_row([1, 2]), "row must be a string, got"),
        (lambda: explorer.show_row(label=0.0), "label must be an integer, got 0.0"),
        (lambda: explorer.show_sums(lanes=True), "lanes must be an integer, got True"),
    ],
)
def test_what_is_no_row_or_no_integer_is_refused(call, message):
    with pytest.raises(TypeError, match=re.escape(message)):
        call()
