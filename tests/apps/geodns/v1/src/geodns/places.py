"""Places of Massachusetts as polygons in its own coordinates (SRID 26986, metres)."""
import os

import psycopg2


def connect():
    return psycopg2.connect(
        dbname=os.environ["CONFIG_PG_DBNAME"], user=os.environ["CONFIG_PG_USER"],
        password=os.environ.get("CONFIG_PG_PASSWORD") or None,
        host=os.environ.get("CONFIG_PG_HOST") or None, port=os.environ.get("CONFIG_PG_PORT") or None)


def set_up():
    with connect() as db, db.cursor() as c:
        c.execute("CREATE TABLE IF NOT EXISTS place (name text PRIMARY KEY, outline geometry(Polygon, 26986) NOT NULL)")
        c.execute("CREATE INDEX IF NOT EXISTS place_outline ON place USING gist (outline)")


def add(lines):
    """NAME;WKT in degrees (SRID 4326); all of them or none."""
    n = 0
    with connect() as db, db.cursor() as c:
        for line in lines:
            if not line.strip():
                continue
            name, wkt = line.strip().split(";", 1)
            c.execute("INSERT INTO place VALUES (%s, ST_Transform(ST_GeomFromText(%s, 4326), 26986)) "
                      "ON CONFLICT (name) DO UPDATE SET outline = excluded.outline", (name, wkt))
            n += 1
    return n


def at(lon, lat):
    with connect() as db, db.cursor() as c:
        c.execute("SELECT name FROM place WHERE ST_Intersects(outline, "
                  "ST_Transform(ST_SetSRID(ST_MakePoint(%s, %s), 4326), 26986)) ORDER BY ST_Area(outline)", (lon, lat))
        return [row[0] for row in c.fetchall()]


def metres(lon, lat):
    with connect() as db, db.cursor() as c:
        c.execute("SELECT round(ST_X(p)::numeric, 1), round(ST_Y(p)::numeric, 1) FROM "
                  "(SELECT ST_Transform(ST_SetSRID(ST_MakePoint(%s, %s), 4326), 26986) AS p) AS q", (lon, lat))
        return c.fetchone()
