#!/usr/bin/env bash
# Run a Docker engine of this machine's own for tests/containers, without any image registry.
#
#   engine.sh start    install what is missing, start dockerd, make the base and stand-in images
#   engine.sh run ...  run a command with the Docker engine of this machine if one answers, otherwise
#                      with this one, which is stopped afterwards
#   engine.sh env      print the variables that lead docker to this engine, for `eval`
#   engine.sh stop     stop dockerd and leave its images
#   engine.sh remove   stop dockerd and delete everything that it stored
#
# It needs root on Debian 12 and Debian's package mirror. The engine has its own socket and storage,
# so that it neither sees nor changes those of an engine that runs here already. Compose and
# buildx come from Debian 13, since Debian 12 has no packages of them. CONTAINERS_SUITE (trixie,
# forky, ...) takes the engine of another Debian with its runc and containerd. Only one engine at a
# time: they share the network of this machine.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
suite="${CONTAINERS_SUITE:-}"
store="${CONTAINERS_ENGINE:-/var/lib/moovier-engine${suite:+-$suite}}"
# The mirror that this machine installs from.
mirror="${CONTAINERS_MIRROR:-$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' | grep -v security | head -1)}"
bundle=/etc/ssl/certs/ca-certificates.crt
outer="$(declare -p DOCKER_HOST DOCKER_CONFIG 2>/dev/null || true)"
export DOCKER_HOST="unix://$store/docker.sock" DOCKER_CONFIG="$store/config" DOCKER_BUILDKIT=1

# The tags that the Dockerfiles and docker-compose.yaml name.
python_tag="$(sed -n 's/^FROM \(python:[^ ]*\).*/\1/p' "$here/../../Dockerfile")"
node_tag="$(sed -n 's/^FROM \(node:[^ ]*\).*/\1/p' "$here/../../Dockerfile")"

say() { echo "engine: $*" >&2; }

