"""A page that says which release of it is live. WSGI, and nothing but Python."""
import html
import os

from greetings import greeting  # lib/python/greetings-1.0, which lib/python/greetings.pth names

PAGE = """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{app}</title>
<link rel="stylesheet" href="/style.css">
<main>
<h1>{greeting}</h1>
<p>This is release <strong>{release}</strong> of {app}, commit <code>{commit:.7}</code>.</p>
<p>Change <code>src/app.py</code>, commit, and <code>git push silver master</code>.</p>
<h2>What Silver tells the app</h2>
<dl>
{variables}
</dl>
</main>
"""


def home():
    told = sorted(item for item in os.environ.items() if item[0].startswith("SILVER_"))
    return PAGE.format(
        greeting=html.escape(greeting("world")),
        app=html.escape(os.environ["SILVER_APP_NAME"]),
        release=html.escape(os.environ["SILVER_RELEASE"]),
        commit=html.escape(os.environ["SILVER_COMMIT"]),
        variables="\n".join(
            f"<dt>{html.escape(name)}<dd>{html.escape(value)}" for name, value in told
        ),
    )


def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/":
        status, kind, body = "200 OK", "text/html", home()
    elif path == "/up":  # asked before a release goes live: app.ini, "health"
        status, kind, body = "200 OK", "text/plain", "up\n"
    else:
        status, kind, body = "404 Not Found", "text/plain", "There is no such page.\n"
    content = body.encode()
    start_response(status, [
        ("Content-Type", f"{kind}; charset=utf-8"),
        ("Content-Length", str(len(content))),
    ])
    return [content]
