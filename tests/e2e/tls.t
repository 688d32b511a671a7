#!/bin/sh
# Certificates: of a real ACME authority (pebble, with a challenge that it really fetches) and one's own (20 s).
. "$(dirname "$0")/lib.sh"

# --- the authority -----------------------------------------------------------------------------

free_ports() { # N
	python3 -c '
import socket, sys
held = [socket.socket() for _ in range(int(sys.argv[1]))]
for s in held: s.bind(("127.0.0.1", 0))
print(*[s.getsockname()[1] for s in held])' "$1"
}
# shellcheck disable=SC2046 # words are meant
set -- $(free_ports 5)
HTTPS_PORT=$1 ACME_PORT=$2 MANAGEMENT_PORT=$3 DNS_PORT=$4 DNS_MANAGEMENT=$5
mkdir "$TMP/ca"
chmod 755 "$TMP/ca"

own_certificate() { # HOST FILE [DAYS]: key and certificate in one
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days "${3:-90}" -subj "/CN=Own $1" \
		-addext "subjectAltName=DNS:$1,IP:127.0.0.1" -keyout "$2.key" -out "$2.crt" 2>/dev/null
	cat "$2.key" "$2.crt" >"$2"
}
own_certificate localhost "$TMP/ca/pebble"

start_authority() {
	cat >"$TMP/ca/config.json" <<-END
		{"pebble": {"listenAddress": "127.0.0.1:$ACME_PORT", "managementListenAddress": "127.0.0.1:$MANAGEMENT_PORT",
		 "certificate": "$TMP/ca/pebble.crt", "privateKey": "$TMP/ca/pebble.key",
		 "httpPort": $HTTP_PORT, "tlsPort": $HTTPS_PORT, "ocspResponderURL": "", "externalAccountBindingRequired": false}}
	END
	PEBBLE_VA_NOSLEEP=1 pebble -config "$TMP/ca/config.json" -dnsserver "127.0.0.1:$DNS_PORT" >"$TMP/pebble.out" 2>&1 &
	PEBBLE=$!
	wait_until 60 curl -sk -o "$TMP/roots.json" "https://127.0.0.1:$ACME_PORT/dir"
	curl -sk "https://127.0.0.1:$MANAGEMENT_PORT/roots/0" >"$TMP/root.pem"
}
pebble-challtestsrv -dns01 "127.0.0.1:$DNS_PORT" -management "127.0.0.1:$DNS_MANAGEMENT" -http01 '' -https01 '' -tlsalpn01 '' \
	-defaultIPv4 127.0.0.1 -defaultIPv6 '' >"$TMP/dns.out" 2>&1 &
DNS=$! PEBBLE=
end_authority() {
	kill "$DNS" ${PEBBLE:+"$PEBBLE"} 2>/dev/null
}
CLEAN_UP=end_authority

# --- what is served ----------------------------------------------------------------------------

tls_fetch() { # HOST PATH [CURL ARGS]
	tf_host=$1 tf_path=$2
	shift 2
	curl -sS --max-time 20 --cacert "$TMP/root.pem" --resolve "$tf_host:$HTTPS_PORT:127.0.0.1" "$@" \
		"https://$tf_host:$HTTPS_PORT$tf_path"
}
served() { # HOST: the certificate as the world sees it
	openssl s_client -connect "127.0.0.1:$HTTPS_PORT" -servername "$1" </dev/null 2>/dev/null | openssl x509
}
serial() {
	served "$1" | openssl x509 -noout -serial
}
front() { # nginx, its configuration, and its workers
	cat "$STATE/run/nginx/nginx.pid"
	sed -n 's/^# generation //p' "$STATE/run/nginx.conf"
	pgrep -P "$(cat "$STATE/run/nginx/nginx.pid")" | sort
}
refused_with() { # PATTERN COMMAND...
	rw_what=$1
	shift
	must_fail "$@" >"$TMP/out" 2>&1 && said "$rw_what" "$TMP/out"
}
listed() { # HOST KEY VALUE
	silver tls list --json | python3 -c '
import json, sys
host, key, value = sys.argv[1:]
found = [c for c in json.load(sys.stdin) if c["host"] == host]
assert found and value in str(found[0][key]), found' "$@"
}

start_silverd
new_app blog
commit_app 1
push || bail 'the first push failed'
ok '50 without an address for TLS it says what to set' refused_with 'https = .* in .*node.ini' silver tls on blog.localhost
stop_silverd
cat >>"$STATE/node.ini" <<END
[node]
https = 127.0.0.1:$HTTPS_PORT
acme = https://localhost:$ACME_PORT/dir
acme_ca = $TMP/ca/pebble.crt
END
start_silverd
ok '   a host without a certificate is refused in the handshake' must_fail tls_fetch blog.localhost /version
ok '   and http goes on as it was'                    serves 1
ok '   the authority wants an address to write to'    refused_with acme_email silver tls on blog.localhost
sed -i 's/^#acme_email = .*/acme_email = you@example.com/' "$STATE/node.ini"
ok '   an authority that is away is told, and nothing is changed' refused_with 'no certificate for .blog.localhost' silver tls on blog.localhost
ok '   nothing was left of it'                        equal "$(silver tls list)" ''
start_authority || bail 'pebble does not answer'

