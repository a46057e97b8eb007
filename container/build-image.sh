#!/bin/sh
# Builds the image of a release and pushes it, once: verified, listed, scanned, and only then pushed. Prints its digest
# alone on standard output, so that a deployment is of exactly that image:
#
#   digest=$(container/build-image.sh 444444444444.dkr.ecr.ap-northeast-1.amazonaws.com/litellm-gateway COMMIT bom.json)
#   cdk synth -c image="444444444444.dkr.ecr.ap-northeast-1.amazonaws.com/litellm-gateway@$digest"
#
# The image holds company/config.yaml (COMPANY names another folder than company/, from the checkout's root).
#
# usage: build-image.sh REPOSITORY TAG FILE
#   REPOSITORY  of Amazon ECR; TAG  the image's, which must never have been another's: the commit
#   FILE        gets the bill of materials (CycloneDX, JSON)
#
# An image that has the tag already is not built again, but listed and scanned again, and its digest printed. What the
# scan refuses, and how a finding is acknowledged, is in grype.yaml. cosign, syft and grype are downloaded here.
# Needs Linux, Docker (with BuildKit), the AWS CLI with permission to push, curl and the internet. The image is for ARM: on
# another processor Docker emulates it, where it can. Exit code 1: nothing was pushed, or not to be used; the reason is
# one sentence.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)

# What Sigstore and Anchore publish on GitHub, with the SHA-256 of each file for Linux.
cosign_version=3.0.6
cosign_amd64=c956e5dfcac53d52bcf058360d579472f0c1d2d9b69f55209e256fe7783f4c74
cosign_arm64=bedac92e8c3729864e13d4a17048007cfafa79d5deca993a43a90ffe018ef2b8
syft_version=1.52.0
syft_amd64=caeedb81fb0491615f1ebd1761e4145d41ee86dd2cc7bf80669f9f5ad9d6133d
syft_arm64=c46d5e4c28e12aa4c5becfaa343ef1c7f89045b6b895f2c21d471c62db09c706
grype_version=0.119.0
grype_amd64=3fa2dc4b924621ab65404cf08d0b8438d896d80ab949c9d5a4ca283c36004c9b
grype_arm64=29f0ec7c549ddb0e2b6a0ca714851f7399438afc399b80c12808e065edc9a8f8

fail() {
    printf 'build-image.sh: %s\n' "$*" >&2
    exit 1
}

# download URL SHA256 FILE
download() {
    curl -fsSL --proto '=https' --retry 3 --max-time 300 -o "$3" "$1" ||
        fail "$1 could not be downloaded (curl's reason is above): try again later."
    printf '%s  %s\n' "$2" "$3" | sha256sum -c >/dev/null 2>&1 ||
        fail "$1 is not the file whose checksum is in this script: do not use it; somebody may have replaced it."
}

# anchore NAME VERSION SHA256: one of Anchore's archives, which hold the program under its name.
anchore() {
    archive=$1_$2_linux_$processor.tar.gz
    download "https://github.com/anchore/$1/releases/download/v$2/$archive" "$3" "$tools/$archive"
    tar -xzf "$tools/$archive" -C "$tools" "$1" || fail "$archive has no $1 in it: correct its version in this script."
}

# The digest of the image that has the tag; nothing if none has.
pushed() {
    if found=$(aws ecr describe-images --region "$region" --registry-id "$account" --repository-name "$name" \
        --image-ids "imageTag=$tag" --query 'imageDetails[0].imageDigest' --output text 2>"$tools/error"); then
        printf '%s' "$found"
    elif ! grep -q ImageNotFoundException "$tools/error"; then
        cat "$tools/error" >&2
        fail "$repository could not be read (AWS's reason is above): deploy the stack Image, and permit ecr:DescribeImages."
    fi
}

