"""With PyTorch and transformers, where they are installed: scripts/setup-reference makes an environment that has them."""

import copy
import logging
import os

import numpy
import pytest
from conftest import MODELS

import gyro
from gyro import callbacks

torch = pytest.importorskip("torch")
FakeTensorMode = pytest.importorskip("torch._subclasses.fake_tensor").FakeTensorMode
transformers = pytest.importorskip("transformers")

pytestmark = pytest.mark.filterwarnings("default")  # theirs are not ours to heed
SUMS = str(MODELS.parent / "data" / "tiny_gsm8k.jsonl")
QUERY = "model.layers.1.self_attn.q_proj.weight"


@pytest.fixture(autouse=True)
def quiet():
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    torch.manual_seed(0)


def load(folder, dtype=None):
    return transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=dtype or "auto")


def resident():
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")


def numbers(comparison):
    """Its rows, without where they lie: experts may be one tensor in memory and many in a folder."""
    return [{key: value for key, value in row.items() if key not in ("tensor", "slice")} for row in comparison.matrices]


def test_memory_is_shared():
    state = {QUERY: torch.ones(8192, 8192, dtype=torch.bfloat16)}  # 128 MB
    before = resident()
    model = gyro.open(state)
    data = model._core.read(QUERY)
    assert data.ctypes.data == state[QUERY].data_ptr() and data.nbytes == 2 * 8192**2
    assert resident() - before < 20e6
    state[QUERY][0, 0] = 2  # what it is now is read
    assert data[:2].view(numpy.uint16)[0] == 0x4000


@pytest.mark.parametrize("family", sorted(path.name for path in MODELS.iterdir() if path.is_dir()))
def test_loaded_models_are_their_folders(family):
    base, post = (str(MODELS / family / name) for name in ("base", "instruct"))
    expected = gyro.diff(base, post)[0]
    loaded = gyro.diff(load(base), load(post))
    assert numbers(loaded[0]) == numbers(expected)
    assert loaded.data["base"]["model_type"] == gyro.open(base).config["model_type"]


def test_state_dicts_are_read_by_the_config_of_the_other(base, post):
    assert numbers(gyro.diff(base, load(post).state_dict())[0]) == numbers(gyro.diff(base, post)[0])


def test_heads_that_are_the_embeddings_are_no_tensors_of_their_own(base):
    module = load(base)
    assert module.config.tie_word_embeddings and "lm_head.weight" in module.state_dict()
    assert sorted(gyro.open(module)) == sorted(gyro.open(base))
    module.lm_head.weight = torch.nn.Parameter(module.lm_head.weight.detach().clone())  # a head of its own
    assert set(gyro.open(module)) - set(gyro.open(base)) == {"lm_head.weight"}


def test_however_tensors_lie(base, post):
    state = load(post, torch.float32).state_dict()
    expected = numbers(gyro.diff(base, dict(state))[0])
    strided = {name: tensor.t().contiguous().t() if tensor.ndim == 2 else tensor for name, tensor in state.items()}
    wide = {name: torch.stack([tensor, tensor], -1)[..., 0] for name, tensor in state.items()}
    for others in (strided, wide):
        assert not others[QUERY].is_contiguous()
        assert numbers(gyro.diff(base, others)[0]) == expected
    some = gyro.open({**state, "scale": torch.tensor(2.5, dtype=torch.bfloat16), "none": torch.zeros(0, 3)})
    assert some.tensors["scale"] == ("BF16", ()) and some._core.read("scale").tobytes() == b"\x20\x40"
    assert some.tensors["none"] == ("F32", (0, 3))
    needs_gradient = {name: torch.nn.Parameter(tensor) for name, tensor in state.items()}
    assert numbers(gyro.diff(base, needs_gradient)[0]) == expected


class Wrapper(torch.Tensor):
    """Of a shape, and nothing else."""

    @staticmethod
    def __new__(cls, shape):
        return torch.Tensor._make_wrapper_subclass(cls, shape)

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        raise NotImplementedError(str(func))


def freed(tensor, left=0):
    tensor.untyped_storage().resize_(left)
    return tensor


