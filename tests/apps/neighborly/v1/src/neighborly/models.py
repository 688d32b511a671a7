from django.db import models


class Neighbor(models.Model):
    name = models.CharField(max_length=80)
