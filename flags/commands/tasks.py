"""What the scripts do with a checked configuration: train, evaluate, dump losses."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from pathlib import Path
from typing import Any

import tensorflow as tf
import tf_keras as keras
from absl import logging

from data.imagenet import batches as unreadable_data
from flags import configuration
from flags.build import curricula, in_memory, plan, preparation, segmentation
from flags.commands import before_data, estimating, evaluating_masks, making, messages, suspects, trained_run
from flags.define import released_flags
from flags.settings import Config
from mentornet import methods
from mentornet.runs.metrics_table import last_known
from mentornet.runs.workdir import Workdir
from mentornet.training import checkpoints, determinism, evaluate, run
from mentornet.training.distribution import serving
from mentornet.training.distribution import strategy as distributions
from mentornet.training.distribution.strategy import Distribution
from mentornet.training.progress import Heartbeat


def run_script(script: str, config: Config, build: Any = in_memory) -> None:
    """Does what ``config`` asks for; a user's mistake ends with one sentence and exit code 1.

    ``build`` is the module that makes objects of the configuration: ``flags.build.in_memory`` for data sets held in
    memory, ``flags.build.imagenet`` for those read from the disk.
    A process of a cluster that lost another one ends with ``serving.PEER_LOST``, and is to be started again.
    """
    clustered = config.distribution.strategy in ("multi_worker", "parameter_server")
    with serving.leaving_at_once() if clustered else contextlib.nullcontext():
        _run_task(os.path.basename(script), config, clustered, build)


def _run_task(name: str, config: Config, clustered: bool, build: Any) -> None:
    try:
        _prepare_tensorflow(config)
        task = {
            "evaluate": evaluate_run,
            "dump_losses": dump_losses,
            "suspects": suspects.write,
            "estimate": estimate_noise,
        }.get(config.run.mode, train)
        task(config, build)
    except BrokenPipeError:
        raise  # nobody reads what is printed; see ``quiet.ends_with_its_reader``
    except (ValueError, OSError, tf.errors.OpError) as error:
        if clustered and serving.is_peer_lost(error):
            configuration.fail(name, serving.peer_lost(error), code=serving.PEER_LOST)
        if config.run.tensorflow_logs:
            raise
        configuration.fail(name, _explained(error), code=1)
    except KeyboardInterrupt:
        configuration.fail(name, ValueError(messages.STOPPED), code=130)


def _explained(error: Exception) -> Exception:
    """The error as a user can act on it."""
    gone = isinstance(error, tf.errors.OpError) and unreadable_data.GONE in str(error)
    return ValueError(unreadable_data.GONE) if gone else determinism.explained(error)


def train(config: Config, build: Any = in_memory) -> dict[str, Any]:
    """Trains, or continues, or says that the run is finished. Returns result.json's content."""
    assert config.run.train_log_dir is not None
    if config.data.has_masks:  # the data set decides the task
        build = segmentation
    workdir = Workdir(config.run.train_log_dir, config.metric_columns())
    curricula.check(config.method)
    distribution = _distribution(config)
    if distribution.serves:
        return _serve(distribution, workdir)
    if distribution.cluster is not None and not config.run.tensorflow_logs:
        serving.shorten_reports()
    # A finished run needs neither its data nor what its method was made from.
    if distribution.from_chief(workdir.is_run_folder() and workdir.finished()):
        return _say_finished(config, workdir) if distribution.is_chief else {}
    if distribution.is_chief:
        before_data.check(config, workdir)
    if distribution.is_chief and (advice := released_flags.about_noise(config.data.dataset_name)):
        print(f"note: {advice}", flush=True)
    heartbeat = Heartbeat(shows=config.run.show_progress and distribution.is_chief)
    try:
        return _trained(config, build, workdir, distribution, heartbeat)
    finally:
        heartbeat.stop()


