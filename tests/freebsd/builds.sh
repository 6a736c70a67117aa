#!/bin/sh
# pot build on FreeBSD: steps that run, copies, stages, mounts, what is done again, and what a failing or interrupted step leaves.
# Usage: builds.sh zfs|copy, beside pot's programs and w of world.py. The pf rules of docs/platforms.md must be loaded.
. "${0%/*}/tap.sh"

potfile() { cat >"$work/scratch/context/Potfile"; }
build() { pot --root "$work/a" build --progress plain "$@" "$work/scratch/context"; }
said_by() { # IMAGE COMMAND...
	image=$1
	shift
	pot --root "$work/a" run --rm -N none "$image" "$@"
}
# All that a build could leave on the host.
traces() {
	mount -p | sed "s|$work/a/layers/[^ ]*|LAYER|g" | awk '{ print $3, $2 ~ /layers/ ? "layer" : $2 }' | sed '/layer$/d' | sort
	jls name
	ifconfig -l
	ls "$work/a/tmp" "$work/a/jails" 2>/dev/null
}
# unchanged WHAT: the host is as it was at the last "traces >before"
unchanged() {
	traces >"$work/scratch/after"
	ok "$1" cmp "$work/scratch/before" "$work/scratch/after"
}

begin
node a
ok "a base" a create-base -b world --from "$here/w/world"
mkdir -p "$work/scratch/context/files/sub"
echo one >"$work/scratch/context/files/one"
ln "$work/scratch/context/files/one" "$work/scratch/context/files/two"
ln -s sub/deep "$work/scratch/context/files/link"
echo deep >"$work/scratch/context/files/sub/deep"
echo secret >"$work/scratch/secret"

potfile <<'END'
FROM base:world AS first
ARG GREETING=hello
RUN echo $GREETING >/made && ln /made /twice && mkdir -p /new/deep && rm -r /usr/share
COPY files /srv/files
COPY --chown=1:1 --chmod=640 files/one /srv/owned
FROM base:world
COPY --from=first /made /twice /from/
COPY --from=first /srv /srv
ENV COLOUR=red
WORKDIR /work/place
RUN --network=none test "$COLOUR" = red && test "$(cat /from/made)" = hello && pwd >/where
RUN --network=none --mount=type=cache,target=/cache --mount=type=tmpfs,target=/scratch --mount=type=secret,id=s \
    --mount=type=bind,source=files,target=/bound \
    cat /run/secrets/s /bound/sub/deep >/read && echo kept >>/cache/kept && cp /cache/kept /count && echo gone >/scratch/gone
USER nobody
CMD ["/bin/cat", "/where", "/read", "/count"]
END
ok "a build of two stages" build -t made:1 --secret "id=s,src=$work/scratch/secret"
is "does what it says" "/work/place
secret
deep
kept" said_by made:1
has "the same again is done from what is kept" CACHED build -t made:2 --secret "id=s,src=$work/scratch/secret"
said=$(build --secret "id=s,src=$work/scratch/secret" 2>&1)
is "every step of it" "" sh -c 'printf "%s\n" "$1" | sed -n "/RUN/{/CACHED/!p;}"' sh "$said"
is "links, names, owners, modes" "one 1:1" said_by made:1 sh -c \
	'test /srv/files/one -ef /srv/files/two && test -h /srv/files/link && set -- $(ls -ln /srv/owned) && test "$1" = -rw-r----- &&
	 echo $(cat /srv/files/one) $3:$4'
is "no mount point stays in a layer" "" said_by made:1 sh -c 'ls -d /cache /scratch /bound /run 2>/dev/null || :'
has "a host's change" CACHED sh -c "echo other >$work/scratch/context/files/sub/deep; pot --root $work/a build --progress plain --secret id=s,src=$work/scratch/secret -t made:3 $work/scratch/context"
has "is seen" "other" said_by made:3

potfile <<'END'
FROM base:world
RUN true
RUN --network=none ls /dev /proc >/dev/null
END
ok "steps that change nothing" build -t nothing:1
is "give no layer" "1" sh -c "pot --root $work/a --format json history nothing:1 | awk '/\"layer\": \"sha256/ { n++ } END { print n }'"

# ---- what fails
traces >"$work/scratch/before"
potfile <<'END'
FROM base:world
RUN echo kept >/kept
RUN echo half >/half && exit 7
END
fails "a step that fails fails the build" "7" build -t bad:1
fails "there is no image of it" "no image" a history bad:1
unchanged "and nothing of it is left"

potfile <<'END'
FROM base:world
RUN echo half >/half && touch /tmp/half && sleep 600
END
for signal in INT TERM KILL; do
	pot --root "$work/a" build -t bad:2 "$work/scratch/context" >"$work/scratch/said" 2>&1 &
	pid=$!
	# A background process of a shell without job control ignores INT: the builder takes it as it comes.
	ok "a step runs" until_true sh -c 'ps ax -o command | awk "/^sleep 600/ { found = 1 } END { exit !found }"'
	kill -$signal $pid
	if [ $signal = INT ]; then
		kill -TERM $pid
	fi
	wait $pid
	ok "after $signal its processes are gone" until_true sh -c 'ps ax -o command | awk "/^sleep 600/ { found = 1 } END { exit found }"'
	[ $signal != KILL ] || ok "the next command cleans up" a prune
	unchanged "and nothing else is left after $signal"
	fails "nor an image" "no image" a history bad:2
done

# ---- the network of a step
potfile <<'END'
FROM base:world
RUN ifconfig eth0 >/net && route -n get default >>/net
RUN --network=none ifconfig -l >/none
END
ok "a step has a network of its own" build -t net:1
has "with an address and a way out" "gateway" said_by net:1 cat /net
# Each network has an interface of pf's.
is "or none" "lo0" said_by net:1 sed 's/ pflog0//' /none
unchanged "of which nothing is left"
ok "what builds keep goes" a build prune -a
ok "images go" a rmi -f made:1 made:2 made:3 nothing:1 net:1
ok "and their layers" a image prune -a
finish
