"""Metrics, previews and the report page: what a finished run tells about itself."""
