#!/bin/sh
# Asks the operator of this bottle for what it lacks: a new Dockerfile, and why. Nothing but the shell itself is needed
# of the image; --wait needs `sleep`. bottle/requests/asking.py does the same in Python, and the two must agree.
here=/run/bottle
most=200              # requests of one bottle
most_reason=4096      # bytes
most_dockerfile=262144 # bytes
nl='
'
LC_ALL=C # lengths in bytes

usage() {
	printf '%s\n' \
		"usage: $here/request-capability --reason TEXT [--wait] < Dockerfile" \
		"       $here/request-capability --status NUMBER" \
		"" \
		"Asks the operator to rebuild this bottle from the Dockerfile on standard input. Once it is approved, the bottle" \
		"is committed and stopped; it comes back built from that Dockerfile, with its transcript and its workspace." \
		"" \
		"  --reason TEXT    why, in a sentence" \
		"  --wait           return when it is decided: 0 approved, 1 denied" \
		"  --status NUMBER  print what became of a request: pending, approved or denied, then the operator's note" \
		"" \
		"example:" \
		"  $here/request-capability --reason 'jq, to read the logs' <<'END'" \
		"  FROM debian:trixie-slim" \
		"  RUN apt-get update && apt-get install -y jq" \
		"  END" \
		"" \
		"exit codes: 0 done or approved, 1 failed or denied, 2 wrong use or too long: nothing was asked"
}

fail() { # CODE TEXT
	printf '%s\n' "request-capability: $2" >&2
	exit "$1"
}

is_there() { # PATH
	[ -e "$1" ] || [ -L "$1" ]
}

slurp() { # MOST: standard input into $text, no more than it may have; in pieces, as each line would copy them all
	text= piece= room=$1
	while IFS= read -r line; do
		piece=$piece$line$nl
		room=$((room - ${#line} - 1))
		line=
		[ "$room" -ge 0 ] || return 1
		[ "${#piece}" -lt 2048 ] || { text=$text$piece && piece=; }
	done
	text=$text$piece$line
	[ "${#line}" -le "$room" ]
}

look() { # NUMBER: the answer into $answer and $note; fails when there is no such request
	answer=pending note=
	if [ -f "$here/answers/$1" ]; then
		slurp 1048576 <"$here/answers/$1"
		answer=${text%%"$nl"*}
		note=${text#*"$nl"}
		note=${note%"$nl"}
	else
		is_there "$here/requests/$1.ready"
	fi
}

create() { # PATH: make it, unless it is there
	(set -C && : >"$1") 2>/dev/null
}

reason= wait= status=
while [ $# -gt 0 ]; do
	case $1 in
	--reason)
		[ $# -ge 2 ] || fail 2 "--reason needs a text"
		reason=$2
		shift
		;;
	--reason=*) reason=${1#*=} ;;
	--status)
		[ $# -ge 2 ] || fail 2 "--status needs a number"
		status=$2
		shift
		;;
	--status=*) status=${1#*=} ;;
	--wait) wait=yes ;;
	-h | --help)
		usage
		exit 0
		;;
	*) fail 2 "what is $1? see $here/request-capability --help" ;;
	esac
	shift
done

if [ -n "$status" ]; then
	case $status in
	0* | *[!0-9]* | ??????????*) fail 2 "--status needs the number of a request, not $status" ;;
	esac
	look "$status" || fail 2 "there is no request $status"
	printf '%s\n' "$answer" ${note:+"$note"}
	exit 0
fi

[ -n "$reason" ] || fail 2 "say why with --reason TEXT; see $here/request-capability --help"
[ "${#reason}" -le $most_reason ] || fail 2 "the reason is too long: $most_reason bytes are allowed; nothing was asked"
[ -z "$wait" ] || command -v sleep >/dev/null ||
	fail 2 "--wait needs the command sleep, which this image lacks; ask without it, and then with --status; nothing was asked"
[ ! -t 0 ] || fail 2 "give the Dockerfile on standard input; see $here/request-capability --help"
slurp $most_dockerfile || fail 2 "the Dockerfile is too long: $most_dockerfile bytes are allowed; nothing was asked"
case $text in
*[!\ "$nl"]*) ;;
*) fail 2 "the Dockerfile on standard input is empty; nothing was asked" ;;
esac
[ -w "$here/requests" ] || fail 1 "$here/requests cannot be written here; nothing was asked"

number=1
while :; do
	[ "$number" -le $most ] || fail 1 "a bottle may make $most requests in its life, and this one has; nothing was asked"
	if ! is_there "$here/answers/$number" && ! is_there "$here/requests/$number.reason"; then
		create "$here/requests/$number.reason" && break
		is_there "$here/requests/$number.reason" || fail 1 "$here/requests cannot be written; nothing was asked"
	fi
	number=$((number + 1))
done
request=$here/requests/$number
{ printf '%s' "$reason" >"$request.reason" && printf '%s' "$text" >"$request.Dockerfile" && create "$request.ready"; } ||
	fail 1 "$request could not be written to the end (is the disk full?); nothing was asked"

printf '%s\n' \
	"request $number is made. The operator sees it with \`bottle capability list\` or in \`bottle dashboard\`." \
	"When it is approved, this bottle is committed and stopped, and comes back from the new Dockerfile." \
	"What became of it:  $here/request-capability --status $number"
[ -n "$wait" ] || exit 0
while look "$number" && [ "$answer" = pending ]; do
	sleep 2
done
printf '%s\n' "$answer" ${note:+"$note"}
[ "$answer" = approved ]
