"""What a notebook shows for an explorer: one small script, whatever the numbers; the browser's part is in tests/book."""

import gzip
import re

import numpy as np
import pytest

from helpers import explorer


def test_the_script_is_small():
    assert len(gzip.compress(explorer.SCRIPT.encode())) <= 5 * 1024


def test_no_instance_can_end_its_script_early():
    assert len(re.findall("</script", explorer.show().html)) == 1


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"dtype": "bfloat16"}, ValueError, "dtype must be one of float16, float32, float64, got 'bfloat16'"),
        ({"logit": 21, "dtype": "float16"}, ValueError, r"logit must lie in \[-20, 20\], got 21"),
        ({"logit": float("nan")}, ValueError, r"logit must lie in \[-1000, 1000\], got nan"),
        ({"label": 1.5}, ValueError, r"label must lie in \[0, 1\], got 1.5"),
        ({"label": "yes"}, TypeError, "label must be a number, got 'yes'"),
    ],
)
def test_bad_arguments_are_refused_by_name(arguments, error, message):
    with pytest.raises(error, match=message):
        explorer.show(**arguments)


def test_bad_probabilities_are_refused_by_name():
    with pytest.raises(ValueError, match=r"q must lie in \[0, 1\], got -0.1"):
        explorer.show_divergence(p=0.5, q=-0.1)


def test_numpy_scalars_are_numbers():
    assert "data-logit='-3.5' data-label='1.0'" in explorer.show(np.float32(-3.5), np.float64(1)).html
