"""Flags of a run: what to do, where, how long, how fast."""

from __future__ import annotations

from dataclasses import dataclass

from absl import flags

from flags.define.presets import PRESETS

MODES = ("train", "evaluate", "train_and_evaluate", "dump_losses", "suspects", "estimate")

_PRESET = flags.DEFINE_enum("preset", "paper", PRESETS, "Defaults wherever the paper and the authors' release differ.")
_MODE = flags.DEFINE_enum(
    "mode",
    None,
    MODES,
    "train, evaluate (a checkpoint), train_and_evaluate, dump_losses (csv: id, epoch percent, noisy label, clean "
    "label, loss), suspects (samples.csv and suspects.png of an interrupted run, with its --flagfile), estimate (the "
    "share of wrong labels, from the losses of a run). Default: evaluate if --checkpoint_dir is given without "
    "--train_log_dir, else train_and_evaluate.",
)
_LOG_DIR = flags.DEFINE_string("train_log_dir", None, "The run folder: everything a run writes.")
_SEED = flags.DEFINE_integer("seed", 0, "Everything random follows from it.", lower_bound=0)
_MAX_STEPS = flags.DEFINE_integer("max_number_of_steps", 39000, "Length of training in steps.", lower_bound=1)
_EPOCHS = flags.DEFINE_integer(
    "num_epochs", None, "Length of training in epochs, instead of --max_number_of_steps.", lower_bound=1
)
_EVAL_EVERY = flags.DEFINE_integer(
    "eval_every_steps",
    0,
    "Steps between evaluations; 0: a fortieth of the run, but at least 50, or with --num_epochs an epoch.",
    lower_bound=0,
)
_SUMMARY_SECS = flags.DEFINE_float(
    "save_summaries_secs", 0, "Least seconds between TensorBoard entries.", lower_bound=0
)
_SAVE_SECS = flags.DEFINE_float("save_interval_secs", 0, "Least seconds between checkpoints.", lower_bound=0)
_KEEP = flags.DEFINE_integer("keep_checkpoints", 2, "Checkpoints that stay in the run folder.", lower_bound=1)
_DEVICE = flags.DEFINE_string("device_id", None, "The GPU to use, by number; default: the first, or the CPU.")
_MIXED = flags.DEFINE_enum(
    "mixed_precision", "none", ["none", "float16", "bfloat16"], "Compute the student in half precision."
)
_JIT = flags.DEFINE_boolean("jit_compile", False, "Compile the training step with XLA.")
_PER_CALL = flags.DEFINE_integer(
    "steps_per_execution", 10, "Steps in one call of the training function.", lower_bound=1
)
_DETERMINISTIC = flags.DEFINE_boolean("deterministic", True, "Only deterministic kernels: runs repeat bit for bit.")
_PROGRESS = flags.DEFINE_boolean("show_progress", True, "Print the progress line.")
_LOGS = flags.DEFINE_boolean("tensorflow_logs", False, "Let TensorFlow print its own start-up and compiler messages.")
_CHECKPOINT_DIR = flags.DEFINE_string("checkpoint_dir", None, "A run folder, or its checkpoints, to evaluate or dump.")
_EVAL_DIR = flags.DEFINE_string("eval_dir", None, "Where evaluate writes evaluation.json; default: the run folder.")
_EVAL_SECS = flags.DEFINE_float(
    "eval_interval_secs", 0, "Evaluate again every so many seconds until the run is finished; 0: once.", lower_bound=0
)
_DEFAULT_SPLIT = {"dump_losses": "train"}
_SPLIT = flags.DEFINE_enum(
    "split_name",
    None,
    ["test", "train", "val", "validation"],
    "Split to evaluate (default: test) or to dump the losses of (default: train).",
)
_DUMP_EXAMPLES = flags.DEFINE_integer(
    "dump_examples",
    0,
    "Dump only this many samples: those --mentor_examples draws with the same seed (0: all).",
    lower_bound=0,
)
_DUMP_EPOCH = flags.DEFINE_integer(
    "dump_epoch", None, "Epoch percent to write; default: how far the run was.", lower_bound=0, upper_bound=99
)
_DUMPS_AT = flags.DEFINE_list(
    "keep_dumps_at",
    [],
    "While training, write the losses of all training samples at these percents of it to dumps/ of the run folder, as "
    "dump_losses does: the end, when wrong labels are memorised, is too late to learn a MentorNet from.",
)
_CSV = flags.DEFINE_string("output_csv_file", None, "csv that evaluate or dump_losses writes, a line a sample.")
_ACTIVATIONS = flags.DEFINE_string(
    "activations_file",
    None,
    "npz that dump_losses writes beside: the student's activation before its logits, a row a sample.",
)


@dataclass(frozen=True)
class RunConfig:
    """Plain values of the run flags; ``split`` is "train" or "test".

    With ``num_epochs``, ``max_steps`` is None until the data is read, and ``eval_every_steps`` 0 stands for an epoch;
    see ``Config.resolved``.
    """

    preset: str
    mode: str
    train_log_dir: str | None
    seed: int
    max_steps: int | None
    eval_every_steps: int
    save_summaries_secs: float
    save_interval_secs: float
    keep_checkpoints: int
    device_id: str | None
    mixed_precision: str
    jit_compile: bool
    steps_per_execution: int
    deterministic: bool
    show_progress: bool
    tensorflow_logs: bool
    checkpoint_dir: str | None
    eval_dir: str | None
    eval_interval_secs: float
    split: str
    output_csv_file: str | None
    dump_examples: int = 0
    dump_epoch: int | None = None
    activations_file: str | None = None
    num_epochs: int | None = None
    keep_dumps_at: tuple[int, ...] = ()


