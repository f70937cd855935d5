import pytest

from tests.cuda import devices


@pytest.fixture(autouse=True)
def needs_a_gpu():
    if devices.PROBLEM:
        pytest.skip(devices.PROBLEM)


@pytest.fixture(params=("no GPU",) if devices.PROBLEM else devices.NAMES)
def gpu(request, needs_a_gpu) -> devices.Place:
    """Each library on the GPU; without one a single parameter, which is skipped."""
    if request.param != "numpy":
        pytest.importorskip(request.param, reason=f"{request.param} is not installed")
    return devices.Place(request.param, devices.DEVICE)
