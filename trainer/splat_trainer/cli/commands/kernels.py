"""`splat-trainer kernels`: compiled CUDA kernels in a cache, built, checked, listed, collected."""

import contextlib
import json
import logging
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from splat_trainer.cli.failures import explain
from splat_trainer.cli.interruption import Interrupted
from splat_trainer.cli.invocation import Invocation
from splat_trainer.cli.result import write_in_place
from splat_trainer.cli.workspace import temporary_folder
from splat_trainer.contract import (
    ExitCode,
    KernelsDocument,
    KernelsOutcome,
    Reason,
    TrainerError,
    environment,
)
from splat_trainer.kernels.architectures import parse_architectures
from splat_trainer.kernels.build import Builder
from splat_trainer.kernels.collect import collect
from splat_trainer.kernels.compile import CompileError
from splat_trainer.kernels.ingredients import OwnIngredients
from splat_trainer.kernels.manifest import RefusedError
from splat_trainer.kernels.own.build import build_own_kernels
from splat_trainer.kernels.store import Entry, Store
from splat_trainer.train import compile_own_kernels

logger = logging.getLogger(__name__)


def run(invocation: Invocation) -> int:
    """Do what is asked of the cache; gives the exit code."""
    actions: Mapping[str, Callable[[Invocation, Store], int]] = {
        "build": _build,
        "verify": _verify,
        "list": _list,
        "gc": _collect,
    }
    return int(actions[invocation.arguments.action](invocation, Store(invocation.arguments.cache)))


def _build(invocation: Invocation, store: Store) -> int:
    """Tell a document however it ends: whoever waits for this Job reads nothing else."""
    try:
        document, code = _built(invocation, store), ExitCode.DONE
    except BaseException as error:
        invocation.interruption.defer()
        failure = explain(error)
        message = " ".join(failure.message.split())
        print(f"splat-trainer: error: {message}", file=sys.stderr, flush=True)
        log = f"\n{error.log}" if isinstance(error, CompileError) else ""
        document, code = (
            KernelsDocument(
                outcome=KernelsOutcome.FAILED, reason=failure.reason, message=f"{message}{log}"
            ),
            failure.exit_code,
        )
    with contextlib.suppress(Interrupted):  # asked twice: not all need to be told
        print(document.to_json(), flush=True)
        place = invocation.environ.get(environment.RESULT_PATH, "").strip()
        if place:
            write_in_place(Path(place))(document.to_json())
    return int(code)


def _built(invocation: Invocation, store: Store) -> KernelsDocument:
    arguments = invocation.arguments
    architectures = parse_architectures(arguments.architectures)
    temporary_folder()  # one that cannot be written is told before anything is compiled
    builder = Builder(architectures, invocation.environ)
    build = builder.into(store)
    manifest = build.manifest
    own, own_told = None, ""
    if builder.for_gpus:
        own, own_told = own_built(store, architectures, invocation.environ)
    removed: tuple[str, ...] = ()
    if arguments.max_bytes is not None:
        kept = {manifest.key, *([own] if own else []), *arguments.in_use}
        removed = collect(store, arguments.max_bytes, kept)
    done = "compiled" if build.built else "compiled before"
    healed = f"; it replaces one that could not be used: {build.healed}" if build.healed else ""
    return KernelsDocument(
        outcome=KernelsOutcome.BUILT if build.built else KernelsOutcome.HIT,
        key=manifest.key,
        architectures=architectures,
        bytes=manifest.bytes,
        build_seconds=manifest.build_seconds,
        cache_bytes=store.bytes(),
        removed=removed,
        message=f"{done} for {' '.join(architectures)}{healed}{own_told}",
    )


