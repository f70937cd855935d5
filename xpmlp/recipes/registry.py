"""Names of recipes, and `load`, which turns a name into a `Recipe`.

Nothing is imported here but the standard library: a recipe's module comes with its use.
"""

from collections.abc import Iterable
from importlib import import_module
from typing import TYPE_CHECKING

from xpmlp.errors import unknown_name

if TYPE_CHECKING:
    from xpmlp.recipes.base import Recipe

RECIPES = {
    "purdue-moons": "purdue_moons",
    "bu-two-layer": "bu_two_layer",
    "psu-xor-spiral-iris": "psu_xor_spiral_iris",
    "vu-scalar-to-batched": "vu_scalar_to_batched",
    "toronto-notmnist": "toronto_notmnist",
}


def check_names(names: Iterable[str]) -> None:
    """Raise InputError for a name that is no recipe's; its text lists those there are."""
    for name in names:
        if name not in RECIPES:
            raise unknown_name("recipe", name, RECIPES)


def load(name: str) -> "Recipe":
    """Import a recipe's module and return the recipe. Raises InputError for an unknown name."""
    check_names([name])
    recipe: Recipe = import_module(f"xpmlp.recipes.{RECIPES[name]}").RECIPE
    return recipe
