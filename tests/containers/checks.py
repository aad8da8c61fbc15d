"""Checks of every running container, from inside and by `docker inspect`."""

from __future__ import annotations

from collections.abc import Mapping, Set

from tests.containers.project import Project, docker

#: The service that writes into its own file system: DVC puts the data beside their pointer.
WRITES = {"airflow-worker"}
#: What SeaweedFS's entry point needs to give /data to another user, as bits of capabilities(7):
#: CHOWN, DAC_OVERRIDE, FOWNER, SETGID, SETUID.
STARTS_AS_ROOT = {"s3": 1 << 0 | 1 << 1 | 1 << 3 | 1 << 6 | 1 << 7}


def no_process_is_root_or_has_capabilities(stack: Project) -> None:
    """Check all processes; the init of a container that starts as root keeps what it needs."""
    for name, container in stack.running().items():
        allowed = STARTS_AS_ROOT.get(name.rpartition("-")[0], 0)
        processes = stack.processes(container["Id"])
        assert len(processes) >= 2, f"{name}: {processes}"
        for process in processes:
            is_init = process.name == "docker-init"
            assert process.no_new_privileges, f"{name}: {process}"
            assert process.capabilities & ~(allowed if is_init else 0) == 0, f"{name}: {process}"
            assert 0 not in process.uids or (is_init and allowed), f"{name}: {process}"


def roots_are_read_only(stack: Project) -> None:
    """Check the options of the mount at / in each container."""
    for name, container in stack.running().items():
        mounts = docker("exec", container["Id"], "cat", "/proc/self/mountinfo").splitlines()
        (options,) = (m.split()[5].split(",") for m in mounts if m.split()[4] == "/")
        writes = name.rpartition("-")[0] in WRITES
        assert ("rw" if writes else "ro") in options, f"{name}: {options}"


def only_volumes_and_memory_can_be_written(stack: Project) -> None:
    """Look from inside for folders that the user of a container may write to."""
    places = "/tmp|/dev|/dev/.*|/proc/.*|/var/lib/moovier(/.*)?"
    script = f"find / -xdev -type d -writable 2>/dev/null | grep -vE '^({places})$' | head -5"
    for name, container in stack.running().items():
        if container["Config"]["Image"].startswith("moovier-") and not name.startswith(
            tuple(WRITES)
        ):
            assert docker("exec", container["Id"], "sh", "-c", f"{script} || true") == "", name


def memory_limits_are_those_of_the_kernel(stack: Project) -> None:
    """Check the limit of each container's control group, version 1 or 2."""
    script = "cat /sys/fs/cgroup/memory.max || cat /sys/fs/cgroup/memory/memory.limit_in_bytes"
    for name, container in stack.running().items():
        limit = docker("exec", container["Id"], "sh", "-c", f"{{ {script}; }} 2>/dev/null")
        assert int(limit) == container["HostConfig"]["Memory"] > 0, name


def ports_are_on_the_loopback_address(stack: Project) -> None:
    """Check where the published ports of all containers listen."""
    addresses = {
        name: {binding["HostIp"] for ports in bindings.values() for binding in ports or ()}
        for name, container in stack.running().items()
        if (bindings := container["NetworkSettings"]["Ports"])
    }
    assert any(addresses.values()), "no container publishes a port"
    for name, used in addresses.items():
        assert used <= {"127.0.0.1"}, name


def only_these_know_the_secrets(stack: Project, readers: Mapping[str, Set[str]]) -> None:
    """Look for each secret in what `docker inspect` shows; ``readers``: services by variable."""
    for name, container in stack.containers().items():
        service, text = name.rpartition("-")[0], str(container)
        # An optional key may be empty.
        given = {secret for secret in readers if stack.variables[secret]}
        known = {secret for secret in given if stack.variables[secret] in text}
        assert known == {secret for secret in readers if service in readers[secret]}, name
