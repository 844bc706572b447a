"""Reads Delta tables with the readers that run on the JVM: Spark with Delta Lake,
Delta's own kernel, and parquet-java. One JVM for all of it, driven through py4j.

usage: spark.py < REQUESTS > ANSWERS, one JSON object a line:
  {"table": FOLDER, "filters": [..]} {"rows": [...], "filtered": [N, ...], "kernel": [...], "parquet": [...]}
  {"sql": STATEMENT}                {"rows": [...]}
The kernel and parquet-java read every column and tell [offset, candidate_id,
architecture, model] of each row.
Rows are objects; maps are objects, times microseconds since 1970.
"""

import glob
import json
import os
import sys

from py4j.java_gateway import GatewayParameters, JavaGateway, launch_gateway

TOLD = ["offset", "candidate_id", "architecture", "model"]
LIB = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../.tools/spark/lib")
OPENS = ["java.lang", "java.lang.invoke", "java.lang.reflect", "java.io", "java.net", "java.nio", "java.util",
         "java.util.concurrent", "java.util.concurrent.atomic", "sun.nio.ch", "sun.nio.cs", "sun.security.action", "sun.util.calendar"]


def start():
    jars = ":".join(sorted(glob.glob(LIB + "/*.jar")))
    options = [x for p in OPENS for x in ("--add-opens", f"java.base/{p}=ALL-UNNAMED")]
    options += ["-Xmx768m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djdk.reflect.useDirectMethodHandle=false",
                "-Dlog4j2.level=ERROR", "-Dspark.ui.enabled=false"]
    jar, = glob.glob(LIB + "/py4j-*.jar")
    port = launch_gateway(port=0, jarpath=jar, classpath=jars, javaopts=options, die_on_exit=True)
    gateway = JavaGateway(gateway_parameters=GatewayParameters(port=port, auto_convert=True))
    warehouse = os.path.join(os.environ.get("TMPDIR", "/tmp"), f"spark-warehouse-{os.getpid()}")
    builder = gateway.jvm.org.apache.spark.sql.SparkSession.builder().master("local[1]").appName("archflow")
    for key, value in {
        "spark.ui.enabled": "false",
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        "spark.sql.shuffle.partitions": "1",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.warehouse.dir": warehouse,
        "spark.databricks.delta.snapshotPartitions": "1",
        "spark.sql.jsonGenerator.ignoreNullFields": "false",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
    }.items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    session.sparkContext().setLogLevel("ERROR")
    return gateway, session


def collect(frame):
    """The rows of a frame as objects."""
    types = {f.name(): f.dataType().typeName() for f in frame.schema().fields()}
    columns = []
    for name, kind in types.items():
        quoted = "`" + name.replace("`", "``") + "`"
        if kind == "timestamp":
            columns.append(f"unix_micros({quoted}) AS {quoted}")
        elif kind == "binary":
            columns.append(f"lower(hex({quoted})) AS {quoted}")
        elif kind == "array" and frame.schema().apply(name).dataType().elementType().typeName() == "float":
            columns.append(f"CAST({quoted} AS ARRAY<DOUBLE>) AS {quoted}")
        elif kind == "date":
            columns.append(f"CAST({quoted} AS STRING) AS {quoted}")
        else:
            columns.append(quoted)
    plain = frame.selectExpr(columns_of(columns))
    return [json.loads(line) for line in plain.toJSON().collectAsList()]


def columns_of(columns):
    array = GATEWAY.new_array(GATEWAY.jvm.java.lang.String, len(columns))
    for i, c in enumerate(columns):
        array[i] = c
    return array


def kernel_rows(table, told):
    """The rows that Delta's kernel reads, every column of them."""
    jvm = GATEWAY.jvm
    engine = jvm.io.delta.kernel.defaults.engine.DefaultEngine.create(jvm.org.apache.hadoop.conf.Configuration())
    snapshot = jvm.io.delta.kernel.Table.forPath(engine, table).getLatestSnapshot(engine)
    scan = snapshot.getScanBuilder().build()
    state = scan.getScanState(engine)
    data = jvm.io.delta.kernel.internal.data.ScanStateRow
    schema = data.getPhysicalDataReadSchema(engine, state)
    rows, batches = [], scan.getScanFiles(engine)
    names = [f.getName() for f in snapshot.getSchema().fields()]
    at = [names.index(n) for n in told]
    while batches.hasNext():
        files = batches.next().getRows()
        while files.hasNext():
            file = files.next()
            status = jvm.io.delta.kernel.internal.InternalScanFileUtils.getAddFileStatus(file)
            physical = engine.getParquetHandler().readParquetFiles(
                jvm.io.delta.kernel.internal.util.Utils.singletonCloseableIterator(status), schema, jvm.java.util.Optional.empty())
            logical = jvm.io.delta.kernel.Scan.transformPhysicalData(engine, state, file, physical)
            while logical.hasNext():
                batch = logical.next().getData()
                offset, *texts = (batch.getColumnVector(i) for i in at)
                for row in range(batch.getSize()):
                    rows.append([offset.getLong(row)] + [None if v.isNullAt(row) else v.getString(row) for v in texts])
            logical.close()
    batches.close()
    return sorted(rows)


def parquet_rows(files, told):
    """The records that parquet-java's own reader makes of every column."""
    jvm = GATEWAY.jvm
    rows = []
    for file in files:
        reader = jvm.org.apache.parquet.hadoop.ParquetReader.builder(
            jvm.org.apache.parquet.hadoop.example.GroupReadSupport(), jvm.org.apache.hadoop.fs.Path(file)).build()
        while True:
            record = reader.read()
            if record is None:
                break
            record.toString()
            texts = [record.getString(n, 0) if record.getFieldRepetitionCount(n) else None for n in told[1:]]
            rows.append([record.getLong(told[0], 0)] + texts)
        reader.close()
    return sorted(rows)


def answer(request):
    if "sql" in request:
        return {"rows": collect(SPARK.sql(request["sql"]))}
    frame = SPARK.read().format("delta").load(request["table"])
    rows = collect(frame)
    files = list(frame.inputFiles())
    filtered = [frame.where(f).count() for f in request.get("filters", [])]
    told = request.get("told", TOLD)
    return {"rows": rows, "filtered": filtered, "kernel": kernel_rows(request["table"], told), "parquet": parquet_rows(files, told)}


if __name__ == "__main__":
    GATEWAY, SPARK = start()
    for line in sys.stdin:
        request = json.loads(line)
        try:
            result = answer(request)
        except Exception as e:  # told, so that the others are still answered
            result = {"error": str(e)[:3000]}
        print(json.dumps(result), flush=True)
    sys.stdout.flush()
    os._exit(0)
