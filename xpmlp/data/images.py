"""Sets of images by their names: the MNIST family, and notMNIST also as the course's archive."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from xpmlp.data.image_files import read_set
from xpmlp.data.image_folders import (
    Found,
    file_names,
    holds_nothing,
    lacks,
    look_in,
    look_under,
    set_called,
)
from xpmlp.data.image_sets import IMAGE_SETS, NOTMNIST, ImageSet, plain_name, set_of_ones_own
from xpmlp.data.places import Places
from xpmlp.data.source import Source
from xpmlp.data.splits import random_state
from xpmlp.errors import DataUnavailableError, InputError


def image_set(name: str, places: Places, seed: int) -> Source:
    """Load a set of the MNIST family from a data folder, the cache, or by download.

    Where a data folder has training rows but no test rows, a fifth is held out, with a note.

    Raises DataUnavailableError where the files can't be had, and says which to put where.
    """
    del seed
    kind = IMAGE_SETS[name]
    own = look_under(places.data_dir, kind) if places.data_dir else None
    if own and own.train:
        return read_set(own, kind, name, _unnamed(own, kind))
    found = look_under(places.cache, kind)
    if not (found.train and found.test):
        found = look_in(_download(kind, places.cache, own or found), kind)
    unusable = own is not None and not holds_nothing(own, kind)
    note = f"{lacks(own)}, so {name} is read from {found.folder}" if own and unusable else ""
    return read_set(found, kind, name, note)


mnist = partial(image_set, "mnist")
fashion_mnist = partial(image_set, "fashion-mnist")
kmnist = partial(image_set, "kmnist")
qmnist = partial(image_set, "qmnist")
emnist_balanced = partial(image_set, "emnist-balanced")
emnist_byclass = partial(image_set, "emnist-byclass")
emnist_bymerge = partial(image_set, "emnist-bymerge")
emnist_digits = partial(image_set, "emnist-digits")
emnist_letters = partial(image_set, "emnist-letters")
emnist_mnist = partial(image_set, "emnist-mnist")


def notmnist(places: Places, seed: int) -> Source:
    """Load notMNIST, the letters A to J, from a folder or archive `notmnist*` that was supplied.

    A train and a t10k pair of IDX files are taken as they are. The course's archive is
    shuffled by `seed` and split into 10,000 training, 6,000 validation and the remaining test
    rows; a t10k pair alone likewise into 6,000, 2,000 and the rest.

    Raises DataUnavailableError when there is none, as notMNIST isn't downloaded.
    """
    paths = [path for folder in places.folders() for path in _named_notmnist(folder)]
    if source := _notmnist_in(paths, NOTMNIST.name, seed):
        return source
    raise DataUnavailableError(
        "notmnist is not on this machine and isn't downloaded; to supply it, put notMNIST.npz or "
        "IDX files, such as t10k-images-idx3-ubyte[.gz], into a folder DIR/notmnist/ and pass "
        "--data-dir DIR or set XPMLP_DATA_DIR"
    )


def read_folder(folder: Path, seed: int = 0) -> Source:
    """Load the set whose IDX files lie in a folder, or in `raw` or `gzip` within it.

    Files with MNIST's names are of the set that the folder is called after; where that is none,
    the labels are the names of the classes. seed: shuffles notMNIST where it has no split.

    Raises InputError where there is no set in it, or more than one.
    """
    name, called = str(folder), set_called(folder)
    if called == NOTMNIST.name and (source := _notmnist_in([folder], name, seed)):
        return source
    plain = IMAGE_SETS.get(called or "", set_of_ones_own(name))
    kinds = [plain, *(kind for kind in IMAGE_SETS.values() if kind.is_told_by_files)]
    found = [(look_in(folder, kind), kind) for kind in kinds]
    usable = [(one, kind) for one, kind in found if one.train]
    if len(usable) > 1:
        raise InputError(
            f"{folder} holds several sets; choose one by --data-dir {folder} --dataset NAME: "
            + ", ".join(kind.name for _, kind in usable)
        )
    if not usable:
        nearest, kind = min(found, key=lambda pair: len(pair[0].lacking))
        raise InputError(
            f"{lacks(nearest)}; to train on a folder, put a set of images into it as IDX files, "
            f"gzipped or not: {', '.join(file_names(kind))}"
        )
    ((one, kind),) = usable
    note = f"{folder} is taken for {called} because of its name" if kind.name == called else ""
    return read_set(one, kind, name, note)


def _unnamed(found: Found, kind: ImageSet) -> str:
    """Return a note where neither files nor folder tell of which set they are."""
    if kind.is_told_by_files or set_called(found.folder) == kind.name:
        return ""
    return f"the images in {found.folder} are taken for {kind.name}; neither names nor files say so"


def _download(kind: ImageSet, cache: Path, nearest: Found) -> Path:
    """Return the folder with downloaded files; nearest: the most of them that is there."""
    from xpmlp.data.download import MIRRORS, fetch

    start = "" if holds_nothing(nearest, kind) else f"{lacks(nearest)}; "
    if kind.name not in MIRRORS:
        raise DataUnavailableError(
            f"{start}{kind.name} is not on this machine and isn't downloaded; to supply it, put "
            f"{', '.join(file_names(kind))}, gzipped or not, into a folder DIR/{kind.name}/ and "
            "pass --data-dir DIR or set XPMLP_DATA_DIR"
        )
    try:
        return fetch(kind.name, cache)
    except DataUnavailableError as error:
        raise DataUnavailableError(f"{start}{error}") from error


def _notmnist_in(paths: list[Path], name: str, seed: int) -> Source | None:
    """Load notMNIST from the first of some folders and archives that has the most of it."""
    found = [look_in(path, NOTMNIST) for path in paths]
    if whole := next((one for one in found if one.train and one.test), None):
        return read_set(whole, NOTMNIST, name)
    archives = [file for path in paths for file in (path, *sorted(path.glob("*.npz")))]
    if archive := next((file for file in archives if file.is_file()), None):
        return _shuffled(_read_archive(archive, name), archive, seed, 10_000, 6_000)
    if one := next((one for one in found if one.train), None):
        return read_set(one, NOTMNIST, name)
    if one := next((one for one in found if one.test), None):
        rows = read_set(one._replace(train=one.test, test=None), NOTMNIST, name)
        return _shuffled(rows, one.folder, seed, 6_000, 2_000)
    return None


def _shuffled(rows: Source, origin: Path, seed: int, train: int, validation: int) -> Source:
    """Shuffle images that have no canonical split, and keep those after the first two parts."""
    pool = train + validation
    if len(rows.y) <= pool:
        raise InputError(f"{origin}: expected more than {pool:,} images, got {len(rows.y):,}")
    order = random_state(seed).permutation(len(rows.y))
    x, y = rows.x[order], rows.y[order]
    test = x[pool:], y[pool:]
    return replace(rows, x=x[:pool], y=y[:pool], test=test, tail=validation, note="")


def _read_archive(path: Path, name: str) -> Source:
    from xpmlp.data.archives import read_archive

    source = read_archive(path)
    if source.image_shape is None or len(source.class_names) != len(NOTMNIST.class_names):
        raise InputError(f"{path}: expected images of the ten letters A to J with labels 0 to 9")
    full_scale = source.full_scale or 1.0
    return replace(source, name=name, class_names=NOTMNIST.class_names, full_scale=full_scale)


def _named_notmnist(folder: Path) -> Iterator[Path]:
    """Yield the folders and archives `notmnist*` of a folder, which may be one of them itself."""
    if set_called(folder) == NOTMNIST.name:
        yield folder
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        usable = path.is_dir() or path.suffix == ".npz"
        if usable and plain_name(path.name).startswith(NOTMNIST.name):
            yield path
