"""What a notebook shows for an explorer: one small script, whatever the numbers; the browser's part is in tests/book."""

import gzip
import re

import numpy as np
import pytest

from helpers import explorer


def test_the_script_is_small():
    assert len(gzip.compress(explorer.SCRIPT.encode())) <= 5 * 1024


@pytest.mark.parametrize("figure", [explorer.show(), explorer.show_divergence()])
def test_an_explorer_ends_its_script_once(figure):
    assert len(re.findall("</script", figure._repr_html_())) == 1


def test_numpy_scalars_are_numbers():
    assert "data-logit='-3.5' data-label='1.0'" in explorer.show(np.float32(-3.5), np.float64(1)).html
