#!/bin/sh
# What the web front does before the app is asked, and what it tells the app: the order in which a path is served,
# request ids, pages of its own, limits, who is believed, $STATIC_URL. About 30 s.
# shellcheck disable=SC2016 # the dollars are the inner shell's
. "$(dirname "$0")/lib.sh"

PLATFORM=python
start_silverd
new_app blog
commit_app 1
mkdir -p "$REPO/static/docs" "$REPO/static/bare"
echo 'from static' >"$REPO/static/both"
echo '0123456789' >"$REPO/static/ten"
echo 'docs page' >"$REPO/static/docs/index.html"
echo 'space' >"$REPO/static/a b"
ln -s ten "$REPO/static/link"
echo 'style of 1' >"$REPO/static/style.css"
git -C "$REPO" add -A
git -C "$REPO" commit -qm 'version 1: files'
push || bail 'the first push failed'

# what the app itself wrote for nginx to serve
silver run blog sh -c 'cd "$HOME" && umask 022 && mkdir -p writable_root/blog.localhost writable_root/sub && cd writable_root &&
	echo "from the root" >both && echo "root" >written && echo "mine" >blog.localhost/mine && echo "of the host" >blog.localhost/written &&
	echo "sub page" >sub/index.html && ln -s /etc/passwd passwd && ln -s ../secret secret && ln -s sub dir' || bail 'the app cannot write'
silver redeploy blog >/dev/null 2>&1 || bail 'redeploy failed'

cat >"$TMP/rows.py" <<'END'
# Rows of METHOD PATH HEADERS STATUS TEXT against the front, over raw sockets: nothing between us and it tidies a path.
import json, os, re, socket, sys
port = int(sys.argv[1])

def ask(method, path, headers="", host="blog.localhost", version="1.1"):
    s = socket.create_connection(("127.0.0.1", port), timeout=60)
    request = "%s %s HTTP/%s\r\nHost: %s\r\n%sConnection: close\r\n\r\n" % (method, path, version, host, headers)
    s.sendall(request.encode("latin-1"))
    answer = b""
    while chunk := s.recv(65536):
        answer += chunk
    s.close()
    return answer.decode("latin-1")

rows = [
    ("GET", "/both", "", 200, "from static"),
    ("GET", "/ten", "", 200, "Cache-Control: no-cache"),
    ("HEAD", "/ten", "", 200, "Content-Length: 11"),
    ("GET", "/ten", "Range: bytes=2-4\r\n", 206, "\r\n\r\n234"),
    ("GET", "/ten", "Range: bytes=90-\r\n", 416, ""),
    ("GET", "/link", "", 200, "0123456789"),
    ("GET", "/a%20b", "", 200, "space"),
    ("GET", "/docs", "", 301, "Location: /docs/\r\n"),
    ("GET", "/docs?q=1", "", 301, "Location: /docs/?q=1\r\n"),
    ("GET", "/docs/", "", 200, "docs page"),
    ("GET", "/docs/index.html", "", 301, "Location: /docs/\r\n"),
    ("GET", "/written", "", 200, "of the host"),
    ("GET", "/mine", "", 200, "mine"),
    ("GET", "/sub/", "", 200, "sub page"),
    ("GET", "/bare", "", 404, "no /bare"),  # the app says so
    ("GET", "/passwd", "", 404, "no /passwd"),
    ("GET", "/secret", "", 404, "no /secret"),
    ("GET", "/dir/index.html", "", 404, "no /dir/"),
    ("GET", "/version", "", 200, "1"),
    ("GET", "/version?a=%2f", "", 200, "1"),
    ("POST", "/version", "Content-Length: 0\r\n", 200, "1"),
    ("POST", "/ten", "Content-Length: 0\r\n", 405, "Request "),
    ("GET", "/x%2fy", "", 404, "no /x/y"),
    ("GET", "/a|b", "", 404, "no /a|b"),
    ("GET", "/a%00", "", 400, ""),
    ("GET", "/../app.ini", "", 400, ""),
    ("GET", "/docs/../../app.ini", "", 400, ""),
    ("GET", "/%2e%2e/app.ini", "", 400, ""),
    ("GET", "/..%2f..%2frecord.ini", "", 400, ""),
    ("GET", "/sub/../../secret", "", 400, ""),
    ("GET", "/.silver/pages/missing.html", "", 404, "Request "),
    ("GET", "//both", "", 200, "from static"),
]
bad = 0
for method, path, headers, status, text in rows:
    answer = ask(method, path, headers)
    if not answer.startswith("HTTP/1.1 %d " % status) or text not in answer:
        print("%s %s: expected %d and %r, got\n%s" % (method, path, status, text, answer))
        bad += 1

