"""The resource: spec, status, conditions; the CRD and its reference page come from here."""
