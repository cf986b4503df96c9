#!/bin/bash
# Inside of the new namespaces: makes a root of its own, puts the program and its units into it, and becomes systemd.
#   boot.sh SCRATCH PROGRAM      (started by try.sh)
set -euo pipefail
scratch=$1 program=$2
here=$(pwd)
mount -t tmpfs -o mode=755 tmpfs /mnt
mkdir /mnt/{upper,work,root}
mount -t overlay overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work /mnt/root
root=/mnt/root
mount -t proc proc $root/proc
# systemd would raise limits of the whole machine.
mount --bind $root/proc/sys $root/proc/sys
mount -o remount,bind,ro $root/proc/sys
mount --rbind /sys $root/sys
mount -t tmpfs -o mode=755 tmpfs $root/dev
for device in null zero full random urandom tty; do
    touch $root/dev/$device
    mount --bind /dev/$device $root/dev/$device
done
# PrivateDevices= takes these over.
mkdir $root/dev/{shm,pts,mqueue}
mount -t tmpfs -o mode=1777 tmpfs $root/dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts $root/dev/pts
mount -t mqueue mqueue $root/dev/mqueue
ln -s pts/ptmx $root/dev/ptmx
mount -t tmpfs -o mode=755 tmpfs $root/run
mount -t tmpfs -o mode=1777 tmpfs $root/tmp
mkdir -p $root/run/try/{units,out,source}
mount --bind "$scratch/out" $root/run/try/out
install -m 755 "$program" $root/run/try/pfx-connector
cp -r "$here"/{Makefile,scripts,packaging,docs,README.md,SECURITY.md,CHANGELOG.md,LICENSE} $root/run/try/source/

units=$root/run/try/units
# Nothing of this system starts: these stand for its targets.
for target in sysinit basic multi-user network-online shutdown umount final; do
    printf '[Unit]\nDefaultDependencies=no\n' >$units/$target.target
done
printf '[Unit]\nDefaultDependencies=no\nWants=try.service\n' >$units/try.target
cat >$units/try.service <<UNIT
[Unit]
DefaultDependencies=no
[Service]
Type=oneshot
TimeoutStartSec=infinity
WorkingDirectory=/run/try/source
ExecStart=/bin/bash packaging/systemd/try/inside.sh
StandardOutput=append:/run/try/out/report
StandardError=append:/run/try/out/report
UNIT
ip link set lo up 2>/dev/null || true
mkdir $root/run/try/old
cd $root
pivot_root . run/try/old
umount -l /run/try/old
# As at any start of a system: credentials are mounted by a process of systemd's and have to come back to it.
mount --make-rshared /
export container=other PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export SYSTEMD_UNIT_PATH=/etc/systemd/system:/run/try/units:/usr/local/lib/systemd/system
rm -rf /etc/systemd/system
mkdir /etc/systemd/system
exec /lib/systemd/systemd --system --unit=try.target --log-target=null --show-status=no </dev/null >/dev/null 2>&1
