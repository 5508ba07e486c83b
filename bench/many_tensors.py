#!/usr/bin/env python3
"""Times commands on models of very many tiny tensors, where nothing but the handling of tensors costs anything: the
time per tensor must not grow with their number.

  bench/many_tensors.py --gyro build/release/bin/gyro [--layers 1400 5600] [--rounds 3] [--threads 2]

A layer has seven matrices of 8 x 8 in F32. Prints the least wall and processor times of some rounds for each command
and size, the processor time per tensor, and how many times the first size's that is.
"""
import argparse
import json
import os
import resource
import shutil
import struct
import subprocess
import tempfile
import time

import numpy as np

N = 8
PARTS = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.gate_proj",
         "mlp.up_proj", "mlp.down_proj")
COMMANDS = {
    "lora": "lora {base} {post} --rank 2 --out {out}",
    "build restore": "build restore {base} {post} --out {out}",
    "init pissa": "init pissa {base} --rank 2 --out {out}",
    "init rescale": "init rescale {base} --types W_O --by 1.4 --out {out}",
}


def write_model(folder, layers, weights):
    """`weights`: layers x 7 x N x N in F32."""
    os.makedirs(folder)
    config = dict(model_type="llama", hidden_size=N, intermediate_size=N, num_hidden_layers=layers,
                  num_attention_heads=1, num_key_value_heads=1)
    with open(os.path.join(folder, "config.json"), "w", encoding="utf-8") as f:
        json.dump(config, f)
    size = 4 * N * N
    names = [f"model.layers.{layer}.{part}.weight" for layer in range(layers) for part in PARTS]
    header = {name: dict(dtype="F32", shape=[N, N], data_offsets=[size * i, size * (i + 1)])
              for i, name in enumerate(names)}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(os.path.join(folder, "model.safetensors"), "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + weights.tobytes())


def write_pair(folder, layers):
    rng = np.random.default_rng(0)
    base = rng.standard_normal((layers, len(PARTS), N, N), np.float32)
    write_model(os.path.join(folder, "base"), layers, base)
    noise = rng.standard_normal(base.shape, np.float32)
    write_model(os.path.join(folder, "post"), layers, base + np.float32(0.03) * noise)


def processor_time():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def seconds(args, command, folder):
    out = os.path.join(folder, "out")
    words = command.format(base=os.path.join(folder, "base"), post=os.path.join(folder, "post"), out=out).split()
    wall = cpu = float("inf")
    for _ in range(args.rounds):
        start, used = time.monotonic(), processor_time()
        subprocess.run([args.gyro, *words, "--threads", str(args.threads), "--quiet"], check=True,
                       env=dict(os.environ, OPENBLAS_NUM_THREADS="1"))
        wall, cpu = min(wall, time.monotonic() - start), min(cpu, processor_time() - used)
        shutil.rmtree(out)
    return wall, cpu


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gyro", default="build/release/bin/gyro")
    parser.add_argument("--layers", type=int, nargs="+", default=[1400, 5600])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    first = {}
    with tempfile.TemporaryDirectory() as folder:
        print(f"{'command':<16}{'tensors':>9}{'wall s':>9}{'cpu s':>9}{'us/tensor':>11}{'ratio':>8}", flush=True)
        for layers in args.layers:
            tensors, place = layers * len(PARTS), os.path.join(folder, str(layers))
            write_pair(place, layers)
            for name, command in COMMANDS.items():
                wall, cpu = seconds(args, command, place)
                each = 1e6 * cpu / tensors
                first.setdefault(name, each)
                print(f"{name:<16}{tensors:>9}{wall:>9.2f}{cpu:>9.2f}{each:>11.1f}{each / first[name]:>8.2f}",
                      flush=True)


if __name__ == "__main__":
    main()
