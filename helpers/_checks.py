"""What every loss asks of its arguments, and the messages it gives when it doesn't get it."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

FLOATS = ("float16", "float32", "float64")


def as_array(name: str, value: ArrayLike) -> NDArray:
    """Return the argument of that name as an array, or raise a ValueError if its rows have different lengths."""
    try:
        return np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name} must be a rectangular array of numbers: {error}") from None


def as_floats(**arguments: ArrayLike) -> list[NDArray[np.floating]]:
    """Return the arguments as arrays of one floating-point type.

    Floating-point arguments keep their type, or the widest of their types; integers and booleans adapt to it, and become
    float64 where no argument is floating.

    Raises
    ------
    TypeError
        For an argument that holds anything but booleans, integers, float16, float32 or float64.
    """
    arrays = {}
    for name, value in arguments.items():
        array = as_array(name, value)
        if array.dtype.kind not in "biu" and array.dtype.name not in FLOATS:
            raise TypeError(f"{name} must hold booleans, integers or {', '.join(FLOATS)}, got {array.dtype}")
        arrays[name] = array
    floats = [array.dtype for array in arrays.values() if array.dtype.name in FLOATS]
    dtype = np.result_type(*floats) if floats else np.float64
    return [array.astype(dtype, copy=False) for array in arrays.values()]


def as_class_indices(labels: ArrayLike, classes: int) -> NDArray[np.intp]:
    """Return labels as an array of integers, each in [0, classes), or raise what :func:`as_classes_to_count` raises."""
    return as_classes_to_count(labels, classes, None)[0]


def as_classes_to_count(
    labels: ArrayLike, classes: int, ignore_label: int | None
) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Return labels as an array of integers, each in [0, classes), and which of them are to ignore; these become 0.

    Raises
    ------
    TypeError
        For labels of any other type: 2.0 is no class, and True may mean class 1 or "yes". Likewise for the one to ignore.
    ValueError
        For the first label out of range, with its place.
    """
    if ignore_label is not None and not is_integer(ignore_label):
        raise TypeError(f"ignore_label must be an integer or None, got {ignore_label!r}")
    array = as_array("labels", labels)
    if array.dtype.kind not in "iu" and (array.size or array.dtype != np.float64):  # NumPy makes float64 of []
        raise TypeError(f"labels must hold integers, got {array.dtype}")
    indices = array.astype(np.intp, copy=False)  # a uint64 of 2^63 or more turns negative: compare what is returned
    ignored = np.zeros(indices.shape, bool) if ignore_label is None else np.asarray(indices == ignore_label)
    outside = ((array < 0) | (array >= classes)) & ~ignored
    if outside.any():
        place = tuple(int(i) for i in np.argwhere(outside)[0])
        raise ValueError(f"labels must lie in [0, {classes}), got {array[place]}{_at(place)}")
    return (np.where(ignored, 0, indices) if ignored.any() else indices), ignored


def same_shape(**arrays: NDArray) -> None:
    """Raise a ValueError unless the two arrays have one shape: broadcasting labels against logits hides mistakes."""
    (first, a), (second, b) = arrays.items()
    if a.shape != b.shape:
        raise ValueError(f"{first} and {second} must have the same shape, got {a.shape} and {b.shape}")


def has_classes(**array: NDArray) -> None:
    """Raise a ValueError unless the array has a last axis, with at least one class on it."""
    [(name, x)] = array.items()
    if x.ndim == 0 or x.shape[-1] == 0:
        raise ValueError(f"{name} must have at least one class on its last axis, got the shape {x.shape}")


def one_label_a_row(labels: NDArray[np.integer], **array: NDArray) -> None:
    """Raise a ValueError unless there is one class index for each row of the array."""
    [(name, x)] = array.items()
    if labels.shape != x.shape[:-1]:
        raise ValueError(
            f"labels must have the shape of {name} without its last axis, {x.shape[:-1]}, got {labels.shape}: "
            "one class index for each row"
        )


def in_unit_interval(**arrays: NDArray) -> None:
    """Raise a ValueError that names the first value outside [0, 1] and its place; NaN passes."""
    for name, array in arrays.items():
        # min and max read the array without a temporary; NaN makes both comparisons false, hence the exact search below
        if not array.size or (array.min() >= 0 and array.max() <= 1):
            continue
        _refuse(name, array, (array < 0) | (array > 1), "lie in [0, 1]")


def non_negative(**arrays: NDArray) -> None:
    """Raise a ValueError that names the first value below 0 and its place; NaN passes."""
    for name, array in arrays.items():
        _refuse(name, array, array < 0, "be non-negative")


def positive_integer(**number: int) -> None:
    """Raise a ValueError unless the number is an integer of at least 1."""
    [(name, value)] = number.items()
    if not is_integer(value) or value < 1:
        raise ValueError(f"{name} must be a positive integer, got {value!r}")


def is_integer(value: Any) -> bool:
    """Tell whether a value is one integer. Python counts True among the integers; here it is a mistake."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def one_number(**numbers: float) -> None:
    """Raise a TypeError unless each argument is one integer or floating-point number."""
    for name, value in numbers.items():
        if not is_integer(value) and not isinstance(value, float | np.floating):
            raise TypeError(f"{name} must be a number, got {value!r}")


def below_one_half(**number: float) -> float:
    """Return the number as a float; raise a TypeError if it is not one number, a ValueError unless it lies in [0, 0.5)."""
    one_number(**number)
    [(name, value)] = number.items()
    if not 0 <= value < 0.5:
        raise ValueError(f"{name} must lie in [0, 0.5), got {value!r}")
    return float(value)  # an array keeps its type beside Python's float, but not beside a wider one of NumPy's


def finite_and_non_negative(dtype: DTypeLike, **arrays: NDArray) -> None:
    """Raise a ValueError that names the first value that is negative, NaN, or infinite in the given type, and its place."""
    for name, array in arrays.items():
        fit = (array >= 0) & (array <= np.finfo(dtype).max)
        _refuse(name, array, ~fit, f"be non-negative, and finite in {np.dtype(dtype)}")


def _refuse(name: str, array: NDArray, wrong: NDArray[np.bool_], must: str) -> None:
    if wrong.any():
        place = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise ValueError(f"{name} must {must}, got {float(array[place])!r}{_at(place)}")


def _at(place: tuple[int, ...]) -> str:
    return f" at index {place}" if place else ""
