from webob import Request, Response

import places
from version import VERSION


def application(environ, start_response):
    request = Request(environ)
    response = Response(content_type="text/plain", charset="utf-8")
    if request.path_info == "/.setup":
        if not environ.get("silverlining.internal"):
            response.status, response.text = 403, "only the node may ask for that\n"
        else:
            places.set_up()
            response.text = "the tables are there\n"
    elif request.path_info == "/at":
        names = places.at(float(request.GET["lon"]), float(request.GET["lat"]))
        response.text = (", ".join(names) or "nowhere") + "\n"
    elif request.path_info == "/metres":
        response.text = "%s %s\n" % places.metres(float(request.GET["lon"]), float(request.GET["lat"]))
    elif request.path_info in ("/", "/health"):
        response.text = "geodns %d\n" % VERSION
    else:
        response.status, response.text = 404, "no such page\n"
    return response(environ, start_response)
