#!/usr/bin/env python3
"""llama.cpp's converter takes what Gyro writes as it takes the original: the same tensors of the same types, the same
tokenizer and parameters, and in them the weights of Gyro's safetensors files."""
import contextlib
import io
import logging
import os
import re
import shutil
import sys
import tempfile
import unittest
from unittest import mock

from models import MODELS, checkpoints, gyro  # first: sets the paths

LLAMA_CPP = os.path.join(sys.prefix, "llama.cpp")  # scripts/setup-reference puts it there
sys.path[:0] = [LLAMA_CPP, os.path.join(LLAMA_CPP, "gguf-py")]

import convert_hf_to_gguf
import gguf
import numpy as np

FAMILIES = ("pico-qwen2", "pico-llama", "pico-mistral", "pico-gemma2", "pico-phi3")
# The converter knows byte-level BPE tokenizers by a list, on which those of these tiny models are not.
WITHOUT_KNOWN_TOKENIZER = ("pico-qwen2", "pico-llama")
TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "tokenizer.model")
BUILDS = (["replace", "--scale", "0.9"], ["ablate", "--shard-size", "100KB"], ["restore", "--side", "in"], ["noise"])
INITS = (["rescale", "--types", "W_O", "--by", "1.4"], ["pissa", "--rank", "4"])
NAMES = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
         "self_attn.qkv_proj": "attn_qkv", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.gate_up_proj": "ffn_up",
         "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
         "pre_feedforward_layernorm": "ffn_norm", "post_feedforward_layernorm": "post_ffw_norm"}
OUTSIDE = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}


def halves_interleaved(rows, heads):
    """What the converter does to Q and K of llama: its rotary embedding turns neighbours, not halves, of a head."""
    return rows.reshape(heads, 2, len(rows) // heads // 2, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape)


def expected(folder):
    """{name in GGUF: values} of a checkpoint."""
    config = checkpoints.read_json(folder, "config.json")
    tensors = {}
    for full, tensor in checkpoints.read(folder).items():
        name, kind = full.rsplit(".", 1)
        values = checkpoints.values(tensor)
        if config["model_type"] in ("llama", "mistral") and ("q_proj" in name or "k_proj" in name):
            values = halves_interleaved(values, config["num_attention_heads" if "q_proj" in name else "num_key_value_heads"])
        if config["model_type"] == "gemma2" and "norm" in name:
            values = (values.astype(np.float32) + np.float32(1)).astype(np.float64)
        layer = re.fullmatch(r"model\.layers\.(\d+)\.(.*)", name)
        if not layer:
            tensors[f"{OUTSIDE[name]}.{kind}"] = values
        elif config["model_type"] == "gemma2" and layer[2] == "post_attention_layernorm":
            tensors[f"blk.{layer[1]}.post_attention_norm.{kind}"] = values
        else:
            tensors[f"blk.{layer[1]}.{NAMES[layer[2]]}.{kind}"] = values
    return tensors


class Converter(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = holder.name
        self.out = holder.name + "/out"
        logging.disable(logging.WARNING)
        self.addCleanup(logging.disable, logging.NOTSET)

    def models(self):
        """Base and post of each family as the converter takes them."""
        for family in FAMILIES:
            model = f"{self.folder}/{family}"
            shutil.copytree(f"{MODELS}/{family}", model)
            for role in ("base", "instruct") if family in WITHOUT_KNOWN_TOKENIZER else ():
                for name in TOKENIZER:
                    shutil.copy(f"{MODELS}/pico-phi3/{role}/{name}", f"{model}/{role}/{name}")
            with self.subTest(model=family):
                yield f"{model}/base", f"{model}/instruct"

    def convert(self, folder, outtype):
        """Fields, and tensors as (type, values)."""
        path = f"{self.folder}/model.gguf"
        with mock.patch.object(sys, "argv", ["convert", folder, "--outtype", outtype, "--outfile", path]), \
                contextlib.redirect_stderr(io.StringIO()):
            convert_hf_to_gguf.main()
        reader = gguf.GGUFReader(path)
        fields = {name: field.contents() for name, field in reader.fields.items() if not name.startswith("GGUF.")}
        tensors = {}
        for t in reader.tensors:
            values = gguf.dequantize(t.data, t.tensor_type).reshape([int(n) for n in reversed(t.shape)])
            tensors[t.name] = t.tensor_type, values.astype(np.float64)
        return fields, tensors

    def check(self, original, outtype, what):
        with self.subTest(what=what):
            fields, tensors = self.convert(self.out, outtype)
            # The name is the folder's; tags and base model are the model card's.
            ours = {name for name in fields if re.match(r"general\.(name|tags|base_model\.)", name)}
            self.assertEqual({name: value for name, value in fields.items() if name not in ours},
                             {name: value for name, value in original[0].items() if name != "general.name"})
            wanted = expected(self.out)
            self.assertEqual(set(tensors), set(wanted))
            for name, (kind, values) in tensors.items():
                self.assertEqual(kind, original[1][name][0], name)
                np.testing.assert_array_equal(values, wanted[name], name)

    def check_all(self, outtype, *options):
        for base, post in self.models():
            original = self.convert(post, outtype)
            for words in BUILDS:
                gyro("build", words[0], base, post, *words[1:], *options, "--out", self.out, "--force")
                self.check(original, outtype, words)
            original = self.convert(base, outtype)
            for words in INITS:
                gyro("init", words[0], base, *words[1:], *options, "--out", self.out, "--force")
                self.check(original, outtype, words)

    def test_as_stored(self):
        self.check_all("bf16")

    def test_f32(self):
        self.check_all("f32", "--dtype", "f32")


if __name__ == "__main__":
    unittest.main()
