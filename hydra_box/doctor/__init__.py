"""What is wrong with this box, and what to do about it; works with and without a daemon.

Every check returns findings, and a file has the checks of one subject.
"""

from hydra_box.doctor.diagnosis import diagnose, diagnose_remote

__all__ = ["diagnose", "diagnose_remote"]
