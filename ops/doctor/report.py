"""What is said of the findings: a table for people, and the exit code for whatever runs the command."""

from __future__ import annotations

from collections.abc import Iterable

from ops.doctor.finding import Finding, Mark


def table(findings: Iterable[Finding]) -> str:
    """A line a finding, its remedy below it, and how it is as a whole."""
    findings = tuple(findings)
    width = max(len(finding.what) for finding in findings)
    lines: list[str] = []
    for finding in findings:
        margin = f"  {'':7}  {'':{width}}  "
        detail = finding.detail.replace("\n", f"\n{margin}")  # of mistakes, a line each
        lines.append(f"  {finding.mark:7}  {finding.what:{width}}  {detail}")
        if finding.remedy:
            lines.append(f"{margin}-> {finding.remedy}")
    return "\n".join((*lines, summary(findings)))


def summary(findings: Iterable[Finding]) -> str:
    """How it is as a whole, in one sentence."""
    marks = [finding.mark for finding in findings]
    problems, unknown = marks.count(Mark.PROBLEM), marks.count(Mark.UNKNOWN)
    if not problems and not unknown:
        return "All is well."
    told = [f"{problems} problem{'s' if problems > 1 else ''}"] if problems else []
    return ", ".join([*told, f"{unknown} could not be looked at"] if unknown else told) + "."


def exit_code(findings: Iterable[Finding]) -> int:
    """1 if there is a problem, else 2 if something could not be looked at, else 0."""
    marks = {finding.mark for finding in findings}
    return 1 if Mark.PROBLEM in marks else 2 if Mark.UNKNOWN in marks else 0
