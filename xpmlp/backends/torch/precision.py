"""The precision of PyTorch's float32 products: settings of the process, always put back.

On a CPU the setting lets oneDNN round both factors to bfloat16, which keeps 8 of 24 bits, and
sum in float32. It is in force for single products, those that it makes faster, and for no others.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

INSTRUCTIONS = {"amx_bf16", "avx512_bf16", "bf16"}  # of Intel and AMD, and of ARM
CPUINFO = Path("/proc/cpuinfo")
FIRST_RELEASE = "2.9"
ONE_AT_A_TIME = threading.RLock()


@contextmanager
def precision_on_cuda(precision: str) -> Iterator[None]:
    """Set PyTorch's precision of float32 products on CUDA, then set it back.

    PyTorch 2.9 renamed the setting; reading the old name after writing the new one is an error.
    """
    setting, tf32 = torch.backends.cuda.matmul, precision == "tf32"
    name, value = (
        ("fp32_precision", "tf32" if tf32 else "ieee")
        if hasattr(setting, "fp32_precision")
        else ("allow_tf32", tf32)
    )
    with _held(setting, name, value):
        yield


@contextmanager
def full_on_cpu() -> Iterator[None]:
    """Have full products on the CPU, also where the process has switched on others."""
    setting = _on_cpu()
    if setting is None or setting.fp32_precision in ("none", "ieee"):
        yield
        return
    with _held(setting, "fp32_precision", "ieee"):
        yield


@contextmanager
def bfloat16() -> Iterator[None]:
    """Have products on the CPU with factors that are rounded to bfloat16, one thread at a time."""
    with ONE_AT_A_TIME, _held(_on_cpu(), "fp32_precision", "bf16"):
        yield


def no_bfloat16() -> str:
    """Return why there are no such products here, "" where there are."""
    if not torch.backends.mkldnn.is_available():
        return f"torch {torch.__version__} is built without oneDNN"
    if _on_cpu() is None:
        return f"torch {torch.__version__} has no switch for it, {FIRST_RELEASE} and newer have"
    known = instructions()
    if known and not known & INSTRUCTIONS:
        return "this processor has neither AMX-BF16 nor AVX512-BF16"
    if not rounds():
        return f"torch {torch.__version__} rounds on processors with AMX-BF16, not on this one"
    return ""


def instructions() -> set[str]:
    """Return the instructions of the processor as Linux names them; none where nobody tells."""
    if hasattr(torch.cpu, "get_capabilities"):
        return {name for name, value in torch.cpu.get_capabilities().items() if value is True}
    try:
        lines = CPUINFO.read_text().splitlines()
    except OSError:
        return set()
    told = [line for line in lines if line.startswith(("flags", "Features"))]
    return set(told[0].partition(":")[2].split()) if told else set()


def rounds() -> bool:
    """Tell whether a product comes out of rounded factors: 1 + 2⁻¹² is 1 in bfloat16."""
    ones, above = (torch.full((64, 64), value) for value in (1.0, 1.0 + 2.0**-12))
    with bfloat16():
        product = above @ ones
    return bool((product == 64.0).all())


def _on_cpu() -> Any:
    """Return the setting of products on the CPU, None in an older PyTorch."""
    setting = getattr(torch.backends.mkldnn, "matmul", None)
    return setting if hasattr(setting, "fp32_precision") else None


@contextmanager
def _held(setting: Any, name: str, value: Any) -> Iterator[None]:
    before = getattr(setting, name)
    setattr(setting, name, value)
    try:
        yield
    finally:
        setattr(setting, name, before)
