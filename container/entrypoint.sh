#!/bin/sh
# Checks the container's environment, composes DATABASE_URL and becomes the command (exec, so that it gets SIGTERM).
# Never prints a value. Exit code 78 (EX_CONFIG): the environment is not complete or not valid.
#
# usage: entrypoint.sh COMMAND [ARGUMENT...], with config.yaml beside this script
set -eu
umask 077

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)

fail() {
    printf 'entrypoint.sh: %s\n' "$*" >&2
    exit 78
}

# Every NAME of an `os.environ/NAME` in config.yaml, outside comments.
config_names() {
    awk '{
        sub(/(^|[ \t])#.*/, "")
        while (match($0, /os\.environ\/[A-Za-z_][A-Za-z0-9_]*/)) {
            print substr($0, RSTART + 11, RLENGTH - 11)
            $0 = substr($0, RSTART + RLENGTH)
        }
    }' "$here/config.yaml" | sort -u
}

# Percent-encodes every byte, so that no character of a password can have a meaning in the URL.
percent_encode() {
    printf '%s' "$1" | od -An -v -tx1 | tr -d ' \n' | sed 's/../%&/g'
}

[ $# -gt 0 ] || fail 'no command given: pass the one to run, such as "litellm --config config.yaml".'
[ -r "$here/config.yaml" ] || fail "config.yaml is missing beside entrypoint.sh: copy LiteLLM's configuration there."

# Where tasks share a Valkey, they have its password too.
shared=
[ -z "${REDIS_HOST-}" ] || shared='REDIS_PORT REDIS_PASSWORD'
required='DATABASE_HOST DATABASE_PORT DATABASE_NAME DATABASE_USERNAME DATABASE_PASSWORD LITELLM_MASTER_KEY
LITELLM_SALT_KEY UI_USERNAME UI_PASSWORD PROXY_BASE_URL PORT'
missing=
for name in $required $shared $(config_names); do
    case " $missing " in *" $name "*) continue ;; esac
    eval "value=\${$name-}"
    [ -n "$value" ] || missing="$missing $name"
done
if [ -n "$missing" ]; then
    fail "missing or empty in the container's environment:$missing; secrets come from the parameter store" \
        '(run "make secrets"), plain variables from the task definition.'
fi

case $LITELLM_MASTER_KEY in
    sk-?*) ;;
    *) fail 'LITELLM_MASTER_KEY must begin with "sk-": LiteLLM takes no other key.' ;;
esac
# A salt key that is also another key lets a holder of that key decrypt stored credentials (CVE-2026-114612).
[ "$LITELLM_SALT_KEY" != "$LITELLM_MASTER_KEY" ] ||
    fail 'LITELLM_SALT_KEY must not be the same as LITELLM_MASTER_KEY: store a random one for each.'
case $PORT$DATABASE_PORT in
    *[!0-9]*) fail 'PORT and DATABASE_PORT must be numbers.' ;;
esac
# Prisma takes these two from the URL as they stand, without decoding them.
case $DATABASE_NAME in
    *[!A-Za-z0-9_]*) fail 'DATABASE_NAME must consist of letters, digits and underscores.' ;;
esac
case $DATABASE_HOST in
    *[!A-Za-z0-9.-]*) fail 'DATABASE_HOST must be a host name or an IPv4 address, without port or scheme.' ;;
esac
if [ -n "${VERTEX_CREDENTIALS-}" ]; then
    python3 -c 'import json, os, sys; sys.exit("type" not in json.loads(os.environ["VERTEX_CREDENTIALS"]))' 2>/dev/null ||
        fail "VERTEX_CREDENTIALS is not Google's credentials JSON: store the whole content of the downloaded key file."
fi

ca_file=${DATABASE_CA_FILE:-$here/rds-ca-bundle.pem}
grep -q -e '-----BEGIN CERTIFICATE-----' "$ca_file" 2>/dev/null ||
    fail "no certificate could be read from $ca_file, which must hold the database's root certificates in PEM:" \
        'set DATABASE_CA_FILE, or unset it to use those of Amazon RDS.'

