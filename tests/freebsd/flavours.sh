#!/bin/sh
# Flavours on FreeBSD: a command file and a script of the classic form, what is kept, what fails, and those that come with pot
# as far as they go without a network.
# Usage: flavours.sh zfs|copy, beside pot's programs, flavours of pot and w of world.py.
. "${0%/*}/tap.sh"
mine=$work/scratch/flavours
make() { # POT FLAVOUR...: without a network, from the base
	name=$1
	shift
	pot --root "$work/a" create -p "$name" -b world -N none --flavour-network none --flavour-dir "$here/flavours" "$@"
}
says() { # POT COMMAND
	a set-cmd -p "$1" -c "$2" && a start -a "$1"
}

begin
node a
ok "a base" a create-base -b world --from "$here/w/world"
mkdir -p "$mine/www.d"
echo page >"$mine/www.d/index"
echo host >"$work/scratch/host"
cat >"$mine/www" <<END
# as the classic framework has it
copy-in-flv -s www.d -d /srv/www
copy-in -s $work/scratch/host -d /root/host
set-attribute -A persistent -V NO
set-env -E COLOUR=red
export-ports -e 80:8080
set-rss -M 64M
set-cmd -c cat /srv/www/index /root/said
END
cat >"$mine/www.sh" <<'END'
#!/bin/sh
[ -f /srv/www/index ] && [ "$(id -u)" = 0 ] || exit 3
echo "said in $(uname -s)" >/root/said
END
chmod 755 "$mine/www.sh"

# Without a network nothing can be published.
has "a command file and a script" "ports are not published" make one -f "$mine/www"
is "do what they say" "page
said in FreeBSD" a start -a one
has "settings too" "COLOUR=red" a --format json inspect one
has "a second pot has it from what is kept" CACHED make two -f "$mine/www"
echo 'exit 9' >>"$mine/www.sh"
fails "a script that fails" "9" make three -f "$mine/www"
fails "makes no pot" "" a info -p three
is "nor leaves a jail" "" jls name
echo 'no-such-command -x' >>"$mine/www"
fails "a command that is none is told with its line" "www:9" make three -f "$mine/www"

# ---- those that come with pot
for name in "$here"/flavours/*.meta; do
	name=${name##*/}
	ok "${name%.meta} has no mistakes" a flavours --flavour-dir "$here/flavours" lint "${name%.meta}"
done
ok "the example" make example -f 'example?greeting=Hi'
has "greets from FreeBSD" "Hi from the flavour example, on FreeBSD" a start -a example
ok "slim" make slim -f slim
is "takes documentation, headers and the toolchain" "0" says slim \
	'sh -c "ls -d /usr/share/man /usr/include /usr/bin/cc /rescue /usr/lib/libc.a 2>/dev/null | wc -l | tr -d \" \""'
has "and leaves a system that works" "works" says slim 'sh -c "ls -l /bin /lib >/dev/null && echo works"'
is "of the script itself nothing is left" "" says slim 'sh -c "ls -d /.pot* 2>/dev/null || :"'
fails "update says that there is nothing to update with" "freebsd-update" make updated -f update
fails "and makes no pot" "" a info -p updated
fails "fbsd-update is the same" "freebsd-update" make updated -f fbsd-update
for name in one two example slim; do
	ok "$name goes" a destroy -F -p $name
done
ok "what is kept goes" a build prune -a
finish
