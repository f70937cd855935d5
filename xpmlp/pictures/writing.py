"""Figures as files."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from xpmlp.files import put_in_place
from xpmlp.pictures.style import save

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def write_figures(named: Iterable[tuple[str, "Figure"]], directory: Path) -> list[Path]:
    """Write figures as NAME.png into a folder, made where it is missing; return the paths."""
    directory.mkdir(parents=True, exist_ok=True)
    return [_write_whole(figure, directory / f"{name}.png") for name, figure in named]


def _write_whole(figure: "Figure", path: Path) -> Path:
    with put_in_place(path) as unfinished:
        save(figure, unfinished)
    return path
