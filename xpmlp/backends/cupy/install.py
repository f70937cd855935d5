"""Which CuPy is installed, and whether it suits the driver; asked without importing it."""

from importlib import metadata

from xpmlp.backends.cuda_driver import Driver

CUDA_OF_PACKAGE = {"cupy": 0, "cupy-cuda11x": 11, "cupy-cuda12x": 12, "cupy-cuda13x": 13}


def installed_packages() -> dict[str, str]:
    """Return the versions of the installed CuPy packages, of which there should be one."""
    found = {}
    for name in CUDA_OF_PACKAGE:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def suited_package(driver: Driver) -> str:
    """Return the installed wheel where it is one that the driver supports, else the best one."""
    found = list(installed_packages())
    if found in (["cupy-cuda12x"], ["cupy-cuda13x"]) and not problem(driver):
        return found[0]
    return "cupy-cuda12x" if (0, 0) < driver.cuda_version < (13, 0) else "cupy-cuda13x"


def problem(driver: Driver) -> str:
    """Return why the installed CuPy can't run with this driver, "" where nothing is known."""
    found = installed_packages()
    if len(found) > 1:
        return f"{' and '.join(found)} are installed at once, and overwrite each other's files"
    for name, version in found.items():
        if reason := driver.too_old_for(CUDA_OF_PACKAGE[name]):
            return f"{name} {version} {reason}"
    return ""


def packages_in_the_way(driver: Driver) -> list[str]:
    """Return what pip has to uninstall before it installs the package that suits the driver.

    Where there are several, that is all: each has overwritten files of the others.
    """
    found = list(installed_packages())
    return [] if found == [suited_package(driver)] else found
