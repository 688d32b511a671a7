from django.db import models


class Neighbor(models.Model):
    name = models.CharField(max_length=80)
    street = models.CharField(max_length=80, default="around the corner")
