"""gyro.evaluate and gyro.probe: `gyro eval` and `gyro probe`, each in a process of its own."""

from __future__ import annotations

import codecs
import contextlib
import fcntl
import json
import logging
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import termios
import threading
import tty
from typing import TYPE_CHECKING, Any, Literal

from . import _core, _diff, _models
from ._errors import DeviceError, FileError, InputError, InternalError, NotFoundError, OutOfMemoryError
from ._run import _thread_count, logger
from ._types import ModelLike, Names, PathLike

if TYPE_CHECKING:
    import pandas

# The child imports what its parent does, and does not outlive it (PR_SET_PDEATHSIG, which says nothing of a parent that is
# gone already).
_CHILD = (
    "import sys; sys.path[:] = sys.argv.pop(1).split(':'); import ctypes; ctypes.CDLL(None).prctl(1, 15); "
    "import os; os.getppid() == int(sys.argv.pop(1)) or sys.exit(1); "
    "from gyro.__main__ import main; main()"
)
_GRACE = 0.8  # seconds; the command takes 0.7 at most
_INPUTS = ("base", "post", "sibling", "task", "data", "examples", "question", "result")  # options that name files
_TOKENIZER = re.compile(
    r"tokenizer.*|special_tokens_map\.json|added_tokens\.json|vocab\.(json|txt)|merges\.txt|"
    r"chat_template.*|generation_config\.json"
)