def own_built(
    store: Store, architectures: tuple[str, ...], environ: Mapping[str, str]
) -> tuple[str | None, str]:
    """Compile the trainer's own kernels as well; gives their key, if any, and what is told.

    That they are not there fails nothing: trainings compile them in seconds.
    """
    try:
        compiler = compile_own_kernels.__name__
        manifest, built = build_own_kernels(store, architectures, compiler, environ)
    except (TrainerError, OSError) as error:
        why = error.message if isinstance(error, TrainerError) else str(error)
        logger.warning("each training will compile the trainer's own kernels: %s", why)
        return None, f"; not the trainer's own: {why}"
    return manifest.key, f"; the trainer's own {'compiled' if built else 'compiled before'}, too"


def _verify(invocation: Invocation, store: Store) -> int:
    """Read every build whole; one that must not be loaded makes this fail."""
    entries = _entries(store)
    verdicts = {entry.key: _verdict(store, entry) for entry in entries}
    if invocation.arguments.json:
        print(json.dumps({"builds": [{"key": k, "refused": why} for k, why in verdicts.items()]}))
    else:
        for key, why in verdicts.items():
            print(f"{key}  {why or 'sound'}")
    refused = [key for key, why in verdicts.items() if why]
    if refused:
        raise TrainerError(
            Reason.KERNELS_NOT_FOUND,
            f"{len(refused)} of {len(verdicts)} builds in {store.root} cannot be used: "
            "`splat-trainer kernels build` makes those anew that it is asked for",
        )
    return int(ExitCode.DONE)


def _verdict(store: Store, entry: Entry) -> str | None:
    if entry.refused:
        return entry.refused
    try:
        store.verified(entry.key)
    except RefusedError as refusal:
        return str(refusal)
    return None


def _list(invocation: Invocation, store: Store) -> int:
    entries = _entries(store)
    if invocation.arguments.json:
        print(json.dumps({"builds": [_listed(entry) for entry in entries]}))
        return int(ExitCode.DONE)
    for entry in entries:
        size = f"{entry.bytes / 1e6:.1f} MB"
        print(f"{entry.key}  {size:>9}  {_shown(entry)}")
    return int(ExitCode.DONE)


def _shown(entry: Entry) -> str:
    if entry.manifest is None:
        return entry.refused or ""
    ingredients = entry.manifest.ingredients
    if isinstance(ingredients, OwnIngredients):
        made_with = f"triton {ingredients.triton}"
    else:
        made_with = f"torch {ingredients.runtime.torch}"
    return (
        f"{' '.join(ingredients.architectures)}  {made_with}  "
        f"built in {entry.manifest.build_seconds:.0f} s"
    )


def _listed(entry: Entry) -> dict[str, object]:
    known: dict[str, object] = {"key": entry.key, "bytes": entry.bytes}
    if entry.manifest is None:
        return known | {"refused": entry.refused}
    ingredients = entry.manifest.ingredients
    known |= {
        "architectures": list(ingredients.architectures),
        "buildSeconds": entry.manifest.build_seconds,
    }
    if isinstance(ingredients, OwnIngredients):
        return known | {"triton": ingredients.triton, "python": ingredients.python}
    return known | {
        "torch": ingredients.runtime.torch,
        "cuda": ingredients.runtime.cuda,
        "python": ingredients.runtime.python,
        "compiler": ingredients.compiler,
    }


def _collect(invocation: Invocation, store: Store) -> int:
    arguments = invocation.arguments
    _entries(store)
    removed = collect(store, arguments.max_bytes, set(arguments.in_use))
    if arguments.json:
        print(json.dumps({"removed": removed, "cacheBytes": store.bytes()}))
    else:
        print(f"{len(removed)} removed, {store.bytes() / 1e6:.1f} MB left", *removed, sep="\n  ")
    return int(ExitCode.DONE)


def _entries(store: Store) -> list[Entry]:
    if not store.root.is_dir():
        raise TrainerError(
            Reason.KERNELS_NOT_FOUND,
            f"{store.root} is no folder: --cache names one that holds kernels",
        )
    return store.entries()
