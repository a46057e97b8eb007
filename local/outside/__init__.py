"""The outside world of a local run: everything that the gateway reaches, simulated on this machine.

`world.OutsideWorld` starts it: an HTTPS proxy on loopback that answers for the simulated hosts, so that the gateway's
configuration is the deployed one, and refuses and reports every other host. `credentials.Credentials` are the secrets
that it accepts.

A simulated service is one class of the shape of `exchange.Provider`, which `world` hands to the `exchange.Dispatcher`:

- What it answers: `serves` tells its hosts, `target` what a request asks for, before anything is checked, and `answer`
  checks the credentials and answers as the real one does. A refusal is an `exchange.ApiError`, raised anywhere, which
  `error` puts into the service's own format. What several services speak is a module (`openai_format`,
  `anthropic_format`), and so is the model behind all of them (`completion`).
- What it records: nothing of its requests, which the dispatcher keeps as `records.Call`s, without a word of theirs.
  What it was given and somebody looks at later is in a store that it is made with, which may be used from any thread.
  `records.Journal` (the logs for Datadog, the messages of Slack's web hook) and `slack.SlackWorkspace` can be cleared;
  `datadog.DatadogObjects` and `bills.Bills` stay, as what was deployed and what was spent do.
- How it is told to fail: not at all. A `records.Fault` of its host, set in the journal, is the dispatcher's business:
  it delays the answer, slows or cuts it, or has `error` write one of a status. What no status tells is the store's:
  `Bills.distort`, the workspace's `scopes`.

What is no HTTPS is not of this shape: `mailbox.Mailbox`, which takes every mail by SMTP.

`control` shows the stores to people (`page`, `datadog_page`) and to programs, and takes faults.
"""
