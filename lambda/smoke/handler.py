"""The smoke test: asks the deployed gateway at its public name, as people do, and answers what it found.

Health, the sign-in page, one completion by each provider (an embedding by one that has nothing else) with the version
of LiteLLM that answers it, and whether what the completions cost is seen in the spend of the user that they are asked
as. A finding is one sentence: what was asked, what came, what to look at. No finding has a key, a prompt or an answer's
text in it.

Integrates with the gateway over HTTPS (/health/readiness, /ui/login/, /litellm/.well-known/litellm-ui-config,
/v1/model/info, /v2/user/info, /v1/chat/completions, /v1/responses, /v1/embeddings), which its web ACL opens to everyone
whom the load balancer lets in; with SSM Parameter Store, for the key; and with Lambda, where the gateway may sleep, to
wake it first. LiteLLM's answers are those of 1.106.12.
"""

import json
import logging
import os
import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import boto3
import urllib3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

logger = logging.getLogger()
logger.setLevel(logging.INFO)

ssm = boto3.client("ssm")
http = urllib3.PoolManager(maxsize=10, retries=False, timeout=urllib3.Timeout(connect=5, read=40))

# A provider may be busy for a moment. LiteLLM leaves one that is out for 30 s (cooldown_time in config.yaml).
ATTEMPTS = 3
PAUSE_SECONDS = 16
# LiteLLM writes what is spent once a minute.
SPEND_SECONDS = 180
SPEND_PAUSE_SECONDS = 2
WAKE_SECONDS = 620  # as long as the function that wakes may run, and its start
PROMPT = "Answer with the word OK."
# Enough for a model that thinks first: Azure OpenAI refuses a request whose limit ends the answer before it begins.
MAX_TOKENS = 256
TASKS_LOG = "the log of the gateway's tasks"


@dataclass(frozen=True)
class Mode:
    """How models of one of LiteLLM's modes are asked: where, for what, and which count of tokens says they answered."""

    what: str
    path: str
    body: dict[str, Any]
    answer: str
    tokens: str


MODES = {
    "chat": Mode(
        "completion",
        "/v1/chat/completions",
        {"messages": [{"role": "user", "content": PROMPT}], "max_completion_tokens": MAX_TOKENS},
        "choices",
        "completion_tokens",
    ),
    "responses": Mode(
        "completion", "/v1/responses", {"input": PROMPT, "max_output_tokens": MAX_TOKENS}, "output", "output_tokens"
    ),
    "embedding": Mode(
        "embedding", "/v1/embeddings", {"input": PROMPT, "encoding_format": "float"}, "data", "prompt_tokens"
    ),
}
"""By LiteLLM's word for them, those that are asked first at the front."""


class Finding(Exception):  # noqa: N818 - what a check found, and no error of the function's
    """A check failed. The message is one sentence."""


@dataclass(frozen=True)
class Check:
    """What a check found, and how long it took."""

    name: str
    passed: bool
    detail: str
    seconds: float


@dataclass(frozen=True)
class Choice:
    """A model to ask, in which mode, and the providers that may answer for it."""

    model: str
    mode: Mode
    providers: frozenset[str]

    @property
    def check(self) -> str:
        """The name of the check."""
        return f"{self.mode.what} by {self.by}"

    @property
    def by(self) -> str:
        """Whom an answer is expected of."""
        return " or ".join(sorted(self.providers))


@dataclass(frozen=True)
class Completion:
    """What a provider's completion cost in US dollars, and the version of LiteLLM that answered."""

    cost: float
    version: str


def handler(_event: object, _context: object) -> dict[str, Any]:
    """Run the test, and answer with every check in it: {passed, url, version, cost, checks}.

    `version` is of LiteLLM, "" if no completion was answered; `cost` is in US dollars. What the checks before it have
    not found good is reason enough to go back, so that the spend is waited for only after them.
    """
    woken = [check("awake", partial(wake, os.environ["SLEEP_FUNCTION"]))] if "SLEEP_FUNCTION" in os.environ else []
    smoke = Smoke(
        os.environ["GATEWAY_URL"],
        os.environ["LITELLM_VERSION"],
        os.environ["PROVIDERS"].split(),
        os.environ.get("FREE_PROVIDERS", "").split(),
    )
    smoke.run()
    smoke.checks[:0] = woken
    passed = all(check.passed for check in smoke.checks)
    logger.info("smoke test of %s %s", smoke.url, "passed" if passed else "failed")
    return {
        "passed": passed,
        "url": smoke.url,
        "version": smoke.version,
        "cost": smoke.cost,
        "checks": [asdict(check) for check in smoke.checks],
    }


