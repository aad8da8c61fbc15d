#!/usr/bin/env bash
# Try the README's commands on a bare Debian, as an ordinary user, without any service and without
# what this machine has installed: `make up`, a recommendation, `make down` and the quick tests.
#
#   tests/fresh_machine.sh bookworm|trixie          in a checkout
#   tests/fresh_machine.sh bookworm|trixie node     with Node.js, so that the page is built
#   tests/fresh_machine.sh bookworm|trixie wheel    the wheel in dist (`make dist`) instead, without
#                                                   make and without a checkout
#
# Needs root, debootstrap and a network. The roots are kept in FRESH_FOLDER (/var/tmp/moovier-fresh)
# and copied for each run. The machine's network is shared, so the ports must be free.
set -euo pipefail

suite=${1:?usage: fresh_machine.sh bookworm|trixie [node|wheel]}
variant=${2:-}
folder=${FRESH_FOLDER:-/var/tmp/moovier-fresh}
# Without a mirror, debootstrap uses Debian's own.
mirror=${FRESH_MIRROR:-}
port=${FRESH_PORT:-18800}
checkout=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
case $variant in
    "" | node) packages=python3,python3-venv,make ;;
    wheel) packages=python3,python3-venv ;;
    *) echo "$0: the second word is node or wheel, not $variant" >&2; exit 2 ;;
esac
dist=${FRESH_DIST:-$checkout/dist}
[[ $variant != wheel ]] || compgen -G "$dist/moovier-*.whl" >/dev/null \
    || { echo "no wheel in $dist: run \`make dist\` first" >&2; exit 2; }
base=$folder/$suite${variant:+-$variant}
root=$folder/run-$suite${variant:+-$variant}

[[ $(id -u) == 0 ]] || { echo "$0 needs root, to make and enter the bare system" >&2; exit 2; }
command -v debootstrap >/dev/null || { echo "debootstrap not found: apt install debootstrap" >&2; exit 2; }

if [[ ! -e $base/.complete ]]; then
    echo "== $suite: installing a bare system with ${packages//,/, }"
    rm -rf --one-file-system "$base"
    mkdir -p "$folder"
    debootstrap --variant=minbase --include="$packages" "$suite" "$base" ${mirror:+"$mirror"} >"$base.log" 2>&1 \
        || { tail -5 "$base.log" >&2; exit 1; }
    if [[ $variant == node ]]; then
        # debootstrap does not follow all dependencies of npm.
        cp /etc/resolv.conf /etc/hosts "$base/etc/"
        chroot "$base" env DEBIAN_FRONTEND=noninteractive \
            apt-get install -y -qq --no-install-recommends nodejs npm >>"$base.log" 2>&1 \
            || { tail -5 "$base.log" >&2; exit 1; }
    fi
    touch "$base/.complete"
fi

echo "== $suite: copying the system and the files"
rm -rf --one-file-system "$root"
cp -a "$base" "$root"
chroot "$root" useradd --create-home visitor
mkdir "$root/home/visitor/moovier"
if [[ $variant == wheel ]]; then
    cp "$dist"/moovier-*.whl "$dist"/moovier-*-requirements.txt "$root/home/visitor/moovier"
    # The commands of the README's section "Without a checkout".
    sed -n '/^### Without a checkout$/,/^## /p' "$checkout/README.md" \
        | awk '/^```$/ {inside = !inside; next} inside' >"$root/home/visitor/commands.sh"
    [[ -s $root/home/visitor/commands.sh ]] || { echo "the README has no commands for the wheel" >&2; exit 1; }
else
    # What a clone has: no environment, no built page, no data.
    git -C "$checkout" ls-files -z --cached --others --exclude-standard \
        | (cd "$checkout" && tar --create --null --ignore-failed-read --files-from=-) \
        | tar --extract --directory "$root/home/visitor/moovier"
fi
chown -R 1000:1000 "$root/home/visitor"
cp /etc/resolv.conf "$root/etc/resolv.conf"
cp /etc/hosts "$root/etc/hosts"

# The visitor's environment. A company's certificates are those of this machine.
variables=(HOME=/home/visitor USER=visitor LANG=C.UTF-8 PATH=/usr/local/bin:/usr/bin:/bin
    MOOVIER_DATA=sample MOOVIER_PORT="$port" MOOVIER_MLFLOW_PORT="$((port + 1))"
    MOOVIER_AIRFLOW_PORT="$((port + 2))")
if [[ -n ${SSL_CERT_FILE:-} ]]; then
    cp --dereference "$SSL_CERT_FILE" "$root/etc/company.pem"
    for name in SSL_CERT_FILE PIP_CERT REQUESTS_CA_BUNDLE NODE_EXTRA_CA_CERTS; do
        variables+=("$name=/etc/company.pem")
    done
fi
for name in HTTP_PROXY HTTPS_PROXY NO_PROXY http_proxy https_proxy no_proxy PIP_INDEX_URL UV_DEFAULT_INDEX; do
    [[ -z ${!name:-} ]] || variables+=("$name=${!name}")
done

cat >"$root/home/visitor/try.sh" <<'TRY'
set -eu
cd ~/moovier
step() { printf '== %s (%s s)\n' "$1" "$SECONDS"; }
if [ -e ~/commands.sh ]; then
    up() { (set -x; . ~/commands.sh); }
    down="moovier-env/bin/moovier down"
else
    up() { make up; }
    down="make down"
fi
step "$(python3 --version), $(node --version 2>/dev/null || echo no Node.js)"
up
step "up"
python3 - <<'PYTHON'
import json, os, urllib.request
url = f"http://127.0.0.1:{os.environ['MOOVIER_PORT']}"
with urllib.request.urlopen(f"{url}/readyz") as answer:
    print("readyz", json.load(answer))
request = urllib.request.Request(
    f"{url}/predict?top_k=3", b"[1]", {"Content-Type": "application/json"}
)
with urllib.request.urlopen(request) as answer:
    movies = json.load(answer)["1"]
print("predict", [movie["title"] for movie in movies])
assert len(movies) == 3, movies
with urllib.request.urlopen(url) as answer:
    page = answer.read().decode()
built = "has not been built" not in page
print("page", "built" if built else "not built")
assert built or not os.path.exists("moovier-env"), "the wheel lacks the web page"
PYTHON
step "answered"
$down
step "down"
if [ ! -e ~/commands.sh ]; then
    make test-quick
    step "tested"
fi
TRY

echo "== $suite: running as an ordinary user"
# Processes that a failure leaves behind end with their PID namespace.
unshare --mount --pid --fork --kill-child bash -euc '
    mount --make-rprivate /
    mount -t proc proc "$0/proc"
    mount --rbind /dev "$0/dev"
    mount -t tmpfs -o mode=1777 tmpfs "$0/dev/shm"
    mount -t sysfs -o ro sysfs "$0/sys"
    root=$0
    exec chroot --userspec=1000:1000 "$root" /usr/bin/env -i "$@" bash /home/visitor/try.sh
' "$root" "${variables[@]}"
rm -rf --one-file-system "$root"
echo "== $suite${variant:+, $variant}: all commands work"
