"""Make thumbnails: a function behind an API Gateway HTTP API."""
