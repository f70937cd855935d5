"""JAX on the CPU or on CUDA: the step under `jit`, the epoch as one `lax.scan`."""

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.experimental import io_callback
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from xpmlp.backends.base import Backend, Compilation, EpochPlan
from xpmlp.backends.cuda_driver import query_driver
from xpmlp.errors import BackendUnavailableError
from xpmlp.leaves import map_tree
from xpmlp.types import Array, Batch, Hyper, Namespace

ROWS = "rows"
PRECISIONS = {"full": "highest", "tf32": "tensorfloat32"}


class CompiledStep:
    """A pure function under `jit`, with the loop over its full batches as one program.

    precision: of its products, in JAX's words. unroll: steps in one turn of the loop. mesh: of
    several devices, which then share the rows of each step. how: the way through an epoch.
    """

    how = "one lax.scan under jit"

    def __init__(
        self,
        function: Callable[..., Any],
        precision: str = "highest",
        unroll: int = 1,
        mesh: Mesh | None = None,
    ) -> None:
        self.precision, self.unroll, self.mesh = precision, unroll, mesh
        self.step = jax.jit(function)
        self.scan = jax.jit(self._scan)

    def __call__(self, *arguments: Any) -> Any:
        """Run the function once."""
        with jax.default_matmul_precision(self.precision):
            return self.step(*arguments)

    def run(self, state: Any, data: Batch, index: Array, rates: Array, hyper: Hyper) -> Any:
        """Run all full batches; index: (S, ..., B), rates: (S, ...)."""
        with jax.default_matmul_precision(self.precision):
            return self.scan(state, data, index, rates, hyper)

    def _scan(self, state: Any, data: Batch, index: Array, rates: Array, hyper: Hyper) -> Any:
        def body(state: Any, at: tuple[Array, Array]) -> tuple[Any, Array]:
            rows, rate = at
            batch = self.shared(gather(data, rows), rows.ndim - 1)
            state, metrics = self.step(state, batch, hyper._replace(learning_rate=rate))
            return state, metrics

        return lax.scan(body, state, (index, rates), unroll=self.unroll)

    def shared(self, batch: Batch, axis: int) -> Batch:
        """Part the rows, which lie along an axis, among the devices, if they divide evenly."""
        if self.mesh is None or batch.x.shape[axis] % self.mesh.size:
            return batch
        places = NamedSharding(self.mesh, PartitionSpec(*(None,) * axis, ROWS))
        parted: Batch = map_tree(lambda a: lax.with_sharding_constraint(a, places), batch)
        return parted


def gather(data: Batch, index: Array) -> Batch:
    """Take the rows at index (B,) or (K, B), without `take`'s check of every index."""
    batch: Batch = map_tree(lambda rows: rows[index], data)
    return batch


def no_gpu(error: RuntimeError) -> str:
    """Return why JAX has no GPU here: by the plugin that it would use, else in its own words."""
    plugins = [major for major in (13, 12) if find_spec(f"jax_cuda{major}_plugin")]
    if not plugins:
        return "has no plugin for CUDA"
    if too_old := query_driver().too_old_for(plugins[0]):
        return f"has a plugin that {too_old}"
    return f"can't use its plugin for CUDA {plugins[0]}: {error}"


