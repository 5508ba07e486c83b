"""How work is watched: progress bars, warnings, threads."""

import logging
import shutil
import tempfile
import weakref

from . import _core
from ._arguments import callable_or_flag, one_of, whole

logger = logging.getLogger("gyro")
_warned = False  # of the library that computes, once


def manner(device="cpu", threads=None, progress=False):
    """What the C++ side is told of the machine and of who watches. `progress` is True for a bar (of tqdm, where it is
    installed, else no bar), or a callable that takes a dict."""
    warning = _core.library_warning()
    global _warned
    if warning and not _warned:
        _warned = True
        logger.warning("%s", warning)
    device = one_of(device, "device", ("cpu", "cuda", "auto"))
    return _core.Manner(device, thread_count(threads), _progress(progress), _warn)


def _warn(text):
    logger.warning("%s", text)


def thread_count(threads):
    return 0 if threads is None else whole(threads, "threads", 1, 4096)


def _progress(progress):
    progress = callable_or_flag(progress, "progress")
    if progress is False:
        return None
    if progress is True:
        return _bar()
    return lambda noun, done, items, share, item, ended: progress(
        {"noun": noun, "done": done, "items": items, "share": share, "item": item, "ended": ended}
    )


def _bar():
    """A bar of tqdm over the share of the work that is done (matrices are of unequal size)."""
    try:
        from tqdm.auto import tqdm
    except ImportError:
        logger.info("tqdm is not installed: no progress bar")
        return None
    bar = None

    def show(noun, done, items, share, item, ended):
        nonlocal bar
        if bar is None:
            bar = tqdm(total=100, unit="%", bar_format="{desc} {percentage:3.0f}%|{bar}| {elapsed}<{remaining}")
        bar.set_description_str(f"{done}/{items} {noun}", refresh=False)
        bar.update(100 * share - bar.n)
        if ended:
            bar.close()
            bar = None

    return show


def register_threads():
    """Makes threadpoolctl know Gyro's threads, where it is installed: threadpool_limits(n) holds for them too."""
    try:
        import threadpoolctl
    except ImportError:
        return

    class GyroController(threadpoolctl.LibController):
        user_api = "blas"
        internal_api = "gyro"
        filename_prefixes = ("_core.",)
        check_symbols = ("gyro_get_num_threads", "gyro_set_num_threads")

        def get_num_threads(self):
            return self.dynlib.gyro_get_num_threads()

        def set_num_threads(self, num_threads):
            self.dynlib.gyro_set_num_threads(num_threads)

        def get_version(self):
            return _core.version()

        def set_additional_attributes(self):
            pass

    try:
        threadpoolctl.register(GyroController)
    except Exception as error:  # another release of threadpoolctl, whose controllers are others
        logger.debug("threadpoolctl does not know Gyro's threads: %s", error)


class TemporaryFolder:
    """A folder that goes when nobody has this any more."""

    def __init__(self):
        self.path = tempfile.mkdtemp(prefix="gyro-")
        weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)
