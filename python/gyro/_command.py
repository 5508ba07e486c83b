"""gyro.evaluate and gyro.probe: `gyro eval` and `gyro probe`, each in a process of its own."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from typing import TYPE_CHECKING, Any, Literal

from . import _child, _core, _diff, _models
from ._arguments import flag, names, one_of, path, paths, text
from ._child import options_of, valued_options_of
from ._errors import InputError, NotFoundError
from ._run import thread_count
from ._types import ModelLike, Names, PathLike, Paths

if TYPE_CHECKING:
    import pandas

_TOKENIZER = re.compile(
    r"tokenizer.*|special_tokens_map\.json|added_tokens\.json|vocab\.(json|txt)|merges\.txt|"
    r"chat_template.*|generation_config\.json"
)


def evaluate(
    model: ModelLike | None = None,
    *,
    base: ModelLike | None = None,
    post: ModelLike | None = None,
    tasks: Paths,
    data: PathLike | None = None,
    variants: Names = (),
    sibling: ModelLike | None = None,
    limit: int | None = None,
    temp: float | None = None,
    top_p: float | None = None,
    max_tokens: int | None = None,
    repeats: int | None = None,
    seed: int | None = None,
    dtype: str | None = None,
    device: str | None = None,
    threads: int | None = None,
    endpoint: str | None = None,
    out: PathLike | None = None,
    force: bool = False,
    tokenizer: Any = None,
    progress: bool = False,
    **options: Any,
) -> Evaluation:
    """Asks a model, or a post and its constructions, the questions of tasks and grades the answers: `gyro eval`
    (docs/evaluation.md). What is not given is as there: the paper's.

    model: as gyro.open takes it, or a .gguf file; or base, post and variants, such as ["paper", "controls"]. With
        endpoint, the address of a server, its name there.
    tasks: files, "NAME=PATH", or names to find in the folder `data`.
    out: a folder that keeps the answers, and from which the same call goes on; force: begin anew.
    tokenizer: of a model in memory: an object with save_pretrained, or a folder that has its files. Such a model is
        written to a temporary folder.
    progress: True shows it where stderr is a terminal.
    options: any other of the command: `few_shot=4` is `--few-shot 4`, True a flag, a list an option given several times.

    Returns an Evaluation. Ctrl-C raises KeyboardInterrupt within a second. Raises InputError, NotFoundError.
    """
    out, progress = None if out is None else path(out, "out"), flag(progress, "progress")
    asked = options_of(task=paths(tasks, "tasks"), variants=names(variants, "variants"), force=flag(force, "force"))
    asked += valued_options_of(data=None if data is None else path(data, "data"), limit=limit, temp=temp, top_p=top_p)
    asked += valued_options_of(max_tokens=max_tokens, repeats=repeats, seed=seed, dtype=dtype, device=device)
    asked += options_of(**options)
    given = {"model": model, "base": base, "post": post, "sibling": sibling}
    given = {role: value for role, value in given.items() if value is not None}
    threads = thread_count(threads) or None
    with tempfile.TemporaryDirectory(prefix="gyro-") as place:
        words = ["eval"]
        if endpoint is not None:
            given = {role: text(value, role) for role, value in given.items()}
            words += valued_options_of(endpoint=text(endpoint, "endpoint"), **given)
        else:
            found = _paths(given, place, tokenizer, ("model", "post"))
            words += [_positional(found.pop("model"))] if "model" in found else []
            words += valued_options_of(**found)
            threads = threads or _core.default_threads()
        words += asked + options_of(threads=threads)
        folder = _child.run(words, out, place, progress)
        document = _document(folder, "eval", place)
        with open(os.path.join(folder, "samples.jsonl"), encoding="utf-8") as file:
            return Evaluation(document, [json.loads(line) for line in file])


def probe(
    kind: Literal["attention", "cka", "drift", "rotation"],
    *models: ModelLike,
    base: ModelLike | None = None,
    sibling: ModelLike | None = None,
    questions: Paths | None = None,
    variants: Names = (),
    count: int | None = None,
    seed: int | None = None,
    device: str | None = None,
    threads: int | None = None,
    out: PathLike | None = None,
    force: bool = False,
    tokenizer: Any = None,
    progress: bool = False,
    **options: Any,
) -> Probe:
    """Looks at what a model and its constructions compute: `gyro probe KIND` (docs/probe.md).

    kind, and its models in the command's order, each as gyro.open takes it:
        "attention": POST, others; "cka": POST (both with base and variants); "drift": BASE, POST;
        "rotation": BASE, POST, OTHER...
    questions: files of questions as evaluate's tasks, or a text; count: how many of each file.
    The rest as in evaluate. Returns a Probe.
    """
    kind, progress = one_of(kind, "kind", tuple(_KINDS)), flag(progress, "progress")
    out = None if out is None else path(out, "out")
    asked = options_of(
        question=None if questions is None else paths(questions, "questions"),
        variants=names(variants, "variants"),
        force=flag(force, "force"),
    )
    asked += valued_options_of(count=count, seed=seed, device=device)
    asked += options_of(threads=thread_count(threads) or _core.default_threads(), **options)
    given = {f"model {i + 1}": value for i, value in enumerate(models)}
    given |= {role: value for role, value in (("base", base), ("sibling", sibling)) if value is not None}
    with tempfile.TemporaryDirectory(prefix="gyro-") as place:
        found = _paths(given, place, tokenizer, _speakers(kind, len(models)))
        words = ["probe", kind, *(_positional(found.pop(f"model {i + 1}")) for i in range(len(models)))]
        words += valued_options_of(**found) + asked
        return Probe(kind, _document(_child.run(words, out, place, progress), kind, place))


def _speakers(kind, models):
    """The models that read questions as text."""
    first = {"attention": 0, "cka": 0, "drift": 1}.get(kind, models)
    return [f"model {i + 1}" for i in range(first, models)]


class Evaluation:
    """What `gyro eval` found. `data` is eval.json's content, `samples` the answers (samples.jsonl's lines)."""

    def __init__(self, data: dict[str, Any], samples: list[dict[str, Any]]):
        self.data, self.samples = data, samples

    @property
    def variants(self) -> list[str]:
        """Their names, the original first."""
        return [variant["name"] for variant in self.data["variants"]]

    @property
    def tasks(self) -> list[str]:
        """Their names."""
        return [task["name"] for task in self.data["tasks"]]

    @property
    def scores(self) -> list[dict[str, Any]]:
        """A dict a task and variant: accuracy (strict, 95 % interval low to high), accuracy_flexible, collapsed (no
        answer in the form that was asked for), truncated (share), tokens, and where there are several variants the
        difference to the first and its p, adjusted for their number; None where there is none."""
        return [_score(cell) for cell in self.data["cells"]]

    def accuracy(self, variant: str = "original", task: str | None = None) -> float:
        """Strict. Raises KeyError."""
        found = [cell for cell in self.data["cells"] if cell["variant"] == variant and task in (None, cell["task"])]
        if len(found) != 1:
            raise KeyError(
                f"{'no' if not found else 'more than one'} cell of {variant!r} and task {task!r}: there are "
                f"{', '.join(self.variants)}; {', '.join(self.tasks)}"
            )
        return found[0]["accuracy"]["mean"]

    def to_pandas(self, table: Literal["scores", "samples"] = "scores") -> pandas.DataFrame:
        """A pandas.DataFrame of `scores`, or of `samples`."""
        scores = one_of(table, "table", ("scores", "samples")) == "scores"
        return _diff._frame(self.scores if scores else self.samples)

    def __repr__(self):
        cells = ", ".join(
            f"{cell['variant']} on {cell['task']} {_percent(cell['accuracy']['mean'])}"
            for cell in self.data["cells"][:4]
        )
        more = len(self.data["cells"]) - 4
        return f"<gyro.Evaluation {cells}{f' and {more} more' if more > 0 else ''}>"

    def _repr_html_(self) -> str:
        from ._html import evaluation_html

        return evaluation_html(self)


def _score(cell):
    against = cell["against_first"] or {}
    return {
        "task": cell["task"],
        "variant": cell["variant"],
        "questions": cell["questions"],
        "repeats": cell["repeats"],
        "accuracy": cell["accuracy"]["mean"],
        "low": cell["accuracy"]["low"],
        "high": cell["accuracy"]["high"],
        "accuracy_flexible": cell["accuracy_flexible"]["mean"],
        "collapsed": cell["collapsed"],
        "truncated": cell["truncated"],
        "tokens": cell["tokens"],
        "difference": against.get("difference"),
        "p_adjusted": against.get("p_adjusted"),
    }


class Probe:
    """What a probe found. `data` is its document's content (docs/probe.md)."""

    def __init__(self, kind: str, data: dict[str, Any]):
        self.kind, self.data = kind, data

    @property
    def sentences(self) -> list[str]:
        """It in words."""
        if self.kind == "rotation":
            return [sentence for pair in self.data["pairs"] for sentence in pair["sentences"]]
        return list(self.data["words" if self.kind == "attention" else "sentences"])

    @property
    def table(self) -> list[dict[str, Any]]:
        """The document's table as a list of flat dicts. "attention": a line a comparison and block; "cka": a subject;
        "drift": a block; "rotation": a pair and matrix."""
        return _KINDS[self.kind](self.data)

    def to_pandas(self) -> pandas.DataFrame:
        """`table` as a pandas.DataFrame; fields within fields have dotted names."""
        return _diff._frame(self.table)

    def __repr__(self):
        return f"<gyro.Probe {self.kind}: {' '.join(self.sentences)}>"

    def _repr_html_(self) -> str:
        from ._html import probe_html

        return probe_html(self)


