"""Arrays in GPU memory, and the memory that they are made of: freed blocks are kept and handed out again."""

from __future__ import annotations

import ctypes
import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tweenrt.errors import UsageError, require

if TYPE_CHECKING:
    from tweenrt.runtime.cuda import Lane

Extent = tuple[int, ...]
_DLPACK_CUDA = 2
_DLPACK_HOST = (1, 3)  # ordinary memory, and memory pinned for CUDA


class Pool:
    """Memory of one kind. A freed block is kept for the next array of its size.

    An array of a size that was used before therefore gets an address that was used before, which a captured CUDA graph
    needs, and nothing is allocated once a video runs.

    Args:
        allocate: bytes → address; raises MemoryError where there is no more.
        free: gives an address back to the driver.
    """

    def __init__(self, allocate: Callable[[int], int], free: Callable[[int], None]) -> None:
        self._allocate = allocate
        self._free = free
        self._kept: dict[int, list[int]] = defaultdict(list)
        self._closed = False
        self.total = 0
        """Bytes taken from the driver and not given back."""

    def take(self, size: int) -> Block:
        """A block of `size` bytes.

        Raises:
            MemoryError: there is no more, even after all kept blocks were given back.
        """
        if self._kept[size]:
            return Block(self._kept[size].pop(), size, self)
        try:
            address = self._allocate(size)
        except MemoryError:
            self.trim()
            address = self._allocate(size)
        self.total += size
        return Block(address, size, self)

    def give(self, address: int, size: int) -> None:
        """Take a block back."""
        if self._closed:
            self._release(address, size)
        else:
            self._kept[size].append(address)

    def trim(self) -> None:
        """Give all kept blocks back to the driver."""
        for size, addresses in self._kept.items():
            while addresses:
                self._release(addresses.pop(), size)

    def close(self) -> None:
        """Keep nothing from now on; blocks still in use are freed when their arrays go."""
        self._closed = True
        self.trim()

    def _release(self, address: int, size: int) -> None:
        self._free(address)
        self.total -= size


class Block:
    """Some memory of a pool; it returns there when nothing refers to it any more."""

    def __init__(self, address: int, size: int, pool: Pool) -> None:
        self.address = address
        self._size = size
        self._pool = pool

    def __del__(self) -> None:
        self._pool.give(self.address, self._size)

    def as_array(self, shape: Extent, dtype: np.dtype[Any]) -> NDArray[Any]:
        """The block as a numpy array, for memory that the CPU can reach; the array keeps the block."""
        view: Any = (ctypes.c_uint8 * self._size).from_address(self.address)
        view.block = self
        flat: NDArray[Any] = np.frombuffer(view, dtype, count=math.prod(shape))
        return flat.reshape(shape)


class DeviceArray:
    """A contiguous array in GPU memory.

    Other libraries take it without a copy, through ``__cuda_array_interface__`` (CuPy, Numba, pycuda, torch) or DLPack;
    ``numpy.asarray`` downloads it.

    Attributes:
        shape: sizes.
        dtype: numpy dtype.
        address: of the first element, in GPU memory.
        lane: the stream that it is computed on.
    """

    def __init__(self, lane: Lane, address: int, shape: Sequence[int], dtype: Any, owner: object) -> None:
        self.lane = lane
        self.address = address
        self.shape: Extent = tuple(shape)
        self.dtype: np.dtype[Any] = np.dtype(dtype)
        self._owner = owner

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""
        return math.prod(self.shape) * self.dtype.itemsize

    def reshape(self, *shape: int) -> DeviceArray:
        """The same memory in another shape of as many elements."""
        if math.prod(shape) != math.prod(self.shape):
            raise ValueError(f"cannot reshape {list(self.shape)} into {list(shape)}")
        return DeviceArray(self.lane, self.address, shape, self.dtype, self._owner)

    def repeat(self, count: int, axis: int = 0) -> DeviceArray:
        """`count` copies along the first axis, which must be of size 1."""
        if axis != 0 or self.shape[0] != 1:
            raise ValueError(f"only a first axis of size 1 is repeated, got axis {axis} of {list(self.shape)}")
        copies = self.lane.empty((count, *self.shape[1:]), self.dtype)
        for k in range(count):
            self.lane.copy(copies[k], self[0])
        return copies

    def numpy(self) -> NDArray[Any]:
        """Download it, after all work on it is done."""
        return self.lane.download([self])[0]

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: int | slice) -> DeviceArray:
        """One element of the first axis, or a range of them; the same memory."""
        places = range(len(self))[index]
        row = self.nbytes // max(1, len(self))
        first = places if isinstance(places, int) else places.start
        if not isinstance(places, int) and places.step != 1:
            raise IndexError("only ranges without steps can be taken")
        shape = self.shape[1:] if isinstance(places, int) else (len(places), *self.shape[1:])
        return DeviceArray(self.lane, self.address + first * row, shape, self.dtype, self._owner)

    def __iter__(self) -> Iterator[DeviceArray]:
        return (self[k] for k in range(len(self)))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError("an array in GPU memory cannot become a numpy array without a copy")
        return self.numpy().astype(dtype or self.dtype, copy=False)

    @property
    def __cuda_array_interface__(self) -> dict[str, object]:
        """See numba's CUDA Array Interface, version 3. Callers get arrays only when their stream has done its work."""
        return {
            "version": 3,
            "shape": self.shape,
            "typestr": self.dtype.str,
            "data": (self.address, False),
            "strides": None,
            "stream": None,
        }

    def __dlpack__(self, **options: Any) -> object:
        """See the array API standard."""
        return _views().from_cuda_array_interface(self, stream_ptr=-1).__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return (_DLPACK_CUDA, self.lane.gpu)


def on_device(array: object) -> bool:
    """Whether `array` lies in GPU memory, as far as it says."""
    if hasattr(array, "__cuda_array_interface__"):
        return True
    where = getattr(array, "__dlpack_device__", None)
    return where is not None and where()[0] not in _DLPACK_HOST


def borrow(array: Any, lane: Lane) -> DeviceArray:
    """Use an array of another library without a copy; the work of `lane` waits until it is computed.

    Args:
        array: anything with ``__cuda_array_interface__`` or ``__dlpack__`` in memory of the lane's GPU.
        lane: where it will be used.

    Raises:
        UsageError: it is not contiguous, or lies on another GPU.
    """
    if isinstance(array, DeviceArray) and array.lane is lane:
        return array
    view = _views().from_any_interface(array, stream_ptr=lane.stream)
    if view.device_id != lane.gpu:
        raise UsageError(f"expected an array on GPU {lane.gpu}, got one on GPU {view.device_id}; move it there first")
    if not _is_contiguous(tuple(view.shape), view.strides):
        raise UsageError(
            f"expected a contiguous array in GPU memory, got shape {list(view.shape)} with strides "
            f"{list(view.strides)} (in elements); copy it with the library it comes from first"
        )
    return DeviceArray(lane, int(view.ptr), view.shape, view.dtype, array)


def _is_contiguous(shape: Extent, strides: Sequence[int] | None) -> bool:
    if strides is None:
        return True
    expected = 1
    for size, stride in zip(reversed(shape), reversed(strides), strict=True):
        if size != 1 and stride != expected:
            return False
        expected *= size
    return True


def _views() -> Any:
    module = require("cuda.core.utils", extra="tensorrt", why="Sharing arrays in GPU memory with other libraries")
    return module.StridedMemoryView


__all__ = ["Block", "DeviceArray", "Pool", "borrow", "on_device"]
