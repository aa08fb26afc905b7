"""A progress bar for people: one line that stays for each stage that ended, one that moves."""

import time

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn

from splat_trainer.contract import ProgressDocument, Stage


class TerminalBar:
    """Draws progress on a terminal; when it ends, nothing half drawn is left."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description:<10}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[figures]}"),
            console=console,
            transient=True,
        )
        self._task: TaskID | None = None
        self._stage: Stage | None = None
        self._began = 0.0
        self._progress.start()

    def tell(self, document: ProgressDocument, stage_began: bool) -> None:
        """Move the bar; at a new stage, leave a line about the one that ended."""
        if stage_began or self._task is None:
            self._end_stage()
            self._stage = document.stage
            self._began = time.monotonic()
            self._task = self._progress.add_task(document.stage.value, total=None, figures="")
        if document.stage is not Stage.TRAINING:
            if document.bytes_done is not None:
                self._progress.update(
                    self._task,
                    completed=document.bytes_done,
                    total=document.bytes_total or None,
                    figures=bytes_figures(document.bytes_done, document.bytes_total or 0),
                )
            return
        self._progress.update(
            self._task,
            completed=document.iteration,
            total=document.iterations or None,
            figures=figures(document),
        )

    def close(self) -> None:
        """Take the bar away."""
        self._end_stage()
        self._progress.stop()

    def _end_stage(self) -> None:
        if self._task is None or self._stage is None:
            return
        last = self._progress.tasks[-1].fields.get("figures", "")
        seconds = time.monotonic() - self._began
        self._progress.remove_task(self._task)
        self._task = None
        detail = f"  {last}" if last else ""
        self._console.print(
            f"{self._stage.value:<12} {duration(seconds):>8}{detail}", highlight=False
        )


def figures(document: ProgressDocument) -> str:
    """The figures beside the bar: those that are known, most important first."""
    parts = []
    if document.iterations:
        parts.append(f"{document.iteration:,}/{document.iterations:,}")
    if document.iterations_per_second:
        parts.append(f"{document.iterations_per_second:,.1f} steps/s")
    if document.eta_seconds is not None and document.iteration < document.iterations:
        parts.append(f"{duration(document.eta_seconds)} left")
    if document.loss is not None:
        parts.append(f"loss {document.loss:.4f}")
    if document.psnr is not None:
        parts.append(f"PSNR {document.psnr:.2f} dB")
    if document.gaussians is not None:
        parts.append(f"{document.gaussians:,} Gaussians")
    if document.gpu_memory_bytes:
        parts.append(f"{document.gpu_memory_bytes / 2**30:.1f} GiB")
    return "  ".join(parts)


def bytes_figures(done: int, total: int) -> str:
    """How much of a capture has come: 12.5 of 29.5 MB."""
    return f"{done / 1e6:,.1f} of {total / 1e6:,.1f} MB"


def duration(seconds: float) -> str:
    """A duration as people write it: 4.2 s, 3:05, 1:02:03."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
