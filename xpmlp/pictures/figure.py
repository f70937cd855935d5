"""The figure of every picture, which notebooks show as it is."""

from io import BytesIO
from typing import Any

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
        from xpmlp.pictures.style import write_png

        written = BytesIO()
        write_png(self, written)
        return written.getvalue()
