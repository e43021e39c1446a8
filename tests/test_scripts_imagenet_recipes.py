"""The recipes of train_imagenet.py have the paper's settings."""

from pathlib import Path

import pytest

from flags.define import imagenet_flags

ROOT = Path(__file__).resolve().parents[1]


def parsed(path: str):
    return imagenet_flags.parse(
        ["train_imagenet.py", f"--flagfile={ROOT / 'flags/recipes' / path}", "--data_dir=d", "--train_log_dir=t"]
    )


@pytest.mark.parametrize(
    ("path", "steps", "keep", "decay", "augmentation"),
    [
        ("icml_table4/noreg.flags", 500_000, 1.0, 0.0, "none"),
        ("icml_table4/noreg_wedecay.flags", 500_000, 1.0, 4e-5, "none"),
        ("icml_table4/noreg_dropout.flags", 500_000, 0.8, 0.0, "none"),
        ("icml_table4/noreg_dataaug.flags", 500_000, 1.0, 0.0, "slim"),
        ("icml_table4/fullmodel.flags", 1_000_000, 0.8, 4e-5, "slim"),
        ("icml_table4/forgetting.flags", 1_000_000, 0.2, 4e-5, "slim"),
    ],
)
def test_the_regularisers_of_table_4(path, steps, keep, decay, augmentation):
    config = parsed(path)
    assert (config.data.dataset_name, config.data.noise_type, config.data.noise_fraction) == (
        "imagenet",
        "uniform",
        0.4,
    )
    assert config.run.max_steps == steps
    assert (config.student.dropout_keep_probability, config.student.weight_decay) == (keep, decay)
    assert config.data.augmentation == augmentation
    assert config.distribution.strategy == "parameter_server"
    assert (config.data.batch_size, config.student.learning_rate) == (32, 0.05)


def test_what_the_other_tables_train_on():
    entire, mini, yfcc = (
        parsed(path)
        for path in (
            "icml_table5_entire/mentornet.flags",
            "icml_table5_mini/reed_soft.flags",
            "v1_table6/s_model.flags",
        )
    )
    assert (entire.data.dataset_name, entire.method.curriculum) == ("webvision", "mentornet_pd")
    assert (mini.data.dataset_name, mini.method.name, mini.method.options["kind"]) == ("webvision_mini", "reed", "soft")
    assert (yfcc.data.dataset_name, yfcc.method.name) == ("list", "s_model")
    assert yfcc.run.max_steps == round(50 * 61_238 / 32)


def test_heads_state_the_printed_numbers():
    head = (ROOT / "flags/recipes/icml_table5_mini/mentornet.flags").read_text()
    assert "expected P@1 (P@5) on clean validation: .638 (.858) on ILSVRC12" in head
    assert "50 GPUs" in head
    assert "hours:" in head
