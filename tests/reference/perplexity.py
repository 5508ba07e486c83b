#!/usr/bin/env python3
"""`gyro perplexity` gives what transformers gives in float32: of the shipped models, and of small ones with random weights
for what those have not: other architectures, scaled rotations, windows, biases."""
import json
import os
import shutil
import subprocess
import tempfile
import unittest

from models import MODELS, load, torch, transformers  # first: sets the paths

TEXT = """Tom has 34 cards. Lily gives Tom 33 more. Then Tom loses 30 cards. How many cards does Tom have now?
First Citizen: Before we proceed any further, hear me speak. All: Speak, speak. Resolved to die rather than to famish?
The answer is \\boxed{37}. Naïve café — “quotes”, 日本語, 1234567.   Three spaces\tand a tab.
""" * 3
CONTEXT = 200
TOLERANCE = 1e-4  # of the perplexity
FAMILIES = ("pico-qwen2", "pico-qwen3", "pico-qwen3moe", "pico-llama", "pico-mistral", "pico-gemma2", "pico-phi3")
SIZES = {"vocab_size": 448, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 4, "num_attention_heads": 4,
         "num_key_value_heads": 2, "head_dim": 16, "max_position_embeddings": 512, "bos_token_id": 443, "eos_token_id": 444,
         "pad_token_id": 444}
NO_HEAD_DIM = {"head_dim": None}


def scaling(kind, **more):
    return {"rope_theta": 10000.0, "rope_type": kind, "factor": 4.0, **more}


LLAMA3 = scaling("llama3", low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=64)
YARN = scaling("yarn", original_max_position_embeddings=64)
EXPERTS = {"num_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 48}
GEMMA3_LAYERS = ["sliding_attention", "sliding_attention", "full_attention", "sliding_attention"]
# A name, the class of its configuration, and what is set besides SIZES.
RANDOM = (
    ("llama", "LlamaConfig", {}),
    ("llama, wide heads", "LlamaConfig", {"head_dim": 32}),
    ("llama, biases, tied", "LlamaConfig", {"attention_bias": True, "mlp_bias": True, "tie_word_embeddings": True}),
    ("llama, llama3", "LlamaConfig", {"rope_parameters": LLAMA3}),
    ("llama, linear", "LlamaConfig", {"rope_parameters": scaling("linear")}),
    ("llama, yarn", "LlamaConfig", {"rope_parameters": YARN}),
    ("qwen2, yarn", "Qwen2Config", {"rope_parameters": YARN}),
    ("qwen3, yarn with its factor", "Qwen3Config", {"rope_parameters": {**YARN, "attention_factor": 1.3}}),
    ("mistral", "MistralConfig", {"sliding_window": None}),
    ("mistral, window, yarn", "MistralConfig", {"sliding_window": 32, "rope_parameters": YARN}),
    ("qwen2, window of some layers", "Qwen2Config", {"use_sliding_window": True, "sliding_window": 32, "max_window_layers": 2}),
    ("phi3, window", "Phi3Config", {**NO_HEAD_DIM, "sliding_window": 32, "rope_parameters": {"rope_theta": 1e4, "rope_type": "default"}}),
    ("gemma", "GemmaConfig", {"num_key_value_heads": 1, "head_dim": 32}),
    ("gemma3", "Gemma3TextConfig", {"query_pre_attn_scalar": 16, "sliding_window": 32, "layer_types": GEMMA3_LAYERS}),
    ("gemma3, linear", "Gemma3TextConfig",
     {"query_pre_attn_scalar": 16, "sliding_window": 32, "layer_types": GEMMA3_LAYERS,
      "rope_parameters": {"full_attention": {"rope_theta": 1e6, "rope_type": "linear", "factor": 8.0},
                          "sliding_attention": {"rope_theta": 1e4, "rope_type": "default"}}}),
    ("qwen3_moe", "Qwen3MoeConfig", {**EXPERTS, "norm_topk_prob": True, "mlp_only_layers": []}),
    ("qwen3_moe, weights as they are", "Qwen3MoeConfig", {**EXPERTS, "norm_topk_prob": False, "mlp_only_layers": [0, 1]}),
)


def gyro(*words):
    done = subprocess.run([os.environ["GYRO"], "perplexity", *words], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise AssertionError(done.stderr)
    return json.loads(done.stdout)


def reference(folder, ids):
    """The mean over all windows' tokens but their first."""
    model, losses = load(folder), []
    for first in range(0, len(ids) - 1, CONTEXT):
        window = torch.tensor([ids[first:first + CONTEXT]])
        if window.shape[1] < 2:
            break
        with torch.no_grad():
            logits = model(window).logits[0, :-1].double()
        losses.append(torch.nn.functional.cross_entropy(logits, window[0, 1:], reduction="none"))
    return float(torch.cat(losses).mean().exp()), sum(len(loss) for loss in losses)


def randomise(model):
    generator = torch.Generator().manual_seed(1)
    for name, parameter in model.named_parameters():
        values = torch.randn(parameter.shape, generator=generator)
        if parameter.ndim > 1:
            values *= 1.2 * parameter.shape[-1] ** -0.5
        elif name.endswith("norm.weight") and "Gemma" not in type(model).__name__:
            values = 1 + 0.2 * values
        else:
            values *= 0.2
        parameter.data = values


class Perplexity(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.text = os.path.join(self.folder, "text")
        with open(self.text, "w", encoding="utf-8") as f:
            f.write(TEXT)

    def check(self, folder):
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        expected, predicted = reference(folder, tokenizer(TEXT).input_ids)
        result = gyro(folder, "--text", self.text, "--context", str(CONTEXT), "--threads", "1", "--json")
        self.assertEqual(result["predicted"], predicted)
        self.assertAlmostEqual(result["perplexity"] / expected, 1, delta=TOLERANCE)

    def test_shipped_models(self):
        for family in FAMILIES:
            with self.subTest(family):
                self.check(os.path.join(MODELS, family, "instruct"))

    def test_random_models(self):
        for number, (name, config, changes) in enumerate(RANDOM):
            with self.subTest(name):
                sizes = {key: value for key, value in {**SIZES, **changes}.items() if value is not None or key == "sliding_window"}
                model = transformers.AutoModelForCausalLM.from_config(getattr(transformers, config)(**sizes))
                randomise(model)
                folder = os.path.join(self.folder, str(number))
                model.save_pretrained(folder)
                tokenizer = "pico-qwen2/base" if name.startswith("qwen") else "pico-llama/base"
                for file in ("tokenizer.json", "tokenizer_config.json"):
                    shutil.copy(os.path.join(MODELS, tokenizer, file), folder)
                self.check(folder)


if __name__ == "__main__":
    unittest.main()