class JaxBackend(Backend):
    """JAX's compiler under the hand-derived mathematics.

    A float64 backend turns on JAX's `jax_enable_x64`, for the whole process and for good. Where JAX
    was told to have several devices on the CPU, they share the rows of each step.
    """

    name = "jax"
    xp = jnp
    library = f"jax {jax.__version__}"
    unroll = 1  # steps in one turn of the loop; to be measured on a GPU

    def __init__(self, device: str, dtype: str, matmul_precision: str = "full") -> None:
        super().__init__(device, dtype, matmul_precision)
        if dtype == "float64":
            jax.config.update("jax_enable_x64", True)
        kind, _, number = device.partition(":")
        try:
            devices = jax.devices(kind)
            self.jax_device = devices[int(number or 0)]
        except RuntimeError as error:
            if kind == "cpu":
                raise
            raise BackendUnavailableError(f"{self.library} {no_gpu(error)}") from None
        several = kind == "cpu" and len(devices) > 1
        self.mesh = Mesh(np.array(devices), (ROWS,)) if several else None
        self.place: Any = self.jax_device
        if self.mesh:
            self.place = NamedSharding(self.mesh, PartitionSpec())
            self.library += f", {self.mesh.size} devices"

    def asarray(self, array: Any) -> Array:
        """Put an array on the device; integers of the host become int32 unless x64 is on."""
        if isinstance(array, jax.Array):
            floats = jnp.issubdtype(array.dtype, jnp.floating)
            return jax.device_put(array.astype(self.dtype) if floats else array, self.place)
        host = self._host(array)
        if host.dtype.kind in "iu":
            host = host.astype(np.int64 if jax.config.jax_enable_x64 else np.int32)
        return jax.device_put(host, self.place)

    def compile(
        self,
        make: Callable[[Namespace], Callable[..., Any]],
        wish: Compilation | None = None,  # noqa: ARG002
    ) -> CompiledStep:
        """Return the function that `make` makes, under `jit`."""
        precision = PRECISIONS[self.matmul_precision]
        return CompiledStep(make(self.xp), precision, self.unroll, self.mesh)

    def run_epoch(
        self, step: Any, state: Any, data: Batch, plan: EpochPlan, hyper: Hyper
    ) -> tuple[Any, np.ndarray]:
        """Scan over the full batches, then step once over the ragged tail."""
        if plan.order is None:
            return super().run_epoch(step, state, data, plan, hyper)
        full = plan.order.shape[-1] // plan.batch_size
        cut = full * plan.batch_size
        head = plan.order[..., :cut].reshape(*plan.order.shape[:-1], full, plan.batch_size)
        rates = self.asarray(plan.learning_rates)
        state, metrics = step.run(
            state, data, self.asarray(np.moveaxis(head, -2, 0)), rates[:full, ...], hyper
        )
        if cut < plan.order.shape[-1]:
            batch = gather(data, self.asarray(plan.order[..., cut:]))
            state, last = step(state, batch, hyper._replace(learning_rate=rates[full, ...]))
            metrics = jnp.concatenate([metrics, last[None]])
        return state, self.to_numpy(metrics)

    def on_host(
        self, function: Callable[..., np.ndarray], shape: tuple[int, ...], *arrays: Array
    ) -> Array:
        """Return what a function of NumPy arrays gives, from within a compiled program too.

        In their order, as others may wait for each call.
        """
        form = jax.ShapeDtypeStruct(shape, self.dtype)
        return io_callback(function, form, *arrays, ordered=True)

    def prefers_ensembles(self, multiplications: int, shrinking: bool = False) -> bool:
        """Tell whether ensembles are faster; one that shrinks is compiled anew for each size."""
        return super().prefers_ensembles(multiplications) and not shrinking

    def synchronize(self, tree: Any) -> None:
        """Wait until the arrays are computed; JAX has no wait for a whole device."""
        jax.block_until_ready(tree)

    def device_name(self) -> str:
        """Return the name of the processor or of the GPU."""
        return super().device_name() if self.device == "cpu" else str(self.jax_device.device_kind)

    def memory(self) -> int:
        """Return the peak of JAX's allocations on the device, in bytes."""
        statistics = self.jax_device.memory_stats() or {}
        return int(statistics.get("peak_bytes_in_use") or super().memory())

    def free_memory(self) -> int:
        """Return what JAX may still allocate on the device, in bytes."""
        statistics = self.jax_device.memory_stats() or {}
        if "bytes_limit" not in statistics:
            return super().free_memory()
        return int(statistics["bytes_limit"] - statistics.get("bytes_in_use", 0))

    def is_out_of_memory(self, error: BaseException) -> bool:
        """Tell whether XLA, or the host, ran out of memory."""
        text = str(error)
        known = "RESOURCE_EXHAUSTED" in text or "out of memory" in text.lower()
        return known or isinstance(error, MemoryError)