def evaluate(
    model: ModelLike | None = None,
    *,
    base: ModelLike | None = None,
    post: ModelLike | None = None,
    tasks: Names,
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
    with tempfile.TemporaryDirectory(prefix="gyro-") as place:
        words = ["eval"]
        if endpoint is not None:
            words += _options(endpoint=endpoint, model=model, base=base, post=post, sibling=sibling)
        else:
            given = {"model": model, "base": base, "post": post, "sibling": sibling}
            paths = _paths(
                {role: value for role, value in given.items() if value is not None}, place, tokenizer, ("model", "post")
            )
            words += [_positional(paths.pop("model"))] if "model" in paths else []
            words += _options(**paths)
            threads = _thread_count(threads) or _core.default_threads()
        words += _options(
            task=tasks,
            data=data,
            variants=variants,
            limit=limit,
            temp=temp,
            top_p=top_p,
            max_tokens=max_tokens,
            repeats=repeats,
            seed=seed,
            dtype=dtype,
            device=device,
            threads=threads,
            force=force,
            **options,
        )
        folder = _run(words, out, place, progress)
        document = _document(folder, "eval", place)
        with open(os.path.join(folder, "samples.jsonl"), encoding="utf-8") as file:
            return Evaluation(document, [json.loads(line) for line in file])


def probe(
    kind: Literal["attention", "cka", "drift", "rotation"],
    *models: ModelLike,
    base: ModelLike | None = None,
    sibling: ModelLike | None = None,
    questions: Names | None = None,
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
    if kind not in _KINDS:
        raise InputError("kind", f"can be {', '.join(map(repr, _KINDS))}, not {kind!r}", "kind")
    with tempfile.TemporaryDirectory(prefix="gyro-") as place:
        given = {f"model {i + 1}": value for i, value in enumerate(models)}
        given |= {role: value for role, value in (("base", base), ("sibling", sibling)) if value is not None}
        paths = _paths(given, place, tokenizer, _speakers(kind, len(models)))
        words = ["probe", kind, *(_positional(paths.pop(f"model {i + 1}")) for i in range(len(models)))]
        words += _options(
            **paths,
            question=questions,
            variants=variants,
            count=count,
            seed=seed,
            device=device,
            threads=_thread_count(threads) or _core.default_threads(),
            force=force,
            **options,
        )
        return Probe(kind, _document(_run(words, out, place, progress), kind, place))


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
        import pandas

        if table not in ("scores", "samples"):
            raise InputError("table", f"can be 'scores' or 'samples', not {table!r}", "table")
        return pandas.DataFrame(self.scores if table == "scores" else self.samples)

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
        import pandas

        return pandas.DataFrame(self.table)

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
    path = os.path.join(folder, name + ".json")
    if not os.path.exists(path):
        raise InputError("gyro", f"with these options it writes no {name}.json")
    with open(path, encoding="utf-8") as file:
        return json.loads(file.read().replace(place + os.sep, ""))


def _options(**options):
    """As words of the command line, which checks them."""
    words = []
    for name, values in options.items():
        for value in values if isinstance(values, (list, tuple, set, frozenset)) else [values]:
            option = "--" + name.replace("_", "-")
            if value is None or value is False:
                continue
            if value is True:
                words.append(option)
            elif isinstance(value, (str, os.PathLike, int, float)) or hasattr(value, "__float__"):
                words.append(f"{option}={os.fspath(value) if isinstance(value, os.PathLike) else value}")
            else:
                raise InputError(name, f"can be a text or a number, not {type(value).__name__}", name)
    return words


def _positional(path):
    return os.path.join(".", path) if path.startswith("-") else path


def _paths(given, place, tokenizer, speakers):
    """{role: where another process finds the model}: what lies in memory, or is to be made, is written to `place`."""
    paths: dict[str, str] = {}
    for role, model in given.items():
        path = _path(model)
        if path is None:
            path = os.path.join(place, role.replace(" ", "-"))
            _write(
                model, role, path, _config(given.values()), tokenizer if role in speakers else None, role in speakers
            )
        paths[role] = path
    return paths


def _config(models):
    """That of the first that has one: tensors without one are read by it, as gyro.diff reads them."""
    folders = (m for m in models if not _models.is_state_dict(m) and (_path(m) is None or os.path.isdir(_path(m))))
    return next((config for config in (_models.open(model).config for model in folders) if config), None)


def _path(model):
    if isinstance(model, (str, os.PathLike)):
        return os.fspath(model)
    return model._given if isinstance(model, _models.Model) else None


def _write(model, role, path, config, tokenizer, speaks):
    own = config if _models.is_state_dict(model) else None
    opened = _models.open(model, config=own, name=role)
    if not opened.config:
        raise InputError(role, "has no config: gyro.open(tensors, config=...) gives it one", role.partition(" ")[0])
    opened.save(path)
    if hasattr(getattr(model, "generation_config", None), "save_pretrained"):
        model.generation_config.save_pretrained(path)  # which tokens end an answer
    if hasattr(tokenizer, "save_pretrained"):
        tokenizer.save_pretrained(path)
    elif tokenizer is not None:
        _copy_tokenizer(os.fspath(tokenizer), path)
    if speaks and not any(os.path.exists(os.path.join(path, name)) for name in ("tokenizer.json", "tokenizer.model")):
        raise InputError("tokenizer", f"is needed: {role}, in memory, has none", "tokenizer")


def _copy_tokenizer(source, path):
    if not os.path.isdir(source):
        raise NotFoundError(source, "is no folder with a tokenizer", "tokenizer")
    for name in os.listdir(source):
        if _TOKENIZER.fullmatch(name) and not os.path.exists(os.path.join(path, name)):
            shutil.copy(os.path.join(source, name), path)


def _run(words, out, place, progress):
    """Runs the command and gives the folder where its documents lie. Raises what its error line says."""
    folder = os.path.join(place, "out") if out is None else os.fspath(out)
    command = [
        sys.executable,
        "-c",
        _CHILD,
        ":".join([*map(str, sys.path), os.path.dirname(os.path.dirname(__file__))]),
        str(os.getpid()),
    ]
    command += [*words, f"--out={folder}"]
    if any("\0" in word for word in command):
        raise InputError("gyro", "an argument has a zero byte in it")
    code, lines = _watch(command, progress and sys.stderr is not None and sys.stderr.isatty())
    errors = [line.removeprefix("gyro: error: ") for line in lines if line.startswith("gyro: error: ")]
    if code != 0 and errors:
        raise _error(code, errors[-1].replace(place + os.sep, ""), words, out and folder)
    if code != 0:
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"
        said = [line for line in lines if line][-1:]
        raise InternalError("gyro " + words[0], "; it last said: ".join([how, *said]))
    return folder


def _watch(command, show):
    """The exit code and the lines of stderr, which a terminal sees too, if `show`; else what they say is logged."""
    ours, theirs = pty.openpty() if show else os.pipe()
    process = None
    try:
        try:
            if show:  # a terminal that changes nothing, as wide as the real one
                tty.setraw(theirs)
                fcntl.ioctl(theirs, termios.TIOCSWINSZ, fcntl.ioctl(sys.stderr.fileno(), termios.TIOCGWINSZ, bytes(8)))
            with _interrupts_held_back():  # else one could come when there is a child and nobody knows it
                # A session of its own: Ctrl-C of a terminal reaches it once, from here.
                process = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=theirs, start_new_session=True
                )
        finally:
            os.close(theirs)
        lines = list(_lines(ours, show))
        return process.wait(), lines
    except BaseException:
        if process is not None:
            _end(process)
        raise
    finally:
        os.close(ours)


@contextlib.contextmanager
def _interrupts_held_back():
    """Ctrl-C comes after this, not within."""
    usual = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(usual):
        yield
        return
    came = []
    signal.signal(signal.SIGINT, lambda *_: came.append(True))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual)
    if came:
        signal.raise_signal(signal.SIGINT)


