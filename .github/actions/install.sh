#!/usr/bin/env bash
# Puts a release of idp into a folder of the runner, for the actions beside this: the
# checksum is the release's, and where there is a gh that can ask github.com, so is the file
# by its provenance.
set -euo pipefail

version=${IDP_VERSION:?the version is missing}
[[ $version =~ ^v[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?$ ]] || { echo "::error::$version is no version of idp, such as v1.2.3"; exit 1; }
releases=${IDP_RELEASES:-https://github.com/idp-bot/idp/releases/download}
case $(uname -s)/$(uname -m) in
  Linux/x86_64) target=linux_amd64 ;;
  Linux/aarch64 | Linux/arm64) target=linux_arm64 ;;
  Darwin/x86_64) target=darwin_amd64 ;;
  Darwin/arm64) target=darwin_arm64 ;;
  *) echo "::error::there is no idp for $(uname -s) on $(uname -m)"; exit 1 ;;
esac

folder=$RUNNER_TEMP/idp-$version
name=idp_${version}_$target
if [ ! -x "$folder/idp" ]; then
  mkdir -p "$folder"
  for file in "$name.tar.gz" checksums.txt; do
    curl --fail --silent --show-error --location --retry 3 --max-time 120 --output "$folder/$file" "$releases/$version/$file"
  done
  (cd "$folder" && grep -F " $name.tar.gz" checksums.txt | sha256sum --check --strict --quiet -)
  if [ -z "${GH_TOKEN:-}" ] || ! gh attestation --help >/dev/null 2>&1; then
    echo "::notice::idp $version was checked by its checksum alone: there is no token of github.com, or no gh that verifies attestations"
  else
    GH_HOST=github.com gh attestation verify "$folder/$name.tar.gz" --repo idp-bot/idp >/dev/null
  fi
  tar -xzf "$folder/$name.tar.gz" -C "$folder" --strip-components=1 "$name/idp"
fi
echo "$folder" >>"$GITHUB_PATH"
