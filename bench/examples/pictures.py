"""How far two pictures differ, and a picture of both to look at."""

import shutil
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

VISIBLE = 8 / 255
SIDES = ("scikit-learn", "xpmlp")
DIFFERENCE = "pixels that differ"
SMALLEST, LARGEST = 200, 1000


class Pictures:
    """The pictures of a script, NAME-N-SIDE.png, and of both sides, NAME-N-compare.png.

    names: of the latter.
    """

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.folder = name, folder
        self.names: list[str] = []

    def compare(self, theirs: list[Path], ours: list[Path]) -> list[float]:
        """Keep and draw the pictures; return the share of pixels that differ, one by one.

        A figure that one of the two lacks differs everywhere.
        """
        return [self._compare(*pair) for pair in zip_longest(theirs, ours)]

    def _compare(self, *pair: Path | None) -> float:
        stem = f"{self.name}-{len(self.names) + 1}"
        for side, path in zip(SIDES, pair, strict=True):
            if path:
                shutil.copy(path, self.folder / f"{stem}-{side}.png")
        self.names.append(f"{stem}-compare.png")
        images = [_read(path) for path in pair]
        difference = differing(*images)
        draw(dict(zip(SIDES, images, strict=True)), difference, self.folder / self.names[-1])
        return float(difference.mean())


def own_share(first: list[Path], second: list[Path]) -> float | None:
    """Return the largest share of pixels that differ; None where one has fewer pictures."""
    if len(first) != len(second):
        return None
    pairs = zip(first, second, strict=True)
    return max((float(differing(_read(a), _read(b)).mean()) for a, b in pairs), default=0.0)


def differing(first: "np.ndarray", second: "np.ndarray") -> "np.ndarray":
    """Return which pixels (H, W) differ by more than 8 of 255 in some channel; all, if in size."""
    import numpy as np

    if first.shape != second.shape:
        return np.ones(np.maximum(first.shape[:2], second.shape[:2]), dtype=bool)
    different: np.ndarray = (np.abs(first - second) > VISIBLE).any(axis=2)
    return different


def _read(path: Path | None) -> Any:
    """Return a picture (H, W, 4) of numbers in [0, 1]; of none, a single pixel."""
    import matplotlib.image
    import numpy as np

    return np.ones((1, 1, 4)) if path is None else matplotlib.image.imread(path)


def draw(images: dict[str, "np.ndarray"], difference: "np.ndarray", path: Path) -> None:
    """Draw pictures side by side, wide ones one below the other, and where they differ."""
    from matplotlib.figure import Figure

    height, width = difference.shape
    panels = images | ({DIFFERENCE: difference} if difference.any() else {})
    scale = min(max(SMALLEST / min(height, width), 1), LARGEST / max(height, width)) / 100
    rows, columns = (len(panels), 1) if width > 1.6 * height else (1, len(panels))
    size = (columns * width * scale, rows * (height * scale + 0.3))
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes, (title, image) in zip(grid.flat, panels.items(), strict=True):
        axes.imshow(image, cmap="gray_r", vmin=0, vmax=1)
        axes.set_title(title)
        axes.axis("off")
    figure.savefig(path, dpi=100)
