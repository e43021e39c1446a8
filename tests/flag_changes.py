"""For every flag of both scripts a run in which it makes a difference; see test_flags_every_flag.py."""

from __future__ import annotations

TRAIN = ["--train_log_dir=t", "--dataset_name=cifar10"]
EVALUATE = ["--checkpoint_dir=r", "--mode=evaluate"]
DUMP = ["--checkpoint_dir=r", "--mode=dump_losses", "--output_csv_file=a.csv"]
PD = [*TRAIN, "--curriculum=mentornet_pd"]
DD = [*TRAIN, "--curriculum=mentornet_dd"]
ADAM = [*TRAIN, "--optimizer=adam", "--learning_rate_schedule=linear"]
L2RW = [*TRAIN, "--method=l2rw"]
UNICON = [*TRAIN, "--method=unicon", "--num_epochs=20"]
UNIFORM = [*TRAIN, "--noise_type=uniform", "--noise_fraction=0.4"]
PHANTOMS = [*TRAIN, "--dataset_name=phantoms"]
MASKS = [*TRAIN, "--dataset_name=mask_folder", "--data_dir=d"]
IMAGENET = ["--train_log_dir=t", "--data_dir=d"]
LIST = [*IMAGENET, "--dataset_name=list"]

# Flag -> (the run without it, what is added to it).
CHANGES = {
    # a run
    "preset": (TRAIN, "--preset=release"),
    "mode": (TRAIN, "--mode=train"),
    "train_log_dir": (TRAIN, "--train_log_dir=elsewhere"),
    "seed": (TRAIN, "--seed=1"),
    "max_number_of_steps": (TRAIN, "--max_number_of_steps=7"),
    "num_epochs": (TRAIN, "--num_epochs=7"),
    "eval_every_steps": (TRAIN, "--eval_every_steps=7"),
    "save_summaries_secs": (TRAIN, "--save_summaries_secs=7"),
    "save_interval_secs": (TRAIN, "--save_interval_secs=7"),
    "keep_checkpoints": (TRAIN, "--keep_checkpoints=7"),
    "device_id": (TRAIN, "--device_id=1"),
    "mixed_precision": (TRAIN, "--mixed_precision=float16"),
    "jit_compile": (TRAIN, "--jit_compile"),
    "steps_per_execution": (TRAIN, "--steps_per_execution=7"),
    "deterministic": (TRAIN, "--nodeterministic"),
    "show_progress": (TRAIN, "--noshow_progress"),
    "tensorflow_logs": (TRAIN, "--tensorflow_logs"),
    "checkpoint_dir": (EVALUATE, "--checkpoint_dir=elsewhere"),
    "eval_dir": (EVALUATE, "--eval_dir=e"),
    "eval_interval_secs": (EVALUATE, "--eval_interval_secs=7"),
    "split_name": (EVALUATE, "--split_name=train"),
    "output_csv_file": (EVALUATE, "--output_csv_file=a.csv"),
    "dump_examples": (DUMP, "--dump_examples=7"),
    "dump_epoch": (DUMP, "--dump_epoch=7"),
    "keep_dumps_at": (TRAIN, "--keep_dumps_at=18"),
    "activations_file": (DUMP, "--activations_file=a.npz"),
    # data
    "dataset_name": (TRAIN, "--dataset_name=cifar100"),
    "data_dir": (TRAIN, "--data_dir=d"),
    "download": (TRAIN, "--nodownload"),
    "image_size": (TRAIN, "--image_size=16"),
    "batch_size": (TRAIN, "--batch_size=7"),
    "max_batches_per_epoch": (TRAIN, "--max_batches_per_epoch=7"),
    "train_examples": (TRAIN, "--train_examples=700"),
    "noise_type": (UNIFORM, "--noise_type=symmetric"),
    "noise_fraction": (UNIFORM, "--noise_fraction=0.2"),
    "noise_variant": (UNIFORM, "--noise_variant=author"),
    "noise_class": ([*UNIFORM, "--noise_type=background"], "--noise_class=7"),
    "noise_seed": (UNIFORM, "--noise_seed=7"),
    "held_out_tenth": ([*TRAIN, "--dataset_name=folder", "--data_dir=d"], "--held_out_tenth=7"),
    "labels_file": (TRAIN, "--labels_file=a.csv"),
    "human_labels_file": ([*TRAIN, "--noise_type=human:worse"], "--human_labels_file=a.npz"),
    "augmentation": (TRAIN, "--augmentation=none"),
    "validation": (TRAIN, "--validation=test_half"),
    # masks
    "mask_noise": (PHANTOMS, "--mask_noise=l1"),
    "num_cases": (PHANTOMS, "--num_cases=7,1,1"),
    "num_slices": (PHANTOMS, "--num_slices=7"),
    "structures": ([*TRAIN, "--dataset_name=brain_template"], "--structures=grey_and_white_matter"),
    "mask_values": (MASKS, "--mask_values=0,7"),
    "voxel_spacing": (MASKS, "--voxel_spacing=7,1,1"),
    "cases_from": (MASKS, "--cases_from=file"),
    # student
    "studentnet": (TRAIN, "--studentnet=resnet8"),
    "student_variant": (TRAIN, "--student_variant=release"),
    "dropout_keep_probability": (TRAIN, "--dropout_keep_probability=0.7"),
    "weight_decay": (TRAIN, "--weight_decay=0.7"),
    "optimizer": (TRAIN, "--optimizer=adam"),
    "learning_rate": (TRAIN, "--learning_rate=0.7"),
    "learning_rate_decay_factor": (TRAIN, "--learning_rate_decay_factor=0.7"),
    "num_epochs_per_decay": (TRAIN, "--num_epochs_per_decay=7"),
    "learning_rate_boundaries": (TRAIN, "--learning_rate_boundaries=7"),
    "learning_rate_schedule": (TRAIN, "--learning_rate_schedule=cosine"),
    "cosine_epochs": ([*UNICON, "--learning_rate_schedule=cosine"], "--cosine_epochs=7"),
    "lowest_learning_rate": ([*TRAIN, "--learning_rate_schedule=cosine"], "--lowest_learning_rate=0.01"),
    "inverse_decay_epochs": ([*TRAIN, "--learning_rate_schedule=inverse"], "--inverse_decay_epochs=7"),
    "linear_decay_epoch": (ADAM, "--linear_decay_epoch=7"),
    "adam_beta1": (ADAM, "--adam_beta1=0.7"),
    "adam_beta1_after_decay": (ADAM, "--adam_beta1_after_decay=0.7"),
    "momentum": (TRAIN, "--momentum=0.7"),
    # SPADE
    "method": (TRAIN, "--method=reed"),
    "curriculum": (TRAIN, "--curriculum=self_paced"),
    "trained_mentornet_dir": (TRAIN, "--trained_mentornet_dir=m/d"),
    "fixed_label": ([*TRAIN, "--curriculum=m/d"], "--fixed_label=0"),
    "loss_p_percentile": (PD, "--loss_p_percentile=0.6"),
    "loss_p_precentile": (PD, "--loss_p_precentile=0.6"),
    "percentile_method": (PD, "--percentile_method=nearest"),
    "loss_moving_average_decay": (PD, "--loss_moving_average_decay=0.7"),
    "burn_in_epoch": (PD, "--burn_in_epoch=7"),
    "burn_in_mode": (PD, "--burn_in_mode=ones"),
    "fixed_epoch_after_burn_in": (PD, "--fixed_epoch_after_burn_in"),
    "example_dropout_rates": (PD, "--example_dropout_rates=0.7"),
    "example_dropout_mode": (PD, "--example_dropout_mode=proportional"),
    "explicit_curriculum": ([*TRAIN, "--curriculum=self_paced"], "--explicit_curriculum"),
    "weight_step_size": ([*TRAIN, "--curriculum=self_paced", "--explicit_curriculum"], "--weight_step_size=0.7"),
    "curriculum_update_epochs": (DD, "--curriculum_update_epochs=30"),
    "mentor_examples": (DD, "--mentor_examples=700"),
    "mentor_steps": (DD, "--mentor_steps=700"),
    # clean samples
    "clean_examples": ([*L2RW, "--clean_examples=5"], "--clean_examples=70"),
    "clean_examples_per_class": ([*L2RW, "--clean_examples_per_class=5"], "--clean_examples_per_class=7"),
    "clean_labels_file": ([*L2RW, "--clean_examples=5"], "--clean_labels_file=a.csv"),
    "clean_batch_size": ([*L2RW, "--clean_examples=50"], "--clean_batch_size=7"),
    "corrections_file": (TRAIN, "--corrections_file=a.csv"),
    "leave_out_suspects": (TRAIN, "--leave_out_suspects=7:r"),
    "clean_source": ([*TRAIN, "--dataset_name=folder", "--data_dir=d", "--method=l2b"], "--clean_source=mixture"),
    "holdout_examples": (TRAIN, "--holdout_examples=70"),
    "holdout_criterion": ([*TRAIN, "--holdout_examples=70"], "--holdout_criterion=accuracy"),
    "balanced_batches": (TRAIN, "--balanced_batches"),
    "balanced_epochs": (TRAIN, "--balanced_epochs"),
    # distribution
    "distribution_strategy": (TRAIN, "--distribution_strategy=parameter_server"),
    "tpu": ([*TRAIN, "--distribution_strategy=tpu"], "--tpu=here"),
    "logical_cpus": ([*TRAIN, "--distribution_strategy=mirrored"], "--logical_cpus=2"),
    "synchronized_batch_norm": (TRAIN, "--synchronized_batch_norm"),
}  # fmt: skip
OF_IMAGENET = {
    "auxiliary_head": (IMAGENET, "--noauxiliary_head"),
    "colour_distortion": (IMAGENET, "--colour_distortion=full"),
    "preprocessing": (IMAGENET, "--preprocessing=webvision"),
    "imagenet_weights": ([*IMAGENET, "--studentnet=resnet50"], "--imagenet_weights=a.h5"),
    "background_class": (IMAGENET, "--nobackground_class"),
    "webvision_parts": ([*IMAGENET, "--dataset_name=webvision"], "--webvision_parts=google"),
    "ilsvrc_dir": ([*IMAGENET, "--dataset_name=webvision"], "--ilsvrc_dir=i"),
    "train_list": (LIST, "--train_list=a.csv"),
    "test_list": (LIST, "--test_list=a.csv"),
    "max_unreadable": (IMAGENET, "--max_unreadable=7"),
    "index_dir": (IMAGENET, "--index_dir=i"),
    "files_outside_data_dir": (IMAGENET, "--files_outside_data_dir"),
}
