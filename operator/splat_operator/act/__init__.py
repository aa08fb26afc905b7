"""Applies decisions to the API server."""

from splat_operator.act.actor import Actor
from splat_operator.act.api_client import ApiClient, ApiError
from splat_operator.act.definition import Definition

__all__ = ["Actor", "ApiClient", "ApiError", "Definition"]
