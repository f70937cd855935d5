"""The MNIST family: sets of images in IDX files, and notMNIST also as the course's archive."""

from collections.abc import Iterator
from pathlib import Path

from xpmlp.data.idx import read_image_pair
from xpmlp.data.places import Places
from xpmlp.data.source import Source
from xpmlp.data.splits import Part, random_state
from xpmlp.errors import DataUnavailableError, InputError

_CLASSES = 10
_DIGITS = tuple("0123456789")
_LETTERS = tuple("ABCDEFGHIJ")
_FASHION = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
_TRAIN = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte")
_TEST = ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def mnist(places: Places, seed: int) -> Source:
    """Load MNIST, 60,000 and 10,000 images of 28x28, downloading it where it is absent."""
    del seed
    return _public_set("mnist", _DIGITS, places)


def fashion_mnist(places: Places, seed: int) -> Source:
    """Load Fashion-MNIST, like MNIST in everything but its pictures."""
    del seed
    return _public_set("fashion-mnist", _FASHION, places)


def notmnist(places: Places, seed: int) -> Source:
    """Load notMNIST, the letters A to J, from a folder or archive `notmnist*` that was supplied.

    A train and a t10k pair of IDX files are taken as they are. The course's archive is
    shuffled by `seed` and split into 10,000 training, 6,000 validation and the remaining test
    rows; a t10k pair alone likewise into 6,000, 2,000 and the rest.

    Raises DataUnavailableError when there is none, as notMNIST isn't downloaded.
    """
    found = [path for folder in places.folders() for path in _named_notmnist(folder)]
    for folder in found:
        train, test = _find_pair(folder, _TRAIN), _find_pair(folder, _TEST)
        if train and test:
            return _canonical_set("notmnist", _LETTERS, train, test, tail=None)
    archives = [file for path in found for file in (path, *sorted(path.glob("*.npz")))]
    if archive := next((file for file in archives if file.is_file()), None):
        return _shuffled_set(_read_archive(archive), archive, seed, 10_000, 6_000)
    for folder in found:
        if pair := _find_pair(folder, _TEST):
            return _shuffled_set(read_image_pair(*pair, _CLASSES), folder, seed, 6_000, 2_000)
    raise DataUnavailableError(
        "notmnist is not on this machine and isn't downloaded; to supply it, put notMNIST.npz or "
        "IDX files, such as t10k-images-idx3-ubyte[.gz], into a folder DIR/notmnist/ and pass "
        "--data-dir DIR or set XPMLP_DATA_DIR"
    )


def _find_pair(folder: Path, names: tuple[str, str]) -> tuple[Path, Path] | None:
    """Return the files of these names in a folder, plain or with `.gz`, unless one is absent."""
    images, labels = (_find(folder, name) for name in names)
    return (images, labels) if images and labels else None


def _find(folder: Path, name: str) -> Path | None:
    candidates = (folder / name, folder / f"{name}.gz")
    return next((path for path in candidates if path.is_file()), None)


def _public_set(name: str, class_names: tuple[str, ...], places: Places) -> Source:
    for folder in places.folders():
        train, test = (_find_pair(folder / name, names) for names in (_TRAIN, _TEST))
        if train and test:
            return _canonical_set(name, class_names, train, test, tail=10_000)
    cached = _download(name, places)
    train, test = ((cached / images, cached / labels) for images, labels in (_TRAIN, _TEST))
    return _canonical_set(name, class_names, train, test, tail=10_000)


def _download(name: str, places: Places) -> Path:
    from xpmlp.data.download import fetch

    try:
        return fetch(name, places.cache)
    except DataUnavailableError as error:
        if places.data_dir is None:
            raise
        folder = places.data_dir / name
        absent = [file for file in (*_TRAIN, *_TEST) if not _find(folder, file)]
        raise DataUnavailableError(f"{folder} lacks {', '.join(absent)}; {error}") from error


def _canonical_set(
    name: str,
    class_names: tuple[str, ...],
    train: tuple[Path, Path],
    test: tuple[Path, Path],
    tail: int | None,
) -> Source:
    """Read a train and a t10k pair of files."""
    images, labels = read_image_pair(*train, _CLASSES)
    test_images, test_labels = read_image_pair(*test, _CLASSES)
    if images.shape[1:] != test_images.shape[1:]:
        raise InputError(
            f"{test[0]}: images of {test_images.shape[1:]} pixels, "
            f"but those of {train[0]} have {images.shape[1:]}"
        )
    return Source(
        name,
        "classification",
        images.reshape(len(images), -1),
        labels,
        class_names,
        image_shape=(images.shape[1], images.shape[2]),
        full_scale=255.0,
        test=(test_images.reshape(len(test_images), -1), test_labels),
        tail=tail,
    )


def _shuffled_set(rows: Part, origin: Path, seed: int, train: int, validation: int) -> Source:
    """Shuffle images that have no canonical split, and keep those after the first two parts."""
    images, labels = rows
    pool = train + validation
    if len(labels) <= pool:
        raise InputError(f"{origin}: expected more than {pool:,} images, got {len(labels):,}")
    order = random_state(seed).permutation(len(labels))
    x, y = images.reshape(len(images), -1)[order], labels[order]
    return Source(
        "notmnist",
        "classification",
        x[:pool],
        y[:pool],
        _LETTERS,
        image_shape=(images.shape[1], images.shape[2]),
        full_scale=255.0 if x.max() > 1 else 1.0,
        test=(x[pool:], y[pool:]),
        tail=validation,
    )


def _read_archive(path: Path) -> Part:
    from xpmlp.data.tabular import read_table

    table = read_table(path)
    if table.image_shape is None or len(table.class_names) != _CLASSES:
        raise InputError(f"{path}: expected images of the ten letters A to J with labels 0 to 9")
    return table.x.reshape(len(table.x), *table.image_shape), table.y


def _named_notmnist(folder: Path) -> Iterator[Path]:
    """Yield the folders and archives `notmnist*` of a folder, whatever the case of the name."""
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        usable = path.is_dir() or path.suffix == ".npz"
        if usable and path.name.lower().startswith("notmnist"):
            yield path