UNREADABLE = {
    "complex": (lambda: torch.zeros(2, 2, dtype=torch.complex64), "complex64"),
    "sparse": (lambda: torch.zeros(2, 2).to_sparse(), "sparse"),
    "meta": (lambda: torch.zeros(2, 2, device="meta"), "device meta"),
    "fake": (lambda: FakeTensorMode().from_tensor(torch.zeros(2, 2)), "this FakeTensor stands for"),
    "functional": (lambda: torch._to_functional_tensor(torch.zeros(2, 2)), "stands for"),
    "wrapper": (lambda: Wrapper((2, 2)), "this Wrapper stands for"),
    "freed": (lambda: freed(torch.zeros(2, 2)), "its memory was freed"),
    "freed in part": (lambda: freed(torch.zeros(2, 2), 8), "its memory was freed"),
    "nested": (lambda: torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]), "nested"),
    "jagged": (lambda: torch.nested.nested_tensor([torch.ones(2), torch.ones(3)], layout=torch.jagged), "nested"),
    "lazy": (lambda: torch.nn.LazyLinear(3).weight, "not initialised"),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_tensors_that_cannot_be_read_are_named(name, base):
    make, says = UNREADABLE[name]
    tensor = make()
    state = load(base).state_dict() | {QUERY: tensor}
    for call in (gyro.open, lambda state: gyro.diff(base, state), callbacks.track):
        with pytest.raises(gyro.InputError, match=f"{QUERY}: .*{says}"):
            call(state)
    with pytest.raises(gyro.InputError, match=f"a: .*{says}"):
        gyro.svd(tensor)
    with pytest.raises(gyro.InputError, match=f"post: .*{says}"):
        gyro.compare(torch.zeros(2, 2), tensor)


def test_transformations_have_no_values():
    for transform in (torch.vmap, torch.func.grad):
        with pytest.raises(gyro.InputError, match=f"{QUERY}: has no values"):
            transform(lambda tensor: gyro.open({QUERY: tensor}))(torch.ones(2, 4, 4))
    with FakeTensorMode():
        with pytest.raises(gyro.InputError, match="weight: has no values"):
            gyro.open(torch.nn.Linear(4, 4))


def test_memory_that_is_freed_after_opening_is_not_read(base, post):
    module = copy.deepcopy(load(post))  # in memory of its own, not a file's
    model = gyro.open(module)
    freed(module.model.layers[1].self_attn.q_proj.weight.data)
    for call in (lambda: model[QUERY], lambda: gyro.diff(base, model), lambda: model.matrix(1, "W_Q")):
        with pytest.raises(gyro.InputError, match=f"{QUERY}: has no values any more"):
            call()
    assert model.matrix(0, "W_Q").shape == (64, 64)


def test_back_to_torch(base):
    state = gyro.open(base).state_dict("torch")
    for name, tensor in load(base).state_dict().items():
        if name != "lm_head.weight":
            assert state[name].dtype == tensor.dtype and torch.equal(state[name], tensor)
    built = gyro.build("restore-mlp-in", base, load(base))
    module = load(base)
    module.load_state_dict(built.state_dict("torch"), strict=False)  # a construction of equals is its post
    for name, tensor in module.state_dict().items():
        assert torch.allclose(tensor.float(), load(base).state_dict()[name].float(), atol=2e-2)


def test_evaluate_a_loaded_model(post, tmp_path):
    short = {"tasks": SUMS, "limit": 2, "max_tokens": 12, "temp": 0}
    expected = [sample["output"] for sample in gyro.evaluate(post, **short).samples]
    tokenizer = transformers.AutoTokenizer.from_pretrained(post)
    for given in (tokenizer, post):
        found = gyro.evaluate(load(post), tokenizer=given, **short)
        assert [sample["output"] for sample in found.samples] == expected
        assert [sample["finish"] for sample in found.samples] == ["length", "length"]
    with pytest.raises(gyro.InputError, match="tokenizer"):
        gyro.evaluate(load(post), **short)


def texts(folder):
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    with open(SUMS, encoding="utf-8") as file:
        ids = tokenizer(file.read()).input_ids[: 64 * 40]
    rows = [ids[i : i + 40] for i in range(0, len(ids), 40)]
    return [{"input_ids": row, "labels": row} for row in rows if len(row) == 40]


class Recorder(transformers.TrainerCallback):
    """What a logger of the trainer is given."""

    def __init__(self):
        self.logs = []

    def on_log(self, args, state, control, logs=None, **kwargs):
        self.logs.append((state.global_step, dict(logs)))


def trainer_of(folder, tmp_path, steps=12, **options):
    recorder = Recorder()
    arguments = transformers.TrainingArguments(
        str(tmp_path), max_steps=steps, per_device_train_batch_size=2, learning_rate=1e-3, logging_steps=4,
        save_strategy="no", report_to=[], use_cpu=True, disable_tqdm=True, seed=0, **options,
    )  # fmt: skip
    trainer = transformers.Trainer(
        model=load(folder, torch.float32), args=arguments, train_dataset=texts(folder), callbacks=[recorder]
    )
    trainer.remove_callback(transformers.PrinterCallback)
    return trainer, recorder


def weights(trainer):
    return torch.cat([parameter.detach().flatten() for parameter in trainer.model.parameters()])


