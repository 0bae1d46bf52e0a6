"""What the tests need before the first import of TensorFlow or Matplotlib, whether make or pytest starts them."""

import matplotlib as mpl
from hypothesis import settings

import helpers  # noqa: F401, sets what TensorFlow reads when it is imported

mpl.use("agg")

# First calls are slow. Each run tries the same examples, so more than 50 would make `make check` longer and find no more
# from run to run; pytest --hypothesis-profile=default tries 100 others each time.
settings.register_profile("repeatable", deadline=None, derandomize=True, max_examples=50, database=None)
settings.load_profile("repeatable")
