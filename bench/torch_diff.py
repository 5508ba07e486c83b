#!/usr/bin/env python3
"""What people write today: SVD of both matrices in FP32 with torch, SVSM and NF. The other side of bench/compare.py.

  bench/torch_diff.py BASE POST [--tuned] [--device cuda] [--threads N] [--out FILE.json]

plain: torch.linalg.svd(W.float().T) of both, as in the paper's orientation. --tuned: the tall orientation first, which
LAPACK and cuSOLVER prefer. Both compute α over the top 90 %, and NF = ||I_orth - I||_F / n with I_orth = (U_b' U_p)' (V_b' V_p).
"""
import argparse
import json
import os
import resource
import time

import torch
from safetensors import safe_open

NAMES = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.gate_proj", "mlp.up_proj",
         "mlp.down_proj")


def svd(w, tuned, device):
    w = w.to(device).float().T  # the paper's W, d_in x d_out
    if tuned and w.shape[0] < w.shape[1]:
        u, s, vt = torch.linalg.svd(w.T, full_matrices=False)
        return vt.T, s, u
    u, s, vt = torch.linalg.svd(w, full_matrices=False)
    return u, s, vt.T


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base")
    parser.add_argument("post")
    parser.add_argument("--tuned", action="store_true")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--layers", type=int, default=None)
    parser.add_argument("--out")
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    start = time.time()
    rows = []
    layers = json.load(open(os.path.join(args.base, "config.json")))["num_hidden_layers"]
    with safe_open(os.path.join(args.base, "model.safetensors"), "pt") as base, \
            safe_open(os.path.join(args.post, "model.safetensors"), "pt") as post:
        for layer in range(args.layers or layers):
            for name in NAMES:
                key = f"model.layers.{layer}.{name}.weight"
                ub, sb, vb = svd(base.get_tensor(key), args.tuned, args.device)
                up, sp, vp = svd(post.get_tensor(key), args.tuned, args.device)
                k = max(1, int(0.9 * len(sb)))
                alpha = sp[:k] / sb[:k]
                i_orth = (ub.T @ up).T @ (vb.T @ vp)
                nf = torch.linalg.norm(i_orth - torch.eye(len(sb), device=args.device)) / len(sb)
                rows.append(dict(layer=layer, tensor=key, alpha_mean=alpha.mean().item(),
                                 alpha_std=alpha.std(unbiased=False).item(), nf=nf.item(), alpha=alpha.tolist()))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    result = dict(seconds=time.time() - start, peak_kb=peak, torch=torch.__version__, rows=rows)
    if args.out:
        json.dump(result, open(args.out, "w"))
    print(f"torch {torch.__version__}: {result['seconds']:.2f} s after imports, peak {peak / 1024:.0f} MB")


if __name__ == "__main__":
    main()
