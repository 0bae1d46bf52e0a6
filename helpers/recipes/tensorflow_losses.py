"""Cross-entropy from logits in TensorFlow, without cancellation. Each function stands alone: copy the one that you need.

The losses are in nats, one for each element or row, in the type of the logits: cast float16 and bfloat16 logits to float32
first. Labels are lined up with the logits, so shapes (n,) and (n, 1) never broadcast to (n, n).
"""

import tensorflow as tf


def sigmoid_cross_entropy(labels, logits):
    """Return relu(x) (1 - z) + relu(-x) z + log1p(e^-|x|), whose terms cannot cancel, for labels z in [0, 1]."""
    labels = tf.cast(tf.reshape(labels, tf.shape(logits)), logits.dtype)
    positive = logits >= 0  # a comparison has no slope, whereas relu and abs have a kink at 0
    weight = tf.where(positive, 1 - labels, -labels)
    linear = tf.math.multiply_no_nan(logits, weight)  # 0 times infinity is 0 here
    return linear + tf.math.log1p(tf.exp(tf.where(positive, -logits, logits)))


def sparse_softmax_cross_entropy(labels, logits):
    """Return log(sum over j of e^(x_j - x_y)) for class y of each row; a class outside [0, C) costs inf or nan."""
    right = tf.reshape(tf.one_hot(tf.cast(labels, "int64"), logits.shape[-1], True, False), tf.shape(logits))
    own = tf.reduce_max(tf.where(right, logits, -float("inf")), axis=-1, keepdims=True)
    gap = tf.where(~right, logits - own, 0.0)  # this gives the right class minus the sum of the others' slopes
    m = tf.stop_gradient(tf.minimum(tf.reduce_max(gap, axis=-1, keepdims=True), gap.dtype.max))
    rest = tf.where(right, tf.math.expm1(-m), tf.exp(gap - m))  # log1p adds the 1 that is missing from their sum
    return tf.squeeze(m, axis=-1) + tf.math.log1p(tf.reduce_sum(rest, axis=-1))


def softmax_cross_entropy(labels, logits):
    """Return the sum over k of z_k (log(sum over j of e^x_j) - x_k) for rows of labels z, such as one-hot rows."""
    right = tf.one_hot(tf.argmax(labels, axis=-1), logits.shape[-1], True, False)  # the class with the largest label
    own = tf.reduce_max(tf.where(right, logits, -float("inf")), axis=-1, keepdims=True)
    gap = tf.where(~right, logits - own, 0.0)
    m = tf.stop_gradient(tf.minimum(tf.reduce_max(gap, axis=-1, keepdims=True), gap.dtype.max))
    rest = tf.reduce_sum(tf.where(right, tf.math.expm1(-m), tf.exp(gap - m)), axis=-1, keepdims=True)
    return tf.reduce_sum(tf.math.multiply_no_nan(m - gap + tf.math.log1p(rest), labels), axis=-1)