tag = re.search(r"ETag: (\S+)", ask("GET", "/ten")).group(1)
date = re.search(r"Last-Modified: (.+?)\r", ask("GET", "/ten")).group(1)
for header in "If-None-Match: " + tag, "If-Modified-Since: " + date:
    if " 304 " not in ask("GET", "/ten", header + "\r\n"):
        print("not 304 for", header)
        bad += 1

# what the app is told
forged = ("X-Request-ID: forged\r\nX-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil.example\r\n"
          "X-Forwarded-Prefix: /forged\r\nX-Silver-Internal: update\r\nForwarded: for=6.6.6.6\r\nScript-Name: /forged\r\n"
          "SCRIPT_NAME: /forged\r\nX_Silver_Internal: update\r\n")
answer = ask("GET", "/environ", forged, "blog.localhost:%d" % port, "1.0")  # a body in one piece
environ = json.loads(answer.split("\r\n\r\n", 1)[1])
expected = {
    "REMOTE_ADDR": "127.0.0.1", "HTTP_X_FORWARDED_FOR": "127.0.0.1", "wsgi.url_scheme": "http", "SCRIPT_NAME": "", "PATH_INFO": "/environ",
    "HTTP_HOST": "blog.localhost:%d" % port, "HTTP_X_FORWARDED_HOST": "blog.localhost:%d" % port,
}
for key, value in expected.items():
    if environ.get(key) != value:
        print("%s is %r, not %r" % (key, environ.get(key), value))
        bad += 1
for key in "silverlining.internal", "silverlining.update", "HTTP_FORWARDED", "HTTP_X_FORWARDED_PREFIX", "HTTP_X_SILVER_INTERNAL":
    if key in environ:
        print("%s got through: %r" % (key, environ[key]))
        bad += 1
ids = re.findall(r"X-Request-ID: (\S+)", answer, re.I)
if len(ids) != 1 or not re.fullmatch("[0-9a-f]{32}", ids[0]) or environ.get("HTTP_X_REQUEST_ID") != ids[0]:
    print("the request's id: %r, the app has %r" % (ids, environ.get("HTTP_X_REQUEST_ID")))
    bad += 1
print("id", ids[0])
sys.exit(bad > 0)
END
ok '34 the order in which a path is served, odd paths, what the app is told' python3 "$TMP/rows.py" "$HTTP_PORT"
id=$(sed -n 's/^id //p' "$TMP/ok.out")
logged() {
	verb logs blog --access -n 1000 >"$TMP/access.out" && grep -Eq " blog $(live) $id 127\.0\.0\.1 blog\.localhost \"GET /environ " "$TMP/access.out"
}
ok 'the access log has the request, with app, release and id' wait_until 60 logged
ok '  and nothing of others' exits 1 grep -vq ' blog ' "$TMP/access.out"

# a body that arrives whole, and what is too large
head -c 5000000 /dev/zero >"$TMP/body"
ok 'an upload arrives whole' equal "$(fetch /count --data-binary "@$TMP/body")" 5000000

# an exception of the app's
raised=$(fetch '/raise?word')
ok 'an exception is answered 500' equal "$(fetch_status /raise)" 500
ok '  the page has an id'         sh -c 'echo "$1" | grep -Eq "Request [0-9a-f]{32}"' - "$raised"
ok '  and nothing of the app'     sh -c '! echo "$1" | grep -Eqi "secret|traceback|RuntimeError|app\.py"' - "$raised"
id=$(echo "$raised" | sed -n 's/.*Request \([0-9a-f]*\).*/\1/p')
traced() { verb logs blog -n 100 | grep -A 30 "request $id failed" | grep -q "secret of the app's: word"; }
ok '  which leads to the traceback in the log' wait_until 60 traced

# $STATIC_URL
static_url() { fetch /env | python3 -c 'import json, sys; print(json.load(sys.stdin)["STATIC_URL"])'; }
old=$(static_url)
ok 'STATIC_URL serves the release'\''s files' equal "$(fetch "${old}style.css")" 'style of 1'
immutable() { fetch "$1" -D - -o /dev/null | grep -qi '^Cache-Control: .*immutable'; }
ok '  for ever'                              immutable "${old}style.css"
commit_app 2
echo 'style of 2' >"$REPO/static/style.css"
git -C "$REPO" commit -qam 'version 2: style'
ok '  after the next push'                   push
new=$(static_url)
ok '  it is another one'                     test "$old" != "$new"
ok '  which has the new files'               equal "$(fetch "${new}style.css")" 'style of 2'
ok '  an old page still gets its own'        equal "$(fetch "${old}style.css")" 'style of 1'
ok '  there is no other way in'              equal "$(fetch_status "${new}../app.ini" --path-as-is)" 404
ok '  what is not there is not cached'       exits 1 immutable "${new}nothing.css"
unknown_commit="/static-0123456789012345678901234567890123456789/style.css"
ok '  nor is another commit'                 equal "$(fetch_status "$unknown_commit")" 404

