#!/usr/bin/env bash
# Runs the GPU tests in Node on lavapipe, Mesa's software Vulkan driver, from Debian 13 (Debian 12's is too old for
# Dawn). Unpacks its packages into a cache and runs Node with their loader and libraries, without a chroot.
#
#   npm run test:lavapipe
#   bash scripts/lavapipe.sh [test files, options of Vitest]     after npm ci
#
# OSSICLE_TRIXIE: folder of the unpacked packages; default: ossicle/trixie in the user's cache folder
set -euo pipefail
cd "$(dirname "$0")/.."
tree=${OSSICLE_TRIXIE:-${XDG_CACHE_HOME:-$HOME/.cache}/ossicle/trixie}
libraries=$tree/usr/lib/x86_64-linux-gnu

if [[ $(uname -sm) != 'Linux x86_64' ]]; then
  echo 'lavapipe.sh needs Linux on x86-64; npm run test:dawn uses the GPU of any machine.' >&2
  exit 1
fi
if [[ ! -e $libraries/libvulkan_lvp.so ]]; then
  if ! command -v debootstrap >/dev/null; then
    apt-get update -q
    apt-get install -yq --no-install-recommends debootstrap
  fi
  partial=$tree.partial
  rm -rf "$partial"
  mkdir -p "$partial"
  debootstrap --download-only --variant=minbase --include=mesa-vulkan-drivers,libvulkan1,libstdc++6 \
    trixie "$partial" "${OSSICLE_DEBIAN_MIRROR:-http://deb.debian.org/debian}"
  for package in "$partial"/var/cache/apt/archives/{base-files,lib,mesa-,zlib}*.deb; do
    dpkg-deb --extract "$package" "$partial"
  done
  rm -rf "$partial/var" "$tree"
  mv "$partial" "$tree"
fi

export OSSICLE_VK_ICD=$tree/usr/share/vulkan/icd.d/lvp_icd.json
exec "$libraries/ld-linux-x86-64.so.2" --library-path "$libraries" "$(command -v node)" \
  node_modules/vitest/vitest.mjs run --project 'dawn*' "$@"
