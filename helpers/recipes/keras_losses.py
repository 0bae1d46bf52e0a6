"""Cross-entropy from logits for Keras on any backend, without cancellation: copy the function, and compile with loss=it.

The losses are in nats, one for each element or row, in the type of the logits: cast float16 and bfloat16 logits to float32
first. Labels are lined up with the logits, so shapes (n,) and (n, 1) never broadcast to (n, n).
"""

from keras import ops


def sigmoid_cross_entropy(labels, logits):
    """Return relu(x) (1 - z) + relu(-x) z + log1p(e^-|x|), whose terms cannot cancel, for labels z in [0, 1]."""
    labels = ops.cast(ops.reshape(labels, ops.shape(logits)), logits.dtype)
    positive = logits >= 0  # a comparison has no slope, whereas relu and abs have a kink at 0
    weight = ops.where(positive, 1 - labels, -labels)
    linear = ops.where(weight == 0, 0.0, weight * logits)  # 0 times infinity is 0 here
    return linear + ops.log1p(ops.exp(ops.where(positive, -logits, logits)))


def sparse_softmax_cross_entropy(labels, logits):
    """Return log(sum over j of e^(x_j - x_y)) for class y of each row; a class outside [0, C) costs inf, nan or an error."""
    right = ops.reshape(ops.one_hot(ops.cast(labels, "int32"), logits.shape[-1], dtype="bool"), ops.shape(logits))
    own = ops.max(ops.where(right, logits, -float("inf")), axis=-1, keepdims=True)
    gap = ops.where(right, 0.0, logits - own)  # this gives the right class minus the sum of the others' slopes
    m = ops.stop_gradient(ops.minimum(ops.max(gap, axis=-1, keepdims=True), 3e38))  # float32 ends at 3.4e38
    rest = ops.where(right, ops.expm1(-m), ops.exp(gap - m))  # log1p adds the 1 that is missing from their sum
    return ops.squeeze(m, axis=-1) + ops.log1p(ops.sum(rest, axis=-1))


def softmax_cross_entropy(labels, logits):
    """Return the sum over k of z_k (log(sum over j of e^x_j) - x_k) for rows of labels z, such as one-hot rows."""
    right = ops.one_hot(ops.argmax(labels, axis=-1), logits.shape[-1], dtype="bool")  # the class with the largest label
    own = ops.max(ops.where(right, logits, -float("inf")), axis=-1, keepdims=True)
    gap = ops.where(right, 0.0, logits - own)
    m = ops.stop_gradient(ops.minimum(ops.max(gap, axis=-1, keepdims=True), 3e38))
    rest = ops.sum(ops.where(right, ops.expm1(-m), ops.exp(gap - m)), axis=-1, keepdims=True)
    return ops.sum(ops.where(labels == 0, 0.0, labels * (m - gap + ops.log1p(rest))), axis=-1)