# libpq's words for TLS with the chain and the host name verified. LiteLLM translates them for Prisma, which reads a
# single certificate, and picks the one of a bundle that the server's chain ends in; in Prisma's own words
# (sslcert=…) only the bundle's first certificate would count.
DATABASE_URL="postgresql://$(percent_encode "$DATABASE_USERNAME"):$(percent_encode "$DATABASE_PASSWORD")"
DATABASE_URL="$DATABASE_URL@$DATABASE_HOST:$DATABASE_PORT/$DATABASE_NAME"
DATABASE_URL="$DATABASE_URL?sslmode=verify-full&sslrootcert=$(percent_encode "$ca_file")"
# Seconds. LiteLLM waits 30 for its query engine (Timeout(30) in prisma/http_abstract.py), and of spend whose statement
# has not ended by then it cannot tell whether it was written, and drops it (_spend_commit_failure_is_requeue_safe). An
# engine that gives up before says so, the transaction is rolled back, and the spend is written later. A migration may
# take as long as it likes.
[ "${DISABLE_SCHEMA_UPDATE-}" = false ] || DATABASE_URL="$DATABASE_URL&socket_timeout=20"
# Seconds for a connection, in Prisma's words: a database that was paused takes longer than its own 5.
DATABASE_URL="$DATABASE_URL${DATABASE_CONNECT_TIMEOUT:+&connect_timeout=$(percent_encode "$DATABASE_CONNECT_TIMEOUT")}"
export DATABASE_URL
unset DATABASE_PASSWORD value

# Where LiteLLM writes: its copy of the migrations, of the admin UI, of logos, and its libraries' caches.
export LITELLM_MIGRATION_DIR="${LITELLM_MIGRATION_DIR:-$HOME/migrations}"
export LITELLM_UI_PATH="${LITELLM_UI_PATH:-$HOME/ui}"
export LITELLM_ASSETS_PATH="${LITELLM_ASSETS_PATH:-$HOME/assets}"
export XDG_CACHE_HOME="${XDG_CACHE_HOME:-$HOME/cache}"
mkdir -p -- "$LITELLM_MIGRATION_DIR" "$LITELLM_UI_PATH" "$LITELLM_ASSETS_PATH" "$XDG_CACHE_HOME" ||
    fail 'the folders of HOME could not be made: mount a volume there that the container'\''s user can write to.'

# Where tasks share a Valkey, LiteLLM is told to use it: by a file, as its variables alone would have a task that starts
# while the Valkey is away count for itself as long as it lives. The rest of them (REDIS_PORT, …) it adds by itself. The
# company's modules are found beside its config.yaml. Sums of spend go through it to the database: what cannot be
# written is put back there, while without it LiteLLM forgets it (`_commit_spend_updates_to_db_without_redis_buffer`).
if [ -n "$shared" ]; then
    served=$HOME/config
    mkdir -p -- "$served" || fail 'the folder for the configuration could not be made: mount a volume at HOME.'
    for module in "$here"/*.py; do
        [ ! -e "$module" ] || ln -sf -- "$module" "$served/" || fail "$served could not be written to: see the reason above."
    done
    python3 -c '
import sys, yaml
document = yaml.safe_load(open(sys.argv[1], encoding="utf-8"))
general = document.get("general_settings") or {}
shared = {"coordination_redis": {"host": "os.environ/REDIS_HOST"}, "use_redis_transaction_buffer": True}
document["general_settings"] = {**general, **shared}
yaml.safe_dump(document, open(sys.argv[2], "w", encoding="utf-8"), allow_unicode=True, sort_keys=False)
' "$here/config.yaml" "$served/config.yaml" ||
        fail "config.yaml could not be read (Python's reason is above): make check tells what is wrong with it."
    for argument; do
        shift
        [ "$argument" != config.yaml ] || argument=$served/config.yaml
        set -- "$@" "$argument"
    done
fi

exec "$@"
