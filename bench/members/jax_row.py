"""JAX: the epoch of one net with autograd, mapped over all."""

import jax
import jax.numpy as jnp
import numpy as np

from bench.contenders.jax_row import JaxAutograd, make_epoch
from bench.members.packs import Pack, PackProblem


class JaxVmap(JaxAutograd):
    """`vmap` of the epoch of `JaxAutograd`, a `lax.scan` of its steps, under one `jit`."""

    name = "JAX vmap"
    how = "one program: vmap of a lax.scan over the batches, value_and_grad, state donated"

    def __init__(self, case: Pack, problem: PackProblem, device: str) -> None:
        super().__init__(case, problem, device)
        self.epochs = case.epochs
        self.state = self.state._replace(steps=self.put(jnp.zeros(case.members)))
        mapped = jax.vmap(make_epoch(case), in_axes=(0, None, None, 0))
        self.train = jax.jit(mapped, donate_argnums=0)

    def epoch(self, order: np.ndarray) -> None:
        """Run the program for each epoch of a round; order: (K, N)."""
        for _ in range(self.epochs):
            super().epoch(order)
