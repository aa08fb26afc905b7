"""Metrics, previews and the report page."""