def _lines(file, show):
    rest, decoder = b"", codecs.getincrementaldecoder("utf-8")("replace")
    while True:
        try:
            some = os.read(file, 1 << 16)
        except OSError:  # of a terminal whose other end is closed
            some = b""
        if show and some:
            sys.stderr.write(decoder.decode(some))
            sys.stderr.flush()
        *whole, rest = (rest + some).split(b"\n")
        for line in whole if some else [rest]:
            text = (
                line.decode(errors="replace").rstrip().rpartition("\r")[2].removeprefix("\033[K")
            )  # of a bar the last
            if not show and text and not text.startswith("gyro: error: "):
                warning = text.startswith("gyro: warning: ")
                logger.log(
                    logging.WARNING if warning else logging.INFO,
                    "%s",
                    text.removeprefix("gyro: ").removeprefix("warning: "),
                )
            yield text
        if not some:
            return


def _end(process):
    """Interrupts it as Ctrl-C does, and kills it where it has not ended soon."""
    try:
        process.send_signal(signal.SIGINT)
        process.wait(_GRACE)
    except BaseException:  # it does not end in time, or Ctrl-C again
        process.kill()
        process.wait()


def _error(code, text, words, out):
    """The exception for an error line "SUBJECT: PROBLEM". The line does not tell the error's kind, so that is decided by
    what the subject is: an input that is not there, the place to write to, the server, the memory, the device."""
    subject, problem = _parts(text, words)
    field = subject[2:].replace("-", "_") if subject.startswith("--") else None
    below_out = out is not None and (subject == out or subject.startswith(os.path.join(out, "")))
    if code == 2 or field not in (None, "device"):
        return InputError(field or subject, problem, field)
    if subject == "memory":
        return OutOfMemoryError(subject, problem)
    if field == "device":
        return DeviceError(field, problem, field)
    if subject in _values(words, "endpoint") or below_out and not os.path.exists(subject):
        return FileError(subject, problem)
    inputs = [word for word in words[1:] if not word.startswith("--")] + _values(words, *_INPUTS)
    named = any(subject == path or subject.startswith(os.path.join(path, "")) for path in inputs)
    return NotFoundError(subject, problem) if named and not os.path.exists(subject) else InputError(subject, problem)


def _parts(text, words):
    """(subject, problem) of a line; a subject that was given is known where it has a colon in it, too."""
    for value in sorted(_values(words), key=len, reverse=True):
        if value and text.startswith(value + ": "):
            return value, text[len(value) + 2 :]
    subject, _, problem = text.partition(": ")
    return (subject, problem) if problem else (f"gyro {words[0]}", text)


def _values(words, *names):
    """What was given for options (all, and models, without names), and of NAME=PATH the path too."""
    given = [
        word.partition("=")[2] if word.startswith("--") else word
        for word in words[1:]
        if not names or word.partition("=")[0][2:] in names
    ]
    return given + [value.partition("=")[2] for value in given if "=" in value]
