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
