"""The figure of every picture, which notebooks show as it is."""

import warnings
from io import BytesIO
from pathlib import Path
from typing import IO, Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure


class Picture(Figure):
    """A figure that is drawn by Agg, and that a notebook shows without `matplotlib.pyplot`.

    A plain `Figure` is shown there only after pyplot has been imported.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        FigureCanvasAgg(self)

    def _repr_png_(self) -> bytes:
        written = BytesIO()
        write_png(self, written, self.dpi)
        return written.getvalue()


def write_png(figure: Figure, file: Path | IO[bytes], dpi: float) -> None:
    """Write a figure as PNG. A letter that the font lacks, as in a name, is drawn as a box."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        if any(axes.get_aspect() != "auto" for axes in figure.axes):
            figure.draw_without_rendering()  # a second layout, as the first takes no account of it
        figure.savefig(file, dpi=dpi, format="png")
