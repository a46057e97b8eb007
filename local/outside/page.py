"""The page for people: the mailbox, Slack as the people in it see it, and what else the outside world has recorded."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from html import escape, unescape

from local.outside.mailbox import Mail, Mailbox
from local.outside.records import Fault, Json
from local.outside.slack import SlackWorkspace
from local.outside.slack_people import SLACKBOT, Person
from local.outside.slack_workspace import BOT_USER, Message

HOSTS = (
    ("bedrock-runtime.<region>.amazonaws.com", "Amazon Bedrock, in the regions given"),
    ("bedrock-mantle.<region>.api.aws", "Amazon Bedrock, where LiteLLM counts the tokens of Claude's newer models"),
    ("bedrock-agent-runtime.<region>.amazonaws.com", "Amazon Bedrock, where documents are reranked"),
    ("<resource>.openai.azure.com", "Azure OpenAI; also .cognitiveservices.azure.com"),
    ("<resource>.services.ai.azure.com", "Azure AI Foundry; also <name>.<region>.models.ai.azure.com"),
    ("<location>-aiplatform.googleapis.com", "Vertex AI; also aiplatform.googleapis.com and aiplatform.{us,eu}.rep"),
    ("oauth2.googleapis.com", "Google's access tokens"),
    ("api.anthropic.com", "Anthropic; and its bill, the organization's cost and usage reports"),
    ("api.openai.com", "OpenAI; and its bill, the organization's costs"),
    ("generativelanguage.googleapis.com", "The Gemini API of Google AI Studio"),
    ("api.mistral.ai", "Mistral"),
    ("ce.us-east-1.amazonaws.com", "AWS's bill: Cost Explorer"),
    ("management.azure.com", "Azure's bill: Cost Management; its tokens: login.microsoftonline.com"),
    ("bigquery.googleapis.com", "Google's bill: its export to BigQuery"),
    ("http-intake.logs.<site>", "Datadog's log intake"),
    ("api.<site>", "Datadog's API: log-based metrics, dashboards, monitors"),
    ("slack.com", "Slack's Web API"),
    ("files.slack.com", "Slack's uploads of files"),
    ("hooks.slack.com", "Slack's incoming web hook and response URLs"),
)


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What of the world an environment has to do with, which is what the page shows beside calls and faults.

    `accounts` is asking for one in Slack, `slack` its channels and people, `mail` the mailbox.
    """

    accounts: bool = True
    slack: bool = True
    mail: bool = True
    dashboard: bool = True