def _trained(
    config: Config, build: Any, workdir: Workdir, distribution: Distribution, heartbeat: Heartbeat
) -> dict[str, Any]:
    """The training itself; see ``train``."""
    made = making.data(config, build, distribution, heartbeat)
    config, loaded, inputs = made.config, made.loaded, made.inputs
    text, identity = configuration.flagfile_text(config), config.identity()
    if auto := estimating.is_auto(config):
        workdir.claim(text, identity)
        config = estimating.resolved(config, build, made, workdir, heartbeat)
    made_from = build.arguments(config, loaded, workdir)
    trainer = making.trainer(config, build, loaded, distribution, made_from)
    if distribution.is_chief:
        if not auto:
            workdir.claim(text, identity)
        preparation.keep(workdir, made_from)
    plan.tell(heartbeat, config, trainer.network, inputs, distribution)
    if (warning := trainer.method.schedule_warning()) is not None:
        heartbeat.say(f"warning: {warning}")
    facts = making.facts(config, loaded, distribution)
    settings = dataclasses.replace(build.run_settings(config), heartbeat=heartbeat)
    result = run.train(trainer.method, trainer.optimizer, inputs, workdir, settings, facts, distribution)
    distribution.part()
    heartbeat.stop()
    if distribution.is_chief:
        print(f"finished: {messages.figures(result)}; see {workdir.path}")
        labels = methods.get(config.method.name).uses_labels
        classes = len(inputs.class_names) if labels and inputs.masks is None else 0
        if (warning := messages.learned_little(result, classes, config.student.learning_rate)) is not None:
            print(f"warning:  {warning}")
        print(messages.next_steps(workdir, len(inputs.given), masks=inputs.masks is not None, labels=labels))
    return result


def _say_finished(config: Config, workdir: Workdir) -> dict[str, Any]:
    """result.json of a finished run, or a refusal if the folder is another run's."""
    config = config.of_run(workdir)
    workdir.claim(configuration.flagfile_text(config), config.identity())
    result = workdir.read_result()
    print(f"{workdir.path} is finished: {messages.figures(result)}; nothing to do. Another run needs another folder.")
    return result


def _distribution(config: Config) -> Distribution:
    """The strategy, before any operation, checked against the flags."""
    settings = {"jit_compile": config.run.jit_compile, "loss_scaling": config.run.mixed_precision == "float16"}
    distributions.check_settings(config.distribution.strategy, **settings)
    distribution = distributions.create(config.distribution.strategy, tpu=config.distribution.tpu)
    distribution.check(batch_size=config.data.batch_size, **settings)
    return distribution


def _serve(distribution: Distribution, workdir: Workdir) -> dict[str, Any]:
    """Waits on the chief of an asynchronous run until its result is there."""
    assert distribution.cluster is not None
    print(f"{distribution.cluster.name} serves at {distribution.cluster.address}", flush=True)
    serving.serve(distribution.cluster, workdir.finished)
    print(f"{distribution.cluster.name} ends: the run in {workdir.path} is finished")
    return {}


def evaluate_run(config: Config, build: Any = in_memory) -> dict[str, Any]:
    """Evaluates the newest checkpoint of a run on a split; writes evaluation.json and, if asked, a csv."""
    folder, run_folder = trained_run.folders(config)
    config = trained_run.as_trained(config, run_folder)
    checkpoints.newest(folder)
    if config.data.has_masks:
        return evaluating_masks.evaluate_run(config, folder, run_folder)
    loaded = build.load_data(config.data, trained_run.labels_of(run_folder) if config.run.split == "train" else None)
    network = build.predictor(config, loaded, config.run.seed)
    if config.run.split == "train":
        split, given = loaded.train, loaded.labels.given
    else:
        split, given = loaded.dataset.test, loaded.dataset.test.labels
    batches = build.ordered_batches(split, given, config.data)
    output = Path(config.run.eval_dir) if config.run.eval_dir else run_folder
    paths = split.paths_at(range(len(split))) if config.run.output_csv_file else None
    facts = {"split": config.run.split, "dataset": config.data.dataset_name, "studentnet": config.student.name}
    if not getattr(split, "labels_are_true", True):
        facts["judged_by"] = "given labels"

    def once() -> dict[str, Any]:
        return evaluate.evaluate_checkpoint(
            network, folder, batches, split.ids, output, config.run.output_csv_file, facts, paths
        )

    return evaluate.follow(once, config.run.eval_interval_secs, run_folder)


