#!/bin/bash
# Builds a User Mode Linux kernel with TCP-AO (RFC 5925) from Debian's source of Linux 6.12, as a peer to test against.
#   build_guest.sh PATH     Does nothing where it is there.
# Root, Debian 12 or newer; about 4 minutes on 2 cores and 3 GB of disk while it builds.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=$1
[ -x "$out" ] && exit 0
[ "$(id -u)" = 0 ] || { echo "build_guest.sh: needs root, to install what a kernel is built with" >&2; exit 1; }
start=$SECONDS
echo "building the kernel of the TCP-AO guest, once: about 4 minutes" >&2
work=$(mktemp -d "${TMPDIR:-/var/tmp}/edotun-guest.XXXXXX")
trap 'rm -rf "$work"' EXIT

apt-get install -q -y flex bison bc libelf-dev make gcc xz-utils >/dev/null
# Linux 6.12 is in Debian 13, and in 12 as a backport: the archive that apt uses, with that suite, in a list of our own.
archive=$(awk '/^URIs:/ {print $2; exit}' /etc/apt/sources.list.d/debian.sources 2>/dev/null || true)
[ -n "$archive" ] || archive=$(awk '$1 == "deb" {for (i = 2; i <= NF; i++) if ($i ~ /:\//) {print $i; exit}}' /etc/apt/sources.list)
suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
[ "$suite" = bookworm ] && suite=bookworm-backports
mkdir -p "$work/lists/partial" "$work/cache/archives/partial"
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $archive $suite main" >"$work/sources.list"
apt=(apt-get -q -o "Dir::Etc::sourcelist=$work/sources.list" -o Dir::Etc::sourceparts=/dev/null
     -o "Dir::State::Lists=$work/lists" -o "Dir::Cache=$work/cache" -o APT::Sandbox::User=root)
"${apt[@]}" update >/dev/null
cd "$work"
"${apt[@]}" download linux-source-6.12 >/dev/null
dpkg -x linux-source-6.12_*.deb .
rm -f ./*.deb
tar xf usr/src/linux-source-6.12.tar.xz
rm -rf usr
cd linux-source-6.12
# Room for the registers of processors with AMX: with less the host refuses to set them, and init dies at once.
sed -i 's/DEFINE_LONGS(HOST_FP_SIZE, 2696)/DEFINE_LONGS(HOST_FP_SIZE, 16384)/' arch/x86/um/user-offsets.c
make -s ARCH=um tinyconfig >/dev/null
scripts/kconfig/merge_config.sh -m -O . .config "$here/guest.config" >/dev/null
make -s ARCH=um olddefconfig >/dev/null
grep -q '^CONFIG_TCP_AO=y' .config || { echo "build_guest.sh: TCP-AO is not in the configuration" >&2; exit 1; }
make -s ARCH=um -j"$(nproc)" linux >"$work/build.log" 2>&1 || { tail -20 "$work/build.log" >&2; exit 1; }
mkdir -p "$(dirname "$out")"
strip -o "$out.new" linux
mv "$out.new" "$out"
echo "built $out in $((SECONDS - start)) s" >&2