_SHOWN = 100  # the newest of a kind
_LABELS = {
    "calls": "provider calls",
    "datadog": "Datadog logs",
    "slack": "web hook messages",
    "refused": "refused hosts",
}
_STYLE = """
:root { color-scheme: light dark; --ink: #1c2330; --soft: #5c6675; --line: #dfe3ea; --card: #fff; --back: #f4f6f9;
  --accent: #2457c5; --bad: #b3261e; --good: #1b6e3c }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ef; --soft: #9aa5b5; --line: #333c4a; --card: #1c222c;
  --back: #12161d; --accent: #86aaff; --bad: #ff8a80; --good: #7bd49b } }
* { box-sizing: border-box }
body { margin: 0; background: var(--back); color: var(--ink); font: 15px/1.5 system-ui, sans-serif }
header, main { max-width: 76rem; margin: 0 auto; padding: 0 1.25rem }
header { display: flex; flex-wrap: wrap; align-items: baseline; gap: .5rem 1.5rem; padding-top: 1.5rem }
h1 { font-size: 1.4rem; margin: 0 } h2 { font-size: 1.05rem; margin: 0 0 .75rem }
h3 { font-size: .8rem; margin: 1.1rem 0 .4rem; color: var(--soft); text-transform: uppercase; letter-spacing: .04em }
nav a { margin-right: 1rem } a { color: var(--accent) }
main { display: grid; grid-template-columns: minmax(0, 1fr) minmax(0, 1fr); gap: 1.25rem; padding-block: 1.25rem 3rem }
section { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 1.1rem 1.25rem }
.wide { grid-column: 1 / -1 }
@media (max-width: 60rem) { main { grid-template-columns: minmax(0, 1fr) } }
form.ask { display: grid; grid-template-columns: 2fr 1fr 2fr 1fr auto; gap: .75rem; align-items: end }
@media (max-width: 60rem) { form.ask { grid-template-columns: 1fr 1fr } }
label { display: block; font-size: .8rem; color: var(--soft) }
input, select, button { font: inherit; color: inherit; padding: .4rem .6rem; border: 1px solid var(--line);
  border-radius: 6px; background: var(--back); max-width: 100% }
label input, label select { width: 100% }
button { cursor: pointer } button.primary { background: var(--accent); border-color: var(--accent); color: var(--card) }
button.danger { color: var(--bad) } form.inline { display: inline-flex; flex-wrap: wrap; gap: .4rem; margin: .4rem 0 0 }
td form.inline { margin: 0 } td form.inline button { padding: .1rem .5rem; font-size: .85rem }
.notice { border-left: 4px solid var(--good); padding: .7rem 1rem } .notice.failed { border-color: var(--bad) }
.message, details { border-top: 1px solid var(--line); padding: .6rem 0 } .message p { margin: .15rem 0 }
.soft, .message small { color: var(--soft); font-size: .82rem } .empty { color: var(--soft) }
summary { cursor: pointer } summary b { overflow-wrap: anywhere }
pre { white-space: pre-wrap; overflow-wrap: anywhere; background: var(--back); padding: .75rem; border-radius: 6px }
img { max-width: 100% }
iframe { width: 100%; height: 24rem; border: 1px solid var(--line); border-radius: 6px; background: #fff }
table { border-collapse: collapse; width: 100% } td, th { text-align: left; padding: .3rem .75rem .3rem 0;
  border-top: 1px solid var(--line); vertical-align: top; overflow-wrap: anywhere } th { font-size: .8rem;
  color: var(--soft) }
code { font-size: .88em } .tag { border: 1px solid var(--line); border-radius: 99px; padding: 0 .5rem;
  font-size: .78rem }
"""
_ANGLE = re.compile(r"<([^<>]+)>")
_KEPT = re.compile(r"\0(\d+)\0")
_BOLD = re.compile(r"(?<![\w*])\*([^*\n]+)\*(?![\w*])")
_CODE = re.compile(r"`([^`\n]+)`")


def render(
    counts: Mapping[str, int],
    faults: Mapping[str, Fault],
    slack: SlackWorkspace,
    mailbox: Mailbox,
    parts: Parts,
    *,
    notice: str = "",
    failed: bool = False,
) -> str:
    """Return the page, whole and without anything to load.

    Parameters
    ----------
    parts
        What there is to show.
    counts
        How many records there are of each kind.
    faults
        Those in force, by host.
    notice, failed
        What the last form has done, and whether it went wrong.
    """
    links = "".join(
        f'<a href="/{kind}">{kind}</a>: {count} <span class="soft">{_LABELS[kind]}</span><br>'
        for kind, count in counts.items()
    )
    said = f'<section class="wide notice{" failed" if failed else ""}" role="status">{escape(notice)}</section>'
    return f"""<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>The simulated outside world</title>
<style>{_STYLE}</style></head><body>
<header><h1>The simulated outside world</h1><nav>{_navigation(parts)}</nav></header><main>
{said if notice else ""}
{_world(parts, slack, mailbox)}
<section id="records"><h2>Recorded</h2>{links}<a href="/mails">mails</a>: {len(mailbox.mails())}<br>
<a href="/workspace">workspace</a>: {len(slack.messages())} <span class="soft">Slack messages</span></section>
<section><h2>Faults</h2>{_faults(faults)}</section>
<section class="wide"><h2>Hosts</h2>{_hosts()}</section>
</main></body></html>"""


