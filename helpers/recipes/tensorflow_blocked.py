"""Cross-entropy of a large vocabulary in TensorFlow, from logits that are made in blocks of classes and never held whole.

It works eagerly, in ``tf.function`` and with ``jit_compile=True``. Inputs of 16 bits are widened block by block, so that
products, sums and the loss are float32; float64 stays float64.
"""

import tensorflow as tf


def blocked_cross_entropy(hidden, embedding, labels, ignore_label=-100, width=2048):
    """Return log(sum over j of e^(x_j - x_y)) for labels (...), hidden states (..., d) and an embedding (classes, d).

    A label that is neither a class nor ``ignore_label`` costs nan.
    """
    tf.TensorShape(labels.shape).assert_is_compatible_with(hidden.shape[:-1])
    classes, size = embedding.shape
    width = min(width, classes)
    blocks = -(-classes // width)
    wide = tf.float64 if hidden.dtype == tf.float64 else tf.float32
    flat = tf.cast(tf.reshape(labels, [-1]), tf.int64)
    counts = counts_of(flat, classes, ignore_label, wide)

    @tf.custom_gradient
    def losses(hidden, embedding):
        hidden, embedding = tf.stop_gradient(hidden), tf.stop_gradient(embedding)

        def block(number):
            return logits_of_block(hidden, embedding, flat, number, width)

        m, others, x_y = three_numbers(block, blocks, hidden)
        gap = x_y - m

        def backward(upstream):
            scale = upstream * counts / (others + tf.exp(gap))
            pieces = tf.TensorArray(embedding.dtype, blocks)
            by_hidden, pieces = gradients(block, scale, m, others, hidden, pieces)
            return by_hidden, joined(pieces, blocks, classes, width)

        return (tf.math.log1p(tf.math.expm1(gap) + others) - gap) * counts, backward

    hidden = tf.cast(tf.reshape(hidden, [-1, size]), wide)
    each = losses(hidden, tf.convert_to_tensor(embedding))
    return tf.reshape(each, tf.shape(labels))


def counts_of(labels, classes, ignore_label, dtype):
    """Return 1 for a class, 0 for padding and nan for any other label."""
    is_class = tf.where((labels >= 0) & (labels < classes), 1.0, float("nan"))
    return tf.cast(tf.where(labels == ignore_label, 0.0, is_class), dtype)


def logits_of_block(hidden, embedding, labels, number, width):
    """Return a block's rows of the embedding, its logits, and where the labels are among its classes."""
    start = number * width
    first = tf.minimum(start, embedding.shape[0] - width)  # so that all blocks have one width, as XLA wants it
    rows = tf.cast(tf.slice(embedding, [first, 0], [width, -1]), hidden.dtype)
    classes = tf.cast(first + tf.range(width), labels.dtype)
    is_new = classes >= tf.cast(start, labels.dtype)
    x = tf.matmul(hidden, rows, transpose_b=True)
    return rows, tf.where(is_new, x, x.dtype.min), (labels[:, None] == classes) & is_new


def three_numbers(block, blocks, hidden):
    """Return each token's largest logit, its sum of exponentials without the label's class, and the label's logit."""

    def step(number, m, others, x_y):
        _, x, is_label = block(number)
        top = tf.maximum(m, tf.reduce_max(x, axis=-1))
        terms = tf.where(is_label, tf.zeros([], x.dtype), tf.exp(x - top[:, None]))
        others = others * tf.exp(m - top) + tf.reduce_sum(terms, axis=-1)
        x_y += tf.reduce_sum(tf.where(is_label, x, tf.zeros([], x.dtype)), axis=-1)
        return number + 1, top, others, x_y

    zeros = tf.zeros_like(hidden[:, 0])
    state = [0, zeros + hidden.dtype.min, zeros, zeros]
    return tf.while_loop(lambda number, *_: number < blocks, step, state, parallel_iterations=1)[1:]


def gradients(block, scale, m, others, hidden, pieces):
    """Return the gradient by the hidden states, and that by each block's rows, from blocks that are made again."""

    def step(number, by_hidden, pieces):
        rows, x, is_label = block(number)
        slopes = tf.where(is_label, -others[:, None], tf.exp(x - m[:, None])) * scale[:, None]
        by_rows = tf.cast(tf.matmul(slopes, hidden, transpose_a=True), pieces.dtype)
        return number + 1, by_hidden + slopes @ rows, pieces.write(number, by_rows)

    blocks, state = pieces.size(), [0, tf.zeros_like(hidden), pieces]
    return tf.while_loop(lambda number, *_: number < blocks, step, state, parallel_iterations=1)[1:]


def joined(pieces, blocks, classes, width):
    """Return the gradient by the embedding; the last block begins with rows that the one before has."""
    by_rows, end = pieces.concat(), width * (blocks - 1)
    return tf.concat([by_rows[:end], by_rows[end - classes :]], axis=0) if classes % width else by_rows