[ $# -eq 3 ] || fail 'usage: build-image.sh REPOSITORY TAG FILE'
repository=$1 tag=$2 bom=$3
registry=${repository%%/*} name=${repository#*/}
account=${registry%%.*}
region=${registry#*.dkr.ecr.}
region=${region%%.*}
case $repository in
    *@* | *:*) fail "$repository is not a repository of Amazon ECR: leave out the tag and the digest." ;;
    [0-9]*.dkr.ecr.*.amazonaws.com*/?*) ;;
    *) fail "$repository is not a repository of Amazon ECR: give ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME." ;;
esac
case $tag in
    '' | *[!A-Za-z0-9_.-]*) fail "'$tag' is not a tag: give the commit." ;;
esac
case $(uname -sm) in
    'Linux aarch64') processor=arm64 cosign_sum=$cosign_arm64 syft_sum=$syft_arm64 grype_sum=$grype_arm64 ;;
    'Linux x86_64') processor=amd64 cosign_sum=$cosign_amd64 syft_sum=$syft_amd64 grype_sum=$grype_amd64 ;;
    *) fail "there are no tools for $(uname -sm): build on Linux on ARM (aarch64)." ;;
esac
for command in docker aws curl tar sha256sum; do
    command -v "$command" >/dev/null 2>&1 || fail "$command is not installed: install it and try again."
done

config=$here/../${COMPANY:-company}/config.yaml
[ -r "$config" ] || fail "${COMPANY:-company}/config.yaml is missing: make init writes the company's files."

tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
download "https://github.com/sigstore/cosign/releases/download/v$cosign_version/cosign-linux-$processor" \
    "$cosign_sum" "$tools/cosign"
chmod 0755 "$tools/cosign"
anchore syft "$syft_version" "$syft_sum"
anchore grype "$grype_version" "$grype_sum"
PATH="$tools:$PATH"
export PATH SYFT_CHECK_FOR_APP_UPDATE=false GRYPE_CHECK_FOR_APP_UPDATE=false

password=$(aws ecr get-login-password --region "$region") ||
    fail "AWS gave no password for $registry (its reason is above): permit ecr:GetAuthorizationToken."
printf '%s' "$password" | docker login --username AWS --password-stdin "$registry" >&2 ||
    fail "Docker could not sign in to $registry (its reason is above)."

digest=$(pushed)
if [ -n "$digest" ]; then
    image=$repository@$digest
    printf '%s\n' "$repository:$tag is there already: it is not built again" >&2
    docker pull --quiet --platform linux/arm64 "$image" >&2 || fail "$image could not be pulled (Docker's reason is above)."
else
    image=$repository:$tag
    base=$(sh "$here/verify-image.sh") || exit 1 # it has said why
    context=$tools/context
    if ! cp -R "$here" "$context" || ! cp "$config" "$context/config.yaml"; then
        fail "$context could not be made (the reason is above): free some space there."
    fi
    # Without attestations of BuildKit's own: they would make an index of the image, whose digest ECR does not scan.
    BUILDX_NO_DEFAULT_ATTESTATIONS=1 docker build --platform linux/arm64 --pull --build-arg "LITELLM_DIGEST=$base" \
        --label "org.opencontainers.image.revision=$tag" --tag "$image" "$context" >&2 ||
        fail "the image could not be built (Docker's reason is above)."
fi

syft scan --quiet --output "cyclonedx-json=$bom" "docker:$image" >&2 ||
    fail "the packages of $image could not be listed (syft's reason is above)."
scanned=0
grype --config "$here/grype.yaml" "sbom:$bom" >&2 || scanned=$?
case $scanned in
    0) ;;
    2) fail "$image has critical findings that a newer version mends (above): raise LITELLM_VERSION, or acknowledge each" \
        "in container/grype.yaml with its reason." ;;
    *) fail "$image could not be scanned (grype's reason is above): try again later." ;;
esac

if [ -z "$digest" ]; then
    docker push --quiet "$image" >&2 || fail "$image could not be pushed (Docker's reason is above)."
    digest=$(pushed)
fi
case $digest in
    sha256:*) printf '%s\n' "$digest" ;;
    *) fail "$repository has no image with the tag $tag after the push: look at it in Amazon ECR's console." ;;
esac
