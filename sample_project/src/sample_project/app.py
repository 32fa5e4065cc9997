"""Answer ``POST /thumbnails``: the module with the handler."""

from __future__ import annotations

import base64
import json
from http import HTTPStatus
from typing import Any, TypedDict

from pydantic import Base64Bytes, BaseModel, ConfigDict, EmailStr, Field, ValidationError

from sample_project import images, storage


class Response(TypedDict):
    """What API Gateway makes an HTTP response of (payload format 2.0)."""

    statusCode: int
    headers: dict[str, str]
    body: str


class ThumbnailRequest(BaseModel):
    """The JSON document that a client sends."""

    model_config = ConfigDict(extra="forbid")

    owner: EmailStr
    name: str = Field(pattern=r"^[\w-]{1,64}$")
    size: int = Field(default=128, ge=16, le=1024)
    image: Base64Bytes


def handler(event: dict[str, Any], _context: object) -> Response:
    """Make the thumbnail that a request asks for, and sign the address where its owner may keep it."""
    try:
        request = ThumbnailRequest.model_validate_json(_body(event))
        thumbnail = images.thumbnail(request.image, request.size)
    except ValidationError as error:
        errors = error.errors(include_url=False, include_context=False, include_input=False)
        return _respond(HTTPStatus.BAD_REQUEST, {"errors": errors})
    except images.NotAnImageError as error:
        return _respond(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, {"error": str(error)})
    except images.UnusableImageError as error:
        return _respond(HTTPStatus.UNPROCESSABLE_ENTITY, {"error": str(error)})
    key = f"{request.owner}/{request.name}.webp"
    document = {
        "owner": request.owner,
        "width": thumbnail.width,
        "height": thumbnail.height,
        "thumbnail": f"data:{thumbnail.media_type};base64,{base64.b64encode(thumbnail.content).decode()}",
        "upload": storage.sign_upload(key, thumbnail.media_type),
    }
    return _respond(HTTPStatus.CREATED, document)


def _body(event: dict[str, Any]) -> bytes:
    body: str = event.get("body") or ""
    return base64.b64decode(body) if event.get("isBase64Encoded") else body.encode()


def _respond(status: HTTPStatus, document: dict[str, Any]) -> Response:
    return {
        "statusCode": status.value,
        "headers": {"content-type": "application/json"},
        "body": json.dumps(document),
    }
