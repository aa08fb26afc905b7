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

_ALIGNMENT = mmap.ALLOCATIONGRANULARITY

Kind = TypeVar("Kind", bound=np.generic)


class SceneFile:
    """An empty file that a scene is put into: the pixels as they are decoded, then the rest."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._end = _HEAD.size
        self._lock = threading.Lock()
        self._places: dict[int, int] = {}

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
            raw = buffer.raw()
            there = self._places.get(_address(raw)) if raw.nbytes else 0
            places.append((self._append(raw) if there is None else there, raw.nbytes))

        body = pickle.dumps(scene, protocol=5, buffer_callback=put)
        head = memoryview(pickle.dumps((body, places)))
        os.pwrite(self._descriptor, _HEAD.pack(self._append(head), head.nbytes), 0)

    def _kept(self, array: NDArray[Kind]) -> NDArray[Kind]:
        array = np.ascontiguousarray(array)
        place = self._append(array.data.cast("B"))
        memory = mmap.mmap(self._descriptor, array.nbytes, access=mmap.ACCESS_READ, offset=place)
        kept = np.frombuffer(memory, array.dtype).reshape(array.shape)
        with self._lock:
            self._places[_address(memory)] = place
        return kept

    def _append(self, buffer: memoryview) -> int:
        """Write where nothing is yet, and give the place."""
        with self._lock:
            place = -(-self._end // _ALIGNMENT) * _ALIGNMENT
            self._end = place + buffer.nbytes
        at = place
        while buffer.nbytes:  # at most 2 GiB go at once
            written = os.pwrite(self._descriptor, buffer, at)
            buffer, at = buffer[written:], at + written
        return place


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


def _address(memory: memoryview | mmap.mmap) -> int:
    return np.frombuffer(memory, np.uint8).ctypes.data
