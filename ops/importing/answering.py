"""What cannot be read out of the files is asked, as `make init` asks it; what can be is proposed or settled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pydantic import ValidationError

from ops.importing.bringing import Bringing
from ops.importing.prepare import DATADOG
from ops.init.answers import Answers
from ops.init.dialogue import Answering
from ops.init.kinds import RefusedError
from ops.init.meaning import environment_of
from ops.init.questions.question import Context, Question
from stacks.litellm_config import CORE_SECRETS, MAX_IN_FLIGHT, PROVIDER_SETTINGS, ROWS, SECRET_SUFFIXES, TASK_VARIABLES
from stacks.litellm_config.variables import REFERENCE
from stacks.settings import Providers

_PART: Final = {"vertex_ai": "vertex"}
"""The part of the answers that is called otherwise than its provider."""
_QUESTION: Final = {"VERTEXAI_PROJECT": "vertex_project", "VERTEXAI_LOCATION": "vertex.location"}
"""The question whose answer gives a variable, where that is called otherwise than the setting."""


def settled(bringing: Bringing) -> dict[str, Any]:
    """The answers that the file gives, and nobody is asked for."""
    referred = bringing.references()
    parts = {_PART.get(row.name, row.name): bool(row.settings.keys() & referred) for row in ROWS}
    return {"own_config": True, **parts}


def write_out_misfits(bringing: Bringing) -> None:
    """Write the value of a variable into config.yaml where the setting that gives it takes no such value."""
    for name in PROVIDER_SETTINGS:
        if name in bringing.references() and (value := bringing.variables.value(name)):
            try:
                Providers.model_validate({name.lower(): value})
            except ValidationError:
                _write_out(bringing, name, value)


def propose(bringing: Bringing) -> None:
    """Propose what the files tell, once it is known what of config.yaml is brought over."""
    proposals, variables = bringing.presets, bringing.variables
    for name in PROVIDER_SETTINGS:
        if name in bringing.references() and (value := variables.value(name)):
            proposals[_QUESTION.get(name, name.lower())] = value
    if region := variables.region():
        proposals["region"] = region
    callbacks = bringing.tree.get(("litellm_settings", "callbacks"))
    if isinstance(callbacks, list) and DATADOG in callbacks:
        proposals["datadog"] = True
    if site := variables.value("DD_SITE"):
        proposals["datadog.site"] = site
    if host := proposals.get("domain"):
        proposals["hosted_zone"] = str(host).partition(".")[2]
    known = {name: value for name in unknown_variables(bringing) if (value := variables.value(name))}
    if known:
        proposals["variables"] = known


def _write_out(bringing: Bringing, name: str, value: str) -> None:
    bringing.used.add(name)
    for place, each in bringing.tree.scalars():
        if each == f"{REFERENCE}{name}":
            why = f"what {name} is: the setting that gives this variable takes no such value"
            bringing.change(place, value, why, value)


def unknown_variables(bringing: Bringing) -> list[str]:
    """The plain variables that config.yaml refers to and no setting of providers gives, sorted."""
    own = environment_of(Answers({}, {"any": {}}), "any").plain_variables
    return sorted(
        name
        for name in bringing.references()
        if not name.endswith(SECRET_SUFFIXES)
        and name not in {*CORE_SECRETS, *TASK_VARIABLES, *PROVIDER_SETTINGS, *own, MAX_IN_FLIGHT}
    )


class Brought:
    """Who answers, after the file has: what it settles is not asked, and what it proposes is the default."""

    def __init__(
        self, answering: Answering, settled: Mapping[str, Any], proposals: Mapping[str, Any], *, again: bool
    ) -> None:
        """Begin; with `again`, what was answered last comes before what the files propose."""
        self._answering = answering
        self._settled = settled
        self._proposals = proposals
        self._again = again

    def heading(self, title: str) -> None:
        """As Answering."""
        self._answering.heading(title)

    def tell(self, warning: str) -> None:
        """As Answering."""
        self._answering.tell(warning)

    def answer(self, question: Question, context: Context, proposal: Any) -> Any:  # noqa: ANN401 - an answer
        """As Answering."""
        if question.key in self._settled:
            return self._settled[question.key]
        if question.key in self._proposals and not (self._again and proposal is not None):
            try:
                proposal = question.accepted(context, self._proposals[question.key])
            except RefusedError as error:
                self._answering.tell(f"{question.key}: what the files have cannot be: {error}.")
        return self._answering.answer(question, context, proposal)
