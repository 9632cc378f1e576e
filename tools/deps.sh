#!/bin/sh
# Finds which system packages are missing. As root on Debian installs them; otherwise names them and why.
# Exit status 1 only where something is missing without which nothing can be installed.
set -u

PATH="$PATH:/usr/sbin:/sbin"
python="${PYTHON:-python3}"
needed=""
useful=""
reasons=""

missing() { # KIND PACKAGE WHY
    if [ "$1" = needed ]; then needed="$needed $2"; else useful="$useful $2"; fi
    reasons="$reasons
  $2: $3"
}

if ! command -v "$python" >/dev/null; then
    missing needed python3 "the language"
    missing needed python3-venv "makes .venv"
    missing needed python3-dev "python-pytun is compiled while it is installed"
else
    if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
        echo "$python is $("$python" -V 2>&1), Python 3.11 or newer is needed (make PYTHON=...)" >&2
        exit 1
    fi
    "$python" -c 'import ensurepip, venv' 2>/dev/null || missing needed python3-venv "makes .venv"
    "$python" -c 'import os, sys, sysconfig
sys.exit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))' ||
        missing needed python3-dev "python-pytun is compiled while it is installed"
fi
command -v gcc >/dev/null || missing needed gcc "python-pytun is compiled while it is installed"
[ -e /usr/include/stdio.h ] || missing needed libc6-dev "python-pytun is compiled while it is installed"
command -v ip >/dev/null || missing useful iproute2 "tests look at devices and routes by it"
command -v nft >/dev/null || missing useful nftables "routers in tests and in the demo lose and alter packets"
command -v ethtool >/dev/null || missing useful ethtool "tests turn offloads of their devices off by it"
command -v tshark >/dev/null || missing useful tshark "a test reads captures with it"
command -v curl >/dev/null || missing useful curl "the unmodified program of the demo and of tests"

while read -r program package; do
    command -v "$program" >/dev/null || missing useful "$package" "$program is a peer in tests"
done <<EOF
iperf3 iperf3
nc netcat-openbsd
nginx nginx-light
sshd openssh-server
scp openssh-client
bird bird2
EOF
command -v chromium >/dev/null || missing useful chromium "a test opens the lab's report in it"
command -v chromedriver >/dev/null || missing useful chromium-driver "the same test clicks in it"

[ -z "$needed$useful" ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "Installing system packages:$reasons"
    export DEBIAN_FRONTEND=noninteractive
    # The servers are for tests, which start them in namespaces of their own: none is started now or with the machine.
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        trap 'rm -f "$policy"' EXIT
        printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod 755 "$policy"
    fi
    # shellcheck disable=SC2086  # the names are separate words
    apt-get update -qq && apt-get install -y -qq --no-install-recommends $needed $useful >/dev/null || exit
    for service in nginx:nginx-light ssh:openssh-server bird:bird2; do
        case "$useful " in
        *" ${service#*:} "*)
            for disable in "systemctl --quiet disable ${service%:*}" "update-rc.d ${service%:*} disable"; do
                if command -v "${disable%% *}" >/dev/null; then $disable >/dev/null 2>&1 || true; fi
            done
            ;;
        esac
    done
    exit 0
fi
echo "Missing system packages (Debian's names; as root, make deps installs them):$reasons" >&2
if [ -n "$needed" ]; then exit 1; fi
echo "Going on without them: what needs them is left out." >&2
