#!/usr/bin/env bash
# Builds Mesa's drm-shims for Intel and NVIDIA, which make its drivers believe in a GPU, from Debian 13's source package.
# Once: a minute or more and 500 MB of temporary space. `npm run isa` runs it if it needs one.
#
#   bash build-shims.sh FOLDER    where to leave libintel_noop_drm_shim.so and libnouveau_noop_drm_shim.so
#
# OSSICLE_DEBIAN_MIRROR: a Debian mirror; default: the one that apt uses here.
set -euo pipefail
to=$(cd "$1" && pwd)
mirror=${OSSICLE_DEBIAN_MIRROR:-$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' | grep -E '/debian/?$' | head -1)}
[[ $mirror ]] || { echo 'build-shims.sh: which Debian mirror? Set OSSICLE_DEBIAN_MIRROR' >&2; exit 1; }
apt-get update -q
apt-get install -yq --no-install-recommends build-essential ninja-build pkg-config python3 python3-mako python3-yaml flex bison \
  libdrm-dev zlib1g-dev libexpat1-dev libudev-dev
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
mkdir -p "$work"/{lists,cache/archives}/partial
cd "$work"
key=/usr/share/keyrings/debian-archive-keyring.gpg
printf 'deb [signed-by=%s] %s trixie main\ndeb-src [signed-by=%s] %s trixie main\n' "$key" "$mirror" "$key" "$mirror" >sources.list
apt=(apt-get -q -o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts=- -o Dir::State::lists="$work/lists"
  -o Dir::Cache="$work/cache" -o APT::Sandbox::User=root)
"${apt[@]}" update
"${apt[@]}" source --download-only mesa
"${apt[@]}" download meson # Debian 12's is too old
dpkg-deb --extract meson_*.deb meson
tar xJf mesa_*.orig.tar.xz
cd mesa-*/
# Of Intel's tools, only the shim.
cat >src/intel/tools/meson.build <<'MESON'
shared_library('intel_noop_drm_shim', ['intel_noop_drm_shim.c', intel_dev_serialize_src],
  include_directories : [inc_include, inc_src, inc_intel],
  dependencies : [dep_libdrm, dep_drm_shim, idep_mesautil, idep_libintel_common, idep_intel_dev, idep_parson],
  gnu_symbol_visibility : 'hidden')
MESON
sed -i "s/^if with_intel_tools\$/if with_tools.contains('drm-shim') or with_intel_tools/; /subdir('executor')/d" src/intel/meson.build
export PATH=/usr/bin:/bin PYTHONPATH=$work/meson/usr/lib/python3/dist-packages
python3 "$work/meson/usr/bin/meson" setup "$work/build" -Dtools=drm-shim -Dvulkan-drivers= -Dgallium-drivers=crocus,nouveau -Dllvm=disabled \
  -Dplatforms= -Dglx=disabled -Degl=disabled -Dgbm=disabled -Dopengl=false -Dgles1=disabled -Dgles2=disabled -Dbuildtype=release \
  -Dvideo-codecs= -Dvalgrind=disabled -Dlibunwind=disabled -Dlmsensors=disabled -Dzstd=disabled | tail -3
shims=(src/intel/tools/libintel_noop_drm_shim.so src/nouveau/drm-shim/libnouveau_noop_drm_shim.so)
nice ninja -C "$work/build" "${shims[@]}" | tail -1
for shim in "${shims[@]}"; do
  strip "$work/build/$shim"
  cp "$work/build/$shim" "$to/"
done
