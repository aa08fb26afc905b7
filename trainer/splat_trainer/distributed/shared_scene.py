"""A capture in memory that several processes share, decoded once.

It lies in an anonymous file (memfd_create(2)): no path, no quota of /dev/shm, and gone with the
last process that holds it. Pickle's buffers out of band (PEP 574) put the arrays into it as they
are, and take them out of it without a copy.
"""

import mmap
import os
import pickle
import struct

from splat_trainer.capture.scene import Scene

_HEAD = struct.Struct("=Q")
_ALIGNMENT = 64


def write_scene(scene: Scene, descriptor: int) -> None:
    """Put a scene into an empty file."""
    buffers: list[memoryview] = []

    def keep(buffer: pickle.PickleBuffer) -> None:
        buffers.append(buffer.raw())

    body = pickle.dumps(scene, protocol=5, buffer_callback=keep)
    lengths = [buffer.nbytes for buffer in buffers]
    head = pickle.dumps((body, lengths))
    with open(descriptor, "wb", closefd=False) as file:
        file.write(_HEAD.pack(len(head)) + head)
        for buffer in buffers:
            file.seek(_aligned(file.tell()))
            file.write(buffer)
        file.truncate(max(file.tell(), 1))


def read_scene(descriptor: int) -> Scene:
    """Take a scene out again: its arrays are the file's own memory until they are written to."""
    memory = memoryview(
        mmap.mmap(descriptor, os.fstat(descriptor).st_size, access=mmap.ACCESS_COPY)
    )
    (length,) = _HEAD.unpack(memory[: _HEAD.size])
    place = _HEAD.size + length
    body, lengths = pickle.loads(memory[_HEAD.size : place])  # noqa: S301 - by our own rank 0
    buffers = []
    for nbytes in lengths:
        place = _aligned(place)
        buffers.append(memory[place : place + nbytes])
        place += nbytes
    scene: Scene = pickle.loads(body, buffers=buffers)  # noqa: S301
    return scene


def _aligned(place: int) -> int:
    return -(-place // _ALIGNMENT) * _ALIGNMENT
