# SPDX-License-Identifier: GPL-2.0
"""A guest in QEMU: under KVM where that works, emulated otherwise."""

import os
import subprocess
import time

QEMU = "qemu-system-x86_64"
# Timers of an emulated machine on a busy host do not pass the kernel's check.
CONSOLE = "console=ttyS0 panic=-1 no_timer_check"
# A busy host stops a guest for some time, which is no fault of its kernel.
PAUSES = "watchdog_thresh=30 rcupdate.rcu_cpu_stall_timeout=60"
LOUD = "earlyprintk=serial,ttyS0 ignore_loglevel"
# Without five levels of page tables: an interrupt while the kernel identifies the processor finds
# that flag cleared, and KASAN then takes good addresses for wild ones.
TCG = ["-accel", "tcg,thread=single", "-cpu", "max,la57=off"]
KVM = ["-accel", "kvm", "-cpu", "host"]
# A nanosecond of the guest's clock is an instruction executed; one CPU only.
COUNTING = [*TCG, "-icount", "shift=0"]
# An instruction of any CPU is eight nanoseconds, and idle time passes at once: the same in each run,
# however busy the host is.
STEADY = [*TCG, "-icount", "shift=3,sleep=off"]


def accelerator(kernel, cache):
    """The best accelerator that boots this kernel; found out once per host boot."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return TCG
    with open("/proc/sys/kernel/random/boot_id") as f:
        boot = f.read().strip()
    verdict = os.path.join(cache, "kvm-probe")
    try:
        with open(verdict) as f:
            known, works = f.read().split()
    except (OSError, ValueError):
        known = None
    if known != boot:
        works = "yes" if _kvm_boots(kernel) else "no"
        with open(verdict, "w") as f:
            f.write(f"{boot} {works}\n")
        if works == "no":
            print("   /dev/kvm is there but boots nothing: guests are emulated, which is slower",
                  flush=True)
    return KVM if works == "yes" else TCG


def _kvm_boots(kernel):
    """A boot without a root file system panics: then it came far enough."""
    command = [QEMU, "-M", "q35", *KVM, "-m", "256", "-display", "none", "-no-reboot",
               "-serial", "stdio", "-kernel", kernel, "-append", f"{CONSOLE} {LOUD}"]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=10, check=False)
    except subprocess.TimeoutExpired:
        return False
    return b"Kernel panic" in done.stdout


class Machine:
    """A guest to be. Disks are found by their serial numbers disk0, disk1, ..."""

    def __init__(self, kernel, initrd, accel, *, memory=1024, cpus=2, append=()):
        self.command = [QEMU, "-M", "q35", *accel, "-m", str(memory), "-smp", str(cpus),
                        "-nodefaults", "-display", "none", "-no-reboot",
                        "-kernel", kernel, "-initrd", initrd,
                        "-device", "virtio-rng-pci"]
        self.append = [CONSOLE, PAUSES, *append]
        self.disks = 0
        self.process = None

    def add_disk(self, path):
        name = f"disk{self.disks}"
        self.disks += 1
        self.command += [
            "-drive", f"file={path},format=raw,if=none,cache=unsafe,discard=unmap,id={name}",
            "-device", f"virtio-blk-pci,drive={name},serial={name}"]
        return name

    def add_port(self, path):
        """A port org.vserver.results in the guest; what it says lands in the file."""
        with open(path, "w"):
            pass
        self.command += [
            "-device", "virtio-serial-pci",
            "-chardev", f"file,path={path},id=results",
            "-device", "virtserialport,chardev=results,name=org.vserver.results"]

    def interact(self):
        """Runs with the console on the terminal; gives the exit status."""
        return subprocess.call([*self.command, "-serial", "mon:stdio",
                                "-append", " ".join([*self.append, "quiet"])])

    def start(self, console, log):
        """Runs in the background; the console and QEMU's own words go to files."""
        with open(log, "w") as out:
            self.process = subprocess.Popen(
                [*self.command, "-serial", f"file:{console}", "-append", " ".join([*self.append, LOUD])],
                stdin=subprocess.DEVNULL, stdout=out, stderr=out)

    def lines(self, path):
        """The lines that appear in a file while the guest runs; None now and then."""
        rest = ""
        with open(path, errors="replace") as f:
            while True:
                ended = self.process.poll() is not None
                *lines, rest = (rest + f.read()).split("\n")
                yield from lines
                if ended:
                    return
                yield None
                time.sleep(0.1)

    def kill(self):
        if self.process:
            self.process.kill()
            self.process.wait()
