"""The tables, and how a file of an older version gets them: a file for each change.

A change that has been released is never changed itself.
"""

from hydra_box.store.schema.m001_first_tables import m001_first_tables
from hydra_box.store.schema.m002_plans import m002_plans
from hydra_box.store.schema.m003_models import m003_models
from hydra_box.store.schema.m004_console import m004_console
from hydra_box.store.schema.m005_maas import m005_maas
from hydra_box.store.schema.m006_appliance import m006_appliance

STEPS = (
    m001_first_tables,
    m002_plans,
    m003_models,
    m004_console,
    m005_maas,
    m006_appliance,
)
"""Every migration, oldest first."""
