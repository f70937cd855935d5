"""The ways to train many nets, by name; a library is imported with its row."""

from bench.contenders import Entry


def _row(name: str, package: str) -> Entry:
    return Entry({"cpu": f"{name}"}, package, folder="bench.members")


CONTENDERS: dict[str, Entry] = {
    "xpmlp numpy": _row("xpmlp_rows.Native", "numpy"),
    "xpmlp numpy replay": _row("xpmlp_rows.Replayed", "numpy"),
    "xpmlp jax": _row("xpmlp_rows.OverJax", "jax"),
    "xpmlp torch": _row("xpmlp_rows.OverTorch", "torch"),
    "one by one, replayed": _row("xpmlp_rows.OneByOneReplayed", "numpy"),
    "one by one, two processes": _row("two_processes.TwoProcesses", "numpy"),
    "JAX vmap": _row("jax_row.JaxVmap", "jax"),
    "torch.func vmap": _row("torch_row.TorchVmap", "torch"),
    "TabPack": _row("tabpack_row.TabPack", "torch"),
}
OWN = tuple(name for name in CONTENDERS if name.startswith("xpmlp"))
