"""Where the IDX files of a set lie: under MNIST's names or dotted ones, as torchvision has them."""

from pathlib import Path
from typing import NamedTuple

from xpmlp.data.image_sets import IMAGE_SETS, NOTMNIST, ImageSet, plain_name
from xpmlp.errors import InputError

_WITHIN = ("", "raw", "gzip", "raw/gzip")
_FILES = 4
_SHOWN = 4


class Pair(NamedTuple):
    """The files of the images and the labels of one part of a set."""

    images: Path
    labels: Path


class Found(NamedTuple):
    """What a folder holds of the files of a set; lacking: the names of those that it doesn't."""

    folder: Path
    train: Pair | None
    test: Pair | None
    lacking: tuple[str, ...]


def file_names(kind: ImageSet) -> tuple[str, ...]:
    """Return the names of a set's four files: train images and labels, test images and labels."""
    return tuple(
        f"{part}-{content}"
        for part in (kind.train, kind.test)
        for content in ("images-idx3-ubyte", f"labels-{kind.label_types[0]}")
    )


def look_in(folder: Path, kind: ImageSet) -> Found:
    """Return what a folder holds of a set's files, in itself, in `raw` or in `gzip`."""
    return min((_look(folder / within, kind) for within in _WITHIN), key=_lack)


def look_under(base: Path, kind: ImageSet) -> Found:
    """Return what a data folder holds of a set's files: in a subfolder of its name, or in itself.

    In itself only where it has not the name of another set.
    """
    homes = named_folders(base, kind)
    if kind.is_told_by_files or set_called(base) in (None, kind.name):
        homes.append(base)
    found = [look_in(home, kind) for home in homes]
    return min(found, key=_lack, default=Found(base, None, None, file_names(kind)))


def named_folders(base: Path, kind: ImageSet) -> list[Path]:
    """Return the subfolders that have the name of a set, that of its own name first."""
    named = [path for path in _entries(base) if plain_name(path.name) in kind.called]
    return sorted(filter(Path.is_dir, named), key=lambda path: path.name != kind.name)


def set_called(folder: Path) -> str | None:
    """Return the set with MNIST's file names that a folder, or that of a `raw`, is called after."""
    folder = folder.resolve()
    while folder.name in ("raw", "gzip"):
        folder = folder.parent
    called = plain_name(folder.name)
    if called.startswith("notmnist"):
        return NOTMNIST.name
    plain = (kind for kind in IMAGE_SETS.values() if not kind.is_told_by_files)
    return next((kind.name for kind in plain if called in kind.called), None)


def holds_nothing(found: Found, kind: ImageSet) -> bool:
    """Tell whether a folder has neither a file of a set nor its name."""
    named = plain_name(found.folder.name) in kind.called
    return not named and len(found.lacking) == _FILES


def lacks(found: Found) -> str:
    """Return in words what a folder lacks of a set, or holds instead of it."""
    if len(found.lacking) < _FILES:
        return f"{found.folder} lacks {', '.join(found.lacking)}"
    names = [path.name for path in _entries(found.folder)]
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{found.folder} holds {', '.join(names[:_SHOWN]) or 'nothing'}{more}"


def _lack(found: Found) -> tuple[bool, int]:
    """Return what sorts the more useful first."""
    return found.train is None, len(found.lacking)


def _look(folder: Path, kind: ImageSet) -> Found:
    """Return what lies in this folder alone."""
    pairs = []
    lacking: list[str] = []
    for part in (kind.train, kind.test):
        images = _find(folder, f"{part}-images", ("idx3-ubyte",), lacking)
        labels = _find(folder, f"{part}-labels", kind.label_types, lacking)
        pairs.append(Pair(images, labels) if images and labels else None)
    return Found(folder, pairs[0], pairs[1], tuple(lacking))


def _find(folder: Path, stem: str, types: tuple[str, ...], lacking: list[str]) -> Path | None:
    """Return the file of a name, plain or with `.gz`, or note its name as lacking."""
    for end in types:
        for name in (f"{stem}-{end}", f"{stem}.{end}"):
            for path in (folder / name, folder / f"{name}.gz"):
                if path.is_file():
                    return path
    lacking.append(f"{stem}-{types[0]}")
    return None


def _entries(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise InputError(f"{folder}: can't be read: {error.strerror or error}") from error
