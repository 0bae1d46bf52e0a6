"""What the tests need before the first import of TensorFlow or Matplotlib, whether make or pytest starts them."""

import os

import matplotlib as mpl
from hypothesis import settings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # as in the Makefile
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
mpl.use("agg")

# First calls are slow. Each run tries the same examples, so more than 50 would make `make check` longer and find no more
# from run to run; pytest --hypothesis-profile=default tries 100 others each time.
settings.register_profile("repeatable", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("repeatable")
