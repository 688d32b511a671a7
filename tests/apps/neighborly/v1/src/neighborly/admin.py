from django.contrib import admin

from neighborly.models import Neighbor

admin.site.register(Neighbor)
