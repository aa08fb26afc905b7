"""The training configuration: one model for flags, files, environment and the operator."""

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from splat_trainer.contract import environment
from splat_trainer.contract.model import Document
from splat_trainer.contract.presets import (
    DEFAULT_PRESET,
    PRESET_OF_A_STRATEGY,
    PRESETS,
    Preset,
    Strategy,
    densification_interval,
    densify_until,
)

Device = Literal["auto", "cuda", "cpu"]
Frame = Literal["capture", "normalized"]
Lens = Literal["model", "fit"]

_ENVIRONMENT_FIELDS = {
    environment.ITERATIONS: "iterations",
    environment.DENSIFY_UNTIL_ITER: "densify_until_iteration",
    environment.DENSIFICATION_INTERVAL: "densification_interval",
}


_UNSET = PRESETS[DEFAULT_PRESET]
_UNSET_UNTIL = densify_until(_UNSET.strategy, _UNSET.iterations)


class TrainConfig(Document):
    """How to train. What is not here is a constant in `optimize/schedule.py`.

    A field that is not set has its preset's value (`contract/presets.py`), and does not count
    as set for that.
    """

    preset: Preset = Field(
        DEFAULT_PRESET,
        description="What the settings are that are left out: balanced, fast, quality and compact "
        "add Gaussians by a budget that follows the capture; reference is 3DGS's own schedule of "
        "30000 iterations, which densifies every 100 until 15000.",
    )
    iterations: int = Field(_UNSET.iterations, ge=1, le=1_000_000, description="Training steps.")
    densify_until_iteration: int = Field(
        _UNSET_UNTIL, ge=0, description="Last step at which Gaussians are added or removed."
    )
    densification_interval: int = Field(
        densification_interval(_UNSET.strategy, _UNSET_UNTIL),
        ge=1,
        le=10_000,
        description="Steps between two densifications.",
    )
    sh_degree: int = Field(3, ge=0, le=3, description="Degree of the spherical harmonics.")
    strategy: Strategy = Field(
        _UNSET.strategy,
        description="How Gaussians are added and removed: default (3DGS), absgrad, mcmc, or "
        "budget (to a planned count, where the images are wrong).",
    )
    max_gaussians: int | None = Field(
        None,
        ge=1_000,
        le=50_000_000,
        description="Never hold more Gaussians than this. Strategy mcmc grows to it.",
    )
    target_gaussians: int | None = Field(
        None,
        ge=1_000,
        le=50_000_000,
        description="Strategy budget grows to this count. Left out: to one that follows the "
        "capture's points and pixels, which `splat-trainer inspect` tells.",
    )
    max_side: int | None = Field(
        None, ge=16, le=16_384, description="Downscale images to this longest side, in pixels."
    )
    holdout_every: int = Field(
        8,
        ge=0,
        description="Every n-th image, by name, is held out of training and measured; 0: none.",
    )
    seed: int = Field(42, ge=0, le=2**32 - 1, description="Seed of every random draw.")
    checkpoint_interval: int = Field(
        0, ge=0, description="Steps between checkpoints; 0: only when the run is interrupted."
    )
    allow_missing_images: bool = Field(
        False, description="Train without images that are missing or unreadable."
    )
    lens: Lens = Field(
        "fit",
        description="fit: where a camera is a pinhole, find its lens from the model's tracks and "
        "undistort, if that explains them better. model: the lens is as the model says.",
    )
    frame: Frame = Field(
        "capture",
        description="Coordinate frame of the exported splat: the capture's own, or normalized.",
    )
    device: Device = Field("auto", description="auto: a GPU if there is one, else the CPU.")

    @model_validator(mode="after")
    def _fill_in_from_the_preset(self) -> Self:
        if "strategy" in self.model_fields_set:
            self._fill_in("preset", PRESET_OF_A_STRATEGY)
        settings = PRESETS[self.preset]
        self._fill_in("iterations", settings.iterations)
        self._fill_in("strategy", settings.strategy)
        self._fill_in("densify_until_iteration", densify_until(self.strategy, self.iterations))
        self._fill_in(
            "densification_interval",
            densification_interval(self.strategy, self.densify_until_iteration),
        )
        return self

    def _fill_in(self, field: str, value: Any) -> None:
        # Past the frozen front door, while the object is still being made.
        if field not in self.model_fields_set:
            self.__dict__[field] = value

    @model_validator(mode="after")
    def _combinations_make_sense(self) -> Self:
        if self.densify_until_iteration > self.iterations:
            raise ValueError(
                f"densifyUntilIteration ({self.densify_until_iteration}) is after the last "
                f"iteration ({self.iterations}): lower it, or raise iterations"
            )
        if self.strategy == "mcmc" and self.max_gaussians is None:
            raise ValueError("strategy mcmc needs maxGaussians: it grows to that count")
        if self.target_gaussians is not None:
            if self.strategy != "budget":
                raise ValueError(
                    f"targetGaussians is for strategy budget, which the presets but reference "
                    f"have: with {self.strategy} set maxGaussians"
                )
            if self.max_gaussians is not None and self.target_gaussians > self.max_gaussians:
                raise ValueError(
                    f"targetGaussians ({self.target_gaussians}) is above maxGaussians "
                    f"({self.max_gaussians}): lower it, or raise maxGaussians"
                )
        return self

    @classmethod
    def environment_fields(cls) -> Mapping[str, str]:
        """Which environment variable sets which field."""
        return _ENVIRONMENT_FIELDS

    @classmethod
    def environment_overrides(cls, environ: Mapping[str, str]) -> dict[str, str]:
        """Pick the fields that environment variables set; an empty variable sets nothing."""
        return {
            field: environ[name].strip()
            for name, field in _ENVIRONMENT_FIELDS.items()
            if environ.get(name, "").strip()
        }

    def to_args(self) -> list[str]:
        """Give the command-line flags that rebuild this configuration's set fields."""
        args: list[str] = []
        for name in sorted(self.model_fields_set):
            value = getattr(self, name)
            flag = "--" + name.replace("_", "-")
            if isinstance(value, bool):
                args.append(flag if value else f"--no-{flag[2:]}")
            elif value is not None:
                args += [flag, str(value)]
        return args
