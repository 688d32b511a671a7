# cloud.sh - what the providers have in common that make machines by the command line of a cloud (docs/PROVIDERS.md). One of them
# sets and defines, and then reads this file:
#
#	tool, user		its program; who logs in to a new machine
#	machines		prints "NAME ADDRESS STATE" a line for each of ours; ADDRESS is "-" as long as there is none
#	make NAME KEY		has one made; KEY is what key_name said
#	end NAME		has one ended
#	keys			prints "MD5-FINGERPRINT NAME" for each key that the cloud knows
#	add_key NAME		adds $SILVER_KEY
#
# What the command line says goes to people, on stderr; our answer is on stdout.
# shellcheck shell=sh disable=SC2154
verb=${1:-}
name=${2:-}

die() { # STATUS TEXT
	echo "$tool: $2" >&2
	exit "$1"
}
command -v "$tool" >/dev/null || die 6 "the program '$tool' is not in PATH: install it, and log it in to your account"

describe() { # NAME ADDRESS STATE
	host=
	[ "$2" = - ] || host='"host":"'$2'","port":22,'
	printf '{"name":"%s",%s"user":"%s","state":"%s"}' "$1" "$host" "$user" "$(printf '%s' "$3" | tr 'A-Z_' 'a-z-')"
}
find_machine() { # NAME; 1: there is none
	all=$(machines) || die 6 'the machines cannot be listed'
	found=$(printf '%s\n' "$all" | while read -r of rest; do
		[ "$of" != "$1" ] || echo "$of $rest"
	done | head -n 1)
	[ -n "$found" ]
}
answer() {
	# shellcheck disable=SC2086 # three words
	describe $found
	echo
}

# A key that is there already keeps its name: it is known by its fingerprint.
key_name() {
	[ -n "${SILVER_KEY:-}" ] || die 2 'SILVER_KEY is empty: whose key may log in?'
	print=$(printf '%s\n' "$SILVER_KEY" | ssh-keygen -E md5 -lf - | cut -d ' ' -f 2)
	print=${print#MD5:}
	known=$(keys) || die 6 'the keys cannot be listed'
	known=$(printf '%s\n' "$known" | while read -r a b; do
		[ "$a" != "$print" ] || echo "$b"
	done | head -n 1)
	if [ -z "$known" ]; then
		known=silver-$(printf '%s' "$print" | tr -d :)
		add_key "$known" >&2 || die 6 'the key could not be added'
	fi
	echo "$known"
}

answers() { # it has an address, and an sshd
	find_machine "$name" || die 4 "there is no machine '$name'"
	address=${found#* }
	address=${address%% *}
	[ "$address" != - ] && ssh-keyscan -T 5 "$address" 2>/dev/null | grep -q .
}

case $verb in list) ;; create | wait | destroy)
	case $name in '' | *[!a-z0-9-]* | -*) die 2 "not a machine's name: '$name'" ;; esac ;;
*) die 2 "usage: $tool create NAME | wait NAME | list | destroy NAME" ;;
esac
case $verb in
create)
	if ! find_machine "$name"; then
		key=$(key_name)
		make "$name" "$key" >&2 || die 6 "'$name' was not made"
		find_machine "$name" || die 6 "'$name' was made, and is not listed"
	fi
	answer
	;;
wait)
	tries=0
	until answers; do
		tries=$((tries + 1))
		[ "$tries" -lt 120 ] || die 6 "'$name' does not answer by ssh"
		sleep 2
	done
	answer
	;;
list)
	all=$(machines) || die 6 'the machines cannot be listed'
	separator=
	printf '['
	printf '%s\n' "$all" | while read -r of address state; do
		[ -n "$of" ] || continue
		printf '%s' "$separator"
		describe "$of" "$address" "$state"
		separator=,
	done
	printf ']\n'
	;;
destroy)
	! find_machine "$name" || end "$name" >&2 || die 6 "'$name' was not ended"
	;;
esac
