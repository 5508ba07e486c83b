#!/usr/bin/env python3
"""What `gyro study --plan` says of the paper's models (its Tables 9 and 10), as docs/reproduce.md has it.

Models are made as files with holes: their shapes and dtypes are the real ones, of which alone a plan is made, their
weights are none. So are the tasks: as many questions as the real files have, of about their length.

  bench/plan.py [--device cpu|cuda] [--threads N] [--dtype f32|bf16] [--gyro PROGRAM]
"""
import argparse
import json
import os
import struct
import subprocess
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def qwen(hidden, layers, mlp, heads, kv, vocabulary, tied=False):
    return dict(model_type="qwen2", hidden_size=hidden, num_hidden_layers=layers, intermediate_size=mlp,
                num_attention_heads=heads, num_key_value_heads=kv, vocab_size=vocabulary, tie_word_embeddings=tied)


def llama(hidden, layers, mlp, heads, kv, vocabulary, kind="llama", **more):
    return dict(qwen(hidden, layers, mlp, heads, kv, vocabulary), model_type=kind, **more)


# base, shape, posts (a reasoning model's files are in FP32 where the paper says so)
FAMILIES = [
    ("Qwen2.5-Math-1.5B", qwen(1536, 28, 8960, 12, 2, 151936, True),
     ["Qwen2.5-Math-1.5B-Instruct", "DeepSeek-R1-Distill-Qwen-1.5B"]),
    ("Qwen2.5-Math-7B", qwen(3584, 28, 18944, 28, 4, 152064), ["Qwen2.5-Math-7B-Instruct", "DeepSeek-R1-Distill-Qwen-7B"]),
    ("Llama-3.1-8B", llama(4096, 32, 14336, 32, 8, 128256), ["Llama-3.1-8B-Instruct", "DeepSeek-R1-Distill-Llama-8B"]),
    ("Qwen2.5-14B", qwen(5120, 48, 13824, 40, 8, 152064), ["Qwen2.5-14B-Instruct", "DeepSeek-R1-Distill-Qwen-14B"]),
    ("DeepSeek-R1-Distill-Qwen-7B", qwen(3584, 28, 18944, 28, 4, 152064), ["AceMath-RL-Nemotron-7B"]),
    ("deepseek-math-7b-base", llama(4096, 30, 11008, 32, 32, 102400), ["deepseek-math-7b-rl"]),
    ("Seed-X-Instruct-7B", llama(4096, 32, 14336, 32, 8, 65269, "mistral"), ["Seed-X-PPO-7B"]),
    ("Mistral-7B-v0.1", llama(4096, 32, 14336, 32, 8, 32000, "mistral"), ["Mistral-7B-Instruct-v0.1"]),
    ("gemma-2-2b", llama(2304, 26, 9216, 8, 4, 256000, "gemma2", head_dim=256, tie_word_embeddings=True),
     ["gemma-2-2b-it"]),
    ("MediPhi", llama(3072, 32, 8192, 32, 32, 32064, "phi3"), ["MediPhi-Instruct"]),
]
# questions of the paper's tasks, and bytes of one with its choices
TASKS = {"gsm8k": (1319, 235), "math500": (500, 200), "mmlu_dev": (285, 420), "gpqa_main": (448, 700)}


def tensors(shape):
    h, mlp, heads = shape["hidden_size"], shape["intermediate_size"], shape["num_attention_heads"]
    head = shape.get("head_dim", h // heads)
    q, kv = heads * head, shape["num_key_value_heads"] * head
    out = [("model.embed_tokens.weight", [shape["vocab_size"], h]), ("model.norm.weight", [h])]
    if not shape.get("tie_word_embeddings"):
        out.append(("lm_head.weight", [shape["vocab_size"], h]))
    for i in range(shape["num_hidden_layers"]):
        at = f"model.layers.{i}."
        if shape["model_type"] == "phi3":
            out += [(at + "self_attn.qkv_proj.weight", [q + 2 * kv, h]), (at + "mlp.gate_up_proj.weight", [2 * mlp, h])]
        else:
            out += [(at + "self_attn.q_proj.weight", [q, h]), (at + "self_attn.k_proj.weight", [kv, h]),
                    (at + "self_attn.v_proj.weight", [kv, h]), (at + "mlp.gate_proj.weight", [mlp, h]),
                    (at + "mlp.up_proj.weight", [mlp, h])]
        out += [(at + "self_attn.o_proj.weight", [h, q]), (at + "mlp.down_proj.weight", [h, mlp])]
    return out


def write_model(folder, shape):
    os.makedirs(folder)
    with open(os.path.join(folder, "config.json"), "w") as f:
        json.dump(dict(shape, architectures=["Planned"]), f)
    header, end = {}, 0
    for name, size in tensors(shape):
        bytes_ = 2 * size[0] * (size[1] if len(size) > 1 else 1)
        header[name] = dict(dtype="BF16", shape=size, data_offsets=[end, end + bytes_])
        end += bytes_
    text = json.dumps(header).encode()
    with open(os.path.join(folder, "model.safetensors"), "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        f.truncate(8 + len(text) + end)


def write_tasks(folder):
    for name, (count, size) in TASKS.items():
        with open(os.path.join(folder, name + ".jsonl"), "w") as f:
            for i in range(count):
                f.write(json.dumps({"question": f"{i}: ".ljust(size, "x"), "answer": "#### 1"}) + "\n")


def text_of(seconds):
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.0f} h"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gyro", default=os.path.join(ROOT, "build", "release", "bin", "gyro"))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="f32")
    parser.add_argument("--threads", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        write_tasks(work)
        measured = ""
        print("| base | posts | weights | one post's attention, CKA, drift | one post's answers | most memory | all in all |")
        print("|---|---|---|---|---|---|---|")
        for base, shape, posts in FAMILIES:
            for name in [base] + posts:
                if not os.path.exists(os.path.join(work, name)):
                    write_model(os.path.join(work, name), shape)
            command = [arguments.gyro, "study", *(os.path.join(work, name) for name in [base] + posts),
                       "--tasks", ",".join(os.path.join(work, name + ".jsonl") for name in TASKS),
                       "--out", os.path.join(work, "study"), "--plan", "--json", "--device", arguments.device,
                       "--dtype", arguments.dtype]
            if arguments.threads:
                command += ["--threads", str(arguments.threads)]
            plan = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            measured = plan["measured"]
            seconds = {stage["stage"]: stage["seconds"] for stage in plan["stages"]}
            first = posts[0]
            probes = sum(seconds[f"{part} of {first}"] for part in ("attention", "representations", "drift"))
            held = max(stage["held_bytes"] for stage in plan["stages"])
            print(f"| {base} ({plan['parameters'] / 1e9:.2f} B) | {', '.join(posts)} | {text_of(seconds['weights'])} | "
                  f"{text_of(probes)} | {text_of(seconds['answers of ' + first])} | {held / 1e9:.0f} GB | "
                  f"{text_of(plan['seconds'])} |")
        print(f"\n{measured}; {sum(count for count, _ in TASKS.values())} questions, three repeats, {arguments.dtype}")


if __name__ == "__main__":
    main()