def run_config() -> RunConfig:
    """Reads and checks the run flags.

    Raises:
        ValueError: a mode without the folder it needs.
    """
    mode = _MODE.value
    if mode is None:
        mode = "evaluate" if _CHECKPOINT_DIR.value and not _LOG_DIR.value else "train_and_evaluate"
    training = mode in ("train", "train_and_evaluate")
    if mode == "suspects" and (_CHECKPOINT_DIR.value or not _LOG_DIR.value):
        raise ValueError("--mode=suspects needs the flags of the run: --flagfile=RUN/flags.txt --train_log_dir=RUN")
    if mode in ("suspects", "estimate") and _CSV.value:
        raise ValueError(f"--mode={mode} does not use --output_csv_file: it writes into the run folder")
    dumps_at = _percents(_DUMPS_AT.value)
    if dumps_at and not training and mode != "suspects":
        raise ValueError(f"--mode={mode} does not use --keep_dumps_at: a training writes them")
    if training and not _LOG_DIR.value:
        raise ValueError(f"--mode={mode} needs --train_log_dir, the folder the run writes to")
    if training and (_CHECKPOINT_DIR.value or _CSV.value):
        raise ValueError(f"--mode={mode} does not use --checkpoint_dir or --output_csv_file: see evaluate, dump_losses")
    evaluations = [f"--{flag.name}" for flag in (_EVAL_DIR, _EVAL_SECS, _SPLIT) if flag.present]
    if training and evaluations:
        raise ValueError(
            f"--mode={mode} does not use {', '.join(evaluations)}: it evaluates every --eval_every_steps on the test "
            "images; see --mode=evaluate"
        )
    if mode == "dump_losses" and {"--eval_dir", "--eval_interval_secs"} & {*evaluations}:
        raise ValueError("--mode=dump_losses does not use --eval_dir or --eval_interval_secs: see evaluate")
    if not training and not (_CHECKPOINT_DIR.value or _LOG_DIR.value):
        raise ValueError(f"--mode={mode} needs --checkpoint_dir, a run folder or its checkpoints")
    if mode != "dump_losses" and (_DUMP_EXAMPLES.value or _DUMP_EPOCH.value is not None):
        raise ValueError(f"--mode={mode} does not use --dump_examples or --dump_epoch: see dump_losses")
    if mode != "dump_losses" and _ACTIVATIONS.value:
        raise ValueError(f"--mode={mode} does not use --activations_file: see dump_losses")
    if mode == "dump_losses" and not _CSV.value:
        raise ValueError("--mode=dump_losses needs --output_csv_file, the csv to write")
    if _EPOCHS.value is not None and _MAX_STEPS.present:
        raise ValueError("--num_epochs and --max_number_of_steps both give the length of training: give one of them")
    steps = None if _EPOCHS.value is not None else _MAX_STEPS.value
    every = _EVAL_EVERY.value if steps is None else min(steps, _EVAL_EVERY.value or max(50, steps // 40))
    return RunConfig(
        preset=_PRESET.value,
        mode=mode,
        train_log_dir=_LOG_DIR.value,
        seed=_SEED.value,
        max_steps=steps,
        eval_every_steps=every,
        save_summaries_secs=_SUMMARY_SECS.value,
        save_interval_secs=_SAVE_SECS.value,
        keep_checkpoints=_KEEP.value,
        device_id=_DEVICE.value,
        mixed_precision=_MIXED.value,
        jit_compile=_JIT.value,
        steps_per_execution=_PER_CALL.value,
        deterministic=_DETERMINISTIC.value,
        show_progress=_PROGRESS.value,
        tensorflow_logs=_LOGS.value,
        checkpoint_dir=_CHECKPOINT_DIR.value,
        eval_dir=_EVAL_DIR.value,
        eval_interval_secs=_EVAL_SECS.value,
        split="train" if (_SPLIT.value or _DEFAULT_SPLIT.get(mode)) == "train" else "test",
        output_csv_file=_CSV.value,
        dump_examples=_DUMP_EXAMPLES.value,
        dump_epoch=_DUMP_EPOCH.value,
        activations_file=_ACTIVATIONS.value,
        num_epochs=_EPOCHS.value,
        keep_dumps_at=dumps_at,
    )


def _percents(texts: list[str]) -> tuple[int, ...]:
    """Whole numbers in 1..99 that increase."""
    try:
        percents = tuple(int(text) for text in texts if text)
    except ValueError:
        raise ValueError(f"--keep_dumps_at={','.join(texts)}: expected whole numbers") from None
    if list(percents) != sorted(set(percents)) or any(not 1 <= percent <= 99 for percent in percents):
        raise ValueError(f"--keep_dumps_at={','.join(texts)} must increase and lie in 1..99")
    return percents