def _navigation(parts: Parts) -> str:
    links = (
        (True, "/", "Reload"),
        (parts.mail, "#mails", "Mailbox"),
        (parts.slack, "#slack", "Slack"),
        (parts.slack, "#people", "People"),
        (True, "#records", "Records and faults"),
        (parts.dashboard, "/dashboard", "The dashboard as Datadog would show it"),
    )
    return "\n".join(f'<a href="{target}">{label}</a>' for there, target, label in links if there)


def _world(parts: Parts, slack: SlackWorkspace, mailbox: Mailbox) -> str:
    """Return the sections about people, mails and Slack that the environment has a use for."""
    half, whole = ("", ' class="wide"') if parts.slack and parts.mail else (' class="wide"',) * 2
    sections = (
        (parts.accounts, whole, "Ask for an account as …", partial(_ask_form, slack)),
        (parts.mail, f'{half} id="mails"', "Mailbox", partial(_mails, mailbox)),
        (parts.slack, f'{half} id="slack"', "Slack", partial(_channels, slack, parts)),
        (parts.accounts, whole, "Workflow steps", partial(_executions, slack)),
        (parts.slack, f'{whole} id="people"', "People", partial(_people, slack)),
    )
    return "\n".join(
        f"<section{attributes}><h2>{title}</h2>{content()}</section>"
        for there, attributes, title, content in sections
        if there
    )


def _ask_form(slack: SlackWorkspace) -> str:
    if not slack.request_url:
        return '<p class="empty">Slack does not know the app yet: it has no request URL until it is deployed.</p>'
    who = "".join(_option(p, f"{p.name} ({_label(p)})") for p in slack.people() if not p.deleted and p.id != SLACKBOT)
    teams = "".join(f"<option>{escape(team)}</option>" for team in slack.team_names)
    return f"""<form class="ask" method="post" action="/ask"><label>Person<select name="who">{who}</select></label>
<label>Team<select name="team">{teams}</select></label>
<label>Purpose<input name="purpose" required maxlength="500" value="To try the gateway"></label>
<label>Budget in US dollars<input name="max_budget" type="number" min="0" step="0.01" placeholder="the usual"></label>
<button class="primary">Run the workflow</button></form>"""


def _mails(mailbox: Mailbox) -> str:
    found = [_mail(mail, opened=index == 0) for index, mail in enumerate(reversed(mailbox.mails()[-_SHOWN:]))]
    return "".join(found) or '<p class="empty">No mail yet.</p>'


def _mail(mail: Mail, *, opened: bool) -> str:
    links = "".join(
        f'<p><a href="{escape(link)}" {_NEW_TAB}>{escape(link)}</a></p>' for link in mail.links if _web(link)
    )
    frame = ""
    if mail.html:
        document = f'<base target="_blank">{mail.html}'
        frame = (
            '<h3>HTML</h3><iframe title="The mail" sandbox="allow-popups allow-popups-to-escape-sandbox" '
            f'srcdoc="{escape(document)}"></iframe>'
        )
    return f"""<details{" open" if opened else ""}><summary><b>{escape(mail.subject or "(no subject)")}</b>
<span class="tag">{mail.via}</span><br><span class="soft">{_time(mail.arrived)}
· to {escape(", ".join(mail.recipients))}
· from {escape(mail.sender)}</span></summary>{f"<h3>Links</h3>{links}" if links else ""}{frame}
{f"<h3>Text</h3><pre>{escape(mail.text)}</pre>" if mail.text else ""}</details>"""


