"""The programs that write the records of the book, in helpers/records."""

import helpers  # noqa: F401, before any program here imports TensorFlow, since it sets what TensorFlow reads then
