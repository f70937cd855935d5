"""Where the arrays of a data set lie that stays on disk: a folder of shards, or a pair of files.

A folder of shards has a manifest, which `python -m xpmlp.convert` writes last: the features and
the labels of each shard of each part, and what is known of them. Without one a folder has `x.npy`
and `y.npy`, and perhaps `x_validation.npy`, `x_test.npy` and their labels; a single pair may also
be called `NAME_x.npy` and `NAME_y.npy`, and is named by its features.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from xpmlp.data.kinds import check_kinds, read_json
from xpmlp.errors import InputError

MANIFEST, VERSION = "manifest.json", 1
PARTS = ("train", "validation", "test")
Pair = tuple[str, str]  # names of files in the folder: features, labels


@dataclass(frozen=True)
class Shards:
    """The pairs of files of each part, and what is known of them.

    task, class_names: of labels that number their classes; "": to be told from the labels.
    image_shape: (H, W) of images. columns: of a table the rule of each of its columns.
    """

    parts: dict[str, list[Pair]]
    task: str = ""
    class_names: tuple[str, ...] = ()
    feature_names: tuple[str, ...] = ()
    image_shape: tuple[int, int] | None = None
    label: tuple[str, ...] = ()
    columns: tuple[dict[str, Any], ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return the object of a manifest."""
        return {"version": VERSION, **asdict(self)}


def lies_in_arrays(path: str | Path) -> bool:
    """Tell whether a path names what stays on disk."""
    place = Path(path).expanduser()
    if place.is_dir():
        return (place / MANIFEST).is_file() or (place / "x.npy").is_file()
    return place.suffix == ".npy" or place.name == MANIFEST


def find_shards(path: str | Path) -> tuple[Path, Shards]:
    """Return the folder of a data set that stays on disk, and what lies in it.

    Raises InputError, naming the file, for what is not as the module describes it.
    """
    place = Path(path).expanduser()
    if place.name == MANIFEST:
        place = place.parent
    if (place / MANIFEST).is_file():
        return place, read_manifest(place / MANIFEST)
    if place.is_dir():
        found = {part: ("x.npy", "y.npy") if part == "train" else _pair(part) for part in PARTS}
        return place, _there(place, {k: v for k, v in found.items() if (place / v[0]).is_file()})
    prefix = place.name.removesuffix("x.npy")
    if prefix == place.name or prefix[-1:] not in ("", "_", "-", "."):
        raise InputError(
            f"{path}: expected the features of a pair, x.npy beside y.npy, or NAME_x.npy beside "
            "NAME_y.npy"
        )
    return place.parent, _there(place.parent, {"train": (place.name, f"{prefix}y.npy")})


def read_manifest(path: Path) -> Shards:
    """Read a manifest. Raises InputError, naming it, for anything but one that convert wrote."""
    names = ("class_names", "feature_names", "label")
    try:
        found = read_json(path.read_text("utf-8"))
        check_kinds(found, {"version": int, "task": str, "image_shape": ([int], None)})
        check_kinds(found, {**{name: [str] for name in names}, "columns": [dict]})
        if found["version"] != VERSION:
            raise ValueError(f"its version is {found['version']}, this program reads {VERSION}")
        parts = dict(found["parts"])
        check_kinds(parts, {part: [[str]] for part in PARTS}, PARTS[1:])
        shape = found["image_shape"]
        return Shards(
            {part: [(x, y) for x, y in files] for part, files in parts.items()},
            found["task"],
            class_names=tuple(found["class_names"]),
            feature_names=tuple(found["feature_names"]),
            image_shape=(shape[0], shape[1]) if shape else None,
            label=tuple(found["label"]),
            columns=tuple(found["columns"]),
        )
    except OSError as error:
        raise InputError(f"{path}: can't be read: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise InputError(f"{path}: not a manifest of shards ({error})") from error


def _pair(part: str) -> Pair:
    return f"x_{part}.npy", f"y_{part}.npy"


def _there(folder: Path, pairs: dict[str, Pair]) -> Shards:
    """Return the shards of files of which each is there. Raises InputError, naming one."""
    for x, y in pairs.values():
        for name in (x, y):
            if not (folder / name).is_file():
                raise InputError(f"{folder / name}: there is no such file; {x} goes with {y}")
    return Shards({part: [pair] for part, pair in pairs.items()})