def test_a_trainer_logs_what_is_tracked(base, tmp_path):
    plain, before = trainer_of(base, tmp_path)
    plain.train()
    trainer, recorder = trainer_of(base, tmp_path)
    tracker = callbacks.SpectralTracker(every=3, at_most=None, types=["W_Q", "W_O"]).attach(trainer)
    assert isinstance(tracker, transformers.TrainerCallback)
    assert tracker.attach(trainer) is tracker and trainer.callback_handler.callbacks.count(tracker) == 1
    trainer.train()
    assert torch.equal(weights(trainer), weights(plain))  # training is what it was

    figures = {step: logs for step, logs in recorder.logs if any(name.startswith("gyro/") for name in logs)}
    assert list(figures) == [3, 6, 9, 12] == [line["step"] for line in tracker.history]
    for line in tracker.history:
        for name in ("W_Q/alpha", "W_O/nf", "W_O/principal_in", "W_O/principal_in_null", "W_Q/relative_change"):
            assert figures[line["step"]][f"gyro/{name}"] == line[name]
    own = [entry for entry in trainer.state.log_history if "gyro/W_Q/alpha" in entry]
    assert [entry["step"] for entry in own] == [3, 6, 9, 12]
    # What the trainer logs by itself is all there, at 12 too, where both are due.
    assert (
        [step for step, logs in recorder.logs if "loss" in logs]
        == [step for step, logs in before.logs if "loss" in logs]
        == [4, 8, 12]
    )
    assert not any(name.startswith("gyro/W_up") for name in figures[3])

    now = gyro.diff(base, trainer.model, null_draws=0, types=["W_Q", "W_O"]).types
    assert tracker.history[-1]["W_O/alpha"] == pytest.approx(now["W_O"]["alpha_mean"], rel=1e-12)
    assert tracker.history[-1]["W_O/relative_change"] > 1e-4


def test_a_trainer_of_which_it_knows_nothing(base, tmp_path, caplog):
    trainer, recorder = trainer_of(base, tmp_path, steps=2)
    tracker = callbacks.SpectralTracker(every=1, at_most=None, types="W_Q")
    trainer.add_callback(tracker)
    with caplog.at_level(logging.INFO, logger="gyro"):
        trainer.train()
    assert len(tracker.history) == 2 and not any("gyro/W_Q/alpha" in logs for _, logs in recorder.logs)
    said = [record.getMessage() for record in caplog.records]
    assert any("attach(trainer)" in text for text in said) and any(
        text.startswith("step 2: alpha W_Q") for text in said
    )


def test_a_resumed_run_says_where_it_begins(base, tmp_path, caplog):
    trainer, _ = trainer_of(base, tmp_path, steps=2, save_steps=2)
    trainer.args.save_strategy = transformers.trainer_utils.SaveStrategy.STEPS
    trainer.train()
    again, _ = trainer_of(base, tmp_path, steps=4)
    tracker = callbacks.SpectralTracker(every=1, at_most=None, types="W_Q").attach(again)
    again.train(resume_from_checkpoint=str(tmp_path / "checkpoint-2"))
    assert [line["step"] for line in tracker.history] == [3, 4]
    assert any("resumed at step 2" in record.getMessage() for record in caplog.records)


def test_only_the_main_process_compares(base):
    tracker = callbacks.SpectralTracker(every=1)
    state = transformers.TrainerState(is_world_process_zero=False, global_step=1)
    control = transformers.TrainerControl()
    tracker.on_train_begin(None, state, control, model=load(base))
    tracker.on_step_end(None, state, control, model=load(base))
    assert tracker.history == [] and tracker._base is None


def test_wrapped_models_are_what_they_wrap(base):
    module = load(base)
    tracker = callbacks.track(torch.compile(module), every=1, types="W_Q")
    assert tracker.step(torch.nn.DataParallel(module), 1)["W_Q/relative_change"] == 0
    with torch.no_grad():
        module.model.layers[0].self_attn.q_proj.weight.add_(0.01)
    assert tracker.compare(module, 2)["W_Q/relative_change"] > 0


def test_weights_in_parts_are_refused(base, tmp_path):
    from torch.distributed.tensor import Shard, distribute_tensor, init_device_mesh

    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/group", rank=0, world_size=1)
    try:
        mesh = init_device_mesh("cpu", (1,))
        state = load(base).state_dict()
        state[QUERY] = distribute_tensor(state[QUERY], mesh, [Shard(0)])
        with pytest.raises(gyro.InputError, match=f"{QUERY}: is a part of its tensor"):
            callbacks.track(state)
        for call in (gyro.open, lambda state: gyro.diff(base, state)):
            with pytest.raises(gyro.InputError, match=f"{QUERY}: is a part of its tensor"):
                call(state)
    finally:
        torch.distributed.destroy_process_group()


