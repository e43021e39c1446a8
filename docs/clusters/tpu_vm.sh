#!/bin/bash
# Training on one TPU host (--distribution_strategy=tpu): the cores share every batch, batch norm is synchronised.
# Run it on your own machine, with gcloud set up:  bash docs/clusters/tpu_vm.sh
# Run again, it goes on: the machine and what is installed stay, and the training continues from its last checkpoint.
# The run folder is on the TPU VM's disk; on one that can be preempted, mount a bucket and put --train_log_dir there.
# Not tried by us: no TPU was at hand. The packages are those of BUILD.md's section on TPU VMs.
# The machine has a public address. NETWORK is best one of its own whose firewall lets in SSH from your address alone; the
# network called "default" lets it in from everywhere. (gcloud compute networks create, firewall-rules create)
set -eu
: "${LIBTPU:?set it to the -f address of libtpu that the Cloud TPU documentation gives}"
NETWORK=${NETWORK:-default}
NAME=mentornet ZONE=us-central2-b TYPE=v4-8
REPOSITORY=$(git remote get-url origin)  # has to be one that the TPU VM can reach

gcloud compute tpus tpu-vm describe "$NAME" --zone="$ZONE" > /dev/null 2>&1 ||
  gcloud compute tpus tpu-vm create "$NAME" --zone="$ZONE" --accelerator-type="$TYPE" --version=tpu-ubuntu2204-base \
    --network="$NETWORK"

on_vm() { gcloud compute tpus tpu-vm ssh "$NAME" --zone="$ZONE" --command="$1"; }
on_vm "test -d mentornet || git clone $REPOSITORY mentornet; cd mentornet && python3 -m venv .venv \
  && grep -vE '^(tensorflow|tf-keras|keras)==' requirements.txt > requirements-tpu.txt \
  && .venv/bin/pip install tensorflow-tpu==2.20.0 -f $LIBTPU \
  && .venv/bin/pip install -r requirements-tpu.txt && .venv/bin/pip install --no-deps tf_keras==2.20.1"

# --jit_compile is not needed, a TPU always compiles.
on_vm "cd mentornet && .venv/bin/python train_cifar.py --distribution_strategy=tpu --tpu=local \
  --dataset_name=cifar10 --noise_type=uniform --noise_fraction=0.4 --curriculum=mentornet_pd --studentnet=resnet101 \
  --batch_size=128 --mixed_precision=bfloat16 --train_log_dir=runs/cifar10_tpu"

mkdir -p runs
gcloud compute tpus tpu-vm scp --recurse --zone="$ZONE" "$NAME:mentornet/runs/cifar10_tpu" runs/
echo "delete the TPU when you are done: gcloud compute tpus tpu-vm delete $NAME --zone=$ZONE"
