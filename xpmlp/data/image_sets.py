"""The MNIST family: how its sets name their files and folders, and what their labels mean."""

import string
from pathlib import Path
from typing import Literal, NamedTuple

_DIGITS = tuple(string.digits)
_CAPITALS = tuple(string.ascii_uppercase)
_SMALL = tuple(string.ascii_lowercase)
_MERGED = (*_DIGITS, *_CAPITALS, *"abdefghnqrt")
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
_HIRAGANA = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")

Tail = int | Literal["test"] | None


class ImageSet(NamedTuple):
    """A set of images in IDX files.

    class_names: those of its labels in their order; none: the labels themselves.
    called: the names of folders that people give it, as `plain_name` has them.
    train, test: what the names of the files begin with.
    label_types: how the names of the files with labels may end.
    first_label: the label of the first class.
    transposed: whether the files hold each image column by column.
    tail: how many rows at the end of the training rows validate; `test`: as many as there are
        test rows; None: a seeded choice.
    """

    name: str
    class_names: tuple[str, ...]
    called: tuple[str, ...]
    train: str = "train"
    test: str = "t10k"
    label_types: tuple[str, ...] = ("idx1-ubyte",)
    first_label: int = 0
    transposed: bool = False
    tail: Tail = 10_000

    @property
    def is_told_by_files(self) -> bool:
        """Whether the names of the files tell the set; many sets have those of MNIST."""
        return self.train != "train"


def _emnist(
    split: str, class_names: tuple[str, ...], tail: Tail = "test", first_label: int = 0
) -> ImageSet:
    """Return a split of EMNIST. Its validation rows: Cohen et al., arXiv:1702.05373, II-D."""
    name = f"emnist-{split}"
    return ImageSet(
        name,
        class_names,
        (f"emnist{split}", "emnist"),
        train=f"{name}-train",
        test=f"{name}-test",
        first_label=first_label,
        transposed=True,
        tail=tail,
    )


IMAGE_SETS = {
    one.name: one
    for one in (
        ImageSet("mnist", _DIGITS, ("mnist",)),
        ImageSet("fashion-mnist", _FASHION, ("fashionmnist", "fashion")),
        ImageSet("kmnist", _HIRAGANA, ("kmnist",)),
        ImageSet(
            "qmnist",
            _DIGITS,
            ("qmnist",),
            train="qmnist-train",
            test="qmnist-test",
            label_types=("idx2-int", "idx1-ubyte"),
        ),
        _emnist("balanced", _MERGED),
        _emnist("byclass", (*_DIGITS, *_CAPITALS, *_SMALL), tail=None),
        _emnist("bymerge", _MERGED, tail=None),
        _emnist("digits", _DIGITS),
        _emnist("letters", _CAPITALS, first_label=1),
        _emnist("mnist", _DIGITS),
    )
}
NOTMNIST = ImageSet("notmnist", _CAPITALS[:10], ("notmnist",), tail=None)


def set_of_ones_own(name: str) -> ImageSet:
    """Return a set whose files have the names of MNIST's, and whose labels may be any bytes."""
    return ImageSet(name, (), (), tail=None)


def is_transposed(path: str | Path) -> bool:
    """Tell from a file's name whether it holds each image column by column, as EMNIST's do."""
    return Path(path).name.lower().startswith("emnist-")


def plain_name(name: str) -> str:
    """Return a name without capitals, hyphens and underscores: `fashionmnist`."""
    return name.lower().replace("-", "").replace("_", "")
