"""What several test files measure errors with."""

import numpy as np
import pytest


@pytest.fixture(scope="session")
def ulps():
    """Return a function that gives errors in units in the last place of the exact result, also where that is subnormal."""

    def error(computed, exact):
        info, exact = np.finfo(computed.dtype), np.asarray(exact).astype(float)  # to 1e-9 of float32's last place
        _, exponent = np.frexp(exact)
        unit = np.maximum(np.ldexp(float(info.eps), exponent - 1), float(info.smallest_subnormal))
        with np.errstate(invalid="ignore"):
            return np.where(computed == exact, 0, np.abs(computed.astype(float) - exact) / unit)  # inf and inf agree

    return error
