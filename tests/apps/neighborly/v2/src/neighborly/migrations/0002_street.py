from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("neighborly", "0001_initial")]
    operations = [
        migrations.AddField("Neighbor", "street", models.CharField(max_length=80, default="around the corner")),
        # the version before, which knows no street, still runs until the flip and after a rollback
        migrations.RunSQL("ALTER TABLE neighborly_neighbor ALTER street SET DEFAULT 'around the corner'", migrations.RunSQL.noop)]