def _attention_table(data):
    return [
        {"subject": comparison["subject"], "reference": comparison["reference"], **_diff._flat(block)}
        for comparison in data["comparisons"]
        for block in comparison["blocks"]
    ]


def _cka_table(data):
    return [
        _diff._flat({key: subject[key] for key in ("name", "kind", "diagonal", "distance")})
        for subject in data["subjects"]
    ]


def _drift_table(data):
    return [_diff._flat(block) for block in data["blocks"]]


def _rotation_table(data):
    return [{"other": pair["other"], **_diff._flat(matrix)} for pair in data["pairs"] for matrix in pair["matrices"]]


_KINDS = {"attention": _attention_table, "cka": _cka_table, "drift": _drift_table, "rotation": _rotation_table}


def _percent(share):
    return "undefined" if share is None else f"{100 * share:.1f} %"


def _document(folder, name, place):
    """Its content, where models that were written to `place` have their names alone."""
    written = os.path.join(folder, name + ".json")
    if not os.path.exists(written):
        raise InputError("gyro", f"with these options it writes no {name}.json")
    with open(written, encoding="utf-8") as file:
        return json.loads(file.read().replace(place + os.sep, ""))


def _positional(model):
    return os.path.join(".", model) if model.startswith("-") else model


def _paths(given, place, tokenizer, speakers):
    """{role: where another process finds the model}: what lies in memory, or is to be made, is written to `place`, where
    its folder is called as it is."""
    found: dict[str, str] = {}
    for role, model in given.items():
        where = _path(model, role)
        if where is None:
            opened = _models.opened_as(model, role)
            if opened._held is not None:
                opened = _models.with_config(opened, _config(given))
            where = os.path.join(place, _folder_name(opened.id, role, {"out", *map(os.path.basename, found.values())}))
            _write(opened, model, role, where, tokenizer if role in speakers else None, role in speakers)
        found[role] = where
    return found


