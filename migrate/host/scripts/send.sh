# WORDS: find the bottle that is installed here, and have it speak over the standard streams.
installed() {
	command -v bottle && return
	for found in "$HOME/.local/bin/bottle" "$HOME/bin/bottle" /opt/bottle/bin/bottle; do
		[ -x "$found" ] && printf '%s\n' "$found" && return
	done
	# What only the files of a login shell put on the PATH.
	"${SHELL:-/bin/sh}" -lc 'command -v bottle' </dev/null 2>/dev/null | tail -n 1
}
bottle=$(installed)
[ -x "$bottle" ] || fail "$NOT_INSTALLED" "there is no bottle on the PATH"
exec "$bottle" send-over-stdio "$@"