def wake(function: str) -> str:
    """The gateway is awake, and was woken if it slept, as it does where the settings say so."""
    # One attempt, which waits as long as the function may run: another one would be another, beside it.
    config = Config(connect_timeout=5, read_timeout=WAKE_SECONDS, retries={"total_max_attempts": 1}, tcp_keepalive=True)
    advice = "ECS's events of the service, and wake it with make wake"
    try:
        answer = boto3.client("lambda", config=config).invoke(FunctionName=function, Payload=b'{"to": "awake"}')
        found = json.loads(answer["Payload"].read())
    except (BotoCoreError, ClientError, ValueError) as error:
        raise Finding(f"{function} did not wake the gateway ({type(error).__name__}): look at {advice}") from None
    if "FunctionError" in answer:
        raise Finding(
            f"{function} did not wake the gateway: {found.get('errorMessage', 'no reason')}: look at {advice}"
        )
    if not {"was", "seconds"} <= found.keys():
        raise Finding(f"{function} did not say whether it woke the gateway: look at {advice}")
    return f"it slept, and was woken within {found['seconds']} s" if found["was"] == "asleep" else "it was awake"


class Smoke:
    """One test of the gateway at `url`, which should run `expected` of LiteLLM and have models of `providers`.

    Those of the `free` ones all cost nothing, as config.yaml has it.
    """

    def __init__(self, url: str, expected: str, providers: list[str], free: list[str]) -> None:
        self.url = url
        self._expected = expected
        self._providers = providers
        self._free = frozenset(free)
        self._key = ""
        self._chosen: list[Choice] = []
        self._spent_before = 0.0
        self._completions: dict[str, Completion] = {}
        self.checks: list[Check] = []

    @property
    def version(self) -> str:
        """The version of LiteLLM that answered the completions; several while tasks of two are there."""
        return ", ".join(sorted({completion.version for completion in self._completions.values()}))

    @property
    def cost(self) -> float:
        """What the completions cost, in US dollars."""
        return sum(completion.cost for completion in self._completions.values())

    def run(self) -> None:
        """Do the checks, those that need not wait for another side by side."""
        with ThreadPoolExecutor(max_workers=2 + len(self._providers)) as pool:
            pages = [pool.submit(check, "health", self.health), pool.submit(check, "sign-in page", self.sign_in)]
            models = check("models", self.models)
            completions = [
                pool.submit(check, choice.check, partial(self.completion, choice))
                for choice in (self._chosen if models.passed else [])
            ]
        self.checks = [*(page.result() for page in pages), models, *(each.result() for each in completions)]
        if completions:
            self.checks.append(check("version", self.check_version))
        if all(each.passed for each in self.checks):
            self.checks.append(check("spend", self.spend))

    def health(self) -> str:
        """LiteLLM answers, and reaches its database."""
        answer = self._ask("GET", "/health/readiness", look_at=TASKS_LOG)
        found = _object(answer)
        if (found.get("status"), found.get("db")) != ("healthy", "connected"):
            raise Finding(
                f"GET {self.url}/health/readiness was answered with status {_word(found.get('status'))} and database "
                f"{_word(found.get('db'))}, not healthy and connected: look at the database and at {TASKS_LOG}"
            )
        return "LiteLLM answers and reaches its database"

    def sign_in(self) -> str:
        """The page is there with all its scripts, and an administrator has not turned it off."""
        advice = "the image, whose entrypoint.sh has LiteLLM put its pages into LITELLM_UI_PATH"
        page = self._ask("GET", "/ui/login/", look_at=advice)
        html = page.data.decode("utf-8", "replace")
        scripts = dict.fromkeys(re.findall(r'<script[^>]+src="(/[^"]+)"', html))
        if "LiteLLM" not in html or not scripts:
            raise Finding(f"GET {self.url}/ui/login/ was answered with another page than LiteLLM's: look at {advice}")
        for script in scripts:
            kind = self._ask("GET", script, look_at=advice).headers.get("content-type", "")
            if "javascript" not in kind:
                raise Finding(f"GET {self.url}{script} was not answered with a script, but {kind}: look at {advice}")
        config = "/litellm/.well-known/litellm-ui-config"
        if _object(self._ask("GET", config, look_at=TASKS_LOG)).get("admin_ui_disabled") is not False:
            raise Finding(
                f"GET {self.url}{config} does not say that people may sign in: look at DISABLE_ADMIN_UI in the task "
                "definition"
            )
        return f"the page and its {len(scripts)} scripts are there"

    def models(self) -> str:
        """The key may ask, and LiteLLM has each provider's models: it chooses the cheapest of its chat models.

        A provider without chat models is asked for what else its models are for, as far as `MODES` has it. Of names
        that two providers share none is asked, as it would not tell which of them answers, unless there are no others.
        """
        self._key = _key()
        answer = self._ask("GET", "/v1/model/info", key=self._key, look_at=TASKS_LOG)
        listed = _object(answer).get("data") or []
        makers = {model["model_name"]: set[str]() for model in listed}
        for model in listed:
            makers[model["model_name"]].add(model["litellm_params"]["model"].partition("/")[0])
        own = {provider: [m for m in listed if makers[m["model_name"]] == {provider}] for provider in self._providers}
        if not own and listed:
            own = {"": listed}
        if without := [provider for provider, models in own.items() if not models]:
            raise Finding(
                f"GET {self.url}/v1/model/info listed no model of {', '.join(without)}, though config.yaml has some: "
                f"look at {TASKS_LOG}, where LiteLLM says which entries it drops"
            )
        cheapest = [found for models in own.values() if (found := _cheapest(models))]
        chosen = [Choice(name, mode, frozenset(makers[name])) for name, mode in cheapest]
        if not chosen:
            raise Finding(
                f"GET {self.url}/v1/model/info listed no model for {', '.join(MODES)}: set model_info.mode in "
                "config.yaml where LiteLLM does not know what a model does"
            )
        self._spent_before = self._spent()
        self._chosen = chosen
        return "to be asked: " + ", ".join(f"{choice.model} ({choice.by})" for choice in chosen)

    def completion(self, choice: Choice) -> str:
        """The provider itself answers: LiteLLM neither tries again nor falls back to another one."""
        model, mode = choice.model, choice.mode
        advice = (
            f"the credentials, quotas and status of {choice.by}, the models that its account may use, and {TASKS_LOG}"
        )
        body = {"model": model, **mode.body, "disable_fallbacks": True, "num_retries": 0}
        what = f"{'an' if mode.what[0] in 'aeiou' else 'a'} {mode.what} by {model}"
        answer = self._ask("POST", mode.path, key=self._key, body=body, what=what, look_at=advice)
        found, headers = _object(answer), answer.headers
        by = headers.get("x-litellm-model-name", "")
        if by.partition("/")[0] not in choice.providers or headers.get("x-litellm-attempted-fallbacks") != "0":
            raise Finding(
                f"{what} was answered by {_word(by)}, not by {choice.by}: look at the fallbacks of config.yaml"
            )
        tokens = (found.get("usage") or {}).get(mode.tokens) or 0
        if not found.get(mode.answer) or not tokens:
            raise Finding(f"{what} was answered with no token: look at {advice}")
        completion = Completion(
            cost=float(headers.get("x-litellm-response-cost") or 0), version=headers.get("x-litellm-version", "")
        )
        self._completions[choice.by] = completion
        if completion.cost <= 0 and choice.providers <= self._free:
            return f"{model} answered with {tokens} tokens for nothing, as its price is 0"
        if completion.cost <= 0:
            raise Finding(
                f"{what} cost nothing by LiteLLM's reckoning, so that its use would not be seen: set "
                "model_info.base_model, or a price, in config.yaml"
            )
        return f"{model} answered with {tokens} tokens for {_dollars(completion.cost)}"

    def check_version(self) -> str:
        """What answers is what was deployed."""
        if not self._completions:
            raise Finding(
                f"no completion was answered, which would tell whether LiteLLM is {self._expected}: look at the checks "
                "above"
            )
        if self.version != self._expected:
            raise Finding(
                f"LiteLLM {_word(self.version)} answered the completions, not {self._expected}, which was deployed: "
                "look at the tasks of the ECS service and at the image of their task definition"
            )
        return f"LiteLLM {self.version} answers"

    def spend(self) -> str:
        """LiteLLM has written what the completions cost."""
        if not self.cost:
            return "nothing was to be spent: each model that was asked has a price of 0"
        start, before, wanted, seen = time.monotonic(), self._spent_before, self.cost, 0.0
        while (waited := time.monotonic() - start) < SPEND_SECONDS:
            now = self._spent()
            seen = now - before if now >= before else now  # the budget's day has begun anew
            if seen >= wanted * 0.999:  # sums of fractions differ in their last digits
                return f"{_dollars(wanted)} are in the user's spend after {waited:.0f} s"
            time.sleep(SPEND_PAUSE_SECONDS)
        raise Finding(
            f"the completions cost {_dollars(wanted)}, but {self.url}/v2/user/info shows {_dollars(seen)} of it after "
            f"{SPEND_SECONDS} s: look at the database and, in {TASKS_LOG}, at what LiteLLM says of spend"
        )

    def _spent(self) -> float:
        return float(_object(self._ask("GET", "/v2/user/info", key=self._key, look_at=TASKS_LOG)).get("spend") or 0)

    def _ask(
        self,
        method: str,
        path: str,
        *,
        look_at: str,
        key: str | None = None,
        body: dict[str, Any] | None = None,
        what: str = "",
    ) -> urllib3.BaseHTTPResponse:
        """The answer with status 200; tries `ATTEMPTS` times where a moment later may be better."""
        what = what or f"{method} {self.url}{path}"
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
        problem = ""
        for attempt in range(1, ATTEMPTS + 1):
            if attempt > 1:
                time.sleep(PAUSE_SECONDS)
            try:
                answer = http.request(
                    method,
                    self.url + path,
                    body=json.dumps(body) if body else None,
                    headers=headers,
                    redirect=False,
                )
            except urllib3.exceptions.HTTPError as error:
                problem = (
                    f"{what} got no answer ({type(error).__name__}, {attempt} times): look at the record of the name, "
                    "its certificate, and whether the load balancer's security group lets the functions in"
                )
                continue
            if answer.status == 200:
                return answer
            problem = _refusal(what, answer, look_at, attempt)
            if answer.status != 429 and answer.status < 500:
                break
        raise Finding(problem)


