from django.contrib import admin
from django.http import HttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

import neighborly
from neighborly.models import Neighbor


@csrf_exempt
def neighbors(request):
    if request.method == "POST":
        Neighbor.objects.create(**request.POST.dict())
    names = [", ".join(str(v) for k, v in row.items() if k != "id") for row in Neighbor.objects.order_by("id").values()]
    return HttpResponse("neighborly %d: %s\n" % (neighborly.VERSION, "; ".join(names)), content_type="text/plain")


urlpatterns = [path("admin/", admin.site.urls), path("neighbors", neighbors)]
