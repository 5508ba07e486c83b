#!/usr/bin/env python3
"""Writes a synthetic base/post pair of Hugging Face checkpoints with the shapes of a real model, in BF16.

The base's weights are gaussian with a decaying column scale (so that the spectrum is neither flat nor degenerate); the
post is 0.995 x base plus gaussian noise of 3 % of the base's norm, both rounded to BF16.

  bench/make_pair.py DIR [--shape qwen2.5-1.5b|llama-3.1-8b] [--layers N] [--seed S] [--device cpu|cuda]

--device cuda draws on a GPU by torch (other numbers, the same distribution): a whole 8B pair in a minute.
"""
import argparse
import json
import os
import struct

try:
    import numpy as np
except ImportError:  # compare.py takes the shapes alone, before it has made an environment
    np = None

SHAPES = {
    "qwen2.5-1.5b": dict(model_type="qwen2", hidden_size=1536, intermediate_size=8960, num_attention_heads=12,
                         num_key_value_heads=2),
    "llama-3.1-8b": dict(model_type="llama", hidden_size=4096, intermediate_size=14336, num_attention_heads=32,
                         num_key_value_heads=8),
}


def bf16(x):
    """Nearest-even BF16 bits of a float32 array."""
    bits = x.view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype("<u2")


def widen(bits):
    return (bits.astype(np.uint32) << 16).view(np.float32)


def tensors(shape, layers):
    h, mlp = shape["hidden_size"], shape["intermediate_size"]
    kv = h // shape["num_attention_heads"] * shape["num_key_value_heads"]
    parts = [("self_attn.q_proj", (h, h)), ("self_attn.k_proj", (kv, h)), ("self_attn.v_proj", (kv, h)),
             ("self_attn.o_proj", (h, h)), ("mlp.gate_proj", (mlp, h)), ("mlp.up_proj", (mlp, h)),
             ("mlp.down_proj", (h, mlp))]
    return [(f"model.layers.{i}.{name}.weight", size) for i in range(layers) for name, size in parts]


def draw(size, seed, number, post):
    rng = np.random.default_rng([seed, number])
    scale = np.linspace(1.5, 0.5, size[1], dtype=np.float32)
    base = bf16(rng.standard_normal(size, dtype=np.float32) * scale * np.float32(0.02))
    if not post:
        return base.tobytes()
    noise = rng.standard_normal(size, dtype=np.float32)
    w = widen(base)
    noise *= np.float32(0.03 * np.linalg.norm(w) / np.linalg.norm(noise))
    return bf16(np.float32(0.995) * w + noise).tobytes()


def draw_on_gpu(size, seed, number, post):
    import torch
    random = torch.Generator("cuda").manual_seed(1000003 * seed + number)
    scale = torch.linspace(1.5, 0.5, size[1], device="cuda")
    w = (torch.randn(size, generator=random, device="cuda") * scale * 0.02).bfloat16()
    if post:
        noise = torch.randn(size, generator=random, device="cuda")
        w = (0.995 * w.float() + noise * (0.03 * w.float().norm() / noise.norm())).bfloat16()
    return w.view(torch.int16).cpu().numpy().tobytes()


def write_model(folder, shape, layers, seed, post, device):
    os.makedirs(folder, exist_ok=True)
    config = dict(shape, architectures=["Synthetic"], num_hidden_layers=layers, vocab_size=16, torch_dtype="bfloat16")
    with open(os.path.join(folder, "config.json"), "w") as f:
        json.dump(config, f, indent=1)
    header, offset = {}, 0
    for name, size in tensors(shape, layers):
        header[name] = dict(dtype="BF16", shape=size, data_offsets=[offset, offset + 2 * size[0] * size[1]])
        offset += 2 * size[0] * size[1]
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(os.path.join(folder, "model.safetensors"), "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for number, (_, size) in enumerate(tensors(shape, layers)):
            f.write((draw_on_gpu if device == "cuda" else draw)(size, seed, number, post))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dir")
    parser.add_argument("--shape", choices=SHAPES, default="qwen2.5-1.5b")
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    args = parser.parse_args()
    for name, post in (("base", False), ("post", True)):
        write_model(os.path.join(args.dir, name), SHAPES[args.shape], args.layers, args.seed, post, args.device)


if __name__ == "__main__":
    main()
