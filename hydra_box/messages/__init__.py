"""What the management API takes and answers, beside the structs of ``hydra_box.types``."""

from __future__ import annotations

from hydra_box.messages.attention import Attention
from hydra_box.messages.backups import ArchiveManifest, ArchiveMember, BackupFile, Restored
from hydra_box.messages.base import Request
from hydra_box.messages.box import BoxStatus, RestartView, Successor
from hydra_box.messages.engines import InstallEngineRequest, InstallProgress
from hydra_box.messages.keys import (
    CreatedKey,
    CreateKeyRequest,
    EditKeyRequest,
    KeyView,
    RotateKeyRequest,
)
from hydra_box.messages.models import (
    DownloadView,
    ImportRequest,
    ModelView,
    PullRequest,
    RemovedModel,
    StoredModelView,
)
from hydra_box.messages.plans import DevicePlan, PlanRequest, PlanView
from hydra_box.messages.services import (
    DeployRequest,
    EditRequest,
    InstanceView,
    ScaleRequest,
    ServiceHistory,
    ServiceSample,
    ServiceStats,
    ServicesUpdate,
    ServiceView,
)
from hydra_box.messages.upstreams import EditUpstreamRequest, UpstreamRequest, UpstreamView
from hydra_box.messages.usage import (
    UsageBy,
    UsageFormat,
    UsagePer,
    UsageReport,
    UsageRow,
    UsageTotals,
)
from hydra_box.messages.users import (
    LOCAL_USER_NAME,
    CreateUserRequest,
    EditUserRequest,
    UserView,
)

__all__ = [
    "LOCAL_USER_NAME",
    "ArchiveManifest",
    "ArchiveMember",
    "Attention",
    "BackupFile",
    "BoxStatus",
    "CreateKeyRequest",
    "CreateUserRequest",
    "CreatedKey",
    "DeployRequest",
    "DevicePlan",
    "DownloadView",
    "EditKeyRequest",
    "EditRequest",
    "EditUpstreamRequest",
    "EditUserRequest",
    "ImportRequest",
    "InstallEngineRequest",
    "InstallProgress",
    "InstanceView",
    "KeyView",
    "ModelView",
    "PlanRequest",
    "PlanView",
    "PullRequest",
    "RemovedModel",
    "Request",
    "RestartView",
    "Restored",
    "RotateKeyRequest",
    "ScaleRequest",
    "ServiceHistory",
    "ServiceSample",
    "ServiceStats",
    "ServiceView",
    "ServicesUpdate",
    "StoredModelView",
    "Successor",
    "UpstreamRequest",
    "UpstreamView",
    "UsageBy",
    "UsageFormat",
    "UsagePer",
    "UsageReport",
    "UsageRow",
    "UsageTotals",
    "UserView",
]
