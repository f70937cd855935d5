"""Arrays of your own: `.npz` archives, as `numpy.savez`, Keras and MedMNIST write them."""

from dataclasses import replace
from pathlib import Path

from xpmlp.data.array_source import Arrays, array_source
from xpmlp.data.numpy_files import Archive, open_archive
from xpmlp.data.source import Source
from xpmlp.data.unpacking import USUAL_GIB, require_justified
from xpmlp.errors import InputError

_TRAIN = (
    ("x", "y"),
    ("images", "labels"),
    ("x_train", "y_train"),
    ("train_images", "train_labels"),
)
_VALIDATION = (("x_val", "y_val"), ("val_images", "val_labels"))
_TEST = (("x_test", "y_test"), ("test_images", "test_labels"))


def read_archive(path: Path, task: str | None = None, max_unpacked: float = USUAL_GIB) -> Source:
    """Read an `.npz` archive of features and labels, in the names that people give them.

    x and y, images and labels, x_train and y_train, or train_images and train_labels are the
    training rows; x_val and y_val, or val_images and val_labels, those that validate; x_test and
    y_test, or test_images and test_labels, those that test; in any case of letters.
    Arrays and task are as for `array_source`. max_unpacked: as of `load_dataset`.

    Raises InputError, naming the file and the array, for anything that can't be trained on.
    """
    parts, unused = _read_parts(path, max_unpacked)
    source = array_source(parts, str(path), task)
    if not unused:
        return source
    note = f"{path}: not used: {', '.join(unused)}"
    return replace(source, note="; ".join(filter(None, (source.note, note))))


def _read_parts(path: Path, max_unpacked: float) -> tuple[dict[str, Arrays], list[str]]:
    """Return the parts that there are, `train` first, and the names of arrays of no part."""
    with open_archive(path) as archive:
        chosen = choose_arrays(archive)
        used = [name for pair in chosen.values() for name in pair]
        require_justified(path, sum(archive.headers[name].nbytes for name in used), max_unpacked)
        parts = {
            part: Arrays(archive.read(x), archive.read(y), x, y) for part, (x, y) in chosen.items()
        }
    return parts, sorted({*archive.headers} - {*used})


def choose_arrays(archive: Archive) -> dict[str, tuple[str, str]]:
    """Return the names of features and labels of each part that there is, `train` first."""
    names: dict[str, str] = {}
    for name in sorted(archive.headers):
        if other := names.get(name.lower()):
            raise InputError(f"{archive.path}: holds both {other} and {name}; keep one of them")
        names[name.lower()] = name
    chosen = {}
    for part, pairs in (("train", _TRAIN), ("validation", _VALIDATION), ("test", _TEST)):
        if pair := next((pair for pair in pairs if {*pair} <= {*names}), None):
            chosen[part] = (names[pair[0]], names[pair[1]])
    if "train" not in chosen:
        found = ", ".join(sorted(archive.headers)) or "nothing"
        raise InputError(
            f"{archive.path}: expected arrays x and y, or images and labels, x_train and y_train, "
            f"train_images and train_labels; found {found}"
        )
    return chosen
