import os

from silversupport import secret

SECRET_KEY = secret.get_secret()
DEBUG = False
ALLOWED_HOSTS = ["*"]
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions", "django.contrib.messages",
                  "django.contrib.admin", "neighborly"]
MIDDLEWARE = ["django.contrib.sessions.middleware.SessionMiddleware", "django.contrib.auth.middleware.AuthenticationMiddleware",
              "django.contrib.messages.middleware.MessageMiddleware"]
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True, "OPTIONS": {"context_processors": [
    "django.template.context_processors.request", "django.contrib.auth.context_processors.auth",
    "django.contrib.messages.context_processors.messages"]}}]
ROOT_URLCONF = "neighborly.urls"
STATIC_URL = "/media/"
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
DATABASES = {"default": {
    "ENGINE": "django.db.backends.postgresql", "NAME": os.environ["CONFIG_PG_DBNAME"], "USER": os.environ["CONFIG_PG_USER"],
    "PASSWORD": os.environ.get("CONFIG_PG_PASSWORD", ""), "HOST": os.environ.get("CONFIG_PG_HOST", ""),
    "PORT": os.environ.get("CONFIG_PG_PORT", "")}}
