"""A capture in memory that several processes share, decoded once.

It lies in an anonymous file (memfd_create(2)): no path, no quota of /dev/shm, and gone with the
last process that holds it. Pickle's buffers out of band (PEP 574) put the arrays into it as they
are, and take them out of it without a copy.
"""

import mmap
import os
import pickle
import struct
import threading
from dataclasses import replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from splat_trainer.capture.scene import Scene, View

_HEAD = struct.Struct("=QQ")
"""Where the pickled scene is, and how long."""

_ALIGNMENT = 64
_LEAST_BYTES = 64 << 20

Kind = TypeVar("Kind", bound=np.generic)


class SceneFile:
    """An empty file that a scene is put into: the pixels as they are decoded, then the rest.

    It grows by pieces that are mapped, each as large as all before it, the first of `least` bytes:
    each holds a descriptor open (mmap in Python), so it must not be one for each photo. What is
    not written to takes no memory.
    """

    def __init__(self, descriptor: int, *, least: int = _LEAST_BYTES) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()
        self._places: dict[int, int] = {}  # in the file, by address
        self._pieces: list[mmap.mmap] = []  # all of them: else an address may come again
        self._begin = 0
        self._grow(least)
        self._used = _HEAD.size

    def keep(self, view: View) -> View:
        """Give the same view with its pixels in the file, so that those it has can go.

        May be called from several threads.
        """
        mask = None if view.mask is None else self._kept(view.mask)
        return replace(view, image=self._kept(view.image), mask=mask)

    def write(self, scene: Scene) -> None:
        """Put in the whole scene, of which only what `keep` was not given is written now."""
        places: list[tuple[int, int]] = []

        def put(buffer: pickle.PickleBuffer) -> None:
            raw = np.frombuffer(buffer.raw(), np.uint8)
            if raw.nbytes and raw.ctypes.data not in self._places:
                raw = self._kept(raw)
            places.append((self._places[raw.ctypes.data] if raw.nbytes else 0, raw.nbytes))

        body = pickle.dumps(scene, protocol=5, buffer_callback=put)
        head = self._kept(np.frombuffer(pickle.dumps((body, places)), np.uint8))
        place = self._places[head.ctypes.data]
        os.pwrite(self._descriptor, _HEAD.pack(place, head.nbytes), 0)
        os.ftruncate(self._descriptor, self._begin + self._used)

    def _kept(self, array: NDArray[Kind]) -> NDArray[Kind]:
        """Copy an array that is not empty to where nothing is yet."""
        with self._lock:
            at = -(-self._used // _ALIGNMENT) * _ALIGNMENT
            if at + array.nbytes > len(self._pieces[-1]):
                self._begin += len(self._pieces[-1])
                self._grow(max(self._begin, array.nbytes))
                at = 0
            self._used = at + array.nbytes
            kept = np.frombuffer(self._pieces[-1], array.dtype, array.size, at)
            kept = kept.reshape(array.shape)
            self._places[kept.ctypes.data] = self._begin + at
        kept[...] = array
        return kept

    def _grow(self, least: int) -> None:
        size = -(-least // mmap.ALLOCATIONGRANULARITY) * mmap.ALLOCATIONGRANULARITY
        os.ftruncate(self._descriptor, self._begin + size)
        self._pieces.append(mmap.mmap(self._descriptor, size, offset=self._begin))


def read_scene(descriptor: int) -> Scene:
    """Take a scene out again: its arrays are the file's own memory until they are written to."""
    memory = memoryview(
        mmap.mmap(descriptor, os.fstat(descriptor).st_size, access=mmap.ACCESS_COPY)
    )
    place, length = _HEAD.unpack(memory[: _HEAD.size])
    body, places = pickle.loads(memory[place : place + length])  # noqa: S301 - our own process's
    buffers = [memory[place : place + nbytes] for place, nbytes in places]
    scene: Scene = pickle.loads(body, buffers=buffers)  # noqa: S301
    return scene
