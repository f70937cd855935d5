"""Arrays of your own: `.npz` archives, as `numpy.savez`, Keras and MedMNIST write them."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from xpmlp.data.array_source import Arrays, array_source
from xpmlp.data.source import Source
from xpmlp.errors import InputError

_TRAIN = (
    ("x", "y"),
    ("images", "labels"),
    ("x_train", "y_train"),
    ("train_images", "train_labels"),
)
_VALIDATION = (("x_val", "y_val"), ("val_images", "val_labels"))
_TEST = (("x_test", "y_test"), ("test_images", "test_labels"))


def read_archive(path: Path, task: str | None = None) -> Source:
    """Read an `.npz` archive of features and labels, in the names that people give them.

    x and y, images and labels, x_train and y_train, or train_images and train_labels are the
    training rows; x_val and y_val, or val_images and val_labels, those that validate; x_test and
    y_test, or test_images and test_labels, those that test; in any case of letters.
    Arrays and task are as for `array_source`.

    Raises InputError, naming the file and the array, for anything that can't be trained on.
    """
    parts, unused = _read_parts(path)
    source = array_source(parts, str(path), task)
    if not unused:
        return source
    note = f"{path}: not used: {', '.join(unused)}"
    return replace(source, note="; ".join(filter(None, (source.note, note))))


def _read_parts(path: Path) -> tuple[dict[str, Arrays], list[str]]:
    """Return the parts that there are, `train` first, and the names of arrays of no part.

    Whatever goes wrong in a foreign archive is its fault.
    """
    parts = {}
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            every = sorted(archive.files)
            names = {name.lower(): name for name in every}
            for part, pairs in (("train", _TRAIN), ("validation", _VALIDATION), ("test", _TEST)):
                if pair := next((pair for pair in pairs if {*pair} <= {*names}), None):
                    x, y = names[pair[0]], names[pair[1]]
                    parts[part] = Arrays(archive[x], archive[y], x, y)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or 'damaged'}") from error
    except Exception as error:
        raise InputError(
            f"{path}: not a whole .npz archive of numbers and texts, as numpy.savez writes it"
        ) from error
    if "train" not in parts:
        found = ", ".join(every) or "nothing"
        raise InputError(
            f"{path}: expected arrays x and y, or images and labels, x_train and y_train, "
            f"train_images and train_labels; found {found}"
        )
    used = {name for arrays in parts.values() for name in (arrays.x_name, arrays.y_name)}
    return parts, [name for name in every if name not in used]