def adapted(base, **config):
    """A model with an adapter of PEFT that has been trained."""
    peft = pytest.importorskip("peft")
    config = {"r": 3, "lora_alpha": 7, "target_modules": ["q_proj", "down_proj"], "task_type": "CAUSAL_LM"} | config
    model = peft.get_peft_model(load(base).float(), peft.LoraConfig(**config))
    train(model)
    return model


def train(model):
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.requires_grad and "lora_A" not in name:
                parameter.add_(0.02 * torch.randn_like(parameter))


ADAPTERS = [
    {},
    {"use_rslora": True},
    {"use_dora": True},
    {"rank_pattern": {"layers.0.self_attn.q_proj": 4}, "alpha_pattern": {"down_proj": 2}},
    {"modules_to_save": ["lm_head"]},
    {"bias": "lora_only"},
]


@pytest.mark.parametrize("config", ADAPTERS, ids=lambda config: next(iter(config), "plain"))
def test_an_adapter_is_what_it_makes_of_its_base(base, tmp_path, config):
    model = adapted(base, **config)
    model.save_pretrained(tmp_path / "adapter")
    read, saved = gyro.open(model), gyro.open(tmp_path / "adapter", base=base)
    assert read.path is None and set(read) == set(saved)
    assert all(numpy.array_equal(read[name], saved[name]) for name in saved)
    merged = gyro.open(copy.deepcopy(model).merge_and_unload())
    assert set(read) == set(merged)
    for name in merged:
        numpy.testing.assert_allclose(read[name], merged[name], atol=1e-6)


def test_an_adapter_that_changed_its_base_first(base):
    """PiSSA takes its start out of the base: the model is what both are now."""
    model = adapted(base, init_lora_weights="pissa")
    read, merged = gyro.open(model), gyro.open(copy.deepcopy(model).merge_and_unload())
    for name in merged:
        numpy.testing.assert_allclose(read[name], merged[name], atol=1e-6)


def test_an_adapter_that_transformers_added(base):
    peft = pytest.importorskip("peft")
    model = load(base).float()
    model.add_adapter(peft.LoraConfig(r=2, target_modules=["q_proj"]))
    assert numpy.array_equal(gyro.open(model)[QUERY], gyro.open(base)[QUERY])
    train(model)
    query = model.model.layers[1].self_attn.q_proj
    expected = (
        query.base_layer.weight
        + query.scaling["default"] * query.lora_B["default"].weight @ query.lora_A["default"].weight
    )
    numpy.testing.assert_allclose(gyro.open(model)[QUERY], expected.detach(), atol=1e-6)
    model.disable_adapters()
    assert numpy.array_equal(gyro.open(model)[QUERY], gyro.open(base)[QUERY])


def test_adapters_are_followed(base):
    model = adapted(base)
    tracker = callbacks.track(model, every=1, at_most=None)
    assert tracker.step(model, 1)["W_Q/relative_change"] == 0
    before = gyro.open(model).state_dict()
    train(model)
    figures = tracker.step(model, 2)
    row = gyro.diff(before, model, null_draws=0).types["W_Q"]
    assert figures["W_Q/relative_change"] == row["relative_change_mean"] > 0
    assert figures["W_K/relative_change"] == 0


def test_adapters_that_cannot_be_read(base):
    peft = pytest.importorskip("peft")
    for config, problem in (
        (peft.IA3Config(task_type="CAUSAL_LM", target_modules=["k_proj"], feedforward_modules=[]), "the type IA3"),
        (peft.LoraConfig(target_modules=["q_proj"], trainable_token_indices=[1]), "trainable_token_indices"),
    ):
        with pytest.raises(gyro.InputError, match=problem):
            gyro.open(peft.get_peft_model(load(base), config))
    model = adapted(base)
    model.base_model.model.model.layers[1].self_attn.q_proj.set_scale("default", 3)
    with pytest.raises(gyro.InputError, match="model.layers.1.self_attn.q_proj: has its adapter scaled by 7, not by"):
        gyro.open(model)
    model = adapted(base)
    model.add_adapter("other", peft.LoraConfig(r=2, target_modules=["v_proj"]))
    assert gyro.open(model)["model.layers.0.self_attn.v_proj.weight"].dtype == numpy.float32
    model.base_model.set_adapter(["default", "other"])
    with pytest.raises(gyro.InputError, match="several active adapters"):
        gyro.open(model)
    model.set_adapter("other")
    model.merge_adapter()
    with pytest.raises(gyro.InputError, match="merged for now"):
        callbacks.track(model)
    with pytest.raises(gyro.InputError, match="adapter that is not merged"):
        gyro.open(model.state_dict())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="has no GPU")
def test_nothing_is_added_to_a_gpus_memory(base):
    module = load(base).to("cuda")
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    tracker = callbacks.track(module, every=1)
    assert tracker.step(module, 1)
    assert torch.cuda.max_memory_allocated() - before < 1e6