def dump_losses(config: Config, build: Any = in_memory) -> None:
    """Writes the csv data-driven learning needs, of the run's training samples with the labels it used."""
    folder, run_folder = trained_run.folders(config)
    config = trained_run.as_trained(config, run_folder)
    checkpoints.newest(folder)
    loaded = build.load_data(config.data, trained_run.labels_of(run_folder) if config.run.split == "train" else None)
    config = config.resolved(len(loaded.train))
    if config.run.split == "test":
        raise ValueError("dump_losses needs noisy and clean labels: use --split_name=train, or leave it out")
    if loaded.labels.clean is None:
        raise ValueError("dump_losses needs the true labels, which this data set does not have")
    network = build.predictor(config, loaded, config.run.seed)
    split, given, clean = loaded.train, loaded.labels.given, loaded.labels.clean.reveal()
    if config.run.dump_examples:
        chosen = curricula.trusted_positions(split, config.run.dump_examples, config.run.seed)
        split, given, clean = split.take(chosen), given[chosen], clean[chosen]
    batches = build.ordered_batches(split, given, config.data)
    csv_file = config.run.output_csv_file
    assert csv_file is not None
    epoch = config.run.dump_epoch
    if epoch is None and config.run.max_steps is None:
        epoch = _epoch_reached(run_folder)
    found = evaluate.dump_losses(
        network,
        folder,
        batches,
        split.ids,
        clean,
        config.run.max_steps,
        csv_file,
        epoch,
        config.run.activations_file,
    )
    print(f"{len(found.label):,} rows written to {csv_file}")
    if found.activation is not None:
        print(f"{found.activation.shape[1]:,} activations of each written to {config.run.activations_file}")


def estimate_noise(config: Config, build: Any = in_memory) -> None:
    """Estimates the share of wrong labels from the newest checkpoint of a run, and says what to train with."""
    folder, run_folder = trained_run.folders(config)
    config = trained_run.as_trained(config, run_folder)
    checkpoints.newest(folder)
    loaded = build.load_data(config.data, trained_run.labels_of(run_folder))
    network = build.predictor(config, loaded, config.run.seed)
    step = checkpoints.restore_student(network, folder)
    inputs = build.training_inputs(loaded, config, Distribution())
    found = estimating.of_student(network, inputs, config, len(loaded.train))
    print(estimating.tell(found, config, Workdir(run_folder), step, inputs))


def _epoch_reached(run_folder: Path) -> int:
    """The epoch percent of the last row of a run that counts in epochs."""
    percent = last_known(Workdir(run_folder).metrics.read()["epoch_percent"])
    if percent is None:
        raise ValueError(f"{run_folder} does not tell how far its run is: give --dump_epoch")
    return int(percent)


def _prepare_tensorflow(config: Config) -> None:
    """Process-wide settings, before the first operation."""
    if not config.run.tensorflow_logs:
        logging.set_verbosity(logging.WARNING)
    keras.utils.set_random_seed(config.run.seed)
    if config.run.deterministic and config.distribution.strategy != "parameter_server":  # whose order is chance
        determinism.make_deterministic(config.run.jit_compile)
    if config.run.mixed_precision != "none":
        keras.mixed_precision.set_global_policy(f"mixed_{config.run.mixed_precision}")
    if config.distribution.logical_cpus:
        divided = [tf.config.LogicalDeviceConfiguration()] * config.distribution.logical_cpus
        tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], divided)
    devices = tf.config.list_physical_devices("GPU")
    if config.run.device_id is not None and devices:
        try:
            chosen = devices[int(config.run.device_id)]
        except (ValueError, IndexError):
            raise ValueError(f"--device_id={config.run.device_id}: use 0 to {len(devices) - 1}") from None
        tf.config.set_visible_devices(chosen, "GPU")
        devices = [chosen]
    for device in devices:
        tf.config.experimental.set_memory_growth(device, True)
