"""How the readers get at tables on an object store."""

import glob
import json
import os

import duckdb
import duckdb_extension_delta
import duckdb_extension_httpfs


def options(args):
    """delta-rs's storage options, given as JSON; None for a folder."""
    return json.loads(args[0]) if args else None


def connect(storage):
    """DuckDB with Delta tables, of a folder or of the store of the options."""
    db = duckdb.connect(config={"allow_unsigned_extensions": "true"})
    for package in [duckdb_extension_httpfs] * (storage is not None) + [duckdb_extension_delta]:
        file, = glob.glob(os.path.dirname(package.__file__) + "/**/*.duckdb_extension", recursive=True)
        db.execute(f"LOAD '{file}'")
    if storage:
        db.execute(f"""CREATE SECRET (TYPE s3, KEY_ID '{storage["AWS_ACCESS_KEY_ID"]}', SECRET '{storage["AWS_SECRET_ACCESS_KEY"]}',
            REGION '{storage["AWS_REGION"]}', ENDPOINT '{storage["AWS_ENDPOINT_URL"].removeprefix("http://")}', URL_STYLE 'path', USE_SSL false)""")
    return db