def _channels(slack: SlackWorkspace, parts: Parts) -> str:
    grouped: dict[str, list[Message]] = {slack.audit_channel: []} if parts.accounts else {}
    for message in slack.messages()[-_SHOWN:]:
        grouped.setdefault(message.channel, []).append(message)
    found = []
    for id_, messages in grouped.items():
        shown = "".join(_message(slack, message) for message in reversed(messages))
        found.append(f"<h3>{escape(_channel_name(slack, id_))}</h3>{shown or _EMPTY}")
    return "".join(found) or _EMPTY


def _channel_name(slack: SlackWorkspace, id_: str) -> str:
    channel = slack.channel(id_)
    if not id_.startswith("D"):
        return f"#{channel.name}"
    return f"Direct message to {slack.person(next(iter(channel.members - {BOT_USER}))).name}"


def _message(slack: SlackWorkspace, message: Message) -> str:
    body = "".join(_block(slack, block) for block in message.blocks) or f"<p>{_mrkdwn(slack, message.text)}</p>"
    only = f" · only {escape(slack.person(message.ephemeral_to).name)} sees it" if message.ephemeral_to else ""
    thread = f" · in the thread of {_time(float(message.thread_ts))}" if message.thread_ts else ""
    edited = " · edited" if message.edited else ""
    head = f"<small>{_time(float(message.ts))}{thread}{only}{edited}</small>"
    return f'<div class="message">{head}{body}{_files(slack, message)}{_buttons(slack, message)}</div>'


def _files(slack: SlackWorkspace, message: Message) -> str:
    """Return a message's files: pictures as such, and each to be saved."""
    parts = []
    for file in (file for file in slack.files(message.channel) if file.id in message.files):
        uri = file.data_uri
        if file.mimetype.startswith("image/"):
            parts.append(f'<p><img src="{uri}" alt="{escape(file.alt_text)}"></p>')
        label = f"{escape(file.title)}: {escape(file.name)}"
        parts.append(f'<p><a href="{uri}" download="{escape(file.name)}">{label}</a> {file.length:,} bytes</p>')
    return "".join(parts)


def _block(slack: SlackWorkspace, block: Json) -> str:
    texts = [block.get("text"), *block.get("fields", [])]
    if block.get("type") == "context":
        texts = block.get("elements", [])
    found = [text["text"] for text in texts if isinstance(text, dict) and isinstance(text.get("text"), str)]
    found += [text for text in texts if isinstance(text, str)]
    return "".join(f"<p>{_mrkdwn(slack, text)}</p>" for text in found)


def _buttons(slack: SlackWorkspace, message: Message) -> str:
    """Return a message's buttons: links as such, the others in one form with the person who presses them."""
    links = [button for button in message.buttons if "url" in button]
    shown = "".join(
        f'<p><a href="{escape(button["url"])}" {_NEW_TAB}>{escape(button["text"]["text"])}</a></p>'
        for button in links
        if _web(button["url"])
    )
    pressed = "".join(_button(button) for button in message.buttons if button not in links)
    if not pressed:
        return shown
    people = [person for person in slack.people() if not person.deleted and not person.bot and person.id != SLACKBOT]
    people.sort(key=lambda person: person.role != "approver")
    options = "".join(_option(person, person.name) for person in people)
    return f"""{shown}<form class="inline" method="post" action="/click">{pressed}
<input type="hidden" name="channel" value="{message.channel}"><input type="hidden" name="ts" value="{message.ts}">
<select name="user" aria-label="as whom">{options}</select></form>"""


def _button(button: Json) -> str:
    name, style = escape(button.get("action_id", "")), _BUTTON.get(button.get("style", ""), "")
    return f'<button name="action_id" value="{name}" class="{style}">{escape(button["text"]["text"])}</button>'


def _executions(slack: SlackWorkspace) -> str:
    rows = ""
    for step in reversed(slack.executions()[-_SHOWN:]):
        outputs = step.outputs.get("message") or step.error
        status = step.outputs.get("status") or step.status
        asked = f"{slack.person(step.inputs['who']).name}: {step.inputs['team']}, {step.inputs['purpose']}"
        cells = (step.id, asked, f"{step.inputs.get('max_budget', '')}", status, _plain(outputs))
        rows += "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>"
    head = "".join(f"<th>{name}</th>" for name in ("Execution", "Asked for", "Budget", "Status", "Message"))
    return f"<table><tr>{head}</tr>{rows}</table>" if rows else '<p class="empty">None has run yet.</p>'


