"""Files of the simulated Slack workspace: uploaded to files.slack.com, then shared in a channel.

The way of an upload: docs.slack.dev/messaging/working-with-files#uploading_files.
"""

from __future__ import annotations

import mimetypes
import secrets
import threading
import time
from base64 import b64encode
from dataclasses import dataclass, field, replace

from local.outside.exchange import Answer, ApiError, Request, Target
from local.outside.records import Json

HOST = "files.slack.com"
LONGEST_ALT_TEXT = 1000
_UPLOAD = "/upload/v1/"


@dataclass(frozen=True, slots=True, kw_only=True)
class SlackFile:
    """One file. `content` is None until it is uploaded, `title` "" until it is completed; `ts` is its message's."""

    id: str
    name: str
    length: int
    alt_text: str = ""
    title: str = ""
    content: bytes | None = None
    channel: str = ""
    ts: str = ""
    thread_ts: str | None = None
    upload_path: str = field(repr=False)

    @property
    def mimetype(self) -> str:
        """What it is, by its name."""
        return mimetypes.guess_type(self.name)[0] or "application/octet-stream"

    @property
    def data_uri(self) -> str:
        """The content, for a page that loads nothing."""
        return f"data:{self.mimetype};base64,{b64encode(self.content or b'').decode()}"

    def file_object(self, team: str, user: str) -> Json:
        """Return the file of a user as answers show it; Slack shares it in the background: `shares` is still empty."""
        private = f"https://{HOST}/files-pri/{team}-{self.id}/{self.name}"
        return {
            "id": self.id,
            "created": int(time.time()),
            "name": self.name,
            "title": self.title,
            "mimetype": self.mimetype,
            "filetype": self.name.rpartition(".")[2],
            "size": self.length,
            "mode": "hosted",
            "user": user,
            "url_private": private,
            "alt_txt": self.alt_text,
            "channels": [],
            "shares": {},
        }


class Files:
    """Every file by id. It may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._files: dict[str, SlackFile] = {}

    def reserve(self, name: str, length: int, alt_text: str) -> SlackFile:
        """Return a new file, which waits for its content."""
        path = f"{_UPLOAD}{secrets.token_urlsafe(48)}"
        made = SlackFile(
            id=f"F{secrets.token_hex(5).upper()}", name=name, length=length, alt_text=alt_text, upload_path=path
        )
        self._keep(made)
        return made

    def receive(self, path: str, content: bytes) -> SlackFile | None:
        """Take the content of the file that waits at a path, and return it; None if it does not fit, or none waits."""
        file = next((file for file in self._all() if file.upload_path == path and file.content is None), None)
        if file is None or len(content) != file.length:
            return None
        return self._keep(replace(file, content=content))

    def waiting(self, id_: str) -> SlackFile | None:
        """Return a file that is uploaded and not yet completed."""
        found = (file for file in self._all() if file.id == id_ and file.content is not None and not file.title)
        return next(found, None)

    def complete(self, file: SlackFile, *, title: str, channel: str, ts: str, thread_ts: str | None) -> SlackFile:
        """Share a file; without a channel it stays private."""
        return self._keep(replace(file, title=title, channel=channel, ts=ts, thread_ts=thread_ts))

    def shared(self) -> list[SlackFile]:
        """Return the files that people see, in the order of their upload."""
        return [file for file in self._all() if file.channel]

    def clear(self) -> None:
        """Forget them."""
        with self._lock:
            self._files.clear()

    def _all(self) -> list[SlackFile]:
        with self._lock:
            return list(self._files.values())

    def _keep(self, file: SlackFile) -> SlackFile:
        with self._lock:
            self._files[file.id] = file
        return file


class SlackUploads:
    """Takes the contents of files at the URLs that files.getUploadURLExternal gave out."""

    name = "slack-files"

    def __init__(self, files: Files) -> None:
        self._files = files

    def serves(self, host: str) -> bool:
        """Return whether the host is that of uploads."""
        return host == HOST

    def target(self, request: Request) -> Target:
        """Return the one operation there is."""
        if request.method != "POST" or not request.path.startswith(_UPLOAD):
            raise ApiError(404)
        return Target("upload")

    def answer(self, request: Request, target: Target) -> Answer:  # there is but one operation
        """Take one file, as its bytes and nothing else. The URL is all that is needed: it is the secret."""
        file = self._files.receive(request.path, request.body)
        if file is None:
            raise ApiError(400)
        return Answer.of_text(f"OK - {file.length}")

    def error(self, error: ApiError, retry_after_seconds: int) -> Answer:
        """Return an error; a 429 says when to try again."""
        headers = {"retry-after": str(retry_after_seconds)} if error.status == 429 else {}
        return Answer.of_text("upload failed", status=error.status, headers=headers)
