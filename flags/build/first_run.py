"""A first training that a method builds on: its student, and whether it saw the data that this run sees."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tf_keras as keras

import student_nets
from mentornet import methods
from mentornet.runs.samples import read_samples_csv
from mentornet.runs.workdir import Workdir


def student_of(baseline_run: str) -> keras.Model:
    """The student of a finished run: the one its hold-out chose, if it had one, else the last.

    Raises:
        FileNotFoundError: the run is not finished.
    """
    workdir = finished(baseline_run)
    chosen = workdir.early_stopped_file
    return student_nets.load(chosen if chosen.is_file() else workdir.student_file)


def pretrained(source: str) -> keras.Model:
    """The student of a finished run on any data, or of a .keras file.

    Raises:
        FileNotFoundError: there is none, or the run is not finished.
        ValueError: a damaged file, or the ensemble of two networks, which no single one can start from.
    """
    if source.endswith(".keras"):
        return student_nets.load(source)
    workdir = finished(source, "pretrained_run")
    method = workdir.read_run()["identity"].get("method")
    if method in methods.names() and methods.get(method).peers > 1:
        raise ValueError(
            f"--pretrained_run={source} is a run of --method={method}, which has two networks: give one of "
            "scripts/pretrain_simclr.py"
        )
    return student_nets.load(workdir.student_file)


def start_from(network: keras.Model, baseline_run: str) -> None:
    """Copies the weights of a finished run's student.

    Raises:
        FileNotFoundError: the run is not finished.
        ValueError: it is another network.
    """
    # Counters of dropout calls are no weights: the two may differ in dropout.
    own, first = (
        [variable for variable in model.variables if variable.dtype.is_floating]
        for model in (network, student_of(baseline_run))
    )
    if [variable.shape for variable in own] != [variable.shape for variable in first]:
        raise ValueError(f"the student of --baseline_run={baseline_run} is another network than --studentnet")
    for variable, start in zip(own, first, strict=True):
        variable.assign(start)


def check_data(
    baseline_run: str,
    settings: Mapping[str, Any],
    given: np.ndarray,
    ids: np.ndarray,
    paths: Sequence[str] | None = None,
) -> None:
    """Makes sure that a first run was trained on this run's images with this run's labels.

    Samples that only one of them has (a clean set, a hold-out) don't matter, and its student may be any network.
    People's own images are matched by their files, so that some may have been moved to a clean set since.

    Args:
        baseline_run: its folder.
        settings: this run's ``Config.identity()``.
        given: int [n], the labels of this run's noisy samples.
        ids: int [n], their positions in the data set.
        paths: their n files, or None for data sets that are not made of files.

    Raises:
        FileNotFoundError: the run is not finished.
        ValueError: other images or labels, or a folder that does not say which.
    """
    workdir = finished(baseline_run)
    record = workdir.read_run()
    first = record["identity"]
    for before, now in (
        (_images(first), _images(settings)),
        (_folder(first, record.get("folder", "")), _folder(settings, os.getcwd())),
    ):
        if before != now:
            raise ValueError(
                f"--baseline_run={baseline_run} was trained on {before}, but this run is on {now}: "
                "give a first run on the same ones"
            )
    first_names, first_given = _samples(workdir, by_path=paths is not None)
    _, own, others = np.intersect1d(ids if paths is None else list(paths), first_names, return_indices=True)
    if own.size and np.array_equal(np.asarray(given)[own], first_given[others]):
        return
    if _noise(first) == _noise(settings):
        raise ValueError(
            f"--baseline_run={baseline_run} was trained on other labels than this run, though with the same flags: its "
            "images or labels have changed since, train it again"
        )
    raise ValueError(
        f"--baseline_run={baseline_run} was trained on other labels ({_noise(first)}) than this run "
        f"({_noise(settings)}): give a first run with the same noise flags and noise seed"
    )


def suspects(run: str, count: int, *, has_paths: bool) -> tuple[list[Any], bool]:
    """The most suspect images of a finished run.

    Args:
        run: its folder.
        count: how many.
        has_paths: whether this run's images are files.

    Returns:
        Their paths, if both have them, or indices; and whether these are paths.

    Raises:
        FileNotFoundError: no run folder, or the run has no samples.csv.
        ValueError: it has fewer images.
    """
    workdir = Workdir(run)
    if not workdir.is_run_folder():
        raise FileNotFoundError(f"--leave_out_suspects: {run} is no run folder: give one that a training has made")
    if not workdir.samples_file.is_file():
        raise FileNotFoundError(f"--leave_out_suspects: {run} has no samples.csv: finish that training first")
    table = read_samples_csv(workdir.samples_file)
    if count >= len(table["index"]):
        raise ValueError(f"--leave_out_suspects: {run} has {len(table['index']):,} images, so {count:,} are too many")
    by_path = has_paths and "path" in table
    order = np.argsort(table["suspect_rank"], kind="stable")[:count]
    return table["path" if by_path else "index"][order].tolist(), by_path


def _samples(workdir: Workdir, *, by_path: bool) -> tuple[np.ndarray, np.ndarray]:
    """Position in the data set, or file, of each sample of a finished run, and its given label."""
    if by_path:
        table = read_samples_csv(workdir.samples_file)
        return table.get("path", np.empty(0, np.str_)), table["given_label"]
    labels = workdir.read_labels()
    return labels["index"], labels["given"]


def finished(folder: str, flag: str = "baseline_run") -> Workdir:
    """The finished run that a flag names.

    Raises:
        FileNotFoundError: there is none.
    """
    workdir = Workdir(folder)
    if not workdir.is_run_folder():
        raise FileNotFoundError(f"--{flag}={folder} is no run folder: give one that a training has made")
    if not workdir.finished():
        raise FileNotFoundError(f"--{flag}={folder} has no result.json: finish that training first")
    return workdir


def _folder(settings: Mapping[str, Any], started_in: str) -> str:
    """The folder of people's own images, which decides what they are; nothing for data sets known by name."""
    folder = settings.get("data_dir")
    return f"--data_dir={os.path.realpath(os.path.join(started_in, folder))}" if folder else "a known data set"


def _images(settings: Mapping[str, Any]) -> str:
    size = settings.get("image_size")
    return str(settings.get("dataset_name")).removeprefix("tfds:") + (
        f" of size {size}" if size else " of its own size"
    )


def _noise(settings: Mapping[str, Any]) -> str:
    if settings.get("labels_file"):
        return f"--labels_file={settings['labels_file']}"
    shown = f"{settings.get('noise_type')} noise of {settings.get('noise_fraction')}, seed {settings.get('noise_seed')}"
    return f"{shown}, class {settings['noise_class']}" if settings.get("noise_class") is not None else shown
