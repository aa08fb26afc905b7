"""Names of what a run writes, relative to its output."""

POINT_CLOUD = "point_cloud.ply"
METRICS = "metrics.json"
REPORT = "report.html"
RESULT = "result.json"
PREVIEWS = "previews"
CHECKPOINTS = "checkpoints"
