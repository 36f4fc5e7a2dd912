"""The tree of errors: one root, each class with its code, HTTP status and exit code.

::

    HydraError
    ├── InvalidRequest            400  exit 2   a value is wrong; ``param`` names it
    │   ├── InvalidModel          400  exit 2   a model that cannot be read or served
    │   └── ContextLengthExceeded 400  exit 2   the prompt is longer than a slot
    ├── ConfigError               500  exit 2   the settings file or environment is wrong
    ├── Unauthenticated           401  exit 3   no key, or one that is not valid
    ├── Forbidden                 403  exit 3   a valid key that may not do this
    ├── NotFound                  404  exit 4   no such service, key, file
    │   ├── ModelNotFound         404  exit 4   no service has that access name
    │   └── RepositoryNotFound    404  exit 4   the hub has no such repository, or hides it
    ├── MethodNotAllowed          405  exit 2   the path does not take that HTTP method
    ├── Conflict                  409  exit 5   taken, or not in the state for it
    │   └── DowntimeNeeded        409  exit 5   nothing would serve for a while
    ├── DoesNotFit                409  exit 10  too little memory; the hint says what would fit
    ├── PayloadTooLarge           413  exit 2   the body is over the limit
    ├── RateLimited               429  exit 6   the key is at its limit
    │   └── InsufficientQuota     429  exit 6   the key has used its quota
    ├── Unavailable               503  exit 6   loading, full or stopping; try again
    ├── DownloadFailed            502  exit 6   what the hub sent is wrong, or it has changed
    ├── DiskFull                  507  exit 9   too little room on the disk
    ├── EngineError               502  exit 7   the engine failed at a request
    ├── EngineUnavailable         503  exit 7   no runtime can run this
    ├── StateError                500  exit 9   the state directory cannot be used
    │   └── DamagedState          500  exit 9   the database is damaged
    └── DaemonUnreachable         503  exit 8   no daemon answers

The text is a fact with its numbers; the hint, if there is a next step, is apart.
"""

from __future__ import annotations

from typing import ClassVar

from hydra_box.types import ErrorBody, ErrorDetail


class HydraError(Exception):
    """Root of everything that Hydra Box raises on purpose."""

    code: ClassVar[str] = "internal_error"
    type: ClassVar[str] = "server_error"
    http_status: ClassVar[int] = 500
    exit_code: ClassVar[int] = 1

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        param: str | None = None,
        retry_after_seconds: int | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.param = param
        self.retry_after_seconds = retry_after_seconds

    def __str__(self) -> str:
        return self.message if self.hint is None else f"{self.message}\nhint: {self.hint}"

    def body(self) -> ErrorBody:
        """The error in the shape of OpenAI's API."""
        return ErrorBody(
            error=ErrorDetail(
                message=self.message, type=self.type, code=self.code, param=self.param
            ),
            hint=self.hint,
        )


class InvalidRequest(HydraError):
    """A value in the request is wrong; ``param`` names it."""

    code = "invalid_request"
    type = "invalid_request_error"
    http_status = 400
    exit_code = 2


class InvalidModel(InvalidRequest):
    """The model's files cannot be read or served."""

    code = "invalid_model"


class ContextLengthExceeded(InvalidRequest):
    """The prompt is longer than a slot's context; the message has both token counts."""

    code = "context_length_exceeded"


class ConfigError(HydraError):
    """The settings file or the environment has a wrong key or value."""

    code = "invalid_config"
    exit_code = 2


class Unauthenticated(HydraError):
    """No key, or one that is not valid (any more)."""

    code = "invalid_api_key"
    type = "authentication_error"
    http_status = 401
    exit_code = 3


class Forbidden(HydraError):
    """The key is valid and may not do this."""

    code = "permission_denied"
    type = "permission_error"
    http_status = 403
    exit_code = 3


class NotFound(HydraError):
    """Nothing has that name."""

    code = "not_found"
    type = "invalid_request_error"
    http_status = 404
    exit_code = 4


class ModelNotFound(NotFound):
    """No service has that access name."""

    code = "model_not_found"


class RepositoryNotFound(NotFound):
    """The hub has no repository of that name, or it is private."""

    code = "repository_not_found"


class MethodNotAllowed(HydraError):
    """The path exists and does not take that HTTP method."""

    code = "method_not_allowed"
    type = "invalid_request_error"
    http_status = 405
    exit_code = 2


class Conflict(HydraError):
    """The name is taken, or the thing is not in the state for it."""

    code = "conflict"
    type = "invalid_request_error"
    http_status = 409
    exit_code = 5


class DowntimeNeeded(Conflict):
    """Nothing would serve for a while, and that was not allowed; the hint says how to allow it."""

    code = "downtime_needed"


class DoesNotFit(HydraError):
    """No device has the memory for it; the hint says what would fit."""

    code = "does_not_fit"
    type = "invalid_request_error"
    http_status = 409
    exit_code = 10


class PayloadTooLarge(HydraError):
    """The body is over the limit."""

    code = "request_too_large"
    type = "invalid_request_error"
    http_status = 413
    exit_code = 2


class RateLimited(HydraError):
    """The key is at its limit; ``retry_after_seconds`` says when to come again."""

    code = "rate_limit_exceeded"
    type = "rate_limit_error"
    http_status = 429
    exit_code = 6


class InsufficientQuota(RateLimited):
    """The key has used what its quota allows in this period, or for good."""

    code = "insufficient_quota"
    type = "insufficient_quota"


class Unavailable(HydraError):
    """Loading, full or stopping; ``retry_after_seconds`` says when to come again."""

    code = "service_unavailable"
    http_status = 503
    exit_code = 6


class DownloadFailed(HydraError):
    """What the hub sent is not what it said it would send."""

    code = "download_failed"
    http_status = 502
    exit_code = 6


class DiskFull(HydraError):
    """Too little room on the disk; the message says how much is needed, how much is free, where."""

    code = "disk_full"
    http_status = 507
    exit_code = 9


class EngineError(HydraError):
    """The engine failed at a request; its own words are in the instance's log only."""

    code = "engine_error"
    http_status = 502
    exit_code = 7


class EngineUnavailable(HydraError):
    """No installed and verified runtime can run this."""

    code = "engine_unavailable"
    http_status = 503
    exit_code = 7


class DaemonUnreachable(HydraError):
    """No daemon answers at the address."""

    code = "daemon_unreachable"
    http_status = 503
    exit_code = 8


class StateError(HydraError):
    """The state directory cannot be used."""

    code = "state_error"
    exit_code = 9


class DamagedState(StateError):
    """What the database has cannot be read any more."""

    code = "damaged_state"


BY_CODE: dict[str, type[HydraError]] = {
    cls.code: cls
    for cls in (
        HydraError,
        InvalidRequest,
        InvalidModel,
        ContextLengthExceeded,
        ConfigError,
        Unauthenticated,
        Forbidden,
        NotFound,
        ModelNotFound,
        RepositoryNotFound,
        MethodNotAllowed,
        Conflict,
        DowntimeNeeded,
        DoesNotFit,
        PayloadTooLarge,
        RateLimited,
        InsufficientQuota,
        Unavailable,
        DownloadFailed,
        DiskFull,
        EngineError,
        EngineUnavailable,
        DaemonUnreachable,
        StateError,
        DamagedState,
    )
}
"""Error code to class, for the client, which raises what the daemon answered."""
