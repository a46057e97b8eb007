"""The company's own files: its settings, its config.yaml, its snapshots and its record of what holds data.

They are in `company/`, which `make init` makes, and nothing else in the checkout is the company's. Where there is no
such folder, the example company of the product is taken. The variable COMPANY names another folder, from the checkout's
root: only here is it read.
"""

import importlib.util
import os
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.machinery import SourceFileLoader
from ipaddress import IPv4Network
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, Final

from pydantic import ValidationError

from stacks import CHECKOUT
from stacks.settings import (
    AnthropicBill,
    AzureBill,
    Bill,
    Environment,
    Gateway,
    GeminiBill,
    GoogleBill,
    HostedZone,
    Ingress,
    Network,
    OpenAiBill,
    Releases,
    SettingsError,
    Sleep,
    by_name,
    findings,
    read,
)

OWN: Final = CHECKOUT / "company"
EXAMPLE: Final = CHECKOUT / "tests" / "companies" / "tokyo"
SETTINGS: Final = "environments.py"
LOCAL: Final = "local"
"""The environment that `make up` runs. No deployed one is called so."""

RELEASES: Final = "releases"
"""Where the templates of what promotes releases are, among those of the environments."""

LOCAL_ACCOUNT: Final = "000000000000"
LOCAL_CIDR: Final = "10.40.0.0/16"


@dataclass(frozen=True)
class Company:
    """What a company has written and accepted: a folder, and what its settings say.

    `environments` are the deployed ones by name, in the company's order, and `local` is the one of `make up`.
    """

    folder: Path
    environments: Mapping[str, Environment]
    local: Environment
    releases: Releases | None

    @property
    def name(self) -> str:
        """What COMPANY has to be for it: its folder, from the checkout's root."""
        return _short(self.folder)

    @property
    def config(self) -> Path:
        """LiteLLM's config.yaml, the one list of models."""
        return self.folder / "config.yaml"

    @property
    def snapshots(self) -> Path:
        """Where its templates are recorded, a folder an environment."""
        return self.folder / "snapshots"

    @property
    def record(self) -> Path:
        """The record of what holds data."""
        return self.folder / "stateful.json"

    @property
    def all(self) -> Mapping[str, Environment]:
        """The deployed environments and the local one, by name."""
        return {**self.environments, LOCAL: self.local}


@cache
def company() -> Company:
    """The company in force.

    Raises
    ------
    SettingsError
        Its settings have a mistake: where, which and what to do.
    """
    return load(folder_of(os.environ.get("COMPANY")))


def folder_of(named: str | None) -> Path:
    """The folder that COMPANY names: without a name `company/`, or the example where there is none."""
    return CHECKOUT / named if named else OWN if OWN.exists() else EXAMPLE


def folder_to_write() -> Path:
    """The folder that `make init` writes: what COMPANY names, or `company/`."""
    named = os.environ.get("COMPANY")
    return CHECKOUT / named if named else OWN


def environments() -> Mapping[str, Environment]:
    """Every environment of the company in force by name, the local one last."""
    return company().all


def promotion() -> Releases | None:
    """How the company in force promotes releases; None if people deploy by hand."""
    return company().releases


def config_file() -> Path:
    """The config.yaml of the company in force."""
    return company().config


def load(folder: Path) -> Company:
    """Read a company's settings and check them, each by itself and against the others.

    Raises
    ------
    SettingsError
        The file is not there, is no Python, or a value cannot work: where, what is wrong and what to do.
    """
    module = _module(folder / SETTINGS)
    makers = _functions(module, "ENVIRONMENTS")
    if not makers:
        raise SettingsError(
            f"{_short(folder / SETTINGS)}: ENVIRONMENTS is not set: list the functions of the environments that are "
            "deployed, as in ENVIRONMENTS = (dev, prod)"
        )
    environments = by_name(map(read, makers))
    for name, what in {LOCAL: "the one of make up", RELEASES: "where the snapshots of what promotes are"}.items():
        if name in environments:
            raise SettingsError(f"an environment is called {name}: that is {what}, so give it another name")
    base = read((*_functions(module, "LOCAL"), makers[0])[0])
    releases = next((read(maker) for maker in _functions(module, "RELEASES")), None)
    return Company(
        folder=folder,
        environments=environments,
        local=local_of(base),
        releases=releases and releases.among(environments),
    )


