"""A run into its folder: its config as it came to be, its results, its pictures, its report."""

import logging
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from xpmlp.backends.base import Backend
from xpmlp.backends.registry import Selection
from xpmlp.data.dataset import Dataset
from xpmlp.data.places import places
from xpmlp.data.registry import dataset_names
from xpmlp.errors import RunError
from xpmlp.pages.html_report import REPORT, RunPage, read_pictures, save_report
from xpmlp.runs.directory import RunDirectory, find_model
from xpmlp.runs.lock import FolderLock
from xpmlp.runs.seed_summary import seeds_text, summarize_seeds
from xpmlp.runs.summary import summarize, summary_text
from xpmlp.training.config import Config
from xpmlp.training.defaults import filled
from xpmlp.training.finished import FinishedRun, TrainedRun
from xpmlp.training.targets import resolve_loss


def save_run(run: TrainedRun, path: Path, *, pictures: bool) -> Path:
    """Write the folder of a run, as `Run.save` says; return its path."""
    trainer, data = run.trainer, run.data
    config = config_of(run)
    selection = Selection(
        trainer.backend,
        run.config.device,
        matmul_precision_requested=run.config.matmul_precision,
    )
    with FolderLock() as lock:
        directory = RunDirectory.create(path, config, lock, _about(data))
        figures = summarize(run, selection, str(path))
        problems = directory.save_checkpoints([trainer]) or directory.save_results(run, figures)
        if problems:
            raise RunError(f"can't write {'; '.join(problems)}")
        for problem in draw([run], figures, directory) if pictures else ():
            warnings.warn(problem, RuntimeWarning, stacklevel=4)
    return path


def config_of(run: TrainedRun) -> Config:
    """Return the config of a run as its folder has it."""
    return resolved(_naming(run.config, run.data), run.trainer.backend, run.data)


def resolved(config: Config, backend: Backend, data: Dataset) -> Config:
    """Return the config with every `auto` replaced by what it came to, and absolute paths.

    Whether steps are compiled is for their `Problem` to decide.
    """
    named = config.dataset in dataset_names()
    folder = places(config.data_dir).data_dir
    config = filled(config, data)
    if data.about:
        config = config.replace(**data.about.wishes())
    return config.replace(
        dataset=data.name if named else _absolute(config.dataset),
        data_dir=str(folder.resolve()) if folder else None,
        initial=config.initial and str(find_model(Path(config.initial).expanduser()).resolve()),
        loss=resolve_loss(config.loss, data),
        scale=data.scale,
        backend=backend.name,
        device=backend.device,
        matmul_precision=backend.matmul_precision,
    )


def save_results(
    runs: Sequence[TrainedRun], selection: Selection, directory: RunDirectory
) -> tuple[dict[str, Any], str, list[str]]:
    """Save every net's results; return the run's figures, its summary, what was not written."""
    each, problems = [], directory.begin_results()
    can_change = not directory.is_marked
    for run, place in zip(runs, directory.members, strict=True):
        each.append(summarize(run, selection, str(place.path)))
        problems += place.save_results(run, each[-1]) if can_change else []
    if not directory.config.seeds:
        text = [summary_text(runs[0], each[0]), _where(directory, problems)]
        return each[0], "\n".join(filter(None, text)), problems
    figures = summarize_seeds(each, str(directory.path))
    problems = problems or directory.save_summary(figures)
    return figures, f"{seeds_text(figures)}\n{_where(directory, problems)}", problems


def _where(directory: RunDirectory, problems: list[str]) -> str:
    """Return the line on where the results are, if they could all be written."""
    if problems:
        return f"not all results could be written to {directory.path}"
    seeds = ", those of each seed in seed-N" if directory.config.seeds else ""
    return f"results in {directory.path}{seeds}"


def draw(
    runs: Sequence[FinishedRun], figures: dict[str, Any], directory: RunDirectory
) -> Iterator[str]:
    """Draw the pictures, write the report; yield a line for what fails."""
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    try:
        pictures = directory.save_pictures(runs)
    except Exception as error:
        yield f"the pictures could not be drawn: {type(error).__name__}: {error}"
        return
    try:
        page = RunPage(runs, directory.config, figures, read_pictures(pictures))
        save_report(page, directory.path / REPORT)
    except Exception as error:
        yield f"{REPORT} could not be written: {type(error).__name__}: {error}"


def _naming(config: Config, data: Dataset) -> Config:
    """Return the config with the name of the data and how it was parted, also of data handed in.

    Of rows that are neither a known set nor a file it is the name that their maker gave them.
    """
    if data.parted:
        validation, seed = data.parted
        config = config.replace(validation=validation, data_seed=seed)
    if config.dataset == "auto" and data.name in ("mnist", "digits"):
        return config
    if data.name in (config.dataset, _absolute(config.dataset)):
        return config
    if data.parted:
        return config.replace(dataset=data.name)
    return config.replace(dataset=data.name, validation=len(data.validation))


def _absolute(name: str) -> str:
    """Return the absolute path of a file; a name that is none stays."""
    path = Path(name).expanduser()
    return str(path.resolve()) if path.exists() else name


def _about(data: Dataset) -> str:
    """Return what stands as comments in config.toml: what the rows were taken for."""
    if data.about:
        return data.about.text()
    if data.name in dataset_names():
        return ""
    return f"The rows of {data.name} were arrays in Python, which no option names."
