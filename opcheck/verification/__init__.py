"""Verification: claims, proven bounds, the runner and its report. `api.verify` is the public `opcheck.verify`."""