def local_of(base: Environment) -> Environment:
    """What `make up` deploys to the emulated AWS on this machine: an environment under another name and account.

    It has one task, makes a network of its own, and holds its figures against the simulated bills of whatever the
    environment uses.
    """
    changes: dict[str, Any] = {
        "name": LOCAL,
        "account": LOCAL_ACCOUNT,
        "hosted_zone": HostedZone(id="Z0000000LOCALEXAMPLE", name="local.example.com"),
        "domain": "llm.local.example.com",
        "certificate_arn": base.certificate_arn and base.certificate_arn.replace(base.account, LOCAL_ACCOUNT),
        "network": Network(zones=base.network.zones, cidr=LOCAL_CIDR),
        "ingress": _local_ingress(base.ingress),
        "gateway": Gateway(max_tasks=1),
        "database": base.database.model_copy(update={"copies": None}),  # one region is emulated
        "sleep": base.sleep and Sleep(),  # by command alone: nobody's machine falls asleep at eight in the evening
        "bill": base.bill and _local_bill(base, base.bill),
        "deletion_protection": False,
        "tags": {key: LOCAL if value == base.name else value for key, value in base.tags.items()},
    }
    return Environment(**dict(base) | changes)


def _local_ingress(base: Ingress) -> Ingress:
    """As the environment's, with one address of its operators: so that who is in the office but none shows too."""
    (first, *_) = base.management_cidrs
    return base.model_copy(update={"management_cidrs": (IPv4Network(next(iter(first.hosts()))),)})


def _local_bill(base: Environment, bill: Bill) -> Bill:
    number = "00000000-0000-4000-8000-00000000000"
    azure = AzureBill(tenant=f"{number}1", client=f"{number}2", subscription=f"{number}3")
    project = base.providers.vertexai_project
    table = f"{project}.billing.gcp_billing_export_resource_v1_000000"
    return bill.model_copy(
        update={
            "azure": azure if base.providers.azure_api_base else None,
            "google": GoogleBill(table=table) if project else None,
            "gemini": GeminiBill(table=table, project=project) if project else None,
            "openai": OpenAiBill(),
            "anthropic": AnthropicBill(),
        }
    )


class _Settings(SourceFileLoader):
    """Reads a settings' file each time: kept bytecode counts as that of a file which has its length and was written in
    the same second (PEP 552), and nobody is to be judged by other settings than those in the file.
    """

    def get_code(self, fullname: str) -> CodeType:
        """The file's code, as it is now."""
        return self.source_to_code(self.get_data(self.path), self.path)


def _module(file: Path) -> ModuleType:
    """The settings' file, run."""
    name = f"{file.parent.name}_environments"
    spec = importlib.util.spec_from_file_location(name, file, loader=_Settings(name, str(file)))
    if not file.is_file() or spec is None or spec.loader is None:
        raise SettingsError(f"{_short(file)}: there is no such file: make init writes it")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except SettingsError:
        raise
    except ValidationError as error:  # of a value that is no function's
        raise SettingsError("\n".join(findings(_short(file), error))) from error
    except Exception as error:
        raise SettingsError(
            f"{_short(file)}: line {_line(error, file)}: {type(error).__name__}: {_words(error)}"
        ) from error
    return module


def _functions(module: ModuleType, name: str) -> tuple[Callable[[], Any], ...]:
    """The functions that a name of the settings' file stands for: one, several or none."""
    value = getattr(module, name, None)
    found = () if value is None else tuple(value) if isinstance(value, tuple | list) else (value,)
    if not all(callable(each) for each in found):
        raise SettingsError(
            f"{_short(Path(str(module.__file__)))}: {name} is to name functions, without parentheses behind them, "
            "as in ENVIRONMENTS = (dev, prod)"
        )
    return found


def _line(error: Exception, file: Path) -> int:
    """The line of the file that an error is of."""
    if isinstance(error, SyntaxError):
        return error.lineno or 1
    frames = traceback.extract_tb(error.__traceback__)
    return next((frame.lineno for frame in reversed(frames) if frame.filename == str(file) and frame.lineno), 1)


def _words(error: Exception) -> str:
    return error.msg if isinstance(error, SyntaxError) else str(error)


def _short(file: Path) -> str:
    return str(file.relative_to(CHECKOUT)) if file.is_relative_to(CHECKOUT) else str(file)
