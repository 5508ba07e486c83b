"""Arrays of other libraries as the C++ side takes them: by dtype, shape and bytes."""

from __future__ import annotations

import sys

from ._errors import InputError

_DTYPES = {
    "float64": "F64",
    "float32": "F32",
    "float16": "F16",
    "bfloat16": "BF16",
    "float8_e4m3fn": "F8_E4M3",
    "float8_e5m2": "F8_E5M2",
    "int64": "I64",
    "int32": "I32",
    "int16": "I16",
    "int8": "I8",
    "uint64": "U64",
    "uint32": "U32",
    "uint16": "U16",
    "uint8": "U8",
    "bool": "BOOL",
}
NAMES = {stored: name for name, stored in _DTYPES.items()}
SHARDED = "is a part of its tensor, the rest of which other processes hold: weights have to be whole to be compared"


def is_torch(value):
    """Whether it is a tensor of PyTorch, which is not imported for that."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, getattr(torch, "Tensor", ()))


def is_tensor(value):
    """Whether it is an array or a tensor of whatever library."""
    return is_torch(value) or hasattr(value, "shape") and hasattr(value, "dtype")  # of some of torch's these raise


def numpy_array(dtype, shape, data):
    """Bytes as a NumPy array of a stored dtype and shape, without a copy."""
    import numpy

    name = NAMES[dtype]
    try:
        kind = numpy.dtype(name)
    except TypeError:
        try:
            import ml_dtypes
        except ImportError:
            raise ImportError(
                f"NumPy has no {name}: install ml_dtypes, or read matrices by Model.matrix, in float64"
            ) from None
        kind = numpy.dtype(getattr(ml_dtypes, name))
    return data.view(kind).reshape(shape)


def described(key, tensor):
    """(dtype, shape, bytes) of an array: the bytes as a flat uint8 array over the same memory, or a callable that gives
    those of rows, where they do not lie contiguous in the host's memory or may be gone by then. Raises InputError naming
    what has no bytes."""
    if is_torch(tensor):
        return _described_torch(key, tensor)
    import numpy

    if numpy.ma.is_masked(tensor):
        raise InputError(key, "has masked values: give them values first (numpy.ma.filled)")
    try:
        array = numpy.asarray(tensor)
    except Exception as error:  # another library's
        raise InputError(key, f"is no array for NumPy: {_line(error)}") from None
    dtype = _DTYPES.get(array.dtype.name)
    if dtype is None or not array.dtype.isnative:
        raise InputError(key, f"is of {array.dtype}, which no checkpoint has")
    shape = tuple(array.shape)
    if array.flags.c_contiguous:
        return dtype, shape, array.reshape(-1).view(numpy.uint8)
    return dtype, shape, lambda begin, end: numpy.ascontiguousarray(array[begin:end]).reshape(-1).view(numpy.uint8)


def check_torch(key, tensor):
    """Raises InputError naming a tensor of PyTorch that has no values to read."""
    import torch

    if hasattr(tensor, "full_tensor"):
        raise InputError(key, SHARDED)
    if torch.nn.parameter.is_lazy(tensor):
        raise InputError(key, "has no values: it is not initialised yet")
    if tensor.is_nested:
        raise InputError(key, "is nested, which no checkpoint has")
    if _DTYPES.get(str(tensor.dtype).removeprefix("torch.")) is None or tensor.layout != torch.strided:
        raise InputError(key, f"is of {tensor.dtype}, {tensor.layout}, which no checkpoint has")
    if tensor.device.type == "meta":
        raise InputError(key, "has no values: it is on the device meta")
    if tensor.device.type in ("cpu", "cuda"):  # of other devices what comes to the host is looked at
        _check_memory(key, tensor)


def _check_memory(key, tensor):
    if tensor.numel() == 0:
        return
    fake = getattr(sys.modules.get("torch._subclasses.fake_tensor"), "FakeTensor", ())
    try:
        address = 0 if isinstance(tensor, fake) else tensor.data_ptr()  # torch warns of asking a fake one
        size = tensor.untyped_storage().nbytes()
    except (RuntimeError, NotImplementedError):  # within torch.vmap or torch.func.grad
        address, size = 0, None
    last = tensor.storage_offset() + sum((n - 1) * step for n, step in zip(tensor.shape, tensor.stride()))
    if size is not None and size < (last + 1) * tensor.element_size():
        raise InputError(key, "has no values any more: its memory was freed")
    if address == 0:  # one that only stands for others, as those of FakeTensorMode and of wrappers
        raise InputError(key, f"has no values in memory: this {type(tensor).__name__} stands for what is elsewhere")


def _described_torch(key, tensor):
    import torch

    check_torch(key, tensor)
    try:
        plain = tensor.detach().resolve_conj().resolve_neg()
    except Exception as error:  # of a mode of torch that is on, or of a subclass
        raise InputError(key, f"gives no values: {_line(error)}") from None
    shape = tuple(plain.shape)

    def flat(part):
        part = part.contiguous()
        part = part.as_strided((part.numel(),), (1,))  # whatever is said of the stride of a dimension of one
        part = (part.view(torch.uint8) if part.dtype != torch.bool else part.to(torch.uint8)).cpu()
        _check_memory(key, part)
        return part

    def rows(begin, end):
        check_torch(key, plain)
        return flat(plain[begin:end])

    return _DTYPES[str(plain.dtype).removeprefix("torch.")], shape, rows if shape and plain.numel() else flat(plain)


def _line(error):
    return (str(error).splitlines() or [type(error).__name__])[0]