def _people(slack: SlackWorkspace) -> str:
    rows = ""
    for person in slack.people():
        button = ""
        if not person.deleted and person.id != SLACKBOT and slack.request_url:
            button = (
                f'<form class="inline" method="post" action="/deactivate"><input type="hidden" name="user" '
                f'value="{person.id}"><button class="danger">Deactivate</button></form>'
            )
        cells = (person.name, _label(person), person.email or "", person.locale, person.id)
        rows += "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + f"<td>{button}</td></tr>"
    head = "".join(f"<th>{name}</th>" for name in ("Name", "Who", "Mail address", "Locale", "Id", ""))
    return f"<table><tr>{head}</tr>{rows}</table>"


def _faults(faults: Mapping[str, Fault]) -> str:
    rows = "".join(f"<li><code>{escape(host)}</code>: {escape(str(fault))}</li>" for host, fault in faults.items())
    return f"""<ul>{rows or "<li>none</li>"}</ul>
<p class="soft">PUT <code>/faults/&lt;host&gt;</code> with <code>{{"status": 429, "count": 3}}</code> throttles a host;
DELETE <code>/faults</code> ends it. DELETE <code>/calls</code> forgets the calls.</p>"""


def _hosts() -> str:
    rows = "".join(f"<tr><td><code>{escape(host)}</code></td><td>{escape(what)}</td></tr>" for host, what in HOSTS)
    return f"<table>{rows}</table>"


def _label(person: Person) -> str:
    role = person.role.replace("_", " ")
    return f"{role}, deactivated" if person.deleted and person.role != "deactivated" else role


def _option(person: Person, text: str) -> str:
    return f'<option value="{person.id}">{escape(text)}</option>'


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).astimezone().strftime("%H:%M:%S")


def _mrkdwn(slack: SlackWorkspace, text: str) -> str:
    """Return Slack's markup as HTML: links, mentions, bold, code, line breaks; of anything else, the text."""
    found: list[str] = []

    def keep(match: re.Match[str]) -> str:
        found.append(_angle(slack, match[1]))
        return f"\0{len(found) - 1}\0"

    def keep_code(match: re.Match[str]) -> str:
        found.append(f"<code>{escape(unescape(match[1]))}</code>")
        return f"\0{len(found) - 1}\0"

    marked = escape(unescape(_ANGLE.sub(keep, _CODE.sub(keep_code, text.replace("\0", "")))))
    marked = _BOLD.sub(r"<b>\1</b>", marked).replace("\n", "<br>")
    return _KEPT.sub(lambda match: found[int(match[1])], marked)


def _angle(slack: SlackWorkspace, content: str) -> str:
    target, _, label = (unescape(part) for part in content.partition("|"))
    if target.startswith("@"):
        return f"<b>@{escape(_name(slack, target[1:]))}</b>"
    if _web(target):
        return f'<a href="{escape(target)}" {_NEW_TAB}>{escape(label or target)}</a>'
    return f"<b>{escape(label or target)}</b>"


def _plain(text: str) -> str:
    return unescape(re.sub(r"<(?:[^|>]*\|)?([^>]*)>", r"\1", text))


def _name(slack: SlackWorkspace, id_: str) -> str:
    try:
        return slack.person(id_).name
    except KeyError:
        return id_


def _web(link: str) -> bool:
    return link.startswith(("http://", "https://"))


_BUTTON = {"primary": "primary", "danger": "danger"}
_NEW_TAB = 'target="_blank" rel="noopener noreferrer"'
_EMPTY = '<p class="empty">No message yet.</p>'
