"""Applies actions: server-side apply, status once, events after."""
