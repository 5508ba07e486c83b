"""Loads models as users do, and compares what they say."""
import os
import subprocess
import sys
import unittest

os.environ["HF_HUB_OFFLINE"] = os.environ["TRANSFORMERS_OFFLINE"] = "1"
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "cli"))

import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer

import checkpoints

MODELS = os.environ["GYRO_MODELS"]
FAMILIES = ("pico-qwen2", "pico-phi3")
PROMPT = "Tom has 3 apples and buys 4 more. How many apples does Tom have now?"
LOGITS = 1e-4  # F32
torch.manual_seed(0)
transformers.utils.logging.disable_progress_bar()
torch.set_num_threads(2)


def gyro(*words):
    subprocess.run([os.environ["GYRO"], *words, "--quiet"], check=True)


def load(folder, dtype=torch.float32):
    model, info = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, attn_implementation="eager", output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"] and not info["mismatched_keys"], info
    return model.eval()


def prompt(folder):
    return AutoTokenizer.from_pretrained(folder)(PROMPT, return_tensors="pt").input_ids


def logits(model, tokens):
    with torch.no_grad():
        return model(input_ids=tokens).logits.double()


def rebuilt(folder, tensors):
    """The model of `folder` in F32 with these float64 tensors for weights."""
    model = load(folder)
    state = {name: torch.from_numpy(values).float() for name, values in tensors.items()}
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert not unexpected and set(missing) <= {"lm_head.weight"}, (missing, unexpected)
    model.tie_weights()
    return model


class Comparison(unittest.TestCase):
    def assert_close(self, found, expected, tolerance=LOGITS):
        self.assertEqual(found.shape, expected.shape)
        self.assertGreater(float(expected.abs().max()), 1)  # not the logits of a model of zeros
        self.assertLessEqual(float((found - expected).abs().max()), tolerance)
