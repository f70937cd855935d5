"""Where data may lie on disk: the folder that a person named, then the user's cache."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from xpmlp.errors import InputError

VARIABLE = "XPMLP_DATA_DIR"


@dataclass(frozen=True)
class Places:
    """The folders to look in; `data_dir` is read only, downloads go into `cache`."""

    data_dir: Path | None = None

    @property
    def cache(self) -> Path:
        """The user's cache folder for xpmlp; it need not exist."""
        import pooch

        return Path(pooch.os_cache("xpmlp"))

    def folders(self) -> Iterator[Path]:
        """Yield the folders in the order in which they are searched."""
        if self.data_dir is not None:
            yield self.data_dir
        yield self.cache


def places(data_dir: str | Path | None) -> Places:
    """Return the places for `data_dir`, or for the variable XPMLP_DATA_DIR where it is None.

    Raises InputError when the folder that was named doesn't exist.
    """
    named = data_dir if data_dir is not None else os.environ.get(VARIABLE) or None
    if named is None:
        return Places()
    folder = Path(named).expanduser()
    if not folder.is_dir():
        origin = "--data-dir" if data_dir is not None else VARIABLE
        raise InputError(f"{origin}: there is no folder {folder}")
    return Places(folder)
