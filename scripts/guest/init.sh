#!/bin/sh
# init.sh - the first process of a guest once the host's files are its root, read-only: mounts what
# BPF needs and what must be writable, loads modules from the kernel's own package, runs the suite
# and turns the machine off. In, through the environment (the kernel passes on what its command line
# names): GUEST_CACHE, where the kernel's package is unpacked; GUEST_ROOT, the repository;
# GUEST_NODE; GUEST_OPTIONS, base64 of the suite's options in JSON. Out: lines on /dev/ttyS1.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/tmp LANG=C.UTF-8
release=$(uname -r)

for folder in /tmp /var/tmp /run /boot; do
    mount -t tmpfs tmpfs $folder
done
mkdir -p /dev/pts /dev/shm /run/netns
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
ln -sf /proc/self/fd /dev/fd
mount -t tracefs tracefs /sys/kernel/tracing
mount -t securityfs securityfs /sys/kernel/security
mount -t bpf bpf /sys/fs/bpf
mount -t cgroup2 cgroup2 /sys/fs/cgroup
stty -F /dev/ttyS1 raw -echo

# The kernel's options are where the features of the package look for them.
for config in "$GUEST_CACHE"/boot/config-* "$GUEST_CACHE/lib/modules/$release/config"; do
    [ -f "$config" ] && cp "$config" "/boot/config-$release"
done
# What the kernel itself asks for comes from its package, too.
printf '#!/bin/sh\nexec modprobe -d "%s" "$@"\n' "$GUEST_CACHE" > /run/modprobe
chmod +x /run/modprobe
echo /run/modprobe > /proc/sys/kernel/modprobe
for module in veth sch_ingress cls_bpf act_bpf nf_conntrack nf_defrag_ipv4 nf_defrag_ipv6 dummy; do
    /run/modprobe -q $module
done
ip link set lo up

cd "$GUEST_ROOT" || echo "no folder $GUEST_ROOT" > /dev/ttyS1
export NODE_OPTIONS="--require $GUEST_ROOT/scripts/guest/quick.js"
"$GUEST_NODE" scripts/guest/suite.js "$GUEST_OPTIONS" /dev/ttyS1
printf "\n{\"ended\":%d}\n" $? > /dev/ttyS1
echo o > /proc/sysrq-trigger
while :; do :; done
