"""Opens a splat in two programs that are not ours, and puts what one draws beside the photo.

    python -m benchmarks.viewers SPLAT CAPTURE PICTURE.png [--view 0]

SPLAT is a file of any format that a run writes, in the capture's own frame.

PlayCanvas's splat-transform reads the file and tells what is in it; mkkellogg's GaussianSplats3D
draws it in headless Chromium, on the processor, from where a held-out photo was taken. The
picture shows photo and drawing side by side. Needs node, npm and chromium; the npm packages are
those of package-lock.json.
"""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.viewers.browser import draw_in_browser
from benchmarks.viewers.packages import installed_packages
from splat_trainer.capture.load import load_scene
from splat_trainer.capture.normalize import transform_poses
from splat_trainer.capture.scene import Scene, View
from splat_trainer.contract import TrainConfig

NEEDED = ("node", "npm", "chromium")


def main() -> None:
    """Open the file in both, and tell what each made of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("splat", type=Path)
    parser.add_argument("capture", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--view", type=int, default=0, help="which of the held-out views")
    arguments = parser.parse_args()
    lacking = [name for name in NEEDED if shutil.which(name) is None]
    if lacking:
        print(f"skipped: {', '.join(lacking)} not installed", file=sys.stderr)
        return

    packages = installed_packages()
    transform = packages / "@playcanvas/splat-transform/bin/cli.mjs"
    command = ["node", str(transform), "--quiet", str(arguments.splat), "--info", "json", "null"]
    told = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    print(f"splat-transform: {told.strip()}")

    scene = load_scene(arguments.capture, TrainConfig())
    view = scene.test_views[arguments.view]
    drawing, count = draw_in_browser(arguments.splat, pose_of(scene, view), packages)
    error = np.mean((drawing / 255.0 - view.image / 255.0) ** 2)
    print(f"GaussianSplats3D: {count:,} splats, {view.name}: {-10 * np.log10(error):.2f} dB PSNR")
    Image.fromarray(np.hstack([view.image, drawing])).save(arguments.picture)


def pose_of(scene: Scene, view: View) -> dict[str, object]:
    """Where three.js has to put its camera, in the capture's own frame, to see what `view` does."""
    back = np.linalg.inv(scene.normalized_from_capture).astype(np.float64)
    camtoworld = transform_poses(view.camtoworld[None], back)[0]
    position, down, ahead = (camtoworld[:3, column] for column in (3, 1, 2))
    return {
        "width": view.width,
        "height": view.height,
        "fov": float(np.degrees(2 * np.arctan(view.height / 2 / view.K[1, 1]))),
        "position": position.tolist(),
        "up": (-down).tolist(),
        "target": (position + ahead).tolist(),
    }


if __name__ == "__main__":
    main()
