#!/bin/sh
# pot adopt on FreeBSD: the shell framework's datasets and files become pots that run, without a copy of any of them.
# Usage: adopt.sh zfs, beside pot's programs and w of world.py. The pf rules of docs/platforms.md must be loaded.
. "${0%/*}/tap.sh"
fs=$work/opt
classic() { # POT: its directories; its pot.conf comes on standard input
	zfs create -p "pottest/classic/jails/$1" && mkdir -p "$fs/jails/$1/conf" && cat >"$fs/jails/$1/conf/pot.conf" &&
		: >"$fs/jails/$1/conf/fscomp.conf"
}
adopt() { pot --root "$work/a" adopt --classic-config "$work/scratch/classic.conf" "$@"; }
kilobytes() { zfs get -Hp -o value "$1" pottest/a | awk '{ print int($1 / 1024) }'; }

begin
node a
zfs create -o mountpoint="$fs" pottest/classic
zfs create pottest/classic/bases
zfs create pottest/classic/jails
zfs create pottest/classic/fscomp
zfs create pottest/classic/bases/14.3
cp -Rp "$here/w/world/" "$fs/bases/14.3"
zfs create pottest/classic/fscomp/data
echo shared >"$fs/fscomp/data/file"
mkdir -p "$fs/bridges" "$work/scratch/host"
printf 'name=web\nnet=10.200.5.0/28\ngateway=10.200.5.1\n' >"$fs/bridges/web"
printf 'POT_ZFS_ROOT=pottest/classic\nPOT_FS_ROOT=%s\nPOT_EXTIF=vtnet0\n' "$fs" >"$work/scratch/classic.conf"

# A thick one that is published, and has what pots can have.
classic www <<'END'
pot.level=0
pot.type=single
pot.base=14.3
pot.cmd=/bin/sh /root/begin
host.hostname="www.example"
osrelease="15.0-RELEASE"
pot.attr.persistent=NO
pot.attr.no-rc-script=YES
pot.attr.fdescfs=YES
pot.attr.procfs=YES
pot.env="COLOUR=dark red"
pot.env="SIZE=5"
pot.hosts=10.0.0.5 db
pot.export.ports=80:18080 53:15353
pot.rss.memory=256M
pot.stack=ipv4
network_type=public-bridge
vnet=true
ip=10.192.0.3
END
zfs create pottest/classic/jails/www/m
cp -Rp "$here/w/world/" "$fs/jails/www/m"
chflags schg "$fs/jails/www/m/bin/sleep"
printf '%s\n' 'echo "$COLOUR $SIZE $(hostname)"; cat /data/file; ifconfig eth0 | sed -n "s/.*inet \([0-9]*\).*/address \1/p"' \
	'sed -n "/db/s/[^0-9.]*\([0-9.]*\).*/\1/p" /etc/hosts' >"$fs/jails/www/m/root/begin"
mkdir "$fs/jails/www/m/data"
echo "pottest/classic/fscomp/data $fs/jails/www/m/data" >"$fs/jails/www/conf/fscomp.conf"

# A thin one: base read-only, its own parts beside; on a private bridge.
classic thin <<'END'
pot.level=1
pot.type=multi
pot.base=14.3
pot.cmd=/bin/cat /usr/local/own /opt/custom/own
pot.attr.persistent=NO
pot.stack=ipv4
network_type=private-bridge
bridge=web
vnet=true
ip=10.200.5.3
END
zfs create pottest/classic/jails/thin/usr.local
zfs create pottest/classic/jails/thin/custom
mkdir -p "$fs/jails/thin/m" "$fs/bases/14.3/opt/custom" "$fs/bases/14.3/usr/local"
echo own >"$fs/jails/thin/usr.local/own"
echo custom >"$fs/jails/thin/custom/own"
cat >"$fs/jails/thin/conf/fscomp.conf" <<END
pottest/classic/bases/14.3 $fs/jails/thin/m ro
pottest/classic/jails/thin/usr.local $fs/jails/thin/m/usr/local zfs-remount
pottest/classic/jails/thin/custom $fs/jails/thin/m/opt/custom zfs-remount
END

# One with the host's network that is started with the machine.
classic host.net <<'END'
pot.level=0
pot.type=single
pot.cmd=/bin/sleep 600
pot.attr.start-at-boot=YES
pot.attr.persistent=YES
network_type=inherit
END
zfs create pottest/classic/jails/host.net/m
cp -Rp "$here/w/world/" "$fs/jails/host.net/m"

zfs list -H -o name,used,mountpoint,origin -r pottest/classic >"$work/scratch/before"
used=$(kilobytes used)
ok "looked at only" adopt -p www --dry-run
is "leaves nothing" "" zfs list -H -t snapshot -o name -r pottest/classic
has "a thick pot is taken over" www adopt -p www
is "as a clone of its dataset" "pottest/classic/jails/www/m@pot-www" zfs get -H -o value origin pottest/a/jails/www
# A warning about the host's name server says nothing of a pot. The host's name is ours to give, as for any pot.
is "runs as it did" "dark red 5 www.$(hostname)
shared
address 10
10.0.0.5" sh -c "pot --root $work/a start -a www 2>/dev/null"
has "it publishes its ports" "18080" a --format json inspect www
fails "not twice" "exists already" adopt -p www
ok "its private bridge is made" a create-private-bridge -B web -S 14
has "a thin pot is taken over" thin adopt -p thin
is "with its own parts" "own
custom" sh -c "pot --root $work/a start -a thin 2>/dev/null"
has "one with a dot and the host's network" "host_net" adopt -p host.net
has "is started with the machine" "host_net" a list -q
ok "starts" a start host_net
has "runs" "host_net" a ps -q
ok "ends" a stop host_net
used=$(($(kilobytes used) - used))
echo "# three pots, $used KiB more"
ok "nothing was copied" test $used -lt 3000
is "the classic ones are as they were" "" sh -c "zfs list -H -o name,mountpoint,origin -r pottest/classic >$work/scratch/after; awk '{ print \$1, \$3, \$4 }' $work/scratch/before >$work/scratch/b; awk '{ print \$1, \$2, \$3 }' $work/scratch/after | cmp - $work/scratch/b"
fails "one that is not there" "no classic pot" adopt -p nobody
for name in www thin host_net; do
	ok "$name goes" a destroy -p $name
done
is "the classic files stay" shared cat "$fs/fscomp/data/file"
is "and so do the snapshots that the pots stood on" "pottest/classic/bases/14.3@pot-thin
pottest/classic/jails/host.net/m@pot-host_net
pottest/classic/jails/www/m@pot-www" zfs list -H -t snapshot -o name -r pottest/classic
finish
