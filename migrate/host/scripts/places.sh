# Shared by the scripts that look at what stands in its place there, or change it: workspaces, states, volumes.
inode() { # FOLDER: what tells it from another that is later found under its name
	ls -di "$1" | awk '{ print $1 }'
}

beside() { # PATH IDENTITY: where a workspace is until it is whole, so that the last step is a rename, on any filesystem
	printf '%s\n' "$(dirname "$1")/.bottle-incoming-$2"
}

left_beside() { # PATH IDENTITY: where the workspace that the bottle left there is while the one that comes takes its place
	printf '%s\n' "$(dirname "$1")/.bottle-left-$2"
}

placed_by_us() { # FOLDER: was it put there by an earlier run of this move? In the staging area of the bottle.
	[ -d "$1" ] && [ "$(cat placed 2>/dev/null)" = "$(inode "$1") $1" ]
}

untouched() { # FOLDER: has nobody done anything in what was placed since? By ctimes: those of files can be set back by anybody.
	placed_at=$(stat -c %Y placed) || return 1
	# Its own ctime is that of the rename which placed it.
	(cd "$1" && stat -c %Y . && find . ! -name . -exec stat -c %Z {} + || echo unknown) |
		awk -v at="$placed_at" '!/^[0-9]+$/ || $1 > at + 0 { newer = 1 } END { exit newer || !NR }'
}

listing() { # FOLDER: what is in it, as migrate/contents/left.py says; only GNU find can
	(
		cd "$1" && find . -path . -printf 'd %i %m 0 %T@ - \0' \
			-o -type d -printf 'd %i %m 0 %T@ %C@ %P\0' -o -printf '%y %i %m %s %T@ %C@ %P\0'
	) | tr '\n\0' '\1\n' | sort
}

can_list() { find . -maxdepth 0 -printf '' 2>/dev/null; }

as_left() { # NOTE FOLDER PLACE: is FOLDER what the bottle left at PLACE when it moved away, and has nobody worked in it since?
	[ -d "$2" ] && [ ! -h "$2" ] && [ "$(sed -n 1p "$1" 2>/dev/null)" = "$3" ] && can_list || return 1
	{
		printf '%s\n' "$3"
		listing "$2"
	} | cmp -s - "$1"
}

state_sums() { # FOLDER: what is in a state folder, in lines: a sha256 and ./PATH of each file. Not what changes without work.
	if command -v sha256sum >/dev/null 2>&1; then set -- "$1" sha256sum; else set -- "$1" shasum -a 256; fi
	(
		summed=$1
		shift
		cd "$summed" && find . \( -path ./lock -o -path ./arrived -o -path ./former -o -path ./scanned.json -o -path ./copy \
			-o -path ./workspace-left \) -prune -o -type f -exec "$@" {} + -o ! -name . -print
	) | sort
}

as_it_came() { # STATE: is this the state of a copy, and has nobody worked on it since it came?
	[ -f "$1/copy" ] && state_sums "$1" | cmp -s - "$1/copy"
}

stands_by() { # STATE: is this the state of a standby, that owns nothing?
	grep -qs '^  "standby": true' "$1/moved-to.json"
}

names_volume() { # NOTE NAME: is that one of the volumes in a note of them?
	cut -d ' ' -f 1 "$1" 2>/dev/null | grep -qxF -e "$2"
}

keep_beside() { # FOLDER PLACE IDENTITY: have what was at PLACE beside it, and say where
	for number in '' -2 -3 -4 -5 -6 -7 -8 -9; do
		put "$1" "$2.before-$3$number" && printf 'kept=%s\n' "$2.before-$3$number" && return
	done
	printf 'kept=%s\n' "$1"
	return 1
}

is_open() { # FOLDER: has a program a file in it open? As far as the user here may know
	pattern=$(printf '%s' "$1" | sed 's/[][*?\\]/\\&/g')
	[ -n "$(find /proc/[0-9]*/fd -maxdepth 1 -lname "$pattern/*" 2>/dev/null | head -n 1)" ]
}

let_left_go() { # IDENTITY: delete the workspace that gave way to the one that came, but not what somebody still works in
	came_to=$(cat "$bottle_home/incoming/$1/landing" 2>/dev/null) || return 0
	left=$(left_beside "$came_to" "$1")
	old=$(beside "$came_to" "$1").old # what has this name may go
	if [ -d "$left" ]; then
		if as_left "$bottle_home/incoming/$1/replaced/workspace-left" "$left" "$came_to" && ! is_open "$left"; then
			put "$left" "$old" || keep_beside "$left" "$came_to" "$1" || return 1
		else
			keep_beside "$left" "$came_to" "$1" || return 1
		fi
	fi
	[ ! -d "$old" ] || (gone "$old") 2>/dev/null || printf 'rest=%s\n' "$old"
}

put() { # PATH PLACE: a rename; what stands at PLACE already stays as it is, and gets nothing put into it
	[ ! -e "$2" ] && [ ! -h "$2" ] && mv "$1" "$2"
}

left_here() { # IDENTITY DOCKER…: `since NAME` or `before NAME` a line, for each container that a bottle left when it moved away
	left_state=$bottle_home/state/$1
	left_name=bottle-$1
	left_label=label=bottle.identity=$1
	shift
	left_noted=$(cat "$left_state/container" 2>/dev/null)
	left_at=$(sed -n 's/.*"moved_at": "\([0-9T:-]*\).*/\1/p' "$left_state/moved-to.json")
	# By name or noted id too: what somebody runs from a commit bears the same label.
	for left_by in "name=^/?$left_name\$" ${left_noted:+"id=$left_noted"}; do
		"$@" ps -aq --no-trunc --filter "$left_label" --filter "$left_by"
	done | sort -u | while read -r left; do
		# Running, or started again behind bottle's back, it may have done what no other host has. Both times are UTC.
		"$@" inspect --format '{{.Name}} {{.State.Running}} {{.State.StartedAt}}' "$left" </dev/null |
			awk -v at="$left_at" -v id="$left" '
				{ when = $2 != "false" || substr($3, 1, 19) > substr(at, 1, 19) "" ? "since" : "before"; print when, substr($1, 2) }
				END { if (!NR) print "since", id }'
	done
}
