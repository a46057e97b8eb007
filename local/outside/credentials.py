"""The credentials that the simulated outside world accepts."""

from __future__ import annotations

import json
import secrets
import string
from dataclasses import asdict, dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

TOKEN_URI = "https://oauth2.googleapis.com/token"  # noqa: S105  # an address
_ALPHANUMERIC = string.ascii_letters + string.digits


@dataclass(frozen=True, slots=True, repr=False)
class Credentials:
    """Secrets in the form that each provider hands out.

    Parameters
    ----------
    azure_api_key
        The key of the Azure resources, of OpenAI and of AI Foundry.
    vertex_credentials
        A Google service account's JSON file, with its private key.
    dd_api_key, dd_app_key
        Datadog's API key, and its application key.
    slack_webhook_url
        The URL of Slack's incoming web hook.
    slack_bot_token
        The token of the Slack app's bot, xoxb-….
    slack_signing_secret
        With which Slack signs its requests to the app.
    azure_billing_secret
        The client secret of the app registration that may read Azure's costs.
    google_billing_credentials
        The JSON file of the Google service account that may read the billing export.
    others_key
        The key of what serves no models: MCP servers, and where pass-through endpoints lead.
    anthropic_api_key, openai_api_key, gemini_api_key, mistral_api_key
        The key of each provider's own API.
    server_api_key
        The key of the servers that speak OpenAI's format, as a company runs them or rents them.
    openai_admin_key, anthropic_admin_key
        The keys of the organizations' administration APIs, which tell their costs.
    """

    azure_api_key: str
    vertex_credentials: str
    dd_api_key: str
    slack_webhook_url: str
    slack_bot_token: str
    slack_signing_secret: str
    dd_app_key: str
    azure_billing_secret: str
    google_billing_credentials: str
    others_key: str
    anthropic_api_key: str
    openai_api_key: str
    gemini_api_key: str
    mistral_api_key: str
    server_api_key: str
    openai_admin_key: str
    anthropic_admin_key: str

    @classmethod
    def generate(cls, google_project: str = "local-project") -> Credentials:
        """Make fresh ones; the service account is one of the given Google project."""
        team, app = (_random(10, string.ascii_uppercase + string.digits) for _ in range(2))
        return cls(
            azure_api_key=secrets.token_hex(16),
            vertex_credentials=json.dumps(_service_account(google_project), indent=2),
            dd_api_key=secrets.token_hex(16),
            slack_webhook_url=f"https://hooks.slack.com/services/T{team}/B{app}/{_random(24, _ALPHANUMERIC)}",
            **_slack_app(),
            **_readers(google_project),
            **_keys(),
        )

    @classmethod
    def load_or_generate(cls, file: Path, google_project: str = "local-project") -> Credentials:
        """Read them from a file (mode 0600), which is made at the first time.

        A file from before there was a Slack app, a bill to read, or a provider gets what it lacks.

        Raises
        ------
        ValueError
            If the file is there but does not hold such credentials.
        """
        if file.exists():
            try:
                known = json.loads(file.read_text())
                credentials = cls(**(_slack_app() | _readers(google_project) | _keys() | known))
            except (TypeError, ValueError) as error:
                raise ValueError(
                    f"{file} does not hold the credentials it should; delete it to make new ones."
                ) from error
            if known == asdict(credentials):
                return credentials
        else:
            credentials = cls.generate(google_project)
        file.touch(mode=0o600)
        file.write_text(json.dumps(asdict(credentials)))
        return credentials

    def as_secrets(self) -> dict[str, str]:
        """Return them under the names of the task's secrets."""
        return {"AZURE_AI_API_KEY": self.azure_api_key} | {name.upper(): value for name, value in asdict(self).items()}


def _slack_app() -> dict[str, str]:
    numbers = f"{_random(12, string.digits)}-{_random(13, string.digits)}"
    return {
        "slack_bot_token": f"xoxb-{numbers}-{_random(24, _ALPHANUMERIC)}",
        "slack_signing_secret": secrets.token_hex(16),
    }


def _readers(google_project: str) -> dict[str, str]:
    return {
        "dd_app_key": secrets.token_hex(20),
        "azure_billing_secret": _random(40, _ALPHANUMERIC),
        "others_key": _random(40, _ALPHANUMERIC),
        "google_billing_credentials": json.dumps(_service_account(google_project, name="billing-reader"), indent=2),
        "openai_admin_key": f"sk-admin-{_random(48, _ALPHANUMERIC)}",
        "anthropic_admin_key": f"sk-ant-admin01-{_random(48, _ALPHANUMERIC)}",
    }


def _keys() -> dict[str, str]:
    """Keys in the form that each provider gives them: `KNOWN` of ops/secrets.py has the forms."""
    return {
        "anthropic_api_key": f"sk-ant-api03-{_random(95, _ALPHANUMERIC)}",
        "openai_api_key": f"sk-proj-{_random(156, _ALPHANUMERIC)}",
        "gemini_api_key": f"AQ.{_random(50, _ALPHANUMERIC)}",
        "mistral_api_key": _random(32, _ALPHANUMERIC),
        "server_api_key": _random(40, _ALPHANUMERIC),
    }


def _service_account(project: str, name: str = "litellm-gateway") -> dict[str, str]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    email = f"{name}@{project}.iam.gserviceaccount.com"
    return {
        "type": "service_account",
        "project_id": project,
        "private_key_id": secrets.token_hex(20),
        "private_key": pem,
        "client_email": email,
        "client_id": _random(21, string.digits),
        "auth_uri": "https://accounts.google.com/o/oauth2/auth",
        "token_uri": TOKEN_URI,
        "auth_provider_x509_cert_url": "https://www.googleapis.com/oauth2/v1/certs",
        "client_x509_cert_url": f"https://www.googleapis.com/robot/v1/metadata/x509/{email.replace('@', '%40')}",
        "universe_domain": "googleapis.com",
    }


def _random(length: int, alphabet: str) -> str:
    return "".join(secrets.choice(alphabet) for _ in range(length))