# out of service
ok 'disable'                                 verb disable blog
ok '  the next request is answered 503'      equal "$(fetch_status /version)" 503
ok '  files as well'                         equal "$(fetch_status /ten)" 503
ok '  and what is posted'                    equal "$(fetch_status /count --data-binary x)" 503
ok '  with a page that nobody keeps'         sh -c 'echo "$1" | tr -d "\r" | grep -qi "^cache-control: no-store$"' - "$(fetch /version -D - -o /dev/null)"
ok '  and an id'                             sh -c 'echo "$1" | grep -Eq "Request [0-9a-f]{32}"' - "$(fetch /version)"
ok '  status says it'                        sh -c 'echo "$1" | grep -q "disabled  every request"' - "$(verb status blog)"
commit_app 3
ok '  a push is deployed, and says it'       push
ok '  '                                      said 'blog is out of service'
stop_silverd || bail 'silverd does not stop'

# settings of the node, and pages of the operator
sed -i 's,^\[node\]$,&\nmax_body_bytes = 100000\nanswer_ms = 1000\ntrusted_proxies = 10.0.0.0/8 127.0.0.1,' "$STATE/node.ini"
echo 'our own: <!--# echo var="request_id" -->' >"$STATE/pages/disabled.html"
echo 'our own: nobody here' >"$STATE/pages/unknown.html"
start_silverd
ok 'disable survives the node'               equal "$(fetch_status /version)" 503
ok 'the operator'\''s page is served'        sh -c 'echo "$1" | grep -Eq "^our own: [0-9a-f]{32}$"' - "$(fetch /version)"
ok '  for unknown hosts, too'                equal "$(curl -sS -H 'Host: nobody' "http://127.0.0.1:$HTTP_PORT/")" 'our own: nobody here'
ok 'enable'                                  verb enable blog
ok 'deactivate is its old name'              verb deactivate blog
ok '  and does the same'                     equal "$(fetch_status /version)" 503
ok '  until it is enabled'                   verb enable blog
ok '  it answers, with what was pushed'      serves 3
large() { fetch /count --data-binary "@$TMP/body" -H Expect: -w ' %{http_code}' 2>/dev/null; }
ok 'a body that is too large is answered 413' sh -c 'echo "$1" | grep -q " 413$"' - "$(large)"
ok '  with a page'                           sh -c 'echo "$1" | grep -Eq "Request [0-9a-f]{32}"' - "$(large)"
ok '  a smaller one arrives'                 equal "$(head -c 99999 /dev/zero | fetch /count --data-binary @-)" 99999
ok 'a size of its own'                         verb location body blog 8M
ok '  is known'                                equal "$(verb location body blog)" 'blog takes bodies of 8388608 bytes'
ok '  it takes the larger body'                equal "$(fetch /count --data-binary "@$TMP/body")" 5000000
head -c 8388609 /dev/zero >"$TMP/over"
ok '  up to the byte'                          equal "$(head -c 8388608 /dev/zero | fetch /count -H Expect: --data-binary @-)" 8388608
over() { fetch_status /count -H Expect: --data-binary "@$TMP/over" 2>/dev/null; }
ok '  and no more'                             equal "$(over)" 413
chunked() { fetch_status /count -H Expect: -H 'Transfer-Encoding: chunked' --data-binary "@$1" 2>/dev/null; }
ok '  not in chunks either'                    equal "$(chunked "$TMP/over")" 413
ok '  of which it takes the smaller'           equal "$(chunked "$TMP/body")" 200
ok '  what is no size is refused'              exits 2 verb location body blog "'8M; }'"
ok '  nor is nothing'                          exits 2 verb location body blog 0
ok '  default'                                 verb location body blog default
ok '  is the node'\''s'                         equal "$(large | tail -c 4)" ' 413'
ok '  in chunks, too'                          equal "$(chunked "$TMP/body")" 413
ok 'who takes too long is answered 504'      equal "$(fetch_status "/wait?$TMP/finish")" 504
: >"$TMP/finish"
seen=$(fetch /environ -H 'X-Forwarded-For: 6.6.6.6, 192.0.2.7, 10.1.2.3' -H 'X-Forwarded-Proto: https' -H 'X-Forwarded-Host: www.example.com' |
	python3 -c 'import json, sys; e = json.load(sys.stdin); print(e["REMOTE_ADDR"], e["wsgi.url_scheme"], e["HTTP_X_FORWARDED_HOST"])')
ok 'a proxy that is trusted tells who asks, and how' equal "$seen" '192.0.2.7 https www.example.com'
sound() {
	silver fsck >"$TMP/fsck.out" 2>&1 || {
		cat "$TMP/fsck.out"
		return 1
	}
}
ok 'the node is sound'                       wait_until 60 sound
done_testing
