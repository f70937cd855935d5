"""`python -m xpmlp.reproduce`: run published experiments again, and say which figures agree."""

import argparse
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from xpmlp.commands import Parser, guarded, path, run_as_program
from xpmlp.console import show, warn
from xpmlp.errors import InputError
from xpmlp.recipes.registry import RECIPES, check_names, load

if TYPE_CHECKING:
    from xpmlp.interrupt import StopRequest
    from xpmlp.recipes.base import Recipe
    from xpmlp.recipes.reproduction import Reproduction

PROGRAM = "xpmlp reproduce"


def make_parser() -> argparse.ArgumentParser:
    """Return the parser; it needs no array library, so that --help is quick."""
    parser = Parser(
        prog=PROGRAM,
        usage="%(prog)s [RECIPE ...] [options]",
        description="Run published experiments again, compare their figures with ours, and write "
        "a report with pictures. Without a recipe: list them.",
        epilog="exit codes: 0 all figures agree or are explained, 1 one does not, or a training "
        "or a save failed, 2 bad input or missing data, 130 interrupted (finished recipes are "
        "saved)",
    )
    add = parser.add_argument
    add("recipes", nargs="*", metavar="RECIPE", help=", ".join(RECIPES))
    add("--all", action="store_true", help="run all recipes")
    add("--quick", action="store_true", help="smaller trainings, two minutes for all recipes")
    machine = parser.add_argument_group("data and machine")
    machine.add_argument(
        "--data-dir", type=path, metavar="DIR", help="folder with data sets, before the cache"
    )
    machine.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N [auto]")
    machine.add_argument("--backend", default="auto", metavar="NAME", help="array library [auto]")
    machine.add_argument(
        "--no-fallback", action="store_true", help="fail where --device cuda can't be had"
    )
    results = parser.add_argument_group("results")
    results.add_argument(
        "--out", type=path, metavar="DIR", help="folder of the reports [reproductions/TIME]"
    )
    results.add_argument(
        "--json", action="store_true", help="print one JSON object on stdout, and nothing else"
    )
    results.add_argument("--quiet", action="store_true", help="no header, progress or tables")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    arguments = make_parser().parse_args(argv)
    return guarded(PROGRAM, lambda: run_command(arguments))


def run_command(arguments: argparse.Namespace) -> int:
    """List the recipes, or run those that were named. Raises XpmlpError with a line for people."""
    check_names(arguments.recipes)
    if arguments.all and arguments.recipes:
        raise InputError("give names of recipes or --all, not both")
    names = list(RECIPES if arguments.all else dict.fromkeys(arguments.recipes))
    if not names:
        if _options(arguments) - {"json"}:
            raise InputError("name recipes, or give --all")
        list_recipes(as_json=arguments.json)
        return 0

    reproduction = prepare(arguments, names)
    return run_recipes(reproduction, [load(name) for name in names], arguments)


def _options(arguments: argparse.Namespace) -> set[str]:
    """Return the names of the options that were given."""
    defaults = vars(make_parser().parse_args([]))
    return {name for name, value in vars(arguments).items() if value != defaults[name]}


def list_recipes(*, as_json: bool) -> None:
    """Print name, title and source of every recipe."""
    recipes = [load(name) for name in RECIPES]
    if as_json:
        entries = [{"name": r.name, "title": r.title, "source": r.source} for r in recipes]
        show(json.dumps({"recipes": entries}, indent=2), sys.stdout)
        return
    for recipe in recipes:
        show(f"{recipe.name:<22}{recipe.title}\n{'':<22}{recipe.source}", sys.stdout)
    show(f"\nrun one with python -m xpmlp.reproduce {recipes[0].name}, or --all", sys.stdout)


def prepare(arguments: argparse.Namespace, names: Sequence[str]) -> "Reproduction":
    """Choose the backend and make the folder. Raises InputError where either can't be had."""
    from xpmlp.backends.registry import select_backend
    from xpmlp.data.places import places
    from xpmlp.recipes.base import Setting
    from xpmlp.recipes.folder import claim, make_folder
    from xpmlp.recipes.reproduction import Reproduction

    places(arguments.data_dir)
    selection = select_backend(
        arguments.backend, arguments.device, fallback=not arguments.no_fallback
    )
    backend = selection.backend
    if selection.fallback_reason:
        warn(
            f"warning: no CUDA: {selection.fallback_reason}; "
            f"training on the CPU with {backend.name}"
        )
    setting = Setting(backend.name, backend.device, arguments.data_dir, arguments.quick)
    reproduction = Reproduction(names, setting, selection, make_folder(arguments.out, names))
    claim(reproduction)
    return reproduction


