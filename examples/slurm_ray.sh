#!/bin/bash
# A sweep on every GPU of a Slurm allocation, by Ray's own start commands: sbatch examples/slurm_ray.sh grid --out results/grid
# What follows the script's name goes to `python -m bench run`. The driver runs on the first node and alone writes the
# run's folder; submitted once more with --resume, it goes on, on whatever nodes it gets.
#SBATCH --job-name=local-relation
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=32
#SBATCH --exclusive
#SBATCH --time=04:00:00
set -euo pipefail

export RAY_USAGE_STATS_ENABLED=0
# Whoever reaches a Ray cluster may run code on it: only this job has its token.
export RAY_AUTH_MODE=token
RAY_AUTH_TOKEN=$(python -c "import secrets; print(secrets.token_hex(16))")
export RAY_AUTH_TOKEN

mapfile -t nodes < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
head=${nodes[0]}
address=$(srun --nodes=1 --ntasks=1 --nodelist="$head" hostname --ip-address | awk '{print $1}')
port=$((20000 + SLURM_JOB_ID % 20000))

# --block keeps Ray in the job step, so that Slurm ends it with the job.
srun --overlap --nodes=1 --ntasks=1 --nodelist="$head" \
  ray start --head --node-ip-address="$address" --port="$port" --include-dashboard=false --block &
for _ in $(seq 60); do
  if ray health-check --address "$address:$port" 2> /dev/null; then break; fi
  sleep 1
done
for node in "${nodes[@]:1}"; do
  srun --overlap --nodes=1 --ntasks=1 --nodelist="$node" ray start --address="$address:$port" --block &
done
# A node that comes later is not used: wait until all are there.
python - "$address:$port" "${#nodes[@]}" << 'PYTHON'
import sys
import time

import ray

ray.init(sys.argv[1], log_to_driver=False)
end = time.monotonic() + 120
while sum(node["Alive"] for node in ray.nodes()) < int(sys.argv[2]):
    if time.monotonic() > end:
        sys.exit("not every node has joined within two minutes")
    time.sleep(1)
PYTHON

srun --overlap --nodes=1 --ntasks=1 --nodelist="$head" \
  python -m bench run "$@" --executor ray --address "$address:$port"
