"""The published inputs and printed outputs that the chapters start from.

Data only. Printed numbers are kept as the strings that their sources show wherever every digit counts; the chapters and
the tests compute them anew and compare. Nothing here is an input to a loss function's own code.
"""

#: An article on ``tf.nn.sigmoid_cross_entropy_with_logits``: https://blog.csdn.net/m0_37393514/article/details/81393819,
#: repeated at https://www.cnblogs.com/cloud-ken/p/7435421.html. float64, TensorFlow 1 with a Session.
SIGMOID_TABLE = {
    "dtype": "float64",
    "logits": [[1.0, -810.0, 20.0], [11.0, 12.0, 14.0], [12.0, 21.0, 23.0]],
    "labels": [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
    "printed_naive": [
        ["3.13261688e-01", "inf", "2.00000000e+01"],
        ["1.10000167e+01", "6.14419348e-06", "1.40000008e+01"],
        ["1.20000061e+01", "2.10000000e+01", "1.02618802e-10"],
    ],
    "printed_tensorflow": [
        ["3.13261688e-01", "0.00000000e+00", "2.00000000e+01"],
        ["1.10000167e+01", "6.14419348e-06", "1.40000008e+01"],
        ["1.20000061e+01", "2.10000000e+01", "1.02618796e-10"],
    ],
    "printed_max_abs": [
        ["3.13261688e-01", "0.00000000e+00", "2.00000000e+01"],
        ["1.10000167e+01", "6.14419348e-06", "1.40000008e+01"],
        ["1.20000061e+01", "2.10000000e+01", "1.02618802e-10"],
    ],
    # The derivation's lines as they were published, in Python's own notation; the fourth lacks a bracket.
    "printed_derivation": [
        "z * -log(sigmoid(x)) + (1 - z) * -log(1 - sigmoid(x))",
        "z * -log(1 / (1 + exp(-x))) + (1 - z) * -log(exp(-x) / (1 + exp(-x)))",
        "z * log(1 + exp(-x)) + (1 - z) * (-log(exp(-x)) + log(1 + exp(-x)))",
        "z * log(1 + exp(-x)) + (1 - z) * (x + log(1 + exp(-x))",
        "(1 - z) * x + log(1 + exp(-x))",
        "x - x * z + log(1 + exp(-x))",
    ],
}

#: A question and its answers on computing (sparse) categorical cross-entropy by hand, in four parts. float32, TensorFlow 2.
#: First a mean of five sigmoid losses, by hand and by Keras's ``BinaryCrossentropy(from_logits=True)``.
BINARY_MEAN = {
    "dtype": "float32",
    "logits": [-1.0, -1.0, 0.0, 1.0, 2.0],
    "labels": [0.0, 0.0, 1.0, 1.0, 1.0],
    "printed_mean": "0.35197204",
}

#: Three rows of ten logits, by ``SparseCategoricalCrossentropy(from_logits=True)``, and by hand through softmax and one-hot.
# fmt: off
SPARSE_ROWS = {
    "dtype": "float32",
    "logits": [
        [-3.27133679, -22.6687183, -4.15501118, -5.14916372, -5.94609261,
         -6.93373299, -5.72364092, -9.75725174, -3.15748906, -4.84012318],
        [-11.7642536, -45.3370094, -3.17252636, 4.34527206, -17.7164974,
         -0.595088899, -17.6322937, -2.36941719, -6.82157373, -3.47369862],
        [-4.55468369, -1.07379043, -3.73261762, -7.08982277, -0.0288562477,
         -5.46847963, -0.979336262, -3.03667569, -3.29502845, -2.25880361],
    ],
    "labels": [2, 3, 4],
    "printed_losses": ["2.0077195", "0.00928135", "0.6800677"],
    "printed_mean": "0.8990229",
    "printed_sum": "2.697068691253662",
    "printed_by_hand": ["2.0077198", "0.00928142", "0.6800677"],
    "printed_by_hand_sum": "2.697068929672241",
}
# fmt: on

#: A language model's batch: twelve losses by ``SparseCategoricalCrossentropy``, and by hand through softmax and one-hot. Its
#: logits were random normal numbers, which were not printed; what the two printouts say of each other does not need them.
LANGUAGE_MODEL = {
    "dtype": "float32",
    "vocabulary": 9,
    "labels": [[0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 10, 11]],
    "logits_shape": (2, 6, 9),
    "printed_losses": [
        ["1.341706", "3.2518263", "2.6482694", "3.039099", "1.5835983", "4.3498387"],
        ["2.67237", "3.3978183", "2.8657475", "nan", "nan", "nan"],
    ],
    "printed_sum": "nan",
    "printed_by_hand": [
        ["1.341706", "3.2518263", "2.6482694", "3.039099", "1.5835984", "4.3498387"],
        ["2.67237", "3.3978183", "2.8657475", "0.", "0.", "0."],
    ],
    "printed_by_hand_sum": "25.1502742767334",
    # The lines of the computation by hand, as they were published: its second division changes nothing.
    "by_hand": ["preds = softmax(logits)", "preds /= sum(preds)", "sum(one_hot * -log(preds))"],
}

#: Probabilities, by ``CategoricalCrossentropy`` and by ``SparseCategoricalCrossentropy`` alike.
PROBABILITY_ROWS = {
    "dtype": "float32",
    "probabilities": [[0.9, 0.05, 0.05], [0.5, 0.89, 0.6], [0.05, 0.01, 0.94]],
    "labels": [0, 1, 2],
    "printed_losses": ["0.10536055", "0.8046684", "0.0618754"],
    # The answer says that the division by a row's sum is skipped where from_logits=False. Its own second loss, which is
    # log(1.99 / 0.89), shows that it is not.
    "answers_rule": "no division by the sum of the row without logits",
}

#: A question on binary cross-entropy with ground truth that is not binary, and an answer to it: Keras's loss, the mean over
#: the labels. float32. The first three cases are the question's tests 1 to 3, the last two stand in the answer.
NON_BINARY = {
    "dtype": "float32",
    "cases": [
        {"labels": [0.0, 1.0], "probabilities": [0.5, 0.5], "printed": "0.6931472"},
        {"labels": [0.5, 0.5], "probabilities": [0.0, 1.0], "printed": "8.01512"},
        {"labels": [-2.0, 2.0], "probabilities": [0.5, 0.5], "printed": "0.6931472"},
        {"labels": [2.0], "probabilities": [0.3], "printed": "2.0512707"},
        {"labels": [-2.0], "probabilities": [0.3], "printed": "-1.3379208"},
    ],
}