def run_recipes(
    reproduction: "Reproduction", recipes: "Sequence[Recipe]", arguments: argparse.Namespace
) -> int:
    """Run recipes one after the other and save after each; return the exit code."""
    from xpmlp.interrupt import graceful_interrupt
    from xpmlp.recipes.running import raise_if_requested
    from xpmlp.recipes.terminal import header

    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    _say(header(reproduction), arguments)
    with graceful_interrupt() as stop:
        try:
            for recipe in recipes:
                raise_if_requested(stop)
                _run(recipe, reproduction, stop, arguments)
        except KeyboardInterrupt:
            reproduction.interrupted = True
        stop.saving = True
        _finish(reproduction, arguments)
    return reproduction.exit_code


def _run(
    recipe: "Recipe",
    reproduction: "Reproduction",
    stop: "StopRequest",
    arguments: argparse.Namespace,
) -> None:
    """Run one recipe, say and save what came of it."""
    from xpmlp.recipes.folder import save_overview, save_recipe
    from xpmlp.recipes.progress import make_progress
    from xpmlp.recipes.running import missing_lines, plans_of, run_recipe
    from xpmlp.recipes.terminal import recipe_text

    plans = plans_of(recipe, reproduction.setting)
    for line in missing_lines(plans):
        warn(f"{PROGRAM}: {recipe.name}: {line}")
    epochs = sum(plan.epochs for plan in plans.values() if not plan.missing)
    stream = _stream(arguments)
    progress = make_progress(recipe.name, epochs, quiet=arguments.quiet, stream=stream)
    folder = reproduction.folder / recipe.name
    try:
        outcome = run_recipe(recipe, reproduction.setting, plans, folder, progress, stop)
    finally:
        progress.close()
    reproduction.outcomes.append(outcome)
    stop.saving = stop.requested
    save_recipe(reproduction, outcome)
    save_overview(reproduction)
    stop.saving = False
    for problem in outcome.drawing.problems:
        warn(f"warning: {recipe.name}: {problem}")
    if outcome.failure:
        warn(f"{PROGRAM}: {recipe.name}: {outcome.failure}")
    else:
        _say(recipe_text(outcome), arguments)
    if outcome.drawing.interrupted:
        raise KeyboardInterrupt


def _finish(reproduction: "Reproduction", arguments: argparse.Namespace) -> None:
    """Draw the picture of all, save for the last time, and say how it ended."""
    from xpmlp.recipes.folder import save_overview, save_picture
    from xpmlp.recipes.reproduction import figures
    from xpmlp.recipes.terminal import last_lines

    try:
        save_picture(reproduction)
    except Exception as error:
        warn(f"warning: verdicts.png could not be drawn: {type(error).__name__}: {error}")
    save_overview(reproduction)
    if arguments.json:
        text = json.dumps(figures(reproduction), indent=2, allow_nan=False)
        if not show(text, sys.stdout):
            reproduction.unsaved[Path("stdout")] = "the JSON could not be printed"
    _say(last_lines(reproduction), arguments)
    for file, reason in reproduction.unsaved.items():
        warn(f"{PROGRAM}: can't write {file}: {reason}")
    names = [o.recipe.name for o in reproduction.outcomes if not o.is_reproduced]
    if reproduction.interrupted:
        finished = f"the finished recipes are in {reproduction.folder}"
        warn(
            f"{PROGRAM}: interrupted; "
            f"{finished if reproduction.outcomes else 'no recipe was finished'}"
        )
    elif names:
        page = reproduction.folder / "verdicts.md"
        warn(f"{PROGRAM}: not reproduced: {', '.join(names)}; see {page}")


def _say(text: str, arguments: argparse.Namespace) -> None:
    if not arguments.quiet:
        show(text, _stream(arguments))


def _stream(arguments: argparse.Namespace) -> TextIO:
    """Return where people read: with --json stdout belongs to a machine."""
    return sys.stderr if arguments.json else sys.stdout


if __name__ == "__main__":
    run_as_program(main)
