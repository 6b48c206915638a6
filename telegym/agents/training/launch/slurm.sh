#!/usr/bin/env bash
# Several nodes: the first serves the model with vLLM, the others train. LoRA (ADAPTER=32) or all weights (ADAPTER=null).
#   sbatch slurm.sh                                             all weights, ZeRO-3
#   sbatch --export=ALL,ADAPTER=32,CONFIG=accelerate-ddp.yaml,LEARNING_RATE=1e-5 slurm.sh    an adapter of rank 32
#   sbatch --export=ALL,RESUME=1,NAME=big slurm.sh              goes on with the run `big`
# The folder from which it is submitted must be one that all nodes share.
#SBATCH --job-name=telegym
#SBATCH --nodes=5
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=64
#SBATCH --time=24:00:00
#SBATCH --output=%x-%j.log
set -euo pipefail

MODEL="${MODEL:-Qwen/Qwen3-8B}"
RECIPE="${RECIPE:-qwen3-8b}"
NAME="${NAME:-$SLURM_JOB_ID}"
ADAPTER="${ADAPTER:-null}"
CONFIG="${CONFIG:-accelerate-zero3.yaml}"
CONTEXT="${CONTEXT:-16384}"
GPUS="${GPUS:-8}"
LEARNING_RATE="${LEARNING_RATE:-1e-6}"

mapfile -t NODES < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
SERVER="${NODES[0]}"
TRAINERS=("${NODES[@]:1}")
FIRST="${TRAINERS[0]}"
MACHINES="${#TRAINERS[@]}"
list="$(IFS=,; echo "${TRAINERS[*]}")"

adapter=(--set model.adapter=null)
if [[ "$ADAPTER" != null ]]; then
    adapter=(--set "model.adapter={rank: $ADAPTER, alpha: $((2 * ADAPTER))}")
fi
# A continued run keeps its settings.
arguments=(--recipe "$RECIPE" --set grpo.trl.use_vllm=true --set grpo.trl.vllm_mode=server
    --set "grpo.trl.vllm_server_base_url=http://$SERVER:8000" --set grpo.trl.vllm_server_timeout=900
    --set grpo.trl.vllm_enable_sleep_mode=false --set "grpo.learning_rate=$LEARNING_RATE" "${adapter[@]}")
if [[ -n "${RESUME:-}" ]]; then
    arguments=(--recipe "$RECIPE" --resume)
fi

# The server gets new weights from the trainers over NCCL after every step; VLLM_SERVER_DEV_MODE opens what that needs,
# so the port must not be reachable from outside the cluster. Prefix caching is on by default.
srun --nodes=1 --ntasks=1 --nodelist="$SERVER" --export=ALL,VLLM_SERVER_DEV_MODE=1 \
    vllm serve "$MODEL" --host 0.0.0.0 --port 8000 --data-parallel-size "$GPUS" --max-model-len "$CONTEXT" \
    --weight-transfer-config '{"backend": "nccl"}' --logprobs-mode processed_logprobs --max-logprobs -1 &
server=$!

stop() {
    kill "$server" 2>/dev/null || true
}
trap stop EXIT

# If one process fails, all end; the run is continued with RESUME=1.
srun --nodes="$MACHINES" --ntasks="$MACHINES" --ntasks-per-node=1 --nodelist="$list" --kill-on-bad-exit=1 \
    bash -c 'exec accelerate launch --config_file "$0" --num_machines "$1" --num_processes "$2" \
        --machine_rank "$SLURM_PROCID" --main_process_ip "$3" --main_process_port 29500 --rdzv_backend static \
        -m telegym train "${@:4}"' \
    "$CONFIG" "$MACHINES" "$((MACHINES * GPUS))" "$FIRST" --name "$NAME" "${arguments[@]}"