before=$(front)
ok '50 a certificate of a real authority'             verb tls on blog.localhost
ok '   is served'                                     equal "$(tls_fetch blog.localhost /version)" 1
ok '   as HTTP/2'                                     equal "$(tls_fetch blog.localhost /version -o /dev/null -w '%{http_version}')" 2
ok '   no process of nginx changed, and no word of its configuration' equal "$(front)" "$before"
ok '   http is not redirected where nobody asked'     serves 1
ok '   it is listed as automatic'                     listed blog.localhost automatic True
ok '   keys are nobody else'\''s'                     equal "$(stat -c %a "$STATE/tls" "$STATE/tls/live" "$STATE/tls/live/blog.localhost.pem" | tr '\n' ' ')" '700 700 600 '
ok '   no challenge is left'                          equal "$(find "$STATE/tls/www" -type f)" ''
ok '   a host that leads nowhere gets none'           refused_with 'location add' silver tls on other.example.com
ok '   nor does what is no host'                      refused_with 'label|letters|host' silver tls on ../blog
ok '   a name that nobody has is refused'             must_fail tls_fetch other.example.com /

redirected() {
	equal "$(fetch_status "$1" -D "$TMP/head" -X POST)" 308 &&
		said "^[Ll]ocation: https://blog.localhost:$HTTPS_PORT/version[?]a=b" "$TMP/head"
}
ok '50 http leads to https where it is asked for'     silver tls on blog.localhost --redirect
ok '   with method and query'                         redirected '/version?a=b'
ok '   what is there is 200'                          equal "$(fetch /version -L --cacert "$TMP/root.pem" --connect-to "blog.localhost:$HTTPS_PORT:127.0.0.1:$HTTPS_PORT")" 1

# each request has a handshake of its own
hammer() {
	while [ -e "$TMP/hammering" ]; do
		tls_fetch blog.localhost /version >>"$TMP/answers" 2>>"$TMP/lost" || echo "status $?" >>"$TMP/lost"
		echo >>"$TMP/asked"
		sleep 0.02
	done
}
touch "$TMP/hammering" "$TMP/lost"
hammer &
first=$!
hammer &
second=$!
renew() { # the challenge is fetched by http, where everything else is redirected
	old=$(serial blog.localhost)
	silver tls renew blog.localhost && [ "$(serial blog.localhost)" != "$old" ]
}
ok '50 it is renewed at once where that is asked for' renew
ok '   and again'                                     renew
ok '   and again'                                     renew
rm "$TMP/hammering"
wait "$first" "$second"
ok '   no handshake of those beside it was lost'      equal "$(cat "$TMP/lost")" ''
ok '   and there were many'                           test "$(wc -l <"$TMP/asked")" -gt 30
ok '   still the same nginx'                          equal "$(front)" "$before"
ok '   what is far from its end is not due'           "$USR/lib/silver/silver-root" --dir "$STATE" 'tls due'

kill "$PEBBLE"
wait "$PEBBLE" || true
PEBBLE=
old=$(serial blog.localhost)
ok '50 a renewal that fails says so'                  refused_with 'not renewed; what was served is served on' silver tls renew
ok '   the old certificate is served on'              equal "$(serial blog.localhost)" "$old"
ok '   the list says so'                              listed blog.localhost problem 'not renewed, 1 times'
ok '   and so does fsck'                              refused_with 'tls/live/blog.localhost.pem.*not renewed' silver fsck

# --- one's own -----------------------------------------------------------------------------------

silver location add blog www.example.com >/dev/null
own_certificate www.example.com "$TMP/own"
own_certificate www.example.com "$TMP/second"
own_certificate elsewhere.example.com "$TMP/elsewhere"
cat "$TMP/second.key" "$TMP/own.crt" >"$TMP/mixed"
set_own() { # FILE
	silver tls set www.example.com <"$1"
}
ok '50 a certificate of your own'                     set_own "$TMP/own"
ok '   is served'                                     equal "$(served www.example.com)" "$(cat "$TMP/own.crt")"
ok '   a key of another one is refused'               refused_with 'private key does not belong' set_own "$TMP/mixed"
ok '   one for another host is refused'               refused_with "not for 'www.example.com'" set_own "$TMP/elsewhere"
ok '   one without its key is refused'                refused_with 'no private key' set_own "$TMP/own.crt"
ok '   nothing at all is refused'                     refused_with 'no certificate in it' set_own /dev/null
openssl x509 -in "$TMP/own.crt" -signkey "$TMP/own.key" -days -1 -copy_extensions copyall -out "$TMP/expired.crt" 2>/dev/null
cat "$TMP/own.key" "$TMP/expired.crt" >"$TMP/expired"
ok '   an expired one is refused'                     refused_with 'expired at' set_own "$TMP/expired"
ok '   the first is served on'                        equal "$(served www.example.com)" "$(cat "$TMP/own.crt")"
ok '   another takes its place'                       set_own "$TMP/second"
ok '   at the next handshake'                         equal "$(served www.example.com)" "$(cat "$TMP/second.crt")"
ok '   it does not renew itself'                      refused_with 'is not automatic' silver tls renew www.example.com
ok '   the other host has its own still'              equal "$(serial blog.localhost)" "$old"
ok '   still the same nginx'                          equal "$(front)" "$before"

stop_silverd
start_silverd
ok '50 it is served after a restart'                  equal "$(tls_fetch blog.localhost /version)" 1
ok '   taken away'                                    silver tls off blog.localhost
ok '   it is refused'                                 must_fail tls_fetch blog.localhost /version
ok '   http serves again'                             serves 1
ok '   what is away cannot be taken away'             exits 4 silver tls off blog.localhost
done_testing