install_packages() {
    local missing=()
    for pair in dockerd:docker.io debootstrap:debootstrap iptables:iptables; do
        command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
    done
    if ((${#missing[@]})); then
        say "installing ${missing[*]}"
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
    fi
}

install_plugins() {
    local plugins="$DOCKER_CONFIG/cli-plugins" lists="$store/apt"
    [[ -x "$plugins/docker-compose" && -x "$plugins/docker-buildx" ]] && return
    say "fetching Compose and buildx from Debian 13"
    mkdir -p "$plugins" "$lists/lists/partial" "$lists/packages"
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror trixie main" >"$lists/sources.list"
    local options=(-qq -o "Dir::Etc::SourceList=$lists/sources.list" -o Dir::Etc::SourceParts=/dev/null
        -o "Dir::State::Lists=$lists/lists" -o APT::Sandbox::User=root
        -o "Dir::Cache::pkgcache=" -o "Dir::Cache::srcpkgcache=")
    apt-get "${options[@]}" update
    (cd "$lists/packages" && apt-get "${options[@]}" download docker-compose docker-buildx)
    for file in "$lists"/packages/*.deb; do dpkg -x "$file" "$lists/unpacked"; done
    for name in docker-compose docker-buildx; do
        install -m 755 "$(find "$lists/unpacked" -type f -name "$name" -perm -u+x | head -1)" "$plugins/$name"
    done
    rm -rf "$lists"
}

# Unpack the other suite's engine with all that it needs into $store/engine.
unpack_engine() {
    [[ -e "$store/engine/.complete" ]] && return
    say "unpacking the engine of $suite"
    local packages="$store/packages"
    rm -rf -- "$packages" "$store/engine"
    debootstrap --variant=minbase --include=docker.io,iptables --download-only "$suite" "$packages" "$mirror" \
        /usr/share/debootstrap/scripts/sid >"$store/debootstrap.log"
    for file in "$packages"/var/cache/apt/archives/*.deb; do dpkg -x "$file" "$store/engine"; done
    # What update-alternatives does when the package is installed.
    for name in iptables ip6tables; do ln -sf "$name-nft" "$store/engine/usr/sbin/$name"; done
    rm -rf -- "$packages"
    touch "$store/engine/.complete"
}

start_dockerd() {
    docker info >/dev/null 2>&1 && return
    say "starting dockerd"
    mkdir -p "$store"
    # A crashed engine leaves these behind.
    rm -f "$store/docker.pid" "$store/exec/containerd/containerd.pid"
    local program=(dockerd)
    if [[ -n "$suite" ]]; then
        unpack_engine
        # Only the engine and its containers' runtime see the other suite's programs and libraries.
        program=(unshare --mount --propagation private sh -euc 'mount --bind "$0/usr" /usr && exec dockerd "$@"' "$store/engine")
    fi
    # Under control groups version 1 all containers together weigh as much as one process of the
    # machine. Beside other work, health checks would then exceed their time-outs.
    local weight=/sys/fs/cgroup/cpu/docker
    [[ ! -e "${weight%/*}/cpu.shares" ]] || { mkdir -p "$weight" && echo 8192 >"$weight/cpu.shares"; }
    setsid nohup "${program[@]}" --data-root "$store/data" --exec-root "$store/exec" --host "$DOCKER_HOST" \
        --pidfile "$store/docker.pid" >"$store/dockerd.log" 2>&1 &
    for _ in $(seq 60); do
        docker info >/dev/null 2>&1 && return
        sleep 1
    done
    tail -20 "$store/dockerd.log" >&2
    say "dockerd did not start; its log is $store/dockerd.log"
    exit 1
}

has_image() { docker image inspect "$1" >/dev/null 2>&1; }

# Make a base image of a Debian suite: tag, suite, packages.
import_base() {
    has_image "$1" && return
    say "making $1 by debootstrap"
    local root
    root="$(mktemp -d "$store/root.XXXX")"
    debootstrap --variant=minbase --include="$3" "$2" "$root" "$mirror" >"$store/debootstrap.log"
    # The machine's certificates, because a proxy in front of the registries may have its own.
    install -D -m 644 "$bundle" "$root$bundle"
    rm -f "$root"/usr/lib/python3*/EXTERNALLY-MANAGED "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*_*
    [[ ! -e "$root/usr/bin/python3" ]] || ln -sf python3 "$root/usr/bin/python"
    tar -C "$root" -c . | docker import \
        --change "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" \
        --change "ENV SSL_CERT_FILE=$bundle REQUESTS_CA_BUNDLE=$bundle PIP_CERT=$bundle NODE_EXTRA_CA_CERTS=$bundle" \
        --change 'CMD ["bash"]' - "$1" >/dev/null
    rm -rf -- "$root"
}

make_images() {
    import_base "$python_tag" bookworm ca-certificates,libpython3-dev,python3,python3-pip,python3-venv
    import_base moovier-standin-base trixie ca-certificates
    local tags context
    tags="$node_tag $(sed -n 's/^    image: \(.*[:/].*\)$/\1/p' "$here/../../docker-compose.yaml")"
    context="$(mktemp -d "$store/context.XXXX")"
    cp "$here"/standins/* "$context"
    cp "$(command -v rclone)" "$(command -v node)" "$context"
    cp -r "$(dirname "$(readlink -f "$(command -v npm)")")/.." "$context/npm"
    for target in node postgres redis seaweedfs prometheus postgres-exporter redis_exporter; do
        local tag
        tag="$(tr ' ' '\n' <<<"$tags" | grep -E "(^|/)$target:")"
        has_image "$tag" && continue
        say "making a stand-in for $tag"
        docker build --quiet --network=host --build-arg "PYTHON=$python_tag" --target "$target" \
            --tag "$tag" "$context" >/dev/null
    done
    rm -rf -- "$context"
}

stop_dockerd() {
    local pid
    pid="$(cat "$store/docker.pid" 2>/dev/null || true)"
    [[ -n "$pid" ]] && kill "$pid" 2>/dev/null || return 0
    for _ in $(seq 60); do
        [[ -e "/proc/$pid" ]] || return 0
        sleep 1
    done
    say "dockerd (process $pid) does not end"
    exit 1
}

case "${1:-}" in
    start)
        [[ "$(id -u)" == 0 ]] || { say "needs root"; exit 1; }
        install_packages
        mkdir -p "$store"
        start_dockerd
        install_plugins
        make_images
        say "ready: eval \"\$($0 env)\""
        ;;
    run)
        shift
        if (unset DOCKER_HOST DOCKER_CONFIG && eval "$outer" && docker info && docker compose version) >/dev/null 2>&1; then
            unset DOCKER_HOST DOCKER_CONFIG
            eval "$outer"
            exec "$@"
        fi
        trap stop_dockerd EXIT
        "$0" start
        CONTAINERS_STANDINS=1 "$@"
        ;;
    env) printf 'export DOCKER_HOST=%q DOCKER_CONFIG=%q DOCKER_BUILDKIT=1 CONTAINERS_STANDINS=1\n' "$DOCKER_HOST" "$DOCKER_CONFIG" ;;
    stop) stop_dockerd ;;
    remove)
        stop_dockerd
        rm -rf -- "$store"
        ;;
    *)
        sed -n '2,12s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
        exit 2
        ;;
esac
