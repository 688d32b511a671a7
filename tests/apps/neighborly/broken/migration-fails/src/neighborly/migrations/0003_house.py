from django.db import migrations, models


def spoil(apps, schema):
    apps.get_model("neighborly", "Neighbor").objects.update(name="nobody")
    raise RuntimeError("street 7 has no house numbers")


class Migration(migrations.Migration):
    dependencies = [("neighborly", "0002_street")]
    operations = [migrations.AddField("Neighbor", "house", models.IntegerField(null=True)), migrations.RunPython(spoil)]