def check(name: str, look: Callable[[], str]) -> Check:
    """What came of a look: its sentence, or what it found wrong."""
    start = time.monotonic()
    try:
        passed, detail = True, look()
    except Finding as finding:
        passed, detail = False, str(finding)
    except Exception as error:  # or none of the other checks would be told
        passed, detail = False, f"it ended with {type(error).__name__}: read the log of the smoke test's function"
        logger.error("%s ended with %s at %s", name, type(error).__name__, _place(error))
    result = Check(name, passed, detail, round(time.monotonic() - start, 1))
    logger.info("%s %s: %s", name, "passed" if passed else "failed", detail)
    return result


def _place(error: Exception) -> str:
    """File and line where it was raised: its message may quote what was asked."""
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else "nowhere"


def _key() -> str:
    name = f"{os.environ['PARAMETER_PREFIX']}/{os.environ['KEY']}"
    try:
        return str(ssm.get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"])
    except ssm.exceptions.ParameterNotFound:
        raise Finding(
            f"there is no parameter {name} with the key of the smoke test: raise LABEL in "
            "stacks/constructs/litellm_key.py and deploy, which makes another one"
        ) from None
    except ClientError as error:
        problem = str(error.response["Error"]["Code"])
    except (BotoCoreError, KeyError) as error:
        problem = type(error).__name__
    raise Finding(
        f"the parameter {name} with the key of the smoke test could not be read ({problem}): look at the function's "
        "role and at Parameter Store"
    )


def _cheapest(models: list[dict[str, Any]]) -> tuple[str, Mode] | None:
    """Of the chat models the one whose answers cost least; last one of which LiteLLM knows neither price nor mode.

    Where there is none, one of the next mode.
    """

    def rank(model: dict[str, Any]) -> tuple[bool, float]:
        info = model["model_info"]
        price = info.get("output_cost_per_token") or info.get("input_cost_per_token")
        return info.get("mode") is None, float(price or "inf")

    for name, mode in MODES.items():
        of_mode = [model for model in models if (model["model_info"].get("mode") or "chat") == name]
        if of_mode:
            return str(min(of_mode, key=rank)["model_name"]), mode
    return None


def _refusal(what: str, answer: urllib3.BaseHTTPResponse, look_at: str, attempts: int) -> str:
    """A sentence for another status than 200. LiteLLM's messages are not repeated: they could quote a prompt."""
    found = _object(answer)
    error = found.get("error")
    kind = error.get("type") if isinstance(error, dict) else None
    times = f", {attempts} times" if attempts > 1 else ""
    if answer.status == 403 and not found:
        look_at = "the log of the web ACL, and whether the name is the one that the load balancer answers for"
    elif kind in ("token_not_found_in_db", "key_model_access_denied") or (answer.status == 403 and "detail" in found):
        look_at = (
            "the key of the smoke test: raise LABEL in stacks/constructs/litellm_key.py and deploy, which makes "
            "another one"
        )
    elif kind == "budget_exceeded":
        look_at = "the budget of the smoke test in stacks/smoke.py, which is for a day: who else uses its key"
    return f"{what} was answered with status {answer.status} ({_word(kind)}{times}): look at {look_at}"


def _object(answer: urllib3.BaseHTTPResponse) -> dict[str, Any]:
    """The answer's JSON object; empty if it is none."""
    try:
        found = answer.json()
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _word(value: object) -> str:
    """What a server said, if it is one word, as a name or a version is."""
    return value if isinstance(value, str) and re.fullmatch(r"[\w.:/-]{1,80}", value) else "unknown"


def _dollars(amount: float) -> str:
    return f"{amount:.6f} USD"
