#!/bin/sh
# Verifies what the image is made of before it is built: the signature of LiteLLM's official image at the Dockerfile's
# version, and that AWS publishes every root certificate of rds-ca-bundle.pem. Prints the base image's digest alone on
# standard output, so that the build is of exactly what was verified:
#
#   docker build --build-arg LITELLM_DIGEST="$(container/verify-image.sh)" container
#
# Needs cosign, curl and the internet. Exit code 1: not verified, with the reason in one sentence.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
bundle_url=https://truststore.pki.rds.amazonaws.com/global/global-bundle.pem

fail() {
    printf 'verify-image.sh: %s\n' "$*" >&2
    exit 1
}

# One line of base64 per certificate of a PEM file.
certificates() {
    tr -d '\r' <"$1" | awk '/-BEGIN CERT/ { on = 1; body = ""; next } /-END CERT/ { on = 0; print body } on { body = body $0 }' |
        sort -u
}

for command in cosign curl; do
    command -v "$command" >/dev/null 2>&1 ||
        fail "$command is not installed: install it (cosign: https://docs.sigstore.dev/cosign/system_config/installation/) and try again."
done

version=$(sed -n 's/^ARG LITELLM_VERSION=//p' "$here/Dockerfile")
image=ghcr.io/berriai/litellm:v$version

# Who signs which version, from LiteLLM's release notes: each line changed its key at some patch release (1.106 at
# 1.106.3), and gave it up at another, from which on the release workflow signs without a key (1.106 at 1.106.11, 1.108
# at 1.108.10). A version that is not listed is refused: see its release notes, and add it.
keys=https://raw.githubusercontent.com/BerriAI/litellm
case $version in
    1.106.[0-2]) set -- --key "$keys/0112e53046018d726492c814b3644b7d376029d0/cosign.pub" ;;
    1.106.[3-9] | 1.106.10 | 1.108.[0-9]) set -- --key "$keys/e82a3c646908ba0a6ee0beddc4310d7a6cac4065/cosign.pub" ;;
    1.106.1[1-9] | 1.108.1[0-9])
        set -- --certificate-oidc-issuer https://token.actions.githubusercontent.com --certificate-identity \
            https://github.com/BerriAI/project-releaser/.github/workflows/release.yml@refs/heads/main
        ;;
    *) fail "no signer is known for LiteLLM $version: see its release notes for the cosign command, and add it to this script." ;;
esac

signatures=$(cosign verify "$@" "$image") ||
    fail "the signature of $image could not be verified (cosign's reason is above): do not build from it."
digest=$(printf '%s' "$signatures" | tr -d ' \n' | grep -Eo '"docker-manifest-digest":"sha256:[0-9a-f]{64}"' |
    sort -u | sed 's/.*:"\(.*\)"/\1/')
case $digest in
    sha256:*[!0-9a-f]* | '') fail "cosign named not exactly one digest for $image: do not build from it." ;;
esac

published=$(mktemp)
trap 'rm -f "$published"' EXIT
curl -fsS --proto '=https' --max-time 60 -o "$published" "$bundle_url" ||
    fail "the root certificates could not be read from $bundle_url (curl's reason is above): try again later."
unknown=$({ certificates "$published"; certificates "$published"; certificates "$here/rds-ca-bundle.pem"; } | sort | uniq -u | wc -l)
[ "$unknown" -eq 0 ] ||
    fail "$((unknown)) certificate(s) of rds-ca-bundle.pem are not among those of $bundle_url: replace the file with that one."

printf '%s\n' "verified $image and the root certificates of rds-ca-bundle.pem" >&2
printf '%s\n' "$digest"
