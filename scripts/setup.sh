# Set-up shared by scripts/run and scripts/check: options, packages and the build. Sourced, not run.
#
# Nothing is installed without saying what and why. On a terminal the user is asked (--yes answers for them); without a
# terminal there is nobody to ask and the packages are installed. --no-install never installs.

set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
called_from=$PWD
cd "$root"
. scripts/packages.sh

assume_yes=0
may_install=1

say() { printf '%s\n' "$*" >&2; }
die() {
    say "$(basename "$0"): $*"
    exit 1
}

# A path as its caller means it, who may stand elsewhere.
from_caller() { case $1 in '' | /*) printf '%s' "$1" ;; *) printf '%s/%s' "$called_from" "$1" ;; esac; }

names_of() { printf '%s\n' "$1" | cut -d'|' -f1 | grep -v '^$'; }

missing_of() {
    local name
    for name in $(names_of "$1"); do
        dpkg-query -W -f='${Status}' "$name" 2>/dev/null | grep -q 'install ok installed' || echo "$name"
    done
}

print_packages() {
    local line
    while IFS='|' read -r name reason; do
        [ -n "$name" ] && printf '  %-30s %s\n' "$name" "$reason" >&2
    done <<<"$1"
    return 0
}

# install_packages LIST: installs what is missing of it.
install_packages() {
    local list=$1 missing sudo=
    if ! { . /etc/os-release 2>/dev/null && [ "${ID:-}" = debian ] && [ "${VERSION_ID:-}" = 12 ]; }; then
        if [ "$may_install" = 0 ]; then
            return 0
        fi
        say "This is not Debian 12. yoke needs these packages (Debian's names); install their like, then use --no-install:"
        print_packages "$list"
        exit 1
    fi
    missing=$(missing_of "$list")
    [ -n "$missing" ] || return 0
    say "These packages are needed and missing:"
    print_packages "$(printf '%s\n' "$list" | grep -F "$(printf '%s|\n' $missing)" | awk -F'|' -v want="$missing" \
        'BEGIN { n = split(want, w, "\n"); for (i = 1; i <= n; i++) have[w[i]] = 1 } have[$1]')"
    [ "$may_install" = 1 ] || die "--no-install was given: install them with: apt-get install" $missing
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null || die "run this as root or install sudo: apt-get has to install the packages above"
        sudo=sudo
    fi
    if [ -t 0 ] && [ "$assume_yes" = 0 ]; then
        read -r -p "Install them with apt-get${sudo:+ through sudo}? [y/N] " answer
        case $answer in y | Y | yes) ;; *) die "nothing was installed" ;; esac
    fi
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get update -qq >&2
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >&2
}

# build PRESET [TARGET ...]: configures and builds, quietly unless it fails.
build() {
    local preset=$1 log
    shift
    mkdir -p build
    log=build/$preset.log
    if ! cmake --preset "$preset" >"$log" 2>&1; then
        cat "$log" >&2
        die "configuring the $preset build failed; what cmake printed is above"
    fi
    if ! cmake --build --preset "$preset" ${@:+--target "$@"} >>"$log" 2>&1; then
        tail -n 80 "$log" >&2
        die "the $preset build failed; the whole output is in $log"
    fi
}
