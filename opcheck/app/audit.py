"""`opcheck verify --module FILE.py:FACTORY`: audit a module layer by layer."""

import json
from typing import Any

import click

from opcheck import loading
from opcheck.errors import CouldNotRun, Refused
from opcheck.language import say
from opcheck.verification.report import verdict_to_json


def audit_module(options: dict[str, Any]) -> int:
    """Run the factory, audit what it returns, print one line per leaf; 1 if one deviates."""
    from opcheck.verification.audit import audit

    factory = loading.find(options["module"])
    made = factory()
    if not isinstance(made, tuple) or len(made) < 2:
        raise Refused(
            say("the factory given to --module must return the module and its inputs: (module, input, ...)"),
            got=type(made).__name__,
        )
    module, *inputs = made
    device = options["device"]
    if device != "cpu":
        from opcheck.backends.torch_eager import TorchEager

        TorchEager(device)  # raises CouldNotRun where there is no such device
        module, inputs = module.to(device), [each.to(device) if hasattr(each, "to") else each for each in inputs]
    result = audit(module, *inputs, seed=options["seed"] or 0, allow=options["allow"] or "",
                   strict_precision=options["strict_precision"])  # fmt: skip
    if options["as_json"]:
        deviating = [{"leaf": name, **verdict_to_json(verdict)} for name, verdict in result.deviating]
        click.echo(
            json.dumps(
                {
                    "schema": "opcheck.audit/1", "agrees": result.agrees, "checked": result.checked,
                    "unknown": result.unknown, "uncovered": result.uncovered, "deviating": deviating,
                    "lower_precision": [{"leaf": name, **verdict_to_json(each)} for name, each in result.lower],
                }
            )
        )  # fmt: skip
    else:
        click.echo(str(result))
    if not result.checked:
        raise CouldNotRun(
            say("nothing was checked: no layer of {name} is in the catalogue", name=type(module).__name__)
        )
    return 0 if result.agrees else 1
