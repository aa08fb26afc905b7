"""The loop that joins capture, rasterizer and optimizer; checkpoints; evaluation; export.

The doors, each in its own module so that importing one stays cheap:

- `loop.train(scene, config, *, work_dir, observer, stop, resume, on_render) -> TrainOutcome`
- `evaluation.evaluate(gaussians, views, *, device, on_render) -> Evaluation`
- `export.export(gaussians, scene, path, *, frame) -> ExportSummary`
- `checkpoint.load_checkpoint(path) -> Checkpoint`, `checkpoint_files.newest_checkpoint(folder)`
- `ready.make_ready(config, device, *, may_compile) -> bool`: what `train` would do first
- `device.choose_device(config.device) -> torch.device`
- `outcome` and `observer`: what they give back, and whom they tell
"""