def _folder_name(id, role, taken):
    """A name that a folder can have, and none has yet."""
    own = "" if id == _models.UNNAMED else re.sub(r"[^\w. -]+", "-", _models.short_name(id)).strip(" .-")[:60]
    name = usual = own or role.replace(" ", "-")
    count = 1
    while name in taken:
        count += 1
        name = f"{usual}-{count}"
    return name


def _config(given):
    """That of the first that has one: tensors without one are read by it, as gyro.diff reads them."""
    readable = (
        _models.opened_as(model, role)
        for role, model in given.items()
        if _path(model, role) is None or os.path.isdir(_path(model, role))
    )
    return _models.first_config(readable)


def _path(model, role):
    if isinstance(model, (str, os.PathLike)):
        return path(model, role)
    return model._given if isinstance(model, _models.Model) else None


def _write(opened, model, role, folder, tokenizer, speaks):
    """`opened` is written; what `model`, of which it is, and the tokenizer have besides, is put beside it."""
    _models.check_config(opened)
    opened.save(folder)
    if hasattr(getattr(model, "generation_config", None), "save_pretrained"):
        model.generation_config.save_pretrained(folder)  # which tokens end an answer
    if hasattr(tokenizer, "save_pretrained"):
        tokenizer.save_pretrained(folder)
    elif tokenizer is not None:
        _copy_tokenizer(path(tokenizer, "tokenizer"), folder)
    if speaks and not any(os.path.exists(os.path.join(folder, name)) for name in ("tokenizer.json", "tokenizer.model")):
        raise InputError("tokenizer", f"is needed: {role}, in memory, has none", "tokenizer")


def _copy_tokenizer(source, path):
    if not os.path.isdir(source):
        raise NotFoundError(source, "is no folder with a tokenizer", "tokenizer")
    for name in os.listdir(source):
        if _TOKENIZER.fullmatch(name) and not os.path.exists(os.path.join(path, name)):
            shutil.copy(os.path.join(source, name), path)
