"""Prints what to set in the tools that people use an environment's gateway with: coding agents, command lines, SDKs.

    make clients ENV=prod
    make clients ENV=prod ARGS="--language ja"
    make clients ENV=prod ARGS="--directory clients"   # the files, to be given to people or to a device management

All of it follows from `company/`: its address (another by `--url` or LITELLM_URL, as with `make up`) and its models. No
key is in it; each tool takes a person's own from a variable.

Exit codes: 0 printed; 2 a mistake in the settings, or a folder that cannot be written to, in one sentence.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path, PurePosixPath
from typing import Any

from ops.access import OpsError, environment_named, run
from ops.clients.models import models
from ops.clients.page import aliases, body
from ops.clients.tools import TOOLS
from stacks.company import Company, company
from stacks.settings import Environment


def described(environment: Environment, own: Company, url: str = "") -> dict[str, Any]:
    """The same for another program: each tool with its files and lines, or with the maker whose models it lacks."""
    found, url = models(environment.litellm_config(own.config)), url or f"https://{environment.domain}"
    tools = {
        tool.name: (
            {"blocks": [vars(block) for block in tool.blocks(url, found)]}
            if tool.works(found)
            else {"lacks": tool.maker}
        )
        for tool in TOOLS
    }
    return {"url": url, "models": [vars(one) for one in found.chat], "aliases": aliases(own), "tools": tools}


def write(environment: Environment, own: Company, folder: Path, url: str = "") -> list[Path]:
    """Write each file of each tool into a folder of the tool's name below `folder`; which were written.

    Raises
    ------
    OpsError
        One cannot be written.
    """
    found, url, written = models(environment.litellm_config(own.config)), url or f"https://{environment.domain}", []
    for tool in TOOLS:
        for block in tool.blocks(url, found) if tool.works(found) else ():
            if block.place:
                file = folder / tool.name / PurePosixPath(block.place).name
                try:
                    file.parent.mkdir(parents=True, exist_ok=True)
                    file.write_text(block.content, "utf-8")
                except OSError as error:
                    raise OpsError(f"{file} cannot be written ({error.strerror}): name another --directory.") from error
                written.append(file)
    return written


def main(argv: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m ops.clients", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--env", required=True, metavar="NAME", help="an environment of company/environments.py")
    parser.add_argument("--language", choices=("en", "ja"), default="en", help="of the words around")
    parser.add_argument("--json", action="store_true", help="the same for another program")
    parser.add_argument("--directory", type=Path, metavar="DIR", help="write the tools' files there instead")
    parser.add_argument("--url", help="where LiteLLM answers; else LITELLM_URL, else the environment's public URL")
    arguments = parser.parse_args(argv)

    def work() -> int:
        environment, own = environment_named(arguments.env), company()
        url = arguments.url or os.environ.get("LITELLM_URL", "")
        if arguments.directory:
            for file in write(environment, own, arguments.directory, url):
                print(f"written: {file}")
        elif arguments.json:
            print(json.dumps(described(environment, own, url), indent=2, ensure_ascii=False))
        else:
            print(body(environment, own, arguments.language, url), end="")
        return 0

    return run("clients", work)


if __name__ == "__main__":
    sys.exit(main())
