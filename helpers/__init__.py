"""Cross-entropy from logits: the code that the book's chapters derive and its tests hold to account."""

import os

# Printed digits depend on these, and TensorFlow reads them when it is imported, so import helpers first. oneDNN's kernels
# round differently from one processor to the next. Notes on TensorFlow's build belong on no page; its errors still come.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
